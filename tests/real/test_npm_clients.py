"""The `openai` and `ai` packages from npm against our server: what they read is what was made.

Each package has one script in `npm_clients/`, which asks for everything and prints what it read.
"""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import npm
import pytest
from drawing import SIZE, WORDS, drawn, mask, shades, transparent
from tally import Judge

import imagekit
from imagekit import AsyncClient, RetryPolicy
from imagekit.provider import Flow, sleep
from imagekit.server import Limits
from serving import serving
from toys import Inside, Plugged, Scripted, Server, Whole, answers, plugins, spelt

pytestmark = pytest.mark.real

OPENAI = Judge("the openai npm package as a client of our server")
AI = Judge("the ai npm package as a client of our server")

PACKAGES = {
    "openai": {"openai": "7.55.0"},
    "ai": {"ai": "7.0.173", "@ai-sdk/openai": "4.0.118", "zod": "4.6.7"},
}
SCRIPTS = Path(__file__).parent / "npm_clients"
GIVEN, MASK = shades(16), transparent()


def read(prompt: str | None = WORDS, images: Sequence[bytes] = (), **fields: Any) -> list[str]:
    """What a script must have read of it: what is drawn, as base64."""
    return [spelt(one) for one in drawn(prompt, images, **fields)]


def masked() -> list[str]:
    return read(images=GIVEN[:1], mask=mask(MASK), size=SIZE)


def never(request: imagekit.ImageRequest) -> Flow:
    """A picture that takes until somebody ends it."""
    while True:
        yield from sleep(0.01)


@contextmanager
def servers(service: Server) -> Iterator[dict[str, str]]:
    """The base URLs of a server for each purpose; one is in front of *service*, which fails."""

    def toy(made: object, **settings: Any) -> AsyncClient:
        return AsyncClient(plugins=plugins(toy=made), env={}, **settings)

    with ExitStack() as stack:

        def at(**settings: Any) -> str:
            return stack.enter_context(serving(**settings)).url

        broken = toy(Whole(base_url=service.url), provider="toy", retry=RetryPolicy(retries=0))
        yield {
            "sketch": at(provider="sketch"),
            "toy": at(register={"toy": Plugged(Scripted(never))}, limits=Limits(concurrent=1)),
            "locked": at(register={"toy": Plugged(Inside())}, tokens=["right-token"]),
            "named": at(client=toy(Inside()), models={"mine": "toy"}),
            "failing": at(client=broken),
        }


def run(name: str, judge: Judge) -> dict[str, Any]:
    """What the script of that name printed, and how often the failing service was asked."""
    why = npm.available(PACKAGES[name])
    if why is None:
        try:
            installed = npm.install(PACKAGES[name])
        except npm.OfflineError:
            why = "It is not installed yet, and npm does not reach its registry."
    if why is not None:
        judge.absent(why)
    with Server().does(answers(500)) as service, servers(service) as where:
        with_what = {"pictures": [spelt(one) for one in GIVEN], "mask": spelt(MASK)}
        asked = json.dumps({**where, **with_what, "words": WORDS, "size": SIZE})
        done = subprocess.run(
            ["node", "--input-type=module", "-", asked],
            input=(SCRIPTS / f"{name}.mjs").read_text("utf-8"),
            cwd=installed.folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return {**json.loads(done.stdout), "count": {"said": len(service.seen)}}


@pytest.fixture(scope="module")
def openai() -> dict[str, Any]:
    return run("openai", OPENAI)


@pytest.fixture(scope="module")
def ai() -> dict[str, Any]:
    return run("ai", AI)


@contextmanager
def told(judge: Judge, by: Mapping[str, Any], step: str, *, differs: str | None = None) -> Any:
    """What a step of a script read."""
    with judge.asked(differs=differs):
        assert "broke" not in by[step], by[step]["broke"]
        yield by[step]["said"]


# --- openai


def test_openai_reads_two_pictures_and_what_went_otherwise(openai: Any) -> None:
    with told(OPENAI, openai, "generate") as said:
        assert said["pictures"] == read(n=2, size=SIZE)
        assert said["size"] == SIZE
        assert said["id"].startswith("req_")
        assert {one["feature"] for one in said["notices"]} == {"model", "quality"}


@pytest.mark.parametrize(("name", "count"), [("one", 1), ("four", 4), ("sixteen", 16)])
def test_openai_edits_one_and_four_and_sixteen_pictures(openai: Any, name: str, count: int) -> None:
    with told(OPENAI, openai, f"edit_{name}") as said:
        assert said == read(images=GIVEN[:count], size=SIZE)


def test_openai_edits_by_a_mask(openai: Any) -> None:
    with told(OPENAI, openai, "edit_masked") as said:
        assert said == masked()


def test_openai_fetches_a_variation_by_its_link(openai: Any) -> None:
    with told(OPENAI, openai, "variation") as said:
        assert [said] == read(None, images=GIVEN[:1])


def test_openai_streams_a_picture(openai: Any) -> None:
    with told(OPENAI, openai, "image_stream") as said:
        previews = ["image_generation.partial_image"] * 2
        assert [one["type"] for one in said] == [*previews, "image_generation.completed"]
        assert [one["partial_image_index"] for one in said[:-1]] == [0, 1]
        assert [said[-1]["b64_json"]] == read(size=SIZE)


def test_openai_streams_an_edit(openai: Any) -> None:
    with told(OPENAI, openai, "edit_stream") as said:
        assert [one["type"] for one in said] == ["image_edit.partial_image", "image_edit.completed"]
        assert [said[-1]["b64_json"]] == read(images=GIVEN[:1], size=SIZE)


def test_openai_reads_a_response_and_reads_it_again(openai: Any) -> None:
    with told(OPENAI, openai, "response") as said:
        [call] = said["response"]["output"]
        assert (call["type"], call["status"]) == ("image_generation_call", "completed")
        assert [call["result"]] == read(size=SIZE)
        assert said["again"] == said["response"]


def test_openai_streams_a_response_in_its_order(openai: Any) -> None:
    with told(OPENAI, openai, "response_stream") as said:
        assert [one["sequence_number"] for one in said] == list(range(len(said)))
        assert said[0]["type"] == "response.created"
        assert said[-1]["type"] == "response.completed"
        kinds = [one["type"] for one in said]
        assert kinds.count("response.image_generation_call.partial_image") == 2
        assert [said[-1]["response"]["output"][0]["result"]] == read(size=SIZE)


def test_openai_gives_its_own_account_of_a_stream(openai: Any) -> None:
    with told(OPENAI, openai, "account_of_a_stream") as said:
        assert said == read(size=SIZE)


def test_openai_goes_on_by_an_id_or_by_the_items(openai: Any) -> None:
    with told(OPENAI, openai, "conversation") as said:
        first = base64.b64decode(said["first"][0])
        assert said["by_id"] == said["by_items"] == read("with a tail", images=[first], size=SIZE)


def test_openai_asks_for_what_is_made_in_the_background(openai: Any) -> None:
    with told(OPENAI, openai, "background") as said:
        assert (said["began"], said["status"]) == ("queued", "completed")
        assert said["pictures"] == read(size=SIZE)


def test_openai_takes_up_a_background_stream_after_any_event(openai: Any) -> None:
    with told(OPENAI, openai, "background_stream") as said:
        assert said["whole"][-1]["type"] == "response.completed"
        assert said["rest"] == said["whole"][5:]


def test_openai_cancels_and_deletes(openai: Any) -> None:
    with told(OPENAI, openai, "cancel") as said:
        assert (said["ended"], said["after"]) == ("cancelled", "cancelled")
        assert said["gone"]["kind"] == "NotFoundError"


def test_openai_gives_pictures_by_the_id_of_a_file(openai: Any) -> None:
    with told(OPENAI, openai, "files") as said:
        assert (said["name"], said["bytes"], said["listed"]) == ("a.png", len(GIVEN[0]), True)
        assert said["kept"] == spelt(GIVEN[0])
        assert said["by_id"] == said["edited"] == read(images=GIVEN[:1], size=SIZE)
        assert said["deleted"]
        assert said["gone"]["kind"] == "NotFoundError"


def test_openai_lists_the_models(openai: Any) -> None:
    with told(OPENAI, openai, "models") as said:
        assert said["listed"] == [said["one"]["id"]] == ["sketch-1"]


@pytest.mark.parametrize(
    ("step", "kind", "status", "code", "param", "type"),
    [
        ("bad_request", "BadRequest", 400, "integer_above_max_value", "n", "invalid_request_error"),
        ("authentication", "Authentication", 401, "invalid_api_key", None, "invalid_request_error"),
        ("not_found", "BadRequest", 400, "invalid_value", "model", "image_generation_user_error"),
        ("no_response", "NotFound", 404, None, None, "invalid_request_error"),
        ("rate_limit", "RateLimit", 429, "rate_limit_exceeded", None, "rate_limit_error"),
        ("broken", "InternalServer", 502, "server_error", None, "server_error"),
    ],
)
def test_openai_raises_its_own_errors(
    openai: Any, step: str, kind: str, status: int, code: str, param: str, type: str
) -> None:
    with told(OPENAI, openai, step) as said:
        assert said.pop("id").startswith("req_")
        about = {"status": status, "code": code, "param": param, "type": type}
        assert said == {"kind": f"{kind}Error", **about}


def test_openai_does_not_send_again_what_may_have_been_charged(openai: Any) -> None:
    with told(OPENAI, openai, "count") as said:
        assert said == 1


# --- ai


def test_ai_reads_two_pictures_and_what_is_said_of_them(ai: Any) -> None:
    with told(AI, ai, "generate") as said:
        assert said["pictures"] == read(n=2, size=SIZE, output_format="webp")
        assert said["kinds"] == ["image/webp"] * 2
        assert [(one["size"], one["outputFormat"]) for one in said["about"]] == [(SIZE, "webp")] * 2


def test_ai_reads_the_bytes_of_a_model_of_old(ai: Any) -> None:
    with told(AI, ai, "generate_of_old") as said:
        assert said == read(size=SIZE)


@pytest.mark.parametrize(("name", "count"), [("one", 1), ("four", 4)])
def test_ai_edits_one_and_four_pictures(ai: Any, name: str, count: int) -> None:
    with told(AI, ai, f"edit_{name}") as said:
        assert said == read(images=GIVEN[:count], size=SIZE)


def test_ai_edits_by_a_mask(ai: Any) -> None:
    with told(AI, ai, "edit_masked") as said:
        assert said == masked()


def test_ai_calls_the_tool_and_goes_on_by_the_id(ai: Any) -> None:
    with told(AI, ai, "tool") as said:
        assert said["first"] == read(size=SIZE)
        first = base64.b64decode(said["first"][0])
        assert said["next"] == read("with a tail", images=[first], size=SIZE)


def test_ai_calls_the_tool_with_a_picture(ai: Any) -> None:
    with told(AI, ai, "tool_with_a_picture") as said:
        assert said == read(images=GIVEN[:1], size=SIZE)


def test_ai_goes_on_by_the_messages_so_far(ai: Any) -> None:
    with told(AI, ai, "tool_and_the_conversation_so_far") as said:
        first = base64.b64decode(said["first"][0])
        assert said["next"] == read("with a tail", images=[first], size=SIZE)


def test_ai_streams_previews_and_then_the_picture(ai: Any) -> None:
    with told(AI, ai, "tool_stream") as said:
        assert not [one for one in said if one.get("error")]
        shown = [one for one in said if one["type"] == "tool-result"]
        assert [shown[-1]["result"]] == read(size=SIZE)
        assert len({one["result"] for one in shown}) == 3


@pytest.mark.parametrize(
    ("step", "status", "code"),
    [("bad_request", 400, "invalid_value"), ("authentication", 401, "invalid_api_key")],
)
def test_ai_raises_its_own_error_and_does_not_ask_again(
    ai: Any, step: str, status: int, code: str
) -> None:
    with told(AI, ai, step) as said:
        assert (said["kind"], said["isRetryable"]) == ("AI_APICallError", False)
        assert (said["status"], said["error"]["code"]) == (status, code)


REPEATS = "it sends every 5xx again, whatever x-should-retry says"


def test_ai_sends_again_what_may_have_been_charged_as_it_does_with_every_5xx(ai: Any) -> None:
    with told(AI, ai, "broken") as said:
        assert (said["kind"], said["error"]["code"]) == ("AI_RetryError", "server_error")
    with told(AI, ai, "count", differs=REPEATS) as said:
        assert said == 2
