"""Which requests the pages of other sites have made."""

from socket import gethostname

import pytest
from hypothesis import given
from hypothesis import strategies as st

from misocoin.http.guard import FOREIGN, Guard, is_host_name

LOCAL = Guard(is_local=True)
OPEN = Guard(is_local=False, names=("node.example",), option="-webhost")


@pytest.mark.parametrize(
    ("host", "origin", "is_refused"),
    [
        ("localhost:4000", None, False),
        ("127.0.0.1:4000", None, False),
        ("[::1]:4000", None, False),
        ("LOCALHOST", None, False),
        (None, None, False),
        (f"{gethostname()}:4000", None, False),
        ("evil.example:4000", None, True),
        ("localhost.evil.example", None, True),
        ("127.0.0.1.evil.example", None, True),
        ("localhost:4000", "http://localhost:4000", False),
        ("localhost:4000", "http://localhost:4001", True),
        ("localhost:4000", "https://localhost:4000", True),
        ("localhost:4000", "http://evil.example", True),
        ("localhost:4000", "null", True),
        ("evil.example:4000", "http://evil.example:4000", True),
        (None, "http://evil.example", True),
    ],
)
def test_while_only_this_machine_reaches_the_port(
    host: str | None, origin: str | None, is_refused: bool
) -> None:
    assert (LOCAL.refusal(host, origin) is not None) is is_refused


@pytest.mark.parametrize(
    ("host", "origin", "is_refused", "is_unnamed"),
    [
        ("192.0.2.7:4000", None, False, False),
        ("192.0.2.7:4000", "http://192.0.2.7:4000", False, False),
        ("192.0.2.7:4000", "https://192.0.2.7:4000", True, False),
        ("node.lan:4000", None, False, True),
        ("node.lan:4000", "http://node.lan:4000", True, True),
        ("node.lan:4000", "http://evil.example", True, True),
        ("node.example:4000", "http://node.example:4000", False, False),
        ("Node.Example.", "http://node.example.", False, False),
        ("node.example", "https://node.example", False, False),
        ("node.example", "https://evil.example", True, False),
        ("a.node.example", "http://a.node.example", True, True),
        (None, "http://evil.example", True, False),
    ],
)
def test_while_others_reach_it(
    host: str | None, origin: str | None, is_refused: bool, is_unnamed: bool
) -> None:
    assert (OPEN.refusal(host, origin) is not None) is is_refused
    assert (OPEN.misnaming(host) is not None) is is_unnamed


def test_what_is_told_helps() -> None:
    told = OPEN.misnaming("node.lan:4000")
    assert told is not None
    assert "-webhost=node.lan" in told
    assert OPEN.refusal("node.example", "http://evil.example") == FOREIGN
    assert "-webhost" not in str(OPEN.misnaming("a b"))
    assert "-webhost" not in str(LOCAL.misnaming("node.lan"))


@given(st.text(), st.text() | st.none())
def test_only_known_names_are_passed(host: str, origin: str | None) -> None:
    passes = OPEN.refusal(host, origin) is None
    is_known = OPEN.misnaming(host) is None
    assert passes is (origin is None or (OPEN.is_own(host, origin) and is_known))


@pytest.mark.parametrize(
    ("text", "is_name"),
    [("node.lan", True), ("Node-1", True), ("", False), ("a:1", False), ("a..b", False),
     ("a" * 254, False), ("http://a", False), ("ä", False)],
)  # fmt: skip
def test_names_of_hosts(text: str, is_name: bool) -> None:
    assert is_host_name(text) is is_name
