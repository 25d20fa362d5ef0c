"""openai-images against recorded answers: of stable-diffusion.cpp's server, which streams nothing
and refuses little, and for the rest of our own.

`python3 dev.py record openai-images` makes the cassettes anew; while it does, each request goes to
the real server, in the first two of the six ways.
"""

from __future__ import annotations

import pytest
from PIL import Image as Pillow
from sources import Asking, plain, png

from imagekit import (
    AuthenticationError,
    ContentRejectedError,
    ImageReady,
    InvalidRequestError,
    Mask,
    PartialImage,
    ProviderError,
    ProviderUnavailableError,
    RateLimitError,
    TruncatedStreamError,
)

PROVIDER = "openai-images"
SIDE = 64


def left_half() -> Mask:
    """A mask as OpenAI's clients write it; stable-diffusion.cpp wants the left half white."""
    picture = Pillow.new("RGBA", (SIDE, SIDE), (0, 0, 0, 255))
    picture.paste((0, 0, 0, 0), (0, 0, SIDE // 2, SIDE))
    return Mask(png(picture), edit_where="transparent")


@pytest.mark.vcr
@pytest.mark.made_by("sd-server", "live")
@pytest.mark.default_cassette("generate.yaml")
def test_a_prompt_becomes_a_picture(ask: Asking) -> None:
    response = ask("a red bicycle")
    assert response.ok
    assert response.image.media_type == "image/png"
    assert response.image.to_pil().size == (ask.source.side, ask.source.side)
    assert (response.provider, response.profile) == (PROVIDER, "there")
    assert (response.usage is not None) == ask.source.live


@pytest.mark.vcr
@pytest.mark.made_by("sd-server")
@pytest.mark.default_cassette("generate-three.yaml")
def test_three_pictures_are_three_slots(ask: Asking) -> None:
    response = ask("a red bicycle", n=3)
    assert len(response.slots) == 3
    assert response.ok
    assert len({image.data for image in response}) == 3


@pytest.mark.vcr
@pytest.mark.made_by("sd-server", "live")
@pytest.mark.default_cassette("generate-jpeg.yaml")
def test_format_and_compression_reach_the_encoder(ask: Asking) -> None:
    size = "1536x1024" if ask.source.live else "128x64"
    image = ask("a red bicycle", size=size, output_format="jpeg", output_compression=80).image
    assert (image.media_type, f"{image.width}x{image.height}") == ("image/jpeg", size)
    assert image.echo["output_format"] == "jpeg"


@pytest.mark.vcr
@pytest.mark.made_by("sd-server")
@pytest.mark.default_cassette("generate-odd-size.yaml")
def test_a_size_that_the_server_rounds_is_read_from_the_bytes(ask: Asking) -> None:
    image = ask("a red bicycle", size="70x64").image
    assert (image.width, image.height) == (72, 64)


@pytest.mark.vcr
@pytest.mark.made_by("sd-server", "live")
@pytest.mark.default_cassette("edit.yaml")
def test_an_edit_changes_the_picture(ask: Asking) -> None:
    response = ask("a dog", images=plain())
    assert response.image.to_pil().size == (ask.source.side, ask.source.side)
    assert response.image.data != plain()


@pytest.mark.vcr
@pytest.mark.made_by("sd-server")
@pytest.mark.default_cassette("edit-mask.yaml")
def test_a_mask_in_openais_convention_protects_what_it_should_on_a_server_with_another(
    ask: Asking,
) -> None:
    response = ask("a dog", images=plain(), mask=left_half())
    edited = response.image.to_pil().convert("RGB")
    kept = edited.crop((SIDE // 2, 0, SIDE, SIDE)).getextrema()
    assert all(
        abs(low - was) <= 3 and abs(high - was) <= 3
        for (low, high), was in zip(kept, (200, 30, 30), strict=True)
    )
    changed = edited.crop((0, 0, SIDE // 2, SIDE)).getextrema()
    assert any(abs(low - was) > 20 for (low, _), was in zip(changed, (200, 30, 30), strict=True))


@pytest.mark.vcr
@pytest.mark.made_by("sd-server", "live")
@pytest.mark.default_cassette("edit-two.yaml")
def test_two_input_pictures_travel_in_order(ask: Asking) -> None:
    assert ask("a dog", images=(plain(), plain((30, 30, 200)))).ok


@pytest.mark.vcr
@pytest.mark.made_by("sd-server", "live")
@pytest.mark.default_cassette("variation.yaml")
def test_a_variation_is_emulated_by_an_edit_and_says_with_which_words(ask: Asking) -> None:
    response = ask(None, images=plain())
    [notice] = response.notices
    assert notice.kind == "emulated"
    assert notice.used is not None
    assert notice.used.startswith("Make a variation of this picture")


@pytest.mark.vcr
@pytest.mark.made_by("sd-server")
@pytest.mark.default_cassette("error-format.yaml")
def test_an_error_that_is_only_a_string_is_the_servers_words(ask: Asking) -> None:
    with pytest.raises(InvalidRequestError, match="must be one of") as caught:
        ask("a red bicycle", output_format="gif")
    assert (caught.value.status, caught.value.billed) == (400, "no")


@pytest.mark.vcr
@pytest.mark.made_by("sd-server")
@pytest.mark.default_cassette("error-server.yaml")
def test_a_broken_server_may_have_charged(ask: Asking) -> None:
    # This server answers 500 to a type it does not expect.
    with pytest.raises(ProviderUnavailableError) as caught:
        ask("a red bicycle", options={PROVIDER: {"extra_body": {"size": 64}}})
    assert (caught.value.status, caught.value.billed) == (500, "possibly")


# What stable-diffusion.cpp's server does not do


@pytest.mark.vcr
@pytest.mark.made_by("server", "live")
@pytest.mark.default_cassette("stream.yaml")
def test_previews_come_before_the_picture(ask: Asking) -> None:
    response = ask("a red bicycle", partial_images=2)
    seen = [one for one in ask.events if isinstance(one, PartialImage | ImageReady)]
    assert response.image.to_pil().size == (ask.source.side, ask.source.side)
    if ask.streamed:
        assert isinstance(seen[-1], ImageReady)
        assert seen[-1].image.data == response.image.data
        assert 0 < len({one.image.data for one in seen}) <= 3
        assert len(seen) == 3 or ask.source.live


@pytest.mark.vcr
@pytest.mark.made_by("server", "live")
@pytest.mark.default_cassette("stream-edit.yaml")
def test_an_edit_streams_too(ask: Asking) -> None:
    response = ask("add a hat", images=plain(), partial_images=1)
    assert response.image.to_pil().size == (ask.source.side, ask.source.side)
    assert any(isinstance(one, PartialImage) for one in ask.events) == ask.streamed


@pytest.mark.vcr
@pytest.mark.made_by("server", "live")
@pytest.mark.default_cassette("error-auth.yaml")
def test_a_key_that_is_unknown_is_an_authentication_error(ask: Asking) -> None:
    with pytest.raises(AuthenticationError) as caught:
        ask("a red bicycle", key="a-key-that-nobody-knows")
    assert (caught.value.status, caught.value.code) == (401, "invalid_api_key")
    assert caught.value.billed == "no"


@pytest.mark.vcr
@pytest.mark.made_by("server")
@pytest.mark.default_cassette("error-moderation.yaml")
def test_a_prompt_that_is_blocked_says_why(ask: Asking) -> None:
    with pytest.raises(ContentRejectedError, match="safety system") as caught:
        ask("something blocked")
    assert (caught.value.stage, caught.value.categories) == ("input", ("violence",))
    assert (caught.value.code, caught.value.billed) == ("moderation_blocked", "no")


@pytest.mark.vcr
@pytest.mark.made_by("server")
@pytest.mark.default_cassette("error-rate-limit.yaml")
def test_too_much_at_once_says_how_long_to_wait(ask: Asking) -> None:
    with pytest.raises(RateLimitError) as caught:
        ask("too many otters")
    assert (caught.value.status, caught.value.retry_after) == (429, 7)
    assert caught.value.billed == "no"


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
def test_a_stream_that_ends_in_an_error_raises_it(watch: Asking) -> None:
    with pytest.raises(ProviderError, match="The provider failed") as caught:
        watch("an otter that breaks midway", partial_images=2)
    assert caught.value.billed == "possibly"
    assert caught.value.response.failures[0].preview is not None
