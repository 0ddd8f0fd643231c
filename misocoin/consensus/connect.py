"""What a block does to the coins: the checks that need them, the changes, and how to undo them.

Nothing here remembers: coins come in through a function, changes go out as a value, and the
scripts to check go to a sink, so that signatures can be checked in bulk on all cores.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

from misocoin.codec import Reader, compact_size, var_bytes
from misocoin.consensus.coins import Coin
from misocoin.consensus.deployments import script_flags_at
from misocoin.consensus.subsidy import calculate_subsidy
from misocoin.consensus.tree import HeaderNode
from misocoin.consensus.tx_rules import (
    MAX_BLOCK_SIGOPS_COST,
    SEQUENCE_LOCKTIME_DISABLE_FLAG,
    are_locks_met,
    calculate_sequence_locks,
    calculate_sigop_cost,
    check_inputs,
)
from misocoin.errors import ValidationError
from misocoin.params import Params
from misocoin.primitives.block import Block
from misocoin.primitives.transaction import OutPoint, Transaction, outpoint
from misocoin.script.script import is_unspendable

BIP34_IMPLIES_BIP30_LIMIT = 1_983_702
"""Height from which heights in coinbases no longer rule out repeated ids (Core's figure)."""


class ScriptSink(Protocol):
    """Takes the scripts of a block to check."""

    def add(self, tx: Transaction, coins: list[Coin], flags: int) -> None:
        """Check every input of `tx` against the coins it spends, now or later."""


class ConnectedBlock(NamedTuple):
    """What connecting a block changes."""

    spent: tuple[tuple[Coin, ...], ...]
    """Undo data: the coins each transaction but the coinbase spends, in order of its inputs."""
    created: dict[OutPoint, Coin]
    """Coins the block leaves behind, those it spends itself left out."""
    consumed: list[OutPoint]
    """Coins from before the block that it spends, or overwrites (BIP30's two exceptions)."""
    fees: int
    """Base units."""


def must_check_repeats(node: HeaderNode, params: Params) -> bool:
    """Whether BIP30 has to be checked in the block at `node`: no id may repeat while unspent.

    Left out where heights in coinbases make ids unique (BIP34), and in the two blocks of history
    that did repeat one.
    """
    height = node.height
    if (height, node.hash) in params.bip30_exceptions:
        return False
    start = params.activation.bip34
    if start <= 1:
        return False
    if params.bip34_hash is None or height <= start or height >= BIP34_IMPLIES_BIP30_LIMIT:
        return True
    return node.ancestor(start).hash != params.bip34_hash


def connect_block(
    block: Block,
    node: HeaderNode,
    fetch: Callable[[OutPoint], Coin | None],
    scripts: ScriptSink | None,
    params: Params,
) -> ConnectedBlock:
    """Check the block at `node` against the coins before it and say what it changes.

    `fetch` answers for the coins as its parent left them; `scripts=None` leaves the scripts out,
    for a block whose scripts were checked before. Raises ValidationError. The verdict on the
    scripts is the sink's to give, after this returns.
    """
    height = node.height
    parent = node.parent
    if parent is None:
        return ConnectedBlock((), {}, [], 0)  # genesis creates no coin
    flags = script_flags_at(height, node.hash, params)
    sequence_locks = height >= params.activation.csv
    created: dict[OutPoint, Coin] = {}
    consumed: list[OutPoint] = []
    if must_check_repeats(node, params):
        if _repeated_outputs(block, fetch):
            raise ValidationError("bad-txns-BIP30", "tried to overwrite transaction")
    elif (height, node.hash) in params.bip30_exceptions:
        consumed += _repeated_outputs(block, fetch)  # the older coins are lost
    consumed_set = set(consumed)
    undo: list[tuple[Coin, ...]] = []
    fees = sigops = 0
    for position, tx in enumerate(block.transactions):
        coinbase = position == 0
        coins: list[Coin] = []
        if not coinbase:
            found = _spend(tx, created, consumed, consumed_set, fetch)
            fees += check_inputs(tx, found, height, params)
            coins = [coin for coin in found if coin is not None]
            if fees > params.max_money:
                raise ValidationError("bad-txns-accumulated-fee-outofrange")
            if sequence_locks and _has_relative_lock(tx):
                locks = calculate_sequence_locks(
                    tx,
                    [coin.height for coin in coins],
                    lambda at: parent.ancestor(at).median_time_past,
                )
                if not are_locks_met(locks, height, parent.median_time_past):
                    raise ValidationError("bad-txns-nonfinal", "contains a non-BIP68-final tx")
            undo.append(tuple(coins))
        sigops += calculate_sigop_cost(tx, coins, flags)
        if sigops > MAX_BLOCK_SIGOPS_COST:
            raise ValidationError("bad-blk-sigops", "too many sigops")
        if not coinbase and scripts is not None:
            scripts.add(tx, coins, flags)
        txid = tx.txid
        for index, (value, script) in enumerate(tx.vout):
            if not is_unspendable(script):
                created[outpoint(txid, index)] = Coin(value, script, height, coinbase)
    due = fees + calculate_subsidy(height, params)
    paid = sum([txout.value for txout in block.transactions[0].vout])
    if paid > due:
        raise ValidationError(
            "bad-cb-amount", f"coinbase pays too much (actual={paid} vs limit={due})"
        )
    return ConnectedBlock(tuple(undo), created, consumed, fees)


def _repeated_outputs(block: Block, fetch: Callable[[OutPoint], Coin | None]) -> list[OutPoint]:
    """Outputs of the block whose ids unspent coins have already."""
    points = [tx.outpoint(index) for tx in block.transactions for index in range(len(tx.vout))]
    return [point for point in points if fetch(point) is not None]


def _has_relative_lock(tx: Transaction) -> bool:
    return tx.version & 0xFFFFFFFF >= 2 and any(
        not txin.sequence & SEQUENCE_LOCKTIME_DISABLE_FLAG for txin in tx.vin
    )


def _spend(
    tx: Transaction,
    created: dict[OutPoint, Coin],
    consumed: list[OutPoint],
    consumed_set: set[OutPoint],
    fetch: Callable[[OutPoint], Coin | None],
) -> list[Coin | None]:
    """The coins of the inputs, taken from the block's own or from those before it."""
    found: list[Coin | None] = []
    for txin in tx.vin:
        point = txin.prevout
        coin = created.pop(point, None)
        if coin is None and point not in consumed_set:
            coin = fetch(point)
            if coin is not None:
                consumed.append(point)
                consumed_set.add(point)
        found.append(coin)
    return found


def undone_coins(
    block: Block, spent: Iterable[tuple[Coin, ...]]
) -> tuple[list[OutPoint], dict[OutPoint, Coin]]:
    """What disconnecting a block changes: coins to remove, and coins to put back.

    `spent` is the undo data of its connection; raises ValueError where it is another block's. A
    coin that the block made and spent itself is only among those to remove.
    """
    removed = [
        tx.outpoint(index)
        for tx in block.transactions
        for index, txout in enumerate(tx.vout)
        if not is_unspendable(txout.script_pubkey)
    ]
    own = {tx.txid for tx in block.transactions}
    restored = {
        txin.prevout: coin
        for tx, coins in zip(block.transactions[1:], spent, strict=True)
        for txin, coin in zip(tx.vin, coins, strict=True)
        if txin.prevout[:32] not in own
    }
    return removed, restored


def serialize_undo(spent: Iterable[tuple[Coin, ...]]) -> bytes:
    """Undo data for the disk: per transaction a count of coins, then each of them.

    A coin is height * 2 + coinbase (4 bytes), value (8 bytes) and script behind its length.
    """
    parts = []
    transactions = tuple(spent)
    parts.append(compact_size(len(transactions)))
    for coins in transactions:
        parts.append(compact_size(len(coins)))
        for value, script, height, is_coinbase in coins:
            parts.append((height << 1 | is_coinbase).to_bytes(4, "little"))
            parts.append(value.to_bytes(8, "little"))
            parts.append(var_bytes(script))
    return b"".join(parts)


def undo_from_bytes(data: bytes) -> tuple[tuple[Coin, ...], ...]:
    """Read what `serialize_undo` wrote; raises ParseError for anything else."""
    reader = Reader(data)
    transactions = []
    for _ in range(reader.compact_size()):
        coins = []
        for _ in range(reader.compact_size()):
            code = reader.uint(4)
            value = reader.uint(8)
            coins.append(Coin(value, reader.var_bytes(), code >> 1, bool(code & 1)))
        transactions.append(tuple(coins))
    reader.expect_end()
    return tuple(transactions)
