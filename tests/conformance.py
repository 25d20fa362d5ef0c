"""The table of conformance: each provider of `plugins/`, and how each standard test ended for it.

    python3 dev.py conformance              all of them
    python3 dev.py conformance gemini xai   those whose names say so

Ends in 1 where a test failed, or a row is longer than it may be; a plugin's length is a goal.
"""

from __future__ import annotations

import ast
import importlib.util
import io
import os
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import ModuleType

from imagekit.testing import Outcome, ProviderSuite, conforms

ROOT = Path(__file__).resolve().parent.parent
MARKS = {"passed": "✓", "failed": "✗", "not applicable": "·", "left out": "○"}
NATIVE, ROW = 200, 15
# No proofs of how short a plugin can be: one is two dialects and seven rows, one draws by itself.
_UNBOUND = {"imagekit-openai", "imagekit-sketch"}
_LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
_LAYOUT |= {tokenize.ENCODING, tokenize.ENDMARKER}


def modules() -> list[Path]:
    """Where the plugins' conformance tests stand."""
    return sorted(ROOT.glob("plugins/*/tests/test_conformance.py"))


def loaded(path: Path) -> ModuleType:
    """The module at *path*, which may import what stands beside it."""
    sys.path.insert(0, str(path.parent))
    name = f"conformance_of_{path.parent.parent.name.replace('-', '_')}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def suites(path: Path) -> Iterator[type[ProviderSuite]]:
    """The suites that the module at *path* defines."""
    module = loaded(path)
    own = [
        one for one in vars(module).values() if getattr(one, "__module__", "") == module.__name__
    ]
    yield from (one for one in own if isinstance(one, type) and issubclass(one, ProviderSuite))


def run(named: tuple[Path, str]) -> tuple[str, list[Outcome]]:
    """How each test of that suite ended, by the provider's name, and the model's if it has one."""
    path, name = named
    suite = getattr(loaded(path), name)
    return ":".join(filter(None, (suite.provider, suite.model))), list(conforms(suite))


def lines_of(source: str) -> int:
    """How many lines of *source* hold code: no blank ones, no comments, no docstrings."""
    held = {
        line
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type not in _LAYOUT
        for line in range(token.start[0], token.end[0] + 1)
    }
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                held -= set(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    return len(held)


def lengths() -> dict[str, int]:
    """The lines of code of each distribution."""
    found = {}
    for folder in sorted(ROOT.glob("plugins/*")):
        files = sorted(folder.glob("src/**/*.py"))
        if files:
            found[folder.name] = sum(lines_of(path.read_text()) for path in files)
    return found


def rows() -> dict[str, int]:
    """The lines of data of each profile row, without blank ones and comments."""
    files = sorted(ROOT.glob("plugins/*/src/*/rows/*.toml"))
    return {
        path.stem: sum(not line.startswith("#") for line in path.read_text().split("\n") if line)
        for path in files
        if path.stem != "capabilities"
    }


def table(found: dict[str, list[Outcome]]) -> Iterator[str]:
    """The lines of the table: a test in each row, a provider in each column."""
    names = list(found)
    tests = list(dict.fromkeys(one.test for outcomes in found.values() for one in outcomes))
    verdicts = {name: {one.test: one.verdict for one in found[name]} for name in names}
    for number, name in enumerate(names):
        counts = Counter(verdicts[name].values())
        words = ", ".join(f"{counts[verdict]} {verdict}" for verdict in MARKS if counts[verdict])
        yield f"{'  │' * number}  ┌ {name}: {words}"
    for test in tests:
        cells = "".join(f"  {MARKS.get(verdicts[name].get(test, ''), ' ')}" for name in names)
        yield f"{cells}   {test.removeprefix('test_').replace('_', ' ')}"


def reasons(found: dict[str, list[Outcome]], verdict: str) -> Iterator[str]:
    """Each outcome of that *verdict*, with its reason."""
    for name, outcomes in found.items():
        for one in outcomes:
            if one.verdict == verdict:
                yield f"{MARKS[verdict]} {name}: {one.test}: {one.why}"


def told(name: str, lines: int) -> str:
    """How long the plugin of that name is, and how far from the goal."""
    over = f"   {lines - NATIVE} over the goal" if lines > NATIVE else ""
    return f"  {name:<22} {lines:>5}{'   (proves no length)' if name in _UNBOUND else over}"


def main(wanted: Sequence[str]) -> int:
    """Run, print, and say whether all of it held."""
    named = [(path, suite.__name__) for path in modules() for suite in suites(path)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        came = dict(pool.map(run, named))
    found = {
        name: outcomes
        for name, outcomes in came.items()
        if not wanted or any(word in name for word in wanted)
    }
    for line in table(found):
        print(line)
    print("\n✓ passed   · nothing to look at, by its own data   ○ left out, for a written reason")
    for verdict in ("left out", "failed"):
        for line in reasons(found, verdict):
            print(line)
    print(f"\nlines of code (the goal for a native plugin: at most {NATIVE}):")
    for name, lines in lengths().items():
        print(told(name, lines))
    print(f"lines of data (a profile row has at most {ROW}):")
    for name, lines in rows().items():
        print(f"  {name:<22} {lines:>5}")
    tests = {one.test for outcomes in found.values() for one in outcomes}
    failed = sum(one.verdict == "failed" for outcomes in found.values() for one in outcomes)
    print(f"\n{len(found)} providers, {len(tests)} tests, {failed} failed")
    return 1 if failed or any(lines > ROW for lines in rows().values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
