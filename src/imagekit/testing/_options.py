"""Rules about options and settings: what only this provider knows is read strictly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .._capabilities import Allowed, Support
from .._errors import ConfigurationError, ImagekitError, RequestError
from .._plugins import Plugins
from ._ground import Ground, Reached
from ._parameters import beside

_TYPO = "no_such_option_anywhere"
# What an option may be of which nothing is said but that it is there.
_ANYTHING: tuple[tuple[Any, Any], ...] = (
    (2, 3),
    ("low", "high"),
    (True, False),
    (["a"], ["b"]),
    ({"a": 1}, {"a": 2}),
)


class OwnOptions(Ground):
    """Options reach the wire, and a typo in one is an error."""

    def test_a_declared_option_reaches_the_wire(self) -> None:
        """Each option that is declared makes a difference, or gives a notice."""
        for name, known in self._options():
            without = self.reached(**self._beside_option(known, None))
            for value in self._option_values(name, known):
                found = self._opted(name, value, known)
                if without.sent:
                    assert found.said != without.said or found.told(name), (
                        f"options {name}={value!r} is declared, and what is sent is the same as "
                        "without it: send it, or take it from the capabilities"
                    )

    def test_two_values_of_an_option_are_told_apart(self) -> None:
        """No two values of an option come to the same request."""
        for name, known in self._options():
            seen: list[tuple[Any, Any]] = []
            for value in self._option_values(name, known):
                found = self._opted(name, value, known)
                for other, before in seen:
                    assert found.said != before or found.told(name), (
                        f"options {name}={value!r} and {name}={other!r} come to the same request"
                    )
                seen.append((value, found.said))

    def test_an_option_declared_absent_is_refused_or_told_of(self) -> None:
        """What the model has not is never taken in silence."""
        absent = [name for name, known in self.able.options.items() if known == "no"]
        if not absent:
            self.not_applicable('it declares no option as "no"')
        for name in absent:
            value = self.samples.get(name, "low")
            found = self.ask(options={self.provider: {name: value}})
            if found.came.error is not None:
                assert not found.asked, f"option {name!r} was refused after the host was asked"
                continue
            without = self.reached()
            assert found.said != without.said or found.told(name), (
                f'options {name} is declared "no", and given all the same it is dropped in silence'
            )

    def test_a_typo_in_an_option_is_an_error_before_the_network(self) -> None:
        """What is misspelt would else be paid for and not be there."""
        said = self.refused(
            "read options by imagekit.provider.options(request, Model), which is strict",
            kind=RequestError,
            options={self.provider: {_TYPO: 1}},
        )
        assert _TYPO in said, f"the error does not name the option {_TYPO!r}: {said}"

    def test_an_option_of_the_wrong_type_is_an_error_before_the_network(self) -> None:
        """What can be no value of an option is not sent to see what comes."""
        looked = False
        for name, known in self._options():
            if isinstance(known, Allowed) and (known.values is not None or known.low is not None):
                looked = True
                self.refused(
                    f"no {name} is an object: give the option its type",
                    kind=RequestError,
                    options={self.provider: {name: {"not": ["a", "value"]}}},
                    **self._beside_option(known, None),
                )
        if not looked:
            self.not_applicable("it declares no option by its values")

    def test_the_options_of_somebody_else_never_reach_the_wire(self) -> None:
        """One request may be for several providers, each with options of its own."""
        found = self.reached(options={"somebody-else": {"secret_sauce": "extra"}})
        assert found.said == self.reached().said, (
            "options under somebody else's name change what is sent: read them by "
            "imagekit.provider.options(request, Model)"
        )

    def test_options_of_the_family_are_those_of_the_provider(self) -> None:
        """Under the name of its family an option is the same as under its own."""
        family = getattr(self.bench().provider(), "family", None)
        if not family:
            self.not_applicable("it has no family")
        for name, known in self._options():
            value = self._option_values(name, known)[0]
            around = self._beside_option(known, value)
            one = self.reached(options={family: {name: value}}, **around)
            other = self.reached(options={self.provider: {name: value}}, **around)
            assert one.said == other.said, (
                f"{name} under {family!r} comes to another request than under {self.provider!r}"
            )

    def test_a_typo_in_the_settings_is_an_error(self) -> None:
        """A setting that is misspelt would never do what it is for."""
        bench = self.bench()
        bench.settings[_TYPO] = 1
        found = Plugins()
        found.register(self.plugin, self.provider)
        error: Exception | None = None
        try:
            found.provider(self.provider, bench.config())
        except ImagekitError as raised:
            error = raised
        assert error is not None, (
            f"the setting {_TYPO!r} was taken in silence: read settings by "
            "imagekit.provider.settings(config, Model), which is strict"
        )
        assert isinstance(error, ConfigurationError), (
            f"a misspelt setting ended in {error!r} in place of a ConfigurationError"
        )
        assert _TYPO in str(error), f"the error does not name the setting: {error}"

    def _options(self) -> Iterator[tuple[str, Support]]:
        found = [
            (name, known)
            for name, known in self.able.options.items()
            if known not in ("no", "unknown")
        ]
        if not found:
            self.not_applicable("it declares no options")
        yield from found

    def _option_values(self, name: str, known: Support) -> list[Any]:
        """Values of the option: those that are declared, the suite's own, or any two it takes."""
        if name in self.samples:
            return [self.samples[name]]
        if isinstance(known, Allowed):
            if known.values is not None:
                return list(known.values)
            ends = [one for one in (known.low, known.high) if one is not None]
            if ends:
                return [int(one) if one == int(one) else one for one in dict.fromkeys(ends)]
        for pair in _ANYTHING:
            found = self._tried(name, pair[0], known)
            if found.came.error is None:
                return list(pair)
        raise AssertionError(
            f"options {name} is declared without its values: write samples = {{{name!r}: a value}} "
            "in the suite, so that it can be tried"
        )

    def _tried(self, name: str, value: Any, known: Support) -> Reached:
        return self.ask(options={self.provider: {name: value}}, **self._beside_option(known, value))

    def _opted(self, name: str, value: Any, known: Support) -> Reached:
        return self.reached(
            options={self.provider: {name: value}}, **self._beside_option(known, value)
        )

    def _beside_option(self, known: Support, value: Any) -> dict[str, Any]:
        said = beside(known, value)
        operation = said.pop("operation", None)
        return {**(self.usual(operation) if operation else {}), **said}
