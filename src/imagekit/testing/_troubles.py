"""The rules about troubles: each is the error that says whose fault it is, in the host's words."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import get_args

from .._errors import (
    AuthenticationError,
    ContentRejectedError,
    ImagekitError,
    InvalidRequestError,
    PermissionDeniedError,
    PluginError,
    ProviderError,
    ProviderUnavailableError,
    QuotaExceededError,
    RateLimitError,
)
from .._http import HttpResponse
from ._bench import WAYS, Bench
from ._given import Given, body_of, heard, texts
from ._host import Asked, Host, Reply, Trouble

# As the base of all hosts says it, and as nobody expects it.
_ODD_BODIES = (
    b"",
    b"null",
    b"[]",
    b"7",
    b'"no"',
    b"{}",
    b'{"error": null}',
    b'{"error": "no"}',
    b'{"error": []}',
    b'{"error": {}}',
    b'{"error": {"code": 7, "message": null, "type": []}}',
    b'{"errors": [null], "detail": {}, "message": 7, "name": {}}',
    b'{"detail": [{"loc": null, "msg": 7}]}',
    b"{",
    b"\xff\xfe\x00",
    b"<html><body>no</body></html>",
)


class Troubles(Given):
    """What goes wrong at the host is told as what it is."""

    def test_a_wrong_key_is_an_authentication_error(self) -> None:
        """The host does not know the key: AuthenticationError, in all four ways."""
        self._ends("authentication", AuthenticationError)

    def test_a_key_that_may_not_is_a_permission_error(self) -> None:
        """The host knows the key, which may not do this: PermissionDeniedError."""
        self._ends("permission", PermissionDeniedError)

    def test_too_much_at_once_is_a_rate_limit_error(self) -> None:
        """Too much at once, and waiting helps: RateLimitError."""
        self._ends("rate_limit", RateLimitError)

    def test_a_used_up_quota_is_a_quota_error(self) -> None:
        """The money is used up, and waiting does not help: QuotaExceededError."""
        self._ends("quota", QuotaExceededError)

    def test_a_wrong_request_is_an_invalid_request_error(self) -> None:
        """The host finds the request wrong: InvalidRequestError."""
        self._ends("invalid", InvalidRequestError)

    def test_a_refused_prompt_is_a_content_rejected_error(self) -> None:
        """The host's rules forbid the prompt: ContentRejectedError."""
        self._ends("moderation", ContentRejectedError)

    def test_an_overloaded_host_is_an_unavailable_error(self) -> None:
        """The host is overloaded or broken: ProviderUnavailableError."""
        self._ends("unavailable", ProviderUnavailableError)

    def test_an_error_has_the_status_of_its_answer(self) -> None:
        """An answer that is no success gives its status to the error."""
        self.wired()
        for trouble, error, reply in self._troubles():
            if reply.status >= 400:
                assert error.status == reply.status, (
                    f"{trouble}: the host answered {reply.status}, and the error's status is "
                    f"{error.status}: raise it with status=answer.status"
                )

    def test_an_error_says_what_the_host_said(self) -> None:
        """The host's own words stand in the error, for who has to mend what is wrong."""
        self.wired()
        for trouble, error, reply in self._troubles():
            words = _words(reply)
            assert not words or any(one in str(error) for one in words), (
                f"{trouble}: the host said {words}, and the error only {str(error)!r}"
                f"{self._unwritten()}"
            )

    def test_a_refusal_before_the_work_costs_nothing(self) -> None:
        """A request that was turned away by its status is not billed."""
        self.wired()
        for trouble, error, reply in self._troubles():
            if 400 <= reply.status < 500 and reply.status not in (408, 409):
                assert error.billed == "no", (
                    f"{trouble}: the host turned the request away with {reply.status}, and the "
                    f"error says billed={error.billed!r}: leave it to the core"
                )

    def test_a_host_that_asks_to_wait_is_heard(self) -> None:
        """The `retry-after` of a refusal is the error's `retry_after`."""
        self.wired()
        if "rate_limit" in self.host.absent:
            self.not_applicable(self.host.absent["rate_limit"])
        bench = self.bench(trouble="rate_limit")

        def later(asked: Asked, reply: Reply) -> Reply:
            return replace(reply, headers={**reply.headers, "retry-after": "7"})

        bench.host.bend = later
        error = _error(bench.ask(**self.usual()).error)
        assert error.retry_after == 7, (
            f"the host asked to wait 7 seconds, and the error's retry_after is "
            f"{error.retry_after!r}: raise it with retry_after=retry_after(answer.headers)"
        )

    def test_an_unknown_status_is_a_provider_error(self) -> None:
        """A status that nobody expects is the provider's error, with that status."""
        self.wired()
        for status in (418, 501, 502):
            for way in WAYS:
                bench = self._answering(status, b"<html>a teapot, or a proxy</html>", "text/html")
                error = bench.ask(way=way, **self.usual()).error
                assert isinstance(error, ProviderError), (
                    f"{way}: a web page with status {status} came to {error!r}: look at the status "
                    "before the body is read"
                )
                assert error.status == status, (
                    f"{way}: the error of an answer {status} says status={error.status}"
                )

    def test_a_refusal_in_words_nobody_knows_is_one_all_the_same(self) -> None:
        """An error's body may be anything: it is still the provider's error, with its status."""
        self.wired()
        for body in _ODD_BODIES:
            bench = self._answering(400, body, "application/json")
            error = bench.ask(**self.usual()).error
            assert not isinstance(error, PluginError), (
                f"the plugin cannot read a refusal whose body is {body!r}: {error}; expect nothing "
                "of what a stranger sends"
            )
            assert isinstance(error, ProviderError), (
                f"an answer 400 with the body {body!r} came to {error!r}, and no ProviderError"
            )

    def _ends(self, trouble: Trouble, kind: type[ImagekitError]) -> None:
        if trouble in self.host.absent:
            self.not_applicable(self.host.absent[trouble])
        for way in WAYS:
            came = self.bench(trouble=trouble).ask(way=way, **self.usual())
            assert isinstance(came.error, kind), (
                f"{way}: the host is in trouble ({trouble}), and the call came to "
                f"{came.error or came.response!r}: raise a {kind.__name__}{self._unwritten()}"
            )

    def _unwritten(self) -> str:
        """What to do where a trouble is answered as no wire of the provider's would."""
        if self.host.troubled is not Host.troubled:
            return ""
        return (
            "; and your host has no troubled(), so that the trouble was not said in the words of "
            "its wire: write Host.troubled, whose docstring names all seven"
        )

    def _troubles(self) -> list[tuple[Trouble, ImagekitError, Reply]]:
        """Each trouble that this wire knows: its error, and the answer that it is made of."""
        found = []
        for trouble in get_args(Trouble):
            if trouble in self.host.absent:
                continue
            bench = self.bench(trouble=trouble)
            replies = heard(bench)
            error = _error(bench.ask(**self.usual()).error)
            found.append((trouble, error, replies[-1]))
        return found

    def _answering(self, status: int, body: bytes, kind: str) -> Bench:
        """The provider beside a host that only ever answers that."""
        bench, only = self.bench(), HttpResponse(status, {"content-type": kind}, body)
        bench.host.bend = lambda *_: only
        return bench


def _error(error: ImagekitError | None) -> ImagekitError:
    assert error is not None, "the host was in trouble, and the call came off all the same"
    return error


def _words(reply: Reply) -> list[str]:
    """What the host said in its answer, where it used words."""
    body = body_of(reply)
    try:
        return [text for text in texts(json.loads(body)) if len(text) > 3]
    except ValueError:
        return [body.decode("utf-8", "replace").strip()[:60]] if body.strip() else []
