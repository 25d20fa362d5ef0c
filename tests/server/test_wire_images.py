from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import openai
import pytest
from openai.types import ImageGenPartialImageEvent, ImagesResponse

import imagekit
from desk import PNG, InProcess, Toy, making
from imagekit import Image, ImageFailure, ImageRequest, ImageResponse, Notice, Usage
from imagekit import UsageItem as Item
from imagekit.provider import call, emit, sleep
from imagekit.server import Limits
from serving import serving
from spoken import httpx
from toys import Plugged, picture

SVG = b"<svg xmlns='http://www.w3.org/2000/svg' width='8' height='9'/>"


class Desk(InProcess):
    def vary(self, *parts: Any, **said: str) -> httpx.Response:
        files = parts or [("image", ("a.png", PNG, "image/png"))]
        return self.ask("POST", "/images/variations", data=said, files=list(files))

    def edit(self, **said: Any) -> httpx.Response:
        files = [("image", ("a.png", PNG, "image/png"))]
        return self.ask("POST", "/images/edits", data={"prompt": "a hat", **said}, files=files)


def notices(answer: httpx.Response) -> list[Any]:
    assert answer.status_code == 200, answer.text
    return json.loads(answer.headers.get("x-imagekit-notices", "[]"))


def events(answer: httpx.Response) -> list[Any]:
    """The events of a stream; each is named as its data says."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    found = []
    for block in answer.text.strip().split("\n\n"):
        if not block.startswith(":"):
            name, data = block.split("\n")
            found.append(json.loads(data.removeprefix("data: ")))
            assert name == f"event: {found[-1]['type']}"
    return found


def comments(answer: httpx.Response) -> list[Any]:
    blocks = answer.text.strip().split("\n\n")
    return [json.loads(one.removeprefix(": notice ")) for one in blocks if one.startswith(": n")]


USAGE = Usage(
    items=(
        Item(quantity=7, direction="input", modality="text"),
        Item(quantity=90, direction="output", modality="image"),
        Item(quantity=40, direction="output", modality="text", model="author-1"),
    )
)


class TestAnAnswer:
    def test_is_what_the_official_types_say(self) -> None:
        image = Image(data=PNG, echo={"quality": "high", "background": "opaque"})
        created = datetime(2026, 11, 1, tzinfo=UTC)
        answer = Desk(Toy(making(image, usage=USAGE, created=created))).generate(user="u-1").json()
        found = ImagesResponse.model_validate(answer)
        assert found.model_dump(exclude_unset=True) == answer
        assert answer == {
            "created": int(created.timestamp()),
            "data": [{"b64_json": answer["data"][0]["b64_json"]}],
            "background": "opaque",
            "output_format": "png",
            "quality": "high",
            "size": "3x2",
            "safety_identifier": "u-1",
            "usage": {
                "input_tokens": 7,
                "input_tokens_details": {"image_tokens": 0, "text_tokens": 7},
                "output_tokens": 90,
                "output_tokens_details": {"image_tokens": 90, "text_tokens": 0},
                "total_tokens": 97,
            },
        }

    def test_says_nothing_that_nobody_knows(self) -> None:
        assert set(Desk().generate().json()) == {"created", "data", "output_format", "size"}

    def test_echoes_what_was_asked_where_nobody_says_otherwise(self) -> None:
        answer = Desk().generate(quality="low", background="transparent").json()
        assert (answer["quality"], answer["background"]) == ("low", "transparent")

    def test_has_no_words_of_another_dialect(self) -> None:
        echo = {"quality": ["odd"], "background": {"odd": 1}}
        answer = Desk(Toy(making(Image(data=PNG, echo=echo)))).generate().json()
        assert not {"quality", "background"} & set(answer)

    def test_has_all_its_pictures(self) -> None:
        assert len(Desk().generate(n=4).json()["data"]) == 4

    def test_has_each_pictures_own_prompt(self) -> None:
        image = Image(data=PNG, revised_prompt="a small otter")
        [datum] = Desk(Toy(making(image))).generate().json()["data"]
        assert datum["revised_prompt"] == "a small otter"

    def test_counts_the_author_of_an_svg_apart(self) -> None:
        answer = Desk(Toy(making(SVG, usage=USAGE))).generate(output_format="svg").json()
        assert answer["output_format"] == "svg"
        assert answer["svg_usage"]["model"] == "author-1"
        assert answer["usage"]["total_tokens"] + answer["svg_usage"]["total_tokens"] == 137

    def test_gives_a_link_where_the_picture_could_not_be_fetched(self) -> None:
        image = Image(url="https://127.0.0.1/a.png")
        answer = Desk(Toy(making(image))).generate()
        assert answer.json()["data"] == [{"url": "https://127.0.0.1/a.png"}]
        assert notices(answer)[0]["kind"] == "incomplete"

    def test_prefers_the_safety_identifier_to_the_user(self) -> None:
        desk = Desk(Toy(making(), family="openai"))
        answer = desk.generate(user="u-1", safety_identifier="s-1")
        assert answer.json()["safety_identifier"] == "s-1"


class TestNotices:
    def test_are_ascii_in_a_header(self) -> None:
        notice = Notice(kind="other", feature="seed", detail="für «Otter» 🦦\r\nx: y")
        answer = Desk(Toy(making(notices=(notice,)))).generate()
        assert answer.headers["x-imagekit-notices"].isascii()
        assert notices(answer) == [notice.model_dump(exclude_none=True)]

    def test_are_not_too_many(self) -> None:
        many = tuple(Notice(kind="other", feature=str(one), detail="x" * 90) for one in range(99))
        answer = Desk(Toy(making(notices=many))).generate()
        assert len(answer.headers["x-imagekit-notices"]) <= 4000
        assert notices(answer)[0]["feature"] == "0"

    def test_tell_what_another_family_does_not_read(self) -> None:
        desk = Desk()
        svg = {"model": "a", "reasoning": {"effort": "low"}}
        answer = desk.generate(complexity="low", output_format="svg", svg=svg, style="vivid")
        named = [(one["kind"], one["feature"]) for one in notices(answer)]
        assert named == [
            ("unsupported", "complexity"),
            ("unsupported", "svg.model"),
            ("unsupported", "svg.reasoning.effort"),
            ("unsupported", "style"),
            ("delivered-differs", "output_format"),
        ]
        assert desk.toy.asked[-1].options == {}

    def test_tell_it_once_also_where_that_family_is_not_installed(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("IMAGEKIT_DISABLED_PLUGINS", "openai-images,openai-responses")
        assert notices(Desk().generate()) == []
        told = notices(Desk().generate(complexity="low", style="vivid"))
        assert [one["feature"] for one in told] == ["complexity", "style"]

    def test_tell_the_same_of_the_other_api(self) -> None:
        tool = {"type": "image_generation", "complexity": "low"}
        for family, count in ((None, 1), ("openai", 0)):
            desk = Desk(Toy(making(), family=family))
            said = {"model": "m", "input": "an otter", "tools": [tool]}
            told = notices(desk.ask("POST", "/responses", json=said))
            assert [one["feature"] for one in told] == ["complexity"] * count

    def test_tell_of_a_style_that_is_the_other_apis(self) -> None:
        desk = Desk(Toy(making(), family="openai"))
        answer = desk.generate(complexity="low", style="vivid")
        assert [one["feature"] for one in notices(answer)] == ["style"]
        assert desk.toy.asked[-1].options == {"toy": {"complexity": "low"}}

    def test_tell_of_the_model_that_is_used_instead(self) -> None:
        answer = Desk(Toy(making(), model="toy-9")).generate(model="gpt-image-2")
        [notice] = notices(answer)
        assert (notice["feature"], notice["wanted"], notice["used"]) == (
            "model",
            "gpt-image-2",
            "toy-9",
        )

    def test_tell_of_a_picture_that_is_lost_and_leave_the_others(self) -> None:
        lost = ImageFailure(kind="refused", reason="too much otter")
        answer = Desk(Toy(making(PNG, lost, PNG))).generate(n=3)
        assert len(answer.json()["data"]) == 2
        told = [one["detail"] for one in notices(answer) if one["kind"] == "incomplete"]
        assert told == ["too much otter"]

    def test_are_comments_before_the_first_event_of_a_stream(self) -> None:
        noticed = imagekit.Noticed(notice=Notice(kind="other", feature="seed", detail="a\n\nb"))
        preview = imagekit.PartialImage(index=0, image=Image(data=PNG))
        toy = Toy(making(events=[noticed, preview]), model="toy-9")
        answer = Desk(toy).generate(model="m", stream=True, complexity="low")
        assert [one["feature"] for one in comments(answer)] == ["model", "complexity", "seed"]
        assert answer.text.index(": notice") < answer.text.index("event: ")
        assert len(events(answer)) == 2


class TestWhoIsAsked:
    def test_is_what_the_server_was_told(self) -> None:
        desk = Desk(Toy(making()), Toy(making()), models={"gpt-image-2": "other:big", "*": "toy"})
        desk.generate(model="gpt-image-2")
        desk.edit(model="small")
        assert [one.model for one in desk.toys[1].asked] == ["big"]
        assert [one.model for one in desk.toys[0].asked] == ["small"]

    def test_is_the_only_one_where_nobody_is_named(self) -> None:
        desk = Desk(client={"provider": None}, models={"gpt-image-2": "toy:big"})
        assert desk.generate(model=None).status_code == 200
        assert [one.model for one in desk.toys[0].asked] == ["big"]

    def test_is_nobody_where_nobody_is_named_and_there_are_two(self) -> None:
        desk = Desk(client={"provider": None}, models={"a": "toy:big", "b": "toy:small"})
        error = desk.generate(model=None).json()["error"]
        assert (error["code"], error["param"]) == ("missing_required_parameter", "model")

    @pytest.mark.parametrize("model", ["unheard-of", "toy:big"])
    def test_is_nobody_whom_nobody_named(self, model: str | None) -> None:
        desk = Desk(client={"provider": None}, models={"gpt-image-2": "toy:big"})
        answer = desk.generate(model=model)
        error = answer.json()["error"]
        assert answer.status_code == 400
        assert (error["type"], error["code"]) == ("image_generation_user_error", "invalid_value")
        assert error["param"] == "model"
        assert desk.toys[0].asked == []

    def test_is_not_for_the_caller_to_choose(self) -> None:
        desk = Desk(Toy(making()), Toy(making()))
        assert desk.generate(model="other:big").status_code == 400

    def test_has_the_operators_defaults_where_a_request_is_silent(self) -> None:
        defaults = {"model": "own-1", "quality": "high", "options": {"toy": {"depth": 3}}}
        desk = Desk(client=defaults)
        for ask in (desk.generate, desk.edit, desk.vary):
            ask(size="auto")
            assert (desk.toy.asked[-1].model, desk.toy.asked[-1].quality) == ("own-1", "high")
            assert desk.toy.asked[-1].options == {"toy": {"depth": 3}}

    def test_what_it_cannot_make_is_the_requests_mistake(self) -> None:
        desk = Desk(Toy(making(), operations=frozenset({"generate"})))
        answer = desk.edit()
        assert answer.status_code == 400
        assert "cannot edit" in answer.json()["error"]["message"]
        assert answer.headers["x-imagekit-billed"] == "no"


class TestLinks:
    @pytest.mark.parametrize("said", [{"model": "dall-e-3"}, {"response_format": "url"}], ids=str)
    @pytest.mark.parametrize("verb", ["generate", "edit"])
    def test_are_given_where_they_are_wanted_or_usual(self, verb: str, said: Any) -> None:
        desk = Desk(tokens=["some-token"])
        headers = {"authorization": "Bearer some-token"}
        given: dict[str, Any] = {"json": {"prompt": "x", **said}}
        if verb == "edit":
            files = [("image", ("a.png", PNG, "image/png"))]
            given = {"data": {"prompt": "x", **said}, "files": files}
        path = {"generate": "generations", "edit": "edits"}[verb]
        answer = desk.ask("POST", f"/images/{path}", headers=headers, **given)
        [datum] = answer.json()["data"]
        assert set(datum) == {"url"}
        assert datum["url"].startswith("http://desk.test/v1/images/results/")
        assert datum["url"].endswith(".png")
        found = desk.ask("GET", datum["url"])
        assert found.content == PNG

    @pytest.mark.parametrize(
        ("data", "kind"), [(PNG, "image/png"), (SVG, "image/svg+xml"), (b"odd", None)]
    )
    def test_are_served_so_that_no_script_runs(self, data: bytes, kind: str | None) -> None:
        desk = Desk(Toy(making(Image(data=data))))
        [datum] = desk.generate(response_format="url").json()["data"]
        answer = desk.ask("GET", datum["url"])
        assert answer.content == data
        assert answer.headers["content-type"] == (kind or "application/octet-stream")
        assert answer.headers["x-content-type-options"] == "nosniff"
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "sandbox" in policy

    def test_expire(self) -> None:
        desk = Desk(limits=Limits(linked=1e-9))
        [datum] = desk.generate(response_format="url").json()["data"]
        answer = desk.ask("GET", datum["url"])
        assert answer.status_code == 404
        assert answer.json()["error"]["type"] == "invalid_request_error"

    def test_cannot_be_guessed(self) -> None:
        desk = Desk()
        made = {desk.generate(response_format="url").json()["data"][0]["url"] for _ in range(4)}
        assert len(made) == 4
        assert all(len(url.rpartition("/")[2]) > 32 for url in made)
        assert desk.ask("GET", "/images/results/x.png").status_code == 404

    def test_are_the_providers_own_where_the_picture_was_not_fetched(self) -> None:
        image = Image(url="https://127.0.0.1/a.png")
        answer = Desk(Toy(making(image))).generate(response_format="url")
        assert answer.json()["data"] == [{"url": "https://127.0.0.1/a.png"}]


class TestVariations:
    def test_are_made_from_a_picture_alone(self) -> None:
        desk = Desk()
        answer = desk.vary(model="dall-e-2", n="2", size="256x256", user="u-1")
        assert answer.status_code == 200
        request = desk.toy.asked[-1]
        assert request.operation == "variation"
        assert [one.data for one in request.images] == [PNG]
        assert (request.n, request.size, request.user) == (2, "256x256", "u-1")

    def test_are_links_unless_bytes_are_wanted(self) -> None:
        desk = Desk()
        assert "url" in desk.vary().json()["data"][0]
        assert "b64_json" in desk.vary(response_format="b64_json").json()["data"][0]

    @pytest.mark.parametrize("name", ["mask", "markup"])
    def test_take_nothing_beside_the_picture(self, name: str) -> None:
        parts = [("image", ("a.png", PNG)), (name, ("a.png", PNG))]
        assert Desk().vary(*parts).json()["error"]["param"] == "mask"

    @pytest.mark.parametrize("count", [0, 2])
    def test_take_one_picture(self, count: int) -> None:
        parts = [("image", ("a.png", PNG))] * count or [("n", (None, "1"))]
        answer = Desk().vary(*parts)
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "missing_required_parameter"

    def test_have_no_prompt(self) -> None:
        assert Desk().vary(prompt="x").json()["error"]["code"] == "unknown_parameter"

    def test_come_in_a_form(self) -> None:
        assert Desk().ask("POST", "/images/variations", json={}).status_code == 415


class TestAStream:
    PREVIEWS = tuple(
        imagekit.PartialImage(index=0, step=step, image=Image(data=picture(step)))
        for step in range(2)
    )

    @pytest.mark.parametrize(
        ("verb", "kind"), [("generate", "image_generation"), ("edit", "image_edit")]
    )
    def test_tells_previews_and_then_the_picture(self, verb: str, kind: str) -> None:
        desk = Desk(Toy(making(PNG, events=self.PREVIEWS, usage=USAGE)))
        stream: Any = True if verb == "generate" else "true"
        answer = getattr(desk, verb)(stream=stream, user="u-1")
        found = events(answer)
        assert [one["type"] for one in found] == [
            f"{kind}.partial_image",
            f"{kind}.partial_image",
            f"{kind}.completed",
        ]
        assert [one.get("partial_image_index") for one in found] == [0, 1, None]
        assert answer.headers["cache-control"] == "no-store"
        for one in found:
            assert one["size"] in ("1x1", "3x2")
            assert one["quality"] == one["background"] == "auto"
        assert found[-1]["safety_identifier"] == "u-1"
        assert found[-1]["usage"] == {
            "input_tokens": 7,
            "input_tokens_details": {"image_tokens": 0, "text_tokens": 7},
            "output_tokens": 90,
            "total_tokens": 97,
        }

    def test_has_the_shape_that_the_official_types_have(self) -> None:
        first = events(Desk(Toy(making(PNG, events=self.PREVIEWS))).generate(stream=True))[0]
        assert ImageGenPartialImageEvent.model_validate(first).model_dump() == first

    def test_of_a_provider_that_cannot_stream_is_the_picture_alone(self) -> None:
        found = events(Desk(Toy(making(PNG), streaming=False)).generate(stream=True))
        assert [one["type"] for one in found] == ["image_generation.completed"]
        assert found[0]["usage"]["total_tokens"] == 0

    def test_that_fails_before_it_begins_has_a_status(self) -> None:
        def flow(request: ImageRequest) -> Any:
            yield from call(lambda: None)
            raise imagekit.InvalidRequestError("no", status=400, code="c")

        answer = Desk(Toy(flow)).generate(stream=True)
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "c"

    def test_that_fails_right_after_its_first_event_tells_it_too(self) -> None:
        def flow(request: ImageRequest) -> Any:
            yield from emit(self.PREVIEWS[0])
            raise imagekit.ProviderError("no", billed="possibly")

        found = events(Desk(Toy(flow)).generate(stream=True))
        assert [one["type"] for one in found] == ["image_generation.partial_image", "error"]

    def test_that_fails_late_tells_it_in_an_event(self) -> None:
        def flow(request: ImageRequest) -> Any:
            yield from sleep(0.2)
            raise imagekit.RateLimitError("slow down", billed="no")

        answer = Desk(Toy(flow), limits=Limits(hold=0.02)).generate(stream=True)
        [error] = events(answer)
        assert error["type"] == "error"
        assert error["error"] == {
            "message": "slow down",
            "type": "rate_limit_error",
            "param": None,
            "code": "rate_limit_exceeded",
        }

    @pytest.mark.parametrize("begun", [False, True])
    def test_that_breaks_inside_the_server_says_so_too(
        self, begun: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        # A plugin can build its values without their checks.
        odd = Item.model_construct(quantity=Decimal("NaN"), unit="token", direction="input")
        about = {"usage": Usage.model_construct(items=(odd,))}
        caplog.set_level(logging.ERROR, "imagekit.server")
        before = self.PREVIEWS if begun else ()
        answer = Desk(Toy(making(PNG, events=before, **about))).generate(stream=True)
        error = events(answer)[-1]["error"] if begun else answer.json()["error"]
        assert answer.status_code == (200 if begun else 500)
        assert error["message"] == "The server failed; its log says why."
        assert error["code"] == "server_error"
        assert "NaN" in caplog.text
        assert "NaN" not in answer.text

    def test_is_not_begun_where_there_is_no_room(self) -> None:
        desk = Desk()
        desk.app.stop()
        assert desk.generate(stream=True).status_code == 503


@pytest.fixture
def slow() -> Iterator[tuple[Any, threading.Event]]:
    """A running server whose picture waits for an event, after a preview."""
    goes_on = threading.Event()

    def flow(request: ImageRequest) -> Any:
        yield from emit(imagekit.PartialImage(index=0, image=Image(data=picture(1))))
        while not goes_on.is_set():
            yield from sleep(0.005)
        return ImageResponse(slots=(Image(data=PNG),))

    with serving(register={"toy": Plugged(Toy(flow))}) as server:
        yield server, goes_on
        goes_on.set()


def test_each_event_is_sent_as_soon_as_it_is_there(slow: Any) -> None:
    server, goes_on = slow
    with openai.OpenAI(base_url=server.url, api_key="x", max_retries=0) as client:
        stream = client.images.generate(prompt="x", model="m", stream=True, partial_images=1)
        told = iter(stream)
        assert next(told).type == "image_generation.partial_image"
        # Only now does the provider go on: the preview did not wait for the picture.
        goes_on.set()
        assert [one.type for one in told] == ["image_generation.completed"]


def test_the_official_client_reads_an_error_of_ours(slow: Any) -> None:
    server, _ = slow
    with (
        openai.OpenAI(base_url=server.url, api_key="x", max_retries=0) as client,
        pytest.raises(openai.BadRequestError) as caught,
    ):
        client.images.generate(prompt="x", extra_body={"sampler": "euler"})
    assert (caught.value.code, caught.value.param) == ("unknown_parameter", "sampler")
    assert caught.value.request_id
