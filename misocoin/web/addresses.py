"""What the page of an address shows: its balance, what waits, and what happened to it.

With the index of addresses (`-addressindex`) that is its whole history; without, its unspent
coins, for which all coins are looked through.
"""

from collections.abc import Mapping
from typing import NamedTuple

from misocoin.chain.mempool import Mempool
from misocoin.chain.mempool_entry import MempoolEntry
from misocoin.chain.state import ChainState
from misocoin.consensus.coins import Coin
from misocoin.errors import AddressError, NotFoundError
from misocoin.primitives.transaction import OutPoint
from misocoin.script.address import address_from_script, script_from_address
from misocoin.script.templates import template_from_script
from misocoin.web.explorer import View
from misocoin.web.script_words import KIND_WORDS

ROWS_PER_PAGE = 50
"""Transactions, or coins, on a page of an address."""

MOST_WAITING = 50
"""Transactions of the mempool that are shown for an address."""


class Waiting(NamedTuple):
    """What a transaction of the mempool will do to an address."""

    txid: str
    """Display order."""
    time: int
    """Unix time of arrival."""
    received_sats: int
    spent_sats: int


def address_view(chain: ChainState, mempool: Mempool, text: str, page: int) -> View:
    """An address with a page of its history or coins; raises NotFoundError for what is none."""
    try:
        script = script_from_address(text, chain.params)
    except AddressError as error:
        raise NotFoundError(str(error)) from None
    template = template_from_script(script)
    with chain.lock:
        tip = chain.tip
        index = chain.addresses
        coins = chain.coins_of(script) if index is None else {}
        history = None
        if index is not None:
            history = index.read(script, ROWS_PER_PAGE, (page - 1) * ROWS_PER_PAGE)
        waiting = waiting_for(script, chain, mempool, coins)
    if history is not None:
        totals = history.totals
        balance, rows = totals.received - totals.spent, totals.transactions
    else:
        balance, rows = sum([coin.value for coin in coins.values()]), len(coins)
    pages = max(1, -(-rows // ROWS_PER_PAGE))
    if not 1 <= page <= pages:
        raise NotFoundError(f"the last page is {pages}")
    return {
        "address": address_from_script(script, chain.params),
        "kind": template.kind.value,
        "meaning": KIND_WORDS[template.kind],
        "script_hex": script.hex(),
        "now": chain.now(),
        "height": tip.height,
        "is_indexed": history is not None,
        "balance_sats": balance,
        "waiting_sats": sum([each.received_sats - each.spent_sats for each in waiting]),
        "received_sats": None if history is None else history.totals.received,
        "spent_sats": None if history is None else history.totals.spent,
        "transactions": None if history is None else history.totals.transactions,
        "coin_count": None if history is not None else len(coins),
        "waiting_count": len(waiting),
        "waiting": [each._asdict() for each in waiting[:MOST_WAITING]],
        "page": page,
        "pages": pages,
        "history": []
        if history is None
        else [
            {
                "txid": row.txid[::-1].hex(),
                "height": row.height,
                "time": tip.ancestor(row.height).header.time,
                "received_sats": row.received,
                "spent_sats": row.spent,
            }
            for row in history.rows
        ],
        "coins": _coin_rows(coins, page, tip.height),
    }


def waiting_for(
    script: bytes, chain: ChainState, mempool: Mempool, coins: Mapping[OutPoint, Coin]
) -> list[Waiting]:
    """What the mempool will do to a script, the latest first.

    `coins` are the chain's of that script; with the index they need not be given, and what the
    mempool spends is looked up.
    """
    entries = mempool.entries()
    if chain.addresses is not None:
        points = [txin.prevout for entry in entries for txin in entry.tx.vin]
        coins = chain.get_coins(points)
    found = []
    for entry in reversed(entries):
        received = sum([out.value for out in entry.tx.vout if out.script_pubkey == script])
        spent = _spent(entry, script, mempool, coins)
        if received or spent:
            found.append(Waiting(entry.tx.txid_hex, entry.time, received, spent))
    return found


def _spent(
    entry: MempoolEntry, script: bytes, mempool: Mempool, coins: Mapping[OutPoint, Coin]
) -> int:
    total = 0
    for txin in entry.tx.vin:
        coin = coins.get(txin.prevout) or mempool.get_output(txin.prevout)
        if coin is not None and coin.script_pubkey == script:
            total += coin.value
    return total


def _coin_rows(coins: Mapping[OutPoint, Coin], page: int, height: int) -> list[View]:
    latest = sorted(coins.items(), key=lambda item: (-item[1].height, item[0]))
    return [
        {
            "txid": point[:32][::-1].hex(),
            "n": int.from_bytes(point[32:], "little"),
            "value_sats": coin.value,
            "height": coin.height,
            "confirmations": height - coin.height + 1,
            "is_coinbase": coin.is_coinbase,
        }
        for point, coin in latest[(page - 1) * ROWS_PER_PAGE : page * ROWS_PER_PAGE]
    ]
