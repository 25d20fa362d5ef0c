"""Pictures as files: `open_image`, `Image.open`, and files that go in."""

from __future__ import annotations

import asyncio
import base64
import datetime
import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from PIL import Image as Pillow

import imagekit
from imagekit import (
    AsyncClient,
    Client,
    Image,
    ImageFile,
    ImageInput,
    ImageRequest,
    ImageResponse,
    Mask,
    NoImageError,
    ProtocolError,
    ProviderError,
    RequestError,
    RetryPolicy,
    TransportError,
)
from imagekit.provider import Capabilities, HttpRequest, send, sleep
from spoken import httpx
from toys import KEY, Driver, Scripted, Watcher, Whole, picture, plugins, spelt

QUICK = RetryPolicy(base=0.001)
PNG = picture(3, 8, 4)
FAR = "https://cdn.test/cat.png?sig=1"
EDITS = Capabilities(operations=frozenset({"generate", "edit", "variation"}))


def settings(made: object = None, *observers: object, **more: Any) -> dict[str, Any]:
    known = plugins(*observers, toy=made or Whole(able=EDITS))
    return {"plugins": known, "provider": "toy", "env": {}, "retry": QUICK, **more}


class Service:
    """Makes pictures that are bytes or a URL, and gives out what is behind the URL."""

    def __init__(self, kind: str = "bytes", status: int = 200, body: bytes = PNG) -> None:
        self.kind, self.status, self.body = kind, status, body
        self.seen: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        if request.method == "GET":
            return httpx.Response(self.status, content=self.body)
        return httpx.Response(200, json={"pictures": [FAR if self.kind == "url" else spelt(PNG)]})


@pytest.mark.parametrize("kind", ["bytes", "url"])
class TestOpenImage:
    def test_one_call_gives_a_file(self, driver: Driver, kind: str) -> None:
        service = Service(kind)
        file = driver.call(lambda c: c.open_image("a cat"), service, **settings())
        assert isinstance(file, ImageFile)
        assert isinstance(file, io.BufferedReader)
        assert (file.name, file.media_type) == ("image.png", "image/png")
        assert (file.read(4), file.seek(0), file.read()) == (PNG[:4], 0, PNG)
        assert file.seekable()
        file.seek(0)
        assert Pillow.open(file).size == (8, 4)

    def test_it_is_fetched_whatever_the_client_says(self, driver: Driver, kind: str) -> None:
        ask: Any = lambda c: c.open_image("a cat", fetch=False)  # noqa: E731
        file = driver.call(ask, Service(kind), **settings(fetch=False))
        assert file.read() == PNG

    def test_a_request_and_pictures_are_taken_too(self, driver: Driver, kind: str) -> None:
        service = Service(kind)
        request = ImageRequest(prompt="a cat", model="toy-2")
        assert driver.call(lambda c: c.open_image(request), service, **settings()).read() == PNG
        assert b'"toy-2"' in service.seen[0].content
        ask: Any = lambda c: c.open_image("a hat", images=[picture()])  # noqa: E731
        assert driver.call(ask, service, **settings()).read() == PNG

    def test_with_closes_it(self, kind: str) -> None:
        with (
            Client(
                http=httpx.MockTransport(s := Service(kind)),
                downloads=httpx.MockTransport(s),
                **settings(),
            ) as client,
            client.open_image("a cat") as file,
        ):
            assert file.read() == PNG
        assert file.closed

    async def test_async_with_gives_a_file_whose_reads_are_awaited(
        self, kind: str, anyio_backend: str
    ) -> None:
        fake = httpx.MockTransport(Service(kind))
        async with AsyncClient(http=fake, downloads=fake, **settings()) as client:
            async with client.open_image("a cat") as file:
                assert await file.read(4) == PNG[:4]
                assert await file.seek(0) == 0
                assert await file.read() == PNG
                assert file.name == "image.png"
                assert file.wrapped.media_type == "image/png"
            assert file.wrapped.closed
            with await client.open_image("a cat") as blocking:
                assert blocking.read() == PNG
            assert blocking.closed

    def test_an_image_of_a_response_is_opened_too(self, driver: Driver, kind: str) -> None:
        service = Service(kind)
        ask: Any = lambda c: c.generate("a cat", fetch=False)  # noqa: E731
        response = driver.call(ask, service, **settings())
        image = response.images[0]
        file = driver.call(lambda c: c.open_image(image), service, **settings())
        assert file.read() == PNG
        assert len(service.seen) == (2 if kind == "url" else 1)
        if kind == "bytes":
            assert image.open().read() == PNG
        else:
            with pytest.raises(RequestError, match=r"client.fetch\(image\) brings it"):
                image.open()


class TestOpenImageFails:
    def test_no_picture_is_an_error(self, driver: Driver) -> None:
        def none(request: ImageRequest) -> Any:
            yield from sleep(0)
            return ImageResponse(slots=())

        with pytest.raises(NoImageError):
            driver.call(lambda c: c.open_image("a cat"), **settings(Scripted(none)))

    def test_a_url_that_gives_nothing_is_an_error(self, driver: Driver) -> None:
        service = Service("url", status=404)
        with pytest.raises(ProviderError, match="answered 404") as found:
            driver.call(lambda c: c.open_image("a cat"), service, **settings())
        # It is made and paid for: where it is must not be lost.
        assert found.value.billed == "yes"
        assert found.value.response is not None
        assert found.value.response.image.url == FAR
        with pytest.raises(ProviderError, match="answered 404"):
            driver.call(lambda c: c.open_image(Image(url=FAR)), service, **settings())
        page = Service(body=b"<html>")
        with pytest.raises(ProtocolError, match="holds no picture"):
            driver.call(lambda c: c.open_image(Image(url=FAR)), page, **settings())

    def test_a_picture_that_is_there_takes_nothing_of_a_new_one(self, driver: Driver) -> None:
        ask: Any = lambda c: c.open_image(Image(data=PNG), size="1x1")  # noqa: E731
        with pytest.raises(RequestError, match="size: there is no such parameter"):
            driver.call(ask, **settings())

    @pytest.mark.parametrize("given", ["a cat", ImageRequest(prompt="a cat", n=2)])
    def test_one_picture_is_bought_and_not_several(self, driver: Driver, given: Any) -> None:
        said = {} if isinstance(given, ImageRequest) else {"n": 2}
        with pytest.raises(RequestError, match="open_image opens one picture"):
            driver.call(lambda c: c.open_image(given, **said), **settings())
        service = Service()
        file: Any = driver.call(lambda c: c.open_image("a cat"), service, **{**settings(), "n": 3})
        assert file.read() == PNG

    def test_a_prompt_is_text(self, driver: Driver) -> None:
        with pytest.raises(RequestError, match="a prompt is text, not int"):
            driver.call(lambda c: c.open_image(7), **settings())

    async def test_leaving_before_it_came_is_no_trouble(self, anyio_backend: str) -> None:
        def waits(request: ImageRequest) -> Any:
            yield from sleep(30)

        async with AsyncClient(**settings(Scripted(waits))) as client:
            with anyio.move_on_after(0.05) as scope:
                async with client.open_image("a cat"):
                    raise AssertionError("it never comes")
            assert scope.cancelled_caught


class TestFetch:
    def test_it_brings_the_bytes_and_keeps_what_was_known(self, driver: Driver) -> None:
        ends = datetime.datetime(2026, 11, 20, 12, tzinfo=datetime.UTC)
        far = Image(url=FAR, expires_at=ends, revised_prompt="two cats", id="i-1", seed=7)
        found = driver.call(lambda c: c.fetch(far), Service(), **settings())
        assert (found.data, found.url, found.expires_at) == (PNG, FAR, ends)
        assert (found.revised_prompt, found.id, found.seed) == ("two cats", "i-1", 7)
        assert (found.media_type, found.width, found.height) == ("image/png", 8, 4)
        assert driver.call(lambda c: c.fetch(found), **settings()) is found

    def test_a_result_stays_where_it_is_until_it_is_wanted(self, driver: Driver) -> None:
        service = Service("url")
        ask: Any = lambda c: c.generate("a cat", fetch=False)  # noqa: E731
        response = driver.call(ask, service, **settings())
        assert (response.image.url, response.image.data) == (FAR, None)
        assert response.ok
        assert [one.method for one in service.seen] == ["POST"]
        again = driver.call(lambda c: c.fetch(response.image), service, **settings())
        assert again.data == PNG

    def test_at_home_with_the_key_and_elsewhere_without(self, driver: Driver) -> None:
        service = Service()
        near = Image(url="https://toy.test/v1/pictures/1")
        driver.call(lambda c: c.fetch(near), service, **settings())
        driver.call(lambda c: c.fetch(Image(url=FAR)), service, **settings())
        driver.call(lambda c: c.fetch(near, provider="toy"), service, **settings(provider=None))
        keys = [request.headers.get("authorization") for request in service.seen]
        assert keys == [f"Bearer {KEY}", None, f"Bearer {KEY}"]

    def test_without_any_provider_it_is_a_strangers(self, driver: Driver) -> None:
        service = Service()
        ask: Any = lambda c: c.fetch(Image(url="https://toy.test/x.png"))  # noqa: E731
        found = driver.call(ask, service, **settings(provider=None))
        assert found.data == PNG
        assert "authorization" not in service.seen[0].headers

    def test_it_is_tried_again_and_says_what_was_answered(self, driver: Driver) -> None:
        service = Service(status=503)
        with pytest.raises(ProviderError) as found:
            driver.call(lambda c: c.fetch(Image(url=FAR), retries=1), service, **settings())
        assert [one.status for one in found.value.http] == [503, 503]
        assert found.value.billed == "no"

    def test_observers_see_it(self, driver: Driver) -> None:
        watcher = Watcher()
        driver.call(lambda c: c.fetch(Image(url=FAR)), Service(), **settings(None, watcher))
        assert [name for name, _ in watcher.told] == ["sent", "received", "finished"]
        ask: Any = lambda c: c.fetch(Image(url=FAR))  # noqa: E731
        driver.call(ask, Service(), **settings(None, watcher, provider=None))
        assert [one["call"].provider for one in watcher.of("finished")] == ["toy", "nobody"]

    def test_a_deadline_holds_and_a_misspelt_word_is_an_error(self, driver: Driver) -> None:
        def breaks(request: httpx.Request) -> httpx.Response:
            asked.append(request)
            raise httpx.ReadError("reset")

        asked: list[httpx.Request] = []
        slow = settings(retry=RetryPolicy(base=60, cap=60))
        # The next try would come after the deadline, so it is not waited for.
        with pytest.raises(TransportError, match="reset"):
            driver.call(lambda c: c.fetch(Image(url=FAR), deadline=20), breaks, **slow)
        assert len(asked) == 1
        with pytest.raises(RequestError, match="deadlin: there is no such parameter"):
            driver.call(lambda c: c.fetch(Image(url=FAR), deadlin=1), breaks, **slow)


class TestImagesAsText:
    def test_base64_is_the_bytes(self) -> None:
        image = Image(data=PNG)
        assert base64.b64decode(image.to_base64(), validate=True) == PNG
        assert image.to_base64() == spelt(PNG)

    def test_a_data_url_says_its_type_and_goes_in_again(self) -> None:
        url = Image(data=PNG).to_data_url()
        assert url == f"data:image/png;base64,{spelt(PNG)}"
        assert ImageInput.model_validate(url).data == PNG

    def test_unknown_bytes_are_of_no_type(self) -> None:
        assert Image(data=b"??").to_data_url() == "data:application/octet-stream;base64,Pz8="
        file = Image(data=b"??").open()
        assert (file.name, file.media_type) == ("image.bin", "application/octet-stream")

    @pytest.mark.parametrize("verb", ["to_base64", "to_data_url"])
    def test_a_url_is_fetched_first(self, verb: str) -> None:
        with pytest.raises(RequestError, match=r"client.fetch\(image\) brings it"):
            getattr(Image(url=FAR), verb)()


class Looks(Whole):
    """Keeps what it is asked."""

    def __init__(self) -> None:
        super().__init__(able=EDITS)
        self.asked: list[ImageRequest] = []

    def flow(self, request: ImageRequest, *, stream: bool) -> Any:
        self.asked.append(request)
        yield from send(HttpRequest("POST", "/x"))
        return ImageResponse(slots=(Image(data=PNG),))


class TestFilesIn:
    def edited(self, driver: Driver, images: Any, **fields: Any) -> list[ImageInput]:
        made = Looks()
        driver.call(lambda c: c.edit("a hat", images, **fields), Service(), **settings(made))
        return list(made.asked[0].images)

    def test_open_files_are_read_from_where_they_stand_and_left_open(
        self, driver: Driver, tmp_path: Path
    ) -> None:
        path = tmp_path / "otter.png"
        path.write_bytes(b"head" + PNG)
        with path.open("rb") as file, io.BytesIO(PNG) as memory:
            file.seek(4)
            first, second = self.edited(driver, [file, memory])
            assert not file.closed
            assert not memory.closed
        assert (first.data, first.filename) == (PNG, "otter.png")
        assert (second.data, second.filename) == (PNG, "image.png")

    def test_a_pair_gives_it_a_name(self, driver: Driver) -> None:
        pairs = [("cat.jpg", io.BytesIO(PNG)), ("dog.png", PNG), ("cow.png", bytearray(PNG))]
        found = self.edited(driver, pairs)
        assert [one.data for one in found] == [PNG] * 3
        # The ending is the one that the bytes ask for.
        assert [one.filename for one in found] == ["cat.png", "dog.png", "cow.png"]

    @pytest.mark.parametrize("verb", ["edit", "vary", "stream", "mask", "input", "request"])
    def test_so_it_is_wherever_a_picture_goes_in(self, driver: Driver, verb: str) -> None:
        def file() -> io.BytesIO:
            return io.BytesIO(PNG)

        if verb == "input":
            assert ImageInput(data=file(), role="markup").data == PNG
            assert ImageInput(data=file(), name="x.png").filename == "x.png"
            return
        if verb == "request":
            request = ImageRequest(prompt="a hat", images=file())
            assert request.images[0].data == PNG
            nested = {"image": file(), "edit_where": "white"}
            assert ImageRequest(prompt="x", images=file(), mask=nested).mask is not None
            return
        if verb == "mask":
            assert Mask(file(), edit_where="white").image.data == PNG
            assert Mask(("m.png", file()), edit_where="white").image.filename == "m.png"
            return
        made = Looks()
        ask: dict[str, Callable[[Any], Any]] = {
            "edit": lambda c: c.edit("a hat", file()),
            "vary": lambda c: c.vary(file()),
            "stream": lambda c: c.open_image("a hat", images=[("cat.png", file())]),
        }
        driver.call(ask[verb], Service(), **settings(made))
        assert made.asked[0].images[0].data == PNG

    def test_other_kinds_of_files_will_do(self, driver: Driver, tmp_path: Path) -> None:
        import mmap

        path = tmp_path / "cat.png"
        path.write_bytes(PNG)
        with (
            tempfile.SpooledTemporaryFile() as spooled,
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
            path.open("rb", buffering=0) as raw,
        ):
            spooled.write(PNG)
            spooled.seek(0)
            found = self.edited(driver, [spooled, mapped, raw, Image(data=PNG).open()])
        assert [one.data for one in found] == [PNG] * 4
        assert found[3].filename == "image.png"

    def test_a_retry_sends_the_same_bytes_again(self, driver: Driver) -> None:
        left = iter([httpx.Response(429, headers={"retry-after": "0"})])
        bodies: list[bytes] = []

        class Sends(Looks):
            def flow(self, request: ImageRequest, *, stream: bool) -> Any:
                yield from send(HttpRequest("POST", "/x", body=request.images[0].data))
                return ImageResponse(slots=(Image(data=PNG),))

        def service(request: httpx.Request) -> httpx.Response:
            bodies.append(request.content)
            return next(left, httpx.Response(200))

        driver.call(lambda c: c.edit("a hat", io.BytesIO(PNG)), service, **settings(Sends()))
        assert bodies == [PNG, PNG]

    def test_what_cannot_be_read_is_an_error_before_anything_is_sent(
        self, driver: Driver, tmp_path: Path
    ) -> None:
        path = tmp_path / "cat.png"
        path.write_bytes(PNG)
        text, closed, spent = io.StringIO("x"), io.BytesIO(PNG), io.BytesIO(PNG)
        closed.close()
        spent.read()

        class Failing(io.BytesIO):
            def read(self, *_: object) -> bytes:
                raise OSError("the disk is gone")

        class Odd:
            def read(self) -> int:
                return 7

        class Async:
            async def read(self) -> bytes:
                return PNG

        with path.open("rb") as kept, path.open(encoding="latin-1") as words:
            wrong = [
                (text, "is open as text: open a picture with 'rb'"),
                (words, "is open as text: open a picture with 'rb'"),
                (("cat.png", text), "is open as text"),
                (closed, "cannot read the picture from .*closed file"),
                (Failing(), "cannot read the picture from .*the disk is gone"),
                (spent, r"holds nothing from where it stands; seek\(0\) goes back"),
                (Odd(), "is no file of bytes: it gave int"),
                (Async(), "is an async file: read it, and give the bytes"),
                (anyio.wrap_file(kept), "is an async file"),
            ]
            for given, said in wrong:
                for ask in (
                    lambda c, given=given: c.edit("a hat", [given]),
                    lambda c, given=given: c.vary([given]),
                ):
                    service = Service()
                    with pytest.raises(RequestError, match=said) as found:
                        driver.call(ask, service, **settings())
                    assert found.value.billed == "no"
                    assert service.seen == []

    def test_a_pair_alone_may_be_two_pictures(self, driver: Driver) -> None:
        for pair in (("cat.png", io.BytesIO(PNG)), ("cat.png", PNG)):
            with pytest.raises(RequestError, match="put the pair into a list, or both pictures"):
                self.edited(driver, pair)
        both = self.edited(driver, (PNG, picture()))
        assert [one.data for one in both] == [PNG, picture()]

    def test_an_image_that_is_a_url_yet_is_no_file(self, driver: Driver) -> None:
        (found,) = self.edited(driver, [Image(url=FAR)])
        assert found.data == PNG

    def test_data_cannot_hold_files(self) -> None:
        with pytest.raises(ValueError, match="images"):
            ImageRequest.model_validate({"prompt": "x", "images": [io.BytesIO(PNG)]})


def test_the_module_opens_pictures_too() -> None:
    fake = httpx.MockTransport(Service("url"))
    imagekit.configure(http=fake, downloads=fake, **settings())
    try:
        with imagekit.open_image("a cat") as file:
            assert file.read() == PNG
        far = Image(url=FAR)
        assert imagekit.open_image(far).read() == PNG
        assert imagekit.fetch(far).data == PNG
    finally:
        imagekit.configure()


def test_an_opening_that_nobody_waits_for_is_warned_of() -> None:
    async def forgets() -> None:
        async with AsyncClient(**settings()) as client:
            client.open_image("a cat")

    with pytest.warns(RuntimeWarning, match="never awaited"):
        asyncio.run(forgets())
