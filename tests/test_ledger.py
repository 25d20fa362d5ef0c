"""The ledger cannot lie: every line is there, its example runs, and its proofs are tests that run.

`python3 dev.py ledger` runs the proofs themselves.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import typing
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from openai.types import (
    ImageEditCompletedEvent,
    ImageEditPartialImageEvent,
    ImageGenCompletedEvent,
    ImageGenPartialImageEvent,
    ImagesResponse,
    image_create_variation_params,
    image_edit_params,
    image_generate_params,
)
from pydantic import BaseModel

import ledger
import workshop
from ledger import Ledger, Line

LEDGER = ledger.read(ledger.PAGE.read_text(encoding="utf-8"))
# The lines of the three systems this project grew from.
SEEDS = [
    *(f"D{number:02}" for number in range(1, 18)),
    *(f"O{number:02}" for number in range(1, 23)),
    *(f"W{number:02}" for number in range(1, 6)),
]


# What must hold of a page


def wrong(page: Ledger) -> Iterator[str]:
    """What is not as it must be in the rows of *page*."""
    for id, count in Counter(line.id for line in page.lines).items():
        if count > 1:
            yield f"{id} stands there {count} times"
    for line in page.lines:
        if not line.there or not line.here:
            yield f"{line.id} does not say what it was there and is here"
        if not line.examples:
            yield f"{line.id} has no example"
        if not line.proofs:
            yield f"{line.id} has no proof"
        yield from (f"{line.id}: {why}" for proof in line.proofs for why in _doubt(proof))
    for of, what, why in page.outside:
        if of not in SEEDS or not what or not why:
            yield f"outside, {of}: {what!r} needs a line and a reason"


def _doubt(proof: str) -> Iterator[str]:
    """Why *proof* is none: there is no such test, or it is not run."""
    path, *names = proof.split("[")[0].split("::")
    file = ledger.ROOT / path
    if not re.fullmatch(r"(?:tests|plugins/[\w-]+/tests)/(?:\w+/)*test_\w+\.py", path):
        yield f"{path} is no file of tests"
    elif not file.exists():
        yield f"there is no {path}"
    elif "tests/real/" in path:
        yield f"{path} is not among the tests that always run"
    else:
        yield from _missing(file, names, proof)


def _missing(file: Path, names: list[str], proof: str) -> Iterator[str]:
    scope: Iterable[ast.stmt] = _module(file).body
    for name in names or [""]:
        found = next((one for one in scope if getattr(one, "name", None) == name), None)
        if not isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield f"there is no {proof}"
            return
        marks = " ".join(map(ast.unparse, found.decorator_list))
        if re.search(r"\.(skip|skipif|xfail)\b", marks):
            yield f"{proof} is not run everywhere"
        scope = found.body
    if isinstance(found, ast.ClassDef) or not names[-1].startswith("test_"):
        yield f"{proof} is no test"
    always = [one for one in _module(file).body if isinstance(one, ast.Assign | ast.AnnAssign)]
    marked = [one for one in map(ast.unparse, always) if one.startswith("pytestmark")]
    if any(re.search(r"\.(skip|skipif|xfail)\b", one) for one in marked):
        yield f"{proof} is not run everywhere"


@cache
def _module(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def test_every_row_is_whole_and_names_tests_that_run() -> None:
    assert list(wrong(LEDGER)) == []


def test_a_proof_of_one_case_names_a_case_that_there_is() -> None:
    named = sorted({proof for line in LEDGER.lines for proof in line.proofs if "[" in proof})
    assert named
    command = [sys.executable, "-m", "pytest", "--collect-only", "-qq", *named]
    done = subprocess.run(command, cwd=ledger.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


# What must be on it


def test_every_line_of_the_seeds_is_there() -> None:
    assert [line.id for line in LEDGER.lines if line.id[0] in "DOW"] == SEEDS


def test_the_rows_of_openais_page_and_the_defects_are_numbered_through() -> None:
    for kind in "PGB":
        ids = [line.id for line in LEDGER.lines if line.id[0] == kind]
        assert ids == [f"{kind}{number:02}" for number in range(1, len(ids) + 1)]
        assert ids


def _nested(annotation: Any) -> Iterator[Any]:
    """The types with fields that *annotation* holds."""
    for one in (annotation, *typing.get_args(annotation)):
        if hasattr(one, "__total__") or (isinstance(one, type) and issubclass(one, BaseModel)):
            yield one
        elif one is not annotation:
            yield from _nested(one)


def _paths(kind: Any, before: str = "") -> Iterator[str]:
    """The names of the fields of *kind*, of those in them too."""
    if hasattr(kind, "model_fields"):
        fields = {name: field.annotation for name, field in kind.model_fields.items()}
    else:
        fields = typing.get_type_hints(kind)
    for name, annotation in fields.items():
        yield f"{before}{name}"
        for inner in _nested(annotation):
            yield from _paths(inner, f"{before}{name}.")


def declared() -> list[str]:
    """Every name that the official client declares, as the page spells it."""
    events = {
        "image_generation.partial_image": ImageGenPartialImageEvent,
        "image_generation.completed": ImageGenCompletedEvent,
        "image_edit.partial_image": ImageEditPartialImageEvent,
        "image_edit.completed": ImageEditCompletedEvent,
    }
    asked = {
        "generations": image_generate_params.ImageGenerateParamsStreaming,
        "edits": image_edit_params.ImageEditParamsStreaming,
        "variations": image_create_variation_params.ImageCreateVariationParams,
    }
    found = [f"{where} {path}" for where, kind in asked.items() for path in _paths(kind)]
    found += [f"ImagesResponse {path}" for path in _paths(ImagesResponse)]
    found += events
    for name, kind in events.items():
        last = name.partition(".")[2]
        found += [
            f"{last} {path}" for path in kind.model_fields if path != "type"
        ]  # `type` is the event's own row
    return list(dict.fromkeys(found))


def test_everything_that_the_official_client_declares_has_a_row() -> None:
    there = [line.there for line in LEDGER.lines if line.id[0] == "P"]
    rows = [re.findall(r"`([^`]+)`", one)[0] for one in there]
    assert set(declared()) - set(rows) == set()
    assert [name for name, count in Counter(rows).items() if count > 1] == []


def test_what_the_official_client_does_not_declare_is_said_to_be_so() -> None:
    extra = [
        line
        for line in LEDGER.lines
        if line.id[0] == "P" and re.findall(r"`([^`]+)`", line.there)[0] not in declared()
    ]
    assert extra
    assert all(re.search(r"undeclared|header|list", line.there) for line in extra), extra


# Its examples


@pytest.fixture(scope="module")
def given() -> Iterator[dict[str, Any]]:
    with workshop.given() as found:
        yield found


@pytest.mark.parametrize("line", LEDGER.lines, ids=lambda line: line.id)
def test_an_example_does_what_it_says(line: Line, given: dict[str, Any]) -> None:
    workshop.play(line, LEDGER.names, given)


def test_every_name_of_the_page_is_used() -> None:
    said = " ".join(code for line in LEDGER.lines for code in line.examples)
    assert [name for name in LEDGER.names if not re.search(rf"\b{name}\b", said)] == []


# The checks themselves


ROW = Line("D01", "`there`", "`here`", ("1 + 1  # 2",), (ledger.EXAMPLES,))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"examples": ()}, "D01 has no example"),
        ({"proofs": ()}, "D01 has no proof"),
        ({"here": ""}, "D01 does not say what it was there and is here"),
        ({"proofs": ("tests/test_ledger.py::test_nothing",)}, "D01: there is no tests/"),
        ({"proofs": ("tests/test_ledger.py",)}, "D01: there is no tests/"),
        ({"proofs": ("tests/test_ledger.py::wrong",)}, "D01: tests/test_ledger.py::wrong is no"),
        ({"proofs": ("tests/test_nowhere.py::test_x",)}, "D01: there is no tests/test_nowhere.py"),
        ({"proofs": ("tests/ledger.py::main",)}, "D01: tests/ledger.py is no file of tests"),
        (
            {"proofs": ("tests/real/test_load.py::test_x",)},
            "D01: tests/real/test_load.py is not among the tests that always run",
        ),
    ],
)
def test_a_row_that_is_not_whole_is_found(changes: dict[str, Any], why: str) -> None:
    [found] = wrong(Ledger((Line(**{**vars(ROW), **changes}),), (), {}))
    assert found.startswith(why)


@pytest.mark.parametrize(
    "source",
    [
        "@pytest.mark.skip\ndef test_x(): ...",
        "@pytest.mark.skipif(True, reason='')\ndef test_x(): ...",
        "@pytest.mark.xfail\nclass TestIt:\n    def test_x(self): ...",
        "pytestmark = pytest.mark.skip\ndef test_x(): ...",
    ],
)
def test_a_proof_that_is_skipped_is_found(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "_module", lambda file: ast.parse(source))
    name = "TestIt::test_x" if "class" in source else "test_x"
    row = Line(**{**vars(ROW), "proofs": (f"tests/test_ledger.py::{name}",)})
    [found] = wrong(Ledger((row,), (), {}))
    assert found.endswith("is not run everywhere")


def test_a_line_that_stands_there_twice_is_found() -> None:
    assert list(wrong(Ledger((ROW, ROW), (), {}))) == ["D01 stands there 2 times"]


def test_what_is_outside_without_a_reason_is_found() -> None:
    [found] = wrong(Ledger((), (("O11", "structured output", ""),), {}))
    assert found.startswith("outside, O11")


@pytest.mark.parametrize(
    "examples",
    [
        ("1 + 1  # 3",),
        ("unknown",),
        ("client.generate('a boat').image.nothing",),
        ("await aclient.generate('a boat')", "1  # 2"),
        ("(await aclient.generate('a boat')).ok  # False",),
    ],
)
def test_an_example_that_is_untrue_is_found(
    examples: tuple[str, ...], given: dict[str, Any]
) -> None:
    line = Line(**{**vars(ROW), "examples": examples})
    with pytest.raises((AssertionError, NameError, AttributeError)):
        workshop.play(line, LEDGER.names, given)


def test_a_table_is_read_whatever_stands_in_its_cells() -> None:
    page = (
        "## One\n\n| line | there | here | example | proof |\n|---|---|---|---|---|\n"
        "| D01 | `a` | `b` \\| c | `x = 1` then `x \\| 2  # 3` | `t::a` `t::b` |\n\n"
        "## Outside\n\n| of | what | why |\n|---|---|---|\n| O11 | this | that |\n"
    )
    found = ledger.read(page)
    assert found.lines == (
        Line("D01", "`a`", "`b` | c", ("x = 1", "x | 2  # 3"), ("t::a", "t::b")),
    )
    assert found.outside == (("O11", "this", "that"),)
    workshop.play(found.lines[0], {}, {})


# The table


def table(*wanted: str, page: Path = ledger.PAGE) -> tuple[int, str]:
    """What `python tests/ledger.py` says of *page*, and its exit code."""
    code = f"import ledger, sys, pathlib; ledger.PAGE = pathlib.Path({str(page)!r}); "
    code += "sys.exit(ledger.main(*sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, *wanted],
        cwd=ledger.ROOT,
        env={**os.environ, "PYTHONPATH": str(ledger.ROOT / "tests"), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
    )
    return done.returncode, done.stdout


def test_the_table_says_what_became_of_each_proof() -> None:
    code, said = table("D03", "retired")
    assert code == 0
    [row] = [one for one in said.splitlines() if "test_opening_gives_a_file_of_the_bytes" in one]
    assert row.startswith("D03  client.open_image(response.images[index")
    assert row.endswith(" passed")
    assert "lines of the seeds: 1 of 1 are proven" in said
    assert "outside" not in said


def test_a_proof_that_does_not_pass_is_no_proof(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    head = "## One\n\n| line | there | here | example | proof |\n|---|---|---|---|---|\n"
    page.write_text(f"{head}| X01 | `a` | `b` | `1` | `tests/test_version.py` |\n")
    code, said = table(page=page)
    assert code == 1
    assert "lines of the seeds: 0 of 1 are proven" in said
    assert "[X01]" in said
    assert "missing" in said


def test_a_filter_that_means_no_row_says_so() -> None:
    assert table("Z99") == (1, "no row begins with that, or says it\n")


def test_the_worst_of_the_cases_is_what_became_of_a_test() -> None:
    def report(name: str, when: str, outcome: str) -> Any:
        return SimpleNamespace(nodeid=name, when=when, outcome=outcome)

    told = ledger.Outcomes()
    for one in [
        ("a::t[1]", "setup", "passed"),
        ("a::t[1]", "call", "passed"),
        ("a::t[2]", "setup", "skipped"),
        ("a::u[1]", "call", "passed"),
        ("a::u[1]", "teardown", "failed"),
        ("a::v", "setup", "passed"),
    ]:
        told.pytest_runtest_logreport(report(*one))
    assert [told.of(name) for name in ("a::t[1]", "a::t", "a::u", "a::v", "a::w")] == [
        "passed",
        "skipped",
        "failed",
        "missing",
        "missing",
    ]
