"""`debug=`: every exchange is shown, shortened, and nothing in it lets anyone in."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import imagekit
from imagekit import Image, ImageRequest, ImageResponse, Profile, RetryPolicy
from imagekit._debug import LONGEST, MOST, WHOLE
from imagekit.provider import (
    Capabilities,
    HttpRequest,
    Part,
    open_stream,
    receive_line,
    receive_piece,
    send,
    sleep,
)
from spoken import httpx
from toys import KEY, Driver, Inside, Streaming, Whole, decoded, picture, plugins, spelt, sse

QUICK = RetryPolicy(base=0.001)
PNG = picture(3, 40, 40)
SECRET = "hunter2-hunter2"


def settings(made: object = None, **more: Any) -> dict[str, Any]:
    known = plugins(toy=made or Whole())
    return {"plugins": known, "provider": "toy", "env": {}, "retry": QUICK, **more}


def says(body: object = None, status: int = 200, **headers: str) -> Callable[..., httpx.Response]:
    def service(request: httpx.Request) -> httpx.Response:
        if request.url.host == "cdn.test":
            return httpx.Response(200, content=PNG, headers={"content-type": "image/png"})
        said = {"pictures": [spelt(picture())]} if body is None else body
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if isinstance(said, bytes):
            return httpx.Response(status, content=said, headers=named)
        return httpx.Response(status, json=said, headers=named)

    return service


def shown(
    driver: Driver,
    service: Callable[[httpx.Request], httpx.Response],
    made: object = None,
    *,
    verb: Callable[[Any, Any], Any] = lambda c, out: c.generate("a cat", debug=out),
    **more: Any,
) -> str:
    """What *verb* shows, whether it ends well or not, its numbers counted from 1."""
    out = io.StringIO()
    try:
        driver.call(lambda c: verb(c, out), service, **settings(made, **more))
    except imagekit.ImagekitError as error:
        out.write(f"raised {type(error).__name__}\n")
    return counted(out.getvalue())


def counted(text: str) -> str:
    numbers = list(dict.fromkeys(re.findall(r"^\[(\d+)\]", text, re.M)))
    text = re.sub(r"^\[(\d+)\]", lambda found: f"[{numbers.index(found[1]) + 1}]", text, flags=re.M)
    return re.sub(r"after \d+\.\d\d s", "after a while", text)


@dataclass
class Asks(Whole):
    """Makes one request of its own, which is all there is to see."""

    request: HttpRequest = field(default_factory=lambda: HttpRequest("GET", "/x"))

    def flow(self, request: ImageRequest, *, stream: bool) -> Any:
        answer = yield from send(self.request)
        if not answer.ok:
            raise imagekit.ProviderError("no", status=answer.status)
        return ImageResponse(slots=(Image(data=picture()),))


def test_a_call_reads_like_a_conversation(driver: Driver) -> None:
    body = {"pictures": ["https://cdn.test/cat.png?sig=" + SECRET]}
    text = shown(driver, says(body, x_request_id="r-1"))
    lines = [line for line in text.splitlines() if not line.startswith("    content-")]
    assert lines == [
        "[1] -> POST https://toy.test/v1/pictures",
        '    {"prompt": "a cat", "n": 1, "model": "toy-1", "options": {}}',
        "[1] <- 200, after a while",
        "    x-request-id: r-1",
        '    {"pictures": ["https://cdn.test/cat.png?…"]}',
        "[2] -> GET https://cdn.test/cat.png?…",
        "[2] <- 200, after a while",
        f"    {len(PNG)} bytes of image/png",
    ]


def test_without_it_nothing_is_written(driver: Driver, capsys: pytest.CaptureFixture[str]) -> None:
    for off in (None, False):
        driver.call(lambda c, off=off: c.generate("a cat", debug=off), says(), **settings())
    assert capsys.readouterr() == ("", "")


def test_true_is_standard_error(driver: Driver, capsys: pytest.CaptureFixture[str]) -> None:
    driver.call(lambda c: c.generate("a cat", debug=True), says(), **settings())
    out, err = capsys.readouterr()
    assert out == ""
    assert "-> POST https://toy.test/v1/pictures" in err


def test_without_a_standard_error_there_is_nothing_to_write_to(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr", None)
    assert driver.call(lambda c: c.generate("a cat", debug=True), says(), **settings()).ok


def test_a_client_may_want_it_of_all_its_calls(driver: Driver, tmp_path: Path) -> None:
    path = tmp_path / "debug.txt"
    with path.open("w", encoding="utf-8") as out:
        driver.call(lambda c: c.generate("a cat"), says(), **settings(debug=out))
        # It is there at once, should the process end.
        assert "-> POST" in path.read_text(encoding="utf-8")


def test_numbers_are_never_given_twice(driver: Driver) -> None:
    out = io.StringIO()
    able = Capabilities(max_images=1)
    driver.call(lambda c: c.generate("a cat", n=6, debug=out), says(), **settings(Whole(able=able)))
    asked = re.findall(r"^\[(\d+)\] -> ", out.getvalue(), re.M)
    answered = re.findall(r"^\[(\d+)\] <- ", out.getvalue(), re.M)
    assert len(set(asked)) == 6
    assert sorted(asked) == sorted(answered)


def test_forms_are_shown_without_their_files(driver: Driver) -> None:
    request = HttpRequest(
        "POST",
        "/edits",
        form=(("prompt", "a\r\ncat"), ("api_key", SECRET)),
        parts=(Part("image", PNG, "image.png", "image/png"),),
    )
    text = shown(driver, says(), Asks(request=request))
    assert text.splitlines()[1:4] == [
        "    prompt=a\\r\\ncat",
        "    api_key=…",
        f"    image: image.png, image/png, {len(PNG)} bytes",
    ]
    text = shown(driver, says(), Asks(request=HttpRequest("PUT", "/x", body=b"12345")))
    assert text.splitlines()[1] == "    5 bytes"


def test_streams_are_shown_event_by_event(driver: Driver) -> None:
    body = sse("partial", 1) + sse("image", 2) + b"data: hello\n\n" + b"event: end\ndata: {}\n\n"
    out = io.StringIO()
    kind = {"content-type": "text/event-stream"}

    def service(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=body, headers=kind)

    class Patient(Streaming):
        def flow(self, request: ImageRequest, *, stream: bool) -> Any:
            answer = yield from open_stream(HttpRequest("POST", "/pictures"))
            assert answer.streamed
            while (yield from receive_line()) is not None:
                pass
            return ImageResponse(slots=(Image(data=picture()),))

    driver.stream("a cat", service, fields={"debug": out}, **settings(Patient()))
    lines = counted(out.getvalue()).splitlines()
    heads = [line for line in lines if line.startswith("[1] <- ")]
    assert heads[0] == "[1] <- 200, a stream, after a while"
    assert heads[1].startswith('[1] <- partial: {"index": 0, "picture": "iVBOR')
    assert heads[3:] == ["[1] <- message: hello", "[1] <- end: {}", "[1] <- the end of the stream"]


def test_streams_side_by_side_keep_their_numbers(driver: Driver) -> None:
    able = Capabilities(streaming=True, max_images=1)

    def service(request: httpx.Request) -> httpx.Response:
        shade = json.loads(request.content)["n"]
        body = sse("image", shade) + b"event: end\ndata: {}\n\n"
        return httpx.Response(200, content=body, headers={"content-type": "text/event-stream"})

    out = io.StringIO()
    fields = {"n": 8, "debug": out}
    driver.stream("a cat", service, fields=fields, **settings(Streaming(able=able)))
    heads = re.findall(r"^\[(\d+)\] (?:->|<-) (\w+)", out.getvalue(), re.M)
    said: dict[str, list[str]] = {}
    for number, word in heads:
        said.setdefault(number, []).append(word)
    assert list(said.values()) == [["POST", "200", "image", "end"]] * 8


@pytest.mark.parametrize(
    ("framing", "take", "line"),
    [
        ("lines", receive_line, '[1] <- {"a": 1}'),
        ("pieces", receive_piece, "[1] <- 9 bytes"),
    ],
)
def test_so_are_streams_of_other_kinds(driver: Driver, framing: Any, take: Any, line: str) -> None:
    class Other(Asks):
        def flow(self, request: ImageRequest, *, stream: bool) -> Any:
            yield from open_stream(HttpRequest("GET", "/x"), framing)
            while (yield from take()) is not None:
                pass
            return ImageResponse(slots=(Image(data=picture()),))

    text = shown(driver, says(b'{"a": 1}\n'), Other())
    assert text.splitlines()[-2:] == [line, "[1] <- the end of the stream"]


def test_each_attempt_and_each_error_is_shown(driver: Driver) -> None:
    answers = iter([httpx.Response(429, text="slow down"), httpx.ConnectError("nobody there")])

    def service(request: httpx.Request) -> httpx.Response:
        answer = next(answers, httpx.ConnectError("nobody there"))
        if isinstance(answer, Exception):
            raise answer
        return answer

    lines = shown(driver, service).splitlines()
    heads = [line for line in lines if line.startswith("[") and "<-" in line]
    assert heads == [
        "[1] <- 429, after a while",
        "[2] <- ConnectionFailedError: no connection was made to toy.test: nobody there",
        "[3] <- ConnectionFailedError: no connection was made to toy.test: nobody there",
    ]
    assert "    slow down" in lines
    assert lines[-1] == "raised ConnectionFailedError"


def test_what_is_long_is_shortened(driver: Driver) -> None:
    body = {"big": "A" * 5000, "many": list(range(50)), "fits": "B" * LONGEST, "n": 1.5}
    body |= {f"name-{number}": "C" * LONGEST for number in range(40)}
    text = shown(driver, says(body), Asks())
    assert f'"{"A" * 60}… (5000 characters)"' in text
    assert "A" * 61 not in text
    assert f'"many": [{", ".join(map(str, range(MOST)))}, "… {50 - MOST} more"]' in text
    assert f'"{"B" * LONGEST}"' in text
    assert max(map(len, text.splitlines())) < WHOLE + 50
    assert re.search(r"… \(\d{5} characters\)$", text.rstrip())
    assert "C" * 61 in text
    prompt = shown(driver, says(), verb=lambda c, out: c.generate("cat " * 200, debug=out))
    assert "(800 characters)" in prompt


def test_what_is_no_json_is_text(driver: Driver) -> None:
    text = shown(driver, says(b"<html>\nno such page\n" + b"x" * 1000, 502), Asks())
    assert "    <html>\\nno such page\\n" in text
    assert "characters)" in text
    for kind in ("audio/wav", "video/mp4", "application/octet-stream"):
        text = shown(driver, says(b"RIFF" + SECRET.encode(), content_type=kind), Asks())
        assert f"    19 bytes of {kind}" in text
    deep = b"[" * 100_000
    assert "[[[" in shown(driver, says(deep), Asks())


def test_what_could_steer_a_terminal_is_spelt_out(driver: Driver) -> None:
    hostile = "\x1b[2Jgone\x07\u202e\x9b31m"
    text = shown(driver, says({"a": hostile}), Asks())
    assert all(letter.isprintable() or letter == "\n" for letter in text)
    assert "\\u001b[2Jgone" in text
    text = shown(driver, says(hostile.encode()), Asks())
    assert all(letter.isprintable() or letter == "\n" for letter in text)


class TestSecrets:
    def test_the_key_is_in_none_of_it(self, driver: Driver) -> None:
        def echoes(request: httpx.Request) -> httpx.Response:
            given = request.headers["authorization"]
            headers = {"x-echo": given, "www-authenticate": f"Bearer {given}"}
            return httpx.Response(401, json={"you said": given, "text": given}, headers=headers)

        text = shown(driver, echoes)
        assert "[1] <- 401" in text
        assert KEY not in text
        profile = Profile("work", "toy", api_key="sk-work-0123456789")

        def made(config: Any) -> Whole:
            return Whole(key=config.api_key)

        text = shown(driver, echoes, made, profiles=[profile], provider="work")
        assert "sk-work" not in text

    @pytest.mark.parametrize(
        "name",
        [
            "api_key", "api-key", "apikey", "apiKey", "key", "X-API-Key", "account_key",
            "access_key", "private_key", "accessKey", "authorization", "Proxy-Authorization",
            "token", "access_token", "refresh_token", "id_token", "client_secret", "secret",
            "password", "passwd", "passphrase", "signature", "X-Amz-Signature", "sig", "cookie",
            "set-cookie", "credential", "X-Amz-Credential", "security-token",
        ],
    )  # fmt: skip
    def test_what_is_a_secret_by_its_name_is_not_shown(self, driver: Driver, name: str) -> None:
        body = {name: SECRET, "inside": [{name: SECRET}], "deep": {name: [SECRET, {"a": SECRET}]}}
        request = HttpRequest(
            "POST",
            "/x",
            json={name: SECRET, "list": [{name: {"a": SECRET}}]},
            headers={name: SECRET} if name.isascii() else {},
            query={name: SECRET, "api-version": "2026"},
        )
        service = says(body, **{name: SECRET})
        text = shown(driver, service, Asks(request=request))
        assert SECRET not in text
        assert f"?{name}=…&api-version=2026" in text
        form = HttpRequest("POST", "/x", form=((name, SECRET),))
        assert SECRET not in shown(driver, service, Asks(request=form))
        for said in (f"{name}={SECRET}&a=b", f'oops: "{name}": "{SECRET}"', f"{name}: {SECRET}"):
            text = shown(driver, says(said.encode()), Asks())
            assert SECRET not in text
            assert name in text

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("x-ratelimit-remaining-tokens", "149"),
            ("x-ratelimit-reset-tokens", "6ms"),
            ("monkey", "banana"),
            ("design", "round"),
            ("x-request-id", "r-1"),
            ("keyboard", "qwerty"),
        ],
    )
    def test_what_is_none_is_shown(self, driver: Driver, name: str, value: str) -> None:
        text = shown(driver, says({name: value}, **{name: value}), Asks())
        assert f"    {name}: {value}" in text
        assert f'"{name}": "{value}"' in text

    def test_counts_are_shown_whatever_they_are_called(self, driver: Driver) -> None:
        text = shown(driver, says({"usage": {"input_tokens": 5, "token": 6, "key": None}}), Asks())
        assert '{"input_tokens": 5, "token": 6, "key": null}' in text

    @pytest.mark.parametrize(
        "text",
        [
            f"https://cdn.test/cat.png?X-Amz-Signature={SECRET}",
            f"see https://cdn.test/cat.png?se=2026&sp={SECRET} for it",
            f"HTTPS://cdn.test/cat.png?{SECRET}",
            f"<a href='https://me:{SECRET}@cdn.test/cat.png'>",
            f"https://me:{SECRET}@cdn.test/",
            "https://cdn.test/" + "a" * 290 + f"?x={SECRET}",
            f"Authorization: Bearer {SECRET}",
            f"said bearer {SECRET}",
        ],
    )
    def test_nor_what_lets_anyone_in_by_its_place(self, driver: Driver, text: str) -> None:
        for said in ({"text": text, "list": [text]}, text.encode()):
            found = shown(driver, says(said, location=text), Asks())
            assert SECRET not in found
            assert "cdn.test" in found or "earer …" in found
        assert SECRET not in shown(driver, says(), verb=lambda c, out: c.generate(text, debug=out))

    def test_a_request_of_ones_own_keeps_its_query_to_itself(self, driver: Driver) -> None:
        ask = f"/x?token={SECRET}"
        text = shown(driver, says(), verb=lambda c, out: c.request("GET", ask, debug=out))
        assert "[1] -> GET https://toy.test/v1/x?…" in text
        assert SECRET not in text

    def test_what_fetches_a_token_first_is_not_shown(self, driver: Driver) -> None:
        from imagekit.provider import Endpoint

        class Fetches(Whole):
            @property
            def endpoint(self) -> Endpoint:
                def authorize(request: HttpRequest) -> Any:
                    answer = yield from send(HttpRequest("POST", "https://login.test/token"))
                    return {"authorization": f"Bearer {answer.json()['access_token']}"}

                return Endpoint("https://toy.test/v1", authorize)

        def service(request: httpx.Request) -> httpx.Response:
            if request.url.host == "login.test":
                return httpx.Response(200, json={"access_token": SECRET})
            said = {"pictures": [spelt(picture())], "echo": request.headers["authorization"]}
            return httpx.Response(200, json=said)

        text = shown(driver, service, Fetches())
        assert SECRET not in text
        assert "login.test" not in text


def test_it_is_shown_for_every_verb(driver: Driver) -> None:
    class Lists(Whole):
        def list_models(self) -> Any:
            yield from send(HttpRequest("GET", "/models"))
            return ()

    text = shown(driver, says(), Lists(), verb=lambda c, out: c.models(debug=out))
    assert "[1] -> GET https://toy.test/v1/models" in text
    far = Image(url="https://cdn.test/cat.png?sig=x")
    text = shown(driver, says(), verb=lambda c, out: c.fetch(far, debug=out))
    assert "[1] -> GET https://cdn.test/cat.png?…" in text


def test_an_address_that_is_none_is_shown_as_it_is(driver: Driver) -> None:
    text = shown(driver, says(), Asks(request=HttpRequest("GET", "//evil.test/x?sig=1")))
    assert text.splitlines()[0] == "[1] -> GET //evil.test/x?…"
    text = shown(
        driver, says(), verb=lambda c, out: c.request("GET", "/x", debug=out), made=Inside()
    )
    assert text.splitlines()[0] == "[1] -> GET /x"


def test_a_writer_that_fails_costs_no_picture(
    driver: Driver, caplog: pytest.LogCaptureFixture
) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError("the disk is full")

    response = driver.call(lambda c: c.generate("a cat", debug=Full()), says(), **settings())
    assert response.ok
    assert "debug= cannot be written" in caplog.text


def test_a_writer_needs_no_more_than_write(driver: Driver) -> None:
    class Least:
        def __init__(self) -> None:
            self.said: list[str] = []

        def write(self, text: str) -> None:
            self.said.append(text)

    least = Least()
    driver.call(lambda c: c.generate("a cat", debug=least), says(), **settings())
    # Each exchange is written in one piece, so that those of other calls do not come between.
    assert [text[-1] for text in least.said] == ["\n", "\n"]


@pytest.mark.parametrize("wrong", ["debug.txt", 7, io.BytesIO(), Path("x"), print])
def test_what_is_no_text_file_is_an_error_before_anything_is_sent(
    driver: Driver, wrong: object
) -> None:
    seen: list[object] = []
    with pytest.raises(imagekit.ConfigurationError, match="debug is True or a text file") as found:
        driver.call(lambda c: c.generate("a cat", debug=wrong), seen.append, **settings())
    assert found.value.billed == "no"
    assert seen == []


def test_a_binary_file_is_none(driver: Driver, tmp_path: Path) -> None:
    with (tmp_path / "x").open("wb") as out, pytest.raises(imagekit.ConfigurationError):
        driver.call(lambda c: c.generate("a cat", debug=out), says(), **settings())


def test_what_the_flow_does_beside_is_not_shown(driver: Driver) -> None:
    class Waits(Asks):
        def flow(self, request: ImageRequest, *, stream: bool) -> Any:
            yield from sleep(0)
            return decoded({"pictures": [spelt(picture())]})

    assert shown(driver, says(), Waits()) == ""
