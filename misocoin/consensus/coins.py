"""A coin: an unspent output and what the rules ask about where it came from."""

from typing import NamedTuple


class Coin(NamedTuple):
    """An unspent output."""

    value: int
    """Base units."""
    script_pubkey: bytes
    height: int
    """Of the block that made it."""
    is_coinbase: bool
