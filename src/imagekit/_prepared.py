"""What must be settled before a provider sees a request: files, URLs, masks, and what it lacks."""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ._blob import Blob, Seen, seen
from ._capabilities import Allowed, Capabilities
from ._errors import RequestError, UnsupportedRequestError
from ._fetched import fetched
from ._flow import Effects, call
from ._input import LARGE, ImageInput
from ._lifting import MOST_HELD
from ._mask import Mask
from ._masking import check_shapes, drawn, fitted, of_mask
from ._request import ImageRequest
from ._response import Notice
from ._saved import is_special
from ._sizes import is_exactly, resolved_size

SOFT = (
    "size",
    "seed",
    "negative_prompt",
    "quality",
    "background",
    "output_format",
    "output_compression",
    "moderation",
    "partial_images",
    "user",
)


def checked(
    request: ImageRequest, able: Capabilities, who: str
) -> tuple[ImageRequest, list[Notice]]:
    """*request* as *able* can take it, and what had to be adapted.

    What gives the request its meaning (operation, mask, input pictures) is never dropped: where
    the provider cannot take it, `UnsupportedRequestError`. So is anything under
    `unsupported="error"`. Whatever is not known to be impossible passes through. That a model ends
    is told whatever `unsupported` says.
    """
    _hard(request, able, who)
    notices: list[Notice] = []
    changes: dict[str, Any] = {}

    def adapt(found: Notice, **change: object) -> None:
        if request.unsupported == "error":
            raise UnsupportedRequestError(found.detail)
        changes.update(change)
        notices.append(found)

    def drop(name: str, detail: str) -> None:
        wanted = str(getattr(request, name))
        adapt(
            Notice(kind="unsupported", feature=name, detail=detail, wanted=wanted), **{name: None}
        )

    said = [(name, wanted) for name in SOFT if (wanted := getattr(request, name)) is not None]
    for name, wanted in said:
        known = able.supports(name)
        if known == "no":
            drop(name, f"{who} has no {name}")
        elif isinstance(known, Allowed) and not known.allows(wanted):
            drop(name, f"{who}: {name} may be {known}, not {wanted!r}")
    for name, wanted in said:
        known = able.supports(name)
        # What has just been dropped clashes with nothing.
        if name in changes or not isinstance(known, Allowed):
            continue
        if clash := known.clash(wanted, _said(request, changes)):
            drop(name, f"{who}: {name} {wanted!r} goes {clash}")
    if request.detach and not able.detaches:
        detail = f"{who} keeps no jobs: its pictures come with the call"
        adapt(Notice(kind="unsupported", feature="detach", detail=detail), detach=False)
    if request.size is not None and able.size is not None and "size" not in changes:
        size = resolved_size(request, able.size)
        if is_exactly(size, request):
            # A shape put into pixels is what was asked for, in other words.
            changes["size"] = size
        elif size != request.size:
            adapt(
                Notice(
                    kind="adjusted",
                    feature="size",
                    detail=f"{who} makes no {request.size}; the nearest is {size}",
                    wanted=request.size,
                    used=size,
                ),
                size=size,
            )
    if request.unsupported == "ignore":
        notices.clear()
    if able.lifecycle.is_near():
        notices.append(_ending(able, request.model or able.model, who))
    return (request.with_(**changes) if changes else request), notices


def _said(request: ImageRequest, changes: Mapping[str, Any]) -> dict[str, Any]:
    """What *request* says once it is changed."""
    said = {name: getattr(request, name) for name in request.model_fields_set}
    return {**said, "operation": request.operation, **changes}


def _ending(able: Capabilities, model: str | None, who: str) -> Notice:
    life = able.lifecycle
    verb = "was shut down" if life.status() == "retired" else "shuts down"
    detail = f"{who}: {model or 'its model'} {verb} on {life.shuts_down}"
    if life.replaced_by is not None:
        detail += f"; it is replaced by {life.replaced_by}"
    if source := able.source_of("lifecycle"):
        detail += f" ({source})"
    return Notice(kind="deprecated", feature="model", detail=detail, wanted=model)


def _hard(request: ImageRequest, able: Capabilities, who: str) -> None:
    wanted = request.operation
    emulated = request.unsupported == "adapt" and wanted in able.emulates
    if wanted not in able.operations and not emulated:
        hint = "; unsupported='adapt' emulates it" if wanted in able.emulates else ""
        verb = {"generate": "generate from a prompt", "edit": "edit pictures"}
        raise UnsupportedRequestError(f"{who} cannot {verb.get(wanted, 'make variations')}{hint}")
    if request.mask is not None and able.mask is None:
        raise UnsupportedRequestError(f"{who} takes no mask")
    most = able.max_inputs
    if most is not None and len(request.images) > most:
        raise UnsupportedRequestError(
            f"{who} takes at most {most} input pictures, not {len(request.images)}"
        )
    longest = able.max_prompt
    if longest is not None and len(request.prompt or "") > longest:
        raise UnsupportedRequestError(
            f"{who} takes a prompt of at most {longest} characters, and this one has "
            f"{len(request.prompt or '')}: shorten it; nothing is cut here"
        )


def prepared(
    request: ImageRequest, able: Capabilities, who: str, *, held: bool = False
) -> Effects[ImageRequest]:
    """Read the files, fetch the URLs the provider cannot, and make the mask one that it reads.

    A large file is only looked at and stays where it is, for it is read while it is sent; but not
    where all is to be *held* in memory, nor beside a mask, which is compared with it. What is
    prepared already comes back as it is.
    """
    mask = request.mask
    most = None if held or mask is not None else LARGE
    if mask is not None and mask.shaped:
        check_shapes(of_mask(request.images), able)
    images: list[ImageInput] = []
    for given in request.images:
        images += [(yield from _ready(given, able, who, most))]
    if mask is not None:
        assert able.mask is not None
        first = of_mask(images)
        if mask.shaped:
            mask = yield from drawn(mask, first, able.mask)
        else:
            near = able.model_copy(update={"inputs": able.inputs - {"url"}})
            image = yield from _ready(mask.image, near, who, None)
            mask = Mask(image, edit_where=mask.edit_where)
            mask = yield from fitted(mask, first, able.mask, request.unsupported)
    if tuple(images) == request.images and mask == request.mask:
        return request
    return request.model_copy(update={"images": tuple(images), "mask": mask})


def _ready(
    given: ImageInput, able: Capabilities, who: str, most: int | None
) -> Effects[ImageInput]:
    if given.file_id is not None and "file" not in able.inputs:
        raise UnsupportedRequestError(f"{who} takes no files of its own as input; give the picture")
    if given.path is not None:
        return (yield from _from(given, given.path, most))
    if given.url is not None and "url" not in able.inputs:
        data = yield from fetched(given.url)
        return _loaded(given, data, None)
    blob = given.blob
    if blob is None:
        return given
    if blob.path is not None:
        return (yield from _from(given, blob.path, most, blob.seen))
    return _loaded(given, bytes(blob), given.name)


def _from(
    given: ImageInput, path: Path, most: int | None, before: Seen | None = None
) -> Effects[ImageInput]:
    """The picture at *path*, which stays there where it is a file of more than *most* bytes.

    Where it was seen *before*, as one that was open, it has to be that still.
    """
    pipe = _Pipe(path)
    return (yield from call(partial(_read, given, path, most, before, pipe), pipe.stop))


class _Pipe:
    """What comes out of a pipe or a device, which may have nobody at its other end, or no end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._came: queue.SimpleQueue[bytes | Exception] = queue.SimpleQueue()

    def read(self) -> bytes:
        """All of it, unless it is stopped; raises what reading it raises."""
        # Nobody can interrupt whoever waits for the other end, so nobody who is needed does.
        threading.Thread(target=self._listen, daemon=True, name="imagekit").start()
        came = self._came.get()
        if isinstance(came, Exception):
            raise came
        return came

    def stop(self) -> None:
        """Wait for no more of it."""
        self._came.put(TimeoutError("nothing came in time"))

    def _listen(self) -> None:
        try:
            with self._path.open("rb") as file:
                data = file.read(MOST_HELD + 1)
            if len(data) > MOST_HELD:
                raise ValueError(f"more than {MOST_HELD} bytes come of what is no file")
            self._came.put(data)
        except (OSError, ValueError) as error:
            self._came.put(error)


def _read(
    given: ImageInput, path: Path, most: int | None, before: Seen | None, pipe: _Pipe
) -> ImageInput:
    try:
        found = seen(path) if path.is_file() else None
        if found and before not in (None, found):
            raise RequestError(
                f"the picture {str(path)!r} changed after it was given: give it anew"
            )
        if found and most is not None and found[0] > most:
            return _loaded(given, Blob.in_file(path, found[0], seen=found), path.name)
        data = pipe.read() if is_special(path) else path.read_bytes()
        return _loaded(given, data, path.name)
    except RequestError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL in it
        why = getattr(error, "strerror", None) or error
        raise RequestError(f"cannot read the picture {given.named}: {why}") from error


def _loaded(given: ImageInput, data: bytes | Blob, name: str | None) -> ImageInput:
    if not data:
        raise RequestError(f"the picture {given.named} is empty")
    named = {"data": data, "role": given.role, "name": given.name or name}
    loaded = ImageInput.model_validate(named)
    if loaded.media_type is None:
        raise RequestError(
            f"the picture {given.named} is of no type we know (PNG, JPEG, WebP, GIF, …)"
        )
    return loaded
