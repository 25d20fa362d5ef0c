from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import pytest

import imagekit
from imagekit import ConfigurationError, PluginError, ProtocolError
from imagekit._addressed import addressed, checked_base, joined, origin
from imagekit.provider import (
    Effects,
    Endpoint,
    HttpRequest,
    Open,
    Send,
    bearer,
    open_stream,
    send,
    sleep,
)
from imagekit.testing import json_response, play
from spoken import httpx
from toys import KEY, Driver, Queue, Server, Watcher, Whole, answers, done, plugins

HOME = Endpoint("https://toy.test/v1", bearer(KEY))


def went(url: str, method: str = "GET", endpoint: Endpoint | None = HOME, **more: Any) -> Any:
    """The request that leaves for *url*."""
    flow = addressed(send(HttpRequest(method, url, **more)), endpoint)
    return play(flow, json_response({})).requests[0]


@pytest.mark.parametrize(
    ("base", "url", "whole"),
    [
        ("https://toy.test/v1", "/pictures", "https://toy.test/v1/pictures"),
        ("https://toy.test/v1/", "pictures", "https://toy.test/v1/pictures"),
        ("https://toy.test", "", "https://toy.test/"),
        ("https://toy.test/v1?v=2", "/p", "https://toy.test/v1/p?v=2"),
        ("https://toy.test/v1?v=2", "/p?a=b", "https://toy.test/v1/p?v=2&a=b"),
        ("https://toy.test/v1", "/p?a=b", "https://toy.test/v1/p?a=b"),
        ("https://toy.test/v1", "https://cdn.test/x?y", "https://cdn.test/x?y"),
    ],
)
def test_a_relative_url_is_joined_below_the_base(base: str, url: str, whole: str) -> None:
    assert joined(base, url) == whole


@pytest.mark.parametrize(
    "url",
    [
        "/pictures",
        "https://toy.test/elsewhere",
        "https://toy.test:443/x",
        "HTTPS://TOY.test/x",
        "https://toy.test./x",
    ],
)
def test_the_key_goes_to_its_own_origin(url: str) -> None:
    assert went(url).headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    "url",
    [
        "https://cdn.test/x",
        "https://toy.test.evil.test/x",
        "https://eviltoy.test/x",
        "https://api.toy.test/x",
        "http://toy.test/x",
        "https://toy.test:8443/x",
        "https://toy.test:0/x",
        "https://evil.test/?toy.test",
        "https://evil.test/https://toy.test",
        "ftp://toy.test/x",
    ],
)
def test_nothing_of_the_caller_goes_to_another_origin(url: str) -> None:
    request = went(url, headers={"x-tenant": "mine"})
    assert request.headers == {}
    assert request.stranger


@pytest.mark.parametrize(
    "url", ["//evil.test/x", "\\\\evil.test/x", "/\\evil.test/x", "\\/evil.test", "/\t/evil.test"]
)
def test_a_url_that_hides_a_host_is_refused(url: str) -> None:
    with pytest.raises(ProtocolError, match="hides another host"):
        went(url)


@pytest.mark.parametrize("url", ["https://[", "https://toy.test:x/", "http://toy.test:99999/"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ProtocolError, match="no URL"):
        went(url)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD"])
def test_a_stranger_is_only_ever_read(method: str) -> None:
    with pytest.raises(PluginError, match=f"not {method}"):
        went("https://cdn.test/x", method)


def test_a_get_in_small_letters_is_a_get() -> None:
    assert went("https://cdn.test/x", "get").stranger


def test_a_stream_is_addressed_like_a_request() -> None:
    flow = addressed(open_stream(HttpRequest("POST", "/pictures")), HOME)
    effect = next(flow)
    assert isinstance(effect, Open)
    assert effect.request.headers["authorization"] == f"Bearer {KEY}"
    flow.close()


def test_an_effect_that_is_no_request_is_left_alone() -> None:
    assert play(addressed(sleep(3), HOME)).slept == 3


def test_plain_http_is_allowed_at_home() -> None:
    request = went("/x", endpoint=Endpoint("http://127.0.0.1:8000", bearer(KEY)))
    assert request.url == "http://127.0.0.1:8000/x"
    assert not request.stranger
    assert "authorization" in request.headers


def test_an_input_at_home_is_read_without_the_key() -> None:
    request = went("https://toy.test/mine.png", stranger=True)
    assert request.headers == {}
    assert not request.stranger


def test_a_provider_without_credentials_sends_none() -> None:
    assert went("/x", endpoint=Endpoint("https://toy.test")).headers == {}


def test_a_provider_without_an_endpoint_may_read_a_stranger() -> None:
    assert went("https://cdn.test/x", endpoint=None).stranger


def test_a_provider_without_an_endpoint_has_no_relative_urls() -> None:
    with pytest.raises(PluginError, match="without an endpoint"):
        went("/x", endpoint=None)


def test_authorizing_may_take_requests_of_its_own() -> None:
    def fetched(request: HttpRequest) -> Effects[Mapping[str, str]]:
        answer = yield from send(HttpRequest("POST", "https://login.test/token"))
        return {"authorization": answer.json()["token"]}

    flow = addressed(send(HttpRequest("GET", "/x")), Endpoint("https://toy.test", fetched))
    played = play(flow, json_response({"token": "t-1"}), json_response({}))
    assert [request.url for request in played.requests] == [
        "https://login.test/token",
        "https://toy.test/x",
    ]
    assert played.requests[1].headers == {"authorization": "t-1"}


@pytest.mark.parametrize(
    ("gives", "why"),
    [
        (
            lambda request: {"x-key": KEY},
            r"authorize must be a generator .* gave dict: give .*header",
        ),
        (lambda request: None, "authorize must be a generator .* gave NoneType"),
        (lambda request: (yield from sleep(0)), "the headers as a mapping, not NoneType"),
    ],
    ids=["mapping", "nothing", "forgot"],
)
def test_a_proof_that_is_no_flow_is_said_so(gives: Any, why: str) -> None:
    flow = addressed(send(HttpRequest("GET", "/x")), Endpoint("https://toy.test", gives))
    with pytest.raises(PluginError, match=why) as found:
        play(flow, json_response({}))
    assert KEY not in str(found.value)


@pytest.mark.parametrize(
    "base",
    ["toy.test", "ftp://toy.test", "https://", "https:///v1", "https://[", "https://toy.test:x"],
)
def test_a_base_url_that_is_none_is_refused(base: str) -> None:
    with pytest.raises(ConfigurationError, match="base_url"):
        checked_base(base)


@pytest.mark.parametrize("base", [f"https://{KEY}@toy.test", f"https://me:{KEY}@toy.test"])
def test_a_base_url_with_a_user_is_refused_without_quoting_it(base: str) -> None:
    with pytest.raises(ConfigurationError) as found:
        checked_base(base)
    assert KEY not in str(found.value)


def test_a_base_url_that_a_plugin_found_is_checked_too() -> None:
    with pytest.raises(ConfigurationError, match="base_url"):
        went("/x", endpoint=Endpoint("toy.test"))


def test_origins_are_compared_by_scheme_host_and_port() -> None:
    assert origin("HTTPS://Toy.Test./a") == ("https", "toy.test", 443)
    assert origin("http://toy.test:80") == origin("http://toy.test")


@pytest.mark.parametrize("key", [f"{KEY}\n", f"{KEY}\r\nx: y", f" {KEY}", f"{KEY}é", f"{KEY}\0"])
def test_a_key_that_no_header_may_hold_is_refused_without_quoting_it(
    driver: Driver, key: str
) -> None:
    endpoint = Endpoint("https://toy.test", lambda request: _raw(key))
    with pytest.raises(ConfigurationError) as found:
        driver.do(addressed(send(HttpRequest("GET", "/")), endpoint))
    assert not any(KEY in text for text in everything(found.value))


def _raw(key: str) -> Effects[Mapping[str, str]]:
    return {"x-key": key}
    yield


def everything(error: BaseException | None) -> list[str]:
    """All the words of an error and of what led to it."""
    found: list[str] = []
    while error is not None:
        found += [str(error), repr(error), repr(vars(error))]
        error = error.__cause__ or error.__context__
    return found


def test_no_hook_ever_sees_the_key(driver: Driver, server: Server) -> None:
    watcher = Watcher()
    server.does(
        answers(429), answers(200, {"id": "7"}), answers(200, {"id": "7", "done": False}), answers()
    )
    toys = plugins(watcher, toy=Queue(server.url))
    retry = imagekit.RetryPolicy(base=0)
    driver.call(lambda c: c.generate("a"), provider="toy", plugins=toys, retry=retry)
    assert [seen.headers["authorization"] for seen in server.seen] == [f"Bearer {KEY}"] * 4
    assert len(watcher.of("sent")) == len(watcher.of("received")) == 4
    for _, arguments in watcher.told:
        for argument in arguments.values():
            assert KEY not in repr(argument)
            assert "authorization" not in getattr(argument, "headers", {})


def test_the_key_stays_home_when_the_result_is_elsewhere(driver: Driver) -> None:
    seen: list[httpx.Request] = []

    def fake(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if request.url.host == "toy.test":
            return httpx.Response(200, json=done("https://cdn.test/1.png?signature=x"))
        return httpx.Response(200, content=b"\x89PNG\r\n\x1a\n")

    driver.call(lambda c: c.generate("a"), fake, provider="toy", plugins=plugins(toy=Whole()))
    assert ["authorization" in request.headers for request in seen] == [True, False]


@pytest.mark.parametrize("act", [answers(), answers(500), lambda talk: None])
def test_the_key_is_in_no_value_repr_log_or_exception(
    driver: Driver, server: Server, act: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.does(act)
    provider = Whole(server.url)
    words = [repr(provider.endpoint), repr(imagekit.Profile("p", "toy", api_key=KEY))]
    settings: dict[str, Any] = {"provider": "toy", "api_key": KEY, "plugins": plugins(toy=provider)}
    try:
        came = driver.call(lambda c: c.generate("a", raw=True), **settings)
        words += [repr(came), came.model_dump_json(), repr(came.raw)]
        words += [f"{one.request!r} {one.request.headers}" for one in came.raw]
    except imagekit.ImagekitError as error:
        words += everything(error)
    assert server.seen == [] or server.seen[0].headers["authorization"] == f"Bearer {KEY}"
    assert not any(KEY in text for text in (*words, caplog.text))
    assert caplog.records


def test_a_key_that_the_server_quotes_is_seen_by_nobody(driver: Driver, server: Server) -> None:
    watcher = Watcher()
    server.does(answers(401, {"error": f"Incorrect key: {KEY}"}))
    toys = plugins(watcher, toy=Whole(server.url))
    with pytest.raises(imagekit.ImagekitError) as found:
        driver.call(lambda c: c.generate("a", raw=True), provider="toy", plugins=toys)
    (told,) = watcher.of("received")
    assert "Incorrect key: " in told["response"].text
    assert KEY not in told["response"].text
    assert not any(KEY in text for text in everything(found.value))


def test_what_names_the_account_may_be_quoted() -> None:
    def authorize(request: HttpRequest) -> Effects[Mapping[str, str]]:
        return {"organization": "org-of-ours", "x-key": KEY}
        yield

    flow = addressed(send(HttpRequest("GET", "/")), Endpoint("https://toy.test", authorize))
    answer = play(flow, json_response({"error": "no org-of-ours"}, 404)).response
    assert answer.json() == {"error": "no org-of-ours"}


def test_the_configuration_keeps_its_key_out_of_its_repr() -> None:
    config = imagekit.provider.Config("toy", KEY, settings={"secret": KEY}, env={"KEY": KEY})  # type: ignore[attr-defined]
    assert KEY not in repr(config)


def test_a_send_to_home_is_the_same_request_otherwise() -> None:
    request = HttpRequest("POST", "/x", json={"a": 1}, billable=False)
    effect = next(addressed(send(request), Endpoint("https://toy.test")))
    assert isinstance(effect, Send)
    assert (effect.request.json, effect.request.billable) == ({"a": 1}, False)
