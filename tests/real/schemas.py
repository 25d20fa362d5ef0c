"""The server against what schemathesis makes of OpenAI's description; see `dev.py schemas`.

python tests/real/schemas.py SCHEMATHESIS [SECONDS]

It serves no description of its own, for its answers are to be those of somebody else's. What of
them is not as described is judged by test_server_description.py; here nothing may break it.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "server")]

import description  # noqa: E402
from test_attacked import TOKEN, attacked  # noqa: E402


def main(program: str, seconds: str = "75") -> int:
    """Ask for so long; the exit code."""
    if not description.here():
        print(description.ABSENT)
        return 0
    with attacked() as server, tempfile.TemporaryDirectory() as folder:
        words = [
            program, "run", str(description.HOME / description.MENDED),
            "--url", f"http://127.0.0.1:{server.port}/v1",
            "--header", f"Authorization: Bearer {TOKEN}",
            "--checks", "not_a_server_error", "--continue-on-failure",
            "--max-time", seconds, "--request-timeout", "20", "--warnings", "off",
        ]  # fmt: skip
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
        wrong = server.wrong()
    asked = re.search(r"(\d+) generated", done.stdout)
    print(f"schemathesis: {asked[1] if asked else 0} requests, wrong: {len(wrong)}")
    if done.returncode or not asked or wrong:
        print(done.stdout[-6000:], done.stderr[-2000:], *wrong, sep="\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
