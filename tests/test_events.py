from __future__ import annotations

from typing import Any, get_args

import pytest
from pydantic import TypeAdapter, ValidationError

from imagekit import (
    Completed,
    Image,
    ImageEvent,
    ImageFailed,
    ImageFailure,
    ImageReady,
    ImageResponse,
    Notice,
    Noticed,
    PartialImage,
    Progress,
    Queued,
    Text,
    _events,
)
from imagekit._value import Value

IMAGE = Image(data=b"\xfb\xef\xff")
FAILURE = ImageFailure(kind="refused", reason="no hats")
ADAPTER: TypeAdapter[Any] = TypeAdapter(ImageEvent)

EVENTS: list[Any] = [
    Queued(position=3),
    Progress(fraction=0.5, step=2, total=4, message="painting"),
    Text(text="here it is", phase="reasoning"),
    PartialImage(index=1, step=2, image=IMAGE),
    ImageReady(index=1, image=IMAGE),
    ImageFailed(index=1, failure=FAILURE),
    Noticed(notice=Notice(kind="adjusted", feature="size")),
    Completed(response=ImageResponse(slots=(IMAGE, FAILURE))),
]


def test_the_union_is_every_event_there_is() -> None:
    union = get_args(get_args(ImageEvent)[0])
    assert set(union) == {
        found
        for found in vars(_events).values()
        if isinstance(found, type)
        and issubclass(found, Value)
        and "kind" in found.model_fields
        and found.__module__ == _events.__name__
    }


def test_the_samples_are_every_event_there_is() -> None:
    assert {type(event) for event in EVENTS} == set(get_args(get_args(ImageEvent)[0]))


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.kind)
def test_an_event_goes_to_json_and_back(event: object) -> None:
    assert ADAPTER.validate_json(ADAPTER.dump_json(event)) == event


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.kind)
def test_the_repr_of_an_event_is_short(event: object) -> None:
    assert len(repr(event)) < 250


def test_kinds_are_all_different() -> None:
    assert len({event.kind for event in EVENTS}) == len(EVENTS)


def test_an_unknown_kind_is_no_event() -> None:
    with pytest.raises(ValidationError, match="kind"):
        ADAPTER.validate_python({"kind": "telepathy"})
