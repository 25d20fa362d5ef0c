"""What an answer holds, whole or piece by piece: pictures, drafts, words, counts, and why not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import imagekit
from imagekit import provider

# Why it stopped: its rules forbid the picture, or it only made none.
REFUSED = re.compile("(IMAGE_)?(SAFETY|PROHIBITED_CONTENT|RECITATION)|BLOCKLIST|SPII|ESCALATION")
MISSING = re.compile("None|FINISH_REASON_UNSPECIFIED|STOP|NO_IMAGE")
# By status and words, before the status alone. Waiting mends no quota of a day, and none that is 0.
ERRORS: Mapping[str, type[imagekit.ProviderError]] = {
    ".*API_KEY_INVALID": imagekit.AuthenticationError,
    r"429.*(PerDay|limit: 0\b|depleted|billing(?!.*retryDelay))": imagekit.QuotaExceededError,
    "4.*Responsible AI": imagekit.ContentRejectedError,
}
# What is counted, and what it was for.
COUNTS = {"prompt": None, "toolUsePrompt": "tool", "candidates": None, "thoughts": "reasoning"}


class Came:
    """What has come so far of *model* in answer to the turns *asked*."""

    def __init__(self, asked: Sequence[Any], model: str) -> None:
        self._asked, self._model, self._words, self._drafts = asked, model, "", 0
        self._parts: list[Any] = []
        self._slots: list[imagekit.Image | imagekit.ImageFailure] = []
        self._said: dict[str, Any] = {}

    def take(self, body: Any) -> provider.Effects[None]:
        """Take one piece of the answer, or all of it; raises the error that it holds."""
        if not isinstance(body, Mapping):
            raise imagekit.ProtocolError(f"expected an answer, got {str(body)[:80]!r}")
        if "error" in body:
            raise _error(body)
        candidate = next(iter(_listed(body, "candidates")), dict[str, Any]())
        for said in (body, _known(body.get("promptFeedback")), candidate):
            self._said |= {name: one for name, one in said.items() if one is not None}
        for part in _listed(_known(candidate.get("content")), "parts"):
            yield from self._take(part, thought=bool(part.get("thought")))

    def _take(self, part: Mapping[str, Any], *, thought: bool) -> provider.Effects[None]:
        if text := str(part.get("text") or ""):
            self._words += "" if thought else text
            phase = "reasoning" if thought else "content"
            yield from provider.emit(imagekit.Text(text=text, phase=phase))
        if inline := _known(part.get("inlineData")):
            index = len(self._slots)
            try:
                found = provider.blob(inline.get("data", ""))
                image = imagekit.Image(data=found)
                if image.facts is None:
                    raise imagekit.ProtocolError(f"{len(found)} bytes came that are no picture")
            except imagekit.ProtocolError as error:
                failed = imagekit.ImageFailure(kind="failed", reason=str(error))
                self._slots += [] if thought else [failed]
                return
            # The turn is handed back as it came, and has to be JSON until then.
            part = {**part, "inlineData": {**inline, "data": str(found)}}
            draft = imagekit.PartialImage(index=index, step=self._drafts, image=image)
            ready = imagekit.ImageReady(index=index, image=image)
            self._slots += [] if thought else [image]
            self._drafts += thought
            yield from provider.emit(draft if thought else ready)
        self._parts.append(part)

    def response(self, *, ended: bool) -> imagekit.ImageResponse:
        """What it comes to; a slot says why there is no picture.

        What has not *ended* must have said that it is done: else a `TruncatedStreamError`.
        """
        said, told = self._said, ("modelVersion", "groundingMetadata")
        if not (ended or said.keys() & {"finishReason", "blockReason"}):
            raise imagekit.TruncatedStreamError("the stream ended before the model said its end")
        turns = [*self._asked, {"role": "model", "parts": self._parts}]
        left = imagekit.State(provider="gemini", payload={"contents": turns, "model": self._model})
        return imagekit.ImageResponse(
            slots=tuple(self._slots or [self._failure(said, said.get("blockReason"))]),
            model=self._model,
            text=self._words or None,
            usage=usage(_known(said.get("usageMetadata"))),
            state=left if self._parts else None,
            request_ids=(str(said["responseId"]),) if "responseId" in said else (),
            metadata={name: said[name] for name in told if name in said},
        )

    def _failure(self, said: Mapping[str, Any], blocked: Any) -> imagekit.ImageFailure:
        code = str(blocked or said.get("finishReason"))
        why = said.get("finishMessage") or self._words or f"the model made no picture: {code}"
        if not (blocked or REFUSED.fullmatch(code)):
            kind: Any = "missing" if MISSING.fullmatch(code) else "failed"
            return imagekit.ImageFailure(kind=kind, reason=str(why), code=code)
        hits = [one for one in _listed(said, "safetyRatings") if one.get("blocked")]
        names = [str(one.get("category")).removeprefix("HARM_CATEGORY_").lower() for one in hits]
        about: Any = {"stage": "input" if blocked else "output", "categories": tuple(names)}
        return imagekit.ImageFailure(kind="refused", reason=str(why), code=code, **about)


def usage(said: Mapping[str, Any]) -> imagekit.Usage | None:
    """The counts as items that never overlap: tokens by side, modality and what they were for."""
    found: Counter[tuple[Any, str | None, str | None]] = Counter()
    for name, detail in COUNTS.items():
        side = "output" if name in ("candidates", "thoughts") else "input"
        split = _split(_listed(said, f"{name}TokensDetails"))
        # Such a list may leave words out; where there is none, nobody knows what it was.
        rest = _whole(said.get(f"{name}TokenCount")) - split.total()
        split["text" if split else None] += max(rest, 0)
        found.update({(side, detail, modality): count for modality, count in split.items()})
    # What had been kept is counted with the prompt, too.
    kept = [{"tokenCount": said.get("cachedContentTokenCount")}]
    for modality, count in _split(_listed(said, "cacheTokensDetails") or kept).items():
        own = min(count, found["input", None, modality])
        found.update({("input", None, modality): -own, ("input", "cached", modality): own})
    found[None, None, None] = _whole(said.get("totalTokenCount")) - found.total()
    words = ("direction", "detail", "modality")
    items = [
        imagekit.UsageItem(quantity=Decimal(count), **dict(zip(words, one, strict=True)))
        for one, count in found.items()
        if count > 0
    ]
    return imagekit.Usage(items=tuple(items)) if items else None


def _split(parts: Sequence[Mapping[str, Any]]) -> Counter[str | None]:
    found: Counter[str | None] = Counter()
    for one in parts:
        found[str(one.get("modality") or "TEXT").lower()] += _whole(one.get("tokenCount"))
    return found


def error_from(answer: provider.HttpResponse) -> imagekit.ProviderError:
    """The error that an *answer* which is no success tells of, also where it is no JSON."""
    try:
        return _error(answer.json(), answer)
    except imagekit.ProtocolError:
        return _error(None, answer)


def _error(body: Any, answer: provider.HttpResponse | None = None) -> imagekit.ProviderError:
    """The error in *body*, which may stand in the midst of a stream: then it has no status."""
    said = _known(_known(body[0] if isinstance(body, list) and body else body).get("error"))
    status, headers = (answer.status, answer.headers) if answer else (None, dict[str, str]())
    message, details = str(said.get("message") or f"status {status}"), _listed(said, "details")
    waits = [provider.seconds(str(one.get("retryDelay"))) for one in details]
    waits = [one for one in (provider.retry_after(headers), *waits) if one is not None]
    codes = [one["reason"] for one in details if "reason" in one] or [said.get("status")]
    number = status or _whole(said.get("code")) or 500
    text = f"{number} {codes} {message} {details}"
    kinds = (kind for words, kind in ERRORS.items() if re.match(words, text, re.DOTALL))
    kind = next(kinds, provider.error_class(number))
    code, wait = str(codes[0]) if codes[0] else None, next(iter(waits), None)
    return kind(message, status=status, code=code, retry_after=wait)


def _known(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _listed(value: Mapping[str, Any], name: str) -> list[Any]:
    found = value.get(name)
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0
