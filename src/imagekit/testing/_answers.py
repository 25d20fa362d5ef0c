"""The rules about answers: pictures in their slots, refusals, usage, cost, and what continues."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from .._errors import ContentRejectedError, ImagekitError, RequestError
from .._http import HttpResponse
from .._request import State
from .._response import ImageResponse
from ._bench import WAYS, Bench, Way
from ._given import Given, body_of, encoded, heard, pictures, scene, signed

_GONE = HttpResponse(404, {"content-type": "text/plain"}, b"it is gone")


class Answers(Given):
    """What a response says is what the host answered, whichever way it was asked."""

    def test_all_four_ways_give_the_same_pictures(self) -> None:
        """Blocking, async, whole and streamed come to the same pictures in the same slots."""
        many = self.many()
        first: list[object] | None = None
        for way in WAYS:
            found = self._asked(self.bench(*pictures(many)), way, n=many)
            assert len(found.slots) == many, f"{way}: {len(found.slots)} slots for {many} pictures"
            seen = self.all_seen(found)
            first = seen if first is None else first
            assert seen == first, (
                f"{way} gives other pictures than {WAYS[0]}: read the answer and the stream into "
                "the same slots"
            )

    def test_all_four_ways_tell_the_same_usage(self) -> None:
        """What was used is told in a stream as it is in a whole answer."""
        told = {way: _usage(self._asked(self.bench(), way)) for way in WAYS}
        assert len(set(told.values())) == 1, (
            f"the same call tells different usage by the way it is asked: {told}"
        )

    def test_all_four_ways_name_the_same_model(self) -> None:
        """The model that answered is told in a stream as it is in a whole answer."""
        told = {way: self._asked(self.bench(), way).model for way in WAYS}
        assert len(set(told.values())) == 1, (
            f"the same call names different models by the way it is asked: {told}"
        )

    def test_all_four_ways_fail_alike(self) -> None:
        """A refused picture is the same error in each way."""
        self.refuses()
        told = {}
        for way in WAYS:
            error = self.bench(None).ask(way=way, **self.usual()).error
            told[way] = type(error).__name__
        assert len(set(told.values())) == 1, (
            f"one refused picture ends in different ways by how it is asked: {told}"
        )

    def test_pictures_keep_every_byte(self) -> None:
        """A picture is the bytes that the host gave, its comments and signatures among them."""
        self.gives()
        given = signed(pictures(1)[0])
        for way in WAYS:
            found = self._asked(self.bench(given), way)
            assert self.seen(found.image.data) == self.seen(given), (
                f"{way}: the picture is not the one that the host gave: hand its bytes through as "
                "they come, and never encode them anew"
            )

    def test_pictures_keep_their_type(self) -> None:
        """A JPEG or a WebP comes as one, whatever was asked for."""
        self.gives()
        self.wired()
        for kind in ("JPEG", "WEBP"):
            given = encoded(kind)
            found = self._asked(self.bench(given), "blocking")
            assert found.image.data == given, (
                f"the host gave a {kind} and something else came: the bytes say what they are"
            )

    def test_pictures_stay_in_their_order(self) -> None:
        """The first picture of an answer is in the first slot."""
        self.gives()
        if self.many() == 1:
            self.not_applicable("one request asks for one picture")
        given = pictures(2)
        found = self._asked(self.bench(*given), "blocking", n=2)
        assert self.all_seen(found) == [self.seen(one) for one in given], (
            "the pictures are not in the order in which the host gave them"
        )

    def test_fewer_pictures_than_asked_for_are_missing(self) -> None:
        """A slot whose picture did not come is said to be missing, and the others are there."""
        self.gives()
        if not self.at_once():
            self.not_applicable("one request asks for one picture")
        given = pictures(2)
        for way in self._ways(2):
            found = self._asked(scene(self.bench(), given, surplus=-1), way, n=2)
            kinds = [one.kind for one in found.failures]
            assert (len(found.images), kinds) == (1, ["missing"]), (
                f"{way}: of two pictures the host gave one, and the response has "
                f"{len(found.images)} and the failures {kinds}: give the slots that came, and "
                "invent none"
            )
            assert self.seen(found.images[0].data) == self.seen(given[0]), (
                f"{way}: the picture that came is another one"
            )

    def test_more_pictures_than_asked_for_are_kept(self) -> None:
        """What came beyond the pictures asked for is paid for, and kept."""
        self.gives()
        if not self.at_once():
            self.not_applicable("one request asks for one picture")
        for way in self._ways(2):
            found = self._asked(scene(self.bench(), pictures(3), surplus=1), way, n=2)
            assert len(found.images) == 3, (
                f"{way}: the host gave three pictures for two, and {len(found.images)} came "
                "through: never cut the list of slots"
            )

    def test_a_refused_picture_leaves_the_others(self) -> None:
        """A refusal beside a picture costs nobody the picture."""
        for way, found in self._half_refused():
            assert len(found.images) == 1, (
                f"{way}: of two pictures one was refused, and {len(found.images)} came: a refused "
                "picture is an ImageFailure in its slot, and no error of the call"
            )

    def test_a_refused_picture_is_said_to_be_refused(self) -> None:
        """The failure of a refused picture is of the kind "refused", and says why."""
        for way, found in self._half_refused():
            said = [(one.kind, bool(one.reason)) for one in found.failures]
            assert said, f"{way}: one picture was refused, and no slot says so"
            assert set(said) == {("refused", True)}, (
                f"{way}: a refused picture's failure is {found.failures}, and not one of kind "
                "'refused' with a reason"
            )

    def test_a_call_whose_every_picture_is_refused_raises(self) -> None:
        """Where nothing but refusals came, the call ends in a ContentRejectedError."""
        self.refuses()
        for way in WAYS:
            error = self.bench(None).ask(way=way, n=2, **self.usual()).error
            assert isinstance(error, ContentRejectedError), (
                f"{way}: every picture was refused, and the call ended in {error!r}"
            )
            kinds = [slot.kind for slot in error.response.slots] if error.response else []
            assert kinds == ["refused"] * 2, (
                f"{way}: the error carries no response with a refusal in each slot, but {kinds}"
            )

    def test_usage_is_counted_and_never_negative(self) -> None:
        """Usage is made of counts: decimal numbers from zero up, each with its unit."""
        found = self._asked(self.bench(), "blocking")
        for item in found.usage.items if found.usage else ():
            known = isinstance(item.quantity, Decimal) and item.quantity.is_finite()
            assert known, f"this is no count: {item!r}"
            assert item.quantity >= 0, f"nobody uses less than nothing: {item!r}"
            assert item.unit, f"this does not say what it counts: {item!r}"

    def test_cost_is_reported_or_priced_and_never_a_guess(self) -> None:
        """A cost has an amount from zero up; an estimated one has its source and its day."""
        cost = self._asked(self.bench(), "blocking").cost
        if cost is None:
            return
        assert cost.amount.is_finite(), f"this is no amount: {cost.amount}"
        assert cost.amount >= 0, f"no call costs {cost.amount}"
        if cost.kind == "estimated":
            free = self.able.prices is not None and self.able.prices.free
            assert free or (cost.source and cost.as_of), (
                f"the cost {cost} is estimated from nothing: leave it to the core, which knows the "
                "prices of your capabilities, or say its source and its day"
            )

    def test_request_ids_are_the_hosts_own(self) -> None:
        """What is quoted to the provider's support is what it said, and no invention."""
        self.wired()
        for trouble in (None, "invalid"):
            if trouble in self.host.absent:
                continue
            bench = self.bench(trouble=trouble)
            replies = heard(bench)
            came = bench.ask(**self.usual())
            ids = came.response.request_ids if came.response else (_id(came.error),)
            said = [
                (*one.headers.values(), body_of(one).decode("utf-8", "replace")) for one in replies
            ]
            for id in filter(None, ids):
                assert any(id in text for one in said for text in one), (
                    f"the request id {id!r} stands in none of the host's answers"
                )

    def test_a_response_survives_json(self) -> None:
        """A response is the same after it was JSON."""
        found = self._asked(self.bench(*pictures(2)), "blocking", n=2)
        text = found.model_dump_json()
        again = ImageResponse.model_validate_json(text)
        assert again.model_dump_json() == text, "the response says something else once it was JSON"
        assert again == found, (
            "the response is another one once it was JSON: keep plain values in it, in tuples"
        )

    def test_a_state_is_enough_to_go_on_in_another_process(self) -> None:
        """The state of a picture, come back from JSON, continues it as it would have at once."""
        bench = self.bench()
        state = self._asked(bench, "blocking").state
        if state is None:
            self.not_applicable("its pictures have no state to continue")
        bench.host.asked.clear()
        said = []
        for one in (state, State.model_validate_json(state.model_dump_json())):
            fresh = self.beside(bench)
            found = self.ask(bench=fresh, prompt="the same in blue", state=one)
            bench.host.asked.clear()
            assert found.came.response is not None, (
                f"a new client cannot continue the picture: {found.came.error!r}; its state has to "
                "say all that is needed"
            )
            made = [asked.shape() for asked in found.makes]
            said.append((made, self.all_seen(found.came.response)))
        assert said[0] == said[1], "the state asks for something else once it was JSON"

    def test_the_state_of_somebody_else_is_refused(self) -> None:
        """A state of another provider is an error before anything is sent."""
        own = self._asked(self.bench(), "blocking").state
        payload = {**(own.payload if own else {}), "kept": "elsewhere"}
        bench = self.bench()
        came = bench.ask("go on", state=State(provider="somebody-else", payload=payload))
        assert isinstance(came.error, RequestError), (
            f"the state of another provider came to {came.response or came.error!r}: look at "
            "request.state.provider, and raise a RequestError where it is not yours"
        )
        assert not bench.host.asked, "the host was asked before the state was looked at"

    def test_pictures_by_address_are_fetched(self) -> None:
        """A picture that is given as an address comes with the call."""
        bench = self._by_address()
        found = self._asked(bench, "blocking")
        assert found.image.data == pictures(1)[0], (
            "the picture at the address did not come: give Image(url=...) as the host says it"
        )

    def test_pictures_by_address_stay_there_where_nobody_wants_them(self) -> None:
        """With fetch=False an address stays one, and is not read."""
        bench = self._by_address()
        found = self._asked(bench, "blocking", fetch=False)
        assert found.image.data is None, (
            "the picture was fetched all the same: give Image(url=...), and leave it to the core"
        )
        assert found.image.url in bench.host.shelf, "the address is not the one that the host gave"

    def test_a_picture_that_cannot_be_fetched_keeps_its_address(self) -> None:
        """A download that fails does not lose the picture that was paid for."""
        bench = self._by_address()
        shelf = bench.host.shelf
        bench.host.bend = lambda asked, reply: _GONE if asked.url in shelf else reply
        came = bench.ask(**self.usual())
        left = came.response or (came.error.response if came.error else None)
        kept = [slot.url for slot in left.images if slot.url in shelf] if left else []
        assert kept, f"the picture could not be fetched, and its address is lost: {came.error!r}"

    def _asked(self, bench: Bench, way: Way, **fields: Any) -> ImageResponse:
        return bench.ask(way=way, **{**self.usual(), **fields}).pictures()

    def _ways(self, n: int) -> tuple[Way, ...]:
        """Those in which one request may ask for *n* pictures."""
        return WAYS if self.many() >= n else WAYS[:2]

    def _by_address(self) -> Bench:
        if not self.host.urls:
            self.not_applicable("its host gives no addresses")
        return self.bench(*pictures(1), by_url=True)

    def _half_refused(self) -> Iterator[tuple[Way, ImageResponse]]:
        """What each way makes of two pictures of which one is refused."""
        self.refuses()
        together = self.host.partly and self.many() == 2
        client = {} if together else self.one_each()
        for way in WAYS:
            bench = self.bench(pictures(1)[0], None)
            came = bench.ask(way=way, n=2, client=client, **self.usual())
            left = came.response or (came.error.response if came.error else None)
            assert left is not None, f"{way}: the call ended in {came.error!r}, with no response"
            yield way, left


def _usage(response: ImageResponse) -> str:
    items = response.usage.items if response.usage else ()
    return str(sorted(item.model_dump_json() for item in items))


def _id(error: ImagekitError | None) -> str | None:
    return error.request_id if error else None
