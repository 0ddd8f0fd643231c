"""A wallet as a file: accounts and labels in the open, what can spend under a passphrase if wanted.

The file is JSON. Its secrets stand in it either bare or sealed: scrypt makes a key of the
passphrase (with the costs of `crypto/pbes2.py`), AES-256-GCM encrypts and authenticates. The public
part is enough to know every address, so that money is seen without the passphrase.
"""

import binascii
import json
import re
import secrets as chance
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, Protocol

from misocoin.crypto.bip32 import (
    VERSIONS,
    ExtendedPrivateKey,
    ExtendedPublicKey,
    Version,
    extended_key_from_text,
    path_from_text,
    text_from_path,
)
from misocoin.crypto.keys import PrivateKey, is_public_key, public_key_in_form
from misocoin.crypto.pbes2 import derive_key
from misocoin.crypto.pem import key_from_pem
from misocoin.crypto.wif import key_from_wif, wif_from_key
from misocoin.errors import KeyFormatError, WrongPassphrase
from misocoin.params import Params
from misocoin.wallet.addresses import (
    MAX_COSIGNERS,
    SINGLE_KEY_TYPES,
    Account,
    AccountKey,
    AddressType,
    KeyOrigin,
    account_path,
)
from misocoin.wallet.words import seed_from_words, words_from_text

VERSION = 1
"""Rises when an older program could not read the file."""

MAX_GAP = 10_000
MAX_INDEX = 1 << 24
"""The highest address number that a file may claim was handed out."""

_WRONG = "the passphrase is wrong, or the file is damaged"


def _no_texts() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True)
class Secrets:
    """What can spend."""

    words: str = field(default="", repr=False)
    """BIP39; empty where there is no seed."""
    extra: str = field(default="", repr=False)
    """BIP39's passphrase, part of the seed."""
    keys: tuple[PrivateKey, ...] = ()
    """Keys that came from elsewhere, all of them `compressed`."""
    roots: tuple[tuple[KeyOrigin, ExtendedPrivateKey], ...] = field(default=(), repr=False)
    """Extended keys that came from elsewhere, and where they are in their own trees."""

    @cached_property
    def master(self) -> ExtendedPrivateKey | None:
        """The root of the seed's tree."""
        if not self.words:
            return None
        return ExtendedPrivateKey.from_seed(seed_from_words(self.words, self.extra))

    def private_key(self, public_key: bytes, origin: KeyOrigin | None) -> PrivateKey | None:
        """The private key of an own address's public key; None for a cosigner's."""
        if origin is None or not origin.path:
            short = public_key_in_form(public_key, compressed=True)
            found = next((key for key in self.keys if key.public_key == short), None)
            return found and PrivateKey(found.secret, compressed=len(public_key) == 33)
        key = self._derived(origin)
        return key if key is not None and key.public_key == public_key else None

    def _derived(self, origin: KeyOrigin) -> PrivateKey | None:
        if self.master is not None and self.master.fingerprint == origin.fingerprint:
            return self.master.derive(origin.path).key
        for at, root in self.roots:
            depth = len(at.path)
            if at.fingerprint == origin.fingerprint and origin.path[:depth] == at.path:
                return root.derive(origin.path[depth:]).key
        return None


class Sealed(Protocol):
    """Secrets under a passphrase."""

    def open(self, passphrase: bytes) -> Secrets:
        """The secrets. Raises WrongPassphrase or KeyFormatError; takes a fifth of a second."""


@dataclass(frozen=True)
class SealedPem:
    """A key file that is encrypted as PKCS#8."""

    data: bytes

    def open(self, passphrase: bytes) -> Secrets:
        """As `Sealed.open`."""
        try:
            return Secrets(keys=(key_from_pem(self.data, passphrase),))
        except KeyFormatError as error:
            if str(error) == _WRONG:
                raise WrongPassphrase(_WRONG) from None
            raise


@dataclass(frozen=True)
class SealedBox:
    """Secrets encrypted inside a wallet file."""

    salt: bytes
    nonce: bytes
    data: bytes
    """AES-256-GCM, the tag at its end."""
    wif_version: int

    @classmethod
    def close(cls, secrets: Secrets, passphrase: bytes, params: Params) -> "SealedBox":
        """Encrypt; takes a fifth of a second."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        salt, nonce = chance.token_bytes(16), chance.token_bytes(12)
        plain = json.dumps(_form_of_secrets(secrets, params)).encode()
        data = AESGCM(derive_key(passphrase, salt)).encrypt(nonce, plain, None)
        return cls(salt, nonce, data, params.address.wif)

    def open(self, passphrase: bytes) -> Secrets:
        """As `Sealed.open`."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            cipher = AESGCM(derive_key(passphrase, self.salt))
            plain = cipher.decrypt(self.nonce, self.data, None)
        except InvalidTag:
            raise WrongPassphrase(_WRONG) from None
        return _secrets_from_form(_json_from(plain), self.wif_version)


@dataclass(frozen=True)
class WalletFile:
    """All that a wallet is, but for its history."""

    secrets: Secrets | Sealed | None = None
    """None: it watches only."""
    accounts: tuple[Account, ...] = ()
    """The first is the one that new addresses come from."""
    public_keys: tuple[bytes, ...] = ()
    """Of the keys that came from elsewhere, 33 bytes each."""
    labels: Mapping[str, str] = field(default_factory=_no_texts)
    """Address -> what its owner calls it."""
    notes: Mapping[str, str] = field(default_factory=_no_texts)
    """Transaction id (display order, hex) -> the owner's note."""
    payees: Mapping[str, str] = field(default_factory=_no_texts)
    """Transaction id -> whom it pays, in the owner's words."""
    replaced: Mapping[str, str] = field(default_factory=_no_texts)
    """Id of a payment whose fee was raised -> id of the payment in its place."""
    birth: int = 0
    """Unix time before which nobody can have paid to it; 0 where that is unknown."""

    def with_account(self, index: int, account: Account) -> "WalletFile":
        """The same with an account replaced."""
        accounts = (*self.accounts[:index], account, *self.accounts[index + 1 :])
        return replace(self, accounts=accounts)


def new_wallet_file(secrets: Secrets, params: Params, number: int = 0, gap: int = 20) -> WalletFile:
    """A wallet of a seed: one account for each type of address, bech32 first.

    Account `number` of each, looking `gap` addresses ahead. Raises KeyFormatError without words.
    """
    master = secrets.master
    if master is None:
        raise KeyFormatError("a wallet of no words has no accounts")
    accounts: list[Account] = []
    for kind in SINGLE_KEY_TYPES:
        path = account_path(kind, params, number)
        key = AccountKey(KeyOrigin(master.fingerprint, path), master.derive(path).public)
        shown = 0 if accounts else 1  # of all first addresses one is shown at once
        accounts.append(Account(kind, (key,), gap=gap, next_indexes=(shown, 0)))
    keys = tuple(key.public_key for key in secrets.keys)
    return WalletFile(secrets, tuple(accounts), keys)


_FORMS = {
    "y": AddressType.NESTED,
    "z": AddressType.BECH32,
    "Z": AddressType.MULTISIG,
}


def account_from_extended_key(
    text: str, params: Params, kind: AddressType | None = None, gap: int = 20
) -> Account:
    """An account to watch, from its extended public key: xpub, zpub, vpub and the like.

    A plain xpub does not say its type: bech32 if `kind` does not. Raises KeyFormatError.
    """
    key, named = account_key_from_text(text, params)
    if named is AddressType.MULTISIG or (kind and named and kind is not named):
        raise KeyFormatError("an extended key for another type of address")
    return Account(kind or named or AddressType.BECH32, (key,), gap=gap)


def multisig_account(required: int, texts: Sequence[str], params: Params, gap: int = 20) -> Account:
    """The account of a multisig, from everybody's extended public key. Raises KeyFormatError."""
    keys = [account_key_from_text(text, params) for text in texts]
    if not 1 <= required <= len(keys) or len(keys) > MAX_COSIGNERS:
        raise KeyFormatError(
            f"{required} of {len(keys)} keys is no multisig: 1 to {MAX_COSIGNERS} keys, and no "
            "more signatures than keys"
        )
    if any(named not in (None, AddressType.MULTISIG) for _, named in keys):
        raise KeyFormatError("an extended key for another type of address")
    if len({key.key for key, _ in keys}) < len(keys):
        raise KeyFormatError("the same key is named twice")
    return Account(AddressType.MULTISIG, tuple([key for key, _ in keys]), required, gap)


def account_key_from_text(text: str, params: Params) -> tuple[AccountKey, AddressType | None]:
    """Read `xpub…`, or `[d34db33f/84'/0'/0']xpub…` which tells where it comes from.

    Also what type of address the text says it is for. Raises KeyFormatError.
    """
    before, bracket, rest = text.strip().rpartition("]")
    version, key = extended_key_from_text(rest)
    if version.is_private or not isinstance(key, ExtendedPublicKey):
        raise KeyFormatError("that is a private key: an account is watched by its public one")
    if version.is_test != extended_key_versions(params)[0]:
        raise KeyFormatError(f"an extended key of another chain than {params.name}")
    # Without an origin the key stands for the root itself.
    origin = _origin_from(before) if bracket else KeyOrigin(key.fingerprint, ())
    return AccountKey(origin, key), _FORMS.get(version.form)


def text_from_account_key(key: AccountKey, params: Params) -> str:
    """Write `[fingerprint/path]xpub…`, as output descriptors have it."""
    steps = text_from_path(key.origin.path).removeprefix("m")
    origin = f"[{key.origin.fingerprint.hex()}{steps}]" if key.origin.path else ""
    return origin + key.key.to_text(params.address.bip32_public)


def slip132_from_account_key(key: AccountKey, kind: AddressType, params: Params) -> str:
    """Write `zpub…`, `vpub…` and the like, which tell the type of address, but no origin."""
    form = next((letter for letter, each in _FORMS.items() if each is kind), "x")
    version = Version(form, extended_key_versions(params)[0], is_private=False)
    return key.key.to_text(next(data for data, each in VERSIONS.items() if each == version))


def _origin_from(text: str) -> KeyOrigin:
    match = re.fullmatch(r"\[([0-9a-fA-F]{8})(/.*)?", text)
    if match is None:
        raise KeyFormatError("an origin is written as in [d34db33f/84'/0'/0']xpub…")
    return KeyOrigin(bytes.fromhex(match[1]), path_from_text((match[2] or "").removeprefix("/")))


def extended_key_versions(params: Params) -> tuple[bool, bytes]:
    """Whether extended keys are a test network's, and the version bytes that are written."""
    version = params.address.bip32_public
    return version == bytes.fromhex("043587cf"), version


# -- to and from bytes ------------------------------------------------------------------------


def bytes_from_wallet_file(file: WalletFile, params: Params) -> bytes:
    """Write the file."""
    form: dict[str, Any] = {"misocoin_wallet": VERSION, "chain": params.name}
    if isinstance(file.secrets, Secrets):
        form["secrets"] = _form_of_secrets(file.secrets, params)
    elif isinstance(file.secrets, SealedBox):
        box = file.secrets
        form["sealed"] = {
            "salt": box.salt.hex(),
            "nonce": box.nonce.hex(),
            "data": b64encode(box.data).decode(),
        }
    elif file.secrets is not None:
        raise KeyFormatError("such secrets have a file of their own")
    version = extended_key_versions(params)[1]
    form["accounts"] = [_form_of_account(account, version) for account in file.accounts]
    form["keys"] = [key.hex() for key in file.public_keys]
    form["labels"] = dict(file.labels)
    form["notes"] = dict(file.notes)
    form |= {
        name: dict(texts)
        for name, texts in (("payees", file.payees), ("replaced", file.replaced))
        if texts
    }
    form["birth"] = file.birth
    return (json.dumps(form, indent=1, ensure_ascii=False) + "\n").encode()


def wallet_file_from_bytes(data: bytes, params: Params) -> WalletFile:
    """Read a file. Raises KeyFormatError, which repeats nothing of it."""
    form = _json_from(data)
    try:
        if form["misocoin_wallet"] != VERSION:
            raise KeyFormatError("a wallet file of another version of this program")
        if form["chain"] != params.name:
            raise KeyFormatError(
                f"a wallet file of chain {str(form['chain'])[:20]}, not of {params.name}"
            )
        return WalletFile(
            _secrets_of(form, params.address.wif),
            tuple([_account_from(each, params) for each in form["accounts"]]),
            tuple([_public_key_from(each) for each in form["keys"]]),
            _texts_from(form["labels"]),
            _texts_from(form["notes"]),
            _texts_from(form.get("payees", {})),
            _texts_from(form.get("replaced", {})),
            _number(form.get("birth", 0), 0, 1 << 40),
        )
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error):
        raise KeyFormatError("a wallet file that is damaged") from None


def _json_from(data: bytes) -> Any:
    try:
        form = json.loads(data)
    except (ValueError, RecursionError):
        raise KeyFormatError("not a wallet file") from None
    if not isinstance(form, dict):
        raise KeyFormatError("not a wallet file")
    return form


def _form_of_secrets(secrets: Secrets, params: Params) -> dict[str, Any]:
    keys = [wif_from_key(key, params.address.wif) for key in secrets.keys]
    form: dict[str, Any] = {"words": secrets.words, "extra": secrets.extra, "keys": keys}
    if secrets.roots:
        form["roots"] = [
            {
                "fingerprint": at.fingerprint.hex(),
                "path": text_from_path(at.path),
                "key": root.to_text(params.address.bip32_private),
            }
            for at, root in secrets.roots
        ]
    return form


def _root_from(form: Any) -> tuple[KeyOrigin, ExtendedPrivateKey]:
    fingerprint = bytes.fromhex(form["fingerprint"])
    _, key = extended_key_from_text(form["key"])
    if len(fingerprint) != 4 or not isinstance(key, ExtendedPrivateKey):
        raise ValueError("root")
    return KeyOrigin(fingerprint, path_from_text(form["path"])), key


def _secrets_of(form: Any, wif_version: int) -> Secrets | Sealed | None:
    if "secrets" in form:
        return _secrets_from_form(form["secrets"], wif_version)
    if "sealed" not in form:
        return None
    box = form["sealed"]
    salt, nonce = bytes.fromhex(box["salt"]), bytes.fromhex(box["nonce"])
    data = b64decode(box["data"], validate=True)
    if len(salt) != 16 or len(nonce) != 12 or len(data) < 16:
        raise ValueError("sizes")
    return SealedBox(salt, nonce, data, wif_version)


def _secrets_from_form(form: Any, wif_version: int) -> Secrets:
    try:
        words, extra = "" + form["words"], "" + form["extra"]
        wifs = [key_from_wif(text, wif_version) for text in form["keys"]]
        keys = tuple([PrivateKey(key.secret) for key in wifs])
        roots = tuple([_root_from(each) for each in form.get("roots", ())])
        return Secrets(words and words_from_text(words), extra, keys, roots)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise KeyFormatError("a wallet file that is damaged") from None


def _form_of_account(account: Account, version: bytes) -> dict[str, Any]:
    return {
        "type": account.kind.value,
        "required": account.required,
        "gap": account.gap,
        "next": list(account.next_indexes),
        **({"preferred": True} if account.preferred else {}),
        "keys": [
            {
                "fingerprint": origin.fingerprint.hex(),
                "path": text_from_path(origin.path),
                "key": key.to_text(version),
            }
            for origin, key in account.keys
        ],
    }


def _account_from(form: Any, params: Params) -> Account:
    kind = AddressType(form["type"])
    keys = tuple([_account_key_from(each) for each in form["keys"]])
    most = MAX_COSIGNERS if kind is AddressType.MULTISIG else 1
    if not 1 <= len(keys) <= most:
        raise ValueError("keys")
    receive, change = (_number(each, 0, MAX_INDEX) for each in form["next"])
    return Account(
        kind,
        keys,
        _number(form["required"], 1, len(keys)),
        _number(form["gap"], 1, MAX_GAP),
        (receive, change),
        form.get("preferred", False) is True,
    )


def _account_key_from(form: Any) -> AccountKey:
    fingerprint = bytes.fromhex(form["fingerprint"])
    _, key = extended_key_from_text(form["key"])
    if len(fingerprint) != 4 or not isinstance(key, ExtendedPublicKey):
        raise ValueError("key")
    return AccountKey(KeyOrigin(fingerprint, path_from_text(form["path"])), key)


def _public_key_from(text: Any) -> bytes:
    key = bytes.fromhex(text)
    if not is_public_key(key) or len(key) != 33:
        raise ValueError("public key")
    return key


def _number(value: Any, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise ValueError("number")
    return value


def _texts_from(form: Any) -> Mapping[str, str]:
    if not all(isinstance(each, str) for item in form.items() for each in item):
        raise TypeError("texts")
    return MappingProxyType(dict(form))
