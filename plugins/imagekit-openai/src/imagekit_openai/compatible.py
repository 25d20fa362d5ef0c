"""Hosts that speak the Images API in an accent of their own: by a row of data, or in code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlsplit

from imagekit import (
    ConfigurationError,
    Cost,
    Image,
    ImageFailure,
    ImagekitError,
    ImageRequest,
    ImageResponse,
)
from imagekit.provider import (
    Capabilities,
    Config,
    Endpoint,
    Flow,
    HttpRequest,
    HttpResponse,
    Source,
    Support,
    Tables,
    hookimpl,
    notice,
    open_stream,
    send,
    tables,
)

from . import _row_request as wire
from ._account import Signed
from ._beside import Listing
from ._events import is_stream
from ._images_answer import decoded, stateless, streamed
from ._images_request import VARIATION
from ._notices import emulated
from ._refusals import error_from, judge, parsed
from ._row import UNUSUAL, Inputs, Paths, Row, over, shipped

__all__ = ["CompatibleImages", "Inputs", "Paths", "Row", "row"]


class CompatibleImages(Listing):
    """A host that speaks the Images API as its *row* says; where a row does not do, override.

    These are made to be overridden, each with `super()` for what stays as it is:

    * `asked(request, stream=…)`: the request to make.
    * `read(body, head, request)`: the response that a whole answer's JSON comes to.
    * `event(found)`: an event of a stream in OpenAI's words, or None to pass it over.
    * `refusal(answer)`: the error that an answer is which is no success; `judge(answer)`: whether
      waiting mends it.
    * `capabilities(model)`: what is known of a model.

    What a caller says in `settings` stands in place of what the row says. *known* are tables of
    what its models can do, and the section of them that is this host's.
    """

    judge = staticmethod(judge)

    def __init__(self, config: Config, row: Row, known: tuple[Tables, str] | None = None) -> None:
        self.row, self._known = over(row, config), known
        self.endpoint = _endpoint(config, self.row)

    def capabilities(self, model: str | None) -> Capabilities:
        """What *model* can do: what the row says, and what is in the tables."""
        row, model = self.row, model or self.row.model
        source = Source(text=row.source, as_of=row.as_of)
        able = Capabilities(model=model)
        if self._known is not None:
            able = self._known[0].of(model, self._known[1])
        edits = {"edit"} if row.paths.edit else set()
        said: dict[str, Any] = {
            "operations": frozenset({"generate", *edits}),
            "emulates": frozenset({"variation"} if edits else ()),
            "inputs": row.inputs.transports,
            "mask": row.mask,
            "streaming": row.streaming,
        }
        if row.streaming:
            said["max_images_streamed"] = 1
        there: dict[str, Support] = {name: "yes" for name in row.fields if name in UNUSUAL}
        if row.negative_after is not None:
            there["negative_prompt"] = "yes"
        gone: dict[str, Support] = dict.fromkeys(sorted(row.lacking), "no")
        parameters = {**there, **able.parameters, **gone}
        options = {**dict.fromkeys(row.known_options, "yes"), **able.options}
        own = (*said, *gone, *(set(there) - set(able.parameters)))
        own += tuple(f"options.{one}" for one in row.known_options if one not in able.options)
        sources = {**able.sources, **dict.fromkeys(own, source)}
        about = {"source": row.source, "as_of": row.as_of, "sources": sources}
        return able.model_copy(
            update={**said, "parameters": parameters, "options": options, **about}
        )

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        """Ask for the pictures; watch them come where that can be."""
        if request.state is not None:
            raise stateless()
        if request.operation == "variation":
            request = request.model_copy(update={"prompt": VARIATION})
            yield from notice(emulated(VARIATION))
        stream = stream and self.row.streaming
        asked = self.asked(request, stream=stream)
        answer = yield from (open_stream(asked) if stream else send(asked))
        if is_stream(answer):
            return (yield from streamed(request, answer, self.event, self._finished))
        if not answer.ok:
            raise self.refusal(answer)
        return self.read(answer.json(), answer, request)

    def asked(self, request: ImageRequest, *, stream: bool) -> HttpRequest:
        """The request to make. Its pictures are bytes, URLs or files, as `capabilities` says."""
        return wire.encode(request, self.row, stream=stream)

    def read(self, body: Any, head: HttpResponse, request: ImageRequest) -> ImageResponse:
        """What the JSON *body* of a whole answer comes to, one slot for each entry of its `data`.

        They are in the order of their `index` where each has one of its own. *head* has status and
        headers. Raises the error that stands in it where no picture does.
        """
        body = _in_order(body)
        return self._finished(decoded(body, head, request), body, request)

    def event(self, found: dict[str, Any]) -> dict[str, Any] | None:
        """An event of a stream in OpenAI's words; None passes it over.

        Its `type` ends in `.partial_image` (with `b64_json` and `partial_image_index`), in
        `.text_chunk` (`text`, `phase`) or in `.completed` (an entry of `data`, and `usage`).
        """
        return found

    def refusal(self, answer: HttpResponse) -> ImagekitError:
        """The error that an *answer* is which is no success."""
        reasons = _at(parsed(answer), self.row.rejected)
        listed = reasons if isinstance(reasons, list) else [reasons]
        return error_from(answer, tuple(str(one) for one in listed if one))

    def _finished(self, response: ImageResponse, body: Any, request: ImageRequest) -> ImageResponse:
        """*response* with what only this host says in the *body*."""
        entries = body.get("data") if isinstance(body, Mapping) else None
        listed = entries if isinstance(entries, list) else [body]
        slots = list(response.slots)
        for place, (slot, entry) in enumerate(zip(slots, listed, strict=False)):
            if self._refuses(entry) and not isinstance(slot, Image):
                slots[place] = ImageFailure(
                    kind="refused", reason="the host refused this picture", stage="output"
                )
            elif isinstance(slot, Image) and slot.length and slot.facts is None:
                slots[place] = _without(slot, slot.length)
        changes = {
            "slots": tuple(slots),
            "model": request.model or _said(body, "model") or self.row.model,
            "cost": self._cost(body),
        }
        return response.model_copy(update=changes)

    def _refuses(self, entry: Any) -> bool:
        said = entry if isinstance(entry, Mapping) else {}
        return bool(self.row.refused) and all(
            said.get(name) == value for name, value in self.row.refused.items()
        )

    def _cost(self, body: Any) -> Cost | None:
        for path, dollars in self.row.cost.items():
            try:
                amount = Decimal(str(_at(body, path))) * dollars
            except InvalidOperation:
                return None
            return Cost(amount=amount, kind="reported") if amount.is_finite() else None
        return None


def row(
    package: str,
    file: str,
    *known: str,
    provider: Callable[[Config, Row, tuple[Tables, str] | None], Any] = CompatibleImages,
) -> Callable[[Config], Any]:
    """The hook `imagekit_provider` for the row in *file*, which *package* ships.

    *known* are files of tables of what its models can do; the section that speaks of them is called
    as the row's file is, without its ending. *provider* makes something else of it than
    `CompatibleImages`.
    """
    section = file.rpartition("/")[2].removesuffix(".toml")
    found = (tables(package, *known), section) if known else None

    @hookimpl
    def imagekit_provider(config: Config) -> Any:
        """Build the provider."""
        return provider(config, shipped(package, file), found)

    return imagekit_provider


def _endpoint(config: Config, row: Row) -> Endpoint:
    base_url = config.base_url or row.base_url
    if not base_url:
        raise ConfigurationError(f"{config.name}: nobody says where it is: say base_url=")
    headers = {name.lower(): value for name, value in row.headers.items()}
    # The row's variable is for the row's own host: whoever names another one names its key.
    at_home = bool(row.base_url) and _origin(base_url) == _origin(row.base_url or "")
    key, missing = config.api_key, None
    if row.api_key_env and config.ambient and at_home:
        key = key or config.env.get(row.api_key_env)
        missing = f"no API key: set {row.api_key_env}, or pass api_key="
    signed = bool(key) or "authorization" in headers
    if "authorization" in headers:
        key = None
    return Endpoint(base_url, Signed(headers, key), None if signed else missing)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname, port


def _in_order(body: Any) -> Any:
    """*body*, its entries by their `index` where each has a whole one that no other has."""
    entries = body.get("data") if isinstance(body, Mapping) else None
    if not isinstance(entries, list):
        return body
    places = [one.get("index") if isinstance(one, Mapping) else None for one in entries]
    if any(type(one) is not int for one in places) or len(set(places)) < len(places):
        return body
    return {**body, "data": sorted(entries, key=lambda one: one["index"])}


def _without(slot: Image, count: int) -> Image | ImageFailure:
    """What is left of *slot* without its data, *count* bytes that are no picture."""
    if slot.url:
        return slot.model_copy(update={"data": None})
    return ImageFailure(kind="failed", reason=f"{count} bytes came that are no picture")


def _said(body: Any, name: str) -> str | None:
    found = body.get(name) if isinstance(body, Mapping) else None
    return found if isinstance(found, str) else None


def _at(body: Any, path: str | None) -> Any:
    """What stands in *body* at the dotted *path*; None where nothing does."""
    for name in path.split(".") if path else ():
        body = body.get(name) if isinstance(body, Mapping) else None
    return body if path else None
