"""Spends drawn at random: every kind of output, unlocked rightly, nearly rightly, or damaged.

A `Lock` is made first, then a transaction around it, then what unlocks it, as signatures cover the
transaction. Most of what comes out is valid until the damage.
"""

from collections.abc import Callable
from random import Random
from typing import NamedTuple

from misocoin.crypto.hashes import hash160, sha256
from misocoin.crypto.keys import xonly_tweak_add
from misocoin.primitives.transaction import Transaction, TxIn, TxOut, outpoint
from misocoin.script.script import push_data
from misocoin.script.sighash import (
    TxDigests,
    legacy_sighash,
    segwit_sighash,
)
from misocoin.script.taproot import branch_hash, leaf_hash, root_from_path, tweak_hash
from misocoin.script.templates import (
    p2pkh_script,
    p2sh_script,
    p2tr_script,
    p2wpkh_script,
    p2wsh_script,
    witness_script,
)
from tests.unit.script.random_scripts import (
    LOCK_TIMES,
    SEQUENCES,
    Item,
    draw_data,
    draw_ecdsa,
    draw_public_key,
    draw_push,
    draw_puzzle,
    draw_schnorr,
    draw_tapscript,
    with_bit,
)
from tests.unit.script.spends import KEYS, with_input


class Lock(NamedTuple):
    """An output's script, and what unlocks it."""

    kind: str
    script_pubkey: bytes
    unlock: Callable[[TxDigests, int], tuple[bytes, tuple[bytes, ...]]]
    """scriptSig and witness."""


SELF_SIGNED = "self-signed"

# -- outputs ----------------------------------------------------------------------------------


def _items(items: list[Item], digests: TxDigests, index: int) -> list[bytes]:
    return [item if isinstance(item, bytes) else item(digests, index) for item in items]


def draw_bare(random: Random) -> Lock:
    puzzle = draw_puzzle(random, legacy_sighash)
    seed = random.random()

    def unlock(digests: TxDigests, index: int) -> tuple[bytes, tuple[bytes, ...]]:
        pushes = Random(seed)
        made = _items(puzzle.items, digests, index)
        return b"".join(draw_push(pushes, item) for item in made), ()

    return Lock("bare", puzzle.script, unlock)


def draw_self_signed(random: Random) -> Lock:
    """A script that holds the signature which it checks: cut out before it is hashed.

    `draw_spend` puts the signature into the output's script as well.
    """
    key = random.choice(KEYS)
    signed = b"\x75" + push_data(key.public_key) + b"\xac"
    item = draw_ecdsa(random, key, signed, legacy_sighash)

    def unlock(digests: TxDigests, index: int) -> tuple[bytes, tuple[bytes, ...]]:
        return push_data(*_items([item], digests, index)), ()

    return Lock(SELF_SIGNED, signed, unlock)


def draw_key_hash(random: Random) -> Lock:
    key = random.choice(KEYS)
    public_key = draw_public_key(random, key)
    script = p2pkh_script(hash160(public_key))
    item = draw_ecdsa(random, key, script, legacy_sighash)

    def unlock(digests: TxDigests, index: int) -> tuple[bytes, tuple[bytes, ...]]:
        (made,) = _items([item], digests, index)
        return push_data(made) + push_data(public_key), ()

    return Lock("P2PKH", script, unlock)


def draw_script_hash(random: Random) -> Lock:
    puzzle = draw_puzzle(random, legacy_sighash)
    extra = random.choice([b""] * 9 + [b"\x61"])

    def unlock(digests: TxDigests, index: int) -> tuple[bytes, tuple[bytes, ...]]:
        pushes = b"".join(map(push_data, _items(puzzle.items, digests, index)))
        return pushes + extra + push_data(puzzle.script), ()

    return Lock("P2SH", p2sh_script(hash160(puzzle.script)), unlock)


def draw_witness_key_hash(random: Random) -> Lock:
    key = random.choice(KEYS)
    public_key = draw_public_key(random, key)
    signed = p2pkh_script(hash160(public_key))
    items: list[Item] = [draw_ecdsa(random, key, signed, segwit_sighash), public_key]
    return nested_at_times(random, "P2WPKH", p2wpkh_script(hash160(public_key)), items)


def draw_witness_script_hash(random: Random) -> Lock:
    puzzle = draw_puzzle(random, segwit_sighash)
    items = [*puzzle.items, puzzle.script]
    return nested_at_times(random, "P2WSH", p2wsh_script(sha256(puzzle.script)), items)


def nested_at_times(random: Random, kind: str, script: bytes, items: list[Item]) -> Lock:
    """The output itself, or behind a script hash."""
    nested = random.random() < 0.4

    def unlock(digests: TxDigests, index: int) -> tuple[bytes, tuple[bytes, ...]]:
        return push_data(script) if nested else b"", tuple(_items(items, digests, index))

    if nested:
        return Lock(f"P2SH-{kind}", p2sh_script(hash160(script)), unlock)
    return Lock(kind, script, unlock)


def draw_other_program(random: Random) -> Lock:
    """A witness program without rules: unknown version or length, or anyone's anchor."""
    version = random.choice([0, 1, 1, 2, 16])
    program = random.choice([b"\x4e\x73", random.randbytes(random.choice([2, 20, 31, 32, 33, 40]))])
    items: list[Item] = [draw_data(random) for _ in range(random.randrange(3))]
    return nested_at_times(random, "program", witness_script(version, program), items)


# -- taproot ----------------------------------------------------------------------------------


def draw_annex(random: Random) -> bytes | None:
    return b"\x50" + random.randbytes(random.randrange(40)) if random.random() < 0.2 else None


def draw_taproot_key(random: Random) -> Lock:
    root = random.choice([b"", random.randbytes(32)])
    key = random.choice(KEYS)
    tweaked = key.xonly_tweak_add(tweak_hash(key.xonly_public_key, root))
    annex = draw_annex(random)
    item = draw_schnorr(random, tweaked, annex, None)

    def unlock(digests: TxDigests, index: int) -> tuple[bytes, tuple[bytes, ...]]:
        tail = [] if annex is None else [annex]
        return b"", (*_items([item], digests, index), *tail)

    return Lock("P2TR key", p2tr_script(tweaked.xonly_public_key), unlock)


def draw_taproot_script(random: Random) -> Lock:
    """A leaf somewhere in a tree."""
    version = random.choice([0xC0] * 8 + [0xC2, 0x00, 0xFE, 0x66])
    annex = draw_annex(random)
    depth = random.choice([0, 0, 1, 2, 3, 10, 127, 128, 129])
    control_size = 33 + 32 * depth
    prefix = 1 if control_size < 253 else 3
    script, satisfy = draw_tapscript(random, annex, prefix + control_size)
    leaf = leaf_hash(version, script)
    path = tuple(
        branch_hash(random.randbytes(32), leaf) if at == 0 else random.randbytes(32)
        for at in range(depth)
    )
    internal = random.choice(KEYS).xonly_public_key
    tweaked = xonly_tweak_add(internal, tweak_hash(internal, root_from_path(leaf, path)))
    assert tweaked is not None
    output_key, parity = tweaked
    if random.random() < 0.03:
        parity ^= 1
    control = bytes((version | parity,)) + internal + b"".join(path)
    items = satisfy(leaf)

    def unlock(digests: TxDigests, index: int) -> tuple[bytes, tuple[bytes, ...]]:
        tail = [script, control] + ([] if annex is None else [annex])
        return b"", (*_items(items, digests, index), *tail)

    return Lock("P2TR script", p2tr_script(output_key), unlock)


PAYABLE_LOCKS = (
    draw_bare,
    draw_bare,
    draw_key_hash,
    draw_script_hash,
    draw_witness_key_hash,
    draw_witness_script_hash,
    draw_witness_script_hash,
    draw_other_program,
    draw_taproot_key,
    draw_taproot_script,
    draw_taproot_script,
    draw_taproot_script,
)
LOCKS = (*PAYABLE_LOCKS, draw_self_signed)


# -- transactions -----------------------------------------------------------------------------


def damage(random: Random, data: bytes) -> bytes:
    """A byte changed, taken out or put in."""
    if not data:
        return random.randbytes(random.randrange(3))
    at = random.randrange(len(data))
    match random.randrange(4):
        case 0:
            return data[:at] + data[at + 1 :]
        case 1:
            return data[:at] + random.randbytes(1) + data[at:]
        case _:
            return with_bit(data, 8 * at + random.randrange(8))


def damage_spend(random: Random, digests: TxDigests, index: int) -> TxDigests:
    """One thing about the spend changed, after all was signed."""
    tx, txin = digests.tx, digests.tx.vin[index]
    witness = list(txin.witness)
    at = random.randrange(len(witness) or 1)
    match random.randrange(9):
        case 0 | 1 | 2 if witness:
            witness[at] = damage(random, witness[at])
        case 3 if witness:
            del witness[at]
        case 4:
            witness.insert(at, draw_data(random))
        case 5:
            return with_input(digests, index, txin._replace(sequence=random.choice(SEQUENCES)))
        case 6:
            spent = list(digests.spent)
            script = damage(random, spent[index].script_pubkey)
            spent[index] = TxOut(spent[index].value, script)
            return TxDigests(tx, tuple(spent))
        case 7:
            changed = Transaction.build(
                random.choice([1, 2, 3]), tx.vin, tx.vout, random.choice(LOCK_TIMES)
            )
            return TxDigests(changed, digests.spent)
        case _:
            script_sig = damage(random, txin.script_sig)
            return with_input(digests, index, txin._replace(script_sig=script_sig))
    return with_input(digests, index, txin._replace(witness=tuple(witness)))


class Spend(NamedTuple):
    """An input to be checked."""

    kind: str
    digests: TxDigests
    index: int


def unlocked(lock: Lock, digests: TxDigests, index: int) -> TxDigests:
    """The transaction with that input's scriptSig and witness put in."""
    script_sig, witness = lock.unlock(digests, index)
    txin = digests.tx.vin[index]._replace(script_sig=script_sig, witness=witness)
    return with_input(digests, index, txin)


def draw_spend(random: Random) -> Spend:
    """One input that spends an output of any kind, among others."""
    lock = random.choice(LOCKS)(random)
    count = random.randint(1, 4)
    index = random.randrange(count)
    locktime = random.choice(LOCK_TIMES)
    vin = [
        TxIn(outpoint(random.randbytes(32), random.randrange(5)), b"", random.choice(SEQUENCES))
        for _ in range(count)
    ]
    spent = [TxOut(random.randrange(10**9), random.randbytes(random.randrange(40))) for _ in vin]
    spent[index] = TxOut(random.choice([0, 1, 10**8, 21 * 10**14]), lock.script_pubkey)
    vout = [
        TxOut(random.randrange(10**9), random.randbytes(random.randrange(30)))
        for _ in range(random.randint(1, 4))
    ]
    version = random.choice([1, 2, 2, 2, 3, 0, -1, 2**31 - 1])
    digests = TxDigests(Transaction.build(version, vin, vout, locktime), tuple(spent))
    digests = unlocked(lock, digests, index)
    if lock.kind == SELF_SIGNED:
        script_sig = digests.tx.vin[index].script_sig
        spent[index] = TxOut(spent[index].value, script_sig + lock.script_pubkey)
        digests = TxDigests(digests.tx, tuple(spent))
    if random.random() < 0.3:
        digests = damage_spend(random, digests, index)
    return Spend(lock.kind, digests, index)
