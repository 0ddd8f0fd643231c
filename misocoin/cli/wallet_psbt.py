"""The wallet's commands about partially signed transactions, passed between signers as files."""

import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from misocoin.cli.command import Command
from misocoin.cli.wallet_common import (
    NETWORK,
    PASSPHRASE,
    PLACE,
    open_folder,
    params_of,
    unlocked,
)
from misocoin.cli.wallet_light import Nodes
from misocoin.cli.wallet_send import (
    ALL,
    EXPIRY,
    FEERATE,
    NOTE,
    TARGET,
    hand_out,
    open_store,
    plan_from,
    recipients_from_words,
)
from misocoin.errors import ParseError, WalletError
from misocoin.options import Option
from misocoin.script.address import address_from_script
from misocoin.units import text_from_sats
from misocoin.wallet.keyfile import write_private_file
from misocoin.wallet.light.fees import choose_fee_rate
from misocoin.wallet.light.pool import NodePool
from misocoin.wallet.light.store import LightStore
from misocoin.wallet.light.wallet import LightWallet
from misocoin.wallet.psbt import (
    MAX_SIZE,
    Psbt,
    calculate_psbt_fee,
    combine_psbts,
    create_psbt,
    psbt_from_text,
    text_from_psbt,
)
from misocoin.wallet.psbt_signing import extract_transaction, finalize_psbt, sign_psbt

Values = Mapping[str, Any]
Words = tuple[str, ...]

OUT = Option("out", "File", "Write to a new file instead of printing.", Path, placeholder="file")


def _read(name: str) -> Psbt:
    try:
        with Path(name).open("rb") as file:
            data = file.read(MAX_SIZE + 1)
    except OSError as error:
        raise WalletError(f"{name}: {error.strerror}") from None
    try:
        return psbt_from_text(data)
    except ParseError as error:
        raise ParseError(f"{name}: {error}") from None


def _give_out(psbt: Psbt, path: Path | None) -> None:
    text = text_from_psbt(psbt) + "\n"
    if path is None:
        print(text, end="")
        return
    if path.exists():
        raise WalletError(f"{path}: is there already, and nothing is overwritten")
    write_private_file(path, text.encode())


def _create(values: Values, words: Words) -> int:
    folder = open_folder(values)
    keys = folder.find(words[0])
    outputs, sink = recipients_from_words(words[1:], folder, takes_all=values["all"])
    now = int(time.time())
    with open_store(values) as store, closing(Nodes(values, store, folder.params)) as nodes:
        wallet = LightWallet(folder.params, store, keys)
        pool = NodePool(nodes.current(), lambda _name, _why: None)
        rate = choose_fee_rate(values["feerate"], values["target"], pool)
        maturity = folder.params.coinbase_maturity
        plan = plan_from(keys, wallet, outputs, sink, rate, maturity, now)
        before = _known_transactions(store)
    psbt = create_psbt(plan.tx, plan.spent, keys.keychain.scripts, before.get)
    _give_out(psbt, values["out"])
    return 0


def _known_transactions(store: LightStore) -> dict[bytes, bytes]:
    known = {entry.txid: entry.data for entry in store.payments()}
    return known | {each.txid: each.data for each in store.transactions()}


def _sign(values: Values, words: Words) -> int:
    psbt = _read(words[0])
    folder = open_folder(values)
    signed, count = sign_psbt(psbt, unlocked(folder.get(words[1]), values).private_key)
    if not count:
        raise WalletError(f"{words[1]} has no signature to add")
    _give_out(signed, values["out"])
    return 0


def _combine(values: Values, words: Words) -> int:
    _give_out(combine_psbts([_read(word) for word in words]), values["out"])
    return 0


def _finalize(values: Values, words: Words) -> int:
    _give_out(finalize_psbt(combine_psbts([_read(word) for word in words])), values["out"])
    return 0


def _show(values: Values, words: Words) -> int:
    psbt, params = _read(words[0]), params_of(values)
    print(f"payment {psbt.tx.txid_hex}, {len(psbt.inputs)} inputs")
    for output in psbt.tx.vout:
        address = address_from_script(output.script_pubkey, params) or "a script without address"
        print(f"to      {text_from_sats(output.value):>20}  {address}")
    fee = calculate_psbt_fee(psbt)
    print(f"fee     {'unknown' if fee is None else text_from_sats(fee):>20}")
    try:
        finalize_psbt(psbt)
    except WalletError as error:
        print(f"not complete: {error}")
    else:
        print("complete: psbt-send sends it")
    return 0


def _send(values: Values, words: Words) -> int:
    tx = extract_transaction(finalize_psbt(combine_psbts([_read(word) for word in words])))
    folder = open_folder(values)
    now = int(time.time())
    with open_store(values) as store, closing(Nodes(values, store, folder.params)) as nodes:
        wallet = LightWallet(folder.params, store, folder)
        pool = NodePool(nodes.current(), lambda _name, _why: None)
        wallet.journalise(tx, now, values["note"], values["expiry"] * 3600)
        folder.note_used([output.script_pubkey for output in tx.vout])
        print(f"Payment {tx.txid_hex} is written down.")
        hand_out(tx.txid, wallet, pool, now)
    return 0


COMMANDS = (
    Command(
        "psbt-create",
        "Prepare a payment that others have to sign: a PSBT file.",
        _create,
        (*PLACE, *NETWORK, ALL, FEERATE, TARGET, OUT),
        "<name or address> <amount | -all> <recipient> [<amount> <recipient>]...",
        2,
        None,
    ),
    Command(
        "psbt-show",
        "Tell what a PSBT pays, and what it lacks.",
        _show,
        (*PLACE,),
        "<file>",
        1,
        1,
    ),
    Command(
        "psbt-sign",
        "Add the signatures of a wallet or key.",
        _sign,
        (*PLACE, OUT, *PASSPHRASE),
        "<file> <name>",
        2,
        2,
    ),
    Command(
        "psbt-combine",
        "Put copies that several have signed together.",
        _combine,
        (OUT,),
        "<file> <file>...",
        1,
        None,
    ),
    Command(
        "psbt-finalize",
        "Finish a PSBT that has all its signatures.",
        _finalize,
        (OUT,),
        "<file>...",
        1,
        None,
    ),
    Command(
        "psbt-send",
        "Finish a PSBT, write the payment down and hand it to every node.",
        _send,
        (*PLACE, *NETWORK, NOTE, EXPIRY),
        "<file>...",
        1,
        None,
    ),
)
