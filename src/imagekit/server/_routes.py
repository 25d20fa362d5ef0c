"""Which provider a model's name means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .._client import AsyncClient
from .._errors import ConfigurationError
from .._response import Notice
from .wire.refusals import invalid, not_found

ANY = "*"


@dataclass(frozen=True, slots=True)
class Target:
    """Who makes a picture: a provider or profile, and its model's name; None is its default."""

    provider: str
    model: str | None
    notices: tuple[Notice, ...] = ()


class Routes:
    """Model names, and who makes their pictures.

    *models* maps a name, or "*" for any other, to "provider", which is asked for the model of
    that name, to "provider:model", or to "provider:", which is asked for its default. *provider*
    is what "*" means where *models* does not say, and *otherwise* the client's own.
    """

    def __init__(
        self,
        client: AsyncClient,
        provider: str | None,
        models: Mapping[str, str],
        *,
        otherwise: bool = True,
    ) -> None:
        self._providers = client._calls.providers
        said = {name: self._split(target) for name, target in models.items()}
        usual = provider or (self._providers.usual if otherwise else None)
        if ANY not in said and usual is not None:
            said[ANY] = self._split(usual)
        if not said:
            raise ConfigurationError(
                "the server does not know who makes its pictures: say provider=, or models="
            )
        for name, _ in said.values():
            self._providers.endpoint(name)  # what is wrong with it is told now
        self._said = said

    def _split(self, target: str) -> tuple[str, str | None]:
        name, colon, model = target.partition(":")
        if not name:
            raise ConfigurationError(f"{target!r} is neither PROVIDER nor PROVIDER:MODEL")
        return name, model if colon else None

    def target(self, asked: str | None) -> Target:
        """Who makes pictures of the model *asked*."""
        asked = asked or None
        found = self._said.get(asked or ANY) or self._said.get(ANY)
        if found is None and asked is None:
            asked, found = self._only()
        if found is None or (asked and self._names_a_provider(asked)):
            raise not_found(
                f"The model '{(asked or '')[:200]}' does not exist or you do not have access to "
                "it.",
                "model_not_found",
                "model",
            )
        name, model = found
        if model is not None or asked is None:
            return Target(name, model or None)
        # A provider that makes its pictures by another model whatever it is asked, says so.
        used = self._providers.capabilities(name, asked).model
        if used in (None, asked):
            return Target(name, asked)
        notice = Notice(kind="adjusted", feature="model", wanted=asked, used=used)
        return Target(name, used, (notice,))

    def _only(self) -> tuple[str, tuple[str, str | None]]:
        """The one model there is, for whoever names none."""
        if len(self._said) > 1:
            message = "Missing required parameter: 'model'."
            raise invalid(message, "model", "missing_required_parameter")
        return next(iter(self._said.items()))

    def knows(self, asked: str | None) -> bool:
        """Whether the model *asked* stands in the table itself."""
        return asked in self._said

    def _names_a_provider(self, asked: str) -> bool:
        # "provider:model" is code's way to choose, not a stranger's.
        head, colon, _ = asked.partition(":")
        return bool(colon) and asked not in self._said and head in self._providers.names()

    def family(self, target: Target) -> frozenset[str]:
        """The keys of the options that *target* reads."""
        maker = self._providers.provider(target.provider)
        who = str(self._providers.stamp(target.provider)["provider"])
        return frozenset({who, getattr(maker, "family", None) or who})

    def home(self, target: Target) -> str | None:
        """Where *target* lives, if not in this process."""
        endpoint = self._providers.address(target.provider)
        return endpoint.base_url if endpoint is not None else None

    def listed(self) -> dict[str, str]:
        """Every model that can be named, and whose it is."""
        found = {name: who for name, (who, _) in self._said.items() if name != ANY}
        if ANY in self._said:
            who = self._said[ANY][0]
            models = self._providers.models(who)
            found |= {model: who for model in models if model not in found}
        return found
