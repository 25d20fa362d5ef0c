from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import io
import pkgutil
import re
import subprocess
import sys
import tokenize
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import BaseModel

import imagekit
import imagekit.observers
import imagekit.provider
import imagekit.server
import imagekit.testing

DOORS = (imagekit, imagekit.observers, imagekit.provider, imagekit.server, imagekit.testing)
ROOT = Path(imagekit.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
MODULES = sorted(path.relative_to(ROOT).as_posix() for path in FILES)
HEAVY = (
    "pydantic",
    "httpx",
    "stevedore",
    "pluggy",
    "anyio",
    "PIL",
    "click",
    "rich",
    "importlib.metadata",
)
NAMES = [(door, name) for door in DOORS for name in door.__all__]


def offered() -> list[tuple[ModuleType, str, Any]]:
    """The classes and functions at the doors; the rest are names for types."""
    found = [(door, name, getattr(door, name)) for door, name in NAMES]
    return [one for one in found if inspect.isclass(one[2]) or inspect.isroutine(one[2])]


def members() -> list[tuple[str, Any]]:
    """The public methods and properties of the classes at the doors."""
    return [
        (f"{name}.{member}", value)
        for _, name, kind in offered()
        if inspect.isclass(kind) and kind.__module__.startswith("imagekit")
        for member, value in vars(kind).items()
        if not member.startswith("_")
        and not (issubclass(kind, BaseModel) and member == "model_config")
        and (inspect.isroutine(value) or isinstance(value, property))
    ]


class TestDoors:
    @pytest.mark.parametrize(("door", "name"), NAMES)
    def test_every_name_resolves(self, door: ModuleType, name: str) -> None:
        assert getattr(door, name) is not None

    def test_the_names_are_those_that_checkers_see(self) -> None:
        tree = ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8"))
        (block,) = [
            node
            for node in tree.body
            if isinstance(node, ast.If)
            and isinstance(node.test, ast.Name)
            and node.test.id == "TYPE_CHECKING"
        ]
        imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
        assert len(imports) == len(block.body)
        seen = {alias.asname: f"imagekit.{node.module}" for node in imports for alias in node.names}
        assert seen == {name: f"imagekit.{module}" for name, module in imagekit._MODULE.items()}
        assert sorted(seen) == list(imagekit.__all__)

    def test_star_import_gives_every_name(self) -> None:
        space: dict[str, object] = {}
        exec("from imagekit import *", space)
        assert set(imagekit.__all__) <= set(space)

    def test_an_unknown_name_is_an_attribute_error(self) -> None:
        with pytest.raises(AttributeError, match="module 'imagekit' has no attribute 'hologram'"):
            _ = imagekit.hologram

    def test_an_unknown_name_cannot_be_imported(self) -> None:
        with pytest.raises(ImportError, match="hologram"):
            exec("from imagekit import hologram")

    def test_dir_lists_every_name(self) -> None:
        assert set(imagekit.__all__) <= set(dir(imagekit))

    def test_a_name_is_looked_up_once(self) -> None:
        assert vars(imagekit)["ImageRequest"] is imagekit.ImageRequest

    @pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
    def test_names_are_listed_once(self, door: ModuleType) -> None:
        assert len(set(door.__all__)) == len(door.__all__)


class TestDocstrings:
    @pytest.mark.parametrize(("door", "name", "value"), offered())
    def test_every_class_and_function_at_a_door_has_one(
        self, door: ModuleType, name: str, value: Any
    ) -> None:
        # A dataclass without one is given its signature.
        assert not (value.__doc__ or "(").startswith((f"{name}(", "("))

    @pytest.mark.parametrize(("name", "value"), members(), ids=[name for name, _ in members()])
    def test_every_public_member_has_one(self, name: str, value: Any) -> None:
        assert value.__doc__

    @pytest.mark.parametrize("module", MODULES)
    def test_every_module_begins_with_one_sentence(self, module: str) -> None:
        doc = ast.get_docstring(ast.parse((ROOT / module).read_text(encoding="utf-8"))) or ""
        first = doc.partition("\n")[0]
        assert re.fullmatch(r"[^\s.][^.!?]*(\.\w[^.!?]*)*[.]", first), first


class TestLightDoor:
    @pytest.mark.parametrize("how", ["import imagekit", "import imagekit; dir(imagekit)"])
    def test_importing_imagekit_loads_nothing_heavy(self, how: str) -> None:
        code = f"{how}\nimport sys\nprint(*sys.modules, sep='\\n')"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        loaded = done.stdout.split()
        heavy = [
            name
            for name in loaded
            if name.startswith("imagekit_")
            or any(name == one or name.startswith(f"{one}.") for one in HEAVY)
        ]
        assert "imagekit" in loaded
        assert heavy == []

    def test_every_heavy_thing_is_installed_here(self) -> None:
        # Else the test above could not fail.
        assert [name for name in HEAVY if importlib.util.find_spec(name) is None] == []


def said(path: Path) -> str:
    """The code and comments of a file, without its docstrings."""
    source = path.read_text(encoding="utf-8")
    spans = {
        (node.body[0].lineno, node.body[0].end_lineno)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and ast.get_docstring(node, clean=False) is not None
    }
    return " ".join(
        token.string
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if (token.start[0], token.end[0]) not in spans
    )


# The dialect that the server speaks is somebody's.
NEUTRAL = [module for module in MODULES if not module.startswith("server/wire/")]


@pytest.mark.parametrize("module", NEUTRAL)
def test_the_core_speaks_of_no_vendor(module: str) -> None:
    assert re.findall(r"(?i)openai|b64_json|\bdall|gemini", said(ROOT / module)) == []


def test_a_vendor_in_code_or_a_comment_would_be_found(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text('"""OpenAI in a docstring."""\n# OpenAI in a comment\nname = "gemini"\n')
    assert said(file).split() == ["#", "OpenAI", "in", "a", "comment", "name", "=", '"gemini"']


def test_every_module_is_private_but_the_doors() -> None:
    public = [one.name for one in pkgutil.iter_modules([str(ROOT)]) if not one.name.startswith("_")]
    assert public == ["observers", "provider", "server", "testing"]


def test_every_module_imports() -> None:
    for module in MODULES:
        parts = ("imagekit", *Path(module).with_suffix("").parts)
        importlib.import_module(".".join(parts).removesuffix(".__init__"))


@pytest.mark.parametrize("door", ["", ".provider", ".testing", ".observers"])
def test_every_public_name_stands_on_its_page(door: str) -> None:
    page = (Path(__file__).parents[1] / "docs/names.md").read_text(encoding="utf-8")
    name = f"imagekit{door}"
    part = page.partition(f": `{name}`\n")[2].partition("\n## ")[0]
    listed = re.findall(r"^\| `(\w+)` \| \S", part, re.MULTILINE)
    public = [one for one in importlib.import_module(name).__all__ if not one.startswith("__")]
    assert sorted(listed) == sorted(public)
