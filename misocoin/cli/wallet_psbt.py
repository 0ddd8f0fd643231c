"""The wallet's commands about partially signed transactions, passed between signers as files."""

import re
from collections.abc import Mapping
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
    wallet_path,
)
from misocoin.cli.wallet_desk import EXPIRY, FEERATE, NOTE, TARGET, note_from, open_desk
from misocoin.cli.wallet_send import ALL, recipients_from_words
from misocoin.errors import ParseError, WalletError
from misocoin.options import Option
from misocoin.primitives.transaction import (
    Transaction,
    transaction_from_bytes,
)
from misocoin.script.address import address_from_script
from misocoin.units import text_from_sats
from misocoin.wallet.keyfile import write_private_file
from misocoin.wallet.light.sender import sender_from_word
from misocoin.wallet.light.store import output_at
from misocoin.wallet.psbt import (
    MAX_SIZE,
    Psbt,
    calculate_psbt_fee,
    combine_psbts,
    create_psbt,
    psbt_from_text,
    text_from_psbt,
    update_psbt,
)
from misocoin.wallet.psbt_signing import (
    check_signed,
    extract_transaction,
    finalize_psbt,
    sign_psbt,
)

Values = Mapping[str, Any]
Words = tuple[str, ...]

OUT = Option("out", "File", "Write to a new file instead of printing.", Path, placeholder="file")


def _bytes_of(name: str) -> bytes:
    try:
        with Path(name).open("rb") as file:
            return file.read(MAX_SIZE + 1)
    except OSError as error:
        raise WalletError(f"{name}: {error.strerror}") from None


def _read(name: str) -> Psbt:
    try:
        return psbt_from_text(_bytes_of(name))
    except ParseError as error:
        raise ParseError(f"{name}: {error}") from None


def _finished(words: Words, known: Mapping[bytes, bytes]) -> Transaction:
    """The payment of PSBTs that are complete together, or of a signed transaction in hex."""
    data = _bytes_of(words[0])
    if len(words) > 1 or not re.fullmatch(rb"\s*([0-9a-fA-F]{2})+\s*", data):
        return extract_transaction(finalize_psbt(combine_psbts([_read(word) for word in words])))
    tx = transaction_from_bytes(bytes.fromhex(data.decode("ascii")))
    if not all(txin.script_sig or txin.witness for txin in tx.vin):
        raise WalletError(f"{words[0]}: the transaction is not signed")
    check_signed(tx, [output_at(txin.prevout, known) for txin in tx.vin])
    return tx


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
    sender = sender_from_word(folder, words[0])
    outputs, sink = recipients_from_words(words[1:], folder, takes_all=values["all"])
    with open_desk(values, folder) as desk:
        plan = desk.plan(sender, outputs, sink)
        known = desk.store.known_transactions()
    addresses = sender.names[0].keychain.scripts
    _give_out(create_psbt(plan.tx, plan.spent, addresses, known.get), values["out"])
    return 0


def _sign(values: Values, words: Words) -> int:
    psbt = _read(words[0])
    folder = open_folder(values)
    signer = folder.get(words[1])
    for keys in (*folder.all, signer):
        psbt = update_psbt(psbt, keys.keychain.scripts)
    signed, count = sign_psbt(psbt, unlocked(signer, values).private_key)
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
    count = len(psbt.inputs)
    print(f"payment {psbt.tx.txid_hex}, {count} input{'s' if count != 1 else ''}")
    # To look at a file leaves no folder behind.
    own = open_folder(values).watched if wallet_path(values).is_dir() else {}
    for output in psbt.tx.vout:
        script = output.script_pubkey
        address = address_from_script(script, params) or "a script without address"
        name = f"  [{own[script].name}]" if script in own else ""
        print(f"to      {text_from_sats(output.value):>20}  {address}{name}")
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
    note = note_from(values)
    with open_desk(values, open_folder(values)) as desk:
        tx = _finished(words, desk.store.known_transactions())
        desk.write_down(tx, note)
        print(f"Payment {tx.txid_hex} is written down.")
        desk.hand_out(tx.txid)
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
        "Finish a PSBT, or take a signed transaction in hex; write it down, hand it to every node.",
        _send,
        (*PLACE, *NETWORK, NOTE, EXPIRY),
        "<file>...",
        1,
        None,
    ),
)
