"""The server as an ASGI application: its parts put together, and its routes."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Match, Route, Router

from .._client import AsyncClient
from .._configuration import Named
from .._errors import ConfigurationError
from ._access import Access
from ._asgi import Receive, Scope, Send
from ._guard import Guard
from ._kept import Kept
from ._limits import Limits
from ._log import say
from ._routes import Routes
from ._runs import Runs
from ._service import Service
from ._store import MemoryStore, SQLiteStore, Store
from .wire.batches import Batches
from .wire.files import Files
from .wire.images import Images
from .wire.models import Models
from .wire.responses import Responses

_HANDLERS = "starlette.exception_handlers"


class App:
    """An ASGI application that speaks the Images, Responses and Batch APIs for any provider.

    Run it with any ASGI server on asyncio, or mount it in an application of your own; then enter
    `running()` in that application's lifespan, so that what is being made is finished at its end.
    """

    def __init__(
        self, service: Service, access: Access, opened: Callable[[], Store], *, owns_client: bool
    ) -> None:
        self._service, self._owns_client, self._opened = service, owns_client, opened
        self._routes = _endpoints(service)
        self._router = Router(routes=self._routes, lifespan=self._lifespan, redirect_slashes=False)
        inner: Any = self._router
        if access.origins:
            inner = CORSMiddleware(
                inner,
                list(access.origins),
                allow_methods=["*"],
                allow_headers=["*"],
                expose_headers=["*"],
            )
        self._guard = Guard(inner, access, service.limits, self._allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or live through one lifespan."""
        # Where this one is mounted in another, that one's handlers are not for our errors, and its
        # root is not where our links begin.
        own = {name: value for name, value in scope.items() if name != _HANDLERS}
        own |= {"app": self, "app_root_path": scope.get("root_path", "")}
        await self._guard(own, receive, send)

    def _allowed(self, scope: Scope) -> set[str]:
        # Each route knows only its own methods.
        here = [one for one in self._routes if one.matches(scope)[0] is not Match.NONE]
        return {method for one in here for method in one.methods or ()}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve; at the end wait for the calls that are being made, and let go of everything.

        It can be entered again.
        """
        if self._service.kept.closed:
            self._service.kept.use(self._opened())
            self._service.runs.begin_again()
        try:
            yield
        finally:
            await self.aclose()

    @asynccontextmanager
    async def _lifespan(self, _: object) -> AsyncIterator[None]:
        async with self.running():
            yield

    @property
    def limits(self) -> Limits:
        """Its bounds."""
        return self._service.limits

    def stop(self) -> int:
        """Begin no new calls; how many are being made."""
        self._service.runs.stopping = True
        return len(self._service.runs)

    def hurry(self) -> None:
        """End the calls that are being made; whoever waits for them is told."""
        self._service.runs.hurry()

    async def finish(self) -> None:
        """Begin no new calls, and finish those being made, as long as `Limits.grace` allows."""
        ended = await self._service.runs.finish(self.limits.grace)
        if ended:
            say("calls were ended before they were done, and may have been charged", calls=ended)

    async def aclose(self) -> None:
        """Finish what is being made, and let go of everything."""
        await self.finish()
        await self._service.kept.close()
        if self._owns_client:
            await self._service.client.aclose()


def _endpoints(service: Service) -> list[Route]:
    images, responses = Images(service), Responses(service)
    files, models = Files(service), Models(service)
    behind = replace(service, behind=True)
    drawn = Images(behind)
    batches = Batches(
        service,
        {
            "/v1/images/generations": drawn.generations,
            "/v1/images/edits": drawn.edits,
            "/v1/responses": Responses(behind).create,
        },
    )

    async def alive(request: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    async def ready(request: Request) -> JSONResponse:
        stopping = service.runs.stopping
        said = {"status": "stopping" if stopping else "ok", "calls": len(service.runs)}
        return JSONResponse(said, status_code=503 if stopping else 200)

    return [
        Route("/healthz", alive),
        Route("/readyz", ready),
        Route("/v1/images/generations", images.generations, methods=["POST"]),
        Route("/v1/images/edits", images.edits, methods=["POST"]),
        Route("/v1/images/variations", images.variations, methods=["POST"]),
        Route("/v1/images/results/{name}", images.result),
        Route("/v1/responses", responses.create, methods=["POST"]),
        Route("/v1/responses/{id}", responses.retrieve),
        Route("/v1/responses/{id}", responses.delete, methods=["DELETE"]),
        Route("/v1/responses/{id}/cancel", responses.cancel, methods=["POST"]),
        Route("/v1/files", files.list),
        Route("/v1/files", files.create, methods=["POST"]),
        Route("/v1/files/{id}", files.retrieve),
        Route("/v1/files/{id}", files.delete, methods=["DELETE"]),
        Route("/v1/files/{id}/content", files.content),
        Route("/v1/batches", batches.list),
        Route("/v1/batches", batches.create, methods=["POST"]),
        Route("/v1/batches/{id}", batches.retrieve),
        Route("/v1/batches/{id}/cancel", batches.cancel, methods=["POST"]),
        Route("/v1/models", models.list),
        Route("/v1/models/{id:path}", models.retrieve),
    ]


def create_app(
    client: AsyncClient | None = None,
    *,
    provider: str | None = None,
    models: Mapping[str, str] | None = None,
    tokens: Sequence[str] = (),
    hosts: Sequence[str] = (),
    origins: Sequence[str] = (),
    limits: Limits | None = None,
    database: str | os.PathLike[str] | None = None,
    log_prompts: bool = False,
    config: Named = None,
    **settings: Any,
) -> App:
    """A server in front of *provider*, or of whoever *models* names for a model.

    *models* maps a model's name (or "*") to "provider", which is then asked for a model of that
    name, to "provider:model", or to "provider:", which is asked for its default. *tokens* let
    callers in; without any, everybody is, so give some wherever others can connect. *hosts* are
    the names the server answers to, any where there are none; *origins* the web pages that may ask
    from a browser. *database* is the file to keep responses and files in, which else are kept in
    memory. *log_prompts* puts prompts into the access log (the logger "imagekit.server"). *client*
    makes the calls and stays yours to close; else one is made for *provider* with *config* and
    *settings*, which are those of `AsyncClient`.
    """
    if client is not None and (settings or config is not None):
        listed = ", ".join(sorted(settings) or ["config"])
        raise ConfigurationError(f"the client is given, so it has its own {listed}")
    limits = limits or Limits()
    access = Access(tuple(tokens), tuple(host.lower() for host in hosts), tuple(origins))
    # Settings are one provider's: the one that is named, or the only one that the routes name.
    alone = _alone(models or {}) if provider is None and settings else None
    whose = alone or (provider and provider.partition(":")[0])
    made = client or AsyncClient(provider=whose, config=config, **settings)
    routes = Routes(made, provider, models or {}, otherwise=alone is None)
    opened: Callable[[], Store] = partial(MemoryStore, limits.stored)
    if database is not None:
        opened = partial(SQLiteStore, database, limits.stored)
    service = Service(made, routes, Runs(limits.concurrent), Kept(opened()), limits, log_prompts)
    return App(service, access, opened, owns_client=client is None)


def _alone(models: Mapping[str, str]) -> str | None:
    """The provider that all of them mean, if it is one."""
    named = {target.partition(":")[0] for target in models.values()}
    return named.pop() if len(named) == 1 else None
