"""The commands `wallet list-addresses` and `wallet history`."""

import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any, NamedTuple

from misocoin.cli.command import Command
from misocoin.cli.wallet_common import NETWORK, PLACE
from misocoin.cli.wallet_light import Nodes, OpenWallet, open_wallet
from misocoin.cli.wallet_sync import time_text
from misocoin.errors import WalletError
from misocoin.options import Kind, Option, flag_from_text, integer_between
from misocoin.script.address import address_from_script
from misocoin.units import text_from_sats
from misocoin.wallet.ledger import TxState
from misocoin.wallet.light.pool import NodePool
from misocoin.wallet.light.unproven import unproven_by_script
from misocoin.wallet.light.wallet import HistoryItem, ScriptBalance

Values = Mapping[str, Any]
Words = tuple[str, ...]

COUNT = Option(
    "count", "History", "At most so many, the latest.", integer_between(1, 1_000_000), 100,
    placeholder="n",
)  # fmt: skip


MEMPOOL = Option(
    "mempool",
    "Balances",
    "Ask nodes also for what waits in their mempools, which nothing proves.",
    flag_from_text,
    False,
    Kind.FLAG,
)


# -- balances ---------------------------------------------------------------------------------


class _Row(NamedTuple):
    name: str
    confirmed: int
    pending: int
    unproven: int
    address: str


def _list_addresses(values: Values, _words: Words) -> int:
    with open_wallet(values) as wallet:
        unproven = _unproven(values, wallet) if values["mempool"] else {}
        rows = _rows(wallet, unproven, int(time.time()))
        names = max([len("Key Name"), *[len(row.name) for row in rows]])
        claimed = f"  {'Unproven':>18}" if values["mempool"] else ""
        print(f"{'Key Name':{names}}  {'Balance':>18}  {'Pending':>18}{claimed}  Address")
        for row in rows:
            amounts = [f"{text_from_sats(row.confirmed):>18}", _amount_or_dash(row.pending)]
            amounts += [_amount_or_dash(row.unproven)] if claimed else []
            print(f"{row.name:{names}}  {'  '.join(amounts)}  {row.address}")
        print(f"\n{_as_of(wallet)}")
        if claimed:
            print("Unproven is what nodes say to have in their mempools: count on none of it")
    return 0


def _amount_or_dash(sats: int) -> str:
    return f"{text_from_sats(sats) if sats else '-':>18}"


def _unproven(values: Values, wallet: OpenWallet) -> dict[bytes, int]:
    store = wallet.store
    known = {tx.txid for tx in store.transactions()} | {own.txid for own in store.payments()}
    with closing(Nodes(values, store, wallet.params)) as nodes:
        pool = NodePool(nodes.current(), lambda _name, _why: None)
        return unproven_by_script(pool, wallet.folder.watched, known)


def _rows(wallet: OpenWallet, unproven: Mapping[bytes, int], now: int) -> list[_Row]:
    balances = wallet.light.balances(now)
    rows = []
    for keys in wallet.folder.all:
        own = keys.keychain.scripts
        shown = {script: (0, 0, 0) for script in keys.keychain.addresses()}
        for script in [each for each in balances.keys() | unproven.keys() if each in own]:
            held = balances.get(script, ScriptBalance(0, 0))
            main = own[script].counts_for
            confirmed, pending, claimed = shown.get(main, (0, 0, 0))
            shown[main] = (
                confirmed + held.confirmed,
                pending + held.pending,
                claimed + unproven.get(script, 0),
            )
        rows += [
            _Row(keys.name, *amounts, wallet.folder.address(script))
            for script, amounts in shown.items()
        ]
    return rows


def _as_of(wallet: OpenWallet) -> str:
    """Up to where what is shown is proven. Raises WalletError where a stored proof is damaged."""
    light = wallet.light
    if light.unproven():
        raise WalletError("a stored proof does not hold against the chain: the file is damaged")
    if light.height == 0:
        return "Nothing is known of the chain yet: wallet sync"
    if not light.searched_by_name:
        return f"The chain is known up to block {light.height}: wallet sync"
    behind = [
        f"{name} only to {height}"
        for name, height in light.searched_by_name.items()
        if height < light.height
    ]
    if behind:
        return f"At block {light.height}, but searched for {', '.join(behind)}: wallet sync"
    return f"Proven as of block {light.height}"


# -- history ----------------------------------------------------------------------------------


def _history(values: Values, _words: Words) -> int:
    with open_wallet(values) as wallet:
        items = wallet.light.history(int(time.time()))
        if not items:
            print(f"No payments yet. {_as_of(wallet)}")
            return 0
        for item in items[-values["count"] :]:
            print(_history_line(wallet, item))
        print(f"\n{_as_of(wallet)}")
    return 0


def _history_line(wallet: OpenWallet, item: HistoryItem) -> str:
    tx = item.entry.tx
    amount = item.received - item.spent
    watched = wallet.folder.watched
    others = [output.script_pubkey for output in tx.vout if output.script_pubkey not in watched]
    if item.spent:
        addresses = [address_from_script(script, wallet.params) or "data" for script in others]
        what = f"to {', '.join(addresses)}" if addresses else "within the wallet"
    else:
        own = {watched[o.script_pubkey].name for o in tx.vout if o.script_pubkey in watched}
        what = f"{'mined' if tx.is_coinbase else 'received'} by {', '.join(sorted(own))}"
    parts = [
        time_text(item.entry.time),
        f"{text_from_sats(amount):>18}",
        f"{_state_text(item):>12}",
        tx.txid_hex,
        what,
    ]
    if item.payment is not None and item.payment.entry.note:
        parts.append(f"({item.payment.entry.note})")
    return "  ".join(parts)


def _state_text(item: HistoryItem) -> str:
    if item.confirmations:
        return f"{item.confirmations} conf."
    if item.payment is not None:
        return item.payment.state.value
    return "undone" if item.entry.state is TxState.DROPPED else "waiting"


COMMANDS = (
    Command(
        "list-addresses",
        "List keys and addresses with what they hold, and what is on its way.",
        _list_addresses,
        (*PLACE, *NETWORK, MEMPOOL),
    ),
    Command("history", "List payments, with their confirmations.", _history, (*PLACE, COUNT)),
)
