from __future__ import annotations

import base64
from pathlib import Path

import pytest
from pydantic import BaseModel

from imagekit import ProtocolError
from imagekit.provider import Blob, blob

DATA = b"\xfb\xef\xbe\xff picture"
TEXT = base64.b64encode(DATA).decode()


class Answer(BaseModel):
    picture: Blob


def test_the_bytes_of_a_blob_are_what_its_text_means() -> None:
    assert bytes(blob(TEXT)) == DATA


@pytest.mark.parametrize("text", [TEXT, f"data:image/png;base64,{TEXT}"])
def test_the_text_of_a_blob_is_what_came(text: str) -> None:
    assert str(blob(text)) == text


def test_a_data_url_means_the_bytes_behind_its_comma() -> None:
    assert bytes(blob(f"data:image/png;base64,{TEXT}")) == DATA


def test_the_length_of_a_blob_is_its_bytes() -> None:
    assert len(blob(TEXT)) == len(DATA)


def test_the_repr_of_a_blob_holds_no_picture() -> None:
    assert repr(blob(TEXT)) == f"Blob({len(DATA)} bytes)"


def test_a_blob_is_taken_for_a_blob() -> None:
    given = blob(TEXT)
    assert blob(given) is given


@pytest.mark.parametrize("text", ["no base64!", "QUJ", "-_-_", "ключ", "data:image/png;base64,?"])
def test_what_is_no_base64_is_a_protocol_error(text: str) -> None:
    with pytest.raises(ProtocolError, match="expected a base64 picture, got '"):
        blob(text)


def test_the_error_on_a_long_text_is_short() -> None:
    with pytest.raises(ProtocolError) as caught:
        blob("?" * 10_000)
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize("value", [None, 3, b"QUJD", ["QUJD"]])
def test_what_is_no_text_is_a_protocol_error(value: object) -> None:
    with pytest.raises(ProtocolError, match=f"got {type(value).__name__}"):
        blob(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [TEXT, Blob(TEXT)])
def test_a_field_takes_text_and_blobs(value: object) -> None:
    assert bytes(Answer.model_validate({"picture": value}).picture) == DATA


def test_a_field_goes_to_json_as_the_text_that_came() -> None:
    assert Answer(picture=Blob(TEXT)).model_dump(mode="json") == {"picture": TEXT}


def test_a_field_that_holds_no_base64_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError):
        Answer.model_validate({"picture": "no base64!"})


def test_a_file_that_was_written_anew_holds_another_picture(tmp_path: Path) -> None:
    path = tmp_path / "cat.png"
    path.write_bytes(b"a longer one")
    assert Blob.in_file(path, 3) != Blob.in_file(path, 12)
