"""The rules about jobs: work that goes on by itself, and that any process can finish or end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .._client import Client
from .._errors import (
    DeadlineExceededError,
    ImagekitError,
    PluginError,
    ProviderError,
    UnsupportedRequestError,
)
from .._flow import Open, Send, Sleep
from .._http import HttpResponse
from .._jobs import Job
from .._request import ImageRequest
from .._response import ImageResponse
from ._bench import Bench
from ._charges import Attempts
from ._given import pictures
from ._host import Asked, Host, Reply
from ._secrets import Secrets, quiet

# What a stranger may write where an id stood.
_LEADING = (
    "../../../admin",
    "..",
    "a/../../admin",
    "a/b",
    "//elsewhere.test/a",
    "https://elsewhere.test/a",
    "a?b=c",
    "a#b",
    "a%2f..%2fadmin",
    "a\\..\\b",
    "",
)
_WRONG: tuple[Any, ...] = (None, 7, True, [], ["a"], {}, {"a": 1})
# More looks than there is time for; and seconds, for a host that says of anything that it goes on.
_LONG, _ENOUGH = 10**6, 2.0


@dataclass
class Shop:
    """A client that begins a job, looks at it and ends it, and the bench that it is of."""

    bench: Bench
    client: Client
    fields: Mapping[str, Any]

    def submit(self) -> Job:
        """A job, begun."""
        return self.client.submit(ImageRequest(**self.fields))

    def done(self, verb: str, job: Job | str, **how: Any) -> Any:
        """What *verb* makes of *job*, or the error of ours that it ends in."""
        return _our(lambda: getattr(self.client, verb)(job, **how))

    @property
    def host(self) -> Host:
        """The other side."""
        return self.bench.host

    def attempts(self) -> Attempts:
        """What counts what is sent from now on."""
        found = Attempts()
        self.client.plugins.register(found)
        return found


class JobsKept(Secrets):
    """A job is JSON, which is all that is needed to look at it, to wait for it and to end it."""

    def test_work_that_goes_on_alone_is_given_out_or_refused(self) -> None:
        """submit() gives a job with a handle; of a provider that keeps none, an error."""
        shop = self._opened()
        found = _our(shop.submit)
        if self.able.detaches:
            assert isinstance(found, Job), f"submit() ended in {found!r}"
            assert found.parts[0].handle is not None, (
                "the job of submit() has no handle, for it was waited for: yield from "
                "checkpoint(handle) as soon as the host has given its id"
            )
        else:
            assert isinstance(found, UnsupportedRequestError), (
                f"a provider that does not detach came to {found!r} at submit()"
            )
            assert not shop.host.asked, "submit() was refused after the host was asked"

    def test_a_job_is_finished_in_another_process(self) -> None:
        """A job that was JSON is finished by a new client, blocking and async."""
        shop, job = self._begun()
        text, other = str(job), self.beside(shop.bench)
        found = [
            _our(lambda: self.beside(shop.bench).call(lambda client: client.resume(text))),
            _our(lambda: other.async_call(lambda client: client.resume(text))),
        ]
        for one in found:
            assert not isinstance(one, ImagekitError), (
                f"a new client cannot finish the job: {one!r}; its handle has to say all that is "
                "needed"
            )
            came = self.all_seen(one)
            assert "pictures" in self.host.absent or came == [self.seen(pictures(1)[0])], (
                "the job came to another picture than the host made"
            )

    def test_a_look_at_a_job_never_waits(self) -> None:
        """poll() asks once: a job that goes on is None, one that is done its pictures."""
        shop, job = self._begun()
        shop.host.scene.pending = 1
        first = shop.done("poll", job)
        assert first is None, (
            f"a job that goes on came to {first!r}: wait until the host says that it is done (its "
            "fake has to ask scene.done() at each look)"
        )
        assert shop.host.scene.pending < 1, (
            "poll() asked nothing: resume(handle) has to ask first and to wait after"
        )
        second = shop.done("poll", job)
        assert isinstance(second, ImageResponse), (
            f"a job that is done came to {second!r} at the next look"
        )

    def test_there_is_a_wait_between_two_looks(self) -> None:
        """A host that says that the work goes on is not asked again at once."""
        shop, job = self._begun()
        shop.host.scene.pending = 2
        shop.done("resume", job)
        waited = True
        for effect in shop.bench.traces[-1].effects:
            if isinstance(effect, Sleep) and effect.seconds > 0:
                waited = True
            elif isinstance(effect, Send | Open):
                assert waited, "a job is looked at again without a wait: yield from sleep(seconds)"
                waited = False

    def test_looks_at_a_job_cost_nothing(self) -> None:
        """To ask how a job is is not marked as costing."""
        shop, job = self._begun()
        attempts = shop.attempts()
        shop.host.scene.pending = 1
        shop.done("resume", job)
        assert attempts.charging == 0, (
            "a look at a job is marked as what may cost: send it as a GET, or with billable=False"
        )

    def test_a_look_at_a_job_is_repeated(self) -> None:
        """A look that is answered with a 500 is repeated: it costs nothing."""
        for status in (500, 503):
            shop, job = self._begun()
            shop.host.bend = _first(status)
            found = shop.done("resume", job)
            assert not isinstance(found, ImagekitError), (
                f"one look at the job was answered {status}, and that ended the job: {found!r}"
            )

    def test_a_call_that_breaks_leaves_its_job(self) -> None:
        """Where a call breaks after its job was begun, the error has the job, to be finished."""
        shop, _ = self._begun()
        host = shop.host

        def silent(asked: Asked, reply: Reply) -> Reply:
            host.fault = "silence"
            return reply

        def after(asked: Asked, reply: Reply) -> Reply:
            host.bend = silent
            return reply

        host.bend = after
        error = _our(lambda: shop.client.run(ImageRequest(**self.usual(), detach=True)))
        assert isinstance(error, ImagekitError), "the host fell silent, and the call came off"
        assert error.job is not None, (
            f"the call broke after its job was begun, and {error!r} has no job: yield from "
            "checkpoint(handle) before the first look"
        )
        host.bend, host.fault = None, None
        found = shop.done("resume", error.job)
        assert not isinstance(found, ImagekitError), f"the job of the error came to {found!r}"

    def test_a_job_that_never_ends_is_left_at_the_deadline(self) -> None:
        """The deadline ends the waiting, not the job."""
        shop, job = self._begun()
        shop.host.scene.pending = _LONG
        error = shop.done("resume", job, deadline=0.02)
        assert isinstance(error, DeadlineExceededError), (
            f"the deadline passed while the job went on, and resume() came to {error!r}"
        )
        assert error.job is not None, "the deadline passed, and the job is lost"

    def test_a_job_that_is_gone_is_the_providers_error(self) -> None:
        """A job that the host does not know any more is a ProviderError with its status."""
        for status in (404, 410):
            shop, job = self._begun()
            body = b'{"error": {"code": "gone", "message": "there is no such job"}}'
            shop.host.bend = _only(HttpResponse(status, {"content-type": "application/json"}, body))
            found = shop.done("resume", job)
            assert isinstance(found, ProviderError), f"a job that is gone came to {found!r}"
            assert found.status == status, (
                f"the host answered {status}, and the error says status={found.status}"
            )

    def test_cancelling_a_job_reaches_the_host(self) -> None:
        """cancel() asks the host to end the job; a provider that cannot says so."""
        shop, job = self._begun()
        before = len(shop.host.asked)
        found = shop.done("cancel", job)
        if not hasattr(shop.bench.provider(), "cancel"):
            assert isinstance(found, UnsupportedRequestError), f"cancel() came to {found!r}"
            return
        assert not isinstance(found, PluginError), f"cancel() failed: {found}"
        assert len(shop.host.asked) > before, "cancel() asked the host nothing"

    def test_ending_a_job_costs_nothing(self) -> None:
        """To cancel a job is not marked as costing, so that it may be repeated."""
        shop, job = self._begun()
        attempts = shop.attempts()
        shop.done("cancel", job)
        assert attempts.charging == 0, (
            "to cancel a job is marked as what may cost: send it with billable=False"
        )

    def test_a_strangers_handle_leads_nowhere_else(self) -> None:
        """What stands in a handle names a job, and never another address, path or query."""
        shop, job = self._begun()
        for verb in self._verbs(shop):
            shop.host.asked.clear()
            shop.done(verb, job)
            usual = {_place(asked) for asked in shop.host.asked}
            for where, odd in _handles(job, _LEADING):
                shop.host.asked.clear()
                shop.done(verb, odd, deadline=_ENOUGH)
                for asked in shop.host.asked:
                    assert _place(asked) in usual, (
                        f"{verb}() of a handle with {where} asks {asked.method} {asked.url}: a "
                        "handle may be a stranger's, so quote what of it goes into a URL: "
                        "quote(id, safe='')"
                    )

    def test_a_handle_of_odd_values_is_no_crash(self) -> None:
        """A handle without its keys, or with other values in them, is refused."""
        shop, job = self._begun()
        for verb in self._verbs(shop):
            for where, odd in (("nothing in it", _with(job, {})), *_handles(job, _WRONG)):
                found = shop.done(verb, odd, deadline=_ENOUGH)
                assert not isinstance(found, PluginError), (
                    f"{verb}() of a handle with {where} fails in the plugin: {found}; check a "
                    "handle, which may be a stranger's, and raise a RequestError"
                )

    def test_no_key_is_in_a_job(self) -> None:
        """A job can be kept anywhere: it holds no key."""
        _, job = self._begun()
        quiet(f"{job!r} {job}", "the job", self.credentials)

    def _opened(self) -> Shop:
        bench = self.bench(*pictures(1))
        return Shop(bench, bench.client(), self.usual())

    def _begun(self) -> tuple[Shop, Job]:
        """A job, and who began it."""
        if not self.able.detaches:
            self.not_applicable("its work does not go on by itself")
        if "resume" in self.host.absent:
            self.not_applicable(self.host.absent["resume"])
        if not hasattr(self.bench().provider(), "resume"):
            self.not_applicable("there is no resume(handle), which is a fault of its own")
        shop = self._opened()
        job = shop.submit()
        if job.parts[0].handle is None:
            self.not_applicable("submit() gives no handle, which is a fault of its own")
        return shop, job

    def _verbs(self, shop: Shop) -> tuple[str, ...]:
        made = shop.bench.provider()
        return ("resume", *(verb for verb in ("cancel", "delete") if hasattr(made, verb)))


def _our(act: Callable[[], Any]) -> Any:
    """What *act* comes to, or the error of ours that it ends in."""
    try:
        return act()
    except ImagekitError as error:
        return error


def _first(status: int) -> Callable[[Asked, Reply], Reply]:
    """A bend whose first answer is only that *status*."""
    answers = iter((HttpResponse(status, {"content-type": "text/plain"}, b"out of order"),))
    return lambda _, reply: next(answers, reply)


def _only(reply: Reply) -> Callable[[Asked, Reply], Reply]:
    return lambda *_: reply


def _with(job: Job, handle: Mapping[str, Any]) -> Job:
    said = json.loads(str(job))
    said["parts"][0]["handle"] = dict(handle)
    return Job.model_validate(said)


def _handles(job: Job, odd: tuple[Any, ...]) -> Iterator[tuple[str, Job]]:
    """*job* with one value of its handle changed, each in words."""
    handle = dict(job.parts[0].handle or {})
    for name, value in handle.items():
        for one in odd if isinstance(value, str) else ():
            yield f"{one!r} as its {name!r}", _with(job, {**handle, name: one})


def _place(asked: Asked) -> tuple[Any, ...]:
    """Where a request leads, whatever job it names there."""
    parts = urlsplit(asked.url)
    query = tuple(sorted(parse_qs(parts.query, keep_blank_values=True)))
    return asked.method, asked.origin, parts.path.count("/"), query
