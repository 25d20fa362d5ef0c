from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from imagekit import Image, ImageInput, ImageRequest, Mask, ProviderFile, State

DATA = b"\x89PNG\r\n\x1a\n"
STATE = State(provider="toy", payload={"id": "resp_1", "turn": 2})
MASK = Mask(DATA, edit_where="white")


@pytest.mark.parametrize(
    ("given", "operation"),
    [
        ({"prompt": "an otter"}, "generate"),
        ({"prompt": "a hat", "images": [DATA]}, "edit"),
        ({"images": [DATA]}, "variation"),
        ({"prompt": "", "images": [DATA]}, "variation"),
        ({"prompt": "a hat", "state": STATE}, "edit"),
        ({"images": [DATA], "state": STATE}, "variation"),
    ],
)
def test_the_operation_is_derived(given: dict[str, Any], operation: str) -> None:
    assert ImageRequest(**given).operation == operation


def test_the_operation_cannot_be_passed() -> None:
    with pytest.raises(ValidationError, match="operation"):
        ImageRequest(prompt="an otter", operation="edit")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({}, "needs a prompt, a picture, or both"),
        ({"prompt": ""}, "needs a prompt, a picture, or both"),
        ({"state": STATE}, "needs a prompt, a picture, or both"),
        ({"prompt": "a hat", "mask": MASK}, "a mask needs a picture"),
        ({"images": [DATA], "mask": MASK}, "a mask needs a prompt"),
        ({"prompt": "x", "n": 0}, "greater than or equal to 1"),
        ({"prompt": "x", "n": 1001}, "less than or equal to 1000"),
        ({"prompt": "x", "output_compression": 101}, "less than or equal to 100"),
        ({"prompt": "x", "output_compression": -1}, "greater than or equal to 0"),
        ({"prompt": "x", "partial_images": -1}, "greater than or equal to 0"),
        ({"prompt": "x", "unsupported": "shrug"}, "'adapt', 'error' or 'ignore'"),
        ({"prompt": "x", "aspect_ratio": "16:9"}, "aspect_ratio"),
        ({"prompt": "x", "images": 3}, "valid tuple"),
    ],
)
def test_what_makes_no_sense_is_an_error(given: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        ImageRequest(**given)


@pytest.mark.parametrize("given", [{"state": STATE}, {"images": [DATA]}])
def test_a_mask_applies_to_a_picture_or_to_an_earlier_one(given: dict[str, Any]) -> None:
    assert ImageRequest(prompt="a hat", mask=MASK, **given).mask == MASK


@pytest.mark.parametrize(
    "one",
    [
        DATA,
        bytearray(DATA),
        memoryview(DATA),
        "otter.png",
        Path("otter.png"),
        "https://a.example/otter.png",
        {"path": "otter.png", "role": "reference"},
        Image(data=DATA),
        ImageInput(data=DATA),
        ProviderFile("file-1"),
    ],
)
def test_one_picture_is_as_good_as_a_list_of_one(one: Any) -> None:
    assert ImageRequest(images=one).images == ImageRequest(images=[one]).images


def test_pictures_keep_their_order() -> None:
    images: Any = ["b.png", "a.png"]
    assert [str(one.path) for one in ImageRequest(images=images).images] == ["b.png", "a.png"]


@pytest.mark.parametrize(
    ("size", "pixels", "aspect"),
    [
        ("1536x864", (1536, 864), None),
        ((1536, 864), (1536, 864), None),
        ([1536, 864], (1536, 864), None),
        ("16:9", None, (16.0, 9.0, None)),
        ("1.91:1", None, (1.91, 1.0, None)),
        ("0.5:1", None, (0.5, 1.0, None)),
        ("16:9@2K", None, (16.0, 9.0, "2K")),
        ("16:9@1.5k", None, (16.0, 9.0, "1.5k")),
        ("1:1@512", None, (1.0, 1.0, "512")),
        ("auto", None, None),
        (None, None, None),
    ],
)
def test_a_size_is_pixels_or_an_aspect(size: Any, pixels: object, aspect: object) -> None:
    request = ImageRequest(prompt="x", size=size)
    assert (request.pixels, request.aspect) == (pixels, aspect)


@pytest.mark.parametrize(
    "size",
    [
        "",
        "big",
        "1024",
        "0x512",
        "512x0",
        "-1x5",
        "1024x1024@2K",
        "16:9@",
        "16:9@2M",
        "16:0",
        "0:9",
        "0.0:9",
        "16:9@0",
        "16:9@0K",
        "9" * 5000 + "x1",
        "9" * 400 + ":1",
        "\u0661\u0660x\u0661\u0660",
        (1, 2, 3),
        (1.5, 2),
        1024,
        ("16", None),
    ],
)
def test_what_is_no_size_says_what_one_is(size: Any) -> None:
    with pytest.raises(ValidationError, match=r"a size is pixels \('1536x864'\), an aspect"):
        ImageRequest(prompt="x", size=size)


def test_a_request_goes_to_json_and_back() -> None:
    request = ImageRequest(
        prompt="a hat",
        images=(ImageInput(data=b"\xfb\xef\xff"), ImageInput(file_id="file-1")),
        mask=MASK,
        model="toy-1",
        n=3,
        size="16:9@2K",
        seed=0,
        background="transparent",
        state=STATE,
        options={"toy": {"style": ["vivid", {"deep": 1}]}},
        unsupported="error",
    )
    assert ImageRequest.model_validate_json(request.model_dump_json()) == request


@pytest.mark.parametrize(
    "wanted",
    [
        {"prompt": "x", "images": ["/etc/passwd"]},
        {"prompt": "x", "images": [{"path": "/etc/passwd"}]},
        {"prompt": "x", "images": [{"data": ""}], "mask": {"image": "a", "edit_where": "white"}},
    ],
)
def test_a_request_that_comes_as_data_names_no_file(wanted: Any) -> None:
    with pytest.raises(ValidationError, match="a path is given in code"):
        ImageRequest.model_validate(wanted)


def test_a_request_in_code_may_name_files() -> None:
    wanted: dict[str, Any] = {
        "prompt": "x",
        "images": ["a.png", {"path": "b.png"}],
        "mask": {"image": "c.png", "edit_where": "white"},
    }
    request = ImageRequest(**wanted)
    assert [one.path for one in request.images] == [Path("a.png"), Path("b.png")]
    assert request.mask is not None
    assert request.mask.image.path == Path("c.png")


@pytest.mark.parametrize("given", ["jpg", "JPG", "JPEG", "jpeg"])
def test_a_format_is_known_by_its_usual_names(given: str) -> None:
    assert ImageRequest(prompt="x", output_format=given).output_format == "jpeg"


def test_a_repr_is_short_and_holds_what_was_said() -> None:
    shown = repr(ImageRequest(prompt="x" * 5000, n=2))
    assert len(shown) < 200
    assert "n=2" in shown
    assert "seed" not in shown


@pytest.mark.parametrize("mode", ["validation", "serialization"])
def test_a_request_has_a_json_schema(mode: Any) -> None:
    assert "prompt" in ImageRequest.model_json_schema(mode=mode)["properties"]


def test_a_request_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        ImageRequest(prompt="x").prompt = "y"  # type: ignore[misc]


class TestWith:
    def test_makes_a_copy_with_changes(self) -> None:
        assert ImageRequest(prompt="x", n=2).with_(n=3) == ImageRequest(prompt="x", n=3)

    def test_leaves_the_first_alone(self) -> None:
        request = ImageRequest(prompt="x", n=2)
        request.with_(n=3)
        assert request.n == 2

    def test_keeps_what_was_not_said_unsaid(self) -> None:
        assert ImageRequest(prompt="x").with_(n=3).model_fields_set == {"prompt", "n"}

    def test_checks_the_changes(self) -> None:
        with pytest.raises(ValidationError):
            ImageRequest(prompt="x").with_(n=0)


def test_the_repr_of_a_state_does_not_show_its_payload() -> None:
    assert repr(STATE) == "State(provider='toy')"


def test_the_repr_of_a_request_holds_no_picture() -> None:
    request = ImageRequest(prompt="x", images=(ImageInput(data=DATA * 10_000),), mask=MASK)
    assert len(repr(request)) < 700
