"""The figures of `getblockstats`, as Core counts them. Pure."""

from collections.abc import Sequence

from misocoin.consensus.coins import Coin
from misocoin.consensus.subsidy import calculate_subsidy
from misocoin.consensus.tree import HeaderNode
from misocoin.params import Params
from misocoin.primitives.block import Block
from misocoin.primitives.transaction import TxOut
from misocoin.rpc.forms import hash_hex
from misocoin.rpc.json import Json
from misocoin.rpc.schema import array, hexadecimal, number, obj, optional, timestamp
from misocoin.script.script import is_unspendable

COIN_OVERHEAD = 41
"""Bytes that a coin takes beside its output: outpoint, height, a flag (Core's figure)."""

PERCENTILES = (10, 25, 50, 75, 90)

_SATS = "in base units"

_HELP = {
    "avgfee": f"mean fee, {_SATS}",
    "avgfeerate": "mean fee rate, in base units per virtual byte",
    "avgtxsize": "mean size, in bytes",
    "height": "of the block",
    "ins": "inputs, the coinbase's left out",
    "maxfee": f"highest fee, {_SATS}",
    "maxfeerate": "highest fee rate, in base units per virtual byte",
    "maxtxsize": "largest size, in bytes",
    "medianfee": f"median fee, {_SATS}",
    "mediantxsize": "median size, in bytes",
    "minfee": f"lowest fee, {_SATS}",
    "minfeerate": "lowest fee rate, in base units per virtual byte",
    "mintxsize": "smallest size, in bytes",
    "outs": "outputs",
    "subsidy": f"what the block creates, {_SATS}",
    "swtotal_size": "size of all segwit transactions, in bytes",
    "swtotal_weight": "weight of all segwit transactions",
    "swtxs": "segwit transactions",
    "total_out": f"all outputs but the coinbase's, {_SATS}",
    "total_size": "size of all transactions but the coinbase, in bytes",
    "total_weight": "weight of all transactions but the coinbase",
    "totalfee": f"all fees, {_SATS}",
    "txs": "transactions, the coinbase included",
    "utxo_increase": "outputs less inputs",
    "utxo_size_inc": "the same in bytes of the set of coins",
    "utxo_increase_actual": "the same without outputs that nobody can spend",
    "utxo_size_inc_actual": "the same without outputs that nobody can spend",
}

BLOCK_STATS = obj(
    "the figures; those that were asked for, or all",
    **{name: optional(number(help)) for name, help in _HELP.items()},
    blockhash=optional(hexadecimal("of the block")),
    feerate_percentiles=optional(
        array(
            "fee rates at the 10th, 25th, 50th, 75th and 90th percentile of weight",
            number("base units per virtual byte"),
        )
    ),
    mediantime=optional(timestamp("median time of the block")),
    time=optional(timestamp("time of the block")),
)


def calculate_block_stats(
    block: Block, spent: Sequence[Sequence[Coin]], node: HeaderNode, params: Params
) -> dict[str, Json]:
    """All figures of a block; `spent` is its undo data."""
    transactions = block.transactions
    others = transactions[1:]
    fees, rates, sizes = [], [], []
    grown = grown_really = 0
    outputs = spendable = 0
    for tx in transactions:
        for txout in tx.vout:
            size = _coin_size(txout)
            outputs += 1
            grown += size
            # Genesis creates no coin.
            if node.parent is not None and not is_unspendable(txout.script_pubkey):
                spendable += 1
                grown_really += size
    for tx, coins in zip(others, spent, strict=True):
        for coin in coins:
            size = _coin_size(TxOut(coin.value, coin.script_pubkey))
            grown -= size
            grown_really -= size
        fee = sum([coin.value for coin in coins]) - sum([txout.value for txout in tx.vout])
        fees.append(fee)
        rates.append((fee * 4 // tx.weight, tx.weight))
        sizes.append(tx.size)
    segwit = [tx for tx in others if tx.has_witness]
    inputs = sum([len(tx.vin) for tx in others])
    total_weight = sum([tx.weight for tx in others])
    count = len(others)
    return {
        "avgfee": sum(fees) // count if count else 0,
        "avgfeerate": sum(fees) * 4 // total_weight if total_weight else 0,
        "avgtxsize": sum(sizes) // count if count else 0,
        "blockhash": hash_hex(block.hash),
        "feerate_percentiles": _percentiles(rates, total_weight),
        "height": node.height,
        "ins": inputs,
        "maxfee": max(fees, default=0),
        "maxfeerate": max([rate for rate, _ in rates], default=0),
        "maxtxsize": max(sizes, default=0),
        "medianfee": _median(fees),
        "mediantime": node.median_time_past,
        "mediantxsize": _median(sizes),
        "minfee": min(fees, default=0),
        "minfeerate": min([rate for rate, _ in rates], default=0),
        "mintxsize": min(sizes, default=0),
        "outs": outputs,
        "subsidy": calculate_subsidy(node.height, params),
        "swtotal_size": sum([tx.size for tx in segwit]),
        "swtotal_weight": sum([tx.weight for tx in segwit]),
        "swtxs": len(segwit),
        "time": block.header.time,
        "total_out": sum([txout.value for tx in others for txout in tx.vout]),
        "total_size": sum(sizes),
        "total_weight": total_weight,
        "totalfee": sum(fees),
        "txs": len(transactions),
        "utxo_increase": outputs - inputs,
        "utxo_size_inc": grown,
        "utxo_increase_actual": spendable - inputs,
        "utxo_size_inc_actual": grown_really,
    }


def _coin_size(txout: TxOut) -> int:
    return len(txout.serialize()) + COIN_OVERHEAD


def _median(values: list[int]) -> int:
    if not values:
        return 0
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) // 2


def _percentiles(rates: list[tuple[int, int]], total_weight: int) -> list[int]:
    """Fee rates where the weight of all that pay less passes each percentile."""
    if not rates:
        return [0] * len(PERCENTILES)
    ordered = sorted(rates)
    found: list[int] = []
    weight = 0
    for rate, own in ordered:
        weight += own
        while (
            len(found) < len(PERCENTILES) and weight >= total_weight * PERCENTILES[len(found)] / 100
        ):
            found.append(rate)
    return found + [ordered[-1][0]] * (len(PERCENTILES) - len(found))
