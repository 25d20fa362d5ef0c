"""The server against what schemathesis makes of OpenAI's description; see `dev.py schemas`.

python tests/real/schemas.py SCHEMATHESIS [SECONDS [SEED]]

It serves no description of its own, for its answers are to be those of somebody else's. What of
them is not as described is judged by test_server_description.py; here nothing may break it. The
same seed makes the same requests, as far as they get; any other makes others.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "server")]

import description  # noqa: E402
from test_attacked import PATIENCE, TOKEN, attacked  # noqa: E402

# What schemathesis calls those of its errors that a server can bring about. Others are its own: it
# found no fitting example, or not before long.
BROUGHT = {"Network Error", "Server Unavailable", "Unhealthy API", "Unresponsive Operation"}
# What is judged where it made no report.
NOTHING: dict[str, Any] = {
    "complete": False,
    "failures": [],
    "errors": [],
    "test_cases": {"generated": 0},
}


def judged(report: dict[str, Any]) -> tuple[list[str], list[str]]:
    """What *report* says that the server did wrong; and what else it says, which is no outcome."""
    wrong = [f"{one['title']}: {', '.join(one['operations'])}" for one in report["failures"]]
    if not report["complete"]:
        wrong.append("schemathesis has not come to its end")
    if not report["test_cases"]["generated"]:
        wrong.append("nothing was asked")
    own = []
    for one in report["errors"]:
        (wrong if one["title"] in BROUGHT else own).append(f"{one['title']}, {one['count']} times")
    return wrong, own


def main(program: str, seconds: str = "75", seed: str = "7") -> int:
    """Ask for so long; the exit code."""
    if not description.here():
        print(description.ABSENT)
        return 0
    with attacked(PATIENCE) as server, tempfile.TemporaryDirectory() as folder:
        told = Path(folder, "told.json")
        words = [
            program, "run", str(description.HOME / description.MENDED),
            "--url", f"http://127.0.0.1:{server.port}/v1",
            "--header", f"Authorization: Bearer {TOKEN}",
            "--checks", "not_a_server_error", "--continue-on-failure",
            "--max-time", seconds, "--request-timeout", str(PATIENCE), "--warnings", "off",
            "--suppress-health-check", "all", "--seed", seed, "--report-json-path", str(told),
        ]  # fmt: skip
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
        report = json.loads(told.read_text()) if told.exists() else NOTHING
        wrong, own = judged(report)
        wrong += server.wrong()
        asked = report["test_cases"]["generated"]
        print(f"schemathesis, seed {seed}: {asked} requests, wrong: {len(wrong)}")
        if own:
            print("schemathesis' own trouble:", *own, sep="\n    ")
        if wrong:
            print(done.stdout[-6000:], done.stderr[-2000:], *wrong, sep="\n", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
