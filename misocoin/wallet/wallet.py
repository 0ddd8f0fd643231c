"""The node's own wallet: keys in the data folder, coins followed along the chain.

Everything here takes the chain's lock, which is the wallet's lock as well.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from misocoin.chain.events import Event
from misocoin.crypto.keys import PrivateKey
from misocoin.errors import (
    InsufficientFunds,
    NotFoundError,
    ValidationError,
    WalletError,
)
from misocoin.policy.feerate import FeeRate
from misocoin.primitives.transaction import Transaction, TxOut
from misocoin.script.address import script_from_address
from misocoin.wallet.addresses import AddressType
from misocoin.wallet.following import ChainPort, Follower, Progress
from misocoin.wallet.funding import Funded, Terms, fund
from misocoin.wallet.keeper import Keeper, check_text
from misocoin.wallet.keychain import Keychain
from misocoin.wallet.ledger import (
    UNCONFIRMED,
    OwnCoin,
)
from misocoin.wallet.locks import CoinLocks
from misocoin.wallet.nodekeys import (
    open_node_keys,
    replace_node_keys,
    wallet_file_from_path,
)
from misocoin.wallet.reader import WalletReader
from misocoin.wallet.searching import ChainSearch
from misocoin.wallet.spending import (
    Payment,
    Plan,
    check_payable,
    explain_shortage,
    plan_payment,
    plan_sweep,
    sign_plan,
)
from misocoin.wallet.store import WalletStore

log = logging.getLogger(__name__)

T = TypeVar("T")

_TOO_LONG_CHAIN = "too-long-mempool-chain"


def _no_progress(_height: int, _of: int) -> None:
    """Tell nobody."""


class Wallet(WalletReader):
    """The wallet whose keys lie in two files and whose history in `store`.

    The files are `wallet.json` and the `wallet.pem` of older folders; None keeps keys in memory.
    Without any key a wallet of new words is made and written before it is used.
    """

    def __init__(
        self,
        chain: ChainPort,
        store: WalletStore,
        json_path: Path | None,
        pem_path: Path | None = None,
        pooled: Callable[[], Iterable[Transaction]] = lambda: (),
    ) -> None:
        """`pooled` tells what is in the mempool, parents first; it is called under the lock."""
        self._chain = chain
        self._store = store
        self._paths = (json_path, pem_path)
        self._pooled = pooled
        self.keeper: Keeper
        """The secrets: lock and unlock, import and export, backup."""
        self.locks: CoinLocks
        """Coins that are held back from payments."""
        self._refusals: dict[bytes, str] = {}  # of payments that are sent again: said once each
        self._search = ChainSearch()

    # -- life ---------------------------------------------------------------------------------

    def load(self, imported: PrivateKey | None = None, progress: Progress = _no_progress) -> None:
        """Read keys and history, then catch up with the chain.

        `imported` becomes the first key, to which is mined. Where the keys are not those whose
        history was kept, the chain is searched from genesis on; `progress(height, of)` tells how
        far. Raises KeyFormatError, WalletError or StoreError.
        """
        with self._chain.lock:
            self._take(open_node_keys(self._chain.params, *self._paths, imported), progress)

    def restore(self, path: Path, progress: Progress = _no_progress) -> None:
        """Become the wallet that a backup holds; the files of this one are moved aside.

        The chain is searched for it from genesis on. Raises KeyFormatError, WalletError or
        StoreError.
        """
        file = wallet_file_from_path(path, self._chain.params)
        with self._chain.lock:
            self.keeper.lock()
            now = self._chain.now()
            self._take(replace_node_keys(self._chain.params, *self._paths, file, now), progress)
            self._follower.note_pooled(self._pooled())

    def _take(self, keychain: Keychain, progress: Progress) -> None:
        self._keychain = keychain
        self._follower = Follower(self._chain, self._store, keychain)
        self.keeper = Keeper(self._chain, keychain, self._follower)
        self.locks = CoinLocks(self._chain, self._follower)
        self._follower.load(progress)

    def handle(self, event: Event) -> None:
        """Take notice of what happened on the chain; called under the chain's lock."""
        self._follower.handle(event)

    def close(self) -> None:
        """Note the place in the chain, forget secrets, close the history."""
        self._search.stop()
        self.keeper.lock()
        with self._chain.lock:
            self._follower.close()

    # -- addresses ----------------------------------------------------------------------------

    def new_address(self, label: str = "", kind: AddressType | None = None) -> str:
        """Hand out an address that was not used before.

        Raises WalletError where it cannot be written; then there is no new address.
        """
        check_text(label)
        with self._chain.lock:
            is_complete = self._follower.is_complete
            address = self._address(self._keychain.new_address(kind))
            if label:
                self._keychain.set_label(address, label)
            if is_complete:
                self._follower.trust_keys()
            self._follower.try_to_save()
            return address

    def change_address(self, kind: AddressType | None = None) -> str:
        """Hand out an address for change that was not used before. Raises as `new_address`."""
        with self._chain.lock:
            is_complete = self._follower.is_complete
            address = self._address(self._keychain.new_change_address(kind))
            if is_complete:
                self._follower.trust_keys()
            self._follower.try_to_save()
            return address

    # -- labels and notes ---------------------------------------------------------------------

    def set_label(self, address: str, label: str) -> None:
        """Call an address something; an empty label takes the name away.

        Raises AddressError or WalletError.
        """
        check_text(label)
        script = script_from_address(address, self._chain.params)
        with self._chain.lock:
            self._keychain.set_label(self._address(script), label)

    def set_note(self, txid: bytes, note: str) -> None:
        """Note something on a transaction of the wallet's; an empty note takes it away.

        Raises NotFoundError or WalletError.
        """
        check_text(note)
        with self._chain.lock:
            if self._follower.ledger.get(txid) is None:
                raise NotFoundError("the wallet has no such transaction")
            self._keychain.set_note(txid[::-1].hex(), note)

    def note_payment(self, tx: Transaction, note: str, payee: str = "") -> None:
        """Note something on a payment that was sent, and whom it pays.

        Where it cannot be written, the log says so. No error: whoever hears of one takes the
        payment for failed, and pays again.
        """
        try:
            with self._chain.lock:
                if note:
                    self._keychain.set_note(tx.txid_hex, note)
                if payee:
                    self._keychain.set_payee(tx.txid_hex, payee)
        except WalletError as error:
            log.warning("payment %s is sent, but not its note written: %s", tx.txid_hex, error)

    # -- paying -------------------------------------------------------------------------------

    def send(
        self,
        address: str,
        amount: int,
        rate: FeeRate,
        submit: Callable[[Transaction], object],
        note: str = "",
    ) -> Payment:
        """Pay `amount` base units to an address or label at `rate`; hand the payment to `submit`.

        Raises as `pay` does.
        """
        return self.pay([TxOut(amount, self.script_of(address))], rate, submit, note=note)

    def pay(
        self,
        outputs: Sequence[TxOut],
        rate: FeeRate,
        submit: Callable[[Transaction], object],
        *,
        sink: bytes | None = None,
        note: str = "",
    ) -> Payment:
        """Pay `outputs` at `rate`, and all the rest to the script `sink` if there is one.

        Confirmed coins are spent first, then change that waits for its block. Raises AddressError,
        AmountError, InsufficientFunds, another WalletError, or what `submit` raises; then nothing
        was spent.
        """
        return self.pay_by(
            lambda coins: self._plan(outputs, coins, rate, sink),
            outputs,
            submit,
            note=note,
        )

    def pay_by(
        self,
        plan: Callable[[Sequence[OwnCoin]], Plan],
        outputs: Sequence[TxOut],
        submit: Callable[[Transaction], object],
        *,
        note: str = "",
        payee: str = "",
    ) -> Payment:
        """Pay `outputs` by the plan that `plan` makes of the coins that may be spent.

        It is asked again with fewer coins where change waits behind too many payments. Raises as
        `pay` does.
        """
        check_text(note)
        check_text(payee)
        with self._chain.lock:
            self._keychain.ring_for(())  # nothing is planned for a wallet that cannot sign
            payment = self._explained(outputs, lambda: self._pay(plan, submit))
            self.note_payment(payment.tx, note, payee)
            return payment

    def fund(
        self,
        outputs: Sequence[TxOut],
        coins: Sequence[OwnCoin],
        terms: Terms,
        change_script: bytes | None = None,
    ) -> Funded:
        """Plan what pays `outputs` on `terms` with some of `coins`, mined ones first.

        Raises InsufficientFunds or another WalletError; nothing is spent.
        """
        with self._chain.lock:
            scripts = self._keychain.scripts
            change = change_script or self._keychain.change_script()
            own = scripts.get(change) or scripts[self._keychain.change_script()]
            mined = [coin for coin in coins if coin.height != UNCONFIRMED]

            def attempt(coins: Sequence[OwnCoin]) -> Funded:
                return fund(
                    outputs,
                    coins,
                    lambda script: scripts[script].input_weight,
                    change,
                    own.input_weight,
                    terms,
                )

            try:
                return attempt(mined)
            except WalletError:
                if len(mined) == len(coins):
                    raise
            return attempt(coins)

    def plan(self, outputs: Sequence[TxOut], rate: FeeRate, sink: bytes | None = None) -> Plan:
        """What `pay` would do, unsigned; nothing is spent."""
        with self._chain.lock:
            return self._explained(outputs, lambda: self._plan(outputs, self.coins(), rate, sink))

    def _explained(self, outputs: Sequence[TxOut], work: Callable[[], T]) -> T:
        for output in outputs:
            check_payable(output.value, output.script_pubkey, self._chain.params)
        try:
            return work()
        except InsufficientFunds as error:
            maturity = self._chain.params.coinbase_maturity
            text = explain_shortage(str(error), self.balance(), maturity)
            raise InsufficientFunds(text) from None

    def _pay(
        self, plan: Callable[[Sequence[OwnCoin]], Plan], submit: Callable[[Transaction], object]
    ) -> Payment:
        coins = self.coins()
        refusal: ValidationError | None = None
        while True:
            try:
                planned = plan(coins)
            except WalletError as error:
                if refusal is None:
                    raise
                raise WalletError(
                    f"the change that this would spend waits behind too many payments of ours "
                    f"({refusal}); try again after the next block"
                ) from error
            payment = sign_plan(planned, self._keychain.ring_for(planned.scripts))
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

    def _plan(
        self,
        outputs: Sequence[TxOut],
        coins: Sequence[OwnCoin],
        rate: FeeRate,
        sink: bytes | None,
    ) -> Plan:
        scripts, tip = self._keychain.scripts, self._chain.tip.height

        def weight(script: bytes) -> int:
            return scripts[script].input_weight

        if sink is not None:
            return plan_sweep(outputs, sink, coins, weight, rate, tip)
        change = self._keychain.change_script()
        confirmed = [coin for coin in coins if coin.height != UNCONFIRMED]
        try:
            return plan_payment(outputs, confirmed, weight, change, rate, tip)
        except WalletError:
            if len(confirmed) == len(coins):
                raise
        return plan_payment(outputs, coins, weight, change, rate, tip)

    def note_replacement(self, old: bytes, new: bytes) -> None:
        """Write down that one payment stands in another's place, with the words on that one."""
        try:
            with self._chain.lock:
                self._keychain.set_replacement(old[::-1].hex(), new[::-1].hex())
        except WalletError as error:
            log.warning("a payment's fee is raised, but its note not written: %s", error)

    # -- payments that wait -------------------------------------------------------------------

    def resend(self, submit: Callable[[Transaction], object]) -> int:
        """Hand every payment that left the mempool unmined to `submit` again; how many went in."""
        with self._chain.lock:
            waiting = self._follower.waiting()
        sent = 0
        for tx in waiting:
            try:
                submit(tx)
            except ValidationError as error:
                if self._refusals.get(tx.txid) != error.reason:
                    log.info("payment %s cannot be sent now: %s", tx.txid_hex, error)
                self._refusals[tx.txid] = error.reason
            else:
                self._refusals.pop(tx.txid, None)
                sent += 1
        return sent

    @property
    def has_waiting(self) -> bool:
        """Whether a payment waits to be sent again."""
        with self._chain.lock:
            return bool(self._follower.waiting())

    def abandon(self, txid: bytes) -> None:
        """Give a payment up that waits to be sent again. Raises NotFoundError or WalletError."""
        with self._chain.lock:
            if self._follower.ledger.get(txid) is None:
                raise NotFoundError("the wallet has no such transaction")
            if not self._follower.abandon(txid):
                raise WalletError("only a payment that waits to be sent again can be given up")

    # -- searching again ----------------------------------------------------------------------

    @property
    def rescan_progress(self) -> tuple[int, int] | None:
        """Height that was reached and the last one, while the chain is searched again."""
        return self._search.progress

    def rescan(
        self, start: int = 0, progress: Progress = _no_progress, stop: int | None = None
    ) -> int:
        """Read the chain again from height `start` to `stop` or its end, then the mempool.

        Returns the last height read.

        Raises WalletError while another search runs, or StoreError.
        """
        last = self._chain.tip.height if stop is None else stop
        height = self._search.run(self._follower, start, last, progress, stop)
        with self._chain.lock:
            self._follower.note_pooled(self._pooled())
        return height

    def stop_rescan(self) -> bool:
        """Have a running search end; tells whether there was one."""
        return self._search.stop()
