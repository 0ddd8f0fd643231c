"""A chain, a mempool and a wallet in memory, wired as the node wires them."""

import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from misocoin.chain.events import Event, EventBus
from misocoin.chain.mempool import Mempool
from misocoin.chain.mempool_rules import MempoolRules
from misocoin.chain.pool import TransactionPool
from misocoin.consensus.tree import HeaderNode
from misocoin.crypto.keys import PrivateKey
from misocoin.params import Params, regtest
from misocoin.policy.feerate import FeeRate
from misocoin.policy.settings import MempoolLimits, RelayPolicy
from misocoin.primitives.block import Block
from misocoin.primitives.transaction import Transaction
from misocoin.script.address import script_from_address
from misocoin.store.store import Store
from misocoin.wallet.store import WalletStore
from misocoin.wallet.wallet import Wallet
from tests.builders import SPACING, make_block, open_chain

COIN = 100_000_000
SUBSIDY = 50 * COIN
MATURITY = 5
RATE = FeeRate(2_000)

OTHER_KEY = PrivateKey(bytes(31) + b"\x09")
OTHER = "bcrt1qk34t7nv7zarwxw7v88828h58ds5uft0npe3eee"
"""Somebody else's key and its address."""

NOBODY = b"\x00\x14" + bytes(20)
"""The script of a key that nobody knows."""


def rig_params(maturity: int = MATURITY) -> Params:
    """regtest, but that coinbases can be spent soon."""
    return replace(regtest(), coinbase_maturity=maturity)


class Rig:
    """One node's parts. `chain_store` and `folder` let another one go on where this one is."""

    def __init__(
        self,
        folder: Path | None = None,
        *,
        chain_store: Store | None = None,
        limits: MempoolLimits | None = None,
        params: Params | None = None,
    ) -> None:
        self.params = params or rig_params()
        self.events = EventBus()
        self.seen: list[Event] = []
        self.store = chain_store or Store(None, self.params.genesis.hash)
        if chain_store is None:
            weakref.finalize(self, self.store.close)
        self.chain = open_chain(self.params, self.store, events=self.events)
        rules = MempoolRules(self.params, RelayPolicy(), limits or MempoolLimits())
        self.pool = TransactionPool(self.chain, Mempool(self.chain, rules, self.store))
        self.events.subscribe(self.pool.handle)
        self.events.subscribe(self.seen.append)
        self.folder = folder
        self.before: Rig | None = None
        self.wallet: Wallet
        self.wallet_store: WalletStore

    def add_wallet(
        self,
        name: str = "wallet",
        *,
        imported: PrivateKey | None = None,
        store: type[WalletStore] = WalletStore,
        progress: Callable[[int, int], None] = lambda _height, _of: None,
    ) -> Wallet:
        """Open a wallet; the last one opened is `wallet`."""
        folder = self.folder
        self.wallet_store = store(None if folder is None else folder / f"{name}.sqlite")
        weakref.finalize(self, self.wallet_store.close)
        json = None if folder is None else folder / f"{name}.json"
        pem = None if folder is None else folder / f"{name}.pem"
        pool = self.pool.mempool
        self.wallet = Wallet(
            self.chain,
            self.wallet_store,
            json,
            pem,
            lambda: [entry.tx for entry in pool.entries()],
        )
        self.wallet.load(imported, progress)
        self.events.subscribe(self.wallet.handle)
        return self.wallet

    def start(
        self,
        *,
        imported: PrivateKey | None = None,
        store: type[WalletStore] = WalletStore,
        progress: Callable[[int, int], None] = lambda _height, _of: None,
    ) -> "Rig":
        """Open the wallet, then fill the mempool from the store, as a node does."""
        self.add_wallet(imported=imported, store=store, progress=progress)
        self.pool.load()
        return self

    def beside(self, folder: Path | None = None) -> "Rig":
        """Another node over the same chain, without a wallet yet."""
        self.chain.flush()
        rig = Rig(folder, chain_store=self.store, params=self.params)
        rig.before = self  # whose end closes the store
        return rig

    def restart(
        self,
        *,
        imported: PrivateKey | None = None,
        progress: Callable[[int, int], None] = lambda _height, _of: None,
    ) -> "Rig":
        """Another node over the same disk; this one is left lying as after a crash."""
        return self.beside(self.folder).start(imported=imported, progress=progress)

    # -- blocks -------------------------------------------------------------------------------

    def mine(
        self,
        count: int = 1,
        *,
        script: bytes | None = None,
        transactions: Sequence[Transaction] | None = None,
    ) -> list[Block]:
        """Mine blocks to the wallet or to `script`; the first holds all of the mempool."""
        blocks = []
        for _ in range(count):
            entries = self.pool.mempool.entries()
            chosen = [entry.tx for entry in entries] if transactions is None else transactions
            block = make_block(
                self.chain.tip,
                self.params,
                chosen,
                fees=sum(entry.fee for entry in entries) if transactions is None else 0,
                script=self.wallet.script if script is None else script,
            )
            self.chain.submit_block(block)
            blocks.append(block)
            transactions = () if transactions is not None else None
        return blocks

    def fork(
        self,
        depth: int,
        length: int,
        *,
        script: bytes = NOBODY,
        transactions: Sequence[Transaction] = (),
    ) -> HeaderNode:
        """Put a branch of `length` blocks beside the last `depth`; its first block holds
        `transactions`.
        """
        node = self.chain.tip.ancestor(self.chain.tip.height - depth)
        for turn in range(length):
            block = make_block(
                node,
                self.params,
                transactions if turn == 0 else (),
                script=script,
                tag=b"fork",
                time=node.header.time + SPACING + 1,
            )
            node = self.chain.submit_block(block).node
        return node

    # -- money --------------------------------------------------------------------------------

    def send(self, amount: int, address: str = OTHER, rate: FeeRate = RATE) -> Transaction:
        """Pay from the wallet; returns the transaction, which is in the mempool."""
        return self.wallet.send(address, amount, rate, self.pool.submit).tx

    def script_of(self, address: str) -> bytes:
        return script_from_address(address, self.params)


def snapshot(wallet: Wallet) -> tuple[object, ...]:
    """All that the wallet knows, but for the order in which things were heard of."""
    return (
        wallet.balance(),
        sorted(wallet.coins()),
        wallet.balances_by_address(),
        sorted(
            (h.entry.txid, h.entry.state.value, h.entry.height, h[1:]) for h in wallet.history()
        ),
    )
