"""Providers that ask wrongly, each in one way, and the rules that have to find it."""

from __future__ import annotations

import asyncio
import base64
import io
import itertools
import os
import sys
import time
import uuid
from collections.abc import Mapping
from datetime import date
from threading import current_thread
from types import FrameType, SimpleNamespace
from typing import Any, ClassVar

from PIL import Image as Pillow
from pydantic import BaseModel

import imagekit
from conforming import (
    Broken,
    Good,
    GoodHost,
    Inside,
    InsideSuite,
    Settings,
    WholeSuite,
    broken,
)
from imagekit import ImageRequest, ImageResponse, Notice
from imagekit.provider import (
    Allowed,
    Capabilities,
    Config,
    Endpoint,
    Flow,
    HttpRequest,
    Price,
    Prices,
    bearer,
    call,
    hookimpl,
    notice,
    send,
)

ABLE = Good.able


def parameters(**changed: Any) -> dict[str, Any]:
    return {**ABLE.parameters, **changed}


def options(**changed: Any) -> dict[str, Any]:
    return {**ABLE.options, **changed}


def saying(**changed: Any) -> type[Good]:
    """The good one with other capabilities."""
    return type("Saying", (Good,), {"able": ABLE.model_copy(update=changed)})


class Without(Good):
    """Drops what `gone` says of what it would send."""

    def wanted(self, request: ImageRequest, *, stream: bool) -> dict[str, Any]:
        found = super().wanted(request, stream=stream)
        self.change(found, request)
        return found

    def change(self, wanted: dict[str, Any], request: ImageRequest) -> None:
        raise NotImplementedError


def sending(change: Any, **able: Any) -> type[Good]:
    """The good one, whose request *change* spoils; it says that it is *able*."""
    return type(
        "Sending",
        (Without,),
        {
            "change": lambda self, wanted, request: change(wanted, request),
            "able": ABLE.model_copy(update=able),
        },
    )


def asked_by(module: str) -> bool:
    """Whether somebody of that module waits for the answer."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__") != module:
        frame = frame.f_back
    return frame is not None


def asked_by_core() -> bool:
    """Whether the core wants to know, for a call."""
    return asked_by("imagekit._meant")


def two_faced(to_all: Mapping[str, Any], to_core: Mapping[str, Any]) -> type[Good]:
    """The good one, which says one thing of itself and does another."""

    class TwoFaced(Good):
        able = ABLE.model_copy(update=to_all)

        def capabilities(self, model: str | None) -> Capabilities:
            said = to_core if asked_by_core() else to_all
            return super().capabilities(model).model_copy(update=said)

        def parameters(self, request: ImageRequest) -> dict[str, Any]:
            return {name: getattr(request, name) for name in ABLE.parameters}

    return TwoFaced


# What it says of itself.


class Wavering(Good):
    """Says another day each time."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.looks = 0

    def capabilities(self, model: str | None) -> Capabilities:
        self.looks += model is None
        return (
            super().capabilities(model).model_copy(update={"as_of": date(2026, 1, 1 + self.looks)})
        )


class MaskOnly(Inside):
    """Takes a mask, and nothing that it could be for."""

    able = Inside.able.model_copy(update={"operations": frozenset({"generate"}), "mask": "white"})


class Closed(Good):
    """Knows its own models, and no other."""

    def capabilities(self, model: str | None) -> Capabilities:
        return {None: ABLE, "good-1": ABLE}[model]


class Other(Good):
    """Knows more of its model by its name."""

    def capabilities(self, model: str | None) -> Capabilities:
        return (
            super().capabilities(model).model_copy(update={"max_prompt": 1999 if model else 2000})
        )


# What becomes of parameters, options and sizes.


def without_high(wanted: dict[str, Any], request: ImageRequest) -> None:
    if wanted.get("quality") == "high":
        del wanted["quality"]


def set_quality(wanted: dict[str, Any], request: ImageRequest) -> None:
    if "quality" in wanted:
        wanted["quality"] = "set"


def seed_or_format(wanted: dict[str, Any], request: ImageRequest) -> None:
    if "output_format" in wanted:
        wanted.pop("seed", None)


def known_quality(wanted: dict[str, Any], request: ImageRequest) -> None:
    if wanted.get("quality") not in (None, "low", "high"):
        del wanted["quality"]


def without_one_step(wanted: dict[str, Any], request: ImageRequest) -> None:
    if wanted.get("steps") == 1:
        del wanted["steps"]


def some_steps(wanted: dict[str, Any], request: ImageRequest) -> None:
    if "steps" in wanted:
        wanted["steps"] = "some"


def without_style(wanted: dict[str, Any], request: ImageRequest) -> None:
    wanted.pop("style", None)


class Lax(Good):
    """Reads its options as they come."""

    def wanted(self, request: ImageRequest, *, stream: bool) -> dict[str, Any]:
        mine = {}
        for own in request.options.values():
            mine.update(own)
        known = {name: one for name, one in mine.items() if name in ABLE.options}
        held = request.model_copy(update={"options": {self.name: known}})
        return super().wanted(held, stream=stream)


class Untyped(Good):
    """Takes anything for an option."""

    def wanted(self, request: ImageRequest, *, stream: bool) -> dict[str, Any]:
        mine = dict(request.options.get(self.name, {}))
        steps = mine.pop("steps", None)
        held = request.model_copy(update={"options": {self.name: mine}})
        found = super().wanted(held, stream=stream)
        return found if steps is None else {**found, "steps": steps}


class Everybodys(Good):
    """Claims a name that is not its own."""

    family = "somebody-else"


class HalfFamily(Good):
    """Has a family that the core never hears of."""

    @property
    def family(self) -> str | None:
        asks = sys._getframe(1).f_globals["__name__"]
        return "goods" if asks == "imagekit.testing._options" else None


class Unset(Good):
    """Takes any setting."""

    def __init__(self, config: Config) -> None:
        super().__init__(Config(config.name, config.api_key, config.base_url))


def without_square(wanted: dict[str, Any], request: ImageRequest) -> None:
    if wanted.get("size") == "512x512":
        del wanted["size"]


def without_size(wanted: dict[str, Any], request: ImageRequest) -> None:
    wanted.pop("size", None)


def turned(wanted: dict[str, Any], request: ImageRequest) -> None:
    if request.pixels:
        width, height = request.pixels
        wanted["size"] = {"width": height, "height": width}


class Fussy(Good):
    """Says that it adjusts what it takes as it is."""

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        if request.size == "64x64":
            yield from notice(Notice(kind="adjusted", feature="size", detail="it is small"))
        return (yield from super().flow(request, stream=stream))


# What becomes of pictures and masks.


def no_pictures(wanted: dict[str, Any], request: ImageRequest) -> None:
    wanted.pop("images", None)


def no_pictures_alone(wanted: dict[str, Any], request: ImageRequest) -> None:
    if request.prompt is None:
        wanted["images"] = len(wanted["images"])


def backwards(wanted: dict[str, Any], request: ImageRequest) -> None:
    if "images" in wanted:
        wanted["images"] = wanted["images"][::-1]


def two_pictures(wanted: dict[str, Any], request: ImageRequest) -> None:
    if "images" in wanted:
        wanted["images"] = wanted["images"][:2]


class Reencoding(Good):
    """Writes each picture anew."""

    def picture(self, given: imagekit.ImageInput) -> str | None:
        if given.data is None:
            return super().picture(given)
        out = io.BytesIO()
        with Pillow.open(io.BytesIO(given.data)) as opened:
            opened.info = {}
            opened.save(out, "PNG")
        return base64.b64encode(out.getvalue()).decode()


class Addressless(Good):
    """Sends no addresses, and says that it does."""

    def picture(self, given: imagekit.ImageInput) -> str | None:
        return "an address" if given.url else super().picture(given)


class Smaller(Good):
    """Sends masks in a size of their own."""

    def wanted(self, request: ImageRequest, *, stream: bool) -> dict[str, Any]:
        found = super().wanted(request, stream=stream)
        if request.mask is not None:
            out = io.BytesIO()
            with Pillow.open(io.BytesIO(request.mask.image.data or b"")) as opened:
                opened.resize((8, 8)).save(out, "PNG")
            found["mask"] = base64.b64encode(out.getvalue()).decode()
        return found


def no_mask(wanted: dict[str, Any], request: ImageRequest) -> None:
    wanted.pop("mask", None)


class Turning(Good):
    """Says another convention each time that the core asks."""

    looks: ClassVar[Any] = itertools.cycle(["white", "black"])

    def capabilities(self, model: str | None) -> Capabilities:
        marks = next(self.looks) if asked_by_core() else "white"
        return super().capabilities(model).model_copy(update={"mask": marks, "max_images": 2})


# What becomes of the whole.


def ascii_only(wanted: dict[str, Any], request: ImageRequest) -> None:
    if "prompt" in wanted:
        wanted["prompt"] = wanted["prompt"].encode("ascii", "replace").decode()


def animals(wanted: dict[str, Any], request: ImageRequest) -> None:
    if "prompt" in wanted:
        wanted["prompt"] = wanted["prompt"].replace("cat", "pet").replace("dog", "pet")


def some_default(wanted: dict[str, Any], request: ImageRequest) -> None:
    wanted["model"] = request.model or "default"


class Modest(Good):
    """Never says which model it was."""

    def told(self, said: Mapping[str, Any]) -> ImageResponse:
        return super().told(said).model_copy(update={"model": " "})


class OneModel(Good):
    """Sends its own model, and says that it was the one that was asked for."""

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        own = request.model_copy(update={"model": None})
        found = yield from super().flow(own, stream=stream)
        return found.model_copy(update={"model": request.model or found.model})


class OneByOne(Good):
    """Makes a request for each picture."""

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        one = request.model_copy(update={"n": 1})
        found = yield from super().flow(one, stream=stream)
        slots = list(found.slots)
        for _ in range(request.n - 1):
            slots += (yield from super().flow(one, stream=stream)).slots
        return found.model_copy(update={"slots": tuple(slots)})


class Wasteful(Good):
    """Asks for as many as there may be, and keeps as many as were asked for."""

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        found = yield from super().flow(request.model_copy(update={"n": 2}), stream=stream)
        return found.model_copy(update={"slots": found.slots[: request.n]})


class Open(Good):
    """Speaks in the open."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        address = config.base_url or "http://good.test/v1"
        self.endpoint = Endpoint(address, bearer(config.api_key))


class Telling(Good):
    """Tells somebody else."""

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        found = yield from super().flow(request, stream=stream)
        if request.images:
            yield from send(HttpRequest("GET", "https://somebody.test/ping"))
        return found


class AtHome(Good):
    """Knows one address."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.endpoint = Endpoint("https://good.test/v1", bearer(config.api_key))


class Twice(Good):
    """Asks once more, to be sure."""

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        if request.prompt is None:
            yield from super().flow(request, stream=stream)
        return (yield from super().flow(request, stream=stream))


def coloured(wanted: dict[str, Any], request: ImageRequest) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    wanted["async"] = True


def by_lot(wanted: dict[str, Any], request: ImageRequest) -> None:
    wanted["nonce"] = uuid.uuid4().hex


class Remembering(Good):
    """Fills in what was said before."""

    user: str | None = None

    def wanted(self, request: ImageRequest, *, stream: bool) -> dict[str, Any]:
        self.user = request.user or self.user
        held = request.model_copy(update={"user": self.user})
        return super().wanted(held, stream=stream)


def threaded(wanted: dict[str, Any], request: ImageRequest) -> None:
    if current_thread().name.startswith("Thread-"):
        wanted["thread"] = "another"


# What it touches.


class HostSettings(BaseModel):
    """A way around the wire."""

    host: Any = None


class BackDoorHost(GoodHost):
    """One that can be asked without a request."""

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"host": self}


class BackDoor(Good):
    """Asks its host before it is told to."""

    def __init__(self, config: Config) -> None:
        held = imagekit.provider.settings(config, HostSettings)
        super().__init__(Config(config.name, config.api_key, config.base_url))
        self.host = held.host

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        if asked_by("imagekit._plan"):
            yield from call(lambda: self.host.note("warm up"))
        return (yield from super().flow(request, stream=stream))


class Sleepy(Good):
    """Waits while it is built."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        time.sleep(0)


class Looking(Good):
    """Waits before it says what it can do."""

    def capabilities(self, model: str | None) -> Capabilities:
        time.sleep(0)
        return super().capabilities(model)


class Eager(Good):
    """Begins before it is run."""

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        time.sleep(0)
        return super().flow(request, stream=stream)


class Waiting(Good):
    """Waits by itself."""

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        time.sleep(0)
        return (yield from super().flow(request, stream=stream))


class Stubborn(Good):
    """Goes on when nobody wants it any more."""

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        try:
            return (yield from super().flow(request, stream=stream))
        except GeneratorExit:
            yield from send(HttpRequest("DELETE", "/pictures"))
            raise


class Scribbling(Good):
    """Writes into what it was given."""

    def wanted(self, request: ImageRequest, *, stream: bool) -> dict[str, Any]:
        found = super().wanted(request, stream=stream)
        request.options.get(self.name, {})["seen"] = True  # type: ignore[index]
        return found


class Reading(Good):
    """Reads the environment of its process."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        os.environ.get("GOOD_API_KEY")


class Nosy(Good):
    """Reads what is meant for others."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.user = config.env.get("API_KEY")

    def wanted(self, request: ImageRequest, *, stream: bool) -> dict[str, Any]:
        return {**super().wanted(request, stream=stream), "user": request.user or self.user}


class Single:
    """A plugin that builds one provider, and no other."""

    def __init__(self) -> None:
        self.made: Good | None = None

    @hookimpl
    def imagekit_provider(self, config: Config) -> Good:
        imagekit.provider.settings(config, Settings)
        self.made = self.made or Good(config)
        self.made.__init__(config)  # type: ignore[misc]
        return self.made


class Needy(Good):
    """Cannot be built without a key."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        if config.api_key is None:
            raise imagekit.MissingCredentialError("no key")


W = WholeSuite

BROKEN: tuple[Broken, ...] = (
    broken("another day each time", "capabilities_are_the_same_each_time", of=W, provider=Wavering),
    broken(
        "capabilities that are no data",
        "capabilities_survive_json",
        of=W,
        provider=saying(source=b"a page"),
    ),
    broken("models of today only", "an_unknown_model_has_capabilities", of=W, provider=Closed),
    broken(
        "more known of the default model by its name",
        "the_default_model_is_the_one_that_is_named",
        of=W,
        provider=Other,
    ),
    broken(
        "no source", "what_is_declared_has_a_source", of=W, provider=saying(source=None, as_of=None)
    ),
    broken(
        "prices without a day",
        "prices_have_a_source_and_a_day",
        "cost_is_reported_or_priced_and_never_a_guess",
        of=W,
        provider=saying(as_of=None, prices=Prices(items=(Price(unit="image", amount="0.25"),))),
    ),
    broken(
        "a parameter that is misspelt",
        "every_declared_parameter_is_a_field_of_a_request",
        of=W,
        provider=sending(lambda *_: None, parameters=parameters(sead="no")),
    ),
    broken(
        "a mask and no edit",
        "a_mask_is_declared_only_where_pictures_are_edited",
        of=InsideSuite,
        provider=MaskOnly,
    ),
    broken(
        "pictures that cannot travel",
        "input_pictures_are_declared_as_the_operations_need_them",
        of=W,
        provider=saying(inputs=frozenset()),
    ),
    broken(
        "previews without a stream",
        "previews_are_declared_only_of_what_streams",
        of=W,
        provider=saying(parameters=parameters(partial_images=Allowed(low=0, high=3))),
    ),
    broken(
        "goes on and cannot be resumed",
        "a_provider_that_goes_on_by_itself_can_be_resumed",
        "work_that_goes_on_alone_is_given_out_or_refused",
        of=W,
        provider=saying(detaches=True),
    ),
    broken(
        "values in another spelling",
        "values_are_spelt_as_a_request_has_them",
        of=W,
        provider=saying(parameters=parameters(output_format=Allowed(values=("png", "JPG")))),
    ),
    broken(
        "a value that is not sent",
        "a_declared_parameter_reaches_the_wire",
        of=W,
        provider=sending(without_high),
    ),
    broken(
        "two values that are one",
        "two_values_of_a_parameter_are_told_apart",
        of=W,
        provider=sending(set_quality),
    ),
    broken(
        "a parameter that another pushes out",
        "parameters_do_not_push_each_other_out",
        of=W,
        provider=sending(seed_or_format),
    ),
    broken(
        "an absent parameter that is sent",
        "a_parameter_declared_absent_never_reaches_the_wire",
        "a_parameter_declared_absent_gives_a_notice",
        "a_parameter_declared_absent_is_an_error_where_the_caller_wants_one",
        of=W,
        provider=two_faced({}, {"parameters": parameters(background="yes")}),
    ),
    broken(
        "an unknown parameter that is dropped",
        "an_unknown_parameter_is_never_dropped_in_silence",
        of=W,
        provider=saying(
            parameters={name: one for name, one in ABLE.parameters.items() if name != "user"}
        ),
    ),
    broken(
        "a value that is not declared and sent",
        "a_value_that_is_not_declared_never_reaches_the_wire",
        of=W,
        provider=two_faced({}, {"parameters": parameters(quality="yes")}),
    ),
    broken(
        "values of today only",
        "a_value_that_nobody_knows_yet_passes_through",
        of=W,
        provider=sending(
            known_quality,
            parameters=parameters(quality=Allowed(values=("low", "high"), others=True)),
        ),
    ),
    broken(
        "an option that is not sent",
        "a_declared_option_reaches_the_wire",
        of=W,
        provider=sending(without_one_step),
    ),
    broken(
        "two values of an option that are one",
        "two_values_of_an_option_are_told_apart",
        of=W,
        provider=sending(some_steps),
    ),
    broken(
        "an absent option that is dropped",
        "an_option_declared_absent_is_refused_or_told_of",
        of=W,
        provider=sending(without_style, options=options(style="no")),
    ),
    broken(
        "options that are read as they come",
        "a_typo_in_an_option_is_an_error_before_the_network",
        of=W,
        provider=Lax,
    ),
    broken(
        "options of any type",
        "an_option_of_the_wrong_type_is_an_error_before_the_network",
        of=W,
        provider=Untyped,
    ),
    broken(
        "options of somebody else",
        "the_options_of_somebody_else_never_reach_the_wire",
        of=W,
        provider=Everybodys,
    ),
    broken(
        "options of a family that nobody knows",
        "options_of_the_family_are_those_of_the_provider",
        of=W,
        provider=HalfFamily,
    ),
    broken("any setting", "a_typo_in_the_settings_is_an_error", of=W, provider=Unset),
    broken(
        "a size that is not sent",
        "each_declared_size_reaches_the_wire",
        of=W,
        provider=sending(without_square),
    ),
    broken("a size with a notice", "a_declared_size_needs_no_notice", of=W, provider=Fussy),
    broken(
        "width and height swapped",
        "width_and_height_are_not_swapped",
        of=W,
        provider=sending(turned),
    ),
    broken(
        "any size at all",
        "a_size_it_does_not_make_becomes_the_nearest_with_a_notice",
        "a_size_it_does_not_make_is_an_error_where_the_caller_wants_one",
        of=W,
        provider=two_faced({}, {"size": None}),
    ),
    broken(
        "sizes that nobody ruled out",
        "a_size_nobody_ruled_out_is_never_dropped_in_silence",
        of=W,
        provider=sending(without_size, size=None),
    ),
    broken(
        "no pictures where there are no words",
        "an_input_picture_reaches_the_wire",
        of=W,
        provider=sending(no_pictures_alone),
    ),
    broken(
        "no pictures",
        "an_input_picture_reaches_the_wire",
        "an_edit_is_another_request_than_a_generation",
        "input_pictures_go_in_their_order",
        "bytes_of_input_pictures_are_unchanged",
        "pictures_by_address_travel_as_declared",
        "as_many_input_pictures_as_declared_are_taken",
        of=W,
        provider=sending(no_pictures),
    ),
    broken(
        "pictures backwards",
        "input_pictures_go_in_their_order",
        of=W,
        provider=sending(backwards),
    ),
    broken(
        "pictures written anew",
        "bytes_of_input_pictures_are_unchanged",
        of=W,
        provider=Reencoding,
    ),
    broken(
        "addresses that are not sent",
        "pictures_by_address_travel_as_declared",
        of=W,
        provider=Addressless,
    ),
    broken(
        "files that are not sent",
        "files_of_the_provider_travel_as_declared",
        of=W,
        provider=saying(inputs=frozenset({"bytes", "url", "file"})),
    ),
    broken(
        "any number of pictures",
        "too_many_input_pictures_are_refused_before_the_network",
        of=W,
        provider=two_faced({}, {"max_inputs": None}),
    ),
    broken(
        "two pictures at most",
        "input_pictures_go_in_their_order",
        "as_many_input_pictures_as_declared_are_taken",
        of=W,
        provider=sending(two_pictures),
    ),
    broken(
        "an operation that is not declared",
        "an_operation_it_has_not_is_refused_before_the_network",
        of=W,
        provider=two_faced(
            {"operations": frozenset({"generate", "edit"})}, {"operations": ABLE.operations}
        ),
    ),
    broken(
        "an operation that is not emulated",
        "what_is_only_emulated_is_refused_where_the_caller_wants_an_error",
        of=W,
        provider=two_faced(
            {
                "operations": frozenset({"generate", "edit"}),
                "emulates": frozenset({"variation"}),
            },
            {"operations": ABLE.operations},
        ),
    ),
    broken(
        "now this convention and now that",
        "masks_of_all_conventions_are_one_request",
        "a_mask_marks_the_same_pixels_on_the_wire",
        "a_mask_of_shapes_is_a_mask",
        of=W,
        provider=Turning,
    ),
    broken(
        "masks of another size",
        "a_mask_marks_the_same_pixels_on_the_wire",
        of=W,
        provider=Smaller,
    ),
    broken(
        "no mask",
        "a_mask_marks_the_same_pixels_on_the_wire",
        "a_mask_makes_a_difference",
        of=W,
        provider=sending(no_mask),
    ),
    broken(
        "a mask that is not declared",
        "a_mask_is_refused_before_the_network_where_there_is_none",
        of=W,
        provider=two_faced({"mask": None}, {"mask": "white"}),
    ),
    broken(
        "words without accents",
        "the_prompt_reaches_the_wire_unchanged",
        of=W,
        provider=sending(ascii_only),
    ),
    broken(
        "two prompts that are one",
        "another_prompt_is_another_request",
        of=W,
        provider=sending(animals),
    ),
    broken(
        "a prompt of any length",
        "a_prompt_too_long_is_refused_before_the_network",
        of=W,
        provider=two_faced({}, {"max_prompt": None}),
    ),
    broken("no model told", "the_model_is_told", of=W, provider=Modest),
    broken("one model", "a_model_that_is_named_reaches_the_wire", of=W, provider=OneModel),
    broken(
        "a default that the host knows",
        "the_default_model_is_sent_as_it_would_be_by_its_name",
        of=W,
        provider=sending(some_default),
    ),
    broken(
        "one by one",
        "as_many_as_one_request_may_make_are_asked_for_at_once",
        "more_than_one_request_may_make_are_split",
        "fewer_pictures_than_asked_for_are_missing",
        "more_pictures_than_asked_for_are_kept",
        of=W,
        provider=OneByOne,
    ),
    broken(
        "always two",
        "how_many_reaches_the_wire",
        "more_pictures_than_asked_for_are_kept",
        of=W,
        provider=Wasteful,
    ),
    broken(
        "never split",
        "more_than_one_request_may_make_are_split",
        of=W,
        provider=two_faced({}, {"max_images": None}),
    ),
    broken("in the open", "the_endpoint_is_https_or_this_machine", of=W, provider=Open),
    broken(
        "tells somebody else",
        "requests_go_to_the_endpoint_and_nowhere_else",
        of=W,
        provider=Telling,
    ),
    broken("one address", "a_base_url_of_the_callers_is_where_it_asks", of=W, provider=AtHome),
    broken("asks twice", "one_picture_is_asked_for_once", of=W, provider=Twice),
    broken(
        "another colour",
        "each_way_asks_the_same_as_its_other_colour",
        of=W,
        provider=sending(coloured),
    ),
    broken(
        "by lot",
        "the_same_request_is_the_same_each_time",
        "a_plan_is_the_same_each_time",
        "a_plan_holds_what_is_sent",
        "a_plan_survives_json_and_is_followed",
        "a_plan_of_a_stream_holds_what_is_sent",
        # Whatever compares two requests finds it.
        "a_mask_of_shapes_is_a_mask",
        "a_parameter_declared_absent_never_reaches_the_wire",
        "a_size_it_does_not_make_becomes_the_nearest_with_a_notice",
        "a_state_is_enough_to_go_on_in_another_process",
        "a_value_that_is_not_declared_never_reaches_the_wire",
        "each_way_asks_the_same_as_its_other_colour",
        "masks_of_all_conventions_are_one_request",
        "no_key_is_in_a_response",
        "nothing_of_an_earlier_call_is_kept",
        "the_default_model_is_sent_as_it_would_be_by_its_name",
        "the_environment_of_a_stranger_changes_nothing",
        "the_options_of_somebody_else_never_reach_the_wire",
        "two_clients_side_by_side_have_their_own_pictures",
        of=W,
        provider=sending(by_lot),
    ),
    broken("remembers", "nothing_of_an_earlier_call_is_kept", of=W, provider=Remembering),
    broken(
        "knows its thread",
        "two_clients_side_by_side_have_their_own_pictures",
        of=W,
        provider=sending(threaded),
    ),
    broken("a back door", "a_plan_sends_nothing", of=W, provider=BackDoor, host=BackDoorHost),
    broken("waits while it is built", "building_it_does_nothing", of=W, provider=Sleepy),
    broken("waits to say what it can", "its_capabilities_ask_nobody", of=W, provider=Looking),
    broken("begins before it is run", "a_flow_is_a_generator", of=W, provider=Eager),
    broken("waits by itself", "a_flow_performs_nothing_by_itself", of=W, provider=Waiting),
    broken(
        "goes on when it is closed",
        "a_flow_that_is_closed_stops",
        # A plan closes the flow at its first request.
        "a_plan_holds_what_is_sent",
        "a_plan_is_the_same_each_time",
        "a_plan_of_a_stream_holds_what_is_sent",
        "a_plan_sends_nothing",
        "a_plan_survives_json_and_is_followed",
        "no_key_is_in_a_plan",
        "no_key_is_in_a_response",
        of=W,
        provider=Stubborn,
    ),
    broken(
        "writes into the request",
        "a_flow_leaves_its_request_as_it_was",
        of=W,
        provider=Scribbling,
    ),
    broken(
        "reads the environment",
        "the_environment_is_read_through_config_only",
        of=W,
        provider=Reading,
    ),
    broken(
        "reads what is for others",
        "the_environment_of_a_stranger_changes_nothing",
        of=W,
        provider=Nosy,
    ),
    broken(
        "is built once",
        "each_provider_is_built_anew",
        "a_key_may_be_a_callable",
        of=W,
        plugin=Single(),
    ),
    broken("needs a key", "a_provider_is_built_from_a_config_alone", of=W, provider=Needy),
    broken(
        "a mark that skips",
        "no_standard_test_is_skipped_by_a_mark",
        of=InsideSuite,
        pytestmark=[SimpleNamespace(name="skip")],
    ),
)
