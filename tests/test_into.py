"""Pictures that are written to files while they arrive: `into=`, and the images that come of it."""

from __future__ import annotations

import base64
import copy
import errno
import gc
import json
import os
import pickle
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image as Pillow
from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError

import imagekit
from imagekit import (
    Capabilities,
    Client,
    ConfigurationError,
    Image,
    ImageFailure,
    PartialImage,
    ProtocolError,
    RequestError,
    TransportError,
    TruncatedStreamError,
    _spool,
)
from imagekit._blob import PIECE, Memory
from imagekit._cli._main import cli
from imagekit._saved import place
from imagekit._spool import Part, Spool, place_of
from imagekit.provider import (
    Blob,
    Flow,
    HttpRequest,
    checkpoint,
    emit,
    open_stream,
    receive,
    send,
)
from spoken import httpx
from toys import Driver, Inside, Server, Whole, answers, picture, plugins, spelt, trouble


def noisy(shade: int = 0, size: int = 9_000) -> bytes:
    """A PNG long enough for its base64 not to be read as text."""
    return picture(shade) + os.urandom(size)


PNG, OTHER = noisy(1), noisy(2)
FAR = "https://cdn.test/cat.png?sig=1"


@dataclass
class Wide(Whole):
    """A service whose pictures stand under a key, whole and in a stream."""

    able: Capabilities = field(
        default_factory=lambda: Capabilities(
            streaming=True,
            max_images=9,
            detaches=True,
            operations=frozenset({"generate", "edit"}),
        )
    )

    def flow(self, request: imagekit.ImageRequest, *, stream: bool) -> Flow:
        blobs = frozenset({"picture"})
        asked = HttpRequest("POST", "/pictures", json={"n": request.n}, blobs=blobs)
        if not stream:
            answer = yield from send(asked)
            if not answer.ok:
                raise trouble(answer)
            yield from checkpoint({"id": "7"})
            slots = tuple(self.slot(one) for one in answer.json()["data"])
            return imagekit.ImageResponse(slots=slots)
        yield from open_stream(asked)
        made = []
        while (event := (yield from receive())) is not None:
            said = event.json()
            if event.event == "end":
                return imagekit.ImageResponse(slots=tuple(made))
            image = Image(data=said["picture"])
            if event.event == "partial":
                yield from emit(PartialImage(image=image))
            elif event.event == "shown":
                yield from emit(imagekit.ImageReady(image=image))
            elif event.event == "failed":
                made.append(ImageFailure(kind="failed", reason="no"))
            else:
                made.append(image)
        raise TruncatedStreamError("no end came")

    def slot(self, said: Any) -> Image:
        return Image(url=said["url"]) if "url" in said else Image(data=said["picture"])

    def resume(self, handle: Any) -> Flow:
        answer = yield from send(HttpRequest("GET", "/7", blobs=frozenset({"picture"})))
        return imagekit.ImageResponse(slots=tuple(self.slot(o) for o in answer.json()["data"]))


def settings(made: object = None, **more: Any) -> dict[str, Any]:
    known = plugins(toy=made or Wide())
    return {"plugins": known, "provider": "toy", "env": {}, "retry": imagekit.RetryPolicy(0)} | more


class Service:
    """Answers with *data* as JSON, or with *events*, and gives out what is behind a URL."""

    def __init__(self, *data: bytes | str, events: bytes | None = None) -> None:
        self.data, self.events = data, events
        self.seen: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        if request.url.host == "cdn.test":
            return httpx.Response(200, content=PNG, headers={"content-type": "image/png"})
        if self.events is not None:
            kind = {"content-type": "text/event-stream"}
            return httpx.Response(200, content=self.events, headers=kind)
        said = [
            {"url": one} if isinstance(one, str) else {"picture": spelt(one)} for one in self.data
        ]
        return httpx.Response(200, json={"data": said})


def event(name: str, data: bytes = PNG) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'picture': spelt(data)})}\n\n".encode()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def umask() -> Iterator[int]:
    """Of what every new file of the process lacks."""
    before = os.umask(0o027)
    yield 0o027
    os.umask(before)


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """No picture that is in a file is brought into memory."""
    read = Blob.__bytes__

    def checked(blob: Blob) -> bytes:
        assert blob.path is None, "a picture that is in a file was read"
        return read(blob)

    monkeypatch.setattr(Blob, "__bytes__", checked)


def there(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def generate(driver: Driver, service: object, made: object = None, **how: Any) -> Any:
    ask = lambda client: client.generate("A red cat!", **how)  # noqa: E731
    return driver.call(ask, service, **settings(made))  # type: ignore[arg-type]


class TestWhole:
    def test_it_goes_to_a_file_and_is_never_in_memory(
        self, driver: Driver, here: Path, unread: None
    ) -> None:
        image = generate(driver, Service(PNG), into="cat.png").image
        assert image.path == here / "cat.png"
        assert Path("cat.png").read_bytes() == PNG
        assert (image.length, image.width, image.media_type) == (len(PNG), 1, "image/png")
        assert image.facts.width == 1
        assert repr(image) == f"<Image image/png 1x1, {len(PNG)} bytes>"
        assert there(here) == ["cat.png"]
        assert not (here / "cat.png").stat().st_mode & 0o100

    @pytest.mark.parametrize(
        ("into", "n", "names"),
        [
            ("cat-{n}.png", 2, ["cat-1.png", "cat-2.png"]),
            ("cat.png", 2, ["cat-1.png", "cat-2.png"]),
            ("{n}", 1, ["1"]),
            (Path("cat.jpg"), 1, ["cat.jpg"]),
            (".", 1, ["a-red-cat.png"]),
            ("./", 2, ["a-red-cat-1.png", "a-red-cat-2.png"]),
            ("{m}.png", 1, ["{m}.png"]),
        ],
        ids=["numbered", "plain", "no ending", "another ending", "folder", "slash", "no field"],
    )
    def test_the_names_are_those_of_the_command_line(
        self, here: Path, into: str, n: int, names: list[str]
    ) -> None:
        response = generate(Driver("sync"), Service(*[PNG, OTHER][:n]), into=into, n=n)
        assert there(here) == names
        assert [one.path.name for one in response.images] == names
        assert [one.path.read_bytes() for one in response.images] == [PNG, OTHER][:n]

    def test_one_more_than_asked_for_has_a_name_too(self, here: Path) -> None:
        generate(Driver("sync"), Service(PNG, OTHER), into="cat.png")
        assert there(here) == ["cat-2.png", "cat.png"]

    def test_what_is_made_in_this_process_is_written_at_the_end(
        self, driver: Driver, here: Path
    ) -> None:
        image = generate(driver, None, Inside(), into="cat.png").image
        assert image.path == here / "cat.png"
        assert image.data == Path("cat.png").read_bytes() == picture(10)
        assert there(here) == ["cat.png"]

    def test_a_url_is_fetched_into_the_file(self, driver: Driver, here: Path, unread: None) -> None:
        image = generate(driver, Service(FAR), into="cat.png").image
        assert (image.url, image.path) == (FAR, here / "cat.png")
        assert Path("cat.png").read_bytes() == PNG
        assert there(here) == ["cat.png"]

    def test_an_image_that_is_a_url_is_fetched_into_a_file(
        self, driver: Driver, here: Path, unread: None
    ) -> None:
        far = Image(url=FAR)
        image = driver.call(lambda c: c.fetch(far, into="cat.png"), Service(), **settings())
        assert image.path == here / "cat.png"
        assert there(here) == ["cat.png"]
        again = driver.call(lambda c: c.fetch(image, into="dog.png"), Service(), **settings())
        assert again.path == here / "dog.png"
        assert again.same(image)

    @pytest.mark.parametrize("given", [PNG, FAR], ids=["bytes", "url"])
    def test_a_picture_is_opened_from_its_file(
        self, driver: Driver, here: Path, given: Any
    ) -> None:
        ask: Any = lambda c: c.open_image("a cat", into="cat.png")  # noqa: E731
        with driver.call(ask, Service(given), **settings()) as file:
            assert (file.name, file.media_type) == ("image.png", "image/png")
            assert os.path.samestat(os.fstat(file.fileno()), Path("cat.png").stat())
            assert file.read() == PNG

    def test_with_the_exchanges_kept_it_is_written_all_the_same(self, here: Path) -> None:
        response = generate(Driver("sync"), Service(PNG), into="cat.png", raw=True)
        assert base64.b64encode(PNG) in response.raw[0].response.body
        assert response.image.path == here / "cat.png"
        assert there(here) == ["cat.png"]

    def test_a_device_is_written_to_and_never_replaced(self, here: Path) -> None:
        image = generate(Driver("sync"), Service(PNG), into="/dev/null").image
        assert (image.path, image.data) == (None, PNG)
        assert Path("/dev/null").is_char_device()

    def test_a_result_from_the_cache_is_written(self, driver: Driver, here: Path) -> None:
        cache = imagekit.Cache(here / "kept")
        first = generate(driver, Service(PNG), into="one.png", cache=cache)
        second = generate(driver, Service(PNG), into="two.png", cache=cache)
        assert (first.cached, bool(second.cached)) == (None, True)
        assert second.image.path == here / "two.png"
        assert Path("one.png").read_bytes() == Path("two.png").read_bytes() == PNG

    def test_a_job_is_resumed_into_a_file(self, driver: Driver, here: Path, unread: None) -> None:
        job = driver.call(lambda c: c.submit("a cat"), Service(PNG), **settings())
        done = driver.call(lambda c: c.resume(job, into="cat.png"), Service(PNG), **settings())
        assert done.image.path == here / "cat.png"
        assert there(here) == ["cat.png"]

    def test_it_goes_in_again(self, driver: Driver, here: Path) -> None:
        image = generate(driver, Service(PNG), into="cat.png").image
        again = driver.call(lambda c: c.edit("a hat", images=[image]), Service(PNG), **settings())
        assert again.ok

    def test_it_is_in_the_folder_that_the_call_was_made_in(
        self, driver: Driver, here: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (here / "other").mkdir()

        class Wandering(Service):
            """The first who is asked is busy, and the program works elsewhere by then."""

            def __call__(self, request: httpx.Request) -> httpx.Response:
                monkeypatch.chdir(here / "other")
                if not self.seen:
                    self.seen.append(request)
                    return httpx.Response(503)
                return super().__call__(request)

        known = plugins(toy=Wide(), spare=Wide())
        how = settings() | {"plugins": known, "provider": ["toy", "spare"]}
        ask: Any = lambda c: c.generate("a cat", into="cat.png")  # noqa: E731
        image = driver.call(ask, Wandering(PNG), **how).image
        assert image.path == here / "cat.png"
        assert pickle.loads(pickle.dumps(image)).data == PNG
        assert there(here / "other") == []

    def test_a_plan_is_done_into_a_file(self, driver: Driver, here: Path) -> None:
        plan = driver.call(lambda c: c.plan("a cat", into="cat.png"), Service(PNG), **settings())
        done = driver.call(lambda c: c.run(plan, into="cat.png"), Service(PNG), **settings())
        assert done.image.path == here / "cat.png"
        assert "cat.png" not in str(plan)


class TestStreamed:
    EVENTS = event("partial", OTHER) + event("partial", OTHER) + event("ready")

    def test_previews_are_in_files_that_go_and_the_picture_in_one_that_stays(
        self, driver: Driver, here: Path
    ) -> None:
        seen: list[Any] = []

        class Look(list[Any]):
            def append(self, one: Any) -> None:
                super().append(one)
                if isinstance(one, PartialImage):
                    path = one.image.path
                    assert stat.S_IMODE(path.stat().st_mode) == 0o600
                    seen.append((path, one.image.data == OTHER))

        service = Service(events=self.EVENTS + event("end"))
        told = driver.stream(
            "a cat", service, events=Look(), fields={"into": "cat.png"}, **settings()
        )
        assert [(path.suffix, path.parent, same) for path, same in seen] == [
            (".part", here, True),
            (".part", here, True),
        ]
        assert told[-1].response.image.path == here / "cat.png"
        ready = [one for one in told if isinstance(one, imagekit.ImageReady)]
        assert ready[0].image == told[-1].response.image
        assert there(here) == ["cat.png"]
        assert Path("cat.png").read_bytes() == PNG
        with pytest.raises(RequestError, match=r"cannot read .*\.part.*goes with its call"):
            told[0].image.read()
        with pytest.raises(RequestError, match="goes with its call"):
            told[0].image.open()

    def test_leaving_leaves_nothing(self, driver: Driver, here: Path) -> None:
        service = Service(events=self.EVENTS + event("end"))
        driver.stream("a cat", service, until=1, fields={"into": "cat.png"}, **settings())
        assert there(here) == []

    def test_what_is_cut_leaves_its_last_preview_in_the_error(
        self, driver: Driver, here: Path
    ) -> None:
        cut = event("partial", PNG) + event("partial", OTHER)
        with pytest.raises(TruncatedStreamError) as caught:
            driver.stream("a cat", Service(events=cut), fields={"into": "cat.png"}, **settings())
        assert there(here) == []
        assert caught.value.response is not None
        [failure] = caught.value.response.failures
        assert failure.preview is not None
        assert failure.preview.data == OTHER

    def test_a_picture_that_comes_twice_is_one(
        self, driver: Driver, here: Path, unread: None
    ) -> None:
        events = event("shown") + event("ready") + event("end")
        fields = {"into": "cat.png"}
        told = driver.stream("a cat", Service(events=events), fields=fields, **settings())
        assert len(told[-1].response.slots) == 1
        assert there(here) == ["cat.png"]

    def test_of_two_the_one_that_failed_keeps_its_preview(self, here: Path) -> None:
        events = event("partial", OTHER) + event("failed") + event("ready") + event("end")
        fields = {"into": "cat-{n}.png", "n": 2}
        told = Driver("sync").stream("a cat", Service(events=events), fields=fields, **settings())
        response = told[-1].response
        assert response.failures[0].preview.data == OTHER
        assert there(here) == ["cat-2.png"]


class TestRefused:
    @pytest.mark.parametrize(
        ("into", "words"),
        [
            ("", "into is a path, or a pattern of paths such as 'cat-{n}.png', not ''"),
            ("  ", "into is a path"),
            ("a\0b.png", "into is a path"),
            (b"cat.png", "into is a path.*not b'cat.png'"),
            (7, "into is a path.*not 7"),
            ("nowhere/cat.png", "there is no folder '.*/nowhere'"),
            ("nowhere/", "there is no folder '.*/nowhere'"),
            ("old.png", "'.*/old.png' is there already; overwrite=True replaces it"),
            ("old-{n}.png", "'.*/old-1.png' is a folder"),
        ],
        ids=["empty", "blank", "nul", "bytes", "number", "no folder", "slash", "there", "a folder"],
    )
    def test_before_anything_is_sent(
        self, driver: Driver, here: Path, into: Any, words: str
    ) -> None:
        Path("old.png").write_bytes(b"old")
        Path("old-1.png").mkdir()
        service = Service(PNG)
        with pytest.raises(RequestError, match=words.replace("{", r"\{")) as caught:
            generate(driver, service, into=into)
        assert (caught.value.billed, service.seen) == ("no", [])
        with pytest.raises(RequestError, match=words.replace("{", r"\{")):
            driver.call(lambda c: c.plan("a cat", into=into), service, **settings())
        assert Path("old.png").read_bytes() == b"old"

    def test_a_folder_that_may_not_be_written_to(
        self, here: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "access", lambda *_: False)
        with pytest.raises(RequestError, match=r"the folder '/.*' may not be written to"):
            generate(Driver("sync"), Service(PNG), into="cat.png")

    def test_a_folder_that_is_gone(self, here: Path) -> None:
        (here / "gone").mkdir()
        os.chdir(here / "gone")
        (here / "gone").rmdir()
        service = Service(PNG)
        with pytest.raises(RequestError, match=r"into='cat.png' is in the folder.* is gone: No"):
            generate(Driver("sync"), service, into="cat.png")
        generate(Driver("sync"), service, into=here / "cat.png")
        assert len(service.seen) == 1

    @pytest.mark.parametrize("far", [False, True], ids=["same disk", "another disk"])
    def test_what_is_replaced_keeps_its_permissions_and_a_link_stays_one(
        self, here: Path, far: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        replace = Path.replace

        def across(path: Path, target: Path) -> Path:
            if far and path.name.startswith("imagekit-"):
                raise OSError(errno.EXDEV, "Invalid cross-device link")
            return replace(path, target)

        monkeypatch.setattr(Path, "replace", across)
        (here / "kept").mkdir()
        Path("kept/old.png").write_bytes(b"old")
        Path("kept/old.png").chmod(0o620)
        Path("cat.png").symlink_to("kept/old.png")
        said = place_of({"into": here / "cat.png", "overwrite": True}, 1)
        assert said is not None
        assert said.folder == here / "kept"
        image = generate(Driver("sync"), Service(PNG), into="cat.png", overwrite=True).image
        assert (image.path, image.data) == (here / "cat.png", PNG)
        assert Path("cat.png").is_symlink()
        assert (there(here), there(here / "kept")) == (["cat.png", "kept"], ["old.png"])
        assert Path("kept/old.png").read_bytes() == PNG
        assert stat.S_IMODE(Path("kept/old.png").stat().st_mode) == 0o620

    def test_a_link_into_nowhere_is_refused(self, here: Path) -> None:
        Path("cat.png").symlink_to("nowhere/cat.png")
        service = Service(PNG)
        with pytest.raises(RequestError, match=r"there is no folder '.*/nowhere'"):
            generate(Driver("sync"), service, into="cat.png", overwrite=True)
        assert service.seen == []

    def test_a_link_in_a_circle_is_replaced(self, here: Path) -> None:
        Path("cat.png").symlink_to("cat.png")
        generate(Driver("sync"), Service(PNG), into="cat.png", overwrite=True)
        assert Path("cat.png").read_bytes() == PNG

    def test_a_new_file_is_as_every_new_file(self, here: Path, umask: int) -> None:
        generate(Driver("sync"), Service(PNG), into="cat.png")
        generate(Driver("sync"), Service(PNG), into="owl.png", overwrite=True)
        generate(Driver("sync"), None, Inside(), into="dog.png", overwrite=True)
        assert there(here) == ["cat.png", "dog.png", "owl.png"]
        for name in there(here):
            assert stat.S_IMODE(Path(name).stat().st_mode) == 0o666 & ~umask

    def test_what_is_there_is_replaced_when_that_is_said(self, driver: Driver, here: Path) -> None:
        Path("cat.png").write_bytes(b"old")
        generate(driver, Service(PNG), into="cat.png", overwrite=True)
        assert Path("cat.png").read_bytes() == PNG

    def test_one_more_than_asked_for_replaces_nothing(self, driver: Driver, here: Path) -> None:
        for name in ("cat.png", "cat-2.png"):
            Path(name).write_bytes(b"old")
        response = generate(driver, Service(PNG, OTHER), into="cat.png", overwrite=True)
        assert (Path("cat.png").read_bytes(), Path("cat-2.png").read_bytes()) == (PNG, b"old")
        assert response[1].data == OTHER
        assert there(here) == ["cat-2-2.png", "cat-2.png", "cat.png"]

    def test_previews_without_an_end_do_not_fill_the_disk(
        self, driver: Driver, here: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_spool, "MOST_LOOSE", 3 * len(PNG))
        service = Service(events=event("partial") * 9)
        with pytest.raises(ProtocolError, match=r"pictures of the call are larger than \d+ bytes"):
            driver.stream("a cat", service, fields={"into": "cat.png"}, **settings())
        assert there(here) == []

    def test_it_is_a_call_s_and_no_client_s(self) -> None:
        with pytest.raises(ConfigurationError, match="no such default: into"):
            Client(**settings(into="cat.png"))

    def test_work_that_nobody_waits_for_has_no_files(self, driver: Driver) -> None:
        submit: Callable[[Any], Any] = lambda c: c.submit("a cat", into="cat.png")  # noqa: E731
        batch: Callable[[Any], Any] = lambda c: c.batch([], into="cat.png")  # noqa: E731
        for verb in (submit, batch):
            with pytest.raises(RequestError, match="give it to resume"):
                driver.call(verb, Service(PNG), **settings())

    def test_a_request_names_no_files(self) -> None:
        with pytest.raises(ValueError, match="into"):
            imagekit.ImageRequest.model_validate({"prompt": "a cat", "into": "cat.png"})


class TestTrouble:
    def test_nothing_is_left_by_an_error(self, driver: Driver, here: Path) -> None:
        class Broken(Service):
            def __call__(self, request: httpx.Request) -> httpx.Response:
                body = json.dumps({"data": [{"picture": spelt(PNG)}]}).encode()
                return httpx.Response(200, content=body[:-500])

        with pytest.raises(imagekit.ProtocolError):
            generate(driver, Broken(), into="cat.png")
        assert there(here) == []

    def test_a_name_that_was_taken_meanwhile_is_left_alone(
        self, driver: Driver, here: Path
    ) -> None:
        class Late(Service):
            def __call__(self, request: httpx.Request) -> httpx.Response:
                Path("cat.png").write_bytes(b"somebody's")
                return super().__call__(request)

        response = generate(driver, Late(PNG), into="cat.png")
        assert response.image.path == here / "cat-2.png"
        assert Path("cat.png").read_bytes() == b"somebody's"
        assert [one.feature for one in response.notices] == ["into"]
        assert f"saved as '{here / 'cat-2.png'}'" in response.notices[0].detail

    def test_what_cannot_be_renamed_stays_and_the_error_says_where(
        self, driver: Driver, here: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(Path, "replace", full)
        with pytest.raises(RequestError, match=r"No space left.*it is in '.*\.part'") as caught:
            generate(driver, Service(PNG), into="cat.png")
        assert caught.value.billed == "yes"
        assert caught.value.response is not None
        image = caught.value.response.image
        assert image.path is not None
        assert (there(here), image.data) == ([image.path.name], PNG)

    def test_what_cannot_be_written_is_kept_in_memory(
        self, driver: Driver, here: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(Path, "write_bytes", full)
        with pytest.raises(RequestError, match=r"cannot write '.*/cat\.png': No space") as caught:
            generate(driver, None, Inside(), into="cat.png")
        assert caught.value.response is not None
        assert caught.value.response.image.data == picture(10)
        far = Image(data=PNG)
        with pytest.raises(RequestError, match=r"cannot write '.*/cat\.png': No space"):
            driver.call(lambda c: c.fetch(far, into="cat.png"), **settings())
        assert there(here) == []

    def test_a_file_that_is_gone_is_nothing_to_put_anywhere(
        self, driver: Driver, here: Path
    ) -> None:
        (here / "old.png").write_bytes(PNG)
        image = Image(data=Blob.in_file(here / "old.png", len(PNG)))
        (here / "old.png").unlink()
        with pytest.raises(RequestError, match=r"cannot read the picture from '.*/old\.png': No"):
            driver.call(lambda c: c.fetch(image, into="cat.png"), **settings())
        assert there(here) == []

    def test_another_disk_gets_a_copy(self, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        replace = Path.replace

        def across(path: Path, target: Path) -> Path:
            if path.name.startswith("imagekit-"):
                raise OSError(errno.EXDEV, "Invalid cross-device link")
            return replace(path, target)

        monkeypatch.setattr(Path, "replace", across)
        image = generate(Driver("sync"), Service(PNG), into="cat.png").image
        assert (image.path, image.data, there(here)) == (here / "cat.png", PNG, ["cat.png"])

    def test_it_is_written_when_the_time_is_over(self, here: Path) -> None:
        class Late(Inside):
            def flow(self, request: imagekit.ImageRequest, *, stream: bool) -> Flow:
                yield from emit(imagekit.ImageReady(image=Image(data=PNG)))
                return imagekit.ImageResponse(slots=(Image(data=PNG),))

        from imagekit._drive import run
        from imagekit._scope import Scope
        from imagekit._spool import spooled
        from imagekit._transport import SyncTransport

        over = Scope(0.0)
        flow = spooled(
            Late().flow(imagekit.ImageRequest(prompt="a cat"), stream=False),
            place_of({"into": "cat.png"}, 1),
        )
        assert run(flow, SyncTransport(), over).image.path == Path("cat.png")

    def test_what_fails_with_nothing_come_fails_as_it_did(self, here: Path) -> None:
        from imagekit._spool import spooled

        def flow() -> Flow:
            raise imagekit.PluginError("no")
            yield

        with pytest.raises(imagekit.PluginError, match="no"):
            next(spooled(flow(), place_of({"into": "cat.png"}, 1)))

    def test_what_a_stranger_sends_to_be_edited_is_no_result(
        self, driver: Driver, here: Path
    ) -> None:
        ask: Any = lambda c: c.edit("a hat", images=[FAR], into="cat.png")  # noqa: E731
        done = driver.call(ask, Service(OTHER), **settings())
        assert done.image.data == OTHER
        assert there(here) == ["cat.png"]

    def test_what_cannot_be_fetched_is_nowhere(self, driver: Driver, here: Path) -> None:
        class Gone(Service):
            def __call__(self, request: httpx.Request) -> httpx.Response:
                if request.url.host == "cdn.test":
                    return httpx.Response(404)
                return super().__call__(request)

        response = generate(driver, Gone(FAR), into="cat.png")
        assert (response.image.url, response.image.path, there(here)) == (FAR, None, [])
        assert [one.feature for one in response.notices] == ["url"]


class TestPlace:
    def test_what_is_gone_goes_nowhere(self, tmp_path: Path) -> None:
        placed = place(Blob.in_file(tmp_path / "gone", 3), tmp_path / "cat.png", force=False)
        assert (placed.path, placed.bad, there(tmp_path)) == (None, True, [])
        assert "cannot read the picture from" in str(placed.why)

    def test_whoever_has_the_blob_sees_it_by_the_name_that_was_said(self, tmp_path: Path) -> None:
        (tmp_path / "1.part").write_bytes(PNG)
        link = tmp_path / "cat.png"
        link.symlink_to("real.png")
        loose = Blob.in_file(tmp_path / "1.part", len(PNG), loose=True)
        assert place(loose, link, force=True).path == loose.path == link
        assert (bytes(loose), there(tmp_path)) == (PNG, ["cat.png", "real.png"])


class Full:
    """A file of a disk that is full after a few more bytes."""

    def __init__(self, file: Any, room: int) -> None:
        self._file, self._room = file, room

    def write(self, data: memoryview) -> int:
        if not self._room:
            raise OSError(errno.ENOSPC, "No space left on device")
        count = int(self._file.write(data[: self._room]))
        self._room -= count
        return count

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class TestPart:
    @pytest.mark.parametrize("room", [0, 5, 11])
    def test_a_full_disk_sends_it_to_memory(self, tmp_path: Path, room: int) -> None:
        part = Part(tmp_path / "1.part").begin()
        part._file = Full(part._file, room)
        for piece in (b"abc", b"defgh", b"", b"ijklm"):
            part.write(piece)
        found = part.blob()
        assert (found.path, bytes(found), there(tmp_path)) == (None, b"abcdefghijklm", [])
        part.drop()

    def test_where_no_file_can_be_made_it_is_in_memory(self, tmp_path: Path) -> None:
        part = Spool(tmp_path / "gone").sink()
        part.write(b"abc")
        assert bytes(part.blob()) == b"abc"

    def test_what_is_dropped_or_closed_is_gone(self, tmp_path: Path) -> None:
        spool = Spool(tmp_path)
        parts = [spool.sink() for _ in range(3)]
        parts[0].write(b"abc")
        loose, own = parts[0].blob(), parts[1].blob()
        parts[2].drop()
        assert len(there(tmp_path)) == 2
        assert own.path is not None
        own.moved(own.path)
        spool.close()
        assert there(tmp_path) == [own.path.name]
        assert loose.loose
        assert not own.loose

    def test_what_cannot_be_removed_does_not_stop_the_rest(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def denied(*_: object, **__: object) -> None:
            raise PermissionError

        spool = Spool(tmp_path)
        parts = [spool.sink(), spool.sink()]
        monkeypatch.setattr(Path, "unlink", denied)
        spool.close()
        assert all(part._file.closed for part in parts)


class TestImage:
    @pytest.fixture
    def held(self, tmp_path: Path) -> Image:
        path = tmp_path / "cat.png"
        path.write_bytes(PNG)
        return Image(data=Blob.in_file(path, len(PNG)))

    def test_bytes_that_are_at_hand_are_handed_over_as_they_are(self) -> None:
        image = Image(data=Blob.of(PNG))
        assert image.data is PNG
        assert image.path is None

    @pytest.mark.parametrize(
        "again",
        [
            copy.copy,
            copy.deepcopy,
            lambda image: pickle.loads(pickle.dumps(image)),
            lambda image: image.model_copy(),
            Image.model_validate,
            TypeAdapter(Image).validate_python,
        ],
        ids=["copy", "deepcopy", "pickle", "model_copy", "validate", "adapter"],
    )
    def test_a_copy_is_in_the_same_file(
        self, held: Image, again: Callable[[Image], Image], unread: None
    ) -> None:
        other = again(held)
        assert (other.path, other.length) == (held.path, len(PNG))
        assert other == held

    def test_it_goes_to_json_and_back_as_its_bytes(self, held: Image) -> None:
        plain = Image(data=PNG)
        assert held.model_dump() == plain.model_dump()
        assert held.model_dump_json() == plain.model_dump_json()
        assert Image.model_validate_json(held.model_dump_json()) == plain
        assert held.to_base64() == plain.to_base64()

    def test_it_equals_what_has_the_same_bytes(self, held: Image, unread: None) -> None:
        plain, other = Image(data=PNG), Image(data=PNG[:-1] + b"?")
        far = Image(url="https://cdn.test/cat.png")
        assert held == plain
        assert plain == held
        assert held != other
        assert other != held
        assert held.same(plain)
        assert not held.same(other)
        assert not far.same(far)
        assert (far.length, far.path, far.facts) == (None, None, None)

    def test_files_are_compared_piece_by_piece(self, tmp_path: Path, unread: None) -> None:
        long = os.urandom(PIECE + 10)
        one, two, cut = (tmp_path / name for name in ("one", "two", "cut"))
        one.write_bytes(long)
        two.write_bytes(long)
        cut.write_bytes(long[:PIECE])
        first = Blob.in_file(one, len(long))
        assert first == Blob.in_file(two, len(long))
        assert first == long
        assert first != Blob.in_file(cut, len(long))
        assert first != Blob.of(long[:-1] + b"?")
        assert first != "text"
        assert b"".join(first.pieces()) == b"".join(Blob.of(long).pieces()) == long

    def test_it_is_saved_from_file_to_file(self, held: Image, tmp_path: Path, unread: None) -> None:
        assert held.save(tmp_path / "copy.png").read_bytes() == PNG
        assert held.path is not None
        assert held.save(held.path).read_bytes() == PNG
        held.save("/dev/null")

    def test_it_is_the_file_that_is_opened(self, held: Image, unread: None) -> None:
        with held.open() as file:
            assert file.read(8) == PNG[:8]
            assert held.path is not None
            assert os.path.samestat(os.fstat(file.fileno()), held.path.stat())

    def test_a_notebook_shows_it(self, held: Image) -> None:
        assert held._repr_mimebundle_() == {"image/png": base64.b64encode(PNG).decode()}

    def test_it_goes_in_by_its_path(self, held: Image) -> None:
        [given] = imagekit.ImageRequest(prompt="a hat", images=[held]).images
        assert (given.path, given.data) == (held.path, None)

    @pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "gif", "tiff", "bmp", "svg"])
    def test_the_file_says_what_the_bytes_say(self, tmp_path: Path, kind: str) -> None:
        path = tmp_path / f"cat.{kind}"
        if kind == "svg":
            path.write_text('<svg xmlns="http://www.w3.org/2000/svg" width="3" height="2"/>')
        else:
            Pillow.new("RGB", (3, 2)).save(path)
        data = path.read_bytes()
        image = Image(data=Blob.in_file(path, len(data)))
        assert image.media_type is not None
        assert (image, image.facts) == (Image(data=data), Image(data=data).facts)

    def test_what_is_gone_or_emptied_says_so(self, held: Image) -> None:
        assert held.path is not None
        held.path.write_bytes(b"")
        with pytest.raises(RequestError, match="cannot mmap an empty file"):
            _ = held.facts
        held.path.unlink()
        with pytest.raises(RequestError, match="No such file"):
            _ = held.facts
        with pytest.raises(RequestError, match="No such file"):
            _ = held.data

    @pytest.mark.parametrize(
        "use",
        [
            lambda image, folder: image.save(folder / "copy.png"),
            lambda image, folder: image.save("/dev/null"),
            lambda image, folder: image == Image(data=PNG),
            lambda image, folder: Image(data=PNG) == image,
            lambda image, folder: image.same(Image(data=PNG)),
            lambda image, folder: image.model_dump(),
            lambda image, folder: image.model_dump(mode="json"),
            lambda image, folder: image.model_dump_json(),
            lambda image, folder: imagekit.ImageResponse(slots=(image,)).model_dump_json(),
            lambda image, folder: image.to_base64(),
            lambda image, folder: image.to_data_url(),
            lambda image, folder: image.to_pil(),
            lambda image, folder: image.read(),
            lambda image, folder: image.open(),
            lambda image, folder: image.facts,
        ],
        ids=[
            *("save", "to a device", "equal", "equal to it", "same", "dump", "dump as json"),
            *(
                "json",
                "json of a response",
                "base64",
                "data url",
                "pillow",
                "read",
                "open",
                "facts",
            ),
        ],
    )
    def test_what_is_gone_is_one_error_whatever_is_done(
        self, held: Image, tmp_path: Path, use: Callable[[Image, Path], object]
    ) -> None:
        assert held.path is not None
        held.path.unlink()
        with pytest.raises(
            RequestError, match=r"cannot read the picture from '.*cat\.png': No such"
        ) as caught:
            use(held, tmp_path)
        assert isinstance(caught.value.__cause__, FileNotFoundError)
        assert there(tmp_path) == []

    def test_what_needs_no_bytes_needs_no_file(self, held: Image) -> None:
        again, before = held.model_copy(), hash(held)
        assert held.path is not None
        held.path.unlink()
        assert held == again
        assert held != Image(data=PNG[:-1])
        assert (held.length, hash(held)) == (len(PNG), before)
        assert held.model_dump(exclude={"data"})["width"] == 1
        assert '"width":1' in held.model_dump_json(exclude={"data"})

    def test_what_pydantic_cannot_write_is_its_own_error(self) -> None:
        odd = Image.model_construct(data=PNG, echo={"odd": object()})
        with pytest.raises(PydanticSerializationError, match="Unable to serialize"):
            odd.model_dump_json()
        with pytest.raises(PydanticSerializationError, match="Unable to serialize"):
            odd.model_dump(mode="json")

    def test_equal_pictures_have_one_hash(self, held: Image, tmp_path: Path, unread: None) -> None:
        (tmp_path / "copy.png").write_bytes(PNG)
        copied = Image(data=Blob.in_file(tmp_path / "copy.png", len(PNG)))
        far = Image(url=FAR, echo={"a": [1]})
        assert len({held, copied, Image(data=PNG)}) == 1
        assert len({held, Image(data=PNG[:-1]), far, Image(url=FAR[:-1]), far}) == 4
        given = imagekit.ImageInput(data=PNG)
        in_file = imagekit.ImageInput.model_validate(
            {"data": Blob.in_file(tmp_path / "x", len(PNG))}
        )
        assert hash(given) == hash(in_file)
        assert len({given, imagekit.ImageInput(data=PNG), imagekit.ImageInput(url=FAR)}) == 2

    def test_an_empty_file_is_no_picture(self, tmp_path: Path) -> None:
        path = tmp_path / "none"
        path.touch()
        assert Image(data=Blob.in_file(path, 0)).facts is None

    def test_a_class_of_ones_own_has_bytes_too(self, held: Image) -> None:
        class Mine(Image):
            stars: int = 5

        assert Mine(data=PNG).data is PNG
        assert Mine(url="https://cdn.test/cat.png").data is None
        assert held.model_copy(update={"data": OTHER}).data is OTHER
        assert not hasattr(Image, "data")
        changed = Image(data=PNG)
        object.__setattr__(changed, "data", OTHER)
        assert changed.data is OTHER

    def test_a_manifest_says_what_is_in_it(self, held: Image, unread: None) -> None:
        from imagekit._manifest import _record

        assert _record(held, None).sha256 == _record(Image(data=PNG), None).sha256


class TestCommandLine:
    """The same of the command line, whose names and words are what they were."""

    def done(self, *arguments: str, body: object = None) -> Any:
        with Server().does(answers(200, body or {"data": [{"b64_json": spelt(PNG)}]})) as server:
            command = ["generate", "a cat", "-p", "openai-images", "--base-url", server.url]
            return CliRunner().invoke(cli, [*command, *arguments], env={"OPENAI_API_KEY": "sk-1"})

    def test_a_picture_is_moved_to_its_name(
        self, here: Path, unread: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begun = []
        sink = Spool.sink
        monkeypatch.setattr(Spool, "sink", lambda spool: begun.append(spool) or sink(spool))
        done = self.done("-o", "cat.png", "-q")
        assert len(begun) == 1
        assert (done.exit_code, done.output.strip()) == (0, "cat.png")
        assert Path("cat.png").read_bytes() == PNG
        assert there(here) == ["cat.png"]

    def test_to_standard_output_no_file_is_made(self, here: Path) -> None:
        done = self.done("-o", "-", "-q")
        assert (done.exit_code, done.stdout_bytes, there(here)) == (0, PNG, [])

    def test_a_failure_leaves_no_file(self, here: Path) -> None:
        done = self.done("-o", "cat.png", body={"data": []})
        assert done.exit_code
        assert there(here) == []

    def test_a_device_is_written_to(self, here: Path) -> None:
        assert self.done("-o", "/dev/null", "-q").exit_code == 0
        assert there(here) == []


def test_memory_hands_its_buffer_over() -> None:
    memory = Memory()
    memory.write(b"abc")
    found = memory.blob()
    memory.drop()
    assert bytes(found) == b"abc"


def test_a_call_that_the_interpreters_end_cuts_off_leaves_no_file(here: Path) -> None:
    spool = Spool(here)
    spool.sink().write(b"half of a ")
    spool.sink().blob()
    assert len(there(here)) == 2
    assert spool._end.atexit
    spool._end()
    assert there(here) == []
    spool.close()


def test_an_interrupt_amid_closing_leaves_no_file(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def strikes(self: Part) -> None:
        raise KeyboardInterrupt

    spool = Spool(here)
    part = spool.sink()
    part.write(b"half of a ")
    with monkeypatch.context() as patch:
        patch.setattr(Part, "drop", strikes)
        with pytest.raises(KeyboardInterrupt):
            spool.close()
    assert len(there(here)) == 1
    del spool
    gc.collect()
    assert there(here) == []
    part.drop()


@pytest.mark.parametrize("into", ["a" * 300 + ".png", "a" * 300 + "/cat.png", "a/" * 5000])
def test_a_name_that_no_file_can_have_is_refused_before_it_is_asked_for(into: str) -> None:
    with pytest.raises(RequestError, match=r"no picture can go into '.{1,200}': File") as found:
        imagekit.generate("a cat", provider="sketch", into=into)
    assert found.value.billed == "no"


def test_an_interrupt_as_a_file_is_made_leaves_none(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def strikes(path: Path) -> None:
        path.touch()
        raise KeyboardInterrupt

    spool = Spool(here)
    with monkeypatch.context() as patch:
        patch.setattr(_spool, "owned", strikes)
        with pytest.raises(KeyboardInterrupt):
            spool.sink()
    assert len(there(here)) == 1
    spool.close()
    assert there(here) == []


def test_a_call_that_ended_leaves_what_is_somebodys(here: Path) -> None:
    spool = Spool(here)
    part = spool.sink()
    part.write(b"a picture")
    part.blob().moved(here / "cat.png")
    spool.close()
    assert not spool._end.alive
    assert len(there(here)) == 1


def test_the_connection_may_break_amid_a_picture(driver: Driver, here: Path) -> None:
    body = json.dumps({"data": [{"picture": spelt(noisy(3, 300_000))}]}).encode()

    def act(talk: Any) -> None:
        talk.read()
        talk.head(200, **{"content-type": "application/json", "content-length": str(len(body))})
        talk.connection.sendall(body[: len(body) // 2])
        talk.reset()

    with Server().does(act) as server:
        made = Wide(base_url=server.url)
        with pytest.raises(TransportError) as caught:
            driver.call(lambda c: c.generate("a cat", into="cat.png"), None, **settings(made))
    assert caught.value.billed == "possibly"
    assert there(here) == []
