"""A wallet's seed as words a person can write down (BIP39, the English list)."""

import hashlib
import secrets
from difflib import get_close_matches
from unicodedata import normalize

from mnemonic import Mnemonic

from misocoin.errors import KeyFormatError

COUNTS = (12, 15, 18, 21, 24)
"""How many words there may be; 12 are 128 bits of chance, 24 are 256."""


def new_words(count: int = 12) -> str:
    """Words of fresh randomness. Raises KeyFormatError for a count that is not of `COUNTS`."""
    if count not in COUNTS:
        raise KeyFormatError(f"{', '.join(map(str, COUNTS[:-1]))} or {COUNTS[-1]} words")
    return words_from_entropy(secrets.token_bytes(count * 4 // 3))


def words_from_entropy(entropy: bytes) -> str:
    """The words for 16, 20, 24, 28 or 32 bytes."""
    return Mnemonic("english").to_mnemonic(entropy)


def words_from_text(text: str) -> str:
    """Words somebody typed, checked: lower case, one space between.

    Raises KeyFormatError, which names places and never a word.
    """
    language = Mnemonic("english")
    words = normalize("NFKD", text).lower().split()
    if len(words) not in COUNTS:
        raise KeyFormatError(f"{len(words)} words: a wallet has 12, 15, 18, 21 or 24")
    for place, word in enumerate(words, 1):
        if word not in language.wordlist:
            close = bool(get_close_matches(word, language.wordlist, 1))
            hint = ": is there a typing error?" if close else ""
            raise KeyFormatError(f"word {place} is not of the BIP39 list{hint}")
    joined = " ".join(words)
    if not language.check(joined):
        raise KeyFormatError("the words' checksum is wrong: is one missing, or are two exchanged?")
    return joined


def seed_from_words(words: str, extra: str = "") -> bytes:
    """The 64 bytes of seed; `extra` is BIP39's passphrase, of which any leads to another wallet."""
    salt = normalize("NFKD", "mnemonic" + extra).encode()
    return hashlib.pbkdf2_hmac("sha512", normalize("NFKD", words).encode(), salt, 2048)
