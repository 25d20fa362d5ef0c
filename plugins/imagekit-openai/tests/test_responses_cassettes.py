"""openai-responses against transcribed answers: typed in from what is published, not recorded.

They hold both what a whole call and what a streamed one is answered, so that each is played in all
six ways. `cassettes/PROVENANCE.toml` says the same.
"""

from __future__ import annotations

from typing import Any

import pytest
from openai_wire import KEY, ONE, THREE, TWO

from imagekit import (
    AuthenticationError,
    ContentRejectedError,
    ImageEvent,
    ImageReady,
    ImageRequest,
    PartialImage,
)
from ways import WAYS, make

PROVIDER = "openai-responses"


class Asking:
    """Asks the same thing in one of the six ways, and keeps what was seen."""

    def __init__(self, way: str) -> None:
        self.streamed = way.endswith("streamed")
        self.events: list[ImageEvent] = []
        self._way = way

    def __call__(self, prompt: str, **fields: Any) -> Any:
        return make(
            self._way,
            ImageRequest(prompt=prompt, **fields),
            events=self.events,
            how={"retries": 0},
            provider=PROVIDER,
            api_key=KEY,
            env={},
        )


@pytest.fixture(params=WAYS)
def ask(request: pytest.FixtureRequest) -> Asking:
    return Asking(request.param)


@pytest.mark.vcr
@pytest.mark.default_cassette("generate.yaml")
def test_a_prompt_becomes_a_picture(ask: Asking) -> None:
    response = ask("a cute baby sea otter", quality="low")
    assert response.ok
    assert response.image.data == ONE
    assert response.image.revised_prompt == "A cute baby sea otter."
    assert response.usage.total_tokens == 360 + 246
    assert response.rate_limits["requests"].reset == 0.012
    assert len(response.request_ids) == 1
    assert response.state.payload["response_id"] == "resp_1"


@pytest.mark.vcr
@pytest.mark.default_cassette("edit.yaml")
def test_an_edit_gives_the_picture_along(ask: Asking) -> None:
    image = ask("add a hat", images=ONE).image
    assert (image.data, image.echo["action"]) == (TWO, "edit")


@pytest.mark.vcr
@pytest.mark.default_cassette("stream.yaml")
def test_previews_come_before_the_picture(ask: Asking) -> None:
    assert ask("a cute baby sea otter", partial_images=2).image.data == ONE
    seen = [one for one in ask.events if isinstance(one, PartialImage | ImageReady)]
    expected = [TWO, THREE, ONE] if ask.streamed else []
    assert [one.image.data for one in seen] == expected


@pytest.mark.vcr
@pytest.mark.default_cassette("refusal.yaml")
def test_a_refusal_in_words_is_a_rejection_in_those_words(ask: Asking) -> None:
    with pytest.raises(ContentRejectedError, match=r"^I can't help with that\.$") as caught:
        ask("something forbidden")
    assert caught.value.billed == "possibly"


@pytest.mark.vcr
@pytest.mark.default_cassette("error-moderation.yaml")
def test_a_picture_that_was_blocked_says_where_and_why(ask: Asking) -> None:
    with pytest.raises(ContentRejectedError) as caught:
        ask("something forbidden")
    assert (caught.value.stage, caught.value.categories) == ("output", ("sexual",))
    assert caught.value.code == "moderation_blocked"


@pytest.mark.vcr
@pytest.mark.default_cassette("error-auth.yaml")
def test_a_key_that_is_unknown_is_an_authentication_error(ask: Asking) -> None:
    with pytest.raises(AuthenticationError) as caught:
        ask("a cute baby sea otter")
    assert (caught.value.status, caught.value.code) == (401, "invalid_api_key")
    assert caught.value.billed == "no"
    assert len(caught.value.request_id or "") > 0
