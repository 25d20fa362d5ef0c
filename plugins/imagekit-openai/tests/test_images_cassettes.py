"""openai-images against recorded answers of stable-diffusion.cpp's server.

`python3 dev.py record sd-server` makes the cassettes anew; while it does, each request goes to the
real server, and only in the first of the six ways.
"""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image as Pillow

from imagekit import ImageRequest, InvalidRequestError, Mask, Profile, ProviderUnavailableError
from ways import WAYS, make

PROVIDER = "openai-images"
SIDE = 64


def png(picture: Pillow.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def plain(colour: tuple[int, int, int] = (200, 30, 30)) -> bytes:
    return png(Pillow.new("RGB", (SIDE, SIDE), colour))


def left_half() -> Mask:
    """A mask as OpenAI's clients write it; this server wants the left half white."""
    picture = Pillow.new("RGBA", (SIDE, SIDE), (0, 0, 0, 255))
    picture.paste((0, 0, 0, 0), (0, 0, SIDE // 2, SIDE))
    return Mask(png(picture), edit_where="transparent")


@pytest.fixture(params=WAYS)
def ask(request: pytest.FixtureRequest, sd_server_url: str) -> Any:
    """Asks the same server the same thing, in every way."""
    server = Profile(
        "local", PROVIDER, base_url=sd_server_url, settings={"mask": "white", "streaming": False}
    )

    def asked(wanted: ImageRequest) -> Any:
        return make(
            request.param, wanted, profiles=[server], how={"provider": "local", "retries": 0}
        )

    return asked


@pytest.mark.vcr
@pytest.mark.default_cassette("generate.yaml")
def test_a_prompt_becomes_a_picture(ask: Any) -> None:
    response = ask(ImageRequest(prompt="a red bicycle", size="64x64"))
    assert response.ok
    assert response.image.media_type == "image/png"
    assert response.image.to_pil().size == (SIDE, SIDE)
    assert (response.provider, response.profile) == (PROVIDER, "local")
    assert response.usage is None


@pytest.mark.vcr
@pytest.mark.default_cassette("generate-three.yaml")
def test_three_pictures_are_three_slots(ask: Any) -> None:
    response = ask(ImageRequest(prompt="a red bicycle", size="64x64", n=3))
    assert len(response.slots) == 3
    assert response.ok
    assert len({image.data for image in response}) == 3


@pytest.mark.vcr
@pytest.mark.default_cassette("generate-jpeg.yaml")
def test_format_and_compression_reach_the_encoder(ask: Any) -> None:
    wanted = ImageRequest(
        prompt="a red bicycle", size="128x64", output_format="jpeg", output_compression=80
    )
    image = ask(wanted).image
    assert (image.media_type, image.width, image.height) == ("image/jpeg", 128, 64)
    assert image.echo == {"output_format": "jpeg"}


@pytest.mark.vcr
@pytest.mark.default_cassette("generate-odd-size.yaml")
def test_a_size_that_the_server_rounds_is_read_from_the_bytes(ask: Any) -> None:
    image = ask(ImageRequest(prompt="a red bicycle", size="70x64")).image
    assert (image.width, image.height) == (72, 64)


@pytest.mark.vcr
@pytest.mark.default_cassette("edit.yaml")
def test_an_edit_changes_the_picture(ask: Any) -> None:
    response = ask(ImageRequest(prompt="a dog", images=plain()))
    assert response.image.to_pil().size == (SIDE, SIDE)
    assert response.image.data != plain()


@pytest.mark.vcr
@pytest.mark.default_cassette("edit-mask.yaml")
def test_a_mask_in_openais_convention_protects_what_it_should_on_a_server_with_another(
    ask: Any,
) -> None:
    response = ask(ImageRequest(prompt="a dog", images=plain(), mask=left_half()))
    edited = response.image.to_pil().convert("RGB")
    kept = edited.crop((SIDE // 2, 0, SIDE, SIDE)).getextrema()
    assert all(
        abs(low - was) <= 3 and abs(high - was) <= 3
        for (low, high), was in zip(kept, (200, 30, 30), strict=True)
    )
    changed = edited.crop((0, 0, SIDE // 2, SIDE)).getextrema()
    assert any(abs(low - was) > 20 for (low, _), was in zip(changed, (200, 30, 30), strict=True))


@pytest.mark.vcr
@pytest.mark.default_cassette("edit-two.yaml")
def test_two_input_pictures_travel_in_order(ask: Any) -> None:
    assert ask(ImageRequest(prompt="a dog", images=(plain(), plain((30, 30, 200))))).ok


@pytest.mark.vcr
@pytest.mark.default_cassette("variation.yaml")
def test_a_variation_is_emulated_by_an_edit_and_says_with_which_words(ask: Any) -> None:
    response = ask(ImageRequest(images=plain()))
    [notice] = response.notices
    assert notice.kind == "emulated"
    assert notice.used is not None
    assert notice.used.startswith("Make a variation of this picture")


@pytest.mark.vcr
@pytest.mark.default_cassette("error-format.yaml")
def test_an_error_that_is_only_a_string_is_the_servers_words(ask: Any) -> None:
    with pytest.raises(InvalidRequestError, match="must be one of") as caught:
        ask(ImageRequest(prompt="a red bicycle", output_format="gif"))
    assert (caught.value.status, caught.value.billed) == (400, "no")


@pytest.mark.vcr
@pytest.mark.default_cassette("error-server.yaml")
def test_a_broken_server_may_have_charged(ask: Any) -> None:
    # This server answers 500 to a type it does not expect.
    wanted = ImageRequest(prompt="a red bicycle", options={PROVIDER: {"extra_body": {"size": 64}}})
    with pytest.raises(ProviderUnavailableError) as caught:
        ask(wanted)
    assert (caught.value.status, caught.value.billed) == (500, "possibly")
