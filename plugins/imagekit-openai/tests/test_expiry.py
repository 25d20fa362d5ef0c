from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai_wire import asked

from imagekit_openai._expiry import expires
from recorded import IMAGES
from recordings import ABSENT, HOME, recorded
from spoken import httpx
from ways import make

MADE = datetime(2026, 11, 20, 12, tzinfo=UTC)
BLOB = "https://dalleprodsec.blob.core.windows.net/private/a.png"
S3 = "https://s3.amazonaws.com/examplebucket/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
GCS = "https://storage.googleapis.com/b/a.png?X-Goog-Algorithm=GOOG4-RSA-SHA256"


def at(*when: int) -> datetime:
    return datetime(*when, tzinfo=UTC)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        # Azure's shared access signatures: `se`, and not `ske`, which is the key's.
        (f"{BLOB}?se=2024-12-06T00%3A53%3A17Z&ske=2024-12-10T05%3A12%3A24Z&sig=x", (53, 17)),
        (f"{BLOB}?SE=2024-12-06T00:53Z&SIG=x", (53, 0)),
        (f"{BLOB}?se=2024-12-06&sig=x", (0, 0)),
        (f"{BLOB}?se=2024-12-06T02:53:17%2B02:00&sig=x", (53, 17)),
    ],
)
def test_azures_signatures_are_read(url: str, expected: tuple[int, int]) -> None:
    assert expires(url, None) == at(2024, 12, 6, 0, *expected)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        # The example of Amazon's own documentation.
        (
            f"{S3}&X-Amz-Date=20130721T201207Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host",
            at(2013, 7, 22, 20, 12, 7),
        ),
        (f"{GCS}&X-Goog-Date=20261120T120000Z&X-Goog-Expires=900", at(2026, 11, 20, 12, 15)),
        (
            "https://b.oss.example/a.png?x-oss-date=20261120T120000Z&x-oss-expires=60",
            at(2026, 11, 20, 12, 1),
        ),
        ("https://cdn.example/a.png?Expires=1795200296&Signature=x", at(2026, 11, 20, 18, 44, 56)),
        # The first of several that ends, ends it.
        (
            f"{GCS}&X-Goog-Date=20261120T120000Z&X-Goog-Expires=900&Expires=1795200296",
            at(2026, 11, 20, 12, 15),
        ),
    ],
)
def test_other_signatures_are_read(url: str, expected: datetime) -> None:
    assert expires(url, MADE) == expected


@pytest.mark.parametrize(
    "url",
    [
        "https://fal.media/files/tiger/dS4bSu_Id64Vk9dwfp1AK.png",
        f"{BLOB}?se=2024-12-06T00:53:17Z",
        f"{BLOB}?se=soon&sig=x",
        f"{S3}&X-Amz-Date=20130721T201207Z",
        f"{S3}&X-Amz-Date=yesterday&X-Amz-Expires=60",
        f"{S3}&X-Amz-Date=20130721T201207Z&X-Amz-Expires=-1",
        f"{S3}&X-Amz-Date=20130721T201207Z&X-Goog-Expires=60",
        "https://cdn.example/a.png?Expires=60",
        "https://cdn.example/a.png?Expires=Fri",
        "https://[::1/a.png",
        "https://openai.com.example/a.png",
    ],
)
def test_a_url_that_does_not_say_is_good_for_nobody_knows_how_long(url: str) -> None:
    assert expires(url, MADE) is None


@pytest.mark.parametrize(
    "host", ["oaidalleapiprodscus.blob.core.windows.net", "files.oaiusercontent.com", "openai.com"]
)
def test_openais_own_links_hold_an_hour_where_they_do_not_say(host: str) -> None:
    assert expires(f"https://{host}/a.png", MADE) == MADE + timedelta(hours=1)
    assert expires(f"https://{host}/a.png", None) is None
    assert expires(f"https://{host}/a.png?sig=x&se=2030-01-01", MADE) == at(2030, 1, 1)


@settings(deadline=None, derandomize=True, database=None)
@given(st.text(alphabet="?&=abdeginopstxz-0123456789TZ:.%+ \u0661", max_size=60))
def test_no_query_is_beyond_reading(text: str) -> None:
    found = expires(f"https://a.example/b?{text}", None)
    assert found is None or found.tzinfo is not None


def linked() -> list[Any]:
    """The recorded answers that hold links."""
    if not HOME.is_dir():
        return []
    found = []
    for name, number, error in IMAGES:
        exchange = recorded(name)[number]
        if error is None and any(one.get("url") for one in exchange.json["data"]):
            found.append(pytest.param(exchange, id=f"{name}#{number}"))
    return found


@pytest.mark.skipif(not HOME.is_dir(), reason=ABSENT)
@pytest.mark.parametrize("exchange", linked())
def test_each_recorded_link_ends_when_its_signature_does(exchange: Any) -> None:
    def server(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers=exchange.headers, content=exchange.body)

    response = make(
        "sync whole",
        asked(n=len(exchange.json["data"])),
        handler=server,
        provider="openai-images",
        api_key="k",
        how={"fetch": False},
        env={},
    )
    assert response.created is not None
    for image in response:
        [said] = parse_qs(urlsplit(str(image.url)).query)["se"]
        assert image.expires_at == datetime.strptime(said, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        # OpenAI's hold an hour, Azure's a day.
        assert timedelta(minutes=59) < image.expires_at - response.created < timedelta(hours=25)


@pytest.mark.skipif(not HOME.is_dir(), reason=ABSENT)
def test_a_signature_and_what_azure_said_beside_it_agree() -> None:
    name = "Azure__azure-sdk-for-net/CanGenerateImages_Azure__2023-06-22__EXCERPT.txt"
    text = (HOME / name).read_text("utf-8")
    [unix] = re.findall(r'"expires":(\d+)', text)
    urls = re.findall(r'"url":"(https:[^"]*se=[^"]*)"', text)
    assert urls
    for url in urls:
        assert expires(url, None) == datetime.fromtimestamp(int(unix), UTC)
