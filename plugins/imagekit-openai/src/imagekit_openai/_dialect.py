"""What both providers are: an account's endpoint, and what is known of the models behind it."""

from __future__ import annotations

from typing import Any

from imagekit import ImageRequest
from imagekit.provider import Capabilities, Effects, notice

from ._account import Account
from ._beside import Beside
from ._models import (
    AS_OF,
    AZURE_SOURCE,
    IMAGE_MODEL,
    MODELS,
    SOURCE,
    lifecycle,
    parameters,
    size_rule,
)
from ._notices import ending, unpreviewed
from ._refusals import judge


class Dialect(Beside):
    """One of OpenAI's image APIs, at OpenAI or at a server that speaks it."""

    family = "openai"
    models = MODELS
    judge = staticmethod(judge)

    def __init__(self, account: Account) -> None:
        self._account = account
        self.endpoint = account.endpoint

    def _known(self, model: str | None, **own: Any) -> Capabilities:
        """What is known of *model*, with what the dialect knows of its *own*."""
        site, keeper = self._account.azure, self._account.keeper
        # Of another server's default model nothing is known, and Azure has none but the deployment.
        default = site.deployment if site else IMAGE_MODEL
        named = model or (default if keeper else None) or ""
        return Capabilities(
            model=model or default,
            streaming=self._account.settings.streaming,
            mask=self._account.settings.mask,
            size=size_rule(named),
            parameters=parameters(keeper),
            lifecycle=lifecycle(model or default or "", keeper or "OpenAI"),
            source=AZURE_SOURCE if site else SOURCE,
            as_of=AS_OF,
            **own,
        )

    def _meant(self, request: ImageRequest) -> ImageRequest:
        """*request* with the model that it means, where there is no default."""
        site = self._account.azure
        return site.named(request) if site else request

    def _warned(self, request: ImageRequest, *, stream: bool) -> Effects[None]:
        """Say what will not go as asked."""
        keeper = self._account.keeper
        if keeper and (gone := ending(request.model, keeper)):
            yield from notice(gone)
        if stream and (unseen := unpreviewed(request)):
            yield from notice(unseen)
