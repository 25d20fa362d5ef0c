"""The rules about streams: previews and pictures in their order, cuts, and leaving early."""

from __future__ import annotations

import base64
from collections import Counter
from dataclasses import replace

import anyio
import anyio.lowlevel

from .._client import AsyncClient, Client
from .._errors import PluginError, TransportError, TruncatedStreamError
from .._events import Completed, ImageEvent, ImageFailed, ImageReady, PartialImage
from .._flow import Open
from .._media import facts
from .._request import ImageRequest
from ._bench import WAYS, Bench, Came, Way
from ._given import Given, body_of, heard, pictures
from ._host import Reply, Streamed

STREAMED: tuple[Way, ...] = ("blocking stream", "async stream")


class Streams(Given):
    """What is seen while a picture is made, and what is left when that breaks off."""

    def test_each_slot_ends_once_in_the_flows_own_words(self) -> None:
        """A flow speaks of each slot's end once, and of no slot that nobody asked for."""
        many = self.many()
        for way in WAYS:
            ended = Counter(
                event.index
                for event in self._own(way, many)
                if isinstance(event, ImageReady | ImageFailed)
            )
            twice = [index for index, count in ended.items() if count > 1]
            assert not twice, f"{way}: the flow says more than once that slot {twice[0]} ended"
            strange = [index for index in ended if not 0 <= index < many]
            assert not strange, f"{way}: the flow ends slot {strange}, and {many} were asked for"

    def test_a_stream_ends_in_exactly_one_completed(self) -> None:
        """Each slot ends, then one Completed ends the stream: it is the core's to say."""
        for way in STREAMED:
            bench = self._showing(2)
            came = self._shown(bench, way, n=2)
            own = [event for trace in bench.traces for event in trace.events()]
            assert not any(isinstance(one, Completed) for one in own), (
                f"{way}: the flow says Completed: return the response, and the core says it"
            )
            assert came.response is not None, f"{way}: the call ended in {came.error!r}"
            kinds = [event.kind for event in came.events]
            assert kinds.count("completed") == 1, f"{way}: the stream says {kinds}"
            assert isinstance(came.events[-1], Completed), f"{way}: {kinds[-1]} is its last event"
            ends = [one.index for one in came.events if isinstance(one, ImageReady | ImageFailed)]
            assert sorted(ends) == list(range(len(came.response.slots))), (
                f"{way}: the slots that end are {ends}, and there are {len(came.response.slots)}"
            )

    def test_a_stream_is_answered_by_a_stream(self) -> None:
        """The host of a provider that opens a stream gives one, and says of what type it is."""
        self.streaming()
        self.wired()
        bench = self._showing()
        replies = heard(bench)
        self._shown(bench, STREAMED[0])
        effects = [one for trace in bench.traces for one in trace.effects]
        framings = [one.framing for one in effects if isinstance(one, Open)]
        if not framings:
            self.not_applicable("it opens no stream")
        found = [one for one in replies if isinstance(one, Streamed)]
        assert found, (
            "the capabilities say streaming, and the host's answer to a stream was not a Streamed "
            f"but {replies}: give Streamed(pieces, headers) where a stream is asked for"
        )
        kind = found[-1].headers.get("content-type", "none")
        known = "event-stream" in kind if framings[-1] == "events" else kind != "none"
        assert known, (
            "the capabilities say streaming, and the host's answer to a stream was not one of "
            f"{framings[-1]} by its type, which is {kind}: give Streamed a content-type "
            '(of events, {"content-type": "text/event-stream"})'
        )

    def test_previews_come_before_their_picture(self) -> None:
        """Once a flow has shown a slot's picture it shows no preview of it any more."""
        self._previewed()
        for way in STREAMED:
            ended = set()
            for event in self._own(way, 1):
                if isinstance(event, ImageReady):
                    ended.add(event.index)
                late = isinstance(event, PartialImage) and event.index in ended
                assert not late, f"{way}: a preview comes after the picture that it is one of"

    def test_previews_are_of_the_slots_asked_for(self) -> None:
        """A preview's index is its slot, and no count of previews."""
        self._previewed()
        for way in STREAMED:
            strange = [one.index for one in _previews(self._own(way, 1)) if one.index != 0]
            assert not strange, (
                f"{way}: one picture was asked for, and a preview is of slot {strange}: `index` is "
                "the slot, `step` counts its previews"
            )

    def test_previews_are_whole_pictures(self) -> None:
        """A preview can be shown as it is: it is no part and no difference."""
        self._previewed()
        for way in STREAMED:
            for one in _previews(self._own(way, 1)):
                assert one.image.data is None or facts(one.image.data) is not None, (
                    f"{way}: a preview is no picture that can be read: {one.image.data[:40]!r}"
                )

    def test_a_preview_is_never_the_result(self) -> None:
        """The picture is the last word, also where previews came before."""
        self._previewed()
        for way in STREAMED:
            came = self._shown(self._showing(), way)
            assert came.response is not None, f"{way}: the call ended in {came.error!r}"
            shown = [one.image.data for one in _previews(came.events)]
            assert came.response.image.data not in shown, (
                f"{way}: the picture of the response is one of its previews"
            )

    def test_a_stream_without_previews_ends_in_its_picture(self) -> None:
        """Previews are offered, never needed."""
        for way in STREAMED:
            bench = self.bench(*pictures(1), previews=0)
            came = bench.ask(way=way, **self.usual(), **self.previews())
            assert came.response is not None, (
                f"{way}: the host gave a picture and no preview, and the call ended in "
                f"{came.error!r}"
            )

    def test_previews_are_told_as_they_come(self) -> None:
        """A preview that came before a cut is in what the error carries."""
        self._previewed()
        given = pictures(1)[0]
        reply = self._streamed(self._showing())
        came = self._shown(self._showing(), STREAMED[0])
        first = _previews(came.events)[0].image.data or b""
        cut = next((at for at in _cuts(reply) if _holds(reply.pieces[:at], first)), None)
        if cut is None or _holds(reply.pieces[:cut], given):
            self.not_applicable("its previews come in one piece with the picture")
        for way in STREAMED:
            error = self._cut(way, cut).error
            left = error.response if error else None
            kept = [one.preview for one in left.failures if one.preview] if left else []
            assert kept, (
                f"{way}: a preview had come before the stream was cut, and the error has none: "
                "emit PartialImage when it comes"
            )

    def test_a_stream_cut_before_its_picture_is_an_error(self) -> None:
        """A stream that ends before the picture came is cut, whatever had come: never a picture."""
        given, reply = pictures(1)[0], self._streamed(self._showing())
        for cut in (0, *_cuts(reply)):
            if _holds(reply.pieces[:cut], given):
                break
            for way in STREAMED:
                came = self._cut(way, cut)
                assert isinstance(came.error, TruncatedStreamError | TransportError), (
                    f"{way}: the stream was cut after {cut} of {len(reply.pieces)} pieces, and the "
                    f"call came to {came.error or came.response!r}: raise a TruncatedStreamError "
                    "where a stream ends without its last event"
                )

    def test_a_picture_that_came_before_a_cut_is_kept(self) -> None:
        """What had come whole when the stream was cut is paid for, and in the response."""
        self.gives()
        many = 2 if self.at_once(stream=True) else 1
        given = pictures(many)
        reply = self._streamed(self._showing(many), n=many)
        for cut in _cuts(reply):
            whole = [one for one in given if _holds(reply.pieces[:cut], one)]
            for way in STREAMED:
                came = self._cut(way, cut, many)
                left = came.response or (came.error.response if came.error else None)
                kept = [image.data for image in left.images] if left else []
                assert sorted(map(repr, kept)) == sorted(map(repr, whole)), (
                    f"{way}: {len(whole)} of {many} pictures had come when the stream was cut, and "
                    f"{len(kept)} are kept: emit ImageReady as soon as a picture is there"
                )

    def test_a_stream_that_breaks_is_an_error_of_the_way(self) -> None:
        """A connection that breaks is a TransportError, and no answer of the host's."""
        self._streamed(self.bench())
        for way in STREAMED:
            bench = self.bench()
            bench.host.bend = lambda _, reply: _cut(reply, 0)
            bench.host.fault = "broken"
            error = bench.ask(way=way, **self.usual()).error
            assert isinstance(error, TransportError), (
                f"{way}: the connection broke, and the call came to {error!r}: let the core's "
                "error through"
            )

    def test_a_whole_answer_to_a_streamed_request_is_read(self) -> None:
        """Where a stream was asked for and a whole answer came, its picture is taken."""
        self._streamed(self.bench())
        bench = self.bench(*pictures(1))
        whole = heard(bench)
        assert bench.ask(**self.usual()).error is None, "a plain call failed"
        for way in STREAMED:
            fresh = self.bench(*pictures(1))
            fresh.host.bend = lambda *_: whole[-1]
            came = fresh.ask(way=way, **self.usual())
            assert came.response is not None, (
                f"{way}: the host answered with a whole answer, and the call ended in "
                f"{came.error!r}: read the answer of Open whose `streamed` is false as one"
            )

    def test_events_where_none_were_asked_for_are_no_crash(self) -> None:
        """A stream in answer to a plain request is read or refused, and never the plugin's end."""
        reply = self._streamed(self._showing())
        for way in WAYS[:2]:
            bench = self.bench(*pictures(1))
            bench.host.bend = lambda *_: reply
            came = bench.ask(way=way, **self.usual())
            assert not isinstance(came.error, PluginError), (
                f"{way}: events came in answer to a plain request, and the plugin failed: "
                f"{came.error}"
            )

    def test_events_that_nobody_knows_are_passed_over(self) -> None:
        """A host may say new things between the known ones."""
        reply = self._streamed(self._showing())
        if "event-stream" not in reply.headers.get("content-type", ""):
            self.not_applicable("its stream is not one of server-sent events")
        new = b': a comment\n\nevent: keep-alive\ndata: {"type": "keep-alive"}\n\n'
        for way in STREAMED:
            bench = self._showing()
            bench.host.bend = lambda _, reply: _pieces(
                reply, tuple(part for piece in _pieces_of(reply) for part in (new, piece))
            )
            came = self._shown(bench, way)
            assert came.response is not None, (
                f"{way}: an event of a kind that nobody knows ended the call in {came.error!r}"
            )

    def test_a_stream_is_the_same_in_other_pieces(self) -> None:
        """Where the network cuts an answer says nothing."""
        self._streamed(self._showing())
        for way in STREAMED:
            for size in (61, 1 << 20):
                bench = self._showing()
                bench.host.bend = lambda _, reply, size=size: _pieces(
                    reply, _divided(body_of(reply), size)
                )
                came = self._shown(bench, way)
                assert came.response is not None, (
                    f"{way}: the same stream in pieces of {size} bytes ended in {came.error!r}: "
                    "take events or lines from the core, which puts them together"
                )

    def test_leaving_a_stream_closes_its_connection(self) -> None:
        """Who leaves a stream leaves no connection behind."""
        self.wired()

        def leave(client: Client) -> None:
            with client.stream(ImageRequest(**self.usual())) as stream:
                next(stream)
            _all_closed(bench, "a stream was left after its first event")

        bench = self._showing()
        bench.call(leave)

    def test_cancelling_an_async_stream_closes_its_connection(self) -> None:
        """A cancelled task leaves no connection behind."""
        self.wired()

        async def leave(client: AsyncClient) -> None:
            with anyio.CancelScope() as scope:
                async with client.stream(ImageRequest(**self.usual())) as stream:
                    await anext(aiter(stream))
                    scope.cancel()
                    await anyio.lowlevel.checkpoint()
            _all_closed(bench, "the task of a stream was cancelled")

        bench = self._showing()
        bench.async_call(leave)

    def test_every_answer_is_closed_when_the_call_is_over(self) -> None:
        """A call that is over holds no connection, however it ended."""
        self.wired()
        for way in WAYS:
            for fault in (None, "cut", "broken"):
                bench = self._showing()
                bench.host.fault = fault
                self._shown(bench, way)
                _all_closed(bench, f"{way}, fault {fault}: the call is over")

    def _previewed(self) -> None:
        """End a test of previews where there are none."""
        self.streaming()
        if not _previews(self._shown(self._showing(), STREAMED[0]).events):
            self.not_applicable("it shows no previews")

    def _showing(self, many: int = 1) -> Bench:
        return self.bench(*pictures(many), previews=1)

    def _shown(self, bench: Bench, way: Way, **fields: object) -> Came:
        return bench.ask(way=way, **{**self.usual(), **self.previews(), **fields})

    def _own(self, way: Way, many: int) -> list[ImageEvent]:
        """What the flow itself emits, before the core mends anything."""
        bench = self._showing(many)
        self._shown(bench, way, n=many)
        return [event for trace in bench.traces for event in trace.events()]

    def _streamed(self, bench: Bench, **fields: object) -> Streamed:
        """The host's answer to a stream, which it gives in pieces."""
        self.streaming()
        self.wired()
        replies = heard(bench)
        self._shown(bench, STREAMED[0], **fields)
        found = [one for one in replies if isinstance(one, Streamed)]
        if not found:
            self.not_applicable("what it streams does not come in pieces of one answer")
        return found[-1]

    def _cut(self, way: Way, at: int, many: int = 1) -> Came:
        """A stream that ends after so many of its pieces."""
        bench = self._showing(many)
        bench.host.bend = lambda _, reply: _cut(reply, at)
        return self._shown(bench, way, n=many)


def _pieces_of(reply: Reply) -> tuple[bytes, ...]:
    """The pieces of *reply*."""
    return reply.pieces if isinstance(reply, Streamed) else (reply.body,)


def _previews(events: list[ImageEvent]) -> list[PartialImage]:
    return [one for one in events if isinstance(one, PartialImage)]


def _cuts(reply: Streamed) -> range:
    return range(1, len(reply.pieces))


def _cut(reply: Reply, at: int) -> Reply:
    return replace(reply, pieces=reply.pieces[:at]) if isinstance(reply, Streamed) else reply


def _pieces(reply: Reply, pieces: tuple[bytes, ...]) -> Reply:
    return replace(reply, pieces=pieces) if isinstance(reply, Streamed) else reply


def _divided(body: bytes, size: int) -> tuple[bytes, ...]:
    return tuple(body[at : at + size] for at in range(0, len(body), size))


def _holds(pieces: tuple[bytes, ...], picture: bytes) -> bool:
    """Whether *picture* is in them, as it is or in base64."""
    said = b"".join(pieces)
    return picture in said or base64.b64encode(picture) in said


def _all_closed(bench: Bench, what: str) -> None:
    host = bench.host
    assert host.opened == host.closed, (
        f"{what}, and {host.opened - host.closed} of {host.opened} answers are still open: a flow "
        "yields what it wants done, and opens nothing by itself"
    )
