"""The official client as a judge that we did not write: for the same call, the same request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import differences as meant
import httpx2
import openai
import pytest
from differences import HEADERS, TELEMETRY, Difference
from openai.types.images_response import ImagesResponse
from PIL import Image as Pillow
from sent import KEY, LINKED, Sent, all_ours, b64, ours, picture, saved, theirs
from tally import Judge

from imagekit import Image, ImageInput, ImageRequest, Mask, Profile, ProviderFile, State

pytestmark = [
    pytest.mark.real,
    # They say that variations are.
    pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning"),
]

JUDGE = Judge("the official SDK's requests")
IMAGES, RESPONSES = "openai-images", "openai-responses"
MODEL, CONVERSATION = "gpt-image-2.6-sunburst", "gpt-6.1-sol"
PROMPT = "an otter"
ANY_SCRIPT = "ein Fischotter, かわうそ, 🦦\r\n\t--\"'\\ \u2028 </b> %41+&"
ONE, TWO = picture(10), picture(20)
JPEG, WEBP = picture(40, "JPEG"), picture(50, "WEBP")
SIXTEEN = [picture(shade) for shade in range(16)]
LINK = "https://pictures.example/cat.png"


@dataclass
class Case:
    """A neutral call, the same call of the official client, and how they differ."""

    asked: dict[str, Any]
    ask: Callable[[Any], Any]
    provider: str = IMAGES
    stream: bool = False
    differs: Difference | None = None
    client: dict[str, Any] = field(default_factory=dict)
    sdk: dict[str, Any] = field(default_factory=dict)


# --- how a call is said, by us and by them


def of(provider: str = IMAGES, /, **said: Any) -> dict[str, Any]:
    return {"options": {provider: said}}


def _named(said: dict[str, Any]) -> dict[str, Any]:
    return {"prompt": PROMPT, "model": MODEL, **said}


def generate(**said: Any) -> Callable[[openai.OpenAI], Any]:
    return lambda sdk: sdk.images.generate(**_named(said))


def edit(image: Any, **said: Any) -> Callable[[openai.OpenAI], Any]:
    return lambda sdk: sdk.images.edit(image=image, **_named(said))


def edit_by_reference(*images: dict[str, str], **said: Any) -> Callable[[openai.OpenAI], Any]:
    """Their edit() knows no references; their post() sends what OpenAI's reference says of them."""
    body = {"images": list(images), **_named(said)}
    how: dict[str, Any] = {"stream": True, "stream_cls": openai.Stream[Any]}
    how = how if body.get("stream") else {}
    return lambda sdk: sdk.post("/images/edits", cast_to=ImagesResponse, body=body, **how)


def vary(image: Any, **said: Any) -> Callable[[openai.OpenAI], Any]:
    whole: dict[str, Any] = {"image": image, "model": MODEL, **said}
    return lambda sdk: sdk.images.create_variation(**whole)


def create(tool: Any = None, /, **said: Any) -> Callable[[openai.OpenAI], Any]:
    one = {"type": "image_generation", "model": MODEL, **(tool or {})}
    choice = {"tool_choice": {"type": "image_generation"}}
    whole = {"model": CONVERSATION, "input": PROMPT, "tools": [one], **choice, **said}
    return lambda sdk: sdk.responses.create(**whole)


def response(asked: dict[str, Any], ask: Callable[[Any], Any], **how: Any) -> Case:
    return Case(asked, ask, provider=RESPONSES, **how)


def file(data: bytes = ONE, name: str = "image.png", kind: str = "image/png") -> Any:
    return (name, data, kind)


def data_url(data: bytes = ONE, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{b64(data)}"


def content(*pictures: dict[str, Any]) -> list[Any]:
    parts = [{"type": "input_image", **one} for one in pictures]
    return [{"role": "user", "content": [{"type": "input_text", "text": PROMPT}, *parts]}]


Said = dict[str, Any]


def each(said: Said, case: Callable[[Said, Said], Case], provider: str = "") -> dict[str, Case]:
    """A case for each parameter alone; *provider* is whose options they are."""
    every = {name: {name: value} for name, value in said.items()}
    return {
        f"{name} alone": case(of(provider, **one) if provider else one, one)
        for name, one in every.items()
    }


# --- the Images API: from words

# What has one name in a request, in JSON, in a form and in the tool; then the options of such.
SHARED: Said = {
    "size": "1536x864",
    "quality": "xhigh",
    "background": "opaque",
    "output_format": "webp",
    "output_compression": 80,
}
OPTIONS: Said = {
    "complexity": "high",
    "frame_count": 16,
    "frame_duration_ms": 20,
    "svg": {"model": "gpt-6.1-sol", "reasoning": {"effort": "low"}},
}
# What the Images API has beside these, in JSON and in a form.
BESIDE: Said = {"n": 3, "user": "u-1"}
BESIDE_OPTIONS: Said = {"safety_identifier": "s-1", "response_format": "b64_json"}
UNHEARD: Said = {
    "seed": 7,
    "strength": 0.75,
    "tiny": 1e-07,
    "tiled": True,
    "plain": False,
    "steps": [1, 2.5, "three", True],
    "lora": {"name": "ü", "weights": [{"layer": 1}, {"layer": 2}]},
    "nothing": {"inside": {}, "listed": []},
    "style": "",
}


def _generate(asked: Said, said: Said) -> Case:
    return Case(asked, generate(**said))


GENERATE = {
    "words": Case({}, generate()),
    **each({**SHARED, **BESIDE, "moderation": "low"}, _generate),
    **each({**OPTIONS, **BESIDE_OPTIONS, "style": "vivid"}, _generate, IMAGES),
    "everything": Case(
        {**SHARED, **BESIDE, "moderation": "low", **of(**OPTIONS, **BESIDE_OPTIONS, style="vivid")},
        generate(**SHARED, **BESIDE, moderation="low", **OPTIONS, **BESIDE_OPTIONS, style="vivid"),
    ),
    "a size left to the model": Case({"size": "auto"}, generate(size="auto")),
    "a shape, which is a size in pixels": Case({"size": "3:2@1536"}, generate(size="1536x1024")),
    "a size between two": Case(
        {"size": "1004x1004"}, generate(size="1004x1004"), differs=meant.NEAREST
    ),
    "a png": Case({"output_format": "png"}, generate(output_format="png")),
    "a transparent png": Case(
        {"output_format": "png", "background": "transparent"},
        generate(output_format="png", background="transparent"),
    ),
    "a jpeg, by its other name and as small as can be": Case(
        {"output_format": "jpg", "output_compression": 0},
        generate(output_format="jpeg", output_compression=0),
    ),
    "a gif": Case(
        {"output_format": "gif", **of(frame_count=2, frame_duration_ms=655_350)},
        generate(output_format="gif", frame_count=2, frame_duration_ms=655_350),
    ),
    "an svg": Case(
        {"output_format": "svg", **of(svg={"model": "gpt-6.1-sol"})},
        generate(output_format="svg", svg={"model": "gpt-6.1-sol"}),
    ),
    "as many as one request makes": Case({"n": 10}, generate(n=10)),
    "one, said": Case({"n": 1}, generate(n=1), differs=meant.ONE_UNSAID),
    "an earlier model": Case({"model": "gpt-image-1.5"}, generate(model="gpt-image-1.5")),
    "a model that nobody has heard of": Case({"model": "otter-9"}, generate(model="otter-9")),
    "no model": Case({"model": None}, generate(model=openai.omit), differs=meant.NAMED),
    "words of any script": Case({"prompt": ANY_SCRIPT}, generate(prompt=ANY_SCRIPT)),
    "as many words as may be": Case({"prompt": "ö " * 16_000}, generate(prompt="ö " * 16_000)),
    "what neither knows": Case(of(extra_body=UNHEARD), generate(extra_body=UNHEARD)),
    "what both know, said otherwise at the end": Case(
        {"quality": "low", **of(extra_body={"quality": "ultra", "model": "otter-9"})},
        generate(quality="low", extra_body={"quality": "ultra", "model": "otter-9"}),
    ),
    "nulls": Case(
        {"size": None, "quality": None, **of(complexity=None, extra_body={"seed": None})},
        generate(size=None, quality=None, complexity=None, extra_body={"seed": None}),
        differs=meant.NULL_UNSAID,
    ),
    "a stream": Case({}, generate(stream=True), stream=True),
    "a stream with no previews": Case(
        {"partial_images": 0}, generate(stream=True, partial_images=0), stream=True
    ),
    "a stream with more previews than there are": Case(
        {"partial_images": 4},
        generate(stream=True, partial_images=4),
        stream=True,
        differs=meant.DROPPED,
    ),
    "a stream with previews, and more": Case(
        {"partial_images": 3, "moderation": "auto", **SHARED},
        generate(stream=True, partial_images=3, moderation="auto", **SHARED),
        stream=True,
    ),
    **{
        f"a stream of a {kind}": Case(
            {"partial_images": 2, "output_format": kind},
            generate(stream=True, partial_images=2, output_format=kind),
            stream=True,
            differs=meant.WHOLE,
        )
        for kind in ("gif", "svg")
    },
}

# --- masks: the same pixels may change in each convention

OPACITY = bytes((0, 255, 60, 255))
INVERSE = bytes(255 - level for level in OPACITY)
GREY = bytes((90,) * 4)


def _drawn(mode: str, *bands: bytes) -> bytes:
    return saved(Pillow.merge(mode, [Pillow.frombytes("L", (2, 2), band) for band in bands]))


TRANSPARENT = _drawn("RGBA", GREY, GREY, GREY, OPACITY)
CONVENTIONS: dict[Any, bytes] = {
    "opaque": _drawn("RGBA", GREY, GREY, GREY, INVERSE),
    "white": _drawn("L", INVERSE),
    "black": _drawn("L", OPACITY),
}
MASK = Mask(TRANSPARENT, edit_where="transparent")
THEIR_MASK = file(TRANSPARENT, "mask.png")

# --- the Images API: from pictures

# What the alphabet puts before the model.
EARLY = {"background", "complexity", "frame_count", "frame_duration_ms", "input_fidelity"}


def _edit(asked: Said, said: Said) -> Case:
    differs = meant.ORDER if EARLY & set(said) else None
    return Case({"images": ONE, **asked}, edit(file(), **said), differs=differs)


MARKS = ImageInput(data=TRANSPARENT, role="markup", name="marks.png")
THEIR_MARKS = file(TRANSPARENT, "marks.png")
ODD = 'Otter "ü" 🦦 100% a\\b.png'

EDIT = {
    "a png": Case({"images": ONE}, edit(file())),
    "a jpeg": Case({"images": JPEG}, edit(file(JPEG, "image.jpg", "image/jpeg"))),
    "a webp": Case({"images": WEBP}, edit(file(WEBP, "image.webp", "image/webp"))),
    "bytes without a name": Case({"images": ONE}, edit(ONE), differs=meant.SNIFFED),
    "a data URL": Case({"images": data_url()}, edit(file())),
    "an earlier picture": Case({"images": Image(data=ONE)}, edit(file())),
    "a list of one": Case({"images": [ONE]}, edit([file()]), differs=meant.NO_LIST),
    "two": Case({"images": (ONE, TWO)}, edit([file(ONE), file(TWO)])),
    "three of three types": Case(
        {"images": (WEBP, ONE, JPEG)},
        edit(
            [
                file(WEBP, "image.webp", "image/webp"),
                file(ONE),
                file(JPEG, "image.jpg", "image/jpeg"),
            ]
        ),
    ),
    "sixteen": Case({"images": SIXTEEN}, edit([file(one) for one in SIXTEEN])),
    "a picture of another role, with a name": Case(
        {"images": (ONE, ImageInput(data=TWO, role="reference", name="style.png"))},
        edit([file(ONE), file(TWO, "style.png")]),
    ),
    "a name that must be escaped": Case(
        {"images": ImageInput(data=ONE, name=ODD)}, edit(file(ONE, ODD))
    ),
    "a mask": Case({"images": ONE, "mask": MASK}, edit(file(), mask=THEIR_MASK)),
    "a mask for the first of two": Case(
        {"images": (ONE, TWO), "mask": MASK}, edit([file(ONE), file(TWO)], mask=THEIR_MASK)
    ),
    "a mask at a URL": Case(
        {"images": ONE, "mask": Mask(LINK, edit_where="transparent")},
        edit(file(), mask=file(LINKED, "mask.png")),
    ),
    **{
        f"a mask that is {convention} where it may change": Case(
            {"images": ONE, "mask": Mask(data, edit_where=convention)},
            edit(file(), mask=THEIR_MASK),
            differs=meant.TURNED,
        )
        for convention, data in CONVENTIONS.items()
    },
    "a markup": Case({"images": (ONE, MARKS)}, edit(file(), markup=THEIR_MARKS)),
    "a markup over the first of two": Case(
        {"images": (MARKS, ONE, TWO)}, edit([file(ONE), file(TWO)], markup=THEIR_MARKS)
    ),
    **each({**SHARED, **BESIDE}, _edit),
    **each({**OPTIONS, **BESIDE_OPTIONS, "input_fidelity": "high"}, _edit, IMAGES),
    "everything": Case(
        {
            "images": (ONE, TWO),
            "mask": MASK,
            **SHARED,
            **BESIDE,
            **of(**OPTIONS, **BESIDE_OPTIONS, input_fidelity="low"),
        },
        edit(
            [file(ONE), file(TWO)],
            mask=THEIR_MASK,
            **SHARED,
            **BESIDE,
            **OPTIONS,
            **BESIDE_OPTIONS,
            input_fidelity="low",
        ),
        differs=meant.ORDER,
    ),
    "a null inside": Case(
        {"images": ONE, **of(svg={"model": "m", "reasoning": {"effort": None}})},
        edit(file(), svg={"model": "m", "reasoning": {"effort": None}}),
    ),
    "nulls": Case(
        {"images": ONE, "size": None, **of(complexity=None, extra_body={"seed": None})},
        edit(file(), size=None, complexity=None, extra_body={"seed": None}),
    ),
    "no model": Case(
        {"images": ONE, "model": None}, edit(file(), model=openai.omit), differs=meant.NAMED
    ),
    "words of any script": Case(
        {"images": ONE, "prompt": ANY_SCRIPT}, edit(file(), prompt=ANY_SCRIPT)
    ),
    "what neither knows": Case(
        {"images": ONE, **of(extra_body=UNHEARD)}, edit(file(), extra_body=UNHEARD)
    ),
    "a moderation level": Case(
        {"images": ONE, "mask": MASK, "moderation": "low"},
        edit(file(), mask=THEIR_MASK, extra_body={"moderation": "low"}),
        differs=meant.AS_JSON,
    ),
    "a file they keep": Case(
        {"images": ProviderFile("file-1")}, edit_by_reference({"file_id": "file-1"})
    ),
    "a URL": Case({"images": LINK}, edit_by_reference({"image_url": LINK})),
    "a file, a URL and bytes, with a mask they keep, and more": Case(
        {
            "images": (ProviderFile("file-1"), LINK, ONE),
            "mask": Mask(ProviderFile("file-2"), edit_where="transparent"),
            **SHARED,
            **of(complexity="high"),
        },
        edit_by_reference(
            {"file_id": "file-1"},
            {"image_url": LINK},
            {"image_url": data_url()},
            mask={"file_id": "file-2"},
            complexity="high",
            **SHARED,
        ),
    ),
    "a stream": Case({"images": ONE}, edit(file(), stream=True), stream=True),
    "a stream with previews": Case(
        {"images": ONE, "mask": MASK, "partial_images": 2},
        edit(file(), mask=THEIR_MASK, stream=True, partial_images=2),
        stream=True,
        differs=meant.ORDER,
    ),
    "a stream from a file they keep": Case(
        {"images": ProviderFile("file-1"), "partial_images": 1},
        edit_by_reference({"file_id": "file-1"}, stream=True, partial_images=1),
        stream=True,
    ),
    "a variation": Case({"prompt": None, "images": ONE}, vary(file()), differs=meant.EMULATED),
}

# --- the Images API of another server


def elsewhere(**settings: Any) -> dict[str, Any]:
    base_url = "http://127.0.0.1:8080/v1"
    return {
        "client": {"base_url": base_url, "settings": settings},
        "sdk": {"base_url": base_url},
    }


ELSEWHERE = {
    "words": Case({}, generate(), **elsewhere()),
    "a model, a size and a style of its own": Case(
        {"model": "otter-9", "size": "500x333", **of(style="moss")},
        generate(model="otter-9", size="500x333", style="moss"),
        **elsewhere(),
    ),
    "a stream": Case({}, generate(stream=True), stream=True, **elsewhere()),
    "a stream where there is none": Case(
        {"partial_images": 2},
        generate(stream=True, partial_images=2),
        stream=True,
        differs=meant.UNSTREAMED,
        **elsewhere(streaming=False),
    ),
    "an edit of what is at a URL": Case({"images": LINK}, edit(file(LINKED)), **elsewhere()),
    "an edit with a moderation level": Case(
        {"images": ONE, "moderation": "low"},
        edit(file(), extra_body={"moderation": "low"}),
        **elsewhere(),
    ),
    "an edit with a mask of its own convention": Case(
        {"images": ONE, "mask": Mask(CONVENTIONS["white"], edit_where="white")},
        edit(file(), mask=file(CONVENTIONS["white"], "mask.png")),
        **elsewhere(mask="white"),
    ),
    "an edit of one where one name is known, and it is a list's": Case(
        {"images": ONE}, edit([file()]), **elsewhere(image_field="image[]")
    ),
    "an edit of two where one name is known": Case(
        {"images": (ONE, TWO)},
        edit([file(ONE), file(TWO)]),
        differs=meant.ONE_NAME,
        **elsewhere(image_field="image"),
    ),
    "a variation": Case(
        {"prompt": None, "images": ONE}, vary(file()), **elsewhere(variations=True)
    ),
    "two small variations of a jpeg": Case(
        {"prompt": None, "images": JPEG, "model": "dall-e-2", "n": 2, "size": "512x512"},
        vary(file(JPEG, "image.jpg", "image/jpeg"), model="dall-e-2", n=2, size="512x512"),
        **elsewhere(variations=True),
    ),
    "a variation with everything": Case(
        {
            "prompt": None,
            "images": ONE,
            "model": "dall-e-2",
            "n": 3,
            "size": "256x256",
            "user": "u-1",
            **of(response_format="url"),
        },
        vary(file(), model="dall-e-2", n=3, size="256x256", user="u-1", response_format="url"),
        differs=meant.ORDER,
        **elsewhere(variations=True),
    ),
    "a response": response({}, create(), **elsewhere()),
}

# --- the Responses API

TOOL: Said = {**SHARED, "moderation": "low"}
TOOL_OPTIONS: Said = {**OPTIONS, "action": "generate", "input_fidelity": "low"}
AROUND: Said = {
    "instructions": "Be brief.",
    "reasoning": {"effort": "low", "summary": None},
    "store": False,
    "include": ["reasoning.encrypted_content"],
    "metadata": {"team": "ü"},
    "service_tier": "flex",
    "truncation": "auto",
    "max_output_tokens": 500,
    "max_tool_calls": 1,
    "parallel_tool_calls": False,
    "prompt_cache_key": "k",
    "safety_identifier": "s-1",
}
CHOICE: Said = {
    "tool_choice": {
        "type": "allowed_tools",
        "mode": "required",
        "tools": [{"type": "image_generation"}],
    }
}
ITEMS: list[Any] = [
    {"type": "reasoning", "id": "rs_1", "summary": []},
    {"type": "image_generation_call", "id": "ig_1"},
]
STATE = State(provider=RESPONSES, payload={"response_id": "resp_1", "items": ITEMS})
QUIET: Said = {"stream": True, "stream_options": {"include_obfuscation": False}}
GIVEN = content({"image_url": data_url()})
TOOL_MASK = {"input_image_mask": {"image_url": data_url(TRANSPARENT)}}


def _in_the_tool(asked: Said, said: Said) -> Case:
    return response(asked, create(said))


def _around(asked: Said, said: Said) -> Case:
    return response(asked, create(**said))


RESPONSE = {
    "words": response({}, create()),
    **each(TOOL, _in_the_tool),
    **each(TOOL_OPTIONS, _in_the_tool, RESPONSES),
    **each({**AROUND, "conversation": "conv_1"}, _around, RESPONSES),
    "everything": response(
        {**TOOL, **of(RESPONSES, **TOOL_OPTIONS, **AROUND, context_compression="auto")},
        create({**TOOL, **TOOL_OPTIONS}, **AROUND, image={"context_compression": "auto"}),
    ),
    "context compression": response(
        of(RESPONSES, context_compression="disabled"),
        create(image={"context_compression": "disabled"}),
    ),
    "another model to talk to": response(
        of(RESPONSES, conversation_model="gpt-6-luna"), create(model="gpt-6-luna")
    ),
    "another model to draw": response(
        {"model": "gpt-image-2.5-flare"}, create({"model": "gpt-image-2.5-flare"})
    ),
    "no model": response(
        {"model": None},
        create(model=openai.omit, tools=[{"type": "image_generation"}]),
        differs=meant.BOTH_NAMED,
    ),
    "no choice of a tool": response({}, create(tool_choice=openai.omit), differs=meant.FORCED),
    "another choice of a tool": response(
        of(RESPONSES, tool_choice="required"), create(tool_choice="required")
    ),
    "a choice among tools": response(of(RESPONSES, **CHOICE), create(**CHOICE)),
    "an end user": response({"user": "u-1"}, create(user="u-1"), differs=meant.SAFETY),
    "a gif": response(
        {"output_format": "gif", **of(RESPONSES, frame_count=2)},
        create({"output_format": "gif", "frame_count": 2}),
    ),
    "an svg": response(
        {"output_format": "svg", **of(RESPONSES, svg={"model": "gpt-6.1-sol"})},
        create({"output_format": "svg", "svg": {"model": "gpt-6.1-sol"}}),
    ),
    "a jpeg as small as can be": response(
        {"output_format": "jpeg", "output_compression": 0},
        create({"output_format": "jpeg", "output_compression": 0}),
    ),
    "words of any script": response({"prompt": ANY_SCRIPT}, create(input=ANY_SCRIPT)),
    "what neither knows": response(
        of(RESPONSES, extra_body=UNHEARD, extra_tool={"tiled": True}),
        create({"tiled": True}, extra_body=UNHEARD),
    ),
    "in the background": response({"detach": True}, create(background=True, store=True)),
    "a png": response({"images": ONE}, create(input=GIVEN)),
    "a jpeg": response(
        {"images": JPEG}, create(input=content({"image_url": data_url(JPEG, "image/jpeg")}))
    ),
    "a webp": response(
        {"images": WEBP}, create(input=content({"image_url": data_url(WEBP, "image/webp")}))
    ),
    "a data URL": response({"images": data_url()}, create(input=GIVEN)),
    "a URL": response({"images": LINK}, create(input=content({"image_url": LINK}))),
    "a file they keep": response(
        {"images": ProviderFile("file-1")}, create(input=content({"file_id": "file-1"}))
    ),
    "bytes, a file and a URL, with how closely to look": response(
        {"images": (ONE, ProviderFile("file-1"), LINK), **of(RESPONSES, detail="high")},
        create(
            input=content(
                {"image_url": data_url(), "detail": "high"},
                {"file_id": "file-1", "detail": "high"},
                {"image_url": LINK, "detail": "high"},
            )
        ),
    ),
    "an edit of sixteen": response(
        {"images": SIXTEEN, **of(RESPONSES, action="edit")},
        create(
            {"action": "edit"}, input=content(*({"image_url": data_url(one)} for one in SIXTEEN))
        ),
    ),
    "a mask": response({"images": ONE, "mask": MASK}, create(TOOL_MASK, input=GIVEN)),
    "a mask they keep": response(
        {"images": ONE, "mask": Mask(ProviderFile("file-2"), edit_where="transparent")},
        create({"input_image_mask": {"file_id": "file-2"}}, input=GIVEN),
    ),
    "a mask at a URL": response(
        {"images": ONE, "mask": Mask(LINK, edit_where="transparent")},
        create({"input_image_mask": {"image_url": data_url(LINKED)}}, input=GIVEN),
    ),
    **{
        f"a mask that is {convention} where it may change": response(
            {"images": ONE, "mask": Mask(data, edit_where=convention)},
            create(TOOL_MASK, input=GIVEN),
            differs=meant.TURNED,
        )
        for convention, data in CONVENTIONS.items()
    },
    "a state, by the earlier response": response(
        {"state": STATE}, create(previous_response_id="resp_1")
    ),
    "a state, by the earlier picture": response(
        {"state": STATE, **of(RESPONSES, continue_by="item")}, create(input=[*ITEMS, *content()])
    ),
    "a state, another picture and a mask": response(
        {"state": STATE, "images": ONE, "mask": MASK},
        create(TOOL_MASK, previous_response_id="resp_1", input=GIVEN),
    ),
    "a stream": response({}, create(**QUIET), stream=True),
    "a stream with padding": response({}, create(stream=True), stream=True, differs=meant.UNPADDED),
    "a stream with no previews": response(
        {"partial_images": 0}, create({"partial_images": 0}, **QUIET), stream=True
    ),
    "a stream of an edit with previews, and more": response(
        {"partial_images": 3, "images": ONE, **TOOL},
        create({"partial_images": 3, **TOOL}, input=GIVEN, **QUIET),
        stream=True,
    ),
    "a stream of a gif": response(
        {"partial_images": 2, "output_format": "gif"},
        create({"partial_images": 2, "output_format": "gif"}, **QUIET),
        stream=True,
        differs=meant.WITHOUT_PREVIEWS,
    ),
}

# --- who is calling, and where


def based(url: str, /, **sdk: Any) -> dict[str, Any]:
    return {"client": {"base_url": url}, "sdk": sdk or {"base_url": url}}


EU = "https://eu.api.openai.com/v1"
SERVER = "https://pictures.example"
TENANT: Said = {"base_url": f"{SERVER}/v1", "default_query": {"tenant": "a", "tag": "x y/z"}}
TEAM = {"X-Team": "art", "X-Note": "a: b"}
TEAMED: Said = {"client": {"settings": {"headers": TEAM}}, "sdk": {"default_headers": TEAM}}
PAYING = {"organization": "org-1", "project": "proj-1"}
INSTEAD = {"authorization": "Bearer other"}

PLACES = {
    **{
        f"the region {name}": Case(
            {}, generate(), **based(f"https://{name}.api.openai.com/v1", data_residency=name)
        )
        for name in ("us", "eu", "ae", "au", "in", "jp")
    },
    "a region, for a file kept there": Case(
        {"images": ProviderFile("file-1")}, edit_by_reference({"file_id": "file-1"}), **based(EU)
    ),
    "a region, for a response": response({}, create(), **based(EU, data_residency="eu")),
    **{
        f"the base URL {url}": Case({}, generate(), **based(url))
        for url in (SERVER, f"{SERVER}/", f"{SERVER}/v1", f"{SERVER}:8443/a%20b/ü/v1/")
    },
    "a base URL with a slash, for an edit": Case(
        {"images": ONE}, edit(file()), **based(f"{SERVER}/v1/")
    ),
    "a base URL with a slash, for a response": response({}, create(), **based(f"{SERVER}/v1/")),
    "a base URL with a query": Case(
        {}, generate(), **based(f"{SERVER}/v1?tenant=a&tag=x%20y%2Fz", **TENANT)
    ),
    "a base URL with a query, for an edit": Case(
        {"images": ONE}, edit(file()), **based(f"{SERVER}/v1/?tenant=a&tag=x+y/z", **TENANT)
    ),
    "a base URL with a query, for a response": response(
        {}, create(**QUIET), stream=True, **based(f"{SERVER}/v1?tenant=a&tag=x%20y/z", **TENANT)
    ),
    "a base URL with a query, said the same": Case(
        {}, generate(), differs=meant.QUERY, **based(f"{SERVER}/v1?tenant=a")
    ),
    "no key": Case(
        {},
        generate(),
        differs=meant.KEYLESS,
        client={"base_url": f"{SERVER}/v1", "api_key": None},
        sdk={"base_url": f"{SERVER}/v1"},
    ),
    "an organisation and a project": Case({}, generate(), client={"settings": PAYING}, sdk=PAYING),
    "headers": Case({}, generate(), **TEAMED),
    "headers, for an edit": Case({"images": ONE}, edit(file()), **TEAMED),
    "headers, for a response": response({}, create(), **TEAMED),
    "another authorization than a key": Case(
        {},
        generate(),
        client={"settings": {"headers": INSTEAD}},
        sdk={"default_headers": INSTEAD},
    ),
}

# --- Azure: a deployment's own URL, and the one that speaks as OpenAI's does

RESOURCE = "https://res.openai.azure.com"
VERSION = "2025-04-01-preview"
DEPLOYMENT = f"{RESOURCE}/openai/deployments/dep?api-version={VERSION}"
UNNAMED: Said = {"model": None, **of(extra_body={"model": None})}
OMIT: Said = {"model": openai.omit}
HEADER: Said = {"api_key": None, "settings": {"headers": {"api-key": "azure-key"}}}
TOKEN: Said = {"api_key": None, "settings": {"headers": {"authorization": "Bearer entra"}}}
THEIR_HEADER: Said = {"api_key": "azure-key"}
THEIR_TOKEN: Said = {"api_key": None, "azure_ad_token": "entra"}


def azure(
    url: str = DEPLOYMENT,
    client: Said = HEADER,
    sdk: Said = THEIR_HEADER,
    deployment: str | None = "dep",
) -> dict[str, Any]:
    there = {"azure_endpoint": RESOURCE, "azure_deployment": deployment, "api_version": VERSION}
    return {
        "client": {"base_url": url, **client},
        "sdk": {"of": openai.AzureOpenAI, **there, **sdk},
    }


def v1(client: Said, **sdk: Any) -> dict[str, Any]:
    url = f"{RESOURCE}/openai/v1"
    return {"client": {"base_url": url, **client}, "sdk": {"base_url": url, **sdk}}


AZURE = {
    "a deployment": Case(UNNAMED, generate(**OMIT), **azure()),
    "a deployment that is also named": Case(
        {"model": "dep"}, generate(model="dep"), differs=meant.IN_THE_PATH, **azure()
    ),
    "a deployment by the model's name": Case(
        {"model": "dep"}, generate(model="dep"), differs=meant.IN_THE_PATH, **azure(deployment=None)
    ),
    "a deployment, and more": Case(
        {**UNNAMED, "size": "1024x1536", "quality": "high", "output_format": "jpeg", "n": 2},
        generate(**OMIT, size="1024x1536", quality="high", output_format="jpeg", n=2),
        **azure(),
    ),
    "a deployment, as a stream": Case(
        {**UNNAMED, "partial_images": 1},
        generate(**OMIT, stream=True, partial_images=1),
        stream=True,
        **azure(),
    ),
    "a deployment, by a token": Case(
        UNNAMED, generate(**OMIT), **azure(client=TOKEN, sdk=THEIR_TOKEN)
    ),
    "a deployment, by a token for a key": Case(
        UNNAMED,
        generate(**OMIT),
        **azure(
            client={"api_key": None, "settings": {"azure": {"token": lambda: "entra"}}},
            sdk={"api_key": None, "azure_ad_token_provider": lambda: "entra"},
        ),
    ),
    "a deployment, for an edit": Case({**UNNAMED, "images": ONE}, edit(file(), **OMIT), **azure()),
    "a deployment, for an edit of two with a mask": Case(
        {**UNNAMED, "images": (ONE, JPEG), "mask": MASK, "quality": "high"},
        edit(
            [file(ONE), file(JPEG, "image.jpg", "image/jpeg")],
            mask=THEIR_MASK,
            quality="high",
            **OMIT,
        ),
        **azure(),
    ),
    "a deployment, for an edit as a stream by a token": Case(
        {**UNNAMED, "images": ONE},
        edit(file(), stream=True, **OMIT),
        stream=True,
        **azure(client=TOKEN, sdk=THEIR_TOKEN),
    ),
    "a response": response(
        {"model": "dep", **of(RESPONSES, conversation_model="talk")},
        create({"model": "dep"}, model="talk"),
        differs=meant.NAMED_FOR_THE_TOOL,
        **azure(f"{RESOURCE}/openai?api-version={VERSION}"),
    ),
    "a response by a token, as a stream": response(
        {"model": "dep", **of(RESPONSES, conversation_model="talk")},
        create({"model": "dep"}, model="talk", **QUIET),
        stream=True,
        differs=meant.NAMED_FOR_THE_TOOL,
        **azure(f"{RESOURCE}/openai/?api-version={VERSION}", TOKEN, THEIR_TOKEN),
    ),
    "v1": Case(
        {"model": "dep"},
        generate(model="dep"),
        differs=meant.AS_A_KEY,
        **v1({"api_key": "k"}, api_key="k"),
    ),
    "v1, by Azure's header": Case(
        {"model": "dep"},
        generate(model="dep", extra_headers={"Authorization": openai.omit}),
        **v1(HEADER, default_headers={"api-key": "azure-key"}),
    ),
    "v1, for an edit by a token": Case(
        {"model": "dep", "images": ONE},
        edit(file(), model="dep"),
        **v1(TOKEN, api_key=lambda: "entra"),
    ),
    "v1, for a response": response(
        {"model": "dep", **of(RESPONSES, conversation_model="talk")},
        create({"model": "dep"}, model="talk"),
        differs=meant.AS_A_KEY_AND_NAMED,
        **v1({"api_key": "k"}, api_key="k"),
    ),
    "v1, with its version": Case(
        {"model": "dep"},
        generate(model="dep"),
        differs=meant.AS_A_KEY,
        **based(
            f"{RESOURCE}/openai/v1/?api-version=preview",
            base_url=f"{RESOURCE}/openai/v1/",
            default_query={"api-version": "preview"},
        ),
    ),
}

GROUPS = {
    "generate": GENERATE,
    "edit": EDIT,
    "another server": ELSEWHERE,
    "response": RESPONSE,
    "place": PLACES,
    "Azure": AZURE,
}
CASES = {f"{group}: {name}": one for group, cases in GROUPS.items() for name, one in cases.items()}

# --- the comparison


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Theirs reads the process's; ours is given one."""
    for name in (
        *("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"),
        *("OPENAI_CUSTOM_HEADERS", "OPENAI_ADMIN_KEY", "OPENAI_API_VERSION"),
        *("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN", "AZURE_OPENAI_ENDPOINT"),
    ):
        monkeypatch.delenv(name, raising=False)


def request(**asked: Any) -> ImageRequest:
    return ImageRequest(**{"prompt": PROMPT, "model": MODEL, **asked})


def reason(differs: Difference | None) -> str | None:
    return differs.reason if differs else None


def assert_same(mine: Sent, other: Sent, differs: Difference | None = None) -> None:
    """All of both is the same, but for what is listed."""
    for one in (mine, other):
        one.headers = {name: said for name, said in one.headers.items() if not listed(name)}
    if differs is not None:
        differs.level(mine, other)
        for one in (mine, other):
            del one.headers["content-length"]
    assert mine == other
    assert mine.text == other.text


def listed(name: str) -> bool:
    return name in HEADERS or name.startswith(TELEMETRY)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_our_request_is_the_official_clients(case: Case) -> None:
    with JUDGE.asked(differs=reason(case.differs)):
        asked = request(**case.asked)
        mine = ours(asked, provider=case.provider, stream=case.stream, **case.client)
        assert_same(mine, theirs(case.ask, stream=case.stream, **case.sdk), case.differs)


def test_enough_calls_are_compared() -> None:
    alike = [case for case in CASES.values() if case.differs is None]
    calls = {repr((one.asked, one.provider, one.stream, one.client)) for one in alike}
    assert len(calls) >= 140


@pytest.mark.parametrize(
    ("name", "data", "differs"),
    [
        ("otter.png", ONE, None),
        ("otter.webp", WEBP, None),
        ("otter.jpg", JPEG, None),
        ("otter.jpeg", JPEG, meant.ONE_ENDING),
        ("otter.jpg", ONE, meant.LOOKED),
        ("otter", ONE, meant.LOOKED),
    ],
)
def test_a_file_goes_as_the_official_client_sends_it(
    tmp_path: Path, name: str, data: bytes, differs: Difference | None
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with JUDGE.asked(differs=reason(differs)):
        mine = ours(request(images=path), provider=IMAGES, stream=False)
        assert_same(mine, theirs(edit(path), stream=False), differs)


@pytest.mark.parametrize(
    ("provider", "asked", "asks", "stream"),
    [
        (IMAGES, {"n": 13}, [generate(n=10), generate(n=3)], False),
        (IMAGES, {"n": 2, "output_format": "svg"}, [generate(output_format="svg")] * 2, False),
        (IMAGES, {"n": 2}, [generate(stream=True)] * 2, True),
        (IMAGES, {"n": 2, "images": ONE}, [edit(file(), stream=True)] * 2, True),
        (RESPONSES, {"n": 3}, [create()] * 3, False),
    ],
    ids=["thirteen", "two svgs", "a stream of two", "a stream of two edits", "three responses"],
)
def test_several_requests_are_each_the_official_clients(
    provider: str, asked: Said, asks: list[Any], stream: bool
) -> None:
    with JUDGE.asked(differs=meant.SEVERAL):
        # Side by side, they come in any order.
        mine = sorted(
            all_ours(request(**asked), provider=provider, stream=stream), key=lambda one: one.text
        )
        for one, ask in zip(mine, asks, strict=True):
            assert_same(one, theirs(ask, stream=stream))


ENVIRONMENT = {
    "OPENAI_API_KEY": KEY,
    "OPENAI_BASE_URL": EU,
    "OPENAI_ORG_ID": "org-1",
    "OPENAI_PROJECT_ID": "proj-1",
    "OPENAI_CUSTOM_HEADERS": "X-Team: art\nOpenAI-Project: proj-2\n\n X-Note :  a: b ",
}
OWN_KEY: Said = {"OPENAI_API_KEY": KEY}
OWN_HEADER: Said = {**OWN_KEY, "OPENAI_CUSTOM_HEADERS": "Authorization: Bearer other"}
LOCAL: Said = {"profiles": [Profile("local", IMAGES, base_url=f"{SERVER}/v1")], "provider": "local"}
AT_AZURE = Profile("azure", IMAGES, base_url=DEPLOYMENT, settings=HEADER["settings"])

SURROUNDED: dict[str, tuple[Said, Case]] = {
    "everything": (ENVIRONMENT, Case({}, generate())),
    "everything, for an edit": (ENVIRONMENT, Case({"images": ONE}, edit(file()))),
    "everything, for a response": (ENVIRONMENT, response({}, create())),
    "a key": (OWN_KEY, Case({}, generate())),
    **{
        f"a key and {name}": ({**OWN_KEY, name: ENVIRONMENT[name]}, Case({}, generate()))
        for name in list(ENVIRONMENT)[1:]
    },
    "a header in place of a key": (OWN_HEADER, Case({}, generate())),
    "a header in place of a key that code says": (
        OWN_HEADER,
        Case(
            {}, generate(), client={"api_key": KEY}, sdk={"api_key": KEY}, differs=meant.CODE_FIRST
        ),
    ),
    "a key, at an address that code says": (
        OWN_KEY,
        Case({}, generate(), **based(f"{SERVER}/v1")),
    ),
    "a key, at a profile's address": (
        OWN_KEY,
        Case({}, generate(), differs=meant.AT_HOME, client=LOCAL, sdk={"base_url": f"{SERVER}/v1"}),
    ),
    "a key that is not Azure's": (
        OWN_KEY,
        Case(
            UNNAMED,
            generate(**OMIT),
            client={"profiles": [AT_AZURE], "provider": "azure"},
            sdk=azure()["sdk"],
        ),
    ),
}


@pytest.mark.parametrize(("env", "case"), SURROUNDED.values(), ids=SURROUNDED)
def test_the_environment_means_what_it_means_to_the_official_client(
    monkeypatch: pytest.MonkeyPatch, env: dict[str, str], case: Case
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    with JUDGE.asked(differs=reason(case.differs)):
        client = {"provider": case.provider, "api_key": None, **case.client}
        mine = ours(request(**case.asked), stream=False, env=env, **client)
        other = theirs(case.ask, stream=False, **{"api_key": None, **case.sdk})
        assert_same(mine, other, case.differs)


def test_the_listed_headers_are_each_clients_own() -> None:
    mine = ours(request(), provider=IMAGES, stream=True).headers
    other = theirs(generate(stream=True), stream=True).headers
    with JUDGE.asked(differs=HEADERS["accept"]):
        assert (mine["accept"], other["accept"]) == ("*/*", "application/json")
    with JUDGE.asked(differs=HEADERS["user-agent"]):
        whose = [one["user-agent"].partition("/")[0] for one in (mine, other)]
        assert whose == ["imagekit", "OpenAI"]
    with JUDGE.asked(differs=HEADERS[TELEMETRY]):
        assert not [name for name in mine if name.startswith(TELEMETRY)]
        assert [name for name in other if name.startswith(TELEMETRY)]
    with JUDGE.asked(differs=HEADERS["accept-encoding"]), httpx2.Client() as plain:
        assert mine["accept-encoding"] == "identity"
        assert other["accept-encoding"] == plain.headers["accept-encoding"]
