"""A provider that goes on by itself, as its options say, for the command line's tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import imagekit
from imagekit import ModelInfo, Moderation, StoredFile
from imagekit.provider import (
    Capabilities,
    Config,
    Endpoint,
    checkpoint,
    emit,
    hookimpl,
    notice,
    sleep,
)
from toys import picture

# What came about in this process: what was done to each job, in order.
DONE: list[tuple[str, Any]] = []


class Desk:
    """Works in this process; each job is in its own handle."""

    endpoint: Endpoint | None = None
    name = "desk"

    def capabilities(self, model: str | None) -> Capabilities:
        return Capabilities(
            model=model or "desk-1",
            operations=frozenset({"generate", "edit", "variation"}),
            detaches=True,
            streaming=True,
            max_images=2,
        )

    def flow(self, request: imagekit.ImageRequest, *, stream: bool) -> Any:
        said = dict(request.options.get("desk", {}))
        DONE.append(("asked", request))
        if said.pop("refused", None):
            yield from sleep(0)
            raise imagekit.ContentRejectedError("not that", billed="no")
        if said.get("half") and request.seed == 3:
            raise imagekit.ProviderError("out of paint", billed="no")
        if said.get("stops") and request.seed == 3:
            raise KeyboardInterrupt
        yield from notice(imagekit.Notice(kind="other", feature="price", detail="half of it"))
        handle = {"n": request.n, "shade": request.seed or 0, **said}
        if request.detach:
            yield from checkpoint(handle)
        return (yield from self.resume(handle))

    def resume(self, handle: Mapping[str, Any]) -> Any:
        DONE.append(("resume", dict(handle)))
        if "gate" in handle and not Path(handle["gate"]).exists():
            if handle.get("breaks"):
                raise imagekit.TransportError("the line broke")
            if handle.get("interrupt"):
                yield from emit(imagekit.Queued(position=2))
                raise KeyboardInterrupt
            while not Path(handle["gate"]).exists():
                yield from emit(imagekit.Queued(position=2))
                yield from sleep(0.02)
        shade = int(handle["shade"])
        slots = tuple(
            imagekit.Image(data=picture(shade + place, 4, 2)) for place in range(handle["n"])
        )
        state = imagekit.State(provider="desk", payload={"turn": 1})
        return imagekit.ImageResponse(slots=slots, model="desk-1", state=state)

    def cancel(self, handle: Mapping[str, Any]) -> Any:
        DONE.append(("cancel", dict(handle)))
        yield from sleep(0)

    def delete(self, handle: Mapping[str, Any]) -> Any:
        DONE.append(("delete", dict(handle)))
        yield from sleep(0)

    def batch(self, requests: Sequence[imagekit.ImageRequest]) -> Any:
        DONE.append(("batch", tuple(requests)))
        yield from notice(imagekit.Notice(kind="other", feature="price", detail="half of it"))
        handle = {"n": sum(one.n for one in requests), "shade": 0}
        yield from checkpoint(handle)
        return (yield from self.resume(handle))

    def upload(self, request: imagekit.ImageRequest) -> Any:
        DONE.append(("upload", request.images[0]))
        yield from sleep(0)
        size = len(request.images[0].data or b"")
        return StoredFile(id="file-1", name=request.images[0].filename, size=size)

    def list_files(self) -> Any:
        yield from sleep(0)
        until = datetime(2026, 11, 21, 12, tzinfo=UTC)
        kept = StoredFile(id="file-1", name="cat.png", size=12_345, purpose="vision")
        return [kept, StoredFile(id="file-2", expires_at=until)]

    def list_models(self) -> Any:
        yield from sleep(0)
        since = datetime(2026, 4, 21, tzinfo=UTC)
        first = ModelInfo(id="desk-1", owner="desks", created=since)
        return [ModelInfo(id="desk-2", shuts_down=date(2026, 12, 1)), first]

    def moderate(self, request: imagekit.ImageRequest) -> Any:
        DONE.append(("moderate", request))
        yield from sleep(0)
        if "mud" not in (request.prompt or ""):
            return Moderation(flagged=False)
        return Moderation(flagged=True, categories=("mud", "rust"), scores={"mud": 0.875})


class Plain:
    """Does nothing beside."""

    endpoint = None

    def capabilities(self, model: str | None) -> Capabilities:
        return Capabilities()

    def flow(self, request: imagekit.ImageRequest, *, stream: bool) -> Any:
        yield from sleep(0)
        return imagekit.ImageResponse(slots=())


class Broken(Plain):
    def list_models(self) -> Any:
        yield from sleep(0)
        raise imagekit.AuthenticationError("who are you?")


class Plugin:
    def __init__(self, made: Any) -> None:
        self.made = made

    @hookimpl
    def imagekit_provider(self, config: Config) -> Any:
        DONE.append(("config", config))
        return self.made()


desk, plain, broken = Plugin(Desk), Plugin(Plain), Plugin(Broken)


def install(site: Path) -> Path:
    """A folder that holds them as an installed distribution."""
    folder = site / "desk_kit-1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: desk-kit\nVersion: 1.0\n")
    points = "".join(f"{name} = cli_desk:{name}\n" for name in ("desk", "plain", "broken"))
    (folder / "entry_points.txt").write_text(f"[imagekit.providers]\n{points}")
    return site
