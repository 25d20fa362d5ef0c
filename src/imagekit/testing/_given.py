"""What the rules about answers share: pictures that are given out, and how they are told apart."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Mapping
from typing import Any

from .._image import Image
from .._response import ImageResponse
from ._bench import Bench, png
from ._ground import Ground
from ._host import Asked, Reply, Scene, Streamed

# Pictures that are told apart by their bytes, and previews' shades are none of theirs.
SHADES = (10, 20, 30)


class Given(Ground):
    """What the rules about answers ask with."""

    def gives(self) -> None:
        """End a test of the given pictures where the provider draws its own."""
        if "pictures" in self.host.absent:
            self.not_applicable(self.host.absent["pictures"])

    def refuses(self) -> None:
        """End a test of refused pictures where the host knows no refusal."""
        if "moderation" in self.host.absent:
            self.not_applicable(self.host.absent["moderation"])

    def wired(self) -> None:
        """End a test of answers where nothing is sent to anybody."""
        if not self.on_wire:
            self.not_applicable("its engine is in this process: there are no requests and answers")

    def streaming(self) -> None:
        """End a test of streams where the provider has none."""
        if not self.able.streaming:
            self.not_applicable("it does not stream")

    def at_once(self, *, stream: bool = False) -> bool:
        """Whether one request may ask for two pictures."""
        able = self.able
        most = (able.max_images_streamed if stream else None) or able.max_images
        return most is None or most > 1

    def many(self) -> int:
        """How many pictures are asked for where their order is looked at: of one request."""
        return 2 if self.at_once() and self.at_once(stream=True) else 1

    def previews(self) -> dict[str, Any]:
        """The field that asks for one preview, where the model knows it."""
        known = self.able.supports("partial_images")
        allowed = known in ("yes", "unknown") or getattr(known, "allows", lambda _: False)(1)
        return {"partial_images": 1} if allowed else {}

    def one_each(self) -> dict[str, Any]:
        """Arguments of a client that asks for one picture in each request."""
        patch = {"max_images": 1, "max_images_streamed": 1}
        return {"capabilities": {self.provider: {"*": patch}}}

    def beside(self, bench: Bench) -> Bench:
        """A bench with everything new but its host, as another process would have it."""
        return Bench(
            self.plugin,
            self.provider,
            bench.host,
            settings=self.settings,
            base_url=self.base_url,
            model=self.model,
        )

    def seen(self, data: bytes | None) -> object:
        """What of a picture is compared: its bytes; of an engine's, its pixels."""
        return data if self.on_wire else pixels(data or b"")

    def all_seen(self, response: ImageResponse) -> list[object]:
        """The same of each picture of *response*; a failure is its kind."""
        return [
            self.seen(slot.data) if isinstance(slot, Image) else slot.kind
            for slot in response.slots
        ]


def pictures(count: int) -> tuple[bytes, ...]:
    """So many pictures, all different."""
    return tuple(png(shade) for shade in SHADES[:count])


def pixels(data: bytes) -> object:
    """Size and pixels."""
    from PIL import Image as Pillow

    with Pillow.open(io.BytesIO(data)) as opened:
        shown = opened.convert("RGBA")
        return shown.size, shown.tobytes()


def signed(data: bytes) -> bytes:
    """The PNG *data* with words in it that nobody who draws it anew would keep."""
    body = b"Comment\0what a picture says of where it is from"
    chunk = struct.pack(">I", len(body)) + b"tEXt" + body
    return data[:-12] + chunk + struct.pack(">I", zlib.crc32(b"tEXt" + body)) + data[-12:]


def encoded(kind: str) -> bytes:
    """A picture of that *kind*, in Pillow's words."""
    from PIL import Image as Pillow

    out = io.BytesIO()
    Pillow.new("RGB", (16, 16), (90, 60, 30)).save(out, kind)
    return out.getvalue()


def scene(bench: Bench, given: tuple[bytes | None, ...], **also: Any) -> Bench:
    """*bench*, whose host has another scene."""
    bench.host.scene = Scene(pictures=list(given), **also)
    return bench


def texts(said: object) -> list[str]:
    """Every text in *said*, which is JSON."""
    match said:
        case str():
            return [said]
        case Mapping():
            return [text for one in said.values() for text in texts(one)]
        case list() | tuple():
            return [text for one in said for text in texts(one)]
    return []


def heard(bench: Bench) -> list[Reply]:
    """Where the host's answers are noted from now on."""
    replies: list[Reply] = []

    def note(asked: Asked, reply: Reply) -> Reply:
        replies.append(reply)
        return reply

    bench.host.bend = note
    return replies


def body_of(reply: Reply) -> bytes:
    """All of its body."""
    return b"".join(reply.pieces) if isinstance(reply, Streamed) else reply.body
