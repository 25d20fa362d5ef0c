from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow

from imagekit import (
    Allowed,
    Capabilities,
    ConnectionFailedError,
    DeadlineExceededError,
    Image,
    ImageInput,
    ImagekitError,
    ImageRequest,
    Mask,
    Noticed,
    ProtocolError,
    ProviderError,
    RequestError,
    SizeRule,
    UnsupportedRequestError,
)
from imagekit._fetched import downloaded, filled
from imagekit._prepared import SOFT, checked, prepared
from imagekit.provider import HttpResponse
from imagekit.testing import Played, play

SIGNED = "https://cdn.example/otter.png?sig=SECRET"
EVERYTHING = Capabilities(
    operations=frozenset({"generate", "edit", "variation"}),
    mask="white",
    inputs=frozenset({"bytes", "url", "file"}),
)
BYTES_ONLY = EVERYTHING.model_copy(update={"inputs": frozenset({"bytes"})})


def png(mode: str = "RGB", colour: Any = "white") -> bytes:
    out = io.BytesIO()
    Pillow.new(mode, (4, 3), colour).save(out, "PNG")
    return out.getvalue()


PNG = png()
FOUND = HttpResponse(200, {"content-type": "image/png"}, PNG)


def ready(request: ImageRequest, able: Capabilities, *replies: HttpResponse) -> Played:
    return play(prepared(request, able, "toy"), *replies)


def edit(*images: Any, **more: Any) -> ImageRequest:
    return ImageRequest(prompt="a hat", images=images, **more)


def failed(
    request: ImageRequest, able: Capabilities = EVERYTHING, *replies: Any
) -> tuple[Any, Played]:
    """The error that preparing *request* ends in, and what had happened until then."""
    played = Played()
    with pytest.raises(ImagekitError) as caught:
        play(prepared(request, able, "toy"), *replies, into=played)
    return caught.value, played


class TestOperation:
    @pytest.mark.parametrize(
        ("request_", "can", "why"),
        [
            (ImageRequest(prompt="x"), "edit", "toy cannot generate from a prompt"),
            (edit(PNG), "generate", "toy cannot edit pictures"),
            (ImageRequest(images=(ImageInput(data=PNG),)), "edit", "toy cannot make variations"),
        ],
    )
    @pytest.mark.parametrize("policy", ["adapt", "error", "ignore"])
    def test_that_the_model_lacks_is_refused_under_every_policy(
        self, request_: ImageRequest, can: Any, why: str, policy: Any
    ) -> None:
        able = Capabilities(operations=frozenset({can}))
        with pytest.raises(UnsupportedRequestError) as caught:
            checked(request_.with_(unsupported=policy), able, "toy")
        assert str(caught.value) == why

    def test_that_the_plugin_emulates_is_taken_where_the_request_lets_it_adapt(self) -> None:
        able = Capabilities(emulates=frozenset({"edit"}))
        assert checked(edit(PNG), able, "toy") == (edit(PNG), [])

    @pytest.mark.parametrize("policy", ["error", "ignore"])
    def test_that_the_plugin_emulates_is_refused_otherwise(self, policy: Any) -> None:
        able = Capabilities(emulates=frozenset({"edit"}))
        with pytest.raises(UnsupportedRequestError, match="unsupported='adapt' emulates it"):
            checked(edit(PNG, unsupported=policy), able, "toy")


@pytest.mark.parametrize("policy", ["adapt", "error", "ignore"])
class TestHardLimits:
    def test_a_mask_is_never_dropped(self, policy: Any) -> None:
        able = EVERYTHING.model_copy(update={"mask": None})
        request = edit(PNG, mask=Mask(PNG, edit_where="white"), unsupported=policy)
        with pytest.raises(UnsupportedRequestError, match="toy takes no mask"):
            checked(request, able, "toy")

    def test_input_pictures_are_never_dropped(self, policy: Any) -> None:
        able = EVERYTHING.model_copy(update={"max_inputs": 1})
        with pytest.raises(UnsupportedRequestError, match="at most 1 input pictures, not 2"):
            checked(edit(PNG, PNG, unsupported=policy), able, "toy")

    def test_as_many_input_pictures_as_it_takes_pass(self, policy: Any) -> None:
        able = EVERYTHING.model_copy(update={"max_inputs": 2})
        request = edit(PNG, PNG, unsupported=policy)
        assert checked(request, able, "toy") == (request, [])


KNOBS: dict[str, Any] = {
    "size": "64x64",
    "seed": 7,
    "negative_prompt": "hats",
    "quality": "high",
    "background": "transparent",
    "output_format": "webp",
    "output_compression": 50,
    "moderation": "low",
    "partial_images": 2,
    "user": "otto",
}


def test_every_knob_is_a_field_of_a_request_and_tried_here() -> None:
    assert set(KNOBS) == set(SOFT) <= set(ImageRequest.model_fields)


@pytest.mark.parametrize("name", SOFT)
class TestKnobs:
    def knob(self, name: str, policy: Any = "adapt") -> ImageRequest:
        return ImageRequest(prompt="x", unsupported=policy, **{name: KNOBS[name]})

    @pytest.mark.parametrize("support", ["yes", "unknown", Allowed()])
    @pytest.mark.parametrize("policy", ["adapt", "error", "ignore"])
    def test_pass_where_they_are_not_known_to_be_impossible(
        self, name: str, support: Any, policy: Any
    ) -> None:
        able = Capabilities(parameters={name: support})
        request = self.knob(name, policy)
        assert checked(request, able, "toy") == (request, [])

    @pytest.mark.parametrize("policy", ["adapt", "ignore"])
    @pytest.mark.parametrize("support", ["no", Allowed(values=("other",))])
    def test_are_dropped_where_they_are_impossible(
        self, name: str, support: Any, policy: Any
    ) -> None:
        able = Capabilities(parameters={name: support})
        adapted, _ = checked(self.knob(name, policy), able, "toy")
        assert adapted == ImageRequest(prompt="x", unsupported=policy)

    def test_are_dropped_with_a_notice(self, name: str) -> None:
        _, notices = checked(self.knob(name), Capabilities(parameters={name: "no"}), "toy")
        assert [(one.kind, one.feature, one.detail, one.wanted) for one in notices] == [
            ("unsupported", name, f"toy has no {name}", str(KNOBS[name]))
        ]

    def test_are_dropped_in_silence_where_asked(self, name: str) -> None:
        _, notices = checked(
            self.knob(name, "ignore"), Capabilities(parameters={name: "no"}), "toy"
        )
        assert notices == []

    def test_are_an_error_where_asked(self, name: str) -> None:
        with pytest.raises(UnsupportedRequestError) as caught:
            checked(self.knob(name, "error"), Capabilities(parameters={name: "no"}), "toy")
        assert str(caught.value) == f"toy has no {name}"

    def test_that_were_not_said_are_never_missed(self, name: str) -> None:
        request = ImageRequest(prompt="x", unsupported="error")
        assert checked(request, Capabilities(parameters={name: "no"}), "toy") == (request, [])


def test_a_notice_on_a_value_says_what_it_may_be() -> None:
    able = Capabilities(parameters={"quality": Allowed(values=("low", "medium"))})
    _, notices = checked(ImageRequest(prompt="x", quality="high"), able, "toy")
    assert [one.detail for one in notices] == ["toy: quality may be low, medium, not 'high'"]


def test_a_size_that_goes_with_some_operations_is_dropped_from_the_others() -> None:
    rule = {"parameters": {"size": Allowed(when={"operation": ("generate",)})}}
    able = EVERYTHING.model_copy(update={**rule, "size": SizeRule(sizes=("64x64",))})
    made, notices = checked(ImageRequest(prompt="x", size="64x64"), able, "toy")
    assert (made.size, notices) == ("64x64", [])
    made, notices = checked(edit(PNG, size="64x64"), able, "toy")
    assert (made.size, [one.feature for one in notices]) == (None, ["size"])


class TestSize:
    ABLE = Capabilities(size=SizeRule(sizes=("1024x1024", "1536x1024")))

    def test_that_the_model_makes_passes(self) -> None:
        request = ImageRequest(prompt="x", size="1536x1024", unsupported="error")
        assert checked(request, self.ABLE, "toy") == (request, [])

    @pytest.mark.parametrize("policy", ["adapt", "ignore"])
    def test_that_it_does_not_make_becomes_the_nearest(self, policy: Any) -> None:
        request = ImageRequest(prompt="x", size="1000x1000", unsupported=policy)
        assert checked(request, self.ABLE, "toy")[0].size == "1024x1024"

    def test_that_was_adjusted_is_a_notice(self) -> None:
        _, notices = checked(ImageRequest(prompt="x", size="1000x1000"), self.ABLE, "toy")
        assert [(one.kind, one.feature, one.wanted, one.used) for one in notices] == [
            ("adjusted", "size", "1000x1000", "1024x1024")
        ]

    def test_that_was_adjusted_in_silence_is_none(self) -> None:
        request = ImageRequest(prompt="x", size="1000x1000", unsupported="ignore")
        assert checked(request, self.ABLE, "toy")[1] == []

    def test_that_it_does_not_make_is_an_error_where_asked(self) -> None:
        request = ImageRequest(prompt="x", size="1000x1000", unsupported="error")
        with pytest.raises(
            UnsupportedRequestError, match="toy makes no 1000x1000; the nearest is 1024x1024"
        ):
            checked(request, self.ABLE, "toy")

    @pytest.mark.parametrize(
        ("asked", "sent"), [("1:1", "1024x1024"), ("3:2", "1536x1024"), ("1:1@1K", "1024x1024")]
    )
    def test_a_shape_that_is_made_exactly_is_no_adjustment(self, asked: str, sent: str) -> None:
        request = ImageRequest(prompt="x", size=asked, unsupported="error")
        able = Capabilities(size=SizeRule(sizes=("1024x1024", "1536x1024")))
        got, notices = checked(request, able, "toy")
        assert (got.size, notices) == (sent, [])

    def test_a_tier_that_is_not_made_is_an_adjustment(self) -> None:
        able = Capabilities(size=SizeRule(sizes=("1024x1024", "1536x1024")))
        _, [notice] = checked(ImageRequest(prompt="x", size="1:1@4K"), able, "toy")
        assert (notice.wanted, notice.used) == ("1:1@4K", "1024x1024")

    def test_passes_where_nobody_knows_the_sizes(self) -> None:
        request = ImageRequest(prompt="x", size="1x9999")
        assert checked(request, Capabilities(), "toy") == (request, [])

    def test_that_was_not_said_is_not_made_up(self) -> None:
        assert checked(ImageRequest(prompt="x"), self.ABLE, "toy")[0].size is None


class TestInputs:
    def test_a_request_without_pictures_stays_what_it_is(self) -> None:
        request = ImageRequest(prompt="x")
        assert ready(request, EVERYTHING).response is request

    def test_a_file_is_read(self, tmp_path: Path) -> None:
        path = tmp_path / "otter.png"
        path.write_bytes(PNG)
        (image,) = ready(edit(path), EVERYTHING).response.images
        assert image == ImageInput(data=PNG, name="otter.png")

    def test_a_file_keeps_the_name_and_role_it_was_given(self, tmp_path: Path) -> None:
        path = tmp_path / "otter.png"
        path.write_bytes(PNG)
        given = ImageInput(path=path, name="boris.png", role="reference")
        (image,) = ready(edit(given), EVERYTHING).response.images
        assert (image.name, image.role) == ("boris.png", "reference")

    def test_bytes_stay_what_they_are(self) -> None:
        given = ImageInput(data=PNG, name="otter.png", role="markup")
        assert ready(edit(given), BYTES_ONLY).response.images == (given,)

    def test_a_url_that_the_provider_reads_stays_a_url(self) -> None:
        played = ready(edit(SIGNED), EVERYTHING)
        assert (played.response.images[0].url, played.requests) == (SIGNED, [])

    def test_a_url_that_the_provider_cannot_read_is_fetched(self) -> None:
        assert ready(edit(SIGNED), BYTES_ONLY, FOUND).response.images[0].data == PNG

    def test_a_url_is_fetched_as_a_strangers_and_for_nothing(self) -> None:
        (request,) = ready(edit(SIGNED), BYTES_ONLY, FOUND).requests
        assert (request.method, request.url, request.stranger, request.charges) == (
            "GET",
            SIGNED,
            True,
            False,
        )

    def test_a_url_that_answers_otherwise_is_an_error_that_hides_its_query(self) -> None:
        error, _ = failed(edit(SIGNED), BYTES_ONLY, HttpResponse(403))
        assert type(error) is RequestError
        assert str(error) == "the input picture at https://cdn.example/otter.png?… answered 403"

    def test_a_url_that_nobody_answers_is_the_requests_fault(self) -> None:
        error, _ = failed(edit(SIGNED), BYTES_ONLY, ConnectionFailedError("nobody there"))
        assert type(error) is RequestError
        assert str(error) == "the input picture at https://cdn.example/otter.png?…: nobody there"
        assert isinstance(error.__cause__, ConnectionFailedError)

    def test_a_deadline_amid_a_url_stays_one(self) -> None:
        error, _ = failed(edit(SIGNED), BYTES_ONLY, DeadlineExceededError("no time is left"))
        assert type(error) is DeadlineExceededError

    def test_a_url_that_holds_no_picture_is_an_error(self) -> None:
        error, _ = failed(edit(SIGNED), BYTES_ONLY, HttpResponse(200, {}, b"<html>"))
        assert "is of no type we know" in str(error)

    def test_a_file_of_the_provider_stays_where_it_takes_them(self) -> None:
        given = ImageInput(file_id="file-1")
        assert ready(edit(given), EVERYTHING).response.images == (given,)

    def test_a_file_of_the_provider_is_refused_where_it_takes_none(self) -> None:
        error, _ = failed(edit(ImageInput(file_id="file-1")), BYTES_ONLY)
        assert type(error) is UnsupportedRequestError

    def test_pictures_keep_their_order(self, tmp_path: Path) -> None:
        (tmp_path / "a.png").write_bytes(PNG)
        request = edit(ImageInput(data=PNG, name="b"), tmp_path / "a.png", SIGNED)
        images = ready(request, BYTES_ONLY, FOUND).response.images
        assert [image.name for image in images] == ["b", "a.png", None]

    @pytest.mark.parametrize(
        ("name", "content", "why"),
        [
            ("missing.png", None, "cannot read the picture .*missing.png: No such file"),
            ("empty.png", b"", "empty.png is empty"),
            ("text.png", b"an otter", "text.png is of no type we know"),
        ],
    )
    def test_a_file_that_is_no_picture_is_one_error_before_any_network(
        self, tmp_path: Path, name: str, content: bytes | None, why: str
    ) -> None:
        if content is not None:
            (tmp_path / name).write_bytes(content)
        played = Played()
        with pytest.raises(RequestError, match=why):
            play(prepared(edit(tmp_path / name), EVERYTHING, "toy"), into=played)
        assert played.requests == []

    @pytest.mark.parametrize(
        ("given", "why"),
        [
            (Path("/"), "Is a directory"),
            ("a\0b.png", "embedded null byte"),
            ("iVBORw0KGgo" * 10_000, "File name too long"),
        ],
        ids=["folder", "NUL", "base64"],
    )
    def test_what_cannot_be_a_file_is_one_short_error(self, given: Any, why: str) -> None:
        error, _ = failed(edit(given))
        assert type(error) is RequestError
        assert why in str(error)
        assert len(str(error)) < 400

    @pytest.mark.parametrize(
        ("data", "why"), [(b"", "is empty"), (b"an otter", "is of no type we know")]
    )
    def test_bytes_that_are_no_picture_are_an_error(self, data: bytes, why: str) -> None:
        error, _ = failed(edit(data))
        assert why in str(error)


class TestMasks:
    """What the conversions come to is in test_masks.py."""

    def masked(self, mask: Any, edit_where: Any = "white") -> ImageRequest:
        return edit(PNG, mask=Mask(mask, edit_where=edit_where))

    def test_a_mask_is_turned_to_the_convention_of_the_provider(self) -> None:
        request = self.masked(png("RGBA", (0, 0, 0, 0)), "transparent")
        mask = ready(request, EVERYTHING).response.mask
        assert mask.edit_where == "white"

    def test_a_mask_of_that_convention_stays_as_it_is(self) -> None:
        assert ready(self.masked(PNG), EVERYTHING).response.mask.image.data == PNG

    @pytest.mark.parametrize(
        ("given", "name"), [(PNG, "mask"), (ImageInput(data=PNG, name="hat.png"), "hat.png")]
    )
    def test_a_mask_has_a_name(self, given: Any, name: str) -> None:
        assert ready(self.masked(given), EVERYTHING).response.mask.image.name == name

    def test_a_mask_is_read_from_its_file(self, tmp_path: Path) -> None:
        (tmp_path / "hat.png").write_bytes(PNG)
        mask = ready(self.masked(tmp_path / "hat.png"), EVERYTHING).response.mask
        assert mask.image == ImageInput(data=PNG, name="hat.png")

    def test_a_mask_behind_a_url_is_always_fetched(self) -> None:
        played = ready(self.masked(SIGNED), EVERYTHING, FOUND)
        assert played.response.mask.image.data == PNG

    def test_a_mask_that_the_provider_keeps_stays_where_it_marks_alike(self) -> None:
        request = self.masked(ImageInput(file_id="file-1"))
        assert ready(request, EVERYTHING).response.mask == request.mask

    def test_a_mask_that_the_provider_keeps_cannot_be_turned(self) -> None:
        error, _ = failed(self.masked(ImageInput(file_id="file-1"), "black"))
        assert type(error) is UnsupportedRequestError
        assert "cannot be turned from 'black' to 'white'; give the picture" in str(error)

    def test_a_missing_mask_is_an_error_before_any_network(self, tmp_path: Path) -> None:
        error, played = failed(self.masked(tmp_path / "hat.png"))
        assert "No such file" in str(error)
        assert played.requests == []


class TestResults:
    """Pictures that the provider gave as URLs."""

    LINKED = Image(url=SIGNED, revised_prompt="an otter", seed=7, echo={"size": "4x3"})

    def test_are_brought_in(self) -> None:
        image = play(filled(self.LINKED), FOUND).response
        assert (image.data, image.media_type, image.width) == (PNG, "image/png", 4)

    def test_keep_what_was_said_of_them(self) -> None:
        image = play(filled(self.LINKED), FOUND).response
        assert (image.url, image.revised_prompt, image.seed, image.echo) == (
            SIGNED,
            "an otter",
            7,
            {"size": "4x3"},
        )

    def test_are_fetched_for_nothing(self) -> None:
        (request,) = play(filled(self.LINKED), FOUND).requests
        assert (request.method, request.charges) == ("GET", False)

    def test_stay_where_they_are_when_not_wanted(self) -> None:
        assert play(filled(self.LINKED, wanted=False)).response is self.LINKED

    def test_that_have_their_bytes_stay_as_they_are(self) -> None:
        image = Image(data=PNG, url=SIGNED)
        assert play(filled(image)).response is image

    @pytest.mark.parametrize(
        ("reply", "why"),
        [
            (HttpResponse(403), "https://cdn.example/otter.png?… answered 403"),
            (
                HttpResponse(200, {"content-type": "text/html"}, b"<html>expired</html>"),
                "https://cdn.example/otter.png?… holds no picture, but text/html",
            ),
            (ConnectionFailedError("nobody there"), "nobody there"),
        ],
    )
    def test_that_cannot_be_fetched_keep_their_url_and_a_notice_says_why(
        self, reply: Any, why: str
    ) -> None:
        played = play(filled(self.LINKED), reply)
        assert played.response is self.LINKED
        (event,) = played.events
        assert isinstance(event, Noticed)
        assert (event.notice.kind, event.notice.detail) == (
            "incomplete",
            f"the picture is not fetched: {why}",
        )

    @pytest.mark.parametrize(
        ("reply", "kind"),
        [(HttpResponse(404), ProviderError), (HttpResponse(200, {}, b"<html>"), ProtocolError)],
    )
    def test_that_hold_no_picture_are_an_error_when_asked_for_alone(
        self, reply: HttpResponse, kind: type[Exception]
    ) -> None:
        with pytest.raises(kind):
            play(downloaded(SIGNED), reply)
