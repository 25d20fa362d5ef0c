"""Files, models and moderations: the official client asks the same, and reads the same answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from openai.pagination import SyncCursorPage
from openai.types import FileDeleted, FileObject, Model, ModerationCreateResponse
from openai_wire import (
    KEY,
    ONE,
    b64,
    image_event,
    images_body,
    of_images,
    of_responses,
    sse_bytes,
)
from test_background import COLOURS, TOKEN, a_client

import imagekit
from imagekit import (
    Client,
    ImagekitError,
    ImageRequest,
    InvalidRequestError,
    ProtocolError,
    ProviderFile,
    RequestError,
    UnsupportedRequestError,
)
from imagekit.testing import json_response, play
from imagekit_openai import _beside
from serving import serving
from spoken import httpx
from strictly import known
from ways import WAYS, make

BOTH = ["openai-images", "openai-responses"]
MOMENT = datetime(2026, 11, 20, 18, 44, 56, tzinfo=UTC)
FILE = {
    "id": "file-1",
    "object": "file",
    "bytes": len(ONE),
    "created_at": 1795200296,
    "expires_at": None,
    "filename": "otter.png",
    "purpose": "vision",
    "status": "processed",
}
STORED = imagekit.StoredFile(
    id="file-1", name="otter.png", size=len(ONE), purpose="vision", created=MOMENT
)
MODEL = {
    "id": "gpt-image-1.5",
    "object": "model",
    "created": 1795200296,
    "owned_by": "system",
    "shutdown_date": "2026-12-01",
}
NAMES = (
    "harassment", "harassment/threatening", "hate", "hate/threatening", "illicit",
    "illicit/violent", "self-harm", "self-harm/instructions", "self-harm/intent", "sexual",
    "sexual/minors", "violence", "violence/graphic",
)  # fmt: skip
MODERATION = {
    "id": "modr-1",
    "model": "omni-moderation-latest",
    "results": [
        {
            "flagged": True,
            "categories": {name: name == "violence" for name in NAMES},
            "category_scores": {name: place / 100 for place, name in enumerate(NAMES)},
            "category_applied_input_types": {name: ["text"] for name in NAMES},
        }
    ],
}


def test_the_official_types_know_our_literals() -> None:
    known(FileObject, FILE)
    known(Model, MODEL)
    known(ModerationCreateResponse, MODERATION)
    known(FileDeleted, {"id": "file-1", "object": "file", "deleted": True})


# --- the official client as judge


def noted(into: list[Any], one: Any) -> None:
    """Method, URL and body, without what a form's parts are parted by."""
    body = one.read()
    edge = one.headers.get("content-type", "").partition("; boundary=")[2].encode()
    said: Any = body
    if edge:
        said = sorted(body.split(b"--" + edge))
    elif body:
        said = json.loads(body)
    into.append((one.method, str(one.url), said))


def both(ours: Callable[[Client], Any], theirs: Callable[[openai.OpenAI], Any], answer: Any) -> Any:
    """What we found; the official client, which does the same, has sent the same."""
    by_us: list[Any] = []
    by_them: list[Any] = []

    def mine(one: httpx.Request) -> httpx.Response:
        noted(by_us, one)
        return httpx.Response(200, json=answer)

    def other(one: httpx2.Request) -> httpx2.Response:
        noted(by_them, one)
        return httpx2.Response(200, json=answer)

    with (
        Client(provider=BOTH[0], api_key=KEY, http=httpx.MockTransport(mine)) as client,
        httpx2.Client(transport=httpx2.MockTransport(other)) as http,
        openai.OpenAI(api_key=KEY, http_client=http) as sdk,
    ):
        found = ours(client)
        theirs(sdk)
        with Client(provider=BOTH[1], api_key=KEY, http=httpx.MockTransport(mine)) as sibling:
            assert ours(sibling) == found
    assert by_us == by_them * 2
    assert len(by_them) == 1
    return found


def test_a_picture_is_uploaded_with_its_name_and_type(tmp_path: Path) -> None:
    path = tmp_path / "otter.png"
    path.write_bytes(ONE)
    found = both(
        lambda ours: ours.upload(path),
        lambda sdk: sdk.files.create(file=("otter.png", ONE, "image/png"), purpose="vision"),
        FILE,
    )
    assert found == STORED


def test_a_picture_without_a_name_gets_one_that_fits() -> None:
    both(
        lambda ours: ours.upload(ONE),
        lambda sdk: sdk.files.create(file=("image.png", ONE, "image/png"), purpose="vision"),
        FILE,
    )


def test_files_are_listed() -> None:
    answer = {"object": "list", "data": [FILE], "has_more": False, "first_id": "file-1"}
    known(SyncCursorPage[FileObject], {"data": [FILE], "has_more": False})
    found = both(lambda ours: ours.files(), lambda sdk: list(sdk.files.list()), answer)
    assert found == (STORED,)


@pytest.mark.parametrize("kept", ["file-1", STORED])
def test_a_file_is_deleted(kept: Any) -> None:
    stored = STORED if kept is STORED else imagekit.StoredFile(id=kept)
    answer = {"id": "file-1", "object": "file", "deleted": True}
    found = both(lambda ours: ours.delete(stored), lambda sdk: sdk.files.delete("file-1"), answer)
    assert found is None


def test_models_are_listed_with_the_day_they_end() -> None:
    answer = {"object": "list", "data": [MODEL, {**MODEL, "id": "m", "shutdown_date": None}]}
    found = both(lambda ours: ours.models(), lambda sdk: list(sdk.models.list()), answer)
    one = imagekit.ModelInfo(
        id="gpt-image-1.5", created=MOMENT, owner="system", shuts_down=date(2026, 12, 1)
    )
    assert found == (one, one.model_copy(update={"id": "m", "shuts_down": None}))


FLAGGED = imagekit.Moderation(
    flagged=True,
    categories=("violence",),
    scores={name: place / 100 for place, name in enumerate(NAMES)},
    model="omni-moderation-latest",
)
PICTURE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{b64(ONE)}"}}
THERE = {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}
WORDS = {"type": "text", "text": "a fight"}


@pytest.mark.parametrize(
    ("prompt", "images", "given"),
    [
        ("a fight", (), "a fight"),
        (None, ONE, [PICTURE]),
        ("a fight", [ONE, "https://x.example/a.png"], [WORDS, PICTURE, THERE]),
    ],
)
def test_words_and_pictures_are_moderated(prompt: Any, images: Any, given: Any) -> None:
    found = both(
        lambda ours: ours.moderate(prompt, images),
        lambda sdk: sdk.moderations.create(model="omni-moderation-latest", input=given),
        MODERATION,
    )
    assert found == FLAGGED


def test_the_model_that_moderates_can_be_named() -> None:
    both(
        lambda ours: ours.moderate("a fight", model="omni-moderation-2024-09-26"),
        lambda sdk: sdk.moderations.create(model="omni-moderation-2024-09-26", input="a fight"),
        MODERATION,
    )


# --- odd answers


def test_nothing_of_all_this_may_charge() -> None:
    maker, shown = of_images(), ImageRequest(prompt="a", images=ONE)
    for flow, answer in (
        (maker.upload(shown), FILE),
        (maker.list_files(), {}),
        (maker.list_models(), {}),
        (maker.moderate(shown), MODERATION),
        (maker.delete({"file_id": "f"}), {}),
    ):
        [sent] = play(flow, json_response(answer)).requests
        assert not sent.charges


def test_an_error_of_any_of_them_is_an_error() -> None:
    maker, shown = of_responses(), ImageRequest(prompt="a", images=ONE)
    for flow in (
        maker.upload(shown),
        maker.list_files(),
        maker.list_models(),
        maker.moderate(shown),
        maker.delete({"file_id": "f"}),
    ):
        with pytest.raises(InvalidRequestError, match="no"):
            play(flow, json_response({"error": {"message": "no"}}, 400))


def test_files_come_in_pages() -> None:
    first = {"data": [FILE, None, {"id": None}, {**FILE, "id": "file-2"}], "has_more": True}
    last = {"data": [{**FILE, "id": "file-3"}], "has_more": False}
    played = play(of_images().list_files(), json_response(first), json_response(last))
    assert [one.id for one in played.response] == ["file-1", "file-2", "file-3"]
    assert [dict(one.query) for one in played.requests] == [{}, {"after": "file-2"}]


@pytest.mark.parametrize("again", [[FILE], [], None])
def test_pages_that_bring_nothing_new_are_the_last(again: Any) -> None:
    more = json_response({"data": [FILE], "has_more": True})
    played = play(of_images().list_files(), more, json_response({"data": again, "has_more": True}))
    assert [one.id for one in played.response] == ["file-1"]


def test_pages_have_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_beside, "PAGES", 2)
    pages = [json_response({"data": [{"id": f"f{n}"}], "has_more": True}) for n in range(2)]
    played = play(of_images().list_files(), *pages)
    assert [one.id for one in played.response] == ["f0", "f1"]


@pytest.mark.parametrize("data", [None, "x", [None, {"id": None}, 5]])
def test_what_is_no_model_is_none(data: Any) -> None:
    assert play(of_images().list_models(), json_response({"data": data})).response == ()


def test_a_model_may_say_only_its_name() -> None:
    listed = json_response({"data": [{"id": "m", "shutdown_date": "soon", "created": "x"}]})
    assert play(of_images().list_models(), listed).response == (imagekit.ModelInfo(id="m"),)


def test_an_upload_without_an_id_is_a_protocol_error_that_cost_nothing() -> None:
    with pytest.raises(ProtocolError) as caught:
        play(of_images().upload(ImageRequest(images=ONE)), json_response({}))
    assert caught.value.billed == "no"


@pytest.mark.parametrize("results", [None, [], [{}], [{"flagged": True}, {"flagged": None}], [5]])
def test_a_moderation_that_judges_nothing_is_a_protocol_error(results: Any) -> None:
    with pytest.raises(ProtocolError):
        play(of_images().moderate(ImageRequest(prompt="a")), json_response({"results": results}))


def test_several_results_are_one() -> None:
    results = [
        {"flagged": False, "categories": {"a": False}, "category_scores": {"a": 0.5, "b": None}},
        {"flagged": True, "categories": {"a": True, "b": True}, "category_scores": {"a": 0.25}},
        {"flagged": False},
    ]
    answer = json_response({"results": results})
    found = play(of_images().moderate(ImageRequest(prompt="a")), answer).response
    assert found == imagekit.Moderation(flagged=True, categories=("a", "b"), scores={"a": 0.5})


def test_a_file_that_is_kept_cannot_be_moderated() -> None:
    with pytest.raises(UnsupportedRequestError, match="bytes or URLs"):
        play(of_images().moderate(ImageRequest(images=ProviderFile("file-1"))))


def test_deleting_a_file_that_is_gone_is_no_error() -> None:
    [sent] = play(of_images().delete({"file_id": "file-9"}), json_response({}, 404)).requests
    assert (sent.method, sent.url) == ("DELETE", "/files/file-9")


@pytest.mark.parametrize("handle", [{}, {"file_id": 5}, {"response_id": 5}])
def test_what_names_nothing_is_not_deleted(handle: Any) -> None:
    for maker in (of_images(), of_responses()):
        with pytest.raises(RequestError, match="nothing that is kept"):
            play(maker.delete(handle))


def test_what_is_at_a_url_is_fetched_to_be_kept() -> None:
    sent: list[Any] = []

    def server(one: httpx.Request) -> httpx.Response:
        sent.append((one.method, one.url.host, one.headers.get("authorization")))
        if one.method == "GET":
            return httpx.Response(200, content=ONE)
        assert ONE in one.read()
        return httpx.Response(200, json=FILE)

    mock = httpx.MockTransport(server)
    with Client(provider=BOTH[0], api_key=KEY, http=mock, downloads=mock) as client:
        assert client.upload("https://x.example/a.png") == STORED
        with pytest.raises(ImagekitError, match="takes no files of its own"):
            client.upload(ProviderFile("file-1"))
    assert sent == [("GET", "x.example", None), ("POST", "api.openai.com", f"Bearer {KEY}")]


@pytest.mark.parametrize("way", WAYS)
def test_the_whole_object_of_the_images_api_is_there_untyped(way: str) -> None:
    end = image_event("image_generation.completed", something_new=[1])

    def server(one: httpx.Request) -> httpx.Response:
        if not json.loads(one.content).get("stream"):
            return httpx.Response(200, json=images_body(something_new=[1]))
        content = sse_bytes([image_event("image_generation.partial_image"), end])
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=content)

    wanted = ImageRequest(prompt="an otter")
    found = make(
        way, wanted, handler=server, how={"raw": True}, provider=BOTH[0], api_key=KEY, env={}
    )
    said = found.raw[0].json()
    assert said["something_new"] == [1]
    assert said.get("type") == (end["type"] if way.endswith("streamed") else None)


# --- our own server, and every colour of client


@pytest.fixture(scope="module")
def home() -> Iterator[str]:
    with serving(provider="sketch", tokens=[TOKEN]) as served:
        yield served.url


@pytest.mark.parametrize("provider", BOTH)
@pytest.mark.parametrize("colour", COLOURS)
def test_a_file_is_kept_used_listed_and_deleted(home: str, colour: str, provider: str) -> None:
    with a_client(colour, home, provider) as client:
        otter = Client(provider="sketch", env={}).generate("an otter", size="256x256").image
        kept = client.upload(otter)
        assert client.files() == (kept,)
        assert (kept.size, kept.purpose) == (len(otter.data), "vision")
        if provider == "openai-responses":
            hat = client.edit("a hat", images=[ProviderFile(kept.id)], size="256x256")
            assert hat.image.width == 256
        client.delete(kept)
        client.delete(kept)
        assert client.files() == ()
        assert [one.id for one in client.models()] == ["sketch-1"]
