"""What a plugin takes from callers beyond the common request, read strictly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from ._errors import ConfigurationError, RequestError
from ._hookspecs import Config
from ._request import ImageRequest

M = TypeVar("M", bound=BaseModel)


def options(request: ImageRequest, model: type[M]) -> M:
    """The request's options for this provider as *model*; a typo or a wrong type is an error.

    The core hands a provider its own options only, those of its family below those of its name.
    """
    given: dict[str, Any] = {}
    for mine in request.options.values():
        given.update(mine)
    return _strictly(model, given, "option", RequestError)


def settings(config: Config, model: type[M]) -> M:
    """The configuration's settings for this provider as *model*; a typo is an error."""
    return _strictly(model, config.settings, "setting", ConfigurationError)


def _strictly(model: type[M], given: Mapping[str, Any], what: str, wrong: type[Exception]) -> M:
    try:
        return model.model_validate(dict(given), extra="forbid")
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            known = ", ".join(sorted(model.model_fields))
            message = f"no {what} {name!r}; there are: {known}"
        else:
            message = f"{what} {name!r}: {first['msg'].removeprefix('Value error, ')}"
    # Not chained: the validator's own error quotes the values, and one of them may be a key.
    raise wrong(message)
