"""The command `misocoin wallet send`: sign here, write down, hand to every node."""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

from misocoin.cli.command import Command, UsageError
from misocoin.cli.wallet_common import (
    LIGHT_FILE,
    NETWORK,
    PASSPHRASE,
    PLACE,
    open_folder,
    params_of,
    unlocked,
    wallet_path,
)
from misocoin.cli.wallet_light import Nodes
from misocoin.errors import InsufficientFunds, WalletError
from misocoin.options import Kind, Option, flag_from_text, integer_between
from misocoin.policy.feerate import FeeRate
from misocoin.primitives.transaction import TxOut
from misocoin.units import sats_from_text, text_from_sats
from misocoin.wallet.keyfolder import KeyFolder, NamedKeys
from misocoin.wallet.light.fees import choose_fee_rate
from misocoin.wallet.light.payments import EXPIRY_SECONDS
from misocoin.wallet.light.pool import NodePool
from misocoin.wallet.light.store import LightStore
from misocoin.wallet.light.sync import send_to_all
from misocoin.wallet.light.wallet import LightWallet
from misocoin.wallet.spending import (
    Plan,
    check_payable,
    explain_shortage,
    plan_payment,
    plan_sweep,
    sign_plan,
)

Values = Mapping[str, Any]

ALL = Option(
    "all",
    "Payment",
    "Send everything there is; the first recipient gets what others do not.",
    flag_from_text,
    False,
    Kind.FLAG,
)
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
DRYRUN = Option(
    "dry-run", "Payment", "Show the payment, send nothing.", flag_from_text, False, Kind.FLAG
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


def plan_from(
    keys: NamedKeys,
    wallet: LightWallet,
    outputs: Sequence[TxOut],
    sink: bytes | None,
    rate: FeeRate,
    maturity: int,
    now: int,
) -> Plan:
    """A payment from the coins of named keys. Raises InsufficientFunds or WalletError."""
    scripts = keys.keychain.scripts
    coins = wallet.coins(now)

    def weight(script: bytes) -> int:
        return scripts[script].input_weight

    try:
        if sink is not None:
            return plan_sweep(outputs, sink, coins, weight, rate, wallet.height)
        change = keys.keychain.change_script()
        return plan_payment(outputs, coins, weight, change, rate, wallet.height)
    except InsufficientFunds as error:
        raise InsufficientFunds(
            explain_shortage(str(error), wallet.balance(now), maturity)
        ) from None


@contextmanager
def open_store(values: Values) -> Iterator[LightStore]:
    """What the light client knows. Raises StoreError."""
    with closing(LightStore(wallet_path(values) / LIGHT_FILE, params_of(values))) as store:
        yield store


def _send(values: Values, words: tuple[str, ...]) -> int:
    folder = open_folder(values)
    keys = folder.find(words[0])
    outputs, sink = recipients_from_words(words[1:], folder, takes_all=values["all"])
    asked = {sink, *(output.script_pubkey for output in outputs)}
    if len(values["note"]) > 1000 or not values["note"].isprintable():
        raise WalletError("a note is one line of at most 1000 characters")
    now = int(time.time())
    with open_store(values) as store, closing(Nodes(values, store, folder.params)) as nodes:
        wallet = LightWallet(folder.params, store, keys)
        pool = NodePool(nodes.current(), lambda _name, _why: None)
        rate = choose_fee_rate(values["feerate"], values["target"], pool)
        maturity = folder.params.coinbase_maturity
        plan = plan_from(keys, wallet, outputs, sink, rate, maturity, now)
        if values["dry-run"]:
            _show(folder, plan, asked)
            print("Nothing was sent.")
            return 0
        unlocked(keys, values)
        payment = sign_plan(plan, keys.keychain.ring_for(plan.scripts))
        wallet.journalise(payment.tx, now, values["note"], values["expiry"] * 3600)
        folder.note_used([output.script_pubkey for output in payment.tx.vout])
        _show(folder, plan, asked)
        print(f"Payment {payment.tx.txid_hex} is signed and written down.")
        hand_out(payment.tx.txid, wallet, pool, now)
    return 0


def _show(folder: KeyFolder, plan: Plan, asked: Collection[bytes | None]) -> None:
    """Print what is paid; to scripts that nobody asked to pay goes the change."""
    for output in plan.tx.vout:
        what = "to" if output.script_pubkey in asked else "change"
        amount = text_from_sats(output.value)
        print(f"{what:8}{amount:>20}  {folder.address(output.script_pubkey)}")
    print(f"{'fee':8}{text_from_sats(plan.fee):>20}")


def hand_out(txid: bytes, wallet: LightWallet, pool: NodePool, now: int) -> None:
    """Give a written payment to every node; what does not work now, sync does."""
    judged = next(each for each in wallet.payments(now) if each.tx.txid == txid)
    sent = send_to_all(pool, judged)
    for name in sent.taken:
        print(f"{name} has it.")
    for name, why in sent.refused:
        print(f"{name} does not take it: {why}")
    for peer in pool.peers:
        if peer.trouble:
            print(f"{peer.name} cannot be asked: {peer.trouble}")
    if not sent.taken:
        print("No node has it yet: every sync sends it again until it is mined.")


COMMANDS = (
    Command(
        "send",
        "Pay from a name or address of yours.",
        _send,
        (*PLACE, *NETWORK, ALL, FEERATE, TARGET, DRYRUN, NOTE, EXPIRY, *PASSPHRASE),
        "<name or address> <amount | -all> <recipient> [<amount> <recipient>]...",
        2,
        None,
    ),
)
