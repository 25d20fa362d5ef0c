"""Proofs for rows of the ledger that no other test is about; see docs/coming-from.md."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import openai
import pytest
from openai.types import (
    ImageEditCompletedEvent,
    ImageEditPartialImageEvent,
    ImageGenCompletedEvent,
    ImageGenPartialImageEvent,
    ImagesResponse,
)
from sent import KEY, MADE, Sent, ours, theirs

import imagekit
import workshop
from imagekit import Completed, ImageInput, ImageRequest, ImageResponse, Mask, PartialImage
from spoken import httpx
from toys import picture
from ways import WAYS, make

# Variations are marked as deprecated there; that is what their rows are about.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

ONE, TWO = picture(10), picture(20)
PROMPT, MODEL = "an otter", "gpt-image-2.6-sunburst"
CLEAR = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABpfZFQAAAAABJRU5ErkJggg=="
)  # a pixel that is transparent
FILE = ("image.png", ONE, "image/png")


# Parameters: each is sent as the official client sends it


def of(**options: Any) -> dict[str, Any]:
    return {"options": {"openai": options}}


def same(**said: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """What we and the official client call by the same name."""
    return said, said


# What is said here, and there. A stream is one where they say `stream`.
DRAWN: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "prompt": same(prompt="ein Otter, 🦦"),
    "model": same(model="gpt-image-2"),
    "n": same(n=3),
    "size": same(size="1536x864"),
    "quality": same(quality="xhigh"),
    "background": same(background="transparent"),
    "output_format": same(output_format="webp"),
    "output_compression": same(output_format="webp", output_compression=80),
    "complexity": (of(complexity="low"), {"complexity": "low"}),
    "frame_count": (of(frame_count=16), {"frame_count": 16}),
    "frame_duration_ms": (of(frame_duration_ms=20), {"frame_duration_ms": 20}),
    "svg": (of(svg={"model": "m"}), {"svg": {"model": "m"}}),
    "svg.model": (of(svg={"model": "m-2"}), {"svg": {"model": "m-2"}}),
    "svg.reasoning": (
        of(svg={"model": "m", "reasoning": {"effort": "max"}}),
        {"svg": {"model": "m", "reasoning": {"effort": "max"}}},
    ),
    "svg.reasoning.effort": (
        of(svg={"reasoning": {"effort": "low"}}),
        {"svg": {"reasoning": {"effort": "low"}}},
    ),
    "stream": ({}, {"stream": True}),
    "partial_images": ({"partial_images": 2}, {"stream": True, "partial_images": 2}),
    "safety_identifier": (of(safety_identifier="s-1"), {"safety_identifier": "s-1"}),
    "user": same(user="u-1"),
    "response_format": (of(response_format="url"), {"response_format": "url"}),
}
GENERATIONS = {
    **DRAWN,
    "moderation": same(moderation="low"),
    "style": ({"options": {"openai-images": {"style": "natural"}}}, {"style": "natural"}),
}
EDITS = {
    **DRAWN,
    "image": ({"images": (ONE,)}, {"image": FILE}),
    "image[]": (
        {"images": (ONE, TWO)},
        {"image": [FILE, ("image.png", TWO, "image/png")]},
    ),
    "mask": ({"mask": Mask(CLEAR, edit_where="transparent")}, {"mask": ("mask.png", CLEAR)}),
    "markup": (
        {"images": (ONE, ImageInput(data=TWO, role="markup", name="markup.png"))},
        {"markup": ("markup.png", TWO)},
    ),
    "input_fidelity": (of(input_fidelity="high"), {"input_fidelity": "high"}),
}
VARIATIONS = {
    "image": ({"images": (ONE,)}, {"image": FILE}),
    "model": same(model="dall-e-3"),
    "n": same(n=3),
    "size": same(size="256x256"),
    "user": same(user="u-1"),
    "response_format": (of(response_format="url"), {"response_format": "url"}),
}


def words(asked: Sent, name: str) -> Any:
    """What a request says under *name*: a value of its JSON, or the parts of its form."""
    first = name.partition(".")[0].removesuffix("[]")
    if asked.json is not None:
        return asked.json[first]
    parts = [part for part in asked.parts if part.name.partition("[")[0] == first]
    assert parts, f"{name} was not sent"
    return parts


def both(
    asked: Mapping[str, Any], ask: Callable[[Any], Any], *, stream: bool, **client: Any
) -> tuple[Sent, Sent]:
    request = ImageRequest(**{"model": MODEL, **asked})
    mine = ours(request, provider="openai-images", stream=stream, **client)
    other = theirs(ask, stream=stream)
    assert mine.path.rpartition("/")[2] == other.path.rpartition("/")[2]
    return mine, other


@pytest.mark.parametrize("name", GENERATIONS)
def test_a_parameter_of_a_generation_is_sent_as_the_official_client_does(name: str) -> None:
    asked, said = GENERATIONS[name]
    said = {"prompt": PROMPT, "model": MODEL, **said}
    mine, other = both(
        {"prompt": PROMPT, **asked},
        lambda sdk: sdk.images.generate(**said),
        stream="stream" in said,
    )
    assert words(mine, name) == words(other, name)


@pytest.mark.parametrize("name", EDITS)
def test_a_parameter_of_an_edit_is_sent_as_the_official_client_does(name: str) -> None:
    asked, said = EDITS[name]
    said = {"prompt": PROMPT, "model": MODEL, "image": FILE, **said}
    mine, other = both(
        {"prompt": PROMPT, "images": (ONE,), **asked},
        lambda sdk: sdk.images.edit(**said),
        stream="stream" in said,
    )
    assert words(mine, name) == words(other, name)


@pytest.mark.parametrize("name", VARIATIONS)
def test_a_parameter_of_a_variation_is_sent_as_the_official_client_does(name: str) -> None:
    asked, said = VARIATIONS[name]
    said = {"model": "dall-e-2", "image": FILE, **said}
    mine, other = both(
        {"model": "dall-e-2", "images": (ONE,), **asked},
        lambda sdk: sdk.images.create_variation(**said),
        stream=False,
        settings={"variations": True},
    )
    assert words(mine, name) == words(other, name)


@pytest.mark.parametrize("stream", [False, True])
def test_no_request_says_what_nobody_declares(stream: bool) -> None:
    """`prompt_rewriter` is named once in OpenAI's words and declared nowhere."""
    request = ImageRequest(prompt=PROMPT)
    assert "prompt_rewriter" not in ours(request, provider="openai-images", stream=stream).text
    said = of(extra_body={"prompt_rewriter": "off"})
    request = ImageRequest(prompt=PROMPT, **said)
    sent = ours(request, provider="openai-images", stream=stream)
    assert sent.json["prompt_rewriter"] == "off"
    wrong = ImageRequest(prompt=PROMPT, **of(prompt_rewriter="off"))
    with pytest.raises(imagekit.RequestError, match="no option 'prompt_rewriter'"):
        ours(wrong, provider="openai-images", stream=stream)


# Fields of an answer: each says here what the official types say

URL = "https://pictures.example/2.png"
ANSWER: dict[str, Any] = {
    "created": 1795200296,
    "background": "transparent",
    "output_format": "webp",
    "quality": "xhigh",
    "size": "16x32",
    "safety_identifier": "s-1",
    "data": [{"b64_json": MADE, "revised_prompt": "An otter."}, {"url": URL}],
    "usage": {
        "input_tokens": 50,
        "input_tokens_details": {"image_tokens": 41, "text_tokens": 9},
        "output_tokens": 196,
        "output_tokens_details": {"image_tokens": 189, "text_tokens": 7},
        "total_tokens": 246,
    },
    "svg_usage": {
        "model": "author",
        "input_tokens": 101,
        "output_tokens": 82,
        "reasoning_tokens": 33,
        "total_tokens": 183,
    },
}


def tokens(response: ImageResponse, model: str | None = None, **wanted: str) -> int:
    assert response.usage is not None
    return int(
        sum(
            item.quantity
            for item in response.usage.items
            if item.model == model
            and all(getattr(item, name) == value for name, value in wanted.items())
        )
    )


def echoed(name: str) -> Callable[[ImageResponse], Any]:
    return lambda response: response.images[0].echo[name]


def counted(*given: Any, **wanted: str) -> Callable[[ImageResponse], Any]:
    return lambda response: tokens(response, *given, **wanted)


FIELDS: dict[str, Callable[[ImageResponse], Any]] = {
    "created": lambda response: response.created and int(response.created.timestamp()),
    "background": echoed("background"),
    "output_format": echoed("output_format"),
    "quality": echoed("quality"),
    "size": echoed("size"),
    "safety_identifier": lambda response: response.metadata["safety_identifier"],
    "data.b64_json": lambda response: base64.b64encode(response.images[0].read()).decode(),
    "data.revised_prompt": lambda response: response.images[0].revised_prompt,
    "data.url": lambda response: response.images[1].url,
    "usage.input_tokens": counted(direction="input"),
    "usage.input_tokens_details.image_tokens": counted(direction="input", modality="image"),
    "usage.input_tokens_details.text_tokens": counted(direction="input", modality="text"),
    "usage.output_tokens": counted(direction="output"),
    "usage.output_tokens_details.image_tokens": counted(direction="output", modality="image"),
    "usage.output_tokens_details.text_tokens": counted(direction="output", modality="text"),
    "usage.total_tokens": counted(),
    "svg_usage.model": lambda response: next(
        item.model for item in response.usage.items if item.model
    ),
    "svg_usage.input_tokens": counted("author", direction="input"),
    "svg_usage.output_tokens": counted("author", direction="output"),
    "svg_usage.reasoning_tokens": counted("author", detail="reasoning"),
    "svg_usage.total_tokens": counted("author"),
}
# Whole objects, of which each part has its own row.
WHOLE = ("data", "usage", "usage.input_tokens_details", "usage.output_tokens_details", "svg_usage")


def answered(**how: Any) -> ImageResponse:
    def server(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=ANSWER, headers={"x-request-id": "req_1"})

    settings = {"api_key": KEY, "env": {}, "provider": "openai-images"}
    request = ImageRequest(prompt=PROMPT, n=2)
    return make("sync whole", request, handler=server, how={"fetch": False, **how}, **settings)


def official(path: str) -> Any:
    """What the official types say stands at *path*."""
    found: Any = ImagesResponse.model_validate(ANSWER)
    for name in path.split("."):
        if isinstance(found, list):
            found = next(one for one in found if getattr(one, name) is not None)
        found = getattr(found, name)
    assert found is not None
    return found


@pytest.mark.parametrize("path", FIELDS)
def test_a_field_of_an_answer_says_what_the_official_types_say(path: str) -> None:
    assert FIELDS[path](answered()) == official(path)


@pytest.mark.parametrize("path", WHOLE)
def test_an_object_of_an_answer_is_there_whole_and_untyped_too(path: str) -> None:
    found = answered(raw=True).raw[0].json()
    for name in path.split("."):
        found = found[name]
    assert found == ANSWER[path] if path in ANSWER else found
    assert len(answered()) == len(ANSWER["data"])
    parts = [one for one in FIELDS if one.startswith(f"{path}.")]
    assert parts
    assert all(FIELDS[one](answered()) == official(one) for one in parts)


def test_the_id_of_the_request_is_in_the_answer() -> None:
    assert answered().request_ids == ("req_1",)


# Events of a stream: each says here what the official types say

ABOUT = {"size": "auto", "quality": "auto", "background": "auto", "output_format": "webp"}
USED = {name: value for name, value in ANSWER["usage"].items() if name != "output_tokens_details"}
PARTIAL = {"b64_json": MADE, "partial_image_index": 1, "created_at": 1795200296, **ABOUT}
COMPLETED = {
    "b64_json": MADE,
    "created_at": 1795200297,
    "usage": USED,
    "safety_identifier": "s-1",
    **ABOUT,
}
TYPES: dict[str, Any] = {
    "image_generation.partial_image": ImageGenPartialImageEvent,
    "image_generation.completed": ImageGenCompletedEvent,
    "image_edit.partial_image": ImageEditPartialImageEvent,
    "image_edit.completed": ImageEditCompletedEvent,
}


def event(kind: str) -> dict[str, Any]:
    body = PARTIAL if kind.endswith("partial_image") else COMPLETED
    found = {"type": kind, **body}
    assert TYPES[kind].model_validate(found).to_dict() == found
    return found


def watched(operation: str) -> tuple[PartialImage, Completed]:
    """The preview and the end of a stream of one preview and one picture."""
    told = [event(f"{operation}.partial_image"), event(f"{operation}.completed")]
    text = "".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in told)

    def server(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text=text, headers={"content-type": "text/event-stream"})

    images = (ONE,) if operation == "image_edit" else ()
    request = ImageRequest(prompt=PROMPT, images=images, partial_images=1)
    seen: list[Any] = []
    settings = {"api_key": KEY, "env": {}, "provider": "openai-images", "events": seen}
    make("sync streamed", request, handler=server, how={"raw": True}, **settings)
    [preview] = [one for one in seen if isinstance(one, PartialImage)]
    assert isinstance(seen[-1], Completed)
    return preview, seen[-1]


def of_preview(name: str) -> Callable[[PartialImage, Completed], Any]:
    return lambda preview, end: preview.image.echo[name]


def of_end(name: str) -> Callable[[PartialImage, Completed], Any]:
    return lambda preview, end: end.response.image.echo[name]


def used(preview: PartialImage, end: Completed) -> dict[str, Any]:
    sides = {
        f"{side}_tokens_details": {
            f"{kind}_tokens": tokens(end.response, direction=side, modality=kind)
            for kind in ("image", "text")
        }
        for side in ("input",)
    }
    return {
        "input_tokens": tokens(end.response, direction="input"),
        **sides,
        "output_tokens": tokens(end.response, direction="output"),
        "total_tokens": tokens(end.response),
    }


READ: dict[str, Callable[[PartialImage, Completed], Any]] = {
    "partial_image.b64_json": lambda preview, end: base64.b64encode(preview.image.read()).decode(),
    "partial_image.partial_image_index": lambda preview, end: preview.step,
    "partial_image.created_at": lambda preview, end: (
        end.response.raw[0].events[0].json()["created_at"]  # type: ignore[union-attr]
    ),
    **{f"partial_image.{name}": of_preview(name) for name in ABOUT},
    "completed.b64_json": lambda preview, end: base64.b64encode(end.response.image.read()).decode(),
    "completed.created_at": lambda preview, end: (
        end.response.created and int(end.response.created.timestamp())
    ),
    **{f"completed.{name}": of_end(name) for name in ABOUT},
    "completed.usage": used,
    "completed.safety_identifier": lambda preview, end: end.response.metadata["safety_identifier"],
}


@pytest.mark.parametrize("operation", ["image_generation", "image_edit"])
@pytest.mark.parametrize("path", READ)
def test_a_field_of_an_event_says_what_the_official_types_say(path: str, operation: str) -> None:
    kind, _, name = path.partition(".")
    found = READ[path](*watched(operation))
    assert found == event(f"{operation}.{kind}")[name]


@pytest.mark.parametrize("kind", TYPES)
def test_an_event_is_told_as_one_of_ours(kind: str) -> None:
    preview, end = watched(kind.partition(".")[0])
    found = preview.image if kind.endswith("partial_image") else end.response.image
    assert base64.b64encode(found.read()).decode() == event(kind)["b64_json"]


# What no longer exists at OpenAI's, on a server that still has it, and on one that has not


@pytest.fixture(scope="module")
def given() -> Iterator[dict[str, Any]]:
    with workshop.given() as found:
        yield found


def client(given: Mapping[str, Any], **how: Any) -> imagekit.Client:
    defaults = {
        "provider": "openai-images",
        "size": "256x256",
        "raw": True,
        "api_key": given["key"],
    }
    return imagekit.Client(**{"base_url": given["server"], **defaults, **how})


@contextmanager
def at_home(given: Mapping[str, Any], **how: Any) -> Iterator[imagekit.Client]:
    """A client that takes the server for OpenAI's own."""
    settings = {"provider": "openai-images", "api_key": given["key"], "raw": True}
    with (
        workshop.Route(given["server"]) as route,
        imagekit.Client(http=route, **settings, **how) as client_,
    ):
        yield client_


@pytest.mark.parametrize("form", ["url", "b64_json"])
def test_variations_are_made_by_a_server_that_still_has_them(given: Any, form: str) -> None:
    with client(given, settings={"variations": True}) as ours_:
        response = ours_.vary(ONE, n=2, **of(response_format=form), fetch=False)
        assert response.raw[0].request.url.endswith("/images/variations")
        assert [image.data is None for image in response] == [form == "url"] * 2
        pictures = [ours_.fetch(image).read() for image in response]
    assert len(set(pictures)) == 2
    assert not response.notices


def test_variations_of_the_official_client_are_ours(given: Any) -> None:
    with (
        client(given, settings={"variations": True}) as mine,
        openai.OpenAI(base_url=given["server"], api_key=given["key"], max_retries=0) as sdk,
    ):
        other = sdk.images.create_variation(image=FILE, size="256x256", response_format="b64_json")
        assert other.data
        assert other.data[0].b64_json == base64.b64encode(mine.vary(ONE).image.read()).decode()


def test_a_variation_at_openai_is_an_edit_that_says_so(given: Any) -> None:
    with at_home(given) as ours_:
        response = ours_.vary(ONE, size="1024x1024")
    assert response.raw[0].request.url.endswith("/images/edits")
    [notice] = response.notices
    assert (notice.kind, notice.feature, notice.wanted) == ("emulated", "operation", "variation")
    assert response.image.width == 1024


@pytest.mark.parametrize("style", ["vivid", "natural"])
def test_a_style_is_taken_by_a_server_that_still_has_it(given: Any, style: str) -> None:
    said = {"options": {"openai-images": {"style": style}}}
    with client(given, model="dall-e-3") as ours_:
        response = ours_.generate(PROMPT, **said)
        assert response.raw[0].request.json["style"] == style
        # The server has heard it: what stands behind it here lacks it, which it says.
        assert "style" in response.http[0].headers["x-imagekit-notices"]
        wrong = {"options": {"openai-images": {"style": "loud"}}}
        with pytest.raises(imagekit.InvalidRequestError) as caught:
            ours_.generate(PROMPT, **wrong)
    assert caught.value.param == "style"
    assert response.image.width == 256


def test_a_style_at_openai_is_sent_with_a_notice_that_its_model_is_gone(given: Any) -> None:
    said = {"options": {"openai-images": {"style": "vivid"}}}
    with at_home(given, fetch=False) as ours_:
        response = ours_.generate(PROMPT, model="dall-e-3", size="1024x1024", **said)
        assert response.raw[0].request.json["style"] == "vivid"
        [notice] = response.notices
        assert (notice.kind, notice.wanted) == ("deprecated", "dall-e-3")
        assert "2026-05-12" in notice.detail
        # No style is made up, and none changes the model.
        plain = ours_.generate(PROMPT, size="1024x1024")
    assert plain.raw[0].request.json.keys() == {"prompt", "model", "size"}


@pytest.mark.parametrize("way", [way for way in WAYS if way.endswith("whole")])
def test_results_that_are_urls_are_fetched_or_left_as_the_caller_likes(
    given: Any, way: str
) -> None:
    request = ImageRequest(prompt=PROMPT, model="dall-e-3", size="256x256")
    settings = {"provider": "openai-images", "base_url": given["server"], "api_key": given["key"]}
    fetched = make(way, request, **settings).image
    left = make(way, request, how={"fetch": False}, **settings).image
    assert left.data is None
    assert left.url is not None
    assert fetched.url is not None
    assert fetched.url != left.url
    with client(given) as ours_:
        assert ours_.fetch(left).read() == fetched.read()
        assert ours_.generate(PROMPT).image.read() == fetched.read()


def test_a_response_format_is_refused_for_the_models_that_lack_it(given: Any) -> None:
    with client(given) as ours_:
        with pytest.raises(imagekit.InvalidRequestError) as caught:
            ours_.generate(PROMPT, model="gpt-image-2", **of(response_format="url"))
        # It is not sent unless it is said.
        assert "response_format" not in ours_.generate(PROMPT).raw[0].request.json
    assert caught.value.param == "response_format"


# Verbs


@pytest.mark.parametrize("way", WAYS)
def test_a_call_sends_all_that_it_says(way: str) -> None:
    seen: list[dict[str, Any]] = []

    def server(request: httpx.Request) -> httpx.Response:
        seen.append(json.loads(request.content))
        return httpx.Response(200, json={"data": [{"b64_json": MADE}]})

    asked = {
        "prompt": PROMPT,
        "model": "dall-e-3",
        "size": "1024x1024",
        "quality": "hd",
        "user": "u-1",
    }
    own = {"style": "vivid", "response_format": "b64_json"}
    request = ImageRequest(**asked, options={"openai-images": own})
    settings = {"api_key": KEY, "env": {}, "provider": "openai-images"}
    assert make(way, request, handler=server, **settings).image.read()
    [sent] = seen
    assert {name: value for name, value in sent.items() if name != "stream"} == {**asked, **own}


@pytest.mark.parametrize("model", ["gpt-image-2.6-sunburst", "dall-e-3"])
@pytest.mark.parametrize("colour", ["sync", "asyncio", "trio"])
def test_a_picture_is_a_file_whether_it_comes_as_bytes_or_by_url(
    given: Any, colour: str, model: str
) -> None:
    settings = {
        "provider": "openai-images",
        "base_url": given["server"],
        "api_key": given["key"],
        "size": "1024x1024",
        "fetch": False,
    }

    async def opened() -> Any:
        async with imagekit.AsyncClient(**settings) as client_:
            return await client_.open_image(PROMPT, model=model)

    with imagekit.Client(**settings) as client_:
        file = client_.open_image(PROMPT, model=model)
        if colour != "sync":
            file = anyio.run(opened, backend=colour)
        response = client_.generate(PROMPT, model=model, n=2, fetch=True)
    assert (file.readable(), file.seekable()) == (True, True)
    assert file.read(8) == b"\x89PNG\r\n\x1a\n"
    assert file.read() == response.images[0].open().read()[8:]
    assert response.images[1].open().read() == response.images[1].data


def test_a_picture_by_url_is_opened_without_the_key(given: Any) -> None:
    """The picture is on another host, which must not learn the key."""
    seen: list[httpx.Request] = []

    def server(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if request.url.host == "pictures.example":
            return httpx.Response(200, content=ONE, headers={"content-type": "image/png"})
        return httpx.Response(200, json={"data": [{"url": URL}]})

    http = httpx.Client(transport=httpx.MockTransport(server))
    settings = {"provider": "openai-images", "api_key": KEY, "env": {}}
    with http, imagekit.Client(http=http, downloads=http, **settings) as client_:
        assert client_.open_image(PROMPT).read() == ONE
    home, abroad = seen
    assert home.headers["authorization"] == f"Bearer {KEY}"
    assert not [name for name, value in abroad.headers.items() if KEY in value]
    assert "api-key" not in abroad.headers


@pytest.mark.parametrize("n", [0, -1, 1001, "many"])
def test_a_count_that_cannot_be_is_an_error_before_anything_is_sent(n: Any) -> None:
    def server(request: httpx.Request) -> httpx.Response:
        raise AssertionError("it was sent")

    http = httpx.Client(transport=httpx.MockTransport(server))
    settings = {"provider": "openai-images", "api_key": KEY, "env": {}}
    with (
        http,
        imagekit.Client(http=http, **settings) as client_,
        pytest.raises(imagekit.RequestError, match="n: "),
    ):
        client_.generate(PROMPT, n=n)


@pytest.mark.parametrize("colour", ["asyncio", "trio"])
def test_cancelling_a_call_breaks_off_its_request(colour: str) -> None:
    left = []

    class Slow(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            scopes[0].cancel()
            try:
                await anyio.sleep_forever()
            except BaseException:
                left.append(request.url.path)
                raise
            raise AssertionError

    async def asked() -> None:
        settings = {"provider": "openai-images", "api_key": KEY, "env": {}}
        async with imagekit.AsyncClient(http=Slow(), **settings) as client_:
            with anyio.CancelScope() as scope:
                scopes.append(scope)
                await client_.generate(PROMPT)

    scopes: list[anyio.CancelScope] = []
    anyio.run(asked, backend=colour)
    assert left == ["/v1/images/generations"]


# Defects that the seeds have


SILENT = {"n", "size", "quality", "background", "output_format", "moderation", "user"}


@pytest.mark.parametrize(
    "said",
    [
        {"background": "transparent"},
        {"output_format": "webp"},
        {"moderation": "low"},
        {"options": {"openai-images": {"style": "vivid"}}},
    ],
    ids=lambda said: "style" if "options" in said else next(iter(said)),
)
def test_no_parameter_changes_the_model(said: dict[str, Any]) -> None:
    for model, sent in (("some-model", "some-model"), (None, "gpt-image-2.6-sunburst")):
        request = ImageRequest(prompt=PROMPT, model=model, **said)
        assert ours(request, provider="openai-images", stream=False).json["model"] == sent


@pytest.mark.parametrize("provider", ["openai-images", "openai-responses"])
def test_nothing_is_sent_that_was_not_said(provider: str) -> None:
    sent = ours(ImageRequest(prompt=PROMPT), provider=provider, stream=False).json
    drawn = sent["tools"][0] if "tools" in sent else sent
    assert not drawn.keys() & (SILENT | {"style", "response_format"})


@pytest.mark.parametrize("provider", ["openai-images", "openai-responses"])
@pytest.mark.parametrize("stream", [False, True])
def test_an_edit_takes_what_a_generation_takes(provider: str, stream: bool) -> None:
    said = {
        "background": "transparent",
        "output_format": "webp",
        "output_compression": 80,
        "quality": "high",
        "size": "1536x864",
    }
    request = ImageRequest(prompt=PROMPT, images=(ONE,), **said, **of(input_fidelity="high"))
    sent = ours(request, provider=provider, stream=stream)
    if sent.json is not None:
        tool = sent.json["tools"][0]
        assert {name: tool[name] for name in (*said, "input_fidelity")} == {
            **said,
            "input_fidelity": "high",
        }
    else:
        found = {part.name: part.data.decode() for part in sent.fields}
        wanted = {**{name: str(value) for name, value in said.items()}, "input_fidelity": "high"}
        assert {name: found.get(name) for name in wanted} == wanted


@pytest.mark.parametrize("provider", ["openai-images", "openai-responses"])
def test_a_stream_is_one_request_and_nothing_is_asked_after_it(given: Any, provider: str) -> None:
    own = {"options": {"openai-responses": {"store": False}}}
    with (
        client(given, provider=provider) as ours_,
        ours_.stream(PROMPT, partial_images=2, **own) as stream,
    ):
        kinds = [one.kind for one in stream]
    assert kinds[-4:] == ["partial-image", "partial-image", "image-ready", "completed"]
    assert [one.request.method for one in stream.response.raw] == ["POST"]
    assert stream.response.image.read()


@pytest.mark.parametrize("colour", ["sync", "asyncio", "trio"])
def test_sixteen_pictures_keep_their_order(given: Any, colour: str) -> None:
    sent = [picture(shade) for shade in range(16)]
    seen: list[bytes] = []

    def server(request: httpx.Request) -> httpx.Response:
        seen.append(request.content)
        return httpx.Response(200, json={"data": [{"b64_json": MADE}]})

    request = ImageRequest(prompt=PROMPT, images=tuple(sent))
    settings = {"api_key": KEY, "env": {}, "provider": "openai-images"}
    make(f"{colour} whole", request, handler=server, **settings)
    places = [seen[0].index(one) for one in sent]
    assert places == sorted(places)


def test_each_limit_is_read_from_its_own_header() -> None:
    headers = {
        "x-ratelimit-limit-requests": "50",
        "x-ratelimit-remaining-requests": "49",
        "x-ratelimit-reset-requests": "1m30s",
        "x-ratelimit-limit-tokens": "1000",
        "x-ratelimit-remaining-tokens": "900",
        "x-ratelimit-reset-tokens": "120ms",
    }

    def server(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"data": [{"b64_json": MADE}]}, headers=headers)

    settings = {"api_key": KEY, "env": {}, "provider": "openai-images"}
    found = make("sync whole", ImageRequest(prompt=PROMPT), handler=server, **settings).rate_limits
    assert found == {
        "requests": imagekit.RateLimit(limit=50, remaining=49, reset=90.0),
        "tokens": imagekit.RateLimit(limit=1000, remaining=900, reset=0.12),
    }


@pytest.mark.parametrize("code", ["moderation_blocked", "invalid_value", 7, None])
def test_the_status_of_an_error_is_its_status_whatever_its_code(code: Any) -> None:
    error = {"message": "no", "type": "invalid_request_error", "code": code, "param": "prompt"}

    def server(request: httpx.Request) -> httpx.Response:
        return httpx.Response(400, json={"error": error}, headers={"x-request-id": "req_1"})

    http = httpx.Client(transport=httpx.MockTransport(server))
    settings = {"provider": "openai-images", "api_key": KEY, "env": {}}
    with (
        http,
        imagekit.Client(http=http, **settings) as client_,
    ):
        for call in (client_.generate, client_.open_image, partial(_streamed, client_)):
            with pytest.raises(imagekit.ProviderError) as caught:
                call(PROMPT)
            assert caught.value.status == 400
            assert caught.value.code == (error["type"] if code is None else str(code))
            assert caught.value.request_id == "req_1"


def _streamed(client_: imagekit.Client, prompt: str) -> None:
    with client_.stream(prompt) as stream:
        stream.finish()


# What else the seeds promise


@pytest.mark.parametrize("carried", [True, False])
def test_streams_and_opened_pictures_raise_whatever_is_said(given: Any, carried: bool) -> None:
    with client(given, raise_on_error=carried) as ours_:
        for call in (
            lambda: ours_.open_image("forbidden"),
            lambda: ours_.open_image("forbidden", raise_on_error=carried),
            lambda: _streamed(ours_, "forbidden"),
        ):
            with pytest.raises(imagekit.ContentRejectedError):
                call()


def test_an_error_is_carried_where_that_is_wanted(given: Any) -> None:
    for how, said in (({"raise_on_error": False}, {}), ({}, {"raise_on_error": False})):
        with client(given, **how) as ours_:
            response = ours_.generate("forbidden", **said)
            assert not response.ok
            assert isinstance(response.error, imagekit.ContentRejectedError)
            assert (response.error.status, response.images) == (400, ())
            with pytest.raises(imagekit.ContentRejectedError):
                _ = response.image
            good = ours_.generate(PROMPT, **said)
            assert (good.ok, good.error) == (True, None)
    with client(given) as ours_, pytest.raises(imagekit.ContentRejectedError):
        ours_.generate("forbidden")


DEFAULTS = {
    "model": ("model-1", "model-2"),
    "size": ("1024x1024", "1536x1024"),
    "quality": ("low", "high"),
    "background": ("opaque", "transparent"),
    "output_format": ("png", "webp"),
    "output_compression": (10, 20),
    "moderation": ("auto", "low"),
    "n": (2, 3),
    "user": ("u-1", "u-2"),
    "style": ("vivid", "natural"),
    "response_format": ("url", "b64_json"),
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_clients_default_fills_in_what_a_call_does_not_say(name: str) -> None:
    seen: list[dict[str, Any]] = []

    def server(request: httpx.Request) -> httpx.Response:
        seen.append(json.loads(request.content))
        return httpx.Response(200, json={"data": [{"b64_json": MADE}]})

    own = name in ("style", "response_format")
    usual, said = (
        {"options": {"openai-images": {name: value}}} if own else {name: value}
        for value in DEFAULTS[name]
    )
    http = httpx.MockTransport(server)
    settings = {"provider": "openai-images", "api_key": KEY, "env": {}, "http": http}
    with imagekit.Client(**settings, **usual) as client_:
        client_.generate(PROMPT)
        client_.generate(PROMPT, **said)
    with imagekit.Client(**settings) as plain:
        if name != "model":
            plain.generate(PROMPT)
            assert name not in seen.pop()
    assert [one[name] for one in seen] == list(DEFAULTS[name])


def test_status_and_headers_are_on_results_and_on_errors(given: Any) -> None:
    with client(given) as ours_:
        [good] = ours_.generate(PROMPT).http
        with pytest.raises(imagekit.ContentRejectedError) as caught:
            ours_.generate("forbidden")
    [bad] = caught.value.http
    assert (good.method, good.status, good.text) == ("POST", 200, None)
    assert good.headers["content-type"].startswith("application/json")
    assert good.headers["x-request-id"]
    assert bad.status == 400
    assert json.loads(bad.text or "")["error"]["code"] == caught.value.code
    assert bad.headers["x-request-id"] == caught.value.request_id


def test_a_file_that_goes_in_is_not_left_open(given: Any, tmp_path: Path) -> None:
    path = tmp_path / "otter.png"
    path.write_bytes(ONE)

    def held() -> int:
        found = 0
        for number in range(256):
            with suppress(OSError):
                found += os.fstat(number).st_ino == path.stat().st_ino
        return found

    with client(given) as ours_:
        with path.open("rb"):
            assert held() == 1
        ours_.edit("add a hat", path, mask=Mask(CLEAR, edit_where="transparent"), size="16x16")
        with pytest.raises(imagekit.ContentRejectedError):
            ours_.edit("forbidden", path)
        assert held() == 0


def test_a_pictures_own_transparency_can_be_its_mask(given: Any) -> None:
    hat = Path("hat.png").read_bytes()
    with client(given, size=None) as ours_:
        response = ours_.edit("a hat", hat, mask=Mask(hat, edit_where="transparent"))
        [kept, mask] = response.raw[0].request.parts
        assert (kept.name, kept.data) == ("image", hat)
        assert (mask.name, mask.data) == ("mask", hat)
        edited = response.image.to_pil().convert("RGB")
        turned = ours_.edit("a hat", hat, mask=Mask(hat, edit_where="opaque")).image.to_pil()
    # The upper half is transparent: it has changed, and the lower half has not.
    assert edited.crop((0, 128, 256, 256)).getcolors() == [(256 * 128, (0, 0, 0))]
    assert len(edited.crop((0, 0, 256, 128)).getcolors(1 << 16) or ()) > 1
    assert len(turned.convert("RGB").crop((0, 128, 256, 256)).getcolors(1 << 16) or ()) > 1


def test_events_that_nobody_here_knows_are_there_untyped() -> None:
    told = [
        {"type": "response.audio.delta", "delta": "AAAA"},
        {
            "type": "response.completed",
            "response": {
                "id": "resp_1",
                "status": "completed",
                "output": [{"type": "image_generation_call", "id": "ig_1", "result": MADE}],
            },
        },
    ]
    text = "".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in told)

    def server(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text=text, headers={"content-type": "text/event-stream"})

    settings = {"api_key": KEY, "env": {}, "provider": "openai-responses", "how": {"raw": True}}
    seen: list[Any] = []
    response = make(
        "sync streamed", ImageRequest(prompt=PROMPT), handler=server, events=seen, **settings
    )
    assert [one.kind for one in seen] == ["image-ready", "completed"]
    [exchange] = response.raw
    assert [one.json() for one in exchange.events] == told  # type: ignore[union-attr]
    assert exchange.json() == told[-1]


@pytest.mark.parametrize("colour", ["sync", "asyncio"])
def test_a_transport_of_the_callers_own_is_used_and_left_open(given: Any, colour: str) -> None:
    class Noted(httpx.BaseTransport, httpx.AsyncBaseTransport):
        seen, closed = 0, 0

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            self.seen += 1
            return httpx.Response(200, json={"data": [{"b64_json": MADE}]})

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return self.handle_request(request)

        def close(self) -> None:
            self.closed += 1

        async def aclose(self) -> None:
            self.close()

    async def asked() -> None:
        async with imagekit.AsyncClient(http=mine, **settings) as client_:
            assert (await client_.generate(PROMPT)).ok

    mine = Noted()
    settings = {"provider": "openai-images", "api_key": KEY, "env": {}}
    if colour == "sync":
        with imagekit.Client(http=mine, **settings) as client_:
            assert client_.generate(PROMPT).ok
    else:
        anyio.run(asked, backend=colour)
    assert (mine.seen, mine.closed) == (1, 0)


def test_a_conversation_goes_on_by_the_response_or_by_its_picture(given: Any) -> None:
    with client(given, provider="openai-responses") as ours_:
        first = ours_.generate(PROMPT)
        assert first.state is not None
        state = imagekit.State.model_validate_json(first.state.model_dump_json())
        by_response = ours_.generate("at night", state=state)
        by_item = ours_.generate("at night", state=state, **of_responses(continue_by="item"))
    sent = by_response.raw[0].request.json
    assert sent["previous_response_id"] == first.metadata["response_id"]
    assert "previous_response_id" not in by_item.raw[0].request.json
    assert first.image.id in json.dumps(by_item.raw[0].request.json)
    # Both are drawn over the first picture.
    assert by_response.image.read() == by_item.image.read() != first.image.read()


def of_responses(**options: Any) -> dict[str, Any]:
    return {"options": {"openai-responses": options}}


def test_a_link_says_until_when_it_holds() -> None:
    signed = "https://pictures.example/1.png?se=2030-01-02T03%3A04%3A05Z&sig=x"

    def server(request: httpx.Request) -> httpx.Response:
        data = [{"url": signed}, {"url": "https://pictures.example/2.png"}]
        return httpx.Response(200, json={"created": 1795200296, "data": data})

    settings = {"api_key": KEY, "env": {}, "provider": "openai-images", "how": {"fetch": False}}
    response = make("sync whole", ImageRequest(prompt=PROMPT, n=2), handler=server, **settings)
    ends = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert [image.expires_at for image in response] == [ends, None]
    assert [image.url for image in response] == [signed, "https://pictures.example/2.png"]
