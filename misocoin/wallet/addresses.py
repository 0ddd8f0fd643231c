"""The kinds of address a key can have, and the accounts addresses come from."""

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import NamedTuple

from misocoin.crypto.bip32 import HARDENED, ExtendedPublicKey, Path
from misocoin.crypto.hashes import hash160, sha256
from misocoin.crypto.keys import public_key_in_form, xonly_tweak_add
from misocoin.errors import KeyFormatError
from misocoin.params import Params
from misocoin.script.taproot import tweak_hash
from misocoin.script.templates import (
    multisig_script,
    p2pk_script,
    p2pkh_script,
    p2sh_script,
    p2tr_script,
    p2wpkh_script,
    p2wsh_script,
)

# Weight of the inputs, signature included: 41 bytes of outpoint, script length and sequence, which
# weigh 4 each like all that is not witness; a signature of at most 72 bytes (low s, hash type) and
# a public key of 33 or 65, each behind its length; one more for the count of witness elements,
# which inputs without witness carry, too, beside others that have one.
BARE_INPUT_WEIGHT = 4 * 41
"""Weight units of an input without script and witness."""

SIGNATURE_SIZE = 1 + 72
"""Bytes of a signature behind its length, at most."""

_WITNESS = 1 + SIGNATURE_SIZE + (1 + 33)

MAX_COSIGNERS = 15
"""Keys of a multisig whose script can still be relayed as Core's default policy asks."""


class AddressType(Enum):
    """The form of an address; the value is Core's name for it."""

    BECH32 = "bech32"
    """P2WPKH, the default."""
    TAPROOT = "bech32m"
    """P2TR by key path (BIP86)."""
    NESTED = "p2sh-segwit"
    """P2WPKH inside P2SH, for payers who know no segwit."""
    LEGACY = "legacy"
    """P2PKH."""
    MULTISIG = "p2wsh"
    """P2WSH of a multisig; no type of a single key."""


SINGLE_KEY_TYPES = (
    AddressType.BECH32,
    AddressType.TAPROOT,
    AddressType.NESTED,
    AddressType.LEGACY,
)
"""The forms that one key can have."""

_PURPOSES = {
    AddressType.LEGACY: 44,
    AddressType.NESTED: 49,
    AddressType.BECH32: 84,
    AddressType.TAPROOT: 86,
}

_INPUT_WEIGHTS = {
    AddressType.BECH32: BARE_INPUT_WEIGHT + _WITNESS,
    AddressType.TAPROOT: BARE_INPUT_WEIGHT + 1 + (1 + 64),
    AddressType.NESTED: BARE_INPUT_WEIGHT + 4 * 23 + _WITNESS,
    AddressType.LEGACY: BARE_INPUT_WEIGHT + 4 * (SIGNATURE_SIZE + 1 + 33) + 1,
}


def address_type_from_text(text: str) -> AddressType:
    """Read one of `SINGLE_KEY_TYPES` by its name. Raises ValueError."""
    for each in SINGLE_KEY_TYPES:
        if each.value == text.strip().lower():
            return each
    raise ValueError("choose " + ", ".join(each.value for each in SINGLE_KEY_TYPES))


def script_of_key(public_key: bytes, kind: AddressType) -> bytes:
    """The output script of a compressed public key in one of `SINGLE_KEY_TYPES`.

    Raises KeyFormatError where taproot has no address for it.
    """
    if kind is AddressType.TAPROOT:
        tweaked = xonly_tweak_add(public_key[1:], tweak_hash(public_key[1:]))
        if tweaked is None:
            raise KeyFormatError("a key without a taproot address")
        return p2tr_script(tweaked[0])
    key_hash = hash160(public_key)
    if kind is AddressType.LEGACY:
        return p2pkh_script(key_hash)
    segwit = p2wpkh_script(key_hash)
    return p2sh_script(hash160(segwit)) if kind is AddressType.NESTED else segwit


def input_weight(kind: AddressType) -> int:
    """Weight units of an input that spends such an output of one key, signature included."""
    return _INPUT_WEIGHTS[kind]


def multisig_input_weight(required: int, script: bytes) -> int:
    """Weight units of an input that spends a P2WSH multisig."""
    length = 1 if len(script) < 0xFD else 3
    return BARE_INPUT_WEIGHT + 1 + 1 + required * SIGNATURE_SIZE + length + len(script)


def account_path(kind: AddressType, params: Params, number: int = 0) -> Path:
    """Where an account's key lies under the master key (BIP44, 49, 84 and 86; multisig BIP48)."""
    coin, account = params.bip44_coin + HARDENED, number + HARDENED
    if kind is AddressType.MULTISIG:
        return (48 + HARDENED, coin, account, 2 + HARDENED)
    return (_PURPOSES[kind] + HARDENED, coin, account)


class Branch(IntEnum):
    """The two rows of an account's addresses."""

    RECEIVE = 0
    CHANGE = 1


class KeyOrigin(NamedTuple):
    """Where a public key comes from, as PSBT tells it."""

    fingerprint: bytes
    """Of the master key, four bytes."""
    path: Path
    """From the master key down."""


class AccountKey(NamedTuple):
    """One key of an account."""

    origin: KeyOrigin
    """Of the account's key."""
    key: ExtendedPublicKey


class OwnAddress(NamedTuple):
    """An output script with all there is to know to spend it, but for the private keys."""

    script_pubkey: bytes
    kind: AddressType
    origins: tuple[tuple[bytes, KeyOrigin | None], ...]
    """The public keys that can sign, and where they come from: None for a key that was imported."""
    input_weight: int
    """Weight units of an input that spends it, signatures included."""
    witness_script: bytes = b""
    """Of P2WSH."""
    main_script: bytes = b""
    """Of the address it counts for, where the key has other forms beside it; else empty."""

    @property
    def counts_for(self) -> bytes:
        """The output script of the address under which its money is shown."""
        return self.main_script or self.script_pubkey


@dataclass(frozen=True)
class Account:
    """A row of addresses for receiving and one for change, from one key or several."""

    kind: AddressType
    keys: tuple[AccountKey, ...]
    required: int = 1
    """How many of the keys have to sign."""
    gap: int = 20
    """How many addresses in a row may be unused before the search ends (BIP44)."""
    next_indexes: tuple[int, int] = (1, 0)
    """By branch, the first address that was neither handed out nor seen on the chain.

    The first one for receiving is shown when the account is made.
    """
    preferred: bool = False
    """Whether new addresses of its kind come from it, though others were there before."""

    def address(self, branch: Branch, index: int) -> OwnAddress:
        """The address of that number."""
        origins: list[tuple[bytes, KeyOrigin | None]] = []
        for origin, key in self.keys:
            public_key = key.child(branch).child(index).public_key
            path = (*origin.path, int(branch), index)
            origins.append((public_key, KeyOrigin(origin.fingerprint, path)))
        if self.kind is not AddressType.MULTISIG:
            script = script_of_key(origins[0][0], self.kind)
            return OwnAddress(script, self.kind, tuple(origins), input_weight(self.kind))
        # In order of their bytes (BIP67), so that it does not matter who was named first.
        script = multisig_script(self.required, tuple(sorted(key for key, _ in origins)))
        weight = multisig_input_weight(self.required, script)
        return OwnAddress(p2wsh_script(sha256(script)), self.kind, tuple(origins), weight, script)


def forms_of_key(public_key: bytes) -> tuple[OwnAddress, ...]:
    """All that one imported key (33 bytes) can spend, its bech32 form first.

    Those of Core's `combo()` descriptor and taproot's: P2PK, P2PKH, P2WPKH, P2SH-P2WPKH, P2TR, and
    the first two with the uncompressed public key as well.
    """
    long_form = public_key_in_form(public_key, compressed=False)
    main = script_of_key(public_key, AddressType.BECH32)

    def form(script: bytes, kind: AddressType, key: bytes, weight: int) -> OwnAddress:
        shown = b"" if script == main else main
        return OwnAddress(script, kind, ((key, None),), weight, main_script=shown)

    p2pk_weight = BARE_INPUT_WEIGHT + 4 * SIGNATURE_SIZE + 1
    long_weight = BARE_INPUT_WEIGHT + 4 * (SIGNATURE_SIZE + 1 + 65) + 1
    legacy = AddressType.LEGACY
    return (
        *(
            form(script_of_key(public_key, kind), kind, public_key, input_weight(kind))
            for kind in SINGLE_KEY_TYPES
        ),
        form(p2pk_script(public_key), legacy, public_key, p2pk_weight),
        form(p2pk_script(long_form), legacy, long_form, p2pk_weight),
        form(p2pkh_script(hash160(long_form)), legacy, long_form, long_weight),
    )
