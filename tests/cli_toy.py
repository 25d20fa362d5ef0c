"""A provider that does as its options say, and what the command line's tests share."""

from __future__ import annotations

import os
import struct
import zlib
from decimal import Decimal
from pathlib import Path
from typing import Any

import imagekit
from imagekit.provider import (
    Allowed,
    Capabilities,
    Config,
    Endpoint,
    SizeRule,
    call,
    emit,
    hookimpl,
    notice,
    sleep,
)


def png(width: int = 4, height: int = 2, shade: int = 0) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" + bytes([shade]) * width) * height)
    signature = b"\x89PNG\r\n\x1a\n"
    return signature + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


GIF = b"GIF89a" + struct.pack("<HHBBB", 3, 5, 0, 0, 0) + b";"
ODD = b"GIF89a"  # a picture whose size its bytes do not say
SEEN: list[Any] = []


class Stop(Exception):
    """Nothing of ours."""


class Toy:
    name = "toy"
    endpoint: Endpoint | None = None
    models: tuple[str, ...] = ("toy-1", "toy-2")

    def capabilities(self, model: str | None) -> Capabilities:
        return Capabilities(
            model=model or "toy-1",
            operations=frozenset({"generate", "edit", "variation"}),
            streaming=True,
            max_images=8,
            max_inputs=3,
            mask="white",
            size=SizeRule(sizes=("64x64", "128x64")),
            parameters={"quality": "no"},
            source="the toy's box",
        )

    def flow(self, request: imagekit.ImageRequest, *, stream: bool) -> Any:
        SEEN.append(request)
        said = request.options.get(self.name, {})
        try:
            return (yield from self._flow(request, said))
        finally:
            SEEN.append("closed")

    def _flow(self, request: imagekit.ImageRequest, said: Any) -> Any:
        if said.get("events"):
            yield from emit(imagekit.Queued())
            yield from emit(imagekit.Queued(position=3))
            yield from emit(imagekit.Progress())
            yield from emit(imagekit.Progress(fraction=0.25, message="dreaming"))
            yield from emit(imagekit.Progress(step=2))
            yield from emit(imagekit.Progress(step=3, total=9))
            yield from notice(imagekit.Notice(kind="other", feature="toy", detail="\x1b[2Jrusty"))
            yield from emit(imagekit.Text(text="a bicycle, "))
            yield from emit(imagekit.Text(text="and it is red all over " * 4))
        slots: list[Any] = []
        for index in range(request.n + said.get("extra", 0)):
            for step in range(request.partial_images or 0):
                yield from emit(imagekit.PartialImage(index=index, step=step, image=preview(said)))
            if said.get("sleep"):
                yield from sleep(said["sleep"])
            if "touch" in said:
                yield from call(lambda: Path(said["touch"]).write_bytes(b"mine"))
            if "folder" in said:
                yield from call(lambda: Path(said["folder"]).rename("gone"))
            if "raise" in said:
                raise mishap(said["raise"])
            slots.append(slot(index, said))
            kind = imagekit.ImageReady if isinstance(slots[-1], imagekit.Image) else None
            if kind:
                yield from emit(kind(index=index, image=slots[-1]))
            if said.get("interrupt"):
                raise KeyboardInterrupt
            if said.get("signal") and not index:
                os.kill(os.getpid(), said["signal"])
        if said.get("bare"):
            return imagekit.ImageResponse(slots=tuple(slots))
        return full(tuple(slots), request)


def preview(said: Any) -> imagekit.Image:
    if said.get("faraway"):
        return imagekit.Image(url="https://example.org/preview")
    return imagekit.Image(data=png(2, 2))


def slot(index: int, said: Any) -> Any:
    if index in said.get("fail", []):
        billed = said.get("billed", "possibly")
        return imagekit.ImageFailure(kind="failed", reason="out of paint", billed=billed)
    if said.get("url"):
        return imagekit.Image(url=said["url"])
    data = {"gif": GIF, "odd": ODD}.get(said.get("format"), png(shade=index))
    return imagekit.Image(data=data, revised_prompt=said.get("revised"))


def full(slots: Any, request: imagekit.ImageRequest) -> imagekit.ImageResponse:
    before: Any = request.state.payload["turn"] if request.state else 0
    return imagekit.ImageResponse(
        slots=slots,
        model="toy-1",
        text="I drew it",
        usage=imagekit.Usage(items=(imagekit.UsageItem(quantity=Decimal(7), direction="output"),)),
        cost=imagekit.Cost(amount=Decimal("0.04"), kind="estimated", source="the price list"),
        request_ids=("toy-request-1",),
        state=imagekit.State(provider="toy", payload={"turn": before + 1}),
    )


def mishap(name: str) -> BaseException:
    known: dict[str, Any] = {
        "status": 429,
        "code": "slow_down",
        "param": "prompt",
        "request_id": "toy-request-9",
        "retry_after": 30.0,
        "billed": "no",
    }
    match name:
        case "Stop":
            return Stop("the box is empty")
        case "ContentRejectedError":
            return imagekit.ContentRejectedError(
                "not that", categories=("mud", "rust"), billed="yes"
            )
        case "ProtocolError":
            error = imagekit.ProtocolError("cut off", billed="possibly")
            error.checkpoint = {"job": "j-1"}
            return error
        case "MissingCredentialError":
            return imagekit.MissingCredentialError("a key is wanted: pass api_key=")
        case "RateLimitError":
            return imagekit.RateLimitError("too fast", **known)
    made: BaseException = getattr(imagekit, name)(f"a {name}")
    return made


class Needy(Toy):
    """Cannot be asked before it has a key."""

    endpoint = Endpoint("https://toys.example", missing="no key: set TOY_KEY")


class Paid(Toy):
    """Lives somewhere, and makes but PNG."""

    name = "paid"
    endpoint = Endpoint("https://toys.example")

    def capabilities(self, model: str | None) -> Capabilities:
        known: Any = {"output_format": Allowed(values=("png",))}
        return super().capabilities(model).model_copy(update={"parameters": known})


class Plain(Toy):
    """Knows of no formats."""

    name = "plain"

    def capabilities(self, model: str | None) -> Capabilities:
        known: Any = {"output_format": "no"}
        return super().capabilities(model).model_copy(update={"parameters": known})


class Mute(Toy):
    def capabilities(self, model: str | None) -> Capabilities:
        raise RuntimeError("lost for words, my key is hunter2hunter2")


class Free(Toy):
    """Any size within limits, no model, no names."""

    models = ()

    def capabilities(self, model: str | None) -> Capabilities:
        size = SizeRule(multiple=16, high_edge=4096, ratio=3) if model is None else SizeRule()
        return Capabilities(size=size, emulates=frozenset({"edit"}))


class Plugin:
    def __init__(self, made: Any) -> None:
        self.made = made

    @hookimpl
    def imagekit_provider(self, config: Config) -> Any:
        SEEN.append(config)
        return self.made()


def keyless() -> Any:
    raise imagekit.MissingCredentialError("no key: set TOY_KEY")


toy, needy, mute, free = Plugin(Toy), Plugin(Needy), Plugin(Mute), Plugin(Free)
paid, plain = Plugin(Paid), Plugin(Plain)
unset = Plugin(keyless)


def install(site: Path) -> Path:
    """A folder that holds the toys as installed distributions."""
    wanted = {
        "toy-kit": ("1.2.3", "toy = cli_toy:toy\nneedy = cli_toy:needy\nunset = cli_toy:unset\n"),
        "mute-kit": ("0.1", "mute = cli_toy:mute\nfree = cli_toy:free\n"),
        "till-kit": ("0.4", "paid = cli_toy:paid\nplain = cli_toy:plain\n"),
        "gone-kit": ("0.2", "gone = cli_toy_that_is_not_there\ntwice = cli_toy:toy\n"),
        "twin-kit": ("0.3", "twice = cli_toy:free\n"),
    }
    for name, (version, points) in wanted.items():
        folder = site / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir(parents=True)
        about = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        (folder / "METADATA").write_text(about)
        (folder / "entry_points.txt").write_text(f"[imagekit.providers]\n{points}")
    return site
