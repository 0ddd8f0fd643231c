"""The commands `wallet sync` and `wallet nodes`."""

import time
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from misocoin.cli.command import Command
from misocoin.cli.progress import Progress
from misocoin.cli.wallet_common import NETWORK, PLACE, node_from_text, wallet_path
from misocoin.cli.wallet_light import Nodes, OpenWallet, only_sync, open_wallet
from misocoin.errors import NotFoundError
from misocoin.options import Kind, Option, flag_from_text
from misocoin.primitives.transaction import transaction_from_bytes
from misocoin.units import text_from_sats
from misocoin.wallet.light.payments import Judged, PaymentState
from misocoin.wallet.light.store import ProvenTx
from misocoin.wallet.light.sync import Sent, SyncReport, sync

Values = Mapping[str, Any]
Words = tuple[str, ...]

POLL_SECONDS = 2.0
"""Between two rounds of a sync that goes on."""

MOST_TOLD = 20
"""Payments of one round that are told one by one."""

ONCE = Option(
    "once", "Sync", "Stop when caught up.", flag_from_text, False, Kind.FLAG, default_text="0"
)


def _sync(values: Values, _words: Words) -> int:
    with (
        open_wallet(values) as wallet,
        only_sync(wallet_path(values)),
        closing(Nodes(values, wallet.store, wallet.params)) as nodes,
    ):
        teller = _Teller(wallet)
        while True:
            wallet.folder.reload()
            report = _round(wallet, nodes)
            teller.tell(report, is_last=values["once"])
            nodes.rest(report.lied, report.failed, report.answered)
            if values["once"]:
                return 0 if report.is_complete else 1
            time.sleep(POLL_SECONDS)  # nodes have to be asked: they tell it nothing themselves


def _round(wallet: OpenWallet, nodes: Nodes) -> SyncReport:
    with closing(Progress("searching", "blocks")) as shown:
        return sync(
            wallet.params,
            wallet.store,
            wallet.folder,
            nodes.current(),
            int(time.time()),
            lambda height, of: shown.update(height, height, of),
        )


class _Teller:
    """Prints what is new in each round."""

    def __init__(self, wallet: OpenWallet) -> None:
        self._wallet = wallet
        self._told: set[str] = set()  # what stays true for many rounds is said once
        self._standing = ""

    def tell(self, report: SyncReport, *, is_last: bool) -> None:
        if report.reorg is not None:
            print(f"The chain was replaced above block {report.reorg} by one with more work")
        self._tell_found(report)
        for payment in report.changed:
            print(_changed_line(payment))
        for sent in report.sent:
            self._once(_sent_line(sent))
        for problem in report.problems:
            self._once(f"Warning: {problem}")
        for record in report.nodes:
            if not record.lie and record.state != "agrees":
                self._once(f"Warning: {record.address} {record.state}")
        standing = self._standing_line(report)
        if standing != self._standing or is_last:
            self._standing = standing
            print(standing, flush=True)

    def _once(self, line: str) -> None:
        if line not in self._told:
            self._told.add(line)
            print(line)

    def _tell_found(self, report: SyncReport) -> None:
        own = {payment.entry.txid for payment in report.changed}
        found = [each for each in report.found if each.txid not in own]
        if len(found) > MOST_TOLD:
            heights = [each.height for each in found]
            print(f"{len(found)} payments in blocks {heights[0]} to {heights[-1]}: wallet history")
            return
        for each in found:
            print(self._found_line(each))

    def _found_line(self, found: ProvenTx) -> str:
        tx = transaction_from_bytes(found.data)
        watched = self._wallet.folder.watched
        paid: dict[str, int] = {}
        for value, script in tx.vout:
            if script in watched:
                name = watched[script].name
                paid[name] = paid.get(name, 0) + value
        texts = [f"{text_from_sats(value)} to {name}" for name, value in paid.items()]
        what = ", ".join(texts) or "a payment of yours"
        return f"Block {found.height}: {what} in transaction {tx.txid_hex}"

    def _standing_line(self, report: SyncReport) -> str:
        if not report.answered:
            return f"No node could be asked; what is known is as of block {report.searched}"
        text = f"At block {report.height}, asked {report.answered} node"
        text += "s" if report.answered > 1 else ""
        if not report.is_complete:
            return f"{text}; NOT complete: balances are as of block {report.searched}"
        if report.compared < 2:
            return f"{text}; nobody else was there to compare its filters with"
        return f"{text}; {report.compared} agree about the filters"


def _changed_line(payment: Judged) -> str:
    txid = payment.tx.txid_hex
    match payment.state:
        case PaymentState.MINED:
            return f"Payment {txid} was mined"
        case PaymentState.CONFLICTED:
            return f"Payment {txid} will not be mined: {payment.detail}"
        case PaymentState.REPLACED:
            return f"Payment {txid} was replaced {payment.detail}"
        case PaymentState.EXPIRED:
            return f"Payment {txid} has expired: it is not sent any more, its coins are free"
        case PaymentState.WAITING:
            return f"Payment {txid} waits for a block again"


def _sent_line(sent: Sent) -> str:
    txid = sent.payment.tx.txid_hex
    if sent.taken:
        return f"Payment {txid} is with {', '.join(sent.taken)}"
    if sent.refused:
        name, why = sent.refused[0]
        return f"Payment {txid} is refused by {name}: {why}; it is sent again at every sync"
    return f"Payment {txid} waits for a node"


FORGET = Option(
    "forget",
    "Network",
    "Ask these no more unless -nodes names them, and keep nothing of what they were like.",
    node_from_text,
    (),
    Kind.LIST,
    "host:port,...",
)


def _nodes(values: Values, _words: Words) -> int:
    with open_wallet(values) as wallet:
        for address in values["forget"]:
            if not wallet.store.forget_node(address):
                raise NotFoundError(f"no node {address} is remembered")
            print(f"{address} is forgotten")
        records = wallet.store.nodes()
        if not records:
            print("No node was asked yet: wallet sync")
            return 0
        width = max(len(record.address) for record in records)
        print(f"{'Node':{width}}  {'Height':>8}  {'Last asked':16}  What it is like")
        for record in records:
            height = str(record.height) if record.height >= 0 else "-"
            asked = time_text(record.time)
            print(f"{record.address:{width}}  {height:>8}  {asked}  {record.state}")
            if record.lie and not record.state.startswith("lied"):
                print(f"{'':{width}}  {'':8}  {time_text(record.lied)}  lied: {record.lie}")
    return 0


def time_text(time: int) -> str:
    """A time for people, in UTC."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M")


COMMANDS = (
    Command(
        "sync",
        "Follow the chain, find payments, and send again those that wait; until Ctrl-C.",
        _sync,
        (*PLACE, *NETWORK, ONCE),
    ),
    Command(
        "nodes",
        "Tell which nodes are remembered, and which lag or lied.",
        _nodes,
        (*PLACE, FORGET),
    ),
)
