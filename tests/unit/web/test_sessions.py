"""Sessions and login codes, on a clock of our own."""

import pytest

from misocoin.web.sessions import (
    CODE_SECONDS,
    IDLE_SECONDS,
    LONGEST_SECONDS,
    MOST_SESSIONS,
    Sessions,
    is_own_form,
)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(clock: Clock) -> Sessions:
    return Sessions(clock)


def test_a_code_lets_in_once(sessions: Sessions) -> None:
    code = sessions.new_code()
    assert len(code) == 14
    assert not sessions.take_code("AAAA-AAAA-AAAA")
    assert sessions.take_code(f" {code.lower().replace('-', ' ')} ")
    assert not sessions.take_code(code)


def test_a_code_ends(sessions: Sessions, clock: Clock) -> None:
    code = sessions.new_code()
    clock.now += CODE_SECONDS
    assert not sessions.take_code(code)


def test_codes_do_not_heap_up(sessions: Sessions) -> None:
    codes = [sessions.new_code() for _ in range(20)]
    assert not sessions.take_code(codes[0])
    assert sessions.take_code(codes[-1])


def test_what_is_no_code_is_none(sessions: Sessions) -> None:
    sessions.new_code()
    for text in ("", "-", "é" * 12, "A" * 10_000):
        assert not sessions.take_code(text)


def test_a_session_ends_when_idle_or_old(sessions: Sessions, clock: Clock) -> None:
    idle, old = sessions.begin(), sessions.begin()
    for _ in range(LONGEST_SECONDS // IDLE_SECONDS):
        clock.now += IDLE_SECONDS
        assert sessions.find(old) is not None
    assert sessions.find(idle) is None
    clock.now += 1
    assert sessions.find(old) is None


def test_logging_out_and_crowding(sessions: Sessions) -> None:
    first = sessions.begin()
    sessions.end(first)
    assert sessions.find(first) is None
    kept, crowded = sessions.begin(), sessions.begin()
    for _ in range(MOST_SESSIONS - 1):
        assert sessions.find(kept) is not None
        sessions.begin()
    assert sessions.find(crowded) is None
    assert sessions.find(kept) is not None


def test_forms_are_bound_to_their_session(sessions: Sessions) -> None:
    one, other = sessions.find(sessions.begin()), sessions.find(sessions.begin())
    assert one is not None
    assert other is not None
    assert is_own_form(one, one.csrf)
    assert not is_own_form(one, other.csrf)
    assert not is_own_form(one, "")
    assert not is_own_form(one, "é")
