"""What the wallet's commands have in common: their options, passphrases, secrets that are typed."""

import getpass
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from misocoin.cli.command import UsageError
from misocoin.errors import WalletError
from misocoin.option_table import CHAINS, DEFAULT_PORT
from misocoin.options import Kind, Option, choice_of, flag_from_text
from misocoin.params import Params, params_by_name
from misocoin.peers.messages import address_from_text
from misocoin.wallet.keyfolder import KeyFolder, NamedKeys
from misocoin.wallet.walletfile import Secrets

LIGHT_FILE = "light.sqlite"
"""What the light client knows, in the folder of the keys."""

MAX_SECRET = 4096
"""Bytes of a passphrase, of words or of a key that are read."""


def _path(text: str) -> Path:
    if not text or "\0" in text:
        raise ValueError("write a path")
    return Path(text).expanduser()


def node_from_text(text: str) -> str:
    """A node's address, its port added where there is none. Raises ParseError."""
    return address_from_text(text, DEFAULT_PORT).text


def _descriptor(text: str) -> int:
    if not text.isdecimal() or not text.isascii() or len(text) > 4:
        raise ValueError("write the number of an open file")
    return int(text)


CHAIN = Option(
    "chain", "Wallet", "miso, regtest or bitcoin.", choice_of(*CHAINS), "miso", placeholder="name"
)

WALLETDIR = Option(
    "walletdir",
    "Wallet",
    "Folder of the keys.",
    _path,
    placeholder="folder",
    default_text="~/.misocoin/wallet-<chain>",
)

PASSPHRASE_FILE = Option(
    "passphrasefile",
    "Passphrase",
    "Read the passphrase from the first line of a file instead of asking for it.",
    _path,
    placeholder="file",
)

PASSPHRASE_FD = Option(
    "passphrasefd",
    "Passphrase",
    "Read it from a file that whoever calls has opened under this number.",
    _descriptor,
    placeholder="n",
)

OLD_PASSPHRASE_FILE = Option(
    "oldpassphrasefile",
    "Passphrase",
    "Read the passphrase that is to be changed from the first line of a file.",
    _path,
    placeholder="file",
)

NODES = Option(
    "nodes",
    "Network",
    "Nodes to ask and to send payments to. Without this: one on this machine, those on the local "
    "network, and those that were asked before.",
    node_from_text,
    (),
    Kind.LIST,
    "host:port,...",
)

DISCOVER = Option(
    "discover",
    "Network",
    "Look for nodes on the local network (needs the package zeroconf).",
    flag_from_text,
    None,
    Kind.FLAG,
    default_text="1 without -nodes",
)

ENCRYPT = Option(
    "encrypt",
    "Passphrase",
    "Encrypt what is written; the passphrase is asked for.",
    flag_from_text,
    False,
    Kind.FLAG,
)

PLACE = (CHAIN, WALLETDIR)
"""Options of every command."""

NETWORK = (NODES, DISCOVER)
"""Options of commands that ask nodes."""

PASSPHRASE = (PASSPHRASE_FILE, PASSPHRASE_FD)
"""Options of commands that may need a passphrase."""


def params_of(values: Mapping[str, Any]) -> Params:
    """The network that was asked for."""
    return params_by_name(values["chain"])


def wallet_path(values: Mapping[str, Any]) -> Path:
    """The folder that was asked for."""
    path: Path | None = values["walletdir"]
    return path or Path.home() / ".misocoin" / f"wallet-{values['chain']}"


def open_folder(values: Mapping[str, Any]) -> KeyFolder:
    """The folder of keys. Raises WalletError."""
    return KeyFolder(wallet_path(values), params_of(values))


def type_secret(prompt: str, *, twice: bool = False) -> str:
    """Have something typed that is not shown. Raises WalletError where there is no terminal."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)
            text = getpass.getpass(f"{prompt}: ")
            if twice and getpass.getpass(f"{prompt}, once more: ") != text:
                raise WalletError("the two are not the same; nothing was written")
    except (getpass.GetPassWarning, EOFError, OSError):
        raise WalletError(
            "there is no terminal to type a secret at: hand it over with -passphrasefile or "
            "-passphrasefd, keys and words on standard input (-)"
        ) from None
    return text


def passphrase_from(values: Mapping[str, Any], prompt: str, *, new: bool = False) -> bytes:
    """The passphrase, from a file, an open file, or typed. Raises WalletError."""
    path, descriptor = values["passphrasefile"], values["passphrasefd"]
    if path is not None and descriptor is not None:
        raise UsageError("-passphrasefile or -passphrasefd, not both")
    return passphrase_from_file(path if descriptor is None else descriptor, prompt, new=new)


def passphrase_from_file(source: Path | int | None, prompt: str, *, new: bool = False) -> bytes:
    """The first line of a file, or of an open one; typed where there is none.

    Raises WalletError.
    """
    try:
        if source is None:
            line = type_secret(prompt, twice=new).encode()
        else:
            with open(source, "rb", closefd=isinstance(source, Path)) as file:  # noqa: PTH123
                line = file.readline(MAX_SECRET)
    except OSError as error:
        raise WalletError(f"the passphrase cannot be read: {error.strerror}") from None
    passphrase = line.rstrip(b"\r\n")
    if not passphrase:
        raise WalletError("the passphrase is empty")
    return passphrase


def new_passphrase(values: Mapping[str, Any]) -> bytes | None:
    """The passphrase for what is about to be written; None where none is wanted."""
    is_named = values["passphrasefile"] is not None or values["passphrasefd"] is not None
    if not values["encrypt"] and not is_named:
        return None
    return passphrase_from(values, "New passphrase", new=True)


def unlocked(keys: NamedKeys, values: Mapping[str, Any]) -> Secrets:
    """The secrets of named keys; asks for the passphrase where one is needed."""
    if not keys.keychain.is_locked:
        return keys.keychain.secrets
    passphrase = passphrase_from(values, f"Passphrase of {keys.name}")
    secrets = keys.keychain.open(passphrase)
    keys.keychain.unlock(secrets, passphrase)
    return secrets


def secret_input(word: str, prompt: str) -> str:
    """A secret from a file, from standard input (`-`), or typed where no word says more."""
    if not word:
        return type_secret(prompt)
    try:
        if word == "-":
            data = sys.stdin.buffer.read(MAX_SECRET + 1)
        else:
            with Path(word).open("rb") as file:
                data = file.read(MAX_SECRET + 1)
    except OSError as error:
        # The word is not repeated: it may be the secret itself, where a file was to be named.
        raise WalletError(f"the file to read from cannot be used: {error.strerror}") from None
    if len(data) > MAX_SECRET:
        raise WalletError("the file to read from is too long")
    return data.decode("utf-8", "replace")
