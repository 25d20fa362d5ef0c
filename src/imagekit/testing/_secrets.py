"""The rules about secrets: a key goes home only, and stands nowhere else."""

from __future__ import annotations

import io
import itertools
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any, get_args
from urllib.parse import urlsplit

from .._errors import ImagekitError, MissingCredentialError
from .._hookspecs import CallInfo, hookimpl
from .._http import HttpRequest, HttpResponse
from .._manifest import Manifest
from .._request import ImageRequest
from ._bench import KEY, WAYS
from ._given import Given, pictures
from ._host import Asked, Trouble

# Words that a recorder puts in place of a secret.
_BLANKED = re.compile(r"^[\W_]*(?:|redacted|removed|hidden|filtered|xxx+|dummy|\W*)[\W_]*$", re.I)


class Secrets(Given):
    """Nobody but the provider's own host ever sees the key."""

    def test_no_key_is_in_what_the_provider_shows_of_itself(self) -> None:
        """The repr of a provider and of its endpoint hold no key."""
        bench = self.bench()
        made = bench.provider()
        for what, said in (
            ("the provider", repr(made) + str(made)),
            ("its endpoint", repr(made.endpoint)),
            ("its capabilities", repr(bench.able()) + bench.able().model_dump_json()),
        ):
            quiet(said, f"the repr of {what}", self.credentials)

    def test_no_key_is_in_a_log(self) -> None:
        """Whatever is logged, at any level, holds no key."""
        for trouble in (None, *get_args(Trouble)):
            if trouble in self.host.absent:
                continue
            for way in WAYS:
                with _logged() as log:
                    self.bench(trouble=trouble).ask(way=way, **self.usual())
                quiet(log.getvalue(), f"{way}, trouble {trouble}: the log", self.credentials)

    def test_no_key_is_in_an_error(self) -> None:
        """An error, what it carries and what caused it hold no key."""
        for trouble in get_args(Trouble):
            if trouble not in self.host.absent:
                for way in WAYS:
                    error = self.bench(trouble=trouble).ask(way=way, **self.usual()).error
                    self._silent(error, f"{way}: the error of {trouble}")
        if self.on_wire:
            for fault in ("unreachable", "silence", "broken", "cut"):
                bench = self.bench()
                bench.host.fault = fault
                self._silent(bench.ask(**self.usual()).error, f"the error of {fault}")

    def test_no_key_is_in_a_plan(self) -> None:
        """A plan says all that would be sent but the credentials."""
        plan = self.bench().call(lambda client: client.plan(ImageRequest(**self.usual())))
        quiet(f"{plan!r} {plan}", "the plan", self.credentials)
        for one in plan.requests:
            body = (one.body or b"").decode("utf-8", "replace")
            quiet(f"{one!r} {body}", "a request of the plan", self.credentials)

    def test_no_key_is_in_a_response(self) -> None:
        """A response, its raw exchanges and its manifest hold no key."""
        for way in WAYS:
            came = self.bench().ask(way=way, raw=True, keep_plan=True, **self.usual())
            found = came.pictures()
            said = f"{found!r} {found.model_dump_json()}"
            quiet(said, f"{way}: the response", self.credentials)
            for one in found.raw:
                quiet(_request(one.request), f"{way}: its raw request", self.credentials)
                body = one.response.body.decode("utf-8", "replace")
                said = f"{one!r} {dict(one.response.headers)} {body} {one.events}"
                quiet(said, f"{way}: its raw answer", self.credentials)
            manifest = Manifest.of(found.plan, found).model_dump_json()
            quiet(manifest, f"{way}: its manifest", self.credentials)

    def test_no_key_is_on_a_request_before_the_last_step(self) -> None:
        """A flow attaches no credential: Endpoint.authorize does, when nobody looks any more."""
        for way in WAYS:
            bench, seen = self.bench(), _Seen()
            bench.observers.append(seen)
            bench.ask(way=way, **self.usual())
            for request in seen.requests:
                said = f"{way}: a request as observers see it"
                quiet(_request(request), said, self.credentials)

    def test_a_host_that_quotes_the_key_gives_nothing_away(self) -> None:
        """What a host says of the key it was given reaches nobody."""
        self.wired()
        if not self.credentials:
            self.not_applicable("it sends no key")
        for way in WAYS:
            for status in (401, 400, 500):
                bench = self.bench()
                bench.host.bend = lambda asked, _, status=status: _quoting(asked, status)
                with _logged() as log:
                    came = bench.ask(way=way, raw=True, **self.usual())
                what = f"{way}: the host quotes the key with status {status}, and it is in"
                self._silent(came.error, f"{what} the error")
                quiet(log.getvalue(), f"{what} the log", self.credentials)

    def test_no_key_goes_to_another_host(self) -> None:
        """What is fetched elsewhere is fetched without a key."""
        if not self.host.urls:
            self.not_applicable("its host gives no addresses")
        for way in WAYS:
            bench = self.bench(*pictures(1), by_url=True)
            bench.ask(way=way, **self.usual())
            home = urlsplit(bench.provider().endpoint.base_url).netloc  # type: ignore[union-attr]
            for asked in bench.host.asked:
                if urlsplit(asked.url).netloc != home:
                    said = f"{asked.url} {dict(asked.headers)}"
                    quiet(said, f"{way}: what is sent to another host", self.credentials)

    def test_a_missing_key_is_said_before_anything_is_sent(self) -> None:
        """Without a key the call ends in a MissingCredentialError, where one is needed."""
        self.wired()
        needs = bool(self.credentials)
        for way in WAYS:
            bench = self.bench()
            came = bench.ask(way=way, client={"api_key": None}, **self.usual())
            if needs and came.error is not None:
                assert isinstance(came.error, MissingCredentialError), (
                    f"{way}: without a key the call ended in {came.error!r}: raise a "
                    "MissingCredentialError, or say it in Endpoint(missing=...)"
                )
                assert not bench.host.asked, f"{way}: without a key the host was asked"
            for asked in bench.host.asked:
                said = " ".join(asked.headers.values())
                assert "None" not in said, f"{way}: a missing key was sent as 'None': {said}"

    def test_a_key_may_be_a_callable(self) -> None:
        """A key that is a callable is asked anew for each call, and not when it is built."""
        self.wired()
        if not self.credentials:
            self.not_applicable("it sends no key")
        bench, numbers = self.bench(), itertools.count(1)

        def key() -> str:
            return f"{KEY}-{next(numbers)}"

        def two(client: Any) -> None:
            for _ in range(2):
                client.run(ImageRequest(**self.usual()))

        bench.call(two, api_key=key)
        sent = [
            set(re.findall(rf"{KEY}-\d+", " ".join(asked.headers.values())))
            for asked in bench.host.asked
            if asked.url not in bench.host.shelf
        ]
        assert all(sent), (
            "a key that is a callable was not asked for: hand config.api_key to bearer(), or ask "
            "it by credential()"
        )
        assert sent[0] != sent[-1], (
            "the callable's first key was used again: ask for it in authorize, for each request"
        )

    def test_no_key_is_in_a_cassette(self) -> None:
        """Recorded traffic holds no key, and nothing in the headers that carry one."""
        folder = self.cassettes
        if folder is None:
            self.not_applicable("it has no recorded traffic")
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        assert files, f"there is no recorded traffic in {folder}"
        names = "|".join(map(re.escape, self.credentials)) or "authorization"
        headers = re.compile(
            rf"""^[\s"'-]*(?:{names})["']?\s*:\s*(?:\n\s*-\s*)?(?P<value>[^\n]*)""", re.I | re.M
        )
        for path in files:
            said = path.read_text("utf-8", "replace")
            quiet(said, f"the cassette {path.name}", {})
            for found in headers.finditer(said):
                assert _BLANKED.match(found["value"]), (
                    f"the cassette {path.name} holds a credential: {found[0].strip()[:20]}…; "
                    "have its recorder leave it out"
                )

    @cached_property
    def credentials(self) -> Mapping[str, str]:
        """The headers that prove who is calling, as they are found on what is sent."""
        if not self.on_wire:
            return {}
        with_key, without = self.bench(), self.bench()
        with_key.ask(**self.usual())
        without.ask(client={"api_key": f"{KEY}-another"}, **self.usual())
        other = {value for asked in without.host.asked for value in asked.headers.values()}
        return {
            name: value
            for asked in with_key.host.asked
            for name, value in asked.headers.items()
            if KEY in value or (value not in other and "auth" in name)
        }

    def _silent(self, error: ImagekitError | None, what: str) -> None:
        for said in _all_of(error):
            quiet(said, what, self.credentials)


class _Seen:
    """An observer of requests."""

    def __init__(self) -> None:
        self.requests: list[HttpRequest] = []

    @hookimpl
    def imagekit_request_sent(self, call: CallInfo, request: HttpRequest) -> None:
        self.requests.append(request)


def quiet(said: str, what: str, credentials: Mapping[str, str]) -> None:
    """Nothing of a key is in what is *said*."""
    assert KEY not in said, f"the key stands in {what}"
    for name, value in credentials.items():
        secret = value.rpartition(" ")[2]
        assert secret not in said, f"what the header {name!r} proves stands in {what}"


def _request(request: HttpRequest) -> str:
    """All of *request*, as text."""
    parts = [bytes(part.data).decode("utf-8", "replace") for part in request.parts]
    body = (request.body or b"").decode("utf-8", "replace")
    heads = (request.url, dict(request.headers), dict(request.query), request.form, request.json)
    return f"{request!r} {heads} {parts} {body}"


def _quoting(asked: Asked, status: int) -> HttpResponse:
    quoted = " ".join(f"{name}: {value}" for name, value in asked.headers.items())
    body = f'{{"error": {{"code": "odd", "message": "I was given {quoted}"}}}}'
    return HttpResponse(status, {"content-type": "application/json"}, body.encode())


@contextmanager
def _logged() -> Iterator[io.StringIO]:
    """All that is logged meanwhile, by anybody."""
    out, root = io.StringIO(), logging.getLogger()
    handler, own = logging.StreamHandler(out), logging.getLogger("imagekit")
    levels = {one: one.level for one in (root, own)}
    root.addHandler(handler)
    for one in levels:
        one.setLevel(logging.DEBUG)
    try:
        yield out
    finally:
        root.removeHandler(handler)
        for one, level in levels.items():
            one.setLevel(level)


def _all_of(error: BaseException | None) -> Iterator[str]:
    """What can be read of *error*, of what it carries, and of what caused it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield f"{error} {error!r} {error.args!r} {getattr(error, '__notes__', '')}"
        for name, value in vars(error).items():
            said = value.model_dump_json() if hasattr(value, "model_dump_json") else ""
            yield f"{name}: {value!r} {said}"
        hidden = error.__suppress_context__
        error = error.__cause__ or (None if hidden else error.__context__)
