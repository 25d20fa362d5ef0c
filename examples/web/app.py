"""A page that shows a picture while it is made, and the answers behind it."""

import asyncio
import base64
import hashlib
import logging
import math
import os
import re
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from fastapi import Depends, FastAPI, Form, Header, HTTPException, Query, Request, UploadFile
from fastapi.exception_handlers import http_exception_handler
from fastapi.responses import FileResponse, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, Field

import imagekit

PAGE = Path(__file__).with_name("index.html")
LARGEST_UPLOAD = 20_000_000  # bytes
log = logging.getLogger("uvicorn.error")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, imagekit.AsyncClient]]:
    """One client for all requests. What costs money is settled here, never by who asks."""
    model = os.environ.get("PICTURE_MODEL")  # "provider:model"; without it, IMAGEKIT_PROVIDER says
    async with imagekit.AsyncClient(model=model, n=1, partial_images=3, deadline=300) as client:
        client.capabilities(model)  # an app that nobody set up had better not start
        yield {"client": client}


app = FastAPI(title="Pictures", lifespan=lifespan)
Prompt = Annotated[str, Field(min_length=1, max_length=4000)]


class Asked(BaseModel):
    """What a visitor may say."""

    prompt: Prompt
    size: Literal["1:1", "3:2", "2:3"] = "1:1"


class Made(BaseModel):
    """A finished picture, and what is known of it."""

    url: str
    media_type: str | None
    width: int | None
    height: int | None
    model: str | None
    seconds: float | None
    notices: list[str]

    @classmethod
    def of(cls, response: imagekit.ImageResponse) -> Self:
        """The picture of *response*; raises where there is none."""
        image = response.image
        return cls(
            url=image.to_data_url(),
            media_type=image.media_type,
            width=image.width,
            height=image.height,
            model=response.model,
            seconds=response.timing.total if response.timing else None,
            notices=[str(notice) for notice in response.notices],
        )


def ours(
    request: Request, sec_fetch_site: Annotated[str, Header()] = "none"
) -> imagekit.AsyncClient:
    """The client; not for the pages of other sites, which would spend our money."""
    if sec_fetch_site == "cross-site":
        raise HTTPException(403, "Another site may not ask for pictures here.")
    client: imagekit.AsyncClient = request.state.client
    return client


Client = Annotated[imagekit.AsyncClient, Depends(ours)]
Stream = imagekit.AsyncStream


@app.get("/")
async def page() -> FileResponse:
    """The page; what it shows comes from here, and no picture brings a script along."""
    policy = "; ".join(
        (
            "default-src 'none'",
            "img-src data:",
            "connect-src 'self' data:",
            "style-src 'unsafe-inline'",
            f"script-src 'sha256-{script()}'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )
    return FileResponse(PAGE, headers={"content-security-policy": policy})


@cache
def script() -> str:
    """The digest of the page's own script, the only one that runs."""
    text = re.search("<script[^>]*>(.*?)</script>", PAGE.read_text("utf-8"), re.S)
    assert text is not None
    return base64.b64encode(hashlib.sha256(text[1].encode()).digest()).decode()


@app.get("/image")
async def image(request: Request, client: Client, asked: Annotated[Asked, Query()]) -> Made:
    """A new picture as a data URL, and what is known of it."""
    call = client.generate(asked.prompt, size=asked.size)
    return Made.of(await unless_they_leave(request, call))


@app.get("/image-content")
async def content(request: Request, client: Client, asked: Annotated[Asked, Query()]) -> Response:
    """The bytes of a new picture."""
    call = client.generate(asked.prompt, size=asked.size)
    image = (await unless_they_leave(request, call)).image
    # Kept by nobody between: to ask again is to pay again. An SVG may hold scripts: none run.
    headers = {
        "cache-control": "no-store",
        "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
        "x-content-type-options": "nosniff",
    }
    return Response(image.read(), media_type=image.media_type, headers=headers)


async def unless_they_leave(
    request: Request, call: Coroutine[Any, Any, imagekit.ImageResponse]
) -> imagekit.ImageResponse:
    """What *call* comes to. When the browser leaves, it is ended: nobody waits for it."""

    async def leaving() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    making, gone = asyncio.create_task(call), asyncio.create_task(leaving())
    try:
        await asyncio.wait((making, gone), return_when=asyncio.FIRST_COMPLETED)
        if not making.done():
            raise HTTPException(499, "The browser left.")
        return making.result()
    finally:
        making.cancel()
        gone.cancel()


# A dependency owns the stream, so that it is closed when the answer ends, however it ends.
async def new(client: Client, asked: Annotated[Asked, Query()]) -> AsyncIterator[Stream]:
    """A picture on its way."""
    async with client.stream(asked.prompt, size=asked.size) as stream:
        yield stream


async def changed(
    client: Client, prompt: Annotated[Prompt, Form()], picture: UploadFile
) -> AsyncIterator[Stream]:
    """A change on its way."""
    if picture.size is None or picture.size > LARGEST_UPLOAD:
        raise HTTPException(413, "The picture is too large.")
    async with client.stream(prompt, images=[await picture.read()]) as stream:
        yield stream


@app.get("/stream", response_class=EventSourceResponse)
async def stream(stream: Annotated[Stream, Depends(new)]) -> AsyncIterator[ServerSentEvent]:
    """A new picture, seen being made: `preview`s, then `picture` or `problem`."""
    async for event in told(stream):
        yield event


@app.post("/edit", response_class=EventSourceResponse)
async def edit(stream: Annotated[Stream, Depends(changed)]) -> AsyncIterator[ServerSentEvent]:
    """A picture that is sent here, changed; the events are those of `/stream`."""
    async for event in told(stream):
        yield event


async def told(stream: Stream) -> AsyncIterator[ServerSentEvent]:
    """The events of a call as a page wants them."""
    try:
        async for event in stream:
            match event:
                case imagekit.PartialImage():
                    data = {"url": event.image.to_data_url(), "step": event.step}
                    yield ServerSentEvent(event="preview", data=data)
                case imagekit.Completed():
                    yield ServerSentEvent(event="picture", data=Made.of(event.response))
    except imagekit.ImagekitError as error:
        said = problem(error)
        data = {"status": said.status_code, "detail": said.detail}
        yield ServerSentEvent(event="problem", data=data)


def problem(error: imagekit.ImagekitError) -> HTTPException:
    """What a visitor hears of *error*; the log has all of it."""
    log.warning("no picture: %s: %s (billed: %s)", type(error).__name__, error, error.billed)
    wait = {"retry-after": str(math.ceil(error.retry_after))} if error.retry_after else None
    match error:
        case imagekit.RequestError() | imagekit.ContentRejectedError():
            return HTTPException(400, str(error))
        case imagekit.InvalidRequestError():
            return HTTPException(400, str(error))
        case imagekit.RateLimitError():
            return HTTPException(429, "Too many pictures at once; try again soon.", wait)
        case imagekit.ProviderUnavailableError() | imagekit.ConnectionFailedError():
            return HTTPException(503, "Nobody can make pictures just now.", wait)
        case imagekit.DeadlineExceededError():
            return HTTPException(504, "The picture took too long.")
    return HTTPException(502, "The picture could not be made.")


@app.exception_handler(imagekit.ImagekitError)
async def failed(request: Request, error: imagekit.ImagekitError) -> Response:
    """What is raised before an answer begins has a status of its own."""
    return await http_exception_handler(request, problem(error))
