"""The provider around pipelines that are given: what they are asked, and what becomes of it."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from diffusers_host import Fake, FakeImage, FakeInpaint, FakeText, Generator, Latents, Scheduler
from PIL import Image as Pillow

import imagekit
import imagekit_diffusers
from imagekit import (
    Client,
    ConfigurationError,
    ContentRejectedError,
    DeadlineExceededError,
    InvalidRequestError,
    Mask,
    PartialImage,
    Progress,
    ProviderError,
    ProviderUnavailableError,
    Queued,
    RequestError,
    UnsupportedRequestError,
)
from imagekit_diffusers import _making

GREY = Pillow.new("RGB", (64, 64), (90, 90, 90))


def studio(kind: type[Fake] = FakeText, **how: Any) -> Any:
    """A pipeline, and what it was called with."""
    said: list[dict[str, Any]] = []
    how.setdefault("drawn", lambda: GREY)
    return kind(said=lambda name, values: said.append({"name": name, **values}), **how), said


def client(*pipelines: Fake, **settings: Any) -> Client:
    kinds = {FakeText: "text", FakeImage: "image", FakeInpaint: "inpaint"}
    made = {
        next(kinds[one] for one in type(pipe).__mro__ if one in kinds): pipe for pipe in pipelines
    }
    given = {"pipelines": made, "generator": Generator, **settings}
    return Client(provider="diffusers", settings=given, config=False)


def file(picture: Pillow.Image, kind: str = "PNG", **how: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **how)
    return out.getvalue()


def options(**said: Any) -> dict[str, Any]:
    return {"options": {"diffusers": said}}


def previews(pipe: Fake, many: int, **fields: Any) -> tuple[list[Any], Any]:
    with client(pipe).stream("a cat", partial_images=many, **fields) as stream:
        events = list(stream)
    return [one for one in events if isinstance(one, PartialImage)], stream.response


def gone() -> bool:
    """Whether the threads of all calls have ended, as they do soon."""
    until = time.monotonic() + 30
    while any(one.name == "imagekit-diffusers" for one in threading.enumerate()):
        if time.monotonic() > until:
            return False
        time.sleep(0.005)
    return True


def test_without_its_libraries_one_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        imagekit_diffusers, "find_spec", lambda name: None if name == "torch" else object()
    )
    able = Client(provider="diffusers", model="some/model", config=False)
    with pytest.raises(ConfigurationError) as raised:
        able.generate("a cat")
    assert "torch: not installed; pip install 'imagekit-diffusers[torch]'" in str(raised.value)
    assert type(raised.value) is ConfigurationError  # it is no key that is missing
    with pytest.raises(ConfigurationError, match="torch: not installed"):
        able.plan("a cat")
    # What it could do is known all the same.
    assert able.capabilities().mask == "white"
    pipe, _ = studio()
    assert client(pipe).generate("a cat").ok


def test_with_its_libraries_and_no_model_the_error_says_what_to_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(imagekit_diffusers, "find_spec", lambda name: object())
    with pytest.raises(RequestError, match="which model"):
        Client(provider="diffusers", config=False).generate("a cat")


def test_the_given_pipelines_have_the_name_that_the_settings_give_them() -> None:
    pipe, _ = studio()
    assert client(pipe).generate("a cat").model == "given"
    named = client(pipe, model="mine")
    assert named.generate("a cat").model == named.capabilities().model == "mine"


def test_a_state_is_an_error() -> None:
    pipe, said = studio()
    state = imagekit.State(provider="diffusers", payload={})
    with pytest.raises(RequestError, match="keep no state"):
        client(pipe).generate("more", state=state)
    assert not said


def test_sizes_that_are_declared_are_those_that_inputs_are_brought_to() -> None:
    pipe, _ = studio()
    rule = client(pipe).capabilities().size
    assert rule is not None
    assert (rule.multiple, rule.low_edge, rule.high_edge) == (
        _making.STEP,
        _making.LEAST,
        _making.MOST,
    )


def test_each_picture_has_a_seed_of_its_own_and_tells_it() -> None:
    pipe, said = studio()
    found = client(pipe).generate("a cat", seed=7, n=3)
    assert [one.seed for one in found] == [7, 8, 9]
    assert sorted(one["seed"] for one in said) == [7, 8, 9]


def test_options_are_called_as_the_pipeline_calls_them() -> None:
    pipe, said = studio()
    client(pipe).generate("a cat", negative_prompt="dogs", **options(steps=3, guidance=2.5))
    wanted = {"steps": 3, "guidance": 2.5, "negative": "dogs", "prompt": "a cat"}
    assert wanted.items() <= said[0].items()


def test_a_scheduler_is_that_call_s_only() -> None:
    pipe, said = studio()
    able = client(pipe)
    able.generate("a cat", **options(scheduler="OtherScheduler"))
    able.generate("a cat")
    assert [one["scheduler"] for one in said] == ["OtherScheduler", "Scheduler"]
    assert type(pipe.scheduler) is Scheduler
    assert [one["quiet"] for one in said] == [True, True]
    assert not pipe.quiet


def test_a_scheduler_that_does_not_fit_is_refused_with_those_that_do() -> None:
    pipe, said = studio()
    with pytest.raises(UnsupportedRequestError, match="there are: OtherScheduler, Scheduler"):
        client(pipe).generate("a cat", **options(scheduler="FooScheduler"))
    assert not said


def test_what_a_pipeline_does_not_take_is_told_of() -> None:
    pipe, said = studio(FakeImage)
    taken = client(pipe, pipelines={"text": pipe, "image": pipe})
    plain = type("Plain", (FakeText,), {"__call__": _plain})
    bare, _ = studio(plain)
    found = client(bare).generate("a cat", size="64x64", negative_prompt="dogs", **options(steps=3))
    assert sorted(str(one) for one in found.notices) == [
        "adjusted: size: Plain takes no height",
        "adjusted: size: Plain takes no width",
        "unsupported: negative_prompt: Plain takes no negative_prompt",
        "unsupported: steps: Plain takes no num_inference_steps",
    ]
    quiet = client(bare).generate("a cat", negative_prompt="dogs", unsupported="ignore")
    assert quiet.notices == ()
    with pytest.raises(UnsupportedRequestError, match="takes no negative_prompt"):
        client(bare).generate("a cat", negative_prompt="dogs", unsupported="error")
    # An input picture brings its size along.
    assert taken.edit("a hat", images=[file(GREY.resize((32, 32)))], size="64x64").notices == ()
    assert said[0]["image"].size == (64, 64)


def _plain(self: Fake, prompt: str, generator: Any = None, callback_on_step_end: Any = None) -> Any:
    return self._make(2, (64, 64), callback_on_step_end, generator, prompt=prompt)


def test_a_pipeline_that_takes_no_picture_is_never_given_one_up() -> None:
    pipe, said = studio()
    with pytest.raises(UnsupportedRequestError, match="FakeText takes no image"):
        client(pipelines={"image": pipe}).edit("a hat", images=[file(GREY)])
    assert not said


def test_a_picture_is_brought_to_the_nearest_size_and_that_is_told() -> None:
    pipe, said = studio(FakeImage)
    found = client(pipe).edit("a hat", images=[file(GREY.resize((100, 75)))])
    assert said[0]["image"].size == (96, 72)
    assert [str(one) for one in found.notices][:1] == [
        "adjusted: size: the picture becomes 96x72, the nearest there is"
    ]
    client(pipe).vary(images=[file(GREY.resize((4096, 1024)))])
    assert (said[1]["image"].size, said[1]["prompt"]) == ((2048, 512), "")


def test_a_picture_is_taken_as_it_is_seen() -> None:
    pipe, said = studio(FakeImage)
    turned = Pillow.Exif()
    turned[0x0112] = 6
    tall = file(Pillow.new("RGB", (64, 32)), "JPEG", exif=turned)
    client(pipe).edit("a hat", images=[tall])
    clear = file(Pillow.new("RGBA", (64, 64), (0, 0, 0, 0)))
    client(pipe).edit("a hat", images=[clear])
    assert said[0]["image"].size == (32, 64)
    assert said[1]["image"].getpixel((0, 0)) == (255, 255, 255)


def test_a_broken_picture_is_the_caller_s_fault() -> None:
    pipe, said = studio(FakeImage)
    with pytest.raises(RequestError, match="cannot read"):
        client(pipe).edit("a hat", images=[file(GREY)[:60]])
    assert not said


def test_only_what_the_mask_marks_changes_in_the_picture_and_its_previews() -> None:
    pipe, said = studio(FakeInpaint)
    red = Pillow.new("RGB", (64, 64), (200, 30, 30))
    mask = Pillow.new("L", (64, 64), 255)
    mask.paste(0, (32, 0, 64, 64))
    fields = {"images": [file(red)], "mask": Mask(file(mask), edit_where="white")}
    seen, found = previews(pipe, 1, **fields)
    for image in (found.image, seen[0].image):
        shown = image.to_pil()
        assert shown.getpixel((60, 5)) == (200, 30, 30)
        assert shown.getpixel((5, 5)) != (200, 30, 30)
    assert said[0]["mask"].getextrema() == (0, 255)


def test_a_mask_keeps_its_edges_in_another_size() -> None:
    pipe, said = studio(FakeInpaint)
    mask = Pillow.new("L", (64, 64), 255)
    mask.paste(0, (32, 0, 64, 64))
    grey = Pillow.new("RGB", (64, 64), (90, 90, 90))
    marked = Mask(file(mask), edit_where="white")
    client(pipe).edit("a hat", images=[file(grey)], mask=marked, size="160x160")
    shades = said[0]["mask"].getcolors()
    assert [shade for _, shade in shades] == [0, 255]


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_a_picture_comes_in_the_format_that_is_asked_for(kind: str) -> None:
    noise = Pillow.effect_noise((64, 64), 90).convert("RGB")
    pipe, _ = studio(drawn=lambda: noise)
    small, large = (
        client(pipe).generate("a cat", output_format=kind, output_compression=best).image
        for best in (5, 100)
    )
    assert small.media_type == large.media_type == f"image/{kind}"
    assert len(small.read()) < len(large.read())


def test_previews_are_spread_over_the_steps() -> None:
    steps: list[int] = []
    pipe, _ = studio(before=steps.append)
    with client(pipe).stream("a cat", partial_images=3) as stream:
        told = [
            one.step if isinstance(one, Progress) else f"preview {one.step}"
            for one in stream
            if isinstance(one, Progress | PartialImage)
        ]
    assert told == [None, 1, 2, "preview 0", 3, 4, "preview 1", 5, 6, "preview 2", 7, 8]
    assert previews(pipe, 50, **options(steps=3))[0][-1].step == 1
    assert previews(pipe, 1, **options(steps=1))[0] == []
    assert previews(pipe, 0)[0] == []


def test_nobody_who_does_not_stream_pays_for_previews() -> None:
    pipe, _ = studio()
    client(pipe).generate("a cat", partial_images=3)
    assert pipe.decoded == []


def test_a_preview_of_a_known_family_takes_no_decoder() -> None:
    pipe, _ = studio()
    seen, _ = previews(pipe, 1, size="128x64")
    assert [did[0] for did in pipe.decoded[0]] == ["movedim", "@", "+", "movedim"]
    assert (seen[0].image.width, seen[0].image.height) == (128, 64)


@pytest.mark.parametrize(
    ("how", "did"),
    [
        (
            {"config": {"scaling_factor": 0.5}},
            [("/", 0.5), ("+", 0), ("to", "half"), ("decode", False)],
        ),
        (
            {"config": {"scaling_factor": 0.18215, "shift_factor": 0.1}, "channels": 16},
            [("/", 0.18215), ("+", 0.1), ("to", "half"), ("decode", False)],
        ),
        (
            {"packed": True},
            [("unpacked", 64, 64, 8), ("/", 0.18215), ("+", 0), ("to", "half"), ("decode", False)],
        ),
    ],
    ids=["another factor", "more channels", "packed"],
)
def test_a_preview_of_another_family_is_decoded(how: dict[str, Any], did: list[Any]) -> None:
    pipe, _ = studio(**how)
    previews(pipe, 1)
    assert list(pipe.decoded[0]) == did


def test_previews_that_cannot_be_made_cost_no_picture() -> None:
    pipe, _ = studio(config={})
    seen, found = previews(pipe, 3)
    assert (seen, len(found.images)) == ([], 1)
    assert [one.feature for one in found.notices] == ["partial_images"]
    assert "AttributeError" in found.notices[0].detail


def test_what_a_checker_objects_to_is_refused_and_never_previewed() -> None:
    pipe, _ = studio(drawn=lambda: None, safety_checker=object())
    with pytest.raises(ContentRejectedError) as raised:
        previews(pipe, 3)
    assert (raised.value.stage, raised.value.billed) == ("output", "no")
    assert pipe.decoded == []
    fine, _ = studio(safety_checker=object())
    seen, found = previews(fine, 3)
    assert (seen, len(found.images)) == ([], 1)
    assert "sees finished pictures only" in found.notices[0].detail


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (ValueError("divisible by 8"), InvalidRequestError),
        (TypeError("no such thing"), InvalidRequestError),
        (AttributeError("nor that"), InvalidRequestError),
        (MemoryError(), ProviderUnavailableError),
        (RuntimeError("CUDA out of memory. Tried to allocate"), ProviderUnavailableError),
        (RuntimeError("mat1 and mat2"), ProviderError),
    ],
    ids=lambda one: getattr(one, "__name__", None) or str(one) or "nothing",
)
def test_what_a_pipeline_raises_is_told_by_whose_fault_it_is(
    raised: Exception, kind: type[ProviderError]
) -> None:
    def draw() -> Any:
        raise raised

    pipe, _ = studio(drawn=draw)
    able = client(pipe)
    with pytest.raises(ProviderError) as found:
        able.generate("a cat")
    assert type(found.value) is kind
    assert found.value.billed == "no"
    assert gone()
    # Its turn is over.
    pipe.drawn = lambda: GREY
    assert able.generate("a cat").ok


def test_leaving_a_stream_ends_the_work_after_the_step() -> None:
    steps: list[int] = []
    left = threading.Event()

    def before(step: int) -> None:
        steps.append(step)
        if step > 2:
            assert left.wait(30)

    pipe, _ = studio(before=before)
    able = client(pipe)
    with able.stream("a cat", partial_images=50, **options(steps=50)) as stream:
        next(one for one in stream if isinstance(one, PartialImage))
    left.set()
    assert gone()
    assert len(steps) <= 5
    assert able.generate("a cat", **options(steps=1)).ok


def test_a_deadline_is_held_while_a_step_goes_on() -> None:
    done = threading.Event()
    pipe, _ = studio(before=lambda step: done.wait(30))
    begun = time.monotonic()
    with pytest.raises(DeadlineExceededError):
        client(pipe).generate("a cat", deadline=0.05)
    assert time.monotonic() - begun < 20
    done.set()
    assert gone()


def test_a_cancelled_task_ends_the_work() -> None:
    steps: list[int] = []
    begun, left = threading.Event(), threading.Event()

    def before(step: int) -> None:
        steps.append(step)
        begun.set()
        assert left.wait(30)

    pipe, _ = studio(before=before)
    given = {"pipelines": {"text": pipe}, "generator": Generator}

    async def main() -> None:
        able = imagekit.AsyncClient(provider="diffusers", settings=given, config=False)
        async with able, anyio.create_task_group() as group:
            group.start_soon(lambda: able.generate("a cat"))
            await anyio.to_thread.run_sync(begun.wait)
            group.cancel_scope.cancel()

    anyio.run(main)
    left.set()
    assert gone()
    assert steps == [0]


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> tuple[Client, threading.Event, Callable[[], None]]:
    """A client whose pipeline is at work for another call until the event is set."""
    monkeypatch.setattr(_making, "LOOK", 0.005)
    begun, free = threading.Event(), threading.Event()

    def before(step: int) -> None:
        begun.set()
        assert free.wait(30)

    pipe, _ = studio(before=before)
    able = client(pipe)
    other = threading.Thread(target=lambda: able.generate("a dog"))
    other.start()
    assert begun.wait(30)

    def join() -> None:
        free.set()
        other.join(30)

    return able, free, join


def test_a_call_waits_for_its_turn_and_says_so(two: Any) -> None:
    able, free, join = two
    with able.stream("a cat") as stream:
        first = next(iter(stream))
        free.set()
        stream.finish()
    assert isinstance(first, Queued)
    assert stream.response.ok
    join()
    assert gone()


def test_a_call_that_waits_for_its_turn_can_be_left(two: Any) -> None:
    able, _, join = two
    with pytest.raises(DeadlineExceededError):
        able.generate("a cat", deadline=0.03)
    join()
    assert gone()


def test_latents_of_the_fake_are_four_or_three_dimensional() -> None:
    assert (Latents((1, 4, 8, 8)).ndim, Latents((1, 64, 64)).ndim) == (4, 3)
