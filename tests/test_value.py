"""A value copies itself as pydantic would, and tells of what does not go to JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticSerializationError

from imagekit import ImageFailure, ImageRequest, ImageResponse, Notice
from imagekit._value import Value

SAID = Notice(kind="other", feature="n")
FAILED = ImageFailure(kind="failed", reason="no")


class Open(Value):
    """What a plugin may derive: it takes what it does not know."""

    model_config = ConfigDict(extra="allow")
    known: int = 0


def told(value: BaseModel) -> list[Any]:
    private = value.__pydantic_private__
    return [
        type(value),
        dict(value.__dict__),
        value.model_fields_set,
        value.model_extra,
        None if private is None else dict(private),
    ]


@pytest.mark.parametrize("deep", [False, True], ids=["shallow", "deep"])
@pytest.mark.parametrize(
    ("value", "update"),
    [
        (SAID, None),
        (SAID, {"detail": "more", "wanted": None}),
        (ImageRequest(prompt="a cat", n=2), {"n": 3}),
        (ImageResponse(slots=(FAILED,)), {"notices": (SAID,)}),
        (Open.model_validate({"known": 1, "more": 2}), {"known": 3, "most": 4}),
    ],
    ids=["as it is", "fields", "a request", "what has private values", "with what is not known"],
)
def test_a_copy_is_as_pydantics_own(
    value: Value, update: Mapping[str, Any] | None, deep: bool
) -> None:
    before = told(value)
    wanted = BaseModel.model_copy(value, update=update, deep=deep)
    found = value.model_copy(update=update, deep=deep)
    assert told(found) == told(wanted)
    assert found == wanted
    assert told(value) == before


def test_a_copy_has_values_of_its_own() -> None:
    response = ImageResponse(slots=(FAILED,))
    job: Any = "a job"
    assert response.with_job(job).job == job
    assert response.job is None
    changed = response.model_copy(update={"model": "one"})
    assert (response.model, changed.model) == (None, "one")
    assert changed.model_fields_set == {"slots", "model"}
    assert response.model_fields_set == {"slots"}


def test_a_deep_copy_shares_nothing() -> None:
    value = ImageResponse(slots=(FAILED,), metadata={"a": [1]})
    shallow, deep = value.model_copy(), value.model_copy(deep=True)
    assert shallow.metadata is value.metadata
    assert deep.metadata == value.metadata
    assert deep.metadata is not value.metadata


def test_what_does_not_go_to_json_is_told_of_as_pydantic_does() -> None:
    value = Open.model_validate({"more": object()})
    with pytest.raises(PydanticSerializationError, match="Unable to serialize"):
        value.model_dump_json()


def test_a_cause_that_is_gone_when_it_is_looked_for_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    value = Open.model_validate({"more": object()})
    monkeypatch.setattr(Value, "model_dump", lambda self, **how: {})
    with pytest.raises(PydanticSerializationError, match="Unable to serialize"):
        value.model_dump_json()
