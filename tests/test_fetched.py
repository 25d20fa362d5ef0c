"""A picture that is only a URL, and what is said when the URL is no good any more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from imagekit import AsyncClient, Client, Image, ProtocolError, ProviderError
from spoken import httpx

URL = "https://pictures.example/a.png?sig=secret"
LONG_AGO = datetime(2024, 12, 6, 0, 53, 17, tzinfo=UTC)
EXPIRED = "the picture's URL expired at 2024-12-06 00:53:17 UTC: "


def fetch(until: datetime | None, answer: httpx.Response) -> Image:
    transport = httpx.MockTransport(lambda request: answer)
    with httpx.Client(transport=transport) as http, Client(downloads=http, env={}) as client:
        return client.fetch(Image(url=URL, expires_at=until))


@pytest.mark.parametrize(
    "until",
    [
        LONG_AGO,
        LONG_AGO.replace(tzinfo=None),
        LONG_AGO.astimezone(timezone(timedelta(hours=9))),
    ],
)
@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_url_that_expired_says_when(until: datetime, status: int) -> None:
    with pytest.raises(ProviderError) as caught:
        fetch(until, httpx.Response(status))
    assert str(caught.value) == f"{EXPIRED}https://pictures.example/a.png?… answered {status}"
    assert caught.value.status == status
    assert isinstance(caught.value.__cause__, ProviderError)


def test_a_page_that_says_no_under_a_good_status_is_no_picture_either() -> None:
    with pytest.raises(ProviderError, match=r"expired at 2024-12-06 .*: .* holds no picture"):
        fetch(LONG_AGO, httpx.Response(200, text="<Error>expired</Error>"))


@pytest.mark.parametrize("until", [None, datetime(2200, 1, 1, tzinfo=UTC)])
def test_a_url_that_did_not_expire_says_only_what_was_answered(until: datetime | None) -> None:
    with pytest.raises(ProviderError) as caught:
        fetch(until, httpx.Response(403))
    assert str(caught.value) == "https://pictures.example/a.png?… answered 403"
    with pytest.raises(ProtocolError, match="holds no picture"):
        fetch(until, httpx.Response(200, text="no"))


def test_a_url_that_works_all_the_same_is_fetched() -> None:
    gif = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;"
    image = fetch(LONG_AGO, httpx.Response(200, content=gif))
    assert (image.data, image.expires_at) == (gif, LONG_AGO)


@pytest.mark.anyio
async def test_an_async_client_says_it_too() -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(403))
    async with (
        httpx.AsyncClient(transport=transport) as http,
        AsyncClient(downloads=http, env={}) as client,
    ):
        with pytest.raises(ProviderError, match="expired at 2024-12-06 00:53:17 UTC"):
            await client.fetch(Image(url=URL, expires_at=LONG_AGO))
