"""Good providers of each kind and their host, and the form in which broken ones are told.

The broken ones of `broken_asking` and `broken_answers` are these with one thing wrong.
"""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar
from urllib.parse import quote

from pydantic import BaseModel

import imagekit
from imagekit import (
    Image,
    ImageFailure,
    ImageReady,
    ImageRequest,
    ImageResponse,
    PartialImage,
    State,
    Usage,
    UsageItem,
)
from imagekit.provider import (
    Capabilities,
    Config,
    Effects,
    Endpoint,
    Flow,
    HttpRequest,
    HttpResponse,
    SizeRule,
    Verdict,
    bearer,
    call,
    checkpoint,
    emit,
    hookimpl,
    open_stream,
    options,
    receive,
    retry_after,
    send,
    settings,
    sleep,
)
from imagekit.testing import Asked, Host, ProviderSuite, Reply, Scene, Streamed

ERRORS: Mapping[str, type[imagekit.ProviderError]] = {
    "authentication": imagekit.AuthenticationError,
    "permission": imagekit.PermissionDeniedError,
    "rate_limit": imagekit.RateLimitError,
    "quota": imagekit.QuotaExceededError,
    "invalid": imagekit.InvalidRequestError,
    "moderation": imagekit.ContentRejectedError,
    "unavailable": imagekit.ProviderUnavailableError,
}


@dataclass(frozen=True)
class Broken:
    """A provider with something wrong: its name says what, *fails* which tests must find it."""

    name: str
    suite: type[ProviderSuite]
    fails: frozenset[str]


def broken(
    name: str,
    *fails: str,
    of: type[ProviderSuite],
    provider: type[Any] | None = None,
    **also: Any,
) -> Broken:
    """A suite as *of*, for another *provider*; *also* attributes of the suite."""
    said = dict(also)
    if provider is not None:
        said["plugin"] = Plugin(provider)
    suite = type(f"Broken{name.title().replace(' ', '')}", (of,), said)
    return Broken(name, suite, frozenset(f"test_{one}" for one in fails))


class Plugin:
    """The plugin of one of them."""

    def __init__(self, kind: type[Any]) -> None:
        self._kind = kind

    @hookimpl
    def imagekit_provider(self, config: Config) -> Any:
        return self._kind(config)


class Options(BaseModel):
    """What only these providers know."""

    steps: int | None = None
    style: str | None = None


class Settings(BaseModel):
    """They need none."""


class Good:
    """A provider whose host speaks JSON: generates, edits, varies, and takes a mask."""

    able: ClassVar[Capabilities] = Capabilities(
        model="good-1",
        operations=frozenset({"generate", "edit", "variation"}),
        max_images=2,
        max_inputs=3,
        inputs=frozenset({"bytes", "url"}),
        mask="white",
        max_prompt=2000,
        size=SizeRule(multiple=8, low_edge=16, high_edge=512),
        parameters={
            "seed": "yes",
            "quality": imagekit.Allowed(values=("low", "high")),
            "output_format": imagekit.Allowed(values=("png", "jpeg", "webp")),
            "output_compression": imagekit.Allowed(low=0, high=100),
            "background": "no",
            "negative_prompt": "no",
            "moderation": "no",
            "partial_images": "no",
            "user": "yes",
        },
        options={"steps": imagekit.Allowed(low=1, high=50), "style": "yes"},
        source="the good host's page",
        as_of=date(2026, 11, 20),
    )

    def __init__(self, config: Config) -> None:
        settings(config, Settings)
        self.name = config.name
        self.endpoint = Endpoint(config.base_url or "https://good.test/v1", bearer(config.api_key))

    def capabilities(self, model: str | None) -> Capabilities:
        return self.able.model_copy(update={"model": model or self.able.model})

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        answer = yield from send(self.asking(request, stream=False))
        return self.read(answer)

    # What is asked.

    def asking(self, request: ImageRequest, *, stream: bool) -> HttpRequest:
        return HttpRequest("POST", self.path(request), json=self.wanted(request, stream=stream))

    def path(self, request: ImageRequest) -> str:
        return "/pictures"

    def wanted(self, request: ImageRequest, *, stream: bool) -> dict[str, Any]:
        said: dict[str, Any] = {
            "model": request.model or self.able.model,
            "prompt": request.prompt,
            "n": request.n,
            "size": request.size,
            "stream": stream or None,
            "images": [self.picture(one) for one in request.images],
            "mask": None if request.mask is None else self.picture(request.mask.image),
            "earlier": self.earlier(request.state),
            **self.parameters(request),
            **options(request, Options).model_dump(),
        }
        return {name: value for name, value in said.items() if value not in (None, [])}

    def parameters(self, request: ImageRequest) -> dict[str, Any]:
        names = [name for name, known in self.able.parameters.items() if known != "no"]
        return {name: getattr(request, name) for name in names}

    def picture(self, given: imagekit.ImageInput) -> str | None:
        return given.url or spelt(given.data or b"")

    def earlier(self, state: State | None) -> Any:
        if state is None:
            return None
        if state.provider != self.name:
            raise imagekit.RequestError(
                f"the state is {state.provider}'s, and only it can continue it"
            )
        return state.payload["id"]

    # What is answered.

    def read(self, answer: HttpResponse) -> ImageResponse:
        if not answer.ok:
            raise self.refusal(answer)
        return self.told(self.mapping(answer.json()))

    def mapping(self, said: Any) -> Mapping[str, Any]:
        if not isinstance(said, dict):
            raise imagekit.ProtocolError("the good host answered no object")
        return said

    def told(self, said: Mapping[str, Any]) -> ImageResponse:
        pictures = said.get("pictures")
        if not isinstance(pictures, list):
            raise imagekit.ProtocolError("the good host answered no list of pictures")
        return self.response(said, [self.slot(self.mapping(one)) for one in pictures])

    def response(self, said: Mapping[str, Any], slots: list[Image | ImageFailure]) -> ImageResponse:
        id, model, usage = said.get("id"), said.get("model"), said.get("usage")
        if not isinstance(id, str) or not isinstance(model, str) or type(usage) is not int:
            raise imagekit.ProtocolError("the good host answered something else than it says")
        return ImageResponse(
            slots=tuple(slots),
            model=model,
            usage=self.usage(usage),
            state=self.state(id),
            request_ids=(id,),
        )

    def usage(self, tokens: int) -> Usage:
        if tokens < 0:
            raise imagekit.ProtocolError("the good host counts below zero")
        return Usage(items=(UsageItem(quantity=tokens, direction="output"),))

    def state(self, id: str) -> State:
        return State(provider=self.name, payload={"id": id})

    def slot(self, said: Mapping[str, Any]) -> Image | ImageFailure:
        data, url = said.get("b64"), said.get("url")
        if isinstance(said.get("refused"), str):
            return self.failure(said["refused"])
        if isinstance(url, str) and url.startswith("https://"):
            return self.addressed(url)
        return self.decoded(data)

    def failure(self, why: str) -> ImageFailure:
        return ImageFailure(kind="refused", reason=why, stage="output", billed="no")

    def addressed(self, url: str) -> Image:
        return Image(url=url)

    def decoded(self, data: object) -> Image:
        try:
            return Image(data=base64.b64decode(data, validate=True))  # type: ignore[arg-type]
        except (ValueError, TypeError) as error:
            raise imagekit.ProtocolError("the good host's picture is no base64") from error

    def refusal(self, answer: HttpResponse) -> imagekit.ProviderError:
        code, message = self.words(answer)
        return self.kind(code)(
            message,
            status=answer.status,
            code=code,
            retry_after=retry_after(answer.headers),
        )

    def kind(self, code: str | None) -> type[imagekit.ProviderError]:
        return ERRORS.get(code or "", imagekit.ProviderError)

    def words(self, answer: HttpResponse) -> tuple[str | None, str]:
        try:
            error = answer.json()["error"]
            code, message = error["code"], error["message"]
        except (imagekit.ProtocolError, LookupError, TypeError):
            code, message = None, None
        if not isinstance(code, str) or not isinstance(message, str):
            return None, f"the good host answered {answer.status}: {answer.text[:200]}"
        return code, message

    def judge(self, answer: HttpResponse) -> Verdict | None:
        return Verdict.REJECTED if self.words(answer)[0] == "quota" else None


class Streaming(Good):
    """The same, which streams: server-sent events, with previews."""

    able: ClassVar[Capabilities] = Good.able.model_copy(
        update={
            "streaming": True,
            "parameters": {
                **Good.able.parameters,
                "partial_images": imagekit.Allowed(low=0, high=3),
            },
        }
    )

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        if not stream:
            return (yield from super().flow(request, stream=False))
        answer = yield from open_stream(self.asking(request, stream=True))
        if not answer.streamed:
            return self.read(answer)
        return (yield from self.streamed(answer))

    def streamed(self, answer: HttpResponse) -> Flow:
        slots: list[Image | ImageFailure] = []
        while (event := (yield from self.next_event())) is not None:
            if event.event == "error":
                raise self.refusal(HttpResponse(answer.status, {}, event.data.encode()))
            if event.event == "preview":
                yield from self.preview(self.mapping(event.json()), len(slots))
            elif event.event == "picture":
                slots.append(self.slot(self.mapping(event.json())))
                yield from self.ready(len(slots) - 1, slots[-1])
            elif event.event == "end":
                return self.response(self.mapping(event.json()), slots)
            else:
                self.other(event.event)
        return (yield from self.cut(slots))

    def next_event(self) -> Effects[Any]:
        return (yield from receive())

    def other(self, name: str) -> None:
        """What is not known is passed over."""

    def preview(self, said: Mapping[str, Any], index: int) -> Effects[None]:
        yield from emit(PartialImage(index=index, image=self.decoded(said.get("b64"))))

    def ready(self, index: int, slot: Image | ImageFailure) -> Effects[None]:
        if isinstance(slot, Image):
            yield from emit(ImageReady(index=index, image=slot))
        else:
            yield from emit(imagekit.ImageFailed(index=index, failure=slot))

    def cut(self, slots: list[Image | ImageFailure]) -> Flow:
        raise imagekit.TruncatedStreamError("the good host's stream ended before its end")
        yield


class Queue(Good):
    """A provider of jobs: submit, look until it is done."""

    able: ClassVar[Capabilities] = Good.able.model_copy(
        update={"detaches": True, "max_images": 1, "mask": None, "inputs": frozenset({"bytes"})}
    )

    def path(self, request: ImageRequest) -> str:
        return "/jobs"

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        answer = yield from send(self.asking(request, stream=False))
        if not answer.ok:
            raise self.refusal(answer)
        handle = self.handle(self.id_of(answer))
        yield from checkpoint(handle)
        return (yield from self.resume(handle))

    def id_of(self, answer: HttpResponse) -> str:
        id = self.mapping(answer.json()).get("id")
        if not isinstance(id, str):
            raise imagekit.ProtocolError("the good host gave no id of the job")
        return id

    def handle(self, id: str) -> dict[str, Any]:
        return {"id": id}

    def job(self, handle: Mapping[str, Any]) -> str:
        id = handle.get("id")
        if not isinstance(id, str) or not id or id in (".", ".."):
            raise imagekit.RequestError("this is no handle of the good host's")
        return f"/jobs/{quote(id, safe='')}"

    def resume(self, handle: Mapping[str, Any]) -> Flow:
        while True:
            answer = yield from self.look(handle)
            if not answer.ok:
                raise self.refusal(answer)
            said = self.mapping(answer.json())
            if said.get("status") == "done":
                return self.told(said)
            if said.get("status") != "pending":
                raise imagekit.ProtocolError("the good host does not say how the job is")
            yield from self.wait()

    def wait(self) -> Effects[None]:
        yield from sleep(0.01)

    def look(self, handle: Mapping[str, Any]) -> Effects[HttpResponse]:
        return (yield from send(HttpRequest("GET", self.job(handle))))

    def cancel(self, handle: Mapping[str, Any]) -> Effects[None]:
        answer = yield from send(HttpRequest("DELETE", self.job(handle)))
        if not answer.ok:
            raise self.refusal(answer)


class Inside:
    """An engine in this process; the host stands for it."""

    endpoint = None
    able: ClassVar[Capabilities] = Capabilities(
        model="inside-1",
        operations=frozenset({"generate", "edit"}),
        max_images=1,
        max_inputs=1,
        streaming=True,
        parameters={
            "seed": "yes",
            "quality": "no",
            "background": "no",
            "negative_prompt": "no",
            "output_format": "no",
            "output_compression": "no",
            "moderation": "no",
            "partial_images": imagekit.Allowed(low=0, high=3),
            "user": "no",
        },
        options={"steps": imagekit.Allowed(low=1, high=50)},
        source="this package",
        as_of=date(2026, 11, 20),
    )

    class Options(BaseModel):
        steps: int | None = None

    class Settings(BaseModel):
        engine: Any

    def __init__(self, config: Config) -> None:
        self.name = config.name
        self.engine: Any = settings(config, self.Settings).engine

    def capabilities(self, model: str | None) -> Capabilities:
        return self.able.model_copy(update={"model": model or self.able.model})

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        if request.state is not None:
            raise imagekit.UnsupportedRequestError("the engine keeps nothing to continue")
        said = options(request, self.Options)
        previews = (request.partial_images or 0) if stream else 0
        wanted = {
            "model": request.model or self.able.model,
            "prompt": request.prompt,
            "size": request.size,
            "seed": request.seed,
            "images": [one.data for one in request.images],
            "steps": said.steps,
            "previews": previews or None,
        }
        drawn = yield from call(
            lambda: self.engine.draw({k: v for k, v in wanted.items() if v not in (None, [])})
        )
        for step, preview in enumerate(drawn[:-1]):
            yield from emit(PartialImage(index=0, step=step, image=Image(data=preview)))
        return self.done(drawn)

    def done(self, drawn: list[bytes | None]) -> ImageResponse:
        if drawn[-1] is None:
            raise imagekit.ContentRejectedError("the engine refuses", stage="output")
        return ImageResponse(slots=(Image(data=drawn[-1]),), model=self.able.model)


class GoodHost(Host):
    """The other side of `Good`, `Streaming` and `Queue`."""

    partly = True
    urls = True

    def __init__(self) -> None:
        super().__init__()
        self._ids = itertools.count(1)
        self._jobs: dict[str, Any] = {}

    def answer(self, asked: Asked, scene: Scene) -> Reply:
        if asked.method == "HEAD":
            return said({"id": asked.path.rpartition("/")[2]})
        if asked.method == "GET":
            return self.looked(asked, scene)
        if asked.method == "DELETE":
            return said({}) if asked.path.rpartition("/")[2] in self._jobs else gone()
        wanted = asked.json()
        id = f"answer-{next(self._ids)}"
        if asked.path.endswith("/jobs"):
            self._jobs[id] = wanted
            return said({"id": id, "status": "pending"}, 202)
        if wanted.get("stream"):
            return self.streamed(id, wanted, scene)
        return said({**self.about(id, wanted), "pictures": self.given(scene, wanted["n"])})

    def looked(self, asked: Asked, scene: Scene) -> Reply:
        id = asked.path.rpartition("/")[2]
        if id not in self._jobs:
            return gone()
        if not scene.done():
            return said({"id": id, "status": "pending"})
        about = self.about(id, self._jobs[id])
        return said({**about, "status": "done", "pictures": self.given(scene, 1)})

    def about(self, id: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
        return {"id": id, "model": wanted["model"], "usage": 7 * wanted["n"]}

    def given(self, scene: Scene, count: int) -> list[dict[str, Any]]:
        return [self.one(picture, scene) for picture in scene.take(count)]

    def one(self, picture: bytes | None, scene: Scene) -> dict[str, Any]:
        if picture is None:
            return {"refused": "the picture is against the rules"}
        if scene.by_url:
            return {"url": self.shelve(picture)}
        return {"b64": spelt(picture)}

    def streamed(self, id: str, wanted: Mapping[str, Any], scene: Scene) -> Reply:
        pieces = []
        for index, one in enumerate(self.given(scene, wanted["n"])):
            shown = [scene.preview(index, step) for step in range(scene.previews)]
            pieces += [event("preview", {"b64": spelt(preview)}) for preview in shown]
            pieces.append(event("picture", one))
        pieces.append(event("end", self.about(id, wanted)))
        return Streamed(tuple(pieces), {"content-type": "text/event-stream"})


class Engine(Host):
    """What `Inside` calls."""

    absent: ClassVar[Mapping[str, str]] = dict.fromkeys(
        (
            "authentication",
            "permission",
            "rate_limit",
            "quota",
            "invalid",
            "unavailable",
        ),
        "an engine in this process knows no such thing",
    )

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"engine": self}

    def draw(self, wanted: Mapping[str, Any]) -> list[bytes | None]:
        self.note("draw", **wanted)
        if self.scene.trouble is not None:
            return [None]
        previews = [self.scene.preview(0, step) for step in range(wanted.get("previews", 0))]
        return [*previews, *self.scene.take()]


def spelt(data: bytes) -> str:
    return base64.b64encode(data).decode()


def said(body: object, status: int = 200) -> HttpResponse:
    return HttpResponse(status, {"content-type": "application/json"}, json.dumps(body).encode())


def gone() -> HttpResponse:
    return said({"error": {"code": "gone", "message": "there is no such job"}}, 404)


def event(name: str, data: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


class WholeSuite(ProviderSuite):
    """One JSON answer."""

    plugin = Plugin(Good)
    provider = "good"
    host = GoodHost


class StreamingSuite(WholeSuite):
    """Events, where a stream is asked."""

    plugin = Plugin(Streaming)


class QueueSuite(WholeSuite):
    """A job, looked at."""

    plugin = Plugin(Queue)


class InsideSuite(ProviderSuite):
    """An engine in this process."""

    plugin = Plugin(Inside)
    provider = "inside"
    host = Engine


GOOD: Mapping[str, type[ProviderSuite]] = {
    "whole": WholeSuite,
    "streaming": StreamingSuite,
    "queue": QueueSuite,
    "inside": InsideSuite,
}
