"""What must be settled before a provider sees a request: files, URLs, masks, and what it lacks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ._capabilities import Allowed, Capabilities
from ._errors import ConfigurationError, RequestError, UnsupportedRequestError
from ._fetched import fetched
from ._flow import Effects, call, notice
from ._image import ImageInput, Mask
from ._request import ImageRequest
from ._response import Notice
from ._sizes import is_exactly, resolved_size

SOFT = (
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
    `unsupported="error"`. Whatever is not known to be impossible passes through.
    """
    _hard(request, able, who)
    notices: list[Notice] = []
    changes: dict[str, object] = {}

    def adapt(found: Notice, **change: object) -> None:
        if request.unsupported == "error":
            raise UnsupportedRequestError(found.detail)
        changes.update(change)
        notices.append(found)

    for name in SOFT:
        wanted = getattr(request, name)
        known = able.supports(name)
        if wanted is None or known in ("yes", "unknown"):
            continue
        if isinstance(known, Allowed):
            if known.allows(wanted):
                continue
            detail = f"{who}: {name} may be {known}, not {wanted!r}"
        else:
            detail = f"{who} has no {name}"
        adapt(
            Notice(kind="unsupported", feature=name, detail=detail, wanted=str(wanted)),
            **{name: None},
        )
    if request.detach and not able.detaches:
        detail = f"{who} keeps no jobs: its pictures come with the call"
        adapt(Notice(kind="unsupported", feature="detach", detail=detail), detach=False)
    if request.size is not None and able.size is not None:
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
    return (request.with_(**changes) if changes else request), notices


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


def prepared(request: ImageRequest, able: Capabilities, who: str) -> Effects[ImageRequest]:
    """Read the files, fetch the URLs the provider cannot, and turn the mask to its convention."""
    images: list[ImageInput] = []
    for given in request.images:
        images += [(yield from _ready(given, able, who))]
    mask = request.mask
    if mask is not None:
        near = able.model_copy(update={"inputs": able.inputs - {"url"}})
        image = yield from _ready(mask.image, near, who)
        mask = yield from _masked(Mask(image, edit_where=mask.edit_where), able)
    if tuple(images) == request.images and mask == request.mask:
        return request
    return request.model_copy(update={"images": tuple(images), "mask": mask})


def _ready(given: ImageInput, able: Capabilities, who: str) -> Effects[ImageInput]:
    if given.file_id is not None and "file" not in able.inputs:
        raise UnsupportedRequestError(f"{who} takes no files of its own as input; give the picture")
    if given.path is not None:
        data = yield from call(partial(_file, given))
        return _loaded(given, data, given.path.name)
    if given.url is not None and "url" not in able.inputs:
        data = yield from fetched(given.url)
        return _loaded(given, data, None)
    return given if given.data is None else _loaded(given, given.data, given.name)


def _file(given: ImageInput) -> bytes:
    assert given.path is not None
    try:
        return given.path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL in it
        why = getattr(error, "strerror", None) or error
        raise RequestError(f"cannot read the picture {given.named}: {why}") from error


def _loaded(given: ImageInput, data: bytes, name: str | None) -> ImageInput:
    if not data:
        raise RequestError(f"the picture {given.named} is empty")
    loaded = ImageInput(data=data, role=given.role, name=given.name or name)
    if loaded.media_type is None:
        raise RequestError(
            f"{given.named} is no picture of a type we know (PNG, JPEG, WebP, GIF, …)"
        )
    return loaded


def _masked(mask: Mask, able: Capabilities) -> Effects[Mask]:
    assert able.mask is not None
    data = mask.image.data
    if data is None:
        if mask.edit_where == able.mask:
            return mask
        raise UnsupportedRequestError(
            f"a mask that the provider keeps cannot be turned from {mask.edit_where!r} to "
            f"{able.mask!r}; give the picture"
        )
    convert: Callable[[], bytes] = partial(_converted, data, mask.edit_where, able.mask)
    try:
        turned = yield from call(convert)
    except ConfigurationError as error:
        if mask.edit_where != able.mask:
            raise
        yield from notice(
            Notice(kind="other", feature="mask", detail=f"not checked for an empty part: {error}")
        )
        return mask
    name = mask.image.name or "mask"
    return Mask(ImageInput(data=turned, name=name), edit_where=able.mask)


def _converted(data: bytes, given: str, wanted: str) -> bytes:
    from ._pillow import converted_mask

    return converted_mask(data, given, wanted)
