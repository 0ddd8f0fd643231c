"""The figures and hashes of `gettxoutsetinfo` over all coins. Pure."""

import hashlib
from collections.abc import Iterable
from enum import Enum
from itertools import groupby
from typing import NamedTuple

from misocoin.consensus.coins import Coin
from misocoin.crypto.muhash import MuHash
from misocoin.primitives.transaction import OutPoint, TxOut, outpoint_index

BOGO_OVERHEAD = 50
"""What a coin counts beside its script: id 32, index 4, height 4, amount 8, length 2."""


class SetHash(Enum):
    """What hash is made of the set; the values are Core's names."""

    SERIALIZED = "hash_serialized_3"
    MUHASH = "muhash"
    NONE = "none"


class UtxoStats(NamedTuple):
    """What is known about a set of coins."""

    transactions: int
    """That have an output in it."""
    coins: int
    bogosize: int
    """A size that depends on no database."""
    total: int
    """Base units."""
    hash: bytes
    """Wire order; empty for `SetHash.NONE`."""


def serialize_coin(point: OutPoint, coin: Coin) -> bytes:
    """A coin as the hashes take it."""
    code = coin.height << 1 | coin.is_coinbase
    return point + code.to_bytes(4, "little") + TxOut(coin.value, coin.script_pubkey).serialize()


def calculate_utxo_stats(coins: Iterable[tuple[OutPoint, Coin]], kind: SetHash) -> UtxoStats:
    """The figures of coins that come by transaction id."""
    transactions = count = bogosize = total = 0
    serial, muhash = hashlib.sha256(), MuHash()
    for _, group in groupby(coins, key=lambda item: item[0][:32]):
        transactions += 1
        for point, coin in sorted(group, key=lambda item: outpoint_index(item[0])):
            count += 1
            bogosize += BOGO_OVERHEAD + len(coin.script_pubkey)
            total += coin.value
            if kind is SetHash.SERIALIZED:
                serial.update(serialize_coin(point, coin))
            elif kind is SetHash.MUHASH:
                muhash.insert(serialize_coin(point, coin))
    if kind is SetHash.SERIALIZED:
        digest = hashlib.sha256(serial.digest()).digest()
    else:
        digest = muhash.digest() if kind is SetHash.MUHASH else b""
    return UtxoStats(transactions, count, bogosize, total, digest)
