"""The page of the example's web app, in a real browser."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from tally import Judge

from toys import reserved

WEB = Path(__file__).parents[2] / "examples" / "web"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
JUDGE = Judge("Chromium")


class Browser:
    """A headless Chromium, spoken to in its DevTools protocol over two pipes."""

    def __init__(self, said: int, heard: int) -> None:
        self._said, self._heard = os.fdopen(said, "wb"), os.fdopen(heard, "rb")
        self._numbers, self._rest, self.session = count(1), b"", {}
        target = self.do("Target.createTarget", url="about:blank")["targetId"]
        attached = self.do("Target.attachToTarget", targetId=target, flatten=True)
        self.session = {"sessionId": attached["sessionId"]}

    def do(self, method: str, **params: Any) -> Any:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params, **self.session}
        self._said.write(json.dumps(message).encode() + b"\0")
        self._said.flush()
        while (answer := self._next()).get("id") != number:
            pass
        return answer["result"]

    def _next(self) -> Any:
        while b"\0" not in self._rest:
            piece = os.read(self._heard.fileno(), 65536)
            assert piece, "the browser ended"
            self._rest += piece
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def run(self, script: str) -> Any:
        """What *script*, the body of an async function, returns on the page."""
        done = self.do(
            "Runtime.evaluate",
            expression=f"(async () => {{ {script} }})()",
            awaitPromise=True,
            returnByValue=True,
        )
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def close(self) -> None:
        self._said.close()
        self._heard.close()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    if CHROMIUM is None:
        JUDGE.absent("There is no chromium on PATH.")
    if os.name == "nt":
        JUDGE.absent("Its pipes have other names on Windows.")
    its_input, said = os.pipe()
    heard, its_output = os.pipe()

    def take() -> None:
        # The ends may have those very numbers.
        read, write = os.dup(its_input), os.dup(its_output)
        os.dup2(read, 3)
        os.dup2(write, 4)

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        process = subprocess.Popen(
            [
                CHROMIUM, "--headless", "--no-sandbox", "--disable-dev-shm-usage", "--no-first-run",
                "--disable-background-networking", "--disable-component-update",
                f"--user-data-dir={home}", "--remote-debugging-pipe", "about:blank",
            ],
            preexec_fn=take,
            pass_fds=(3, 4),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(its_input)
        os.close(its_output)
        found = Browser(said, heard)
        try:
            yield found
        finally:
            found.close()
            process.terminate()
            process.wait()


@contextmanager
def served() -> Iterator[str]:
    """The web app as a reader starts it."""
    env = {**os.environ, "IMAGEKIT_PROVIDER": "sketch"}
    with reserved() as port:
        app = ["app:app", "--app-dir", WEB, "--port", str(port)]
        command = [sys.executable, "-m", "uvicorn", *app]
        server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env)
        try:
            assert server.stderr is not None
            assert any("Uvicorn running on" in said for said in server.stderr)
            yield f"http://127.0.0.1:{port}/"
        finally:
            server.terminate()
            server.communicate(timeout=30)


# Types a prompt into a form and waits until the page is done; what it said on the way.
ASK = """
    const by = (id) => document.getElementById(id), said = [];
    const [form, stage, status, picture, problem, change] =
        [FORM, "stage", "status", "picture", "problem", "change"].map(by);
    const watcher = new MutationObserver(() => said.push(status.textContent));
    watcher.observe(status, { childList: true });
    form.elements.prompt.value = PROMPT;
    form.requestSubmit();
    while (stage.getAttribute("aria-busy") !== "false") await new Promise(setTimeout);
    await picture.decode().catch(() => null);
    return {
        said,
        alt: picture.alt,
        width: picture.naturalWidth,
        shown: !picture.hidden,
        problem: problem.hidden ? null : problem.textContent,
        change: !change.hidden,
    };
"""


def test_the_page_shows_previews_and_the_picture_and_what_goes_wrong(browser: Browser) -> None:
    def ask(form: str, prompt: str) -> Any:
        with JUDGE.asked():
            words = f"const FORM = {json.dumps(form)}, PROMPT = {json.dumps(prompt)};"
            return browser.run(words + ASK)

    with served() as url:
        browser.do("Page.enable")
        browser.do("Page.navigate", url=url)
        browser.run("while (!window.document.forms.make?.onsubmit) await new Promise(setTimeout);")
        made = ask("make", "a red bicycle")
        said = [*made.pop("said")]
        assert said[:4] == ["Asked for it …", "Preview 1", "Preview 2", "Preview 3"]
        assert re.match("1024 . 1024 . sketch-1 . [0-9.]+ s$", said[4])
        there = {"width": 1024, "shown": True, "problem": None, "change": True}
        assert made == {"alt": "a red bicycle", **there}

        changed = ask("change", "add a hat")
        assert len(changed.pop("said")) == 5
        assert changed == {"alt": "add a hat", **there}

        refused = ask("make", "a" * 4001)
        assert "at most 4000" in refused["problem"]
        assert refused["alt"] == "add a hat"
    away = ask("make", "a boat")
    assert away["problem"]
    assert away["shown"]
    assert away["alt"] == "add a hat"
