from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from itertools import combinations
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagekit import (
    AuthenticationError,
    BudgetExceededError,
    ConfigurationError,
    ConnectionFailedError,
    ContentRejectedError,
    DeadlineExceededError,
    Image,
    ImageFailed,
    ImageFailure,
    ImagekitError,
    ImageReady,
    ImageRequest,
    ImageResponse,
    InvalidRequestError,
    MissingCredentialError,
    NoImageError,
    Notice,
    Noticed,
    PartialImage,
    PermissionDeniedError,
    PluginError,
    Progress,
    ProtocolError,
    ProviderError,
    ProviderUnavailableError,
    QuotaExceededError,
    RateLimitError,
    RequestError,
    TransportError,
    TransportTimeoutError,
    TruncatedStreamError,
    UnknownProviderError,
    UnsupportedRequestError,
)
from imagekit import _errors as errors
from imagekit._fallback import Choice, FallBackOn, fallen_back
from imagekit._jobs import Job, JobPart
from imagekit._response import CallRecord, Cost, Usage, UsageItem
from imagekit._slots import ended
from imagekit.provider import Effects, Emit, Flow, Sleep, emit, gather, sleep
from imagekit.testing import Played, play
from toys import Driver, Plugged, Scripted, picture
from ways import WAYS, make

WORDS = get_args(FallBackOn)
Make = Callable[[], Flow]


def shade(number: int) -> Image:
    return Image(data=picture(number))


def as_it_is(image: Image) -> Effects[Image]:
    return image
    yield


def told(*events: Any, end: Any = None) -> Flow:
    """A provider's flow that says *events* and ends in *end*: its slots, or an error."""
    for event in events:
        yield from emit(event)
    if isinstance(end, Exception):
        raise end
    return end if isinstance(end, ImageResponse) else ImageResponse(slots=end or (shade(1),))


def whole(*events: Any, end: Any = None, n: int = 1, name: str = "") -> Make:
    """The same as one whole call: its slots end once, and it is said who made them."""

    def call() -> Flow:
        stamp = {"provider": name or None, "model": name and f"{name}-1"}
        try:
            response = yield from ended(told(*events, end=end), n, as_it_is)
        except ImagekitError as error:
            error.response = error.response and error.response.model_copy(update=stamp)
            raise
        return response.model_copy(update=stamp)

    return call


def raising(error: Exception) -> Make:
    """A call that cannot even be made."""

    def make() -> Flow:
        raise error

    return make


def asked(*makes: Make, also: Any = (), into: Played | None = None) -> Played:
    """What asking the providers "a", "b" … in order comes to."""
    choices = [Choice(name, make) for name, make in zip("abcdef", makes, strict=False)]
    return play(fallen_back(choices, also), into=into)


def limited(message: str = "too much") -> RateLimitError:
    return RateLimitError(message, status=429, code="slow_down", request_id="r-1", billed="no")


def kinds(played: Played) -> list[str]:
    return [event.kind for event in played.events]


# Whether the next one is asked

# By class: the word that has to be named where it cost nothing for certain ("" for none, None where
# no word helps), and the words where money may be gone.
NEVER = None
TABLE: dict[type[ImagekitError], tuple[str | None, str | None]] = {
    ImagekitError: (NEVER, NEVER),
    ConfigurationError: (NEVER, NEVER),
    UnknownProviderError: (NEVER, NEVER),
    MissingCredentialError: (NEVER, NEVER),
    RequestError: (NEVER, NEVER),
    BudgetExceededError: (NEVER, NEVER),
    UnsupportedRequestError: ("unsupported", "unsupported may_be_charged"),
    ProviderError: (NEVER, "may_be_charged"),
    AuthenticationError: ("authentication", "authentication may_be_charged"),
    PermissionDeniedError: ("authentication", "authentication may_be_charged"),
    RateLimitError: ("", "may_be_charged"),
    QuotaExceededError: ("", "may_be_charged"),
    ContentRejectedError: ("rejected", "rejected may_be_charged"),
    InvalidRequestError: ("invalid", "invalid may_be_charged"),
    NoImageError: (NEVER, "may_be_charged"),
    ProviderUnavailableError: ("", "may_be_charged"),
    TransportError: ("", "may_be_charged"),
    ConnectionFailedError: ("", "may_be_charged"),
    TransportTimeoutError: ("", "may_be_charged"),
    DeadlineExceededError: (NEVER, NEVER),
    ProtocolError: (NEVER, "may_be_charged"),
    TruncatedStreamError: (NEVER, "may_be_charged"),
    PluginError: (NEVER, NEVER),
}
NAMED = [set(words) for many in range(len(WORDS) + 1) for words in combinations(WORDS, many)]


def test_the_table_has_every_error_that_a_call_may_end_in() -> None:
    mine = {one for name, one in vars(errors).items() if name.endswith("Error")}
    assert mine == set(TABLE)


@pytest.mark.parametrize("billed", ["no", "possibly", "yes"])
@pytest.mark.parametrize("kind", TABLE, ids=lambda kind: kind.__name__)
def test_the_next_is_asked_where_the_table_says_so(kind: Any, billed: Any) -> None:
    words = TABLE[kind][billed != "no"]
    for also in NAMED:
        falls = words is not NEVER and set(words.split()) <= also
        error = kind("no", billed=billed)
        if falls:
            assert asked(whole(end=error), whole(), also=also).response.attempts
        else:
            with pytest.raises(kind) as found:
                asked(whole(end=error), whole(), also=also)
            assert found.value is error


@pytest.mark.parametrize("kind", TABLE, ids=lambda kind: kind.__name__)
def test_what_nobody_says_of_the_money_may_be_gone(kind: Any) -> None:
    # A request that was never sent cost nothing, whoever forgot to say so.
    free = issubclass(kind, RequestError)
    words = TABLE[kind][not free]
    for also in ({*WORDS} - {"may_be_charged"}, {*WORDS}):
        falls = words is not NEVER and set(words.split()) <= also
        if falls:
            assert asked(raising(kind("no")), whole(), also=also).response.attempts
        else:
            with pytest.raises(kind):
                asked(raising(kind("no")), whole(), also=also)


def test_a_slot_that_may_be_charged_counts_like_the_error() -> None:
    costly = ImageFailure(kind="failed", reason="it broke", billed="possibly")
    calls = whole(ImageFailed(failure=costly), end=limited()), whole()
    with pytest.raises(RateLimitError):
        asked(*calls)
    assert asked(*calls, also={"may_be_charged"}).response.attempts[0].billed == "possibly"


@pytest.mark.parametrize("end", [KeyboardInterrupt(), ValueError("ours")])
def test_what_is_no_error_of_a_call_passes(end: BaseException) -> None:
    def stopped() -> Flow:
        raise end
        yield

    with pytest.raises(type(end)):
        asked(stopped, whole(), also=WORDS)


def test_a_picture_is_a_success_whatever_its_neighbour_is() -> None:
    refused = ImageFailure(kind="refused", reason="no cats", billed="no")
    played = asked(whole(end=(refused, shade(1)), n=2), whole(n=2), also=WORDS)
    assert [slot.kind for slot in played.response.slots] == ["refused", "image"]
    assert not played.response.attempts


def test_after_a_picture_was_told_of_nobody_else_is_asked() -> None:
    error = limited()
    with pytest.raises(RateLimitError):
        asked(lambda: told(ImageReady(image=shade(1)), end=error), whole(), also=WORDS)
    assert error.attempts == ()


@pytest.mark.parametrize(
    ("also", "shown"),
    [
        (["may_be_charged", "reject"], "'reject'"),
        ("timeout", "'timeout'"),
        ([["rejected"]], "['rejected']"),
        (None, "None"),
        (7, "7"),
    ],
)
def test_a_word_that_is_none_is_an_error_before_anything(also: Any, shown: str) -> None:
    def never() -> Flow:
        raise AssertionError

    with pytest.raises(RequestError) as found:
        fallen_back([Choice("a", never)], also)
    listed = "'rejected', 'invalid', 'unsupported', 'authentication', 'may_be_charged'"
    assert str(found.value) == f"fall_back_on={shown} is none of {listed}"
    assert found.value.billed == "no"


def test_one_word_may_stand_alone() -> None:
    error = ContentRejectedError("no cats", billed="no")
    assert asked(whole(end=error), whole(), also="rejected").response.attempts


def test_nobody_to_ask_is_an_error_before_anything() -> None:
    with pytest.raises(RequestError, match="no provider was given"):
        fallen_back([], ())


# What is said


def test_the_response_says_who_did_it_and_what_each_other_said() -> None:
    odd = Notice(kind="adjusted", feature="size")
    gone = ProviderUnavailableError("gone fishing", status=503, billed="no")
    played = asked(
        whole(Noticed(notice=odd), end=limited(), name="first"),
        whole(end=gone, name="second"),
        whole(name="third"),
    )
    found = played.response
    assert (found.provider, found.image) == ("third", shade(1))
    first, second = found.attempts
    assert first.model_dump(exclude={"notices", "profile", "calls"}) == {
        "provider": "first",
        "model": "first-1",
        "kind": "RateLimitError",
        "error": "too much",
        "status": 429,
        "code": "slow_down",
        "billed": "no",
        "request_id": "r-1",
    }
    assert first.notices == (odd,)
    assert (second.provider, second.kind, second.error, second.notices) == (
        *("second", "ProviderUnavailableError", "gone fishing"),
        (),
    )
    expected = [
        Notice(kind="fallback", feature="provider", wanted="a", used="b", detail="too much"),
        Notice(kind="fallback", feature="provider", wanted="b", used="c", detail="gone fishing"),
    ]
    assert list(found.notices) == expected
    assert played.events == [
        *(Noticed(notice=one) for one in expected),
        ImageReady(index=0, image=shade(1)),
    ]


def test_the_notice_is_said_before_the_next_one_is_made() -> None:
    played, seen = Played(), []

    def second() -> Flow:
        seen.extend(kinds(played))
        return told(end=(shade(1),))

    asked(whole(end=limited()), second, into=played)
    assert seen == ["noticed"]


def test_who_could_not_be_asked_is_named_as_far_as_it_is_known() -> None:
    error = UnsupportedRequestError("no masks")
    error.provider = "picky"
    first, second = asked(
        raising(error),
        raising(UnsupportedRequestError("no edits")),
        whole(),
        also={"unsupported"},
    ).response.attempts
    assert (first.provider, first.billed) == ("picky", "no")
    assert (second.provider, second.profile, second.model) == ("b", None, None)


def test_who_answers_first_answers_as_alone() -> None:
    alone = play(whole(Progress(step=1), name="one")())
    played = asked(whole(Progress(step=1), name="one"), whole())
    assert (played.events, played.response) == (alone.events, alone.response)


def test_the_notices_of_who_answers_stand_beside_those_of_falling_back() -> None:
    own = Notice(kind="adjusted", feature="size")
    found = asked(whole(end=limited()), whole(Noticed(notice=own))).response
    assert [notice.kind for notice in found.notices] == ["fallback", "adjusted"]


def test_when_all_fail_the_last_error_has_what_the_others_said() -> None:
    error = limited("nor here")
    played = Played()
    with pytest.raises(RateLimitError) as found:
        asked(
            whole(PartialImage(image=shade(1)), end=limited(), name="one", n=2),
            whole(PartialImage(index=1, image=shade(2)), end=error, n=2),
            into=played,
        )
    assert found.value is error
    assert str(error) == "nor here"
    assert error.__notes__ == ["one was asked before: RateLimitError: too much"]
    assert [attempt.provider for attempt in error.attempts] == ["one"]
    assert error.response is not None
    assert error.response.attempts == error.attempts
    assert [notice.kind for notice in error.response.notices] == ["fallback"]
    previews = [failure.preview for failure in error.response.failures]
    assert previews == [shade(1), shade(2)]
    ends = [event for event in played.events if isinstance(event, ImageFailed)]
    assert [(end.index, end.failure.preview) for end in ends] == [(0, shade(1)), (1, shade(2))]


def test_an_error_alone_is_as_it_was() -> None:
    error = limited()
    with pytest.raises(RateLimitError):
        asked(whole(end=error))
    assert error.attempts == ()
    assert not hasattr(error, "__notes__")


def test_when_the_last_cannot_be_asked_the_slots_end_as_before() -> None:
    played, error = Played(), UnsupportedRequestError("no masks")
    with pytest.raises(UnsupportedRequestError):
        asked(
            whole(PartialImage(image=shade(1)), end=limited(), name="one"),
            raising(UnsupportedRequestError("no edits")),
            raising(error),
            also={"unsupported"},
            into=played,
        )
    assert kinds(played) == ["partial-image", "noticed", "noticed", "image-failed"]
    assert error.response is not None
    (slot,) = error.response.failures
    assert (slot.reason, slot.preview, error.response.provider) == ("too much", shade(1), "one")
    assert len(error.response.attempts) == 2


def test_when_nobody_could_be_asked_there_is_nothing_to_keep() -> None:
    error = UnsupportedRequestError("no masks")
    with pytest.raises(UnsupportedRequestError):
        asked(raising(UnsupportedRequestError("no")), raising(error), also={"unsupported"})
    assert error.response is None
    assert len(error.attempts) == 1


def test_what_was_begun_before_can_still_be_resumed() -> None:
    first, last = TruncatedStreamError("cut", billed="possibly"), limited()
    first.job = Job(provider="one", counts=(1,), parts=(JobPart(n=1, handle={"id": "7"}),))
    with pytest.raises(RateLimitError):
        asked(whole(end=first), whole(end=last), also={"may_be_charged"})
    assert last.job is first.job


def test_its_own_job_is_nearer() -> None:
    job = Job(provider="one", counts=(1,), parts=(JobPart(n=1, handle={"id": "7"}),))
    first, last = TruncatedStreamError("cut", billed="possibly"), limited()
    first.job, last.job = job, job.model_copy(update={"provider": "two"})
    with pytest.raises(RateLimitError):
        asked(whole(end=first), whole(end=last), also={"may_be_charged"})
    assert last.job is not None
    assert last.job.provider == "two"


def test_a_preview_of_the_one_before_stays_with_a_slot_that_fails_here_too() -> None:
    broken = ImageFailure(kind="failed", reason="it broke", billed="no")
    own = broken.model_copy(update={"preview": shade(9)})
    found = asked(
        whole(
            *(PartialImage(index=index, image=shade(index)) for index in range(3)),
            end=limited(),
            n=3,
        ),
        whole(end=(shade(5), broken, own), n=3),
    ).response
    assert found.images == (shade(5),)
    assert [failure.preview for failure in found.failures] == [shade(1), shade(9)]


# What a stream shows


def test_the_ends_of_slots_are_kept_back_until_a_picture_comes() -> None:
    broken = ImageFailure(kind="failed", reason="it broke", billed="no")
    events = [
        Noticed(notice=Notice(kind="adjusted", feature="size")),
        ImageFailed(index=0, failure=broken),
        Progress(step=1),
        Noticed(notice=Notice(kind="adjusted", feature="seed")),
        ImageReady(index=1, image=shade(1)),
        ImageFailed(index=2, failure=broken),
    ]
    played = asked(whole(*events, end=(broken, shade(1), broken), n=3), whole())
    # A notice waits for the first word besides, the end of a slot for a picture.
    assert played.events[:6] == [events[0], *events[2:4], events[1], *events[4:]]


def test_a_notice_after_the_first_word_besides_is_heard_at_once() -> None:
    said = Noticed(notice=Notice(kind="adjusted", feature="seed"))

    def waiting() -> Flow:
        yield from emit(Progress())
        yield Emit(said)
        yield from sleep(1)
        raise AssertionError

    flow = fallen_back([Choice("a", waiting), Choice("b", whole())])
    assert [next(flow), next(flow), next(flow)] == [Emit(Progress()), Emit(said), Sleep(1)]
    flow.close()


def test_the_last_one_is_heard_at_once() -> None:
    broken = ImageFailure(kind="failed", reason="it broke", billed="no")
    events = [ImageFailed(index=0, failure=broken), ImageReady(index=1, image=shade(1))]
    flow = fallen_back([Choice("a", whole(*events, end=(broken, shade(1)), n=2))])
    assert next(flow).event == events[0]  # type: ignore[union-attr]
    flow.close()


def test_what_is_kept_back_is_said_when_the_call_ends() -> None:
    said = Notice(kind="adjusted", feature="size")
    played = Played()
    with pytest.raises(ContentRejectedError):
        asked(
            whole(Noticed(notice=said), end=ContentRejectedError("no cats", billed="no")),
            whole(),
            into=played,
        )
    assert kinds(played) == ["noticed", "image-failed"]


def test_what_is_kept_back_is_said_where_no_picture_was_told_of() -> None:
    said = Notice(kind="adjusted", feature="size")
    played = asked(lambda: told(Noticed(notice=said)), whole())
    assert played.events == [Noticed(notice=said)]


def test_a_preview_that_was_shown_stays_shown_and_the_slot_ends_once() -> None:
    played = asked(whole(PartialImage(image=shade(1)), end=limited()), whole())
    assert kinds(played) == ["partial-image", "noticed", "image-ready"]


def test_flows_side_by_side_are_kept_back_alike() -> None:
    broken = ImageFailure(kind="failed", reason="it broke", billed="no")

    def side_by_side() -> Flow:
        yield from gather([told(ImageFailed(index=0, failure=broken))])
        raise limited()

    played = asked(lambda: ended(side_by_side(), 1, as_it_is), whole())
    assert kinds(played) == ["noticed", "image-ready"]


def test_leaving_early_closes_whoever_is_being_asked() -> None:
    closed: list[str] = []

    def slow(name: str, error: ImagekitError | None) -> Make:
        def call() -> Flow:
            try:
                if error is None:
                    yield from sleep(1)
                raise error or AssertionError
            finally:
                closed.append(name)

        return call

    flow = fallen_back([Choice("a", slow("a", limited())), Choice("b", slow("b", None))])
    assert next(flow).event.notice.kind == "fallback"  # type: ignore[union-attr]
    assert closed == ["a"]
    next(flow)
    flow.close()
    assert closed == ["a", "b"]


# Properties

OUTCOMES = [
    "pictures",
    "partly",
    *[(kind, billed) for kind in TABLE for billed in ("no", "possibly", "yes", None)],
]


@given(
    outcomes=st.lists(
        st.tuples(st.sampled_from(OUTCOMES), st.booleans(), st.sets(st.integers(0, 1))),
        min_size=3,
        max_size=3,
    ),
    also=st.sets(st.sampled_from(WORDS)),
)
def test_at_most_one_may_be_paid_and_each_slot_ends_once(outcomes: Any, also: set[str]) -> None:
    paid: list[str] = []

    def call(outcome: Any, stays_out: bool, previews: set[int]) -> Make:
        def made() -> Flow:
            if isinstance(outcome, str):
                paid.append(outcome)
                rest = shade(2) if outcome == "pictures" else failure
                end: Any = (shade(1), rest)
            else:
                kind, billed = outcome
                end = kind("no", billed=billed)
                # What says nothing of the money, and is no fault of the request, may have cost.
                if billed in ("possibly", "yes") or not (billed or issubclass(kind, RequestError)):
                    paid.append(kind.__name__)
                if stays_out:
                    raise end
            shown = [PartialImage(index=index, image=shade(7)) for index in sorted(previews)]
            return whole(*shown, end=end, n=2)()

        failure = ImageFailure(kind="failed", reason="it broke", billed="possibly")
        return made

    played, error = Played(), None
    try:
        asked(*[call(*outcome) for outcome in outcomes], also=also, into=played)
    except ImagekitError as raised:
        error = raised
    if "may_be_charged" not in also:
        assert len(paid) <= 1
    ends = [one for one in played.events if isinstance(one, ImageReady | ImageFailed)]
    said = error.response if error else played.response
    assert sorted(end.index for end in ends) == ([0, 1] if said else [])
    for end in ends:
        slot = end.image if isinstance(end, ImageReady) else end.failure
        assert said.slots[end.index] == slot
    noticed = [one.notice for one in played.events if isinstance(one, Noticed)]
    attempts = error.attempts if error else said.attempts
    assert sum(notice.kind == "fallback" for notice in noticed) == len(attempts)
    assert not said or tuple(noticed) == said.notices


# Through a client, in all ways


def falling(request: ImageRequest) -> Flow:
    n = request.n
    shown = [PartialImage(index=index, image=shade(3)) for index in range(n)]
    return fallen_back(
        [
            Choice("first", whole(*shown, end=limited(), n=n, name="first")),
            Choice("second", whole(end=(shade(1),) * n, n=n, name="second")),
        ]
    )


@pytest.mark.parametrize("way", WAYS)
def test_a_client_gets_the_same_in_every_way(way: str) -> None:
    events: list[Any] = []
    found = make(
        way,
        ImageRequest(prompt="a cat", n=2),
        events=events,
        register={"toy": Plugged(Scripted(falling, streaming=True))},
        provider="toy",
    )
    assert found.images == (shade(1), shade(1))
    assert [attempt.provider for attempt in found.attempts] == ["first"]
    assert [notice.kind for notice in found.notices] == ["fallback"]
    if way.endswith("streamed"):
        assert [event.kind for event in events] == [
            *["partial-image"] * 2,
            "noticed",
            *["image-ready"] * 2,
            "completed",
        ]


def test_a_deadline_ends_it_whoever_could_be_asked_next(driver: Driver) -> None:
    def slow() -> Flow:
        yield from sleep(30)
        raise AssertionError

    def never() -> Flow:
        raise AssertionError

    with pytest.raises(DeadlineExceededError) as found:
        driver.do(fallen_back([Choice("a", slow), Choice("b", never)], WORDS), deadline=0.05)
    assert found.value.attempts == ()


def test_what_the_others_used_and_cost_is_in_the_whole() -> None:
    def paid(amount: str | None, billed: Any = None, tokens: int = 3) -> CallRecord:
        cost = Cost(amount=Decimal(amount), kind="reported") if amount else None
        usage = Usage(items=(UsageItem(quantity=Decimal(tokens)),))
        return CallRecord(n=1, images=0, usage=usage, cost=cost, billed=billed, request_ids=("r",))

    def failing(record: CallRecord) -> Any:
        error = ContentRejectedError("no", billed=record.billed)
        slot = ImageFailure(kind="refused", reason="no", billed=record.billed or "possibly")
        error.response = ImageResponse(slots=(slot,), calls=(record,))
        return raising(error)

    def good(record: CallRecord) -> Any:
        done = ImageResponse(
            slots=(shade(1),),
            calls=(record,),
            usage=record.usage,
            cost=record.cost,
            request_ids=record.request_ids,
        )
        return lambda: returning(done)

    def came_to(*records: CallRecord) -> ImageResponse:
        *before, last = records
        words = {"rejected", "may_be_charged"}
        return asked(*map(failing, before), good(last), also=words).response

    found = came_to(paid("5", "yes"), paid("1"))
    assert (found.cost.amount, found.usage.total(), len(found.calls)) == (6, 6, 2)
    assert found.request_ids == ("r", "r")
    assert [one.calls[0].cost.amount for one in found.attempts] == [5]
    assert came_to(paid(None, "possibly"), paid("1")).cost is None
    assert came_to(paid("5", "yes"), paid(None)).cost is None
    assert came_to(paid(None, "no"), paid("1")).cost.amount == 1
    other = Cost(amount=Decimal(1), kind="estimated")
    assert came_to(paid("5", "yes"), paid("1").model_copy(update={"cost": other})).cost is None


def returning(response: ImageResponse) -> Flow:
    return response
    yield
