"""Whom a call means, what it asks of them, and how it is made: everything but making it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ._capabilities import Capabilities
from ._errors import (
    ConfigurationError,
    ImagekitError,
    RequestError,
    UnknownProviderError,
    UnsupportedRequestError,
)
from ._fields import CALL, SAVE
from ._jobs import Job
from ._prepared import checked as _checked
from ._providers import Providers
from ._request import ImageRequest
from ._response import Notice
from ._retried import RetryPolicy
from ._spool import from_here

if TYPE_CHECKING:
    from ._cache import AsCache
    from ._plan import Plan
    from ._purse import AsBudget


@dataclass(frozen=True, slots=True)
class How:
    """Whom a call asks, and how it is made."""

    name: str
    said: Mapping[str, Any]
    deadline: float | None
    policy: RetryPolicy


@dataclass(frozen=True, slots=True)
class Spending:
    """What a client's calls may spend together, what is kept of them, and how fast they may be."""

    budget: AsBudget | None = None
    cache: AsCache | None = None
    images_per_minute: int | None = None

    def over(self, below: Any) -> Spending:
        """The same, with what a configuration says where this says nothing."""
        said = {name: getattr(self, name) for name in ("budget", "cache", "images_per_minute")}
        return Spending(
            **{
                name: getattr(below, name) if value is None else value
                for name, value in said.items()
            }
        )


class Meaning:
    """One client's providers, retries and defaults, and what they make of a call."""

    def __init__(
        self, providers: Providers, retry: RetryPolicy | None, defaults: Mapping[str, Any]
    ) -> None:
        self.providers = providers
        self._retry = retry or RetryPolicy()
        self.defaults = dict(defaults)
        unknown = set(self.defaults) - set(ImageRequest.model_fields) - (CALL - SAVE)
        if unknown:
            raise ConfigurationError(f"no such default: {', '.join(sorted(unknown))}")

    def capabilities(self, provider: str | None, model: str | None) -> Capabilities:
        """What *model* can do; without one, the model that a call would ask for."""
        if not isinstance(provider, str | None):
            provider = self.choices(None, {"provider": provider})[0]["provider"]
        mine = provider in (None, self.providers.usual)
        model = model or (self.defaults.get("model") if mine else None)
        name, model = self.providers.chosen(provider, model)
        return self.providers.capabilities(
            name, model or self.providers.defaults(name).get("model")
        )

    def choices(
        self, given: ImageRequest | None, fields: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """Who may be asked, one after the other: what a call to each of them says of that.

        Each is a provider, or a provider and the model that it alone is asked for.
        """
        said = fields.get("provider")
        said = self.defaults.get("provider") if said is None else said
        if said is None or isinstance(said, str):
            return [{}]
        named = list(said) if isinstance(said, Sequence) else [said]
        if not named or not all(isinstance(one, str) and one for one in named):
            raise RequestError(f"provider is a name, or a list of names, not {said!r}")
        if twice := next((one for one in named if named.count(one) > 1), None):
            raise RequestError(f"provider names {twice!r} twice")
        found = []
        for one in named:
            head, colon, _ = one.partition(":")
            alone = colon and head in self.providers.names()
            found.append({"provider": head, "model": one} if alone else {"provider": one})
        return found

    def how(self, fields: Mapping[str, Any], model: str | None = None) -> How:
        said = self.said(fields)
        name, _ = self.providers.chosen(said.get("provider"), model)
        return self.meant(name, said)

    def said(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """How a call is made: as it says, else as the client does."""
        both = {**self.defaults, **fields}
        who = both.get("provider")
        if who is not None and not isinstance(who, str):
            # Whoever cannot ask several asks the first.
            both["provider"] = self.choices(None, both)[0]["provider"]
        if both.get("into") is not None:
            both["into"] = from_here(both["into"])
        return {name: value for name, value in both.items() if name in CALL}

    def meant(self, name: str, said: Mapping[str, Any]) -> How:
        deadline, policy = _limits(said, self._retry)
        return How(name, said, deadline, policy)

    def settled(
        self, given: ImageRequest | None, fields: Mapping[str, Any], needs: Sequence[str] = ()
    ) -> tuple[How, ImageRequest]:
        """Whom a call asks, and for what."""
        _needed(fields, needs)
        asked = {name: value for name, value in fields.items() if name not in CALL}
        if given is not None:
            asked = {name: getattr(given, name) for name in given.model_fields_set} | asked
        said = {name: value for name, value in self.defaults.items() if name not in CALL}
        if fields.get("provider") not in (None, self.providers.usual):
            # The client's model is one of its own provider's.
            said.pop("model", None)
        model = asked.get("model") or said.get("model")
        how = self.how(fields, model if isinstance(model, str) else None)
        own = self.providers.defaults(how.name)
        options = _all_options(said, own, asked)
        request = request_of({**said, **own, **asked, **options})
        _, model = self.providers.chosen(how.name, request.model)
        return how, request if model == request.model else request.with_(model=model)

    def checked(
        self, name: str, request: ImageRequest
    ) -> tuple[ImageRequest, list[Notice], Capabilities]:
        """*request* as the provider can take it, with its own options only."""
        with blaming(name):
            able = self.providers.capabilities(name, request.model)
            request, notices = _checked(request, able, name)
            options, strange = self.providers.options(request, name)
        if options != request.options:
            request = request.model_copy(update={"options": options})
        return request, [*notices, *strange], able

    def whose(self, job: Job | Plan, fields: Mapping[str, Any]) -> str:
        """The name here of who does *job*, or a plan: what the call says, else its own."""
        what = "job" if isinstance(job, Job) else "plan"
        name = str(fields.get("provider") or job.name)
        here = self.providers.stamp(name)["provider"]
        if name in self.providers.names():
            if here != job.provider:
                raise ConfigurationError(
                    f"the {what} is of the provider {job.provider!r}, and {name!r} is {here!r} here"
                )
        elif name == job.profile:
            more = ", or say by provider= what it is called here" if what == "job" else ""
            raise UnknownProviderError(
                f"the {what} is of the profile {name!r}, which is not here: give it in profiles="
                f"{more}"
            )
        return name

    def able(self, name: str, verb: str, lacks: str) -> Any:
        """The provider *name*, if it has what *verb* needs."""
        with blaming(name):
            maker = self.providers.provider(name)
            if not hasattr(maker, verb):
                raise UnsupportedRequestError(f"{name} {lacks}")
            return maker


def only_how(fields: Mapping[str, Any]) -> None:
    """A verb that makes no picture takes nothing of one, and nothing misspelt."""
    for name in fields:
        if name not in CALL:
            raise RequestError(f"{name}: there is no such parameter")


def _needed(fields: Mapping[str, Any], needs: Sequence[str]) -> None:
    prompt, images = fields.get("prompt"), fields.get("images")
    if "prompt" in needs and not isinstance(prompt, str):
        raise RequestError(f"a prompt is text, not {type(prompt).__name__}")
    if "images" in needs and (images is None or (isinstance(images, Sequence) and not images)):
        verb = "edit" if "prompt" in needs else "vary"
        raise RequestError(f"there is nothing to {verb}: no picture was given")


def _all_options(*said: Mapping[str, Any]) -> dict[str, Any]:
    """The options of all that speak of them; whoever speaks later wins, name by name."""
    found: dict[str, dict[str, Any]] = {}
    for options in (one["options"] for one in said if one.get("options")):
        if not isinstance(options, Mapping) or not all(map(_is_mapping, options.values())):
            # Not as options are: whoever validates the request says so.
            return {"options": options}
        for key, own in options.items():
            found[key] = {**found.get(key, {}), **own}
    return {"options": found} if found else {}


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping)


def _limits(how: Mapping[str, Any], policy: RetryPolicy) -> tuple[float | None, RetryPolicy]:
    """The deadline and the retries that a call was given."""
    deadline, retries = how.get("deadline"), how.get("retries", policy.retries)
    if deadline is not None and not (isinstance(deadline, int | float) and deadline > 0):
        raise RequestError(f"deadline is seconds from now, not {deadline!r}")
    if not isinstance(retries, int) or retries < 0:
        raise RequestError(f"retries is how often to try again, not {retries!r}")
    return deadline, policy if retries == policy.retries else replace(policy, retries=retries)


def request_of(fields: Mapping[str, Any]) -> ImageRequest:
    """An `ImageRequest` from what code says, or one clear `RequestError` that says where."""
    try:
        return ImageRequest(**fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        what = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            what = "there is no such parameter"
        raise RequestError(f"{where}: {what}" if where else what) from error


class free:  # noqa: N801  # as contextlib names its own
    """What goes wrong before anything is sent has cost nothing."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if isinstance(error, ImagekitError):
            error.billed = error.billed or "no"


class blaming:  # noqa: N801
    """What goes wrong says whose it is."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if isinstance(error, ImagekitError):
            error.provider = error.provider or self._name
