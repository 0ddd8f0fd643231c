"""Where the wallet's commands pay: at what rate, into the journal, and to every node."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

from misocoin.cli.wallet_common import LIGHT_FILE, params_of, wallet_path
from misocoin.cli.wallet_light import Nodes
from misocoin.errors import InsufficientFunds, WalletError
from misocoin.options import Option, integer_between
from misocoin.policy.feerate import FeeRate
from misocoin.primitives.transaction import Transaction, TxOut
from misocoin.units import sats_from_text
from misocoin.wallet.keyfolder import KeyFolder
from misocoin.wallet.light.fees import choose_fee_rate
from misocoin.wallet.light.payments import EXPIRY_SECONDS
from misocoin.wallet.light.pool import NodePool
from misocoin.wallet.light.sender import Sender
from misocoin.wallet.light.store import LightStore
from misocoin.wallet.light.sync import send_to_all
from misocoin.wallet.light.wallet import LightWallet
from misocoin.wallet.spending import Plan

Values = Mapping[str, Any]

MAX_NOTE = 1000
"""Characters of a note."""

FEERATE = Option(
    "feerate",
    "Payment",
    "Fee in coins per 1,000 virtual bytes.",
    sats_from_text,
    placeholder="amount",
    default_text="what nodes estimate",
)
TARGET = Option(
    "target",
    "Payment",
    "Ask nodes for the rate with which it is mined within so many blocks.",
    integer_between(1, 1008),
    6,
    placeholder="blocks",
)
EXPIRY = Option(
    "expiry",
    "Payment",
    "Hours after which it is not sent again any more, and its coins are free.",
    integer_between(1, 24 * 365),
    EXPIRY_SECONDS // 3600,
    placeholder="hours",
)
NOTE = Option("note", "Payment", "A note for your own records.", str, "", placeholder="text")


def note_from(values: Values) -> str:
    """The note that was asked for. Raises WalletError."""
    note: str = values["note"]
    if len(note) > MAX_NOTE or not note.isprintable():
        raise WalletError(f"a note is one line of at most {MAX_NOTE} characters")
    return note


class Desk:
    """What it takes to pay from a folder of keys, at `now` (unix time)."""

    def __init__(self, values: Values, folder: KeyFolder, store: LightStore, nodes: Nodes) -> None:
        self._values = values
        self.folder = folder
        self.store = store
        self.wallet = LightWallet(folder.params, store, folder)
        self.now = int(time.time())
        self._pool = NodePool(nodes.current(), lambda _name, _why: None)

    def rate(self) -> FeeRate:
        """The rate that was asked for, or what nodes estimate."""
        return choose_fee_rate(self._values["feerate"], self._values["target"], self._pool)

    def plan(self, sender: Sender, outputs: Sequence[TxOut], sink: bytes | None = None) -> Plan:
        """As `Sender.plan`. Raises InsufficientFunds or WalletError."""
        maturity = self.folder.params.coinbase_maturity
        try:
            return sender.plan(self.wallet, outputs, sink, self.rate(), maturity, self.now)
        except InsufficientFunds as error:
            if self.wallet.searched:
                raise
            raise InsufficientFunds(
                f"{error}; nothing is known of the chain yet: wallet sync"
            ) from None

    def write_down(self, tx: Transaction, note: str, instead_of: bytes | None = None) -> None:
        """Have a signed payment in the journal, whatever comes. Raises WalletError."""
        self.wallet.journalise(tx, self.now, note, self._values["expiry"] * 3600, instead_of)
        self.folder.note_used([output.script_pubkey for output in tx.vout])

    def hand_out(self, txid: bytes) -> None:
        """Give a written payment to every node; what does not work now, sync does."""
        judged = next(each for each in self.wallet.payments(self.now) if each.tx.txid == txid)
        sent = send_to_all(self._pool, judged)
        for name in sent.taken:
            print(f"{name} has it.")
        for name, why in sent.refused:
            print(f"{name} does not take it: {why}")
        for peer in self._pool.peers:
            if peer.trouble:
                print(f"{peer.name} cannot be asked: {peer.trouble}")
        if not sent.taken:
            print("No node has it yet: every sync sends it again until it is mined.")


@contextmanager
def open_desk(values: Values, folder: KeyFolder) -> Iterator[Desk]:
    """Pay from `folder`, as the options say. Raises StoreError or ConfigError."""
    params = params_of(values)
    with (
        closing(LightStore(wallet_path(values) / LIGHT_FILE, params)) as store,
        closing(Nodes(values, store, params)) as nodes,
    ):
        yield Desk(values, folder, store, nodes)
