"""Files of the user's own that say something: where they are, and TOML as it stands in them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ._errors import ConfigurationError, ImagekitError


def usual(name: str) -> Path | None:
    """Where the user's own file of that *name* would be; None where nobody can tell."""
    import platformdirs

    try:
        path = platformdirs.user_config_path("imagekit", appauthor=False) / name
    except RuntimeError:
        return None
    # Without a home it might lie in the folder that is worked in, which may be anybody's.
    return path if path.is_absolute() else None


def located(
    given: str | os.PathLike[str] | None,
    keyword: str,
    variable: str,
    env: Mapping[str, str],
    otherwise: Callable[[], Path | None],
) -> tuple[Path | None, str | None]:
    """The file to read, and who names it: code, the environment, or nobody, if it is there."""
    if given is not None:
        return _there(Path(given), keyword), keyword
    if named := env.get(variable):
        path = home(Path(named), variable)
        if not path.is_absolute():
            raise ConfigurationError(
                f"{variable} must name a file by its whole path, or from ~: a relative one would "
                "be another file in each folder, and not always yours"
            )
        return _there(path, variable), variable
    own = otherwise()
    # Where one may not look, there is none.
    there = own is not None and os.path.exists(own)  # noqa: PTH110  # it never raises
    return (own if there else None), None


def _there(path: Path, whose: str) -> Path | None:
    path = Path(os.path.abspath(home(path, whose)))  # noqa: PTH100  # links stay what they are
    if str(path) == os.devnull:
        return None
    if not os.path.lexists(path):
        raise ConfigurationError(f"{whose} names {path}, which is not there")
    return path


def home(path: Path, whose: str) -> Path:
    """*path* with its ~ spelt out."""
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ConfigurationError(
            f"{whose} begins with ~, and nobody knows where that is"
        ) from error


def toml(
    data: bytes, place: object, fault: type[ImagekitError] = ConfigurationError
) -> dict[str, Any]:
    """What *data* says, which stands at *place*; raises *fault* where it is no TOML."""
    import tomllib

    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        why = "it is no text in UTF-8"
    except RecursionError:
        why = "it nests too deeply"
    except tomllib.TOMLDecodeError as error:
        why = f"it is no TOML: {error}"
    raise fault(f"{place}: {why}")
