"""openai-responses against recorded answers of imagekit's own server, which draws sketches.

Nobody else's software speaks this dialect offline; the official SDK's types and the recordings of
the live service judge what the server says. `python3 dev.py record openai-responses` makes the
cassettes anew; while it does, each request goes to the real server, in the first two of the six
ways.
"""

from __future__ import annotations

import pytest
from sources import Asking, plain

from imagekit import (
    AuthenticationError,
    ContentRejectedError,
    ImageReady,
    PartialImage,
    ProviderError,
    RateLimitError,
    TruncatedStreamError,
)

PROVIDER = "openai-responses"
ALWAYS = {"quality": "low"}


@pytest.mark.vcr
@pytest.mark.made_by("server", "live")
@pytest.mark.default_cassette("generate.yaml")
def test_a_prompt_becomes_a_picture(ask: Asking) -> None:
    response = ask("a cute baby sea otter")
    assert response.ok
    assert response.image.to_pil().size == (ask.source.side, ask.source.side)
    assert response.image.echo["action"] == "generate"
    assert len(response.request_ids) == 1
    assert response.state.payload["response_id"].startswith("resp_")
    # Nobody counts tokens where nobody uses any.
    assert (response.usage is not None) == ask.source.live


@pytest.mark.vcr
@pytest.mark.made_by("server", "live")
@pytest.mark.default_cassette("edit.yaml")
def test_an_edit_gives_the_picture_along(ask: Asking) -> None:
    image = ask("add a hat", images=plain()).image
    assert image.echo["action"] == "edit"
    assert image.data != plain()


@pytest.mark.vcr
@pytest.mark.made_by("server", "live")
@pytest.mark.default_cassette("stream.yaml")
def test_previews_come_before_the_picture(ask: Asking) -> None:
    response = ask("a cute baby sea otter", partial_images=2)
    seen = [one for one in ask.events if isinstance(one, PartialImage | ImageReady)]
    if ask.streamed:
        assert isinstance(seen[-1], ImageReady)
        assert seen[-1].image.data == response.image.data
        assert [one.step for one in seen[:-1]] == list(range(len(seen) - 1))
        assert len(seen) == 3 or ask.source.live
    else:
        assert seen == []


@pytest.mark.vcr
@pytest.mark.made_by("server")
@pytest.mark.default_cassette("refusal.yaml")
def test_a_refusal_in_words_is_a_rejection_in_those_words(ask: Asking) -> None:
    with pytest.raises(ContentRejectedError, match=r"^I can't help with that\.$") as caught:
        ask("something unspeakable")
    assert caught.value.billed == "possibly"


@pytest.mark.vcr
@pytest.mark.made_by("server")
@pytest.mark.default_cassette("error-moderation.yaml")
def test_a_prompt_that_is_blocked_says_where_and_why(ask: Asking) -> None:
    # Whole, the answer is a 400; in a stream it is a call that failed.
    with pytest.raises(ContentRejectedError, match="safety system") as caught:
        ask("something blocked")
    assert (caught.value.stage, caught.value.categories) == ("input", ("violence",))
    assert caught.value.code == "moderation_blocked"
    assert caught.value.billed == ("possibly" if ask.streamed else "no")


@pytest.mark.vcr
@pytest.mark.made_by("server", "live")
@pytest.mark.default_cassette("error-auth.yaml")
def test_a_key_that_is_unknown_is_an_authentication_error(ask: Asking) -> None:
    with pytest.raises(AuthenticationError) as caught:
        ask("a cute baby sea otter", key="a-key-that-nobody-knows")
    assert (caught.value.status, caught.value.code) == (401, "invalid_api_key")
    assert caught.value.billed == "no"
    assert len(caught.value.request_id or "") > 0


@pytest.mark.vcr
@pytest.mark.made_by("server")
@pytest.mark.default_cassette("error-rate-limit.yaml")
def test_too_much_at_once_is_a_rate_limit(ask: Asking) -> None:
    with pytest.raises(RateLimitError) as caught:
        ask("too many otters")
    assert caught.value.code == "rate_limit_exceeded"
    # A stream has begun by then, and has no header left to say how long to wait.
    assert (caught.value.status, caught.value.retry_after) == (
        (None, None) if ask.streamed else (429, 7)
    )


@pytest.mark.vcr
@pytest.mark.made_by("server")
@pytest.mark.default_cassette("stream-truncated.yaml")
def test_a_stream_that_is_cut_is_an_error_that_keeps_the_preview(watch: Asking) -> None:
    with pytest.raises(TruncatedStreamError) as caught:
        watch("an otter, cut short", partial_images=2)
    assert caught.value.billed == "possibly"
    assert caught.value.response.failures[0].preview.to_pil().size == (32, 32)


@pytest.mark.vcr
@pytest.mark.made_by("server")
@pytest.mark.default_cassette("stream-error.yaml")
def test_a_response_that_fails_midway_says_why(watch: Asking) -> None:
    with pytest.raises(ProviderError, match="The provider failed") as caught:
        watch("an otter that breaks midway", partial_images=2)
    assert caught.value.billed == "possibly"
