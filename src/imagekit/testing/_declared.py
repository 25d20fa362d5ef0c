"""Rules about what a provider says of itself, before it is asked for anything."""

from __future__ import annotations

from typing import Any

from .._capabilities import Allowed, Capabilities
from .._errors import ImagekitError
from .._request import ImageRequest
from ._ground import ANY, Ground

NOBODY = "a-model-that-nobody-knows-7"


class Declared(Ground):
    """What the capabilities say is data, and holds together."""

    def test_capabilities_are_the_same_each_time(self) -> None:
        """Two looks at the same model find the same."""
        maker = self.bench().provider()
        one, other = (maker.capabilities(self.model) for _ in range(2))
        assert one == other, "capabilities() says something else when it is asked again"
        assert one == self.able, "capabilities() says something else of a provider built anew"

    def test_capabilities_survive_json(self) -> None:
        """They are data: to JSON and back they are the same."""
        able = self.able
        again = Capabilities.model_validate_json(able.model_dump_json())
        assert again == able, "the capabilities are not the same after a way through JSON"

    def test_an_unknown_model_has_capabilities(self) -> None:
        """A model that came out yesterday is no error: what is not known of it is left unknown."""
        maker = self.bench().provider()
        try:
            found = maker.capabilities(NOBODY)
        except Exception as error:
            raise AssertionError(
                f"capabilities({NOBODY!r}) raised {error!r}: say what is unknown, and raise nothing"
            ) from error
        assert isinstance(found, Capabilities), f"capabilities({NOBODY!r}) gave {found!r}"

    def test_the_default_model_is_the_one_that_is_named(self) -> None:
        """What is known with no model is what is known of the default one by its name."""
        maker = self.bench().provider()
        able = maker.capabilities(None)
        if able.model is None:
            self.not_applicable("its capabilities name no default model")
        assert maker.capabilities(able.model) == able, (
            f"capabilities(None) and capabilities({able.model!r}) differ, and a call without a "
            "model is one of that model"
        )

    def test_what_is_declared_has_a_source(self) -> None:
        """A fact without a source cannot be checked by anybody."""
        able = self.able
        loose = [name for name in able.parameters if able.source_of(name) is None]
        assert not loose, (
            f"nobody says where {', '.join(loose)} is from: give the capabilities a source (and "
            "as_of, the day it was looked up)"
        )

    def test_prices_have_a_source_and_a_day(self) -> None:
        """A price is true on a day, and somewhere it can be looked up."""
        prices = self.able.prices
        if prices is None or prices.free:
            self.not_applicable("its capabilities say no prices")
        where = self.able.source_of("prices")
        source = prices.source or (where.text if where else None)
        day = prices.as_of or (where.as_of if where else None)
        assert source, "the prices have no source: say where they can be looked up"
        assert day, "the prices have no as_of: say the day they were looked up"

    def test_every_declared_parameter_is_a_field_of_a_request(self) -> None:
        """A misspelt parameter is held to nothing."""
        strange = sorted(set(self.able.parameters) - set(ANY))
        assert not strange, (
            f"the capabilities declare {', '.join(strange)}, and the parameters of a request are "
            f"{', '.join(ANY)}; what only this provider knows goes under options"
        )

    def test_a_mask_is_declared_only_where_pictures_are_edited(self) -> None:
        """A mask says which part of a picture is edited."""
        able = self.able
        if able.mask is None:
            self.not_applicable("it takes no mask")
        assert "edit" in able.operations | able.emulates, (
            f"mask={able.mask!r} is declared, and operations have no 'edit'"
        )

    def test_input_pictures_are_declared_as_the_operations_need_them(self) -> None:
        """Who edits takes a picture, in some way that it can travel."""
        able = self.able
        if not (able.operations | able.emulates) - {"generate"}:
            self.not_applicable("it only makes pictures from words")
        assert able.max_inputs != 0, "it edits or varies pictures, and max_inputs is 0"
        assert able.inputs, "it edits or varies pictures, and inputs names no way they travel"

    def test_previews_are_declared_only_of_what_streams(self) -> None:
        """Previews come while the picture is made, or not at all."""
        able = self.able
        if able.streaming:
            self.not_applicable("it streams")
        known = able.supports("partial_images")
        many = known == "yes" or (isinstance(known, Allowed) and known.high != 0)
        assert not many, (
            "partial_images is declared and streaming is not: say streaming = true, or "
            'partial_images = "no"'
        )

    def test_a_provider_that_goes_on_by_itself_can_be_resumed(self) -> None:
        """`detaches` promises that a call can be finished by another process."""
        if not self.able.detaches:
            self.not_applicable("it does not go on by itself")
        maker = self.bench().provider()
        assert callable(getattr(maker, "resume", None)), (
            "detaches is declared and there is no resume(handle)"
        )

    def test_values_are_spelt_as_a_request_has_them(self) -> None:
        """A value that no request can hold is never asked for."""
        for name, known in self.able.parameters.items():
            for value in known.values or () if isinstance(known, Allowed) else ():
                try:
                    said: dict[str, Any] = {"prompt": "x", name: _typed(name, value)}
                    held = getattr(ImageRequest(**said), name)
                except (ValueError, ImagekitError) as error:
                    raise AssertionError(f"{name} cannot be {value!r}: {error}") from error
                assert str(held) == value, (
                    f"{name} {value!r} is declared, and a request holds it as {held!r}"
                )


def _typed(name: str, value: str) -> Any:
    return int(value) if name in ("seed", "output_compression", "partial_images") else value
