"""Pictures as a tool for language models: definitions to hand over, and what carries them out."""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Unpack

import anyio.to_thread

from ._capabilities import Capabilities
from ._client import AsyncClient, Client
from ._errors import (
    AuthenticationError,
    ConfigurationError,
    ContentRejectedError,
    DeadlineExceededError,
    ImagekitError,
    InvalidRequestError,
    NoImageError,
    PermissionDeniedError,
    ProviderError,
    ProviderUnavailableError,
    QuotaExceededError,
    RateLimitError,
    RequestError,
    TransportError,
    UnsupportedRequestError,
)
from ._fields import Defaults, HowFields
from ._handles import Pictures, inside, picture, read
from ._image import Image
from ._mask import Mask
from ._meant import request_of
from ._offered import Schema, Tool, brief, merged, parameters, wrong
from ._request import ImageRequest
from ._response import ImageFailure, ImageResponse

_NAMES: Mapping[Tool, str] = {"generate": "generate_image", "edit": "edit_image"}
_ABOUT = {
    "generate_image": "Make a new picture from a description. The answer names it by a handle, "
    "with which it can be edited.",
    "edit_image": "Change pictures that are named by their handles. The answer names the new "
    "picture by a handle of its own; the old ones stay as they were.",
}
# What a language model is told of an error whose own words are for the host.
_WORDS: tuple[tuple[type[ImagekitError], str], ...] = (
    (ConfigurationError, "pictures are not set up here"),
    (AuthenticationError, "the provider does not let this program make pictures"),
    (PermissionDeniedError, "the provider does not let this program make this picture"),
    (RateLimitError, "the provider is asked too much at once"),
    (QuotaExceededError, "the quota for pictures is used up"),
    (ProviderUnavailableError, "the provider is not available"),
    (ProviderError, "the provider could not make the picture"),
    (DeadlineExceededError, "it took too long"),
    (TransportError, "no answer came from the provider"),
    (ImagekitError, "the provider's answer could not be understood"),
)


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool call came to.

    * `text`: for the language model: short JSON, without bytes, keys or paths.
    * `is_error`: whether there is no picture; `text` then says what can be done about it.
    * `handles`: those of the new pictures, in order.
    * `response`: for the host, where there is one; `error`: the exception, where there was one.
    """

    text: str
    is_error: bool = False
    handles: tuple[str, ...] = ()
    response: ImageResponse | None = field(default=None, repr=False)
    error: ImagekitError | None = field(default=None, repr=False)

    @property
    def images(self) -> tuple[Image, ...]:
        """The new pictures."""
        return self.response.images if self.response else ()

    def __str__(self) -> str:
        return self.text


def image_tools(
    client: Client | AsyncClient,
    *,
    provider: str | None = None,
    models: Sequence[str] = (),
    operations: Sequence[Tool] | None = None,
    folder: str | os.PathLike[str] | None = None,
    max_n: int = 1,
    keep: int = 64,
    **fixed: Unpack[Defaults],
) -> ImageTools:
    """Making and editing pictures, as tools that an agent framework hands to a language model.

    What the tools offer follows from the capabilities of the model that makes the pictures.
    *fixed* settles fields of every request (`model`, `size`, `quality` …) and how it is made
    (`deadline` …): the language model is not offered those. It may choose the image model only
    among *models*, the first of which is meant where it does not say.

    *operations* are "generate" and "edit"; without them, what the model can. A call asks for
    at most *max_n* pictures. An edit takes handles of pictures, the last *keep* of which (512 MiB
    at most) are remembered, and names of files in *folder*, if there is one.

    With `raise_on_error=True` a call raises what else becomes a result for the language model to
    read. One `ImageTools` belongs to one conversation: whoever may call it, may name its pictures.

    Raises `ConfigurationError` for what cannot be settled, and `UnsupportedRequestError` where no
    model can do what *operations* name. Sends nothing.
    """
    how, want = _settled(fixed)
    raises = bool(how.pop("raise_on_error", False))
    if models and "model" in want:
        raise ConfigurationError("say model= or models=, not both")
    if not 1 <= want.get("n", max_n) <= keep:
        raise ConfigurationError(f"a call makes from 1 to keep={keep} pictures")
    root = None if folder is None else _root(folder)
    unknown = set(operations or ()) - set(_NAMES)
    if unknown:
        raise ConfigurationError(f"no such operation: {', '.join(map(repr, sorted(unknown)))}")
    choice: Sequence[str | None] = [models] if isinstance(models, str) else models
    able: dict[str | None, Capabilities] = {
        model: client.capabilities(model, provider=provider)
        for model in choice or [want.get("model")]
    }
    offers: dict[str, dict[str | None, Schema]] = {}
    for tool in operations or _NAMES:
        offered: dict[str | None, Schema] = {}
        for model, known in able.items():
            schema = parameters(tool, known, settled=want, most=max_n, files=root is not None)
            if schema is not None:
                offered[model] = schema
        if offered:
            offers[_NAMES[tool]] = offered
        elif operations:
            raise UnsupportedRequestError(f"no model that may be asked can {tool}")
    if not offers:
        raise UnsupportedRequestError("no model that may be asked can generate or edit")
    if models:
        offers = {name: _with_choice(one) for name, one in offers.items()}
    how |= {"provider": provider, "raise_on_error": True}
    return ImageTools(client, offers, want, how, Pictures(keep), root, raises=raises)


def _settled(fixed: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """How calls are made, and what the host has settled of their requests."""
    if unknown := set(fixed) - set(Defaults.__annotations__):
        raise ConfigurationError(f"these cannot be settled: {', '.join(sorted(unknown))}")
    how = {name: value for name, value in fixed.items() if name in HowFields.__annotations__}
    want = {name: value for name, value in fixed.items() if name not in how}
    if want.get("model", "") is None:
        del want["model"]
    try:
        request_of({"prompt": "-", **want})
    except RequestError as error:
        raise ConfigurationError(str(error)) from error
    return how, want


def _root(folder: str | os.PathLike[str]) -> Path:
    root = Path(folder).resolve()
    if not root.is_dir():
        raise ConfigurationError(f"folder={os.fspath(folder)!r} is no folder")
    return root


def _with_choice(offered: Mapping[str | None, Schema]) -> dict[str | None, Schema]:
    choice = {
        "type": "string",
        "enum": list(offered),
        "description": f"Who makes the picture; {next(iter(offered))} unless said.",
    }
    return {
        model: {**schema, "properties": {**schema["properties"], "model": choice}}
        for model, schema in offered.items()
    }


class ImageTools:
    """Tools that make and edit pictures, and the pictures that they may name.

    Made by `image_tools`. Safe to share between threads.
    """

    def __init__(
        self,
        client: Client | AsyncClient,
        offers: Mapping[str, Mapping[str | None, Schema]],
        want: Mapping[str, Any],
        how: Mapping[str, Any],
        pictures: Pictures,
        folder: Path | None,
        *,
        raises: bool,
    ) -> None:
        self._client = client
        self._offers = offers
        self._want, self._how = want, how
        self._pictures, self._folder = pictures, folder
        self._raises = raises

    @property
    def names(self) -> tuple[str, ...]:
        """What the tools are called: "generate_image", "edit_image"."""
        return tuple(self._offers)

    @property
    def definitions(self) -> list[dict[str, Any]]:
        """The tools as JSON, in the style of the Chat Completions API.

        Each is `{"type": "function", "function": {"name", "description", "parameters"}}`;
        `parameters` is a JSON Schema.
        """
        return [
            {"type": "function", "function": self._described(name, offered)}
            for name, offered in self._offers.items()
        ]

    @property
    def flat_definitions(self) -> list[dict[str, Any]]:
        """The tools as JSON, in the style of the Responses API.

        Each is `{"type": "function", "name", "description", "parameters", "strict": False}`.
        """
        return [
            {"type": "function", **self._described(name, offered), "strict": False}
            for name, offered in self._offers.items()
        ]

    def _described(self, name: str, offered: Mapping[str | None, Schema]) -> dict[str, Any]:
        schema = merged({str(model): one for model, one in offered.items()})
        about = _ABOUT[name]
        return {"name": name, "description": about, "parameters": copy.deepcopy(schema)}

    @property
    def images(self) -> dict[str, Image]:
        """The pictures that can be named now, by handle, oldest first: added ones and made ones."""
        return self._pictures.all()

    def add(self, image: Image | bytes | str | os.PathLike[str]) -> str:
        """Let the language model name *image*: a picture, its bytes, or a file's path.

        Returns its handle, such as "image-1". Raises `RequestError` for what is no picture.
        """
        if isinstance(image, str | os.PathLike):
            image = picture(read(image), repr(os.fspath(image)))
        elif not isinstance(image, Image):
            image = picture(image, f"what was given, {len(image)} bytes,")
        return self._pictures.add(image)

    def remove(self, handle: str) -> None:
        """Forget a picture; raises `KeyError` where there is none."""
        self._pictures.remove(handle)

    def call(self, name: str, arguments: Mapping[str, Any] | str) -> ToolResult:
        """Do what a language model asks of the tool *name*; *arguments* as it sent them, or parsed.

        Whatever is wrong with them, and whatever goes wrong with the call, is a result to be read
        (`is_error`); with `raise_on_error=True` the `ImagekitError` is raised instead. What is
        wrong with the arguments is found before anything is sent.

        Raises `ConfigurationError` where the client is an `AsyncClient`.
        """
        client = self._client
        if isinstance(client, AsyncClient):
            raise ConfigurationError("the client is an AsyncClient: await tools.acall(…)")
        try:
            response = client.run(self._asked(name, arguments), **self._how)
        except ImagekitError as error:
            return self._failed(error)
        return self._made(response)

    async def acall(self, name: str, arguments: Mapping[str, Any] | str) -> ToolResult:
        """`call` for an `AsyncClient`; raises `ConfigurationError` where the client is none."""
        client = self._client
        if isinstance(client, Client):
            raise ConfigurationError("the client is a Client: tools.call(…), without await")
        try:
            # It may read files.
            asked = partial(self._asked, name, arguments)
            response = await client.run(await anyio.to_thread.run_sync(asked), **self._how)
        except ImagekitError as error:
            return self._failed(error)
        return self._made(response)

    def _asked(self, name: str, arguments: Mapping[str, Any] | str) -> ImageRequest:
        """The request that a language model means; `RequestError` for what it may not mean."""
        try:
            return self._meant(name, _parsed(arguments))
        except RequestError as error:
            error.billed = "no"
            raise

    def _meant(self, name: str, given: Mapping[str, Any]) -> ImageRequest:
        offered = self._offers.get(name) if isinstance(name, str) else None
        if offered is None:
            raise RequestError(
                f"there is no tool {brief(name)}; there are: {', '.join(self.names)}"
            )
        # A null is how some say nothing.
        said = {name: value for name, value in given.items() if value is not None}
        usual, model = next(iter(offered)), said.get("model")
        schema = offered[model if isinstance(model, str) and model in offered else usual]
        if why := wrong(said, schema):
            raise RequestError(why)
        fields = {"n": 1, **self._want, **said}
        if usual is not None:
            fields.setdefault("model", usual)
        if "images" in said:
            fields["images"] = [self._named(one) for one in said["images"]]
        if "mask" in said:
            image = self._named(said["mask"]["image"])
            fields["mask"] = Mask(image, edit_where=said["mask"]["edit_where"])
        return request_of(fields)

    def _named(self, name: str) -> Image:
        kept = self._pictures.all()
        if name in kept:
            return kept[name]
        if self._folder is not None:
            return inside(self._folder, name)
        there = ", ".join(list(kept)[-20:]) or "none yet"
        raise RequestError(f"there is no picture {brief(name)}; there are: {there}")

    def _made(self, response: ImageResponse) -> ToolResult:
        handles = tuple(self._pictures.add(image) for image in response.images)
        images = [
            {
                "handle": handle,
                "width": image.width,
                "height": image.height,
                "media_type": image.media_type,
                "seed": image.seed,
                "revised_prompt": _short(image.revised_prompt),
            }
            for handle, image in zip(handles, response.images, strict=True)
        ]
        # What broke a call off is told in the words of an exception, which are for the host.
        notices = [
            _short("incomplete" if notice.kind == "incomplete" else str(notice))
            for notice in response.notices
        ]
        told = {
            "images": [_said(one) for one in images],
            "failed": [_failure(one) for one in response.failures[:10]],
            "notices": notices[:10],
            "text": _short(response.text),
        }
        return ToolResult(_dumped(told), handles=handles, response=response)

    def _failed(self, error: ImagekitError) -> ToolResult:
        if self._raises:
            raise error
        told = {
            "type": type(error).__name__,
            "message": _short(_message(error)),
            "code": _short(error.code, 60) if isinstance(error, ProviderError) else None,
            "param": _short(error.param, 60),
            "stage": getattr(error, "stage", None),
            "categories": list(getattr(error, "categories", ())),
            "retry_after": error.retry_after,
            "advice": _advice(error),
        }
        return ToolResult(
            _dumped({"error": _said(told)}), is_error=True, response=error.response, error=error
        )


def _parsed(arguments: Mapping[str, Any] | str) -> Mapping[str, Any]:
    found: object = arguments
    if isinstance(arguments, str):
        try:
            found = json.loads(arguments)
        except (ValueError, RecursionError) as error:
            why = "they are nested too deeply" if isinstance(error, RecursionError) else error
            raise RequestError(f"the arguments are no JSON: {why}") from error
    if not isinstance(found, Mapping):
        raise RequestError(f"the arguments must be an object, not {brief(found)}")
    return found


def _message(error: ImagekitError) -> str:
    if isinstance(error, RequestError) and isinstance(error.__cause__, ImagekitError):
        # The host's own picture, and where it was to be fetched.
        return "a picture cannot be read"
    # These say what is wrong with the request, which is the language model's own.
    if isinstance(error, RequestError | ContentRejectedError | InvalidRequestError | NoImageError):
        return str(error)
    return next(words for kind, words in _WORDS if isinstance(error, kind))


def _advice(error: ImagekitError) -> str:
    if error.billed in ("possibly", "yes"):
        return "It may have been charged for: do not call again unless the user asks for it."
    if isinstance(error, RequestError | InvalidRequestError):
        return "Change the arguments and call again."
    if isinstance(error, ContentRejectedError):
        return "Ask for something else, or tell the user."
    if isinstance(error, RateLimitError | ProviderUnavailableError):
        return "Wait before calling again."
    return "Do not call again: tell the user."


def _failure(failure: ImageFailure) -> dict[str, Any]:
    refused = failure.kind == "refused"
    return _said(
        {
            "kind": failure.kind,
            "reason": _short(failure.reason) if refused else None,
            "code": _short(failure.code, 60),
            "stage": failure.stage if refused else None,
            "categories": list(failure.categories),
        }
    )


def _said(told: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in told.items() if value not in (None, "", [])}


def _short(text: str | None, longest: int = 500) -> str | None:
    if text is None:
        return None
    # Where something is, or may be fetched, is for the host.
    text = re.sub(r"\b[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s\"']+", "(a URL)", text)
    return text if len(text) <= longest else f"{text[:longest]}…"


def _dumped(told: Mapping[str, Any]) -> str:
    text = json.dumps(_said(told), ensure_ascii=False)
    # Half of a surrogate pair, which a provider or a model may send, is no text for anybody.
    return text.encode("utf-8", "replace").decode()
