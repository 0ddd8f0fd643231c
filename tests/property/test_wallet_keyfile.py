"""Key files from outside: whole keys, or our error."""

import tempfile
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from misocoin.crypto.keys import PrivateKey
from misocoin.crypto.pem import pem_from_key
from misocoin.errors import KeyFormatError, WalletError
from misocoin.wallet.keyfile import append_key, read_keys

KEYS = [PrivateKey(bytes(31) + bytes((n,))) for n in (1, 2, 3)]
TEXT = "".join(map(pem_from_key, KEYS)).encode()

lines = st.sampled_from(
    [
        *TEXT.splitlines(keepends=True),
        b"-----BEGIN PRIVATE KEY-----",
        b"-----BEGIN EC PARAMETERS-----\n",
        b"-----END EC PARAMETERS-----\n",
        b"-----BEGIN",
        b"-----\n",
        b"\xff\x00\n",
    ]
)


def read(data: bytes) -> list[PrivateKey]:
    """The keys that are read; none where that is refused."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        try:
            return read_keys(Path(file.name))
        except KeyFormatError:
            return []


@given(st.binary(max_size=400))
def test_any_bytes(data: bytes) -> None:
    read(data)


@given(st.lists(lines, max_size=20).map(b"".join))
def test_any_lines(data: bytes) -> None:
    assert set(read(data)) <= set(KEYS)


@given(st.integers(0, len(TEXT)), st.integers(0, len(TEXT)))
@example(0, 0)
def test_a_file_with_a_piece_missing_never_loses_a_key_silently(one: int, other: int) -> None:
    start, end = sorted((one, other))
    keys = read(TEXT[:start] + TEXT[end:])
    whole = [key for key in KEYS if pem_from_key(key).strip().encode() in TEXT[:start] + TEXT[end:]]
    assert keys in ([], whole)


@given(st.integers(0, len(TEXT) - 1), st.integers(1, 255))
def test_a_flipped_byte_reads_as_no_other_key(place: int, flip: int) -> None:
    keys = read(TEXT[:place] + bytes((TEXT[place] ^ flip,)) + TEXT[place + 1 :])
    assert set(keys) <= set(KEYS)


@given(st.binary(max_size=300), st.integers(0, 3))
def test_what_stands_in_a_file_survives_an_attempt_to_add(data: bytes, known: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "keys.pem"
        path.write_bytes(data)
        try:
            append_key(path, KEYS[0], known)
        except WalletError:
            assert path.read_bytes() == data
        else:
            assert path.read_bytes().startswith(data)
            assert path.read_bytes().endswith(pem_from_key(KEYS[0]).encode())
        assert list(path.parent.iterdir()) == [path]
