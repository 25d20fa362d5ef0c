"""Providers that go wrong in one operation, in one way or of two pictures only, each in one way."""

from __future__ import annotations

import base64
import dataclasses
import io
from collections.abc import Callable
from typing import Any, TypeAlias

from PIL import Image as Pillow
from PIL import ImageOps

import imagekit
from conforming import Broken, Streaming, StreamingSuite, broken, spelt
from imagekit import Image, ImageFailure, ImageRequest, ImageResponse
from imagekit.provider import Config, Flow, HttpRequest

Change: TypeAlias = Callable[[dict[str, Any], ImageRequest], None]
S = StreamingSuite


class Keyed(Streaming):
    """Knows its key by heart."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.key = str(config.api_key)


def when_streaming(change: Change) -> type[Streaming]:
    """What it would send of a stream is spoiled by *change*."""

    class Bent(Streaming):
        def wanted(self, request: ImageRequest, *, stream: bool) -> dict[str, Any]:
            found = super().wanted(request, stream=stream)
            if stream:
                change(found, request)
            return found

    return Bent


def on_edit(change: Change) -> type[Streaming]:
    """The same of an edit."""
    return always(lambda wanted, request: change(wanted, request) if request.images else None)


def always(change: Change) -> type[Streaming]:
    """The same, whatever is asked."""

    class Bent(Streaming):
        def wanted(self, request: ImageRequest, *, stream: bool) -> dict[str, Any]:
            found = super().wanted(request, stream=stream)
            change(found, request)
            return found

    return Bent


def without(name: str) -> Change:
    def change(wanted: dict[str, Any], request: ImageRequest) -> None:
        wanted.pop(name, None)

    return change


def of_edits(request: ImageRequest) -> bool:
    return bool(request.images)


def of_two(request: ImageRequest) -> bool:
    return request.n > 1


When: TypeAlias = Callable[[ImageRequest], bool]


def asking(when: When, change: Callable[[HttpRequest, str], HttpRequest]) -> type[Streaming]:
    """Its request is another, where that is so."""

    class Bent(Keyed):
        def asking(self, request: ImageRequest, *, stream: bool) -> HttpRequest:
            found = super().asking(request, stream=stream)
            return change(found, self.key) if when(request) else found

    return Bent


def answering(
    when: When, change: Callable[[ImageResponse, ImageRequest, str], ImageResponse]
) -> type[Streaming]:
    """Its response is another, where that is so."""

    class Bent(Keyed):
        def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
            found = yield from super().flow(request, stream=stream)
            return change(found, request, self.key) if when(request) else found

    return Bent


def failing(when: When, change: Callable[[imagekit.ProviderError, str], Any]) -> type[Streaming]:
    """Its error is another, or none at all, where that is so."""

    class Bent(Keyed):
        def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
            try:
                return (yield from super().flow(request, stream=stream))
            except imagekit.ProviderError as error:
                if not when(request):
                    raise
                found = change(error, self.key)
            if isinstance(found, Exception):
                raise found
            return ImageResponse(slots=(found,) * request.n, model=self.able.model)

    return Bent


# What is sent.


def inverted(wanted: dict[str, Any], request: ImageRequest) -> None:
    if "mask" in wanted:
        out = io.BytesIO()
        with Pillow.open(io.BytesIO(base64.b64decode(wanted["mask"]))) as opened:
            ImageOps.invert(opened.convert("L")).save(out, "PNG")
        wanted["mask"] = spelt(out.getvalue())


def inverted_of_two(wanted: dict[str, Any], request: ImageRequest) -> None:
    if request.n > 1:
        inverted(wanted, request)


def backwards(wanted: dict[str, Any], request: ImageRequest) -> None:
    if "images" in wanted:
        wanted["images"] = wanted["images"][::-1]


def one_beside_a_mask(wanted: dict[str, Any], request: ImageRequest) -> None:
    if "mask" in wanted:
        del wanted["images"][1:2]


def rewritten(change: Callable[[str], str]) -> Change:
    def changed(wanted: dict[str, Any], request: ImageRequest) -> None:
        if "prompt" in wanted:
            wanted["prompt"] = change(wanted["prompt"])

    return changed


def one(wanted: dict[str, Any], request: ImageRequest) -> None:
    wanted["n"] = 1


def another_model(wanted: dict[str, Any], request: ImageRequest) -> None:
    wanted["model"] = "good-0"


def another_default(wanted: dict[str, Any], request: ImageRequest) -> None:
    wanted["model"] = request.model or "good-0"


def off_by_one(wanted: dict[str, Any], request: ImageRequest) -> None:
    if "seed" in wanted:
        wanted["seed"] += 1


def swapped(wanted: dict[str, Any], request: ImageRequest) -> None:
    if "seed" in wanted:
        wanted["seed"], wanted["n"] = wanted["n"], wanted["seed"]


def kept(name: str) -> type[Streaming]:
    """Sends that of the last call that had it."""

    class Keeping(Streaming):
        last: Any = None

        def wanted(self, request: ImageRequest, *, stream: bool) -> dict[str, Any]:
            found = super().wanted(request, stream=stream)
            self.last = found.get(name, self.last)
            return found if self.last is None else {**found, name: self.last}

    return Keeping


def free(asked: HttpRequest, key: str) -> HttpRequest:
    return dataclasses.replace(asked, billable=False)


def in_the_query(asked: HttpRequest, key: str) -> HttpRequest:
    return dataclasses.replace(asked, query={"key": key})


def in_the_body(asked: HttpRequest, key: str) -> HttpRequest:
    said: Any = asked.json
    return dataclasses.replace(asked, json={**said, "auth": spelt(f"me:{key}".encode())})


# What is answered.


def told_in_metadata(found: ImageResponse, request: ImageRequest, key: str) -> ImageResponse:
    return found.model_copy(update={"metadata": {"key": key[:12]}})


def told_in_its_id(found: ImageResponse, request: ImageRequest, key: str) -> ImageResponse:
    return found.model_copy(update={"request_ids": (spelt(key.encode()),)})


class GivingBack(Streaming):
    """Gives what went in, where anything did."""

    given: bytes | None = None

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        self.given = request.images[0].data if request.images else None
        return (yield from super().flow(request, stream=stream))

    def decoded(self, data: object) -> Image:
        return super().decoded(data) if self.given is None else Image(data=self.given)


def begun(error: imagekit.ProviderError, key: str) -> Exception:
    return type(error)(f"{error}; the key begins with {key[:12]}", status=error.status)


def missing(error: imagekit.ProviderError, key: str) -> Exception | ImageFailure:
    if isinstance(error, imagekit.ContentRejectedError):
        return ImageFailure(kind="missing", reason="nothing came")
    return error


def limited(error: imagekit.ProviderError, key: str) -> Exception:
    if isinstance(error, imagekit.QuotaExceededError):
        return imagekit.RateLimitError(str(error), status=error.status)
    return error


PARAMETER = "a_parameter_reaches_the_wire_everywhere"
OPTION = "an_option_reaches_the_wire_everywhere"
SEED = "a_seed_reaches_the_wire_as_it_is"
PROMPT = "a_long_prompt_reaches_the_wire_whole_everywhere"
PICTURES = "input_pictures_are_sent_in_order_everywhere"
MASK = "a_mask_marks_its_pixels_everywhere"
MANY = "how_many_are_wanted_is_asked_for_everywhere"
MODEL = "the_model_is_asked_for_everywhere"
COSTS = "what_costs_is_marked_everywhere"
KEYS = "no_key_is_anywhere"
KEPT = "nothing_of_an_edit_is_kept"
ERRORS = "troubles_are_the_same_errors_everywhere"
RESULT = "an_edit_gives_the_picture_of_the_host"


def told(name: str, provider: type[Streaming], *fails: str) -> Broken:
    return broken(name, *fails, of=S, provider=provider)


BROKEN: tuple[Broken, ...] = (
    told("a stream without its seed", when_streaming(without("seed")), PARAMETER, SEED),
    told("a stream without its size", when_streaming(without("size")), PARAMETER),
    told("a stream without an option", when_streaming(without("steps")), OPTION),
    told("a stream without its mask", when_streaming(without("mask")), MASK),
    told("a stream without its pictures", when_streaming(without("images")), PICTURES),
    told("a stream with its mask inverted", when_streaming(inverted), MASK),
    told("a stream with its pictures reversed", when_streaming(backwards), PICTURES),
    told("a stream that shouts", when_streaming(rewritten(str.upper)), PROMPT),
    told("an edit without its seed", on_edit(without("seed")), PARAMETER, SEED),
    told("an edit without its quality", on_edit(without("quality")), PARAMETER),
    told("an edit without an option", on_edit(without("style")), OPTION),
    told("an edit of one", on_edit(one), MANY, RESULT),
    told("an edit by another model", on_edit(another_model), MODEL),
    told("an edit by another default", on_edit(another_default), MODEL),
    told(
        "an edit in other words", on_edit(rewritten(lambda said: f"edit: {said.strip()}")), PROMPT
    ),
    told("a mask inverted for two", always(inverted_of_two), MASK),
    told("one picture beside a mask", always(one_beside_a_mask), PICTURES),
    told("a free edit", asking(of_edits, free), COSTS),
    told("two for nothing", asking(of_two, free), COSTS),
    told("an edit with the key in its query", asking(of_edits, in_the_query), KEYS),
    told("two with the key in their query", asking(of_two, in_the_query), KEYS),
    told("two with the key in their body", asking(of_two, in_the_body), KEYS),
    told("an edit that tells of the key", answering(of_edits, told_in_metadata), KEYS),
    told("two that tell of the key", answering(of_two, told_in_its_id), KEYS),
    told("an edit that fails with the key", failing(of_edits, begun), KEYS),
    told("two that fail with the key", failing(of_two, begun), KEYS),
    told("a seed off by one", always(off_by_one), SEED),
    told("seed and n swapped", always(swapped), SEED, MANY),
    told("a mask that is kept", kept("mask"), KEPT),
    told("pictures that are kept", kept("images"), KEPT),
    told("an edit that is refused in silence", failing(of_edits, missing), ERRORS),
    told("an edit that takes a quota for a limit", failing(of_edits, limited), ERRORS),
    told("an edit that gives its input", GivingBack, RESULT),
    told("a prompt that is cut", always(rewritten(lambda said: said[:500])), PROMPT),
    told("a prompt that is stripped", always(rewritten(str.strip)), PROMPT),
)
