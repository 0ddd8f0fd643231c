"""Signing inputs that spend standard outputs: P2PK, P2PKH, multisig, P2SH, P2WPKH, P2WSH, P2TR.

Taproot outputs are signed by key path: for an output key that is held, that commits to a key that
is held and to no scripts (BIP86), or of which more is known. What is known of it may also be a
script that asks for signatures (BIP342).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from misocoin.crypto.hashes import hash160, sha256
from misocoin.crypto.keys import PrivateKey, verify_ecdsa, verify_schnorr
from misocoin.errors import WalletError
from misocoin.primitives.transaction import Transaction, TxIn
from misocoin.script.encoding import is_strict_der
from misocoin.script.machine import NO_CODESEPARATOR
from misocoin.script.script import operations, push_data
from misocoin.script.sighash import (
    SIGHASH_ALL,
    SIGHASH_DEFAULT,
    SpentOutput,
    TxDigests,
    legacy_sighash,
    segwit_sighash,
    taproot_sighash,
)
from misocoin.script.taproot import (
    KeyScript,
    TaprootLeaf,
    TaprootOutput,
    key_script_from_bytes,
    tweak_hash,
)
from misocoin.script.templates import (
    ScriptKind,
    ScriptTemplate,
    p2pkh_script,
    p2wpkh_script,
    template_from_script,
)


class KeySource(Protocol):
    """Who holds keys: a key ring, a wallet."""

    def key_for_public_key(self, public_key: bytes) -> PrivateKey | None:
        """The private key whose `public_key` this is."""

    def key_for_hash(self, key_hash: bytes) -> PrivateKey | None:
        """The private key whose `public_key` has this HASH160."""

    def key_for_output_key(self, output_key: bytes) -> PrivateKey | None:
        """The private key, already tweaked, of a taproot output key (32 bytes)."""

    def taproot_for(self, output_key: bytes) -> TaprootOutput | None:
        """What a taproot output key (32 bytes) commits to, where that is known."""

    def script_for_hash(self, script_hash: bytes) -> bytes | None:
        """The script behind a P2SH (HASH160, 20 bytes) or P2WSH (SHA-256, 32 bytes) output."""


@dataclass(frozen=True)
class KeyRing:
    """Keys and scripts in memory."""

    by_public_key: Mapping[bytes, PrivateKey]
    """Public key -> its private key."""
    by_hash: Mapping[bytes, PrivateKey]
    """HASH160 of a public key -> its private key."""
    scripts: Mapping[bytes, bytes]
    """HASH160 and SHA-256 of a script -> the script."""
    taproot: Mapping[bytes, TaprootOutput] = field(default_factory=dict)
    """Output key -> what it commits to."""

    @classmethod
    def build(
        cls,
        keys: Iterable[PrivateKey],
        scripts: Iterable[bytes] = (),
        taproot: Iterable[TaprootOutput] = (),
    ) -> "KeyRing":
        """Hold `keys`, the scripts that P2SH and P2WSH outputs stand for, and taproot outputs.

        P2SH-P2WPKH of the keys needs no script to be named.
        """
        held = tuple(keys)
        by_hash = {hash160(key.public_key): key for key in held}
        nested = (p2wpkh_script(key_hash) for key_hash, key in by_hash.items() if key.compressed)
        all_scripts = (*scripts, *nested)
        return cls(
            {key.public_key: key for key in held},
            by_hash,
            {
                **{hash160(script): script for script in all_scripts},
                **{sha256(script): script for script in all_scripts},
            },
            {output.output_key: output for output in taproot},
        )

    @classmethod
    def of(cls, rings: Iterable["KeyRing"]) -> "KeyRing":
        """One that holds what several hold."""
        by_public_key: dict[bytes, PrivateKey] = {}
        by_hash: dict[bytes, PrivateKey] = {}
        scripts: dict[bytes, bytes] = {}
        taproot: dict[bytes, TaprootOutput] = {}
        for ring in rings:
            by_public_key |= ring.by_public_key
            by_hash |= ring.by_hash
            scripts |= ring.scripts
            taproot |= ring.taproot
        return cls(by_public_key, by_hash, scripts, taproot)

    def key_for_public_key(self, public_key: bytes) -> PrivateKey | None:
        """As `KeySource.key_for_public_key`."""
        return self.by_public_key.get(public_key)

    def key_for_hash(self, key_hash: bytes) -> PrivateKey | None:
        """As `KeySource.key_for_hash`."""
        return self.by_hash.get(key_hash)

    def key_for_output_key(self, output_key: bytes) -> PrivateKey | None:
        """As `KeySource.key_for_output_key`; derives the output key of each key that is held."""
        for key in self.by_public_key.values():
            for tweaked in (output_key_of(key), key):
                if tweaked.xonly_public_key == output_key:
                    return tweaked
        return None

    def taproot_for(self, output_key: bytes) -> TaprootOutput | None:
        """As `KeySource.taproot_for`."""
        return self.taproot.get(output_key)

    def script_for_hash(self, script_hash: bytes) -> bytes | None:
        """As `KeySource.script_for_hash`."""
        return self.scripts.get(script_hash)


def output_key_of(key: PrivateKey) -> PrivateKey:
    """The private key of the taproot output that commits to `key` and to no scripts (BIP86)."""
    return key.xonly_tweak_add(tweak_hash(key.xonly_public_key))


@dataclass(frozen=True)
class _Signer:
    """One input's signatures."""

    digests: TxDigests
    index: int
    keys: KeySource
    hash_type: int
    is_partial: bool = False
    """Whether a multisig may lack signatures; those that the input has are kept."""

    def held(self, key: PrivateKey | None) -> PrivateKey:
        if key is None:
            raise WalletError(f"no key for input {self.index}")
        return key

    def ecdsa(self, key: PrivateKey, script_code: bytes, *, segwit: bool) -> bytes:
        hash_type = self.hash_type or SIGHASH_ALL
        sighash = segwit_sighash if segwit else legacy_sighash
        digest = sighash(self.digests, self.index, script_code, hash_type)
        return key.sign_ecdsa(digest) + bytes((hash_type,))

    def elements(
        self, template: ScriptTemplate, script: bytes, *, segwit: bool = False
    ) -> list[bytes]:
        """What has to lie on the stack for a script of a plain form."""
        if template.kind is ScriptKind.P2PK:
            key = self.held(self.keys.key_for_public_key(template.solutions[0]))
            return [self.ecdsa(key, script, segwit=segwit)]
        if template.kind is ScriptKind.P2PKH:
            key = self.held(self.keys.key_for_hash(template.solutions[0]))
            return [self.ecdsa(key, script, segwit=segwit), key.public_key]
        if template.kind is ScriptKind.MULTISIG:
            return [b"", *self.multisig(template, script, segwit=segwit)]
        raise WalletError(f"input {self.index}: cannot sign a {template.kind.value} output")

    def multisig(self, template: ScriptTemplate, script: bytes, *, segwit: bool) -> list[bytes]:
        """As many signatures as the script asks for, in the order of its keys.

        A partial one has, as Core's, an empty element for every two that are missing.
        """
        required = template.required
        found = map(self.keys.key_for_public_key, template.solutions)
        own = {key.public_key: key for key in found if key}
        if not self.is_partial and len(own) < required:
            raise WalletError(
                f"input {self.index} needs {required} signatures, keys are here for {len(own)}"
            )
        there = self.signatures_there(template, script, segwit=segwit) if self.is_partial else {}
        signatures = [
            there.get(public_key) or self.ecdsa(own[public_key], script, segwit=segwit)
            for public_key in template.solutions
            if public_key in there or public_key in own
        ][:required]
        return signatures + [b""] * ((required - len(signatures) + 1) // 2)

    def signatures_there(
        self, template: ScriptTemplate, script: bytes, *, segwit: bool
    ) -> dict[bytes, bytes]:
        """The valid signatures that the input has already, by public key."""
        txin = self.digests.tx.vin[self.index]
        pushed = [data for _, data in operations(txin.script_sig) if data]
        sighash = segwit_sighash if segwit else legacy_sighash
        found = {}
        for element in (*txin.witness, *pushed):
            if not is_strict_der(element):
                continue
            digest = sighash(self.digests, self.index, script, element[-1])
            for public_key in template.solutions:
                if verify_ecdsa(public_key, element[:-1], digest):
                    found[public_key] = element
        return found

    def script_behind(self, script_hash: bytes) -> bytes:
        script = self.keys.script_for_hash(script_hash)
        if script is None:
            raise WalletError(f"the script behind the hash of input {self.index} is not known")
        return script

    def witness(self, template: ScriptTemplate) -> tuple[bytes, ...] | None:
        """The witness for an output of segwit; None for the forms before it."""
        if template.kind is ScriptKind.P2WPKH:
            script = p2pkh_script(template.solutions[0])
            return tuple(self.elements(template_from_script(script), script, segwit=True))
        if template.kind is ScriptKind.P2WSH:
            script = self.script_behind(template.solutions[0])
            elements = self.elements(template_from_script(script), script, segwit=True)
            return (*elements, script)
        if template.kind is ScriptKind.P2TR:
            return self.taproot(template.solutions[0])
        return None

    def taproot(self, output_key: bytes) -> tuple[bytes, ...]:
        """The witness of the key path, or else of the first script that keys are here for."""
        key = self.keys.key_for_output_key(output_key)
        known = self.keys.taproot_for(output_key)
        if key is None and known is not None:
            internal = self.key_for_xonly(known.internal_key)
            key = None if internal is None else internal.xonly_tweak_add(known.tweak)
        if key is not None:
            return (self.schnorr(key),)
        witness = None if known is None else self.script_path(known)
        if witness is None:
            raise WalletError(f"no key for input {self.index}")
        return witness

    def key_for_xonly(self, xonly: bytes) -> PrivateKey | None:
        even, odd = (self.keys.key_for_public_key(bytes((parity,)) + xonly) for parity in (2, 3))
        return even or odd

    def script_path(self, output: TaprootOutput) -> tuple[bytes, ...] | None:
        """The witness of a script, the shortest way first; None without any signature."""
        partial = None
        for leaf in sorted(output.leaves, key=lambda leaf: len(leaf.path)):
            script = key_script_from_bytes(leaf.script)
            if script is None:
                continue
            signatures = self.leaf_signatures(leaf, script)
            count = len(signatures) - signatures.count(b"")
            witness = (*reversed(signatures), leaf.script, output.control_block(leaf))
            if count == (script.required or 1):
                return witness
            if count and self.is_partial:
                partial = partial or witness
        return partial

    def leaf_signatures(self, leaf: TaprootLeaf, script: KeyScript) -> list[bytes]:
        """A signature or nothing for each key: those that are there, and new ones."""
        there = self.digests.tx.vin[self.index].witness if self.is_partial else ()
        found = []
        missing = script.required or 1
        for xonly in script.keys:
            signature = b""
            if missing:
                signature = self.leaf_signature_there(leaf, xonly, there)
                if not signature and (key := self.key_for_xonly(xonly)) is not None:
                    signature = self.schnorr(key, leaf)
            missing -= bool(signature)
            found.append(signature)
        return found

    def leaf_signature_there(
        self, leaf: TaprootLeaf, xonly: bytes, elements: tuple[bytes, ...]
    ) -> bytes:
        """The valid signature of a key among these; empty without one."""
        for element in elements:
            if len(element) not in (64, 65):
                continue
            digest = self.taproot_digest(element[64] if len(element) == 65 else 0, leaf)
            if digest is not None and verify_schnorr(xonly, element[:64], digest):
                return element
        return b""

    def taproot_digest(self, hash_type: int, leaf: TaprootLeaf | None) -> bytes | None:
        of_leaf = None if leaf is None else (leaf.hash, NO_CODESEPARATOR)
        return taproot_sighash(self.digests, self.index, hash_type, leaf=of_leaf)

    def schnorr(self, key: PrivateKey, leaf: TaprootLeaf | None = None) -> bytes:
        digest = self.taproot_digest(self.hash_type, leaf)
        if digest is None:
            raise WalletError(f"input {self.index} cannot be signed with that hash type")
        return key.sign_schnorr(digest) + (bytes((self.hash_type,)) if self.hash_type else b"")


def sign_input(
    digests: TxDigests,
    index: int,
    keys: KeySource,
    hash_type: int = SIGHASH_DEFAULT,
    *,
    is_partial: bool = False,
) -> TxIn:
    """Input `index`, signed; whatever scripts and witness it had are replaced.

    SIGHASH_DEFAULT means ALL before taproot. With `is_partial` a multisig keeps the signatures it
    has, and may be left without some. Raises WalletError if a key or script is missing or the
    output is of no standard form.
    """
    signer = _Signer(digests, index, keys, hash_type, is_partial)
    txin = digests.tx.vin[index]
    script = digests.spent[index].script_pubkey
    template = template_from_script(script)
    redeem_push = b""
    if template.kind is ScriptKind.P2SH:
        script = signer.script_behind(template.solutions[0])
        template = template_from_script(script)
        redeem_push = push_data(script)
    # Inside P2SH taproot is no taproot (BIP341): nothing a signature could be for.
    nested_taproot = redeem_push and template.kind is ScriptKind.P2TR
    witness = None if nested_taproot else signer.witness(template)
    if witness is not None:
        return txin._replace(script_sig=redeem_push, witness=witness)
    pushes = b"".join(map(push_data, signer.elements(template, script)))
    return txin._replace(script_sig=pushes + redeem_push, witness=())


def sign_transaction(
    tx: Transaction,
    spent: Sequence[SpentOutput],
    keys: KeySource,
    hash_type: int = SIGHASH_DEFAULT,
) -> Transaction:
    """All inputs signed; raises WalletError as `sign_input` does."""
    digests = TxDigests(tx, spent)
    vin = [sign_input(digests, index, keys, hash_type) for index in range(len(tx.vin))]
    return Transaction.build(tx.version, vin, tx.vout, tx.locktime)
