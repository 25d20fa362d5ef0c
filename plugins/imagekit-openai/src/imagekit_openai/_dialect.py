"""What both providers are: an account's endpoint, and what is known of the models behind it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from imagekit import ImageRequest, ImageResponse
from imagekit.provider import Capabilities, Effects, Flow, HttpRequest, HttpResponse, notice

from ._account import Account
from ._beside import Beside
from ._lenient import Wanted
from ._models import IMAGE_MODEL, TABLES, live
from ._notices import unpreviewed
from ._refusals import judge

if TYPE_CHECKING:
    from ._batches import Batches


class Dialect(Beside, ABC):
    """One of OpenAI's image APIs, at OpenAI or at a server that speaks it."""

    family = "openai"
    judge = staticmethod(judge)

    def __init__(self, account: Account) -> None:
        self._account = account
        self.endpoint = account.endpoint

    @property
    def models(self) -> tuple[str, ...]:
        """The models that are known by name."""
        return live()

    def _known(
        self, model: str | None, dialect: Literal["images", "responses"], **own: Any
    ) -> Capabilities:
        """What is known of *model* in the *dialect*, but for what the settings say of their *own*.

        Of another server's default model nothing is known, and Azure has none but the deployment.
        """
        site, keeper = self._account.azure, self._account.keeper
        default = site.deployment if site else IMAGE_MODEL
        sections = ["everywhere", dialect]
        if keeper == "OpenAI":
            sections += ["service", "openai", f"openai-{dialect}"]
        elif keeper == "Azure":
            sections += ["service", "azure"]
        able = TABLES.of(model or (default if keeper else None), *sections)
        settings = self._account.settings
        return able.model_copy(
            update={
                "model": model or default,
                "streaming": settings.streaming,
                "mask": settings.mask,
                **own,
            }
        )

    @abstractmethod
    def _line(self, request: ImageRequest) -> HttpRequest:
        """*request*, whose pictures are references, as one request in JSON."""

    @abstractmethod
    def _read(self, body: Any, head: HttpResponse, wanted: Wanted) -> ImageResponse:
        """What the answer to a line of a batch came to."""

    @property
    def _batches(self) -> Batches:
        # Most do without them, and they take their time to import.
        from ._batches import Batches

        return Batches(self._account, self._line, self._read)

    def batch(self, requests: Sequence[ImageRequest]) -> Flow:
        """Have *requests* answered as one batch, and wait for it."""
        return (yield from self._batches.begun(requests))

    def resume(self, handle: Mapping[str, Any]) -> Flow:
        """Wait for a batch."""
        return (yield from self._batches.resumed(handle))

    def cancel(self, handle: Mapping[str, Any]) -> Effects[None]:
        """End a batch; one that has ended is left as it is."""
        return (yield from self._batches.cancelled(handle))

    def delete(self, handle: Mapping[str, Any]) -> Effects[None]:
        """Delete all files of a batch that has ended, or one file."""
        if "batch_id" in handle:
            return (yield from self._batches.deleted(handle))
        return (yield from super().delete(handle))

    def _meant(self, request: ImageRequest) -> ImageRequest:
        """*request* with the model that it means, where there is no default."""
        site = self._account.azure
        return site.named(request) if site else request

    def _warned(self, request: ImageRequest, *, stream: bool) -> Effects[None]:
        """Say what will not go as asked."""
        if stream and (unseen := unpreviewed(request)):
            yield from notice(unseen)
