"""One call of the Responses API, from its start to what is kept of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from contextlib import suppress
from typing import Any

from ..._errors import ImagekitError
from ..._events import Completed, ImageFailed, ImageReady, Noticed
from ..._image import Image
from ..._request import ImageRequest, State
from .._following import comments, frame
from .._log import Record, logger
from .._routes import Target
from .._runs import Run
from .._service import Service, logged, tell
from .conversation import Create
from .notices import public
from .refusals import BROKEN, ENDED
from .shelf import Shelf
from .telling import Telling


class Call:
    """One call of the Responses API, from its start to what is kept of it."""

    telling: Telling
    run: Run

    def __init__(
        self,
        service: Service,
        shelf: Shelf,
        asked: Create,
        wanted: ImageRequest,
        target: Target,
        record: Record,
        owner: str,
        action: str,
        unshown: list[str],
    ) -> None:
        self._service, self._shelf, self._record = service, shelf, record
        self.asked, self.wanted, self.target = asked, wanted, target
        self.owner, self.action = owner, action
        # Pictures that are talked about and did not go along: those a state stands for.
        self.unshown = unshown
        self.state: State | None = None
        self.notices: list[Any] = []

    def say(self, event: dict[str, Any]) -> None:
        """Send an event to whoever follows."""
        if not self.asked.stream:
            return
        notices, self.notices = self.notices, []
        self.run.say(comments(notices) + frame(event))

    async def make(self) -> None:
        """Make the picture; say what happens, and keep what is to be kept."""
        error: Exception | None = None
        try:
            self.telling.go_on()
            await (self._watched() if self.asked.stream else self._made())
        except ImagekitError as failed:
            answered = self.telling.fail(failed, logged(self._record, failed))
            if not (answered or self.asked.stream or self.asked.background):
                error = failed
        except Exception as broken:
            logger.exception("%s failed", self.telling.response["id"])
            self.telling.break_off(BROKEN)
            error = None if self.asked.stream or self.asked.background else broken
        except asyncio.CancelledError:
            if self._service.runs.stopping:
                self.telling.break_off(ENDED)
            else:
                self.telling.cancel()
            raise
        finally:
            await _surely(self._ended(error))

    async def _ended(self, error: Exception | None) -> None:
        # It is kept before its end is told: whoever hears of that may ask for it at once.
        keeps = self.asked.stores and error is None
        try:
            if keeps:
                await self._tried(self.keep())
            self.telling.close()
            if keeps and self.asked.background and self.asked.stream:
                await self._tried(self._keep_events())
        finally:
            self.run.finish(error)
            self._record.ended()

    async def keep(self) -> None:
        """Store the response as it stands."""
        await self._shelf.keep(
            self.owner,
            self.telling.response,
            provider=self.target.provider,
            wanted=self.wanted,
            state=self.state,
            unshown=self.unshown,
        )

    async def _keep_events(self) -> None:
        await self._shelf.keep_events(self.owner, self.telling.response["id"], self.run.frames)

    async def _tried(self, keeping: Awaitable[None]) -> None:
        try:
            await keeping
        except Exception:  # the picture is made and paid for: it is answered all the same
            logger.exception("%s could not be kept", self.telling.response["id"])

    async def _made(self) -> None:
        service = self._service
        response = await service.client.run(self.wanted, **service.how(self.target))
        self.notices += [public(one) for one in response.notices]
        for index, slot in enumerate(response.slots):
            self.telling.see(
                ImageReady(index=index, image=slot)
                if isinstance(slot, Image)
                else ImageFailed(index=index, failure=slot)
            )
        self._completed(Completed(response=response))

    async def _watched(self) -> None:
        service = self._service
        stream = service.client.stream(self.wanted, **service.how(self.target))
        async with stream:
            async for event in stream:
                if isinstance(event, Noticed):
                    self.notices.append(public(event.notice))
                elif isinstance(event, Completed):
                    self._completed(event)
                else:
                    self.telling.see(event)

    def _completed(self, event: Completed) -> None:
        tell(self._record, event.response)
        self.state = event.response.state
        self.telling.see(event)


async def _surely(work: Coroutine[Any, Any, None]) -> None:
    """See *work* through, whoever cancels."""
    task = asyncio.create_task(work)
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait({task})
    task.result()
