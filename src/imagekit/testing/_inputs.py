"""Rules about what goes in: pictures in their order, as they may travel, and masks."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .._errors import UnsupportedRequestError
from .._input import ImageInput
from .._mask import Mask
from .._request import Operation
from ._bench import mask, png
from ._ground import PROMPT, Ground, Reached
from ._host import Asked, plain, spelt

CONVENTIONS = ("white", "black", "transparent", "opaque")


class Inputs(Ground):
    """Pictures and masks reach the wire whole, or the call ends before it."""

    def test_an_input_picture_reaches_the_wire(self) -> None:
        """Another picture is another request, and none is another again."""
        for fields in self._with_pictures():
            one = self.reached(**fields, images=[png(40)])
            other = self.reached(**fields, images=[png(90)])
            assert one.said != other.said, (
                f"two different pictures with {fields} come to the same request: the picture is "
                "not sent"
            )

    def test_an_edit_is_another_request_than_a_generation(self) -> None:
        """The words stay, and the picture comes to them."""
        able = self.able
        if not {"generate", "edit"} <= able.operations | able.emulates:
            self.not_applicable("it does not do both")
        edit, new = self.reached(**self.usual("edit")), self.reached(**self.usual("generate"))
        assert edit.said != new.said, "an edit asks for the same as the words alone"

    def test_input_pictures_go_in_their_order(self) -> None:
        """The first picture is the one that is edited."""
        able = self.able
        fields = next(self._with_pictures())
        most = able.max_inputs or 3
        if most < 2:
            self.not_applicable("it takes one picture")
        given = [png(shade) for shade in (40, 90, 140)[:most]]
        found = self.reached(**fields, images=given)
        if not found.asked:
            other = self.reached(**fields, images=given[::-1])
            assert found.said != other.said, "the order of the pictures makes no difference"
            return
        words = _words(found)
        places = []
        for number, picture in enumerate(given):
            told = plain(picture)
            assert told in words, f"picture {number + 1} of {len(given)} is not sent"
            places.append(words.index(told))
        assert places == sorted(places), (
            f"the pictures are sent in another order: {len(given)} were given, and they stand at "
            f"{places}"
        )

    def test_bytes_of_input_pictures_are_unchanged(self) -> None:
        """A picture goes out as it was given; what is written in it is its owner's."""
        if not self.on_wire:
            self.not_applicable("its engine is in this process, and takes pixels")
        if "bytes" not in self.able.inputs:
            self.not_applicable("it takes no pictures as bytes")
        picture = _with_words(png(40))
        found = self.reached(**next(self._with_pictures()), images=[picture])
        spelt_out = base64.b64encode(picture)
        assert any(picture in one.body or spelt_out in one.body for one in found.asked), (
            "the picture's bytes stand nowhere in what was sent, neither raw nor in base64: send "
            "them as they are"
        )

    def test_pictures_by_address_travel_as_declared(self) -> None:
        """An address is handed on where the wire takes one, else what lies there is."""
        fields, bench = next(self._with_pictures()), self.bench()
        url = bench.host.shelve(png(90))
        found = self.reached(bench=bench, **fields, images=[url])
        if "url" in self.able.inputs:
            assert url in "\n".join(_words(found)), (
                '"url" is declared in inputs, and the address is not sent'
            )
            assert all(one.url != url for one in found.asked), (
                '"url" is declared in inputs, and the picture was fetched all the same'
            )
            return
        found.asked = [one for one in found.asked if one.url != url]
        same = self.reached(**fields, images=[png(90)])
        assert found.said == same.said, (
            "a picture by its address comes to another request than its bytes do"
        )

    def test_files_of_the_provider_travel_as_declared(self) -> None:
        """A file's id is handed on where the wire takes one, else the call ends before it."""
        fields = next(self._with_pictures())
        given = [ImageInput(file_id="file-of-its-own-7")]
        if "file" not in self.able.inputs:
            self.refused('"file" is not in inputs', **fields, images=given)
            return
        found = self.reached(**fields, images=given)
        assert "file-of-its-own-7" in "\n".join(_words(found)), (
            '"file" is declared in inputs, and the id of the file is not sent'
        )

    def test_too_many_input_pictures_are_refused_before_the_network(self) -> None:
        """None of them is left out in silence."""
        most = self.able.max_inputs
        fields = next(self._with_pictures())
        if most is None:
            self.not_applicable("nobody knows how many pictures it takes")
        self.refused(
            f"max_inputs is {most}",
            kind=UnsupportedRequestError,
            **fields,
            images=[png(40)] * (most + 1),
        )

    def test_as_many_input_pictures_as_declared_are_taken(self) -> None:
        """Each of them reaches the wire."""
        most = self.able.max_inputs
        fields = next(self._with_pictures())
        if most is None:
            self.not_applicable("nobody knows how many pictures it takes")
        given = [png(shade) for shade in range(1, most + 1)]
        found = self.reached(**fields, images=given)
        words = _words(found)
        missing = [number for number, one in enumerate(given, 1) if plain(one) not in words]
        if found.asked:
            assert not missing, f"of {most} pictures, numbers {missing} are not sent"

    def test_an_operation_it_has_not_is_refused_before_the_network(self) -> None:
        """What was meant is never changed into something else."""
        able = self.able
        kinds: tuple[Operation, ...] = ("generate", "edit", "variation")
        lacking = [one for one in kinds if one not in able.operations | able.emulates]
        if not lacking:
            self.not_applicable("it generates, edits and varies")
        for one in lacking:
            self.refused(
                f"{one!r} is not in operations", kind=UnsupportedRequestError, **self.usual(one)
            )

    def test_what_is_only_emulated_is_refused_where_the_caller_wants_an_error(self) -> None:
        """With unsupported="error" nothing stands in for the real thing."""
        able = self.able
        only = sorted(able.emulates - able.operations)
        if not only:
            self.not_applicable("it emulates nothing")
        for one in only:
            self.reached(**self.usual(one))
            self.refused(
                f"{one!r} is only emulated",
                kind=UnsupportedRequestError,
                unsupported="error",
                **self.usual(one),
            )

    # Masks.

    def test_masks_of_all_conventions_are_one_request(self) -> None:
        """Whatever marks the part to edit, what is sent is the same."""
        marks = self._mask()
        first = self._masked(CONVENTIONS[0])
        for convention in CONVENTIONS[1:]:
            other = self._masked(convention)
            assert _seen(first, marks) == _seen(other, marks), (
                f"the same mask, once marked by {CONVENTIONS[0]} and once by {convention}, comes "
                "to two requests: send request.mask.image as it is, it is converted already"
            )

    def test_a_mask_marks_the_same_pixels_on_the_wire(self) -> None:
        """In the convention that is declared, and in the size of the picture."""
        marks = self._mask()
        for convention in CONVENTIONS:
            found = self._masked(convention)
            if not found.asked:
                _check_kept(found)
                continue
            pictures = [one for each in found.asked for one in pictures_of(each)]
            marked = [_marked(one, marks) for one in pictures]
            assert _HALF in marked, (
                f"the mask marks the left half (by {convention}), and of the {len(pictures)} "
                f"pictures that were sent none has its left half {marks}, as mask={marks!r} says"
            )

    def test_a_mask_makes_a_difference(self) -> None:
        """An edit of a part is no edit of the whole."""
        self._mask()
        whole = self.reached(prompt=PROMPT, images=[png(40)])
        assert self._masked("white").said != whole.said, (
            "the same edit with a mask and without comes to the same request: the mask is not sent"
        )

    def test_a_mask_of_shapes_is_a_mask(self) -> None:
        """A box is drawn as the picture that marks the same part."""
        marks = self._mask()
        found = self.reached(prompt=PROMPT, images=[png(40)], mask=Mask.box((0, 0, 8, 16)))
        other = self._masked("white")
        assert _seen(found, marks) == _seen(other, marks), (
            "a box over the left half comes to another request than a mask that marks it"
        )

    def test_a_mask_is_refused_before_the_network_where_there_is_none(self) -> None:
        """Without its mask an edit would be another picture."""
        able = self.able
        if able.mask is not None:
            self.not_applicable("it takes a mask")
        self.refused(
            "mask is not declared",
            kind=UnsupportedRequestError,
            prompt=PROMPT,
            images=[png(40)],
            mask=mask("white"),
        )

    def _mask(self) -> str:
        able = self.able
        if able.mask is None or "edit" not in able.operations | able.emulates:
            self.not_applicable("it takes no mask")
        return able.mask

    def _masked(self, convention: str) -> Reached:
        return self.reached(prompt=PROMPT, images=[png(40)], mask=mask(convention))

    def _with_pictures(self) -> Iterator[dict[str, Any]]:
        """The other fields of the requests that have pictures."""
        able = self.able
        can = able.operations | able.emulates
        found = [
            {"prompt": words}
            for operation, words in (("edit", PROMPT), ("variation", None))
            if operation in can
        ]
        yield from found or self.not_applicable("it takes no pictures")


def _words(found: Reached) -> list[str]:
    """Each value that was sent, in order."""
    return [word for one in found.asked for word in _leaves(one.shape())]


def _leaves(said: Any) -> Iterator[str]:
    match said:
        case dict():
            for value in said.values():
                yield from _leaves(value)
        case list():
            for value in said:
                yield from _leaves(value)
        case _:
            yield str(said)


def pictures_of(asked: Asked) -> list[Any]:
    """The pictures that reached the host, opened."""
    return list(_opened(dict(asked.values))) if asked.method == "CALL" else list(_sent(asked))


def _sent(asked: Asked) -> Iterator[Any]:
    kind = asked.headers.get("content-type", "")
    if asked.body and "json" in kind:
        yield from _opened(asked.json())
    elif kind.startswith(("multipart/", "application/x-www-form-urlencoded")):
        for one in asked.form():
            yield from _opened(one.data if one.filename is not None else one.text)
    else:
        yield from _opened(asked.body)


def _opened(said: Any) -> Iterator[Any]:
    from PIL import Image as Pillow

    match said:
        case Mapping():
            yield from (one for value in said.values() for one in _opened(value))
        case bytes():
            if plain(said).startswith("picture"):
                with Pillow.open(io.BytesIO(said)) as opened:
                    yield opened.copy()
        case str():
            data = spelt(said)
            yield from _opened(data) if data is not None else ()
        case Sequence():
            yield from (one for value in said for one in _opened(value))
        case _ if hasattr(said, "convert") and hasattr(said, "getpixel"):
            yield said


_HALF = [True] * 8 + [False] * 8


def _marked(picture: Any, marks: str) -> list[bool] | None:
    """Which columns of *picture* are marked all the way down; None where one is not of a kind."""
    if min(picture.size) < 16:
        return None
    # Whoever brings picture and mask to the asked size first has the same half marked.
    picture = picture.resize((16, 16), 0)
    if marks in ("transparent", "opaque"):
        if "A" not in picture.getbands():
            return None
        level = picture.getchannel("A")
    else:
        level = picture.convert("L")
    bright = marks in ("white", "opaque")
    columns = [[(level.getpixel((x, y)) > 127) == bright for y in range(16)] for x in range(16)]
    return None if any(len(set(one)) > 1 for one in columns) else [one[0] for one in columns]


def _seen(found: Reached, marks: str) -> str:
    """What was said; but for the pixels where below what is transparent lies any colour."""
    if marks in ("white", "black"):
        return json.dumps(found.said)
    return re.sub(r"picture (\d+x\d+) [0-9a-f]{16}", r"picture \1", json.dumps(found.said))


def _check_kept(found: Reached) -> None:
    """Of a provider that draws by itself: only what the mask marks has changed."""
    with found.came.pictures().image.to_pil() as drawn:
        shown = drawn.convert("L").resize((16, 16), 0)
    outside = {shown.getpixel((x, y)) for x in range(9, 16) for y in range(16)}
    assert outside == {40}, "what the mask protects has changed"
    inside = {shown.getpixel((x, y)) for x in range(7) for y in range(16)}
    assert inside != {40}, "nothing has changed of what the mask marks"


def _with_words(picture: bytes) -> bytes:
    """*picture* with a text in it that no pixel shows."""
    from PIL import Image as Pillow
    from PIL.PngImagePlugin import PngInfo

    words, out = PngInfo(), io.BytesIO()
    words.add_text("Author", "somebody")
    with Pillow.open(io.BytesIO(picture)) as opened:
        opened.save(out, "PNG", pnginfo=words)
    return out.getvalue()
