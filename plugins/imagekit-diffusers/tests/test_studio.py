"""Loading models, with stand-ins for torch and diffusers: what is loaded how, shared, and kept."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from diffusers_host import FakeImage, FakeInpaint, FakeText, Generator
from PIL import Image as Pillow

import imagekit
import imagekit_diffusers
from imagekit import Client, ConfigurationError
from imagekit_diffusers._studio import FINDERS

GREY = Pillow.new("RGB", (64, 64), (90, 90, 90))


class Library:
    """What stands for diffusers and torch: it notes what it is asked."""

    def __init__(self) -> None:
        self.loaded: list[tuple[str, str, Mapping[str, Any]]] = []
        self.shared: list[tuple[str, Any]] = []
        self.sent: list[str] = []
        self.broken: Exception | None = None
        self.there: set[str] = set()

    def torch(self) -> Any:
        module: Any = ModuleType("torch")
        for name in ("cuda", "mps"):
            available = SimpleNamespace(is_available=lambda name=name: name in self.there)
            setattr(module, name, available)
        for name in ("float32", "float16", "bfloat16"):
            setattr(module, name, f"torch.{name}")
        module.Generator = lambda device: SimpleNamespace(
            manual_seed=lambda seed: self.sent.append(f"{device} {seed}") or Generator(seed)
        )
        return module

    def diffusers(self) -> Any:
        module: Any = ModuleType("diffusers")
        kinds = {"text": FakeText, "image": FakeImage, "inpaint": FakeInpaint}
        for task, name in FINDERS.items():
            setattr(module, name, SimpleNamespace(**self._finder(task, kinds[task])))
        return module

    def _finder(self, task: str, kind: Any) -> dict[str, Any]:
        def made() -> Any:
            return kind(drawn=lambda: GREY, said=lambda name, values: None)

        def from_pretrained(model: str, **how: Any) -> Any:
            if self.broken is not None:
                raise self.broken
            self.loaded.append((task, model, how))
            pipe = made()
            pipe.to = lambda device: self.sent.append(device) or pipe
            return pipe

        def from_pipe(other: Any) -> Any:
            self.shared.append((task, other))
            return made()

        return {"from_pretrained": from_pretrained, "from_pipe": from_pipe}


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    found = Library()
    monkeypatch.setattr(imagekit_diffusers, "find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, "torch", found.torch())
    monkeypatch.setitem(sys.modules, "diffusers", found.diffusers())
    return found


def client(**settings: Any) -> Client:
    return Client(provider="diffusers", settings=settings or {"keep": 1}, config=False)


def test_a_model_is_loaded_once_without_pickles_where_the_call_is(library: Library) -> None:
    able = client()
    for _ in range(2):
        assert able.generate("a cat", model="some/model", seed=5).image.seed == 5
    wanted = {"torch_dtype": "torch.float32", "use_safetensors": True, "local_files_only": False}
    assert library.loaded == [("text", "some/model", wanted)]
    assert library.sent == ["cpu", "cpu 5", "cpu 5"]


def test_a_seed_that_nobody_said_is_told(library: Library) -> None:
    found = client().generate("a cat", model="some/model").image
    assert library.sent[1] == f"cpu {found.seed}"


@pytest.mark.parametrize(
    ("there", "said", "device", "dtype"),
    [
        ({"cuda", "mps"}, {}, "cuda", "bfloat16"),
        ({"mps"}, {}, "mps", "bfloat16"),
        ({"cuda"}, {"device": "cpu"}, "cpu", "float32"),
        ({"cuda"}, {"device": "cuda:1", "dtype": "float16"}, "cuda:1", "float16"),
    ],
    ids=["cuda", "mps", "said", "both said"],
)
def test_the_device_and_its_bits(
    library: Library, there: set[str], said: dict[str, str], device: str, dtype: str
) -> None:
    library.there = there
    client(model="some/model", **said).generate("a cat")
    assert library.sent[0] == device
    assert library.loaded[0][2]["torch_dtype"] == f"torch.{dtype}"


def test_what_is_loaded_how_may_be_said(library: Library) -> None:
    how = {"variant": "fp16", "use_safetensors": False}
    client(model="some/model", download=False, load=how).generate("a cat")
    _, _, used = library.loaded[0]
    assert how.items() <= used.items()
    assert used["local_files_only"] is True


def test_the_pipelines_of_a_model_share_its_weights(library: Library) -> None:
    able = client(model="some/model")
    picture = able.generate("a cat").image
    mask = imagekit.Mask.box((0, 0, 32, 64))
    able.edit("a hat", images=[picture])
    able.edit("a hat", images=[picture], mask=mask)
    able.edit("a scarf", images=[picture], mask=mask)
    assert [task for task, *_ in library.loaded] == ["text"]
    assert [task for task, _ in library.shared] == ["image", "inpaint"]
    assert all(isinstance(other, FakeText) for _, other in library.shared)


def test_so_many_models_stay_and_the_one_longest_unused_goes(library: Library) -> None:
    able = client(keep=2)
    for model in ("a", "b", "a", "c", "a", "b"):
        able.generate("a cat", model=model)
    assert [model for _, model, _ in library.loaded] == ["a", "b", "c", "b"]


def test_given_pipelines_stay_beside_those_that_are_loaded(library: Library) -> None:
    pipe = FakeText(drawn=lambda: GREY, said=lambda name, values: None)
    able = client(pipelines={"text": pipe})
    for model in (None, "a", "b", None):
        able.generate("a cat", model=model)
    able.edit("a hat", images=[able.generate("a cat").image])
    assert [model for _, model, _ in library.loaded] == ["a", "b"]
    assert library.shared == [("image", pipe)]


def test_a_model_that_cannot_be_loaded_is_told_and_tried_again(library: Library) -> None:
    able = client(model="some/model")
    library.broken = OSError("some/model is not\n a local folder")
    with pytest.raises(ConfigurationError) as raised:
        able.generate("a cat")
    assert str(raised.value) == (
        "'some/model' cannot be loaded: OSError: some/model is not a local folder"
    )
    library.broken = None
    assert able.generate("a cat").ok
