"""The official client as a judge that we did not write: what it sends and what it can read.

It sends nothing here either: both clients write into a transport that keeps the request.
"""

from __future__ import annotations

import email
import email.policy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import httpx2
import openai
import pytest
import yaml
from openai.types.image_edit_stream_event import ImageEditStreamEvent
from openai.types.image_gen_stream_event import ImageGenStreamEvent
from openai.types.images_response import ImagesResponse
from openai.types.responses import Response, ResponseStreamEvent
from openai_wire import (
    BLOCKED,
    GIF,
    KEY,
    ONE,
    REASONING,
    SVG,
    SVG_USAGE,
    THREE,
    TWO,
    b64,
    call,
    image_event,
    images_body,
    message,
    output_text,
    png,
    refusal,
    response_body,
    response_stream,
    sse_bytes,
)
from pydantic import BaseModel, TypeAdapter

from imagekit import ImageInput, ImageRequest, Mask, ProviderFile, State
from ways import make

ROOT = Path(__file__).parents[3]
IMAGES, RESPONSES = "openai-images", "openai-responses"
MODEL = "gpt-image-2.6-sunburst"
CONVERSATION = "gpt-6.1-sol"
MASK = png(alpha=True)

# What we do otherwise, and why. Everything else is equal.
HEADERS = {
    "user-agent": "we say who we are",
    "accept": "theirs asks for JSON even where it wants a stream",
    "x-stainless-": "their telemetry",
    "content-length": "follows from the body",
    "content-type": "compared with the body: a boundary is anybody's",
    "connection": "the HTTP library's",
    "accept-encoding": "the HTTP library's",
    "host": "the HTTP library's",
}


@dataclass
class Sent:
    """A request, in a form that can be compared."""

    method: str
    url: str
    kind: str
    json: Any = None
    fields: dict[str, list[str]] = field(default_factory=dict)
    files: list[tuple[str, str | None, str, bytes]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict, compare=False)


def sent(request: httpx.Request | httpx2.Request) -> Sent:
    content = request.read()
    kind = request.headers["content-type"]
    found = Sent(request.method, str(request.url), kind.partition(";")[0])
    found.headers = {name.lower(): value for name, value in request.headers.items()}
    if found.kind == "application/json":
        found.json = json.loads(content)
        return found
    head = f"Content-Type: {kind}\r\n\r\n".encode()
    form = email.message_from_bytes(head + content, policy=email.policy.HTTP)
    for part in form.iter_parts():
        name = str(part.get_param("name", header="content-disposition"))
        data = part.get_payload(decode=True)
        assert isinstance(data, bytes)
        if part.get_filename() is None:
            found.fields.setdefault(name, []).append(data.decode())
        else:
            found.files.append((name, part.get_filename(), part.get_content_type(), data))
    return found


def answer_to(path: str, *, stream: bool) -> tuple[str, bytes]:
    if path.endswith("/responses"):
        events, whole = response_stream(), response_body(call())
    else:
        kind = "image_edit" if path.endswith("edits") else "image_generation"
        events, whole = [image_event(f"{kind}.completed")], images_body()
    if stream:
        return "text/event-stream", sse_bytes(events)
    return "application/json", json.dumps(whole).encode()


def ours(request: ImageRequest, *, provider: str, stream: bool, **client: Any) -> Sent:
    """What we send for a neutral request."""
    seen: list[Sent] = []

    def server(asked: httpx.Request) -> httpx.Response:
        seen.append(sent(asked))
        kind, body = answer_to(asked.url.path, stream=stream)
        return httpx.Response(200, headers={"content-type": kind}, content=body)

    way = "sync streamed" if stream else "sync whole"
    settings = {"api_key": KEY, "env": {}, **client}
    assert make(way, request, handler=server, provider=provider, **settings).images
    [one] = seen
    return one


def theirs(ask: Callable[[openai.OpenAI], Any], *, stream: bool, **client: Any) -> Sent:
    """What the official client sends."""
    seen: list[Sent] = []

    def server(asked: httpx2.Request) -> httpx2.Response:
        seen.append(sent(asked))
        kind, body = answer_to(asked.url.path, stream=stream)
        return httpx2.Response(200, headers={"content-type": kind}, content=body)

    transport = httpx2.MockTransport(server)
    with (
        httpx2.Client(transport=transport) as http,
        openai.OpenAI(api_key=KEY, http_client=http, max_retries=0, **client) as sdk,
    ):
        answer = ask(sdk)
        if stream:
            list(answer)
    [one] = seen
    return one


def file(data: bytes, name: str = "image.png", kind: str = "image/png") -> Any:
    return (name, data, kind)


EVERYTHING: dict[str, Any] = {
    "n": 2,
    "size": "1536x864",
    "quality": "xhigh",
    "background": "opaque",
    "output_format": "webp",
    "output_compression": 80,
    "user": "u-1",
}
BOTH_KNOW: dict[str, Any] = {
    "complexity": "high",
    "frame_count": 4,
    "frame_duration_ms": 50,
    "safety_identifier": "s-1",
    "response_format": "b64_json",
    "svg": {"model": "gpt-6.1-sol", "reasoning": {"effort": "low"}},
}


def of(provider: str = IMAGES, /, **said: Any) -> dict[str, Any]:
    return {"options": {provider: said}}


Case = tuple[dict[str, Any], Callable[..., Any], bool]

# A neutral request, the same call of the official client, and whether it streams.
IMAGE_CASES: dict[str, Case] = {
    "generate": (
        {"model": MODEL},
        lambda sdk: sdk.images.generate(prompt="an otter", model=MODEL),
        False,
    ),
    "generate with everything": (
        {
            "model": "gpt-image-2",
            "moderation": "low",
            **EVERYTHING,
            **of(**BOTH_KNOW, style="vivid"),
        },
        lambda sdk: sdk.images.generate(
            prompt="an otter",
            model="gpt-image-2",
            moderation="low",
            style="vivid",
            **EVERYTHING,
            **BOTH_KNOW,
        ),
        False,
    ),
    "generate a gif": (
        {"model": MODEL, "output_format": "gif", **of(frame_count=16, frame_duration_ms=20)},
        lambda sdk: sdk.images.generate(
            prompt="an otter",
            model=MODEL,
            output_format="gif",
            frame_count=16,
            frame_duration_ms=20,
        ),
        False,
    ),
    "generate an svg": (
        {"model": MODEL, "output_format": "svg", **of(svg={"model": "gpt-6.1-sol"})},
        lambda sdk: sdk.images.generate(
            prompt="an otter", model=MODEL, output_format="svg", svg={"model": "gpt-6.1-sol"}
        ),
        False,
    ),
    "generate with words of any script": (
        {"prompt": "ein Fischotter, かわうそ, 🦦\n\"'\\", "model": MODEL},
        lambda sdk: sdk.images.generate(prompt="ein Fischotter, かわうそ, 🦦\n\"'\\", model=MODEL),
        False,
    ),
    "generate with what neither knows": (
        {"model": MODEL, **of(extra_body={"seed": 7, "lora": {"name": "x"}})},
        lambda sdk: sdk.images.generate(
            prompt="an otter", model=MODEL, extra_body={"seed": 7, "lora": {"name": "x"}}
        ),
        False,
    ),
    "stream": (
        {"model": MODEL},
        lambda sdk: sdk.images.generate(prompt="an otter", model=MODEL, stream=True),
        True,
    ),
    "stream with previews": (
        {"model": MODEL, "partial_images": 3, "quality": "low"},
        lambda sdk: sdk.images.generate(
            prompt="an otter", model=MODEL, stream=True, partial_images=3, quality="low"
        ),
        True,
    ),
    "edit one": (
        {"model": MODEL, "images": ONE},
        lambda sdk: sdk.images.edit(prompt="an otter", model=MODEL, image=file(ONE)),
        False,
    ),
    "edit two": (
        {"model": MODEL, "images": (ONE, TWO)},
        lambda sdk: sdk.images.edit(prompt="an otter", model=MODEL, image=[file(ONE), file(TWO)]),
        False,
    ),
    "edit sixteen": (
        {"model": MODEL, "images": tuple(png(shade) for shade in range(16))},
        lambda sdk: sdk.images.edit(
            prompt="an otter", model=MODEL, image=[file(png(shade)) for shade in range(16)]
        ),
        False,
    ),
    "edit with a mask": (
        {"model": MODEL, "images": ONE, "mask": Mask(MASK, edit_where="transparent")},
        lambda sdk: sdk.images.edit(
            prompt="an otter", model=MODEL, image=file(ONE), mask=file(MASK, "mask.png")
        ),
        False,
    ),
    "edit with a markup": (
        {"model": MODEL, "images": (ONE, ImageInput(data=MASK, role="markup", name="drawn.png"))},
        lambda sdk: sdk.images.edit(
            prompt="an otter", model=MODEL, image=file(ONE), markup=file(MASK, "drawn.png")
        ),
        False,
    ),
    "edit with everything": (
        {
            "model": "gpt-image-2.5-flare",
            "images": ONE,
            **EVERYTHING,
            **of(**BOTH_KNOW, input_fidelity="high"),
        },
        lambda sdk: sdk.images.edit(
            prompt="an otter",
            model="gpt-image-2.5-flare",
            image=file(ONE),
            input_fidelity="high",
            **EVERYTHING,
            **BOTH_KNOW,
        ),
        False,
    ),
    "edit with nulls inside": (
        {"model": MODEL, "images": ONE, **of(svg={"model": "m", "reasoning": {"effort": None}})},
        lambda sdk: sdk.images.edit(
            prompt="an otter",
            model=MODEL,
            image=file(ONE),
            svg={"model": "m", "reasoning": {"effort": None}},
        ),
        False,
    ),
    "edit as a stream": (
        {"model": MODEL, "images": ONE, "partial_images": 2},
        lambda sdk: sdk.images.edit(
            prompt="an otter", model=MODEL, image=file(ONE), stream=True, partial_images=2
        ),
        True,
    ),
}

FORCED: dict[str, Any] = {"tool_choice": {"type": "image_generation"}}


def create(sdk: openai.OpenAI, tool: Any = None, /, input: Any = "an otter", **said: Any) -> Any:
    one = {"type": "image_generation", "model": MODEL, **(tool or {})}
    return sdk.responses.create(
        **{"model": CONVERSATION, "input": input, "tools": [one], **FORCED, **said}
    )


def content(*pictures: dict[str, Any]) -> list[Any]:
    text = {"type": "input_text", "text": "an otter"}
    parts = [{"type": "input_image", **one} for one in pictures]
    return [{"role": "user", "content": [text, *parts]}]


def data_url(data: bytes) -> str:
    return f"data:image/png;base64,{b64(data)}"


STATE = State(
    provider=RESPONSES,
    payload={
        "response_id": "resp_1",
        "items": [
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {"type": "image_generation_call", "id": "ig_1"},
        ],
    },
)
TOOL: dict[str, Any] = {
    "size": "1536x864",
    "quality": "max",
    "background": "opaque",
    "output_format": "jpeg",
    "output_compression": 70,
    "moderation": "low",
}
ONLY_TOOL: dict[str, Any] = {
    "action": "generate",
    "complexity": "medium",
    "frame_count": 4,
    "frame_duration_ms": 50,
    "input_fidelity": "low",
    "svg": {"model": "gpt-6.1-sol", "reasoning": {"effort": "high"}},
}
AROUND: dict[str, Any] = {
    "instructions": "Be brief.",
    "reasoning": {"effort": "low"},
    "store": True,
    "include": ["reasoning.encrypted_content"],
    "metadata": {"team": "art"},
    "service_tier": "flex",
    "truncation": "auto",
    "max_output_tokens": 500,
    "max_tool_calls": 1,
    "parallel_tool_calls": False,
    "prompt_cache_key": "k",
    "safety_identifier": "s-1",
}
RESPONSE_CASES: dict[str, Case] = {
    "create": ({"model": MODEL}, create, False),
    "create with everything in the tool": (
        {"model": MODEL, **TOOL, **of(RESPONSES, **ONLY_TOOL)},
        lambda sdk: create(sdk, {**TOOL, **ONLY_TOOL}),
        False,
    ),
    "create with everything around it": (
        {"model": MODEL, **of(RESPONSES, **AROUND, context_compression="auto")},
        lambda sdk: create(sdk, **AROUND, image={"context_compression": "auto"}),
        False,
    ),
    "create with another choice": (
        {"model": MODEL, **of(RESPONSES, tool_choice="required", conversation="conv_1")},
        lambda sdk: create(sdk, tool_choice="required", conversation="conv_1"),
        False,
    ),
    "create from pictures": (
        {
            "model": MODEL,
            "images": (ONE, ProviderFile("file-1"), "https://pictures.example/cat.png"),
            **of(RESPONSES, detail="high"),
        },
        lambda sdk: create(
            sdk,
            input=content(
                {"image_url": data_url(ONE), "detail": "high"},
                {"file_id": "file-1", "detail": "high"},
                {"image_url": "https://pictures.example/cat.png", "detail": "high"},
            ),
        ),
        False,
    ),
    "create with a mask": (
        {"model": MODEL, "images": ONE, "mask": Mask(MASK, edit_where="transparent")},
        lambda sdk: create(
            sdk,
            {"input_image_mask": {"image_url": data_url(MASK)}},
            input=content({"image_url": data_url(ONE)}),
        ),
        False,
    ),
    "create with a mask they keep": (
        {
            "model": MODEL,
            "images": ONE,
            "mask": Mask(ProviderFile("file-2"), edit_where="transparent"),
        },
        lambda sdk: create(
            sdk,
            {"input_image_mask": {"file_id": "file-2"}},
            input=content({"image_url": data_url(ONE)}),
        ),
        False,
    ),
    "continue a response": (
        {"model": MODEL, "state": STATE},
        lambda sdk: create(sdk, previous_response_id="resp_1"),
        False,
    ),
    "continue a picture": (
        {"model": MODEL, "state": STATE, **of(RESPONSES, continue_by="item")},
        lambda sdk: create(sdk, input=[*STATE.payload["items"], *content()]),  # type: ignore[misc]
        False,
    ),
    "stream": (
        {"model": MODEL, "partial_images": 2},
        lambda sdk: create(
            sdk,
            {"partial_images": 2},
            stream=True,
            stream_options={"include_obfuscation": False},
        ),
        True,
    ),
}

EVERY = [(IMAGES, name, *case) for name, case in IMAGE_CASES.items()]
EVERY += [(RESPONSES, name, *case) for name, case in RESPONSE_CASES.items()]


@pytest.mark.parametrize(
    ("provider", "name", "fields", "ask", "stream"),
    EVERY,
    ids=[f"{provider}: {name}" for provider, name, *_ in EVERY],
)
def test_our_request_is_the_official_clients(
    provider: str, name: str, fields: dict[str, Any], ask: Any, stream: bool
) -> None:
    request = ImageRequest(**{"prompt": "an otter", **fields})
    mine = ours(request, provider=provider, stream=stream)
    assert mine == theirs(ask, stream=stream)


# --- where we differ on purpose


def bare(**fields: Any) -> ImageRequest:
    return ImageRequest(prompt="an otter", **fields)


def test_the_headers_differ_by_those_listed_only() -> None:
    account = {"organization": "org-1", "project": "proj-1"}
    mine = ours(bare(), provider=IMAGES, stream=False, settings=account)
    other = theirs(
        lambda sdk: sdk.images.generate(prompt="an otter", model=MODEL), stream=False, **account
    )

    def told(headers: dict[str, str]) -> dict[str, str]:
        return {
            name: value for name, value in headers.items() if not name.startswith(tuple(HEADERS))
        }

    assert told(mine.headers) == told(other.headers)
    assert told(mine.headers) == {
        "authorization": f"Bearer {KEY}",
        "openai-organization": "org-1",
        "openai-project": "proj-1",
    }


def test_the_environment_means_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    env = {
        "OPENAI_API_KEY": "sk-from-the-environment",
        "OPENAI_BASE_URL": "https://eu.api.openai.com/v1",
        "OPENAI_ORG_ID": "org-1",
        "OPENAI_PROJECT_ID": "proj-1",
        "OPENAI_CUSTOM_HEADERS": "X-Team: art\nOpenAI-Project: proj-2",
    }
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    mine = ours(bare(model=MODEL), provider=IMAGES, stream=False, api_key=None, env=env)
    other = theirs_with_environment()
    assert mine == other
    for name in ("authorization", "openai-organization", "openai-project", "x-team"):
        assert mine.headers[name] == other.headers[name]


def theirs_with_environment() -> Sent:
    seen: list[Sent] = []

    def server(asked: httpx2.Request) -> httpx2.Response:
        seen.append(sent(asked))
        return httpx2.Response(200, json=images_body())

    with (
        httpx2.Client(transport=httpx2.MockTransport(server)) as http,
        openai.OpenAI(http_client=http) as sdk,
    ):
        sdk.images.generate(prompt="an otter", model=MODEL)
    return seen[0]


def test_we_always_name_the_models() -> None:
    mine = ours(bare(), provider=IMAGES, stream=False)
    other = theirs(lambda sdk: sdk.images.generate(prompt="an otter"), stream=False)
    assert mine.json.pop("model") == MODEL
    assert mine == other
    body = ours(bare(), provider=RESPONSES, stream=False).json
    assert (body["model"], body["tools"][0]["model"]) == (CONVERSATION, MODEL)


def test_we_say_what_type_the_bytes_are_where_theirs_says_none() -> None:
    mine = ours(bare(model=MODEL, images=ONE), provider=IMAGES, stream=False)
    other = theirs(
        lambda sdk: sdk.images.edit(prompt="an otter", model=MODEL, image=ONE), stream=False
    )
    assert mine.files == [("image", "image.png", "image/png", ONE)]
    assert other.files == [("image", "upload", "application/octet-stream", ONE)]
    assert mine.fields == other.fields


def test_one_picture_is_no_list_however_it_is_given() -> None:
    mine = ours(bare(model=MODEL, images=[ONE]), provider=IMAGES, stream=False)
    other = theirs(
        lambda sdk: sdk.images.edit(prompt="an otter", model=MODEL, image=[file(ONE)]),
        stream=False,
    )
    assert [name for name, *_ in mine.files] == ["image"]
    assert [name for name, *_ in other.files] == ["image[]"]


def test_we_do_not_ask_for_padding() -> None:
    mine = ours(bare(model=MODEL), provider=RESPONSES, stream=True)
    other = theirs(lambda sdk: create(sdk, stream=True), stream=True)
    assert mine.json.pop("stream_options") == {"include_obfuscation": False}
    assert mine == other


def test_the_official_client_cannot_edit_by_reference() -> None:
    mine = ours(
        bare(model=MODEL, images=ProviderFile("file-1"), moderation="low"),
        provider=IMAGES,
        stream=False,
    )
    assert mine.kind == "application/json"
    assert mine.json["images"] == [{"file_id": "file-1"}]


# --- our literals are well-formed, as far as its types can tell


# The live service echoes it, as recordings show; the client's type does not declare it.
UNDECLARED = {"store"}


def extras(value: Any, where: str = "") -> Iterator[str]:
    """Where *value* holds what the official types do not know."""
    if isinstance(value, BaseModel):
        yield from (f"{where}.{name}" for name in value.model_extra or () if name not in UNDECLARED)
        for name in type(value).model_fields:
            yield from extras(getattr(value, name), f"{where}.{name}")
    elif isinstance(value, list):
        for one in value:
            yield from extras(one, where)


def known(kind: Any, body: Any) -> Any:
    found = TypeAdapter(kind).validate_python(body)
    assert list(extras(found)) == []
    return found


@pytest.mark.parametrize(
    "body",
    [
        images_body(),
        images_body(ONE, TWO, THREE, safety_identifier="s-1"),
        images_body(GIF, output_format="gif"),
        images_body(SVG, output_format="svg", svg_usage=SVG_USAGE),
        images_body(**{name: None for name in images_body() if name != "created"}),
    ],
)
def test_the_answers_of_our_tests_are_images_responses(body: dict[str, Any]) -> None:
    found = known(ImagesResponse, body)
    assert [one.b64_json for one in found.data or ()] == [
        one["b64_json"] for one in body["data"] or ()
    ]


@pytest.mark.parametrize("kind", ["image_generation", "image_edit"])
@pytest.mark.parametrize("what", ["partial_image", "completed"])
def test_the_events_of_our_tests_are_image_events(kind: str, what: str) -> None:
    event = image_event(f"{kind}.{what}")
    if what == "completed":
        del event["usage"]["output_tokens_details"]
    known(ImageEditStreamEvent if kind == "image_edit" else ImageGenStreamEvent, event)


FAILED = call(None, status="failed", error=BLOCKED)


@pytest.mark.parametrize(
    "body",
    [
        response_body(call()),
        response_body(REASONING, call(), message(output_text("Here."))),
        response_body(call(SVG, output_format="svg", svg_usage=SVG_USAGE)),
        response_body(FAILED),
        response_body(message(refusal("I cannot."))),
        response_body(status="incomplete", incomplete_details={"reason": "content_filter"}),
        response_body(status="incomplete", incomplete_details={"reason": "max_output_tokens"}),
        response_body(status="failed", error={"code": "server_error", "message": "m"}),
        response_body(call(**dict.fromkeys(("action", "background", "error", "quality", "size")))),
    ],
)
def test_the_answers_of_our_tests_are_responses(body: dict[str, Any]) -> None:
    known(Response, body)


@pytest.mark.parametrize("event", response_stream(), ids=lambda event: str(event["type"]))
def test_the_events_of_our_tests_are_response_events(event: dict[str, Any]) -> None:
    known(ResponseStreamEvent, event)


def test_both_read_the_same_pictures_out_of_a_stream() -> None:
    def server(asked: httpx2.Request) -> httpx2.Response:
        kind, body = answer_to(asked.url.path, stream=True)
        return httpx2.Response(200, headers={"content-type": kind}, content=body)

    with (
        httpx2.Client(transport=httpx2.MockTransport(server)) as http,
        openai.OpenAI(api_key=KEY, http_client=http) as sdk,
    ):
        events = list(create(sdk, stream=True))
    done = [one.item for one in events if one.type == "response.output_item.done"]
    assert [one.result for one in done] == [b64(ONE)]


# --- cassettes, recorded and transcribed alike


def answers(folder: str) -> list[Any]:
    found = []
    for path in sorted((ROOT / "cassettes" / folder).glob("*.yaml")):
        for exchange in yaml.safe_load(path.read_text())["interactions"]:
            answer = exchange["response"]
            if answer["status"]["code"] == 200:
                found.append(pytest.param(answer, id=path.stem))
    return found


def text_of(answer: dict[str, Any]) -> str:
    body = answer["body"]["string"]
    return body if isinstance(body, str) else body.decode()


@pytest.mark.parametrize("answer", answers(IMAGES))
def test_the_answers_of_a_real_server_are_images_responses(answer: dict[str, Any]) -> None:
    assert ImagesResponse.model_validate_json(text_of(answer)).data


@pytest.mark.parametrize("answer", answers(RESPONSES))
def test_the_transcribed_answers_are_responses_and_their_events(answer: dict[str, Any]) -> None:
    text = text_of(answer)
    if not text.startswith("event:"):
        known(Response, json.loads(text))
        return
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    events = [known(ResponseStreamEvent, json.loads(line)) for line in lines]
    assert [event.sequence_number for event in events] == list(range(len(events)))
