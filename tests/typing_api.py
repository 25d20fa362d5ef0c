"""Checked by mypy and never run: the types that callers see."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import assert_never, assert_type

import imagekit
import imagekit_openai
from imagekit import (
    AsyncClient,
    AsyncStream,
    Capabilities,
    Client,
    Completed,
    Image,
    ImageEvent,
    ImageFailed,
    ImageFailure,
    ImageReady,
    ImageRequest,
    ImageResponse,
    Mask,
    Noticed,
    PartialImage,
    Progress,
    ProviderFile,
    Queued,
    Stream,
    Text,
)
from imagekit._fields import Background, OutputFormat, Quality, Size

request = ImageRequest(prompt="an otter", n=2, size="16:9@2K")
image = Image(data=b"")
mask = Mask("hat.png", edit_where="transparent")


def module_level_verbs() -> None:
    assert_type(imagekit.generate("an otter"), ImageResponse)
    assert_type(imagekit.edit("a hat", image), ImageResponse)
    assert_type(imagekit.vary(image), ImageResponse)
    assert_type(imagekit.run(request), ImageResponse)
    assert_type(imagekit.stream("an otter"), Stream)
    assert_type(imagekit.open_image("an otter"), imagekit.ImageFile)
    assert_type(imagekit.fetch(image), Image)
    assert_type(imagekit.capabilities(), Capabilities)
    assert_type(imagekit.providers(), tuple[str, ...])


def blocking(client: Client) -> None:
    assert_type(client.generate("an otter"), ImageResponse)
    assert_type(client.edit("a hat", ["otter.png", b"", image, ProviderFile("a")]), ImageResponse)
    assert_type(client.vary(Path("otter.png")), ImageResponse)
    assert_type(client.run(request, provider="toy", deadline=5), ImageResponse)
    assert_type(client.open_image("an otter"), imagekit.ImageFile)
    assert_type(client.fetch(image, into="otter.png"), Image)
    client.generate("an otter", into=Path("otter-{n}.png"), overwrite=True)
    client.run(request, into="otter.png")
    client.resume("{}", into="otter.png")
    assert_type(image.path, Path | None)
    assert_type(image.data, bytes | None)
    with client.stream(request) as stream:
        assert_type(stream, Stream)
        for event in stream:
            by_kind(event)
        assert_type(stream.response, ImageResponse)
        assert_type(stream.finish(), ImageResponse)


async def asynchronous(client: AsyncClient) -> None:
    assert_type(await client.generate("an otter"), ImageResponse)
    assert_type(await client.edit("a hat", image, mask=mask), ImageResponse)
    assert_type(await client.vary(image), ImageResponse)
    assert_type(await client.run(request), ImageResponse)
    assert_type(await client.open_image("an otter"), imagekit.ImageFile)
    assert_type(await client.fetch(image), Image)
    async with client.stream("an otter", images=image) as stream:
        assert_type(stream, AsyncStream)
        async for event in stream:
            by_class(event)
        assert_type(await stream.finish(), ImageResponse)


def by_kind(event: ImageEvent) -> None:
    if event.kind == "queued":
        assert_type(event, Queued)
    elif event.kind == "progress":
        assert_type(event, Progress)
    elif event.kind == "text":
        assert_type(event, Text)
    elif event.kind == "partial-image":
        assert_type(event, PartialImage)
    elif event.kind == "image-ready":
        assert_type(event, ImageReady)
    elif event.kind == "image-failed":
        assert_type(event, ImageFailed)
    elif event.kind == "noticed":
        assert_type(event, Noticed)
    elif event.kind == "completed":
        assert_type(event.response, ImageResponse)
    else:
        assert_never(event)


def by_class(event: ImageEvent) -> Image | None:
    match event:
        case PartialImage(image=shown) | ImageReady(image=shown):
            return shown
        case ImageFailed(failure=failure):
            assert_type(failure, ImageFailure)
        case Queued() | Progress() | Text() | Noticed():
            pass
        case Completed(response=response):
            return response.image
        case _ as never:
            assert_never(never)
    return None


def forgetting_one(event: ImageEvent) -> None:
    match event:
        case PartialImage() | ImageReady() | ImageFailed() | Noticed() | Completed():
            pass
        case Queued() | Progress():
            pass
        case _ as never:
            assert_never(never)  # type: ignore[arg-type]  # Text


def answers(response: ImageResponse) -> None:
    assert_type(response.image, Image)
    assert_type(response.images, tuple[Image, ...])
    assert_type(response[0], Image)
    assert_type([one for one in response], list[Image])  # noqa: C416
    for slot in response.slots:
        assert_type(slot, Image | ImageFailure)
    if response.cost is not None:
        assert_type(response.cost.amount, Decimal)
    assert_type(response.image.save("otter.png"), Path)


def known_values(client: Client) -> None:
    size: Size = "1536x1024"
    quality: Quality = "high"
    background: Background = "transparent"
    output_format: OutputFormat = "webp"
    client.generate("a", size=size, quality=quality, background=background)
    client.generate("a", output_format=output_format, model="a model of tomorrow")
    model: imagekit_openai.ImageModel = "gpt-image-2.6-flare"
    known: imagekit_openai.Quality = imagekit_openai.QUALITIES[-1]
    client.generate("a", model=model, quality=known)
    assert_type(imagekit_openai.SIZES, tuple[imagekit_openai.Size, ...])


def new_values(client: Client, said: str) -> None:
    client.generate("a", size="1600x900", quality="ultra", background="plaid", output_format="avif")
    client.generate("a", size=said, quality=said, background=said, output_format=said)
    client.generate("a", size=(1600, 900))
    imagekit.configure(size="21:9@4K", quality="ultra", output_format="avif")
    ImageRequest(prompt="a", background="plaid", quality="ultra", output_format="avif")


def mistakes(client: Client) -> None:
    client.generate("an otter", sise="16:9")  # type: ignore[call-arg]
    client.generate("an otter", n="2")  # type: ignore[arg-type]
    client.generate("an otter", quality=2)  # type: ignore[arg-type]
    models: list[imagekit_openai.ImageModel] = []
    models.append("gpt-image-2.6-flair")  # type: ignore[arg-type]
    client.generate("an otter", mask=mask)  # type: ignore[call-arg]
    client.generate("an otter", unsupported="shrug")  # type: ignore[arg-type]
    client.generate("an otter", "toy")  # type: ignore[call-arg]
    client.edit("a hat")  # type: ignore[call-arg]
    client.run(request, n=2)  # type: ignore[call-arg]
    imagekit.generate("an otter", modle="toy-1")  # type: ignore[call-arg]
    Client(provider="toy", deadlin=5)  # type: ignore[call-arg]
    Mask("hat.png")  # type: ignore[call-arg]
    Mask("hat.png", edit_where="grey")  # type: ignore[arg-type]
