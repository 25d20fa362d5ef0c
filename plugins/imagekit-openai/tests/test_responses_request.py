"""Each parameter of the image_generation tool and of the conversation around it."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from openai.types.responses.response_create_params import (
    ResponseCreateParamsNonStreaming,
    ResponseCreateParamsStreaming,
)
from openai_wire import ONE, TWO, asked, json_of, options
from pydantic import TypeAdapter

from imagekit import ImageInput, Mask, ProviderFile, RequestError, State
from imagekit import UnsupportedRequestError as Unsupported
from imagekit_openai._responses_request import encode

URL = "https://pictures.example/cat.png"
PLAIN_TOOL = {"type": "image_generation", "model": "gpt-image-2.6-sunburst"}
PLAIN = {
    "model": "gpt-6.1-sol",
    "input": "an otter",
    "tools": [PLAIN_TOOL],
    "tool_choice": {"type": "image_generation"},
}
STATE = State(
    provider="openai-responses",
    payload={
        "response_id": "resp_1",
        "items": [
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {"type": "image_generation_call", "id": "ig_1"},
        ],
    },
)


def data_url(data: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(data).decode()


def body(prompt: str | None = "an otter", **fields: Any) -> dict[str, Any]:
    said = fields.pop("said", {})
    stream = fields.pop("stream", False)
    request = asked(prompt, **{"options": options("openai-responses", **said), **fields})
    return json_of(encode(request, stream=stream))


def test_nothing_is_sent_that_was_not_said_but_for_models_and_the_forced_tool() -> None:
    assert body() == PLAIN


def test_the_request_is_one_that_may_charge_and_names_what_may_hold_a_picture() -> None:
    request = encode(asked(), stream=False)
    assert (request.method, request.url) == ("POST", "/responses")
    assert request.blobs == {"result", "partial_image_b64"}
    assert request.charges


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"model": "gpt-image-2"}, {"model": "gpt-image-2"}),
        ({"size": "1536x864"}, {"size": "1536x864"}),
        ({"quality": "max"}, {"quality": "max"}),
        ({"background": "opaque"}, {"background": "opaque"}),
        ({"output_format": "gif"}, {"output_format": "gif"}),
        ({"output_compression": 50}, {"output_compression": 50}),
        ({"moderation": "low"}, {"moderation": "low"}),
        ({"stream": True, "partial_images": 2}, {"partial_images": 2}),
        ({"stream": True, "partial_images": 0}, {"partial_images": 0}),
        # Without a stream nobody would see them, and these formats have none.
        ({"partial_images": 2}, {}),
        ({"stream": True, "partial_images": 2, "output_format": "gif"}, {"output_format": "gif"}),
        ({"stream": True, "partial_images": 2, "output_format": "svg"}, {"output_format": "svg"}),
        ({"said": {"action": "generate"}}, {"action": "generate"}),
        ({"said": {"complexity": "low"}}, {"complexity": "low"}),
        ({"said": {"frame_count": 2}}, {"frame_count": 2}),
        ({"said": {"frame_duration_ms": 50}}, {"frame_duration_ms": 50}),
        ({"said": {"input_fidelity": "low"}}, {"input_fidelity": "low"}),
        (
            {"said": {"svg": {"model": "m", "reasoning": {"effort": "max"}}}},
            {"svg": {"model": "m", "reasoning": {"effort": "max"}}},
        ),
        ({"said": {"extra_tool": {"new": 1, "model": None}}}, {"new": 1, "model": None}),
    ],
)
def test_a_parameter_of_the_tool_reaches_the_tool(
    fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    [tool] = body(**fields)["tools"]
    wanted = {**PLAIN_TOOL, **expected}
    assert tool == {name: value for name, value in wanted.items() if value is not None}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"conversation_model": "gpt-5.5"}, {"model": "gpt-5.5"}),
        ({"conversation": "conv_1"}, {"conversation": "conv_1"}),
        ({"tool_choice": "required"}, {"tool_choice": "required"}),
        (
            {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [PLAIN_TOOL]}},
            {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [PLAIN_TOOL]}},
        ),
        ({"instructions": "Be brief."}, {"instructions": "Be brief."}),
        ({"reasoning": {"effort": "low"}}, {"reasoning": {"effort": "low"}}),
        ({"store": False}, {"store": False}),
        (
            {"include": ["reasoning.encrypted_content"]},
            {"include": ["reasoning.encrypted_content"]},
        ),
        ({"metadata": {"team": "art"}}, {"metadata": {"team": "art"}}),
        ({"service_tier": "flex"}, {"service_tier": "flex"}),
        ({"truncation": "auto"}, {"truncation": "auto"}),
        ({"max_output_tokens": 500}, {"max_output_tokens": 500}),
        ({"max_tool_calls": 1}, {"max_tool_calls": 1}),
        ({"parallel_tool_calls": False}, {"parallel_tool_calls": False}),
        ({"prompt_cache_key": "k"}, {"prompt_cache_key": "k"}),
        ({"safety_identifier": "s"}, {"safety_identifier": "s"}),
        ({"context_compression": "disabled"}, {"image": {"context_compression": "disabled"}}),
        ({"temperature": 0.5}, {"temperature": 0.5}),
        ({"top_p": 0.1}, {"top_p": 0.1}),
        ({"prompt_cache_options": {"ttl": "12h"}}, {"prompt_cache_options": {"ttl": "12h"}}),
        (
            {"context_management": [{"type": "compaction"}]},
            {"context_management": [{"type": "compaction"}]},
        ),
        ({"prompt_template": {"id": "pmpt_1"}}, {"prompt": {"id": "pmpt_1"}}),
        (
            {"prompt_template": {"id": "pmpt_1", "version": "2", "variables": {"who": "otter"}}},
            {"prompt": {"id": "pmpt_1", "version": "2", "variables": {"who": "otter"}}},
        ),
        (
            {"response_moderation": {"model": "omni-moderation-latest"}},
            {"moderation": {"model": "omni-moderation-latest"}},
        ),
        ({"extra_body": {"top_logprobs": 2}}, {"top_logprobs": 2}),
    ],
)
def test_a_parameter_of_the_conversation_stands_beside_the_tool(
    said: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert body(said=said) == {**PLAIN, **expected}


def test_a_null_in_the_extra_body_leaves_a_field_out() -> None:
    assert "tool_choice" not in body(said={"extra_body": {"tool_choice": None}})


def test_the_user_is_the_safety_identifier_unless_that_is_said_itself() -> None:
    assert body(user="u-1")["safety_identifier"] == "u-1"
    said = {"safety_identifier": "s-1"}
    assert body(user="u-1", said=said)["safety_identifier"] == "s-1"
    assert "user" not in body(user="u-1")


def test_a_stream_leaves_out_what_only_costs_bytes() -> None:
    assert body(stream=True) == {
        **PLAIN,
        "stream": True,
        "stream_options": {"include_obfuscation": False},
    }


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"complexty": "high"}, "no option 'complexty'; there are: action, "),
        ({"action": "draw"}, "option 'action'"),
        ({"frame_count": 1}, "option 'frame_count'"),
        ({"svg": {"modle": "m"}}, "no option 'svg.modle'"),
        ({"continue_by": "luck"}, "option 'continue_by'"),
        ({"markup": "x"}, "no option 'markup'"),
        ({"n": 2}, "no option 'n'"),
        ({"prompt_template": {"version": "2"}}, "option 'prompt_template.id'"),
        ({"prompt_template": {"id": "p", "vars": {}}}, "no option 'prompt_template.vars'"),
        ({"temperature": 3}, "option 'temperature'"),
        ({"top_p": 2}, "option 'top_p'"),
    ],
)
def test_a_wrong_option_is_an_error(said: dict[str, Any], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        body(said=said)


def test_an_aspect_that_no_rule_turned_into_pixels_cannot_be_sent() -> None:
    with pytest.raises(Unsupported, match="give pixels"):
        body(size="16:9", model="my-model")


def test_pictures_are_parts_of_the_message_in_order() -> None:
    assert body(images=(ONE, URL, ProviderFile("file-1")))["input"] == [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "an otter"},
                {"type": "input_image", "image_url": data_url(ONE)},
                {"type": "input_image", "image_url": URL},
                {"type": "input_image", "file_id": "file-1"},
            ],
        }
    ]


def test_the_detail_is_said_of_each_picture() -> None:
    [message] = body(images=(ONE, TWO), said={"detail": "high"})["input"]
    assert [part.get("detail") for part in message["content"]] == [None, "high", "high"]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (TWO, {"image_url": data_url(TWO)}),
        (ProviderFile("file-2"), {"file_id": "file-2"}),
    ],
)
def test_a_mask_is_the_tools(image: Any, expected: dict[str, str]) -> None:
    [tool] = body(images=ONE, mask=Mask(image, edit_where="transparent"))["tools"]
    assert tool["input_image_mask"] == expected


def test_a_markup_is_refused_because_this_api_has_none() -> None:
    with pytest.raises(Unsupported, match="openai-images does"):
        body(images=(ONE, ImageInput(data=TWO, role="markup")))


def test_a_variation_asks_for_one_in_words() -> None:
    [message] = body(None, images=ONE)["input"]
    assert message["content"][0]["text"].startswith("Make a variation of this picture")


def test_a_state_continues_by_the_earlier_response() -> None:
    assert body(state=STATE) == {**PLAIN, "previous_response_id": "resp_1"}


def test_a_state_can_continue_by_the_picture_and_its_reasoning() -> None:
    sent = body(state=STATE, said={"continue_by": "item"})
    assert "previous_response_id" not in sent
    assert sent["input"] == [
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "image_generation_call", "id": "ig_1"},
        {"role": "user", "content": [{"type": "input_text", "text": "an otter"}]},
    ]


HELD = State(provider="openai-responses", payload={**STATE.payload, "conversation": "conv_1"})
ITEMS = [
    {"type": "reasoning", "id": "rs_1", "summary": []},
    {"type": "image_generation_call", "id": "ig_1"},
    {"role": "user", "content": [{"type": "input_text", "text": "an otter"}]},
]


@pytest.mark.parametrize(
    ("state", "said", "expected"),
    [
        (STATE, {}, {"previous_response_id": "resp_1"}),
        (STATE, {"continue_by": "response"}, {"previous_response_id": "resp_1"}),
        (STATE, {"continue_by": "item"}, {"input": ITEMS}),
        (HELD, {}, {"conversation": "conv_1"}),
        (HELD, {"continue_by": "conversation"}, {"conversation": "conv_1"}),
        (HELD, {"conversation": "conv_1"}, {"conversation": "conv_1"}),
        (HELD, {"continue_by": "response"}, {"previous_response_id": "resp_1"}),
        (HELD, {"continue_by": "item"}, {"input": ITEMS}),
        # A picture may be taken into another conversation, or into a first one.
        (
            HELD,
            {"continue_by": "item", "conversation": "conv_2"},
            {"input": ITEMS, "conversation": "conv_2"},
        ),
        (
            STATE,
            {"continue_by": "item", "conversation": "conv_2"},
            {"input": ITEMS, "conversation": "conv_2"},
        ),
        # What is continued was stored; what comes of it need not be.
        (STATE, {"store": False}, {"previous_response_id": "resp_1", "store": False}),
        (HELD, {"store": False}, {"conversation": "conv_1", "store": False}),
    ],
)
def test_a_picture_is_continued_in_three_ways(
    state: State, said: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert body(state=state, said=said) == {**PLAIN, **expected}


@pytest.mark.parametrize(
    ("state", "said", "words"),
    [
        (STATE, {"conversation": "conv_2"}, "not both"),
        (HELD, {"conversation": "conv_2"}, "belongs to the conversation 'conv_1'"),
        (HELD, {"conversation": "conv_2", "continue_by": "response"}, "not both"),
        (STATE, {"continue_by": "conversation"}, "the state has no 'conversation'"),
        (STATE, {"extra_body": {"conversation": "conv_2"}}, "not both"),
        (None, {"conversation": "c", "extra_body": {"previous_response_id": "r"}}, "not both"),
        (STATE, {"continue_by": "item", "store": False}, "only where responses are stored"),
        (HELD, {"continue_by": "item", "extra_body": {"store": False}}, "are stored"),
    ],
)
def test_what_excludes_one_another_is_refused_before_anything_is_sent(
    state: State | None, said: dict[str, Any], words: str
) -> None:
    with pytest.raises(RequestError, match=words):
        body(state=state, said=said)


def test_a_state_survives_json() -> None:
    again = State.model_validate_json(STATE.model_dump_json())
    assert again == STATE
    for way in ("response", "item"):
        said = {"continue_by": way}
        assert body(state=again, said=said) == body(state=STATE, said=said)


def test_a_mask_may_apply_to_the_earlier_picture() -> None:
    sent = body(state=STATE, mask=Mask(ONE, edit_where="transparent"))
    assert sent["tools"][0]["input_image_mask"] == {"image_url": data_url(ONE)}


@pytest.mark.parametrize("way", ["response", "conversation", "item", None])
@pytest.mark.parametrize(
    ("state", "words"),
    [
        (State(provider="other", payload={}), "the state is other's"),
        (State(provider="openai-responses", payload={}), "the state has no"),
        (
            State(provider="openai-responses", payload={"response_id": 5, "items": "x"}),
            "the state has no",
        ),
        (
            State(provider="openai-responses", payload={"response_id": "", "items": []}),
            "the state has no",
        ),
    ],
)
def test_a_foreign_or_broken_state_is_never_silently_dropped(
    way: str, state: State, words: str
) -> None:
    with pytest.raises(RequestError, match=words):
        body(state=state, said={"continue_by": way})


# --- row by row

# What the official client can say of a response, and who says it here: what every request does by
# itself or by its fields, an option, or nobody, for a reason.
COVERED = {
    "background": {"detach": True},
    "image": {"said": {"context_compression": "auto"}},
    "input": {},
    "model": {},
    "previous_response_id": {"state": STATE},
    "safety_identifier": {"user": "u-1"},
    "store": {"detach": True},
    "stream": {"stream": True},
    "stream_options": {"stream": True},
    "tool_choice": {},
    "tools": {},
}
OPTIONS: dict[str, dict[str, Any]] = {
    "context_management": {"context_management": [{"type": "compaction"}]},
    "conversation": {"conversation": "conv_1"},
    "include": {"include": ["reasoning.encrypted_content"]},
    "instructions": {"instructions": "Be brief."},
    "max_output_tokens": {"max_output_tokens": 500},
    "max_tool_calls": {"max_tool_calls": 1},
    "metadata": {"metadata": {"team": "art"}},
    "model": {"conversation_model": "gpt-5.5"},
    "moderation": {"response_moderation": {"model": "omni-moderation-latest"}},
    "parallel_tool_calls": {"parallel_tool_calls": False},
    "prompt": {"prompt_template": {"id": "pmpt_1"}},
    "prompt_cache_key": {"prompt_cache_key": "k"},
    "prompt_cache_options": {"prompt_cache_options": {"ttl": "12h"}},
    "reasoning": {"reasoning": {"effort": "low"}},
    "safety_identifier": {"safety_identifier": "s"},
    "service_tier": {"service_tier": "flex"},
    "store": {"store": False},
    "temperature": {"temperature": 0.5},
    "tool_choice": {"tool_choice": "required"},
    "top_p": {"top_p": 0.5},
    "truncation": {"truncation": "auto"},
}
OUTSIDE = {
    "access_programs": "programs of another trade than pictures",
    "prompt_cache_retention": "deprecated in favour of prompt_cache_options",
    "text": "the form of an answer in words, such as structured output: chat only",
    "top_logprobs": "of words only",
    "user": "deprecated in favour of safety_identifier, as which a request's user is sent",
}


def test_each_parameter_of_the_official_client_is_accounted_for() -> None:
    rows = {
        *ResponseCreateParamsNonStreaming.__annotations__,
        *ResponseCreateParamsStreaming.__annotations__,
    }
    assert {*COVERED, *OPTIONS, *OUTSIDE} == rows
    assert not OUTSIDE.keys() & {*COVERED, *OPTIONS}
    assert all(OUTSIDE.values())


@pytest.mark.parametrize("name", COVERED)
def test_what_is_covered_is_sent(name: str) -> None:
    assert name in body(**COVERED[name])  # type: ignore[arg-type]


@pytest.mark.parametrize("name", OPTIONS)
def test_what_is_an_option_is_sent(name: str) -> None:
    said = OPTIONS[name]
    sent = body(said=said)
    assert sent[name] == next(iter(said.values()))
    # The official client's own type allows it.
    TypeAdapter(ResponseCreateParamsNonStreaming).validate_python(sent)


@pytest.mark.parametrize("name", OUTSIDE)
def test_what_is_outside_can_be_sent_all_the_same(name: str) -> None:
    assert body(said={"extra_body": {name: "as it is"}})[name] == "as it is"
