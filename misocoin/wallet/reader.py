"""The reading half of the node's wallet."""

from collections.abc import Iterable

from misocoin.errors import AddressError
from misocoin.primitives.transaction import Transaction
from misocoin.script.address import address_from_script, script_from_address
from misocoin.script.signing import KeyRing
from misocoin.units import text_from_sats
from misocoin.wallet.following import ChainPort, Follower
from misocoin.wallet.keychain import Keychain
from misocoin.wallet.ledger import (
    UNCONFIRMED,
    Balance,
    Ledger,
    OwnCoin,
    TxState,
    WalletTx,
    is_mature,
)
from misocoin.wallet.views import HistoryEntry, Unspent


class WalletReader:
    """Tells of addresses, names, money and history; takes the chain's lock where it has to."""

    _chain: ChainPort
    _keychain: Keychain
    _follower: Follower

    # -- addresses ----------------------------------------------------------------------------

    @property
    def keychain(self) -> Keychain:
        """Addresses and keys; under the chain's lock only."""
        return self._keychain

    @property
    def keys(self) -> KeyRing:
        """The keys of all addresses that are known, to sign with. Raises WalletLocked."""
        with self._chain.lock:
            return self._keychain.ring_for(self._keychain.scripts)

    @property
    def script(self) -> bytes:
        """The output script of the first address: mined coins go there."""
        return self._keychain.script

    @property
    def address(self) -> str:
        """The first address."""
        return self._address(self.script)

    def addresses(self) -> list[str]:
        """The addresses that were handed out, the first one first."""
        with self._chain.lock:
            return [self._address(script) for script in self._keychain.addresses()]

    def _address(self, script: bytes) -> str:
        return address_from_script(script, self._chain.params) or ""

    def ring_for(self, scripts: Iterable[bytes]) -> KeyRing:
        """The keys to sign inputs that spend own scripts. Raises WalletLocked or WalletError."""
        with self._chain.lock:
            return self._keychain.ring_for(scripts)

    def is_mine(self, script: bytes) -> bool:
        """Whether an output script is the wallet's."""
        return script in self._keychain.scripts

    def is_listed(self, script: bytes) -> bool:
        """Whether an output script's address is in the book: it was handed out, or has a label."""
        with self._chain.lock:
            keychain = self._keychain
            return keychain.is_handed_out(script) or self._address(script) in keychain.file.labels

    def is_change(self, script: bytes) -> bool:
        """Whether an output script is the wallet's and nobody was told of it."""
        return self.is_mine(script) and not self.is_listed(script)

    def role_of(self, tx: Transaction) -> str:
        """What a transaction is to the wallet, in words for the log; empty for somebody else's."""
        with self._chain.lock:
            if any(self._follower.ledger.own_output(txin.prevout) for txin in tx.vin):
                return "a payment of ours"
            received = sum(txout.value for txout in tx.vout if self.is_mine(txout.script_pubkey))
            return f"pays us {text_from_sats(received)}" if received else ""

    # -- names --------------------------------------------------------------------------------

    @property
    def labels(self) -> dict[str, str]:
        """Address -> its label."""
        with self._chain.lock:
            return dict(self._keychain.file.labels)

    def note_of(self, txid: bytes) -> str:
        """What its owner noted on a transaction."""
        return self._keychain.file.notes.get(txid[::-1].hex(), "")

    def script_of(self, name: str) -> bytes:
        """The output script of an address, or of the one address with that label.

        Raises AddressError.
        """
        with self._chain.lock:
            labelled = [a for a, label in self._keychain.file.labels.items() if label == name]
        if len(labelled) > 1:
            raise AddressError(f"{len(labelled)} addresses are labelled {name[:60]!r}")
        try:
            return script_from_address(labelled[0] if labelled else name, self._chain.params)
        except AddressError as error:
            raise AddressError(f"no address here has that label, and {error}") from None

    # -- money --------------------------------------------------------------------------------

    def balance(self) -> Balance:
        """What the wallet holds."""
        chain = self._chain
        with chain.lock:
            ledger = self._follower.ledger
            return ledger.balance(chain.tip.height, chain.params.coinbase_maturity)

    def balances_by_address(self) -> dict[str, int]:
        """Base units by address, available and immature ones together.

        First those of `addresses` in their order, then addresses for change that hold something.
        All forms of an imported key's outputs count for its one address.
        """
        with self._chain.lock:
            held = dict.fromkeys(self._keychain.addresses(), 0)
            scripts = self._keychain.scripts
            for coin in self._follower.ledger.coins():
                if coin.is_trusted:
                    shown = scripts[coin.script_pubkey].counts_for
                    held[shown] = held.get(shown, 0) + coin.value
            return {self._address(script): value for script, value in held.items()}

    def coins(self) -> list[OwnCoin]:
        """The coins that can be spent now."""
        return [each.coin for each in self.unspent() if each.is_spendable]

    def unspent(self) -> list[Unspent]:
        """All coins, those that cannot be spent now included."""
        chain = self._chain
        with chain.lock:
            tip, maturity = chain.tip.height, chain.params.coinbase_maturity
            locks = self._follower.locks
            return [
                Unspent(
                    coin,
                    0 if coin.height == UNCONFIRMED else tip + 1 - coin.height,
                    coin.is_trusted and is_mature(coin, tip, maturity) and coin.point not in locks,
                    coin.point in locks,
                )
                for coin in self._follower.ledger.coins()
            ]

    # -- history ------------------------------------------------------------------------------

    def history(self, count: int | None = None, skip: int = 0) -> list[HistoryEntry]:
        """The transactions in the order of their times, latest last.

        With `count` at most so many of the latest, after passing over the `skip` very latest.
        """
        with self._chain.lock:
            entries = sorted(self._follower.ledger, key=lambda entry: entry.time)
            end = max(0, len(entries) - skip)
            start = 0 if count is None else max(0, end - count)
            return [self._shown(entry) for entry in entries[start:end]]

    def arrivals(self) -> list[HistoryEntry]:
        """The transactions in the order in which the wallet first heard of them."""
        with self._chain.lock:
            return [self._shown(entry) for entry in self._follower.ledger]

    def shown(self, txid: bytes) -> HistoryEntry | None:
        """The wallet's transaction of that id, as in the history."""
        with self._chain.lock:
            entry = self._follower.ledger.get(txid)
            return None if entry is None else self._shown(entry)

    def _shown(self, entry: WalletTx) -> HistoryEntry:
        ledger, tip = self._follower.ledger, self._chain.tip.height
        is_mined = entry.state is TxState.CONFIRMED
        depth = tip + 1 - entry.height if is_mined else 0
        return HistoryEntry(entry, *ledger.amounts(entry.txid), depth)

    @property
    def ledger(self) -> Ledger:
        """What is known of each transaction; under the chain's lock only."""
        return self._follower.ledger

    @property
    def transaction_count(self) -> int:
        """How many transactions are the wallet's."""
        return len(self._follower.ledger)

    def find(self, txid: bytes) -> WalletTx | None:
        """The wallet's transaction of that id."""
        with self._chain.lock:
            return self._follower.ledger.get(txid)
