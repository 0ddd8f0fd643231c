"""What is searched: a puzzle is a value that says which messages there are and which one wins.

Every puzzle numbers its candidate messages 0, 1, 2 ... `space - 1`; that number is the *nonce* of
all searches, whatever form it takes inside the message (four bytes, eight bytes, text). The
methods here are the definition by hashlib that every faster kernel is held against.
"""

from dataclasses import dataclass
from enum import Enum
from hashlib import sha1, sha256, sha512
from typing import Final

from misocoin.errors import ParseError

HEADER_SIZE: Final = 80
"""Bytes of a Bitcoin block header; the 32-bit little-endian nonce is its last four."""

MAX_ROLLED_VERSIONS: Final = 1 << 16
"""The 16 version bits (13 to 28) that BIP320 leaves to miners."""

ROLLED_VERSIONS: Final = 16
"""Versions that a miner should roll through: more add little speed, and space is not short."""

ROLLED_SHIFT: Final = 13
"""The lowest of BIP320's version bits."""

BASE64_DIGITS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
"""Counter digits of hashcash version 1 stamps, in RFC 4648's order."""

HEX_DIGITS: Final = b"0123456789abcdef"
"""Counter digits of lower-case hexadecimal."""

MAX_SPACE: Final = 1 << 64
"""Nonces of every puzzle fit 64 bits."""


class PuzzleKind(Enum):
    """What kernels differ by: each runs some of these, at a speed of its own."""

    HEADER = "block header"
    ROLLED_HEADER = "block header, versions rolled"
    BITMESSAGE = "Bitmessage"
    HASHCASH_SHA1 = "hashcash SHA-1"
    HASHCASH_SHA256 = "hashcash SHA-256"


class StampDigest(Enum):
    """The digest of a hashcash-like puzzle; the value is hashlib's name for it."""

    SHA1 = "sha1"
    SHA256 = "sha256"

    @property
    def bits(self) -> int:
        """Length of the digest in bits."""
        return 160 if self is StampDigest.SHA1 else 256


@dataclass(frozen=True, slots=True)
class HeaderPuzzle:
    """A block header whose double SHA-256, read little-endian, must not exceed the target.

    With `versions` > 1 the version field is searched too: the nonce of this puzzle is then
    `header nonce * versions + i`, and candidate `i` has its version bits 13 and up (BIP320)
    exclusive-ored with `i`. One message schedule serves all of them, which is faster, and the
    space is so many times larger. Raises ParseError for values outside their range.
    """

    header: bytes
    """80 bytes, Bitcoin's serialisation; the last four (the nonce) do not matter."""
    target: int
    """The largest hash that wins, 0 to 2**256 - 1."""
    versions: int = 1
    """How many versions to roll through, 1 to 65536."""

    def __post_init__(self) -> None:
        if len(self.header) != HEADER_SIZE:
            raise ParseError(f"a block header has {HEADER_SIZE} bytes, not {len(self.header)}")
        if not 0 <= self.target < 1 << 256:
            raise ParseError("a header's target has 256 bits")
        if not 1 <= self.versions <= MAX_ROLLED_VERSIONS:
            raise ParseError(f"1 to {MAX_ROLLED_VERSIONS} versions can be rolled")

    @property
    def kind(self) -> PuzzleKind:
        """What a kernel must be able to do."""
        return PuzzleKind.HEADER if self.versions == 1 else PuzzleKind.ROLLED_HEADER

    @property
    def space(self) -> int:
        """Number of candidate headers."""
        return self.versions << 32

    @property
    def expected_tries(self) -> float:
        """Mean number of candidates until one wins."""
        return float((1 << 256) / (self.target + 1))

    def rolled(self, index: int) -> bytes:
        """Return the 80 bytes with the version of candidate `index` (below `versions`)."""
        version = int.from_bytes(self.header[:4], "little") ^ (index << ROLLED_SHIFT)
        return version.to_bytes(4, "little") + self.header[4:]

    def message(self, nonce: int) -> bytes:
        """Return the header of this candidate, its version and nonce filled in."""
        header_nonce, index = divmod(nonce, self.versions)
        return self.rolled(index)[:76] + header_nonce.to_bytes(4, "little")

    def is_solution(self, nonce: int) -> bool:
        """Tell by hashlib whether this candidate wins."""
        digest = sha256(sha256(self.message(nonce)).digest()).digest()
        return int.from_bytes(digest, "little") <= self.target


@dataclass(frozen=True, slots=True)
class BitmessagePuzzle:
    """SHA-512(SHA-512(nonce || initial hash)), first 8 bytes big-endian, at most the target.

    The nonce is 8 bytes, big-endian (Bitmessage protocol specification, "Proof of work"). Raises
    ParseError for values outside their range.
    """

    initial_hash: bytes
    """64 bytes: SHA-512 of the object's payload."""
    target: int
    """The largest trial value that wins, 0 to 2**64 - 1."""

    def __post_init__(self) -> None:
        if len(self.initial_hash) != 64:
            raise ParseError(f"an initial hash has 64 bytes, not {len(self.initial_hash)}")
        if not 0 <= self.target < 1 << 64:
            raise ParseError("a Bitmessage target has 64 bits")

    @property
    def kind(self) -> PuzzleKind:
        """What a kernel must be able to do."""
        return PuzzleKind.BITMESSAGE

    @property
    def space(self) -> int:
        """Number of candidate nonces."""
        return 1 << 64

    @property
    def expected_tries(self) -> float:
        """Mean number of candidates until one wins."""
        return float((1 << 64) / (self.target + 1))

    def message(self, nonce: int) -> bytes:
        """Return the 72 bytes that are hashed twice."""
        return nonce.to_bytes(8, "big") + self.initial_hash

    def trial_value(self, nonce: int) -> int:
        """Return the number that is compared with the target."""
        return int.from_bytes(sha512(sha512(self.message(nonce)).digest()).digest()[:8], "big")

    def is_solution(self, nonce: int) -> bool:
        """Tell by hashlib whether this nonce wins."""
        return self.trial_value(nonce) <= self.target


@dataclass(frozen=True, slots=True)
class HashcashPuzzle:
    """A text with a counter of fixed width whose digest must begin with so many zero bits.

    The message is `prefix || counter || suffix`; the counter is the nonce written in the digits
    of `alphabet`, most significant first, padded with the digit of zero. Raises ParseError for
    values outside their range.
    """

    prefix: bytes
    """What stands before the counter, of any length."""
    suffix: bytes
    """What stands after it, of any length; often empty."""
    width: int
    """Digits of the counter; `len(alphabet) ** width` is at most 2**64."""
    bits: int
    """Leading zero bits asked for, 0 to the digest's length."""
    digest: StampDigest = StampDigest.SHA256
    """The digest; SHA-1 is what hashcash version 1 prescribes."""
    alphabet: bytes = HEX_DIGITS
    """The counter's digits in order of value: 2 to 64 different bytes."""

    def __post_init__(self) -> None:
        if not 2 <= len(self.alphabet) <= 64 or len(set(self.alphabet)) != len(self.alphabet):
            raise ParseError("a counter's alphabet is 2 to 64 different bytes")
        if not 1 <= self.width <= 64 or len(self.alphabet) ** self.width > MAX_SPACE:
            raise ParseError("a counter has at least one digit and at most 2**64 values")
        if not 0 <= self.bits <= self.digest.bits:
            raise ParseError(f"{self.digest.value} cannot give {self.bits} zero bits")

    @property
    def kind(self) -> PuzzleKind:
        """What a kernel must be able to do."""
        is_sha1 = self.digest is StampDigest.SHA1
        return PuzzleKind.HASHCASH_SHA1 if is_sha1 else PuzzleKind.HASHCASH_SHA256

    @property
    def space(self) -> int:
        """Number of counter texts."""
        texts: int = len(self.alphabet) ** self.width
        return texts

    @property
    def expected_tries(self) -> float:
        """Mean number of candidates until one wins."""
        return float(1 << self.bits)

    def counter(self, nonce: int) -> bytes:
        """Return the counter text of this nonce."""
        base = len(self.alphabet)
        digits = bytearray(self.width)
        for place in range(self.width - 1, -1, -1):
            nonce, value = divmod(nonce, base)
            digits[place] = self.alphabet[value]
        return bytes(digits)

    def nonce_from_counter(self, counter: bytes) -> int:
        """Return the nonce whose text this is; ParseError when it is none of this puzzle's."""
        if len(counter) != self.width or not set(counter) <= set(self.alphabet):
            raise ParseError("not a counter of this puzzle")
        nonce = 0
        for digit in counter:
            nonce = nonce * len(self.alphabet) + self.alphabet.index(digit)
        return nonce

    def message(self, nonce: int) -> bytes:
        """Return the text that is hashed."""
        return self.prefix + self.counter(nonce) + self.suffix

    def zero_bits(self, nonce: int) -> int:
        """Return how many leading zero bits the digest of this text has."""
        hashed = sha1 if self.digest is StampDigest.SHA1 else sha256
        digest = hashed(self.message(nonce), usedforsecurity=False).digest()
        return self.digest.bits - int.from_bytes(digest, "big").bit_length()

    def is_solution(self, nonce: int) -> bool:
        """Tell by hashlib whether this counter wins."""
        return self.zero_bits(nonce) >= self.bits


Puzzle = HeaderPuzzle | BitmessagePuzzle | HashcashPuzzle
"""Everything the engine can search."""
