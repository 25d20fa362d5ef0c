"""What is answered about files, models and moderations, taken as far as it can be read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from imagekit import ModelInfo, Moderation, StoredFile

from ._lenient import Read, Said
from ._readings import moment


class File(Read):
    id: Said[str] = None
    filename: Said[str] = None
    bytes: Said[int] = None
    purpose: Said[str] = None
    created_at: Said[float] = None
    expires_at: Said[float] = None

    def stored(self) -> StoredFile | None:
        """What is kept; None where it has no name to ask for it by."""
        if not self.id:
            return None
        return StoredFile(
            id=self.id,
            name=self.filename,
            size=self.bytes,
            purpose=self.purpose,
            created=moment(self.created_at),
            expires_at=moment(self.expires_at),
        )


class Files(Read):
    data: Said[list[Said[File]]] = None
    has_more: Said[bool] = None


class Model(Read):
    id: Said[str] = None
    created: Said[float] = None
    owned_by: Said[str] = None
    shutdown_date: Said[date] = None

    def info(self) -> ModelInfo | None:
        """The model; None where it has no name."""
        if not self.id:
            return None
        return ModelInfo(
            id=self.id,
            created=moment(self.created),
            owner=self.owned_by,
            shuts_down=self.shutdown_date,
        )


class Models(Read):
    data: Said[list[Said[Model]]] = None


class Result(Read):
    flagged: Said[bool] = None
    categories: Said[Mapping[str, Said[bool]]] = None
    category_scores: Said[Mapping[str, Said[float]]] = None


class Moderated(Read):
    model: Said[str] = None
    results: Said[list[Result]] = None


def moderation(body: Moderated, results: list[Result]) -> Moderation:
    """All results as one: flagged where any is, with the highest score of each category."""
    categories: dict[str, None] = {}
    scores: dict[str, float] = {}
    for one in results:
        named = one.categories or {}
        categories |= {name: None for name, objected in named.items() if objected}
        for name, score in (one.category_scores or {}).items():
            if score is not None:
                scores[name] = max(score, scores.get(name, score))
    return Moderation(
        flagged=any(one.flagged for one in results),
        categories=tuple(categories),
        scores=scores,
        model=body.model,
    )
