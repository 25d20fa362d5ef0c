"""Every fence of the README and the docs is run: Python as it stands, commands as typed."""

from __future__ import annotations

import base64
import inspect
import io
import json
import os
import re
import shlex
import subprocess
import sys
import textwrap
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image as Pillow
from sybil import Region
from sybil.document import Document
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser, SkipParser

import imagekit
from imagekit._cli._main import cli
from installing import editable
from toys import reserved

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("plugins/*/README.md")],
    key=lambda path: path.relative_to(ROOT).as_posix(),
)
LANGUAGES = {"python", "console", "text", "toml", "json"}

# Commands that are run, but not by this test.
ELSEWHERE = {
    "python3 dev.py": ".ci/run",
    "python3 dev.py test": ".ci/run",
    "python3 dev.py check": ".ci/run",
    "python3 dev.py judges": ".ci/run",
    "python3 dev.py faults": ".ci/run",
    "python3 dev.py reliability": ".ci/run",
    "python3 dev.py bench --quick": ".ci/run",
    "python3 dev.py heavy": ".ci/run",
    "python3 dev.py wheels": ".ci/run",
    "python3 dev.py pythons": ".ci/run",
    "python3 dev.py record openai-images": "whoever makes the cassettes anew",
    "python3 dev.py record openai-responses": "whoever makes the cassettes anew",
}


def _white() -> str:
    out = io.BytesIO()
    Pillow.new("RGB", (64, 64), "white").save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


PNG = _white()


class _OpenAI(BaseHTTPRequestHandler):
    """The least that speaks both of OpenAI's dialects: a white square, whatever is asked."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        streams = b'"stream":true' in body or b'name="stream"' in body
        if self.path.endswith("/responses"):
            item = {"type": "image_generation_call", "id": "ig_1", "result": PNG}
            answer: Any = {"id": "resp_1", "status": "completed", "output": [item]}
            events = [{"type": "response.completed", "response": answer}]
        elif self.path.endswith("/moderations"):
            scores = {"categories": {}, "category_scores": {"violence": 0.01}}
            answer, events = {"results": [{"flagged": False, **scores}]}, []
        else:
            answer = {"created": 1, "data": [{"b64_json": PNG}]}
            kind = "image_generation" if self.path.endswith("generations") else "image_edit"
            events = [
                {"type": f"{kind}.partial_image", "b64_json": PNG, "partial_image_index": 0},
                {"type": f"{kind}.completed", "b64_json": PNG},
            ]
        if streams:
            data = "".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in events)
            self._answer(data.encode(), "text/event-stream")
        else:
            self._answer(json.dumps(answer).encode(), "application/json")

    def _answer(self, data: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def fake_openai() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _OpenAI) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        server.shutdown()
        thread.join()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_openai: str) -> Iterator[Path]:
    """An empty folder as a reader would have, with a few pictures, a key, and a server for it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-for-a-fake-on-loopback")
    monkeypatch.setenv("OPENAI_BASE_URL", fake_openai)
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
    Pillow.new("RGB", (64, 64), (200, 120, 40)).save("otter.png")
    mask = Pillow.new("RGBA", (64, 64), (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), (0, 0, 64, 32))
    mask.save("hat.png")
    yield tmp_path
    imagekit.configure()


class _Commands:
    """Runs the commands of a page as they are typed; one that serves goes on behind the others."""

    def __init__(self) -> None:
        self._serving: list[subprocess.Popen[str]] = []

    def __call__(self, example: Any) -> None:
        for line in str(example.parsed).splitlines():
            if line.startswith("$ "):
                self._command(line[2:].partition("  #")[0].strip())

    def _command(self, line: str) -> None:
        if line.startswith("imagekit serve "):
            command = [sys.executable, "-m", "imagekit", *shlex.split(line)[1:]]
            server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
            self._serving.append(server)
            assert server.stderr is not None
            assert server.stderr.readline().startswith("serving on http://")
        else:
            _command(line)

    def stop(self) -> None:
        for server in self._serving:
            server.terminate()
            server.communicate(timeout=30)


def _command(line: str) -> None:
    if line.startswith("pip install -e "):
        places = [*editable(Path(line.split()[-1])), os.environ["PYTHONPATH"]]
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, places))
    if line in ELSEWHERE or line.startswith("pip install "):
        return
    words = line.split(" | ")
    assert words[-1].startswith("imagekit "), f"nobody runs {line!r}"
    plain = not set(line) & set("|<>&;$`*") and not line.startswith("imagekit plugin ")
    if plain and not os.environ.get("PYTHONPATH"):
        # What needs no shell, and nothing that a page installed, needs no process either.
        ended = CliRunner().invoke(cli, shlex.split(line)[1:])
        assert ended.exit_code == 0, f"{line}\n{ended.output}"
        return
    line = line.replace("imagekit ", f"{shlex.quote(sys.executable)} -m imagekit ", 1)
    done = subprocess.run(line, shell=True, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"


class _Python(PythonCodeBlockParser):
    """Runs Python; what begins with the path of a file that a command wrote is to stand in it."""

    def __call__(self, document: Document) -> Iterator[Region]:
        for region in super().__call__(document):
            if str(region.parsed).startswith("# imagekit-"):
                region.evaluator = _quoted
            yield region


def _quoted(example: Any) -> None:
    path, _, body = str(example.parsed).removeprefix("# ").partition("\n")
    assert body.strip("\n") in Path(path).read_text(encoding="utf-8"), f"{path} has no\n{body}"


def _written(example: Any) -> None:
    """A file that names itself in its first line is there from then on."""
    if found := re.match(r"# ([a-z]+\.toml)\n", example.parsed):
        Path(found[1]).write_text(example.parsed, encoding="utf-8")


class _Prints:
    """A `print` that remembers what was said on which line of a page."""

    def __init__(self) -> None:
        self.said: dict[int, str] = {}

    def __call__(self, *words: object) -> None:
        self.said[sys._getframe(1).f_lineno] = " ".join(map(str, words))


def _untrue(page: Path, said: dict[int, str]) -> list[str]:
    """The lines whose comment is not what they printed; … stands for anything."""
    lines = page.read_text(encoding="utf-8").splitlines()
    claims = {
        number: re.search(r"^\s*print\(.*\)  # (.*)$", line) for number, line in enumerate(lines, 1)
    }
    return [
        f"{page.name}:{number}: {claim[1]!r} is {said.get(number)!r}"
        for number, claim in claims.items()
        if claim
        and not re.fullmatch(re.escape(claim[1]).replace("…", ".*"), said.get(number, ""), re.S)
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_the_page_shows_works_and_prints_what_it_says(page: Path, folder: Path) -> None:
    commands = _Commands()
    parsers = [
        SkipParser(),
        _Python(),
        CodeBlockParser(language="console", evaluator=commands),
        CodeBlockParser(language="toml", evaluator=_written),
    ]
    # Somebody else may have the port that the page names.
    with reserved() as port:
        text = page.read_text(encoding="utf-8").replace("8000", str(port))
        (folder / page.name).write_text(text, encoding="utf-8")
        document = Document.parse(str(folder / page.name), *parsers)
        document.namespace["print"] = prints = _Prints()
        try:
            for example in document.examples():
                example.evaluate()
        finally:
            commands.stop()
    assert _untrue(page, prints.said) == []


def test_a_comment_that_is_untrue_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("print(1)  # 2\n\nprint('so it is')  # so…\n", encoding="utf-8")
    assert _untrue(page, {1: "1", 3: "so it is"}) == ["page.md:1: '2' is '1'"]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_each_fence_says_what_it_is(page: Path) -> None:
    fences = re.findall(r"^```(.*)$", page.read_text(encoding="utf-8"), re.M)
    assert set(fences[::2]) <= LANGUAGES
    assert set(fences[1::2]) <= {""}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_each_error_event_and_hook_is_in_the_docs() -> None:
    from imagekit import _errors, _events, _hookspecs

    text = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("docs/*.md"))
    errors = [name for name in vars(_errors) if name.endswith("Error")]
    events = ["Queued", "Progress", "Text", "PartialImage", "ImageReady", "ImageFailed", "Noticed"]
    hooks = [name for name in vars(_hookspecs) if name.startswith("imagekit_")]
    assert all(hasattr(_events, name) for name in events)
    missing = [name for name in (*errors, *events, "Completed", *hooks) if f"`{name}" not in text]
    assert not missing


def test_each_keyword_argument_and_variable_is_in_the_reference() -> None:
    from imagekit._fields import HowFields, SaveFields

    page = (ROOT / "docs/reference.md").read_text(encoding="utf-8")
    client = inspect.signature(imagekit.Client).parameters.values()
    arguments = [one.name for one in client if one.kind is one.KEYWORD_ONLY]
    # Where it is installed, which is not always beside the docs.
    modules = Path(str(imagekit.__file__)).parent.rglob("*.py")
    source = "".join(path.read_text(encoding="utf-8") for path in modules)
    variables = set(re.findall(r"IMAGEKIT_[A-Z_]+", source))
    assert len(variables) == 7
    verbs = ("generate", "edit", "vary", "run", "stream", "open_image", "fetch")
    ours = {*HowFields.__annotations__, *SaveFields.__annotations__}
    wanted = {*ours, *arguments, *variables, *verbs, "unsupported", "model"}
    assert not [name for name in sorted(wanted) if f"`{name}`" not in page]


def test_each_page_is_reached_from_the_index_and_from_the_readme() -> None:
    index = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    pages = {page.name for page in ROOT.glob("docs/*.md")} - {"index.md"}
    assert pages <= set(re.findall(r"\]\(([^)]+)\)", index))
    assert {f"docs/{page}" for page in pages} <= set(re.findall(r"\]\(([^)]+)\)", readme))


def test_the_docs_draw_the_errors_as_the_code_does() -> None:
    from imagekit import _errors

    lines = inspect.cleandoc(str(_errors.__doc__)).splitlines()[2:]
    drawing = textwrap.dedent("\n".join(lines))
    assert drawing in (ROOT / "docs/errors.md").read_text(encoding="utf-8")


def test_the_docs_draw_the_layers_as_the_contract_does() -> None:
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = [
        set(row.replace("imagekit.", "").split(" | ")) for row in contract["contracts"][0]["layers"]
    ]
    page = (ROOT / "docs/design.md").read_text(encoding="utf-8").partition("## Layers")[2]
    drawn = [
        {
            word
            for word in line.split()
            if word.startswith("_") or word in ("server", "testing", "observers")
        }
        for line in page.split("```")[1].splitlines()[1:]
    ]
    assert drawn == layers


def test_the_pixel_of_the_fake_is_a_picture() -> None:
    assert imagekit.Image(data=base64.b64decode(PNG)).width == 64


def test_what_the_helper_and_ci_name_is_there_to_be_run() -> None:
    said = (ROOT / "dev.py").read_text()
    run = (ROOT / ".ci" / "run").read_text()
    named = set(re.findall(r"^    python3 dev\.py (\w+)", said, re.MULTILINE))
    named |= set(re.findall(r'^(?:\w+=\w+ )?"\$python" dev\.py (\w+)', run, re.MULTILINE))
    tasks = set(re.findall(r"^        (\w+),$", said.partition("\nTASKS = ")[2], re.MULTILINE))
    assert len(named) > 12
    # The first of them has no name.
    assert named | {"demo"} == tasks
