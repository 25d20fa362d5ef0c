"""openai-images against a server that nobody here wrote, and against what the official SDK gets;
directly, and through our own server chained in front of it."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import Any

import pytest
import sdserver
from official import sdk
from PIL import Image as Pillow
from PIL import ImageChops
from tally import Judge

from imagekit import (
    Client,
    ImageRequest,
    ImageResponse,
    InvalidRequestError,
    Mask,
    Profile,
    TransportError,
)
from serving import serving
from ways import WAYS, make

pytestmark = pytest.mark.real
SIDE = 64


def png(picture: Pillow.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


SOURCE = png(Pillow.new("RGB", (SIDE, SIDE), (200, 30, 30)))


JUDGE = Judge("stable-diffusion.cpp's server, directly")
CHAINED = Judge("stable-diffusion.cpp's server, behind ours")
SETTINGS = {"mask": "white", "streaming": False}


def ask(way: str, server: str, request: ImageRequest, **how: Any) -> ImageResponse:
    local = Profile("local", "openai-images", base_url=server, settings=SETTINGS)
    return make(way, request, profiles=[local], how={"provider": "local", **how})


@pytest.fixture(scope="session")
def chained(server: str) -> Iterator[str]:
    """Our own server, which has the other make its pictures."""
    there: dict[str, Any] = {"base_url": server, "settings": SETTINGS, "env": {}}
    # Whatever model is named, it is this one: nothing is known of it, of its sizes least of all.
    with serving(provider="openai-images", models={"*": "openai-images:"}, **there) as ours:
        yield ours.url


def ask_ours(way: str, chained: str, request: ImageRequest, provider: str) -> ImageResponse:
    """The same, through our server, whose masks are as OpenAI's."""
    ours = Profile("ours", provider, base_url=chained)
    # Of another server's default model no size is known, and so none is changed.
    return make(way, request, profiles=[ours], how={"provider": "ours"})


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("way", WAYS)
def test_a_request_makes_the_pictures_that_the_official_sdk_gets(
    way: str, n: int, server: str
) -> None:
    ours = ask(way, server, ImageRequest(prompt="a red bicycle", size="64x64", n=n))
    theirs = sdk(server).images.generate(model="x", prompt="a red bicycle", size="64x64", n=n)  # type: ignore[call-overload]
    assert [image.data for image in ours] == [
        base64.b64decode(one.b64_json or "") for one in theirs.data or ()
    ]
    assert len(ours) == n


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_each_format_comes_as_asked(kind: str, server: str) -> None:
    image = ask(
        "sync whole", server, ImageRequest(prompt="a cat", size="64x64", output_format=kind)
    ).image
    assert image.media_type == f"image/{kind}"
    assert image.to_pil().size == (SIDE, SIDE)


@pytest.mark.parametrize("way", WAYS)
def test_an_edit_makes_the_picture_that_the_official_sdk_gets(way: str, server: str) -> None:
    ours = ask(way, server, ImageRequest(prompt="a dog", images=SOURCE))
    theirs = sdk(server).images.edit(
        model="x", prompt="a dog", image=[("image.png", SOURCE, "image/png")]
    )
    assert ours.image.data == base64.b64decode((theirs.data or [])[0].b64_json or "")


def left_half(convention: str) -> Mask:
    """A mask whose left half may change, marked in that *convention*."""
    if convention in ("transparent", "opaque"):
        left, right = ((0, 0, 0, 0), (0, 0, 0, 255))
        marks = Pillow.new("RGBA", (SIDE, SIDE), right if convention == "transparent" else left)
        marks.paste(left if convention == "transparent" else right, (0, 0, SIDE // 2, SIDE))
    else:
        marks = Pillow.new("L", (SIDE, SIDE), 0 if convention == "white" else 255)
        marks.paste(255 if convention == "white" else 0, (0, 0, SIDE // 2, SIDE))
    return Mask(png(marks), edit_where=convention)  # type: ignore[arg-type]


def only_the_left_half_changed(response: ImageResponse) -> bool:
    before = Pillow.open(io.BytesIO(SOURCE)).convert("RGB")
    changed = ImageChops.difference(response.image.to_pil().convert("RGB"), before)
    kept_half = changed.crop((SIDE // 2, 0, SIDE, SIDE)).getextrema()
    edited_half = changed.crop((0, 0, SIDE // 2, SIDE)).getextrema()
    return max(high for _, high in kept_half) <= 4 and max(high for _, high in edited_half) > 20


CONVENTIONS = ["transparent", "opaque", "white", "black"]


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_the_same_half_changes_in_each_mask_convention(convention: str, server: str) -> None:
    request = ImageRequest(prompt="a dog", images=SOURCE, mask=left_half(convention))
    with JUDGE.asked():
        assert only_the_left_half_changed(ask("sync whole", server, request))


@pytest.mark.parametrize("way", ["sync whole", "asyncio whole", "trio streamed"])
@pytest.mark.parametrize("provider", ["openai-images", "openai-responses"])
@pytest.mark.parametrize("convention", CONVENTIONS)
def test_the_same_half_changes_through_our_server_in_either_dialect(
    convention: str, provider: str, way: str, chained: str
) -> None:
    request = ImageRequest(prompt="a dog", images=SOURCE, mask=left_half(convention))
    with CHAINED.asked():
        assert only_the_left_half_changed(ask_ours(way, chained, request, provider))


@pytest.mark.parametrize("provider", ["openai-images", "openai-responses"])
@pytest.mark.parametrize("way", WAYS)
def test_our_server_hands_on_the_very_picture(
    way: str, provider: str, chained: str, server: str
) -> None:
    request = ImageRequest(prompt="a red bicycle", size="64x64")
    with CHAINED.asked():
        through = ask_ours(way, chained, request, provider)
        assert through.image.data == ask("sync whole", server, request).image.data
        assert through.image.to_pil().size == (SIDE, SIDE)


def test_the_official_sdk_gets_the_very_picture_through_our_server(
    chained: str, server: str
) -> None:
    words: Any = {"model": "gpt-image-2", "prompt": "a red bicycle", "size": "64x64"}
    with CHAINED.asked():
        through = sdk(chained).images.generate(**words)
        directly = sdk(server).images.generate(**words)
        assert through.data == directly.data
    with CHAINED.asked():
        image = [("one.png", SOURCE, "image/png")]
        through = sdk(chained).images.edit(model="gpt-image-2", prompt="a dog", image=image)
        directly = sdk(server).images.edit(model="gpt-image-2", prompt="a dog", image=image)
        assert through.data == directly.data


def test_an_answer_in_json_to_a_request_for_a_stream_is_a_stream_without_previews(
    server: str,
) -> None:
    local = Profile("local", "openai-images", base_url=server)
    with (
        Client(profiles=[local], provider="local") as client,
        client.stream("a cat", size="64x64", partial_images=2) as stream,
    ):
        kinds = [event.kind for event in stream]
    assert kinds == ["image-ready", "completed"]


# The row `sd-server`: the same server by its name, without a setting.


def by_row(way: str, server: str, request: ImageRequest, **how: Any) -> ImageResponse:
    own = Profile("own", "sd-server", base_url=server)
    return make(way, request, profiles=[own], how={"provider": "own", **how})


@pytest.mark.parametrize("way", WAYS)
def test_the_row_makes_the_pictures_that_the_official_sdk_gets(way: str, server: str) -> None:
    ours = by_row(way, server, ImageRequest(prompt="a red bicycle", size="64x64", n=2))
    theirs = sdk(server).images.generate(model="x", prompt="a red bicycle", size="64x64", n=2)  # type: ignore[call-overload]
    assert [image.data for image in ours] == [
        base64.b64decode(one.b64_json or "") for one in theirs.data or ()
    ]
    assert (len(ours), ours.model) == (2, "sd-cpp-local")


def test_the_row_names_the_model_as_the_server_does(server: str) -> None:
    with Client(provider="sd-server", base_url=server) as client:
        assert [one.id for one in client.models()] == ["sd-cpp-local"]


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_the_same_half_changes_by_the_row(convention: str, server: str) -> None:
    request = ImageRequest(prompt="a dog", images=SOURCE, mask=left_half(convention))
    with JUDGE.asked():
        assert only_the_left_half_changed(by_row("sync whole", server, request))


def test_what_the_row_says_is_absent_is_told_and_changes_nothing(server: str) -> None:
    plain = by_row("sync whole", server, ImageRequest(prompt="a cat", size="64x64"))
    more = ImageRequest(prompt="a cat", size="64x64", seed=7, quality="high", user="u")
    told = by_row("sync whole", server, more)
    assert told.image.data == plain.image.data
    assert {one.feature for one in told.notices} == {"seed", "quality", "user"}


def test_a_shape_and_a_size_too_small_become_pixels_that_the_server_makes(server: str) -> None:
    wide = by_row("sync whole", server, ImageRequest(prompt="a cat", size="2:1@128"))
    assert wide.image.to_pil().size == (128, 64)
    small = by_row("sync whole", server, ImageRequest(prompt="a cat", size="32x32"))
    assert small.image.to_pil().size == (SIDE, SIDE)


def test_an_error_of_this_server_comes_by_the_row_too(server: str) -> None:
    with pytest.raises(InvalidRequestError, match="invalid sd_cpp_extra_args") as caught:
        by_row(
            "sync whole", server, ImageRequest(prompt="<sd_cpp_extra_args>{</sd_cpp_extra_args>")
        )
    assert caught.value.billed == "no"


def test_a_refusal_in_this_servers_own_words(server: str) -> None:
    with pytest.raises(InvalidRequestError, match="invalid output_format") as caught:
        ask("sync whole", server, ImageRequest(prompt="a cat", output_format="gif"))
    assert caught.value.billed == "no"


@pytest.mark.parametrize("way", WAYS)
def test_a_server_that_dies_at_work_is_asked_once_and_may_have_charged(
    way: str, server: str
) -> None:
    # Without a text encoder this server starts, and dies at its first picture.
    with sdserver.running(text_encoder=False) as doomed, pytest.raises(TransportError) as caught:
        ask(way, doomed, ImageRequest(prompt="a cat", size="64x64"), retries=3)
    assert caught.value.billed == "possibly"
