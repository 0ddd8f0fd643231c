"""Spends to test with: real keys, real signatures, one input and two outputs."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from misocoin.crypto.batch import verify_batch
from misocoin.crypto.keys import PrivateKey, xonly_tweak_add
from misocoin.primitives.transaction import Transaction, TxIn, TxOut, outpoint
from misocoin.script import flags as verify_flags
from misocoin.script.inputs import check_input_deferred, verify_input
from misocoin.script.result import ScriptError
from misocoin.script.sighash import TxDigests, annex_hash, taproot_sighash
from misocoin.script.taproot import leaf_hash, root_from_path, tweak_hash
from misocoin.script.templates import p2tr_script

KEYS = tuple(PrivateKey(bytes((number,)) * 32) for number in range(1, 6))
CONSENSUS = verify_flags.MANDATORY
AMOUNT = 5_000


def input_digests(
    script_pubkey: bytes,
    script_sig: bytes = b"",
    witness: Sequence[bytes] = (),
    *,
    version: int = 2,
    sequence: int = 0xFFFFFFFE,
    locktime: int = 0,
    outputs: int = 2,
    inputs: int = 2,
    index: int = 0,
) -> TxDigests:
    """A transaction whose input `index` spends an output with that script."""
    vin = [TxIn(outpoint(bytes((9 + n,)) * 32, n), b"", sequence - n) for n in range(inputs)]
    spent = [TxOut(AMOUNT + n, b"\x51") for n in range(inputs)]
    vin[index] = vin[index]._replace(script_sig=script_sig, witness=tuple(witness))
    spent[index] = TxOut(AMOUNT, script_pubkey)
    vout = [TxOut(1_000 + n, b"\x00\x14" + bytes((n,)) * 20) for n in range(outputs)]
    return TxDigests(Transaction.build(version, vin, vout, locktime), tuple(spent))


def with_input(digests: TxDigests, index: int, txin: TxIn) -> TxDigests:
    """The same transaction with one input replaced."""
    tx = digests.tx
    vin = [*tx.vin[:index], txin, *tx.vin[index + 1 :]]
    return TxDigests(Transaction.build(tx.version, vin, tx.vout, tx.locktime), digests.spent)


def error_by_batch(digests: TxDigests, index: int, flags: int) -> ScriptError | None:
    """The result as a block gets it: jobs, one batch, the exact check where a job fails."""
    jobs = check_input_deferred(digests, index, flags)
    if isinstance(jobs, ScriptError):
        return jobs
    return verify_input(digests, index, flags) if verify_batch(jobs) else None


def error_of(digests: TxDigests, flags: int = CONSENSUS, index: int = 0) -> str:
    """The exact result, as a name; fails where the deferred one differs."""
    error = verify_input(digests, index, flags)
    assert error_by_batch(digests, index, flags) == error
    return "OK" if error is None else error.name


class Leaf(NamedTuple):
    """A script in a taproot output."""

    script: bytes
    version: int = 0xC0
    path: tuple[bytes, ...] = ()
    internal: PrivateKey = KEYS[0]

    @property
    def hash(self) -> bytes:
        return leaf_hash(self.version, self.script)

    @property
    def output(self) -> tuple[bytes, int]:
        root = root_from_path(self.hash, self.path)
        key = self.internal.xonly_public_key
        return xonly_tweak_add(key, tweak_hash(key, root))

    @property
    def script_pubkey(self) -> bytes:
        return p2tr_script(self.output[0])

    @property
    def control(self) -> bytes:
        first = bytes((self.version | self.output[1],))
        return first + self.internal.xonly_public_key + b"".join(self.path)


class LeafSignature(NamedTuple):
    """To be put in its place in a witness, when all that it signs is known."""

    key: PrivateKey
    hash_type: int = 0
    codeseparator: int = 0xFFFFFFFF
    annex: bytes | None = None
    leaf: Leaf | None = None
    """Another leaf than the one that is run."""

    def make(self, digests: TxDigests, index: int, leaf: Leaf) -> bytes:
        digest = taproot_sighash(
            digests,
            index,
            self.hash_type,
            None if self.annex is None else annex_hash(self.annex),
            ((self.leaf or leaf).hash, self.codeseparator),
        )
        suffix = bytes((self.hash_type,)) if self.hash_type else b""
        return self.key.sign_schnorr(digest, bytes(32)) + suffix


def leaf_spend(
    leaf: Leaf,
    *items: bytes | LeafSignature,
    annex: bytes | None = None,
    change: Callable[[bytes], bytes] = bytes,
    **options: int,
) -> TxDigests:
    """Spend by script path; `items` lie on the stack, `change` may spoil the control block."""
    digests = input_digests(leaf.script_pubkey, **options)
    index = options.get("index", 0)
    stack = [
        item.make(digests, index, leaf) if isinstance(item, LeafSignature) else item
        for item in items
    ]
    witness = [*stack, leaf.script, change(leaf.control)]
    if annex is not None:
        witness.append(annex)
    return with_input(digests, index, digests.tx.vin[index]._replace(witness=tuple(witness)))
