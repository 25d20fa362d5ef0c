from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from desk import InProcess, Toy, making
from imagekit import ImageRequest
from spoken import httpx
from toys import picture

PNG = picture()
PARTS = [("image", ("a.png", PNG, "image/png"))]
LINK = {"image_url": "https://pictures.test/a.png"}


def echoing(request: ImageRequest) -> Any:
    return (yield from making(model=request.model)(request))


class Desk(InProcess):
    """Its provider takes everything that the dialect has."""

    # The plugin whose options this very dialect fills.
    names = ("openai-images",)

    def edit(self, **said: Any) -> httpx.Response:
        return self.post("/images/edits", json={"prompt": "a hat", "images": [LINK], **said})

    def form(self, **said: str) -> httpx.Response:
        return self.post("/images/edits", data={"prompt": "a hat", **said}, files=PARTS)


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk(Toy(echoing, family="openai", inputs=frozenset({"bytes", "url"})))


def error_of(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 400, answer.text
    return answer.json()["error"]


SVG = {"model": "author-1", "reasoning": {"effort": "low"}}
# What is said on the wire, and what of it the provider hears.
SHARED: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = [
    ({"model": "gpt-image-2"}, {"model": "gpt-image-2"}),
    ({"n": 3}, {"n": 3}),
    ({"size": "1536x1024"}, {"size": "1536x1024"}),
    ({"quality": "xhigh"}, {"quality": "xhigh"}),
    ({"quality": "hd"}, {"quality": "hd"}),
    ({"background": "transparent"}, {"background": "transparent"}),
    ({"output_format": "webp"}, {"output_format": "webp"}),
    (
        {"output_format": "jpeg", "output_compression": 40},
        {"output_format": "jpeg", "output_compression": 40},
    ),
    ({"moderation": "low"}, {"moderation": "low"}),
    ({"user": "u-1"}, {"user": "u-1"}),
]
OWN: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = [
    ({"complexity": "high"}, {"complexity": "high"}),
    ({"output_format": "gif", "frame_count": 4}, {"frame_count": 4}),
    ({"output_format": "gif", "frame_duration_ms": 20}, {"frame_duration_ms": 20}),
    ({"output_format": "svg", "svg": SVG}, {"svg": SVG}),
    ({"safety_identifier": "s-1"}, {"safety_identifier": "s-1"}),
]
FIDELITY = ({"input_fidelity": "low"}, {"input_fidelity": "low"})
STYLE = ({"style": "vivid"}, {"style": "vivid"})


def names(case: object) -> str:
    return "+".join(case) if isinstance(case, Mapping) else str(case)[:40]


class TestWhatAProviderHears:
    @pytest.mark.parametrize(("said", "meant"), SHARED, ids=names)
    def test_a_parameter_of_a_generation(self, desk: Desk, said: Any, meant: Any) -> None:
        request = desk.heard(desk.generate(**said))
        assert {name: getattr(request, name) for name in meant} == meant

    @pytest.mark.parametrize(("said", "meant"), SHARED, ids=names)
    def test_a_parameter_of_an_edit_in_json(self, desk: Desk, said: Any, meant: Any) -> None:
        request = desk.heard(desk.edit(**said))
        assert {name: getattr(request, name) for name in meant} == meant

    @pytest.mark.parametrize(("said", "meant"), SHARED, ids=names)
    def test_a_parameter_of_a_form(self, desk: Desk, said: Any, meant: Any) -> None:
        request = desk.heard(desk.form(**{name: str(value) for name, value in said.items()}))
        assert {name: getattr(request, name) for name in meant} == meant

    @pytest.mark.parametrize(("said", "meant"), [*OWN, STYLE], ids=names)
    def test_what_only_this_family_has_of_a_generation(
        self, desk: Desk, said: Any, meant: Any
    ) -> None:
        assert desk.heard(desk.generate(**said)).options == {"openai-images": meant}

    @pytest.mark.parametrize(("said", "meant"), [*OWN, FIDELITY], ids=names)
    def test_what_only_this_family_has_of_an_edit_in_json(
        self, desk: Desk, said: Any, meant: Any
    ) -> None:
        assert desk.heard(desk.edit(**said)).options == {"openai-images": meant}

    @pytest.mark.parametrize(
        ("said", "meant"),
        [
            ({"complexity": "high"}, {"complexity": "high"}),
            ({"output_format": "gif", "frame_count": "4"}, {"frame_count": 4}),
            ({"output_format": "gif", "frame_duration_ms": "20"}, {"frame_duration_ms": 20}),
            ({"output_format": "svg", "svg[model]": "a"}, {"svg": {"model": "a"}}),
            (
                {"output_format": "svg", "svg[reasoning][effort]": "none"},
                {"svg": {"reasoning": {"effort": "none"}}},
            ),
            (
                {"output_format": "svg", "svg[reasoning][effort]": "max", "svg[model]": "a"},
                {"svg": {"model": "a", "reasoning": {"effort": "max"}}},
            ),
            ({"input_fidelity": "high"}, {"input_fidelity": "high"}),
            ({"safety_identifier": "s-1"}, {"safety_identifier": "s-1"}),
        ],
        ids=names,
    )
    def test_what_only_this_family_has_of_a_form(self, desk: Desk, said: Any, meant: Any) -> None:
        assert desk.heard(desk.form(**said)).options == {"openai-images": meant}

    def test_previews_of_a_stream(self, desk: Desk) -> None:
        assert desk.heard(desk.generate(stream=True, partial_images=2)).partial_images == 2
        assert desk.heard(desk.form(stream="True", partial_images="3")).partial_images == 3

    def test_no_previews_where_there_is_no_stream(self, desk: Desk) -> None:
        assert desk.heard(desk.generate(stream=False, partial_images=2)).partial_images is None

    def test_the_prompt_as_it_is_written(self, desk: Desk) -> None:
        words = ' Zwölf Otter\n\n🦦 «und» "so" \x00'
        assert desk.heard(desk.generate(prompt=words)).prompt == words

    def test_the_longest_prompt(self, desk: Desk) -> None:
        assert len(desk.heard(desk.generate(prompt="x" * 32_000)).prompt or "") == 32_000


DEFAULTS: dict[str, Any] = {
    "n": 1,
    "size": "auto",
    "quality": "auto",
    "background": "auto",
    "moderation": "auto",
    "output_compression": 100,
    "stream": False,
    "partial_images": 0,
    "user": "",
    "safety_identifier": "",
    "model": "",
}
NULLS = dict.fromkeys((*DEFAULTS, "output_format", "complexity", "svg", "frame_count"))


class TestNoise:
    def quiet(self, answer: httpx.Response, desk: Desk) -> None:
        request = desk.heard(answer)
        said = {name for name in request.model_fields_set if getattr(request, name)}
        assert said <= {"prompt", "n", "images"}
        assert request.n == 1
        assert "x-imagekit-notices" not in answer.headers

    def test_nothing_said_is_nothing_heard(self, desk: Desk) -> None:
        self.quiet(desk.generate(), desk)

    def test_spelled_out_defaults_are_nothing(self, desk: Desk) -> None:
        self.quiet(desk.generate(**DEFAULTS), desk)
        self.quiet(desk.edit(**DEFAULTS), desk)

    def test_spelled_out_nulls_are_nothing(self, desk: Desk) -> None:
        self.quiet(desk.generate(**NULLS, response_format=None, style=None), desk)
        self.quiet(desk.edit(**NULLS, input_fidelity=None, mask=None), desk)

    @pytest.mark.parametrize("empty", ["", "null"])
    def test_empty_fields_of_a_form_are_nothing(self, desk: Desk, empty: str) -> None:
        self.quiet(desk.form(**dict.fromkeys(NULLS, empty), **{"svg[model]": empty}), desk)

    def test_spelled_out_defaults_of_a_form_are_nothing(self, desk: Desk) -> None:
        said = {name: json.dumps(value).strip('"') for name, value in DEFAULTS.items()}
        self.quiet(desk.form(**said), desk)


def brief(case: object) -> str:
    return str(case[-1]) if isinstance(case, tuple) else str(case)[:60]


def user_error(param: str) -> tuple[str, str, str]:
    return ("image_generation_user_error", "unsupported_parameter", param)


def wrong(param: str, code: str = "invalid_value") -> tuple[str, str, str]:
    return ("invalid_request_error", code, param)


class TestWhatIsTurnedAway:
    @pytest.mark.parametrize(
        ("said", "how"),
        [
            ({"n": 0}, wrong("n", "integer_below_min_value")),
            ({"n": 11}, wrong("n", "integer_above_max_value")),
            ({"n": True}, wrong("n", "invalid_type")),
            ({"n": "2"}, wrong("n", "invalid_type")),
            ({"n": 1.5}, wrong("n", "invalid_type")),
            ({"prompt": ""}, wrong("prompt", "empty_string")),
            ({"prompt": " \n"}, wrong("prompt")),
            ({"prompt": None}, wrong("prompt", "invalid_type")),
            ({"prompt": "x" * 32_001}, wrong("prompt", "string_above_max_length")),
            ({"size": "huge"}, wrong("size")),
            ({"size": "0x5"}, wrong("size")),
            ({"size": "64x64\n"}, wrong("size")),
            ({"size": "16:9"}, wrong("size")),
            ({"quality": "ultra"}, wrong("quality")),
            ({"quality": ["low"]}, wrong("quality")),
            ({"background": "none"}, wrong("background")),
            ({"output_format": "bmp"}, wrong("output_format")),
            ({"output_compression": 101}, wrong("output_compression", "integer_above_max_value")),
            ({"partial_images": 4}, wrong("partial_images", "integer_above_max_value")),
            ({"frame_count": 17}, wrong("frame_count", "integer_above_max_value")),
            ({"frame_duration_ms": 19}, wrong("frame_duration_ms", "integer_below_min_value")),
            ({"complexity": "max"}, wrong("complexity")),
            ({"stream": "true"}, wrong("stream", "invalid_type")),
            ({"svg": "x"}, wrong("svg", "invalid_type")),
            ({"svg": {"reasoning": {"effort": "minimal"}}}, wrong("svg.reasoning.effort")),
            (
                {"safety_identifier": "x" * 129},
                wrong("safety_identifier", "string_above_max_length"),
            ),
            ({"model": "x" * 501}, wrong("model", "string_above_max_length")),
            ({"response_format": "json"}, wrong("response_format")),
            ({"background": "transparent", "output_format": "jpeg"}, wrong("background")),
            ({"output_compression": 50}, wrong("output_compression", "invalid_output_compression")),
            (
                {"output_compression": 50, "output_format": "gif"},
                wrong("output_compression", "invalid_output_compression"),
            ),
            ({"frame_count": 9}, wrong("frame_count")),
            ({"frame_duration_ms": 200, "output_format": "webp"}, wrong("frame_duration_ms")),
            ({"svg": {}}, wrong("svg")),
            ({"partial_images": 1, "output_format": "gif"}, wrong("partial_images")),
            ({"partial_images": 1, "output_format": "svg"}, wrong("partial_images")),
            ({"stream": True, "n": 2}, user_error("n")),
            ({"stream": True, "output_format": "gif"}, user_error("stream")),
            ({"stream": True, "output_format": "svg"}, user_error("stream")),
            ({"n": 2, "output_format": "svg"}, user_error("n")),
            (
                {"response_format": "b64_json", "model": "gpt-image-2"},
                wrong("response_format", "unknown_parameter"),
            ),
            ({"n": 99, "sampler": "x"}, wrong("sampler", "unknown_parameter")),
            ({"svg": {"sampler": 1}}, wrong("svg.sampler", "unknown_parameter")),
            ({"svg": {"reasoning": {"x": 1}}}, wrong("svg.reasoning.x", "unknown_parameter")),
        ],
        ids=brief,
    )
    def test_names_its_kind_its_code_and_its_param(self, desk: Desk, said: Any, how: Any) -> None:
        before = len(desk.toy.asked)
        for answer in (desk.generate(**said), desk.edit(**said)):
            error = error_of(answer)
            assert (error["type"], error["code"], error["param"]) == how
        assert len(desk.toy.asked) == before

    @pytest.mark.parametrize(
        ("said", "how"),
        [
            ({"n": "11"}, wrong("n", "integer_above_max_value")),
            ({"n": "-3"}, wrong("n", "integer_below_min_value")),
            ({"n": "two"}, wrong("n", "invalid_type")),
            ({"n": "2.0"}, wrong("n", "invalid_type")),
            ({"stream": "1"}, wrong("stream", "invalid_type")),
            ({"svg": "x"}, wrong("svg", "invalid_type")),
            ({"sampler": "x"}, wrong("sampler", "unknown_parameter")),
            ({"style": "vivid"}, wrong("style", "unknown_parameter")),
            ({"svg[x]": "x"}, wrong("svg.x", "unknown_parameter")),
            ({"svg[]": "x"}, wrong("svg[]", "unknown_parameter")),
            ({"svg[model][x]": "x"}, wrong("svg.model", "invalid_type")),
            ({"svg[model": "x"}, wrong("svg[model", "unknown_parameter")),
            ({"svg": "x", "svg[model]": "y"}, wrong("svg[model]", "unknown_parameter")),
            ({"svg[model]": "y", "svg": "x"}, wrong("svg", "unknown_parameter")),
            (
                {"svg[model]": "y", "svg[model][z]": "x"},
                wrong("svg[model][z]", "unknown_parameter"),
            ),
            ({"quality" + "[x]" * 9: "x"}, wrong("quality" + "[x]" * 9, "unknown_parameter")),
            ({"n[x]": "1"}, wrong("n", "invalid_type")),
            ({"prompt": ""}, wrong("prompt", "empty_string")),
        ],
        ids=brief,
    )
    def test_is_turned_away_in_a_form_too(self, desk: Desk, said: Any, how: Any) -> None:
        error = error_of(desk.form(**said))
        assert (error["type"], error["code"], error["param"]) == how

    @pytest.mark.parametrize("name", ["input_fidelity", "images", "image", "mask", "seed"])
    def test_a_generation_knows_no_words_of_an_edit(self, desk: Desk, name: str) -> None:
        assert error_of(desk.generate(**{name: "low"}))["code"] == "unknown_parameter"

    def test_a_prompt_is_needed(self, desk: Desk) -> None:
        error = error_of(desk.post("/images/generations", json={}))
        assert error["code"] == "missing_required_parameter"
        assert error["message"] == "Missing required parameter: 'prompt'."

    @pytest.mark.parametrize("model", ["dall-e-3", "sketch-1", None])
    def test_response_format_is_for_everybody_but_the_newer_models(
        self, desk: Desk, model: str | None
    ) -> None:
        answer = desk.generate(model=model, response_format="b64_json")
        assert "b64_json" in answer.json()["data"][0]
