from __future__ import annotations

import re

import pytest

import imagekit
from imagekit import (
    ContentRejectedError,
    ImagekitError,
    InvalidRequestError,
    RequestError,
    _errors,
)


def drawn() -> list[tuple[int, str, str]]:
    """Depth, name and words of each line of the drawing."""
    lines = (_errors.__doc__ or "").splitlines()
    found = []
    for line in lines[lines.index("ImagekitError") + 1 :]:
        if line:
            bars, name, words = re.fullmatch(r"([│├└─ ]+)(\w+) +(.+)", line).groups()  # type: ignore[union-attr]
            found.append((len(bars) // 4, name, words))
    return found


def real(of: type[ImagekitError] = ImagekitError, depth: int = 1) -> list[tuple[int, str]]:
    found = []
    for kind in of.__subclasses__():
        if kind.__module__ == _errors.__name__:
            found += [(depth, kind.__name__), *real(kind, depth + 1)]
    return found


def test_the_drawn_tree_is_the_real_one() -> None:
    assert [(depth, name) for depth, name, _ in drawn()] == real()


@pytest.mark.parametrize(("name", "words"), [(name, words) for _, name, words in drawn()])
def test_every_error_is_public_and_documented(name: str, words: str) -> None:
    assert getattr(imagekit, name).__doc__


@pytest.mark.parametrize("name", [name for _, name, _ in drawn()])
def test_every_error_carries_what_is_known(name: str) -> None:
    error = getattr(imagekit, name)(
        "no hats",
        status=400,
        code="hat",
        param="prompt",
        request_id="req_1",
        retry_after=2.5,
        billed="possibly",
    )
    assert (
        str(error),
        error.status,
        error.code,
        error.param,
        error.request_id,
        error.retry_after,
        error.billed,
    ) == ("no hats", 400, "hat", "prompt", "req_1", 2.5, "possibly")


@pytest.mark.parametrize(
    "what",
    [
        "provider",
        "status",
        "code",
        "param",
        "request_id",
        "retry_after",
        "billed",
        "checkpoint",
        "response",
    ],
)
def test_what_is_not_known_is_none(what: str) -> None:
    assert getattr(InvalidRequestError("no hats"), what) is None


def test_a_wrong_request_is_a_value_error_too() -> None:
    assert issubclass(RequestError, ValueError)


def test_a_rejection_says_at_which_stage_and_why() -> None:
    error = ContentRejectedError("no hats", stage="input", categories=("hats",), status=400)
    assert (error.stage, error.categories, error.status) == ("input", ("hats",), 400)


def test_a_rejection_that_says_nothing_more_is_of_unknown_stage() -> None:
    error = ContentRejectedError("no hats")
    assert (error.stage, error.categories) == ("unknown", ())
