"""The node's own wallet: keys in one file, coins followed along the chain.

It hears of blocks and transactions as events, under the chain's lock, which is the wallet's lock
as well. What it knows of the chain is committed before the event returns; after a crash `load`
reads the blocks it missed.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, Protocol

from misocoin.chain.events import (
    BlockConnected,
    BlockDisconnected,
    Event,
    TransactionAdded,
    TransactionRemoved,
)
from misocoin.consensus.tree import HeaderNode, HeaderTree, fork_point
from misocoin.crypto.hashes import hash160
from misocoin.crypto.keys import PrivateKey
from misocoin.errors import InsufficientFunds
from misocoin.params import Params
from misocoin.policy.feerate import FeeRate
from misocoin.primitives.block import Block
from misocoin.primitives.transaction import Transaction, TxOut, transaction_from_bytes
from misocoin.script.address import address_from_script, script_from_address
from misocoin.script.signing import KeyRing
from misocoin.script.templates import p2pkh_script, p2sh_script, p2wpkh_script
from misocoin.units import text_from_sats
from misocoin.wallet.keyfile import read_keys, write_keys
from misocoin.wallet.ledger import (
    Balance,
    Ledger,
    OwnCoin,
    TxState,
    WalletTx,
    calculate_balance,
    is_mature,
)
from misocoin.wallet.spending import Payment, build_payment, check_payable
from misocoin.wallet.store import UNCONFIRMED, StoredWalletTx, WalletStore

log = logging.getLogger(__name__)

SAVE_INTERVAL = 100
"""Blocks without a transaction of ours after which the place in the chain is noted."""


class ChainPort(Protocol):
    """What the wallet needs of the chain."""

    params: Params
    tree: HeaderTree

    @property
    def lock(self) -> AbstractContextManager[object]:
        """Covers chain and wallet."""

    @property
    def tip(self) -> HeaderNode:
        """The active chain's last block."""

    def get_block(self, node: HeaderNode) -> Block:
        """A stored block."""

    def now(self) -> int:
        """Unix time."""


class HistoryEntry(NamedTuple):
    """A transaction as the wallet's owner sees it."""

    entry: WalletTx
    received: int
    """Base units paid to the wallet, change included."""
    spent: int
    """Base units of the wallet's coins spent."""
    confirmations: int
    """0 while in no block."""


class Wallet:
    """The wallet whose keys lie in `key_path` (None: in memory alone) and whose history in `store`.

    Without any key one is generated and written before it is used.
    """

    def __init__(self, chain: ChainPort, store: WalletStore, key_path: Path | None) -> None:
        self._chain = chain
        self._store = store
        self._key_path = key_path
        self._keys: list[PrivateKey] = []
        self._ring = KeyRing.build(())
        self._scripts: dict[bytes, PrivateKey] = {}
        self._ledger = Ledger(self._scripts.__contains__)
        self._unsaved_blocks = 0

    # -- keys ---------------------------------------------------------------------------------

    def load(
        self,
        imported: PrivateKey | None = None,
        progress: Callable[[int, int], None] = lambda _height, _of: None,
    ) -> None:
        """Read keys and history, then catch up with the chain.

        `imported` becomes the first key, to which is mined and change goes; the chain is then
        searched for it from genesis on. Raises KeyFormatError, WalletError or StoreError.
        """
        with self._chain.lock:
            keys = [] if self._key_path is None else read_keys(self._key_path)
            known = [key.secret for key in keys]
            rescan = False
            if imported is not None and (not keys or keys[0].secret != imported.secret):
                rescan = imported.secret not in known
                keys = [imported, *[key for key in keys if key.secret != imported.secret]]
                self._write_keys(keys)
            elif not keys:
                keys = [PrivateKey.generate()]
                self._write_keys(keys)
            self._hold(keys)
            for row in self._store.load():
                state = TxState.DROPPED if row.height == UNCONFIRMED else TxState.CONFIRMED
                tx = transaction_from_bytes(row.data)
                self._ledger.put(WalletTx(tx, state, row.height, row.block_hash, row.time))
            self._catch_up(rescan, progress)

    def _write_keys(self, keys: Sequence[PrivateKey]) -> None:
        if self._key_path is not None:
            write_keys(self._key_path, keys)

    def _hold(self, keys: Sequence[PrivateKey]) -> None:
        self._keys = list(keys)
        self._ring = KeyRing.build(keys)
        for key in keys:
            key_hash = hash160(key.public_key)
            segwit = p2wpkh_script(key_hash)
            for script in (segwit, p2pkh_script(key_hash), p2sh_script(hash160(segwit))):
                self._scripts[script] = key

    @property
    def script(self) -> bytes:
        """The output script of the first key: mined coins and change go there."""
        return p2wpkh_script(hash160(self._keys[0].public_key))

    @property
    def address(self) -> str:
        """The address of the first key."""
        return self._address(self._keys[0])

    def addresses(self) -> list[str]:
        """One address for each key, in the order in which they were made."""
        with self._chain.lock:
            return [self._address(key) for key in self._keys]

    def balances_by_address(self) -> dict[str, int]:
        """Base units confirmed for each address, in the order in which they were made.

        What lies on another form of the same key's address counts to it.
        """
        with self._chain.lock:
            held = dict.fromkeys(self.addresses(), 0)
            for coin in self._ledger.coins():
                if coin.height != UNCONFIRMED:
                    held[self._address(self._scripts[coin.script_pubkey])] += coin.value
            return held

    def _address(self, key: PrivateKey) -> str:
        script = p2wpkh_script(hash160(key.public_key))
        return address_from_script(script, self._chain.params) or ""

    def new_address(self) -> str:
        """Generate a key, write it to the file, and return its address."""
        with self._chain.lock:
            key = PrivateKey.generate()
            keys = [*self._keys, key]
            self._write_keys(keys)
            self._hold(keys)
            return self._address(key)

    def is_mine(self, script: bytes) -> bool:
        """Whether the wallet has the key for an output script."""
        return script in self._scripts

    @property
    def keys(self) -> KeyRing:
        """The keys, to sign with."""
        return self._ring

    # -- following the chain ------------------------------------------------------------------

    def _catch_up(self, rescan: bool, progress: Callable[[int, int], None]) -> None:
        chain = self._chain
        seen = None if rescan else self._store.get_meta("tip")
        last = chain.tree.genesis if seen is None else chain.tree.get(seen)
        tip = chain.tip
        start = chain.tree.genesis if last is None else fork_point(last, tip)
        for entry in list(self._ledger):
            if entry.state is TxState.CONFIRMED and entry.height > start.height:
                self._ledger.set_state(entry.tx.txid, TxState.DROPPED)
        for height in range(start.height + 1, tip.height + 1):
            node = tip.ancestor(height)
            self._connect(chain.get_block(node), node)
            progress(height, tip.height)
        self._save([self._stored(entry) for entry in self._ledger], tip)

    def handle(self, event: Event) -> None:
        """Take notice of what happened on the chain; called under the chain's lock."""
        match event:
            case BlockConnected(node, block):
                changed = self._connect(block, node)
                self._unsaved_blocks += 1
                if changed or self._unsaved_blocks >= SAVE_INTERVAL:
                    self._save(changed, node)
            case BlockDisconnected(node, block):
                moved = [
                    self._ledger.set_state(tx.txid, TxState.DROPPED) for tx in block.transactions
                ]
                if node.parent is not None:
                    entries = [self._stored(entry) for entry in moved if entry is not None]
                    self._save(entries, node.parent)
            case TransactionAdded(tx):
                if self._ledger.is_relevant(tx):
                    self._save([self._note_pooled(tx)], None)
            case TransactionRemoved(tx):
                self._ledger.set_state(tx.txid, TxState.DROPPED)

    def _connect(self, block: Block, node: HeaderNode) -> list[StoredWalletTx]:
        changed = []
        for tx in block.transactions:
            if self._ledger.is_relevant(tx):
                known = self._ledger.get(tx.txid)
                time = block.header.time if known is None else known.time
                entry = WalletTx(tx, TxState.CONFIRMED, node.height, node.hash, time)
                self._ledger.put(entry)
                changed.append(self._stored(entry))
        return changed

    def _note_pooled(self, tx: Transaction) -> StoredWalletTx:
        known = self._ledger.get(tx.txid)
        time = self._chain.now() if known is None else known.time
        entry = WalletTx(tx, TxState.POOLED, UNCONFIRMED, None, time)
        self._ledger.put(entry)
        return self._stored(entry)

    @staticmethod
    def _stored(entry: WalletTx) -> StoredWalletTx:
        return StoredWalletTx(
            entry.tx.txid, entry.tx.serialize(), entry.height, entry.block_hash, entry.time
        )

    def _save(self, entries: Sequence[StoredWalletTx], at: HeaderNode | None) -> None:
        meta = {} if at is None else {"tip": at.hash}
        self._store.save(entries, meta)
        if at is not None:
            self._unsaved_blocks = 0

    def close(self) -> None:
        """Note the place in the chain and close the history."""
        with self._chain.lock:
            self._save([], self._chain.tip)
            self._store.close()

    # -- money --------------------------------------------------------------------------------

    def balance(self) -> Balance:
        """What the wallet holds."""
        chain = self._chain
        with chain.lock:
            return calculate_balance(self._ledger, chain.tip.height, chain.params.coinbase_maturity)

    def coins(self) -> list[OwnCoin]:
        """The coins that can be spent now."""
        chain = self._chain
        with chain.lock:
            return [
                coin
                for coin in self._ledger.coins()
                if coin.is_trusted
                and is_mature(coin, chain.tip.height, chain.params.coinbase_maturity)
            ]

    def history(self) -> list[HistoryEntry]:
        """All transactions, in the order in which they were first seen."""
        with self._chain.lock:
            tip = self._chain.tip.height
            return [
                HistoryEntry(
                    entry,
                    *self._ledger.amounts(entry.tx),
                    0 if entry.height == UNCONFIRMED else tip + 1 - entry.height,
                )
                for entry in self._ledger
            ]

    def find(self, txid: bytes) -> WalletTx | None:
        """The wallet's transaction of that id."""
        with self._chain.lock:
            return self._ledger.get(txid)

    def send(
        self,
        address: str,
        amount: int,
        rate: FeeRate,
        submit: Callable[[Transaction], object],
    ) -> Payment:
        """Pay `amount` base units to `address` at `rate` and hand the payment to `submit`.

        Raises AddressError, InsufficientFunds, or what `submit` raises; then nothing was spent.
        """
        chain = self._chain
        script = script_from_address(address, chain.params)
        check_payable(amount, script)
        with chain.lock:
            try:
                payment = build_payment(
                    [TxOut(amount, script)],
                    self.coins(),
                    self._ring,
                    self.script,
                    rate,
                    chain.tip.height,
                )
            except InsufficientFunds as error:
                raise InsufficientFunds(self._explain(str(error))) from None
            submit(payment.tx)
            return payment

    def _explain(self, message: str) -> str:
        balance = self.balance()
        waiting = [
            f"{text_from_sats(amount)} {what}"
            for amount, what in (
                (balance.pending, "pending"),
                (balance.immature, "immature (mined less than 100 blocks ago)"),
            )
            if amount
        ]
        return f"{message}; {', '.join(waiting)}" if waiting else message
