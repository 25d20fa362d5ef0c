"""The provider sdcpp against the server that it is for: jobs made, queued, ended, resumed."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image as Pillow
from PIL import ImageChops
from tally import Judge

from imagekit import (
    Client,
    Completed,
    ImageInput,
    ImageReady,
    ImageRequest,
    InvalidRequestError,
    Job,
    Mask,
    NoImageError,
    Profile,
    Progress,
    Queued,
)
from spoken import httpx
from ways import WAYS, make

pytestmark = pytest.mark.real
JUDGE = Judge("stable-diffusion.cpp's server, by its job API")
SIDE = 64
# Long enough that whatever is asked meanwhile finds it at work.
LONG: dict[str, Any] = {"size": "192x192", "options": {"sdcpp": {"steps": 40}}}


def png(picture: Pillow.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


SOURCE = png(Pillow.new("RGB", (SIDE, SIDE), (200, 30, 30)))


@pytest.fixture(scope="module")
def there(server: str) -> str:
    return server.removesuffix("/v1")


@pytest.fixture
def client(there: str) -> Iterator[Client]:
    with Client(provider="sdcpp", base_url=there, env={}, config=False) as client:
        yield client


def ask(way: str, there: str, **fields: Any) -> Any:
    local = Profile("local", "sdcpp", base_url=there)
    request = ImageRequest(**{"size": "64x64", **fields})
    return make(way, request, profiles=[local], how={"provider": "local"})


def id_of(job: Job) -> Any:
    assert job.parts[0].handle is not None
    return job.parts[0].handle["id"]


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("way", WAYS)
def test_pictures_come_with_their_seeds_and_the_model_that_made_them(
    way: str, n: int, there: str
) -> None:
    with JUDGE.asked():
        found = ask(way, there, prompt="a red bicycle", n=n, seed=0)
        assert [image.seed for image in found] == list(range(n))
        assert [image.to_pil().size for image in found] == [(SIDE, SIDE)] * n
        assert found.model == "flux"
        assert found.notices == ()
        assert found.cost is not None
        assert found.cost.amount == 0


def test_the_same_seed_makes_the_same_picture_and_another_another(client: Client) -> None:
    with JUDGE.asked():
        seven, again, eight = (
            client.generate("a cat", size="64x64", seed=seed).image.data for seed in (7, 7, 8)
        )
        assert seven == again
        assert seven != eight
    with JUDGE.asked():
        # The pictures of a job have seeds one after the other.
        assert [one.data for one in client.generate("a cat", size="64x64", seed=7, n=2)] == [
            seven,
            eight,
        ]
    with JUDGE.asked():
        # Nothing said is what the server was started with; its own usual seed is 42.
        assert client.generate("a cat", size="64x64").image.seed == 42
        assert client.generate("a cat", size="64x64", seed=-1).image.seed not in (None, -1, 42)


@pytest.mark.parametrize(
    ("kind", "seed", "why"),
    [("png", 5, None), ("webp", 5, None), ("jpeg", None, "into a JPEG it writes no seed")],
    ids=["png", "webp", "jpeg"],
)
def test_each_format_comes_as_asked_and_says_its_seed(
    kind: str, seed: int | None, why: str | None, client: Client
) -> None:
    with JUDGE.asked(differs=why):
        # What a prompt holds is written into the picture as well.
        prompt = 'a "cat" & <a dog> Seed: 9'
        image = client.generate(prompt, size="64x64", seed=5, output_format=kind).image
        assert image.media_type == f"image/{kind}"
        assert image.seed == seed


def test_more_than_eight_pictures_are_several_jobs(client: Client) -> None:
    with JUDGE.asked():
        found = client.generate("a cat", size="64x64", seed=3, n=9)
        assert [image.seed for image in found] == list(range(3, 12))
        assert len({image.data for image in found}) == 9
        assert len(found.calls) == 2


def test_what_the_server_passes_over_in_silence_is_told(client: Client) -> None:
    with JUDGE.asked(
        differs="the server takes whatever model and sampler it has, and says nothing"
    ):
        options = {"sdcpp": {"sampler": "eulr", "scheduler": "karras"}}
        found = client.generate("a cat", size="64x64", model="sdxl", options=options)
        told = [(one.feature, one.wanted, one.used) for one in found.notices]
        assert told == [("model", "sdxl", "flux"), ("sampler", "eulr", None)]
    with JUDGE.asked():
        options = {"sdcpp": {"sampler": "euler_a", "scheduler": "karras", "steps": 3}}
        assert not client.generate("a cat", size="64x64", model="flux", options=options).notices


def test_every_option_is_one_that_the_server_takes(client: Client) -> None:
    plain = client.generate("a cat", size="64x64").image
    changing: list[dict[str, Any]] = [
        {"steps": 3, "sampler": "heun", "scheduler": "exponential"},
        {"hires_upscaler": "Lanczos", "hires_scale": 1.5, "hires_steps": 1, "hires_strength": 0.5},
        {"embed_image_metadata": False},
    ]
    for options in changing:
        with JUDGE.asked():
            found = client.generate("a cat", size="64x64", options={"sdcpp": options})
            assert found.image.data != plain.data
    assert found.image.seed is None
    with JUDGE.asked():
        words = {"guidance": 2.0, "flow_shift": 2.0, "clip_skip": 2, "vae_tiling": True, "cfg": 2}
        how: dict[str, Any] = {"options": {"sdcpp": words}, "negative_prompt": "a dog"}
        assert client.generate("a cat", size="64x64", **how).image.data != plain.data


def test_an_edit_keeps_the_size_of_its_picture(client: Client) -> None:
    with JUDGE.asked():
        wide = png(Pillow.new("RGB", (128, 96), (200, 30, 30)))
        assert client.edit("a dog", images=[wide]).image.to_pil().size == (128, 96)
    with JUDGE.asked():
        assert client.vary([SOURCE]).image.to_pil().size == (SIDE, SIDE)


def test_the_strength_says_how_much_of_a_picture_changes(client: Client) -> None:
    def far(strength: float) -> float:
        options = {"sdcpp": {"strength": strength, "steps": 10}}
        image = client.edit("a dog", images=[SOURCE], options=options).image
        before = Pillow.open(io.BytesIO(SOURCE)).convert("RGB")
        pixels = ImageChops.difference(image.to_pil().convert("RGB"), before).tobytes()
        return sum(pixels) / len(pixels)

    with JUDGE.asked():
        assert far(0.1) < far(0.95)


def test_pictures_to_look_at_are_looked_at(client: Client) -> None:
    blue = png(Pillow.new("RGB", (SIDE, SIDE), (30, 30, 200)))
    seen = [ImageInput(data=one, role="reference") for one in (SOURCE, blue)]
    with JUDGE.asked():
        one, both, turned = (
            client.edit("a dog", images=images, size="64x64").image.data
            for images in (seen[:1], seen, seen[::-1])
        )
        assert len({one, both, turned}) == 3
    with JUDGE.asked():
        # A second source is one of them.
        beside = client.edit("a dog", images=[SOURCE, blue]).image.data
        assert beside != client.edit("a dog", images=[SOURCE]).image.data


@pytest.mark.parametrize("convention", ["transparent", "opaque", "white", "black"])
def test_only_the_marked_half_changes(convention: str, client: Client) -> None:
    left = (0, 0, SIDE // 2, SIDE)
    marked = 255 if convention in ("white", "opaque") else 0
    marks = Pillow.new("L", (SIDE, SIDE), 255 - marked)
    marks.paste(marked, left)
    if convention in ("transparent", "opaque"):
        drawn = Pillow.new("RGBA", (SIDE, SIDE), (9, 9, 9, 255))
        drawn.putalpha(marks)
        marks = drawn
    mask = Mask(png(marks), edit_where=convention)  # type: ignore[arg-type]
    with JUDGE.asked():
        image = client.edit("a dog", images=[SOURCE], mask=mask).image
        before = Pillow.open(io.BytesIO(SOURCE)).convert("RGB")
        changed = ImageChops.difference(image.to_pil().convert("RGB"), before)
        kept = changed.crop((SIDE // 2, 0, SIDE, SIDE)).getextrema()
        assert max(high for _, high in kept) <= 4
        assert max(high for _, high in changed.crop(left).getextrema()) > 20


def test_a_job_says_where_it_stands_in_the_queue(client: Client) -> None:
    with JUDGE.asked():
        first, second = (client.submit("a long one", **LONG) for _ in range(2))
        with client.stream("the last", size="64x64", seed=1) as stream:
            events = list(stream)
        waited = [event.position for event in events if isinstance(event, Queued)]
        # The first may not have been begun yet when it was first asked.
        assert waited in ([2, 1], [3, 2, 1])
        order = list(dict.fromkeys(type(event) for event in events))
        # One that is made between two looks is not seen being made.
        assert [kind for kind in order if kind is not Progress] == [Queued, ImageReady, Completed]
        assert client.resume(first).ok
        assert client.resume(second).ok


def test_a_job_that_waits_can_be_cancelled(client: Client) -> None:
    long, waiting = client.submit("a long one", **LONG), client.submit("another", size="64x64")
    with JUDGE.asked():
        client.cancel(waiting)
        with pytest.raises(NoImageError, match="cancelled by client") as caught:
            client.resume(waiting)
        assert (caught.value.code, caught.value.billed) == ("cancelled", "no")
        # Once more changes nothing.
        client.cancel(waiting)
    assert client.resume(long).ok


def test_it_is_too_late_for_a_job_that_is_being_made(client: Client) -> None:
    job = client.submit("a long one", **LONG)
    with client.stream("the next", size="64x64") as stream:
        # The first may not have been begun yet when it was first asked.
        assert any(isinstance(event, Queued) and event.position == 1 for event in stream)
        with JUDGE.asked():
            with pytest.raises(InvalidRequestError, match="cannot be interrupted") as caught:
                client.cancel(job)
            assert caught.value.status == 409
    with JUDGE.asked():
        assert client.resume(job).ok
        # What is done stays so.
        client.cancel(job)
        assert client.resume(job).ok


@pytest.mark.parametrize("way", ["blocking", "another process"])
def test_a_job_is_finished_by_a_fresh_client_from_its_json(
    way: str, client: Client, there: str
) -> None:
    with JUDGE.asked():
        long = client.submit("a long one", **LONG)
        kept = str(client.submit("a lighthouse", size="64x64", seed=11, n=2))
        assert client.poll(kept) is None
        with Client(provider="sdcpp", base_url=there, env={}, config=False) as fresh:
            found = fresh.resume(Job.model_validate_json(kept) if way == "blocking" else kept)
            assert [image.seed for image in found] == [11, 12]
            # Whoever asks again gets the same.
            again = fresh.poll(kept)
        assert again is not None
        assert [one.data for one in again] == [one.data for one in found]
        assert client.resume(long).ok


def test_a_job_that_nobody_knows_is_gone_for_good(client: Client) -> None:
    begun = client.submit("a cat", size="64x64")
    job = str(begun).replace(id_of(begun), "job_0_00000000")
    with JUDGE.asked():
        with pytest.raises(InvalidRequestError, match="job not found") as caught:
            client.resume(job)
        assert caught.value.status == 404
        assert caught.value.job is None
    with JUDGE.asked(), pytest.raises(InvalidRequestError, match="job not found"):
        client.cancel(job)


@pytest.mark.parametrize("way", WAYS)
def test_what_the_server_finds_wrong_is_said_in_its_words(way: str, there: str) -> None:
    with JUDGE.asked():
        with pytest.raises(InvalidRequestError, match="invalid output_format") as caught:
            ask(way, there, prompt="a cat", output_format="gif")
        assert (caught.value.status, caught.value.billed) == (400, "no")
    with JUDGE.asked():
        grey = png(Pillow.new("L", (SIDE, SIDE), 90))
        with pytest.raises(InvalidRequestError, match="that are grey are among them"):
            ask(way, there, prompt="a cat", images=[grey])


def test_the_server_says_what_our_tables_say(client: Client, there: str) -> None:
    with JUDGE.asked():
        said = httpx.get(f"{there}/sdcpp/v1/capabilities").json()
        able, limits = client.capabilities(), said["limits"]
        assert able.max_images == limits["max_batch_count"]
        assert able.size is not None
        assert able.size.low_edge == limits["min_width"] == limits["min_height"]
        assert able.size.high_edge == limits["max_width"] == limits["max_height"]
        assert said["output_formats"] == ["png", "jpeg", "webp"]
        assert [model.id for model in client.models()] == [said["model"]["stem"]]
        assert said["features"]["cancel_queued"]
        assert not said["features"]["cancel_generating"]
