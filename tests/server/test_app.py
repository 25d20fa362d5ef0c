"""The application whole: made, mounted, restarted and ended; and its door."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount

import imagekit
from imagekit import AsyncClient
from imagekit.provider import notice, sleep
from imagekit.server import App, Limits, create_app
from imagekit.server._serve import bound
from serving import serving
from spoken import httpx, near
from toys import Inside, Plugged, Scripted, Server, Whole, answers, patiently, picture, plugins

TOKEN, OTHER = "first-token-0123", "other-token-4567"
TOOL = {"type": "image_generation"}
RESPONSE = {"model": "m", "input": "an otter", "tools": [TOOL]}
TOY = {"toy": Plugged(Inside())}
Ask = Callable[..., Any]


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def client_of(name: str = "toy") -> AsyncClient:
    client = AsyncClient(provider=name, env={})
    client.plugins.register(Plugged(Inside()), name)
    return client


def sent(url: str, **more: Any) -> httpx.Response:
    files = {"file": ("otter.png", picture(7), "image/png")}
    return near.post(f"{url}/files", files=files, data={"purpose": "vision"}, **more)


# --- what is one's own ---------------------------------------------------------------------------


def test_what_one_tokens_bearer_stores_no_other_sees() -> None:
    with serving(register=TOY, tokens=[TOKEN, OTHER]) as served:
        file = sent(served.url, headers=bearer(TOKEN)).json()["id"]
        made = near.post(f"{served.url}/responses", json=RESPONSE, headers=bearer(TOKEN)).json()
        [item] = made["output"]
        paths = [f"/files/{file}", f"/files/{file}/content", f"/responses/{made['id']}"]
        with httpx.Client(base_url=served.url, headers=bearer(OTHER)) as other:
            assert [other.get(path).status_code for path in paths] == [404] * 3
            assert other.delete(paths[0]).status_code == 404
            assert other.delete(paths[2]).status_code == 404
            assert other.post(f"{paths[2]}/cancel").status_code == 404
            assert other.get("/files").json()["data"] == []
            for more in (
                {"previous_response_id": made["id"]},
                {"input": [{"type": "image_generation_call", "id": item["id"]}]},
                {
                    "input": [
                        {"role": "user", "content": [{"type": "input_image", "file_id": file}]}
                    ]
                },
            ):
                assert other.post("/responses", json={**RESPONSE, **more}).status_code in (400, 404)
        with httpx.Client(base_url=served.url, headers=bearer(TOKEN)) as owner:
            assert [owner.get(path).status_code for path in paths] == [200] * 3
            assert [one["id"] for one in owner.get("/files").json()["data"]] == [file]


def test_a_response_in_progress_is_its_owners_alone(gate: Any) -> None:
    with serving(register=gate.plugins, tokens=[TOKEN, OTHER]) as served:
        wanted = {**RESPONSE, "background": True}
        mine, other = bearer(TOKEN), bearer(OTHER)
        id = near.post(f"{served.url}/responses", json=wanted, headers=mine).json()["id"]
        assert gate.holds()
        url = f"{served.url}/responses/{id}"
        assert near.get(url, headers=mine).json()["status"] == "in_progress"
        assert near.get(url, headers=other).status_code == 404
        assert near.post(f"{url}/cancel", headers=other).status_code == 404
        assert near.delete(url, headers=other).status_code == 404
        assert not gate.left.is_set()
        assert near.post(f"{url}/cancel", headers=mine).json()["status"] == "cancelled"
        assert gate.left.is_set()


# --- how long it is kept -------------------------------------------------------------------------


def test_in_a_database_what_was_stored_outlives_the_server(tmp_path: Path) -> None:
    path = tmp_path / "kept.db"
    with serving(register=TOY, database=path) as served:
        file = sent(served.url).json()["id"]
        made = near.post(f"{served.url}/responses", json=RESPONSE).json()
    with serving(register=TOY, database=str(path)) as served:
        assert near.get(f"{served.url}/files/{file}/content").content == picture(7)
        assert near.get(f"{served.url}/responses/{made['id']}").json() == made
        more = {**RESPONSE, "input": "a hat", "previous_response_id": made["id"]}
        assert near.post(f"{served.url}/responses", json=more).json()["output"][0]["result"]


def test_in_memory_it_does_not() -> None:
    with serving(register=TOY) as served:
        made = near.post(f"{served.url}/responses", json=RESPONSE).json()
        assert near.get(f"{served.url}/responses/{made['id']}").status_code == 200
    with serving(register=TOY) as served:
        assert near.get(f"{served.url}/responses/{made['id']}").status_code == 404


def test_it_expires() -> None:
    with serving(register=TOY, limits=Limits(kept=0.05, linked=0.05)) as served:
        file = sent(served.url).json()["id"]
        wanted = {"prompt": "x", "model": "dall-e-3"}
        answer = near.post(f"{served.url}/images/generations", json=wanted).json()
        for url in (f"{served.url}/files/{file}", answer["data"][0]["url"]):
            assert patiently(lambda url=url: near.get(url).status_code == 404)


def test_what_was_in_progress_when_the_server_died_has_failed(gate: Any, tmp_path: Path) -> None:
    with serving(register=gate.plugins, database=tmp_path / "a", limits=Limits(grace=0.05)) as one:
        wanted = {**RESPONSE, "background": True}
        id = near.post(f"{one.url}/responses", json=wanted).json()["id"]
        assert gate.holds()
        for file in tmp_path.iterdir():
            (tmp_path / file.name.replace("a", "b", 1)).write_bytes(file.read_bytes())
    for name in "ab":
        with serving(register=gate.plugins, database=tmp_path / name) as served:
            found = near.get(f"{served.url}/responses/{id}").json()
        assert (found["status"], found["error"]["code"]) == ("failed", "server_error")


# --- the end -------------------------------------------------------------------------------------


def test_what_goes_on_is_finished_and_nothing_new_is_begun(gate: Any) -> None:
    with serving(register=gate.plugins) as served, httpx.Client(base_url=served.url) as client:
        got: list[httpx.Response] = []
        wanted = {"prompt": "an otter"}
        first = threading.Thread(
            target=lambda: got.append(near.post(f"{served.url}/images/generations", json=wanted))
        )
        first.start()
        assert gate.holds()
        assert near.get(f"{served.origin}/readyz").json() == {"status": "ok", "calls": 1}
        served.app.stop()
        for path, asked in (("/images/generations", wanted), ("/responses", RESPONSE)):
            turned = client.post(path, json=asked)
            assert (turned.status_code, turned.headers["x-should-retry"]) == (503, "true")
            assert int(turned.headers["retry-after"]) >= 1
        ready = near.get(f"{served.origin}/readyz")
        assert (ready.status_code, ready.json()) == (503, {"status": "stopping", "calls": 1})
        assert near.get(f"{served.origin}/healthz").status_code == 200
        served.stop()
        gate.opened.set()
        first.join()
    assert got[0].status_code == 200
    assert len(gate.asked) == 1


def test_a_response_in_the_background_is_finished_too(gate: Any, tmp_path: Path) -> None:
    with serving(register=gate.plugins, database=tmp_path / "kept.db") as served:
        wanted = {**RESPONSE, "background": True}
        id = near.post(f"{served.url}/responses", json=wanted).json()["id"]
        assert gate.holds()
        served.stop()
        threading.Timer(0.2, gate.opened.set).start()
    with serving(register=gate.plugins, database=tmp_path / "kept.db") as served:
        found = near.get(f"{served.url}/responses/{id}").json()
    assert (found["status"], bool(found["output"][0]["result"])) == ("completed", True)


@pytest.mark.parametrize("own", [True, False])
def test_a_client_of_its_own_is_closed_and_one_that_was_given_is_not(
    own: bool, server: Server, aask: Ask
) -> None:
    toys = plugins(toy=Whole(server.does(answers()).url))

    async def main() -> bool:
        given = AsyncClient(provider="toy", plugins=toys, env={})
        app = create_app(provider="toy", plugins=toys, env={}) if own else create_app(given)
        async with app.running():
            body = {"body": b'{"prompt": "x"}', "content_type": "application/json"}
            answer = await aask(app, "POST", "/v1/images/generations", **body)
            assert answer.status == 200
            [made] = app._service.client._transport._ours.values()
            http = made.client(False)
            assert not http.is_closed
        await given.aclose() if own else None
        closed = http.is_closed
        await http.aclose()
        return closed

    assert asyncio.run(main()) is own


# --- how it is made ------------------------------------------------------------------------------


def test_a_client_that_is_given_has_its_own_settings() -> None:
    with pytest.raises(imagekit.ConfigurationError, match="has its own api_key, base_url"):
        create_app(client_of(), base_url="https://x.test", api_key="k")


def test_without_a_client_one_is_made_for_the_provider(ask: Ask) -> None:
    app = create_app(provider="sketch:sketch-1", models={"a": "sketch"})
    data = json.loads(ask(app, "GET", "/v1/models").body)["data"]
    assert [(one["id"], one["owned_by"]) for one in data] == [
        ("a", "sketch"),
        ("sketch-1", "sketch"),
    ]


def test_what_is_wrong_is_told_when_it_is_made(tmp_path: Path) -> None:
    wrong: list[dict[str, Any]] = [
        {"provider": "nobody"},
        {"provider": "sketch", "tokens": ["short"]},
        {"provider": "sketch", "tokens": TOKEN},
        {"provider": "sketch", "models": {"a": "nobody"}},
        {"provider": "openai-images", "env": {}},
        {"provider": "sketch", "database": tmp_path / "no" / "folder"},
        {"env": {}},
    ]
    for settings in wrong:
        with pytest.raises(imagekit.ConfigurationError):
            create_app(**settings)


@pytest.mark.parametrize("missing", ["starlette", "uvicorn", "python_multipart"])
def test_without_the_extra_the_door_says_what_to_install(missing: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None\nimport imagekit.server"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    last = done.stderr.splitlines()[-1]
    assert last.endswith(
        "ConfigurationError: the server is an extra; pip install 'imagekit[server]'"
    )
    assert "ModuleNotFoundError" not in done.stderr


def test_the_door_looks_before_it_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = find_spec("imagekit.server")
    assert spec is not None
    assert spec.loader is not None
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(imagekit.ConfigurationError, match="the server is an extra"):
        spec.loader.exec_module(module_from_spec(spec))


def test_importing_the_package_does_not_import_the_server() -> None:
    code = "import sys, imagekit\nprint({'starlette', 'uvicorn', 'sqlite3'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "set()\n"


# --- what an answer and the log say beside the picture -------------------------------------------


LOST = imagekit.ImageFailure(kind="failed", reason="see /home/me/key.txt")


def half(request: Any) -> Any:
    """One of two pictures, and much to say."""
    for place in range(30):
        detail = "a long story, \u00e4nd more " * 10
        yield from notice(imagekit.Notice(kind="other", feature=f"f{place}", detail=detail))
    return imagekit.ImageResponse(slots=(imagekit.Image(data=picture()), LOST), model="half-1")


def test_notices_travel_in_a_header_as_many_as_fit(ask: Ask) -> None:
    client = AsyncClient(provider="toy", env={})
    client.plugins.register(Plugged(Scripted(half)), "toy")
    body = {"body": b'{"prompt": "x", "n": 2}', "content_type": "application/json"}
    answer = ask(create_app(client), "POST", "/v1/images/generations", **body)
    text = answer.headers["x-imagekit-notices"]
    assert text.isascii()
    assert 3000 < len(text) <= 4000
    assert [one["feature"] for one in json.loads(text)][:2] == ["f0", "f1"]


def test_what_failed_is_counted_in_the_log_and_told_without_paths(ask: Ask, log: Any) -> None:
    def fails(request: Any) -> Any:
        yield from sleep(0)
        slots = (imagekit.Image(data=picture()), LOST)
        return imagekit.ImageResponse(slots=slots, model="half-1")

    client = AsyncClient(provider="toy", env={})
    client.plugins.register(Plugged(Scripted(fails)), "toy")
    body = {"body": b'{"prompt": "x", "n": 2}', "content_type": "application/json"}
    answer = ask(create_app(client), "POST", "/v1/images/generations", **body)
    line = log.one(path="/v1/images/generations")
    assert (line["images"], line["failed"]) == (1, 1)
    assert "incomplete" in answer.headers["x-imagekit-notices"]
    assert "/home" not in answer.headers["x-imagekit-notices"]


# --- in somebody's own application ---------------------------------------------------------------


@contextmanager
def hosted(pictures: App, **settings: Any) -> Iterator[str]:
    """An application with *pictures* below a prefix, and the address of that."""

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        async with pictures.running():
            yield

    app = Starlette(routes=[Mount("/pictures", pictures)], lifespan=lifespan, **settings)
    listening = bound("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        assert patiently(lambda: server.started)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/pictures"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def test_it_works_below_a_prefix_and_so_do_its_links(log: Any) -> None:
    with hosted(create_app(client_of(), tokens=[TOKEN])) as root:
        wanted = {"prompt": "an otter", "model": "dall-e-3", "response_format": "url"}
        url = f"{root}/v1/images/generations"
        assert near.post(url, json=wanted).status_code == 401
        answer = near.post(url, json=wanted, headers=bearer(TOKEN))
        link = answer.json()["data"][0]["url"]
        assert link.startswith(f"{root}/v1/images/results/")
        got = near.get(link)
        assert (got.content, got.headers["content-type"]) == (picture(8), "image/png")
        assert near.get(f"{root}/healthz").status_code == 200
        missing = near.get(f"{root}/v1/nowhere", headers=bearer(TOKEN))
        assert missing.json()["error"]["message"] == "Invalid URL (GET /v1/nowhere)"
    assert {line["path"] for line in log.lines} >= {"/v1/images/generations", "/healthz"}


def test_its_errors_are_its_own_whatever_the_application_makes_of_errors() -> None:
    async def theirs(request: Request, error: Exception) -> PlainTextResponse:
        return PlainTextResponse("not ours", status_code=418)

    handlers: dict[Any, Any] = {400: theirs, 404: theirs, Exception: theirs}
    handlers |= {imagekit.ImagekitError: theirs, ValueError: theirs}
    pictures = create_app(client_of("other"), models={"*": "other"})
    with hosted(pictures, exception_handlers=handlers) as root:
        edits, kind = f"{root}/v1/images/edits", {"content-type": "multipart/form-data"}
        broken = near.post(edits, content=b"no form at all", headers=kind)
        nowhere = near.get(f"{root}/v1/nowhere")
        above = near.get(root.removesuffix("/pictures") + "/else")
    assert (broken.status_code, broken.json()["error"]["type"]) == (400, "invalid_request_error")
    assert nowhere.json()["error"]["type"] == "invalid_request_error"
    assert above.status_code == 418


def test_the_application_around_it_stays_what_a_request_is_of(ask: Ask) -> None:
    pictures, seen = create_app(client_of()), []

    async def around(scope: Any, receive: Any, send: Any) -> None:
        scope["app"] = "theirs"
        await pictures(scope, receive, send)
        seen.append(scope["app"])

    assert ask(around, "GET", "/healthz").status == 200
    assert seen == ["theirs"]


def test_what_is_made_is_finished_when_the_application_around_it_ends(gate: Any) -> None:
    pictures = create_app(gate.client)
    with hosted(pictures) as root:
        wanted = {**RESPONSE, "background": True}
        assert near.post(f"{root}/v1/responses", json=wanted).status_code == 200
        assert gate.holds()
        threading.Timer(0.2, gate.opened.set).start()
    assert not gate.left.is_set()
    assert len(pictures._service.runs) == 0


def test_a_websocket_is_turned_away() -> None:
    async def main() -> list[str]:
        told: list[str] = []

        async def receive() -> Any:
            return {"type": "websocket.connect"}

        async def send(message: Any) -> None:
            told.append(message["type"])

        scope = {"type": "websocket", "path": "/v1/responses", "headers": [], "query_string": b""}
        await create_app(client_of(), tokens=[TOKEN])(scope, receive, send)
        return told

    assert asyncio.run(main()) == ["websocket.close"]
