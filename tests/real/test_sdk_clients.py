"""OpenAI's own Python client, sync and async, against our server: it reads all, and loses nothing.

The client is lenient, so whatever it is answered is also read by its own types, strictly: a field
that they do not know, or a value that they do not allow, is an error here.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, get_type_hints

import httpx
import httpx2
import openai
import pytest
from drawing import SIZE, WORDS, drawn, mask, shades, transparent
from openai.types.image_edit_params import ImageEditParamsBase
from openai.types.image_generate_params import ImageGenerateParamsBase
from openai.types.responses.response_create_params import ResponseCreateParamsBase
from openai.types.responses.tool import ImageGeneration
from openai.types.shared import ErrorObject
from pydantic import TypeAdapter
from tally import Judge

import imagekit
from imagekit import AsyncClient, RetryPolicy
from imagekit.provider import Capabilities, Flow, emit, sleep
from imagekit.server import Limits
from serving import Serving, serving
from strictly import extras, known
from toys import Plugged, Server, Whole, answers, picture, plugins

pytestmark = pytest.mark.real

JUDGE = Judge("the official Python SDK as a client of our server")

MODEL = "gpt-image-2.5-flare"
TOOL = {"type": "image_generation", "size": SIZE}
PNG = picture(90, 64, 64)


# --- the judge: the client, and its types


def strictly(found: Any, raw: Any) -> None:
    """What the client made of *raw* is of its own type, to the letter, and all of it."""
    read = TypeAdapter(type(found)).validate_json(json.dumps(raw), strict=True)
    assert list(extras(read)) == []
    assert read.model_dump(mode="json", by_alias=True, exclude_unset=True) == raw
    assert found.to_dict(mode="json") == raw


# Made once: nothing here is encrypted, and each client would read all certificates.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Heard(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """An answer's body on its way to the client, kept."""

    def __init__(self, stream: Any, kept: bytearray) -> None:
        self._stream, self._kept = stream, kept

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._stream:
            self._kept.extend(piece)
            yield piece

    async def __aiter__(self) -> Any:
        async for piece in self._stream:
            self._kept.extend(piece)
            yield piece

    def close(self) -> None:
        self._stream.close()

    async def aclose(self) -> None:
        await self._stream.aclose()


class Sdk:
    """The client, sync or async, asked alike; what it reads is read strictly beside it."""

    def __init__(self, colour: str, url: str, key: str = "any", **settings: Any) -> None:
        self.body, self.headers, self.count = bytearray(), httpx2.Headers(), 0
        self._loop = asyncio.new_event_loop() if colour == "async" else None
        kinds = {
            "sync": (openai.OpenAI, openai.DefaultHttpxClient, self._hear),
            "async": (openai.AsyncOpenAI, openai.DefaultAsyncHttpxClient, self._hear_async),
        }
        client, http, hook = kinds[colour]
        self.http = http(event_hooks={"response": [hook]}, trust_env=False, verify=NO_TLS)
        self.client: Any = client(api_key=key, base_url=url, http_client=self.http, **settings)

    def _hear(self, answer: httpx2.Response) -> None:
        self.body, self.headers, self.count = bytearray(), answer.headers, self.count + 1
        answer.stream = Heard(answer.stream, self.body)

    async def _hear_async(self, answer: httpx2.Response) -> None:
        self._hear(answer)

    @property
    def notices(self) -> list[str]:
        """What the last answer says went otherwise than asked."""
        said = json.loads(self.headers.get("x-imagekit-notices", "[]"))
        # The provider here gives the same picture whatever is asked; that is told too.
        return [one["feature"] for one in said if one["kind"] != "delivered-differs"]

    def run(self, made: Any) -> Any:
        return self._loop.run_until_complete(made) if self._loop is not None else made

    def do(self, verb: Callable[[Any], Any]) -> Any:
        """What *verb* of the client gives."""
        with JUDGE.asked():
            found = self.run(verb(self.client))
            strictly(found, json.loads(self.body))
        return found

    def events(self, verb: Callable[[Any], Any], until: int | None = None) -> list[Any]:
        """The events of the stream that *verb* opens; left after *until* of them."""
        with JUDGE.asked():
            found = self._async(verb, until) if self._loop else self._sync(verb, until)
            lines = self.body.decode().splitlines()
            said = [json.loads(one[6:]) for one in lines if one.startswith("data: ")]
            assert until is not None or len(said) == len(found)
            for event, raw in zip(found, said, strict=False):
                strictly(event, raw)
        return found

    def _sync(self, verb: Callable[[Any], Any], until: int | None) -> list[Any]:
        found = []
        with verb(self.client) as stream:
            for event in stream:
                found.append(event)
                if len(found) == until:
                    break
        return found

    def _async(self, verb: Callable[[Any], Any], until: int | None) -> list[Any]:
        async def main() -> list[Any]:
            found = []
            async with await verb(self.client) as stream:
                async for event in stream:
                    found.append(event)
                    if len(found) == until:
                        break
            return found

        return self.run(main())

    def refused(self, kind: type[openai.APIStatusError], verb: Callable[[Any], Any]) -> Any:
        """The error that *verb* of the client raises."""
        with JUDGE.asked():
            with pytest.raises(kind) as caught:
                self.run(verb(self.client))
            assert type(caught.value) is kind
            raw = json.loads(self.body)["error"]
            raw.pop("moderation_details", None)
            read = TypeAdapter(ErrorObject).validate_python(raw, strict=True)
            assert list(extras(read)) == []
            assert caught.value.request_id
        return caught.value

    def close(self) -> None:
        self.run(self.client.close())
        if self._loop is not None:
            self._loop.close()


@pytest.fixture(params=["sync", "async"])
def colour(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def connect() -> Iterator[Callable[..., Sdk]]:
    """Makes clients, which are closed at the end."""
    with ExitStack() as stack:

        def make(colour: str, server: Serving, *rest: Any, **settings: Any) -> Sdk:
            made = Sdk(colour, server.url, *rest, **settings)
            stack.callback(made.close)
            return made

        yield make


# --- the servers


class Maker:
    """Makes another picture each time; remembers what it was asked, and what it gave."""

    endpoint = None
    models = (MODEL,)

    def __init__(self, family: str | None = None) -> None:
        self.family = family
        self.go = threading.Event()
        self.forget()

    def forget(self) -> None:
        """Be as new."""
        self.asked: list[imagekit.ImageRequest] = []
        self.made: list[bytes] = []
        # What it raises instead, each once; and whether it waits to be let go.
        self.fails: list[Exception] = []
        self.paced = False
        self.go.clear()

    def capabilities(self, model: str | None) -> Capabilities:
        return Capabilities(
            operations=frozenset({"generate", "edit", "variation"}),
            streaming=True,
            max_images=10,
            max_inputs=16,
            mask="transparent",
        )

    def _picture(self, **known: Any) -> imagekit.Image:
        self.made.append(picture(len(self.made) + 1, 8, 8))
        return imagekit.Image(data=self.made[-1], **known)

    def flow(self, request: imagekit.ImageRequest, *, stream: bool) -> Flow:
        self.asked.append(request)
        if self.fails:
            raise self.fails.pop(0)
        for step in range((request.partial_images or 0) if stream else 0):
            preview = imagekit.Image(data=picture(200 + step, 8, 8))
            yield from emit(imagekit.PartialImage(index=0, step=step, image=preview))
        while self.paced and not self.go.is_set():
            yield from sleep(0.01)
        slots = tuple(
            self._picture(revised_prompt="revised", echo={"quality": "high"})
            for _ in range(request.n)
        )
        for index, image in enumerate(slots):
            yield from emit(imagekit.ImageReady(index=index, image=image))
        counts = [("input", "text", 7), ("input", "image", 5), ("output", "image", 90)]
        items = [
            imagekit.UsageItem(quantity=many, direction=way, modality=what)
            for way, what, many in counts
        ]
        led = {"model": "gpt-6.1-sol", "modality": "text"}
        items += [
            imagekit.UsageItem(quantity=30, direction="input", **led),
            imagekit.UsageItem(quantity=4, direction="output", **led),
            imagekit.UsageItem(quantity=2, direction="output", detail="reasoning", **led),
        ]
        usage = imagekit.Usage(items=tuple(items))
        return imagekit.ImageResponse(slots=slots, model=request.model, usage=usage)


@contextmanager
def in_front_of(maker: Maker, name: str = "toy", **settings: Any) -> Iterator[Serving]:
    with serving(register={name: Plugged(maker)}, **settings) as server:
        yield server


@pytest.fixture(scope="module")
def sketch() -> Iterator[Serving]:
    with serving(provider="sketch") as server:
        yield server


# Toys by the name they go by, and the family they are of.
PROVIDERS = {"openai-images": "openai", "openai-responses": "openai", "toy": None}


@pytest.fixture(scope="module")
def stage() -> Iterator[dict[str, tuple[Maker, Serving]]]:
    """A server in front of each toy."""
    with ExitStack() as stack:
        found = {}
        for name, family in PROVIDERS.items():
            maker = Maker(family)
            found[name] = maker, stack.enter_context(in_front_of(maker, name))
        yield found


@pytest.fixture
def provider() -> str:
    """Which of the toys it is, where a test does not say."""
    return "toy"


@pytest.fixture
def maker(stage: Any, provider: str) -> Maker:
    found: Maker = stage[provider][0]
    found.forget()
    return found


@pytest.fixture
def toy(stage: Any, provider: str) -> Serving:
    """The server in front of the maker."""
    found: Serving = stage[provider][1]
    return found


def pictures(answer: Any) -> list[bytes]:
    """The pictures of an answer of the Images API."""
    return [base64.b64decode(one.b64_json, validate=True) for one in answer.data]


def results(response: Any) -> list[bytes]:
    """The pictures of a response."""
    calls = [one for one in response.output if one.type == "image_generation_call"]
    return [base64.b64decode(one.result, validate=True) for one in calls]


def data_url(data: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


# --- the Images API


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "gif", "svg"])
def test_a_picture_of_any_format_is_the_one_the_provider_made(
    connect: Any, colour: str, sketch: Serving, kind: str
) -> None:
    sdk = connect(colour, sketch)
    answer = sdk.do(
        lambda c: c.images.generate(model=MODEL, prompt=WORDS, size=SIZE, output_format=kind)
    )
    assert pictures(answer) == drawn(size=SIZE, output_format=kind)
    assert (answer.output_format, answer.size) == (kind, SIZE)


def test_ten_pictures_come_in_their_order(connect: Any, colour: str, sketch: Serving) -> None:
    sdk = connect(colour, sketch)
    answer = sdk.do(lambda c: c.images.generate(prompt=WORDS, size="32x32", n=10))
    assert pictures(answer) == drawn(size="32x32", n=10)


def test_what_the_provider_counts_and_says_is_in_the_answer(
    connect: Any, colour: str, toy: Serving, maker: Maker
) -> None:
    answer = connect(colour, toy).do(
        lambda c: c.images.generate(model=MODEL, prompt=WORDS, n=2, user="somebody")
    )
    assert pictures(answer) == maker.made
    assert [one.revised_prompt for one in answer.data] == ["revised", "revised"]
    assert answer.usage.to_dict() == {
        "input_tokens": 12,
        "input_tokens_details": {"text_tokens": 7, "image_tokens": 5},
        "output_tokens": 90,
        "output_tokens_details": {"text_tokens": 0, "image_tokens": 90},
        "total_tokens": 102,
    }
    assert (answer.quality, answer.size, answer.output_format) == ("high", "8x8", "png")
    assert answer.safety_identifier == "somebody"


@pytest.mark.parametrize("count", [1, 4, 16])
def test_one_and_four_and_sixteen_pictures_are_edited_in_their_order(
    connect: Any, colour: str, sketch: Serving, count: int
) -> None:
    given = shades(count)
    parts = [(f"{place}.png", data, "image/png") for place, data in enumerate(given)]
    answer = connect(colour, sketch).do(
        lambda c: c.images.edit(
            model=MODEL, image=parts[0] if count == 1 else parts, prompt=WORDS, size=SIZE
        )
    )
    assert pictures(answer) == drawn(images=given, size=SIZE)


def test_a_mask_keeps_what_is_opaque_in_it(connect: Any, colour: str, sketch: Serving) -> None:
    half = transparent()
    answer = connect(colour, sketch).do(
        lambda c: c.images.edit(image=("a.png", PNG), mask=("m.png", half), prompt=WORDS, size=SIZE)
    )
    assert pictures(answer) == drawn(images=[PNG], mask=mask(half), size=SIZE)
    assert pictures(answer) != drawn(images=[PNG], size=SIZE)


def test_a_markup_is_the_last_of_the_pictures(
    connect: Any, colour: str, toy: Serving, maker: Maker
) -> None:
    markup = transparent()
    connect(colour, toy).do(
        lambda c: c.images.edit(image=("a.png", PNG), markup=("m.png", markup), prompt=WORDS)
    )
    [asked] = maker.asked
    assert [one.data for one in asked.images] == [PNG, markup]
    assert [one.role for one in asked.images] == ["source", "markup"]


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
def test_a_variation_is_a_link_to_the_picture_that_was_made(
    connect: Any, colour: str, sketch: Serving
) -> None:
    sdk = connect(colour, sketch)
    answer = sdk.do(lambda c: c.images.create_variation(image=("a.png", PNG), n=2, size="256x256"))
    expected = drawn(None, images=[PNG], n=2, size="256x256")
    assert [httpx.get(one.url).content for one in answer.data] == expected
    bare = sdk.do(
        lambda c: c.images.create_variation(image=("a.png", PNG), response_format="b64_json")
    )
    assert pictures(bare) == drawn(None, images=[PNG])


def test_a_model_of_old_answers_with_links(connect: Any, colour: str, sketch: Serving) -> None:
    answer = connect(colour, sketch).do(
        lambda c: c.images.generate(model="dall-e-3", prompt=WORDS, size=SIZE, style="vivid")
    )
    assert [httpx.get(one.url).content for one in answer.data] == drawn(size=SIZE)


@pytest.mark.parametrize("partial", [0, 3])
@pytest.mark.parametrize("verb", ["generate", "edit"])
def test_an_image_stream_ends_in_the_picture_that_was_made(
    connect: Any, colour: str, sketch: Serving, verb: str, partial: int
) -> None:
    beside = {"image": ("a.png", PNG)} if verb == "edit" else {}
    events = connect(colour, sketch).events(
        lambda c: getattr(c.images, verb)(
            prompt=WORDS, size=SIZE, stream=True, partial_images=partial, **beside
        )
    )
    kind = "image_edit" if verb == "edit" else "image_generation"
    previews = [f"{kind}.partial_image"] * partial
    assert [one.type for one in events] == [*previews, f"{kind}.completed"]
    assert [one.partial_image_index for one in events[:-1]] == list(range(partial))
    given = [PNG] if verb == "edit" else []
    assert base64.b64decode(events[-1].b64_json) == drawn(images=given, size=SIZE)[0]


def test_previews_and_usage_of_an_image_stream_are_the_providers(
    connect: Any, colour: str, toy: Serving, maker: Maker
) -> None:
    *previews, last = connect(colour, toy).events(
        lambda c: c.images.generate(prompt=WORDS, stream=True, partial_images=2)
    )
    shown = [base64.b64decode(one.b64_json) for one in previews]
    assert shown == [picture(200 + step, 8, 8) for step in range(2)]
    assert base64.b64decode(last.b64_json) == maker.made[0]
    assert last.usage.total_tokens == 102


# --- every parameter

# A value of each; what else it needs; and where in the neutral request it arrives: in a field, or
# with a dot among the options, of the family, or of the one provider that speaks that API.
DRAWN: dict[str, tuple[Any, dict[str, Any], str]] = {
    "background": ("opaque", {}, "background"),
    "complexity": ("low", {}, ".complexity"),
    "frame_count": (3, {"output_format": "gif"}, ".frame_count"),
    "frame_duration_ms": (100, {"output_format": "gif"}, ".frame_duration_ms"),
    "model": (MODEL, {}, "model"),
    "moderation": ("low", {}, "moderation"),
    "output_compression": (50, {"output_format": "webp"}, "output_compression"),
    "output_format": ("jpeg", {}, "output_format"),
    "partial_images": (2, {"stream": True}, "partial_images"),
    "quality": ("xhigh", {}, "quality"),
    "size": ("1536x864", {}, "size"),
    "svg": ({"model": "m", "reasoning": {"effort": "high"}}, {"output_format": "svg"}, ".svg"),
}
IMAGES = {
    **DRAWN,
    "n": (3, {}, "n"),
    "prompt": (WORDS, {}, "prompt"),
    "safety_identifier": ("u-1", {}, ".safety_identifier"),
    "user": ("u-1", {}, "user"),
}
GENERATE = {**IMAGES, "style": ("vivid", {"model": "dall-e-3"}, ".style")}
EDIT = {name: said for name, said in IMAGES.items() if name != "moderation"} | {
    "input_fidelity": ("high", {}, ".input_fidelity")
}
# Pictures have tests of their own; the format of an answer is not the provider's to know.
BESIDE = {"image", "markup", "mask", "response_format"}
# What the server itself acts on.
ACTED_ON = {"action": ("generate", {}, "")}
TOOLS = {**DRAWN, **ACTED_ON, "input_fidelity": ("high", {}, ".input_fidelity")}


def test_the_tables_name_every_parameter_that_the_client_declares() -> None:
    with JUDGE.asked():
        assert set(GENERATE) == set(get_type_hints(ImageGenerateParamsBase)) - BESIDE
    with JUDGE.asked():
        assert set(EDIT) == set(get_type_hints(ImageEditParamsBase)) - BESIDE
    with JUDGE.asked():
        assert set(TOOLS) == set(ImageGeneration.model_fields) - {"type", "input_image_mask"}


def missed(maker: Maker, where: str, name: str, value: Any) -> set[str]:
    """By which names a parameter has to be in the notices: none where it arrived."""
    [request] = maker.asked
    if where and not where.startswith("."):
        assert getattr(request, where) == value
        return set()
    [said] = request.options.values() or [{}]
    if not where or said.get(name) == value:
        return set()
    return {"svg.model", "svg.reasoning.effort"} if name == "svg" else {name}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("verb", "name"),
    [("generate", name) for name in GENERATE] + [("edit", name) for name in EDIT],
)
def test_an_images_parameter_reaches_the_provider_or_is_answered_by_a_notice(
    connect: Any, colour: str, toy: Serving, maker: Maker, verb: str, name: str, provider: str
) -> None:
    value, more, where = (GENERATE if verb == "generate" else EDIT)[name]
    said = {"prompt": WORDS, **more, name: value}
    if verb == "edit":
        said["image"] = ("a.png", PNG)
    sdk = connect(colour, toy)
    ask = sdk.events if "stream" in more else sdk.do
    ask(lambda c: getattr(c.images, verb)(**said))
    missing = missed(maker, where, name, value)
    assert missing == set(sdk.notices)
    assert not missing or provider != "openai-images"


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("name", TOOLS)
def test_a_tool_parameter_reaches_the_provider_or_is_answered_by_a_notice(
    connect: Any, colour: str, toy: Serving, maker: Maker, name: str, provider: str
) -> None:
    value, more, where = TOOLS[name]
    beside = {"stream": True} if "stream" in more else {}
    more = {key: of for key, of in more.items() if key != "stream"}
    tool = {"type": "image_generation", **more, name: value}
    sdk = connect(colour, toy)
    ask = sdk.events if beside else sdk.do
    found = ask(lambda c: c.responses.create(input=WORDS, tools=[tool], **beside))
    missing = missed(maker, where, name, value)
    assert missing == set(sdk.notices)
    assert not missing or provider != "openai-responses"
    response = found[-1].response if beside else found
    assert response.tools[0].to_dict() == tool


@pytest.mark.parametrize("provider", PROVIDERS)
def test_instructions_reach_the_provider_or_are_answered_by_a_notice(
    connect: Any, colour: str, toy: Serving, maker: Maker, provider: str
) -> None:
    sdk = connect(colour, toy)
    sdk.do(lambda c: c.responses.create(input=WORDS, tools=[TOOL], instructions="Be brief."))
    assert missed(maker, ".", "instructions", "Be brief.") == set(sdk.notices)


@pytest.mark.parametrize("effort", ["none", "low", "medium", "high", "xhigh", "max"])
def test_every_effort_that_the_service_knows_is_taken(
    connect: Any, colour: str, toy: Serving, effort: str
) -> None:
    said = {"output_format": "svg", "svg": {"reasoning": {"effort": effort}}}
    sdk = connect(colour, toy)
    sdk.do(lambda c: c.images.generate(prompt=WORDS, **said))
    sdk.do(lambda c: c.responses.create(input=WORDS, tools=[{"type": "image_generation", **said}]))


MINIMAL = "it declares an effort `minimal` for the author of an SVG; the service, and so we, refuse"


def test_the_effort_that_the_service_refuses_is_refused(connect: Any, toy: Serving) -> None:
    sdk = connect("sync", toy)
    said = {"output_format": "svg", "svg": {"reasoning": {"effort": "minimal"}}}
    with JUDGE.asked(differs=MINIMAL), pytest.raises(openai.BadRequestError) as caught:
        sdk.client.images.generate(prompt=WORDS, **said)
    assert caught.value.param == "svg.reasoning.effort"


# What stands beside the tool: a value of each, and where it arrives; "" is "in the answer".
RESPONSES: dict[str, tuple[Any, str]] = {
    "include": (["reasoning.encrypted_content"], "include"),
    "instructions": ("Be brief.", "instructions"),
    "max_output_tokens": (400, "max_output_tokens"),
    "max_tool_calls": (2, "max_tool_calls"),
    "metadata": ({"a": "b"}, "metadata"),
    "model": ("gpt-6.1-sol", "conversation_model"),
    "parallel_tool_calls": (False, "parallel_tool_calls"),
    "prompt_cache_key": ("k", "prompt_cache_key"),
    "reasoning": ({"effort": "low", "summary": "auto"}, "reasoning"),
    "safety_identifier": ("u-1", "safety_identifier"),
    "service_tier": ("flex", "service_tier"),
    "store": (False, "store"),
    "temperature": (0.5, ""),
    "text": ({"format": {"type": "text"}, "verbosity": "low"}, ""),
    "tool_choice": ({"type": "image_generation"}, "tool_choice"),
    "top_p": (0.5, ""),
    "truncation": ("auto", "truncation"),
    "user": ("u-1", ""),
}
QUIET = {
    "moderation": {"model": "omni-moderation-latest"},
    "prompt_cache_options": {"mode": "implicit"},
    "prompt_cache_retention": "24h",
    "top_logprobs": 0,
}
REFUSED = {
    "context_management": [{"type": "compaction"}],
    "conversation": "conv_1",
    "prompt": {"id": "pmpt_1"},
}
ELSEWHERE = {"background", "image", "input", "previous_response_id", "stream_options", "tools"}


def test_the_tables_name_every_parameter_of_a_response() -> None:
    with JUDGE.asked():
        declared = set(get_type_hints(ResponseCreateParamsBase))
        assert set(RESPONSES) | set(QUIET) | set(REFUSED) | ELSEWHERE == declared - {
            "access_programs"
        }


@pytest.mark.parametrize("provider", ["openai-responses"])
@pytest.mark.parametrize("name", RESPONSES)
def test_what_stands_beside_the_tool_reaches_the_provider_or_the_answer(
    connect: Any, colour: str, toy: Serving, maker: Maker, name: str, provider: str
) -> None:
    value, where = RESPONSES[name]
    found = connect(colour, toy).do(
        lambda c: c.responses.create(input=WORDS, tools=[TOOL], **{name: value})
    )
    if where:
        assert maker.asked[0].options[provider][where] == value
    else:
        assert found.to_dict()[name] == value


@pytest.mark.parametrize("name", QUIET)
def test_what_changes_no_picture_is_taken(
    connect: Any, colour: str, toy: Serving, maker: Maker, name: str
) -> None:
    connect(colour, toy).do(
        lambda c: c.responses.create(input=WORDS, tools=[TOOL], **{name: QUIET[name]})
    )
    assert len(maker.made) == 1


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_server_does_not_do_is_an_error_by_name(
    connect: Any, colour: str, toy: Serving, maker: Maker, name: str
) -> None:
    error = connect(colour, toy).refused(
        openai.BadRequestError,
        lambda c: c.responses.create(input=WORDS, tools=[TOOL], **{name: REFUSED[name]}),
    )
    assert (error.param, error.code) == (name, "unsupported_parameter")
    assert not maker.asked


# --- the Responses API


def test_a_response_holds_the_picture_that_was_made(
    connect: Any, colour: str, sketch: Serving
) -> None:
    sdk = connect(colour, sketch)
    answer = sdk.do(lambda c: c.responses.create(model=MODEL, input=WORDS, tools=[TOOL]))
    assert (answer.status, answer.error) == ("completed", None)
    assert results(answer) == drawn(size=SIZE)
    assert sdk.do(lambda c: c.responses.retrieve(answer.id)).to_dict() == answer.to_dict()


def test_what_the_provider_counts_and_says_is_in_the_response(
    connect: Any, colour: str, toy: Serving, maker: Maker
) -> None:
    answer = connect(colour, toy).do(lambda c: c.responses.create(input=WORDS, tools=[TOOL]))
    assert results(answer) == maker.made
    [call] = answer.output
    assert (call.revised_prompt, call.quality, call.size) == ("revised", "high", "8x8")
    assert answer.usage.total_tokens == 36
    assert answer.usage.output_tokens_details.reasoning_tokens == 2
    assert answer.tool_usage.image_gen.total_tokens == 102


def test_a_response_edits_sixteen_pictures_by_a_mask(
    connect: Any, colour: str, sketch: Serving
) -> None:
    given, half = shades(16), transparent()
    content = [{"type": "input_text", "text": WORDS}]
    content += [{"type": "input_image", "image_url": data_url(one)} for one in given]
    tool = {**TOOL, "action": "edit", "input_image_mask": {"image_url": data_url(half)}}
    answer = connect(colour, sketch).do(
        lambda c: c.responses.create(input=[{"role": "user", "content": content}], tools=[tool])
    )
    assert results(answer) == drawn(images=given, mask=mask(half), size=SIZE)
    assert answer.output[0].action == "edit"


STEPS = ["in_progress", "generating", "partial_image", "partial_image", "completed"]
EVENTS = [
    "response.created",
    "response.in_progress",
    "response.output_item.added",
    *(f"response.image_generation_call.{step}" for step in STEPS),
    "response.output_item.done",
    "response.completed",
]


def test_a_response_is_streamed_in_the_events_and_order_of_the_api(
    connect: Any, colour: str, sketch: Serving
) -> None:
    tool = {**TOOL, "partial_images": 2}
    sdk = connect(colour, sketch)
    events = sdk.events(lambda c: c.responses.create(input=WORDS, tools=[tool], stream=True))
    assert [one.type for one in events] == EVENTS
    assert [one.sequence_number for one in events] == list(range(len(EVENTS)))
    assert results(events[-1].response) == drawn(size=SIZE)
    kept = sdk.do(lambda c: c.responses.retrieve(events[-1].response.id))
    assert kept.to_dict() == events[-1].response.to_dict()


def test_the_clients_own_account_of_a_stream_ends_in_the_response(
    connect: Any, sketch: Serving
) -> None:
    sdk = connect("sync", sketch)
    with (
        JUDGE.asked(),
        sdk.client.responses.stream(model=MODEL, input=WORDS, tools=[TOOL]) as stream,
    ):
        final = stream.get_final_response()
        assert results(final) == drawn(size=SIZE)


def test_a_conversation_goes_on_from_the_response_before_or_from_its_items(
    connect: Any, colour: str, sketch: Serving
) -> None:
    sdk = connect(colour, sketch)
    first = sdk.do(lambda c: c.responses.create(input=WORDS, tools=[TOOL]))
    by_id = sdk.do(
        lambda c: c.responses.create(
            input="with a tail", tools=[TOOL], previous_response_id=first.id
        )
    )
    items = [
        {"role": "user", "content": WORDS},
        *(one.to_dict() for one in first.output),
        {"role": "user", "content": "with a tail"},
    ]
    by_items = sdk.do(lambda c: c.responses.create(input=items, tools=[TOOL]))
    expected = drawn("with a tail", images=results(first), size=SIZE)
    assert results(by_id) == results(by_items) == expected


def test_a_response_made_in_the_background_is_asked_for_until_it_is_done(
    connect: Any, colour: str, toy: Serving, maker: Maker
) -> None:
    maker.paced = True
    sdk = connect(colour, toy)
    first = sdk.do(lambda c: c.responses.create(input=WORDS, tools=[TOOL], background=True))
    assert first.status in ("queued", "in_progress")
    assert sdk.do(lambda c: c.responses.retrieve(first.id)).status == "in_progress"
    maker.go.set()
    found = first
    while found.status in ("queued", "in_progress"):
        time.sleep(0.02)
        found = sdk.do(lambda c: c.responses.retrieve(first.id))
    assert (found.status, results(found)) == ("completed", maker.made)


def test_a_background_response_is_cancelled_and_then_forgotten(
    connect: Any, colour: str, toy: Serving, maker: Maker
) -> None:
    maker.paced = True
    sdk = connect(colour, toy)
    first = sdk.do(lambda c: c.responses.create(input=WORDS, tools=[TOOL], background=True))
    ended = sdk.do(lambda c: c.responses.cancel(first.id))
    assert (ended.id, ended.status) == (first.id, "cancelled")
    assert sdk.do(lambda c: c.responses.cancel(first.id)).status == "cancelled"
    assert sdk.do(lambda c: c.responses.retrieve(first.id)).status == "cancelled"
    with JUDGE.asked():
        assert sdk.run(sdk.client.responses.delete(first.id)) is None
    sdk.refused(openai.NotFoundError, lambda c: c.responses.retrieve(first.id))
    sdk.refused(openai.NotFoundError, lambda c: c.responses.delete(first.id))


def test_a_response_that_is_not_in_the_background_is_not_cancelled(
    connect: Any, colour: str, sketch: Serving
) -> None:
    sdk = connect(colour, sketch)
    made = sdk.do(lambda c: c.responses.create(input=WORDS, tools=[TOOL]))
    sdk.refused(openai.BadRequestError, lambda c: c.responses.cancel(made.id))


@pytest.mark.parametrize("live", [False, True])
def test_a_stream_that_was_left_goes_on_from_any_event(
    connect: Any, colour: str, toy: Serving, maker: Maker, live: bool
) -> None:
    maker.paced = live
    sdk = connect(colour, toy)
    tool = {**TOOL, "partial_images": 2}
    begun = sdk.events(
        lambda c: c.responses.create(input=WORDS, tools=[tool], background=True, stream=True),
        until=4,
    )
    id = begun[0].response.id
    if live:
        threading.Timer(0.1, maker.go.set).start()
    else:
        while sdk.do(lambda c: c.responses.retrieve(id)).status != "completed":
            time.sleep(0.02)
    whole = sdk.events(lambda c: c.responses.retrieve(id, stream=True))
    assert [one.sequence_number for one in whole] == list(range(len(whole)))
    assert whole[-1].type == "response.completed"
    assert [one.to_dict() for one in whole[:4]] == [one.to_dict() for one in begun]
    for after in (0, 3, len(whole) - 1):
        rest = sdk.events(
            lambda c, n=after: c.responses.retrieve(id, stream=True, starting_after=n)
        )
        assert [one.to_dict() for one in rest] == [one.to_dict() for one in whole[after + 1 :]]


def test_a_refused_picture_is_a_failed_call_with_its_reason(
    connect: Any, colour: str, toy: Serving, maker: Maker
) -> None:
    blocked = imagekit.ContentRejectedError("It is too violent.", stage="input", categories=("x",))
    maker.fails = [blocked]
    sdk = connect(colour, toy)
    tool = {**TOOL, "partial_images": 1}
    last = sdk.events(lambda c: c.responses.create(input=WORDS, tools=[tool], stream=True))[-1]
    [call] = last.response.output
    assert (call.status, call.result, call.error.code) == ("failed", None, "moderation_blocked")
    assert call.error.moderation_details.categories == ["x"]


@pytest.mark.parametrize("background", [False, True])
def test_a_failed_response_says_why(
    connect: Any, colour: str, toy: Serving, maker: Maker, background: bool
) -> None:
    maker.fails = [imagekit.ProviderUnavailableError("down", status=503)]
    events = connect(colour, toy).events(
        lambda c: c.responses.create(input=WORDS, tools=[TOOL], stream=True, background=background)
    )
    assert events[-1].type == "response.failed"
    assert events[-1].response.status == "failed"
    assert events[-1].response.error.code == "server_error"


def test_what_a_stopped_server_did_not_finish_is_told_by_the_next(
    connect: Any, colour: str, tmp_path: Path
) -> None:
    maker = Maker()
    maker.paced = True
    tool = {**TOOL, "partial_images": 1}
    kept = {"database": tmp_path / "kept.sqlite", "limits": Limits(grace=0.2)}
    with in_front_of(maker, **kept) as server:
        sdk = connect(colour, server)
        begun = sdk.events(
            lambda c: c.responses.create(input=WORDS, tools=[tool], stream=True, background=True),
            until=7,
        )
    with in_front_of(maker, **kept) as server:
        sdk = connect(colour, server)
        found = sdk.do(lambda c: c.responses.retrieve(begun[0].response.id))
        assert (found.status, found.error.code) == ("failed", "server_error")
        assert [one.status for one in found.output] == ["failed"]
        told = sdk.events(lambda c: c.responses.retrieve(found.id, stream=True))
        assert told[-1].response.to_dict() == found.to_dict()


# --- files


def test_a_file_is_a_picture_of_a_conversation_and_of_an_edit(
    connect: Any, colour: str, sketch: Serving
) -> None:
    sdk = connect(colour, sketch)
    file = sdk.do(lambda c: c.files.create(file=("a.png", PNG), purpose="vision"))
    assert (file.filename, file.bytes) == ("a.png", len(PNG))
    assert sdk.do(lambda c: c.files.retrieve(file.id)).to_dict() == file.to_dict()
    content = [
        {"type": "input_text", "text": WORDS},
        {"type": "input_image", "file_id": file.id, "detail": "auto"},
    ]
    said = [{"role": "user", "content": content}]
    answer = sdk.do(lambda c: c.responses.create(input=said, tools=[TOOL]))
    assert results(answer) == drawn(images=[PNG], size=SIZE)
    body = {"images": [{"file_id": file.id}], "prompt": WORDS, "size": SIZE}
    edited = sdk.do(
        lambda c: c.post("/images/edits", cast_to=openai.types.ImagesResponse, body=body)
    )
    assert pictures(edited) == drawn(images=[PNG], size=SIZE)


def test_files_are_listed_read_and_forgotten(connect: Any, colour: str, toy: Serving) -> None:
    sdk = connect(colour, toy)
    made = [
        sdk.do(lambda c, n=name: c.files.create(file=(n, PNG), purpose="user_data"))
        for name in ("a.png", "b.png")
    ]
    with JUDGE.asked():
        page = sdk.run(sdk.client.files.list())
        assert [one.id for one in page.data[:2]] == [one.id for one in reversed(made)]
        assert not page.has_next_page()
    with JUDGE.asked():
        assert sdk.run(sdk.client.files.content(made[0].id)).read() == PNG
    assert sdk.do(lambda c: c.files.delete(made[0].id)).deleted
    sdk.refused(openai.NotFoundError, lambda c: c.files.retrieve(made[0].id))
    sdk.refused(openai.NotFoundError, lambda c: c.files.content(made[0].id))


# --- batches


def batch_of(sdk: Sdk, *bodies: dict[str, Any], url: str = "/v1/images/generations") -> Any:
    """A new batch, asked for as the client's guide says."""
    said = [
        {"custom_id": f"line-{place}", "method": "POST", "url": url, "body": body}
        for place, body in enumerate(bodies)
    ]
    data = "\n".join(map(json.dumps, said)).encode()
    file = sdk.do(lambda c: c.files.create(file=("asked.jsonl", data), purpose="batch"))
    return sdk.do(
        lambda c: c.batches.create(
            input_file_id=file.id,
            endpoint=url,
            completion_window="24h",
            metadata={"job": "night"},
            output_expires_after={"anchor": "created_at", "seconds": 7200},
        )
    )


def when_over(sdk: Sdk, id: str) -> Any:
    for _ in range(1000):
        found = sdk.do(lambda c: c.batches.retrieve(id))
        if found.status in ("completed", "failed", "expired", "cancelled"):
            return found
        time.sleep(0.01)
    raise AssertionError(found)


def rows_of(sdk: Sdk, file: str) -> list[Any]:
    with JUDGE.asked():
        text = sdk.run(sdk.client.files.content(file)).text
    return [json.loads(line) for line in text.splitlines()]


def test_a_batch_of_generations_holds_the_pictures_that_were_made(
    connect: Any, colour: str, toy: Serving, maker: Maker
) -> None:
    sdk = connect(colour, toy)
    bodies = [{"model": MODEL, "prompt": words} for words in (WORDS, "a kite", "a lake")]
    made = batch_of(sdk, *bodies)
    assert (made.status, made.metadata) == ("validating", {"job": "night"})
    done = when_over(sdk, made.id)
    assert (done.status, done.model, done.errors) == ("completed", MODEL, None)
    assert done.request_counts.to_dict() == {"total": 3, "completed": 3, "failed": 0}
    assert (done.usage.input_tokens, done.usage.output_tokens) == (3 * 12, 3 * 90)
    rows = rows_of(sdk, done.output_file_id)
    assert [row["custom_id"] for row in rows] == ["line-0", "line-1", "line-2"]
    found = []
    for row in rows:
        with JUDGE.asked():
            body = known(openai.types.ImagesResponse, row["response"]["body"])
        found += pictures(body)
    assert sorted(found) == sorted(maker.made)
    file = sdk.do(lambda c: c.files.retrieve(done.output_file_id))
    assert (file.purpose, file.expires_at - file.created_at) == ("batch_output", 7200)


def test_a_batch_of_responses_holds_responses(
    connect: Any, colour: str, toy: Serving, maker: Maker
) -> None:
    sdk = connect(colour, toy)
    body = {"model": "gpt-6.1-sol", "input": WORDS, "tools": [TOOL]}
    done = when_over(sdk, batch_of(sdk, body, url="/v1/responses").id)
    [row] = rows_of(sdk, done.output_file_id)
    with JUDGE.asked():
        answer = known(openai.types.responses.Response, row["response"]["body"])
    assert results(answer) == maker.made
    assert sdk.do(lambda c: c.responses.retrieve(answer.id)).id == answer.id


def test_a_batch_tells_what_failed(connect: Any, colour: str, toy: Serving, maker: Maker) -> None:
    sdk = connect(colour, toy)
    maker.fails = [imagekit.ContentRejectedError("no", stage="input")]
    done = when_over(sdk, batch_of(sdk, {"prompt": WORDS}, {"prompt": ""}).id)
    assert (done.status, done.output_file_id) == ("completed", None)
    assert done.request_counts.failed == 2
    rows = rows_of(sdk, done.error_file_id)
    found = [row["response"]["body"]["error"]["code"] for row in rows]
    assert found == ["moderation_blocked", "empty_string"]
    bad = when_over(sdk, batch_of(sdk, {"prompt": WORDS, "stream": True}).id)
    assert bad.status == "failed"
    [error] = bad.errors.data
    assert (error.code, error.line, error.param) == ("streaming_unsupported", 1, "body.stream")


def test_a_batch_is_cancelled_and_keeps_what_was_made(connect: Any, colour: str) -> None:
    maker = Maker()
    maker.paced = True
    with in_front_of(maker, limits=Limits(concurrent=2)) as server:
        sdk = connect(colour, server)
        made = batch_of(sdk, {"prompt": WORDS}, {"prompt": WORDS})
        while not maker.asked:
            time.sleep(0.01)
        assert sdk.do(lambda c: c.batches.cancel(made.id)).status == "cancelling"
        maker.go.set()
        done = when_over(sdk, made.id)
        assert (done.status, done.request_counts.completed) == ("cancelled", 1)
        assert len(rows_of(sdk, done.output_file_id)) == 1
        [lost] = rows_of(sdk, done.error_file_id)
        assert lost["error"]["code"] == "batch_cancelled"
        assert sdk.do(lambda c: c.batches.cancel(made.id)).status == "cancelled"
        over = when_over(sdk, batch_of(sdk, {"prompt": WORDS}).id)
        sdk.refused(openai.ConflictError, lambda c: c.batches.cancel(over.id))
        sdk.refused(openai.NotFoundError, lambda c: c.batches.retrieve("batch_0"))


def test_batches_are_paged_as_the_client_pages(connect: Any, colour: str) -> None:
    with in_front_of(Maker()) as server:
        sdk = connect(colour, server)
        ids = [when_over(sdk, batch_of(sdk, {"prompt": WORDS}).id).id for _ in range(5)]

        async def all_of(pages: Any) -> list[str]:
            return [one.id async for one in pages]

        with JUDGE.asked():
            pages = sdk.client.batches.list(limit=2)
            found = [one.id for one in pages] if colour == "sync" else sdk.run(all_of(pages))
        assert found == ids[::-1]
        assert sdk.count > 15


# --- models


def test_the_models_are_listed_and_one_is_described(
    connect: Any, colour: str, sketch: Serving
) -> None:
    sdk = connect(colour, sketch)
    with JUDGE.asked():
        assert [one.id for one in sdk.run(sdk.client.models.list()).data] == ["sketch-1"]
    assert sdk.do(lambda c: c.models.retrieve("sketch-1")).owned_by == "sketch"


# --- headers and errors


def test_the_raw_answer_has_its_number_and_its_notices(
    connect: Any, colour: str, sketch: Serving
) -> None:
    sdk = connect(colour, sketch)
    with JUDGE.asked():
        raw = sdk.run(
            sdk.client.images.with_raw_response.generate(
                model=MODEL, prompt=WORDS, size=SIZE, quality="high"
            )
        )
        assert raw.request_id.startswith("req_")
        assert int(raw.headers["openai-processing-ms"]) >= 0
        assert raw.parse()._request_id == raw.request_id
        notices = json.loads(raw.headers["x-imagekit-notices"])
        assert {one["feature"] for one in notices} == {"model", "quality"}


BAD: dict[str, tuple[dict[str, Any], str | None, str | None]] = {
    "an empty prompt": ({"prompt": ""}, "prompt", "empty_string"),
    "a value that is none": ({"quality": "best"}, "quality", "invalid_value"),
    "a number too high": ({"n": 11}, "n", "integer_above_max_value"),
    "an unknown name": ({"extra_body": {"seed": 1}}, "seed", "unknown_parameter"),
    "another type": ({"extra_body": {"n": "two"}}, "n", "invalid_type"),
    "two that exclude each other": (
        {"background": "transparent", "output_format": "jpeg"},
        "background",
        "invalid_value",
    ),
}


@pytest.mark.parametrize("why", BAD)
def test_what_is_wrong_is_a_bad_request_with_its_name_and_its_code(
    connect: Any, colour: str, toy: Serving, maker: Maker, why: str
) -> None:
    said, param, code = BAD[why]
    error = connect(colour, toy).refused(
        openai.BadRequestError, lambda c: c.images.generate(**{"prompt": WORDS, **said})
    )
    assert (error.param, error.code, error.type) == (param, code, "invalid_request_error")
    assert not maker.asked


def test_a_rejected_prompt_is_a_bad_request_that_says_so(
    connect: Any, colour: str, toy: Serving, maker: Maker
) -> None:
    maker.fails = [imagekit.ContentRejectedError("No.", stage="input", categories=("violence",))]
    error = connect(colour, toy).refused(
        openai.BadRequestError, lambda c: c.images.generate(prompt=WORDS)
    )
    assert (error.code, error.type) == ("moderation_blocked", "image_generation_user_error")
    assert error.body["moderation_details"]["categories"] == ["violence"]


def test_a_client_without_the_token_is_not_let_in(connect: Any, colour: str) -> None:
    with in_front_of(Maker(), tokens=["right-token"]) as server:
        wrong = connect(colour, server, "wrong-token")
        error = wrong.refused(openai.AuthenticationError, lambda c: c.images.generate(prompt=WORDS))
        assert error.code == "invalid_api_key"
        connect(colour, server, "right-token").do(lambda c: c.images.generate(prompt=WORDS))


def test_a_model_that_the_server_is_not_told_of_is_not_found(connect: Any, colour: str) -> None:
    client = AsyncClient(plugins=plugins(toy=Maker()), env={})
    with serving(client=client, models={"mine": "toy"}) as server:
        sdk = connect(colour, server)
        sdk.do(lambda c: c.images.generate(model="mine", prompt=WORDS))
        # So the live service answers, as recordings show.
        wrong = lambda c: c.images.generate(model="other", prompt=WORDS)  # noqa: E731
        error = sdk.refused(openai.BadRequestError, wrong)
        assert (error.code, error.param) == ("invalid_value", "model")
        for verb in (
            lambda c: c.responses.create(input=WORDS, tools=[{**TOOL, "model": "other"}]),
            lambda c: c.models.retrieve("other"),
        ):
            error = sdk.refused(openai.NotFoundError, verb)
            assert (error.code, error.param) == ("model_not_found", "model")


def test_a_response_that_there_is_not_is_not_found(
    connect: Any, colour: str, sketch: Serving
) -> None:
    sdk = connect(colour, sketch)
    for verb in (
        lambda c: c.responses.retrieve("resp_0"),
        lambda c: c.responses.retrieve("resp_0", stream=True),
        lambda c: c.responses.cancel("resp_0"),
        lambda c: c.responses.delete("resp_0"),
    ):
        sdk.refused(openai.NotFoundError, verb)
    error = sdk.refused(
        openai.BadRequestError,
        lambda c: c.responses.create(input=WORDS, tools=[TOOL], previous_response_id="resp_0"),
    )
    assert error.code == "previous_response_not_found"


def test_a_plugin_that_breaks_is_an_internal_error_without_its_words(
    connect: Any, colour: str, toy: Serving, maker: Maker
) -> None:
    maker.fails = [RuntimeError("a secret of the plugin's")]
    error = connect(colour, toy).refused(
        openai.InternalServerError, lambda c: c.images.generate(prompt=WORDS)
    )
    assert "secret" not in str(error)
    assert len(maker.asked) == 1


# --- what is sent again


def failing(server: Server) -> AsyncClient:
    """A client of a service on loopback that sends nothing again by itself."""
    found = plugins(toy=Whole(base_url=server.url))
    return AsyncClient(provider="toy", plugins=found, retry=RetryPolicy(retries=0), env={})


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [500, 502, 504])
def test_what_may_have_been_charged_is_not_sent_again(
    connect: Any, colour: str, status: int, stream: bool
) -> None:
    with Server().does(answers(status)) as service, serving(client=failing(service)) as server:
        sdk = connect(colour, server)
        error = sdk.refused(
            openai.InternalServerError, lambda c: c.images.generate(prompt=WORDS, stream=stream)
        )
        assert error.response.headers["x-should-retry"] == "false"
        assert error.response.headers["x-imagekit-billed"] == "possibly"
        assert (len(service.seen), sdk.count) == (1, 1)


def test_what_was_turned_away_is_sent_again_after_the_pause_asked_for(
    connect: Any, colour: str
) -> None:
    acts = [answers(429, retry_after="1"), answers(200)]
    with Server().does(*acts) as service, serving(client=failing(service)) as server:
        sdk = connect(colour, server)
        before = time.monotonic()
        sdk.do(lambda c: c.images.generate(prompt=WORDS))
        assert time.monotonic() - before >= 1
        assert (len(service.seen), sdk.count) == (2, 2)


def test_a_server_that_is_busy_says_so_and_is_asked_again(connect: Any) -> None:
    maker = Maker()
    maker.paced = True
    with in_front_of(maker, limits=Limits(concurrent=1)) as server:
        sdk = connect("sync", server)
        held = sdk.do(lambda c: c.responses.create(input=WORDS, tools=[TOOL], background=True))
        once = connect("sync", server, max_retries=0)
        for verb in (
            lambda c: c.images.generate(prompt=WORDS),
            lambda c: c.images.generate(prompt=WORDS, stream=True),
            lambda c: c.responses.create(input=WORDS, tools=[TOOL]),
            lambda c: c.responses.create(input=WORDS, tools=[TOOL], background=True),
        ):
            error = once.refused(openai.RateLimitError, verb)
            assert (error.code, error.type) == ("rate_limit_exceeded", "rate_limit_error")
            assert int(error.response.headers["retry-after"]) > 0
        assert len(maker.asked) == 1
        threading.Timer(0.5, maker.go.set).start()
        before = sdk.count
        sdk.do(lambda c: c.images.generate(prompt=WORDS))
        assert sdk.count == before + 2
        assert sdk.do(lambda c: c.responses.retrieve(held.id)).status == "completed"


# --- one app, any provider


def app(client: openai.OpenAI) -> list[bytes]:
    """What an app that was written for OpenAI does; of where it runs it knows nothing."""
    size = "1024x1024"
    found = pictures(client.images.generate(model=MODEL, prompt=WORDS, size=size))
    found += pictures(client.images.generate(model=MODEL, prompt="a kite", size=size))
    edited = client.images.edit(
        model=MODEL, image=[("a.png", found[0]), ("b.png", found[1])], prompt="in rain", size=size
    )
    found += pictures(edited)
    streamed = client.images.generate(
        model=MODEL, prompt="a lake", size=size, stream=True, partial_images=1
    )
    with streamed:
        found += [base64.b64decode(event.b64_json) for event in streamed][-1:]
    tool = {"type": "image_generation", "model": MODEL, "size": size}
    first = client.responses.create(model="gpt-6.1-sol", input="a hill", tools=[tool])
    second = client.responses.create(
        model="gpt-6.1-sol", input="by night", tools=[tool], previous_response_id=first.id
    )
    found += [*results(first), *results(second)]
    with client.responses.create(
        model="gpt-6.1-sol", input="a tree", tools=[tool], stream=True
    ) as events:
        [last] = [one for one in events if one.type == "response.completed"]
    return [*found, *results(last.response)]


@pytest.fixture(scope="module")
def at_home(sketch: Serving) -> list[bytes]:
    """What the app is given by a server in front of the provider itself."""
    with openai.OpenAI(api_key="any", base_url=sketch.url) as client, JUDGE.asked():
        found = app(client)
        assert len(set(found)) == len(found) == 7
    return found


@pytest.mark.parametrize("provider", ["openai-images", "openai-responses"])
def test_an_app_changes_nothing_but_its_base_url(
    sketch: Serving, at_home: list[bytes], provider: str
) -> None:
    settings = {"provider": provider, "base_url": sketch.url, "api_key": "any", "env": {}}
    with (
        serving(**settings) as server,
        openai.OpenAI(api_key="any", base_url=server.url) as client,
        JUDGE.asked(),
    ):
        assert app(client) == at_home
