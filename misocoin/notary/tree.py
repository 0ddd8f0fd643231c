"""From many files to one root, from the root to a payment, from the payment to a block.

Each file's digest gets random bytes behind it before it meets others, so that a proof tells
nothing about the files beside it. A node is the SHA-256 of its two children one after the other;
one that has no neighbour goes up a level as it is, so no list of files has the root of another.
"""

from collections.abc import Sequence
from typing import NamedTuple

from misocoin.crypto.hashes import sha256
from misocoin.errors import ParseError
from misocoin.notary.proof import MAX_MESSAGE, Op, Step, message_after
from misocoin.primitives.transaction import Transaction
from misocoin.script.templates import nulldata_script

NONCE_SIZE = 16
"""Random bytes behind each digest: more than anybody can try."""

_HASH = Step(Op.SHA256)


class Stamped(NamedTuple):
    """Digests under one root."""

    root: bytes
    """32 bytes."""
    paths: tuple[tuple[Step, ...], ...]
    """For each digest the steps that lead to the root."""


def stamp_digests(digests: Sequence[bytes], nonces: Sequence[bytes]) -> Stamped:
    """Put at least one digest under one root, each with a nonce of its own."""
    starts = [(Step(Op.APPEND, nonce), _HASH) for nonce in nonces]
    leaves = [message_after(path, each) for path, each in zip(starts, digests, strict=True)]
    root, paths = calculate_tree(leaves)
    joined = [start + path for start, path in zip(starts, paths, strict=True)]
    return Stamped(root, tuple(joined))


def calculate_tree(leaves: Sequence[bytes]) -> tuple[bytes, list[tuple[Step, ...]]]:
    """The root over at least one leaf, and the steps from each leaf to it."""
    paths: list[list[Step]] = [[] for _ in leaves]
    # A node and the leaves below it, which stand side by side.
    level = [(leaf, range(at, at + 1)) for at, leaf in enumerate(leaves)]
    while len(level) > 1:
        above = []
        for (left, lefts), (right, rights) in zip(level[::2], level[1::2], strict=False):
            for at in lefts:
                paths[at] += (Step(Op.APPEND, right), _HASH)
            for at in rights:
                paths[at] += (Step(Op.PREPEND, left), _HASH)
            above.append((sha256(left + right), range(lefts.start, rights.stop)))
        if len(level) % 2:
            above.append(level[-1])
        level = above
    return level[0][0], [tuple(path) for path in paths]


def steps_to_txid(root: bytes, tx: Transaction) -> tuple[Step, ...]:
    """From a root to the id of the payment that has it in an output.

    Raises ParseError where it is not there, or where the payment is too long for a proof.
    """
    raw = tx.serialize(witness=False)
    before, script, after = raw.partition(nulldata_script(root))
    if not script:
        raise ParseError("the payment does not have the root in it")
    if len(raw) > MAX_MESSAGE:
        raise ParseError(
            f"the payment has {len(raw)} bytes, and no proof takes more than {MAX_MESSAGE}: it "
            "spends too many small coins, put them together first"
        )
    before += script[: -len(root)]
    return Step(Op.PREPEND, before), Step(Op.APPEND, after), _HASH, _HASH


def steps_to_block(branch: Sequence[bytes], position: int) -> tuple[Step, ...]:
    """From the id of the transaction at `position` of a block to the block's merkle root."""
    steps: list[Step] = []
    for level, sibling in enumerate(branch):
        op = Op.PREPEND if position >> level & 1 else Op.APPEND
        steps += (Step(op, sibling), _HASH, _HASH)
    return tuple(steps)
