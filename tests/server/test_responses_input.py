"""What a Responses request says, and what the provider is asked for it."""

from __future__ import annotations

import json
import logging
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagekit import ContentRejectedError, Image, ImageRequest, ImageResponse, State, Text
from imagekit.provider import emit
from responding import TOOL, Asking, started
from toys import Plugged, Scripted, call, picture, spelt

PNG, OTHER = picture(1), picture(2)
DATA_URL = f"data:image/png;base64,{spelt(PNG)}"


class Desk(Asking):
    """Keeps what its provider was asked."""

    def __init__(self, provider: str) -> None:
        super().__init__(self.answer)
        self.provider = provider
        self.asked: list[ImageRequest] = []

    def answer(self, request: ImageRequest) -> Any:
        self.asked.append(request)
        if request.prompt == "refuse":
            raise ContentRejectedError("no", billed="no")
        if request.prompt == "only talk":
            yield from emit(Text(text="What kind?"))
            return ImageResponse(slots=(), text="What kind?")
        data = yield from call(lambda: picture(len(self.asked) % 200))
        state = State(provider=self.provider, payload={"n": len(self.asked)})
        kept = state if request.prompt and request.prompt.startswith("stateful") else None
        return ImageResponse(slots=(Image(data=data),), state=kept)

    def ask(self, *said: Any, **body: Any) -> ImageRequest:
        answer = self.post(*said, **body)
        assert answer.status_code == 200, answer.text
        return self.asked[-1]

    def error(self, *said: Any, status: int = 400, **body: Any) -> dict[str, Any]:
        before = len(self.asked)
        answer = self.post(*said, **body)
        assert (answer.status_code, len(self.asked)) == (status, before), answer.text
        error: dict[str, Any] = answer.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["type"] == "invalid_request_error"
        return error

    def made(self, *said: Any, **body: Any) -> tuple[str, str]:
        """The ids of a new response and of its picture."""
        answer = self.post(*said, **body).json()
        return answer["id"], answer["output"][0]["id"]


def desk(family: str | None = None, provider: str = "toy") -> Iterator[Desk]:
    found = Desk(provider)
    able = {
        "operations": frozenset({"generate", "edit"}),
        "inputs": frozenset({"bytes", "url"}),
        "mask": "transparent",
        "streaming": True,
    }
    maker: Any = Scripted(found.flow, **able)
    maker.family = family
    made = {provider: Plugged(maker), "other": Plugged(maker)}
    with started(found, register=made, models={"else": "other:m"}) as running:
        yield running


@pytest.fixture(scope="module")
def toy() -> Iterator[Desk]:
    yield from desk()


@pytest.fixture(scope="module")
def kin() -> Iterator[Desk]:
    """One whose provider is of the family that reads the dialect's own words."""
    yield from desk(family="openai", provider="openai-responses")


def user(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "content": [text(p) if isinstance(p, str) else p for p in parts]}


def text(words: str) -> dict[str, Any]:
    return {"type": "input_text", "text": words}


def image(url: str = DATA_URL, **more: Any) -> dict[str, Any]:
    return {"type": "input_image", "image_url": url, **more}


def upload(desk: Desk, data: bytes = OTHER) -> str:
    parts = {"file": ("a.png", data, "image/png")}
    answer = desk.client.post("/files", files=parts, data={"purpose": "vision"})
    return str(answer.json()["id"])


def item(id: str, **more: Any) -> dict[str, Any]:
    return {"type": "image_generation_call", "id": id, **more}


def shown(request: ImageRequest) -> list[Any]:
    return [one.url or one.data for one in request.images]


def stored(desk: Desk, id: str) -> bytes:
    body = desk.client.get(f"/responses/{id}").json()
    return b64decode(body["output"][0]["result"])


# --- input


def test_text_is_the_prompt(toy: Desk) -> None:
    asked = toy.ask("a fox")
    assert (asked.prompt, asked.images, asked.operation, asked.n) == ("a fox", (), "generate", 1)


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": "a fox"},
        {"type": "message", "role": "user", "content": "a fox"},
        {"role": "user", "content": [{"type": "input_text", "text": "a fox"}]},
        {"role": "user", "content": [{**text("a fox"), "prompt_cache_breakpoint": {"a": 1}}]},
        {"role": "user", "content": "a fox", "id": "msg_1", "status": "completed", "phase": None},
    ],
)
def test_a_message_is_text_or_parts(toy: Desk, message: Any) -> None:
    assert toy.ask([message]).prompt == "a fox"


def test_everything_that_the_user_says_is_one_prompt(toy: Desk) -> None:
    said = [user("a fox", "  "), {"role": "user", "content": "in snow"}]
    assert toy.ask(said).prompt == "a fox\n\nin snow"


def test_what_a_model_said_is_neither_drawn_nor_obeyed(kin: Desk) -> None:
    said = [
        user("a fox"),
        {"role": "assistant", "content": "A red one?"},
        {
            "type": "message",
            "role": "assistant",
            "id": "msg_1",
            "status": "completed",
            "content": [
                {"type": "output_text", "text": "Or grey?", "annotations": [], "logprobs": []},
                {"type": "refusal", "refusal": "Not blue."},
            ],
        },
        {"type": "reasoning", "id": "rs_1", "summary": [{"text": "hm"}]},
        user("red"),
    ]
    asked = kin.ask(said)
    assert asked.prompt == "a fox\n\nred"
    assert "instructions" not in asked.options["openai-responses"]


def test_system_and_developer_messages_are_instructions(kin: Desk) -> None:
    said = [
        {"role": "system", "content": "be terse"},
        {"role": "developer", "content": [text("no text in it")]},
        user("a fox"),
    ]
    asked = kin.ask(said, instructions="in oil")
    own = asked.options["openai-responses"]
    assert (asked.prompt, own["instructions"]) == ("a fox", "in oil\n\nbe terse\n\nno text in it")


def test_a_picture_comes_as_a_data_url_a_link_or_a_file(toy: Desk) -> None:
    file = {"type": "input_image", "file_id": upload(toy)}
    link = "https://example.com/a.png"
    asked = toy.ask([user("mix", image(), image(link), file)])
    assert shown(asked) == [PNG, link, OTHER]
    assert asked.operation == "edit"


def test_the_detail_of_a_picture_is_handed_on(kin: Desk) -> None:
    asked = kin.ask([user("mix", image(detail="high"), image())])
    assert asked.options["openai-responses"]["detail"] == "high"


@pytest.mark.parametrize("kind", ["image_generation_call", "item_reference"])
def test_an_earlier_picture_is_named_by_its_id(toy: Desk, kind: str) -> None:
    response, id = toy.made()
    asked = toy.ask([{"type": kind, "id": id}, user("add snow")])
    assert (asked.prompt, shown(asked)) == ("add snow", [stored(toy, response)])


def test_what_stands_before_the_last_picture_is_about_it_where_nothing_follows(toy: Desk) -> None:
    response, id = toy.made()
    asked = toy.ask([user("add snow", image()), item(id)])
    assert (asked.prompt, shown(asked)) == ("add snow", [stored(toy, response), PNG])


def test_several_turns_in_one_input_leave_the_last(toy: Desk) -> None:
    _, first = toy.made()
    response, second = toy.made()
    turns = [user("a fox", image()), item(first), user("in snow"), item(second), user("at night")]
    asked = toy.ask(turns)
    assert (asked.prompt, shown(asked)) == ("at night", [stored(toy, response)])


def test_pictures_named_side_by_side_are_all_meant(toy: Desk) -> None:
    (one, first), (two, second) = toy.made(), toy.made()
    asked = toy.ask([user("a fox"), item(first), item(second), user("put both in one")])
    assert shown(asked) == [stored(toy, one), stored(toy, two)]


def test_a_picture_that_is_not_stored_is_taken_from_the_item_itself(toy: Desk) -> None:
    answer = toy.post(store=False).json()
    asked = toy.ask([user("a fox"), *answer["output"], user("add snow")])
    assert [spelt(one) for one in shown(asked)] == [answer["output"][0]["result"]]


def test_an_item_that_is_not_stored_and_holds_nothing_is_not_found(toy: Desk) -> None:
    for more in ({}, {"result": None}, {"result": ""}):
        error = toy.error([item("ig_none", **more), user("add snow")], status=404)
        assert error["message"].startswith("Item with id 'ig_none' not found")
        assert error["param"] == "input"


def test_an_item_that_holds_no_picture_is_refused(toy: Desk) -> None:
    error = toy.error([item("ig_none", result="bm8="), user("add snow")])
    assert error["code"] == "unsupported_file_mimetype"


@pytest.mark.parametrize(
    ("input", "param", "code"),
    [
        (None, "input", "missing_required_parameter"),
        ([], "input", "missing_required_parameter"),
        (7, "input", "missing_required_parameter"),
        ("  ", "input", "missing_required_parameter"),
        ([user(image())], "input", "missing_required_parameter"),
        ([{"type": "reasoning"}], "input", "missing_required_parameter"),
        (["a fox"], "input[0]", "invalid_type"),
        ([{"type": "function_call"}], "input[0].type", "invalid_value"),
        ([{"type": None}], "input[0].type", "invalid_value"),
        ([item("ig_1"), {"type": "item_reference"}], "input[1].id", "missing_required_parameter"),
        ([item(7)], "input[0].id", "invalid_type"),  # type: ignore[arg-type]
        ([{"content": "a"}], "input[0].role", "missing_required_parameter"),
        ([{"role": "tool", "content": "a"}], "input[0]", "invalid_value"),
        ([{"role": "user", "content": "a", "name": "b"}], "input[0].name", "unknown_parameter"),
        ([{"role": "user", "content": 7}], "input[0].content", "invalid_value"),
        ([user({"type": "input_file"})], "input[0].content[0].type", "invalid_value"),
        ([{"role": "user", "content": ["a"]}], "input[0].content[0].type", "invalid_value"),
        ([user({"type": "input_text"})], "input[0].content[0].text", "missing_required_parameter"),
        ([user("a", {"type": "input_image"})], "input[0].content[1]", "invalid_value"),
        ([user(image(file_id="f"))], "input[0].content[0]", "invalid_value"),
        ([user(image("http://a/b"))], "input[0].content[0]", "invalid_image_url"),
        ([user(image("data:,x"))], "input[0].content[0]", "invalid_base64_image"),
        ([user(image(detail="much"))], "input[0].content[0].detail", "invalid_value"),
    ],
)
def test_input_that_cannot_be_is_refused_by_name(
    toy: Desk, input: Any, param: str, code: str
) -> None:
    error = toy.error(input)
    if param == "input[0]" and code == "invalid_value":
        assert error["param"].startswith(param)
    else:
        assert error["param"] == param
    assert error["code"] == code


def test_a_file_that_is_not_there_is_not_found(toy: Desk) -> None:
    error = toy.error([user("a", {"type": "input_image", "file_id": "file-no"})], status=404)
    assert error["message"] == "No such File object: file-no"


# --- earlier responses


def test_a_conversation_goes_on_with_the_earlier_picture(toy: Desk) -> None:
    id, _ = toy.made()
    asked = toy.ask("add snow", previous_response_id=id)
    assert (asked.prompt, shown(asked), asked.state) == ("add snow", [stored(toy, id)], None)


def test_a_conversation_goes_on_by_the_state_that_the_provider_gave(toy: Desk) -> None:
    id, made = toy.made("stateful fox")
    given = State(provider="toy", payload={"n": len(toy.asked)})
    for said in ("add snow", [item(made), user("add snow")]):
        asked = toy.ask(said, previous_response_id=id)
        assert (asked.state, shown(asked), asked.operation) == (given, [], "edit")


def test_another_provider_goes_on_with_the_picture_not_with_the_state(toy: Desk) -> None:
    id, _ = toy.made("stateful fox")
    asked = toy.ask("add snow", {"model": "else"}, previous_response_id=id)
    assert (asked.state, shown(asked), asked.model) == (None, [stored(toy, id)], "m")


def test_a_state_is_not_used_for_another_picture_or_for_a_new_one(toy: Desk) -> None:
    id, _ = toy.made("stateful fox")
    other, named = toy.made()
    asked = toy.ask([item(named), user("add snow")], previous_response_id=id)
    assert (asked.state, shown(asked)) == (None, [stored(toy, other)])
    asked = toy.ask("a new one", {"action": "generate"}, previous_response_id=id)
    assert (asked.state, shown(asked), asked.operation) == (None, [], "generate")


def test_texts_that_came_to_no_picture_are_still_talked_about(toy: Desk) -> None:
    first = toy.post("only talk").json()
    assert [one["type"] for one in first["output"]] == ["message"]
    assert toy.ask("a red one", previous_response_id=first["id"]).prompt == "only talk\n\na red one"


def test_pictures_that_came_to_no_picture_are_still_talked_about(toy: Desk) -> None:
    link = "https://example.com/a.png"
    first = toy.post([user("only talk", image(), image(link))]).json()
    asked = toy.ask("a red one", previous_response_id=first["id"])
    assert shown(asked) == [PNG, link]
    assert toy.client.delete(f"/responses/{first['id']}").status_code == 200


@pytest.mark.parametrize("prompt", ["a fox", "stateful fox"])
def test_the_earlier_picture_outlives_a_turn_of_words(toy: Desk, prompt: str) -> None:
    first, _ = toy.made(prompt)
    given = toy.asked and State(provider="toy", payload={"n": len(toy.asked)})
    second = toy.post("only talk", previous_response_id=first).json()
    third = toy.post("only talk", previous_response_id=second["id"])
    assert third.status_code == 200
    asked = toy.ask("yes", previous_response_id=second["id"])
    assert asked.prompt == "only talk\n\nyes"
    if prompt == "a fox":
        assert (asked.state, shown(asked)) == (None, [stored(toy, first)])
    else:
        assert (asked.state, shown(asked)) == (given, [])
        asked = toy.ask("yes", {"model": "else"}, previous_response_id=second["id"])
        assert (asked.state, shown(asked)) == (None, [stored(toy, first)])


def test_an_unknown_earlier_response_is_refused(toy: Desk) -> None:
    error = toy.error(previous_response_id="resp_none")
    assert error["code"] == "previous_response_not_found"
    assert error["param"] == "previous_response_id"


def test_a_response_that_is_not_stored_cannot_be_continued(toy: Desk) -> None:
    id = toy.post(store=False).json()["id"]
    assert toy.error(previous_response_id=id)["code"] == "previous_response_not_found"
    assert toy.client.get(f"/responses/{id}").status_code == 404


def test_a_conversation_about_a_deleted_picture_cannot_go_on(toy: Desk) -> None:
    id, made = toy.made()
    toy.client.delete(f"/responses/{id}")
    assert toy.error([item(made), user("add snow")], status=404)["param"] == "input"


# --- the tool


@pytest.mark.parametrize(
    ("tool", "name", "value"),
    [
        ({"size": "1536x1024"}, "size", "1536x1024"),
        ({"quality": "high"}, "quality", "high"),
        ({"background": "transparent"}, "background", "transparent"),
        ({"output_format": "webp"}, "output_format", "webp"),
        ({"output_format": "jpeg", "output_compression": 50}, "output_compression", 50),
        ({"moderation": "low"}, "moderation", "low"),
        ({"model": "gpt-image-9"}, "model", "gpt-image-9"),
        ({"size": "auto", "quality": "auto"}, "size", None),
        ({"partial_images": 2}, "partial_images", None),
    ],
)
def test_what_the_tool_says_reaches_the_request(
    toy: Desk, tool: Any, name: str, value: Any
) -> None:
    assert getattr(toy.ask("a fox", tool), name) == value


def test_previews_are_asked_for_where_there_is_a_stream(toy: Desk) -> None:
    assert toy.ask("a fox", {"partial_images": 2}, stream=True).partial_images == 2


@pytest.mark.parametrize("reference", ["image_url", "file_id"])
def test_a_mask_marks_by_transparency(toy: Desk, reference: str) -> None:
    pytest.importorskip("PIL")
    from io import BytesIO

    from PIL import Image as Pillow

    made = BytesIO()
    Pillow.new("RGBA", (1, 1)).save(made, "PNG")
    data = made.getvalue()
    given = upload(toy, data) if reference == "file_id" else f"data:;base64,{spelt(data)}"
    tool = {"input_image_mask": {reference: given}}
    asked = toy.ask([user("a hat", image())], tool)
    assert asked.mask is not None
    assert (asked.mask.edit_where, asked.mask.image.data) == ("transparent", data)
    id, _ = toy.made("stateful fox")
    assert toy.ask("a hat", tool, previous_response_id=id).mask is not None


def test_the_user_is_whoever_is_named_safely(toy: Desk) -> None:
    assert toy.ask(user="u").user == "u"
    assert toy.ask(user="u", safety_identifier="s").user == "s"


@pytest.mark.parametrize(
    ("tool", "own"),
    [
        ({"complexity": "high"}, {"complexity": "high"}),
        (
            {"output_format": "gif", "frame_count": 4, "frame_duration_ms": 50},
            {"frame_count": 4, "frame_duration_ms": 50},
        ),
        (
            {"output_format": "svg", "svg": {"model": "m", "reasoning": {"effort": "low"}}},
            {"svg": {"model": "m", "reasoning": {"effort": "low"}}},
        ),
        ({"input_fidelity": "high"}, {"input_fidelity": "high"}),
        ({"action": "generate"}, {"action": "generate"}),
    ],
)
def test_what_only_the_dialect_knows_reaches_its_own_providers(
    kin: Desk, tool: Any, own: Any
) -> None:
    found = kin.ask("a fox", tool).options["openai-responses"]
    assert {name: found[name] for name in own} == own


@pytest.mark.parametrize(
    ("body", "own"),
    [
        ({"model": "gpt-9"}, {"conversation_model": "gpt-9"}),
        ({"reasoning": {"effort": "low"}}, {"reasoning": {"effort": "low"}}),
        ({"store": False}, {"store": False}),
        ({"include": ["reasoning.encrypted_content"]}, None),
        ({"metadata": {"a": "b"}}, None),
        ({"service_tier": "flex"}, None),
        ({"truncation": "auto"}, None),
        ({"max_output_tokens": 16}, None),
        ({"max_tool_calls": 1}, None),
        ({"parallel_tool_calls": False}, None),
        ({"prompt_cache_key": "k"}, None),
        ({"safety_identifier": "s"}, None),
        ({"instructions": "in oil"}, None),
        ({"image": {"context_compression": "enabled"}}, {"context_compression": "enabled"}),
        ({"image": {}}, {}),
        ({"tool_choice": "required"}, None),
        ({"tool_choice": TOOL}, None),
    ],
)
def test_what_stands_beside_the_tool_reaches_the_dialects_own_providers(
    kin: Desk, body: Any, own: Any
) -> None:
    found = kin.ask(**body).options["openai-responses"]
    for name, value in (body if own is None else own).items():
        assert json.loads(json.dumps(found[name], default=list)) == value


def test_another_provider_is_not_told_them_and_the_client_hears_so(toy: Desk) -> None:
    answer = toy.post("a fox", {"complexity": "high"}, instructions="in oil")
    notices = json.loads(answer.headers["x-imagekit-notices"])
    assert [(one["kind"], one["feature"]) for one in notices] == [
        ("unsupported", "complexity"),
        ("unsupported", "instructions"),
    ]
    assert toy.asked[-1].options == {}
    assert "x-imagekit-notices" not in toy.post().headers


def test_the_dialects_own_provider_knows_them_all(kin: Desk) -> None:
    answer = kin.post("a fox", {"complexity": "high"}, instructions="in oil")
    assert "x-imagekit-notices" not in answer.headers


# --- what is refused


@pytest.mark.parametrize(
    "choice",
    [
        None,
        "auto",
        "required",
        TOOL,
        {"type": "allowed_tools", "mode": "auto", "tools": [TOOL]},
        {"type": "allowed_tools", "mode": "required", "tools": [TOOL]},
    ],
)
def test_the_tool_is_forced_or_left_to_be_chosen(toy: Desk, choice: Any) -> None:
    answer = toy.post(tool_choice=choice).json()
    assert answer["tool_choice"] == (choice or "auto")
    assert answer["output"][0]["result"]


@pytest.mark.parametrize(
    "choice",
    [
        "none",
        "image_generation",
        7,
        {"type": "function", "name": "f"},
        TOOL | {"x": 1},
        {"type": "allowed_tools", "mode": "auto", "tools": []},
        {"type": "allowed_tools", "mode": "auto", "tools": [TOOL, {"type": "web_search"}]},
    ],
)
def test_any_other_choice_is_refused(toy: Desk, choice: Any) -> None:
    assert toy.error(tool_choice=choice)["param"] == "tool_choice"


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"bogus": 1}, "bogus", "unknown_parameter"),
        ({"n": 2}, "n", "unknown_parameter"),
        ({"size": "auto"}, "size", "unknown_parameter"),
        ({"tools": None}, "tools", "missing_required_parameter"),
        ({"tools": []}, "tools", "missing_required_parameter"),
        ({"tools": {}}, "tools", "invalid_type"),
        ({"tools": [7]}, "tools[0]", "invalid_type"),
        ({"tools": [{}]}, "tools[0].type", "invalid_value"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type", "invalid_value"),
        ({"tools": [TOOL, TOOL]}, "tools[1]", "invalid_value"),
        ({"stream": "yes"}, "stream", "invalid_type"),
        ({"stream_options": {"pad": 1}}, "stream_options.pad", "unknown_parameter"),
        ({"background": True, "store": False}, "background", "invalid_value"),
        ({"conversation": "conv_1"}, "conversation", "unsupported_parameter"),
        ({"prompt": {"id": "p"}}, "prompt", "unsupported_parameter"),
        ({"context_management": []}, "context_management", "unsupported_parameter"),
        ({"access_programs": {}}, "access_programs", "unsupported_parameter"),
        ({"temperature": 3}, "temperature", "decimal_above_max_value"),
        ({"top_p": -1}, "top_p", "decimal_below_min_value"),
        ({"max_output_tokens": 1}, "max_output_tokens", "integer_below_min_value"),
        ({"metadata": {str(n): "" for n in range(17)}}, "metadata", "array_above_max_length"),
        ({"metadata": {"a": 1}}, "metadata.a", "invalid_type"),
        ({"safety_identifier": "s" * 129}, "safety_identifier", "string_above_max_length"),
        ({"service_tier": "best"}, "service_tier", "invalid_value"),
        ({"reasoning": {"depth": 1}}, "reasoning.depth", "unknown_parameter"),
        ({"text": {"colour": "red"}}, "text.colour", "unknown_parameter"),
        ({"image": {"x": 1}}, "image.x", "unknown_parameter"),
    ],
)
def test_what_a_request_cannot_say_is_refused_by_name(
    toy: Desk, body: Any, param: str, code: str
) -> None:
    error = toy.error(**body)
    assert (error["param"], error["code"]) == (param, code)
    if code == "unknown_parameter":
        assert error["message"] == f"Unknown parameter: '{param}'."


@pytest.mark.parametrize(
    ("tool", "param", "code"),
    [
        ({"n": 2}, "tools[0].n", "unknown_parameter"),
        ({"markup": "x"}, "tools[0].markup", "unknown_parameter"),
        ({"size": "big"}, "tools[0].size", "invalid_value"),
        ({"partial_images": 4}, "tools[0].partial_images", "integer_above_max_value"),
        ({"background": "transparent", "output_format": "jpeg"}, "tools[0].background", None),
        ({"output_compression": 50}, "tools[0].output_compression", "invalid_output_compression"),
        ({"frame_count": 3}, "tools[0].frame_count", None),
        ({"svg": {}}, "tools[0].svg", None),
        ({"svg": {"effort": "low"}}, "tools[0].svg.effort", "unknown_parameter"),
        ({"output_format": "gif", "partial_images": 1}, "tools[0].partial_images", None),
        ({"action": "edit"}, "tools[0].action", None),
        ({"input_image_mask": {"image_url": DATA_URL}}, "tools[0].input_image_mask", None),
        ({"input_image_mask": {}}, "tools[0].input_image_mask", None),
    ],
)
def test_what_the_tool_cannot_say_is_refused_by_name(
    toy: Desk, tool: Any, param: str, code: str | None
) -> None:
    error = toy.error("a fox", tool)
    assert (error["param"], error["code"]) == (param, code or "invalid_value")


def test_a_model_may_not_be_chosen_by_a_providers_name(toy: Desk) -> None:
    error = toy.error("a fox", {"model": "other:x"}, status=404)
    assert (error["code"], error["param"]) == ("model_not_found", "model")


@pytest.mark.parametrize(
    "body",
    [
        r'{"model": "\ud800"}',
        r'{"\udfff": 1}',
        r'{"input": [{"role": "user", "content": "\ud800"}]}',
        r'{"text": {"format": {"x": NaN}}}',
        r'{"text": {"format": {"x": -Infinity}}}',
        r'{"text": {"format": {"x": 1e999}}}',
        '{"text": {"format": ' + '{"a":' * 500 + "1" + "}" * 500 + "}}",
        '{"input": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"max_tool_calls": ' + "9" * 5000 + "}",
        "[]",
        "",
        "{",
    ],
)
def test_json_that_nobody_may_write_is_refused(toy: Desk, body: str) -> None:
    if body.startswith('{"') and "tools" not in body:
        body = f'{{"tools": [{json.dumps(TOOL)}], "input": "a fox", {body[1:]}'
    answer = toy.client.post(
        "/responses", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


# --- anything at all

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.sampled_from(["", "a fox", "auto", "user", "\ud800", "\x00", DATA_URL, "https://a/b"])
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "id", "role", "content", "text", "image_url", "x", "\udc00"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
NAMES = (
    "model", "input", "instructions", "tools", "tool_choice", "stream", "stream_options",
    "background", "store", "previous_response_id", "conversation", "prompt", "include",
    "metadata", "reasoning", "text", "temperature", "top_p", "top_logprobs", "truncation",
    "max_output_tokens", "max_tool_calls", "parallel_tool_calls", "prompt_cache_key",
    "prompt_cache_retention", "prompt_cache_options", "safety_identifier", "user",
    "service_tier", "image", "moderation", "context_management", "access_programs", "x",
)  # fmt: skip
IN_TOOL = (
    "model", "size", "quality", "background", "output_format", "output_compression",
    "moderation", "partial_images", "complexity", "frame_count", "frame_duration_ms", "svg",
    "action", "input_fidelity", "input_image_mask", "type", "n",
)  # fmt: skip
ITEMS = st.fixed_dictionaries(
    {"type": st.sampled_from(["message", "image_generation_call", "item_reference", "reasoning"])},
    optional=dict.fromkeys(("id", "role", "content", "result", "status", "phase", "x"), VALUES),
)
PARTS = st.fixed_dictionaries(
    {"type": st.sampled_from(["input_text", "input_image", "output_text", "input_file"])},
    optional=dict.fromkeys(("text", "image_url", "file_id", "detail", "x"), VALUES),
)
MESSAGES = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "system"]), "content": st.lists(PARTS)}
)
BODIES = st.fixed_dictionaries(
    {
        "input": st.just("a fox") | st.lists(ITEMS | MESSAGES, max_size=3) | VALUES,
        "tools": st.just([TOOL])
        | st.dictionaries(st.sampled_from(IN_TOOL), VALUES, max_size=2).map(lambda x: [TOOL | x])
        | VALUES,
    },
    optional={name: VALUES for name in NAMES if name not in ("input", "tools")},
)


@settings(max_examples=150)
@given(body=BODIES | st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=3))
def test_whatever_a_client_sends_is_answered_and_never_by_a_failure(
    kin: Desk, body: dict[str, Any]
) -> None:
    logs: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: logs.append(record.getMessage())  # type: ignore[method-assign]
    for name in ("imagekit.server", "uvicorn.error", "asyncio"):
        logging.getLogger(name).addHandler(handler)
    try:
        answer = kin.client.post(
            "/responses", content=json.dumps(body), headers={"content-type": "application/json"}
        )
        assert answer.status_code in (200, 400, 404), answer.text
        if answer.status_code != 200:
            assert answer.json()["error"]["message"]
        assert logs == []
    finally:
        for name in ("imagekit.server", "uvicorn.error", "asyncio"):
            logging.getLogger(name).removeHandler(handler)
