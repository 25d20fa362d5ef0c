"""Each parameter of the Images API, and where a request cannot be written."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from openai_wire import ONE, THREE, TWO, asked, json_of, options, png

from imagekit import ImageInput, ImageRequest, Mask, ProviderFile, RequestError
from imagekit import UnsupportedRequestError as Unsupported
from imagekit_openai import _images_request as wire

URL = "https://pictures.example/cat.png"
JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0" + bytes(20)
WEBP = b"RIFF\x1a\0\0\0WEBPVP8L" + bytes(20)


def body(**fields: Any) -> dict[str, Any]:
    said = fields.pop("said", {})
    stream = fields.pop("stream", False)
    request = asked(**{"options": options(**said), **fields})
    return json_of(wire.generation(request, stream=stream))


def test_nothing_is_sent_that_was_not_said_but_for_the_model() -> None:
    assert body() == {"prompt": "an otter", "model": "gpt-image-2.6-sunburst"}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"model": "gpt-image-2"}, {"model": "gpt-image-2"}),
        ({"n": 10}, {"n": 10}),
        ({"size": "1536x864"}, {"size": "1536x864"}),
        ({"size": "auto"}, {"size": "auto"}),
        ({"quality": "xhigh"}, {"quality": "xhigh"}),
        ({"background": "transparent"}, {"background": "transparent"}),
        ({"output_format": "webp"}, {"output_format": "webp"}),
        ({"output_compression": 0}, {"output_compression": 0}),
        ({"moderation": "low"}, {"moderation": "low"}),
        ({"user": "u-1"}, {"user": "u-1"}),
        ({"said": {"complexity": "high"}}, {"complexity": "high"}),
        ({"said": {"frame_count": 16}}, {"frame_count": 16}),
        ({"said": {"frame_duration_ms": 20}}, {"frame_duration_ms": 20}),
        (
            {"said": {"svg": {"model": "gpt-6.1-sol", "reasoning": {"effort": "low"}}}},
            {"svg": {"model": "gpt-6.1-sol", "reasoning": {"effort": "low"}}},
        ),
        ({"said": {"svg": {"reasoning": {}}}}, {"svg": {"reasoning": {}}}),
        ({"said": {"input_fidelity": "high"}}, {"input_fidelity": "high"}),
        ({"said": {"safety_identifier": "s-1"}}, {"safety_identifier": "s-1"}),
        ({"said": {"response_format": "b64_json"}}, {"response_format": "b64_json"}),
        ({"said": {"style": "vivid"}}, {"style": "vivid"}),
        ({"said": {"extra_body": {"seed": 7, "x": {"y": None}}}}, {"seed": 7, "x": {"y": None}}),
        ({"stream": True}, {"stream": True}),
        ({"stream": True, "partial_images": 3}, {"stream": True, "partial_images": 3}),
        ({"stream": True, "partial_images": 0}, {"stream": True, "partial_images": 0}),
        # Without a stream nobody would see them.
        ({"partial_images": 3}, {}),
    ],
)
def test_a_parameter_of_the_reference_reaches_the_wire(
    fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    plain = {"prompt": "an otter", "model": "gpt-image-2.6-sunburst"}
    assert body(**fields) == {**plain, **expected}


def test_a_null_in_the_extra_body_leaves_a_field_out() -> None:
    assert body(said={"extra_body": {"model": None}}) == {"prompt": "an otter"}


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"complexty": "high"}, "no option 'complexty'; there are: complexity, "),
        ({"frame_count": 1}, "option 'frame_count'"),
        ({"frame_count": 17}, "option 'frame_count'"),
        ({"frame_duration_ms": 19}, "option 'frame_duration_ms'"),
        ({"frame_duration_ms": 655_351}, "option 'frame_duration_ms'"),
        ({"response_format": "jpeg"}, "option 'response_format'"),
        ({"svg": {"modle": "m"}}, "no option 'svg.modle'"),
        ({"svg": {"reasoning": {"efort": "low"}}}, "no option 'svg.reasoning.efort'"),
        ({"n": 2}, "no option 'n'"),
    ],
)
def test_a_wrong_option_is_an_error(said: dict[str, Any], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        body(said=said)


def test_an_aspect_that_no_rule_turned_into_pixels_cannot_be_sent() -> None:
    with pytest.raises(Unsupported, match="give pixels, such as size='1536x1024'"):
        body(size="16:9", model="my-model")


def edit(*images: Any, stream: bool = False, how: Any = None, **fields: Any) -> Any:
    return wire.edit(asked(images=images, **fields), stream=stream, **(how or {}))


def parts(request: Any) -> list[tuple[str, bytes, str, str]]:
    return [(one.name, one.data, one.filename, one.media_type) for one in request.parts]


def test_one_picture_is_image_and_several_are_a_list_in_order() -> None:
    assert [name for name, *_ in parts(edit(ONE))] == ["image"]
    several = parts(edit(ONE, TWO, THREE))
    assert [(name, data) for name, data, *_ in several] == [
        ("image[]", ONE),
        ("image[]", TWO),
        ("image[]", THREE),
    ]


@pytest.mark.parametrize("name", ["image", "image[]"])
def test_a_server_that_knows_one_name_gets_that(name: str) -> None:
    sent = edit(ONE, TWO, how={"image_field": name})
    assert {one.name for one in sent.parts} == {name}


@pytest.mark.parametrize(
    ("data", "kind", "filename"),
    [
        (ONE, "image/png", "image.png"),
        (JPEG, "image/jpeg", "image.jpg"),
        (WEBP, "image/webp", "image.webp"),
    ],
)
def test_a_part_says_the_type_that_its_bytes_show(data: bytes, kind: str, filename: str) -> None:
    assert parts(edit(data)) == [("image", data, filename, kind)]


def test_a_part_keeps_its_name_and_not_its_wrong_ending() -> None:
    [part] = edit(ImageInput(data=ONE, name="my cat.jpeg")).parts
    assert part.filename == "my cat.png"


def test_mask_and_pictures_are_parts_and_everything_else_is_fields() -> None:
    mask = Mask(png(alpha=True), edit_where="transparent")
    request = edit(
        ONE,
        mask=mask,
        n=2,
        output_compression=80,
        stream=True,
        partial_images=2,
        options=options(
            svg={"model": "m", "reasoning": {"effort": None}},
            extra_body={"flag": False, "scale": 1.5, "tags": ["a", {"b": 1}], "none": [None]},
        ),
    )
    assert (request.method, request.url, request.json) == ("POST", "/images/edits", None)
    assert [name for name, *_ in parts(request)] == ["image", "mask"]
    assert request.parts[1].media_type == "image/png"
    assert request.form == (
        ("prompt", "an otter"),
        ("model", "gpt-image-2.6-sunburst"),
        ("n", "2"),
        ("output_compression", "80"),
        ("svg[model]", "m"),
        ("stream", "true"),
        ("partial_images", "2"),
        ("flag", "false"),
        ("scale", "1.5"),
        ("tags[]", "a"),
        ("tags[][b]", "1"),
    )


def test_a_markup_is_a_part_beside_the_picture_whatever_its_place() -> None:
    drawn = ImageInput(data=TWO, role="markup")
    assert [(one.name, one.data) for one in edit(drawn, ONE).parts] == [
        ("image", ONE),
        ("markup", TWO),
    ]


def test_anything_by_reference_makes_the_edit_json() -> None:
    request = edit(ONE, URL, ProviderFile("file-1"), mask=Mask(TWO, edit_where="transparent"))
    assert request.parts == ()
    assert json_of(request) == {
        "prompt": "an otter",
        "model": "gpt-image-2.6-sunburst",
        "images": [
            {"image_url": "data:image/png;base64," + base64.b64encode(ONE).decode()},
            {"image_url": URL},
            {"file_id": "file-1"},
        ],
        "mask": {"image_url": "data:image/png;base64," + base64.b64encode(TWO).decode()},
    }


def test_a_mask_by_reference_makes_the_edit_json() -> None:
    mask = Mask(ProviderFile("file-2"), edit_where="transparent")
    assert json_of(edit(ONE, mask=mask))["mask"] == {"file_id": "file-2"}


def test_a_moderation_level_makes_the_edit_json_because_the_form_has_none() -> None:
    sent = json_of(edit(ONE, moderation="low"))
    assert sent["moderation"] == "low"
    assert len(sent["images"]) == 1


def test_a_server_that_reads_forms_only_gets_the_moderation_level_in_one() -> None:
    request = edit(ONE, moderation="low", how={"form_only": True})
    assert ("moderation", "low") in request.form
    assert len(request.parts) == 1


def test_a_server_that_reads_forms_only_takes_no_references() -> None:
    with pytest.raises(Unsupported, match="takes pictures in a form"):
        edit(URL, how={"form_only": True})


MARKUP = ImageInput(data=TWO, role="markup")


@pytest.mark.parametrize(
    ("images", "fields", "words"),
    [
        ((ONE, MARKUP, MARKUP), {}, "takes one markup"),
        ((ONE, MARKUP), {"mask": Mask(ONE, edit_where="transparent")}, "not a mask beside it"),
        ((MARKUP,), {}, "needs a picture beside the markup"),
        ((URL, MARKUP), {}, "travels in a form"),
        ((ONE, MARKUP), {"moderation": "low"}, "travels in a form"),
        ((ONE, ImageInput(url=URL, role="markup")), {}, "travels in a form"),
        ((ONE, ImageInput(file_id="file-1", role="markup")), {}, "travels in a form"),
    ],
)
def test_an_edit_that_the_wire_cannot_express_is_never_sent_in_part(
    images: Any, fields: Any, words: str
) -> None:
    with pytest.raises(Unsupported, match=words):
        edit(*images, **fields)


def test_a_variation_is_a_form_without_a_prompt() -> None:
    request = wire.variation(ImageRequest(images=ONE, n=2, size="256x256"))
    assert (request.method, request.url) == ("POST", "/images/variations")
    assert request.form == (
        ("model", "gpt-image-2.6-sunburst"),
        ("n", "2"),
        ("size", "256x256"),
    )
    assert parts(request) == [("image", ONE, "image.png", "image/png")]


def test_a_variation_of_a_reference_cannot_be_written() -> None:
    with pytest.raises(Unsupported, match="takes pictures in a form"):
        wire.variation(ImageRequest(images=URL))


@pytest.mark.parametrize(
    "request_",
    [
        wire.generation(asked(), stream=False),
        wire.edit(asked(images=ONE), stream=False),
        wire.edit(asked(images=URL), stream=False),
        wire.variation(ImageRequest(images=ONE)),
    ],
)
def test_every_request_names_the_key_that_may_hold_a_picture(request_: Any) -> None:
    assert request_.blobs == {"b64_json"}
    assert request_.charges
