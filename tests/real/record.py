"""Makes the cassettes anew: from real software on loopback, or with a key from the live service.

record.py openai-images|openai-responses [arguments of pytest]
"""

from __future__ import annotations

import datetime
import os
import re
import subprocess
import sys
import time
import tomllib
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/real")]

import sdserver  # noqa: E402
import stubborn  # noqa: E402

from serving import serving  # noqa: E402

HOME = ROOT / "cassettes"
LIVE = "https://api.openai.com/v1"
TESTS = "plugins/imagekit-openai/tests/test_{}_cassettes.py"
PROVIDERS = ("openai-images", "openai-responses")
TOKEN = "a-token-for-recording"
FROM = {
    "sd-server": "stable-diffusion.cpp's sd-server on loopback, built from the PyPI source package "
    f"{sdserver.PACKAGE} {sdserver.VERSION}, with random weights",
    "server": "imagekit's own server on loopback, in front of the sketch provider "
    "(tests/real/stubborn.py), which also refuses, breaks and is cut on purpose",
}


def main() -> int:
    """Record, from whichever of them can be had here."""
    provider, *rest = sys.argv[1:] or [""]
    if provider not in PROVIDERS:
        raise SystemExit(f"what can be recorded: {', '.join(PROVIDERS)}")
    with ExitStack() as servers:
        if os.environ.get("OPENAI_API_KEY"):
            sources = {"live": _live(os.environ.get("OPENAI_BASE_URL", LIVE))}
        else:
            sources = _local(provider, servers)
        return max(_recorded(provider, *one, rest) for one in sources.items())


def _live(url: str) -> str:
    host = urlsplit(url).hostname or ""
    if host != "api.openai.com" and not host.endswith(".api.openai.com"):
        raise SystemExit(
            f"OPENAI_API_KEY is set, and OPENAI_BASE_URL names {host}, which is not the live "
            "service: unset the one to record from this machine's software, or the other"
        )
    print(f"OPENAI_API_KEY is set: these calls go to {url}, and cost money.")
    print("Unset it to record from software on this machine. Ctrl-C within 5 seconds stops.")
    time.sleep(5)
    return url


def _local(provider: str, servers: ExitStack) -> dict[str, str]:
    found = {}
    if provider == "openai-images":
        if reason := sdserver.available():
            print(f"sd-server's stay as they are: {reason}")
        else:
            found["sd-server"] = servers.enter_context(sdserver.running())
    own = serving(register={"stubborn": stubborn}, tokens=[TOKEN], around=stubborn.Cutting)
    found["server"] = servers.enter_context(own).url
    return found


def _recorded(provider: str, source: str, url: str, rest: list[str]) -> int:
    """Let the tests of one source talk to it in the first two of their six ways."""
    env = {
        **os.environ,
        "IMAGEKIT_RECORD": source,
        "IMAGEKIT_RECORD_URL": url,
        "IMAGEKIT_RECORD_KEY": os.environ.get("OPENAI_API_KEY", TOKEN),
    }
    before = _state()
    module = TESTS.format(provider.removeprefix("openai-"))
    pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", module]
    code = subprocess.call(
        [*pytest, "--record-mode=new_episodes", "-k", "sync and not asyncio and not trio", *rest],
        cwd=ROOT,
        env=env,
    )
    if code:
        # What is not as its test expects is evidence of nothing.
        for name in _state().keys() - before.keys():
            (HOME / name).unlink()
        for name, data in before.items():
            (HOME / name).write_bytes(data)
        print(f"Nothing of {source} is kept: see above which of it is not as expected.")
        return code
    _provenance(provider, source, FROM.get(source, "the live service"), before)
    old = [name for name, data in _state().items() if before.get(name) == data]
    mine = sorted(name for name in old if name.startswith(f"{provider}/"))
    print("As they were:", ", ".join(mine) or "none")
    return code


def _state() -> dict[str, bytes]:
    return {path.relative_to(HOME).as_posix(): path.read_bytes() for path in HOME.glob("*/*.yaml")}


def _provenance(provider: str, source: str, place: str, before: dict[str, bytes]) -> None:
    """Say of every cassette that changed where it is from now, and forget those that are gone."""
    path = HOME / "PROVENANCE.toml"
    said: dict[str, dict[str, Any]] = tomllib.loads(path.read_text("utf-8"))
    after = _state()
    how = f"{place}; made anew by `python3 dev.py record {provider}`"
    for name, data in after.items():
        if before.get(name) != data:
            said[name] = {"source": source, "from": how, "when": datetime.date.today()}
    head = re.split(r"^\[", path.read_text("utf-8"), maxsplit=1, flags=re.M)[0]
    path.write_text(
        head
        + "\n".join(
            f'["{name}"]\nsource = "{one["source"]}"\nfrom = "{one["from"]}"\n'
            f"when = {one['when'].isoformat()}\n"
            for name, one in sorted(said.items())
            if name in after
        ),
        encoding="utf-8",
    )


if __name__ == "__main__":
    raise SystemExit(main())
