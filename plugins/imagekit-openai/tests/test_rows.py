"""Hosts as data: what a row may say, what becomes of a request by it, and of an answer."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from openai_wire import ONE, TWO, b64, png

import imagekit
import imagekit_openai
from imagekit import (
    ConfigurationError,
    ContentRejectedError,
    Image,
    ImageFailure,
    ImageInput,
    ImagekitError,
    ImageRequest,
    Mask,
    PluginError,
    ProviderFile,
    QuotaExceededError,
    RequestError,
    UnsupportedRequestError,
)
from imagekit.provider import Config, HttpRequest, HttpResponse
from imagekit.testing import Played, json_response, play, sse
from imagekit_openai import CompatibleImages, Row, images, responses, row
from imagekit_openai.rows import localai, openrouter, sd_server, sglang, together, vllm_omni, xai

URL = "https://pictures.example/cat.png"
ROWS: Mapping[str, ModuleType] = {
    "localai": localai,
    "openrouter": openrouter,
    "sd-server": sd_server,
    "sglang": sglang,
    "together": together,
    "vllm-omni": vllm_omni,
    "xai": xai,
}
MARKED = Mask(png(8, 8), edit_where="white")


def built(name: str, **config: Any) -> CompatibleImages:
    made = ROWS[name].imagekit_provider(Config(name, **config))
    assert isinstance(made, CompatibleImages)
    return made


def of(said: Mapping[str, Any], **config: Any) -> CompatibleImages:
    """A profile of openai-images with that row."""
    whole = {"base_url": "https://acme.example/v1", **said}
    made = images.imagekit_provider(Config("acme", settings={"row": whole}, **config))
    assert isinstance(made, CompatibleImages)
    return made


def asked(provider: CompatibleImages, *, stream: bool = False, **fields: Any) -> HttpRequest:
    wanted = ImageRequest(**{"prompt": "an otter", **fields})
    return provider.asked(wanted, stream=stream)


def told(provider: CompatibleImages, body: object, *, status: int = 200, **fields: Any) -> Played:
    wanted = ImageRequest(**{"prompt": "an otter", "model": "a-model", **fields})
    return play(provider.flow(wanted, stream=False), json_response(body, status))


# What is shipped.


@pytest.mark.parametrize("name", ROWS)
def test_a_shipped_row_is_short_dated_and_an_entry_point(name: str) -> None:
    text = files("imagekit_openai.rows").joinpath(f"{name}.toml").read_text("utf-8")
    said = tomllib.loads(text)
    assert len(text.splitlines()) <= 15
    assert said["source"]
    assert said["as_of"]
    with imagekit.Client(provider=name, env={}, config=False) as client:
        able = client.capabilities("whatever")
    assert able.source_of("mask").text == said["source"]
    assert able.source_of("streaming").as_of == said["as_of"]


@pytest.mark.parametrize("name", ROWS)
def test_what_only_openai_has_a_row_has_not(name: str) -> None:
    provider = built(name)
    assert getattr(provider, "family", None) is None
    for verb in ("batch", "resume", "cancel", "delete", "upload", "list_files", "moderate"):
        assert not hasattr(provider, verb), verb


def test_no_variable_of_openai_is_meant_for_another_host() -> None:
    env = {
        "OPENAI_API_KEY": "sk-of-openai",
        "OPENAI_BASE_URL": "https://elsewhere.example/v1",
        "OPENAI_ORG_ID": "org",
        "OPENAI_CUSTOM_HEADERS": "x-own: 1",
    }
    provider = built("xai", env=env)
    assert provider.endpoint.base_url == "https://api.x.ai/v1"
    assert provider.endpoint.missing == "no API key: set XAI_API_KEY, or pass api_key="
    assert signed(provider) == {}


def signed(provider: CompatibleImages) -> Mapping[str, str]:
    assert provider.endpoint.authorize is not None
    found: Mapping[str, str] = play(
        provider.endpoint.authorize(HttpRequest("POST", "/images/generations"))
    ).response
    return found


KEY = {"XAI_API_KEY": "xai-secret"}


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"env": KEY}, "xai-secret"),
        ({"env": KEY, "api_key": "mine"}, "mine"),
        ({"env": KEY, "base_url": "https://api.x.ai:443/v2"}, "xai-secret"),
        ({"env": KEY, "base_url": "https://api.x.ai.example/v1"}, None),
        ({"env": KEY, "base_url": "http://api.x.ai/v1"}, None),
        ({"env": KEY, "ambient": False}, None),
        ({"env": KEY, "ambient": False, "api_key": "mine"}, "mine"),
        ({"env": KEY, "settings": {"headers": {"Authorization": "Basic x"}}}, "Basic x"),
    ],
)
def test_a_rows_variable_is_for_the_rows_own_host(config: dict[str, Any], key: str | None) -> None:
    provider = built("xai", **config)
    found = signed(provider).get("authorization", "").removeprefix("Bearer ") or None
    assert found == key
    assert "secret" not in repr(provider.endpoint) + repr(provider.row)
    assert (provider.endpoint.missing is None) or (key is None and config["env"] == {})


def test_a_local_server_needs_no_key_and_takes_one() -> None:
    assert built("sglang").endpoint.missing is None
    assert signed(built("sglang")) == {}
    assert signed(built("sglang", api_key="mine")) == {"authorization": "Bearer mine"}


# What is said of a host.


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            {"steaming": True},
            "the row of 'acme': steaming: there is no such key; there are: absent",
        ),
        ({"fields": {"sed": "seed"}}, "the row of 'acme': fields.sed"),
        ({"fields": {"seed": "a..b"}}, "the row of 'acme': fields.seed"),
        ({"inputs": {"as": "yaml"}}, "the row of 'acme': inputs.as"),
        ({"inputs": {"won": "image"}}, "the row of 'acme': inputs.won: there is no such key"),
        ({"paths": {"edit": "images"}}, "the row of 'acme': paths.edit"),
        ({"mask": "grey"}, "the row of 'acme': mask"),
        ({"size": ["a", "b", "c"]}, "the row of 'acme': size"),
        ({"options": {"int": ["steps"]}}, "the row of 'acme': options.int"),
        ({"cost": {"a": 1, "b": 1}}, "the row of 'acme': cost"),
        ({"absent": ["user"], "fields": {"user": "who"}}, "the row of 'acme': 'user' is absent"),
        (
            {"fields": {"negative_prompt": "not"}, "negative_after": "|"},
            "the row of 'acme': a negative prompt has a field, or stands in the prompt, not both",
        ),
        ({"size": ["n", "n"]}, "the row of 'acme': size: 'n' is what every host calls its n"),
        ({"size": ["a", "a"]}, "the row of 'acme': size and size are both called 'a'"),
        ({"shape": ["model"]}, "the row of 'acme': shape: 'model' is what every host"),
        (
            {"fields": {"seed": "prompt"}},
            "the row of 'acme': fields.seed: 'prompt' is what every host calls its prompt",
        ),
        (
            {"fields": {"prompt": "text", "seed": "prompt"}},
            "the row of 'acme': fields.seed: 'prompt' is what every host calls its prompt",
        ),
        (
            {"fields": {"seed": "quality"}},
            "the row of 'acme': fields.quality and fields.seed are both called 'quality'",
        ),
        (
            {"fields": {"seed": "options", "quality": "options.x"}},
            "the row of 'acme': fields.quality is 'options.x' and fields.seed 'options'",
        ),
        (
            {"options": {"integer": ["size.w"]}},
            "the row of 'acme': size is 'size' and options.integer 'size.w': one inside",
        ),
        (
            {"options": {"integer": ["steps"], "string": ["steps"]}},
            "the row of 'acme': options.integer and options.string are both called 'steps'",
        ),
        ({"inputs": {"one": "n"}}, "the row of 'acme': inputs.one: 'n' is what every host"),
        ({"inputs": {"many": "user"}}, "the row of 'acme': fields.user and inputs.many are both"),
        (
            {"mask": "white", "options": {"string": ["mask"]}},
            "the row of 'acme': mask and options.string are both called 'mask'",
        ),
        (
            {"streaming": True, "options": {"boolean": ["stream"]}},
            "the row of 'acme': streaming and options.boolean are both called 'stream'",
        ),
        ({"send": {"n": 4}}, "the row of 'acme': send.n: 'n' is what every host calls its n"),
        (
            {"send": {"quality": "high"}},
            "the row of 'acme': fields.quality and send.quality are both called 'quality'",
        ),
        ({"size": [".w"]}, "the row of 'acme': size.0"),
        (
            {"inputs": {"picture": "$ur"}},
            "the row of 'acme': inputs.picture: nothing in it is $url",
        ),
        (
            {"inputs": {"picture": {"u": ["$file"]}}},
            "the row of 'acme': inputs.picture: nothing in it is $url or $base64",
        ),
        (
            {"inputs": {"file": {"id": "$url"}}},
            "the row of 'acme': inputs.file: nothing in it is $file, so no picture would be sent",
        ),
        ({"absent": ["prompt"]}, "the row of 'acme': absent: every host needs 'prompt'"),
        ({"absent": ["user", "n"]}, "the row of 'acme': absent: every host needs 'n'"),
    ],
)
def test_a_typo_is_an_error_that_names_the_row_and_the_key(
    said: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        of(said)
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize(
    "said",
    [
        {"fields": {"prompt": "prompt.text", "negative_prompt": "prompt.not"}},
        {"fields": {"n": "model.count", "model": "model.name"}},
        {"absent": ["quality"], "fields": {"seed": "quality"}},
        {"size": ["size"], "shape": ["size", "tier"]},
        {"inputs": {"one": "image", "many": "image"}},
        {"inputs": {"as": "json", "file": None, "picture": {"u": "$base64"}}},
        {"options": {"integer": ["steps"]}, "send": {"steps": 4}},
        {"streaming": True, "send": {"stream": False}},
        {"paths": {"edit": ""}, "mask": "white", "options": {"string": ["mask", "image"]}},
    ],
    ids=[
        "a name inside its own",
        "two names inside one",
        "a name that is free",
        "pixels or a shape",
        "one or many",
        "bare base64",
        "an option with a default",
        "a stream that is asked for",
        "no edits",
    ],
)
def test_names_that_never_meet_may_be_the_same(said: dict[str, Any]) -> None:
    assert of(said).row


def test_what_a_caller_sets_is_judged_with_the_row_it_stands_over() -> None:
    with pytest.raises(ConfigurationError, match="the row of 'xai': size: 'n' is what every host"):
        built("xai", settings={"size": ["n", "n"]})


def test_an_error_does_not_quote_what_may_be_a_key() -> None:
    with pytest.raises(ConfigurationError) as caught:
        of({"headers": ["sk-secret"], "api_key": "sk-secret"})
    assert "sk-secret" not in f"{caught.value!r} {caught.value.__cause__!r}"


def test_a_row_in_the_settings_is_a_table() -> None:
    with pytest.raises(ConfigurationError, match="the row of 'acme' is a table, and not one value"):
        images.imagekit_provider(Config("acme", settings={"row": "row.toml"}))


def test_a_row_is_no_setting_of_the_responses_api() -> None:
    with pytest.raises(ConfigurationError, match="say it to openai-images"):
        responses.imagekit_provider(Config("acme", settings={"row": {}}))


def test_a_row_without_an_address_wants_one() -> None:
    with pytest.raises(ConfigurationError, match="acme: nobody says where it is: say base_url="):
        images.imagekit_provider(Config("acme", settings={"row": {}}))


def test_settings_stand_in_place_of_what_the_row_says() -> None:
    assert built("sglang", settings={"mask": "white"}).capabilities(None).mask == "white"
    with pytest.raises(ConfigurationError, match="the row of 'mine': maks: there is no such key"):
        sglang.imagekit_provider(Config("mine", settings={"maks": "white"}))
    beside = {"row": {"base_url": "https://acme.example"}, "streaming": True}
    made = images.imagekit_provider(Config("acme", settings=beside))
    assert made.capabilities(None).streaming


def test_settings_win_over_the_row() -> None:
    own = built("xai", settings={"model": "grok-next"})
    assert asked(own).json["model"] == "grok-next"


def test_what_a_row_says_of_fields_is_known_of_the_models() -> None:
    able = built("vllm-omni").capabilities("m")
    assert able.supports("seed") == able.supports("negative_prompt") == "yes"
    assert [able.supports(name) for name in ("quality", "background", "moderation")] == ["no"] * 3
    assert able.supports("partial_images") == "no"
    assert built("localai").capabilities("m").supports("negative_prompt") == "yes"
    assert built("localai").capabilities("m").max_images_streamed is None
    streams = of({"streaming": True}).capabilities("m")
    assert streams.max_images_streamed == 1
    assert streams.supports("partial_images") == "unknown"
    assert streams.supports("seed") == "no"


def test_a_table_does_not_bring_back_what_the_row_says_is_absent(package: Path) -> None:
    (package / "gone.toml").write_text('base_url = "https://acme.example"\nabsent = ["user"]\n')
    (package / "known.toml").write_text('[gone."*"]\nparameters.user = "yes"\n')
    build: Any = row("acme_plugin", "gone.toml", "known.toml")
    assert build(config=Config("gone")).capabilities("m").supports("user") == "no"


def test_a_number_may_be_whole() -> None:
    for scale in (2, 2.5):
        said = {"sglang": {"guidance_scale": scale}}
        assert asked(built("sglang"), options=said).json["guidance_scale"] == scale


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "acme_plugin"
    home.mkdir()
    (home / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "acme_plugin", raising=False)
    return home


def test_a_row_in_a_package_of_ones_own(package: Path) -> None:
    (package / "acme.toml").write_text('base_url = "https://acme.example/v1"\nmask = "black"\n')
    (package / "known.toml").write_text('[acme."*"]\nmax_images = 3\n')
    build: Any = row("acme_plugin", "acme.toml", "known.toml")
    able = build(config=Config("acme")).capabilities("m")
    assert (able.max_images, able.mask, able.model) == (3, "black", "m")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("base_ulr = 1", "acme_plugin/bad.toml: base_ulr: there is no such key; there are: absent"),
        ("base_url = ", "acme_plugin/bad.toml is no TOML: "),
        (None, "acme_plugin does not ship its bad.toml: "),
    ],
)
def test_a_row_that_is_shipped_wrongly_is_the_plugins_fault(
    text: str | None, words: str, package: Path
) -> None:
    if text is not None:
        (package / "bad.toml").write_text(text)
    imagekit_openai._row.shipped.cache_clear()  # type: ignore[attr-defined]
    build: Any = row("acme_plugin", "bad.toml")
    with pytest.raises(PluginError) as caught:
        build(config=Config("acme"))
    assert str(caught.value).startswith(words)


def test_a_row_may_build_a_provider_of_ones_own(package: Path) -> None:
    class Mine(CompatibleImages):
        """Another."""

    (package / "acme.toml").write_text('base_url = "https://acme.example/v1"\n')
    build: Any = row("acme_plugin", "acme.toml", provider=Mine)
    assert type(build(config=Config("acme"))) is Mine


# What is asked.


@pytest.mark.parametrize(
    ("name", "fields", "path", "expected"),
    [
        (
            "localai",
            {"negative_prompt": "a cat", "options": {"localai": {"step": 9}}},
            "/images/generations",
            {"prompt": "an otter|a cat", "step": 9},
        ),
        (
            "localai",
            {"size": "64x48"},
            "/images/generations",
            {"prompt": "an otter", "size": "64x48"},
        ),
        (
            "localai",
            {"images": ONE},
            "/images/generations",
            {"prompt": "an otter", "file": b64(ONE)},
        ),
        (
            "localai",
            {"images": [URL, TWO]},
            "/images/generations",
            {"prompt": "an otter", "ref_images": [URL, b64(TWO)]},
        ),
        (
            "vllm-omni",
            {"seed": 0, "negative_prompt": "a cat", "n": 2},
            "/images/generations",
            {"prompt": "an otter", "seed": 0, "negative_prompt": "a cat", "n": 2},
        ),
        (
            "sglang",
            {"seed": 5},
            "/images/generations",
            {"prompt": "an otter", "seed": 5, "response_format": "b64_json"},
        ),
        (
            "sglang",
            {"options": {"sglang": {"extra_body": {"response_format": None, "x": 1}}}},
            "/images/generations",
            {"prompt": "an otter", "x": 1},
        ),
        (
            "sd-server",
            {"n": 2, "seed": 3, "quality": "high"},
            "/images/generations",
            {"prompt": "an otter", "n": 2, "model": "sd-cpp-local"},
        ),
        (
            "together",
            {"model": "m", "size": "64x48", "seed": 1},
            "/images/generations",
            {
                "prompt": "an otter",
                "model": "m",
                "seed": 1,
                "width": 64,
                "height": 48,
                "response_format": "base64",
            },
        ),
        (
            "together",
            {"model": "m", "size": "auto", "images": URL},
            "/images/generations",
            {
                "prompt": "an otter",
                "model": "m",
                "image_url": URL,
                "response_format": "base64",
            },
        ),
        (
            "together",
            {"model": "m", "images": [URL, URL]},
            "/images/generations",
            {
                "prompt": "an otter",
                "model": "m",
                "reference_images": [URL, URL],
                "response_format": "base64",
            },
        ),
        (
            "xai",
            {"size": "16:9@2k", "images": ONE, "user": "u"},
            "/images/edits",
            {
                "prompt": "an otter",
                "model": "grok-imagine-image",
                "user": "u",
                "aspect_ratio": "16:9",
                "resolution": "2k",
                "image": {"url": f"data:image/png;base64,{b64(ONE)}"},
                "response_format": "b64_json",
            },
        ),
        (
            "xai",
            {"size": "auto", "images": [ProviderFile("file-1"), URL]},
            "/images/edits",
            {
                "prompt": "an otter",
                "model": "grok-imagine-image",
                "aspect_ratio": "auto",
                "images": [{"file_id": "file-1"}, {"url": URL}],
                "response_format": "b64_json",
            },
        ),
        (
            "openrouter",
            {"model": "a/b", "size": "3:2", "images": URL},
            "/images",
            {
                "prompt": "an otter",
                "model": "a/b",
                "aspect_ratio": "3:2",
                "input_references": [{"type": "image_url", "image_url": {"url": URL}}],
            },
        ),
        (
            "openrouter",
            {"model": "a/b", "size": "64x48", "stream": True},
            "/images",
            {"prompt": "an otter", "model": "a/b", "size": "64x48", "stream": True},
        ),
    ],
)
def test_a_request_is_worded_as_the_row_says(
    name: str, fields: dict[str, Any], path: str, expected: dict[str, Any]
) -> None:
    request = asked(built(name), **fields)
    assert request.json == expected
    assert (request.method, request.url, request.form) == ("POST", path, ())


@pytest.mark.parametrize(
    ("name", "given", "names"),
    [
        ("vllm-omni", ONE, ["image"]),
        ("vllm-omni", [ONE, TWO], ["image[]", "image[]"]),
        ("sd-server", ONE, ["image[]"]),
        ("sd-server", [ONE, TWO], ["image[]", "image[]"]),
    ],
)
def test_pictures_in_a_form_are_called_as_the_row_says(
    name: str, given: Any, names: list[str]
) -> None:
    request = asked(built(name), images=given)
    assert request.url == "/images/edits"
    assert [part.name for part in request.parts] == names
    assert ("prompt", "an otter") in request.form


def test_a_form_knows_the_name_of_many_for_one_too() -> None:
    request = asked(of({"inputs": {"many": "pictures"}}), images=ONE)
    assert [part.name for part in request.parts] == ["pictures"]


def test_a_mask_goes_the_way_of_the_pictures() -> None:
    request = asked(built("sd-server"), images=png(8, 8), mask=MARKED)
    assert [part.name for part in request.parts] == ["image[]", "mask"]
    own = {"mask": "white", "inputs": {"as": "json", "picture": {"deep": [1, {"u": "$url"}]}}}
    body = asked(of(own), images=URL, mask=MARKED).json
    assert body["images"] == [{"deep": [1, {"u": URL}]}]
    body = asked(of({**own, "inputs": {"as": "json"}}), images=URL, mask=MARKED).json
    assert body["images"] == [{"image_url": URL}]
    assert body["mask"]["image_url"].startswith("data:image/png;base64,")


def test_a_name_with_a_dot_is_an_object_in_an_object() -> None:
    own = {"fields": {"seed": "parameters.seed", "n": "parameters.count"}}
    body = asked(of(own), seed=3, n=2).json
    assert body == {"prompt": "an otter", "parameters": {"seed": 3, "count": 2}}


def test_previews_are_asked_for_where_the_host_streams() -> None:
    streams = of({"streaming": True})
    assert asked(streams, stream=True, partial_images=2).json["partial_images"] == 2
    assert asked(streams, partial_images=2).json == {"prompt": "an otter"}


def test_a_negative_prompt_stands_after_the_prompt_only_where_it_is_said() -> None:
    assert asked(built("localai")).json == {"prompt": "an otter"}
    assert (
        asked(built("localai"), prompt=None, images=ONE, negative_prompt="x").json["prompt"] == "|x"
    )


@pytest.mark.parametrize(
    ("name", "fields", "error", "words"),
    [
        ("together", {}, RequestError, "no model of its own: name one by model="),
        ("openrouter", {}, RequestError, "no model of its own: name one by model="),
        ("sglang", {"size": "16:9"}, UnsupportedRequestError, "give pixels"),
        ("xai", {"size": "64x48"}, UnsupportedRequestError, "give one, such as size='16:9'"),
        ("sglang", {"options": {"sglang": {"step": 1}}}, RequestError, "no option 'step'"),
        (
            "sglang",
            {"options": {"sglang": {"num_inference_steps": "9"}}},
            RequestError,
            "option 'num_inference_steps'",
        ),
        (
            "xai",
            {"images": [ImageInput(data=ONE, role="markup")]},
            UnsupportedRequestError,
            "this host takes no markup",
        ),
    ],
)
def test_what_cannot_be_worded_is_an_error_before_the_network(
    name: str, fields: dict[str, Any], error: type[ImagekitError], words: str
) -> None:
    with pytest.raises(error, match=words):
        asked(built(name), **fields)


def test_a_state_is_nobodys_here() -> None:
    state = imagekit.State(provider="x", payload={})
    with pytest.raises(UnsupportedRequestError, match="keeps no state"):
        play(built("xai").flow(ImageRequest(prompt="x", state=state), stream=False))


def test_a_variation_is_made_by_an_edit_and_told() -> None:
    played = play(
        built("xai").flow(ImageRequest(images=ONE), stream=False),
        json_response({"data": [{"b64_json": b64(TWO)}]}),
    )
    assert played.requests[0].json["prompt"].startswith("Make a variation")
    assert [event.kind for event in played.events] == ["noticed"]


def test_a_host_that_edits_nothing_says_so() -> None:
    able = of({"paths": {"edit": ""}}).capabilities(None)
    assert able.operations == {"generate"}
    assert able.emulates == frozenset()


# What comes back.


def test_a_refused_picture_keeps_the_others() -> None:
    entries = [
        {"b64_json": f"data:image/png;base64,{b64(ONE)}", "respect_moderation": True},
        {"respect_moderation": False},
        {"url": URL, "respect_moderation": False},
        None,
    ]
    first, second, third, fourth = told(built("xai"), {"data": entries}, n=4).response.slots
    assert first.data == ONE
    assert (second.kind, second.stage) == ("refused", "output")
    assert isinstance(third, Image), "what came is kept"
    assert isinstance(fourth, ImageFailure)
    assert fourth.kind == "missing"


@pytest.mark.parametrize("name", ["together", "xai"])
def test_pictures_stand_where_their_index_says(name: str) -> None:
    refused = {"index": 1, "respect_moderation": False}
    entries = [{"index": 2, "b64_json": b64(TWO)}, refused, {"index": 0, "b64_json": b64(ONE)}]
    first, second, third = told(built(name), {"data": entries}, n=3).response.slots
    assert (first.data, third.data) == (ONE, TWO)
    assert second.kind == ("refused" if name == "xai" else "missing")


@pytest.mark.parametrize(
    ("one", "two"),
    [(0, 0), (1, None), ("1", "0"), (True, False), (1.0, 0.0), ([1], [0])],
    ids=["the same", "one is lacking", "texts", "yes and no", "fractions", "lists"],
)
def test_an_index_that_is_no_order_changes_none(one: object, two: object) -> None:
    entries = [{"index": one, "b64_json": b64(ONE)}, {"index": two, "b64_json": b64(TWO)}]
    slots = told(built("together"), {"data": entries}, n=2).response.slots
    assert [slot.data for slot in slots] == [ONE, TWO]


def test_bytes_that_are_no_picture_are_none() -> None:
    words = b64(b"hello not a picture")
    entries = [{"b64_json": words}, {"b64_json": words, "url": URL}, {"b64_json": b64(ONE)}]
    bad, kept, good = told(built("together"), {"data": entries}, n=3).response.slots
    assert (bad.kind, bad.reason) == ("failed", "19 bytes came that are no picture")
    assert (kept.data, kept.url) == (None, URL), "what it is, the link may say"
    assert good.data == ONE


def test_a_stream_that_ends_in_no_picture_announces_none() -> None:
    done = sse("image_generation.completed", b64_json=b64(b"hello not a picture"))
    provider = of({"streaming": True})
    opened = HttpResponse(200, {"content-type": "text/event-stream"})
    flow = provider.flow(ImageRequest(prompt="an otter"), stream=True)
    played = play(flow, opened, events=[done])
    assert not played.events
    assert played.response.slots[0].kind == "failed"


def test_an_answer_without_entries_refuses_nothing() -> None:
    assert told(built("xai"), {"respect_moderation": False}).response.slots == ()


def test_what_is_no_refusal_elsewhere_is_none() -> None:
    body = {"data": [{"respect_moderation": False}]}
    assert told(built("openrouter"), body).response.slots[0].kind == "missing"


@pytest.mark.parametrize(
    ("name", "usage", "amount"),
    [
        ("xai", {"cost_in_usd_ticks": 200_000_000}, "0.02"),
        ("xai", {"cost_in_usd_ticks": None}, None),
        ("xai", {}, None),
        ("xai", "free", None),
        ("xai", {"cost_in_usd_ticks": "NaN"}, None),
        ("xai", {"cost_in_usd_ticks": 0}, "0"),
        ("openrouter", {"cost": 0.04, "prompt_tokens": 3}, "0.04"),
        ("sglang", {"cost": 0.04}, None),
    ],
)
def test_a_price_is_read_where_the_row_says(name: str, usage: Any, amount: str | None) -> None:
    response = told(built(name), {"data": [{"b64_json": b64(ONE)}], "usage": usage}).response
    if amount is None:
        assert response.cost is None
    else:
        assert response.cost.amount == Decimal(amount)
        assert (response.cost.kind, response.cost.currency) == ("reported", "USD")


def test_the_model_is_the_one_asked_for_else_the_hosts_word_else_the_rows() -> None:
    def model(name: str, body: Mapping[str, Any], **fields: Any) -> str | None:
        found = told(built(name), {"data": [{"b64_json": b64(ONE)}], **body}, **fields).response
        assert found.model is None or isinstance(found.model, str)
        return found.model

    assert model("xai", {"model": "theirs"}, model="mine") == "mine"
    assert model("sglang", {"model": "theirs"}, model=None) == "theirs"
    assert model("xai", {}, model=None) == "grok-imagine-image"
    assert model("sglang", {"model": 3}, model=None) is None


@pytest.mark.parametrize(
    ("name", "status", "body", "error", "words"),
    [
        (
            "sd-server",
            400,
            {"error": "invalid params"},
            imagekit.InvalidRequestError,
            "invalid params",
        ),
        ("vllm-omni", 400, {"detail": "Model mismatch"}, imagekit.InvalidRequestError, "mismatch"),
        (
            "sglang",
            422,
            {"detail": [{"loc": ["body"], "msg": "Field required"}]},
            imagekit.InvalidRequestError,
            "Field required",
        ),
        (
            "openrouter",
            402,
            {"error": {"code": 402, "message": "no credits"}},
            QuotaExceededError,
            "no",
        ),
        (
            "openrouter",
            403,
            {"error": {"code": 403, "message": "no", "metadata": {"reasons": ["violence"]}}},
            ContentRejectedError,
            "no",
        ),
        (
            "openrouter",
            403,
            {"error": {"code": 403, "message": "not yours", "metadata": {"reasons": []}}},
            imagekit.PermissionDeniedError,
            "not yours",
        ),
        (
            "xai",
            403,
            {"error": {"message": "no", "metadata": {"reasons": ["violence"]}}},
            imagekit.PermissionDeniedError,
            "no",
        ),
    ],
)
def test_an_error_is_read_as_the_host_words_it(
    name: str, status: int, body: Any, error: type[ImagekitError], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        told(built(name), body, status=status)
    assert caught.value.status == status
    if isinstance(caught.value, ContentRejectedError):
        assert caught.value.categories == ("violence",)


def test_one_reason_need_not_be_a_list() -> None:
    provider = of({"rejected": "why"})
    with pytest.raises(ContentRejectedError) as caught:
        told(provider, {"error": {"message": "no", "why": "violence"}}, status=400)
    assert caught.value.categories == ("violence",)


def test_the_events_of_a_stream_are_told_and_its_price() -> None:
    request = ImageRequest(prompt="an otter", model="a/b")
    played = play(
        built("openrouter").flow(request, stream=True),
        HttpResponse(200, {"content-type": "text/event-stream"}),
        events=[
            sse("image_generation.text_chunk", phase="reasoning", text="hm"),
            sse("image_generation.text_chunk", text="<svg>"),
            sse("image_generation.text_chunk", phase="content"),
            sse("image_generation.partial_image", b64_json=b64(ONE), partial_image_index=0),
            sse("image_generation.completed", b64_json=b64(TWO), usage={"cost": 0.5}),
        ],
    )
    said = [(event.text, event.phase) for event in played.events if event.kind == "text"]
    assert said == [("hm", "reasoning"), ("<svg>", "content")]
    kinds = [event.kind for event in played.events]
    assert kinds == ["text", "text", "partial-image", "image-ready"]
    assert played.response.cost.amount == Decimal("0.5")
    assert played.response.model == "a/b"


def test_an_error_in_a_stream_of_theirs_is_one() -> None:
    flow = built("openrouter").flow(ImageRequest(prompt="x", model="a/b"), stream=True)
    wrong = {"error": {"message": "broke", "code": "server_error"}}
    with pytest.raises(imagekit.ProviderUnavailableError, match="broke"):
        play(flow, HttpResponse(200), events=[sse("error", **wrong)])


def test_a_host_that_does_not_stream_is_asked_for_the_whole() -> None:
    played = play(
        built("sglang").flow(ImageRequest(prompt="x", partial_images=2), stream=True),
        json_response({"data": [{"b64_json": b64(ONE)}]}),
    )
    assert "stream" not in played.requests[0].json
    assert played.response.slots[0].data == ONE


def test_its_models_can_be_listed() -> None:
    played = play(built("sd-server").list_models(), json_response({"data": [{"id": "one"}]}))
    assert [one.id for one in played.response] == ["one"]
    assert played.requests[0].url == "/models"


# What one builds on it.


class Wrapped(CompatibleImages):
    """A host whose events have names of their own."""

    def event(self, found: dict[str, Any]) -> dict[str, Any] | None:
        if found["type"] == "tick":
            return None
        return {**found, "type": f"image_generation.{found['type']}", "b64_json": found.get("png")}


def test_events_may_be_translated_or_passed_over() -> None:
    provider = Wrapped(Config("acme"), Row(base_url="https://acme.example", streaming=True))
    played = play(
        provider.flow(ImageRequest(prompt="x"), stream=True),
        HttpResponse(200),
        events=[sse("tick"), sse("partial_image", png=b64(ONE)), sse("completed", png=b64(TWO))],
    )
    assert [event.kind for event in played.events] == ["partial-image", "image-ready"]
    assert played.response.slots[0].data == TWO


def test_the_door_gives_what_people_build_on() -> None:
    assert imagekit_openai.row is row
    assert imagekit_openai.CompatibleImages is CompatibleImages
    with pytest.raises(AttributeError):
        imagekit_openai.rwo  # noqa: B018
