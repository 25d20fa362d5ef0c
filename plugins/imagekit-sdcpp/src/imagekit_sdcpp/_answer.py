"""What the server answers: a job, its pictures with what made them, and how it says no."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import unescape
from json import JSONDecoder
from pathlib import PurePath
from typing import Any

import imagekit as kit
from imagekit.provider import Effects, HttpResponse, blob, error_class, notice, retry_after

# What it writes into a PNG before JSON that says what made it; in WebP it is the text of XML, and
# into a JPEG it writes nothing.
MARK, LONGEST = b"SDCPP: ", 100_000


def refused(answer: HttpResponse) -> kit.ProviderError:
    """The exception for an answer that is no success."""
    try:
        code, message = _words(table(answer.json()))
    except kit.ProtocolError:
        code, message = None, f"the server answered {answer.status}: {answer.text[:200]!r}"
    if message == "invalid generation parameters":
        message += " (its own log says which; input pictures that are grey are among them)"
    kind = error_class(answer.status)
    return kind(message, status=answer.status, code=code, retry_after=retry_after(answer.headers))


def finished(job: Mapping[str, Any], asked: Mapping[str, Any]) -> Effects[kit.ImageResponse]:
    """The pictures of a job that is done; raises where it has none.

    Tells where the pictures say that something else made them than was *asked*.
    """
    status, images = job.get("status"), table(job.get("result")).get("images")
    if status in ("failed", "cancelled"):
        code, message = _words(job)
        # Only what was not begun can be cancelled.
        raise kit.NoImageError(message, code=code, billed="no" if status == "cancelled" else None)
    if status != "completed" or not isinstance(images, list):
        raise kit.ProtocolError(f"a job that is {str(status)[:40]!r}, and has no pictures")
    places = [table(one).get("index") for one in images]
    if all(type(one) is int for one in places) and len(set(places)) == len(places):
        images = sorted(images, key=lambda one: one["index"])
    slots = tuple(map(_slot, images))
    told = next(filter(None, map(_told, slots)), {})
    for name in sorted(told.keys() & asked.keys()):
        said = {"wanted": str(asked[name]), "used": told[name]}
        if said["wanted"] != said["used"]:
            detail = f"asked for {said['wanted']}, made with {said['used'] or 'what is usual'}"
            differs = kit.Notice(kind="delivered-differs", feature=name, detail=detail, **said)
            yield from notice(differs)
    return kit.ImageResponse(slots=slots, model=told.get("model"))


def table(said: Any) -> Mapping[str, Any]:
    """*said*, where it is an object of JSON; else one that says nothing."""
    return said if isinstance(said, Mapping) else {}


def _slot(said: Any) -> kit.Image | kit.ImageFailure:
    try:
        found = blob(table(said).get("b64_json", ""))
        image = kit.Image(data=found)
        if image.facts is None:
            raise kit.ProtocolError(f"{len(found)} bytes came that are no picture")
    except kit.ProtocolError as error:
        return kit.ImageFailure(kind="failed", reason=str(error))
    seed = _recipe(bytes(found)).get("seed")
    return image.model_copy(update={"seed": seed}) if type(seed) is int else image


def _told(slot: kit.Image | kit.ImageFailure) -> dict[str, str | None]:
    """The model, sampler and scheduler that a picture says made it; empty where it says nothing."""
    recipe = _recipe(slot.data or b"") if isinstance(slot, kit.Image) else {}
    models, how = table(recipe.get("models")), table(recipe.get("sampling"))
    model = PurePath(str(models.get("model") or models.get("diffusion_model") or "")).stem
    said = {"model": model, "sampler": how.get("method"), "scheduler": how.get("scheduler")}
    return {name: str(word) if word else None for name, word in said.items()} if recipe else {}


def _recipe(picture: bytes) -> Mapping[str, Any]:
    """What made *picture*, as it says itself; empty where it does not.

    Where a prompt holds that mark too, it hides what follows: as text it cannot stand for it.
    """
    start = picture.rfind(MARK) + len(MARK)
    text = picture[start : start + LONGEST].decode("utf-8", "replace")
    try:
        return table(JSONDecoder().raw_decode(unescape(text) if text[1:2] == "&" else text)[0])
    except (ValueError, RecursionError):
        return {}


def _words(said: Mapping[str, Any]) -> tuple[str | None, str]:
    """The code and the message of an error: of a word, a sentence or an object."""
    error = said.get("error")
    inner = {**said, "code": error} if isinstance(error, str) else table(error)
    code = str(inner.get("code") or "")
    message = str(inner.get("message") or code or "the server does not say why")
    # A sentence may quote a prompt, and codes stand in logs: this one is the server's own.
    return (code if re.fullmatch(r"\w+|job not found", code) else None), message
