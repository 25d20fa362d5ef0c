from __future__ import annotations

import hashlib
import json
import os
import platform
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import imagekit
from imagekit import (
    Cost,
    Image,
    ImageFailure,
    ImageRequest,
    ImageResponse,
    Notice,
    RequestError,
    Usage,
    UsageItem,
)
from imagekit._cli._main import cli
from imagekit._manifest import ImageRecord, Manifest, Replayed, ReplayedSlot
from imagekit._plan import Plan
from imagekit._prices import Estimate
from imagekit._response import Attempt
from test_media import JPEG_C2PA, PNG_C2PA, SAMPLES, TOLD, WEBP_C2PA
from toys import Server, Talk, picture, spelt

KEY = "sk-a-key-that-must-not-be-kept"


def asked(**fields: Any) -> ImageRequest:
    return ImageRequest(**{"prompt": "a föx", "images": [picture(7)], "seed": 3, **fields})


def plan(**fields: Any) -> Plan:
    said = {"provider": "toy", "profile": "mine", "model": "toy-1", "operation": "edit"}
    return Plan(
        **{
            **said,
            "request": asked(),
            "estimate": Estimate(high=Decimal("0.08"), source="a page"),
            "versions": {"imagekit-toy": "2.1", "imagekit": "0.0.1"},
            **fields,
        }
    )


def response(*slots: Any, **fields: Any) -> ImageResponse:
    usage = Usage(items=(UsageItem(quantity=Decimal(12), direction="output"),))
    return ImageResponse(
        **{
            "slots": slots or (Image(data=picture(1, 3, 2), revised_prompt="a red fox", seed=5),),
            "provider": "toy",
            "profile": "mine",
            "model": "toy-1",
            "usage": usage,
            "cost": Cost(amount=Decimal("0.040"), kind="estimated"),
            "request_ids": ("req_1",),
            "notices": (Notice(kind="adjusted", feature="size"),),
            "attempts": (Attempt(provider="other", kind="RateLimitError", error="later"),),
            **fields,
        }
    )


class TestWhatItSays:
    def test_it_holds_what_the_response_came_of(self) -> None:
        before = datetime.now(UTC)
        given, made_by = response(), plan()
        made = Manifest.of(made_by, given, ["fox.png"])
        assert before <= made.created <= datetime.now(UTC)
        assert made.format == 1
        assert made.plan == made_by
        assert made.plan.request == asked()
        assert (made.provider, made.profile, made.model) == ("toy", "mine", "toy-1")
        for name in ("usage", "cost", "request_ids", "notices", "attempts", "cached"):
            assert getattr(made, name) == getattr(given, name)
        assert made.versions == {
            "imagekit-toy": "2.1",
            "imagekit": imagekit.__version__,
            "python": platform.python_version(),
        }
        data = picture(1, 3, 2)
        assert made.images == (
            ImageRecord(
                sha256=hashlib.sha256(data).hexdigest(),
                size=len(data),
                media_type="image/png",
                width=3,
                height=2,
                file="fox.png",
                revised_prompt="a red fox",
                seed=5,
                c2pa=False,
            ),
        )

    def test_what_the_response_does_not_say_the_plan_does(self) -> None:
        made = Manifest.of(plan(), response(provider=None, profile=None, model=None))
        assert (made.provider, made.profile, made.model) == ("toy", "mine", "toy-1")

    def test_one_that_came_of_a_cache_says_so(self) -> None:
        when = datetime(2026, 11, 20, tzinfo=UTC)
        assert Manifest.of(plan(), response(cached=when)).cached == when

    def test_each_slot_has_its_record(self) -> None:
        slots = (
            Image(data=TOLD["png c2pa"][0]),
            ImageFailure(kind="refused", reason="not that"),
            Image(url="https://files.test/1?sig=secret"),
            Image(data=b"no picture"),
        )
        made = Manifest.of(plan(), response(*slots), ["a.png", None, "d.bin"])
        told, refused, afar, odd = made.images
        assert (told.file, refused.file, afar.file, odd.file) == ("a.png", None, None, "d.bin")
        assert told.c2pa is True
        assert told.provenance == TOLD["png c2pa"][1]
        assert refused == ImageRecord(failure="not that")
        assert afar == ImageRecord()
        assert (odd.media_type, odd.size, odd.c2pa) == (None, 10, None)
        assert [str(one) for one in made.images] == [
            f"image/png, 41x30, {told.size} bytes",
            "no picture: not that",
            "a URL that was not fetched",
            "of unknown type, 10 bytes",
        ]
        assert "secret" not in made.model_dump_json()

    def test_it_is_short_to_look_at(self) -> None:
        assert repr(Manifest.of(plan(), response())) == "<Manifest toy/toy-1: 1 slot>"
        two = response(*[Image(data=picture())] * 2, model=None)
        assert str(Manifest.of(plan(model=None), two)) == "<Manifest toy: 2 slots>"


class TestFiles:
    @pytest.mark.parametrize(
        ("given", "kept"),
        [
            ("fox.png", "fox.png"),
            (Path("out/fox 1.png"), "out/fox 1.png"),
            ("./fox.png", "fox.png"),
            ("../fox.png", "fox.png"),
            ("out/../../fox.png", "fox.png"),
            (Path("fox.png").absolute(), "fox.png"),
        ],
    )
    def test_a_file_is_named_from_the_folder_on(self, given: Any, kept: str) -> None:
        made = Manifest.of(plan(), response(), [given])
        assert made.images[0].file == kept
        assert str(Path.cwd()) not in made.model_dump_json()

    @pytest.mark.parametrize(
        "file", ["", "/etc/passwd", "..", "../x", "a/../../x", "C:x", "C:\\x", "\\x", "..\\x", "."]
    )
    def test_a_strangers_manifest_names_no_file_elsewhere(self, file: str, tmp_path: Path) -> None:
        said = json.loads(Manifest.of(plan(), response(), ["fox.png"]).model_dump_json())
        said["images"][0]["file"] = file
        path = tmp_path / "m.json"
        path.write_text(json.dumps(said))
        with pytest.raises(RequestError, match=r"images\.0\.file: .*lies in it"):
            Manifest.load(path)

    def test_files_that_are_what_came_are_fine(self, tmp_path: Path) -> None:
        given = response(Image(data=picture(1)), Image(data=picture(2)), Image(data=picture(3)))
        (tmp_path / "out").mkdir()
        given[0].save(tmp_path / "a.png")
        given[1].save(tmp_path / "out" / "b.png")
        made = Manifest.of(plan(), given, ["a.png", "out/b.png"])
        assert made.check(tmp_path) == []
        made.save(tmp_path / "m.json")
        assert Manifest.load(tmp_path / "m.json").check(tmp_path) == []

    def test_files_that_are_not_are_named(self, tmp_path: Path) -> None:
        made = Manifest.of(
            plan(),
            response(*[Image(data=picture(shade)) for shade in range(5)]),
            ["gone.png", "shorter.png", "other.png", "folder.png", "fine.png"],
        )
        data = [picture(shade) for shade in range(5)]
        (tmp_path / "shorter.png").write_bytes(data[1][:-1])
        (tmp_path / "other.png").write_bytes(data[2][:-1] + b"\0")
        (tmp_path / "folder.png").mkdir()
        (tmp_path / "fine.png").write_bytes(data[4])
        assert made.check(tmp_path) == [
            "gone.png: it is gone",
            "shorter.png: it is not what came: its bytes have changed",
            "other.png: it is not what came: its bytes have changed",
            "folder.png: it is gone",
        ]

    def test_the_folder_is_that_of_the_program(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        given = response()
        given.image.save("fox.png")
        assert Manifest.of(plan(), given, ["fox.png"]).check() == []

    def test_one_that_cannot_be_read_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        given = response()
        given.image.save(tmp_path / "fox.png")

        def refused(path: Path, *_: object) -> Any:
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr(Path, "open", refused)
        made = Manifest.of(plan(), given, ["fox.png"])
        assert made.check(tmp_path) == ["fox.png: it cannot be read: Permission denied"]


class TestOnDisk:
    def test_it_goes_to_a_file_and_back(self, tmp_path: Path) -> None:
        made = Manifest.of(plan(), response(), ["fox.png"])
        path = tmp_path / "fox.json"
        assert made.save(str(path)) == path
        again = Manifest.load(path)
        assert again == made
        assert again.plan.request.images[0].data == picture(7)
        assert json.loads(path.read_bytes())["images"][0]["file"] == "fox.png"
        assert path.read_bytes().count(b"\n") > 20  # for people too

    def test_it_appears_whole_or_not_at_all(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = Manifest.of(plan(), response())
        path = tmp_path / "fox.json"
        path.write_text("before")

        def breaks(part: Path, data: bytes) -> int:
            with part.open("wb") as file:
                file.write(data[:10])
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(Path, "write_bytes", breaks)
            with pytest.raises(OSError, match="No space"):
                made.save(path)
        assert [one.name for one in tmp_path.iterdir()] == ["fox.json"]
        assert path.read_text() == "before"
        with pytest.raises(FileExistsError):
            made.save(path, overwrite=False)
        made.save(tmp_path / "new.json", overwrite=False)
        assert Manifest.load(tmp_path / "new.json") == made

    @pytest.mark.skipif(os.name != "posix", reason="links want rights elsewhere")
    def test_a_link_stays_one(self, tmp_path: Path) -> None:
        path, link = tmp_path / "fox.json", tmp_path / "link.json"
        link.symlink_to(path)
        made = Manifest.of(plan(), response())
        made.save(link)
        assert link.is_symlink()
        assert Manifest.load(path) == made

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            (b"", "Invalid JSON"),
            (b"{", "Invalid JSON"),
            (b"[]", "Input should be an object"),
            (b"[" * 100_000, "Invalid JSON"),
            (b"\xff", "Invalid JSON"),
            ({"format": 2}, "format: Input should be 1"),
            ({"extra": KEY}, "extra: Extra inputs are not permitted"),
            ({"provider": None}, "provider: Input should be a valid string"),
            ({"created": "2026-11-20T00:00:00"}, "created: .*timezone"),
            ({"images": [{"sha256": "x"}]}, r"images\.0\.sha256: String should match"),
            ({"images": [{"sha256": "0" * 64 + "\n"}]}, r"images\.0\.sha256: String should match"),
            ({"images": [{"size": -1}]}, r"images\.0\.size: "),
            ({"plan": {}}, r"plan\.provider: Field required"),
        ],
    )
    def test_what_is_none_is_one_clear_line(self, tmp_path: Path, change: Any, why: str) -> None:
        said = json.loads(Manifest.of(plan(), response()).model_dump_json())
        path = tmp_path / "m.json"
        path.write_bytes(
            change if isinstance(change, bytes) else json.dumps({**said, **change}).encode()
        )
        with pytest.raises(RequestError) as caught:
            Manifest.load(path)
        assert re.match(
            rf"'{re.escape(str(path))}' is no manifest of this version of imagekit: {why}",
            str(caught.value),
        )
        assert "\n" not in str(caught.value)
        assert KEY not in str(caught.value)

    def test_one_that_is_not_there_is_one_clear_line(self, tmp_path: Path) -> None:
        with pytest.raises(RequestError, match=r"m\.json' cannot be read: No such file"):
            Manifest.load(tmp_path / "m.json")

    @given(st.binary(max_size=200))
    def test_any_file_at_all_is_read_or_refused(self, data: bytes) -> None:
        path = Path(os.environ["XDG_CACHE_HOME"]) / "any.json"
        path.write_bytes(data)
        with pytest.raises(RequestError):
            Manifest.load(path)


class TestReplayed:
    def test_the_same_bytes_are_the_same(self) -> None:
        given = response(Image(data=picture(1)), Image(data=picture(2)))
        found = Manifest.of(plan(), given).replayed(given)
        assert found == Replayed(slots=(ReplayedSlot(same=True),) * 2)
        assert found.same
        assert str(found) == ("slot 0: the same, byte by byte\nslot 1: the same, byte by byte")

    def test_each_difference_is_told(self) -> None:
        failed = ImageFailure(kind="failed", reason="out of paint")
        made = Manifest.of(
            plan(),
            response(
                Image(data=picture(1)),
                Image(data=picture(2)),
                failed,
                Image(url="https://files.test/1"),
                Image(data=picture(5)),
            ),
        )
        now = response(
            Image(data=picture(9)),
            Image(data=SAMPLES["jpeg"][0]),
            failed,
            Image(url="https://files.test/1"),
        )
        found = made.replayed(now)
        assert not found.same
        assert [slot.same for slot in found.slots] == [False] * 5
        size, jpeg = len(picture(1)), len(SAMPLES["jpeg"][0])
        png = f"image/png, 1x1, {size} bytes"
        assert str(found).splitlines() == [
            f"slot 0: differs: image/png, 1x1, {len(picture(9))} bytes; it was {png}",
            f"slot 1: differs: image/jpeg, 41x30, {jpeg} bytes; it was {png}",
            "slot 2: differs: no picture: out of paint; it was no picture: out of paint",
            "slot 3: differs: a URL that was not fetched; it was a URL that was not fetched",
            f"slot 4: differs: nothing; it was image/png, 1x1, {len(picture(5))} bytes",
        ]
        assert str(Manifest.of(plan(), response()).replayed(made_more())).endswith("it was nothing")


def made_more() -> ImageResponse:
    return response(*response().slots, Image(data=picture(2)))


# Bytes on disk equal bytes received.

SENT = {"png": PNG_C2PA, "jpg": JPEG_C2PA, "webp": WEBP_C2PA, "png.told": TOLD["png text"][0]}
ending = pytest.mark.parametrize("ending", SENT)


@pytest.fixture
def service(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A service on loopback that answers with the picture whose ending the prompt is."""

    def act(talk: Talk) -> None:
        seen = talk.read()
        said = {"b64_json": spelt(SENT[json.loads(seen.body)["prompt"]])}
        if b'"stream":true' in seen.body:
            preview = {"type": "image_generation.partial_image", "partial_image_index": 0}
            events = [{**preview, "b64_json": spelt(picture())}]
            events.append({"type": "image_generation.completed", **said})
            body = "".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in events)
            talk.reply(200, body.encode(), content_type="text/event-stream")
        else:
            body = json.dumps({"created": 1, "data": [said]})
            talk.reply(200, body.encode(), content_type="application/json")

    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
    monkeypatch.setenv("IMAGEKIT_PROVIDER", "openai-images")
    return server.does(act)


@ending
def test_a_saved_picture_is_the_bytes_that_came(
    service: Server, ending: str, tmp_path: Path
) -> None:
    with imagekit.Client() as client:
        image = client.generate(ending).image
    path = image.save(tmp_path / f"fox.{ending}")
    assert path.read_bytes() == SENT[ending]
    made = Manifest.of(plan(), response(image), [path.name])
    made.save(tmp_path / "fox.json")
    # A manifest is a file of its own, and adds nothing to a picture.
    assert path.read_bytes() == SENT[ending]
    assert made.images[0].sha256 == hashlib.sha256(SENT[ending]).hexdigest()
    assert made.check(tmp_path) == []
    assert KEY not in made.model_dump_json()


@ending
def test_a_streamed_picture_is_the_bytes_that_came(
    service: Server, ending: str, tmp_path: Path
) -> None:
    with imagekit.Client() as client, client.stream(ending, partial_images=1) as stream:
        ready = [event.image for event in stream if isinstance(event, imagekit.ImageReady)]
    assert [one.save(tmp_path / "fox").read_bytes() for one in ready] == [SENT[ending]]
    assert stream.response.image.data == SENT[ending]


@ending
@pytest.mark.parametrize("more", [[], ["--partial", "1"]], ids=["whole", "streamed"])
def test_the_command_line_writes_the_bytes_that_came(
    service: Server, ending: str, more: list[str], tmp_path: Path
) -> None:
    path = tmp_path / f"fox.{ending.partition('.')[0]}"
    done = CliRunner().invoke(cli, ["generate", ending, "-o", str(path), *more])
    assert done.exit_code == 0, done.output
    assert path.read_bytes() == SENT[ending]
    done = CliRunner().invoke(cli, ["generate", ending, "-o", "-", *more])
    assert done.exit_code == 0, done.output
    assert done.stdout_bytes == SENT[ending]


def test_without_a_plan_there_is_no_manifest() -> None:
    with imagekit.Client(provider="sketch") as client:
        response = client.generate("a", size="16x16")
    with pytest.raises(RequestError, match="make the call with keep_plan=True"):
        Manifest.of(response.plan, response)
