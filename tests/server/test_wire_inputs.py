from __future__ import annotations

import base64
import io
import struct
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from desk import InProcess, Quiet, Toy, error_of
from imagekit import ImageRequest
from imagekit.server import Limits
from spoken import httpx
from toys import picture

PNG = picture(7, 2, 2)


def saved(kind: str, *, mode: str = "RGB", **how: Any) -> bytes:
    out = io.BytesIO()
    Pillow.new(mode, (2, 2)).save(out, kind, **how)
    return out.getvalue()


def claiming(width: int, height: int) -> bytes:
    """A PNG that says it is so large."""
    return PNG[:16] + struct.pack(">II", width, height) + PNG[24:]


JPEG, WEBP, SMALL_GIF = saved("JPEG"), saved("WEBP"), saved("GIF")
ANIMATED = saved("GIF", save_all=True, append_images=[Pillow.new("RGB", (2, 2), "red")])


class Recording(Toy):
    """Takes pictures as bytes; masks are white where it may draw."""

    def __init__(self, *inputs: str) -> None:
        taken = frozenset(inputs or ("bytes",))
        super().__init__(mask="white", inputs=taken, streaming=False)


class Desk(InProcess):
    def post(self, path: str = "/images/edits", **given: Any) -> httpx.Response:
        return super().post(path, **given)

    def edit(self, *references: Any, **said: Any) -> httpx.Response:
        return self.post(json={"prompt": "a hat", "images": [*references], **said})

    def form(self, *parts: Any, **said: str) -> httpx.Response:
        return self.post(data={"prompt": "a hat", **said}, files=list(parts))

    def keeps(self, data: bytes, token: str = "") -> str:
        headers = {"authorization": f"Bearer {token}"}
        known = {"data": {"purpose": "vision"}, "files": {"file": ("a.png", data)}}
        return str(self.post("/files", headers=headers, **known).json()["id"])


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk(Recording())


def image(data: bytes = PNG, name: str = "image", file: str | None = "a.png") -> Any:
    return (name, (file, data, "image/png"))


def raw(*parts: tuple[str, bytes]) -> dict[str, Any]:
    """A form by hand: the head of each part after `form-data`, and its body."""
    head = "--bb\r\nContent-Disposition: form-data; "
    body = b"".join(
        (head + about).encode("latin-1") + b"\r\n\r\n" + data + b"\r\n" for about, data in parts
    )
    kind = {"content-type": "multipart/form-data; boundary=bb"}
    return {"content": body + b"--bb--\r\n", "headers": kind}


PROMPT = ('name="prompt"', b"a hat")


def datas(request: ImageRequest) -> Sequence[bytes | None]:
    return [one.data for one in request.images]


class TestAForm:
    @pytest.mark.parametrize("count", [1, 4, 16])
    @pytest.mark.parametrize("name", ["image", "image[]"])
    def test_brings_its_pictures_in_order(self, desk: Desk, name: str, count: int) -> None:
        pictures = [picture(shade) for shade in range(count)]
        assert datas(desk.heard(desk.form(*(image(one, name) for one in pictures)))) == pictures

    def test_brings_no_more_than_sixteen(self, desk: Desk) -> None:
        answer = desk.form(*(image(name="image[]") for _ in range(17)))
        assert error_of(answer) == ("too_many_images", "image")

    def test_needs_a_picture(self, desk: Desk) -> None:
        answer = desk.post(**raw(PROMPT))
        assert error_of(answer) == ("missing_required_parameter", "image")

    @pytest.mark.parametrize("data", [PNG, JPEG, WEBP], ids=["png", "jpeg", "webp"])
    @pytest.mark.parametrize(
        "about",
        [
            'name="image"',
            'name="image[]"',
            'name="image"; filename="blob"',
            'name="image"; filename=""',
            'name="image"; filename="/home/me/holiday.txt"',
            'name="image"; filename="C:\\\\Users\\\\me\\\\a.png"',
            'name="image"; filename="a.png"\r\nContent-Type: application/octet-stream',
            'name="image"; filename="a.png"\r\nContent-Type: text/html',
            'name="image"; filename="a"; filename="b"; name="image"',
            "name=\"image\"; filename*=nothing''%ff%fe",
        ],
        ids=range(10),
    )
    def test_is_read_by_its_bytes_however_a_part_is_labelled(
        self, desk: Desk, about: str, data: bytes
    ) -> None:
        request = desk.heard(desk.post(**raw(PROMPT, (about, data))))
        assert datas(request) == [data]
        assert "holiday" not in repr(request.images)

    @pytest.mark.parametrize("about", ['name="mask"', 'name="mask"; filename=""'])
    def test_may_leave_a_picture_empty_that_need_not_be(self, desk: Desk, about: str) -> None:
        given = raw(PROMPT, ('name="image"; filename="a"', PNG), (about, b""))
        assert desk.heard(desk.post(**given)).mask is None

    @pytest.mark.parametrize(
        ("data", "code"),
        [
            (b"", "empty_image_file"),
            (b"a picture, honestly", "unsupported_file_mimetype"),
            ("ein Bild, wörtlich".encode(), "unsupported_file_mimetype"),
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "unsupported_file_mimetype"),
            (SMALL_GIF, "unsupported_file_mimetype"),
            (ANIMATED, "unsupported_file_mimetype"),
            (saved("BMP"), "unsupported_file_mimetype"),
            (claiming(60_000, 60_000), "image_too_large"),
            (claiming(2**32 - 1, 2**32 - 1), "image_too_large"),
        ],
        ids=range(9),
    )
    def test_brings_pictures_only(self, desk: Desk, data: bytes, code: str) -> None:
        before = len(desk.toy.asked)
        assert error_of(desk.form(image(data))) == (code, "image")
        assert error_of(desk.form(image(), image(data))) == (code, "image[1]")
        assert len(desk.toy.asked) == before

    def test_says_what_came_instead(self, desk: Desk) -> None:
        assert "unsupported mimetype ('image/gif')" in desk.form(image(ANIMATED)).text
        assert "('application/octet-stream')" in desk.form(image(b"text")).text

    def test_has_each_field_once(self, desk: Desk) -> None:
        given = raw(PROMPT, PROMPT, ('name="image"', PNG))
        assert error_of(desk.post(**given)) == ("invalid_value", "prompt")

    def test_has_no_files_but_pictures(self, desk: Desk) -> None:
        given = raw(PROMPT, ('name="extra"; filename="a.png"', PNG), ('name="image"', PNG))
        assert error_of(desk.post(**given)) == ("unknown_parameter", "extra")

    @pytest.mark.parametrize("count", [21, 61])
    def test_has_only_so_many_parts(self, desk: Desk, count: int) -> None:
        about = 'name="image"; filename="a"' if count == 21 else 'name="image"'
        answer = desk.post(**raw(*[(about, PNG)] * count))
        assert answer.status_code == 400
        assert answer.json()["error"]["message"].startswith("Too many f")

    @pytest.mark.parametrize(
        "kind",
        [
            "multipart/form-data; boundary=bb; charset=undefined",
            "multipart/form-data; boundary=bb; charset=punycode",
            "multipart/form-data; boundary=bb; charset=unicode_escape",
            "multipart/form-data; boundary=bb; charset=\0",
            "multipart/form-datum; boundary=bb",
        ],
    )
    def test_is_utf_8(self, desk: Desk, kind: str) -> None:
        given = raw(PROMPT, ('name="image"', PNG)) | {"headers": {"content-type": kind}}
        assert error_of(desk.post(**given), 415) == ("unsupported_content_type", None)

    @pytest.mark.parametrize("kind", ["Multipart/Form-Data; boundary=bb", "{}; charset=UTF-8"])
    def test_may_say_so(self, desk: Desk, kind: str) -> None:
        said = kind.format("multipart/form-data; boundary=bb")
        given = raw(PROMPT, ('name="image"', PNG)) | {"headers": {"content-type": said}}
        assert desk.post(**given).status_code == 200

    def test_that_ends_too_early_is_no_picture(self, desk: Desk) -> None:
        given = raw(PROMPT, ('name="image"', PNG))
        given["content"] = given["content"][:-40]
        assert error_of(desk.post(**given)) == ("missing_required_parameter", "image")


class TestBesideThePictures:
    def mask(self) -> bytes:
        """Transparent on its left: that is where OpenAI's clients want it drawn."""
        made = Pillow.new("RGBA", (2, 2), (0, 0, 0, 255))
        made.putpixel((0, 0), (0, 0, 0, 0))
        made.putpixel((0, 1), (0, 0, 0, 0))
        out = io.BytesIO()
        made.save(out, "PNG")
        return out.getvalue()

    def is_white_on_its_left(self, request: ImageRequest) -> bool:
        assert request.mask is not None
        assert request.mask.edit_where == "white"
        found = Pillow.open(io.BytesIO(request.mask.image.data or b"")).convert("L")
        return found.tobytes() == b"\xff\x00\xff\x00"

    def test_a_mask_is_turned_to_what_the_provider_knows(self, desk: Desk) -> None:
        request = desk.heard(desk.form(image(), image(self.mask(), "mask")))
        assert self.is_white_on_its_left(request)
        assert datas(request) == [PNG]

    def test_a_mask_in_json_too(self, desk: Desk) -> None:
        mask = {"file_id": desk.keeps(self.mask())}
        request = desk.heard(desk.edit({"file_id": desk.keeps(PNG)}, mask=mask))
        assert self.is_white_on_its_left(request)

    def test_a_mask_that_marks_nothing_is_told_before_it_costs(self, desk: Desk) -> None:
        before = len(desk.toy.asked)
        answer = desk.form(image(), image(PNG, "mask"))
        assert answer.status_code == 400
        assert "marks nothing" in answer.json()["error"]["message"]
        assert len(desk.toy.asked) == before

    def test_markup_is_the_last_picture(self, desk: Desk) -> None:
        request = desk.heard(desk.form(image(), image(picture(9), "markup")))
        assert [one.role for one in request.images] == ["source", "markup"]
        assert datas(request) == [PNG, picture(9)]

    def test_mask_and_markup_stand_alone(self, desk: Desk) -> None:
        answer = desk.form(image(), image(name="mask"), image(name="markup"))
        assert error_of(answer) == ("invalid_value", "markup")

    @pytest.mark.parametrize("name", ["mask", "markup"])
    def test_there_is_one_of_each(self, desk: Desk, name: str) -> None:
        assert error_of(desk.form(image(), image(name=name), image(name=name))) == (
            "invalid_value",
            name,
        )

    def test_a_gif_has_no_mask(self, desk: Desk) -> None:
        answer = desk.form(image(), image(self.mask(), "mask"), output_format="gif")
        assert error_of(answer) == ("invalid_value", "mask")

    def test_a_mask_alone_is_no_edit(self, desk: Desk) -> None:
        answer = desk.form(image(self.mask(), "mask"))
        assert error_of(answer) == ("missing_required_parameter", "image")


def data_url(data: bytes, head: str = "data:image/png;base64") -> dict[str, str]:
    return {"image_url": f"{head},{base64.b64encode(data).decode()}"}


class TestJson:
    @pytest.mark.parametrize(
        "head", ["data:image/png;base64", "data:;base64", "data:text/html;x=y;base64"]
    )
    def test_a_data_url_is_its_bytes(self, desk: Desk, head: str) -> None:
        assert datas(desk.heard(desk.edit(data_url(PNG, head)))) == [PNG]

    @pytest.mark.parametrize(
        ("url", "code"),
        [
            ("data:", "invalid_base64_image"),
            ("data:image/png,x", "invalid_base64_image"),
            ("data:image/png;base64", "invalid_base64_image"),
            ("data:image/png;base64,a", "invalid_base64_image"),
            ("data:image/png;base64,ab\ncd", "invalid_base64_image"),
            ("data:image/png;base64,äöü=", "invalid_base64_image"),
            ("data:image/png;base64,", "empty_image_file"),
            ("data:image/png;base64,dGV4dA==", "unsupported_file_mimetype"),
            ("http://pictures.test/a.png", "invalid_image_url"),
            ("ftp://pictures.test/a.png", "invalid_image_url"),
            ("file:///etc/passwd", "invalid_image_url"),
            ("/etc/passwd", "invalid_image_url"),
            ("", "invalid_image_url"),
            ("https://" + "x" * 20_971_520, "invalid_value"),
        ],
        ids=range(14),
    )
    def test_no_other_url_is_a_picture(self, desk: Desk, url: str, code: str) -> None:
        assert error_of(desk.edit({"image_url": url})) == (code, "images[0]")

    def test_a_gif_is_no_picture_to_edit(self, desk: Desk) -> None:
        found = error_of(desk.edit(data_url(PNG), data_url(ANIMATED)))
        assert found == ("unsupported_file_mimetype", "images[1]")

    @pytest.mark.parametrize(
        "reference", [{}, {"image_url": "https://x.test", "file_id": "file-1"}]
    )
    def test_a_reference_is_one_of_two(self, desk: Desk, reference: Any) -> None:
        assert error_of(desk.edit(reference)) == ("invalid_value", "images[0]")

    def test_a_reference_has_no_other_words(self, desk: Desk) -> None:
        answer = desk.edit({"file_id": "x", "detail": "low"})
        assert error_of(answer) == ("unknown_parameter", "images[0].detail")

    @pytest.mark.parametrize("count", [1, 16])
    def test_there_are_up_to_sixteen(self, desk: Desk, count: int) -> None:
        assert len(desk.heard(desk.edit(*[data_url(PNG)] * count)).images) == count

    @pytest.mark.parametrize(
        ("count", "code"), [(0, "array_below_min_length"), (17, "array_above_max_length")]
    )
    def test_there_are_no_fewer_and_no_more(self, desk: Desk, count: int, code: str) -> None:
        assert error_of(desk.edit(*[data_url(PNG)] * count)) == (code, "images")

    def test_a_link_goes_to_a_provider_that_takes_links(self) -> None:
        desk = Desk(Recording("url"))
        url = "https://pictures.test/a.png?signature=x"
        [given] = desk.heard(desk.edit({"image_url": url})).images
        assert given.url == url

    @pytest.mark.parametrize(
        "url",
        [
            "https://127.0.0.1/secret/a.png",
            "https://[::1]/secret/a.png",
            "https://169.254.169.254/latest/secret",
            "https://user:word@10.0.0.1/secret",
            "https://pictures.test:99999/secret",
            "https://",
            "https://[",
            "https://\x00/",
            "https://pictures.test/a b",
        ],
    )
    def test_a_link_to_where_nobody_may_look_is_not_followed(self, desk: Desk, url: str) -> None:
        before = len(desk.toy.asked)
        answer = desk.edit({"image_url": url})
        assert answer.status_code == 400
        assert "secret" not in answer.text
        assert len(desk.toy.asked) == before

    def test_a_stored_file_is_a_picture(self, desk: Desk) -> None:
        one, two = desk.keeps(PNG), desk.keeps(picture(9))
        request = desk.heard(desk.edit({"file_id": two}, {"file_id": one}))
        assert datas(request) == [picture(9), PNG]

    def test_a_stored_gif_is_no_picture_to_edit(self, desk: Desk) -> None:
        found = error_of(desk.edit({"file_id": desk.keeps(ANIMATED)}))
        assert found == ("unsupported_file_mimetype", "images[0]")

    @pytest.mark.parametrize("id", ["file-1", "", "../../etc/passwd", "x" * 9999])
    def test_a_file_that_is_not_there_is_404(self, desk: Desk, id: str) -> None:
        answer = desk.edit({"file_id": id})
        assert error_of(answer, 404) == (None, "images[0]")
        assert len(answer.text) < 400

    def test_the_file_of_somebody_else_is_not_there_either(self) -> None:
        desk = Desk(Recording(), tokens=["first-token", "other-token"])
        mine = {"prompt": "x", "images": [{"file_id": desk.keeps(PNG, "first-token")}]}
        for token, status in (("first-token", 200), ("other-token", 404)):
            headers = {"authorization": f"Bearer {token}"}
            assert desk.post(json=mine, headers=headers).status_code == status


class TestLimits:
    def test_a_picture_has_so_many_bytes(self) -> None:
        desk = Desk(Recording(), limits=Limits(picture=len(PNG)))
        assert desk.form(image()).status_code == 200
        assert error_of(desk.form(image(PNG + b"\0"))) == ("image_file_too_large", "image")

    def test_a_picture_has_so_many_pixels(self) -> None:
        desk = Desk(Recording(), limits=Limits(pixels=4))
        assert desk.form(image()).status_code == 200
        assert error_of(desk.form(image(picture(0, 5, 1)))) == ("image_too_large", "image")


HEADS = st.text("abn =\";\\*'%-_[]\x00ÿ", max_size=16)


class TestWhateverIsSent(Quiet):
    @settings(max_examples=200)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(
                    ['name="prompt"', 'name="image"', 'name="n"', "name*=utf-8''image", ""]
                ),
                HEADS,
                st.sampled_from([PNG, b"", b"1", b"\xff\r\n--bb", b"x"]),
            ),
            max_size=4,
        )
    )
    def test_any_heads_of_parts(self, desk: Desk, parts: Any) -> None:
        given = raw(*((f"{name}; {more}", data) for name, more, data in parts))
        assert desk.post(**given).status_code in (200, 400)

    @settings(max_examples=150)
    @given(st.binary(max_size=60), st.booleans())
    def test_any_bytes_of_a_form(self, desk: Desk, body: bytes, headed: bool) -> None:
        given = raw(PROMPT)
        given["content"] = (given["content"][:-8] if headed else b"") + body
        assert desk.post(**given).status_code == 400

    @settings(max_examples=150)
    @given(st.text(" abcht=;\"'*-/%\x00", max_size=30))
    def test_any_type_of_a_form(self, desk: Desk, more: str) -> None:
        given = raw(PROMPT, ('name="image"', PNG))
        given["headers"] = {"content-type": f"multipart/form-data; boundary=bb{more}"}
        assert desk.post(**given).status_code in (200, 400, 415)

    @settings(max_examples=150)
    @given(
        st.sampled_from([PNG, JPEG, WEBP, ANIMATED, b"<svg ", b"II*\0"]),
        st.integers(0, 60),
        st.binary(max_size=30),
    )
    def test_any_broken_picture(self, desk: Desk, data: bytes, at: int, broken: bytes) -> None:
        sent = data[:at] + broken + data[at + len(broken) :]
        answer = desk.form(image(), image(sent, "mask"))
        assert answer.status_code in (200, 400)
