"""The server as an ASGI application: its parts put together, and its routes."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, Router

from .._client import AsyncClient
from .._errors import ConfigurationError
from ._access import Access
from ._guard import Guard, Receive, Scope, Send
from ._kept import Kept
from ._limits import Limits
from ._log import logger
from ._routes import Routes
from ._runs import Runs
from ._service import Service
from ._store import MemoryStore, SQLiteStore
from .wire.files import Files
from .wire.images import Images
from .wire.models import Models
from .wire.responses import Responses

_HANDLERS = "starlette.exception_handlers"


class App:
    """An ASGI application that speaks the Images and Responses APIs for any provider.

    Run it with any ASGI server on asyncio, or mount it in an application of your own; then enter
    `running()` in that application's lifespan, so that what is being made is finished at its end.
    """

    def __init__(self, service: Service, access: Access, *, owns_client: bool) -> None:
        self._service, self._owns_client = service, owns_client
        self._router = Router(routes=_routes(service), lifespan=self._lifespan)
        inner: Any = self._router
        if access.origins:
            inner = CORSMiddleware(
                inner,
                list(access.origins),
                allow_methods=["*"],
                allow_headers=["*"],
                expose_headers=["*"],
            )
        self._guard = Guard(inner, access, service.limits)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or live through one lifespan."""
        # Where this one is mounted in another, that one's handlers are not for our errors, and its
        # root is not where our links begin.
        own = {name: value for name, value in scope.items() if name != _HANDLERS}
        own |= {"app": self, "app_root_path": scope.get("root_path", "")}
        await self._guard(own, receive, send)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve; at the end wait for the calls that are being made, and let go of everything."""
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

    def stop(self) -> None:
        """Begin no new calls."""
        self._service.runs.stopping = True

    async def finish(self) -> None:
        """Begin no new calls, and finish those being made, as long as `Limits.grace` allows."""
        service = self._service
        if count := len(service.runs):
            logger.info('{"stopping": true, "unfinished": %d}', count)
        ended = await service.runs.finish(service.limits.grace)
        if ended:
            logger.warning("%d calls were ended before they were done", ended)

    async def aclose(self) -> None:
        """Finish what is being made, and let go of everything."""
        await self.finish()
        await self._service.kept.close()
        if self._owns_client:
            await self._service.client.aclose()


def _routes(service: Service) -> list[Route]:
    images, responses = Images(service), Responses(service)
    files, models = Files(service), Models(service)

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
    **settings: Any,
) -> App:
    """A server in front of *provider*, or of whoever *models* names for a model.

    *models* maps a model's name (or "*") to "provider", which is then asked for a model of that
    name, to "provider:model", or to "provider:", which is asked for its default. *tokens* let
    callers in; without any, everybody is, so give some wherever others can connect. *hosts* are
    the names the server answers to, any where there are none; *origins* the web pages that may ask
    from a browser. *database* is the file to keep responses and files in, which else are kept in
    memory. *log_prompts* puts prompts into the access log (the logger "imagekit.server"). *client*
    makes the calls and stays yours to close; else one is made for *provider* with *settings*, which
    are those of `AsyncClient`.
    """
    if client is not None and settings:
        listed = ", ".join(sorted(settings))
        raise ConfigurationError(f"the client is given, so it has its own {listed}")
    limits = limits or Limits()
    access = Access(tuple(tokens), tuple(host.lower() for host in hosts), tuple(origins))
    made = client or AsyncClient(provider=provider and provider.partition(":")[0], **settings)
    routes = Routes(made, provider, models or {})
    store = MemoryStore(limits.stored) if database is None else SQLiteStore(database, limits.stored)
    service = Service(made, routes, Runs(limits.concurrent), Kept(store), limits, log_prompts)
    return App(service, access, owns_client=client is None)
