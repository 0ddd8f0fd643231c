"""Who may call what: the cookie of this run, and the user's own name and password.

As in Core the cookie is a file in the data folder that its owner alone can read, with a new
password for every run; it is gone when the daemon has stopped.
"""

import base64
import binascii
import hmac
import os
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from misocoin.errors import StoreError

COOKIE_USER = "__cookie__"
"""The name that goes with the cookie's password."""


class Authenticator:
    """Knows the names and passwords of this run. Immutable."""

    def __init__(self, *credentials: str, hashed: Iterable[str] = ()) -> None:
        """Each of the credentials is `name:password`; `hashed` ones are `name:salt$hash`.

        The hash is HMAC-SHA256 of the password under the salt, in hex (Core's `-rpcauth`).
        """
        self._credentials = tuple(text.encode() for text in credentials)
        self._hashed = tuple(_hashed_from_text(text) for text in hashed)

    def user(self, header: str) -> str | None:
        """The name in an Authorization header that holds one of them, or None.

        It takes as long for any wrong one.
        """
        given = _basic_credentials(header)
        if given is None or not self._knows(given):
            return None
        return given.partition(b":")[0].decode("utf-8", "replace")

    def is_password(self, name: str, password: str) -> bool:
        """Whether these are one of them, as a person writes them; takes as long for any wrong one.

        A name holds no colon: with one it would be taken for the password's beginning.
        """
        return ":" not in name and self._knows(f"{name}:{password}".encode())

    def _knows(self, given: bytes) -> bool:
        # No early way out: how long it takes must not tell which one was nearly right.
        matches = [hmac.compare_digest(given, known) for known in self._credentials]
        name, _, password = given.partition(b":")
        matches += [
            hmac.compare_digest(name, known.name)
            & hmac.compare_digest(hmac.digest(known.salt, password, "sha256"), known.hash)
            for known in self._hashed
        ]
        return any(matches)


class _Hashed(NamedTuple):
    name: bytes
    salt: bytes
    hash: bytes


def _hashed_from_text(text: str) -> _Hashed:
    name, _, rest = text.partition(":")
    salt, _, hash_hex = rest.partition("$")
    return _Hashed(name.encode(), salt.encode(), bytes.fromhex(hash_hex))


def _basic_credentials(header: str) -> bytes | None:
    """Take `name:password` out of a header of the Basic scheme (RFC 7617)."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic" or len(encoded) > 1000:
        return None
    try:
        return base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None


def new_cookie() -> str:
    """Make the credentials of a run, of 256 random bits."""
    return f"{COOKIE_USER}:{secrets.token_hex(32)}"


class Whitelists(NamedTuple):
    """Which methods users may call."""

    by_user: Mapping[str, frozenset[str]]
    """The only methods of a user."""
    others_may_all: bool
    """Whether users who are not in it may call every method."""

    def has_all(self, user: str) -> bool:
        """Whether a user may call every method, and so may use the pages as well."""
        return self.others_may_all and user not in self.by_user

    def has(self, user: str, method: str) -> bool:
        """Whether a user may call a method."""
        methods = self.by_user.get(user)
        return self.others_may_all if methods is None else method in methods


EVERYTHING = Whitelists(MappingProxyType({}), others_may_all=True)
"""Every user may call every method."""


def whitelists_of(
    given: Iterable[tuple[str, frozenset[str]]], others_may_nothing: bool | None
) -> Whitelists:
    """What users and their methods come to: of several for one user, what all of them name."""
    by_user: dict[str, frozenset[str]] = {}
    for user, methods in given:
        by_user[user] = by_user.get(user, methods) & methods
    if others_may_nothing is None:
        others_may_nothing = bool(by_user)
    return Whitelists(MappingProxyType(by_user), not others_may_nothing)


def write_cookie(path: Path, text: str, mode: int = 0o600) -> None:
    """Leave a cookie in its file, all at once; raises StoreError where that cannot be."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
        temporary.chmod(mode)
        temporary.replace(path)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}") from None


def delete_cookie(path: Path, text: str) -> None:
    """Remove the cookie file, unless another daemon has put its own there."""
    with suppress(OSError):
        if path.read_text("ascii") == text:
            path.unlink()
