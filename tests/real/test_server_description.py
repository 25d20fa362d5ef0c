"""What our server answers, by OpenAI's published description: whole, streamed, and as errors."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import description
import pytest
from description import check_answer, errors_of
from tally import Judge

import imagekit
from imagekit import Image, ImageRequest, ImageResponse, Usage, UsageItem
from imagekit.provider import Flow, emit, sleep
from imagekit.server import Limits
from serving import Serving, serving
from spoken import httpx
from toys import Plugged, Scripted, picture

JUDGE = Judge("OpenAI's published description, of our server's answers, by jsonschema")

pytestmark = pytest.mark.real

PNG = picture(90, 64, 64)
TOOL = {"type": "image_generation", "size": "1024x1024"}
# The description allows no null for a user, so there is one.
TOLD = {"input": "a hill", "tools": [TOOL], "user": "somebody"}
PATHS = {"images": "/v1/images/generations", "edits": "/v1/images/edits", "talk": "/v1/responses"}


@pytest.fixture(scope="module", autouse=True)
def described() -> None:
    """There is a description."""
    if not description.here():
        JUDGE.absent(description.ABSENT)


@dataclass
class Toy:
    """Makes grey pictures of a size that the description knows, and says all there is to say."""

    fails: list[Exception] = field(default_factory=list)
    waits: bool = False

    def flow(self, request: ImageRequest) -> Flow:
        for step in range(request.partial_images or 0):
            preview = Image(data=picture(200 + step, 1024, 1024))
            yield from emit(imagekit.PartialImage(index=0, step=step, image=preview))
        while self.waits:
            yield from sleep(0.01)
        if self.fails:
            raise self.fails.pop(0)
        if "words" in (request.prompt or ""):
            yield from emit(imagekit.Text(text="Here you ", phase="content"))
            yield from emit(imagekit.Text(text="are.", phase="content"))
        images = tuple(
            Image(
                data=picture(place, 1024, 1024),
                revised_prompt="a grey hill",
                echo={"quality": "low", "background": "opaque"},
            )
            for place in range(request.n)
        )
        for index, image in enumerate(images):
            yield from emit(imagekit.ImageReady(index=index, image=image))
        counts = [
            UsageItem(quantity=7, direction="input", modality="text"),
            UsageItem(quantity=90, direction="output", modality="image"),
            UsageItem(quantity=30, direction="input", modality="text", model="gpt-6.1-sol"),
            UsageItem(quantity=4, direction="output", modality="text", model="gpt-6.1-sol"),
        ]
        return ImageResponse(slots=images, model="toy-1", usage=Usage(items=tuple(counts)))


@pytest.fixture(scope="module")
def stage() -> Iterator[tuple[Toy, Serving]]:
    """A toy, and the server in front of it."""
    toy = Toy()
    able = {"operations": frozenset({"generate", "edit", "variation"}), "streaming": True}
    provider = Scripted(toy.flow, **able, max_images=10, max_inputs=16, mask="transparent")
    with serving(register={"toy": Plugged(provider)}) as found:
        yield toy, found


@pytest.fixture
def toy(stage: tuple[Toy, Serving]) -> Toy:
    found = stage[0]
    found.fails, found.waits = [], False
    return found


@pytest.fixture
def server(stage: tuple[Toy, Serving], toy: Toy) -> Serving:
    return stage[1]


@pytest.fixture(scope="module")
def sketch() -> Iterator[Serving]:
    with serving(provider="sketch") as found:
        yield found


@dataclass(frozen=True)
class Differs:
    """A difference that we mean: why, and what the description says of it, line for line."""

    why: str
    lines: str


def judged(
    found: httpx.Response,
    like: str | None = None,
    *,
    differs: Differs | None = None,
    status: int = 200,
) -> httpx.Response:
    """An answer, as the description has it; where it has no such path, one *like* another."""
    assert found.status_code == status
    method, path = found.request.method, found.request.url.path
    if like is not None:
        method, _, path = like.partition(" ")
    with JUDGE.asked(differs=differs.why if differs else None):
        kind = found.headers["content-type"]
        wrong = check_answer(method, path, found.status_code, kind, found.content)
        if differs is None:
            assert wrong == []
        else:
            assert wrong
            assert [one for one in wrong if not re.fullmatch(differs.lines, one)] == []
    return found


def events(found: httpx.Response) -> list[dict[str, Any]]:
    lines = found.text.splitlines()
    return [json.loads(one[6:]) for one in lines if one.startswith("data: ")]


# --- the Images API


def older(what: str, lines: str) -> Differs:
    return Differs(f"it is older than {what}", lines)


GIF = older("gif and svg", r"\$\.output_format: '(gif|svg)' is not one of .*")
SIZE = older("free sizes", r"(event \d+: )?\$\.size: '\d+x\d+' is not one of .*")
QUALITY = older("xhigh and max", r"(event \d+: )?\$\.quality: '(xhigh|max)' is not one of .*")

GENERATIONS: dict[str, tuple[dict[str, Any], Differs | None]] = {
    "the least": ({}, None),
    "three": ({"n": 3}, None),
    "everything": ({"quality": "high", "moderation": "low", "background": "opaque"}, None),
    "whose": ({"user": "somebody"}, None),
    "old": ({"model": "dall-e-3", "style": "vivid"}, None),
    "links": ({"model": "mine", "response_format": "url"}, None),
}
FORMATS = {"png": None, "jpeg": None, "webp": None, "gif": GIF, "svg": GIF}


@pytest.mark.parametrize("which", GENERATIONS)
def test_a_generation_is_as_described(server: Serving, which: str) -> None:
    more, differs = GENERATIONS[which]
    judged(
        httpx.post(f"{server.url}/images/generations", json={"prompt": "a hill", **more}),
        differs=differs,
    )


@pytest.mark.parametrize("kind", FORMATS)
def test_a_format_is_as_described_or_newer(sketch: Serving, kind: str) -> None:
    asked = {"prompt": "a hill", "size": "1024x1024", "output_format": kind}
    answer = judged(
        httpx.post(f"{sketch.url}/images/generations", json=asked), differs=FORMATS[kind]
    )
    assert answer.json()["output_format"] == kind


@pytest.mark.parametrize("stream", [False, True])
def test_a_size_of_ones_own_is_newer_than_the_description(sketch: Serving, stream: bool) -> None:
    asked = {"prompt": "a hill", "size": "48x64", "stream": stream}
    judged(httpx.post(f"{sketch.url}/images/generations", json=asked), differs=SIZE)


@pytest.mark.parametrize("stream", [False, True])
def test_the_highest_qualities_are_newer_than_the_description(
    sketch: Serving, stream: bool
) -> None:
    asked = {"prompt": "a hill", "size": "1024x1024", "quality": "max", "stream": stream}
    judged(httpx.post(f"{sketch.url}/images/generations", json=asked), differs=QUALITY)


@pytest.mark.parametrize("partial", [0, 3])
def test_a_generation_is_streamed_as_described(server: Serving, partial: int) -> None:
    asked = {"prompt": "a hill", "stream": True, "partial_images": partial}
    answer = judged(httpx.post(f"{server.url}/images/generations", json=asked))
    assert len(events(answer)) == partial + 1


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("count", [1, 4])
def test_an_edit_is_as_described(server: Serving, count: int, stream: bool) -> None:
    parts = [("image[]", (f"{place}.png", PNG)) for place in range(count)]
    said = {"prompt": "by night", "partial_images": "1", "stream": "true" if stream else "false"}
    answer = judged(httpx.post(f"{server.url}/images/edits", files=parts, data=said))
    assert len(events(answer)) == 2 * stream


def test_an_edit_as_json_is_as_described(server: Serving) -> None:
    part = {"file": ("a.png", PNG)}
    upload = httpx.post(f"{server.url}/files", files=part, data={"purpose": "vision"})
    asked = {"prompt": "by night", "images": [{"file_id": upload.json()["id"]}]}
    judged(httpx.post(f"{server.url}/images/edits", json=asked))


@pytest.mark.parametrize("kind", ["url", "b64_json"])
def test_a_variation_is_as_described(server: Serving, kind: str) -> None:
    said = {"response_format": kind, "n": "2"}
    judged(httpx.post(f"{server.url}/images/variations", files={"image": PNG}, data=said))


BROKEN = Differs(
    "it has no error among the events of a picture; the live service sends one",
    r"event 1: \$\.type: 'error' .*|event 1: \$: .*",
)


def test_a_picture_stream_that_breaks_ends_in_an_error_event(server: Serving, toy: Toy) -> None:
    toy.fails = [imagekit.ProviderUnavailableError("down", status=503)]
    asked = {"prompt": "a hill", "stream": True, "partial_images": 1}
    answer = judged(httpx.post(f"{server.url}/images/generations", json=asked), differs=BROKEN)
    with JUDGE.asked():
        assert errors_of("ErrorResponse", {"error": events(answer)[-1]["error"]}) == []


# --- the Responses API

TALKS: dict[str, dict[str, Any]] = {
    "the least": {},
    "words and a picture": {"input": "words"},
    "led": {"model": "gpt-6.1-sol", "reasoning": {"effort": "low"}, "instructions": "Be brief."},
    "everything": {
        "metadata": {"a": "b"},
        "temperature": 0.5,
        "top_p": 0.5,
        "truncation": "auto",
        "parallel_tool_calls": False,
        "max_output_tokens": 400,
        "max_tool_calls": 2,
        "prompt_cache_key": "k",
        "text": {"format": {"type": "text"}},
        "tool_choice": {"type": "image_generation"},
    },
    "not kept": {"store": False},
    "whose": {"safety_identifier": "somebody"},
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("which", TALKS)
def test_a_response_is_as_described(server: Serving, which: str, stream: bool) -> None:
    tool = {**TOOL, "partial_images": 2} if stream else TOOL
    asked = {**TOLD, "tools": [tool], **TALKS[which], "stream": stream}
    judged(httpx.post(f"{server.url}/responses", json=asked))


NULL = Differs(
    "it wants a text for the user; the live service says null where there is none",
    r"\$\.user: None is not of type 'string'",
)


def test_a_response_of_nobody_has_null_for_its_user(server: Serving) -> None:
    asked = {name: said for name, said in TOLD.items() if name != "user"}
    judged(httpx.post(f"{server.url}/responses", json=asked), differs=NULL)


@pytest.mark.parametrize("stream", [False, True])
def test_a_response_in_the_background_is_as_described_until_it_is_deleted(
    server: Serving, stream: bool
) -> None:
    asked = {**TOLD, "background": True, "stream": stream}
    first = judged(httpx.post(f"{server.url}/responses", json=asked))
    id = events(first)[0]["response"]["id"] if stream else first.json()["id"]
    where = f"{server.url}/responses/{id}"
    while judged(httpx.get(where)).json()["status"] != "completed":
        time.sleep(0.01)
    if stream:
        again = httpx.get(where, params={"stream": "true", "starting_after": 1})
        judged(again, like="POST /v1/responses")
    judged(httpx.delete(where))
    judged(httpx.get(where), status=404)
    judged(httpx.delete(where), status=404)


def test_a_cancelled_response_is_as_described(server: Serving, toy: Toy) -> None:
    toy.waits = True
    asked = {**TOLD, "background": True}
    first = judged(httpx.post(f"{server.url}/responses", json=asked))
    where = f"{server.url}/responses/{first.json()['id']}"
    ended = judged(httpx.post(f"{where}/cancel"), like="GET /v1/responses/resp_1")
    assert ended.json()["status"] == "cancelled"
    assert judged(httpx.get(where)).json()["status"] == "cancelled"


ENDS: dict[str, tuple[imagekit.ImagekitError, str]] = {
    "failed": (imagekit.ProviderUnavailableError("down", status=503), "response.failed"),
    "limited": (imagekit.RateLimitError("slowly", status=429), "response.failed"),
}


@pytest.mark.parametrize("which", ENDS)
def test_a_response_that_fails_while_it_is_streamed_is_as_described(
    server: Serving, toy: Toy, which: str
) -> None:
    error, last = ENDS[which]
    toy.fails = [error]
    answer = judged(httpx.post(f"{server.url}/responses", json={**TOLD, "stream": True}))
    assert events(answer)[-1]["type"] == last


def rejected() -> list[Exception]:
    return [imagekit.ContentRejectedError("no", stage="input", categories=("violence",))]


def test_a_stream_whose_picture_is_rejected_is_as_described(server: Serving, toy: Toy) -> None:
    toy.fails = rejected()
    asked = {**TOLD, "stream": True, "tools": [{**TOOL, "partial_images": 1}]}
    answer = judged(httpx.post(f"{server.url}/responses", json=asked))
    output = events(answer)[-1]["response"]["output"]
    assert [one["status"] for one in output] == ["failed"]


@pytest.mark.parametrize("path", ["images/generations", "responses"])
def test_a_rejected_prompt_is_an_error_as_described(server: Serving, toy: Toy, path: str) -> None:
    toy.fails = rejected()
    asked = TOLD if path == "responses" else {"prompt": "a hill"}
    judged(httpx.post(f"{server.url}/{path}", json=asked), status=400)


# --- files and models


def test_files_are_as_described(server: Serving) -> None:
    said = {"files": {"file": ("a.png", PNG)}, "data": {"purpose": "vision"}}
    made = judged(httpx.post(f"{server.url}/files", **said)).json()
    judged(httpx.get(f"{server.url}/files"))
    with JUDGE.asked():
        assert errors_of("OpenAIFile", httpx.get(f"{server.url}/files/{made['id']}").json()) == []


LINES = {
    "generations": ({"prompt": "a hill", "quality": "low"}, "ImagesResponse"),
    "edits": ({"prompt": "by night"}, "ImagesResponse"),
    "talk": (TOLD, "Response"),
}


@pytest.mark.parametrize("which", [*LINES, "images"])
def test_what_a_batch_is_answered_is_as_described(server: Serving, toy: Toy, which: str) -> None:
    """It has no batches; of their lines it knows the answers, and of their files what is told."""
    body, schema = LINES.get(which, ({"prompt": "a hill"}, "ImagesResponse"))
    part = {"file": ("a.png", PNG)}
    if which == "edits":
        upload = httpx.post(f"{server.url}/files", files=part, data={"purpose": "vision"})
        body = {**body, "images": [{"file_id": upload.json()["id"]}]}
    if which == "images":
        toy.fails = rejected()
    line = {"custom_id": "a", "method": "POST", "url": PATHS.get(which, PATHS["images"])}
    data = json.dumps({**line, "body": body}).encode()
    said = {"files": {"file": ("a.jsonl", data)}, "data": {"purpose": "batch"}}
    file = judged(httpx.post(f"{server.url}/files", **said)).json()
    asked = {"input_file_id": file["id"], "endpoint": line["url"], "completion_window": "24h"}
    where = f"{server.url}/batches/{httpx.post(f'{server.url}/batches', json=asked).json()['id']}"
    while (done := httpx.get(where).json())["status"] != "completed":
        time.sleep(0.01)
    about = f"{server.url}/files/{done['output_file_id'] or done['error_file_id']}"
    row = json.loads(httpx.get(f"{about}/content").content)
    judged(httpx.get(f"{server.url}/files"))
    with JUDGE.asked():
        assert errors_of("OpenAIFile", httpx.get(about).json()) == []
    with JUDGE.asked():
        kind = "ErrorResponse" if which == "images" else schema
        assert errors_of(kind, row["response"]["body"]) == []
    judged(httpx.post(f"{where}/cancel"), like="POST /v1/responses", status=409)


def test_models_are_as_described(sketch: Serving) -> None:
    judged(httpx.get(f"{sketch.url}/models"))
    with JUDGE.asked():
        assert errors_of("Model", httpx.get(f"{sketch.url}/models/sketch-1").json()) == []


# --- errors

WRONG: dict[str, tuple[int, Callable[[str], httpx.Response]]] = {
    "empty": (400, lambda url: httpx.post(f"{url}/images/generations", json={"prompt": ""})),
    "no JSON": (
        400,
        lambda url: httpx.post(
            f"{url}/images/generations", content=b"{", headers={"content-type": "application/json"}
        ),
    ),
    "no type": (415, lambda url: httpx.post(f"{url}/images/generations", content=b"{}")),
    "unknown": (400, lambda url: httpx.post(f"{url}/responses", json={**TOLD, "seed": 1})),
    "no tool": (400, lambda url: httpx.post(f"{url}/responses", json={"input": "a hill"})),
    "no picture": (
        400,
        lambda url: httpx.post(f"{url}/images/edits", files={"prompt": (None, "x")}),
    ),
    "no image": (
        400,
        lambda url: httpx.post(
            f"{url}/images/edits", files={"image": b"text"}, data={"prompt": "x"}
        ),
    ),
    "no purpose": (400, lambda url: httpx.post(f"{url}/files", files={"file": PNG})),
    "no response": (404, lambda url: httpx.get(f"{url}/responses/resp_0")),
}
ELSEWHERE: dict[str, tuple[int, Callable[[str], httpx.Response]]] = {
    "no path": (404, lambda url: httpx.post(f"{url}/chat/completions", json={})),
    "no method": (405, lambda url: httpx.get(f"{url}/responses")),
    "no file": (404, lambda url: httpx.get(f"{url}/files/file-0")),
    "no variation": (404, lambda url: httpx.get(f"{url}/images/results/none.png")),
}
FAULTS: Mapping[int, imagekit.ImagekitError] = {
    429: imagekit.QuotaExceededError("used up", status=429),
    500: imagekit.NoImageError("nothing came"),
    502: imagekit.AuthenticationError("who are you", status=401),
    503: imagekit.ConnectionFailedError("nobody there"),
    504: imagekit.DeadlineExceededError("too late"),
}


@pytest.mark.parametrize("which", WRONG)
def test_an_error_is_as_described(sketch: Serving, which: str) -> None:
    status, ask = WRONG[which]
    judged(ask(sketch.url), status=status)


@pytest.mark.parametrize("which", ELSEWHERE)
def test_an_error_where_nothing_is_described_looks_the_same(sketch: Serving, which: str) -> None:
    status, ask = ELSEWHERE[which]
    judged(ask(sketch.url), like="POST /v1/responses", status=status)


@pytest.mark.parametrize("path", ["images/generations", "responses"])
@pytest.mark.parametrize("status", FAULTS)
def test_a_fault_of_the_providers_is_as_described(
    server: Serving, toy: Toy, status: int, path: str
) -> None:
    toy.fails = [FAULTS[status]]
    asked = TOLD if path == "responses" else {"prompt": "a hill"}
    judged(httpx.post(f"{server.url}/{path}", json=asked), status=status)


def test_who_is_not_let_in_is_told_so_as_described() -> None:
    with serving(provider="sketch", tokens=["right-token"]) as server:
        judged(httpx.get(f"{server.url}/models"), status=401)


def test_what_is_too_large_is_told_so_as_described() -> None:
    with serving(provider="sketch", limits=Limits(body=100)) as server:
        asked = {"prompt": "a hill" * 100}
        judged(httpx.post(f"{server.url}/images/generations", json=asked), status=413)
