"""Providers that cost money, cannot be had, or ask beforehand, for the command line's tests."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import imagekit
from imagekit import ImageRequest, ImageResponse, Price, Prices
from imagekit.provider import (
    Capabilities,
    Config,
    Endpoint,
    HttpRequest,
    checkpoint,
    hookimpl,
    send,
    sleep,
)
from toys import decoded, picture

# Whom the pictures were asked of, and how.
ASKED: list[tuple[str, ImageRequest]] = []


class Shop:
    """Works in this process, one picture a call, each for 4 cents; its options say how it ends."""

    endpoint: Endpoint | None = None
    name = "shop"

    def capabilities(self, model: str | None) -> Capabilities:
        price = Price(unit="image", amount=Decimal("0.04"))
        return Capabilities(
            model=model or f"{self.name}-1",
            operations=frozenset({"generate", "edit", "variation"}),
            max_images=1,
            mask="white",
            detaches=True,
            prices=Prices(items=(price,), source="the till", as_of=date(2026, 11, 20)),
        )

    def flow(self, request: ImageRequest, *, stream: bool) -> Any:
        ASKED.append((self.name, request))
        said: Any = request.options.get(self.name, {})
        yield from sleep(0)
        if "raise" in said:
            raise getattr(imagekit, said["raise"])("sold out", billed=said.get("billed", "no"))
        if "folder" in said and Path(said["folder"]).is_dir():
            Path(said["folder"]).rename("gone")
        if request.detach:
            yield from checkpoint({"shade": 3})
        shade, width = said.get("shade", len(ASKED)), said.get("width", 4)
        return (yield from self.resume({"shade": shade, "width": width}))

    def resume(self, handle: Any) -> Any:
        yield from sleep(0)
        width = int(handle.get("width", 4))
        image = imagekit.Image(data=picture(int(handle["shade"]), width, width // 2))
        return ImageResponse(slots=(image,), request_ids=("shop-7",))

    def batch(self, requests: Any) -> Any:
        ASKED.append((self.name, requests[0]))
        yield from checkpoint({"shade": 3})
        return (yield from self.resume({"shade": 3}))


class Closed(Shop):
    name = "closed"

    def flow(self, request: ImageRequest, *, stream: bool) -> Any:
        ASKED.append((self.name, request))
        yield from sleep(0)
        raise imagekit.ProviderUnavailableError("come back tomorrow", status=503, billed="no")


class Vague(Shop):
    """Nobody knows its prices."""

    name = "vague"

    def capabilities(self, model: str | None) -> Capabilities:
        return super().capabilities(model).model_copy(update={"prices": None})


class Asking(Vague):
    """Asks something first, and decides by the answer."""

    name = "asking"
    endpoint = Endpoint("https://shop.example")

    def flow(self, request: ImageRequest, *, stream: bool) -> Any:
        first = HttpRequest("GET", "/models", headers={"x-shop": "1"})
        yield from send(first)
        answer = yield from send(HttpRequest("POST", "/pictures", json={}))
        return decoded(answer.json())


class Plugin:
    def __init__(self, made: Any) -> None:
        self.made = made

    @hookimpl
    def imagekit_provider(self, config: Config) -> Any:
        return self.made()


shop, closed, vague, asking = Plugin(Shop), Plugin(Closed), Plugin(Vague), Plugin(Asking)


def install(site: Path) -> Path:
    """A folder that holds them as an installed distribution."""
    folder = site / "shop_kit-1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: shop-kit\nVersion: 1.0\n")
    names = ("shop", "closed", "vague", "asking")
    points = "".join(f"{name} = cli_shop:{name}\n" for name in names)
    (folder / "entry_points.txt").write_text(f"[imagekit.providers]\n{points}")
    return site
