"""A plugin as of contract 1: it uses every name of the door and every hook. It is never changed."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from imagekit import Image, ImageRequest, ImageResponse, ModelInfo, Notice, Progress, RequestError
from imagekit.provider import (
    CONTRACT,
    Allowed,
    Blob,
    Call,
    CallInfo,
    Cancels,
    Capabilities,
    Checkpoint,
    Config,
    Effect,
    Effects,
    Emit,
    Endpoint,
    EventDecoder,
    Expected,
    Flow,
    Framing,
    Gather,
    HttpRequest,
    HttpResponse,
    Judges,
    Key,
    Lifecycle,
    MediaFacts,
    Open,
    Operation,
    Part,
    Price,
    Prices,
    Provider,
    Receive,
    Resumes,
    Send,
    ServerSentEvent,
    SizeRule,
    Sleep,
    Source,
    Support,
    Tables,
    Verdict,
    bearer,
    blob,
    call,
    checkpoint,
    credential,
    emit,
    extension,
    facts,
    gather,
    hookimpl,
    merged,
    notice,
    open_stream,
    options,
    rate_limits,
    receive,
    receive_line,
    receive_piece,
    retry_after,
    seconds,
    send,
    settings,
    sleep,
    split,
    tables,
    transform,
)

imagekit_contract = 1
USED: list[str] = []

# What only stands in annotations, or is made by somebody else.
KINDS = (Cancels, Effect, Effects, Flow, Judges, Operation, Provider, Resumes, Support, Framing)


class Settings(BaseModel):
    region: str = "north"


class Options(BaseModel):
    steps: int = 20


class Answer(BaseModel):
    picture: Blob


class Easel:
    """Uses all that a provider may."""

    family = "easels"
    models = ("easel-1",)

    def __init__(self, config: Config) -> None:
        self.key: Key | None = config.api_key or config.env.get("EASEL_KEY")
        self.region = settings(config, Settings).region
        self.endpoint = Endpoint(
            config.base_url or "https://easel.example/v1",
            self._authorized if self.region == "south" else bearer(self.key),
            None if self.key else "no key: set EASEL_KEY",
        )

    def _authorized(self, request: HttpRequest) -> Effects[Mapping[str, str]]:
        return {"x-key": (yield from credential(self.key)) or ""}

    def capabilities(self, model: str | None) -> Capabilities:
        known: Mapping[str, Support] = {"seed": "yes", "quality": Allowed(values=("low", "high"))}
        return Capabilities(
            model=model or "easel-1",
            operations=frozenset({"generate", "edit"}),
            parameters=known,
            max_images=1,
            streaming=True,
            detaches=True,
            inputs=frozenset({"bytes"}),
            max_inputs=2,
            mask="white",
            size=SizeRule(sizes=("64x64",)),
            lifecycle=Lifecycle(),
            prices=Prices(),
            source="nowhere",
        )

    def flow(self, request: ImageRequest, *, stream: bool) -> Flow:
        steps = options(request, Options).steps
        yield from notice(Notice(kind="other", feature="steps", detail=str(steps)))
        yield from emit(Progress(step=1, total=steps))
        yield from sleep(0)
        file = Part("file", b"a", "a.png", "image/png")
        asked = HttpRequest("POST", "/pictures", json={"prompt": request.prompt})
        yield from checkpoint({"id": 7})
        given: Effects[Any] = self._streamed(asked) if stream else self._whole(asked)
        [found] = yield from gather([given], limit=1)
        if isinstance(found, BaseException):
            raise found
        USED.append(file.name)
        return found

    def _whole(self, asked: HttpRequest) -> Effects[ImageResponse]:
        answer: HttpResponse = yield from send(asked)
        if not answer.ok:
            raise RequestError(f"{answer.status}: {retry_after(answer.headers)}")
        picture = yield from call(lambda: Answer.model_validate(answer.json()).picture)
        kind: MediaFacts | None = facts(bytes(picture))
        assert kind is not None
        USED.extend([extension(kind.media_type), *rate_limits(answer.headers)])
        return ImageResponse(slots=(Image(data=bytes(picture)),), model="easel-1")

    def _streamed(self, asked: HttpRequest) -> Effects[ImageResponse]:
        head = yield from open_stream(asked, "events")
        assert head.streamed
        data = None
        while (event := (yield from receive())) is not None:
            data = event.json()["picture"]
        return ImageResponse(slots=(Image(data=bytes(blob(data))),), model="easel-1")

    def lines(self, framing: Framing) -> Effects[Any]:
        yield from open_stream(HttpRequest("GET", "/lines", billable=False), framing)
        return (yield from (receive_line() if framing == "lines" else receive_piece()))

    def judge(self, response: HttpResponse) -> Verdict | None:
        return Verdict.REFUSED if response.status == 409 else None

    def resume(self, handle: Mapping[str, Any]) -> Flow:
        asked = HttpRequest("GET", f"/pictures/{handle['id']}")
        return (yield from transform(self._whole(asked), _as_it_is))

    def cancel(self, handle: Mapping[str, Any]) -> Effects[None]:
        yield from send(HttpRequest("DELETE", f"/pictures/{handle['id']}"))

    def batch(self, requests: Sequence[ImageRequest]) -> Flow:
        parts = [split(one, 1, lambda part: self.flow(part, stream=False)) for one in requests]
        return merged((yield from gather(parts)), [one.n for one in requests])

    def list_models(self) -> Effects[list[ModelInfo]]:
        line = yield from self.lines("lines")
        piece = yield from self.lines("pieces")
        return [ModelInfo(id=line), ModelInfo(id=piece.decode())]


def _as_it_is(effect: Effect) -> Effects[Any]:
    kinds = (Send, Open, Receive, Sleep, Call, Gather, Emit, Checkpoint)
    assert isinstance(effect, kinds)
    return (yield effect)


@hookimpl
def imagekit_provider(config: Config) -> Provider | None:
    return Easel(config)


class Watches:
    """Every hook that watches, with all of its arguments."""

    def __init__(self) -> None:
        self.told: list[str] = []

    @hookimpl
    def imagekit_call_started(self, call: CallInfo) -> None:
        self.told.append(f"started {call.provider} {call.verb} {call.stream}")

    @hookimpl
    def imagekit_request_sent(self, call: CallInfo, request: HttpRequest) -> None:
        self.told.append(f"sent {request.method} {request.url}")

    @hookimpl
    def imagekit_response_received(
        self, call: CallInfo, request: HttpRequest, response: HttpResponse
    ) -> None:
        self.told.append(f"received {response.status}")

    @hookimpl
    def imagekit_event_emitted(self, call: CallInfo, event: Any) -> None:
        self.told.append(f"event {event.kind}")

    @hookimpl
    def imagekit_call_finished(self, call: CallInfo, response: Any, error: Any) -> None:
        self.told.append("finished" if error is None else f"failed {error}")


def values() -> list[object]:
    """One of each value that a plugin makes or is given."""
    decoder = EventDecoder()
    events = [*decoder.feed(b'data: {"a": 1}\n\n'), *decoder.finish()]
    assert [type(event) for event in events] == [ServerSentEvent]
    table: Tables = tables("imagekit_sketch", "capabilities.toml")
    encoded = base64.b64encode(b"a picture").decode()
    return [
        CONTRACT,
        Source(text="nowhere"),
        Price(amount=Decimal("0.01"), unit="image"),
        Prices(),
        Expected(),
        table.names("sketch"),
        blob(encoded),
        Blob(encoded),
        seconds("1s"),
        json.dumps({}),
        KINDS,
    ]
