"""Each example is run: typed at, browsed, and its cells executed."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import logging
import os
import re
import shlex
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
import pytest
import uvicorn
from fastapi.testclient import TestClient
from nbclient import NotebookClient
from stevedore import ExtensionManager
from traitlets.config import Config

import imagekit
from imagekit._installed import names
from serving import asked_and_left
from spoken import httpx
from toys import patiently, refused, reserved

EXAMPLES = Path(__file__).parents[1] / "examples"
PNG = b"\x89PNG\r\n\x1a\n"

# A provider whose mood is in the prompt.
FICKLE = textwrap.dedent("""\
    import imagekit
    from imagekit.provider import Capabilities, emit, hookimpl, sleep

    SEEN, CLOSED = [], []
    PNG = __import__("base64").b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
    )
    MOODS = {
        "refused": imagekit.ContentRejectedError("not that", stage="input", billed="no"),
        "rude": imagekit.ContentRejectedError("not shown", stage="output", billed="yes"),
        "wrong": imagekit.InvalidRequestError("too odd"),
        "hasty": imagekit.RateLimitError("slow down", retry_after=6.5),
        "poor": imagekit.QuotaExceededError("the account sk-1 is empty"),
        "key": imagekit.AuthenticationError("the key sk-1 is unknown"),
        "ill": imagekit.ProviderUnavailableError("overloaded", retry_after=9, billed="no"),
        "away": imagekit.ConnectionFailedError("nobody at 10.0.0.7", billed="no"),
        "late": imagekit.DeadlineExceededError("300 s are over"),
        "cut": imagekit.TruncatedStreamError("cut off", billed="possibly"),
    }

    class Fickle:
        endpoint = None
        models = ("fickle-1",)

        def capabilities(self, model):
            operations = frozenset({"generate", "edit"})
            return Capabilities(operations=operations, streaming=True, max_images=4)

        def flow(self, request, *, stream):
            SEEN.append(request)
            mood, _, when = request.prompt.partition(" ")
            image = imagekit.Image(data=PNG)
            try:
                if when != "at once" and stream:
                    yield from emit(imagekit.PartialImage(image=image))
                if mood in MOODS:
                    raise MOODS[mood]
                if mood == "slow":
                    yield from sleep(60)
                yield from emit(imagekit.ImageReady(image=image))
                return imagekit.ImageResponse(slots=(image,), model="fickle-1")
            finally:
                CLOSED.append(mood)

    @hookimpl
    def imagekit_provider(config):
        return Fickle()
""")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the fickle provider, installed."""
    site = tmp_path_factory.mktemp("site")
    about = site / "fickle_kit-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: fickle-kit\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[imagekit.providers]\nfickle = fickle_kit\n")
    (site / "fickle_kit.py").write_text(FICKLE)
    return site


# --- the console


@pytest.fixture
def console(site: Path, tmp_path: Path) -> Callable[..., list[str]]:
    """Run the loop on some lines, in a folder of its own; what it says."""

    def run(
        *lines: str,
        words: tuple[str, ...] = ("--provider", "sketch"),
        before: Callable[[], None] | None = None,
        **env: str,
    ) -> list[str]:
        path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
        clean = {name: value for name, value in os.environ.items() if "OPENAI" not in name}
        done = subprocess.run(
            [sys.executable, EXAMPLES / "console.py", *words],
            input="".join(f"{line}\n" for line in lines),
            capture_output=True,
            cwd=tmp_path,
            encoding="utf-8",
            env={**clean, "PYTHONPATH": path, "PYTHONUTF8": "1", **env},
            timeout=60,
            preexec_fn=before,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()

    return run


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_console_makes_a_picture_of_each_line(console: Any, tmp_path: Path) -> None:
    (tmp_path / "picture-1.png").write_bytes(b"mine")
    said = console(":size 64x48", "a red bicycle", ":size 2:1", "a boat", ":quit", "a cat")
    small, wide = ((tmp_path / f"picture-{number}.png").stat().st_size for number in (2, 3))
    assert said == [
        "preview 1 …",
        "preview 2 …",
        f"picture-2.png: <Image image/png 64x48, {small} bytes>",
        "preview 1 …",
        "preview 2 …",
        f"picture-3.png: <Image image/png 1024x512, {wide} bytes>",
    ]
    assert (tmp_path / "picture-1.png").read_bytes() == b"mine"
    assert files(tmp_path) == ["picture-1.png", "picture-2.png", "picture-3.png"]


def test_the_console_goes_on_with_the_last_picture(console: Any, tmp_path: Path) -> None:
    said = console("edit: add a hat", ":size 64x64", "a cat", "edit: add a hat")
    assert said[0] == "there is no picture to edit yet"
    cat, hat = ((tmp_path / f"picture-{number}.png").read_bytes() for number in (1, 2))
    again = imagekit.edit("add a hat", images=[cat], size="64x64", provider="sketch").image
    assert hat == again.data
    assert hat != cat


def test_the_console_says_what_went_wrong_and_goes_on(console: Any, tmp_path: Path) -> None:
    said = console(
        "refused at once", "rude at once", "cut at once", "hasty at once",
        ":provider openai-images", "a boat", ":provider nobody", "a boat",
        ":provider fickle", ":size huge", "a boat", ":size", "a boat",
        words=(), IMAGEKIT_PROVIDER="fickle",
    )  # fmt: skip
    assert said == [
        "refused: not that",
        "refused: not shown (may be charged)",
        "no picture: cut off (may be charged)",
        "no picture: slow down",
        "not set up: openai-images: no API key: set OPENAI_API_KEY, or pass api_key=",
        f"not set up: no provider 'nobody'; there are: {', '.join(sorted(['fickle', *names()]))}",
        "no picture: size: a size is pixels ('1536x864'), an aspect ratio ('16:9'), "
        "one with a tier ('16:9@2K') or 'auto', not 'huge'",
        "preview 1 …",
        "picture-1.png: <Image image/png 1x1, 69 bytes>",
    ]


def test_the_console_says_that_nobody_answers(console: Any) -> None:
    keyed = {"OPENAI_API_KEY": "sk-none", "OPENAI_BASE_URL": f"{refused()}/v1"}
    [said] = console("a boat", words=("--provider", "openai-images"), **keyed)
    assert said.startswith("no answer: ")
    assert "sk-none" not in said


def test_the_console_explains_itself(console: Any) -> None:
    said = console(":help", "", words=(), IMAGEKIT_PROVIDER="sketch")
    assert sum(line.startswith(":provider NAME") for line in said) == 2
    assert any(line.startswith(":provider NAME") for line in console(words=("--help",)))


@pytest.mark.skipif(os.name == "nt", reason="no such limit there")
def test_the_console_goes_on_when_a_picture_cannot_be_saved(console: Any, tmp_path: Path) -> None:
    import resource

    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    # Half of a compiled module would be left behind for all who import it later.
    compiled = {"PYTHONDONTWRITEBYTECODE": "1"}
    said = console("a boat", ":provider fickle", "edit: add a hat", before=small, **compiled)
    assert said[2].startswith("not saved: ")
    assert said[-1] == "picture-1.png: <Image image/png 1x1, 69 bytes>"
    assert files(tmp_path) == ["picture-1.png"]


@pytest.mark.skipif(os.name == "nt", reason="a viewer of our own is a shell's affair")
def test_the_console_opens_a_picture_only_when_asked(console: Any, tmp_path: Path) -> None:
    seen, script = tmp_path / "seen", tmp_path / "viewer"
    script.write_text(f'#!/bin/sh\nprintf %s "$1" > {shlex.quote(str(seen))}\n')
    script.chmod(0o755)
    viewer = f"{script} %s"
    console(":size 64x64", "a boat", BROWSER=viewer)
    assert not seen.exists()
    console(":size 64x64", "a boat", words=("--provider", "sketch", "--open"), BROWSER=viewer)
    assert seen.read_text() == (tmp_path / "picture-2.png").as_uri()


# --- the web app


@pytest.fixture
def app(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The web app's module, made anew, with the fickle provider."""
    monkeypatch.setattr(ExtensionManager, "ENTRY_POINT_CACHE", {})  # it looks once in a process
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("IMAGEKIT_PROVIDER", "fickle")
    found = importlib.util.spec_from_file_location("example_app", EXAMPLES / "web" / "app.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    monkeypatch.setitem(sys.modules, "example_app", module)
    found.loader.exec_module(module)
    yield module
    sys.modules.pop("fickle_kit", None)


@pytest.fixture
def web(app: ModuleType) -> Iterator[TestClient]:
    with TestClient(app.app) as client:
        yield client


@pytest.fixture
def sketched(app: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setenv("IMAGEKIT_PROVIDER", "sketch")
    with TestClient(app.app) as client:
        yield client


@pytest.fixture
def log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> Iterator[pytest.LogCaptureFixture]:
    """What the server logs, whatever another one has made of its loggers."""
    logger = logging.getLogger("uvicorn.error")
    monkeypatch.setattr(logger, "propagate", False)
    caplog.set_level(logging.INFO, logger=logger.name)
    logger.addHandler(caplog.handler)
    yield caplog
    logger.removeHandler(caplog.handler)


def told(text: str) -> list[tuple[str, Any]]:
    """The server-sent events of a body."""
    blocks = re.findall(r"event: (.*)\ndata: (.*)\n\n", text)
    return [(kind, json.loads(data)) for kind, data in blocks]


def fickle() -> Any:
    return sys.modules["fickle_kit"]


def bytes_of(url: str) -> bytes:
    head, _, data = url.partition(",")
    assert head == "data:image/png;base64"
    return base64.b64decode(data)


def test_the_page_is_whole_and_leads_nowhere_else(sketched: TestClient) -> None:
    class Page(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.ids: list[str] = []
            self.labels: list[str] = []
            self.fields: list[str] = []

        def handle_starttag(self, tag: str, given: list[tuple[str, str | None]]) -> None:
            said = {name: value or "" for name, value in given}
            self.ids += [said["id"]] if "id" in said else []
            self.labels += [said["for"]] if "for" in said else []
            self.fields += [said["id"]] if tag in ("input", "select") else []
            assert not any(value.startswith(("http", "//")) for value in said.values())

    response = sketched.get("/")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    digest = hashlib.sha256(re.search(r"<script.*?>(.*)</script>", response.text, re.S)[1].encode())  # type: ignore[index]
    allowed = base64.b64encode(digest.digest()).decode()
    assert f"script-src 'sha256-{allowed}';" in response.headers["content-security-policy"]
    page = Page()
    page.feed(response.text)
    assert page.labels == page.fields  # each field has a name
    assert {"picture", "status", "problem", "stop", "make", "change"} <= set(page.ids)


def test_a_picture_as_json_and_as_bytes_is_the_same(sketched: TestClient) -> None:
    asked = {"prompt": "a red bicycle", "size": "3:2"}
    made = sketched.get("/image", params=asked).json()
    content = sketched.get("/image-content", params=asked)
    assert content.headers["content-type"] == "image/png"
    assert content.headers["cache-control"] == "no-store"
    assert "sandbox" in content.headers["content-security-policy"]  # it may be an SVG
    assert content.headers["x-content-type-options"] == "nosniff"
    assert content.content.startswith(PNG)
    assert bytes_of(made.pop("url")) == content.content
    assert made.pop("seconds") > 0
    assert made == {
        "media_type": "image/png",
        "width": 1024,
        "height": 683,
        "model": "sketch-1",
        "notices": ["adjusted: size: sketch makes no 3:2; the nearest is 1024x683"],
    }


def test_previews_come_before_the_picture(sketched: TestClient) -> None:
    with sketched.stream("GET", "/stream", params={"prompt": "a red bicycle"}) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        events = told("".join(response.iter_text()))
    assert [kind for kind, _ in events] == ["preview", "preview", "preview", "picture"]
    assert [data["step"] for _, data in events[:3]] == [0, 1, 2]
    pictures = [bytes_of(data["url"]) for _, data in events]
    assert len(set(pictures)) == 4
    same = sketched.get("/image-content", params={"prompt": "a red bicycle"})
    assert pictures[-1] == same.content


def test_a_picture_is_changed(sketched: TestClient) -> None:
    cat = imagekit.generate("a cat", provider="sketch", size="64x64").image
    hat = imagekit.edit("add a hat", images=[cat], provider="sketch").image
    response = sketched.post("/edit", data={"prompt": "add a hat"}, files={"picture": cat.read()})
    events = told(response.text)
    assert [kind for kind, _ in events] == ["preview", "preview", "preview", "picture"]
    assert bytes_of(events[-1][1]["url"]) == hat.data


def test_what_costs_money_is_not_up_to_the_visitor(
    web: TestClient, app: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"prompt": "a boat", "n": 9, "model": "sketch:sketch-1", "partial_images": 9}
    for path in ("/image", "/image-content", "/stream"):
        assert web.get(path, params=asked).status_code == 200
    web.post("/edit", data=asked, files={"picture": fickle().PNG})
    asked_for = {(request.n, request.model, request.partial_images) for request in fickle().SEEN}
    assert asked_for == {(1, None, 3)}
    assert len(fickle().SEEN) == 4

    monkeypatch.setenv("PICTURE_MODEL", "sketch:sketch-1")
    with TestClient(app.app) as client:
        assert client.get("/image", params={"prompt": "a boat"}).json()["model"] == "sketch-1"


@pytest.mark.parametrize("path", ["/image", "/image-content", "/stream"])
@pytest.mark.parametrize(
    "asked",
    [{}, {"prompt": ""}, {"prompt": "a" * 4001}, {"prompt": "a boat", "size": "9000x9000"}],
    ids=["nothing", "empty", "long", "large"],
)
def test_what_cannot_be_asked_reaches_nobody(web: TestClient, path: str, asked: Any) -> None:
    assert web.get(path, params=asked).status_code == 422
    assert getattr(sys.modules.get("fickle_kit"), "SEEN", []) == []


def test_an_upload_has_its_limit(
    web: TestClient, app: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "LARGEST_UPLOAD", 10)
    asked = {"prompt": "a hat"}
    assert web.post("/edit", data=asked, files={"picture": b"0123456789a"}).status_code == 413
    assert web.post("/edit", data=asked).status_code == 422
    [(kind, data)] = told(web.post("/edit", data=asked, files={"picture": b""}).text)
    assert (kind, data["status"]) == ("problem", 400)
    assert fickle().SEEN == []


def test_another_site_cannot_spend_our_money(web: TestClient) -> None:
    there = {"sec-fetch-site": "cross-site"}
    for path in ("/image", "/image-content", "/stream"):
        answer = web.get(path, params={"prompt": "a boat"}, headers=there)
        assert answer.status_code == 403
    files = {"picture": fickle().PNG}
    assert web.post("/edit", data={"prompt": "a"}, files=files, headers=there).status_code == 403
    assert fickle().SEEN == []
    assert web.get("/", headers=there).status_code == 200
    ours = {"sec-fetch-site": "same-origin"}
    assert web.get("/image", params={"prompt": "a boat"}, headers=ours).status_code == 200


TROUBLES = {
    "refused": (400, "not that", None),
    "rude": (400, "not shown", None),
    "wrong": (400, "too odd", None),
    "hasty": (429, "Too many pictures at once; try again soon.", "7"),
    "poor": (502, "The picture could not be made.", None),
    "key": (502, "The picture could not be made.", None),
    "cut": (502, "The picture could not be made.", None),
    "ill": (503, "Nobody can make pictures just now.", "9"),
    "away": (503, "Nobody can make pictures just now.", None),
    "late": (504, "The picture took too long.", None),
}


@pytest.mark.parametrize("mood", TROUBLES)
def test_an_error_has_its_status_and_its_words(
    web: TestClient, mood: str, log: pytest.LogCaptureFixture
) -> None:
    status, detail, wait = TROUBLES[mood]
    for path in ("/image", "/image-content"):
        answer = web.get(path, params={"prompt": mood})
        assert (answer.status_code, answer.json()) == (status, {"detail": detail})
        assert answer.headers.get("retry-after") == wait
    events = told(web.get("/stream", params={"prompt": mood}).text)
    assert events[0][0] == "preview"
    assert events[1:] == [("problem", {"status": status, "detail": detail})]
    assert str(fickle().MOODS[mood]) in log.text


def test_an_app_that_nobody_set_up_does_not_start(
    app: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("IMAGEKIT_PROVIDER")
    with pytest.raises(imagekit.ConfigurationError, match="IMAGEKIT_PROVIDER"), TestClient(app.app):
        pass


@contextmanager
def served(app: Any) -> Iterator[str]:
    """The app under the real uvicorn, on loopback."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            soon(lambda: server.started)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def soon(true: Callable[[], object]) -> None:
    assert patiently(lambda: bool(true()))


def test_a_browser_that_leaves_ends_the_call(
    app: ModuleType, log: pytest.LogCaptureFixture
) -> None:
    with served(app.app) as url, httpx.Client(base_url=url, trust_env=False, timeout=30) as browser:
        # The preview is here while the picture is being made.
        with browser.stream("GET", "/stream", params={"prompt": "slow"}) as response:
            pieces = response.iter_text()  # kept: without it, the connection is closed
            assert next(pieces).startswith("event: preview\n")
            assert fickle().CLOSED == []
        soon(lambda: fickle().CLOSED == ["slow"])

        changing = {"data": {"prompt": "slow"}, "files": {"picture": fickle().PNG}}
        with browser.stream("POST", "/edit", **changing) as response:
            pieces = response.iter_text()
            assert next(pieces).startswith("event: preview\n")
            assert fickle().CLOSED == ["slow"]
        soon(lambda: fickle().CLOSED == ["slow"] * 2)

        for count, path in enumerate(("/stream", "/image", "/image-content"), 3):
            begun = lambda count=count: len(fickle().SEEN) == count  # noqa: E731
            asked_and_left(f"{url}{path}?prompt=slow+at+once", begun)
            soon(lambda count=count: len(fickle().CLOSED) == count)
        assert browser.get("/image", params={"prompt": "a boat"}).status_code == 200
    assert not [record for record in log.records if record.levelno > logging.INFO]


# --- the notebook


def test_the_notebook_is_stored_clean() -> None:
    book = json.loads((EXAMPLES / "notebook.ipynb").read_text(encoding="utf-8"))
    nbformat.validate(book)
    cells = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] or cell["execution_count"] for cell in cells)
    assert not any(cell["metadata"] for cell in book["cells"])
    assert set(book["metadata"]) == {"kernelspec", "language_info"}


def test_the_notebook_shows_what_it_says(tmp_path: Path) -> None:
    book = nbformat.read(EXAMPLES / "notebook.ipynb", as_version=4)
    where = {"metadata": {"path": str(tmp_path)}}
    # A port that is free when it is chosen may be another's when the kernel has started.
    with tempfile.TemporaryDirectory() as sockets:
        own = Config(KernelManager={"transport": "ipc", "ip": f"{sockets}/k"})
        NotebookClient(book, timeout=60, config=own, resources=where).execute()
    shown = {cell.id: cell.outputs for cell in book.cells if cell.cell_type == "code"}
    for cell in ("one-code", "grid-code", "edit-code", "stream-code"):
        [picture] = [one.data for one in shown[cell] if "image/png" in one.get("data", {})]
        assert base64.b64decode(picture["image/png"]).startswith(PNG)
    assert len(shown["table"][0].text.splitlines()) == 6
    assert "'quality': 'no'" in shown["able-code"][1].data["text/plain"]
    assert shown["notices-code"][0].text.startswith("unsupported: quality: sketch has no quality\n")
    assert files(tmp_path) == []


# --- what the README says of them


def test_each_example_is_told_of() -> None:
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    links = set(re.findall(r"\]\(([^)]+)\)", page))
    assert links == {"console.py", "web/app.py", "notebook.ipynb"}
    assert all((EXAMPLES / link).is_file() for link in links)


@pytest.mark.skipif(os.name == "nt", reason="the commands are for a POSIX shell")
def test_the_commands_are_right(tmp_path: Path) -> None:
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    (tmp_path / "examples").symlink_to(EXAMPLES)
    commands = [line[2:] for line in page.splitlines() if line.startswith("$ ")]
    [piped] = [line for line in commands if line.startswith("printf ")]
    line = piped.replace("python", shlex.quote(sys.executable))
    subprocess.run(line, shell=True, cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    assert files(tmp_path) == ["examples", "picture-1.png", "picture-2.png"]

    [serves] = [line for line in commands if "uvicorn app:app" in line]
    line = serves.replace("uvicorn", f"exec {shlex.quote(sys.executable)} -m uvicorn", 1)
    with reserved() as port:
        server = subprocess.Popen(
            f"{line} --port {port}", shell=True, cwd=tmp_path, stderr=subprocess.PIPE, text=True
        )
        try:
            assert server.stderr is not None
            assert any("Uvicorn running on" in said for said in server.stderr)
            url = f"http://127.0.0.1:{port}/image?prompt=a+boat"
            made = httpx.get(url, trust_env=False, timeout=30)
            assert made.json()["model"] == "sketch-1"
        finally:
            server.terminate()
            server.communicate(timeout=30)
