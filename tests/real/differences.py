"""What our requests say otherwise than the official client's, and why: the whole list."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image as Pillow
from sent import KEY, Part, Sent

# In every request. All other headers are equal.
TELEMETRY = "x-stainless-"
HEADERS = {
    "accept": "ours takes what comes, theirs asks for JSON even where it wants a stream",
    "accept-encoding": "theirs is whatever its HTTP library unpacks; ours wants a picture as it is",
    "user-agent": "each says who it is",
    TELEMETRY: "telemetry is theirs alone",
}


@dataclass(frozen=True)
class Difference:
    """Why two requests differ, and how: *level* asserts just that, and takes it out of both."""

    reason: str
    level: Callable[[Sent, Sent], None]


# --- what we say and they do not, and the other way round


def _model(mine: Sent, other: Sent) -> None:
    assert (mine.taken("model"), other.taken("model")) == ("gpt-image-2.6-sunburst", None)


NAMED = Difference("we always name the model", _model)


def _deployment(mine: Sent, other: Sent) -> None:
    assert (mine.taken("model"), other.taken("model")) == (None, "dep")


IN_THE_PATH = Difference(
    "a deployment is in the path, and its newer models refuse one in the body", _deployment
)


def _header(mine: Sent, other: Sent) -> None:
    key = mine.headers.pop("api-key")
    assert other.headers.pop("authorization") == f"Bearer {key}"


AS_A_KEY = Difference("Azure's own header for a key is api-key, which every address takes", _header)


def _images(mine: Sent, other: Sent) -> None:
    assert mine.headers.pop("x-ms-oai-image-generation-deployment") == "dep"


NAMED_FOR_THE_TOOL = Difference("Azure's tool asks which deployment makes the pictures", _images)


def _both(mine: Sent, other: Sent) -> None:
    _header(mine, other)
    _images(mine, other)


AS_A_KEY_AND_NAMED = Difference("a key in Azure's header, and a deployment for its tool", _both)


def _models(mine: Sent, other: Sent) -> None:
    assert (mine.taken("model"), other.taken("model")) == ("gpt-6.1-sol", None)
    [tool], [bare] = mine.json["tools"], other.json["tools"]
    assert (tool.pop("model"), "model" in bare) == ("gpt-image-2.6-sunburst", False)


BOTH_NAMED = Difference("we always name both models", _models)


def _choice(mine: Sent, other: Sent) -> None:
    chosen = mine.taken("tool_choice"), other.taken("tool_choice")
    assert chosen == ({"type": "image_generation"}, None)


FORCED = Difference("we force the tool, or the model might answer in words", _choice)


def _options(mine: Sent, other: Sent) -> None:
    said = mine.taken("stream_options"), other.taken("stream_options")
    assert said == ({"include_obfuscation": False}, None)


UNPADDED = Difference("we ask for a stream without padding", _options)


def _n(mine: Sent, other: Sent) -> None:
    assert (mine.taken("n"), other.taken("n")) == (None, 1)


ONE_UNSAID = Difference("one picture is the default, and goes without saying", _n)


def _nulls(mine: Sent, other: Sent) -> None:
    nulls = {name for name, value in other.json.items() if value is None}
    assert nulls
    assert not nulls & set(mine.json)
    other.json = {name: value for name, value in other.json.items() if name not in nulls}


NULL_UNSAID = Difference("None means that nothing is said, theirs says null", _nulls)


def _user(mine: Sent, other: Sent) -> None:
    assert (mine.taken("safety_identifier"), mine.taken("user")) == ("u-1", None)
    assert (other.taken("safety_identifier"), other.taken("user")) == (None, "u-1")


SAFETY = Difference("the end user goes by the name that took the place of `user`", _user)


# --- what would be refused


def _size(mine: Sent, other: Sent) -> None:
    assert (mine.taken("size"), other.taken("size")) == ("1008x1008", "1004x1004")


NEAREST = Difference("a size that the model does not make becomes the nearest it does", _size)


def _previews(mine: Sent, other: Sent) -> None:
    assert (mine.taken("partial_images"), other.taken("partial_images")) == (None, 4)


DROPPED = Difference("what is out of range is left out, with a notice", _previews)


def _stream(mine: Sent, other: Sent) -> None:
    assert (mine.taken("stream"), other.taken("stream")) == (None, True)
    assert (mine.taken("partial_images"), other.taken("partial_images")) == (None, 2)


WHOLE = Difference("the Images API streams neither frames nor markup: both come whole", _stream)
UNSTREAMED = Difference("a server that streams nothing is asked for the whole", _stream)


def _tool_previews(mine: Sent, other: Sent) -> None:
    [tool], [asked] = mine.json["tools"], other.json["tools"]
    assert ("partial_images" in tool, asked.pop("partial_images")) == (False, 2)


WITHOUT_PREVIEWS = Difference("there are no previews of frames and markup", _tool_previews)
SEVERAL = "what one request cannot make is made by several, each as theirs would be"


def _as_an_edit(mine: Sent, other: Sent) -> None:
    prompt = "Make a variation of this picture: the same subject and style, drawn anew."
    assert (mine.path, other.path) == ("/v1/images/edits", "/v1/images/variations")
    assert (mine.taken("prompt"), other.taken("prompt")) == (prompt, None)
    other.path = mine.path


EMULATED = Difference("variations are gone at OpenAI: an edit is asked for", _as_an_edit)


def _as_json(mine: Sent, other: Sent) -> None:
    assert mine.headers.pop("content-type") == "application/json"
    assert other.headers.pop("content-type").startswith("multipart/form-data")
    mask, [marks] = mine.json.pop("mask"), [part for part in other.files if part.name == "mask"]
    pictures = [part.data for part in other.files if part.name != "mask"]
    assert [loaded(one) for one in mine.json.pop("images")] == pictures
    assert loaded(mask) == marks.data
    assert mine.json == {part.name: part.data.decode() for part in other.fields}
    mine.json, other.parts = None, []


AS_JSON = Difference("an edit takes a moderation level in JSON only", _as_json)


def loaded(reference: dict[str, str]) -> bytes:
    """The bytes of a PNG that a request refers to by a data URL."""
    [url] = reference.values()
    head, _, data = url.partition(",")
    assert head == "data:image/png;base64"
    return base64.b64decode(data)


# --- files


def _order(mine: Sent, other: Sent) -> None:
    assert mine.fields != other.fields
    for one in (mine, other):
        # Fields come before files, and what has one name keeps its order.
        assert one.parts == one.fields + one.files
        one.parts = sorted(one.fields, key=lambda part: part.name) + one.files


ORDER = Difference(
    "a form's fields come in the order of OpenAI's reference, theirs in the alphabet's", _order
)


def _bare(mine: Sent, other: Sent) -> None:
    [one], [blind] = mine.files, other.files
    assert one == Part("image", "image.png", "image/png", blind.data)
    assert blind[:3] == ("image", "upload", "application/octet-stream")
    mine.parts[-1] = blind


SNIFFED = Difference("bytes get the name and the type of what they are, theirs get none", _bare)


def _misnamed(mine: Sent, other: Sent) -> None:
    [one], [misled] = mine.files, other.files
    assert (one.filename, one.kind) == ("otter.png", "image/png")
    assert (misled.filename, misled.kind) in (
        ("otter.jpg", "image/jpeg"),
        ("otter", "application/octet-stream"),
    )
    mine.parts[-1] = one._replace(filename=misled.filename, kind=misled.kind)


LOOKED = Difference("a file goes by what is in it, theirs by what it is called", _misnamed)


def _long_ending(mine: Sent, other: Sent) -> None:
    [one], [long] = mine.files, other.files
    assert (one.filename, long.filename) == ("otter.jpg", "otter.jpeg")
    mine.parts[-1] = one._replace(filename=long.filename)


ONE_ENDING = Difference("each type of picture has one ending: .jpg, never .jpeg", _long_ending)


def _listed(mine: Sent, other: Sent) -> None:
    [one], [listed] = mine.files, other.files
    assert (one.name, listed.name) == ("image", "image[]")
    mine.parts[-1] = one._replace(name=listed.name)


NO_LIST = Difference("one picture is no list, however it is given", _listed)


def _one_name(mine: Sent, other: Sent) -> None:
    assert {part.name for part in mine.files} == {"image"}
    mine.parts = mine.fields + [part._replace(name="image[]") for part in mine.files]


ONE_NAME = Difference("a server may know one name for all pictures, theirs has two", _one_name)


def _mask(mine: Sent, other: Sent) -> None:
    encoded, given = (_taken_mask(one) for one in (mine, other))
    assert encoded != given
    assert opacity(encoded) == opacity(given)


TURNED = Difference("a mask of another convention is turned into theirs, and written anew", _mask)


def _taken_mask(one: Sent) -> bytes:
    if one.json is not None:
        return loaded(one.json["tools"][0].pop("input_image_mask"))
    [part] = [part for part in one.files if part.name == "mask"]
    assert (part.filename, part.kind) == ("mask.png", "image/png")
    one.parts.remove(part)
    return part.data


def opacity(data: bytes) -> bytes:
    """How opaque each pixel of a picture is."""
    return Pillow.open(io.BytesIO(data)).convert("RGBA").getchannel("A").tobytes()


# --- who is calling, and where


def _query(mine: Sent, other: Sent) -> None:
    assert (mine.path, mine.query) == ("/v1/images/generations", [("tenant", "a")])
    assert (other.path, other.query) == ("/v1/", [("tenant", "aimages/generations")])
    other.path, other.query = mine.path, mine.query


QUERY = Difference("a base URL may have a query, theirs writes the path at its end", _query)


def _key(mine: Sent, other: Sent) -> None:
    assert "authorization" not in mine.headers
    assert other.headers.pop("authorization") == f"Bearer {KEY}"


KEYLESS = Difference("a server of one's own may want no key, theirs insists on one", _key)
AT_HOME = Difference("a profile with an address of its own gets no key from the environment", _key)


def _code(mine: Sent, other: Sent) -> None:
    assert mine.headers.pop("authorization") == f"Bearer {KEY}"
    assert other.headers.pop("authorization") == "Bearer other"


CODE_FIRST = Difference("what code says beats what the environment says", _code)
