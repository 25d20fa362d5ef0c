"""Pictures as a tool: what a language model is offered, and what becomes of what it asks."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import jsonschema
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionFunctionToolParam
from openai.types.responses import FunctionToolParam
from pydantic import TypeAdapter
from pydantic_ai import Agent, Tool
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

import imagekit
from imagekit import (
    Allowed,
    AsyncClient,
    Capabilities,
    Client,
    ConfigurationError,
    Image,
    ImageFailure,
    ImageRequest,
    ImageResponse,
    Notice,
    RequestError,
    SizeRule,
    ToolResult,
    UnsupportedRequestError,
    image_tools,
)
from imagekit._cli._main import cli
from imagekit._handles import LARGEST, Pictures, inside
from imagekit._offered import brief, parameters, wrong
from spoken import httpx
from toys import KEY, Driver, Plugged, Whole, answers, done, picture, plugins
from toys import Server as ToyServer

EVERYTHING = Capabilities(
    model="toy-1",
    operations=frozenset({"generate", "edit"}),
    max_images=4,
    max_inputs=3,
    mask="white",
    size=SizeRule(sizes=("64x64", "128x64")),
    parameters={
        "seed": "yes",
        "negative_prompt": "yes",
        "quality": Allowed(values=("low", "high")),
        "output_format": Allowed(values=("png", "webp")),
        "background": "yes",
    },
)


class Draws:
    """Makes grey pictures in this process, and remembers what it was asked for."""

    endpoint = None

    def __init__(self, able: Capabilities = EVERYTHING, answer: Any = None) -> None:
        self.able, self.answer = able, answer
        self.asked: list[ImageRequest] = []

    def capabilities(self, model: str | None) -> Capabilities:
        return self.able

    def flow(self, request: ImageRequest, *, stream: bool) -> Any:
        self.asked.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        image = Image(data=picture(7, 3, 2))
        return self.answer or ImageResponse(slots=(image,) * request.n, model="toy-1")
        yield


def client(toy: object = None, **more: Any) -> Client:
    toy = toy or Draws()
    return Client(provider="toy", plugins=plugins(toy=toy, **more))


def tools(toy: object = None, **given: Any) -> imagekit.ImageTools:
    return image_tools(client(toy), **given)


def properties(toy: object = None, tool: int = 0, **given: Any) -> dict[str, Any]:
    found = tools(toy, **given).definitions[tool]["function"]["parameters"]["properties"]
    assert isinstance(found, dict)
    return found


def offered(**able: Any) -> dict[str, Any]:
    return properties(Draws(Capabilities(**able)))


def told(result: ToolResult) -> Any:
    """What the language model reads of an error."""
    assert result.is_error
    return json.loads(result.text)["error"]


# --- what is offered -----------------------------------------------------------------------------


class TestOffer:
    def test_the_tools_are_those_the_model_can(self) -> None:
        assert tools().names == ("generate_image", "edit_image")
        assert tools(Draws(Capabilities())).names == ("generate_image",)
        able = Capabilities(operations=frozenset({"edit"}))
        assert tools(Draws(able)).names == ("edit_image",)

    def test_what_is_emulated_is_offered(self) -> None:
        able = Capabilities(emulates=frozenset({"edit"}))
        assert "edit_image" in tools(Draws(able)).names

    def test_no_edit_where_the_model_takes_no_pictures(self) -> None:
        able = EVERYTHING.model_copy(update={"max_inputs": 0})
        assert tools(Draws(able)).names == ("generate_image",)

    def test_the_host_may_want_one_only(self) -> None:
        assert tools(operations=["edit"]).names == ("edit_image",)

    def test_everything_that_a_model_can_is_offered(self) -> None:
        soft = {"size", "quality", "background", "output_format", "negative_prompt", "seed"}
        assert set(properties()) == {"prompt", *soft}
        assert set(properties(tool=1)) == {"prompt", "images", "mask", *soft}

    def test_what_it_lacks_is_not(self) -> None:
        lacks = ("size", "seed", "negative_prompt", "quality", "background", "output_format")
        assert set(offered(parameters=dict.fromkeys(lacks, "no"))) == {"prompt"}

    def test_what_is_rare_is_offered_only_where_it_is_known(self) -> None:
        assert set(offered()) == {"prompt", "size", "quality", "background", "output_format"}

    def test_values_are_an_enum(self) -> None:
        assert properties()["quality"]["enum"] == ["low", "high"]
        assert properties()["size"]["enum"] == ["64x64", "128x64"]

    def test_values_that_no_request_can_hold_are_left_out(self) -> None:
        values = Allowed(values=("blue", "opaque"))
        assert offered(parameters={"background": values})["background"]["enum"] == ["opaque"]
        assert "background" not in offered(parameters={"background": Allowed(values=("blue",))})

    def test_limits_are_a_minimum_and_a_maximum(self) -> None:
        seed = offered(parameters={"seed": Allowed(low=0.5, high=99.5)})["seed"]
        assert (seed["minimum"], seed["maximum"]) == (1, 99)

    def test_no_limit_is_none(self) -> None:
        seed = offered(parameters={"seed": Allowed(low=float("-inf"), high=float("inf"))})["seed"]
        assert set(seed) == {"type", "description"}
        assert offered(parameters={"seed": Allowed()})["seed"] == seed

    def test_whole_numbers_that_are_listed_are_numbers(self) -> None:
        seed = offered(parameters={"seed": Allowed(values=("1", "-2", "auto"))})["seed"]
        assert seed["enum"] == [1, -2]

    def test_limits_of_words_are_described(self) -> None:
        quality = offered(parameters={"quality": Allowed(low=1, high=100)})["quality"]
        assert quality["type"] == "string"
        assert quality["description"].endswith("Allowed: 1 to 100.")

    def test_a_rule_for_sizes_is_described(self) -> None:
        rule = SizeRule(
            multiple=16, high_edge=3840, ratio=3, low_pixels=655_360, high_pixels=8_294_400
        )
        size = offered(size=rule)["size"]
        assert (
            "each side at least 16, at most 3840, a multiple of 16, not longer than 3:1, "
            "at least 655360 pixels in all, at most 8294400 pixels in all"
        ) in size["description"]
        assert "at least 1;" in offered(size=SizeRule())["size"]["description"]

    def test_a_shape_is_offered_only_where_sizes_are_known(self) -> None:
        assert wrong("16:9", offered(size=SizeRule())["size"]) is None
        assert wrong("16:9", offered()["size"])

    def test_shapes_are_offered_with_their_tiers(self) -> None:
        size = offered(size=SizeRule(shapes=("1:1", "16:9"), tiers=("1K", "2K")))["size"]
        assert size["enum"] == ["1:1", "16:9", "1:1@1K", "1:1@2K", "16:9@1K", "16:9@2K"]
        assert "16:9@2K" in size["description"]
        bare = offered(size=SizeRule(shapes=("1:1",)))["size"]
        assert (bare["enum"], "@" in bare["description"]) == (["1:1"], False)

    def test_inputs_are_as_many_as_the_model_takes(self) -> None:
        assert properties(tool=1)["images"]["maxItems"] == 3
        for most in (None, 1000):
            toy = Draws(EVERYTHING.model_copy(update={"max_inputs": most}))
            assert properties(toy, tool=1)["images"]["maxItems"] == 16

    def test_a_mask_is_offered_where_there_are_masks(self) -> None:
        toy = Draws(EVERYTHING.model_copy(update={"mask": None}))
        assert "mask" not in properties(toy, tool=1)

    def test_n_is_offered_where_the_host_allows_more_than_one(self) -> None:
        assert "n" not in properties()
        assert properties(max_n=3)["n"]["maximum"] == 3

    def test_what_the_host_settles_is_not_offered(self) -> None:
        left = properties(max_n=3, size="64x64", quality="low", n=2, deadline=5)
        assert not {"size", "quality", "n", "deadline"} & set(left)

    def test_never_offered(self) -> None:
        never = {"options", "user", "model", "provider", "moderation", "partial_images", "state"}
        assert not never & {*properties(), *properties(tool=1)}

    def test_the_host_cannot_be_hurt_through_its_copy(self) -> None:
        mine = tools()
        mine.add(picture())
        mine.images.clear()
        assert mine.images
        mine.definitions[0]["function"]["parameters"]["properties"]["prompt"].clear()
        assert mine.definitions[0]["function"]["parameters"]["properties"]["prompt"]


SHAPES: list[dict[str, Any]] = [
    {},
    {"max_n": 4, "folder": "."},
    {"models": ["toy:a", "other:b"], "max_n": 2},
]
OTHER = Draws(Capabilities(size=SizeRule(low_edge=16), parameters={"seed": Allowed(low=3)}))


@pytest.mark.parametrize("shape", SHAPES)
class TestDefinitions:
    def made(self, shape: dict[str, Any]) -> imagekit.ImageTools:
        return image_tools(client(other=OTHER), **shape)

    def test_the_parameters_are_json_schema(self, shape: dict[str, Any]) -> None:
        for one in self.made(shape).definitions:
            schema = one["function"]["parameters"]
            jsonschema.Draft202012Validator.check_schema(schema)
            assert schema["additionalProperties"] is False

    def test_both_styles_are_what_the_official_sdk_sends(self, shape: dict[str, Any]) -> None:
        made = self.made(shape)
        for one in made.definitions:
            read: Any = TypeAdapter(ChatCompletionFunctionToolParam).validate_python(one)
            assert read == one
        for one in made.flat_definitions:
            read = TypeAdapter(FunctionToolParam).validate_python(one)
            assert read == one

    def test_both_styles_say_the_same(self, shape: dict[str, Any]) -> None:
        made = self.made(shape)
        flat = [
            {**one["function"], "type": "function", "strict": False} for one in made.definitions
        ]
        assert made.flat_definitions == flat

    def test_they_are_json(self, shape: dict[str, Any]) -> None:
        made = self.made(shape).definitions
        assert json.loads(json.dumps(made)) == made


class TestModels:
    def made(self, toy: Draws, *names: str) -> imagekit.ImageTools:
        names = names or ("toy:a", "toy:b", "other:c")
        return image_tools(client(toy, other=OTHER), models=names)

    def test_the_language_model_may_choose_among_them(self) -> None:
        toy = Draws()
        made = self.made(toy)
        made.call("generate_image", {"prompt": "a boat", "model": "toy:b"})
        assert toy.asked[0].model == "b"
        assert made.call("generate_image", {"prompt": "a boat", "model": "other:c"}).response

    def test_one_may_be_named_by_itself(self) -> None:
        made = image_tools(client(), models="toy:a").definitions[0]["function"]["parameters"]
        assert made["properties"]["model"]["enum"] == ["toy:a"]

    def test_the_first_is_the_usual_one(self) -> None:
        toy = Draws()
        self.made(toy).call("generate_image", {"prompt": "a boat"})
        assert toy.asked[0].model == "a"

    def test_no_other(self) -> None:
        for other in ("toy:z", "other", 7, ["toy:a"]):
            result = self.made(Draws()).call("generate_image", {"prompt": "a", "model": other})
            assert told(result)["message"].startswith("model: must be ")

    def test_one_that_cannot_edit_is_not_among_those_that_can(self) -> None:
        edit = self.made(Draws()).definitions[1]["function"]["parameters"]["properties"]
        assert edit["model"]["enum"] == ["toy:a", "toy:b"]

    def test_where_they_differ_the_schema_says_whose_it_is(self) -> None:
        found = self.made(Draws()).definitions[0]["function"]["parameters"]["properties"]
        first, second = found["size"]["anyOf"]
        assert first["enum"] == ["64x64", "128x64"]
        assert first["description"].endswith("With toy:a, toy:b.")
        assert second["description"].endswith("With other:c.")
        assert found["negative_prompt"]["description"].endswith("With toy:a, toy:b.")
        assert "With" not in found["prompt"]["description"]

    def test_each_is_held_to_its_own(self) -> None:
        asked = {"prompt": "a", "size": "99x99"}
        assert not self.made(Draws()).call("generate_image", {**asked, "model": "other:c"}).is_error
        assert told(self.made(Draws()).call("generate_image", {**asked, "model": "toy:b"}))

    def test_of_one_there_is_no_choice(self) -> None:
        toy = Draws()
        made = image_tools(client(toy), model="toy:b")
        assert "model" not in made.definitions[0]["function"]["parameters"]["properties"]
        assert told(made.call("generate_image", {"prompt": "a", "model": "toy:b"}))
        made.call("generate_image", {"prompt": "a"})
        assert toy.asked[0].model == "b"

    def test_no_model_is_that_of_the_client(self) -> None:
        toy = Draws()
        with Client(provider="toy", plugins=plugins(toy=toy), model="mine") as own:
            image_tools(own, model=None).call("generate_image", {"prompt": "a"})
        assert toy.asked[0].model == "mine"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"models": ["a"], "model": "b"}, "not both"),
        ({"max_n": 0}, "from 1 to keep=64"),
        ({"max_n": 65}, "from 1 to keep=64"),
        ({"n": 5, "keep": 4}, "from 1 to keep=4"),
        ({"folder": "nowhere"}, "'nowhere' is no folder"),
        ({"operations": ["vary"]}, "no such operation: 'vary'"),
        ({"prompt": "a", "images": []}, "cannot be settled: images, prompt"),
        ({"size": "big"}, "size: a size is pixels"),
    ],
)
def test_what_cannot_be_settled_is_said_at_once(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        tools(**given)


def test_an_operation_that_nobody_can_do_is_said_at_once() -> None:
    with pytest.raises(UnsupportedRequestError, match="can edit"):
        tools(Draws(Capabilities()), operations=["generate", "edit"])
    with pytest.raises(UnsupportedRequestError, match="generate or edit"):
        tools(Draws(Capabilities(operations=frozenset({"variation"}))))


# --- what is asked -------------------------------------------------------------------------------


class TestCall:
    def test_a_picture_is_made(self) -> None:
        result = tools().call("generate_image", '{"prompt": "a boat", "seed": 3}')
        assert not result.is_error
        assert result.handles == ("image-1",)
        assert result.images[0].data == picture(7, 3, 2)
        assert result.response is not None
        image = {"handle": "image-1", "width": 3, "height": 2, "media_type": "image/png"}
        assert json.loads(str(result)) == {"images": [image]}

    def test_the_request_is_what_was_said(self) -> None:
        toy = Draws()
        said: dict[str, Any] = {
            "prompt": "a boat",
            "size": "128x64",
            "quality": "low",
            "background": "opaque",
            "output_format": "webp",
            "negative_prompt": "rain",
            "seed": 3.0,
            "n": 2,
        }
        tools(toy, max_n=2).call("generate_image", said)
        assert toy.asked == [ImageRequest(**said)]

    def test_what_the_host_settled_is_sent(self) -> None:
        toy = Draws()
        made = tools(toy, size="64x64", options={"toy": {"a": 1}}, user="me", n=2)
        made.call("generate_image", {"prompt": "a"})
        assert toy.asked[0].size == "64x64"
        assert toy.asked[0].options == {"toy": {"a": 1}}
        assert (toy.asked[0].user, toy.asked[0].n) == ("me", 2)

    def test_nobody_but_the_host_says_how_many(self) -> None:
        toy = Draws()
        with Client(provider="toy", plugins=plugins(toy=toy), n=3) as own:
            image_tools(own).call("generate_image", {"prompt": "a"})
        assert toy.asked[0].n == 1

    def test_a_null_says_nothing(self) -> None:
        assert not tools().call("generate_image", {"prompt": "a", "size": None}).is_error

    def test_new_pictures_can_be_edited(self) -> None:
        toy = Draws()
        made = tools(toy)
        first = made.call("generate_image", {"prompt": "a boat"}).handles
        white = picture(255, 3, 2)
        mask = {"image": made.add(white), "edit_where": "white"}
        second = made.call("edit_image", {"prompt": "a hat", "images": [*first], "mask": mask})
        assert second.handles == ("image-3",)
        assert toy.asked[1].images[0].data == picture(7, 3, 2)
        assert toy.asked[1].mask is not None
        assert toy.asked[1].mask.image.data == white

    def test_a_result_is_brief(self) -> None:
        result = tools().call("generate_image", {"prompt": "a"})
        assert repr(result) == (
            f"ToolResult(text={result.text!r}, is_error=False, handles=('image-1',))"
        )

    def test_what_the_provider_says_besides_is_told(self) -> None:
        image = Image(data=picture(), revised_prompt="a \ud800 boat", seed=0)
        notes = (Notice(kind="other", feature="size", detail="it is small"),)
        answer = ImageResponse(slots=(image,), text="Here it is.", notices=notes)
        said = json.loads(tools(Draws(answer=answer)).call("generate_image", {"prompt": "a"}).text)
        assert said["images"][0]["revised_prompt"] == "a ? boat"
        assert said["images"][0]["seed"] == 0
        assert said["text"] == "Here it is."
        assert said["notices"] == ["other: size: it is small"]

    def test_no_text_is_long(self) -> None:
        answer = ImageResponse(slots=(Image(data=picture()),), text="x" * 100_000)
        result = tools(Draws(answer=answer)).call("generate_image", {"prompt": "a"})
        assert len(result.text) < 1000

    def test_some_pictures_and_a_refusal_is_no_error(self) -> None:
        failures = (
            ImageFailure(
                kind="refused", reason="no boats", stage="output", categories=("boats",), code="b"
            ),
            ImageFailure(kind="failed", reason="at https://inside/ of org-1", code="slow"),
        )
        answer = ImageResponse(slots=(Image(data=picture()), *failures))
        result = tools(Draws(answer=answer), n=3).call("generate_image", {"prompt": "a"})
        assert not result.is_error
        refused = {"reason": "no boats", "stage": "output", "categories": ["boats"], "code": "b"}
        assert json.loads(result.text)["failed"] == [
            {"kind": "refused", **refused},
            {"kind": "failed", "code": "slow"},
        ]

    def test_how_a_call_broke_off_is_for_the_host(self) -> None:
        detail = "the call failed after pictures came: at 10.0.0.1"
        notice = Notice(kind="incomplete", feature="response", detail=detail)
        answer = ImageResponse(slots=(Image(data=picture()),), notices=(notice,))
        result = tools(Draws(answer=answer)).call("generate_image", {"prompt": "a"})
        assert json.loads(result.text)["notices"] == ["incomplete"]


WRONG: list[tuple[str, object, str]] = [
    ("generate_image", "{", "the arguments are no JSON"),
    ("generate_image", "", "the arguments are no JSON"),
    ("generate_image", "[" * 100_000, "nested too deeply"),
    ("generate_image", '{"seed": ' + "9" * 5000 + "}", "the arguments are no JSON"),
    ("generate_image", "[]", "must be an object, not a list"),
    ("generate_image", "null", "must be an object, not null"),
    ("generate_image", None, "must be an object, not null"),
    ("generate_image", b"{}", "must be an object, not a bytes"),
    ("generate_image", {}, "prompt is missing"),
    ("generate_image", {"prompt": None}, "prompt is missing"),
    ("generate_image", {"prompt": ""}, "prompt: must not be empty"),
    ("generate_image", {"prompt": "\ud800"}, "prompt: must be text, not half"),
    ("generate_image", {"prompt": "x" * 32_001}, "at most 32000 characters, not 32001"),
    ("generate_image", {"prompt": 7}, "prompt: must be text, not 7"),
    ("generate_image", {"prompt": "a", "options": {}}, 'no parameter "options"'),
    ("generate_image", {"prompt": "a", 7: 7}, "no parameter 7"),
    ("generate_image", {"prompt": "a", "size": "9x9"}, 'one of 64x64, 128x64, not "9x9"'),
    ("generate_image", {"prompt": "a", "n": 2}, 'no parameter "n"'),
    ("generate_image", {"prompt": "a", "seed": True}, "seed: must be a whole number, not true"),
    ("generate_image", {"prompt": "a", "seed": 1.5}, "seed: must be a whole number, not 1.5"),
    ("generate_image", {"prompt": "a", "seed": -1}, "at least 0 and at most 2147483647, not -1"),
    ("generate_image", {"prompt": "a", "seed": 10**5000}, "not that number"),
    ("edit_image", {"prompt": "a"}, "images is missing"),
    ("edit_image", {"prompt": "a", "images": []}, "images: must hold 1 to 3, not 0"),
    ("edit_image", {"prompt": "a", "images": ["image-1"] * 4}, "must hold 1 to 3, not 4"),
    ("edit_image", {"prompt": "a", "images": "image-1"}, "images: must be a list"),
    ("edit_image", {"prompt": "a", "images": [{"path": "a.png"}]}, "images[0]: must be text"),
    ("edit_image", {"prompt": "a", "images": ["image-1", "in.png"]}, "images[1]: A picture's"),
    ("edit_image", {"prompt": "a", "images": ["https://a.test/b.png"]}, "never a path or a URL"),
    ("edit_image", {"prompt": "a", "images": ["image-1\n"]}, "images[0]: A picture's"),
    ("edit_image", {"prompt": "a", "images": ["image-9"]}, 'no picture "image-9"; there are: imag'),
    (
        "edit_image",
        {"prompt": "a", "images": ["image-1"], "mask": {"image": "image-1"}},
        "mask: edit_where is missing",
    ),
    (
        "edit_image",
        {"prompt": "a", "images": ["image-1"], "mask": {"image": "/a", "edit_where": "white"}},
        "mask.image: A picture's handle",
    ),
    (
        "edit_image",
        {"prompt": "a", "images": ["image-1"], "mask": {"image": "image-1", "edit_where": "red"}},
        "mask.edit_where: must be one of transparent, opaque, white, black",
    ),
    ("vary_image", {}, 'no tool "vary_image"; there are: generate_image, edit_image'),
    (["generate_image"], {}, "no tool a list"),  # type: ignore[list-item]  # frameworks err too
]


@pytest.mark.parametrize(("name", "arguments", "says"), WRONG)
def test_what_is_wrong_is_said_and_nothing_is_sent(name: str, arguments: Any, says: str) -> None:
    toy = Draws()
    made = tools(toy)
    made.add(picture())
    result = made.call(name, arguments)
    error = told(result)
    assert says in error["message"]
    assert error["type"] == "RequestError"
    assert error["advice"] == "Change the arguments and call again."
    assert len(result.text) < 1000
    assert result.error is not None
    assert result.error.billed == "no"
    assert toy.asked == []


def test_without_pictures_it_says_so() -> None:
    result = tools().call("edit_image", {"prompt": "a", "images": ["image-1"]})
    assert told(result)["message"] == 'there is no picture "image-1"; there are: none yet'


def test_a_host_may_have_it_raised() -> None:
    made = tools(Draws(answer=imagekit.RateLimitError("slow down")), raise_on_error=True)
    with pytest.raises(RequestError, match="prompt is missing"):
        made.call("generate_image", {})
    with pytest.raises(imagekit.RateLimitError, match="slow down"):
        made.call("generate_image", {"prompt": "a"})


def test_a_client_that_does_not_raise_is_no_success() -> None:
    toy = Draws(answer=imagekit.QuotaExceededError("no money"))
    with Client(provider="toy", plugins=plugins(toy=toy), raise_on_error=False) as own:
        result = image_tools(own).call("generate_image", {"prompt": "a"})
    assert told(result)["type"] == "QuotaExceededError"


def shown(error: Exception) -> Any:
    return told(tools(Draws(answer=error), retries=0).call("generate_image", {"prompt": "a"}))


class TestTrouble:
    def test_a_refusal_is_told_with_its_stage_and_categories(self) -> None:
        rejected = imagekit.ContentRejectedError(
            "no boats", stage="input", categories=("boats",), code="policy", billed="no"
        )
        assert shown(rejected) == {
            "type": "ContentRejectedError",
            "message": "no boats",
            "code": "policy",
            "stage": "input",
            "categories": ["boats"],
            "advice": "Ask for something else, or tell the user.",
        }

    def test_what_the_provider_finds_wrong_is_told(self) -> None:
        error = imagekit.InvalidRequestError(
            "size is 1 or 2, see https://docs.test/a?b", param="size", billed="no"
        )
        said = shown(error)
        assert said["message"] == "size is 1 or 2, see (a URL)"
        assert said["param"] == "size"
        assert said["advice"] == "Change the arguments and call again."

    def test_what_may_be_charged_for_is_not_to_be_repeated(self) -> None:
        advice = "It may have been charged for: do not call again unless the user asks for it."
        for error in (
            imagekit.NoImageError("nothing came", billed="possibly"),
            imagekit.ContentRejectedError("no boats", stage="output", billed="yes"),
        ):
            assert shown(error)["advice"] == advice

    def test_how_long_to_wait_is_told(self) -> None:
        said = shown(imagekit.RateLimitError("x", billed="no", retry_after=2.5))
        assert said["retry_after"] == 2.5
        assert said["advice"] == "Wait before calling again."

    @pytest.mark.parametrize(
        ("kind", "message"),
        [
            (imagekit.MissingCredentialError, "pictures are not set up here"),
            (imagekit.AuthenticationError, "the provider does not let this program make pictures"),
            (imagekit.PermissionDeniedError, "the provider does not let this program make this …"),
            (imagekit.QuotaExceededError, "the quota for pictures is used up"),
            (imagekit.ProviderUnavailableError, "the provider is not available"),
            (imagekit.ProviderError, "the provider could not make the picture"),
            (imagekit.TransportTimeoutError, "no answer came from the provider"),
            (imagekit.DeadlineExceededError, "it took too long"),
            (imagekit.ProtocolError, "the provider's answer could not be understood"),
            (ZeroDivisionError, "the provider's answer could not be understood"),
        ],
    )
    def test_the_words_of_others_are_for_the_host(
        self, kind: type[Exception], message: str
    ) -> None:
        toy = Draws(answer=kind("sk-secret of org-1 at /home/me"))
        result = tools(toy, retries=0).call("generate_image", {"prompt": "a"})
        assert told(result)["message"].startswith(message.rstrip("…"))
        assert "secret" not in result.text
        assert "secret" in str(result.error)

    def test_a_url_of_the_hosts_is_not_told(self) -> None:
        made = tools()
        handle = made.add(Image(url="http://10.0.0.1/inside?key=secret"))
        result = made.call("edit_image", {"prompt": "a", "images": [handle]})
        assert told(result)["message"] == "a picture cannot be read"
        assert "10.0.0.1" in str(result.error)

    def test_the_key_is_in_nothing(self, server: ToyServer) -> None:
        server.does(answers(400, {"error": f"what is {KEY}?"}))
        with client(Whole(server.url)) as own:
            result = image_tools(own, retries=0).call("generate_image", {"prompt": "a"})
        assert KEY not in result.text + repr(result)
        assert told(result)["type"] == "InvalidRequestError"


# --- both clients --------------------------------------------------------------------------------


def test_a_wrong_call_is_one_on_the_other_client() -> None:
    with pytest.raises(ConfigurationError, match=r"await tools\.acall"):
        image_tools(AsyncClient(provider="toy", plugins=plugins(toy=Draws()))).call("a", {})
    with pytest.raises(ConfigurationError, match="without await"):
        anyio.run(tools().acall, "a", {})


def test_it_works_on_both_clients(driver: Driver, tmp_path: Path) -> None:
    """One conversation: made, edited with a file, refused, broken."""
    (tmp_path / "in.png").write_bytes(picture(9))
    sent: list[Any] = []

    def service(request: httpx.Request) -> httpx.Response:
        sent.append(json.loads(request.content))
        if sent[-1]["prompt"] == "break":
            return httpx.Response(500)
        return httpx.Response(200, json=done(picture(1, 2, 2)))

    made: list[imagekit.ImageTools] = []

    def talk(own: Any) -> Any:
        made.append(image_tools(own, folder=tmp_path, model="toy-9"))
        if isinstance(own, Client):
            return [made[0].call(*one) for one in conversation]

        async def all_of_it() -> list[ToolResult]:
            return [await made[0].acall(*one) for one in conversation]

        return all_of_it()

    conversation = [
        ("generate_image", '{"prompt": "make"}'),
        ("edit_image", '{"prompt": "edit", "images": ["image-1", "in.png"]}'),
        ("edit_image", '{"prompt": "edit", "images": ["../in.png"]}'),
        ("generate_image", '{"prompt": "break"}'),
    ]
    toy = Whole(able=EVERYTHING)
    results = driver.call(talk, service, provider="toy", plugins=plugins(toy=toy))
    assert [result.is_error for result in results] == [False, False, True, True]
    assert [one["prompt"] for one in sent] == ["make", "edit", "break"]
    assert {one["model"] for one in sent} == {"toy-9"}
    assert list(made[0].images) == ["image-1", "image-2"]
    assert told(results[3])["advice"].startswith("It may have been charged for")


def test_acall_raises_where_the_host_wants_it() -> None:
    async def main() -> None:
        async with AsyncClient(provider="toy", plugins=plugins(toy=Draws())) as own:
            await image_tools(own, raise_on_error=True).acall("generate_image", {})

    with pytest.raises(RequestError, match="prompt is missing"):
        anyio.run(main)


# --- which pictures ------------------------------------------------------------------------------


class TestHandles:
    def test_a_host_adds_what_it_has(self, tmp_path: Path) -> None:
        (tmp_path / "in.png").write_bytes(picture(5))
        made = tools()
        added: list[Any] = [picture(), Image(data=picture()), tmp_path / "in.png"]
        added += [str(tmp_path / "in.png"), bytearray(picture()), Image(url="https://a.test/b")]
        assert [made.add(one) for one in added] == [f"image-{n}" for n in range(1, 7)]
        assert made.images["image-3"].data == picture(5)
        assert list(made.images) == [f"image-{n}" for n in range(1, 7)]
        assert len(made.images) == 6

    def test_what_is_no_picture_is_not_added(self, tmp_path: Path) -> None:
        (tmp_path / "in.txt").write_text("text")
        for one in (b"text", tmp_path / "in.txt", tmp_path / "gone.png", "a\0b"):
            with pytest.raises(RequestError, match="picture"):
                tools().add(one)

    def test_the_oldest_go(self) -> None:
        made = tools(keep=2)
        for _ in range(3):
            made.call("generate_image", {"prompt": "a"})
        assert list(made.images) == ["image-2", "image-3"]

    def test_no_more_bytes_are_kept_than_there_is_room_for(self) -> None:
        size = len(picture())
        kept = Pictures(keep=10, room=2 * size)
        for _ in range(3):
            kept.add(Image(data=picture()))
        assert list(kept.all()) == ["image-2", "image-3"]
        kept.add(Image(data=picture(width=100_000)))
        assert kept.all() == {}
        kept.add(Image(data=picture()))
        assert len(kept.all()) == 1

    def test_one_can_be_removed(self) -> None:
        made = tools()
        handle = made.add(picture())
        made.remove(handle)
        assert handle not in made.images
        with pytest.raises(KeyError):
            made.remove(handle)
        assert made.add(picture()) == "image-2"

    def test_threads_share_them(self) -> None:
        made, found = tools(keep=10), []
        start = threading.Barrier(4)

        def work() -> None:
            start.wait()
            for _ in range(200):
                found.append(made.add(picture()))
                dict(made.images)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(found)) == 800
        assert len(made.images) == 10


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that is allowed, beside what is not."""
    root = tmp_path_factory.mktemp("tree")
    folder = root / "allowed"
    (folder / "sub").mkdir(parents=True)
    (root / "outside.png").write_bytes(picture(66))
    (root / "allowed-too").mkdir()
    (root / "allowed-too/outside.png").write_bytes(picture(66))
    (folder / "in.png").write_bytes(picture(1))
    (folder / "sub/in.png").write_bytes(picture(2))
    (folder / "text.png").write_text("text")
    (folder / "near.png").symlink_to(folder / "sub/in.png")
    (folder / "far.png").symlink_to(root / "outside.png")
    (folder / "up").symlink_to(root)
    (folder / "loop.png").symlink_to(folder / "loop.png")
    (folder / "gone.png").symlink_to(folder / "nowhere.png")
    (folder / "a:b.png").write_bytes(picture(3))
    (folder / "a\\b.png").write_bytes(picture(3))
    os.mkfifo(folder / "pipe.png")
    with open(folder / "large.png", "wb") as file:
        file.write(picture(4))
        file.truncate(LARGEST + 1)
    return root


class TestFolder:
    def edit(self, tree: Path, name: str) -> tuple[ToolResult, Draws]:
        toy = Draws()
        made = tools(toy, folder=tree / "allowed")
        return made.call("edit_image", {"prompt": "a", "images": [name]}), toy

    @pytest.mark.parametrize(
        ("name", "shade"),
        [("in.png", 1), ("sub/in.png", 2), ("./sub//in.png", 2), ("in.png/", 1), ("near.png", 2)],
    )
    def test_a_file_inside_is_read(self, tree: Path, name: str, shade: int) -> None:
        result, toy = self.edit(tree, name)
        assert not result.is_error
        assert toy.asked[0].images[0].data == picture(shade)

    @pytest.mark.parametrize(
        "name",
        [
            "../outside.png",
            "sub/../in.png",
            "../allowed-too/outside.png",
            "far.png",
            "up/outside.png",
            "/etc/passwd",
            "loop.png",
            "gone.png",
            "pipe.png",
            "sub",
            ".",
            "a:b.png",
            "a\\b.png",
            "nul\0.png",
            "x/" * 100,
            "in.png/in.png",
            "~/in.png",
            "https://a.test/in.png",
            "file:in.png",
            "data:image/png;base64,AAAA",
            "image-1",
        ],
    )
    def test_nothing_else_is_there(self, tree: Path, name: str) -> None:
        result, toy = self.edit(tree, name)
        assert "there is no picture" in told(result)["message"]
        assert toy.asked == []

    def test_an_absolute_path_is_not_read_even_inside(self, tree: Path) -> None:
        result, _ = self.edit(tree, str(tree / "allowed/in.png"))
        assert "there is no picture" in told(result)["message"]

    def test_what_is_no_picture_is_not_sent(self, tree: Path) -> None:
        result, toy = self.edit(tree, "text.png")
        assert '"text.png" is of no type' in told(result)["message"]
        assert toy.asked == []

    def test_what_is_too_large_is_not_sent(self, tree: Path) -> None:
        result, toy = self.edit(tree, "large.png")
        assert "is larger than 50 MB" in told(result)["message"]
        assert toy.asked == []

    def test_what_cannot_be_opened_is_no_crash(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "in.png").write_bytes(picture())
        (tmp_path / "link.png").symlink_to(tmp_path / "in.png")
        # As if a link came between look and read.
        monkeypatch.setattr(Path, "resolve", lambda path, strict=False: path)
        with pytest.raises(RequestError, match="cannot be read"):
            inside(tmp_path, "link.png")

    def test_a_handle_comes_before_a_file(self, tree: Path, tmp_path: Path) -> None:
        (tmp_path / "image-1").write_bytes(picture(8))
        toy = Draws()
        made = tools(toy, folder=tmp_path)
        made.add(picture(9))
        made.call("edit_image", {"prompt": "a", "images": ["image-1"]})
        assert toy.asked[0].images[0].data == picture(9)

    def test_a_folder_may_be_a_link(self, tree: Path, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(tree / "allowed")
        made = tools(folder=tmp_path / "link")
        assert not made.call("edit_image", {"prompt": "a", "images": ["in.png"]}).is_error


# --- whatever a model sends ----------------------------------------------------------------------

NAMES = [
    "image-1", "image-2", "image-9", "in.png", "sub/in.png", "near.png", "far.png", "text.png",
    "../outside.png", "up/outside.png", "pipe.png", "large.png", "loop.png", "", ".", "..", "/",
    "/etc/passwd", "https://a.test/b.png", "http://127.0.0.1/b.png", "file:///etc/passwd",
    "data:image/png;base64,AAAA", "a\0b", "\ud800", "C:\\a.png", "~", "in.png\n",
]  # fmt: skip
KEYS = [
    "prompt", "images", "mask", "size", "quality", "background", "output_format", "seed", "n",
    "negative_prompt", "model", "provider", "options", "user", "image", "edit_where", "path", "url",
]  # fmt: skip
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from([*NAMES, "64x64", "low", "png", "white", "opaque", 1, 1.0, 2, -1])
)
anything: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=12,
)
files = st.sampled_from(NAMES) | anything
near = st.fixed_dictionaries(
    {"prompt": st.just("a") | anything, "images": st.lists(files, max_size=4) | anything},
    optional={
        "mask": st.fixed_dictionaries({"image": files, "edit_where": st.just("white")}) | anything,
        **{name: anything for name in KEYS if name not in ("prompt", "images", "mask")},
    },
)
calls = st.sampled_from(["generate_image", "edit_image"]) | st.text()

OPENED: list[str] | None = None


def _heard(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and OPENED is not None and isinstance(arguments[0], str):
        OPENED.append(arguments[0])


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hears of each file that is opened; an audit hook cannot be taken back."""
    if _heard not in HEARS:
        HEARS.append(_heard)
        sys.addaudithook(_heard)
    yield
    monkeypatch.undo()


HEARS: list[Any] = []


@pytest.mark.usefixtures("opened")
@pytest.mark.parametrize("with_folder", [True, False])
def test_whatever_is_sent_is_answered_and_nothing_else_is_read(
    with_folder: bool, tree: Path
) -> None:
    allowed = tree / "allowed"
    may = {picture(shade) for shade in ((1, 2, 9) if with_folder else (9,))}

    @given(name=calls, arguments=near | anything, as_text=st.booleans())
    def hold(name: str, arguments: Any, as_text: bool) -> None:
        global OPENED
        toy = Draws()
        made = tools(toy, folder=allowed if with_folder else None, max_n=2)
        made.add(picture(9))
        OPENED = []
        try:
            result = made.call(name, json.dumps(arguments) if as_text else arguments)
        finally:
            read, OPENED = OPENED, None
        strange = [
            path
            for path in read
            if not path.startswith(sys.prefix) and not path.startswith(sys.base_prefix)
        ]
        assert all(with_folder and Path(path).is_relative_to(allowed) for path in strange)
        assert not toy.asked or not result.is_error
        for request in toy.asked:
            masks = [request.mask.image] if request.mask else []
            for one in (*request.images, *masks):
                assert one.path is None
                assert one.url is None
                # A mask may have been turned, and then it is its own.
                assert one.data in may or one in masks
            assert request.n <= 2
            assert request.model is None
            assert request.options == {}
        assert json.loads(result.text)
        result.text.encode()

    hold()


@given(arguments=near | anything, tool=st.sampled_from(["generate", "edit"]))
def test_arguments_are_judged_as_json_schema_says(arguments: Any, tool: Any) -> None:
    schema = parameters(tool, EVERYTHING, settled=(), most=3, files=False)
    assert schema is not None
    if not isinstance(arguments, dict):
        arguments = {"prompt": arguments}
    fits = jsonschema.Draft202012Validator(schema).is_valid(arguments)
    # A "$" of Python's, which that library uses, allows the end of a line after it; and half of a
    # character is text to it.
    written = json.dumps(arguments, ensure_ascii=False)
    if '\\n"' not in written and "\ud800" not in written:
        assert (wrong(arguments, schema) is None) == fits


@given(value=anything)
def test_anything_is_named_briefly(value: Any) -> None:
    assert len(brief(value)) < 200


# --- in a framework, and on the command line -----------------------------------------------------


def test_an_agent_of_pydantic_ai_makes_and_edits_a_picture() -> None:
    made = tools()

    def as_tool(definition: dict[str, Any]) -> Tool[None]:
        def run(**arguments: Any) -> str:
            return made.call(definition["name"], arguments).text

        return Tool.from_schema(
            run,
            name=definition["name"],
            description=definition["description"],
            json_schema=definition["parameters"],
        )

    def language_model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        assert [tool.name for tool in info.function_tools] == ["generate_image", "edit_image"]
        answers = [
            str(part.content)
            for message in messages
            for part in message.parts
            if isinstance(part, ToolReturnPart)
        ]
        if not answers:
            asked = {"prompt": "a boat", "size": "huge"}
            return ModelResponse(parts=[ToolCallPart("generate_image", asked)])
        if "error" in answers[-1]:
            asked = {"prompt": "a boat", "size": "64x64"}
            return ModelResponse(parts=[ToolCallPart("generate_image", asked)])
        handle = json.loads(answers[-1])["images"][0]["handle"]
        if handle == "image-1":
            edit = json.dumps({"prompt": "a hat", "images": [handle]})
            return ModelResponse(parts=[ToolCallPart("edit_image", edit)])
        return ModelResponse(parts=[TextPart(f"It is {handle}.")])

    functions = [as_tool(one["function"]) for one in made.definitions]
    agent = Agent(FunctionModel(language_model), tools=functions)
    answer = asyncio.run(agent.run("Draw me a boat with a hat."))
    assert answer.output == "It is image-2."
    assert list(made.images) == ["image-1", "image-2"]


def test_the_command_line_prints_the_definitions() -> None:
    with Client(provider="sketch") as own:
        made = image_tools(own, max_n=2)
    shown = CliRunner().invoke(cli, ["tools", "-p", "sketch", "--max-n", "2"])
    assert json.loads(shown.stdout) == made.definitions
    shown = CliRunner().invoke(cli, ["tools", "-m", "sketch:sketch-1", "--max-n", "2", "--flat"])
    assert json.loads(shown.stdout) == made.flat_definitions


def test_the_command_line_says_what_is_wrong() -> None:
    assert CliRunner().invoke(cli, ["tools", "-p", "nobody"]).exit_code == 2


def test_a_plugin_that_is_registered_later_is_found() -> None:
    with Client() as own:
        own.plugins.register(Plugged(Draws()), "late")
        made = image_tools(own, provider="late")
        assert made.call("generate_image", {"prompt": "a"}).handles == ("image-1",)
