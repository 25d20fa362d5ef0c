"""Rules about the parameters of a request: what is declared arrives, what is not never does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .._capabilities import Allowed, Capabilities, Support
from .._errors import UnsupportedRequestError
from ._bench import Way
from ._ground import ANY, Ground, Reached, sizes

_STRANGE = "a-value-of-tomorrow"
_NUMBERS = ("seed", "output_compression", "partial_images")
# A seed above this is no seed anywhere.
_HIGHEST = 2**31 - 1


def samples(name: str, known: Support) -> list[Any]:
    """Values of *name* that are *known* to be allowed: each one, both ends, or any two."""
    if not isinstance(known, Allowed):
        return list(ANY[name])
    if known.values is not None:
        return [int(one) if name in _NUMBERS else one for one in known.values]
    if name in _NUMBERS:
        bounds = {"output_compression": (0, 100), "seed": (0, _HIGHEST)}
        low, high = bounds.get(name, (1, 2))
        ends = (
            (known.low if known.low is not None else low),
            (known.high if known.high is not None else max(high, known.low or 0)),
        )
        # No previews is what a request that says nothing asks for.
        return list(dict.fromkeys(max(int(one), int(name == "partial_images")) for one in ends))
    return [one for one in ANY[name] if one not in known.never]


def beside(known: Support, value: Any) -> dict[str, Any]:
    """What else a request has to say, so that *value* is allowed in it."""
    if not isinstance(known, Allowed):
        return {}
    said = {name: values[0] for name, values in known.when.items()}
    own = known.each.get(str(value))
    return {**said, **(beside(own, value) if own is not None else {})}


class Parameters(Ground):
    """Each parameter reaches the wire, or something is said of it."""

    def test_a_declared_parameter_reaches_the_wire(self) -> None:
        """Each value that is declared makes a difference, or gives a notice."""
        for name, value, around in self._each():
            found, without = self._both(name, value, around)
            if self._asks(without):
                assert found.said != without.said or found.told(name), (
                    f"{name}={value!r} is declared, and what is sent is the same as without it: "
                    f'send it, declare it "no", or give a notice of feature {name!r}'
                )

    def test_two_values_of_a_parameter_are_told_apart(self) -> None:
        """No two declared values come to the same request."""
        for name in ANY:
            seen: list[tuple[Any, Any]] = []
            for _, value, around in self._each(name):
                found = self._with(name, value, around)
                if found.told(name):
                    continue
                for other, before in seen:
                    assert found.said != before, (
                        f"{name}={value!r} and {name}={other!r} come to the same request: send "
                        "each as it is said, or give a notice"
                    )
                seen.append((value, found.said))

    def test_parameters_do_not_push_each_other_out(self) -> None:
        """All that is declared can be said at once, and each of it still makes a difference."""
        able = self.able
        together: dict[str, Any] = {}
        for name, value, around in self._each():
            if name not in together and name != "partial_images" and not around:
                wanted = {**together, name: value}
                if not any(_clashes(able, one, wanted) for one in wanted):
                    together = wanted
        if len(together) < 2:
            self.not_applicable("it takes no two parameters at once")
        everything = self.reached(**together)
        for name in together:
            less = self.reached(**{one: said for one, said in together.items() if one != name})
            if self._asks(less):
                assert everything.said != less.said or everything.told(name), (
                    f"{name} is lost beside {', '.join(one for one in together if one != name)}"
                )

    def test_a_parameter_declared_absent_never_reaches_the_wire(self) -> None:
        """What it has not is left out, and the request is as if it had not been said."""
        for name in self._absent():
            found, without = self._both(name, ANY[name][0], {})
            assert found.said == without.said, (
                f'{name} is declared "no", and it changes what is sent'
            )

    def test_a_parameter_declared_absent_gives_a_notice(self) -> None:
        """What is left out is told."""
        for name in self._absent():
            found = self._with(name, ANY[name][0], {})
            assert found.told(name), (
                f'{name} is declared "no", and the response has no notice of it; there are '
                f"{found.notices}"
            )

    def test_a_parameter_declared_absent_is_an_error_where_the_caller_wants_one(self) -> None:
        """With unsupported="error" nothing is left out: the call ends before the network."""
        for name in self._absent():
            self.refused(
                f'{name} is declared "no"',
                kind=UnsupportedRequestError,
                unsupported="error",
                **{name: ANY[name][0]},
            )

    def test_an_unknown_parameter_is_never_dropped_in_silence(self) -> None:
        """What is neither known nor ruled out is sent, refused or told of."""
        able = self.able
        for name in ANY:
            # Of sizes other rules speak, and previews are of streams.
            spoken = name in able.parameters or name == "size"
            if spoken or (name == "partial_images" and not able.streaming):
                continue
            value = ANY[name][0]
            found = self.ask(way=_way(name), **{name: value})
            if found.came.error is not None:
                assert not found.asked, (
                    f"{name}={value!r} ended in {found.came.error!r} after the host was asked"
                )
                continue
            without = self.reached(way=_way(name))
            assert found.said != without.said or found.told(name), (
                f"{name}={value!r} is neither sent nor told of, and the capabilities do not speak "
                f'of it: send it, or declare parameters.{name} = "no"'
            )

    def test_a_value_that_is_not_declared_never_reaches_the_wire(self) -> None:
        """Where the values are all there are, another is left out and told of."""
        looked = False
        for name, known in self.able.parameters.items():
            if not isinstance(known, Allowed) or known.values is None or known.others:
                continue
            if name in _NUMBERS:
                continue
            looked = True
            found, without = self._both(name, _STRANGE, {})
            assert found.said == without.said, (
                f"{name} may be {known}, and {_STRANGE!r} changes what is sent"
            )
            assert found.told(name), f"{name}={_STRANGE!r} was left out in silence"
        if not looked:
            self.not_applicable("it declares no closed list of values")

    def test_a_value_that_nobody_knows_yet_passes_through(self) -> None:
        """Where other values may be, the provider holds nobody to those of today."""
        looked = False
        for name, known in self.able.parameters.items():
            open_ = known == "yes" or (
                isinstance(known, Allowed) and (known.others or known.values is None)
            )
            if not open_ or name not in ("quality", "background", "moderation", "user"):
                continue
            looked = True
            around = beside(known, _STRANGE)
            found, without = self._both(name, _STRANGE, around)
            if self._asks(without):
                assert found.said != without.said or found.told(name), (
                    f"{name}={_STRANGE!r} is neither sent nor told of, and {name} may be {known}"
                )
        if not looked:
            self.not_applicable("it declares every value that there may be")

    def _absent(self) -> list[str]:
        able = self.able
        found = [name for name in ANY if able.supports(name) == "no"]
        return found or self.not_applicable('it declares no parameter as "no"')

    def _each(self, only: str | None = None) -> Iterator[tuple[str, Any, dict[str, Any]]]:
        """Each declared parameter with each of its values, and what has to stand beside it."""
        for name, known in self.able.parameters.items():
            if known in ("no", "unknown") or name not in ANY or only not in (None, name):
                continue
            for value in self._samples(name, known):
                yield name, value, beside(known, value)

    def _samples(self, name: str, known: Support) -> list[Any]:
        rule = self.able.size
        return sizes(rule) if name == "size" and rule is not None else samples(name, known)

    def _with(self, name: str, value: Any, around: dict[str, Any]) -> Reached:
        said = {**self._placed(around), name: value}
        return self.reached(way=_way(name), **said)

    def _both(self, name: str, value: Any, around: dict[str, Any]) -> tuple[Reached, Reached]:
        without = self.reached(way=_way(name), **self._placed(around))
        return self._with(name, value, around), without

    def _placed(self, around: dict[str, Any]) -> dict[str, Any]:
        """*around* as fields: the operation is said by what a request holds."""
        said = dict(around)
        operation = said.pop("operation", None)
        return {**(self.usual(operation) if operation else {}), **said}

    def _asks(self, found: Reached) -> bool:
        """Whether a host is asked; what a provider draws by itself may be what it always draws."""
        return found.sent


def _way(name: str) -> Way:
    return "blocking stream" if name == "partial_images" else "blocking"


def _clashes(able: Capabilities, name: str, wanted: dict[str, Any]) -> bool:
    known = able.supports(name)
    if not isinstance(known, Allowed):
        return False
    return known.clash(wanted[name], {**wanted, "operation": "generate"}) is not None
