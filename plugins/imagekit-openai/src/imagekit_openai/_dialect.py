"""What both providers are: an account's endpoint, and what is known of the models behind it."""

from __future__ import annotations

from typing import Any, Literal

from imagekit import ImageRequest
from imagekit.provider import Capabilities, Effects, notice

from ._account import Account
from ._beside import Beside
from ._models import IMAGE_MODEL, TABLES, live
from ._notices import unpreviewed
from ._refusals import judge


class Dialect(Beside):
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

    def _meant(self, request: ImageRequest) -> ImageRequest:
        """*request* with the model that it means, where there is no default."""
        site = self._account.azure
        return site.named(request) if site else request

    def _warned(self, request: ImageRequest, *, stream: bool) -> Effects[None]:
        """Say what will not go as asked."""
        if stream and (unseen := unpreviewed(request)):
            yield from notice(unseen)
