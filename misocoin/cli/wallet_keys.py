"""The wallet's commands about keys: `misocoin wallet new-address NAME` and the like."""

import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from misocoin.cli.command import Command, UsageError
from misocoin.cli.wallet_common import (
    ENCRYPT,
    OLD_PASSPHRASE_FILE,
    PASSPHRASE,
    PLACE,
    new_passphrase,
    open_folder,
    passphrase_from,
    passphrase_from_file,
    secret_input,
    type_secret,
    unlocked,
)
from misocoin.crypto.bip32 import HARDENED
from misocoin.crypto.keys import PrivateKey
from misocoin.crypto.pem import is_encrypted_pem, key_from_pem, pem_from_key
from misocoin.crypto.wif import key_from_wif, wif_from_key
from misocoin.errors import KeyFormatError, WalletError, WrongPassphrase
from misocoin.options import Kind, Option, choice_of, flag_from_text, integer_between
from misocoin.params import Params
from misocoin.script.messages import is_signed_by, sign_message
from misocoin.wallet.addresses import (
    SINGLE_KEY_TYPES,
    AccountKey,
    AddressType,
    KeyOrigin,
    account_path,
    address_type_from_text,
)
from misocoin.wallet.keyfile import write_private_file
from misocoin.wallet.keyfolder import KeyFolder, NamedKeys, check_name
from misocoin.wallet.walletfile import (
    MAX_GAP,
    SealedBox,
    Secrets,
    WalletFile,
    account_from_extended_key,
    multisig_account,
    new_wallet_file,
    slip132_from_account_key,
    text_from_account_key,
)
from misocoin.wallet.words import new_words, words_from_text

Values = Mapping[str, Any]
Words = tuple[str, ...]


def _flag(name: str, group: str, help: str) -> Option:
    return Option(name, group, help, flag_from_text, False, Kind.FLAG)


WIF = _flag("wif", "Key", "Print the key as WIF instead of PEM.")
EXTRA = _flag(
    "extra", "Words", "Ask for a BIP39 passphrase, a further word that is no part of them."
)
MULTISIG = _flag("multisig", "Key", "Print the key that takes part in multisig wallets (BIP48).")
SLIP132 = _flag(
    "slip132", "Key", "Print it as zpub, vpub and the like, without its origin, as Electrum has it."
)
OUT = Option("out", "Key", "Write to a new file instead of printing.", Path, placeholder="file")
COUNT = Option(
    "words",
    "Words",
    "How many words.",
    lambda text: int(choice_of("12", "15", "18", "21", "24")(text)),
    12,
    placeholder="n",
)
ACCOUNT = Option(
    "account",
    "Words",
    "Number of the account (BIP44): the same words make another wallet for each.",
    integer_between(0, HARDENED - 1),
    placeholder="n",
    default_text="0",
)
GAP = Option(
    "gap",
    "Search",
    "How many addresses in a row may be unused before the search for more ends.",
    integer_between(1, MAX_GAP),
    20,
    placeholder="n",
)
TYPE = Option(
    "type",
    "Address",
    f"{', '.join(kind.value for kind in SINGLE_KEY_TYPES)}.",
    address_type_from_text,
    placeholder="name",
    default_text="bech32",
)


def _say_key(folder: KeyFolder, keys: NamedKeys, what: str = "Generated") -> None:
    address = folder.address(keys.keychain.script)
    print(f"{what} key [{keys.name}] with address {address}   Key saved in {keys.path}")


def _say_wallet(folder: KeyFolder, keys: NamedKeys, what: str) -> None:
    address = folder.address(keys.keychain.script)
    print(f"{what} wallet [{keys.name}] with address {address}   Wallet saved in {keys.path}")


def _new_address(values: Values, words: Words) -> int:
    folder = open_folder(values)
    check_name(words[0])
    passphrase = new_passphrase(values)
    key = PrivateKey.generate()
    _say_key(folder, folder.add_key(words[0], key, passphrase, int(time.time())))
    return 0


def _next_address(values: Values, words: Words) -> int:
    folder = open_folder(values)
    keys = folder.get(words[0])
    is_single = not keys.keychain.file.accounts
    if is_single and values["type"] in (None, AddressType.BECH32):
        print(folder.address(keys.keychain.script))
        return 0
    print(folder.address(folder.new_address(words[0], values["type"])))
    return 0


def _import(values: Values, words: Words) -> int:
    folder = open_folder(values)
    check_name(words[0])
    text = secret_input(words[1] if len(words) > 1 else "", "Private key (WIF or hex)")
    key = _key_from_text(text, folder.params)
    _say_key(folder, folder.add_key(words[0], key, new_passphrase(values)), "Imported")
    return 0


def _key_from_text(text: str, params: Params) -> PrivateKey:
    if is_encrypted_pem(text.encode()):
        passphrase = type_secret("Passphrase of the key to import")
        try:
            return key_from_pem(text, passphrase.encode())
        except KeyFormatError as error:
            raise WrongPassphrase(str(error)) from None
    if "-----BEGIN" in text:
        return key_from_pem(text)
    text = text.strip()
    if len(text) == 64:
        return PrivateKey.from_hex(text)
    return key_from_wif(text, params.address.wif)


def _export(values: Values, words: Words) -> int:
    folder = open_folder(values)
    keys = folder.find(words[0])
    unlocked(keys, values)
    script = keys.keychain.script if keys.name == words[0] else folder.script_of(words[0])
    key = keys.keychain.private_key(script)
    version = folder.params.address.wif
    text = wif_from_key(key, version) + "\n" if values["wif"] else pem_from_key(key)
    _give_out(text, values["out"])
    return 0


def _give_out(text: str, path: Path | None) -> None:
    """Print a secret, or write it to a new file that only its owner can read."""
    if path is None:
        sys.stdout.write(text)
        return
    if path.exists():
        raise WalletError(f"{path}: is there already, and nothing is overwritten")
    write_private_file(path, text.encode())


def _rename(values: Values, words: Words) -> int:
    open_folder(values).rename(*words)
    return 0


def _set_passphrase(values: Values, words: Words) -> int:
    folder = open_folder(values)
    keys = folder.get(words[0])
    if keys.keychain.is_locked:
        old = passphrase_from_file(values["oldpassphrasefile"], f"Old passphrase of {keys.name}")
        secrets = keys.keychain.open(old)
    else:
        secrets = keys.keychain.secrets
    folder.set_passphrase(keys.name, secrets, passphrase_from(values, "New passphrase", new=True))
    return 0


def _remove_passphrase(values: Values, words: Words) -> int:
    folder = open_folder(values)
    keys = folder.get(words[0])
    if not keys.keychain.is_locked:
        raise WalletError(f"{keys.name} has no passphrase")
    folder.set_passphrase(keys.name, unlocked(keys, values), None)
    print(f"Whoever can read {keys.path} can spend from it now.")
    return 0


# -- wallets of words -------------------------------------------------------------------------


def _new_wallet(values: Values, words: Words) -> int:
    folder = open_folder(values)
    check_name(words[0])
    extra = type_secret("BIP39 passphrase", twice=True) if values["extra"] else ""
    secrets = Secrets(new_words(values["words"]), extra)
    keys = _add_wallet(folder, values, words[0], secrets, int(time.time()))
    _say_wallet(folder, keys, "Generated")
    print("These words are the wallet. Write them down; whoever has them has the money:\n")
    listed = secrets.words.split()
    for start in range(0, len(listed), 6):
        row = enumerate(listed[start : start + 6], start + 1)
        print("  " + " ".join(f"{number:2}. {word:10}" for number, word in row).rstrip())
    return 0


def _restore(values: Values, words: Words) -> int:
    folder = open_folder(values)
    check_name(words[0])
    text = secret_input(words[1] if len(words) > 1 else "", "Words")
    checked = words_from_text(text)
    extra = type_secret("BIP39 passphrase", twice=True) if values["extra"] else ""
    keys = _add_wallet(folder, values, words[0], Secrets(checked, extra), 0)
    _say_wallet(folder, keys, "Restored")
    print("The next sync searches the chain for its money.")
    return 0


def _add_wallet(
    folder: KeyFolder, values: Values, name: str, secrets: Secrets, birth: int
) -> NamedKeys:
    passphrase = new_passphrase(values)
    number = values["account"] or 0
    file = replace(new_wallet_file(secrets, folder.params, number, values["gap"]), birth=birth)
    if passphrase is not None:
        file = replace(file, secrets=SealedBox.close(secrets, passphrase, folder.params))
    return folder.add_wallet(name, file)


def _words(values: Values, words: Words) -> int:
    keys = open_folder(values).get(words[0])
    secrets = unlocked(keys, values)
    if not secrets.words:
        raise WalletError(f"{keys.name} is a single key and has no words: export shows the key")
    print(secrets.words)
    return 0


def _watch(values: Values, words: Words) -> int:
    folder = open_folder(values)
    check_name(words[0])
    account = account_from_extended_key(words[1], folder.params, values["type"], values["gap"])
    keys = folder.add_wallet(words[0], WalletFile(accounts=(account,)))
    print(f"Watching [{keys.name}] with address {folder.address(keys.keychain.script)}")
    return 0


def _xpub(values: Values, words: Words) -> int:
    folder = open_folder(values)
    kind = AddressType.MULTISIG if values["multisig"] else values["type"] or AddressType.BECH32
    key = _account_key(folder, values, words[0], kind)
    if values["slip132"]:
        print(slip132_from_account_key(key, kind, folder.params))
    else:
        print(text_from_account_key(key, folder.params))
    return 0


def _account_key(folder: KeyFolder, values: Values, name: str, kind: AddressType) -> AccountKey:
    keys, number = folder.get(name), values["account"]
    path = account_path(kind, folder.params, number or 0)
    for account in keys.keychain.file.accounts:
        if account.kind is kind and len(account.keys) == 1:
            (key,) = account.keys
            if number is None or key.origin.path == path:
                return key
    master = unlocked(keys, values).master
    if master is None:
        raise WalletError(f"{name} is a single key and has no extended key")
    return AccountKey(KeyOrigin(master.fingerprint, path), master.derive(path).public)


def _new_multisig(values: Values, words: Words) -> int:
    folder = open_folder(values)
    name, required, *cosigners = words
    check_name(name)
    if not required.isdecimal() or not required.isascii() or len(required) > 2:
        raise UsageError(f"how many signatures? {required[:20]!r} is no number")
    names = {each.name for each in folder.all}
    texts = [
        text_from_account_key(
            _account_key(folder, values, each, AddressType.MULTISIG), folder.params
        )
        if each in names
        else each
        for each in cosigners
    ]
    account = multisig_account(int(required), texts, folder.params, values["gap"])
    keys = folder.add_wallet(name, WalletFile(accounts=(account,)))
    print(
        f"Made multisig wallet [{name}], {required} of {len(texts)}, "
        f"with address {folder.address(keys.keychain.script)}"
    )
    return 0


# -- messages ---------------------------------------------------------------------------------


def _sign_message(values: Values, words: Words) -> int:
    folder = open_folder(values)
    keys = folder.find(words[0])
    unlocked(keys, values)
    script = keys.keychain.script if keys.name == words[0] else folder.script_of(words[0])
    print(sign_message(keys.keychain.private_key(script), words[1]))
    return 0


def _verify_message(_values: Values, words: Words) -> int:
    address, signature, text = words
    if not is_signed_by(address, signature, text):
        raise WalletError("the signature is not that address's for this message")
    print("the signature is right")
    return 0


COMMANDS = (
    Command(
        "new-address",
        "Make a key under a name of your choice.",
        _new_address,
        (*PLACE, ENCRYPT, *PASSPHRASE),
        "<name>",
        1,
        1,
    ),
    Command(
        "next-address",
        "Tell a fresh address of a wallet, or the address of a key.",
        _next_address,
        (*PLACE, TYPE),
        "<name>",
        1,
        1,
    ),
    Command(
        "import",
        "Take in a private key: WIF, hex or PEM, from a file, standard input (-) or typed.",
        _import,
        (*PLACE, ENCRYPT, *PASSPHRASE),
        "<name> [file]",
        1,
        2,
    ),
    Command(
        "export",
        "Give out the private key of a name or address, as PEM or WIF.",
        _export,
        (*PLACE, WIF, OUT, *PASSPHRASE),
        "<name or address>",
        1,
        1,
    ),
    Command("rename", "Call a key something else.", _rename, PLACE, "<old name> <new name>", 2, 2),
    Command(
        "set-passphrase",
        "Encrypt a key or wallet, or change its passphrase.",
        _set_passphrase,
        (*PLACE, *PASSPHRASE, OLD_PASSPHRASE_FILE),
        "<name>",
        1,
        1,
    ),
    Command(
        "remove-passphrase",
        "Write a key or wallet without encryption.",
        _remove_passphrase,
        (*PLACE, *PASSPHRASE),
        "<name>",
        1,
        1,
    ),
    Command(
        "new-wallet",
        "Make a wallet of words, with as many addresses as are wanted.",
        _new_wallet,
        (*PLACE, COUNT, EXTRA, ACCOUNT, GAP, ENCRYPT, *PASSPHRASE),
        "<name>",
        1,
        1,
    ),
    Command(
        "restore",
        "Make a wallet anew from its words: typed, from a file or standard input (-).",
        _restore,
        (*PLACE, EXTRA, ACCOUNT, GAP, ENCRYPT, *PASSPHRASE),
        "<name> [file]",
        1,
        2,
    ),
    Command(
        "words",
        "Show a wallet's words.",
        _words,
        (*PLACE, *PASSPHRASE),
        "<name>",
        1,
        1,
    ),
    Command(
        "watch",
        "Watch an account without its private keys, by its extended public key.",
        _watch,
        (*PLACE, TYPE, GAP),
        "<name> <xpub>",
        2,
        2,
    ),
    Command(
        "xpub",
        "Tell the extended public key of a wallet's account.",
        _xpub,
        (*PLACE, TYPE, ACCOUNT, MULTISIG, SLIP132, *PASSPHRASE),
        "<name>",
        1,
        1,
    ),
    Command(
        "new-multisig",
        "Make a wallet that several have to sign for, from their keys (xpub -multisig).",
        _new_multisig,
        (*PLACE, ACCOUNT, GAP, *PASSPHRASE),
        "<name> <signatures> <xpub or name>...",
        3,
        None,
    ),
    Command(
        "sign-message",
        "Sign a text as the owner of an address, in Bitcoin's format.",
        _sign_message,
        (*PLACE, *PASSPHRASE),
        "<name or address> <text>",
        2,
        2,
    ),
    Command(
        "verify-message",
        "Check such a signature.",
        _verify_message,
        (),
        "<address> <signature> <text>",
        3,
        3,
    ),
)
"""In the order of the overview."""
