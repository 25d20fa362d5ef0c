from __future__ import annotations

import base64
import errno
import io
import json
import os
import pickle
import stat
import struct
import sys
import threading
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow
from pydantic import ValidationError
from rich.pretty import pretty_repr

from imagekit import ConfigurationError, Image, ImageInput, Mask, ProviderFile, RequestError
from imagekit.provider import Blob

SIGNED = "https://cdn.example/otter.png?sig=SECRET"
# In base64 these are "++//", which the URL-safe alphabet spells otherwise.
STANDARD = b"\xfb\xef\xff"


def png(width: int = 4, height: int = 3) -> bytes:
    out = io.BytesIO()
    Pillow.new("RGB", (width, height), "red").save(out, "PNG")
    return out.getvalue()


PNG = png()
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"/>'


@pytest.mark.parametrize(
    "data", [PNG, bytearray(PNG), memoryview(PNG), base64.b64encode(PNG).decode()]
)
def test_an_image_reads_its_facts_from_its_bytes(data: Any) -> None:
    image = Image(data=data)
    assert (image.media_type, image.width, image.height) == ("image/png", 4, 3)


def test_an_image_takes_a_blob() -> None:
    assert Image(data=Blob(base64.b64encode(PNG).decode())).data == PNG  # type: ignore[arg-type]


@pytest.mark.parametrize("data", [PNG, SVG, b"of no type we know", b""])
@pytest.mark.parametrize("in_file", [False, True])
def test_a_picture_made_of_a_blob_is_the_one_that_is_checked(
    data: bytes, in_file: bool, tmp_path: Path
) -> None:
    (tmp_path / "it").write_bytes(data)
    blob = Blob.in_file(tmp_path / "it", len(data)) if in_file else Blob.of(data)
    about: dict[str, Any] = {"revised_prompt": "a cat", "id": "ig_1", "echo": {"size": "4x3"}}
    made, checked = Image.of(blob, **about), Image(data=blob, **about)
    assert made == checked
    assert list(vars(made)) == list(vars(checked))
    assert made.model_dump_json() == checked.model_dump_json()
    assert made.path == checked.path
    assert pickle.loads(pickle.dumps(made)) == checked


def test_pictures_made_of_blobs_have_nothing_in_common() -> None:
    echo = {"size": "4x3"}
    one, other = Image.of(Blob.of(PNG), echo=echo), Image.of(Blob.of(SVG))
    echo["size"] = "8x6"
    assert (one.echo, one.width) == ({"size": "4x3"}, 4)
    assert (other.echo, other.width, other.revised_prompt, other.id) == ({}, None, None, None)
    assert other.echo is not Image.of(Blob.of(PNG)).echo


def test_a_picture_made_of_a_file_that_is_gone_is_the_callers_to_look_after(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"cannot read the picture from .*gone"):
        Image.of(Blob.in_file(tmp_path / "gone", 9))


def test_the_bytes_win_over_what_is_said_of_them() -> None:
    image = Image(data=PNG, media_type="image/jpeg", width=1024, height=1024)
    assert (image.media_type, image.width, image.height) == ("image/png", 4, 3)


def test_a_size_that_the_bytes_do_not_say_is_not_said() -> None:
    assert Image(data=SVG, width=9, height=9).width is None


def test_what_is_said_of_unknown_bytes_stays() -> None:
    assert Image(data=b"\xff\x0ajxl", media_type="image/jxl").media_type == "image/jxl"


def test_the_bytes_stay_exactly_as_they_came() -> None:
    data = PNG + b"provenance"
    assert Image(data=data).data == data


def test_an_image_is_somewhere() -> None:
    with pytest.raises(ValidationError, match="needs its bytes or a URL"):
        Image(media_type="image/png")


@pytest.mark.parametrize("values", [{"data": "no base64!"}, {"data": 3}, {"data": PNG, "hue": 3}])
def test_what_is_no_image_is_an_error(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Image.model_validate(values)


def test_an_image_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Image(data=PNG).seed = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    "image",
    [
        Image(data=PNG, seed=3, revised_prompt="an otter", echo={"size": "4x3"}),
        Image(data=STANDARD),
        Image(url=SIGNED, expires_at=datetime(2030, 1, 2, tzinfo=UTC)),
    ],
)
def test_an_image_goes_to_json_and_back(image: Image) -> None:
    assert Image.model_validate_json(image.model_dump_json()) == image


def test_json_holds_the_bytes_in_the_standard_alphabet() -> None:
    assert json.loads(Image(data=STANDARD).model_dump_json())["data"] == "++//"


def test_python_values_hold_the_bytes_themselves() -> None:
    assert Image(data=STANDARD).model_dump()["data"] == STANDARD


def test_the_facts_of_an_image_are_its_bytes() -> None:
    found = Image(data=PNG).facts
    assert found is not None
    assert found.alpha is False


def test_a_url_has_no_facts_yet() -> None:
    assert Image(url=SIGNED).facts is None


def test_reading_gives_the_bytes() -> None:
    assert Image(data=PNG).read() == PNG


def test_opening_gives_a_file_of_the_bytes() -> None:
    assert Image(data=PNG).open().read() == PNG


@pytest.mark.parametrize("verb", ["read", "open", "to_pil"])
def test_a_url_cannot_be_read_before_it_is_fetched(verb: str) -> None:
    with pytest.raises(RequestError, match=r"still at https://cdn.example/otter.png\?…; client"):
        getattr(Image(url=SIGNED), verb)()


class TestSave:
    def test_writes_the_bytes_unchanged(self, tmp_path: Path) -> None:
        Image(data=PNG).save(tmp_path / "otter.png")
        assert (tmp_path / "otter.png").read_bytes() == PNG

    @pytest.mark.parametrize("kind", [str, Path])
    def test_returns_the_path(self, tmp_path: Path, kind: Any) -> None:
        assert Image(data=PNG).save(kind(tmp_path / "otter.png")) == tmp_path / "otter.png"

    def test_replaces_what_was_there(self, tmp_path: Path) -> None:
        (tmp_path / "otter.png").write_bytes(b"old")
        Image(data=PNG).save(tmp_path / "otter.png")
        assert (tmp_path / "otter.png").read_bytes() == PNG

    @pytest.mark.parametrize("overwrite", [True, False])
    def test_leaves_one_file(self, tmp_path: Path, overwrite: bool) -> None:
        Image(data=PNG).save(tmp_path / "otter.png", overwrite=overwrite)
        assert [path.name for path in tmp_path.iterdir()] == ["otter.png"]

    def test_refuses_to_overwrite_where_asked(self, tmp_path: Path) -> None:
        (tmp_path / "otter.png").write_bytes(b"old")
        with pytest.raises(FileExistsError):
            Image(data=PNG).save(tmp_path / "otter.png", overwrite=False)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
            "otter.png": b"old"
        }

    def test_a_full_disk_leaves_what_was_there(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        target = tmp_path / "otter.png"
        target.write_bytes(b"old")
        write = Path.write_bytes

        def half(path: Path, data: bytes) -> int:
            write(path, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(Path, "write_bytes", half)
        with pytest.raises(OSError, match="No space"):
            Image(data=PNG).save(target)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
            "otter.png": b"old"
        }

    def test_a_folder_in_the_way_leaves_no_part(self, tmp_path: Path) -> None:
        (tmp_path / "otter.png").mkdir()
        with pytest.raises(OSError):
            Image(data=PNG).save(tmp_path / "otter.png")
        assert [path.name for path in tmp_path.iterdir()] == ["otter.png"]

    def test_two_saves_to_one_path_never_share_a_part(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        parts = []
        write = Path.write_bytes

        def noted(path: Path, data: bytes) -> int:
            parts.append(path)
            return write(path, data)

        monkeypatch.setattr(Path, "write_bytes", noted)
        for _ in range(2):
            Image(data=PNG).save(tmp_path / "otter.png")
        assert len(set(parts)) == 2

    def test_a_url_that_is_not_fetched_writes_nothing(self, tmp_path: Path) -> None:
        with pytest.raises(RequestError):
            Image(url=SIGNED).save(tmp_path / "otter.png")
        assert list(tmp_path.iterdir()) == []


class TestPillow:
    def test_an_image_becomes_a_pillow_picture(self) -> None:
        assert Image(data=PNG).to_pil().size == (4, 3)

    def test_an_image_that_pillow_cannot_read_says_so(self) -> None:
        with pytest.raises(RequestError, match="Pillow cannot read the picture"):
            Image(data=SVG).to_pil()

    def test_a_damaged_picture_says_so(self) -> None:
        out = io.BytesIO()
        Pillow.effect_noise((64, 64), 90).save(out, "PNG")
        with pytest.raises(RequestError, match="Pillow cannot read the picture"):
            Image(data=out.getvalue()[:200]).to_pil()

    def test_a_decompression_bomb_says_so(self) -> None:
        head = b"IHDR" + struct.pack(">II", 60_000, 60_000) + PNG[24:29]
        bomb = PNG[:12] + head + struct.pack(">I", zlib.crc32(head)) + PNG[33:]
        with pytest.raises(RequestError, match=r"cannot read the picture: .* decompression bomb"):
            Image(data=bomb).to_pil()

    @pytest.mark.parametrize("kind", ["EPS", "PPM", "TGA", "ICO", "PDF"])
    def test_nothing_but_known_types_is_opened(
        self, kind: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Some of Pillow's readers start programs of others.
        out = io.BytesIO()
        Pillow.new("RGB", (4, 3)).save(out, kind)
        monkeypatch.setattr(Pillow, "open", lambda *given, **how: pytest.fail("it is opened"))
        with pytest.raises(RequestError, match="it is of no type we know"):
            Image(data=out.getvalue()).to_pil()

    def test_a_picture_is_opened_as_what_its_head_says(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked, really = [], Pillow.open
        monkeypatch.setattr(
            Pillow, "open", lambda *given, **how: asked.append(how) or really(*given, **how)
        )
        Image(data=PNG).to_pil()
        assert asked == [{"formats": ("PNG",)}]

    def test_the_head_decides_before_pillow_sees_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Pillow, "open", lambda *given, **how: pytest.fail("it is opened"))
        monkeypatch.setattr("imagekit._pillow.MOST_PIXELS", 11)
        with pytest.raises(RequestError, match="4x3 is more than 11 pixels"):
            Image(data=PNG).to_pil()

    def test_a_size_that_only_pillow_reads_decides_before_its_pixels_are(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        out = io.BytesIO()
        Pillow.new("RGB", (4, 3)).save(out, "TIFF")
        monkeypatch.setattr("imagekit._pillow.MOST_PIXELS", 11)
        with pytest.raises(RequestError, match="4x3 is more than 11 pixels"):
            Image(data=out.getvalue()).to_pil()
        monkeypatch.setattr("imagekit._pillow.MOST_PIXELS", 12)
        assert Image(data=out.getvalue()).to_pil().size == (4, 3)

    def test_without_pillow_one_line_says_what_to_install(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "PIL", None)
        with pytest.raises(ConfigurationError) as caught:
            Image(data=PNG).to_pil()
        assert str(caught.value) == "this needs Pillow: pip install 'imagekit[images]'"


class TestNotebooks:
    def test_a_picture_shows_itself(self) -> None:
        shown = Image(data=PNG)._repr_mimebundle_()
        assert shown == {"image/png": base64.b64encode(PNG).decode()}

    def test_a_drawing_shows_itself(self) -> None:
        image = Image(data=SVG)
        source = f"data:image/svg+xml;base64,{base64.b64encode(SVG).decode()}"
        assert image._repr_mimebundle_() == {
            "text/html": f'<img src="{source}" alt="an SVG">',
            "text/plain": repr(image),
        }

    @pytest.mark.parametrize("image", [Image(url=SIGNED), Image(data=b"who knows")])
    def test_what_cannot_be_shown_is_named(self, image: Image) -> None:
        assert image._repr_mimebundle_() == {"text/plain": repr(image)}


@pytest.mark.parametrize(
    ("image", "shown"),
    [
        (Image(data=PNG), f"<Image image/png 4x3, {len(PNG)} bytes>"),
        (Image(data=SVG), f"<Image image/svg+xml, {len(SVG)} bytes>"),
        (Image(data=b"??"), "<Image of unknown type, 2 bytes>"),
        (Image(url=SIGNED), "<Image of unknown type, at https://cdn.example/otter.png?…>"),
        (
            Image(url="https://cdn.example/a.png"),
            "<Image of unknown type, at https://cdn.example/a.png>",
        ),
    ],
)
@pytest.mark.parametrize("show", [repr, str])
def test_the_repr_of_an_image_is_short(image: Image, shown: str, show: Any) -> None:
    assert show(image) == shown


@pytest.mark.parametrize(
    "value",
    [
        Image(url=SIGNED),
        ImageInput(url=SIGNED),
        Mask(ImageInput(url=SIGNED), edit_where="white"),
        ImageInput(url="https://me:SECRET@cdn.example/otter.png"),
    ],
)
@pytest.mark.parametrize("show", [repr, str, pretty_repr])
def test_what_lets_anyone_in_is_never_shown(value: object, show: Any) -> None:
    assert "SECRET" not in show(value)


@pytest.mark.parametrize(
    "value",
    [
        Image(data=PNG * 10_000),
        ImageInput(data=PNG * 10_000),
        ImageInput(path=Path("otter" * 10_000)),
        Mask(PNG * 10_000, edit_where="white"),
    ],
)
def test_a_repr_is_short_whatever_it_is_of(value: object) -> None:
    assert len(repr(value)) < 300


class TestInput:
    @pytest.mark.parametrize(
        ("given", "field", "value"),
        [
            (PNG, "data", PNG),
            (bytearray(PNG), "data", PNG),
            (memoryview(PNG), "data", PNG),
            (f"data:image/png;base64,{base64.b64encode(PNG).decode()}", "data", PNG),
            (Image(data=PNG), "data", PNG),
            ({"data": base64.b64encode(PNG).decode()}, "data", PNG),
            (Path("otter.png"), "path", Path("otter.png")),
            ("https://a.example/otter.png", "url", "https://a.example/otter.png"),
            ("http://a.example/otter.png", "url", "http://a.example/otter.png"),
            (Image(url=SIGNED), "url", SIGNED),
            (ProviderFile("file-1"), "file_id", "file-1"),
        ],
    )
    def test_is_made_from_anything_that_names_a_picture(
        self, given: object, field: str, value: object
    ) -> None:
        assert ImageInput.model_validate(given).model_dump(exclude_none=True, exclude={"role"}) == {
            field: value
        }

    @pytest.mark.parametrize("given", ["otter.png", {"path": "otter.png"}, "/etc/passwd"])
    def test_that_comes_as_data_names_no_file(self, given: object) -> None:
        with pytest.raises(ValidationError, match="a path is given in code"):
            ImageInput.model_validate(given)

    def test_in_code_may_be_a_path_in_words(self) -> None:
        given: Any = "otter.png"
        assert ImageInput(path=given) == ImageInput(path=Path("otter.png"))

    def test_stays_what_it_is(self) -> None:
        given = ImageInput(data=PNG, role="reference")
        assert ImageInput.model_validate(given) is given

    @pytest.mark.parametrize(
        "given", [{}, {"data": PNG, "url": SIGNED}, {"file_id": "a", "path": Path("b")}]
    )
    def test_is_exactly_one_picture(self, given: object) -> None:
        with pytest.raises(ValidationError, match="exactly one of data, path, url and file_id"):
            ImageInput.model_validate(given)

    @pytest.mark.parametrize("given", ["data:image/svg+xml,<svg/>", "data:;base64,no base64!", 3])
    def test_what_names_no_picture_is_an_error(self, given: object) -> None:
        with pytest.raises(ValidationError):
            ImageInput.model_validate(given)

    @pytest.mark.parametrize(
        "given",
        [
            ImageInput(data=PNG, role="reference", name="otter.png"),
            ImageInput(url=SIGNED),
            ImageInput(file_id="file-1"),
        ],
    )
    def test_goes_to_json_and_back(self, given: ImageInput) -> None:
        assert ImageInput.model_validate_json(given.model_dump_json()) == given

    @pytest.mark.parametrize(
        ("given", "media_type"),
        [
            (ImageInput(data=PNG), "image/png"),
            (ImageInput(data=b"who knows"), None),
            (ImageInput(path=Path("otter.png")), None),
        ],
    )
    def test_has_the_type_of_its_bytes(self, given: ImageInput, media_type: str | None) -> None:
        assert given.media_type == media_type

    @pytest.mark.parametrize(
        ("given", "filename"),
        [
            (ImageInput(data=PNG), "image.png"),
            (ImageInput(data=PNG, name="otter.jpg"), "otter.png"),
            (ImageInput(data=PNG, name="../../etc/otter"), "otter.png"),
            (ImageInput(data=PNG, name="/"), "image.png"),
            (ImageInput(data=b"who knows", name="otter.png"), "otter.bin"),
            (ImageInput(path=Path("zoo/otter.png")), "otter.bin"),
        ],
    )
    def test_has_a_file_name_with_the_ending_of_its_bytes(
        self, given: ImageInput, filename: str
    ) -> None:
        assert given.filename == filename

    @pytest.mark.parametrize(
        ("given", "shown"),
        [
            (ImageInput(data=PNG), f"<ImageInput source: {len(PNG)} bytes>"),
            (ImageInput(data=b""), "<ImageInput source: 0 bytes>"),
            (ImageInput(path=Path("otter.png"), role="markup"), "<ImageInput markup: otter.png>"),
            (ImageInput(url=SIGNED), "<ImageInput source: https://cdn.example/otter.png?…>"),
            (ImageInput(file_id="file-1"), "<ImageInput source: file-1>"),
        ],
    )
    @pytest.mark.parametrize("show", [repr, str])
    def test_has_a_short_repr(self, given: ImageInput, shown: str, show: Any) -> None:
        assert show(given) == shown


class TestMask:
    @pytest.mark.parametrize("given", ["hat.png", Path("hat.png"), {"path": "hat.png"}])
    def test_is_made_from_anything_that_names_a_picture(self, given: Any) -> None:
        assert Mask(given, edit_where="white").image == ImageInput(path=Path("hat.png"))

    def test_has_no_default_convention(self) -> None:
        with pytest.raises(TypeError, match="edit_where"):
            Mask("hat.png")  # type: ignore[call-arg]

    @pytest.mark.parametrize(
        ("given", "where"),
        [
            ({"image": SIGNED}, "edit_where"),
            ({"edit_where": "white"}, "image"),
            ({"image": SIGNED, "edit_where": "grey"}, "edit_where"),
            ({"image": SIGNED, "edit_where": "white", "invert": True}, "invert"),
        ],
    )
    def test_says_as_any_value_does_what_is_wrong_with_its_fields(
        self, given: object, where: str
    ) -> None:
        with pytest.raises(ValidationError) as caught:
            Mask.model_validate(given)
        assert [error["loc"] for error in caught.value.errors()] == [(where,)]

    def test_goes_to_json_and_back(self) -> None:
        mask = Mask(PNG, edit_where="transparent")
        assert Mask.model_validate_json(mask.model_dump_json()) == mask


class TestProviderFile:
    def test_takes_its_id_as_it_is(self) -> None:
        assert ProviderFile("file-1").id == "file-1"

    def test_goes_to_json_and_back(self) -> None:
        file = ProviderFile("file-1")
        assert ProviderFile.model_validate_json(file.model_dump_json()) == file

    @pytest.mark.parametrize("given", [{}, {"id": 3}, {"id": "a", "name": "b"}])
    def test_says_as_any_value_does_what_is_wrong_with_its_fields(self, given: object) -> None:
        with pytest.raises(ValidationError):
            ProviderFile.model_validate(given)


@pytest.mark.parametrize(
    ("data", "ending"),
    [(PNG, "png"), (b"\xff\xd8\xff\xe0", "jpg"), (b"<svg/>", "svg"), (b"?", "bin")],
)
def test_a_picture_knows_its_usual_ending(data: bytes, ending: str) -> None:
    assert Image(data=data).extension == ending


def test_a_link_stays_a_link_and_what_it_names_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link = tmp_path / "link.png"
    link.symlink_to(tmp_path / "there" / "otter.png")
    assert Image(data=PNG).save(link) == link
    assert link.is_symlink()
    assert (tmp_path / "there" / "otter.png").read_bytes() == PNG


@pytest.mark.parametrize("mode", [0o640, 0o444, 0o4755], ids=["640", "read only", "setuid"])
def test_what_is_replaced_keeps_its_permissions(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "otter.png"
    path.write_bytes(b"old")
    path.chmod(mode)
    Image(data=PNG).save(path)
    assert path.read_bytes() == PNG
    assert stat.S_IMODE(path.stat().st_mode) == mode & 0o777


def test_what_replaces_a_private_file_is_private_from_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, modes = tmp_path / "otter.png", []
    path.touch(0o600)
    write = Path.write_bytes

    def noted(part: Path, data: bytes) -> int:
        modes.append(stat.S_IMODE(part.stat().st_mode))
        return write(part, data)

    monkeypatch.setattr(Path, "write_bytes", noted)
    Image(data=PNG).save(path)
    assert modes == [0o600]


def test_a_disk_that_knows_no_permissions_gets_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path, mode: int) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refused)
    (tmp_path / "otter.png").write_bytes(b"old")
    Image(data=PNG).save(tmp_path / "otter.png")
    assert (tmp_path / "otter.png").read_bytes() == PNG


def test_what_is_no_file_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    assert Image(data=PNG).save(pipe) == pipe
    reader.join(10)
    assert read == [PNG]
    assert pipe.is_fifo()
