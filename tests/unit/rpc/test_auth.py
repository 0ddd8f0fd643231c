"""Cookie, passwords, and what a web page in the user's browser cannot do."""

import base64
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from misocoin.errors import StoreError
from misocoin.rpc.auth import (
    EVERYTHING,
    Authenticator,
    delete_cookie,
    new_cookie,
    whitelists_of,
    write_cookie,
)


def basic(text: str) -> str:
    return f"Basic {base64.b64encode(text.encode()).decode()}"


def test_any_of_the_known_credentials_is_right() -> None:
    known = Authenticator("__cookie__:abc", "me:with:colons")
    assert known.user(basic("__cookie__:abc")) is not None
    assert known.user(basic("me:with:colons")) is not None
    assert known.user(basic("me:with:colons").replace("Basic", "basic")) is not None


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic ",
        "Basic !!!!",
        "Bearer abc",
        basic(""),
        basic("me"),
        basic("me:"),
        basic("me:Secret"),
        basic("me:secret "),
        basic("you:secret"),
        "Basic " + "A" * 2000,
    ],
)
def test_everything_else_is_wrong(header: str) -> None:
    assert Authenticator("me:secret").user(header) is None


@given(st.text())
def test_any_header_is_right_or_wrong(header: str) -> None:
    assert Authenticator("me:secret").user(header) in {"me", None}


def test_without_credentials_nothing_is_right() -> None:
    assert Authenticator().user(basic(":")) is None


def test_a_cookie_is_new_every_time_and_its_owner_s_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / ".cookie"
    first, second = new_cookie(), new_cookie()
    assert first != second
    assert first.startswith("__cookie__:")
    assert len(first) == len("__cookie__:") + 64
    write_cookie(path, first)
    write_cookie(path, second)
    assert path.read_text() == second
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [child.name for child in path.parent.iterdir()] == [".cookie"]


def test_only_one_s_own_cookie_is_removed(tmp_path: Path) -> None:
    path = tmp_path / ".cookie"
    write_cookie(path, "another's")
    delete_cookie(path, "mine")
    assert path.exists()
    delete_cookie(path, "another's")
    assert not path.exists()
    delete_cookie(path, "another's")


def test_a_cookie_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write"):
        write_cookie(tmp_path / "file" / ".cookie", "x")


def test_whitelists() -> None:
    assert EVERYTHING.has("me", "stop")
    assert EVERYTHING.has_all("me")
    some = whitelists_of([("u", frozenset({"a", "b"})), ("u", frozenset({"b", "c"}))], None)
    assert [name for name in "abc" if some.has("u", name)] == ["b"]
    assert not some.has("other", "b")
    kind = whitelists_of([("u", frozenset({"a"}))], False)
    assert (kind.has("other", "x"), kind.has_all("other"), kind.has_all("u")) == (True, True, False)
    assert not whitelists_of([], True).has("anybody", "uptime")


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_who_may_read_the_cookie(tmp_path: Path, mode: int) -> None:
    write_cookie(tmp_path / "cookie", "a:b", mode)
    assert (tmp_path / "cookie").stat().st_mode & 0o777 == mode
