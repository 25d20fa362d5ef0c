"""The two clients: thin, and alike."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypeGuard, TypeVar, Unpack

from ._around import Ready
from ._calls import Calls
from ._capabilities import Capabilities
from ._configuration import Named, Setup, settled
from ._drive import run
from ._errors import ConfigurationError, ImagekitError, RequestError
from ._fields import (
    AskFields,
    Defaults,
    EditFields,
    FetchFields,
    GenerateFields,
    Inputs,
    ModerateFields,
    PlanFields,
    ResumeFields,
    RunFields,
    StreamFields,
)
from ._flow import send
from ._http import HttpRequest, HttpResponse, Key
from ._image import Image, ImageFile
from ._input import InputLike, ProviderFile
from ._jobs import Job, job_of
from ._meant import Meaning, Spending
from ._observed import Unfinished
from ._perform import performed
from ._plan import Plan, is_plan
from ._plugins import Plugins
from ._providers import Profile, Providers
from ._purse import AsBudget, Totals
from ._request import ImageRequest, State
from ._response import ImageResponse
from ._retried import RetryPolicy
from ._scope import Scope
from ._speakers import Timeouts
from ._streams import AsyncStream, Clock, Opening, Stream, until
from ._tables import Given as Patched
from ._tables import patches
from ._transport import AsyncTransport, SyncTransport

if TYPE_CHECKING:
    from ._beside import ModelInfo, Moderation, StoredFile
    from ._cache import AsCache
    from ._library import AsyncWay, Way

T = TypeVar("T")
# What a provider may keep, and delete.
Kept: TypeAlias = "Job | State | StoredFile | ProviderFile | str"


class _Client:
    """What the two clients have in common: everything but their verbs."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    @property
    def plugins(self) -> Plugins:
        """Where observers, and providers that are not installed, are registered."""
        return self._calls.providers.plugins

    def providers(self) -> tuple[str, ...]:
        """Everything that `provider=` may be: providers and profiles."""
        return self._calls.providers.names()

    def capabilities(
        self, model: str | None = None, *, provider: str | None = None
    ) -> Capabilities:
        """What *model* can do; without one, the model that a call would ask for."""
        return self._calls.meaning.capabilities(provider, model)

    @property
    def spent(self) -> Totals:
        """What this client's calls came to so far."""
        return self._calls.purse.spent

    def _streamed(
        self, given: ImageRequest | Plan | Job | str, fields: Mapping[str, Any]
    ) -> Ready[ImageResponse]:
        if isinstance(given, Plan) or is_plan(given):
            return self._calls.following(given, fields)
        if isinstance(given, Job) or _is_job(given):
            return self._calls.jobs.resuming(given, fields)
        return self._calls.making(*_asked(given, fields), stream=True)

    def _planned(self, given: ImageRequest | str, fields: Mapping[str, Any]) -> Ready[Plan]:
        stream = bool(fields.get("stream", False))
        said = {name: value for name, value in fields.items() if name != "stream"}
        return self._calls.planning(*_asked(given, said), stream=stream)

    def _ready(
        self,
        given: ImageRequest | Plan | str | None,
        fields: Mapping[str, Any],
        needs: Sequence[str],
    ) -> Ready[ImageResponse]:
        if isinstance(given, Plan | str):
            return self._calls.following(given, fields)
        if not isinstance(given, ImageRequest | None):
            kind = type(given).__name__
            raise RequestError(f"run() takes a request or a plan, not {kind}", billed="no")
        return self._calls.making(given, fields, needs)

    def _deleted(self, kept: Kept, fields: Mapping[str, Any]) -> Ready[None]:
        from ._beside import StoredFile

        match kept:
            case State(provider=provider, payload=payload):
                return self._calls.jobs.removing(payload, fields, provider)
            case StoredFile(id=id) | ProviderFile(id=id):
                return self._calls.jobs.removing({"file_id": id}, fields)
            case str() if not _is_job(kept):
                words = "a file is deleted as ProviderFile(id), a response by its state"
                raise RequestError(
                    f"this is no job that submit() or batch() gave; {words}", billed="no"
                )
        return self._calls.jobs.ending(kept, "delete", fields)

    def _uploaded(self, image: InputLike, fields: Mapping[str, Any]) -> Ready[Any]:
        return self._calls.showing(
            "upload", "keeps no files", {"images": [image]}, fields, whole=True
        )

    def _moderated(
        self, prompt: str | None, images: Inputs, fields: Mapping[str, Any]
    ) -> Ready[Any]:
        how = {name: value for name, value in fields.items() if name != "model"}
        shown = {"model": fields.get("model"), "prompt": prompt, "images": images}
        return self._calls.showing("moderate", "moderates nothing by itself", shown, how)


def _calls(
    setup: Setup,
    provider: str | Sequence[str] | None,
    own: Profile,
    plugins: Plugins | None,
    env: Mapping[str, str] | None,
    capabilities: Patched,
) -> Calls:
    known = patches(capabilities, os.environ if env is None else env)
    first = _first(provider)
    who = Providers(first, own, setup.profiles, plugins, env, setup.provider, setup.places, known)
    defaults = dict(setup.defaults)
    if first != provider:
        defaults["provider"] = provider
    return Calls(Meaning(who, setup.retry, defaults), setup.spending)


def _first(provider: str | Sequence[str] | None) -> str | None:
    """Whom the client's own key and address belong to, where it asks several."""
    if provider is None or isinstance(provider, str):
        return provider
    if not provider:
        raise ConfigurationError("provider is a name, or a list of names: the list is empty")
    return provider[0].partition(":")[0]


def _is_job(given: object) -> TypeGuard[str]:
    """Whether *given* is a job as JSON, which as a prompt would be paid for."""
    if not isinstance(given, str) or not given.lstrip().startswith("{"):
        return False
    try:
        job_of(given)
    except RequestError:
        return False
    return True


def _asked(
    given: ImageRequest | str, fields: Mapping[str, Any]
) -> tuple[ImageRequest | None, Mapping[str, Any], Sequence[str]]:
    """A request, or a prompt with its fields, as `Calls` takes either."""
    if isinstance(given, ImageRequest):
        return given, fields, ()
    if _is_job(given):
        raise RequestError("this is a job, and no prompt: resume(job) finishes it", billed="no")
    if is_plan(given):
        raise RequestError("this is a plan, and no prompt: run(plan) does it", billed="no")
    return None, {**fields, "prompt": given}, ("prompt",)


def _one(
    given: ImageRequest | str, fields: Mapping[str, Any]
) -> tuple[ImageRequest | None, Mapping[str, Any], Sequence[str]]:
    """The same, of one picture, whose URL is read by whoever opens it."""
    asked, said, needs = _asked(given, fields)
    if said.get("n", asked.n if asked else 1) not in (None, 1):
        raise RequestError("open_image opens one picture: leave n out", billed="no")
    return asked, {**said, "n": 1, "fetch": said.get("into") is not None}, needs


def _again(response: ImageResponse, fields: Mapping[str, Any]) -> Any:
    """How the picture of *response* is fetched: from who made it, as its call was made."""
    how = {name: one for name, one in fields.items() if name in FetchFields.__annotations__}
    return {**how, "provider": response.profile or response.provider}


@contextmanager
def _paid(response: ImageResponse) -> Iterator[None]:
    """What fails now fails after a picture was made: where it is stands in the response."""
    try:
        yield
    except ImagekitError as error:
        error.response, error.billed = response, "yes"
        raise


class Client(_Client):
    """Makes pictures through any provider, blocking.

    *provider* is who makes them where a call does not say; *api_key*, *base_url* and *settings*
    are that provider's, and *profiles* are others with settings of their own. *api_key* may be a
    callable that is asked for each request. *http* is a `Client` of httpx or httpx2, or a transport
    for one, to send over, *downloads* one to read strangers' URLs with; both stay yours to close.
    *timeouts* are seconds for connecting and for the next byte. *env* is read in place of
    `os.environ`. *config* is a file of settings; without one it is what `IMAGEKIT_CONFIG` names,
    else the user's own, and with False none. *capabilities* patches what is known of models: a
    file, a mapping, or False for not even the user's own file. *budget* is what all calls together
    may cost, *cache* where results are kept (True is the usual place), *images_per_minute* how fast
    each model is asked. Several names in *provider* are asked in order. Everything else is a
    default for the calls: the call's own value wins, then the client's, then the environment's,
    then the file's.

    Safe to share between threads.
    """

    def __init__(
        self,
        *,
        provider: str | Sequence[str] | None = None,
        api_key: Key | None = None,
        base_url: str | None = None,
        settings: Mapping[str, Any] | None = None,
        profiles: Sequence[Profile] = (),
        plugins: Plugins | None = None,
        retry: RetryPolicy | None = None,
        timeouts: Timeouts | None = None,
        http: Way | None = None,
        downloads: Way | None = None,
        env: Mapping[str, str] | None = None,
        config: Named = None,
        capabilities: Patched = None,
        budget: AsBudget | None = None,
        cache: AsCache | None = None,
        images_per_minute: int | None = None,
        **defaults: Unpack[Defaults],
    ) -> None:
        own = Profile("", "", base_url, api_key, None, settings or {})
        spending = Spending(budget, cache, images_per_minute)
        setup = settled(
            config, env, _first(provider), profiles, retry, timeouts, defaults, spending
        )
        super().__init__(_calls(setup, provider, own, plugins, env, capabilities))
        self._transport = SyncTransport(http, downloads, setup.timeouts)

    def generate(self, prompt: str, **fields: Unpack[GenerateFields]) -> ImageResponse:
        """Make pictures from a prompt."""
        return self._made(None, {**fields, "prompt": prompt}, "prompt")

    def edit(self, prompt: str, images: Inputs, **fields: Unpack[EditFields]) -> ImageResponse:
        """Change pictures as a prompt says; with a mask, only where it marks."""
        asked = {**fields, "prompt": prompt, "images": images}
        return self._made(None, asked, "prompt", "images")

    def vary(self, images: Inputs, **fields: Unpack[GenerateFields]) -> ImageResponse:
        """Make pictures like a given one."""
        return self._made(None, {**fields, "images": images}, "images")

    def run(self, request: ImageRequest | Plan | str, **fields: Unpack[RunFields]) -> ImageResponse:
        """Do what *request* asks, or exactly what a plan says, also one that is JSON."""
        return self._made(request, fields)

    def plan(self, request: ImageRequest | str, **fields: Unpack[PlanFields]) -> Plan:
        """What *request*, or a prompt with its fields, would send and may cost.

        Nothing is sent, and no key is needed. `run(plan)` does exactly that, now or later.
        """
        return self._done(self._planned(request, fields))

    def stream(
        self, request: ImageRequest | Plan | Job | str, **fields: Unpack[StreamFields]
    ) -> Stream:
        """Do what *request*, a plan, or a prompt with its fields asks, and see it happen.

        Of a `Job` it shows the rest, as `resume` waits for it.
        """
        return Stream(self._streamed(request, fields), self._transport)

    def open_image(
        self, given: ImageRequest | Image | str, **fields: Unpack[StreamFields]
    ) -> ImageFile:
        """The bytes of one picture, as a file to read from; raises when there is none.

        It is made anew from a prompt or a request, or it is an earlier *given* `Image`, which is
        fetched where it is only a URL yet; *fields* are those of `stream`, or of `fetch`.
        """
        if isinstance(given, Image):
            return self._done(self._calls.fetching(given, fields)).open()
        asked, said, needs = _one(given, fields)
        response = self._made(asked, said, *needs)
        # The image of a response that carries an error raises it.
        if response.image.length is not None:
            return response.image.open()
        with _paid(response):
            return self.open_image(response.image, **_again(response, fields))

    def fetch(self, image: Image, **fields: Unpack[FetchFields]) -> Image:
        """*image* with its bytes, where it is only a URL yet; with `into`, in a file."""
        return self._done(self._calls.fetching(image, fields))

    def submit(self, request: ImageRequest | str, **fields: Unpack[StreamFields]) -> Job:
        """Have *request*, or a prompt with its fields, done while nobody waits.

        Any process can `resume` the job; as `str(job)` it is JSON. Raises `UnsupportedRequestError`
        where the provider keeps no jobs.
        """
        return self._begun(self._calls.jobs.submitting(*_asked(request, fields)))

    def batch(self, requests: Sequence[ImageRequest], **fields: Unpack[RunFields]) -> Job:
        """Have all *requests* done by the provider's batch API: later, and for less.

        `job.divided(response)` gives each request its slots. Raises `UnsupportedRequestError` where
        the provider has no such thing.
        """
        return self._begun(self._calls.jobs.batching(requests, fields))

    def resume(self, job: Job | str, **fields: Unpack[ResumeFields]) -> ImageResponse:
        """Wait for a job to be done; its pictures."""
        return self._finished(job, fields, wait=True)

    def poll(self, job: Job | str, **fields: Unpack[ResumeFields]) -> ImageResponse | None:
        """The pictures of a job if it is done, else None at once."""
        try:
            return self._finished(job, fields, wait=False)
        except Unfinished:
            return None

    def cancel(self, job: Job | str, **fields: Unpack[AskFields]) -> None:
        """End a job. What it has made by then can still be had by `resume`."""
        self._done(self._calls.jobs.ending(job, "cancel", fields))

    def delete(self, kept: Kept, **fields: Unpack[AskFields]) -> None:
        """Delete what a provider keeps: a job, what a response's `state` names, or a file."""
        self._done(self._deleted(kept, fields))

    def upload(self, image: InputLike, **fields: Unpack[AskFields]) -> StoredFile:
        """Give a provider a picture to keep, for requests to name instead of sending it."""
        found: StoredFile = self._done(self._uploaded(image, fields))
        return found

    def files(self, **fields: Unpack[AskFields]) -> tuple[StoredFile, ...]:
        """The files that the provider keeps."""
        return tuple(self._done(self._calls.asking("list_files", "keeps no files", fields)))

    def models(self, **fields: Unpack[AskFields]) -> tuple[ModelInfo, ...]:
        """The models that the provider lists just now; `capabilities` needs no network."""
        return tuple(self._done(self._calls.asking("list_models", "lists no models", fields)))

    def moderate(
        self, prompt: str | None = None, images: Inputs = (), **fields: Unpack[ModerateFields]
    ) -> Moderation:
        """What the provider's rules say of a prompt or pictures; nothing is made."""
        found: Moderation = self._done(self._moderated(prompt, images, fields))
        return found

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        query: Mapping[str, str] | None = None,
        billable: bool | None = None,
        **fields: Unpack[AskFields],
    ) -> HttpResponse:
        """Send a request of your own to the provider, with its address and credentials.

        For what no verb covers. The answer comes as it is, whatever its status; the rules for
        repeating hold (`billable` is true of a POST unless you say otherwise).
        """
        asked = HttpRequest(method, path, json=json, query=query or {}, billable=billable)
        return self._done(self._calls.sending(send(asked), fields))

    def _finished(self, job: Job | str, fields: Mapping[str, Any], *, wait: bool) -> ImageResponse:
        clock = Clock()
        try:
            made = self._done(self._calls.jobs.resuming(job, fields, wait=wait))
        except ImagekitError as error:
            made = self._calls.carried(error, None, fields)
        return clock.stamp(made)

    def _made(
        self, given: ImageRequest | Plan | str | None, fields: Mapping[str, Any], *needs: str
    ) -> ImageResponse:
        clock = Clock()
        try:
            made = self._begun(self._ready(given, fields, needs))
        except ImagekitError as error:
            made = self._calls.carried(error, given, fields)
        return clock.stamp(made)

    def _begun(self, ready: Ready[T]) -> T:
        try:
            return self._done(ready)
        except BaseException as struck:
            ready.left(struck)
            raise

    def _done(self, ready: Ready[T]) -> T:
        return run(ready.flow, self._transport, Scope(ready.deadline))

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncClient(_Client):
    """Makes pictures through any provider, on asyncio or trio.

    The arguments are those of `Client`; *http* and *downloads* are `AsyncClient`s of httpx or
    httpx2, or async transports.
    """

    def __init__(
        self,
        *,
        provider: str | Sequence[str] | None = None,
        api_key: Key | None = None,
        base_url: str | None = None,
        settings: Mapping[str, Any] | None = None,
        profiles: Sequence[Profile] = (),
        plugins: Plugins | None = None,
        retry: RetryPolicy | None = None,
        timeouts: Timeouts | None = None,
        http: AsyncWay | None = None,
        downloads: AsyncWay | None = None,
        env: Mapping[str, str] | None = None,
        config: Named = None,
        capabilities: Patched = None,
        budget: AsBudget | None = None,
        cache: AsCache | None = None,
        images_per_minute: int | None = None,
        **defaults: Unpack[Defaults],
    ) -> None:
        own = Profile("", "", base_url, api_key, None, settings or {})
        spending = Spending(budget, cache, images_per_minute)
        setup = settled(
            config, env, _first(provider), profiles, retry, timeouts, defaults, spending
        )
        super().__init__(_calls(setup, provider, own, plugins, env, capabilities))
        self._transport = AsyncTransport(http, downloads, setup.timeouts)

    async def generate(self, prompt: str, **fields: Unpack[GenerateFields]) -> ImageResponse:
        """Make pictures from a prompt."""
        return await self._made(None, {**fields, "prompt": prompt}, "prompt")

    async def edit(
        self, prompt: str, images: Inputs, **fields: Unpack[EditFields]
    ) -> ImageResponse:
        """Change pictures as a prompt says; with a mask, only where it marks."""
        asked = {**fields, "prompt": prompt, "images": images}
        return await self._made(None, asked, "prompt", "images")

    async def vary(self, images: Inputs, **fields: Unpack[GenerateFields]) -> ImageResponse:
        """Make pictures like a given one."""
        return await self._made(None, {**fields, "images": images}, "images")

    async def run(
        self, request: ImageRequest | Plan | str, **fields: Unpack[RunFields]
    ) -> ImageResponse:
        """Do what *request* asks, or exactly what a plan says, also one that is JSON."""
        return await self._made(request, fields)

    async def plan(self, request: ImageRequest | str, **fields: Unpack[PlanFields]) -> Plan:
        """What *request*, or a prompt with its fields, would send and may cost.

        Nothing is sent, and no key is needed. `run(plan)` does exactly that, now or later.
        """
        return await self._done(self._planned(request, fields))

    def stream(
        self, request: ImageRequest | Plan | Job | str, **fields: Unpack[StreamFields]
    ) -> AsyncStream:
        """Do what *request*, a plan, or a prompt with its fields asks, and see it happen.

        Of a `Job` it shows the rest, as `resume` waits for it.
        """
        return AsyncStream(self._streamed(request, fields), self._transport)

    def open_image(
        self, given: ImageRequest | Image | str, **fields: Unpack[StreamFields]
    ) -> Opening:
        """The bytes of one picture, as a file to read from; raises when there is none.

        It is made anew from a prompt or a request, or it is an earlier *given* `Image`, which is
        fetched where it is only a URL yet; *fields* are those of `stream`, or of `fetch`. Awaited,
        it is an `ImageFile`; `async with` gives one whose `read` is awaited.
        """
        return Opening(self._opened(given, fields))

    async def _opened(
        self, given: ImageRequest | Image | str, fields: Mapping[str, Any]
    ) -> ImageFile:
        if isinstance(given, Image):
            return (await self._done(self._calls.fetching(given, fields))).open()
        asked, said, needs = _one(given, fields)
        response = await self._made(asked, said, *needs)
        if response.image.length is not None:
            return response.image.open()
        with _paid(response):
            return await self._opened(response.image, _again(response, fields))

    async def fetch(self, image: Image, **fields: Unpack[FetchFields]) -> Image:
        """*image* with its bytes, where it is only a URL yet; with `into`, in a file."""
        return await self._done(self._calls.fetching(image, fields))

    async def submit(self, request: ImageRequest | str, **fields: Unpack[StreamFields]) -> Job:
        """Have *request*, or a prompt with its fields, done while nobody waits.

        Any process can `resume` the job; as `str(job)` it is JSON. Raises `UnsupportedRequestError`
        where the provider keeps no jobs.
        """
        return await self._begun(self._calls.jobs.submitting(*_asked(request, fields)))

    async def batch(self, requests: Sequence[ImageRequest], **fields: Unpack[RunFields]) -> Job:
        """Have all *requests* done by the provider's batch API: later, and for less.

        `job.divided(response)` gives each request its slots. Raises `UnsupportedRequestError` where
        the provider has no such thing.
        """
        return await self._begun(self._calls.jobs.batching(requests, fields))

    async def resume(self, job: Job | str, **fields: Unpack[ResumeFields]) -> ImageResponse:
        """Wait for a job to be done; its pictures."""
        return await self._finished(job, fields, wait=True)

    async def poll(self, job: Job | str, **fields: Unpack[ResumeFields]) -> ImageResponse | None:
        """The pictures of a job if it is done, else None at once."""
        try:
            return await self._finished(job, fields, wait=False)
        except Unfinished:
            return None

    async def cancel(self, job: Job | str, **fields: Unpack[AskFields]) -> None:
        """End a job. What it has made by then can still be had by `resume`."""
        await self._done(self._calls.jobs.ending(job, "cancel", fields))

    async def delete(self, kept: Kept, **fields: Unpack[AskFields]) -> None:
        """Delete what a provider keeps: a job, what a response's `state` names, or a file."""
        await self._done(self._deleted(kept, fields))

    async def upload(self, image: InputLike, **fields: Unpack[AskFields]) -> StoredFile:
        """Give a provider a picture to keep, for requests to name instead of sending it."""
        found: StoredFile = await self._done(self._uploaded(image, fields))
        return found

    async def files(self, **fields: Unpack[AskFields]) -> tuple[StoredFile, ...]:
        """The files that the provider keeps."""
        return tuple(await self._done(self._calls.asking("list_files", "keeps no files", fields)))

    async def models(self, **fields: Unpack[AskFields]) -> tuple[ModelInfo, ...]:
        """The models that the provider lists just now; `capabilities` needs no network."""
        return tuple(await self._done(self._calls.asking("list_models", "lists no models", fields)))

    async def moderate(
        self, prompt: str | None = None, images: Inputs = (), **fields: Unpack[ModerateFields]
    ) -> Moderation:
        """What the provider's rules say of a prompt or pictures; nothing is made."""
        found: Moderation = await self._done(self._moderated(prompt, images, fields))
        return found

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        query: Mapping[str, str] | None = None,
        billable: bool | None = None,
        **fields: Unpack[AskFields],
    ) -> HttpResponse:
        """Send a request of your own to the provider, with its address and credentials.

        For what no verb covers. The answer comes as it is, whatever its status; the rules for
        repeating hold (`billable` is true of a POST unless you say otherwise).
        """
        asked = HttpRequest(method, path, json=json, query=query or {}, billable=billable)
        return await self._done(self._calls.sending(send(asked), fields))

    async def _finished(
        self, job: Job | str, fields: Mapping[str, Any], *, wait: bool
    ) -> ImageResponse:
        clock = Clock()
        try:
            made = await self._done(self._calls.jobs.resuming(job, fields, wait=wait))
        except ImagekitError as error:
            made = self._calls.carried(error, None, fields)
        return clock.stamp(made)

    async def _made(
        self, given: ImageRequest | Plan | str | None, fields: Mapping[str, Any], *needs: str
    ) -> ImageResponse:
        clock = Clock()
        try:
            made = await self._begun(self._ready(given, fields, needs))
        except ImagekitError as error:
            made = self._calls.carried(error, given, fields)
        return clock.stamp(made)

    async def _begun(self, ready: Ready[T]) -> T:
        try:
            return await self._done(ready)
        except BaseException as struck:
            ready.left(struck)
            raise

    async def _done(self, ready: Ready[T]) -> T:
        return await performed(ready.flow, self._transport, until(ready.deadline))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
