"""What the server is asked: bodies, options, pictures, masks, sizes."""

from __future__ import annotations

import base64
import io
from typing import Any

import pytest
from PIL import Image as Pillow

import imagekit_sdcpp
from imagekit import (
    ConfigurationError,
    ImageInput,
    ImageRequest,
    Mask,
    ProtocolError,
    RequestError,
    State,
    UnsupportedRequestError,
)
from imagekit.provider import Config
from imagekit.testing import Played, json_response, play


def png(width: int = 96, height: int = 64, shade: int = 9) -> bytes:
    out = io.BytesIO()
    Pillow.new("RGB", (width, height), (shade, 0, 0)).save(out, "PNG")
    return out.getvalue()


def spelt(data: bytes) -> str:
    return base64.b64encode(data).decode()


def provider(**config: Any) -> imagekit_sdcpp.SdCpp:
    return imagekit_sdcpp.imagekit_provider(Config("sdcpp", **config))


def body(**fields: Any) -> dict[str, Any]:
    """What is sent for a request; the server wants no more of it."""
    played = Played()
    flow = provider().flow(ImageRequest(**{"prompt": "a cat", **fields}), stream=False)
    with pytest.raises(ProtocolError, match="gave no id"):
        play(flow, json_response({"id": None}, 202), into=played)
    [request] = played.requests
    assert (request.method, request.url) == ("POST", "/sdcpp/v1/img_gen")
    assert request.charges
    sent: dict[str, Any] = request.json
    return sent


def own(**options: Any) -> dict[str, Any]:
    return body(options={"sdcpp": options})


def refused(**fields: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        body(**fields)
    return caught.value


def test_nothing_is_sent_that_nobody_said() -> None:
    assert body() == {"prompt": "a cat", "batch_count": 1}


def test_each_field_has_its_word() -> None:
    said = body(
        n=3,
        seed=0,
        negative_prompt="dogs",
        size="640x384",
        output_format="webp",
        output_compression=0,
        model="flux1",
    )
    assert said == {
        "prompt": "a cat",
        "batch_count": 3,
        "seed": 0,
        "negative_prompt": "dogs",
        "width": 640,
        "height": 384,
        "output_format": "webp",
        "output_compression": 0,
        "model": "flux1",
    }


def test_a_random_seed_is_asked_for_by_minus_one() -> None:
    assert body(seed=-1)["seed"] == -1


@pytest.mark.parametrize(
    ("option", "value", "path"),
    [
        ("steps", 1, "sample_params.sample_steps"),
        ("sampler", "euler_a", "sample_params.sample_method"),
        ("scheduler", "karras", "sample_params.scheduler"),
        ("flow_shift", 3.0, "sample_params.flow_shift"),
        ("cfg", 0.0, "sample_params.guidance.txt_cfg"),
        ("guidance", 3.5, "sample_params.guidance.distilled_guidance"),
        ("strength", 0.0, "strength"),
        ("clip_skip", 2, "clip_skip"),
        ("hires_upscaler", "Latent", "hires.upscaler"),
        ("hires_scale", 1.5, "hires.scale"),
        ("hires_steps", 4, "hires.steps"),
        ("hires_strength", 0.4, "hires.denoising_strength"),
        ("vae_tiling", True, "vae_tiling_params.enabled"),
        ("embed_image_metadata", False, "embed_image_metadata"),
    ],
)
def test_each_option_stands_where_the_server_looks_for_it(
    option: str, value: object, path: str
) -> None:
    said: Any = own(**{option: value})
    for name in path.split("."):
        said = said[name]
    assert said == value
    assert type(said) is type(value)


def test_options_of_one_kind_stand_together() -> None:
    said = own(steps=4, sampler="lcm", cfg=1, guidance=2, hires_scale=2, hires_steps=3)
    assert said["sample_params"] == {
        "sample_steps": 4,
        "sample_method": "lcm",
        "guidance": {"txt_cfg": 1, "distilled_guidance": 2},
    }
    # Whoever says anything of a second pass wants one.
    assert said["hires"] == {"enabled": True, "scale": 2, "steps": 3}


def test_a_lora_is_named_by_its_path_and_has_a_multiplier() -> None:
    said = own(lora={"detail.safetensors": 0.8, "styles/ink.safetensors": -1})
    assert said["lora"] == [
        {"path": "detail.safetensors", "multiplier": 0.8},
        {"path": "styles/ink.safetensors", "multiplier": -1},
    ]
    assert own(lora={})["lora"] == []


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("steps", 0),
        ("steps", 101),
        ("steps", 2.5),
        ("cfg", -1),
        ("strength", 1.01),
        ("hires_scale", 0),
        ("hires_strength", 0),
        ("lora", ["detail.safetensors"]),
        ("sampler", 3),
        ("step", 3),
    ],
)
def test_what_the_server_would_pass_over_in_silence_is_refused_here(
    option: str, value: object
) -> None:
    assert option in str(refused(options={"sdcpp": {option: value}}))


def test_the_first_source_is_edited_and_the_others_are_looked_at_in_order() -> None:
    one, two, three = (png(shade=shade) for shade in (1, 2, 3))
    seen = ImageInput(data=one, role="reference")
    said = body(images=[seen, two, three])
    assert said["init_image"] == spelt(two)
    assert said["ref_images"] == [spelt(one), spelt(three)]
    assert "init_image" not in body(images=[seen])


@pytest.mark.parametrize(
    ("given", "size", "sent"),
    [
        ((96, 64), None, (96, 64)),
        ((64, 64), None, (64, 64)),
        ((4096, 64), None, (4096, 64)),
        ((63, 64), None, None),
        ((64, 4097), None, None),
        ((96, 64), "128x256", (128, 256)),
        ((96, 64), "auto", (96, 64)),
    ],
)
def test_an_edit_keeps_the_size_of_its_picture_unless_another_is_asked_for(
    given: tuple[int, int], size: str | None, sent: tuple[int, int] | None
) -> None:
    said = body(images=[png(*given)], size=size)
    assert (said.get("width"), said.get("height")) == (sent or (None, None))


def test_of_a_picture_that_shows_no_size_none_is_sent() -> None:
    assert "width" not in body(images=[b"no picture"])


def test_a_variation_has_no_words() -> None:
    said = body(prompt=None, images=[png()])
    assert said["prompt"] == ""
    assert said["init_image"] == spelt(png())


def test_a_mask_goes_beside_what_it_is_of() -> None:
    marks = png(shade=255)
    said = body(images=[png()], mask=Mask(marks, edit_where="white"))
    assert said["mask_image"] == spelt(marks)


def test_what_the_wire_cannot_say_is_refused() -> None:
    seen = ImageInput(data=png(), role="reference")
    unmasked = refused(images=[seen], mask=Mask(png(), edit_where="white"))
    assert "role source" in str(unmasked)
    markup = refused(images=[png(), ImageInput(data=png(), role="markup")])
    assert "'markup'" in str(markup)
    state = refused(state=State(provider="sdcpp", payload={"x": 1}))
    assert "keeps no state" in str(state)
    assert {type(one) for one in (unmasked, markup, state)} == {UnsupportedRequestError}


def test_it_is_met_where_it_listens_by_itself_and_asks_for_no_key() -> None:
    endpoint = provider().endpoint
    assert endpoint.base_url == "http://127.0.0.1:1234"
    assert endpoint.authorize is None
    assert endpoint.missing is None


def test_another_address_and_the_key_of_a_proxy_are_said() -> None:
    endpoint = provider(base_url="https://pictures.example", api_key="a-key").endpoint
    assert endpoint.base_url == "https://pictures.example"
    assert endpoint.authorize is not None
    assert "a-key" not in repr(endpoint)


def test_there_are_no_settings() -> None:
    with pytest.raises(ConfigurationError, match="no setting 'stepz'"):
        provider(settings={"stepz": 3})


def test_its_tables_say_what_its_options_are() -> None:
    from imagekit_sdcpp._request import Options

    able = provider().capabilities(None)
    assert set(able.options) == set(Options.model_fields)
    assert able.prices is not None
    assert able.prices.free
    assert able.detaches
