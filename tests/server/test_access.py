"""Who may ask: tokens, names and origins."""

from __future__ import annotations

from pathlib import Path

import pytest

import imagekit
from imagekit.server._access import ANYBODY, LOOPBACK, Access, is_loopback, tokens_from

TOKEN, OTHER = "first-token-0123", "other-token-4567"


@pytest.mark.parametrize(
    "given", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"BEARER   {TOKEN} ", f"Bearer {OTHER}"]
)
def test_each_token_lets_its_bearer_in(given: str) -> None:
    assert Access((TOKEN, OTHER)).owner(given) is not None


@pytest.mark.parametrize(
    "given",
    [
        "",
        "Bearer",
        "Bearer ",
        TOKEN,
        f"Basic {TOKEN}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN} {OTHER}",
        f"Bearer {TOKEN.upper()}",
        "Bearer \xff\u20ac",
    ],
)
def test_nothing_else_does(given: str) -> None:
    assert Access((TOKEN, OTHER)).owner(given) is None


def test_where_no_token_is_wanted_everybody_is_the_same() -> None:
    assert {Access().owner(given) for given in ("", "Bearer x", f"Basic {TOKEN}")} == {ANYBODY}


def test_an_owner_is_the_same_each_time_another_for_each_token_and_none_of_them() -> None:
    access = Access((TOKEN, OTHER))
    first, other = access.owner(f"Bearer {TOKEN}"), access.owner(f"Bearer {OTHER}")
    assert first == Access((OTHER, TOKEN)).owner(f"Bearer {TOKEN}")
    assert first != other
    assert not {first, other} & {TOKEN, OTHER, ANYBODY, None}


def test_a_token_is_not_in_a_repr() -> None:
    assert TOKEN not in repr(Access((TOKEN,)))


@pytest.mark.parametrize("token", ["", "short12", "with space", "n\u00f6t-ascii", "tab\tinside"])
def test_a_token_that_is_none_is_refused_and_not_told(token: str) -> None:
    with pytest.raises(imagekit.ConfigurationError, match="8 or more ASCII") as refused:
        Access((TOKEN, token))
    assert not token or token not in str(refused.value)


@pytest.mark.parametrize(
    ("value", "tokens"),
    [
        ("", ()),
        (" , ", ()),
        (TOKEN, (TOKEN,)),
        (f"{TOKEN},{OTHER}", (TOKEN, OTHER)),
        (f" {TOKEN}\n {OTHER} ", (TOKEN, OTHER)),
    ],
)
def test_the_environment_holds_tokens(value: str, tokens: tuple[str, ...]) -> None:
    assert tokens_from({"IMAGEKIT_SERVER_TOKEN": value}) == tokens
    assert tokens_from({}) == ()


def test_a_file_holds_a_token_in_a_line_and_wins_over_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    text = f"\ufeff# ours\n\n{TOKEN}  # the app's\n  {OTHER}\nwith#inside#it#\n"
    file.write_text(text, encoding="utf-8")
    env = {"IMAGEKIT_SERVER_TOKEN": "from-the-environment"}
    assert tokens_from(env, file) == (TOKEN, OTHER, "with#inside#it#")


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "No such file"), (b"\xff\xfe", "it is no text"), (b"# none\n\n", "holds no token")],
)
def test_a_file_that_holds_none_is_an_error(
    content: bytes | None, why: str, tmp_path: Path
) -> None:
    file = tmp_path / "tokens"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(imagekit.ConfigurationError, match=why):
        tokens_from({"IMAGEKIT_SERVER_TOKEN": TOKEN}, file)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "::1", "[::1]"])
def test_loopback_is_known(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "0.0.0.0", "::", "0", "10.0.0.1", "localhost.evil.example", "127.0.0.1.nip.io"]
)
def test_what_is_not_loopback_is_not_taken_for_it(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    "host", ["localhost", "LocalHost:80", "127.0.0.1:8000", "[::1]", "[::1]:8000"]
)
def test_the_server_goes_by_its_names_on_any_port(host: str) -> None:
    assert Access(hosts=LOOPBACK).answers_to(host)


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "localhost.evil.example", "localhost:evil", "localhost:80:80", "::1"],
)
def test_a_foreign_name_is_not_its_own(host: str) -> None:
    assert not Access(hosts=LOOPBACK).answers_to(host)
    assert Access().answers_to(host)


def test_only_pages_of_an_allowed_origin_may_ask_and_read() -> None:
    access = Access(origins=("https://app.example",))
    assert access.welcomes(None)
    assert access.welcomes("https://app.example")
    for other in ("null", "", "http://app.example", "https://app.example.evil", "*"):
        assert not access.welcomes(other)
        assert access.shared(other) == {}
    assert access.shared(None) == {}
    shared = access.shared("https://app.example")
    assert shared["access-control-allow-origin"] == "https://app.example"
    assert not Access().welcomes("https://app.example")
