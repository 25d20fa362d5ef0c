"""Google's own Python client against the host of our Gemini tests, and beside our plugin.

What the host answers, the client must read; and for one wish both must send one and the same
request. The host stands on loopback.
"""

from __future__ import annotations

import base64
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from tally import Judge

import imagekit
from imagekit.provider import HttpResponse
from imagekit.testing import Asked, Scene, Trouble
from toys import picture as png

sys.path.insert(0, str(Path(__file__).parents[2] / "plugins" / "imagekit-gemini" / "tests"))
from gemini_host import SIGNATURE, GeminiHost, camel  # only now

pytestmark = pytest.mark.real

JUDGE = Judge("google-genai, Google's own Python client, beside our plugin")
MODEL = "gemini-3-pro-image"
ONE, TWO = png(40), png(80)
KEY = "a-key-of-nobody"


@pytest.fixture(autouse=True)
def _their_client() -> None:
    if find_spec("google") is None or find_spec("google.genai") is None:
        JUDGE.absent("it is not installed: pip install google-genai")


@dataclass
class Standing:
    """A host that listens."""

    host: GeminiHost
    origin: str
    # Their clients, to be closed with it.
    kept: list[Any] = field(default_factory=list)

    def theirs(self) -> Any:
        """Google's client of it."""
        from google import genai

        # Nothing here is encrypted, and each client would read all certificates.
        plain = {"verify": False}
        options = {"base_url": self.origin, "client_args": plain, "async_client_args": plain}
        self.kept.append(genai.Client(api_key=KEY, http_options=options))
        return self.kept[-1]

    def ours(self, **also: Any) -> imagekit.Client:
        """Our client of it."""
        known = {"provider": "gemini", "api_key": KEY, "base_url": f"{self.origin}/v1", "env": {}}
        return imagekit.Client(**known, config=False, **also)

    def said(self) -> list[tuple[str, Any]]:
        """What it was asked since it was last looked at: where, and what."""
        found = [
            (one.url.removeprefix(self.origin), one.headers.get("x-goog-api-key"), one.json())
            for one in self.host.asked
        ]
        self.host.asked.clear()
        assert {key for _, key, _ in found} <= {KEY}
        return [(where, what) for where, _, what in found]


@contextmanager
def standing(*pictures: bytes | None, **scene: Any) -> Iterator[Standing]:
    host = GeminiHost()
    host.scene = Scene(pictures=list(pictures or (ONE,)), **scene)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = host.reply(Asked("POST", f"{origin}{self.path}", headers, body))
            pieces = (reply.body,) if isinstance(reply, HttpResponse) else reply.pieces
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            for piece in pieces:
                self.wfile.write(piece)
                self.wfile.flush()

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    origin = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    here = Standing(host, origin)
    try:
        yield here
    finally:
        for client in here.kept:
            client.close()
        server.shutdown()
        thread.join()
        server.server_close()


SPELT = (
    "inside pictures, files and thinkingConfig their names are in snake case and base64 is that of "
    "URLs: JSON of protocol buffers is read in both spellings"
)


def meant(said: Any, name: str = "") -> Any:
    """What is *said*, in one of the two spellings that the JSON of protocol buffers has."""
    if isinstance(said, dict):
        return {camel(key): meant(value, camel(key)) for key, value in said.items()}
    if isinstance(said, list | tuple):
        return [meant(one) for one in said]
    return base64.urlsafe_b64decode(plain(said)) if name in ("data", "thoughtSignature") else said


def plain(text: str) -> str:
    return text.replace("+", "-").replace("/", "_")


def part(data: bytes) -> dict[str, Any]:
    return {"inline_data": {"data": data, "mime_type": "image/png"}}


def of(name: str, value: Any) -> dict[str, Any]:
    """An option of ours."""
    return {"options": {"gemini": {name: value}}}


URL = "https://pictures.example/cat.png"
FILE = "https://generativelanguage.googleapis.com/v1beta/files/abc"
HARM = {"HARM_CATEGORY_HARASSMENT": "BLOCK_ONLY_HIGH", "HARM_CATEGORY_HATE_SPEECH": "OFF"}
# A wish in our words; the pictures and the config in theirs.
WISHES: list[tuple[str, dict[str, Any], list[Any], dict[str, Any]]] = [
    ("words", {}, [], {}),
    ("unicode", {"prompt": "ein Fuchs — 狐 🦊"}, [], {}),
    ("seed", {"seed": 7}, [], {"seed": 7}),
    ("shape", {"size": "16:9"}, [], {"image_config": {"aspect_ratio": "16:9"}}),
    (
        "shape and tier",
        {"size": "21:9@4K"},
        [],
        {"image_config": {"aspect_ratio": "21:9", "image_size": "4K"}},
    ),
    ("a picture", {"images": [ONE]}, [part(ONE)], {}),
    ("pictures", {"images": [ONE, TWO, ONE]}, [part(ONE), part(TWO), part(ONE)], {}),
    (
        "a URL between",
        {"images": [ONE, URL, TWO]},
        [part(ONE), {"file_data": {"file_uri": URL, "mime_type": "image/png"}}, part(TWO)],
        {},
    ),
    (
        "a file",
        {"images": [imagekit.ProviderFile(FILE)]},
        [{"file_data": {"file_uri": FILE}}],
        {},
    ),
    (
        "safety",
        of("safety_settings", HARM),
        [],
        {"safety_settings": [{"category": c, "threshold": t} for c, t in HARM.items()]},
    ),
    ("thinking", of("thinking_level", "low"), [], {"thinking_config": {"thinking_level": "LOW"}}),
    (
        "thoughts",
        of("include_thoughts", True),
        [],
        {"thinking_config": {"include_thoughts": True}},
    ),
    (
        "search",
        of("google_search", True),
        [],
        {"tools": [{"google_search": {}}], "response_modalities": ["TEXT", "IMAGE"]},
    ),
    ("temperature", of("generation_config", {"temperature": 0.5}), [], {"temperature": 0.5}),
]


@pytest.mark.parametrize("way", ["whole", "streamed"])
@pytest.mark.parametrize("wish", WISHES, ids=[name for name, *_ in WISHES])
def test_one_wish_is_one_request(wish: tuple[str, Any, Any, Any], way: str) -> None:
    name, fields, pictures, config = wish
    words = fields.get("prompt", "an otter")
    contents = [{"role": "user", "parts": [{"text": words}, *pictures]}]
    config = {"response_modalities": ["IMAGE"], **config}
    spelt = name in ("thinking", "thoughts") or bool(pictures)
    with standing() as here, JUDGE.asked(differs=SPELT if spelt else None):
        models = here.theirs().models
        how = models.generate_content if way == "whole" else models.generate_content_stream
        answer = how(model=MODEL, contents=contents, config=config)
        theirs = list(answer) if way == "streamed" else [answer]
        wanted = here.said()
        fields = {"prompt": words, "model": MODEL, **fields}
        with here.ours() as client:
            if way == "whole":
                ours = client.generate(**fields) if not pictures else client.edit(**fields)
            else:
                with client.stream(imagekit.ImageRequest(**fields)) as stream:
                    ours = stream.finish()
        said = here.said()
        assert (said == wanted) is not spelt
        assert meant(said) == meant(wanted)
        assert len(wanted) == 1
        alike(theirs, ours)


def alike(theirs: list[Any], ours: imagekit.ImageResponse) -> None:
    """What their client read of an answer, ours did."""
    parts = [part for one in theirs for part in one.candidates[0].content.parts]
    given = [part.inline_data.data for part in parts if part.inline_data and not part.thought]
    assert given == [image.data for image in ours] == [ONE]
    words = "".join(part.text for part in parts if part.text and not part.thought)
    assert words == (ours.text or "")
    assert ours.state is not None
    turns: Any = ours.state.payload["contents"]
    signed = [one for one in turns[-1]["parts"] if "thoughtSignature" in one]
    assert [one["thoughtSignature"] for one in signed] == [SIGNATURE]
    assert [one.thought_signature for one in parts if one.thought_signature] == [
        base64.b64decode(SIGNATURE)
    ]
    counts = theirs[-1].usage_metadata
    assert ours.usage is not None
    assert ours.usage.total_tokens == counts.total_token_count
    assert ours.usage.input_tokens == counts.prompt_token_count
    assert ours.usage.output_tokens == counts.candidates_token_count
    assert ours.metadata["modelVersion"] == theirs[-1].model_version
    assert len(ours.request_ids) == 1
    assert theirs[-1].response_id
    assert str(theirs[-1].candidates[0].finish_reason.value) == "STOP"


def test_a_conversation_goes_on_in_the_same_words() -> None:
    with standing(ONE) as here, JUDGE.asked(differs=SPELT):
        chat = here.theirs().chats.create(model=MODEL, config={"response_modalities": ["IMAGE"]})
        chat.send_message("an otter")
        chat.send_message("add a hat")
        wanted = here.said()
        with here.ours() as client:
            first = client.generate("an otter", model=MODEL)
            assert first.state is not None
            state = imagekit.State.model_validate_json(first.state.model_dump_json())
            client.run(imagekit.ImageRequest(prompt="add a hat", state=state))
        assert meant(here.said()) == meant(wanted)


def test_a_streamed_conversation_has_the_same_parts() -> None:
    with standing(ONE) as here:
        why = "their chat keeps each event of a stream as a turn of its own; ours is one turn"
        with JUDGE.asked(differs=why):
            chat = here.theirs().chats.create(
                model=MODEL, config={"response_modalities": ["IMAGE"]}
            )
            list(chat.send_message_stream("an otter"))
            list(chat.send_message_stream("add a hat"))
            [_, (where, wanted)] = meant(here.said())
            with here.ours() as client:
                with client.stream("an otter", model=MODEL) as stream:
                    left = stream.finish().state
                request = imagekit.ImageRequest(prompt="add a hat", state=left)
                with client.stream(request) as stream:
                    stream.finish()
            [_, (place, said)] = meant(here.said())
            assert where == place
            assert len(said["contents"]) == 3
            joined = [part for one in wanted["contents"] for part in one["parts"]]
            assert [part for one in said["contents"] for part in one["parts"]] == joined
            assert {**wanted, "contents": 0} == {**said, "contents": 0}


def test_drafts_and_thoughts_are_told_alike() -> None:
    with standing(ONE, previews=2) as here, JUDGE.asked():
        thinking = {"thinking_config": {"include_thoughts": True}}
        config = {"response_modalities": ["IMAGE"], **thinking}
        stream = here.theirs().models.generate_content_stream(
            model=MODEL, contents="an otter", config=config
        )
        parts = [part for one in stream for part in one.candidates[0].content.parts]
        drafts = [p.inline_data.data for p in parts if p.thought and p.inline_data]
        wanted = here.said()
        with (
            here.ours() as client,
            client.stream("an otter", model=MODEL, partial_images=2) as ours,
        ):
            events = list(ours)
        assert meant(here.said()) == meant(wanted)
        previews = [e.image.data for e in events if isinstance(e, imagekit.PartialImage)]
        assert previews == drafts
        assert len(drafts) == 2
        thought = [p.text for p in parts if p.thought and p.text]
        assert [e.text for e in events if isinstance(e, imagekit.Text)] == thought


TROUBLES: list[tuple[Trouble, type[imagekit.ImagekitError]]] = [
    ("authentication", imagekit.AuthenticationError),
    ("permission", imagekit.PermissionDeniedError),
    ("rate_limit", imagekit.RateLimitError),
    ("quota", imagekit.QuotaExceededError),
    ("invalid", imagekit.InvalidRequestError),
    ("unavailable", imagekit.ProviderUnavailableError),
]


@pytest.mark.parametrize(("trouble", "kind"), TROUBLES, ids=[name for name, _ in TROUBLES])
def test_an_error_is_read_alike(trouble: Trouble, kind: type[imagekit.ImagekitError]) -> None:
    with standing(ONE, trouble=trouble) as here, JUDGE.asked():
        client = here.theirs()
        from google.genai.errors import APIError

        with pytest.raises(APIError) as theirs:
            client.models.generate_content(model=MODEL, contents="an otter")
        with here.ours(retry=imagekit.RetryPolicy(retries=0)) as own, pytest.raises(kind) as ours:
            own.generate("an otter")
        assert ours.value.status == theirs.value.code
        assert str(ours.value) == theirs.value.message


@pytest.mark.parametrize("where", ["input", "output"])
def test_a_refusal_inside_a_200_is_read_alike(where: str) -> None:
    scene: Any = {"trouble": "moderation"} if where == "input" else {}
    why = (
        None if where == "input" else "their client leaves finishMessage out of this API's answers"
    )
    with standing(None, **scene) as here, JUDGE.asked(differs=why):
        answer = here.theirs().models.generate_content(
            model=MODEL, contents="an otter", config={"response_modalities": ["IMAGE"]}
        )
        with here.ours() as own, pytest.raises(imagekit.ContentRejectedError) as ours:
            own.generate("an otter", model=MODEL)
        assert ours.value.stage == where
        if where == "input":
            assert ours.value.code == answer.prompt_feedback.block_reason.value
        else:
            [one] = answer.candidates
            assert ours.value.code == one.finish_reason.value
            assert one.finish_message is None
            assert str(ours.value).startswith("Unable to show the generated image")
            hit = [rating.category.value for rating in one.safety_ratings if rating.blocked]
            assert [f"HARM_CATEGORY_{name.upper()}" for name in ours.value.categories] == hit


def test_the_key_is_looked_for_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    both = {"GOOGLE_API_KEY": "of-google", "GEMINI_API_KEY": "of-gemini"}
    for name, value in both.items():
        monkeypatch.setenv(name, value)
    with standing() as here, JUDGE.asked():
        here.theirs()
        from google import genai

        theirs = genai.Client(http_options={"base_url": here.origin})
        here.kept.append(theirs)
        theirs.models.generate_content(
            model=MODEL, contents="x", config={"response_modalities": ["IMAGE"]}
        )
        known = {"provider": "gemini", "env": both, "config": False}
        # A base URL from code is as trusted as the environment.
        with imagekit.Client(**known, base_url=f"{here.origin}/v1") as ours:
            ours.generate("x", model=MODEL)
        keys = [one.headers["x-goog-api-key"] for one in here.host.asked]
        assert keys == ["of-google", "of-google"]


def test_what_the_host_does_not_know_it_refuses() -> None:
    with standing() as here, JUDGE.asked():
        client = here.theirs()
        from google.genai.errors import ClientError

        with pytest.raises(ClientError, match="Unknown name"):
            client.models.generate_content(
                model=MODEL, contents="x", config={"response_mime_type": "image/png"}
            )
        assert json.loads(here.host.asked[-1].body)["generationConfig"]
