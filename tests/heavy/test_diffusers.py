"""Real pipelines, on the CPU: torch and diffusers judge what imagekit-diffusers asks of them."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from copy import copy
from pathlib import Path
from typing import Any

import anyio
import numpy
import pytest
import tiny
import torch
from diffusers import (
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
)
from PIL import Image as Pillow

from imagekit import (
    AsyncClient,
    Client,
    Completed,
    ConfigurationError,
    ContentRejectedError,
    ImageReady,
    InvalidRequestError,
    Mask,
    PartialImage,
    Progress,
    UnsupportedRequestError,
)

SMALL = {"size": "64x64", "seed": 7}


@pytest.fixture(scope="module")
def client(model: str) -> Iterator[Client]:
    with Client(provider="diffusers", model=model, settings={"device": "cpu"}) as found:
        yield found


def steps(count: int, **also: Any) -> dict[str, Any]:
    return {"options": {"diffusers": {"steps": count, **also}}}


def red(width: int = 64, height: int = 64) -> bytes:
    out = io.BytesIO()
    Pillow.new("RGB", (width, height), (200, 30, 30)).save(out, "PNG")
    return out.getvalue()


def pixels(image: Any) -> Any:
    return numpy.asarray(image.to_pil().convert("RGB")).astype(int)


def ended() -> bool:
    until = time.monotonic() + 10
    while any(one.name == "imagekit-diffusers" for one in threading.enumerate()):
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def test_the_plugin_loads_no_torch_until_it_is_used(model: str) -> None:
    code = (
        "import sys, imagekit\n"
        f"client = imagekit.Client(provider='diffusers', model={model!r}, config=False)\n"
        "client.capabilities()\n"
        "sys.exit(sorted({'torch', 'diffusers', 'transformers'} & set(sys.modules)) or 0)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_seed_makes_the_same_picture_and_words_another(client: Client) -> None:
    one, again = (client.generate("a red cat", **SMALL, **steps(4)).image for _ in range(2))
    other = client.generate("a blue dog", **SMALL, **steps(4)).image
    assert one.data == again.data
    assert one.data != other.data
    assert (one.width, one.height, one.seed) == (64, 64, 7)


def test_it_is_what_the_pipeline_itself_makes(client: Client, pipeline: Any) -> None:
    mine = client.generate("a red cat", negative_prompt="dogs", **SMALL, **steps(4, guidance=3.0))
    theirs = pipeline(
        "a red cat",
        negative_prompt="dogs",
        num_inference_steps=4,
        guidance_scale=3.0,
        width=64,
        height=64,
        generator=torch.Generator().manual_seed(7),
    ).images[0]
    assert (pixels(mine.image) == numpy.asarray(theirs).astype(int)).all()


def test_two_pictures_are_those_of_two_seeds(client: Client) -> None:
    both = client.generate("a red cat", n=2, **SMALL, **steps(4))
    second = client.generate("a red cat", size="64x64", seed=8, **steps(4)).image
    assert [one.seed for one in both] == [7, 8]
    assert both[1].data == second.data != both[0].data


def test_a_seed_that_was_told_makes_the_picture_again(client: Client) -> None:
    first = client.generate("a red cat", size="64x64", **steps(2)).image
    again = client.generate("a red cat", size="64x64", seed=first.seed, **steps(2)).image
    assert first.data == again.data


def test_previews_come_between_the_steps_and_differ(client: Client) -> None:
    with client.stream("a red cat", partial_images=3, **SMALL, **steps(8)) as stream:
        events = list(stream)
    done = [one.step for one in events if isinstance(one, Progress) and one.step]
    seen = [one.image for one in events if isinstance(one, PartialImage)]
    kinds = [one.kind for one in events if not isinstance(one, Progress)]
    assert done == [1, 2, 3, 4, 5, 6, 7, 8]
    assert kinds == ["partial-image"] * 3 + ["image-ready", "completed"]
    assert len({one.data for one in seen}) == 3
    assert {(one.width, one.height) for one in seen} == {(64, 64)}
    whole = client.generate("a red cat", **SMALL, **steps(8)).image
    assert stream.response.image.data == whole.data


def test_a_preview_by_the_rule_of_thumb_is_as_large_as_the_picture(model: str) -> None:
    with Client(provider="diffusers", model=model).stream(
        "a cat", size="128x64", partial_images=1, **steps(3)
    ) as stream:
        seen = [one.image for one in stream if isinstance(one, PartialImage)]
    assert [(one.width, one.height) for one in seen] == [(128, 64)]
    assert stream.response.notices == ()


def test_a_picture_is_made_over_as_strongly_as_said(client: Client) -> None:
    def far(strength: float) -> float:
        made = client.edit("a cat", images=[red()], seed=7, **steps(10, strength=strength))
        return float(abs(pixels(made.image) - soft).mean())

    soft = pixels(client.edit("a cat", images=[red()], seed=7, **steps(10, strength=0.1)).image)
    assert far(0.1) == 0
    assert 0 < far(0.4) < far(1.0)


def test_the_size_of_an_edit_is_that_of_its_picture(client: Client) -> None:
    made = client.edit("a cat", images=[red(100, 75)], seed=7, **steps(4))
    assert (made.image.width, made.image.height) == (96, 72)
    assert [one.feature for one in made.notices if one.kind == "adjusted"] == ["size"]
    larger = client.edit("a cat", images=[red()], size="128x96", **steps(4))
    assert (larger.image.width, larger.image.height) == (128, 96)


def test_a_variation_needs_no_words(client: Client) -> None:
    assert client.vary(images=[red()], **steps(4)).image.width == 64


def test_only_the_masked_half_changes(client: Client) -> None:
    mask = Mask.box((0, 0, 32, 64))
    made = client.edit("a cat", images=[red()], mask=mask, seed=7, check_mask=True, **steps(4))
    found = pixels(made.image)
    assert (found[:, 32:] == (200, 30, 30)).all()
    assert (found[:, :32] != (200, 30, 30)).any(axis=2).mean() > 0.9
    assert made.notices == ()


def test_one_set_of_weights_serves_words_pictures_and_masks(model: str) -> None:
    client = Client(provider="diffusers", model=model)
    picture = client.generate("a cat", **SMALL, **steps(2)).image
    client.edit("a hat", images=[picture], **steps(4))
    client.edit("a hat", images=[picture], mask=Mask.box((0, 0, 32, 64)), **steps(4))
    kept = client._calls.providers.provider("diffusers")._studio._kept[model]  # type: ignore[attr-defined]
    assert list(kept) == ["text", "image", "inpaint"]
    assert len({id(pipe.unet) for pipe in kept.values()}) == 1
    assert len({id(pipe) for pipe in kept.values()}) == 3


def test_leaving_after_the_first_preview_of_fifty_steps_takes_a_few_steps(client: Client) -> None:
    begun = time.monotonic()
    client.generate("a cat", size="256x256", **steps(5))
    step = (time.monotonic() - begun) / 5
    begun = time.monotonic()
    with client.stream("a cat", size="256x256", partial_images=50, **steps(50)) as stream:
        next(one for one in stream if isinstance(one, PartialImage))
    left = time.monotonic() - begun
    assert ended()
    gone = time.monotonic() - begun
    print(f"a step takes {step:.3f} s; left after {left:.3f} s, gone after {gone:.3f} s")
    assert gone < 10 * step + 0.5 < 50 * step
    # And nothing of it is left over.
    assert client.generate("a cat", **SMALL, **steps(2)).ok


def test_a_scheduler_by_name_makes_another_picture_for_one_call(client: Client) -> None:
    own = client.generate("a cat", **SMALL, **steps(4)).image
    other = client.generate("a cat", **SMALL, **steps(4, scheduler="EulerDiscreteScheduler")).image
    assert other.data != own.data
    assert client.generate("a cat", **SMALL, **steps(4)).image.data == own.data
    with pytest.raises(UnsupportedRequestError, match="EulerDiscreteScheduler"):
        client.generate("a cat", **steps(4, scheduler="NoSuchScheduler"))


def test_what_the_pipeline_refuses_is_the_request_s_fault(model: str) -> None:
    any_size = {"diffusers": {"*": {"size": {"multiple": 1}}}}
    client = Client(provider="diffusers", model=model, capabilities=any_size)
    with pytest.raises(InvalidRequestError, match="divisible by 8"):
        client.generate("a cat", size="60x60")


def test_what_is_no_model_is_told(tmp_path: Any) -> None:
    with pytest.raises(ConfigurationError, match="cannot be loaded"):
        Client(provider="diffusers", model=str(tmp_path)).generate("a cat")


def test_pickled_weights_are_not_read(pipeline: Any, tmp_path: Any) -> None:
    pipeline.save_pretrained(tmp_path, safe_serialization=True)
    for weights in tmp_path.glob("*/*.safetensors"):
        torch.save({}, weights.with_suffix(".bin"))
        weights.unlink()
    with pytest.raises(ConfigurationError, match="cannot be loaded"):
        Client(provider="diffusers", model=str(tmp_path)).generate("a cat")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_async_and_streamed_it_is_the_same(client: Client, model: str, backend: str) -> None:
    async def main() -> tuple[Any, list[Any]]:
        async with AsyncClient(provider="diffusers", model=model) as able:
            whole = await able.generate("a red cat", n=2, **SMALL, **steps(4))
            async with able.stream("a red cat", n=2, partial_images=1, **SMALL, **steps(4)) as s:
                return whole, [event async for event in s]

    whole, events = anyio.run(main, backend=backend)
    blocking = client.generate("a red cat", n=2, **SMALL, **steps(4))
    ready = {one.index: one.image for one in events if isinstance(one, ImageReady)}
    assert [one.data for one in blocking] == [one.data for one in whole]
    assert [one.data for one in blocking] == [ready[0].data, ready[1].data]
    assert isinstance(events[-1], Completed)
    assert sum(isinstance(one, PartialImage) for one in events) == 2


def test_what_its_safety_checker_objects_to_is_refused(pipeline: Any) -> None:
    strict = copy(pipeline)
    strict.run_safety_checker = lambda image, device, dtype: (image, [True] * len(image))
    client = Client(provider="diffusers", settings={"pipelines": {"text": strict}})
    with pytest.raises(ContentRejectedError) as raised:
        client.generate("a cat", **SMALL, **steps(2))
    assert raised.value.billed == "no"


def test_a_flux_has_previews_out_of_its_packed_latents() -> None:
    torch.manual_seed(0)
    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=4,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        axes_dims_rope=[4, 4, 8],
    )
    vae = AutoencoderKL(
        sample_size=32,
        in_channels=3,
        out_channels=3,
        block_out_channels=(4,),
        layers_per_block=1,
        latent_channels=1,
        norm_num_groups=1,
        use_quant_conv=False,
        use_post_quant_conv=False,
        shift_factor=0.0609,
        scaling_factor=1.5035,
    )

    class Wordless(FluxPipeline):  # type: ignore[misc]
        """One whose words are numbers already, for it has no encoders."""

        def encode_prompt(self, prompt: Any, *args: Any, **kwargs: Any) -> Any:
            torch.manual_seed(len(prompt))
            return torch.randn(1, 8, 32), torch.randn(1, 32), torch.zeros(8, 3)

    nothing = dict.fromkeys(("text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2"))
    flux = Wordless(
        scheduler=FlowMatchEulerDiscreteScheduler(), vae=vae, transformer=transformer, **nothing
    )
    client = Client(provider="diffusers", settings={"pipelines": {"text": flux}})
    with client.stream("a cat", partial_images=2, **SMALL, **steps(4)) as stream:
        seen = [one.image for one in stream if isinstance(one, PartialImage)]
    assert stream.response.notices == ()
    assert {(one.width, one.height) for one in seen} == {(64, 64)}
    assert len({one.data for one in seen}) == 2


@pytest.mark.parametrize("page", ["docs/diffusers.md", "plugins/imagekit-diffusers/README.md"])
def test_the_pages_hold(page: str, model: str) -> None:
    text = (Path(__file__).parents[2] / page).read_text(encoding="utf-8")
    known: dict[str, Any] = {}
    for fence in re.findall(r"```python\n(.*?)```", text, re.S):
        small = fence.replace("stabilityai/sd-turbo", model).replace("512", "64")
        exec(small.replace("64, 200", "64, 25"), known)
    assert known["otter"].seed == 7


def test_the_tiny_model_is_tiny(pipeline: Any) -> None:
    parts = (pipeline.unet, pipeline.vae, pipeline.text_encoder)
    assert sum(one.numel() for part in parts for one in part.parameters()) < 2_000_000
    assert tiny.__doc__
