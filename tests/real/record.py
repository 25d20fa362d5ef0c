"""Makes the cassettes of stable-diffusion.cpp's server anew, from the real thing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import sdserver

ROOT = Path(__file__).parents[2]
TESTS = "plugins/imagekit-openai/tests/test_images_cassettes.py"


def main() -> int:
    """Build and start the server, and let the tests talk to it in the first of their six ways."""
    if reason := sdserver.available():
        print(f"cannot be recorded here: {reason}")
        return 1
    with sdserver.running() as url:
        pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", TESTS]
        chosen = ["--record-mode=rewrite", "-k", "sync and whole and not asyncio"]
        env = {**os.environ, "IMAGEKIT_RECORD_URL": url}
        return subprocess.call([*pytest, *chosen, *sys.argv[1:]], cwd=ROOT, env=env)


if __name__ == "__main__":
    raise SystemExit(main())
