"""Own addresses and accounts as output descriptors (BIP380), as Core writes its wallet's."""

from collections.abc import Sequence
from typing import Final

from misocoin.crypto.bip32 import ExtendedPrivateKey, text_from_path
from misocoin.crypto.hashes import hash160
from misocoin.params import Params
from misocoin.script.descriptor_text import with_checksum
from misocoin.script.templates import ScriptKind, template_from_script
from misocoin.wallet.addresses import (
    Account,
    AccountKey,
    AddressType,
    Branch,
    KeyOrigin,
    OwnAddress,
)
from misocoin.wallet.keychain import Keychain
from misocoin.wallet.walletfile import Secrets

FORMS: Final = {
    AddressType.LEGACY: "pkh({})",
    AddressType.NESTED: "sh(wpkh({}))",
    AddressType.TAPROOT: "tr({})",
    AddressType.BECH32: "wpkh({})",
}
"""How descriptors say that an output pays one key, in the order in which Core lists them."""


def path_text(origin: KeyOrigin) -> str:
    """The way from the master key, hardened steps marked with `h`: `m/84h/1h/0h/0/5`."""
    return text_from_path(origin.path).replace("'", "h")


def own_descriptor(own: OwnAddress) -> str:
    """The descriptor of an own address by its public keys, with its checksum."""
    keys = [_key_text(key, origin, own.kind) for key, origin in own.origins]
    if own.kind is AddressType.MULTISIG:
        required = template_from_script(own.witness_script).required
        return with_checksum(f"wsh(sortedmulti({required},{','.join(keys)}))")
    if template_from_script(own.script_pubkey).kind is ScriptKind.P2PK:
        return with_checksum(f"pk({keys[0]})")
    return with_checksum(FORMS[own.kind].format(keys[0]))


def _key_text(public_key: bytes, origin: KeyOrigin | None, kind: AddressType) -> str:
    # A key that was imported is its own master.
    origin = origin or KeyOrigin(hash160(public_key)[:4], ())
    key = public_key[1:] if kind is AddressType.TAPROOT else public_key
    return f"[{_origin_text(origin)}]{key.hex()}"


def _origin_text(origin: KeyOrigin) -> str:
    return origin.fingerprint.hex() + path_text(origin).removeprefix("m")


Roots = Sequence[tuple[KeyOrigin, ExtendedPrivateKey]]
"""Extended private keys, and where they are in their trees."""


def roots_of(secrets: Secrets) -> Roots:
    """The extended private keys that a wallet's accounts come from."""
    master = secrets.master
    own = () if master is None else ((KeyOrigin(master.fingerprint, ()), master),)
    return (*own, *secrets.roots)


def account_descriptor(account: Account, branch: Branch, params: Params, roots: Roots = ()) -> str:
    """The descriptor of a row of an account's addresses; with `roots` a private one."""
    keys = [_account_key_text(key, branch, params, roots) for key in account.keys]
    if account.kind is AddressType.MULTISIG:
        return with_checksum(f"wsh(sortedmulti({account.required},{','.join(keys)}))")
    return with_checksum(FORMS[account.kind].format(keys[0]))


def _account_key_text(key: AccountKey, branch: Branch, params: Params, roots: Roots) -> str:
    for at, root in roots:
        depth = len(at.path)
        if at.fingerprint == key.origin.fingerprint and key.origin.path[:depth] == at.path:
            origin = f"[{_origin_text(at)}]" if at.path else ""
            rest = path_text(KeyOrigin(at.fingerprint, key.origin.path[depth:]))
            xprv = root.to_text(params.address.bip32_private)
            return f"{origin}{xprv}{rest.removeprefix('m')}/{branch:d}/*"
    origin = f"[{_origin_text(key.origin)}]" if key.origin.path else ""
    return f"{origin}{key.key.to_text(params.address.bip32_public)}/{branch:d}/*"


def key_descriptor(public_key: bytes) -> str:
    """The descriptor of all that an imported key can spend."""
    return with_checksum(f"combo({public_key.hex()})")


def parent_descriptor(script: bytes, keychain: Keychain, params: Params) -> str | None:
    """The descriptor from which an own output script came; None for somebody else's."""
    place = keychain.place_of(script)
    if place is not None:
        return account_descriptor(keychain.file.accounts[place.account], place.branch, params)
    own = keychain.scripts.get(script)
    return None if own is None else key_descriptor(own.origins[0][0])
