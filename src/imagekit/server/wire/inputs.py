"""Input pictures of a request, checked: parts of a form, data URLs, links and stored files."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from urllib.parse import urlsplit

from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from ..._input import ImageInput
from ..._media import facts
from .._kept import Kept
from .._limits import Limits
from .refusals import Refusal, RefusedError, invalid, not_found, unknown

EDITABLE = ("image/png", "image/jpeg", "image/webp")
VIEWABLE = (*EDITABLE, "image/gif")
# The fields of a form that are pictures.
PARTS = re.compile(r"image(?:\[\d{0,3}\])?|mask|markup")
_MOST_PARTS = 20
_MOST_FIELDS = 60
# As the live service: a data URL is no longer than this, whatever its picture.
_LONGEST_URL = 20_971_520


class Inputs:
    """Makes input pictures of what one caller sends."""

    def __init__(self, limits: Limits, kept: Kept, owner: str) -> None:
        self._limits, self._kept, self._owner = limits, kept, owner
        self._pixels = 0

    def picture(
        self,
        data: bytes,
        param: str,
        *,
        role: str = "source",
        name: str | None = None,
        kinds: tuple[str, ...] = EDITABLE,
    ) -> ImageInput:
        """The picture that *data* is; its bytes say of what type, and not who sent it."""
        if not data:
            raise invalid(f"The file '{param}' is empty.", param, "empty_image_file")
        if len(data) > self._limits.picture:
            most = self._limits.picture
            raise invalid(
                f"The file '{param}' has {len(data)} bytes; at most {most} are taken.",
                param,
                "image_file_too_large",
            )
        found = facts(data)
        if found is None or found.media_type not in kinds:
            listed = "', '".join(kinds)
            got = found.media_type if found else "application/octet-stream"
            raise invalid(
                f"Invalid file '{param}': unsupported mimetype ('{got}'). Supported file formats "
                f"are '{listed}'.",
                param,
                "unsupported_file_mimetype",
            )
        if not found.width or not found.height:
            raise invalid(f"The size of '{param}' cannot be read.", param, "invalid_image_file")
        pixels = found.width * found.height
        self._pixels += pixels
        if self._pixels > self._limits.all_pixels:
            raise invalid(
                f"The pictures have more than {self._limits.all_pixels} pixels together.",
                param,
                "image_too_large",
            )
        if pixels > self._limits.pixels:
            raise invalid(
                f"The picture '{param}' has more than {self._limits.pixels} pixels.",
                param,
                "image_too_large",
            )
        return ImageInput(data=data, role=role, name=name)

    async def referred(
        self,
        param: str,
        *,
        url: str | None,
        file_id: str | None,
        kinds: tuple[str, ...] = EDITABLE,
    ) -> ImageInput:
        """The picture that a URL or a stored file is."""
        if file_id is not None:
            data = await self._kept.get("file", file_id, self._owner)
            if data is None:
                raise not_found(f"No such File object: {file_id[:100]}", param=param)
            return self.picture(data, param, kinds=kinds)
        url = url or ""
        if len(url) > _LONGEST_URL:
            raise invalid(f"'{param}' is longer than {_LONGEST_URL} characters.", param)
        if url.startswith("data:"):
            return self.picture(_unwrapped(url, param), param, kinds=kinds)
        if not _is_https(url):
            raise invalid(
                f"'{param}' is an https URL, or a data URL with base64.",
                param,
                "invalid_image_url",
            )
        return ImageInput(url=url)

    async def of_form(
        self, form: FormData
    ) -> tuple[list[ImageInput], ImageInput | None, ImageInput | None]:
        """The pictures, the mask and the markup among the parts of a form, as far as there are."""
        named = [(name, part) for name, part in form.multi_items() if PARTS.fullmatch(name)]
        parts = [(name, await held(part)) for name, part in named]
        found = [(name, data) for name, data in parts if data is not None]
        count = sum(name.startswith("image") for name, _ in found)
        if count > 16:
            raise invalid("At most 16 images can be edited at once.", "image", "too_many_images")
        pictures: list[ImageInput] = []
        beside: dict[str, ImageInput] = {}
        for name, data in found:
            if name.startswith("image"):
                alone = name == "image" and count == 1
                param = name if alone else f"image[{len(pictures)}]"
                pictures.append(self.picture(data, param))
            elif name in beside:
                raise invalid(f"There is more than one '{name}'.", name)
            else:
                role = "markup" if name == "markup" else "source"
                beside[name] = self.picture(data, name, role=role, name=name)
        return pictures, beside.get("mask"), beside.get("markup")


async def held(part: UploadFile | str) -> bytes | None:
    """What a part holds. One without a file name comes as text, its bytes as Latin-1 where they
    are no UTF-8; an empty one is what some clients send in place of none, browsers with an empty
    file name.
    """
    if isinstance(part, UploadFile):
        data = await part.read()
        return data if data or part.filename else None
    return part.encode("latin-1", "replace") if part else None


def form_of(request: Request, limits: Limits) -> AbstractAsyncContextManager[FormData]:
    """The body as a form, its parts on disk where they are large."""
    kind, about = parse_options_header(request.headers.get("content-type"))
    # Another charset is one of Python's codecs, and some of those fail, or make half characters.
    charset = about.get(b"charset", b"utf-8").lower()
    if kind != b"multipart/form-data" or charset not in (b"utf-8", b"utf8", b"us-ascii"):
        message = (
            "Unsupported content type. This API method only accepts 'multipart/form-data' "
            "requests in UTF-8."
        )
        raise RefusedError(Refusal(415, message, code="unsupported_content_type"))
    return request.form(max_files=_MOST_PARTS, max_fields=_MOST_FIELDS, max_part_size=limits.body)


def texts(form: FormData, *, but: re.Pattern[str] = PARTS) -> Mapping[str, str]:
    """The fields of a form that are text, all *but* some; each stands once."""
    found: dict[str, str] = {}
    for name, value in form.multi_items():
        if but.fullmatch(name):
            continue
        if not isinstance(value, str):
            raise unknown(name[:200])
        if name in found:
            raise invalid(f"Duplicate parameter: '{name[:200]}'.", name[:200])
        found[name] = value
    return found


def _is_https(url: str) -> bool:
    if re.search(r"[\s\x00-\x1f\x7f]", url):
        return False
    try:
        parts = urlsplit(url)
        # Asking for the port is what checks it; a name and a password are for nobody there.
        plain = parts.port != 0 and "@" not in parts.netloc
        return parts.scheme == "https" and bool(parts.hostname) and plain
    except ValueError:
        return False


def _unwrapped(url: str, param: str) -> bytes:
    head, comma, text = url.partition(",")
    wrong: RefusedError = invalid(
        f"'{param}' is no data URL with base64.", param, "invalid_base64_image"
    )
    if not comma or not head.endswith(";base64"):
        raise wrong
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise wrong from None
