"""What is peculiar to Gemini: turns and signatures, drafts, counts, keys, and why there is none."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from typing import Any

import pytest
from gemini_host import PER_DAY, PER_MINUTE, SIGNATURE, GeminiHost, candidate, info, picture

import imagekit_gemini
from imagekit import (
    AuthenticationError,
    Client,
    ImageFailure,
    ImageReady,
    ImageRequest,
    InvalidRequestError,
    MissingCredentialError,
    Noticed,
    PartialImage,
    PermissionDeniedError,
    ProtocolError,
    ProviderError,
    ProviderFile,
    ProviderUnavailableError,
    QuotaExceededError,
    RateLimitError,
    RequestError,
    State,
    Text,
    TruncatedStreamError,
    UnsupportedRequestError,
)
from imagekit.provider import Config, HttpRequest, HttpResponse, ServerSentEvent, Verdict
from imagekit.testing import Asked, Played, Scene, json_response, play
from imagekit_gemini._answer import usage
from spoken import httpx
from toys import picture as png

ONE, TWO, DRAFT = png(10), png(20), png(30)
HEAD = HttpResponse(200, {"content-type": "text/event-stream"})


def gemini(key: str | None = "a-key", **config: Any) -> imagekit_gemini.Gemini:
    return imagekit_gemini.imagekit_provider(Config("gemini", key, **config))


def asked(stream: bool = False, **fields: Any) -> HttpRequest:
    """What goes out for a request of these *fields*."""
    said = ImageRequest(**{"prompt": "an otter", **fields})
    reply = HEAD if stream else answered(picture(ONE))
    ends = [sent(candidate(picture(ONE), finishReason="STOP"))]
    return play(gemini().flow(said, stream=stream), reply, events=ends).requests[0]


def answered(*parts: Any, usage: Any = None, **said: Any) -> HttpResponse:
    """A whole answer of those *parts*."""
    counts = {"usageMetadata": usage} if usage else {}
    return json_response({**candidate(*parts, **{"finishReason": "STOP", **said}), **counts})


def sent(chunk: Any) -> ServerSentEvent:
    return ServerSentEvent("message", json.dumps(chunk))


def came(*replies: HttpResponse, events: Any = (), stream: bool = False, **fields: Any) -> Played:
    said = ImageRequest(**{"prompt": "an otter", **fields})
    return play(gemini().flow(said, stream=stream), *replies, events=events)


def failed(answer: HttpResponse) -> ImageFailure:
    [slot] = came(answer).response.slots
    assert isinstance(slot, ImageFailure)
    return slot


# --- what goes out


def test_words_come_first_and_pictures_after_them_in_their_order() -> None:
    url, jpeg = "https://pictures.example/cat.JPG?x=1", "https://generativelanguage/files/7"
    images = [ONE, url, ProviderFile(jpeg), TWO]
    [turn] = asked(images=images).json["contents"]
    assert turn["role"] == "user"
    words, one, two, three, four = turn["parts"]
    assert words == {"text": "an otter"}
    assert one == {"inlineData": {"data": base64.b64encode(ONE).decode(), "mimeType": "image/png"}}
    assert two == {"fileData": {"fileUri": url, "mimeType": "image/jpeg"}}
    assert three == {"fileData": {"fileUri": jpeg}}
    assert base64.b64decode(four["inlineData"]["data"]) == TWO


@pytest.mark.parametrize(
    ("size", "config"),
    [
        (None, None),
        ("auto", None),
        ("16:9", {"aspectRatio": "16:9"}),
        ("16:9@2k", {"aspectRatio": "16:9", "imageSize": "2K"}),
        ("1:1@512", {"aspectRatio": "1:1", "imageSize": "512"}),
    ],
)
def test_a_shape_and_its_tier_are_sent_as_they_are_said(size: str | None, config: Any) -> None:
    assert asked(size=size).json["generationConfig"].get("imageConfig") == config


def test_pixels_become_the_nearest_shape_and_tier_with_a_notice() -> None:
    seen: list[Any] = []

    def host(request: httpx.Request) -> httpx.Response:
        seen.append(json.loads(request.content)["generationConfig"]["imageConfig"])
        return httpx.Response(200, content=answered(picture(ONE)).body)

    fake = httpx.Client(transport=httpx.MockTransport(host))
    with Client(provider="gemini", api_key="a-key", http=fake, env={}) as client:
        response = client.generate("an otter", size="1920x1080", model="gemini-3-pro-image")
    assert seen == [{"aspectRatio": "16:9", "imageSize": "2K"}]
    [notice] = [one for one in response.notices if one.kind == "adjusted"]
    assert (notice.feature, notice.wanted, notice.used) == ("size", "1920x1080", "16:9@2K")


def test_pixels_of_a_model_that_nobody_knows_are_refused_with_a_hint() -> None:
    with pytest.raises(
        UnsupportedRequestError, match=r"what shapes 'new'.* such as size='16:9@2K'"
    ):
        asked(model="new", size="1920x1080")


def test_the_options_stand_where_google_has_them() -> None:
    said = {
        "safety_settings": {"HARM_CATEGORY_HARASSMENT": "OFF"},
        "thinking_level": "high",
        "include_thoughts": False,
        "google_search": True,
        "generation_config": {"temperature": 0.5, "seed": 8},
    }
    body = asked(seed=7, options={"gemini": said}).json
    assert body["safetySettings"] == [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}]
    assert body["tools"] == [{"googleSearch": {}}]
    assert body["generationConfig"] == {
        "responseModalities": ["TEXT", "IMAGE"],
        "temperature": 0.5,
        "seed": 8,
        "thinkingConfig": {"includeThoughts": False, "thinkingLevel": "HIGH"},
    }
    assert asked(seed=0).json["generationConfig"] == {"responseModalities": ["IMAGE"], "seed": 0}
    with pytest.raises(RequestError, match="no option 'thinking'"):
        asked(options={"gemini": {"thinking": "high"}})


def test_only_a_stream_asks_for_drafts_and_says_that_they_cannot_be_counted() -> None:
    assert "thinkingConfig" not in asked(partial_images=2).json["generationConfig"]
    ends = [sent(candidate(picture(ONE), finishReason="STOP"))]
    told = came(HEAD, events=ends, stream=True, partial_images=2).events[0]
    assert isinstance(told, Noticed)
    assert (told.notice.feature, told.notice.kind) == ("partial_images", "other")
    request = asked(stream=True, partial_images=2)
    assert request.json["generationConfig"]["thinkingConfig"] == {"includeThoughts": True}
    assert (request.url.rpartition(":")[2], request.query) == (
        "streamGenerateContent",
        {"alt": "sse"},
    )


@pytest.mark.parametrize(
    ("model", "path"),
    [
        (None, "/models/gemini-nano-banana-2.1:generateContent"),
        ("models/other", "/models/other:generateContent"),
        ("../files", "/models/..%2Ffiles:generateContent"),
    ],
)
def test_a_model_stays_a_model(model: str | None, path: str) -> None:
    assert asked(model=model).url == path


# --- who asks


def headers(**config: Any) -> Any:
    proof = gemini(**config).endpoint.authorize
    return play(proof(HttpRequest("POST", "/"))).response if proof else {}


def test_the_key_is_found_in_the_order_of_googles_own_client() -> None:
    both = {"GOOGLE_API_KEY": "google", "GEMINI_API_KEY": "gemini"}
    assert headers(key=" own\n", env=both) == {"x-goog-api-key": "own"}
    assert headers(key=None, env=both) == {"x-goog-api-key": "google"}
    assert headers(key=None, env={"GEMINI_API_KEY": "gemini"}) == {"x-goog-api-key": "gemini"}
    assert headers(key=lambda: "made") == {"x-goog-api-key": "made"}
    assert headers(key=None, env=both, ambient=False, base_url="https://proxy.example") == {}


def test_without_a_key_nothing_is_sent_to_google_and_a_proxy_may_need_none() -> None:
    with (
        Client(provider="gemini", env={}) as client,
        pytest.raises(MissingCredentialError, match="set GEMINI_API_KEY"),
    ):
        client.generate("an otter")
    assert gemini(None, base_url="https://proxy.example").endpoint.missing is None
    assert gemini().endpoint.base_url == "https://generativelanguage.googleapis.com/v1"


# --- turns


def test_a_turn_is_handed_back_word_for_word_through_json() -> None:
    parts = [
        {"text": "I think.", "thought": True},
        picture(DRAFT, thought=True),
        {"text": "Here: ", "thoughtSignature": "c2lnbmVk", "somethingNew": {"deep": [1, None]}},
        picture(ONE, thoughtSignature=SIGNATURE),
        {"text": "", "thoughtSignature": SIGNATURE},
    ]
    first = came(answered(*parts), model="gemini-3-pro-image").response
    state = State.model_validate_json(first.state.model_dump_json())
    body = asked(prompt="add a hat", state=state)
    assert body.url == "/models/gemini-3-pro-image:generateContent"
    one, two, three = body.json["contents"]
    assert one == {"parts": [{"text": "an otter"}], "role": "user"}
    assert two == {"role": "model", "parts": parts}
    assert three["parts"] == [{"text": "add a hat"}]
    assert asked(state=state, model="other").url == "/models/other:generateContent"


def test_a_streamed_turn_is_the_same_turn() -> None:
    parts = [{"text": "Here "}, picture(ONE, thoughtSignature=SIGNATURE), {"text": ""}]
    chunks = [candidate(one) for one in parts]
    events = [*map(sent, chunks), sent({"candidates": [{"finishReason": "STOP"}]})]
    response = came(HEAD, events=events, stream=True).response
    assert response.state.payload["contents"][1] == {"role": "model", "parts": parts}


@pytest.mark.parametrize(
    "state",
    [
        State(provider="openai-responses", payload={"contents": []}),
        State(provider="gemini", payload={"contents": "all of it"}),
        State(provider="gemini", payload={}),
    ],
    ids=["of another", "of text", "of nothing"],
)
def test_a_state_that_is_not_as_it_came_is_refused(state: State) -> None:
    with pytest.raises(RequestError, match="hand back what a response"):
        asked(state=state)


# --- what comes back


def test_drafts_are_previews_and_thoughts_are_not_the_answer() -> None:
    parts = [
        {"text": "Hm.", "thought": True},
        picture(DRAFT, thought=True),
        picture(TWO, thought=True),
        {"text": "Here "},
        picture(ONE),
        {"text": "it is."},
    ]
    events = [sent(candidate(part)) for part in parts]
    ends = {"modelVersion": "one-2", "responseId": "r1", **candidate(finishReason="STOP")}
    played = came(HEAD, events=[*events, sent(ends)], stream=True)
    kinds = [type(one) for one in played.events]
    assert kinds == [Text, PartialImage, PartialImage, Text, ImageReady, Text]
    assert [one.image.data for one in played.events if isinstance(one, PartialImage)] == [
        DRAFT,
        TWO,
    ]
    assert [one.step for one in played.events if isinstance(one, PartialImage)] == [0, 1]
    assert [one.phase for one in played.events if isinstance(one, Text)] == [
        "reasoning",
        "content",
        "content",
    ]
    assert played.response.text == "Here it is."
    assert [one.data for one in played.response.slots] == [ONE]
    assert (played.response.request_ids, played.response.model) == (("r1",), imagekit_gemini.MODEL)
    assert played.response.metadata == {"modelVersion": "one-2"}


def test_what_was_looked_up_is_told() -> None:
    found = {"webSearchQueries": ["otters"]}
    response = came(answered(picture(ONE), groundingMetadata=found)).response
    assert response.metadata == {"groundingMetadata": found}


def counted(**said: Any) -> dict[tuple[Any, ...], int]:
    found = usage(said)
    assert found is not None
    items = {(i.direction, i.modality, i.detail): int(i.quantity) for i in found.items}
    assert found.total() == Decimal(sum(items.values()))
    return items


def of(**counts: int) -> list[dict[str, Any]]:
    return [{"modality": name.upper(), "tokenCount": count} for name, count in counts.items()]


def test_counts_never_overlap() -> None:
    assert counted(
        promptTokenCount=300,
        promptTokensDetails=of(text=42, image=258),
        cachedContentTokenCount=30,
        cacheTokensDetails=of(text=20, image=10),
        toolUsePromptTokenCount=50,
        toolUsePromptTokensDetails=of(text=50),
        candidatesTokenCount=1134,
        candidatesTokensDetails=of(image=1120),
        thoughtsTokenCount=200,
        totalTokenCount=1700,
    ) == {
        ("input", "text", None): 22,
        ("input", "image", None): 248,
        ("input", "text", "cached"): 20,
        ("input", "image", "cached"): 10,
        ("input", "text", "tool"): 50,
        ("output", "image", None): 1120,
        ("output", "text", None): 14,
        ("output", None, "reasoning"): 200,
        (None, None, None): 16,
    }


def test_what_nobody_splits_has_no_modality() -> None:
    assert counted(promptTokenCount=7, candidatesTokenCount=1120) == {
        ("input", None, None): 7,
        ("output", None, None): 1120,
    }
    kept = counted(promptTokenCount=9, promptTokensDetails=of(text=9), cachedContentTokenCount=50)
    assert kept == {("input", "text", "cached"): 9}
    assert usage({}) is None
    assert usage({"promptTokenCount": "many", "totalTokenCount": None}) is None


# --- why there is no picture


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("SAFETY", "refused"),
        ("IMAGE_SAFETY", "refused"),
        ("IMAGE_PROHIBITED_CONTENT", "refused"),
        ("IMAGE_RECITATION", "refused"),
        ("BLOCKLIST", "refused"),
        ("NO_IMAGE", "missing"),
        ("STOP", "missing"),
        ("IMAGE_OTHER", "failed"),
        ("MAX_TOKENS", "failed"),
        ("A_NEW_ONE", "failed"),
    ],
)
def test_a_finish_reason_says_why(code: str, kind: str) -> None:
    found = failed(answered(finishReason=code))
    assert (found.kind, found.code) == (kind, code)
    assert found.stage == ("output" if kind == "refused" else "unknown")
    assert found.reason == f"the model made no picture: {code}"


def test_a_refusal_says_what_it_objects_to() -> None:
    ratings = [
        {"category": "HARM_CATEGORY_HATE_SPEECH", "probability": "NEGLIGIBLE"},
        {"category": "HARM_CATEGORY_SEXUALLY_EXPLICIT", "probability": "HIGH", "blocked": True},
    ]
    said = {"finishReason": "IMAGE_SAFETY", "finishMessage": "Not this.", "safetyRatings": ratings}
    found = failed(answered(**said))
    assert (found.reason, found.categories) == ("Not this.", ("sexually_explicit",))
    blocked = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT", "safetyRatings": ratings}}
    found = failed(json_response(blocked))
    assert (found.kind, found.stage, found.code) == ("refused", "input", "PROHIBITED_CONTENT")
    assert found.categories == ("sexually_explicit",)


def test_words_in_place_of_a_picture_are_the_reason() -> None:
    response = came(answered({"text": "I draw no maps."})).response
    [slot] = response.slots
    assert (slot.kind, slot.reason, response.text) == ("missing", *["I draw no maps."] * 2)
    assert failed(json_response({})).kind == "missing"


def refused(status: int, message: str, word: str = "", *details: Any) -> HttpResponse:
    said = {"code": status, "message": message, "status": word, "details": list(details)}
    return json_response({"error": said}, status)


def violated(kind: str, wait: str | None = None) -> list[Any]:
    waits = [{"@type": "…RetryInfo", "retryDelay": wait}] if wait else []
    return [{"@type": "…QuotaFailure", "violations": [{"quotaId": kind}]}, *waits]


BILLING = "You exceeded your current quota, please check your plan and billing details."


@pytest.mark.parametrize(
    ("answer", "kind", "code", "wait"),
    [
        (
            refused(400, "No.", "INVALID_ARGUMENT", info("API_KEY_INVALID")),
            AuthenticationError,
            "API_KEY_INVALID",
            None,
        ),
        (refused(401, "No.", "UNAUTHENTICATED"), AuthenticationError, "UNAUTHENTICATED", None),
        (
            refused(403, "No.", "PERMISSION_DENIED"),
            PermissionDeniedError,
            "PERMISSION_DENIED",
            None,
        ),
        (refused(404, "No.", "NOT_FOUND"), InvalidRequestError, "NOT_FOUND", None),
        (refused(429, BILLING, "X", *violated(PER_MINUTE, "3.25s")), RateLimitError, "X", 3.25),
        (refused(429, "Resource has been exhausted.", "X"), RateLimitError, "X", None),
        (refused(429, BILLING, "X", *violated(PER_DAY, "3s")), QuotaExceededError, "X", 3),
        (refused(429, BILLING, "X"), QuotaExceededError, "X", None),
        (
            refused(429, BILLING + " limit: 0, model: m", "X", *violated("Y", "20s")),
            QuotaExceededError,
            "X",
            20,
        ),
        (
            refused(429, "Your prepayment credits are depleted.", "X"),
            QuotaExceededError,
            "X",
            None,
        ),
        (refused(500, "Oh.", "INTERNAL"), ProviderUnavailableError, "INTERNAL", None),
        (HttpResponse(502, {}, b"<html>"), ProviderUnavailableError, None, None),
        (HttpResponse(503, {"retry-after": "9"}, b"[]"), ProviderUnavailableError, None, 9),
        (
            HttpResponse(400, {}, b'[{"error": {"message": "No.", "status": "X"}}]'),
            InvalidRequestError,
            "X",
            None,
        ),
        (HttpResponse(500, {}, b'{"error": {"status": {}}}'), ProviderUnavailableError, None, None),
    ],
    ids=lambda one: str(one.status) if isinstance(one, HttpResponse) else "",
)
def test_an_error_says_whose_fault_it_is(
    answer: HttpResponse, kind: type[ProviderError], code: str | None, wait: float | None
) -> None:
    with pytest.raises(ProviderError) as caught:
        came(answer)
    error = caught.value
    assert type(error) is kind
    assert (error.status, error.code, error.retry_after) == (answer.status, code or None, wait)
    spent = kind is QuotaExceededError
    assert gemini().judge(answer) is (Verdict.REJECTED if spent else None)


def test_the_head_of_an_answer_says_better_how_long_to_wait() -> None:
    body = refused(429, BILLING, "X", *violated(PER_MINUTE, "3.25s")).body
    with pytest.raises(RateLimitError) as caught:
        came(HttpResponse(429, {"retry-after": "2"}, body))
    assert caught.value.retry_after == 2


def test_an_error_in_the_midst_of_a_stream_is_one() -> None:
    said = {"error": {"code": 503, "message": "Overloaded.", "status": "UNAVAILABLE"}}
    with pytest.raises(ProviderUnavailableError, match="Overloaded") as caught:
        came(HEAD, events=[sent(candidate({"text": "So"})), sent(said)], stream=True)
    assert caught.value.status is None


def test_a_stream_that_does_not_end_is_cut() -> None:
    events = [sent(candidate(picture(ONE)))]
    with pytest.raises(TruncatedStreamError):
        came(HEAD, events=events, stream=True)
    half = ServerSentEvent("message", '{"candidates": [{"finishReason": "ST')
    with pytest.raises(TruncatedStreamError):
        came(HEAD, events=[half], stream=True)
    with pytest.raises(ProtocolError):
        came(HEAD, events=[ServerSentEvent("message", "{ne}")], stream=True)


def test_an_answer_of_something_else_is_no_answer() -> None:
    with pytest.raises(ProtocolError, match="expected an answer"):
        came(json_response([1]))
    assert failed(answered({"inlineData": "a picture"}, {"text": None}, usage=[])).kind == "missing"


WORDS = {"inlineData": {"data": base64.b64encode(b"hello not a picture").decode()}}


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (WORDS, "19 bytes came that are no picture"),
        ({"inlineData": {"data": "%%%"}}, "expected a base64 picture, got '%%%'"),
        ({"inlineData": {"mimeType": "image/png"}}, "0 bytes came that are no picture"),
    ],
    ids=["words", "no base64", "nothing"],
)
def test_what_is_no_picture_costs_no_other_and_is_not_handed_back(bad: Any, why: str) -> None:
    response = came(answered(picture(ONE), bad, picture(TWO))).response
    one, failure, two = response.slots
    assert (one.data, two.data) == (ONE, TWO)
    assert (failure.kind, failure.reason) == ("failed", why)
    assert response.state.payload["contents"][1]["parts"] == [picture(ONE), picture(TWO)]
    assert failed(answered(bad)).kind == "failed"


def test_a_picture_behind_one_that_is_none_is_announced_in_its_own_place() -> None:
    events = [sent(candidate(one)) for one in (WORDS, picture(ONE))]
    ends = sent(candidate(finishReason="STOP"))
    [event] = came(HEAD, events=[*events, ends], stream=True).events
    assert (event.kind, event.index) == ("image-ready", 1)


def test_a_draft_that_is_no_picture_is_passed_over() -> None:
    played = came(answered({**WORDS, "thought": True}, picture(ONE)))
    assert [event.kind for event in played.events] == ["image-ready"]
    assert [slot.data for slot in played.response.slots] == [ONE]


# --- the host itself


def test_the_host_reads_strictly() -> None:
    host, scene = GeminiHost(), Scene(pictures=[ONE])
    url = "https://x.example/v1/models/m:generateContent"
    key = {"x-goog-api-key": "k"}
    turn = {"parts": [{"text": "x"}], "role": "user"}
    good = {"contents": [turn], "generationConfig": {"responseModalities": ["IMAGE"]}}

    def status(body: Any, url: str = url, headers: Any = key) -> int:
        return host.answer(Asked("POST", url, headers, json.dumps(body).encode()), scene).status

    assert status(good) == 200
    assert status(good, headers={}) == 403
    assert status(good, url=url + "?alt=sse") == 404
    assert status({**good, "seed": 1}) == 400
    assert status({**good, "generationConfig": {"aspectRatio": "1:1"}}) == 400
    assert status({**good, "contents": []}) == 400
