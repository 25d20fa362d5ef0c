"""What both providers are: an account's endpoint, and what is known of the models behind it."""

from __future__ import annotations

from typing import Any

from imagekit import ImageRequest
from imagekit.provider import Capabilities, Effects, notice

from ._account import Account
from ._models import AS_OF, IMAGE_MODEL, MODELS, SOURCE, lifecycle, parameters, size_rule
from ._notices import ending, unpreviewed
from ._refusals import judge


class Dialect:
    """One of OpenAI's image APIs, at OpenAI or at a server that speaks it."""

    family = "openai"
    models = MODELS
    judge = staticmethod(judge)

    def __init__(self, account: Account) -> None:
        self._account = account
        self.endpoint = account.endpoint

    def _known(self, model: str | None, **own: Any) -> Capabilities:
        """What is known of *model*, with what the dialect knows of its *own*."""
        # Of another server's default model nothing is known.
        named = model or (IMAGE_MODEL if self._account.at_home else "")
        return Capabilities(
            model=model or IMAGE_MODEL,
            streaming=self._account.settings.streaming,
            mask=self._account.settings.mask,
            size=size_rule(named),
            parameters=parameters(),
            lifecycle=lifecycle(model or IMAGE_MODEL),
            source=SOURCE,
            as_of=AS_OF,
            **own,
        )

    def _warned(self, request: ImageRequest, *, stream: bool) -> Effects[None]:
        """Say what will not go as asked."""
        if (gone := ending(request.model)) and self._account.at_home:
            yield from notice(gone)
        if stream and (unseen := unpreviewed(request)):
            yield from notice(unseen)
