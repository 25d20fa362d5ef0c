from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desk import InProcess, Quiet
from imagekit.server.wire.conversation import Create
from imagekit.server.wire.reading import nested, read
from imagekit.server.wire.refusals import RefusedError
from toys import Inside

JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def desk() -> InProcess:
    return InProcess(Inside())


def post(desk: InProcess, body: bytes, path: str = "/images/generations", **headers: str) -> Any:
    said = {**JSON, **{name.replace("_", "-"): is_ for name, is_ in headers.items()}}
    return desk.post(path, content=body, headers=said)


class TestTheBody:
    @pytest.mark.parametrize(
        "kind",
        [
            "application/json",
            "application/json; charset=utf-8",
            "Application/JSON",
            " application/json ;x",
        ],
    )
    def test_is_json_by_its_type(self, desk: InProcess, kind: str) -> None:
        assert post(desk, b'{"prompt": "x"}', content_type=kind).status_code == 200

    @pytest.mark.parametrize(
        "kind", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""]
    )
    def test_of_any_other_type_is_not_read(self, desk: InProcess, kind: str) -> None:
        answer = post(desk, b'{"prompt": "x"}', content_type=kind)
        assert answer.status_code == 415
        assert answer.json()["error"]["code"] == "unsupported_content_type"
        assert f"'{kind}'" in answer.json()["error"]["message"]

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b'{"prompt": "x",}',
            b'{"prompt": "\xff"}',
            b'{"prompt": "\xed\xa0\x80"}',
            '{"prompt": "x"}'.encode("utf-16"),
            rb'{"prompt": "\ud800"}',
            rb'{"prompt": "x", "\udfff": 1}',
            b'{"prompt": "x", "n": NaN}',
            b'{"prompt": "x", "n": -Infinity}',
            b'{"prompt": "x", "n": 1e999}',
            b'{"prompt": "x", "n": ' + b"9" * 5000 + b"}",
            b'{"prompt": "x", "quality": ' + b"[" * 100 + b"]" * 100 + b"}",
            b'{"prompt": "x", "quality": ' + b'{"a":' * 970 + b"1" + b"}" * 970 + b"}",
            b"[" * 100_000,
            b'{"prompt": "x", "quality": [' + b"0," * 200_000 + b"0]}",
        ],
        ids=range(16),
    )
    def test_that_is_no_sound_json_is_told_so(self, desk: InProcess, body: bytes) -> None:
        answer = post(desk, body)
        assert answer.status_code == 400
        message = "We could not parse the JSON body of your request."
        known = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
        assert answer.json()["error"] == known

    def test_may_hold_characters_in_two_halves(self, desk: InProcess) -> None:
        assert post(desk, rb'{"prompt": "\ud83e\udda6"}').status_code == 200

    @pytest.mark.parametrize("body", [b"[]", b"null", b'"x"', b"3"])
    def test_is_an_object(self, desk: InProcess, body: bytes) -> None:
        answer = post(desk, body)
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "invalid_type"

    @pytest.mark.parametrize("body", [b"{", b"[]"])
    def test_is_read_as_strictly_for_edits(self, desk: InProcess, body: bytes) -> None:
        assert post(desk, body, "/images/edits").status_code == 400


def mistake(**said: Any) -> Any:
    with pytest.raises(RefusedError) as caught:
        read(Create, said)
    return caught.value.refusal


class TestTheWordsOfAMistake:
    def test_a_literal_lists_what_may_stand_there(self) -> None:
        assert mistake(truncation="x").message == (
            "Invalid value: 'x'. Supported values are: 'auto' and 'disabled'."
        )

    def test_a_long_list_has_its_comma(self) -> None:
        said = mistake(image={"context_compression": 3}).message
        assert said == (
            "Invalid value: 3. Supported values are: 'auto', 'enabled', and 'disabled'."
        )

    def test_a_number_that_is_too_large_or_small(self) -> None:
        assert mistake(temperature=2.5).code == "decimal_above_max_value"
        assert mistake(temperature=-1).code == "decimal_below_min_value"
        assert mistake(max_output_tokens=1).message == (
            "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16, "
            "but got 1 instead."
        )

    def test_more_than_may_be(self) -> None:
        found = mistake(metadata={str(number): "x" for number in range(17)})
        assert (found.code, found.param) == ("array_above_max_length", "metadata")
        assert "at most 16" in found.message

    @pytest.mark.parametrize(
        ("said", "words"),
        [
            ({"model": 3}, "'model': expected a string, but got an integer"),
            ({"model": 3.0}, "'model': expected a string, but got a decimal"),
            ({"model": True}, "'model': expected a string, but got a boolean"),
            ({"model": []}, "'model': expected a string, but got an array"),
            ({"model": {}}, "'model': expected a string, but got an object"),
            ({"top_logprobs": "3"}, "'top_logprobs': expected an integer, but got a string"),
            ({"temperature": "3"}, "'temperature': expected a number, but got a string"),
            ({"stream": 1}, "'stream': expected a boolean, but got an integer"),
            ({"include": "x"}, "'include': expected an array, but got a string"),
            ({"include": ["x", 3]}, "'include[1]': expected a string, but got an integer"),
            ({"include": [None]}, "'include[0]': expected a string, but got null"),
            ({"text": []}, "'text': expected an object, but got an array"),
            ({"stream_options": 3}, "'stream_options': expected an object, but got an integer"),
            ({"metadata": {"a": 3}}, "'metadata.a': expected a string, but got an integer"),
        ],
        ids=range(14),
    )
    def test_a_type_is_named_as_json_names_it(self, said: Any, words: str) -> None:
        found = mistake(**said)
        assert found.message == f"Invalid type for {words} instead."
        assert found.code == "invalid_type"

    def test_what_is_unknown_comes_before_what_is_wrong(self) -> None:
        assert mistake(temperature=9, sampler="x").param == "sampler"

    def test_a_long_value_is_cut(self) -> None:
        assert len(mistake(truncation="x" * 10_000).message) < 200

    def test_a_long_name_is_cut(self) -> None:
        found = mistake(**{"x" * 10_000: 1})
        assert len(found.param) == 200
        assert len(found.message) < 250


class TestForms:
    def test_null_says_nothing(self) -> None:
        assert nested({"model": "null", "temperature": "", "text[a]": ""}, Create) == {}

    def test_text_stays_text(self) -> None:
        assert nested({"model": "7", "user": "true"}, Create) == {"model": "7", "user": "true"}

    def test_numbers_and_booleans_are_read_where_they_are_wanted(self) -> None:
        said = {"top_logprobs": "-7", "stream": "TRUE", "background": "false"}
        assert nested(said, Create) == {"top_logprobs": -7, "stream": True, "background": False}

    def test_what_is_no_number_is_left_for_the_mistake(self) -> None:
        for text in ("1e3", "٣", "9" * 19, " 3"):
            assert nested({"top_logprobs": text}, Create) == {"top_logprobs": text}


ODD = st.sampled_from(["\ud800", "\x00", "\x7f", "data:,", "https://", 10**400])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | ODD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
NAMES = st.sampled_from(
    [
        "prompt", "model", "n", "size", "quality", "background", "output_format", "svg", "style",
        "output_compression", "moderation", "stream", "partial_images", "complexity", "user",
        "frame_count", "frame_duration_ms", "safety_identifier", "response_format", "images",
        "mask", "input_fidelity", "input", "tools", "tool_choice", "metadata", "\ud800", "",
    ]
)  # fmt: skip
PLAIN = {"prompt": "x"}


class TestWhateverIsSent(Quiet):
    @settings(max_examples=250)
    @given(st.dictionaries(NAMES, VALUES, min_size=1, max_size=3))
    def test_any_value_of_any_field_of_a_generation(self, desk: InProcess, said: Any) -> None:
        body = json.dumps(PLAIN | said).encode()
        assert post(desk, body).status_code in (200, 400)

    @settings(max_examples=250)
    @given(st.dictionaries(NAMES, VALUES, min_size=1, max_size=3))
    def test_any_value_of_any_field_of_an_edit(self, desk: InProcess, said: Any) -> None:
        body = json.dumps(PLAIN | {"images": [{"file_id": "x"}]} | said).encode()
        assert post(desk, body, "/images/edits").status_code in (200, 400, 404)

    @settings(max_examples=150)
    @given(st.dictionaries(st.sampled_from(["model", "effort", "x", "reasoning"]), VALUES))
    def test_any_value_inside_of_a_field(self, desk: InProcess, said: Any) -> None:
        body = json.dumps(PLAIN | {"output_format": "svg", "svg": said}).encode()
        assert post(desk, body).status_code in (200, 400)

    @settings(max_examples=150)
    @given(st.binary(max_size=40))
    def test_any_bytes(self, desk: InProcess, body: bytes) -> None:
        assert post(desk, body).status_code == 400

    @settings(max_examples=150)
    @given(
        st.dictionaries(
            st.sampled_from(["n", "svg", "svg[model]", "svg[model][x]", "svg[]", "[", "n[n]", ""])
            | st.text("svg[]x", max_size=12),
            st.text(max_size=5) | st.sampled_from(["1", "null", "true"]),
        )
    )
    def test_any_fields_of_a_form(self, desk: InProcess, said: dict[str, str]) -> None:
        with suppress(RefusedError):
            read(Create, nested(said, Create))
