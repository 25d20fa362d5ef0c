"""The sketch provider: what it draws for which request, in every way."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image as Pillow
from PIL import ImageChops, ImageStat

from imagekit import (
    Client,
    ImageEvent,
    ImageRequest,
    ImageResponse,
    Mask,
    PartialImage,
    Progress,
    RequestError,
    State,
    UnsupportedRequestError,
)
from imagekit.testing import play
from imagekit_sketch import Sketch
from ways import WAYS, make


def draw(**wanted: Any) -> ImageResponse:
    fields = {"prompt": "a red bicycle", "size": "64x64", **wanted}
    kept = {name: value for name, value in fields.items() if value is not None}
    with Client(provider="sketch") as client:
        return client.run(ImageRequest(**kept))


def png(picture: Pillow.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


SOURCE = png(Pillow.new("RGB", (96, 64), (200, 30, 30)))


@pytest.mark.parametrize("way", WAYS)
def test_every_way_draws_the_same_pictures(way: str) -> None:
    request = ImageRequest(prompt="a red bicycle", size="64x64", n=2, seed=3)
    assert [image.data for image in make(way, request, provider="sketch")] == [
        image.data for image in draw(n=2, seed=3)
    ]


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "gif"])
def test_each_format_comes_as_asked(kind: str) -> None:
    image = draw(output_format=kind).image
    assert (image.media_type, image.width, image.height) == (f"image/{kind}", 64, 64)


def test_a_gif_is_drawn_before_your_eyes() -> None:
    facts = draw(output_format="gif").image.facts
    assert facts is not None
    assert facts.animated


def test_a_gif_shows_the_finished_picture_where_it_stands_still() -> None:
    still = draw(output_format="gif").image.to_pil().convert("RGB")
    done = draw(output_format="png").image.to_pil().convert("RGB")
    apart = ImageChops.difference(still, done)
    assert max(ImageStat.Stat(apart).mean) < 8


def test_an_svg_is_markup_and_its_previews_are_pixels() -> None:
    with (
        Client(provider="sketch") as client,
        client.stream("a star", size="64x64", output_format="svg", partial_images=1) as stream,
    ):
        [preview] = [event for event in stream if isinstance(event, PartialImage)]
        assert preview.image.media_type == "image/png"
        assert stream.response.image.media_type == "image/svg+xml"


def test_a_transparent_background_is_transparent() -> None:
    alpha = draw(background="transparent").image.to_pil().convert("RGBA").getchannel("A")
    assert alpha.getextrema()[0] == 0


def test_compression_makes_it_smaller() -> None:
    small, large = (
        draw(size="256x256", output_format="jpeg", output_compression=level).image
        for level in (10, 95)
    )
    assert len(small.read()) < len(large.read())


def test_seeds_make_other_pictures_and_stand_in_them() -> None:
    first, second = draw(n=2, seed=7)
    assert (first.seed, second.seed) == (7, 8)
    assert first.data != second.data


def test_without_a_size_it_is_a_square_of_1024() -> None:
    image = draw(size=None, prompt="x").image
    assert (image.width, image.height) == (1024, 1024)


def test_previews_come_as_asked_with_progress_between() -> None:
    request = ImageRequest(prompt="a boat", size="64x64", n=2, partial_images=2)
    events: list[ImageEvent] = []
    make("sync streamed", request, events=events, provider="sketch")
    previews = [(e.index, e.step) for e in events if isinstance(e, PartialImage)]
    assert previews == [(0, 0), (0, 1), (1, 0), (1, 1)]
    steps = [(e.step, e.total) for e in events if isinstance(e, Progress)]
    assert steps == [(1, 6), (2, 6), (4, 6), (5, 6)]


def test_a_preview_is_not_the_result() -> None:
    request = ImageRequest(prompt="a boat", size="64x64", partial_images=1)
    events: list[ImageEvent] = []
    response = make("sync streamed", request, events=events, provider="sketch")
    [preview] = [event for event in events if isinstance(event, PartialImage)]
    assert preview.image.data != response.image.data


def test_an_edit_takes_the_size_of_its_picture() -> None:
    image = draw(images=SOURCE, size=None).image
    assert (image.width, image.height) == (96, 64)


def test_an_edit_takes_another_size_where_one_is_named() -> None:
    image = draw(images=SOURCE, size="32x32").image
    assert (image.width, image.height) == (32, 32)


@pytest.mark.parametrize("convention", ["transparent", "white"])
def test_an_edit_paints_only_where_the_mask_says(convention: Any) -> None:
    marks = Pillow.new("LA", (96, 64), (0, 255))
    marks.paste((255, 0), (0, 0, 48, 64))
    mask = Mask(png(marks), edit_where=convention)
    image = draw(images=SOURCE, mask=mask, size=None).image
    before = Pillow.open(io.BytesIO(SOURCE)).convert("RGB")
    changed = ImageChops.difference(image.to_pil().convert("RGB"), before)
    assert changed.crop((48, 0, 96, 64)).getbbox() is None
    assert changed.crop((0, 0, 48, 64)).getbbox() is not None


def test_a_picture_alone_is_varied() -> None:
    image = draw(prompt=None, images=SOURCE, size=None).image
    assert (image.width, image.height) == (96, 64)
    assert image.data != SOURCE


def test_a_state_goes_on_from_the_earlier_picture() -> None:
    first = draw(seed=3)
    assert first.state is not None
    state = State.model_validate_json(first.state.model_dump_json())
    again = draw(prompt="a hat", state=state, size=None)
    assert (again.image.width, again.image.height) == (64, 64)
    assert again.image.data not in (first.image.data, draw(prompt="a hat").image.data)


def test_a_state_of_somebody_else_is_refused() -> None:
    with pytest.raises(RequestError, match="the state is queue's"):
        draw(state=State(provider="queue", payload={}))


def test_an_svg_of_an_edit_is_adapted_and_says_so() -> None:
    response = draw(images=SOURCE, output_format="svg")
    assert response.image.media_type == "image/png"
    [notice] = response.notices
    assert (notice.kind, notice.feature, notice.wanted) == ("unsupported", "output_format", "svg")


def test_a_transparent_jpeg_is_adapted_in_silence_where_asked() -> None:
    response = draw(output_format="jpeg", background="transparent", unsupported="ignore")
    assert response.image.media_type == "image/jpeg"
    assert response.notices == ()


def test_a_transparent_jpeg_is_an_error_where_asked() -> None:
    with pytest.raises(UnsupportedRequestError, match="not with output_format 'jpeg'"):
        draw(output_format="jpeg", background="transparent", unsupported="error")


def test_there_is_one_model() -> None:
    with pytest.raises(UnsupportedRequestError, match="one model"):
        draw(model="sketch-2")
    assert draw(model="sketch-1").model == "sketch-1"


def test_a_broken_picture_is_the_callers_and_said_plainly() -> None:
    with pytest.raises(RequestError, match="cannot be drawn over"):
        draw(images=SOURCE[:60])


def test_a_typo_in_its_options_is_an_error() -> None:
    with pytest.raises(RequestError, match="no option 'dealy'; there are: delay"):
        draw(options={"sketch": {"dealy": 1}})


def test_what_the_tables_rule_out_is_never_drawn_wrongly() -> None:
    """Whoever patches them gets pixels all the same."""
    request = ImageRequest(prompt="a hat", images=SOURCE, output_format="svg")
    assert play(Sketch().flow(request, stream=False)).response.image.media_type == "image/png"
    request = ImageRequest(prompt="a hat", output_format="jpeg", background="transparent")
    assert play(Sketch().flow(request, stream=False)).response.image.media_type == "image/jpeg"
