"""Pictures that stand behind a URL, brought in by the core under the rules for strangers."""

from __future__ import annotations

from datetime import UTC, datetime

from ._blob import Blob
from ._errors import (
    DeadlineExceededError,
    ImagekitError,
    ProtocolError,
    ProviderError,
    RequestError,
    TransportError,
)
from ._flow import Effects, notice, send
from ._http import HttpRequest
from ._image import Image, facts_of
from ._response import Notice
from ._url import short_url


def fetched(url: str) -> Effects[bytes]:
    """The bytes behind *url*, which a caller gave as an input picture."""
    try:
        answer = yield from send(HttpRequest("GET", url, billable=False, stranger=True))
    except DeadlineExceededError:
        raise
    except (ProtocolError, TransportError) as error:
        raise RequestError(f"the input picture at {short_url(url)}: {error}") from error
    if not answer.ok:
        raise RequestError(f"the input picture at {short_url(url)} answered {answer.status}")
    return answer.body


def filled(image: Image, *, wanted: bool = True) -> Effects[Image]:
    """*image* with its bytes, fetched from its URL where it has none.

    The picture is paid for: when the download fails the URL stays, and a notice says why.
    """
    if not wanted:
        return image
    try:
        return (yield from brought(image))
    except ImagekitError as error:
        yield from notice(
            Notice(kind="incomplete", feature="url", detail=f"the picture is not fetched: {error}")
        )
        return image


def brought(image: Image) -> Effects[Image]:
    """*image* with its bytes, fetched from its URL where it has none; raises where that fails."""
    if image.length is not None or image.url is None:
        return image
    try:
        picture = yield from downloaded(image.url)
    except (ProviderError, ProtocolError) as error:
        raise _outdated(image, error) from error
    return Image.model_validate({**image.model_dump(exclude_none=True), "data": picture})


def _outdated(image: Image, error: ImagekitError) -> ImagekitError:
    """*error*, or one that says since when the URL is no good, where that is past."""
    until = image.expires_at
    if until is None:
        return error
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    if until > datetime.now(UTC):
        return error
    when = until.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    words = f"the picture's URL expired at {when}: {error}"
    return ProviderError(words, status=error.status, billed=error.billed)


def downloaded(url: str) -> Effects[Blob]:
    """The picture behind a result's *url*; raises where there is none."""
    if url.startswith("data:"):
        return Blob(url)
    answer = yield from send(HttpRequest("GET", url, billable=False))
    if not answer.ok:
        raise ProviderError(f"{short_url(url)} answered {answer.status}", status=answer.status)
    picture = answer.blob
    if facts_of(picture) is None:
        raise ProtocolError(
            f"{short_url(url)} holds no picture, but {answer.media_type or 'what has no type'}"
        )
    return picture
