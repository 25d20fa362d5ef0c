"""Our requests, and OpenAI's answers, by OpenAI's own description as others read it."""

from __future__ import annotations

import contextlib
import email
import email.policy
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import description
import npm
import pytest
import steady
import yaml
from description import MENDED, PUBLISHED, ROOT, check_answer, errors_of, request_schema
from steady import Wrong
from tally import Judge

from imagekit import ImageInput, ImagekitError, ImageRequest, Mask, ProviderFile, State
from spoken import httpx
from ways import make

sys.path.append(str(ROOT / "plugins/imagekit-openai/tests"))
import openai_wire as wire  # only now: it lies with the plugin

pytestmark = pytest.mark.real

BY_STEADY = Judge("OpenAI's published description, by Steady")
AS_PUBLISHED = Judge("OpenAI's published description, not mended, by Steady")
BY_JSONSCHEMA = Judge("OpenAI's published description, by jsonschema")
OF_STEADY = Judge("Steady itself, by what is known to be right or wrong")
OF_JSONSCHEMA = Judge("jsonschema itself, by what is known to be wrong")

IMAGES, RESPONSES = "openai-images", "openai-responses"
ONE, TWO, TRANSPARENT = wire.ONE, wire.TWO, wire.png(alpha=True)
FILE, LINK = ProviderFile("file-1"), "https://pictures.example/cat.png"
MASK = Mask(TRANSPARENT, edit_where="transparent")


@pytest.fixture(scope="module")
def described() -> None:
    """There is a description."""
    if not description.here():
        for judge in (BY_JSONSCHEMA, OF_JSONSCHEMA):
            judge.absence = description.ABSENT
        BY_JSONSCHEMA.absent(description.ABSENT)


@pytest.fixture(scope="module")
def installed() -> None:
    """There is a description, and Steady to read it."""
    why = npm.available(steady.PACKAGES) if description.here() else description.ABSENT
    if why is None:
        try:
            npm.install(steady.PACKAGES)
        except npm.OfflineError:
            why = "Steady is not installed yet, and npm does not reach its registry."
    if why is not None:
        for judge in (BY_STEADY, AS_PUBLISHED, OF_STEADY):
            judge.absence = why
        BY_STEADY.absent(why)


@pytest.fixture(scope="module")
def mended(installed: None) -> Iterator[str]:
    """Steady with the mended description."""
    with steady.running(description.HOME / MENDED) as url:
        yield url


@pytest.fixture(scope="module")
def published(installed: None) -> Iterator[str]:
    """Steady with the description as published."""
    with steady.running(description.HOME / PUBLISHED) as url:
        yield url


# --- what is asked


@dataclass(frozen=True)
class Differs:
    """What the description finds wrong in a request that we mean, and why we mean it."""

    why: str
    mended: tuple[Wrong, ...]
    published: tuple[Wrong, ...] = ()
    # In what jsonschema says of it, where it is JSON.
    word: str = ""


NO_DETAIL = Differs(
    "it demands `detail` of an input picture; its own examples, and so we, leave it to the default",
    (Wrong("E3012", "body.input.0"),),
    (Wrong("E3012", "body.input"),),
    "'detail' is a required property",
)
BY_ID = Differs(
    "it demands the whole of an earlier picture; OpenAI's guide, and so we, give its id",
    (Wrong("E3012", "body.input.1"),),
    (Wrong("E3008", "body.input"),),
    "$.input[1]:",
)
ANOTHERS = Differs(
    "it is a field of another server's, given in extra_body, which goes unchecked",
    (Wrong("E3009", "body"),),
    word="('seed' was unexpected)",
)
ANOTHERS_TOOL = replace(ANOTHERS, mended=(Wrong("E3009", "body.tools.0"),))
MODERATED_FORM = Differs(
    "it has a moderation level in JSON only; a server that is not OpenAI's reads forms only",
    (Wrong("E3009", "body"),),
)
ONE_NAME = Differs(
    "it wants image[] for many pictures; a server that knows one name is given that",
    (Wrong("E3023", "body.image"),),
    (Wrong("E3023", "body.image"),),
)
NOT_FOR_EDITS = Differs(
    "it has no style for edits; an option goes as the caller gave it, and the provider says no",
    (Wrong("E3009", "body"),),
)


@dataclass(frozen=True, eq=False)
class Call:
    """A neutral call; *server* are the settings of one that is not OpenAI's."""

    name: str
    provider: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    stream: bool = False
    requests: int = 1
    server: Mapping[str, Any] | None = None
    differs: Differs | None = None


def _images() -> Iterator[Call]:
    def own(**said: Any) -> dict[str, Any]:
        return {"options": {IMAGES: said}}

    def call(name: str, /, stream: bool = False, **more: Any) -> Call:
        about = {key: more.pop(key) for key in ("requests", "server", "differs") if key in more}
        return Call(name, IMAGES, more, stream, **about)

    everything = {
        "n": 2,
        "size": "1536x864",
        "quality": "xhigh",
        "background": "opaque",
        "output_format": "webp",
        "output_compression": 80,
        "user": "u-1",
    }
    only_theirs = {
        "complexity": "high",
        "frame_count": 4,
        "frame_duration_ms": 50,
        "safety_identifier": "s-1",
        "response_format": "b64_json",
        "svg": {"model": "gpt-6.1-sol", "reasoning": {"effort": "low"}},
    }
    yield call("a prompt")
    yield call("words of any script", prompt="ein Fischotter, かわうそ, 🦦\n\"'\\")
    for model in ("gpt-image-2.6-flare", "gpt-image-2", "gpt-image-1.5", "dall-e-3"):
        yield call(f"model {model}", model=model)
    for quality in ("low", "medium", "high", "xhigh", "max", "auto"):
        yield call(f"quality {quality}", quality=quality)
    for kind in ("png", "jpeg", "webp", "gif"):
        yield call(f"as {kind}", output_format=kind)
    yield call("two as svg", output_format="svg", n=2, requests=2)
    yield call("ten", n=10)
    for size in ("auto", "1024x1024", "1536x864"):
        yield call(f"size {size}", size=size)
    yield call("a background, compressed", background="transparent", output_compression=0)
    yield call("moderation", moderation="low")
    yield call("a user", user="u-1")
    for name, value in only_theirs.items():
        yield call(f"option {name}", **own(**{name: value}))
    yield call("option style", **own(style="vivid"))
    yield call("option svg, empty", **own(svg={}))
    yield call("everything", moderation="auto", **everything, **own(**only_theirs, style="natural"))
    yield call("another server's field", **own(extra_body={"seed": 7}), differs=ANOTHERS)
    yield call("a stream", stream=True)
    for previews in (0, 1, 3):
        yield call(f"a stream, {previews} previews", stream=True, partial_images=previews)
    yield call("edit one", images=ONE)
    yield call("edit two", images=(ONE, TWO))
    yield call("edit sixteen", images=tuple(wire.png(shade) for shade in range(16)))
    yield call("edit with a mask", images=ONE, mask=MASK)
    markup = ImageInput(data=TRANSPARENT, role="markup")
    yield call("edit with a markup", images=(ONE, markup))
    yield call("edit with everything", images=ONE, **everything, **own(**only_theirs))
    yield call("edit closely", images=ONE, **own(input_fidelity="high"))
    yield call("edit as a stream", stream=True, images=ONE, partial_images=2)
    yield call("edit by a file's id", images=FILE)
    yield call("edit by a link", images=LINK)
    yield call("edit bytes beside a link", images=(ONE, LINK))
    yield call("edit by a link with a mask", images=LINK, mask=MASK)
    kept = Mask(ProviderFile("file-2"), edit_where="transparent")
    yield call("edit with a mask they keep", images=FILE, mask=kept)
    yield call("edit, moderated", images=ONE, moderation="low")
    yield call("edit by a link with everything", images=LINK, **everything, **own(**only_theirs))
    yield call("edit by a link as a stream", stream=True, images=LINK, partial_images=1)
    yield call("a variation", prompt=None, images=ONE, n=2)
    yield call("edit in style", images=ONE, **own(style="vivid"), differs=NOT_FOR_EDITS)
    elsewhere: dict[str, Any] = {}
    yield call("elsewhere", server=elsewhere, size="512x512")
    yield call("edit elsewhere", server=elsewhere, images=(ONE, TWO), mask=MASK)
    moderated = {"images": ONE, "moderation": "low", "differs": MODERATED_FORM}
    yield call("edit elsewhere, moderated", server=elsewhere, **moderated)
    yield call("edit one as a list", server={"image_field": "image[]"}, images=ONE)
    one_name = {"images": (ONE, TWO), "differs": ONE_NAME}
    yield call("edit two by one name", server={"image_field": "image"}, **one_name)
    varied = {"prompt": None, "images": ONE, "n": 2, "size": "256x256"}
    yield call("a variation where there are some", server={"variations": True}, **varied)


def _responses() -> Iterator[Call]:
    def own(**said: Any) -> dict[str, Any]:
        return {"options": {RESPONSES: said}}

    def call(name: str, /, stream: bool = False, **more: Any) -> Call:
        about = {key: more.pop(key) for key in ("requests", "server", "differs") if key in more}
        return Call(name, RESPONSES, more, stream, **about)

    tool = {
        "action": "generate",
        "complexity": "medium",
        "frame_count": 4,
        "frame_duration_ms": 50,
        "input_fidelity": "low",
        "svg": {"model": "gpt-6.1-sol", "reasoning": {"effort": "high"}},
    }
    around = {
        "conversation_model": "gpt-6.1-sol-2026-10-01",
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
        "context_compression": "auto",
    }
    items = [{"type": "reasoning", "id": "rs_1", "summary": []}]
    picture = [{"type": "image_generation_call", "id": "ig_1"}]
    state = State(provider=RESPONSES, payload={"response_id": "resp_1", "items": items + picture})
    thought = State(provider=RESPONSES, payload={"response_id": "resp_1", "items": items})
    yield call("a prompt")
    yield call("two", n=2, requests=2)
    yield call("an image model", model="gpt-image-2")
    yield call("quality max", quality="max")
    yield call("as gif", output_format="gif")
    yield call("as svg", output_format="svg")
    yield call("size, background", size="1536x864", background="transparent")
    yield call("compressed", output_format="jpeg", output_compression=70)
    yield call("moderation", moderation="low")
    yield call("a user", user="u-1")
    for name, value in tool.items():
        yield call(f"option {name}", **own(**{name: value}))
    for name, value in around.items():
        yield call(f"option {name}", **own(**{name: value}))
    yield call("everything", quality="low", moderation="auto", user="u", **own(**tool, **around))
    yield call("in a conversation", **own(conversation="conv_1"))
    yield call("another choice", **own(tool_choice="required"))
    yield call("a stream", stream=True)
    yield call("a stream, 3 previews", stream=True, partial_images=3)
    yield call("pictures", images=(ONE, FILE, LINK), differs=NO_DETAIL)
    yield call("pictures, in detail", images=(ONE, FILE, LINK), **own(detail="high"))
    yield call("a mask", images=ONE, mask=MASK, **own(detail="auto"))
    kept = Mask(ProviderFile("file-2"), edit_where="transparent")
    yield call("a mask they keep", images=FILE, mask=kept, **own(detail="low"))
    yield call("a variation", prompt=None, images=ONE, **own(detail="original"))
    yield call("continued", state=state)
    yield call("continued by its items", state=thought, **own(continue_by="item"))
    by_item = own(continue_by="item")
    yield call("continued by the id of a picture", state=state, **by_item, differs=BY_ID)
    yield call("another server's field", **own(extra_body={"seed": 7}), differs=ANOTHERS)
    yield call("another server's tool", **own(extra_tool={"seed": 7}), differs=ANOTHERS_TOOL)
    yield call("elsewhere", server={}, size="512x512")


CALLS = [*_images(), *_responses()]


def ask(call: Call, transport: httpx.BaseTransport) -> None:
    """Make a call over *transport*; what is answered is invented, and holds no picture."""
    settings: dict[str, Any] = {"provider": call.provider, "env": {}}
    if call.server is None:
        settings["api_key"] = wire.KEY
    else:
        settings |= {"base_url": "http://elsewhere.invalid/v1", "settings": dict(call.server)}
    request = ImageRequest(**{"prompt": "an otter", **call.fields})
    way = "sync streamed" if call.stream else "sync whole"
    with httpx.Client(transport=transport) as http, contextlib.suppress(ImagekitError):
        make(way, request, http=http, downloads=http, **settings)


@cache
def sent(call: Call, url: str) -> list[tuple[httpx.Request, list[Wrong]]]:
    """Every request of a call, sent to Steady, and what that finds wrong in it."""
    transport = steady.Rerouted(url)
    ask(call, transport)
    assert len(transport.seen) == call.requests
    return transport.seen


named = pytest.mark.parametrize("call", CALLS, ids=lambda one: f"{one.provider}: {one.name}")


@named
def test_a_request_is_as_described(call: Call, mended: str) -> None:
    for _, wrong in sent(call, mended):
        with BY_STEADY.asked(differs=call.differs and call.differs.why):
            assert wrong == list(call.differs.mended if call.differs else ())


# --- what the description as published is too old for


# What our requests say that it lacks; the mended one has it from the official client's types.
NEWER = {
    "complexity",
    "frame_count",
    "frame_duration_ms",
    "image",
    "markup",
    "output_format gif",
    "output_format svg",
    "quality max",
    "quality xhigh",
    "response_format",
    "safety_identifier",
    "size 1536x864",
    "svg",
}
PARTS = (
    "as published, a message in parts fits two of its alternatives at once",
    [Wrong("E3012", "body.input")],
)


def said(request: httpx.Request) -> dict[str, Any]:
    """What a request says, by name; of a form, as text."""
    kind = request.headers["content-type"]
    if kind == "application/json":
        return dict(json.loads(request.content))
    head = f"Content-Type: {kind}\r\n\r\n".encode()
    form = email.message_from_bytes(head + request.content, policy=email.policy.HTTP)
    found: dict[str, Any] = {}
    for part in form.iter_parts():
        name = str(part.get_param("name", header="content-disposition")).partition("[")[0]
        found[name] = "" if part.get_filename() else part.get_content().strip()
    return found


def newer(wire: Mapping[str, Any], schema: str) -> Iterator[str]:
    """The names, and the words for them, that only the mended description has."""
    ours, theirs = (description.properties(schema, by=which) for which in (MENDED, PUBLISHED))
    for name, value in wire.items():
        if name in ours and name not in theirs:
            yield name
        elif name in ours and isinstance(value, str):
            old = errors_of(theirs[name], value, by=PUBLISHED)
            if old and not errors_of(ours[name], value):
                yield f"{name} {value}"


def too_new(request: httpx.Request) -> tuple[list[str], list[Wrong]]:
    """What a request says that is newer than the published description, and what Steady says."""
    body = said(request)
    schema = request_schema(request.method, request.url.path, request.headers["content-type"])
    top = list(newer(body, schema))
    tool = (
        list(newer(body["tools"][0], "/components/schemas/ImageGenTool")) if "tools" in body else []
    )
    # A name that it lacks passes: as published, it lets everything pass that it does not know.
    wrong = [Wrong("E3016", f"body.{name.partition(' ')[0]}") for name in top if " " in name]
    if any(" " in name for name in tool):
        # It blames the one field that is right: no variant of that type fits.
        wrong.append(Wrong("E3011", "body.tools.0.type"))
    return sorted({*top, *tool}), wrong


@named
def test_a_request_is_as_published_or_too_new(call: Call, published: str) -> None:
    for request, wrong in sent(call, published):
        names, expected = too_new(request)
        reasons = [f"it is older, and lacks {', '.join(names)}"] if names else []
        listed = said(request).get("input")
        if call.differs and call.differs.published:
            expected += call.differs.published
            reasons.append(call.differs.why)
        elif isinstance(listed, list) and isinstance(listed[-1].get("content"), list):
            expected += PARTS[1]
            reasons.append(PARTS[0])
        with AS_PUBLISHED.asked(differs="; ".join(reasons) or None):
            assert sorted(wrong, key=str) == sorted(expected, key=str)
            assert set(names) <= NEWER


def test_everything_newer_is_asked_for(published: str) -> None:
    every = [request for call in CALLS for request, _ in sent(call, published)]
    assert {name for request in every for name in too_new(request)[0]} == NEWER


# --- a second opinion on what is asked


class Caught(httpx.BaseTransport):
    """Turns every request away, and keeps it."""

    def __init__(self) -> None:
        self.seen: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.seen.append(request)
        return httpx.Response(400, json={"error": {"message": "no"}})


@pytest.mark.parametrize("provider", [IMAGES, RESPONSES])
def test_a_request_in_json_is_as_described(provider: str, described: None) -> None:
    for call in [one for one in CALLS if one.provider == provider]:
        caught = Caught()
        ask(call, caught)
        assert caught.seen, call.name
        for request in caught.seen:
            if request.headers["content-type"] != "application/json":
                continue
            with BY_JSONSCHEMA.asked(differs=call.differs and call.differs.why):
                schema = request_schema("POST", request.url.path, "application/json")
                wrong = errors_of(schema, json.loads(request.content))
                assert bool(wrong) == bool(call.differs), f"{call.name}: {wrong}"
                assert all(call.differs and call.differs.word in one for one in wrong), wrong


# --- what is answered


def answers() -> Iterator[Any]:
    """Every answer of the cassettes."""
    for path in sorted(ROOT.glob("cassettes/openai-*/*.yaml")):
        for exchange in yaml.safe_load(path.read_text("utf-8"))["interactions"]:
            asked, answer = exchange["request"], exchange["response"]
            body = answer["body"]["string"]
            yield pytest.param(
                asked["method"],
                urlsplit(asked["uri"]).path,
                answer["status"]["code"],
                answer["headers"]["content-type"][0],
                body if isinstance(body, bytes) else body.encode(),
                id=f"{path.parent.name}/{path.stem}",
            )


# What is found wrong, and why it is not.
EXPLAINED = {
    r"is not of type 'object'": (
        "a stable-diffusion.cpp server has errors of its own: flat, `error` a text"
    ),
    r"\.size: '32x32' is not": "it knows three sizes; newer models make any",
    r"\.user: None is not": (
        "it wants a text for the user; the live service says null where there is none"
    ),
    r"type: 'error' is not|event 2: \$: '\w+' is a required": (
        "it has no error among the events of a picture; the live service sends one"
    ),
}


@pytest.mark.parametrize(("method", "path", "status", "kind", "body"), list(answers()))
def test_a_recorded_answer_is_as_described(
    method: str, path: str, status: int, kind: str, body: bytes, described: None
) -> None:
    wrong = check_answer(method, path, status, kind, body)
    found = {why for one in wrong for pattern, why in EXPLAINED.items() if re.search(pattern, one)}
    with BY_JSONSCHEMA.asked(differs="; ".join(sorted(found)) or None):
        assert not [one for one in wrong if not any(re.search(why, one) for why in EXPLAINED)]


SMALL = "it knows three sizes; ours are of one pixel, and newer models make any"
GIFS = "it knows neither gif nor svg, which are newer"
NULLS = "it has no null where the official client's types do"
FAILED = wire.call(None, status="failed", error=wire.BLOCKED)


def whole() -> Iterator[Any]:
    """The whole answers that our own tests make up: where, what, and what differs."""
    made: list[tuple[str, str, Any, dict[str, str]]] = [
        ("one", "images", wire.images_body(), {"size": SMALL}),
        ("three", "images", wire.images_body(ONE, TWO, wire.THREE), {"size": SMALL}),
        ("of a size it knows", "images", wire.images_body(size="1024x1024"), {}),
    ]
    drawn = {"size": SMALL, "output_format": GIFS}
    made += [
        ("gif", "images", wire.images_body(wire.GIF, output_format="gif"), drawn),
        (
            "svg",
            "images",
            wire.images_body(wire.SVG, output_format="svg", svg_usage=wire.SVG_USAGE),
            drawn,
        ),
    ]
    nothing = {name: None for name in wire.images_body() if name != "created"}
    made.append(("nulls", "images", wire.images_body(**nothing), dict.fromkeys(nothing, NULLS)))
    bodies = {
        "picture": wire.response_body(wire.call()),
        "thought and words": wire.response_body(
            wire.REASONING, wire.call(), wire.message(wire.output_text("Here."))
        ),
        "svg": wire.response_body(
            wire.call(wire.SVG, output_format="svg", svg_usage=wire.SVG_USAGE)
        ),
        "failed picture": wire.response_body(FAILED),
        "refusal": wire.response_body(wire.message(wire.refusal("I cannot."))),
        "incomplete": wire.response_body(
            status="incomplete", incomplete_details={"reason": "content_filter"}
        ),
        "failed": wire.response_body(
            status="failed", error={"code": "server_error", "message": "m"}
        ),
    }
    made += [(name, "responses", body, {}) for name, body in bodies.items()]
    for name, where, body, differs in made:
        yield pytest.param(where, body, differs, id=f"{where}: {name}")


@pytest.mark.parametrize(("where", "body", "differs"), list(whole()))
def test_an_answer_of_our_tests_is_as_described(
    where: str, body: Any, differs: dict[str, str], described: None
) -> None:
    path = "/v1/images/generations" if where == "images" else "/v1/responses"
    with BY_JSONSCHEMA.asked(differs="; ".join(sorted({*differs.values()})) or None):
        wrong = check_answer("POST", path, 200, "application/json", json.dumps(body).encode())
        assert {one.partition(":")[0] for one in wrong} == {f"$.{name}" for name in differs}


STREAMS = {
    "generations": [
        wire.image_event("image_generation.partial_image", TWO),
        wire.image_event("image_generation.completed"),
    ],
    "edits": [
        wire.image_event("image_edit.partial_image", TWO),
        wire.image_event("image_edit.completed"),
    ],
    "responses": wire.response_stream(),
}


@pytest.mark.parametrize("where", STREAMS)
def test_a_stream_of_our_tests_is_as_described(where: str, described: None) -> None:
    path = "/v1/responses" if where == "responses" else f"/v1/images/{where}"
    with BY_JSONSCHEMA.asked():
        body = wire.sse_bytes(STREAMS[where])
        assert check_answer("POST", path, 200, "text/event-stream; charset=utf-8", body) == []


def test_the_error_of_our_tests_is_as_described(described: None) -> None:
    for path in ("images/generations", "images/edits", "images/variations", "responses"):
        with BY_JSONSCHEMA.asked():
            body = json.dumps({"error": wire.BLOCKED}).encode()
            assert check_answer("POST", f"/v1/{path}", 400, "application/json", body) == []


# --- whether the judges can judge

GENERATE, EDIT, VARY, RESPOND = (
    "/images/generations",
    "/images/edits",
    "/images/variations",
    "/responses",
)
PART = ("image.png", ONE, "image/png")
PICTURE = ("image", PART)
USER: dict[str, Any] = {"role": "user", "content": [{"type": "input_text", "text": "x"}]}
TOOL = {"type": "image_generation"}


def plain(**said: Any) -> dict[str, Any]:
    return {"json": {"prompt": "x", **said}}


def form(*files: Any, **said: str) -> dict[str, Any]:
    return {"data": said, "files": list(files)}


def linked(**said: Any) -> dict[str, Any]:
    return plain(**{"images": [{"file_id": "f"}], **said})


def tooled(**said: Any) -> dict[str, Any]:
    return {"json": {"model": "m", "input": "x", "tools": [{**TOOL, **said}]}}


def led(**said: Any) -> dict[str, Any]:
    return {"json": {"model": "m", "input": "x", "tools": [TOOL], **said}}


def shown(**said: Any) -> dict[str, Any]:
    return led(input=[{"role": "user", "content": [{"type": "input_image", **said}]}])


def raw(content: bytes, kind: str = "application/json") -> dict[str, Any]:
    return {"content": content, "headers": {"content-type": kind}}


Controls = dict[str, tuple[str, dict[str, Any]]]
RIGHT: Controls = {
    "a prompt": (GENERATE, plain()),
    "nulls": (GENERATE, plain(n=None, model=None, quality=None, size=None, svg=None)),
    "an svg's author": (GENERATE, plain(svg={"model": "m", "reasoning": {"effort": "low"}})),
    "previews": (GENERATE, plain(stream=True, partial_images=3)),
    "a picture": (EDIT, form(PICTURE, prompt="x")),
    "a picture as a list": (EDIT, form(("image[]", PART), prompt="x")),
    "sixteen pictures": (EDIT, form(*[("image[]", PART)] * 16, prompt="x")),
    "numbers in a form": (EDIT, form(PICTURE, prompt="x", n="2", stream="true")),
    "an object in a form": (EDIT, form(PICTURE, **{"prompt": "x", "svg[model]": "m"})),
    "a file's id": (EDIT, linked()),
    "a variation": (VARY, form(PICTURE, n="2", size="256x256")),
    "a tool": (RESPOND, tooled(quality="max", action="edit", partial_images=0)),
    "a message": (RESPOND, led(input=[USER])),
    "a picture shown": (RESPOND, shown(image_url="https://x.example/y", detail="low")),
    "thoughts": (RESPOND, led(input=[{"type": "reasoning", "id": "r", "summary": []}, USER])),
}
WRONG: Controls = {
    "no prompt": (GENERATE, {"json": {"n": 1}}),
    "no prompt in a form": (EDIT, form(PICTURE)),
    "no picture": (EDIT, form(("mask", PART), prompt="x")),
    "a number as text": (GENERATE, plain(n="1")),
    "a word for a number in a form": (EDIT, form(PICTURE, prompt="x", n="two")),
    "half a picture": (GENERATE, plain(n=1.5)),
    "no pictures": (GENERATE, plain(n=0)),
    "no pictures, in a form": (EDIT, form(PICTURE, prompt="x", n="0")),
    "eleven pictures": (GENERATE, plain(n=11)),
    "four previews": (GENERATE, plain(partial_images=4)),
    "a null prompt": (GENERATE, plain(prompt=None)),
    "an unknown quality": (GENERATE, plain(quality="superb")),
    "an unknown quality in a form": (EDIT, form(PICTURE, prompt="x", quality="superb")),
    "an unknown format": (GENERATE, plain(output_format="tiff")),
    "an unknown field": (GENERATE, plain(seed=7)),
    "an unknown field in a form": (EDIT, form(PICTURE, prompt="x", seed="7")),
    "an unknown file": (EDIT, form(PICTURE, ("picture", PART), prompt="x")),
    "an unknown field in an object": (GENERATE, plain(svg={"author": "m"})),
    "an unknown field in a form's object": (
        EDIT,
        form(PICTURE, **{"prompt": "x", "svg[author]": "m"}),
    ),
    "a yes that is a text": (GENERATE, plain(stream="true")),
    "a yes in Python's spelling": (EDIT, form(PICTURE, prompt="x", stream="True")),
    "seventeen pictures": (EDIT, form(*[("image[]", PART)] * 17, prompt="x")),
    "two pictures by one name": (EDIT, form(PICTURE, PICTURE, prompt="x")),
    "two masks": (EDIT, form(PICTURE, ("mask", PART), ("mask", PART), prompt="x")),
    "a form where none is taken": (GENERATE, form(PICTURE, prompt="x")),
    "another kind of form": (EDIT, {"data": {"prompt": "x"}}),
    "no JSON": (GENERATE, raw(b"{")),
    "JSON that is a list": (GENERATE, raw(b"[]")),
    "nothing": (GENERATE, raw(b"")),
    "plain text": (GENERATE, raw(b"x", "text/plain")),
    "a form's name in JSON": (EDIT, plain(image="f")),
    "a list of none": (EDIT, linked(images=[])),
    "a reference of two kinds": (EDIT, linked(images=[{"file_id": "f", "image_url": "u"}])),
    "a reference of no kind": (EDIT, linked(images=[{}])),
    "a compression over all": (EDIT, linked(output_compression=101)),
    "a variation with a prompt": (VARY, form(PICTURE, prompt="x")),
    "a variation of two": (VARY, form(("image[]", PART), ("image[]", PART))),
    "no such place": ("/images/generate", plain()),
    "no such query": (f"{GENERATE}?api-version=1", plain()),
    "an unknown tool": (RESPOND, tooled(type="image_gen")),
    "a tool's unknown field": (RESPOND, tooled(n=2)),
    "a tool's unknown quality": (RESPOND, tooled(quality="superb")),
    "a tool's fourth preview": (RESPOND, tooled(partial_images=4)),
    "a tool's mask by another name": (RESPOND, tooled(input_image_mask={"url": "u"})),
    "one tool and no list": (RESPOND, led(tools=TOOL)),
    "an unknown choice": (RESPOND, led(tool_choice={"type": "image_gen"})),
    "an unknown name at the top": (RESPOND, led(seed=7)),
    "an unknown part": (RESPOND, led(input=[{"role": "user", "content": [{"type": "image"}]}])),
    "an unknown role": (RESPOND, led(input=[{**USER, "role": "painter"}])),
    "a picture in an object": (RESPOND, shown(image_url={"url": "u"}, detail="low")),
    "an unknown detail": (RESPOND, shown(image_url="u", detail="superb")),
    "metadata that is a number": (RESPOND, led(metadata={"a": 1})),
    "a long identifier": (RESPOND, led(safety_identifier="x" * 65)),
}
# Wrong, and passed by Steady.
BLIND: Controls = {
    "a file where a text belongs": (EDIT, form(PICTURE, ("prompt", PART))),
    "a text where a file belongs": (EDIT, form(("image", (None, "x")), prompt="x")),
    "JSON in a form's field where brackets are said": (
        EDIT,
        form(PICTURE, prompt="x", svg='{"model": "m"}'),
    ),
    "pictures by image[0] and image[1]": (
        EDIT,
        form(("image[0]", PART), ("image[1]", PART), prompt="x"),
    ),
    "no key": (GENERATE, plain()),
}
# Wrong, and allowed by the description.
OPEN: Controls = {
    "an unknown field in stream_options": (RESPOND, led(stream=True, stream_options={"x": 1})),
    "anything in `image` of a response": (RESPOND, led(image={"context": 4})),
    "a compression of 200 in a generation": (GENERATE, plain(output_compression=200)),
    "an empty prompt in a form": (EDIT, form(PICTURE, prompt="")),
}


def told(url: str, path: str, how: dict[str, Any]) -> list[Wrong]:
    with httpx.Client(trust_env=False) as client:
        return steady.found(client.post(f"{url}{path}", **how).headers)


@pytest.mark.parametrize("name", RIGHT)
def test_steady_passes_what_is_right(name: str, mended: str) -> None:
    with OF_STEADY.asked():
        assert told(mended, *RIGHT[name]) == []


@pytest.mark.parametrize("name", WRONG)
def test_steady_finds_what_is_wrong(name: str, mended: str) -> None:
    with OF_STEADY.asked():
        assert told(mended, *WRONG[name]) != []


@pytest.mark.parametrize("name", BLIND)
def test_steady_is_blind_to(name: str, mended: str) -> None:
    with OF_STEADY.asked(differs=f"it passes {name}"):
        assert told(mended, *BLIND[name]) == []


@pytest.mark.parametrize("name", OPEN)
def test_the_description_allows(name: str, mended: str) -> None:
    with OF_STEADY.asked(differs=f"the description allows {name}"):
        assert told(mended, *OPEN[name]) == []


def events(*changed: tuple[int, dict[str, Any]]) -> bytes:
    """A stream of responses with some of its events changed."""
    listed = wire.response_stream()
    for place, change in changed:
        listed[place] = {**listed[place], **change}
    return wire.sse_bytes(listed)


def answered(path: str, body: Any, kind: str = "application/json", status: int = 200) -> list[str]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return check_answer("POST", path, status, kind, content)


SSE = "text/event-stream"
UNFIT: dict[str, tuple[str, tuple[Any, ...]]] = {
    "no time": ("'created' is a required", (GENERATE, {"data": []})),
    "pictures in an object": ("$.data: ", (GENERATE, {"created": 1, "data": {}})),
    "half a token": (
        "$.usage.total_tokens",
        (
            GENERATE,
            wire.images_body(size="1024x1024", usage={**wire.IMAGE_USAGE, "total_tokens": 0.5}),
        ),
    ),
    "another quality": ("$.quality", (GENERATE, wire.images_body(quality="superb"))),
    "no JSON": ("no JSON", (GENERATE, b"{")),
    "another kind": ("it comes as text/html", (GENERATE, b"<p>", "text/html")),
    "a stream of variations": ("it comes as text/event-stream", (VARY, b"", SSE)),
    "another status": ("has no 201", (GENERATE, wire.images_body(), "application/json", 201)),
    "another place": ("has no POST", ("/v1/images", wire.images_body())),
    "an error in words": ("an error comes as", (GENERATE, b"no", "text/plain", 500)),
    "an error without a type": (
        "'type' is a required",
        (GENERATE, {"error": {"message": "m"}}, "application/json", 400),
    ),
    "an error without a param": (
        "'param' is a required",
        (RESPOND, {"error": {"message": "m", "type": "t", "code": None}}, "application/json", 429),
    ),
    "a picture without its id": (
        "'id' is a required",
        (
            RESPOND,
            wire.response_body(
                {name: value for name, value in wire.call().items() if name != "id"}
            ),
        ),
    ),
    "a picture of another status": (
        "$.output[0].status",
        (RESPOND, wire.response_body(wire.call(status="cooked"))),
    ),
    "another status of a response": ("$.status", (RESPOND, wire.response_body(status="done"))),
    "words that are a number": (
        "$.output[0].content[0].text",
        (RESPOND, wire.response_body(wire.message({**wire.output_text(""), "text": 4}))),
    ),
    "an edit's event in a generation": (
        "event 0: $.type",
        (GENERATE, wire.sse_bytes([wire.image_event("image_edit.completed")]), SSE),
    ),
    "an event without its picture": (
        "event 0: $: 'b64_json' is a required",
        (EDIT, wire.sse_bytes([{"type": "image_edit.completed"}]), SSE),
    ),
    "an unheard-of event": ("event 1: $.type", (RESPOND, events((1, {"type": "response.x"})), SSE)),
    "a place that is a text": (
        "event 3: $.output_index",
        (RESPOND, events((3, {"output_index": "0"})), SSE),
    ),
    "an event by another name": (
        "event 0: it is named",
        (RESPOND, events().replace(b"event: ", b"event: x", 1), SSE),
    ),
    "a stream that is cut": ("ends inside an event", (RESPOND, events()[:-1], SSE)),
    "a stream of nothing": ("has no event", (RESPOND, b"", SSE)),
    "the end of another API": ("no JSON", (RESPOND, events() + b"data: [DONE]\n\n", SSE)),
}


@pytest.mark.parametrize("name", UNFIT)
def test_an_unfit_answer_is_found_out(name: str, described: None) -> None:
    word, answer = UNFIT[name]
    with OF_JSONSCHEMA.asked():
        assert any(word in one for one in answered(*answer)), answered(*answer)


def test_a_field_that_it_does_not_know_passes_in_an_answer(described: None) -> None:
    with OF_JSONSCHEMA.asked(
        differs="it passes an unknown field in an answer: its schemas are open"
    ):
        assert answered(GENERATE, {"created": 1, "pictures": []}) == []
