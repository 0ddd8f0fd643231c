"""Who is logged in: sessions of browsers, and codes to log in with.

A session is a random token in a cookie that scripts cannot read and that other sites' requests do
not carry (`HttpOnly`, `SameSite=Strict`); with it goes a second token that every form must send
back, so that no page of another site can act for the user (CSRF). All of it is in memory: a
restart of the node logs everybody out.
"""

import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

IDLE_SECONDS = 30 * 60
"""After so long without a request a session ends."""

LONGEST_SECONDS = 12 * 3600
"""After so long every session ends."""

MOST_SESSIONS = 32
"""Sessions at once; a further one ends the one that was used longest ago."""

CODE_SECONDS = 300
"""How long a login code holds."""

_CODE_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # none that look alike
_CODE_LENGTH = 12
_MOST_CODES = 8


@dataclass(slots=True)
class Session:
    """A browser that has logged in."""

    csrf: str
    """What its forms must send back."""
    began: float
    """Seconds on the monotonic clock."""
    used: float
    """When it was used last, likewise."""


class Sessions:
    """Knows sessions and login codes. Any number of threads may ask at once."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` is monotonic, in seconds."""
        self._clock = clock
        self._lock = Lock()
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._codes: OrderedDict[str, float] = OrderedDict()

    @property
    def code_seconds(self) -> int:
        """How long a code holds."""
        return CODE_SECONDS

    def new_code(self) -> str:
        """Make a code that lets one browser in, once, for CODE_SECONDS: `ABCD-EFGH-JKLM`."""
        letters = [secrets.choice(_CODE_LETTERS) for _ in range(_CODE_LENGTH)]
        code = "".join(letters)
        with self._lock:
            self._codes[code] = self._clock() + CODE_SECONDS
            while len(self._codes) > _MOST_CODES:
                self._codes.popitem(last=False)
        return "-".join(code[at : at + 4] for at in range(0, _CODE_LENGTH, 4))

    def take_code(self, text: str) -> bool:
        """Whether this is a code that holds; it does not any more."""
        given = "".join(letter for letter in text.upper() if letter.isalnum()).encode()
        with self._lock:
            now = self._clock()
            for code in [code for code, end in self._codes.items() if end <= now]:
                del self._codes[code]
            # No early way out: how long it takes must not tell which one was nearly right.
            matches = [code for code in self._codes if hmac.compare_digest(code.encode(), given)]
            for code in matches:
                del self._codes[code]
        return bool(matches)

    def begin(self) -> str:
        """Start a session; returns its token."""
        token, now = secrets.token_urlsafe(32), self._clock()
        with self._lock:
            self._sessions[token] = Session(secrets.token_urlsafe(32), now, now)
            while len(self._sessions) > MOST_SESSIONS:
                self._sessions.popitem(last=False)
        return token

    def find(self, token: str, *, is_use: bool = True) -> Session | None:
        """The session of a token; None where it ended or never was.

        It counts as used now, unless nobody but a script asks (`is_use`).
        """
        with self._lock:
            session, now = self._sessions.get(token), self._clock()
            if session is None:
                return None
            if now - session.used > IDLE_SECONDS or now - session.began > LONGEST_SECONDS:
                del self._sessions[token]
                return None
            if is_use:
                session.used = now
                self._sessions.move_to_end(token)
            return session

    def end(self, token: str) -> None:
        """Log out."""
        with self._lock:
            self._sessions.pop(token, None)


def is_own_form(session: Session, token: str) -> bool:
    """Whether a form that was sent came from a page of this session."""
    return hmac.compare_digest(session.csrf.encode(), token.encode())
