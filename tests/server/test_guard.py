"""What every request passes: who asks, how much, how slowly; and what the log says of it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from imagekit import AsyncClient, Image, ImageResponse
from imagekit.provider import call
from imagekit.server import App, Limits, create_app
from imagekit.server._guard import _Answer
from imagekit.server._log import Record
from serving import serving
from spoken import httpx, near
from toys import Inside, Plugged, Scripted, picture

TOKEN, OTHER = "first-token-0123", "other-token-4567"
MINE = {"authorization": f"Bearer {TOKEN}"}
PAGE = "https://app.example"
GENERATE = "/v1/images/generations"
Ask = Callable[..., Any]


def app_of(provider: object = None, **settings: Any) -> App:
    client = AsyncClient(provider="toy", env={})
    client.plugins.register(Plugged(provider or Inside()), "toy")
    return create_app(client, **settings)


def asked(**fields: Any) -> dict[str, Any]:
    body = json.dumps({"prompt": "a secret otter", **fields}).encode()
    return {"body": body, "content_type": "application/json", "content_length": str(len(body))}


# --- who asks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [None, "Bearer wrong-token-999", f"Basic {TOKEN}", "Bearer"])
def test_whoever_has_no_token_is_turned_away(given: str | None, ask: Ask, log: Any) -> None:
    headers = {} if given is None else {"authorization": given}
    answer = ask(app_of(tokens=[TOKEN]), "POST", GENERATE, **asked(), **headers)
    assert (answer.status, answer.error["code"]) == (401, "invalid_api_key")
    assert answer.headers["www-authenticate"] == "Bearer"
    line = log.one(status=401, error="invalid_api_key")
    assert "owner" not in line
    assert line["received"] == 0


def test_a_body_of_two_lengths_is_nobodys(ask: Ask) -> None:
    how = {"transfer_encoding": "chunked"}
    answer = ask(app_of(), "POST", GENERATE, **asked(), **how)
    assert answer.status == 400
    assert "transfer-encoding" in answer.error["message"].lower()


@pytest.mark.parametrize("token", [TOKEN, OTHER])
def test_each_of_several_tokens_lets_in(token: str, ask: Ask) -> None:
    app = app_of(tokens=[TOKEN, OTHER])
    answer = ask(app, "POST", GENERATE, **asked(), authorization=f"Bearer {token}")
    assert answer.status == 200


def test_without_tokens_everybody_is_let_in(ask: Ask) -> None:
    assert ask(app_of(), "POST", GENERATE, **asked()).status == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_is_anybodys_to_ask(path: str, ask: Ask) -> None:
    assert ask(app_of(tokens=[TOKEN]), "GET", path).status == 200


@pytest.mark.parametrize(
    "path",
    ["/healthz/", "/readyz/x", "/v1/images/results/a/b", "/v1/images/results/", "/v1/models"],
)
def test_nothing_beside_it_is(path: str, ask: Ask) -> None:
    assert ask(app_of(tokens=[TOKEN]), "GET", path).status == 401


def test_options_opens_nothing(ask: Ask) -> None:
    answer = ask(app_of(tokens=[TOKEN]), "OPTIONS", GENERATE)
    assert (answer.status, answer.error["code"]) == (405, "method_not_supported")


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", ""])
def test_a_foreign_host_name_is_refused_even_for_health(host: str, ask: Ask) -> None:
    app = app_of(hosts=["LocalHost"])
    for path in ("/v1/models", "/healthz"):
        assert ask(app, "GET", path, host=host).status == 421
        assert ask(app, "GET", path, host="localhost:8000").status == 200


def test_a_web_page_is_refused(ask: Ask) -> None:
    answer = ask(app_of(), "POST", GENERATE, **asked(), origin=PAGE)
    assert (answer.status, answer.error["code"]) == (403, "origin")
    assert "access-control-allow-origin" not in answer.headers
    other = ask(app_of(origins=[PAGE]), "POST", GENERATE, **asked(), origin="https://evil.example")
    assert other.status == 403
    assert "access-control-allow-origin" not in other.headers


def test_a_page_of_an_allowed_origin_asks_first_and_then_may(ask: Ask) -> None:
    app = app_of(origins=[PAGE], tokens=[TOKEN])
    wanted = {
        "access_control_request_method": "POST",
        "access_control_request_headers": "authorization, content-type, x-stainless-os",
    }
    before = ask(app, "OPTIONS", GENERATE, origin=PAGE, **wanted)
    assert before.status == 200
    assert before.headers["access-control-allow-origin"] == PAGE
    assert "authorization" in before.headers["access-control-allow-headers"]
    assert "POST" in before.headers["access-control-allow-methods"]
    answer = ask(app, "POST", GENERATE, **asked(), origin=PAGE, **MINE)
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert answer.headers["access-control-expose-headers"] == "*"


@pytest.mark.parametrize(
    ("headers", "fields", "status"), [({}, {}, 401), (MINE, {"n": "x"}, 400), (MINE, {}, 413)]
)
def test_a_page_can_read_its_errors_too(
    headers: dict[str, str], fields: dict[str, Any], status: int, ask: Ask
) -> None:
    limits = Limits(body=10) if status == 413 else None
    app = app_of(origins=[PAGE], tokens=[TOKEN], limits=limits)
    answer = ask(app, "POST", GENERATE, **asked(**fields), origin=PAGE, **headers)
    assert answer.status == status
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert answer.headers["vary"] == "Origin"


# --- how much, and how slowly --------------------------------------------------------------------


async def never() -> Any:
    await asyncio.Event().wait()


async def unread() -> Any:
    raise AssertionError("nobody is to read this")


def test_a_body_that_says_it_is_too_large_is_not_read(ask: Ask) -> None:
    app = app_of(limits=Limits(body=100))
    answer = ask(app, "POST", GENERATE, receive=unread, content_length="101")
    assert (answer.status, answer.error["code"]) == (413, "request_too_large")
    assert ask(app, "POST", GENERATE, receive=unread, content_length="9" * 400).status == 413


def test_a_body_of_the_largest_size_is_read(ask: Ask) -> None:
    given = asked()
    size = len(given["body"])
    assert ask(app_of(limits=Limits(body=size)), "POST", GENERATE, **given).status == 200
    assert ask(app_of(limits=Limits(body=size - 1)), "POST", GENERATE, **given).status == 413


@pytest.mark.parametrize("length", [None, "10", "none"])
def test_a_body_that_turns_out_too_large_is_read_no_further(length: str | None, ask: Ask) -> None:
    pieces = 0

    async def endless() -> Any:
        nonlocal pieces
        pieces += 1
        return {"type": "http.request", "body": b"x" * 40, "more_body": pieces < 50}

    said = {} if length is None else {"content_length": length}
    given = {"receive": endless, "content_type": "application/json", **said}
    answer = ask(app_of(limits=Limits(body=100)), "POST", GENERATE, **given)
    assert (answer.status, pieces) == (413, 3)


def test_a_body_that_does_not_arrive_is_not_waited_for(ask: Ask) -> None:
    app = app_of(limits=Limits(upload=0.02))
    answer = ask(app, "POST", GENERATE, receive=never, content_type="application/json")
    assert (answer.status, answer.error["code"]) == (408, "request_timeout")
    assert answer.headers["x-should-retry"] == "false"


def test_a_body_that_trickles_has_as_long_as_one_that_does_not(ask: Ask) -> None:
    pieces = iter([True] * 30)

    async def trickle() -> Any:
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b" ", "more_body": next(pieces, False)}

    app = app_of(limits=Limits(upload=0.15))
    given = {"receive": trickle, "content_type": "application/json"}
    assert ask(app, "POST", GENERATE, **given).status == 408


def test_whoever_leaves_while_sending_is_not_answered(ask: Ask, log: Any) -> None:
    async def leaves() -> Any:
        return {"type": "http.disconnect"}

    given = {"receive": leaves, "content_type": "application/json"}
    assert ask(app_of(), "POST", GENERATE, **given).status is None
    assert log.one(path=GENERATE)["left"] is True


def test_whoever_does_not_take_an_answer_is_not_waited_for(ask: Ask, log: Any) -> None:
    async def stuck(message: Any) -> None:
        await asyncio.Event().wait()

    app = app_of(limits=Limits(send=0.02))
    ask(app, "POST", GENERATE, **asked(), send=stuck)
    assert log.one(path=GENERATE)["left"] is True
    ask(app, "POST", "/v1/nowhere", send=stuck)
    assert log.one(path="/v1/nowhere")["left"] is True


@pytest.mark.parametrize("stream", [False, True])
def test_a_connection_that_breaks_is_no_failure_of_ours(stream: bool, ask: Ask, log: Any) -> None:
    async def breaks(message: Any) -> None:
        if message["type"] == "http.response.body":
            raise BrokenPipeError

    ask(app_of(), "POST", GENERATE, **asked(stream=stream), send=breaks)
    line = log.one(path=GENERATE)
    assert (line["status"], line["left"]) == (200, True)
    assert "Traceback" not in log.text


def test_a_reader_that_is_too_slow_ends_the_work_for_it(gate: Any, aask: Ask, log: Any) -> None:
    async def stuck(message: Any) -> None:
        if message.get("body"):
            await asyncio.Event().wait()

    async def main() -> None:
        app = create_app(gate.client, limits=Limits(send=0.02))
        given = asked(stream=True, partial_images=1)
        await aask(app, "POST", GENERATE, **given, send=stuck)
        await app.finish()

    asyncio.run(main())
    assert log.one(path=GENERATE)["left"] is True
    assert gate.left.is_set()


@pytest.mark.parametrize("size", [0, 1, 256 * 1024, 256 * 1024 + 1, 600_000, 1024 * 1024])
def test_a_large_answer_goes_out_in_pieces_and_whole(size: int) -> None:
    body, told = bytes(range(256)) * (size // 256) + b"x" * (size % 256), []

    async def send(message: Any) -> None:
        told.append(message)

    async def main() -> None:
        answer = _Answer(Record("GET", "/"), send, 5, {})
        await answer.send({"type": "http.response.body", "body": body, "more_body": False})

    asyncio.run(main())
    assert b"".join(message["body"] for message in told) == body
    assert max(len(message["body"]) for message in told) <= 256 * 1024
    assert [message["more_body"] for message in told] == [True] * (len(told) - 1) + [False]


def test_whoever_reads_nothing_of_a_large_answer_is_not_waited_for(log: Any) -> None:
    def large(request: Any) -> Any:
        data = yield from call(lambda: picture() + bytes(12_000_000))
        return ImageResponse(slots=(Image(data=data),), model="large-1")

    limits = Limits(send=0.1)
    with serving(register={"toy": Plugged(Scripted(large))}, limits=limits) as served:
        reader = socket.create_connection(("127.0.0.1", served.port))
        with reader:
            given = asked()
            head = f"POST {GENERATE} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            length = f"content-length: {given['content_length']}\r\n\r\n"
            reader.sendall((head + length).encode() + given["body"])
            line = log.one(path=GENERATE)
    assert line["left"] is True
    assert line["sent"] < 12_000_000


def test_more_connections_than_may_be_are_turned_away(gate: Any, aask: Ask) -> None:
    async def main() -> tuple[Any, Any, Any]:
        app = create_app(gate.client, limits=Limits(connections=1))
        first = asyncio.create_task(aask(app, "POST", GENERATE, **asked()))
        while not gate.asked:
            await asyncio.sleep(0.001)
        health, second = await aask(app, "GET", "/healthz"), await aask(app, "GET", "/v1/models")
        gate.opened.set()
        assert (await first).status == 200
        return health, second, await aask(app, "GET", "/v1/models")

    health, second, third = asyncio.run(main())
    assert (health.status, second.status, third.status) == (200, 429, 200)
    assert second.error["code"] == "rate_limit_exceeded"
    assert int(second.headers["retry-after"]) >= 1
    assert second.headers["x-should-retry"] == "true"


# --- errors --------------------------------------------------------------------------------------


def test_an_address_that_there_is_not_has_an_envelope(ask: Ask) -> None:
    answer = ask(app_of(), "GET", "/v2/images")
    assert (answer.status, answer.error["message"]) == (404, "Invalid URL (GET /v2/images)")
    assert ask(app_of(), "GET", GENERATE).error["code"] == "method_not_supported"


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        (GENERATE, "POST"),
        ("/healthz", "GET, HEAD"),
        ("/v1/files", "GET, HEAD, POST"),
        ("/v1/files/file-1", "DELETE, GET, HEAD"),
        ("/v1/models/a/b", "GET, HEAD"),
    ],
)
@pytest.mark.parametrize("root", ["", "/pictures"])
def test_a_method_that_there_is_not_says_which_there_are(
    path: str, allowed: str, root: str
) -> None:
    app = Starlette(routes=[Mount(root, app_of())])
    with TestClient(app) as client:
        answer = client.put(root + path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


def test_what_fails_here_is_told_in_the_log_and_not_to_the_client(
    ask: Ask, log: Any, tmp_path: Path
) -> None:
    app = app_of(database=tmp_path / "kept.db")
    asyncio.run(app.aclose())
    answer = ask(app, "GET", "/v1/files")
    assert (answer.status, answer.error["code"]) == (500, "server_error")
    assert "database" not in answer.body.decode()
    assert answer.headers["x-should-retry"] == "false"
    assert f"{answer.headers['x-request-id']} failed" in log.text
    assert "Cannot operate on a closed database" in log.text


def test_what_fails_after_an_answer_has_begun_is_in_the_log_only(ask: Ask, log: Any) -> None:
    async def odd(message: Any) -> None:
        if message["type"] == "http.response.body":
            raise ValueError("an odd server")

    answer = ask(app_of(), "GET", "/v1/models", send=odd)
    assert answer.status == 200
    assert "an odd server" in log.text
    assert log.one(path="/v1/models")["error"] == "server_error"


def test_a_call_that_is_ended_at_shutdown_is_answered_and_not_tried_again(
    gate: Any, aask: Ask, log: Any
) -> None:
    async def main() -> Any:
        app = create_app(gate.client, limits=Limits(grace=0.02))
        waiting = asyncio.create_task(aask(app, "POST", GENERATE, **asked()))
        while not gate.asked:
            await asyncio.sleep(0.001)
        await app.finish()
        return await waiting

    answer = asyncio.run(main())
    assert answer.status == 503
    assert "may have been charged" in answer.error["message"]
    assert answer.headers["x-should-retry"] == "false"
    assert gate.left.is_set()
    assert "calls were ended before they were done" in log.text
    assert '"calls": 1}' in log.text


def test_each_answer_has_an_id_that_the_log_knows(ask: Ask, log: Any) -> None:
    for path, status in (("/healthz", 200), ("/nowhere", 404)):
        answer = ask(app_of(), "GET", path)
        line = log.one(path=path)
        assert (line["id"], line["status"]) == (answer.headers["x-request-id"], status)
        assert int(answer.headers["openai-processing-ms"]) >= 0
        assert line["sent"] == len(answer.body)


# --- the log -------------------------------------------------------------------------------------


def test_the_log_tells_of_a_call_but_not_what_was_in_it(ask: Ask, log: Any) -> None:
    given = asked(model="toy-9", user="somebody@example.com")
    ask(app_of(tokens=[TOKEN]), "POST", GENERATE, **given, **MINE)
    line = log.one(path=GENERATE)
    known = {"status": 200, "provider": "toy", "model": "toy-9", "operation": "generate"}
    assert known.items() <= line.items()
    assert (line["images"], line["received"]) == (1, len(given["body"]))
    assert line["owner"]
    for secret in ("otter", TOKEN, "somebody@example.com"):
        assert secret not in log.text


@pytest.mark.parametrize("stream", [False, True])
def test_prompts_are_logged_where_that_is_asked_for(stream: bool, ask: Ask, log: Any) -> None:
    ask(app_of(log_prompts=True), "POST", GENERATE, **asked(stream=stream))
    assert log.one(path=GENERATE)["prompt"] == "a secret otter"


def test_a_prompt_that_fails_is_not_logged_either(ask: Ask, log: Any) -> None:
    def fails(request: Any) -> Any:
        raise ValueError("the toy is broken")
        yield

    for fields in ({}, {"n": "otter"}, {"otter": 1}):
        ask(app_of(Scripted(fails)), "POST", GENERATE, **asked(**fields))
    assert "the toy is broken" in log.text
    assert "otter" not in log.text


def test_a_link_to_a_picture_is_not_in_the_log(ask: Ask, log: Any) -> None:
    app = app_of()
    answer = ask(app, "POST", GENERATE, **asked(model="dall-e-3"))
    name = json.loads(answer.body)["data"][0]["url"].rpartition("/")[2]
    assert ask(app, "GET", f"/v1/images/results/{name}").body == picture(len("a secret otter"))
    assert log.one(path="/v1/images/results/…")["status"] == 200
    assert name not in log.text


def test_a_line_is_one_line_whatever_a_path_holds(ask: Ask, log: Any) -> None:
    ask(app_of(), "GET", '/v1/models/a\n{"status": 200}\x1b[2J')
    [message] = [line for line in log.text.splitlines() if "/v1/models" in line]
    assert "\x1b" not in message


# --- over a real connection ----------------------------------------------------------------------


def test_a_form_that_is_too_large_is_refused_while_it_arrives(log: Any) -> None:
    def pieces() -> Any:
        yield b'--x\r\ncontent-disposition: form-data; name="image"; filename="a"\r\n\r\n'
        for _ in range(50):
            yield b"x" * 65536

    headers = {"content-type": "multipart/form-data; boundary=x"}
    with serving(register={"toy": Plugged(Inside())}, limits=Limits(body=200_000)) as served:
        try:
            answer = near.post(f"{served.url}/images/edits", content=pieces(), headers=headers)
        except httpx.TransportError:  # it was hung up on before it was done with sending
            pass
        else:
            assert answer.status_code == 413
    assert log.one(path="/v1/images/edits")["status"] == 413
