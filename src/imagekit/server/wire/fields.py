"""What the Images API declares of its requests, and what that means in imagekit's words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from .reading import Wire
from .refusals import Refusal, RefusedError, invalid

Quality: TypeAlias = Literal["auto", "low", "medium", "high", "xhigh", "max", "standard", "hd"]
Background: TypeAlias = Literal["auto", "opaque", "transparent"]
Format: TypeAlias = Literal["png", "jpeg", "webp", "gif", "svg"]
Effort: TypeAlias = Literal["none", "low", "medium", "high", "xhigh", "max"]
Complexity: TypeAlias = Literal["low", "medium", "high"]
# Of formats that have no previews.
WHOLE = ("gif", "svg")


def _prompt(text: str) -> str:
    if not text.strip():
        raise ValueError("Invalid 'prompt': blank string. Say what the picture is to show.")
    return text


Prompt: TypeAlias = Annotated[str, Field(min_length=1, max_length=32_000), AfterValidator(_prompt)]
# It goes into the log.
Name: TypeAlias = Annotated[str, Field(max_length=500)]
Size: TypeAlias = Annotated[str, Field(pattern=r"^(auto|[1-9][0-9]{0,4}x[1-9][0-9]{0,4})$")]


class Reasoning(Wire):
    """How hard the author of an SVG thinks."""

    effort: Effort | None = None


class Svg(Wire):
    """Who writes an SVG."""

    model: str | None = None
    reasoning: Reasoning | None = None


class Reference(Wire):
    """An input picture in JSON: a file's id, or a URL, which may be a data URL."""

    image_url: str | None = None
    file_id: str | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.image_url is None) == (self.file_id is None):
            raise ValueError("A picture is exactly one of 'image_url' and 'file_id'.")
        return self


class Drawn(Wire):
    """What a picture is to be, in the words that both APIs share."""

    model: Name | None = None
    size: Size | None = None
    quality: Quality | None = None
    background: Background | None = None
    output_format: Format | None = None
    output_compression: Annotated[int, Field(ge=0, le=100)] | None = None
    moderation: Literal["auto", "low"] | None = None
    partial_images: Annotated[int, Field(ge=0, le=3)] | None = None
    complexity: Complexity | None = None
    frame_count: Annotated[int, Field(ge=2, le=16)] | None = None
    frame_duration_ms: Annotated[int, Field(ge=20, le=655_350)] | None = None
    svg: Svg | None = None

    def check(self, at: str = "") -> None:
        """Turn away what cannot go together."""
        kind = self.output_format or "png"
        if self.background == "transparent" and kind == "jpeg":
            raise invalid("Transparent background is not supported for JPEG.", f"{at}background")
        if self.output_compression not in (None, 100) and kind not in ("jpeg", "webp"):
            raise invalid(
                f"Compression less than 100 is not supported for {kind.upper()} output format.",
                f"{at}output_compression",
                "invalid_output_compression",
            )
        for name in ("frame_count", "frame_duration_ms"):
            if getattr(self, name) is not None and kind != "gif":
                raise invalid(f"'{name}' is for GIF output only.", f"{at}{name}")
        if self.svg is not None and kind != "svg":
            raise invalid("'svg' is for SVG output only.", f"{at}svg")
        if self.partial_images and kind in WHOLE:
            raise invalid(f"There are no partial images of {kind}.", f"{at}partial_images")

    def wanted(self) -> dict[str, Any]:
        """The fields of an `ImageRequest`; what is "auto" is not said."""
        said = {
            name: getattr(self, name)
            for name in ("size", "quality", "background", "output_format", "moderation")
        }
        found = {name: value for name, value in said.items() if value not in (None, "auto")}
        if self.output_compression is not None and self.output_format in ("jpeg", "webp"):
            found["output_compression"] = self.output_compression
        return found

    def own(self) -> dict[str, Any]:
        """What only providers of the same family read."""
        names = {"complexity", "frame_count", "frame_duration_ms", "svg"}
        return self.model_dump(include=names, exclude_none=True)


class Asked(Drawn):
    """What generations and edits have in common."""

    prompt: Prompt
    n: Annotated[int, Field(ge=1, le=10)] | None = None
    stream: bool | None = None
    user: str | None = None
    safety_identifier: Annotated[str, Field(max_length=128)] | None = None
    response_format: Literal["url", "b64_json"] | None = None

    @property
    def links(self) -> bool:
        """Whether the pictures are to be links, as they were for the earlier models."""
        earlier = (self.model or "").startswith("dall-e")
        return self.response_format == "url" or (earlier and self.response_format is None)

    def check(self, at: str = "") -> None:
        """Turn away what cannot go together."""
        super().check(at)
        kind = self.output_format or "png"
        if self.response_format is not None and (self.model or "").startswith("gpt-image"):
            message = "Unknown parameter: 'response_format'."
            refusal = Refusal(400, message, code="unknown_parameter", param="response_format")
            raise RefusedError(refusal)
        if self.stream and (self.n or 1) > 1:
            raise _user("Streaming is only supported with n=1.", "n")
        if self.stream and kind in WHOLE:
            raise _user(f"Streaming is not supported for {kind}.", "stream")
        if kind == "svg" and (self.n or 1) > 1:
            raise _user("SVG output is only supported with n=1.", "n")

    def wanted(self) -> dict[str, Any]:
        """The fields of an `ImageRequest`."""
        found = super().wanted() | {"prompt": self.prompt, "n": self.n or 1}
        if self.stream and self.partial_images is not None:
            found["partial_images"] = self.partial_images
        if self.user:
            found["user"] = self.user
        return found

    def own(self) -> dict[str, Any]:
        """What only providers of the same family read."""
        found = super().own()
        if self.safety_identifier:
            found["safety_identifier"] = self.safety_identifier
        return found


def _user(message: str, param: str) -> RefusedError:
    kind = "image_generation_user_error"
    return RefusedError(Refusal(400, message, kind, "unsupported_parameter", param))


class Generation(Asked):
    """`POST /images/generations`."""

    style: Literal["vivid", "natural"] | None = None


class Edit(Asked):
    """`POST /images/edits`, beside the pictures of a form."""

    input_fidelity: Literal["high", "low"] | None = None

    def own(self) -> dict[str, Any]:
        """What only providers of the same family read."""
        found = super().own()
        if self.input_fidelity is not None:
            found["input_fidelity"] = self.input_fidelity
        return found


class EditJson(Edit):
    """The same as JSON, its pictures by reference."""

    images: Annotated[list[Reference], Field(min_length=1, max_length=16)]
    mask: Reference | None = None


class Variation(Wire):
    """`POST /images/variations`, beside the picture."""

    model: Name | None = None
    n: Annotated[int, Field(ge=1, le=10)] | None = None
    size: Size | None = None
    response_format: Literal["url", "b64_json"] | None = None
    user: str | None = None

    @property
    def links(self) -> bool:
        """Whether the pictures are to be links: only where they are not asked for as bytes."""
        return self.response_format != "b64_json"


def flat(said: Mapping[str, Any], at: str = "") -> Iterator[str]:
    """The names in *said*, as the dialect spells them."""
    for name, value in said.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{at}{name}.")
        else:
            yield f"{at}{name}"
