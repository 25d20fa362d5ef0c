"""The rules that hold in every way and of every operation, of a request that says all it can."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, TypeAlias, get_args

from .._capabilities import Allowed, Capabilities, Support
from .._errors import (
    AuthenticationError,
    ContentRejectedError,
    ImagekitError,
    InvalidRequestError,
    PermissionDeniedError,
    ProviderUnavailableError,
    QuotaExceededError,
    RateLimitError,
)
from .._image import Image
from .._request import ImageRequest, Operation
from ._bench import KEY, WAYS, Came, Way, mask, png
from ._charges import Attempts
from ._declared import NOBODY
from ._given import Given, pictures, pixels
from ._ground import PROMPT, Reached, sizes
from ._host import Trouble, plain
from ._inputs import _HALF, _check_kept, _marked, _words, pictures_of
from ._options import OwnOptions
from ._parameters import Parameters, beside
from ._secrets import _all_of

Kind: TypeAlias = Literal["generate", "edit", "edit with a mask"]

# One flow is run by both colours: where it is long to look, one of them will do.
_PAIR: tuple[Way, ...] = ("blocking", "blocking stream")
_HEAD = '  Ein Fahrrad für "Zoë" — 赤い自転車,\n\\n & <b>100 %</b> {x} 🚲; '
_TAIL = " und zum Schluß ein Hügel.  "
_LONG = 2400
# A number that stands for nothing else in a request.
_SEED = 113
_ERRORS: Mapping[Trouble, type[ImagekitError]] = {
    "authentication": AuthenticationError,
    "permission": PermissionDeniedError,
    "rate_limit": RateLimitError,
    "quota": QuotaExceededError,
    "invalid": InvalidRequestError,
    "moderation": ContentRejectedError,
    "unavailable": ProviderUnavailableError,
}


@dataclass(frozen=True, slots=True)
class Visit:
    """One call that said all it can, and what it brought to the host."""

    kind: Kind
    way: Way
    n: int
    found: Reached
    charging: int

    def __str__(self) -> str:
        return f"{self.kind}, {self.way}, n={self.n}"


@dataclass(frozen=True, slots=True)
class Rich:
    """All that can be said of one kind of request at once, and what goes with none of the rest."""

    whole: Mapping[str, Any]
    things: tuple[tuple[str, Any], ...]
    alone: tuple[tuple[str, Any], ...]


class Everywhere(Parameters, OwnOptions, Given):
    """No operation, no way to ask and no number of pictures loses what the others send."""

    def test_a_parameter_reaches_the_wire_everywhere(self) -> None:
        """Each declared parameter, beside all others, in each operation and way."""
        self._lost(options=False)

    def test_an_option_reaches_the_wire_everywhere(self) -> None:
        """Each declared option, beside all others, in each operation and way."""
        self._lost(options=True)

    def test_a_seed_reaches_the_wire_as_it_is(self) -> None:
        """The very number, wherever it stands."""
        self.wired()
        looked = False
        for visit in self._visits():
            seed = _rich(self._asker, visit.kind).whole.get("seed")
            if seed is None or visit.found.told("seed"):
                continue
            looked = True
            names = {name for name, word in _leaves_of(visit.found) if word == str(seed)}
            assert names - self._counting(visit.kind), (
                f"{visit}: seed={seed} was given, and nowhere in the request stands {seed} for it: "
                "send the number as it is"
            )
        if not looked:
            self.not_applicable("it takes no seed")

    def test_a_long_prompt_reaches_the_wire_whole_everywhere(self) -> None:
        """Every character of it, the blanks at its ends among them."""
        for visit in self._visits():
            prompt = _rich(self._asker, visit.kind).whole["prompt"]
            if visit.found.asked:
                assert any(prompt in word for word in _words(visit.found)), (
                    f"{visit}: a prompt of {len(prompt)} characters is not sent as it is: neither "
                    "cut, nor strip, nor rewrite it"
                )

    def test_input_pictures_are_sent_in_order_everywhere(self) -> None:
        """All of them, also beside a mask and in a stream."""
        visits = [one for one in self._visits() if one.kind != "generate"]
        if not visits:
            self.not_applicable("it edits no pictures")
        for visit in visits:
            given = _rich(self._asker, visit.kind).whole["images"]
            found = visit.found
            if not self.on_wire:
                # Where a size is said an engine is given pictures of that size.
                plainly = {**self._plain(visit.kind), "images": given}
                found = self.reached(way=visit.way, **plainly)
            words, places = _words(found), []
            for number, picture in enumerate(given if found.asked else (), 1):
                told = plain(picture)
                assert told in words, f"{visit}: picture {number} of {len(given)} is not sent"
                places.append(words.index(told))
            assert places == sorted(places), (
                f"{visit}: the pictures are sent in another order than they were given: they "
                f"stand at {places}"
            )

    def test_a_mask_marks_its_pixels_everywhere(self) -> None:
        """In each way, and however many pictures are asked for."""
        visits = [one for one in self._visits() if one.kind == "edit with a mask"]
        if not visits:
            self.not_applicable("it takes no mask")
        marks = self.able.mask
        assert marks is not None
        for visit in visits:
            if not visit.found.asked:
                _check_kept(self.reached(way=visit.way, **self._plain(visit.kind)))
                continue
            sent = [one for each in visit.found.asked for one in pictures_of(each)]
            assert _HALF in [_marked(one, marks) for one in sent], (
                f"{visit}: the mask marks the left half, and of the {len(sent)} pictures that were "
                f"sent none has its left half {marks}, as mask={marks!r} says"
            )

    def test_how_many_are_wanted_is_asked_for_everywhere(self) -> None:
        """So many pictures come, of a request that says how many."""
        visits = {(one.kind, one.way, one.n): one for one in self._visits()}
        for visit in visits.values():
            came = visit.found.came.pictures()
            shown = sum(isinstance(one, Image) for one in came.slots)
            assert shown == len(came.slots) == visit.n, (
                f"{visit}: {shown} pictures in {len(came.slots)} slots came of a willing host: "
                "send n as it is"
            )
            one = visits[visit.kind, visit.way, 1]
            assert visit.n == 1 or visit.found.said != one.found.said, (
                f"{visit}: the request is the same as with n=1: n is not sent"
            )

    def test_the_model_is_asked_for_everywhere(self) -> None:
        """An edit asks for the model that a generation asks for: the one that was named."""
        named: dict[str, bool] = {}
        for model in dict.fromkeys([NOBODY, self.model or self.able.model or NOBODY]):
            for kind in self._kinds():
                for way in _PAIR:
                    found = self.ask(way=way, model=model, **self._plain(kind))
                    if found.came.error is not None and not found.asked:
                        continue
                    stands = any(model in word for word in _words(found))
                    # Whether its name goes out at all is seen where it is asked for first.
                    named.setdefault(model, stands)
                    assert stands or not named[model] or found.told("model"), (
                        f"{kind}, {way}: model={model!r} is not in the request, and in others it "
                        "is: send request.model in each operation, or give a notice"
                    )
                    if model == NOBODY or self.model is not None:
                        continue
                    silent = self.ask(way=way, **self._plain(kind))
                    assert silent.said == found.said, (
                        f"{kind}, {way}: without a model another request is made than with "
                        f"{model!r}, which the capabilities say is the default"
                    )

    def test_what_costs_is_marked_everywhere(self) -> None:
        """Whatever asks for pictures is billable, and nothing else."""
        self.wired()
        for visit in self._visits():
            at_once = self.at_once(stream="stream" in visit.way)
            wanted = 1 if at_once else visit.n
            assert visit.charging == wanted, (
                f"{visit}: {visit.charging} requests are marked as costing, and {wanted} "
                "make pictures: what makes a picture is billable, and what only looks is not"
            )

    def test_no_key_is_anywhere(self) -> None:
        """No address, body, answer or error has a piece of it, in any operation and way."""
        for visit in self._visits():
            for asked in visit.found.asked:
                _without_key(asked.url, f"{visit}: the address of a request")
                body = asked.body.decode("utf-8", "replace") + repr(plain(asked.values))
                _without_key(body, f"{visit}: the body of a request")
            came = visit.found.came.pictures()
            said = f"{came!r} {came} {came.metadata!r} {came.model_dump_json()}"
            _without_key(said, f"{visit}: the response")
        for place, _, ended in _troubled(self._asker):
            for words in _all_of(ended.error):
                _without_key(words, f"{place}: the error")

    def test_nothing_of_an_edit_is_kept(self) -> None:
        """What comes after it, of the same client, is what it is by itself."""
        kinds = self._kinds()
        first = kinds[-1]
        if first == "generate":
            self.not_applicable("it edits no pictures")
        whole = ImageRequest(**_rich(self._asker, first).whole)
        for stream in (False, True):
            for kind in kinds[:2]:
                plainly = ImageRequest(**self._plain(kind))
                alone = self._asked_in_turn([plainly], stream)
                assert self._asked_in_turn([whole, plainly], stream)[-1] == alone[-1], (
                    f"{kind}{' in a stream' * stream}: after {first} it is another request than by "
                    "itself: keep nothing of a request in the provider"
                )

    def test_troubles_are_the_same_errors_everywhere(self) -> None:
        """Each trouble is its one error, whatever was asked for."""
        found = _troubled(self._asker)
        if not found:
            self.not_applicable("its host knows none of these troubles")
        for place, trouble, came in found:
            assert isinstance(came.error, _ERRORS[trouble]), (
                f"{place}: the host is in trouble ({trouble}), and the call came to "
                f"{came.error or came.response!r}: raise a {_ERRORS[trouble].__name__}"
            )

    def test_an_edit_gives_the_picture_of_the_host(self) -> None:
        """What came, in its order, and never what went in."""
        self.gives()
        # An engine's picture is laid into the one that it edits, where a mask says so.
        kinds = [one for one in self._kinds() if one == "edit" or (self.on_wire and "mask" in one)]
        if not kinds:
            self.not_applicable("it edits no pictures")
        for kind in kinds:
            for way in _PAIR:
                given = pictures(self.many())
                bench = self.bench(*given)
                found = self.reached(way=way, bench=bench, **self._plain(kind), n=len(given))
                shown = [pixels(one.data or b"") for one in found.came.pictures().images]
                assert shown == [pixels(one) for one in given], (
                    f"{kind}, {way}: the pictures of the response are not those of the host, in "
                    "their order: give what came, not what went in"
                )

    # What is asked.

    @property
    def _asker(self) -> Any:
        """The suite, under which what it asked is kept for its other rules."""
        return type(self)

    def _kinds(self) -> list[Kind]:
        """The kinds of request with words that it takes."""
        able = self.able
        can = able.operations | able.emulates
        found: list[Kind] = [one for one in ("generate", "edit") if one in can]
        if "edit" in can and able.mask is not None:
            found.append("edit with a mask")
        return found or self.not_applicable("it takes no words")

    def _plain(self, kind: Kind) -> dict[str, Any]:
        """The fields of a plain request of that kind."""
        if kind == "generate":
            return {"prompt": PROMPT}
        masked = {"mask": mask("white")} if kind == "edit with a mask" else {}
        return {"prompt": PROMPT, "images": [png(40)], **masked}

    def _visits(self) -> tuple[Visit, ...]:
        return _visited(self._asker)

    def _asked_in_turn(self, wanted: list[ImageRequest], stream: bool) -> list[list[str]]:
        """What one client's calls brought to the host; what it calls its jobs is its own affair."""
        bench = self.bench()
        found: list[list[str]] = []

        def run(client: Any) -> None:
            for request in wanted:
                before = len(bench.host.asked)
                if stream:
                    with client.stream(request) as events:
                        came = Came(events=list(events), response=events.response)
                else:
                    came = Came(client.run(request))
                reached = Reached(came, bench.host.asked[before:])
                found.append([json.dumps(one) for one in Reached(came, reached.makes).said])

        bench.call(run)
        return found

    def _counting(self, kind: Kind) -> set[str]:
        """The names under which it is said how many are wanted."""
        if not self.at_once():
            return set()
        one, two = (_leaves_of(self.reached(**self._plain(kind), n=n)) for n in (1, 2))
        return {name for name, _ in two - one}

    def _lost(self, *, options: bool) -> None:
        """Fail where one of the things that were said is not there."""
        looked = False
        for kind in self._kinds():
            rich = _rich(self._asker, kind)
            visits = [one for one in self._visits() if one.kind == kind and one.n == 1]
            for name, value in rich.things:
                if (name in self.able.options) != options or not visits[0].found.asked:
                    continue
                looked = True
                less = _without(rich.whole, name, self.provider)
                self._compared(name, value, less, visits)
            for name, value in rich.alone:
                if (name in self.able.options) == options:
                    looked = True
                    self._tried_alone(kind, name, value)
        if not looked:
            self.not_applicable("it declares none that reaches a host")

    def _compared(
        self, name: str, value: Any, less: Mapping[str, Any], visits: list[Visit]
    ) -> None:
        """Fail where a request is the same without the thing."""
        without = self.reached(**less)
        if not without.sent and visits[0].found.said == without.said:
            # What an engine does by itself may be what was asked for.
            return
        there = _leaves_of(visits[0].found)
        difference = there - _leaves_of(without)
        for visit in visits:
            # What stands there as it stands in the blocking way needs no other request.
            if visit.found.told(name) or (difference and difference <= _leaves_of(visit.found)):
                continue
            other = without if visit.way == "blocking" else self.reached(way=visit.way, **less)
            assert visit.found.said != other.said, _lost_at(visit, name, value)

    def _tried_alone(self, kind: Kind, name: str, value: Any) -> None:
        """Fail where the thing makes no difference to a plain request that takes it."""
        own = {name: value}
        if name in self.able.options:
            own = {"options": {self.provider: own}}
        for way in _PAIR:
            found = self.ask(way=way, **{**self._plain(kind), **own})
            if found.came.error is not None and not found.asked:
                continue
            other = self.reached(way=way, **self._plain(kind))
            visit = Visit(kind, way, 1, found, 0)
            assert found.told(name) or found.said != other.said, _lost_at(visit, name, value)

    # What is said all at once.

    def _declared_things(self, kind: Kind) -> Iterator[tuple[str, Any, Mapping[str, Any]]]:
        """Each declared parameter and option with a value, and what has to stand beside it."""
        able = self.able
        known = [
            (name, one, self._values_of(name, one))
            for name, one in able.parameters.items()
            if one not in ("no", "unknown") and name not in ("partial_images", "size")
        ]
        if able.size is not None and able.supports("size") != "no":
            known.append(("size", "yes", sizes(able.size)))
        known += [
            (name, one, self._option_values(name, one)[:1])
            for name, one in able.options.items()
            if one not in ("no", "unknown")
        ]
        found = []
        for name, support, values in known:
            for value in values:
                around = beside(support, value)
                if around.pop("operation", None) in (None, _operation(kind)):
                    found.append((name, value, around))
        # What needs something beside it has the first word.
        return iter(sorted(found, key=lambda one: not one[2]))

    def _values_of(self, name: str, known: Support) -> list[Any]:
        if name != "seed":
            return self._samples(name, known)
        low, high = (known.low, known.high) if isinstance(known, Allowed) else (None, None)
        return [int(min(max(_SEED, low or 0), _SEED if high is None else high))]


@lru_cache(maxsize=16)
def _rich(suite: Any, kind: Kind) -> Rich:
    """All that a request of that *kind* can say to the provider of *suite*."""
    asker: Everywhere = suite()
    able = asker.able
    base = {**asker._plain(kind), "prompt": _long(able.max_prompt)}
    if kind != "generate":
        most = 3 if able.max_inputs is None else min(3, able.max_inputs)
        many = {**base, "images": [png(shade) for shade in (40, 90, 140)[:most]]}
        base = many if asker.ask(**many).came.error is None else base
    things: dict[str, Any] = {}
    around: dict[str, Any] = {}
    for name, value, also in asker._declared_things(kind):
        wanted = {**also, **around, **things, name: value}
        if name not in things and not _clash(able, kind, wanted):
            things[name] = value
            around.update(also)
    together = {**around, **things}
    whole = _fields(base, together, able, suite.provider)
    if asker.ask(**whole).came.error is None:
        return Rich(whole, tuple(together.items()), ())
    # Something of it does not go with the rest, and the capabilities do not say what.
    kept: dict[str, Any] = {}
    alone = []
    for name, value in together.items():
        tried = _fields(base, {**kept, name: value}, able, suite.provider)
        if asker.ask(**tried).came.error is None:
            kept[name] = value
        else:
            alone.append((name, value))
    return Rich(_fields(base, kept, able, suite.provider), tuple(kept.items()), tuple(alone))


@lru_cache(maxsize=4)
def _visited(suite: Any) -> tuple[Visit, ...]:
    """A call that says all it can, of each kind, in each way, for one picture and for two."""
    asker: Everywhere = suite()
    found: list[Visit] = []
    counts = (1, 2) if (asker.able.max_images or 1) > 1 else (1,)
    for kind in asker._kinds():
        for n in counts:
            for way in WAYS if n == 1 else _PAIR:
                bench, attempts = asker.bench(), Attempts()
                bench.observers.append(attempts)
                reached = asker.reached(way=way, bench=bench, **_rich(suite, kind).whole, n=n)
                found.append(Visit(kind, way, n, reached, attempts.charging))
    return tuple(found)


@lru_cache(maxsize=4)
def _troubled(suite: Any) -> tuple[tuple[str, Trouble, Came], ...]:
    """What each trouble comes to, of each kind and for one picture or two."""
    asker: Everywhere = suite()
    found: list[tuple[str, Trouble, Came]] = []
    known: list[Trouble] = [one for one in get_args(Trouble) if one not in suite.host.absent]
    counts = (1, 2) if (asker.able.max_images or 1) > 1 else (1,)
    for kind in asker._kinds():
        for n in counts:
            # Other rules meet each trouble of a plain generation.
            few = n > 1 or kind == "generate"
            for trouble in known:
                if few and trouble not in ("invalid", "moderation"):
                    continue
                for way in _PAIR:
                    bench = asker.bench(trouble=trouble)
                    came = bench.ask(way=way, **asker._plain(kind), n=n)
                    found.append((f"{kind}, {way}, n={n}", trouble, came))
    return tuple(found)


def _operation(kind: Kind) -> Operation:
    return "generate" if kind == "generate" else "edit"


def _long(most: int | None) -> str:
    """A prompt as long as may be, up to what nobody's memory is too short for."""
    length = min(_LONG, _LONG if most is None else most)
    room = length - len(_HEAD) - len(_TAIL)
    if room < 0:
        return f"{_HEAD[: length - 2]}  "
    filler = "und noch eines, rot wie die Rose; " * (room // 30 + 1)
    return _HEAD + filler[:room] + _TAIL


def _clash(able: Capabilities, kind: Kind, wanted: Mapping[str, Any]) -> bool:
    """Whether one of *wanted* does not go with the others, by what the model says."""
    said = {"model": able.model, **wanted, "operation": _operation(kind)}
    for name, value in wanted.items():
        known = able.options[name] if name in able.options else able.supports(name)
        if isinstance(known, Allowed) and known.clash(value, said) is not None:
            return True
    return False


def _fields(
    base: Mapping[str, Any], together: Mapping[str, Any], able: Capabilities, provider: str
) -> dict[str, Any]:
    """The fields of a request that says *base* and *together*."""
    own = {name: value for name, value in together.items() if name in able.options}
    said = {name: value for name, value in together.items() if name not in able.options}
    return {**base, **said, **({"options": {provider: own}} if own else {})}


def _without(whole: Mapping[str, Any], name: str, provider: str) -> dict[str, Any]:
    """The fields of *whole* but that one, which may be an option."""
    if name in whole:
        return {one: said for one, said in whole.items() if one != name}
    own = {one: said for one, said in whole["options"][provider].items() if one != name}
    return {**whole, "options": {provider: own}}


def _leaves_of(found: Reached) -> Counter[tuple[str, str]]:
    """Each value that was sent, with the name it has there."""
    return Counter(one for each in found.asked for one in _named("", each.shape()))


def _named(name: str, said: Any) -> Iterator[tuple[str, str]]:
    match said:
        case dict():
            for key, value in said.items():
                yield from _named(key, value)
        case [str(key), value] if not key.startswith("picture "):
            yield from _named(key, value)
        case list():
            for value in said:
                yield from _named(name, value)
        case _:
            yield name, str(said)


def _lost_at(visit: Visit, name: str, value: Any) -> str:
    return (
        f"{visit}: {name}={value!r} is declared, and what is sent is the same as without it: send "
        "it in each operation and way, declare where it may stand, or give a notice"
    )


def _spellings() -> list[str]:
    """The beginning of the key, as it is and as it stands in base64 wherever it begins."""
    found = [KEY[:12]]
    for shift in range(3):
        spelt = base64.b64encode(b"\0" * shift + KEY.encode()).decode()
        begins = (8 * shift + 5) // 6
        found.append(spelt[begins : begins + 14])
    return found


_KEYS = _spellings()


def _without_key(said: str, what: str) -> None:
    for one in _KEYS:
        assert one not in said, f"the key, or a piece of it, stands in {what}: send it by bearer()"
