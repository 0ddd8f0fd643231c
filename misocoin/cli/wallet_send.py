"""The commands `wallet send` and `wallet bump`: sign here, write down, hand to every node."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from misocoin.cli.command import Command, UsageError
from misocoin.cli.wallet_common import NETWORK, PASSPHRASE, PLACE, open_folder, unlocked
from misocoin.cli.wallet_desk import EXPIRY, FEERATE, NOTE, TARGET, Desk, note_from, open_desk
from misocoin.errors import NotFoundError, WalletError
from misocoin.options import Kind, Option, flag_from_text
from misocoin.policy.feerate import FeeRate
from misocoin.primitives.transaction import TxOut
from misocoin.units import sats_from_text, text_from_sats
from misocoin.wallet.bumping import Offer
from misocoin.wallet.keyfolder import KeyFolder
from misocoin.wallet.light.payments import Judged, PaymentState
from misocoin.wallet.light.sender import Sender, change_place, sender_from_word, sender_of_tx
from misocoin.wallet.light.store import output_at
from misocoin.wallet.spending import Plan, check_payable

Values = Mapping[str, Any]
Words = tuple[str, ...]

ALL = Option(
    "all",
    "Payment",
    "Send everything there is; the first recipient gets what others do not.",
    flag_from_text,
    False,
    Kind.FLAG,
)
ANY = Option(
    "any",
    "Payment",
    "Spend coins of every name here; change goes back to the one that was named.",
    flag_from_text,
    False,
    Kind.FLAG,
)
DRYRUN = Option(
    "dry-run", "Payment", "Show the payment, send nothing.", flag_from_text, False, Kind.FLAG
)
BUMP_FEERATE = replace(FEERATE, default_text="the least that nodes take")


def recipients_from_words(
    words: Sequence[str], folder: KeyFolder, *, takes_all: bool
) -> tuple[list[TxOut], bytes | None]:
    """What is to be paid, and who gets the rest.

    Amounts and recipients stand in turns; with -all the first recipient stands without an amount.
    Raises UsageError, AmountError, AddressError or WalletError.
    """
    sink = folder.script_of(words[0]) if takes_all and words else None
    pairs = words[1:] if takes_all else words
    if len(pairs) % 2 or not words:
        raise UsageError("amounts and recipients stand in turns: 10 miso1… 2.5 rob")
    outputs = []
    for text, recipient in zip(pairs[::2], pairs[1::2], strict=True):
        output = TxOut(sats_from_text(text), folder.script_of(recipient))
        check_payable(output.value, output.script_pubkey, folder.params)
        outputs.append(output)
    return outputs, sink


def _send(values: Values, words: Words) -> int:
    folder, note = open_folder(values), note_from(values)
    sender = sender_from_word(folder, words[0], spends_any=values["any"])
    outputs, sink = recipients_from_words(words[1:], folder, takes_all=values["all"])
    with open_desk(values, folder) as desk:
        _pay(desk, values, sender, desk.plan(sender, outputs, sink), note)
    return 0


def _pay(
    desk: Desk,
    values: Values,
    sender: Sender,
    plan: Plan,
    note: str,
    instead_of: bytes | None = None,
) -> None:
    """Sign, write down and hand out a planned payment, unless it is only to be shown."""
    if values["dry-run"]:
        _show(desk.folder, plan, sender)
        print("Nothing was sent.")
        return
    tx = sender.sign(plan, lambda keys: unlocked(keys, values)).tx
    desk.write_down(tx, note, instead_of)
    _show(desk.folder, plan, sender)
    print(f"Payment {tx.txid_hex} is signed and written down.")
    desk.hand_out(tx.txid)


def _show(folder: KeyFolder, plan: Plan, sender: Sender) -> None:
    back = change_place(plan.tx.vout, sender) if plan.change else None
    for place, output in enumerate(plan.tx.vout):
        what = "change" if place == back else "to"
        amount = text_from_sats(output.value)
        print(f"{what:8}{amount:>20}  {folder.address(output.script_pubkey)}")
    print(f"{'fee':8}{text_from_sats(plan.fee):>20}")


def _bump(values: Values, words: Words) -> int:
    folder = open_folder(values)
    with open_desk(values, folder) as desk:
        payment, spent = _waiting_payment(desk, words[0])
        sender = sender_of_tx(folder, payment.tx, spent)
        offer = Offer(payment.tx, spent, change_place(payment.tx.vout, sender))
        rate = None if values["feerate"] is None else FeeRate(values["feerate"])
        plan = sender.plan_bump(desk.wallet, offer, rate, desk.now)
        _pay(desk, values, sender, plan, payment.entry.note, payment.tx.txid)
    return 0


def _waiting_payment(desk: Desk, text: str) -> tuple[Judged, tuple[TxOut, ...]]:
    """A payment that waits, and what it spends. Raises NotFoundError or WalletError."""
    payments = {each.tx.txid_hex: each for each in desk.wallet.payments(desk.now)}
    payment = payments.get(text.lower())
    if payment is None:
        raise NotFoundError(f"no payment of this wallet has the id {text[:64]!r}: wallet history")
    if payment.state is not PaymentState.WAITING:
        raise WalletError(f"that payment does not wait for a block: it is {payment.state.value}")
    for other in payments.values():
        spends = {txin.prevout[:32] for txin in other.tx.vin}
        if payment.tx.txid in spends and other.state is PaymentState.WAITING:
            raise WalletError(
                f"payment {other.tx.txid_hex} spends its change and would be lost: bump that one"
            )
    known = desk.store.known_transactions()
    spent = [output_at(txin.prevout, known) for txin in payment.tx.vin]
    if None in spent:
        raise WalletError("what that payment spends is not known here")
    return payment, tuple(output for output in spent if output is not None)


COMMANDS = (
    Command(
        "send",
        "Pay from a name or address of yours.",
        _send,
        (*PLACE, *NETWORK, ALL, ANY, FEERATE, TARGET, DRYRUN, NOTE, EXPIRY, *PASSPHRASE),
        "<name or address> <amount | -all> <recipient> [<amount> <recipient>]...",
        2,
        None,
    ),
    Command(
        "bump",
        "Raise the fee of a payment that waits, by another in its place.",
        _bump,
        (*PLACE, *NETWORK, BUMP_FEERATE, DRYRUN, EXPIRY, *PASSPHRASE),
        "<transaction id>",
        1,
        1,
    ),
)
