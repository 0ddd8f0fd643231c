"""Paying from a page: what was typed becomes a draft, the draft is shown, and paid once.

A draft is the very transaction that is signed later, so that what its owner has seen is what is
sent. Each can be paid once, however often and from however many threads that is asked for.
"""

import re
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Final, NamedTuple

from misocoin.chain.pool import TransactionPool
from misocoin.chain.state import ChainState
from misocoin.errors import AmountError, NotFoundError, ParseError, WalletError
from misocoin.policy.feerate import KILO_VBYTE, FeeRate, text_from_feerate
from misocoin.primitives.transaction import TxOut
from misocoin.script.address import address_from_script
from misocoin.units import sats_from_text, text_from_sats
from misocoin.wallet.keeper import check_text
from misocoin.wallet.spending import Plan, sign_plan
from misocoin.wallet.wallet import Wallet
from misocoin.web.payment_uri import is_payment_uri, request_from_uri

DRAFT_SECONDS: Final = 15 * 60
"""How long a draft can be paid."""

MOST_DRAFTS: Final = 64
"""Drafts that are remembered, the paid ones included."""

UNLOCK_SECONDS: Final = 30
"""For how long a passphrase given with a payment unlocks the wallet at most."""

SLOW_BLOCKS, NORMAL_BLOCKS, FAST_BLOCKS = 24, 6, 2
"""Within how many blocks a payment of each kind should be mined."""

_RATE = re.compile(r"(\d{1,9})(?:\.(\d{1,3}))?", re.ASCII)


class SendForm(NamedTuple):
    """What was typed."""

    to: str = ""
    """An address, a name, or a payment request."""
    amount: str = ""
    """Coins."""
    everything: bool = False
    """Whether all that can be spent is sent instead."""
    fee: str = "normal"
    """slow, normal, fast, or own."""
    rate: str = ""
    """Base units a virtual byte, for `own`."""
    note: str = ""


class FeeRates(NamedTuple):
    """The rates there are to choose from."""

    slow: FeeRate
    normal: FeeRate
    fast: FeeRate
    least: FeeRate
    """Below this the mempool takes nothing."""


@dataclass(slots=True)
class Draft:
    """A payment that waits for its owner's word."""

    form: SendForm
    owner: str
    """The session that made it, by its form token."""
    token: str
    address: str
    """Whom it pays."""
    label: str
    amount: int
    """Base units that the recipient gets."""
    rate: FeeRate
    plan: Plan
    made: float
    """Seconds on the monotonic clock."""
    note: str
    txid: bytes | None = None
    """Once it is paid; wire order."""
    lock: Lock = field(default_factory=Lock)


class Paying:
    """Makes drafts of a wallet's payments and pays them."""

    def __init__(
        self,
        chain: ChainState,
        pool: TransactionPool,
        wallet: Wallet,
        estimate: Callable[[int], FeeRate | None],
        clock: Callable[[], float],
    ) -> None:
        """`estimate` tells a rate that makes it within so many blocks; `clock` is monotonic."""
        self._chain = chain
        self._pool = pool
        self._wallet = wallet
        self._estimate = estimate
        self._clock = clock
        self._lock = Lock()
        self._drafts: OrderedDict[str, Draft] = OrderedDict()

    def rates(self) -> FeeRates:
        """The rates of now; while too little was seen, what the next block should take."""
        with self._chain.lock:
            least = self._pool.mempool.min_feerate(self._chain.now())
            usual = self._pool.fee_rate()
        slow = max(least, self._estimate(SLOW_BLOCKS) or least)
        normal = max(slow, self._estimate(NORMAL_BLOCKS) or usual)
        fast = max(normal, self._estimate(FAST_BLOCKS) or usual)
        return FeeRates(slow, normal, fast, least)

    def prepare(self, typed: SendForm, owner: str) -> Draft:
        """Make a draft of what was typed. Raises MisocoinError; nothing is spent."""
        form = _filled_in(typed)
        check_text(form.note)
        rate = self._rate(form)
        script = self._wallet.script_of(form.to)
        sink = script if form.everything else None
        if form.everything:
            outputs: list[TxOut] = []
        elif form.amount:
            outputs = [TxOut(sats_from_text(form.amount), script)]
        else:
            raise AmountError("write how much to send")
        plan = self._wallet.plan(outputs, rate, sink)
        address = address_from_script(script, self._chain.params) or form.to
        spent = sum([each.value for each in plan.spent])
        draft = Draft(
            typed,
            owner,
            secrets.token_urlsafe(32),
            address,
            self._wallet.labels.get(address, ""),
            spent - plan.change - plan.fee,
            rate,
            plan,
            self._clock(),
            form.note,
        )
        with self._lock:
            self._drafts[draft.token] = draft
            while len(self._drafts) > MOST_DRAFTS:
                self._drafts.popitem(last=False)
        return draft

    def find(self, token: str, owner: str) -> Draft:
        """The draft of a token. Raises NotFoundError where it is none of this owner's."""
        with self._lock:
            draft = self._drafts.get(token)
        if draft is None or draft.owner != owner:
            raise NotFoundError(
                "this payment is not known any more; whether it was sent stands in the history"
            )
        return draft

    def pay(self, draft: Draft, passphrase: str = "") -> bytes:
        """Sign and send a draft, unless that was done; returns its transaction id, wire order.

        A passphrase unlocks a locked wallet for this alone. Raises MisocoinError; then nothing
        was sent.
        """
        with draft.lock:
            if draft.txid is not None:
                return draft.txid
            if self._clock() - draft.made > DRAFT_SECONDS:
                raise WalletError("this was made too long ago: look at it again")
            keeper = self._wallet.keeper
            unlocks = keeper.is_locked and bool(passphrase)
            if unlocks:
                keeper.unlock(passphrase, UNLOCK_SECONDS)
            try:
                self._send(draft)
            finally:
                if unlocks:
                    keeper.lock()
            return draft.txid or b""

    def _send(self, draft: Draft) -> None:
        wallet, plan = self._wallet, draft.plan
        with self._chain.lock:
            # The mempool would take it in the place of a payment of ours that pays less.
            free = {coin.point for coin in wallet.coins()}
            if any(txin.prevout not in free for txin in plan.tx.vin):
                raise WalletError("its coins have been spent meanwhile: look at it again")
            payment = sign_plan(plan, wallet.ring_for(plan.scripts))
            self._pool.submit(payment.tx)
            draft.txid = payment.tx.txid
            wallet.note_payment(payment.tx, draft.note)

    def _rate(self, form: SendForm) -> FeeRate:
        rates = self.rates()
        match form.fee:
            case "slow":
                return rates.slow
            case "normal":
                return rates.normal
            case "fast":
                return rates.fast
            case "own":
                rate = feerate_from_text(form.rate)
        if form.fee != "own":
            raise ParseError("choose a fee")
        if rate < rates.least:
            least = text_from_feerate(rates.least)
            raise WalletError(f"nobody would pass this on: {least} is the least at the moment")
        return rate


def feerate_from_text(text: str) -> FeeRate:
    """Read base units a virtual byte, with up to three decimals. Raises ParseError."""
    match = _RATE.fullmatch(text.strip())
    if match is None:
        raise ParseError(f"{text[:40]!r} is no fee rate: write a decimal number such as 2.5")
    return FeeRate(int(match[1]) * KILO_VBYTE + int((match[2] or "").ljust(3, "0")))


def _filled_in(form: SendForm) -> SendForm:
    """What was typed, with what a payment request says where nothing was typed."""
    to = form.to.strip()
    if not to:
        raise ParseError("write whom to pay")
    form = form._replace(to=to, amount=form.amount.strip(), note=form.note.strip())
    if not is_payment_uri(to):
        return form
    asked = request_from_uri(to)
    if asked.amount is not None:
        if form.everything or (form.amount and sats_from_text(form.amount) != asked.amount):
            wanted = text_from_sats(asked.amount)
            raise AmountError(f"the request asks for {wanted}: leave the amount empty, or pay that")
        form = form._replace(amount=text_from_sats(asked.amount))
    note = form.note or ", ".join(filter(None, (asked.label, asked.message)))
    return form._replace(to=asked.address, note=note)
