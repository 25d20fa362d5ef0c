"""Providers that get what comes back wrong, each in one way, and which tests must find it."""

from __future__ import annotations

import base64
import json
import logging
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pydantic import BaseModel

import imagekit
from conforming import (
    Broken,
    Good,
    GoodHost,
    Queue,
    QueueSuite,
    Streaming,
    StreamingSuite,
    WholeSuite,
    broken,
    said,
    spelt,
)
from imagekit import (
    Completed,
    Cost,
    Image,
    ImageFailure,
    ImageRequest,
    ImageResponse,
    PartialImage,
    State,
    Usage,
    UsageItem,
)
from imagekit.provider import (
    Config,
    Effects,
    Endpoint,
    Flow,
    HttpRequest,
    HttpResponse,
    Verdict,
    call,
    checkpoint,
    credential,
    emit,
    open_stream,
    receive_piece,
    send,
    settings,
    sleep,
)
from imagekit.testing import Asked, Reply, Scene, Streamed, Trouble

PLACEHOLDER = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
)

# Pictures in their slots.


class OtherInStreams(Streaming):
    """Of two pictures it streams the second first."""

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        self._two = request.n == 2
        return (yield from super().flow(request, stream=stream))

    def ready(self, index: int, slot: Image | ImageFailure) -> Effects[None]:
        yield from super().ready(index ^ 1 if self._two and index < 2 else index, slot)


class SilentOfUsage(Streaming):
    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        response = yield from super().flow(request, stream=stream)
        return response.model_copy(update={"usage": None}) if stream else response


class OtherModelInStreams(Streaming):
    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        response = yield from super().flow(request, stream=stream)
        return response.model_copy(update={"model": "good-1-streamed"}) if stream else response


class FailsOtherwiseInStreams(Streaming):
    def ready(self, index: int, slot: Image | ImageFailure) -> Effects[None]:
        if isinstance(slot, ImageFailure):
            slot = slot.model_copy(update={"kind": "failed"})
        yield from super().ready(index, slot)


class Strips(Good):
    """What a PNG says of itself is dropped."""

    def decoded(self, data: object) -> Image:
        image = super().decoded(data)
        body = image.data or b""
        at = body.find(b"tEXt") - 4
        if at > 0:
            size = int.from_bytes(body[at : at + 4], "big")
            body = body[:at] + body[at + 12 + size :]
        return Image(data=body)


class AlwaysPng(Good):
    def decoded(self, data: object) -> Image:
        image = super().decoded(data)
        return image if image.media_type == "image/png" else Image(data=PLACEHOLDER)


class Reversed(Good):
    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        response = yield from super().flow(request, stream=stream)
        return response.model_copy(update={"slots": response.slots[::-1]})


class Pads(Good):
    """Where one is missing the first is taken again."""

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        response = yield from super().flow(request, stream=stream)
        more = response.slots[:1] * (request.n - len(response.slots))
        return response.model_copy(update={"slots": (*response.slots, *more)})


class Cuts(Good):
    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        response = yield from super().flow(request, stream=stream)
        return response.model_copy(update={"slots": response.slots[: request.n]})


class RaisesOfOne(Good):
    def failure(self, why: str) -> ImageFailure:
        raise imagekit.ContentRejectedError(why, stage="output")


class CallsRefusalsFailures(Good):
    def told(self, said: Mapping[str, Any]) -> ImageResponse:
        response = super().told(said)
        if not response.images:
            return response
        slots = [
            slot if isinstance(slot, Image) else slot.model_copy(update={"kind": "failed"})
            for slot in response.slots
        ]
        return response.model_copy(update={"slots": tuple(slots)})


class CallsRefusalsNothing(Good):
    def told(self, said: Mapping[str, Any]) -> ImageResponse:
        response = super().told(said)
        if response.failures and not response.images:
            raise imagekit.NoImageError("no picture came")
        return response


class CountsBackwards(Good):
    def usage(self, tokens: int) -> Usage:
        return Usage(items=(UsageItem(quantity=Decimal(-tokens), direction="output"),))


class Guesses(Good):
    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        response = yield from super().flow(request, stream=stream)
        cost = Cost(amount=Decimal("0.04"), kind="estimated")
        return response.model_copy(update={"cost": cost})


class InventsIds(Good):
    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        response = yield from super().flow(request, stream=stream)
        return response.model_copy(update={"request_ids": ("request-of-my-own",)})


class KeepsObjects(Good):
    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        response = yield from super().flow(request, stream=stream)
        return response.model_copy(update={"metadata": {"took": (1, 2)}})


class RemembersStates(Good):
    """Its state means something to the very object that gave it."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._known: set[str] = set()

    def state(self, id: str) -> State:
        self._known.add(id)
        return super().state(id)

    def earlier(self, state: State | None) -> Any:
        if (
            state is not None
            and state.provider == self.name
            and (state.payload.get("id") not in self._known)
        ):
            raise imagekit.RequestError("this picture is not remembered")
        return super().earlier(state)


class TakesAnyState(Good):
    def earlier(self, state: State | None) -> Any:
        return None if state is None else state.payload["id"]


class WrongAddress(Good):
    def addressed(self, url: str) -> Image:
        return Image(url=url.replace("https://", "https://thumbnails."))


class Downloads(Good):
    """What is the core's to fetch."""

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        response = yield from super().flow(request, stream=stream)
        slots = []
        for slot in response.slots:
            if isinstance(slot, Image) and slot.url:
                answer = yield from send(HttpRequest("GET", slot.url))
                slot = Image(data=answer.body)
            slots.append(slot)
        return response.model_copy(update={"slots": tuple(slots)})


ANSWERS = (
    broken(
        "other pictures in streams",
        "all_four_ways_give_the_same_pictures",
        of=StreamingSuite,
        provider=OtherInStreams,
    ),
    broken(
        "no usage in streams",
        "all_four_ways_tell_the_same_usage",
        of=StreamingSuite,
        provider=SilentOfUsage,
    ),
    broken(
        "another model in streams",
        "all_four_ways_name_the_same_model",
        of=StreamingSuite,
        provider=OtherModelInStreams,
    ),
    broken(
        "another refusal in streams",
        "all_four_ways_fail_alike",
        "a_call_whose_every_picture_is_refused_raises",
        "a_refused_picture_is_said_to_be_refused",
        of=StreamingSuite,
        provider=FailsOtherwiseInStreams,
    ),
    broken("strips comments", "pictures_keep_every_byte", of=WholeSuite, provider=Strips),
    broken("always a png", "pictures_keep_their_type", of=WholeSuite, provider=AlwaysPng),
    broken("reversed", "pictures_stay_in_their_order", of=WholeSuite, provider=Reversed),
    broken("pads", "fewer_pictures_than_asked_for_are_missing", of=WholeSuite, provider=Pads),
    broken("cuts", "more_pictures_than_asked_for_are_kept", of=WholeSuite, provider=Cuts),
    broken(
        "raises of one refusal",
        "a_refused_picture_leaves_the_others",
        of=WholeSuite,
        provider=RaisesOfOne,
    ),
    broken(
        "refusals are failures",
        "a_refused_picture_is_said_to_be_refused",
        of=WholeSuite,
        provider=CallsRefusalsFailures,
    ),
    broken(
        "refusals are nothing",
        "a_call_whose_every_picture_is_refused_raises",
        of=WholeSuite,
        provider=CallsRefusalsNothing,
    ),
    broken(
        "counts backwards",
        "usage_is_counted_and_never_negative",
        of=WholeSuite,
        provider=CountsBackwards,
    ),
    broken(
        "guesses the cost",
        "cost_is_reported_or_priced_and_never_a_guess",
        of=WholeSuite,
        provider=Guesses,
    ),
    broken("invents ids", "request_ids_are_the_hosts_own", of=WholeSuite, provider=InventsIds),
    broken("keeps objects", "a_response_survives_json", of=WholeSuite, provider=KeepsObjects),
    broken(
        "remembers states",
        "a_state_is_enough_to_go_on_in_another_process",
        of=WholeSuite,
        provider=RemembersStates,
    ),
    broken(
        "takes any state",
        "the_state_of_somebody_else_is_refused",
        of=WholeSuite,
        provider=TakesAnyState,
    ),
    broken(
        "wrong address",
        "pictures_by_address_are_fetched",
        "pictures_by_address_stay_there_where_nobody_wants_them",
        "a_picture_that_cannot_be_fetched_keeps_its_address",
        of=WholeSuite,
        provider=WrongAddress,
    ),
    broken(
        "downloads by itself",
        "pictures_by_address_stay_there_where_nobody_wants_them",
        "a_picture_that_cannot_be_fetched_keeps_its_address",
        of=WholeSuite,
        provider=Downloads,
    ),
)

# Streams.


class TellsTwice(Streaming):
    def ready(self, index: int, slot: Image | ImageFailure) -> Effects[None]:
        yield from super().ready(index, slot)
        yield from super().ready(index, slot)


class Completes(Streaming):
    """It says itself that all of several is done."""

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        response = yield from super().flow(request, stream=stream)
        if stream and response.ok and 1 < request.n == len(response.slots):
            yield from emit(Completed(response=response))
        return response


class ShowsAfter(Streaming):
    """Its preview is kept until the picture is there."""

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        response = yield from super().flow(request, stream=stream)
        if stream and request.partial_images:
            yield from emit(PartialImage(index=0, image=Image(data=PLACEHOLDER)))
        return response


class CountsPreviews(Streaming):
    """It shows a slot too many."""

    def preview(self, said: Mapping[str, Any], index: int) -> Effects[None]:
        yield from super().preview(said, index)
        yield from super().preview(said, index + 1)


class ShowsParts(Streaming):
    def preview(self, said: Mapping[str, Any], index: int) -> Effects[None]:
        data = self.decoded(said.get("b64")).data or b""
        yield from emit(PartialImage(index=index, image=Image(data=data[len(data) // 2 :])))


class TakesPreviews(Streaming):
    """What was shown last is the result."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._last: Image | None = None

    def preview(self, said: Mapping[str, Any], index: int) -> Effects[None]:
        self._last = self.decoded(said.get("b64"))
        yield from emit(PartialImage(index=index, image=self._last))

    def ready(self, index: int, slot: Image | ImageFailure) -> Effects[None]:
        yield from super().ready(index, self._last or slot)


class NeedsPreviews(Streaming):
    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._previews: list[Image] = []

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        self._wanted = request.partial_images
        return (yield from super().flow(request, stream=stream))

    def preview(self, said: Mapping[str, Any], index: int) -> Effects[None]:
        self._previews.append(self.decoded(said.get("b64")))
        yield from super().preview(said, index)

    def ready(self, index: int, slot: Image | ImageFailure) -> Effects[None]:
        if self._wanted == 1 and isinstance(slot, Image):
            self._previews[-1]
        yield from super().ready(index, slot)


class ShowsLate(Streaming):
    """Its previews wait for the picture."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._held: list[tuple[Mapping[str, Any], int]] = []

    def preview(self, said: Mapping[str, Any], index: int) -> Effects[None]:
        self.decoded(said.get("b64"))
        self._held.append((said, index))
        yield from ()

    def ready(self, index: int, slot: Image | ImageFailure) -> Effects[None]:
        for held, at in self._held:
            yield from super().preview(held, at)
        self._held.clear()
        yield from super().ready(index, slot)


class EndsAnyhow(Streaming):
    """The end of the connection is the end."""

    def cut(self, slots: list[Image | ImageFailure]) -> Flow:
        return ImageResponse(slots=tuple(slots), model="good-1")
        yield


class KeepsToItself(Streaming):
    """Its pictures are told at the end."""

    def ready(self, index: int, slot: Image | ImageFailure) -> Effects[None]:
        yield from ()


class CallsBreaksTroubles(Streaming):
    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        try:
            return (yield from super().flow(request, stream=stream))
        except imagekit.TransportError as error:
            if stream and not isinstance(
                error,
                imagekit.TransportTimeoutError
                | imagekit.ConnectionFailedError
                | imagekit.DeadlineExceededError,
            ):
                raise imagekit.ProviderUnavailableError("the stream broke") from error
            raise


class WantsEvents(Streaming):
    """A whole answer to a streamed request is an end of the stream for it."""

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        if not stream:
            return (yield from super().flow(request, stream=False))
        answer = yield from open_stream(self.asking(request, stream=True))
        if not answer.ok:
            raise self.refusal(answer)
        if not answer.streamed:
            raise imagekit.TruncatedStreamError("no stream came")
        return (yield from self.streamed(answer))


class TrustsTheType(Streaming):
    def read(self, answer: HttpResponse) -> ImageResponse:
        if answer.media_type == "text/event-stream":
            raise LookupError("events are read elsewhere")
        return super().read(answer)


class KnowsAll(Streaming):
    def other(self, name: str) -> None:
        raise imagekit.ProtocolError(f"the good host said {name!r}, which nobody knows")


class TakesPieces(Streaming):
    """Each piece of the network is an event to it."""

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        if not stream:
            return (yield from super().flow(request, stream=False))
        answer = yield from open_stream(self.asking(request, stream=True), "pieces")
        if not answer.ok or answer.media_type != "text/event-stream":
            whole = b""
            while answer.streamed and (piece := (yield from receive_piece())) is not None:
                whole += piece
            return self.read(HttpResponse(answer.status, answer.headers, whole or answer.body))
        return (yield from self.streamed(answer))

    def next_event(self) -> Effects[Any]:
        from imagekit.provider import EventDecoder

        while True:
            piece = yield from receive_piece()
            if piece is None:
                return None
            for found in EventDecoder().feed(piece):
                if found.event in ("preview", "picture", "end", "error"):
                    return found


class Holds(Streaming):
    """It opens a connection by itself, and forgets it."""

    class Held(BaseModel):
        host: Any

    def __init__(self, config: Config) -> None:
        self._host = settings(config, self.Held).host
        super().__init__(replace(config, settings={}))

    def streamed(self, answer: HttpResponse) -> Flow:
        yield from call(self._open)
        return (yield from super().streamed(answer))

    def _open(self) -> None:
        self._host.opened += 1


class Held(GoodHost):
    @property
    def settings(self) -> Mapping[str, Any]:
        return {"host": self}


class Untyped(GoodHost):
    def streamed(self, id: str, wanted: Mapping[str, Any], scene: Scene) -> Reply:
        found = super().streamed(id, wanted, scene)
        assert isinstance(found, Streamed)
        return Streamed(found.pieces)


STREAMS = (
    broken(
        "has a host that says no type",
        "a_stream_is_answered_by_a_stream",
        of=StreamingSuite,
        host=Untyped,
    ),
    broken(
        "tells twice",
        "each_slot_ends_once_in_the_flows_own_words",
        of=StreamingSuite,
        provider=TellsTwice,
    ),
    broken(
        "completes",
        "a_stream_ends_in_exactly_one_completed",
        of=StreamingSuite,
        provider=Completes,
    ),
    broken(
        "shows after", "previews_come_before_their_picture", of=StreamingSuite, provider=ShowsAfter
    ),
    broken(
        "counts previews",
        "previews_are_of_the_slots_asked_for",
        of=StreamingSuite,
        provider=CountsPreviews,
    ),
    broken("shows parts", "previews_are_whole_pictures", of=StreamingSuite, provider=ShowsParts),
    broken(
        "takes previews",
        "a_preview_is_never_the_result",
        "a_picture_that_came_before_a_cut_is_kept",
        of=StreamingSuite,
        provider=TakesPreviews,
    ),
    broken(
        "needs previews",
        "a_stream_without_previews_ends_in_its_picture",
        "a_declared_parameter_reaches_the_wire",
        "two_values_of_a_parameter_are_told_apart",
        of=StreamingSuite,
        provider=NeedsPreviews,
    ),
    broken("shows late", "previews_are_told_as_they_come", of=StreamingSuite, provider=ShowsLate),
    broken(
        "ends anyhow",
        "a_stream_cut_before_its_picture_is_an_error",
        of=StreamingSuite,
        provider=EndsAnyhow,
    ),
    broken(
        "keeps to itself",
        "a_picture_that_came_before_a_cut_is_kept",
        of=StreamingSuite,
        provider=KeepsToItself,
    ),
    broken(
        "calls breaks troubles",
        "a_stream_that_breaks_is_an_error_of_the_way",
        of=StreamingSuite,
        provider=CallsBreaksTroubles,
    ),
    broken(
        "wants events",
        "a_whole_answer_to_a_streamed_request_is_read",
        of=StreamingSuite,
        provider=WantsEvents,
    ),
    broken(
        "trusts the type",
        "events_where_none_were_asked_for_are_no_crash",
        of=StreamingSuite,
        provider=TrustsTheType,
    ),
    broken(
        "knows all",
        "events_that_nobody_knows_are_passed_over",
        of=StreamingSuite,
        provider=KnowsAll,
    ),
    broken(
        "takes pieces",
        "a_stream_is_the_same_in_other_pieces",
        of=StreamingSuite,
        provider=TakesPieces,
    ),
    broken(
        "holds",
        "leaving_a_stream_closes_its_connection",
        "cancelling_an_async_stream_closes_its_connection",
        "every_answer_is_closed_when_the_call_is_over",
        of=StreamingSuite,
        provider=Holds,
        host=Held,
    ),
)

# Troubles.


def _blind(trouble: Trouble) -> type[Good]:
    """One that does not know this trouble."""

    class Blind(Good):
        def kind(self, code: str | None) -> type[imagekit.ProviderError]:
            return imagekit.ProviderError if code == trouble else super().kind(code)

    return Blind


class WithoutStatus(Good):
    def refusal(self, answer: HttpResponse) -> imagekit.ProviderError:
        error = super().refusal(answer)
        if error.code is not None:
            error.status = None
        return error


class OfFewWords(Good):
    def words(self, answer: HttpResponse) -> tuple[str | None, str]:
        return super().words(answer)[0], "something went wrong"


class BillsRefusals(Good):
    def refusal(self, answer: HttpResponse) -> imagekit.ProviderError:
        error = super().refusal(answer)
        error.billed = "possibly" if error.code else None
        return error


class HearsNoWait(Good):
    def refusal(self, answer: HttpResponse) -> imagekit.ProviderError:
        error = super().refusal(answer)
        error.retry_after = None
        return error


class ReadsFirst(Good):
    def read(self, answer: HttpResponse) -> ImageResponse:
        if answer.media_type == "text/html":
            answer.json()
        return super().read(answer)


class TrustsRefusals(Good):
    def words(self, answer: HttpResponse) -> tuple[str | None, str]:
        if answer.media_type != "application/json":
            return super().words(answer)
        try:
            error = json.loads(answer.body)["error"]
            return error["code"], error["message"]
        except ValueError:
            return None, answer.text


CLASSES: Mapping[Trouble, str] = {
    "authentication": "a_wrong_key_is_an_authentication_error",
    "permission": "a_key_that_may_not_is_a_permission_error",
    "rate_limit": "too_much_at_once_is_a_rate_limit_error",
    "quota": "a_used_up_quota_is_a_quota_error",
    "invalid": "a_wrong_request_is_an_invalid_request_error",
    "moderation": "a_refused_prompt_is_a_content_rejected_error",
    "unavailable": "an_overloaded_host_is_an_unavailable_error",
}
TROUBLES = (
    *(
        broken(f"blind to {trouble}", rule, of=WholeSuite, provider=_blind(trouble))
        for trouble, rule in CLASSES.items()
    ),
    broken(
        "without status",
        "an_error_has_the_status_of_its_answer",
        of=WholeSuite,
        provider=WithoutStatus,
    ),
    broken("of few words", "an_error_says_what_the_host_said", of=WholeSuite, provider=OfFewWords),
    broken(
        "bills refusals",
        "a_refusal_before_the_work_costs_nothing",
        of=WholeSuite,
        provider=BillsRefusals,
    ),
    broken(
        "hears no wait", "a_host_that_asks_to_wait_is_heard", of=WholeSuite, provider=HearsNoWait
    ),
    broken(
        "reads first", "an_unknown_status_is_a_provider_error", of=WholeSuite, provider=ReadsFirst
    ),
    broken(
        "trusts refusals",
        "a_refusal_in_words_nobody_knows_is_one_all_the_same",
        of=WholeSuite,
        provider=TrustsRefusals,
    ),
)

# Answers that are none.


class Consoles(Good):
    """Where nothing came it gives something."""

    def read(self, answer: HttpResponse) -> ImageResponse:
        if answer.ok and not answer.body:
            return ImageResponse(slots=(Image(data=PLACEHOLDER),))
        return super().read(answer)


class ReadsByItself(Good):
    def read(self, answer: HttpResponse) -> ImageResponse:
        if answer.ok and answer.body and not answer.body.startswith(b"<"):
            self.parsed(answer.body)
        return super().read(answer)

    def parsed(self, body: bytes) -> Any:
        return json.loads(body) if b'"b64"' not in body else None


class ExpectsLists(Good):
    def told(self, said: Mapping[str, Any]) -> ImageResponse:
        if not said:
            said["pictures"][0]
        return super().told(said)


class ShowsPages(Good):
    def read(self, answer: HttpResponse) -> ImageResponse:
        if answer.ok and answer.media_type == "text/html":
            return ImageResponse(slots=(Image(data=PLACEHOLDER),))
        return super().read(answer)


class NeedsAType(Good):
    def read(self, answer: HttpResponse) -> ImageResponse:
        assert answer.headers["content-type"]
        return super().read(answer)


class Mends(Good):
    """Half an answer is still good for half a picture."""

    def read(self, answer: HttpResponse) -> ImageResponse:
        _, mark, half = answer.text.partition('"b64": "')
        if answer.ok and mark and not answer.text.endswith("}"):
            return ImageResponse(slots=(Image(data=spelt(half.encode())),))
        return super().read(answer)


class CountsOnUsage(Good):
    def told(self, said: Mapping[str, Any]) -> ImageResponse:
        if "usage" in said and isinstance(said.get("pictures"), list):
            said["usage"] + 1
        return super().told(said)


class CountsOnPreviews(Streaming):
    def preview(self, said: Mapping[str, Any], index: int) -> Effects[None]:
        said["b64"].strip()
        yield from super().preview(said, index)


GARBLED = (
    broken("consoles", "an_empty_answer_is_an_error", of=WholeSuite, provider=Consoles),
    broken(
        "reads by itself",
        "an_answer_that_is_no_json_is_an_error",
        of=WholeSuite,
        provider=ReadsByItself,
    ),
    broken(
        "expects lists",
        "an_answer_of_another_shape_is_an_error",
        of=WholeSuite,
        provider=ExpectsLists,
    ),
    broken(
        "shows pages",
        "a_web_page_in_place_of_an_answer_is_an_error",
        of=WholeSuite,
        provider=ShowsPages,
    ),
    broken(
        "needs a type", "an_answer_without_a_type_is_no_crash", of=WholeSuite, provider=NeedsAType
    ),
    broken("mends", "a_truncated_answer_is_an_error", of=WholeSuite, provider=Mends),
    broken(
        "counts on usage",
        "an_answer_of_odd_values_is_no_crash",
        of=WholeSuite,
        provider=CountsOnUsage,
    ),
    broken(
        "counts on previews",
        "events_of_odd_values_are_no_crash",
        of=StreamingSuite,
        provider=CountsOnPreviews,
    ),
)

# Money.


class Free(Good):
    def asking(self, request: ImageRequest, *, stream: bool) -> HttpRequest:
        return replace(super().asking(request, stream=stream), billable=False)


class AsksAgain(Good):
    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        try:
            return (yield from super().flow(request, stream=stream))
        except imagekit.TransportTimeoutError:
            return (yield from super().flow(request, stream=stream))


class SaysFree(Good):
    """It says of silence what nobody knows."""

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        try:
            return (yield from super().flow(request, stream=stream))
        except imagekit.TransportTimeoutError as error:
            raise imagekit.ProviderUnavailableError("no answer", billed="no") from error


class CallsBrokenRefused(Good):
    def judge(self, answer: HttpResponse) -> Verdict | None:
        return Verdict.REFUSED if answer.status == 500 else super().judge(answer)


def _final(status: int) -> type[Good]:
    class Final(Good):
        def judge(self, answer: HttpResponse) -> Verdict | None:
            return Verdict.REJECTED if answer.status == status else super().judge(answer)

    return Final


class Unjudging(Good):
    def judge(self, answer: HttpResponse) -> Verdict | None:
        return None


class QuotaHost(GoodHost):
    """It says that the money is used up as it says that there is too much at once."""

    def troubled(self, asked: Asked, trouble: Trouble) -> Reply:
        if trouble == "quota":
            return said({"error": {"code": "quota", "message": "the money is used up"}}, 429)
        return super().troubled(asked, trouble)


class HidesTheWay(Good):
    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        try:
            return (yield from super().flow(request, stream=stream))
        except imagekit.ConnectionFailedError as error:
            raise imagekit.ProviderUnavailableError("cannot be reached") from error


class HidesTheDeadline(Good):
    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        try:
            return (yield from super().flow(request, stream=stream))
        except imagekit.DeadlineExceededError as error:
            raise imagekit.ProviderUnavailableError("too slow") from error


CHARGES = (
    broken(
        "free",
        "what_asks_for_pictures_is_marked_as_costing",
        "silence_after_sending_is_never_asked_again",
        "silence_after_sending_says_that_money_may_be_gone",
        "a_broken_host_is_not_asked_again_for_what_costs",
        of=WholeSuite,
        provider=Free,
    ),
    broken(
        "asks again",
        "silence_after_sending_is_never_asked_again",
        of=WholeSuite,
        provider=AsksAgain,
    ),
    broken(
        "says free",
        "silence_after_sending_is_never_asked_again",
        "silence_after_sending_says_that_money_may_be_gone",
        of=WholeSuite,
        provider=SaysFree,
    ),
    broken(
        "calls broken refused",
        "a_broken_host_is_not_asked_again_for_what_costs",
        of=WholeSuite,
        provider=CallsBrokenRefused,
    ),
    broken(
        "rate limits are final", "a_rate_limit_is_asked_again", of=WholeSuite, provider=_final(429)
    ),
    broken(
        "overload is final",
        "an_overloaded_host_is_asked_again",
        of=WholeSuite,
        provider=_final(503),
    ),
    broken(
        "unjudging",
        "a_used_up_quota_is_not_asked_again",
        of=WholeSuite,
        provider=Unjudging,
        host=QuotaHost,
    ),
    broken(
        "hides the way",
        "a_host_that_cannot_be_reached_is_tried_again_and_costs_nothing",
        of=WholeSuite,
        provider=HidesTheWay,
    ),
    broken(
        "hides the deadline", "a_deadline_ends_the_call", of=WholeSuite, provider=HidesTheDeadline
    ),
)

# Secrets.


class Keyed(Good):
    """One that holds on to its key."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.key = config.api_key if isinstance(config.api_key, str) else "no key"


class ShowsItself(Keyed):
    def __repr__(self) -> str:
        return f"ShowsItself({self.key!r})"


class Logs(Keyed):
    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        logging.getLogger("good").debug("asking with %s", self.key)
        return (yield from super().flow(request, stream=stream))


class BlamesTheKey(Keyed):
    def refusal(self, answer: HttpResponse) -> imagekit.ProviderError:
        error = super().refusal(answer)
        if error.code == "authentication":
            # In an object of its own; from words it would be taken out before anybody sees it.
            vars(error)["asked"] = SimpleNamespace(api_key=self.key)
        return error


class SignsTheQuery(Keyed):
    def asking(self, request: ImageRequest, *, stream: bool) -> HttpRequest:
        return replace(super().asking(request, stream=stream), query={"key": self.key})


class KeepsTheKey(Keyed):
    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        response = yield from super().flow(request, stream=stream)
        return response.model_copy(update={"metadata": {"asked with": self.key}})


class QuotesBack(Keyed):
    def refusal(self, answer: HttpResponse) -> imagekit.ProviderError:
        error = super().refusal(answer)
        if "I was given" in answer.text:
            vars(error)["asked"] = SimpleNamespace(given=self.key)
        return error


class TellsOthers(Keyed):
    def addressed(self, url: str) -> Image:
        return Image(url=f"{url}?key={self.key}")


class Forgiving(GoodHost):
    """It gives its pictures whatever is asked beside."""

    def reply(self, asked: Asked) -> Reply:
        plain = asked.url.partition("?")[0]
        if plain in self.shelf:
            self.shelf[asked.url] = self.shelf[plain]
        return super().reply(asked)


class SendsNone(Keyed):
    def __init__(self, config: Config) -> None:
        super().__init__(config)

        def authorize(request: HttpRequest) -> Effects[Mapping[str, str]]:
            key = yield from credential(config.api_key)
            return {"authorization": f"Bearer {key}"}

        self.endpoint = Endpoint(self.endpoint.base_url, authorize)


class KeepsOneKey(Keyed):
    def __init__(self, config: Config) -> None:
        super().__init__(config)
        known = list[str]()

        def authorize(request: HttpRequest) -> Effects[Mapping[str, str]]:
            if not known:
                key = yield from credential(config.api_key)
                if key is None:
                    raise imagekit.MissingCredentialError("no key")
                known.append(key)
            return {"authorization": f"Bearer {known[0]}"}

        self.endpoint = Endpoint(self.endpoint.base_url, authorize)


_RECORDED = tempfile.TemporaryDirectory()
Path(_RECORDED.name, "one.yaml").write_text(
    "interactions:\n- request:\n    headers:\n      authorization:\n      - Bearer sk-12345678\n"
)

SECRETS = (
    broken(
        "shows itself",
        "no_key_is_in_what_the_provider_shows_of_itself",
        of=WholeSuite,
        provider=ShowsItself,
    ),
    broken(
        "logs",
        "no_key_is_in_a_log",
        "a_host_that_quotes_the_key_gives_nothing_away",
        of=WholeSuite,
        provider=Logs,
    ),
    broken("blames the key", "no_key_is_in_an_error", of=WholeSuite, provider=BlamesTheKey),
    broken(
        "signs the query",
        "no_key_is_in_a_plan",
        "no_key_is_in_a_response",
        "no_key_is_on_a_request_before_the_last_step",
        of=WholeSuite,
        provider=SignsTheQuery,
    ),
    broken("keeps the key", "no_key_is_in_a_response", of=WholeSuite, provider=KeepsTheKey),
    broken(
        "quotes back",
        "a_host_that_quotes_the_key_gives_nothing_away",
        of=WholeSuite,
        provider=QuotesBack,
    ),
    broken(
        "tells others",
        "no_key_goes_to_another_host",
        "pictures_by_address_stay_there_where_nobody_wants_them",
        of=WholeSuite,
        provider=TellsOthers,
        host=Forgiving,
    ),
    broken(
        "sends none",
        "a_missing_key_is_said_before_anything_is_sent",
        of=WholeSuite,
        provider=SendsNone,
    ),
    broken("keeps one key", "a_key_may_be_a_callable", of=WholeSuite, provider=KeepsOneKey),
    broken(
        "recorded its key",
        "no_key_is_in_a_cassette",
        of=WholeSuite,
        cassettes=Path(_RECORDED.name),
    ),
)

# Jobs.


class GivesNoHandle(Queue):
    """Whoever submits waits."""

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        answer = yield from send(self.asking(request, stream=False))
        if not answer.ok:
            raise self.refusal(answer)
        handle = self.handle(self.id_of(answer))
        if not request.detach:
            yield from checkpoint(handle)
        return (yield from self.resume(handle))


class RemembersJobs(Queue):
    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._mine: set[str] = set()

    def handle(self, id: str) -> dict[str, Any]:
        self._mine.add(id)
        return super().handle(id)

    def job(self, handle: Mapping[str, Any]) -> str:
        path = super().job(handle)
        if handle["id"] not in self._mine:
            raise imagekit.RequestError("this job is not remembered")
        return path


class WaitsFirst(Queue):
    def resume(self, handle: Mapping[str, Any]) -> Flow:
        yield from sleep(0.01)
        return (yield from super().resume(handle))


class Hurries(Queue):
    def wait(self) -> Effects[None]:
        yield from sleep(0.0)


class PaysToLook(Queue):
    def look(self, handle: Mapping[str, Any]) -> Effects[HttpResponse]:
        return (yield from send(HttpRequest("GET", self.job(handle), billable=True)))


class LooksOnce(Queue):
    def look(self, handle: Mapping[str, Any]) -> Effects[HttpResponse]:
        request = HttpRequest("GET", self.job(handle))
        answer = yield from send(request)
        return answer

    def judge(self, answer: HttpResponse) -> Verdict | None:
        return Verdict.REJECTED if answer.status == 500 else super().judge(answer)


class ChecksLate(Queue):
    """It looks before it says what it looks at."""

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        answer = yield from send(self.asking(request, stream=False))
        if not answer.ok:
            raise self.refusal(answer)
        handle = self.handle(self.id_of(answer))
        there = yield from send(HttpRequest("HEAD", self.job(handle)))
        if not there.ok:
            raise self.refusal(there)
        self.id_of(there)
        yield from checkpoint(handle)
        return (yield from self.resume(handle))


class GivesUp(Queue):
    def resume(self, handle: Mapping[str, Any]) -> Flow:
        try:
            return (yield from super().resume(handle))
        except imagekit.DeadlineExceededError as error:
            raise imagekit.NoImageError("the job took too long") from error


class ForgetsStatuses(Queue):
    def look(self, handle: Mapping[str, Any]) -> Effects[HttpResponse]:
        answer = yield from super().look(handle)
        if answer.status in (404, 410):
            raise imagekit.ProtocolError("the job has no status")
        return answer


class CancelsNothing(Queue):
    def cancel(self, handle: Mapping[str, Any]) -> Effects[None]:
        self.job(handle)
        yield from ()


class PaysToCancel(Queue):
    def cancel(self, handle: Mapping[str, Any]) -> Effects[None]:
        yield from send(HttpRequest("DELETE", self.job(handle), billable=True))


class QuotesNothing(Queue):
    def job(self, handle: Mapping[str, Any]) -> str:
        super().job(handle)
        return f"/jobs/{handle['id']}"


class TrustsHandles(Queue):
    def job(self, handle: Mapping[str, Any]) -> str:
        return "/jobs/" + handle["id"].replace("/", "%2f").replace("?", "%3f").replace("#", "%23")


class HandsTheKey(Queue):
    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.key = config.api_key

    def handle(self, id: str) -> dict[str, Any]:
        return {"id": id, "key": str(self.key)}


JOBS = (
    broken(
        "gives no handle",
        "work_that_goes_on_alone_is_given_out_or_refused",
        of=QueueSuite,
        provider=GivesNoHandle,
    ),
    broken(
        "remembers jobs",
        "a_job_is_finished_in_another_process",
        of=QueueSuite,
        provider=RemembersJobs,
    ),
    broken("waits first", "a_look_at_a_job_never_waits", of=QueueSuite, provider=WaitsFirst),
    broken("hurries", "there_is_a_wait_between_two_looks", of=QueueSuite, provider=Hurries),
    broken(
        "pays to look",
        "looks_at_a_job_cost_nothing",
        "a_look_at_a_job_is_repeated",
        "what_asks_for_pictures_is_marked_as_costing",
        of=QueueSuite,
        provider=PaysToLook,
    ),
    broken("looks once", "a_look_at_a_job_is_repeated", of=QueueSuite, provider=LooksOnce),
    broken("checks late", "a_call_that_breaks_leaves_its_job", of=QueueSuite, provider=ChecksLate),
    broken(
        "gives up", "a_job_that_never_ends_is_left_at_the_deadline", of=QueueSuite, provider=GivesUp
    ),
    broken(
        "forgets statuses",
        "a_job_that_is_gone_is_the_providers_error",
        of=QueueSuite,
        provider=ForgetsStatuses,
    ),
    broken(
        "cancels nothing",
        "cancelling_a_job_reaches_the_host",
        of=QueueSuite,
        provider=CancelsNothing,
    ),
    broken("pays to cancel", "ending_a_job_costs_nothing", of=QueueSuite, provider=PaysToCancel),
    broken(
        "quotes nothing",
        "a_strangers_handle_leads_nowhere_else",
        of=QueueSuite,
        provider=QuotesNothing,
    ),
    broken(
        "trusts handles",
        "a_handle_of_odd_values_is_no_crash",
        of=QueueSuite,
        provider=TrustsHandles,
    ),
    broken("hands the key", "no_key_is_in_a_job", of=QueueSuite, provider=HandsTheKey),
)

BROKEN: tuple[Broken, ...] = (
    *ANSWERS,
    *STREAMS,
    *TROUBLES,
    *GARBLED,
    *CHARGES,
    *SECRETS,
    *JOBS,
)
