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
    TipChanged,
    TransactionAdded,
    TransactionRemoved,
)
from misocoin.consensus.tree import HeaderNode, HeaderTree, fork_point
from misocoin.crypto.keys import PrivateKey
from misocoin.errors import (
    InsufficientFunds,
    ParseError,
    StoreError,
    ValidationError,
    WalletError,
)
from misocoin.params import Params
from misocoin.policy.feerate import FeeRate
from misocoin.primitives.block import Block
from misocoin.primitives.transaction import OutPoint, Transaction, TxOut, transaction_from_bytes
from misocoin.script.address import address_from_script, script_from_address
from misocoin.script.signing import KeyRing
from misocoin.units import text_from_sats
from misocoin.wallet.keychain import Keychain
from misocoin.wallet.ledger import (
    UNCONFIRMED,
    Balance,
    Effects,
    Ledger,
    OwnCoin,
    OwnOutput,
    TxState,
    WalletTx,
    is_mature,
)
from misocoin.wallet.spending import Payment, build_payment, check_payable
from misocoin.wallet.store import StoredSpend, StoredWalletTx, WalletRows, WalletStore

log = logging.getLogger(__name__)

SAVE_INTERVAL = 100
"""Blocks without a transaction of ours after which the place in the chain is noted."""

CATCH_UP_INTERVAL = 1_000
"""Blocks after which it is noted while the chain is searched; a search cut short goes on there."""

_TOO_LONG_CHAIN = "too-long-mempool-chain"


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
        self._keychain = Keychain(key_path)
        self._ledger = Ledger(self._keychain.scripts.__contains__)
        self._followed = chain.tree.genesis  # the last block that the ledger has heard of
        # The mempool lets go of mined transactions when the tip has moved, and of those of a branch
        # that failed half-way never: what it has decides what becomes of them.
        self._pooled: set[bytes] = set()
        self._unsaved: dict[bytes, None] = {}  # ids of transactions, in order of arrival
        self._unsaved_blocks = 0

    # -- keys ---------------------------------------------------------------------------------

    def load(
        self,
        imported: PrivateKey | None = None,
        progress: Callable[[int, int], None] = lambda _height, _of: None,
    ) -> None:
        """Read keys and history, then catch up with the chain.

        `imported` becomes the first key, to which is mined and change goes. Where the keys are not
        those whose history was kept, the chain is searched from genesis on; `progress(height, of)`
        tells how far. Raises KeyFormatError, WalletError or StoreError.
        """
        with self._chain.lock:
            self._keychain.load(imported)
            rows = self._store.load()
            genesis = self._chain.tree.genesis
            if rows.meta.get("genesis", genesis.hash) != genesis.hash:
                raise StoreError("the wallet's history belongs to another chain")
            same_keys = rows.meta.get("keys") == self._keychain.digest
            last = self._chain.tree.get(rows.meta.get("tip", b"")) if same_keys else None
            self._followed = genesis if last is None else fork_point(last, self._chain.tip)
            effects = self._stored_effects(rows) if same_keys else self._parsed_effects(rows)
            self._restore(rows, effects)
            self._catch_up(progress)

    @property
    def script(self) -> bytes:
        """The output script of the first key: mined coins and change go there."""
        return self._keychain.script(0)

    @property
    def address(self) -> str:
        """The address of the first key."""
        return self._address(self.script)

    def addresses(self) -> list[str]:
        """One address for each key, in the order in which they were made."""
        with self._chain.lock:
            keys = self._keychain
            return [self._address(keys.script(index)) for index in range(len(keys))]

    def _address(self, script: bytes) -> str:
        return address_from_script(script, self._chain.params) or ""

    def new_address(self) -> str:
        """Generate a key, write it to the file, and return its address.

        Raises WalletError where the file cannot be written; then there is no new key.
        """
        with self._chain.lock:
            script = self._keychain.add_new()
            self._try_to_save()
            return self._address(script)

    def is_mine(self, script: bytes) -> bool:
        """Whether the wallet has the key for an output script."""
        return script in self._keychain.scripts

    @property
    def keys(self) -> KeyRing:
        """The keys, to sign with."""
        return self._keychain.ring

    # -- following the chain ------------------------------------------------------------------

    def _stored_effects(self, rows: WalletRows) -> dict[bytes, Effects]:
        outputs: dict[bytes, list[OwnOutput]] = {}
        spends: dict[bytes, list[OutPoint]] = {}
        scripts = self._keychain.scripts
        for output in rows.outputs:
            if output.script_pubkey in scripts:  # others are of keys that were here before
                outputs.setdefault(output.point[:32], []).append(output)
        for txid, point in rows.spends:
            spends.setdefault(txid, []).append(point)
        return {
            row.txid: Effects(tuple(outputs.get(row.txid, ())), tuple(spends.get(row.txid, ())))
            for row in rows.transactions
        }

    def _parsed_effects(self, rows: WalletRows) -> dict[bytes, Effects]:
        effects = {}
        for row in rows.transactions:
            try:
                tx = transaction_from_bytes(row.data)
            except ParseError as error:
                raise StoreError(
                    "the wallet's history is damaged; without its file the chain is read again"
                ) from error
            effects[row.txid] = self._ledger.effects_of(tx)
        return effects

    def _restore(self, rows: WalletRows, effects: dict[bytes, Effects]) -> None:
        """Fill the ledger; what stands above the block that is gone on from is in no block."""
        own = {output.point for each in effects.values() for output in each.outputs}
        for row in rows.transactions:
            what = effects[row.txid]
            if not what.outputs and own.isdisjoint(what.spends):
                continue  # of a key that is no longer here
            confirmed = UNCONFIRMED < row.height <= self._followed.height
            state = TxState.CONFIRMED if confirmed else TxState.DROPPED
            place = (row.height, row.block_hash) if confirmed else (UNCONFIRMED, None)
            self._ledger.put(WalletTx(row.txid, row.data, state, *place, row.time), what)
            if row.height != place[0]:
                self._unsaved[row.txid] = None

    def _catch_up(self, progress: Callable[[int, int], None]) -> None:
        tip = self._chain.tip
        for height in range(self._followed.height + 1, tip.height + 1):
            node = tip.ancestor(height)
            self._connect(self._chain.get_block(node), node)
            if self._unsaved_blocks >= CATCH_UP_INTERVAL:
                self._save()
            progress(height, tip.height)
        self._save()

    def handle(self, event: Event) -> None:
        """Take notice of what happened on the chain; called under the chain's lock."""
        match event:
            case BlockConnected(node, block):
                self._connect(block, node)
                if self._unsaved or self._unsaved_blocks >= SAVE_INTERVAL:
                    self._try_to_save()
            case BlockDisconnected(node, block):
                self._disconnect(block, node)
                self._try_to_save()
            case TransactionAdded(tx):
                if self._ledger.is_relevant(tx):
                    self._ledger.note(tx, TxState.POOLED, self._chain.now())
                    self._pooled.add(tx.txid)
                    self._unsaved[tx.txid] = None
                    self._try_to_save()
            case TransactionRemoved(tx):
                self._pooled.discard(tx.txid)
                if self._is_pooled(tx.txid):
                    self._ledger.set_state(tx.txid, TxState.DROPPED)
            case TipChanged():
                self._pooled = set(filter(self._is_pooled, self._pooled))

    def _connect(self, block: Block, node: HeaderNode) -> None:
        for tx in block.transactions:
            if self._ledger.is_relevant(tx):
                state, time = TxState.CONFIRMED, block.header.time
                self._ledger.note(tx, state, time, node.height, node.hash)
                self._unsaved[tx.txid] = None
        self._followed = node
        self._unsaved_blocks += 1

    def _disconnect(self, block: Block, node: HeaderNode) -> None:
        for tx in block.transactions:
            state = TxState.POOLED if tx.txid in self._pooled else TxState.DROPPED
            if self._ledger.set_state(tx.txid, state):
                self._unsaved[tx.txid] = None
        if node.parent is not None:
            self._followed = node.parent

    def _is_pooled(self, txid: bytes) -> bool:
        entry = self._ledger.get(txid)
        return entry is not None and entry.state is TxState.POOLED

    def _try_to_save(self) -> None:
        """Save; what cannot be written now is kept to be written with the next change."""
        try:
            self._save()
        except StoreError as error:
            log.warning("%s; it will be written with the next change", error)

    def _save(self) -> None:
        """Write what has changed, together with the block and the keys that it stands for."""
        ledger = self._ledger
        entries = [entry for entry in map(ledger.get, self._unsaved) if entry is not None]
        effects = [(entry.txid, ledger.effects(entry.txid)) for entry in entries]
        self._store.save(
            WalletRows(
                [StoredWalletTx(e.txid, e.data, e.height, e.block_hash, e.time) for e in entries],
                [output for _, each in effects for output in each.outputs],
                [StoredSpend(txid, point) for txid, each in effects for point in each.spends],
                {
                    "genesis": self._chain.tree.genesis.hash,
                    "tip": self._followed.hash,
                    "keys": self._keychain.digest,
                },
            )
        )
        self._unsaved.clear()
        self._unsaved_blocks = 0

    def close(self) -> None:
        """Note the place in the chain and close the history."""
        with self._chain.lock:
            try:
                self._save()
            finally:
                self._store.close()

    # -- money --------------------------------------------------------------------------------

    def balance(self) -> Balance:
        """What the wallet holds."""
        chain = self._chain
        with chain.lock:
            return self._ledger.balance(chain.tip.height, chain.params.coinbase_maturity)

    def balances_by_address(self) -> dict[str, int]:
        """Base units by address, in the order of `addresses`: available and immature ones together.

        All forms of a key's outputs count for its one address.
        """
        with self._chain.lock:
            held = [0] * len(self._keychain)
            scripts = self._keychain.scripts
            for coin in self._ledger.coins():
                if coin.is_trusted:
                    held[scripts[coin.script_pubkey].key_index] += coin.value
            return dict(zip(self.addresses(), held, strict=True))

    def coins(self) -> list[OwnCoin]:
        """The coins that can be spent now."""
        chain = self._chain
        with chain.lock:
            tip, maturity = chain.tip.height, chain.params.coinbase_maturity
            return [
                coin
                for coin in self._ledger.coins()
                if coin.is_trusted and is_mature(coin, tip, maturity)
            ]

    def history(self, count: int | None = None, skip: int = 0) -> list[HistoryEntry]:
        """The transactions, in the order in which they were first seen.

        With `count` at most so many of the latest, after passing over the `skip` very latest.
        """
        with self._chain.lock:
            ledger, tip = self._ledger, self._chain.tip.height
            latest = ledger.latest(len(ledger) if count is None else count, skip)
            return [
                HistoryEntry(
                    entry,
                    *ledger.amounts(entry.txid),
                    0 if entry.height == UNCONFIRMED else tip + 1 - entry.height,
                )
                for entry in reversed(latest)
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

        Confirmed coins are spent first, then change that waits for its block. Raises AddressError,
        AmountError, InsufficientFunds, another WalletError, or what `submit` raises; then nothing
        was spent.
        """
        chain = self._chain
        script = script_from_address(address, chain.params)
        check_payable(amount, script, chain.params)
        with chain.lock:
            try:
                return self._pay([TxOut(amount, script)], rate, submit)
            except InsufficientFunds as error:
                raise InsufficientFunds(self._explain(str(error))) from None

    def _pay(
        self, outputs: Sequence[TxOut], rate: FeeRate, submit: Callable[[Transaction], object]
    ) -> Payment:
        coins = self.coins()
        refusal: ValidationError | None = None
        while True:
            try:
                payment = self._build(outputs, coins, rate)
            except WalletError as error:
                if refusal is None:
                    raise
                raise WalletError(
                    f"the change that this would spend waits behind too many payments of ours "
                    f"({refusal}); try again after the next block"
                ) from error
            try:
                submit(payment.tx)
            except ValidationError as error:
                spent = {txin.prevout for txin in payment.tx.vin}
                left = [c for c in coins if c.height != UNCONFIRMED or c.point not in spent]
                if error.reason != _TOO_LONG_CHAIN or len(left) == len(coins):
                    raise
                coins, refusal = left, error
            else:
                return payment

    def _build(self, outputs: Sequence[TxOut], coins: Sequence[OwnCoin], rate: FeeRate) -> Payment:
        confirmed = [coin for coin in coins if coin.height != UNCONFIRMED]
        try:
            return self._build_from(confirmed, outputs, rate)
        except WalletError:
            if len(confirmed) == len(coins):
                raise
        return self._build_from(coins, outputs, rate)

    def _build_from(
        self, coins: Sequence[OwnCoin], outputs: Sequence[TxOut], rate: FeeRate
    ) -> Payment:
        scripts = self._keychain.scripts
        return build_payment(
            outputs,
            coins,
            self._keychain.ring,
            lambda script: scripts[script].input_weight,
            self.script,
            rate,
            self._chain.tip.height,
        )

    def _explain(self, message: str) -> str:
        balance = self.balance()
        maturity = self._chain.params.coinbase_maturity
        waiting = [
            f"{text_from_sats(amount)} {what}"
            for amount, what in (
                (balance.pending, "pending"),
                (balance.immature, f"immature (mined less than {maturity} blocks ago)"),
            )
            if amount
        ]
        return f"{message}; {', '.join(waiting)}" if waiting else message
