"""A coin: an unspent output and what the rules ask about where it came from."""

from collections.abc import Mapping
from typing import NamedTuple

from misocoin.primitives.transaction import OutPoint


class Coin(NamedTuple):
    """An unspent output."""

    value: int
    """Base units."""
    script_pubkey: bytes
    height: int
    """Of the block that made it."""
    is_coinbase: bool


CoinMap = Mapping[OutPoint, Coin]
"""The coins that a transaction or block spends, by outpoint."""
