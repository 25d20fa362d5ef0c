"""Owns the proofs of the drawing engine: what it draws, marks, edits, encodes and refuses."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
import zlib
from dataclasses import replace

import pytest
from PIL import EpsImagePlugin, ExifTags, Image, ImageChops, ImageStat

from imagekit_sketch import _painter
from imagekit_sketch._compose import caption, stream
from imagekit_sketch._formats import decode, encode
from imagekit_sketch._motifs import MOTIFS
from imagekit_sketch._painter import compose, paint_over, render, to_svg, vary
from imagekit_sketch._scene import Ellipse, Gradient, Polygon, Polyline, Scene, Text, mix, paint
from imagekit_sketch._words import Thing, read

SVG = "{http://www.w3.org/2000/svg}"


def draw(prompt: str, *, seed: int = 1, size: tuple[int, int] = (96, 96)) -> Image.Image:
    return render(compose(prompt, seed=seed, width=size[0], height=size[1]))


def lettering(scene: Scene) -> list[str]:
    return [shape.text for shape in scene.caption if isinstance(shape, Text)]


def differs(one: Image.Image, other: Image.Image) -> bool:
    return one.tobytes() != other.tobytes()


def pixel(picture: Image.Image, x: int, y: int) -> tuple[float, ...]:
    found = picture.getpixel((x, y))
    assert isinstance(found, tuple)
    return found


def png(picture: Image.Image, exif: Image.Exif | None = None) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG", exif=exif or Image.Exif())
    return file.getvalue()


def opened(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


# Composing


def test_the_same_prompt_and_seed_give_the_same_bytes() -> None:
    one, other = (
        encode(
            [draw("a red bicycle")], media="png", compression=None, transparent=False, caption=""
        )
        for _ in range(2)
    )
    assert one == other


def test_another_process_gives_the_same_scene() -> None:
    code = (
        "import sys, hashlib\n"
        "from imagekit_sketch._painter import compose, to_svg\n"
        "scene = compose('a red cat at sea', seed=7, width=300, height=200)\n"
        "print(hashlib.sha256(to_svg(scene)).hexdigest())"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    told = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**env, "PYTHONHASHSEED": salt},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for salt in ("1", "2")
    ]
    assert told[0] == told[1]
    assert len(told[0].strip()) == 64


@pytest.mark.parametrize("prompt", ["a red bicycle", "quarterly report"])
def test_another_seed_gives_another_picture(prompt: str) -> None:
    scenes = {compose(prompt, seed=seed, width=64, height=64).shapes for seed in range(4)}
    assert len(scenes) == 4


def test_another_prompt_gives_another_picture() -> None:
    assert differs(draw("a cat"), draw("a dog"))


@pytest.mark.parametrize("noun", sorted(MOTIFS))
def test_every_known_noun_is_drawn_in_the_colour_asked_for(noun: str) -> None:
    plain, green = (
        compose(words, seed=3, width=64, height=64, transparent=True)
        for words in (f"a {noun}", f"a green {noun}")
    )
    tints = {
        shape.fill if isinstance(shape, Polygon) else shape.color
        for shape in green.shapes
        if isinstance(shape, Polygon | Polyline)
    }
    assert paint("58a55c") in tints
    assert plain.shapes != green.shapes
    assert render(plain).getchannel(3).getextrema() == (0, 255)


@pytest.mark.parametrize(
    "prompt",
    [
        "night",
        "a mountain lake at sunset",
        "winter forest",
        "the city at night",
        "the city in the rain",
        "a galaxy",
        "desert",
        "a coral reef",
        "the sea",
        "a meadow",
    ],
)
def test_a_setting_alone_makes_a_landscape(prompt: str) -> None:
    scene = compose(prompt, seed=2, width=160, height=90)
    assert read(prompt).settings
    assert isinstance(scene.shapes[0], Gradient)
    assert render(scene).getchannel(3).getextrema() == (255, 255)


@pytest.mark.parametrize(
    "prompt",
    [
        "a lighthouse by the sea at night",
        "a boat and a house by the sea",
        "a sun at sunset over the sea",
        "a sun and a tree",
        "the moon over a house at night",
        "a cloud over a tree",
        "a rocket",
        "a rocket over the city",
        "three stars",
        "a fish in the sea",
        "two red fish",
        "five birds and a cat",
        "heart, star, sun",
    ],
)
def test_things_are_drawn_into_their_setting(prompt: str) -> None:
    scene = compose(prompt, seed=5, width=128, height=128)
    bare = compose(prompt, seed=5, width=128, height=128, transparent=True)
    assert isinstance(scene.shapes[0], Gradient)
    assert not any(isinstance(shape, Gradient) for shape in bare.shapes)
    assert len(bare.shapes) < len(scene.shapes)


def test_a_sun_named_in_the_prompt_shines_alone() -> None:
    def lamps(prompt: str) -> int:
        shapes = compose(prompt, seed=5, width=64, height=64).shapes
        return sum(
            isinstance(shape, Ellipse) and shape.fill == paint("fff0b8", 60) for shape in shapes
        )

    assert lamps("a tree at sunset") == 1
    assert lamps("a sun at sunset") == 0


def test_unknown_prompts_give_several_kinds_of_abstract_picture() -> None:
    counts = {len(compose("synergy", seed=n, width=64, height=64).shapes) for n in range(16)}
    assert len(counts) >= 3
    for seed in range(16):
        first = compose("synergy", seed=seed, width=300, height=64).shapes[0]
        assert isinstance(first, Gradient)


def test_colours_alone_colour_the_abstract_picture() -> None:
    fills = {
        shape.fill
        for seed in range(6)
        for shape in compose("purple haze", seed=seed, width=64, height=64).shapes
        if isinstance(shape, Polygon)
    }
    assert paint("8a5fb0") in fills


@pytest.mark.parametrize("prompt", ["a cat", "synergy", "a mountain"])
def test_a_transparent_picture_is_clear_where_nothing_is_drawn(prompt: str) -> None:
    picture = render(compose(prompt, seed=1, width=96, height=96, transparent=True))
    assert picture.getchannel(3).getextrema() == (0, 255)
    assert pixel(picture, 0, 0) == (0, 0, 0, 0)


def test_an_opaque_picture_is_opaque_everywhere() -> None:
    assert draw("a cat").getchannel(3).getextrema() == (255, 255)


def test_edges_of_a_transparent_picture_keep_their_colour() -> None:
    disc = Scene(32, 32, "", True, (Ellipse(16, 16, 9.3, 9.3, paint("ff0000")),), ())
    picture = render(disc)
    edges = [p for p in (pixel(picture, x, 16) for x in range(32)) if 0 < p[3] < 255]
    assert edges
    assert all(p[0] > 240 and p[1] == p[2] == 0 for p in edges)


@pytest.mark.parametrize("size", [(16, 16), (16, 400), (900, 20), (64, 64), (150, 170), (1200, 40)])
@pytest.mark.parametrize("prompt", ["a house by the sea with two cats", "strategy"])
def test_any_size_can_be_drawn(size: tuple[int, int], prompt: str) -> None:
    assert draw(prompt, size=size).size == size


def test_the_longest_edge_can_be_drawn() -> None:
    assert draw("a star", size=(4096, 16)).size == (4096, 16)


# Reading


def test_a_colour_belongs_to_the_noun_after_it() -> None:
    red, blue = paint("d9433f"), paint("3f7cc4")
    assert read("a red bike and a blue house").things == (
        Thing("bicycle", red),
        Thing("house", blue),
    )


def test_a_colour_is_used_up_by_its_noun() -> None:
    assert read("a red bike and a cat").things[1] == Thing("cat", None)


def test_a_colour_at_the_end_belongs_to_the_noun_before_it() -> None:
    red = paint("d9433f")
    assert read("two cats and two dogs in red").things == (
        *(Thing("cat", None),) * 2,
        *(Thing("dog", red),) * 2,
    )
    assert read("a blue cat in red").things == (Thing("cat", paint("3f7cc4")),)


def test_a_colour_before_a_setting_colours_nothing_else() -> None:
    assert read("blue mountain cat").things == (Thing("cat", None),)


@pytest.mark.parametrize(
    ("prompt", "count"),
    [("cat", 1), ("cats", 3), ("two cats", 2), ("4 cats", 4), ("99999 cats", 6), ("0 cats", 3)],
)
def test_numbers_and_plurals_multiply_a_noun(prompt: str, count: int) -> None:
    assert [thing.noun for thing in read(prompt).things] == ["cat"] * count


@pytest.mark.parametrize(
    ("word", "noun"), [("people", "person"), ("buses", ""), ("bikes", "bicycle")]
)
def test_other_words_stand_for_a_noun(word: str, noun: str) -> None:
    assert {thing.noun for thing in read(word).things} == ({noun} if noun else set())


def test_a_hat_is_worn_by_whoever_has_it() -> None:
    hat = MOTIFS["hat"].color
    assert read("a cat with a hat").things == (Thing("cat", None, hat),)
    assert read("a cat and a dog wearing a red hat").things == (
        Thing("cat", None),
        Thing("dog", None, paint("d9433f")),
    )
    assert [thing.noun for thing in read("a cat and a hat").things] == ["cat", "hat"]
    assert [thing.noun for thing in read("a house with a hat").things] == ["house", "hat"]
    assert [thing.noun for thing in read("with a hat").things] == ["hat"]
    assert differs(draw("a cat with a hat"), draw("a cat"))


# Marking


def test_the_picture_says_what_it_is_and_what_was_asked() -> None:
    scene = compose("a red bicycle", seed=1, width=512, height=512)
    assert lettering(scene) == ["imagekit sketch - not a model's work", "a red bicycle"]
    assert differs(render(scene), render(replace(scene, caption=())))


@pytest.mark.parametrize(
    ("size", "told"),
    [
        ((400, 40), ["imagekit sketch - not a model's work"]),
        ((110, 40), ["imagekit sketch"]),
        ((50, 50), ["sketch"]),
        ((16, 16), []),
        ((900, 16), []),
    ],
)
def test_the_mark_is_as_long_as_there_is_room_for(size: tuple[int, int], told: list[str]) -> None:
    scene = compose("x", seed=1, width=size[0], height=size[1])
    assert [line for line in lettering(scene) if line != "x"] == told


def test_a_long_prompt_is_shortened_to_fit() -> None:
    for prompt in ("word " * 30, "word " * 900):
        line = lettering(compose(prompt, seed=1, width=256, height=256))[1]
        assert line.startswith("word word")
        assert line.endswith("...")


@pytest.mark.parametrize("prompt", ["", "水彩画", "\0\n\t "])
def test_a_prompt_that_cannot_be_lettered_leaves_the_mark_alone(prompt: str) -> None:
    scene = compose(prompt, seed=1, width=256, height=256)
    assert lettering(scene) == ["imagekit sketch - not a model's work"]


def test_accents_are_lettered_plainly() -> None:
    assert lettering(compose("café\nnoir", seed=1, width=256, height=256))[1] == "cafe noir"


@pytest.mark.parametrize("size", [(36, 36), (64, 64), (150, 90), (333, 777), (1024, 1024)])
def test_the_caption_stays_inside_its_box(size: tuple[int, int]) -> None:
    for shape in caption("a prompt that goes on and on and on", (0, 0, *size)):
        if isinstance(shape, Polygon):
            assert all(0 <= x <= size[0] and 0 <= y <= size[1] for x, y in shape.points)
        else:
            assert isinstance(shape, Text)
            assert 0 <= shape.x <= shape.x + shape.length <= size[0]
            assert 0 <= shape.y <= size[1]


def test_a_prompt_with_a_lone_surrogate_is_drawn() -> None:
    scene = compose("a cat \ud800", seed=1, width=64, height=64)
    assert render(scene).size == (64, 64)
    assert ET.fromstring(to_svg(scene)).findtext(f"{SVG}desc") == "a cat "


# Rendering and SVG


def test_progress_shows_the_same_picture_step_by_step() -> None:
    scene = compose("a cat", seed=1, width=128, height=128)
    whole = render(scene)
    steps = [render(scene, progress=done) for done in (-1.0, 0.0, 0.3, 0.7, 1.0, 2.0)]
    assert {step.size for step in steps} == {(128, 128)}
    assert not differs(steps[0], steps[1])
    assert differs(steps[1], steps[2])
    assert differs(steps[2], steps[3])
    assert not differs(steps[4], whole)
    assert not differs(steps[5], whole)


def test_a_preview_of_a_transparent_picture_is_transparent() -> None:
    scene = compose("a cat", seed=1, width=64, height=64, transparent=True)
    assert render(scene, progress=0.5).getchannel(3).getextrema()[0] == 0


def test_a_scene_without_shapes_is_blank() -> None:
    assert render(Scene(20, 20, "", True, (), ())).getchannel(3).getextrema() == (0, 0)


def test_translucent_shapes_blend() -> None:
    shapes = (
        Gradient(((0.0, paint("000000")), (1.0, paint("000000")))),
        Polygon(((0, 0), (20, 0), (20, 20), (0, 20)), paint("ffffff", 128)),
    )
    assert render(Scene(20, 20, "", False, shapes, ())).getpixel((9, 9)) == (128, 128, 128, 255)


def test_a_gradient_runs_from_top_to_bottom() -> None:
    sky = Gradient(((0.0, paint("000000")), (0.5, paint("ff0000")), (1.0, paint("0000ff"))))
    picture = render(Scene(9, 2200, "", False, (sky,), ()))
    assert pixel(picture, 4, 0) == (0, 0, 0, 255)
    assert pixel(picture, 4, 2199) == (0, 0, 255, 255)
    assert mix(paint("000000"), paint("ffffff"), 0.5)[:3] == (128, 128, 128)


@pytest.mark.parametrize("transparent", [False, True])
def test_the_svg_is_standalone_xml_with_every_shape(transparent: bool) -> None:
    prompt = 'a lighthouse & <b> "cat" at night \x00\x0b'
    scene = compose(prompt, seed=1, width=300, height=200, transparent=transparent)
    root = ET.fromstring(to_svg(scene))
    assert (root.get("width"), root.get("height")) == ("300", "200")
    assert root.get("viewBox") == "0 0 300 200"
    assert root.findtext(f"{SVG}desc") == 'a lighthouse & <b> "cat" at night '
    drawn = [one for one in root if one.tag not in (f"{SVG}title", f"{SVG}desc", f"{SVG}defs")]
    assert len(drawn) == len(scene.shapes) + len(scene.caption)
    assert (root.find(f"{SVG}rect") is None) == transparent
    assert [one.text for one in root.iter(f"{SVG}text")] == lettering(scene)
    assert any(one.get("fill-opacity") for one in root.iter(f"{SVG}polygon"))


# Editing


def test_an_edit_changes_the_white_of_the_mask_and_nothing_else() -> None:
    base, picture = draw("a cat", size=(128, 128)), draw("quarterly report", size=(128, 128))
    mask = Image.new("L", (128, 128))
    mask.paste(255, (20, 30, 100, 90))
    result = paint_over(picture, base, mask)
    change = ImageChops.difference(result.convert("RGB"), base.convert("RGB"))
    assert change.getbbox() is not None
    outside = Image.composite(Image.new("RGBA", (128, 128)), base, mask)
    kept = Image.composite(Image.new("RGBA", (128, 128)), result, mask)
    assert not differs(outside, kept)


def test_an_edit_keeps_hidden_colours_of_the_base() -> None:
    base = Image.new("RGBA", (40, 40), (10, 20, 30, 0))
    mask = Image.new("L", (40, 40))
    mask.paste(255, (0, 0, 20, 40))
    result = paint_over(draw("a cat", size=(40, 40)), base, mask)
    assert pixel(result, 30, 20) == (10, 20, 30, 0)
    assert pixel(result, 5, 3)[3] == 255


def test_an_empty_mask_changes_nothing() -> None:
    base = draw("a cat")
    assert not differs(paint_over(draw("a dog"), base, Image.new("L", (96, 96))), base)


def test_an_edit_without_a_mask_leaves_the_base_recognisable() -> None:
    base = Image.new("RGB", (96, 96), (255, 0, 0))
    picture = Image.new("RGBA", (96, 96), (0, 0, 255, 255))
    assert pixel(paint_over(picture, base, None), 50, 5) == (140, 0, 115, 255)


def test_an_edit_is_captioned_inside_the_mask() -> None:
    white = Image.new("RGBA", (400, 400), "black")
    mask = Image.new("L", (400, 400))
    mask.paste(255, (50, 50, 350, 250))
    result = paint_over(white, white, mask)
    box = ImageChops.difference(result.convert("RGB"), white.convert("RGB")).getbbox()
    assert box is not None
    assert box[0] >= 50
    assert box[2] <= 350
    assert 200 < box[1] < box[3] <= 250


def test_an_edit_has_the_picture_s_size() -> None:
    mask = Image.new("1", (10, 10), 1)
    result = paint_over(draw("a cat", size=(60, 40)), draw("a dog", size=(30, 30)), mask)
    assert result.size == (60, 40)


def test_a_mask_of_another_size_keeps_hard_edges() -> None:
    mask = Image.new("L", (2, 1))
    mask.putpixel((1, 0), 255)
    base = Image.new("RGBA", (20, 20), "white")
    result = paint_over(Image.new("RGBA", (20, 20), "black"), base, mask)
    assert {pixel(result, x, 2) for x in range(10)} == {(255, 255, 255, 255)}
    assert {pixel(result, x, 2) for x in range(10, 20)} == {(64, 64, 64, 255)}


def test_variations_differ_by_seed_and_repeat_by_seed() -> None:
    base = draw("a cat", size=(120, 80))
    one, other, again = vary(base, seed=1), vary(base, seed=2), vary(base, seed=1)
    assert one.size == base.size
    assert differs(one, base)
    assert differs(one, other)
    assert not differs(one, again)


def test_some_variations_are_mirrored() -> None:
    base = Image.new("RGB", (64, 64), "black")
    base.paste("white", (0, 0, 20, 64))
    left = {pixel(vary(base, seed=seed), 1, 1)[0] > 100 for seed in range(8)}
    assert left == {True, False}


def test_a_variation_keeps_the_clear_parts_clear() -> None:
    base = render(compose("a cat", seed=1, width=128, height=128, transparent=True))
    assert pixel(vary(base, seed=1), 1, 1)[3] == 0


# Files


FRAMES = [draw("a cat", size=(40, 40)), draw("a dog", size=(40, 40))]
SHEER = render(compose("a cat", seed=1, width=40, height=40, transparent=True))


@pytest.mark.parametrize("media", ["png", "jpeg", "webp", "gif"])
@pytest.mark.parametrize("transparent", [False, True])
def test_every_format_gives_the_same_bytes_twice(media: str, transparent: bool) -> None:
    one, other = (
        encode(
            [FRAMES[0], SHEER], media=media, compression=None, transparent=transparent, caption="x"
        )
        for _ in range(2)
    )
    picture = opened(one)
    assert one == other
    assert (picture.format or "").lower() == media
    assert picture.size == (40, 40)


@pytest.mark.parametrize("media", ["png", "webp", "gif"])
def test_transparency_is_kept_only_when_asked_for(media: str) -> None:
    def alpha(*, transparent: bool) -> tuple[float, float]:
        data = encode([SHEER], media=media, compression=None, transparent=transparent, caption="")
        low, high = opened(data).convert("RGBA").getchannel(3).getextrema()
        assert isinstance(low, int | float)
        assert isinstance(high, int | float)
        return low, high

    assert alpha(transparent=True) == (0, 255)
    assert alpha(transparent=False) == (255, 255)


def test_a_jpeg_lies_on_white() -> None:
    data = encode([SHEER], media="jpeg", compression=100, transparent=True, caption="")
    assert pixel(opened(data), 1, 1) == (255, 255, 255)


@pytest.mark.parametrize("media", ["jpeg", "webp"])
def test_compression_is_the_quality(media: str) -> None:
    sizes = [
        len(encode(FRAMES, media=media, compression=q, transparent=False, caption=""))
        for q in (0, 50, 100)
    ]
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize("told", ["a red bicycle", "水彩 \0 café \ud800"])
def test_every_file_says_it_is_a_sketch(told: str) -> None:
    files = {
        media: opened(
            encode(FRAMES, media=media, compression=None, transparent=False, caption=told)
        )
        for media in ("png", "jpeg", "webp", "gif")
    }
    assert files["png"].info["Software"] == "imagekit sketch"
    claim = "imagekit sketch - not a model's work: "
    assert str(files["png"].info["Description"]).startswith(claim + told[0])
    assert files["gif"].info["comment"].startswith(claim.encode() + told[0].encode())
    for media in ("jpeg", "webp"):
        exif = files[media].getexif()
        assert exif[ExifTags.Base.Software] == "imagekit sketch"
        assert str(exif[ExifTags.Base.ImageDescription]).startswith(claim)


@pytest.mark.parametrize("transparent", [False, True])
def test_a_gif_begins_with_the_finished_drawing_and_holds_it(transparent: bool) -> None:
    data = encode(FRAMES, media="gif", compression=None, transparent=transparent, caption="")
    gif = opened(data)
    finished = gif.convert("RGB")
    held = gif.info["duration"]
    gif.seek(1)
    last = FRAMES[-1]
    apart = ImageChops.difference(finished, last.convert("RGB"))
    assert max(ImageStat.Stat(apart).mean) < 12
    assert differs(finished, gif.convert("RGB"))
    assert held > gif.info["duration"]


def test_a_gif_moves_for_ever_and_a_png_shows_the_last_frame() -> None:
    gif = opened(encode(FRAMES, media="gif", compression=None, transparent=False, caption=""))
    assert getattr(gif, "n_frames", 1) == 2
    assert gif.info["loop"] == 0
    still = opened(encode(FRAMES, media="png", compression=None, transparent=True, caption=""))
    assert not differs(still, FRAMES[1])
    assert "Description" in still.info


@pytest.mark.parametrize(
    ("count", "media", "compression", "sentence"),
    [
        (0, "png", None, "there is no frame to encode"),
        (1, "bmp", None, "'bmp' is not one of png, jpeg, webp, gif"),
        (1, "jpeg", 101, "compression is 101, but goes from 0 to 100"),
        (1, "jpeg", -1, "compression is -1, but goes from 0 to 100"),
    ],
)
def test_an_impossible_encoding_is_refused(
    count: int, media: str, compression: int | None, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        encode(FRAMES[:count], media=media, compression=compression, transparent=False, caption="")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I", "F", "I;16"])
def test_any_kind_of_pixel_is_decoded(mode: str) -> None:
    file = io.BytesIO()
    Image.new(mode, (6, 4)).save(file, "TIFF")
    picture = decode(file.getvalue())
    assert (picture.mode, picture.size) == ("RGBA", (6, 4))


def test_sixteen_bit_greys_are_scaled() -> None:
    assert decode(png(Image.new("I;16", (2, 2), 128 * 256))).getpixel((0, 0)) == (128,) * 3 + (255,)


def test_a_decoded_picture_is_upright() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    assert decode(png(Image.new("RGB", (6, 4)), exif=exif)).size == (4, 6)


def test_the_first_frame_of_an_animation_is_decoded() -> None:
    data = encode(FRAMES, media="gif", compression=None, transparent=False, caption="")
    assert pixel(decode(data), 0, 0) == pixel(opened(data).convert("RGBA"), 0, 0)


@pytest.mark.parametrize("data", [b"", b"not a picture", png(FRAMES[0])[:900], b"<html></html>"])
def test_an_unreadable_input_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="cannot read the picture"):
        decode(data)


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf\n", b"<!-- by hand -->"])
def test_an_svg_is_refused_by_name(start: bytes) -> None:
    svg = to_svg(compose("a cat", seed=1, width=32, height=32)).split(b"\n", 1)[1]
    with pytest.raises(ValueError, match="an SVG can't be painted over; give a raster picture"):
        decode(start + svg)


def test_a_postscript_file_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[object] = []

    def interpreter(*given: object) -> object:
        runs.append(given)
        return Image.new("RGB", (4, 4)).im

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", interpreter)
    eps = io.BytesIO()
    Image.new("RGB", (4, 4)).save(eps, "EPS")
    with pytest.raises(ValueError, match="cannot read the picture"):
        decode(eps.getvalue())
    assert runs == []


def test_an_enormous_picture_is_refused() -> None:
    data = bytearray(png(Image.new("1", (200, 200))))
    data[16:24] = (30_000).to_bytes(4) * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4)
    with pytest.raises(ValueError, match=r"30000x30000 is more than .* decompression bomb"):
        decode(bytes(data))


def test_a_picture_with_broken_exif_is_refused() -> None:
    data = png(Image.new("RGB", (6, 4)), exif=b"Exif\0\0no EXIF at all")
    with pytest.raises(ValueError, match="the input is not a picture that can be read"):
        decode(data)


def test_streams_differ_by_every_part() -> None:
    assert stream("a", 1).random() == stream("a", 1).random()
    assert len({stream(*parts).random() for parts in (("a", 1), ("a", 2), ("b", 1))}) == 3


def test_the_painter_offers_the_whole_engine() -> None:
    assert set(_painter.__all__) == {
        "Scene",
        "compose",
        "paint_over",
        "render",
        "to_svg",
        "vary",
    }
