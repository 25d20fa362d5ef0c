"""What hostile or broken servers, plugins and callers cannot do; each was once possible."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from typing import Any

import pytest

import imagekit
from imagekit import (
    AsyncClient,
    Client,
    ConfigurationError,
    DeadlineExceededError,
    Image,
    ImageReady,
    ImageRequest,
    ImageResponse,
    MissingCredentialError,
    PartialImage,
    PluginError,
    Profile,
    Progress,
    ProtocolError,
    RequestError,
    RetryPolicy,
    TransportError,
)
from imagekit._framing import EventDecoder, LineDecoder
from imagekit._hushed import Hush
from imagekit._network import is_public
from imagekit.provider import (
    Capabilities,
    Checkpoint,
    Effects,
    Emit,
    Endpoint,
    Gather,
    HttpRequest,
    HttpResponse,
    Send,
    ServerSentEvent,
    Sleep,
    bearer,
    emit,
    send,
    sleep,
)
from spoken import httpx
from toys import KEY, Driver, Inside, Server, Whole, answers, done, picture, plugins, spelt

FAST = RetryPolicy(base=0)


class Made:
    """A provider whose flow is given."""

    endpoint: Any = None

    def __init__(self, flow: Any, **able: Any) -> None:
        self._flow, self._able = flow, able

    def capabilities(self, model: str | None) -> Capabilities:
        return Capabilities(**self._able)

    def flow(self, request: ImageRequest, *, stream: bool) -> Any:
        return self._flow(request)


def ask(driver: Driver, flow: Any, n: int = 1, able: Any = None, **how: Any) -> ImageResponse:
    toys = plugins(toy=Made(flow, **(able or {})))
    found = driver.call(lambda c: c.generate("a cat", n=n, **how), provider="toy", plugins=toys)
    assert isinstance(found, ImageResponse)
    return found


# Servers


def test_a_client_in_a_second_event_loop_makes_connections_of_its_own(server: Server) -> None:
    server.does(*[answers(200, done(spelt(picture())))] * 3)
    client = AsyncClient(provider="toy", plugins=plugins(toy=Whole(server.url)))

    async def once() -> bool:
        try:
            return (await client.generate("a cat")).ok
        finally:
            await client.aclose()

    assert [asyncio.run(once()) for _ in range(3)] == [True] * 3
    assert len(server.seen) == 3


def test_a_hook_of_the_callers_own_that_raises_may_have_been_charged_for() -> None:
    def broken(response: httpx.Response) -> None:
        raise KeyError("a bug")

    seen: list[httpx.Request] = []

    def fake(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=done(spelt(picture())))

    http = httpx.Client(transport=httpx.MockTransport(fake), event_hooks={"response": [broken]})
    toys = plugins(toy=Whole())
    client = Client(http=http, provider="toy", plugins=toys)
    with pytest.raises(TransportError, match="failed on its way") as caught:
        client.generate("a cat")
    assert caught.value.billed == "possibly"
    assert len(seen) == 1


def test_a_read_by_a_broken_hook_costs_nothing() -> None:
    def broken(response: httpx.Response) -> None:
        raise KeyError("a bug")

    def poll(request: ImageRequest) -> Any:
        yield from send(HttpRequest("GET", "/job"))

    provider = Made(poll)
    provider.endpoint = Endpoint("https://toy.test")
    http = httpx.Client(
        transport=httpx.MockTransport(lambda request: httpx.Response(200)),
        event_hooks={"response": [broken]},
    )
    client = Client(http=http, provider="toy", plugins=plugins(toy=provider))
    with pytest.raises(TransportError) as caught:
        client.generate("a cat")
    assert caught.value.billed == "no"


def test_a_redirect_is_not_followed_though_the_callers_client_would() -> None:
    seen: list[str] = []

    def fake(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.host)
        return httpx.Response(307, headers={"location": "https://evil.test/take"})

    http = httpx.Client(transport=httpx.MockTransport(fake), follow_redirects=True)
    client = Client(http=http, provider="toy", plugins=plugins(toy=Whole()))
    with pytest.raises(imagekit.ImagekitError) as caught:
        client.generate("a cat")
    assert seen == ["toy.test"]
    assert caught.value.billed == "possibly"


def test_cookies_of_one_tenant_do_not_reach_another(driver: Driver, server: Server) -> None:
    first = answers(200, done(spelt(picture())), set_cookie="tenant=a")
    server.does(first, answers(200, done(spelt(picture()))))
    toys = plugins(toy=Whole(server.url))
    driver.call(lambda c: _twice(c), provider="toy", plugins=toys)
    assert ["cookie" in request.headers for request in server.seen] == [False, False]


def _twice(client: Any) -> Any:
    if isinstance(client, AsyncClient):

        async def both() -> Any:
            await client.generate("a cat")
            return await client.generate("a cat")

        return both()
    client.generate("a cat")
    return client.generate("a cat")


def test_a_line_without_an_end_is_not_held_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imagekit._framing.MOST_HELD", 100)
    lines = LineDecoder()
    assert list(lines.feed(b"x" * 60 + b"\n" + b"x" * 60)) == [b"x" * 60]
    with pytest.raises(ProtocolError, match="longer than 100 bytes"):
        list(lines.feed(b"x" * 60))


def test_an_event_of_empty_lines_is_not_held_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imagekit._framing.MOST_HELD", 100)
    events = EventDecoder()
    assert list(events.feed(b": ping\n\n" * 200)) == []
    with pytest.raises(ProtocolError, match="longer than 100 bytes"):
        list(events.feed(b"data:\n" * 101))


def test_halves_of_characters_do_not_break_json() -> None:
    cut = json.dumps({"a\ud83d": ["\ud83d", {"b": "whole \U0001f600"}, 1]})
    for found in (HttpResponse(200, {}, cut.encode()).json(), ServerSentEvent("e", cut).json()):
        assert found == {"a\ufffd": ["\ufffd", {"b": "whole \U0001f600"}, 1]}
        assert json.dumps(found, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("sent", "found"),
    [
        pytest.param(b'"a\xed\xa0\xbd"', "a" + 3 * "\ufffd", id="a half in UTF-8"),
        pytest.param('"a\ud83d"'.encode("utf-16", "surrogatepass"), "a\ufffd", id="in UTF-16"),
        pytest.param(rb'"a\ud83d"'.decode().encode("utf-16"), "a\ufffd", id="spelt out in UTF-16"),
        pytest.param(b'"a\xff"', "a\ufffd", id="a wrong byte"),
    ],
)
def test_what_is_no_character_does_not_break_json_either(sent: bytes, found: str) -> None:
    assert HttpResponse(200, {}, sent).json() == found


@pytest.mark.parametrize("sent", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1.5E+400"])
def test_what_is_no_number_is_null(sent: bytes) -> None:
    assert HttpResponse(200, {}, b'{"a": [%b, 1.5e3, -0.25, 7]}' % sent).json() == {
        "a": [None, 1500.0, -0.25, 7]
    }


def test_an_odd_date_does_not_end_the_call() -> None:
    from imagekit.provider import retry_after

    odd = "Mon, 01 Jan 2027 00:00:00 +99999999999999999999"
    assert retry_after({"date": "Sun, 06 Nov 1994 08:49:37 GMT", "retry-after": odd}) is None


def test_an_empty_picture_is_no_picture(driver: Driver) -> None:
    with pytest.raises(imagekit.NoImageError, match="empty"):
        ask(driver, lambda request: _gives(Image(data=b"")))


def _gives(*slots: Any) -> Any:
    return ImageResponse(slots=slots)
    yield


def test_a_data_url_is_the_picture(driver: Driver) -> None:
    url = f"data:image/png;base64,{spelt(picture())}"
    found = ask(driver, lambda request: _gives(Image(url=url)))
    assert found.image.data == picture()
    assert len(repr(Image(url=url))) < 100


# Keys


@pytest.mark.parametrize("spelling", [KEY, json.dumps(KEY)[1:-1], KEY.replace("-", "\\u002d")])
@pytest.mark.parametrize("where", ["body", "header", "event"])
def test_a_key_is_taken_out_wherever_it_is_quoted(spelling: str, where: str) -> None:
    hush = Hush()
    hush.learn({"authorization": f"Bearer {KEY}", "organization": "org-is-no-secret"})
    replies: dict[str, Any] = {
        "body": HttpResponse(200, {}, f"{{{spelling}}} org-is-no-secret".encode()),
        "header": HttpResponse(200, {"x-echo": f"{spelling} org-is-no-secret"}),
        "event": ServerSentEvent("error", f"{spelling} org-is-no-secret"),
    }
    shown = str(vars_of(hush.reply(replies[where])))
    assert spelling not in shown
    assert "org-is-no-secret" in shown


def vars_of(reply: Any) -> Any:
    return [getattr(reply, name, "") for name in ("headers", "body", "data")]


def test_other_replies_pass_and_lines_are_hushed_too() -> None:
    hush = Hush()
    hush.learn({"x-password": KEY, "x-short": "abc"})
    assert (hush.reply(None), hush.reply(b"abc")) == (None, b"abc")
    assert hush.reply(f"{KEY} abc") == "… abc"


def test_each_cookie_and_a_key_with_a_tenants_name_are_secrets_too() -> None:
    hush = Hush()
    hush.learn({"cookie": "session=first-secret; theme=other-secret", "x-tenant-key": KEY})
    hush.learn({"x-tenant": "tenant-is-no-secret"})
    said = f"first-secret other-secret {KEY} tenant-is-no-secret"
    assert hush.text(said) == "… … … tenant-is-no-secret"


def test_an_error_on_the_way_is_hushed_with_its_cause(driver: Driver) -> None:
    def fake(request: httpx.Request) -> httpx.Response:
        raise httpx.RemoteProtocolError(f"illegal status line: {KEY}")

    toys = plugins(toy=Whole())
    with pytest.raises(TransportError) as caught:
        driver.call(
            lambda c: c.generate("a"), fake, provider="toy", plugins=toys, api_key=KEY, retries=0
        )
    assert KEY not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_request_with_its_headers_does_not_hang_on_an_error(driver: Driver) -> None:
    def fake(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("gone", request=request)

    with pytest.raises(TransportError) as caught:
        driver.call(
            lambda c: c.generate("a"), fake, provider="toy", plugins=plugins(toy=Whole()), retries=0
        )
    assert "_request" not in vars(caught.value.__cause__)


@pytest.mark.parametrize(
    "url",
    [
        "https://user:s3cret@host:notaport/",
        "ftp://user:s3cret@host/",
        "https:///x?code=s3cret",
        "http://[user:s3cret@/",
    ],
)
def test_a_base_url_is_refused_without_its_password(url: str) -> None:
    client = Client(provider="toy", base_url=url, plugins=plugins(toy=Whole()))
    with pytest.raises(ConfigurationError) as caught:
        client.generate("a")
    assert "s3cret" not in str(caught.value)


def test_settings_for_a_profile_beside_the_profile_are_an_error() -> None:
    profile = Profile("work", "toy")
    with pytest.raises(ConfigurationError, match="is a profile and has its own"):
        Client(provider="work", profiles=[profile], api_key=KEY)


# Plugins


@pytest.mark.parametrize(
    "effect",
    [
        Emit(5),  # type: ignore[arg-type]
        Emit(None),  # type: ignore[arg-type]
        Gather(None),  # type: ignore[arg-type]
        Gather((1,)),  # type: ignore[arg-type]
        Gather((), limit=-1),
        Sleep(-1),
        Sleep(float("nan")),
        Sleep("1"),  # type: ignore[arg-type]
        Send(5),  # type: ignore[arg-type]
        Send(HttpRequest("GET", None)),  # type: ignore[arg-type]
        "effect",
    ],
)
def test_an_effect_that_cannot_be_performed_is_the_plugins_and_keeps_the_pictures(
    driver: Driver, effect: Any
) -> None:
    def flow(request: ImageRequest) -> Any:
        yield from emit(ImageReady(index=0, image=Image(data=picture())))
        yield effect

    found = ask(driver, flow, n=2)
    assert found.image.data == picture()
    assert found.failures[0].kind == "failed"


@pytest.mark.parametrize("index", [-1, 3_000_000])
def test_a_slot_that_nobody_asked_for_is_the_plugins_error(driver: Driver, index: int) -> None:
    def flow(request: ImageRequest) -> Any:
        yield from emit(ImageReady(index=index, image=Image(data=picture())))

    with pytest.raises(PluginError, match="spoke of slot"):
        ask(driver, flow)


@pytest.mark.parametrize("effect", [Emit(Progress(step=1)), Checkpoint({}), Sleep(0)])
def test_a_flow_that_never_ends_ends_at_the_deadline(driver: Driver, effect: Any) -> None:
    def flow(request: ImageRequest) -> Any:
        for _ in itertools.count():
            yield effect

    with pytest.raises(DeadlineExceededError):
        ask(driver, flow, deadline=0.1)


def test_a_flow_that_will_not_hear_of_the_deadline_ends_all_the_same(driver: Driver) -> None:
    def flow(request: ImageRequest) -> Any:
        while True:
            with contextlib.suppress(DeadlineExceededError):
                yield from sleep(0.01)

    with pytest.raises(DeadlineExceededError):
        ask(driver, flow, deadline=0.1)


@pytest.mark.parametrize(
    "able",
    [
        {"max_images": 0},
        {"max_images": -1},
        {"size": {"multiple": 0}},
        {"size": {"low_edge": 0}},
        {"size": {"sizes": ["5x0"]}},
        {"size": {"sizes": ["axb"]}},
    ],
)
def test_capabilities_that_make_no_sense_are_the_plugins_error(driver: Driver, able: Any) -> None:
    with pytest.raises(PluginError, match="cannot say what it can do"):
        ask(driver, lambda request: _gives(), able=able)


@pytest.mark.parametrize("endpoint", ["https://toy.test", Endpoint(None), 5])  # type: ignore[arg-type]
def test_an_endpoint_that_is_none_is_the_plugins_error(driver: Driver, endpoint: Any) -> None:
    provider = Made(lambda request: _gives())
    provider.endpoint = endpoint
    with pytest.raises(PluginError, match="no Endpoint"):
        driver.call(lambda c: c.generate("a"), provider="toy", plugins=plugins(toy=provider))


def test_a_plugin_that_will_not_be_closed_does_not_hinder_who_leaves(driver: Driver) -> None:
    def flow(request: ImageRequest) -> Any:
        try:
            yield from emit(Progress(step=1))
            yield from emit(Progress(step=2))
        finally:
            yield from emit(Progress(step=3))

    toys = plugins(toy=Made(flow))
    seen: list[Any] = []
    driver.stream("a cat", until=1, events=seen, provider="toy", plugins=toys)
    assert seen == [Progress(step=1)]


def test_pictures_beyond_those_asked_for_are_kept_when_their_part_breaks(driver: Driver) -> None:
    def flow(request: ImageRequest) -> Any:
        yield from emit(ImageReady(index=0, image=Image(data=picture())))
        yield from emit(ImageReady(index=1, image=Image(data=picture())))
        raise imagekit.TruncatedStreamError("cut")

    found = ask(driver, flow, n=2, able={"max_images": 1})
    assert len(found.images) == 4


def test_previews_of_a_picture_beyond_those_asked_for_are_not_shown(driver: Driver) -> None:
    def flow(request: ImageRequest) -> Any:
        yield from emit(PartialImage(index=1, image=Image(data=picture())))
        yield from emit(ImageReady(index=0, image=Image(data=picture())))
        raise imagekit.TruncatedStreamError("cut")

    assert len(ask(driver, flow, n=2, able={"max_images": 1}).images) == 2


def test_an_observer_hears_of_an_end_that_nobody_foresaw() -> None:
    from imagekit._observed import Exchanges, observed
    from imagekit.provider import CallInfo
    from toys import Watcher

    def flow() -> Effects[ImageResponse]:
        raise KeyError("a bug")
        yield

    watcher = Watcher()
    info = CallInfo("1", "toy", ImageRequest(prompt="x"))
    with pytest.raises(KeyError):
        next(observed(flow(), info, plugins(watcher).hook, Exchanges()))
    (last,) = watcher.of("finished")
    assert isinstance(last["error"], PluginError)


# Callers


@pytest.mark.parametrize("images", [[], ()])
def test_nothing_to_edit_or_vary_is_an_error_and_not_another_operation(
    driver: Driver, images: Any
) -> None:
    toys = plugins(toy=Inside())
    for verb in (lambda c: c.edit("a hat", images), lambda c: c.vary(images)):
        with pytest.raises(RequestError, match="no picture was given"):
            driver.call(verb, provider="toy", plugins=toys)


def test_an_input_by_http_is_the_callers_fault(driver: Driver) -> None:
    toys = plugins(toy=Made(lambda request: _gives(), operations={"edit"}))
    with pytest.raises(RequestError, match=r"the input picture at http://a\.test/x\.png"):
        driver.call(
            lambda c: c.edit("a hat", ["http://a.test/x.png"]), provider="toy", plugins=toys
        )


def test_a_provider_that_got_no_key_says_so_before_any_network(driver: Driver) -> None:
    def flow(request: ImageRequest) -> Any:
        yield from send(HttpRequest("GET", "/"))

    provider = Made(flow)
    provider.endpoint = Endpoint("https://toy.test", bearer(None))
    toys = plugins(toy=provider)
    with pytest.raises(MissingCredentialError, match="pass api_key="):
        driver.call(lambda c: c.generate("a"), provider="toy", plugins=toys)


def test_addresses_that_only_some_pythons_know_are_special() -> None:
    assert not is_public("192.0.0.8")
