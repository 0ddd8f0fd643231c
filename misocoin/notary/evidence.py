"""What the headers of a chain say about a proof: which block, by when, and how deep.

The time in a header is what one miner wrote. Rules hold it above the median of the eleven blocks
before and not far ahead of the clocks of others, but it may be too early. What can be relied on
is the median of the eleven blocks after it: they were mined after the block, so unless six of
eleven miners in a row wrote times that were too early, the block was there by that time.
"""

from typing import NamedTuple, Protocol

from misocoin.consensus.block_rules import MEDIAN_TIME_SPAN
from misocoin.consensus.header_window import HeaderWindow
from misocoin.errors import ValidationError
from misocoin.notary.proof import (
    BITCOIN_TAG,
    MISO_TAG,
    Attested,
    BlockAttestation,
    Proof,
    ProofError,
)
from misocoin.params import Params
from misocoin.primitives.block import BlockHeader


class HeadersPort(Protocol):
    """A chain of headers."""

    @property
    def height(self) -> int:
        """Of the last header."""

    def hash_at(self, height: int) -> bytes | None:
        """The hash that the header at `height` had when it was taken."""

    def header_at(self, height: int) -> BlockHeader:
        """The header at a height up to that of the last one."""

    def window(self, height: int) -> HeaderWindow:
        """The chain up to `height`, to judge the headers after it."""

    def work_at(self, height: int) -> int:
        """Expected hashes from the first block up to that at `height`."""


class Evidence(NamedTuple):
    """What a block says about a file."""

    height: int
    block_hash: bytes
    """Wire order."""
    header_time: int
    """What the block's miner wrote, unix time."""
    bound: int | None
    """Unix time by which it was there, by the blocks after it; None while there are too few."""
    confirmations: int
    """The block itself and those after it."""
    work: int
    """Expected hashes from the block to the end of the chain, its own included."""

    @property
    def missing(self) -> int:
        """Blocks that have to come before there is a bound."""
        return max(0, MEDIAN_TIME_SPAN + 1 - self.confirmations)


def tag_of(params: Params) -> bytes:
    """The tag by which blocks of a network attest."""
    return MISO_TAG if params.name == "miso" else BITCOIN_TAG


def check_digest(proof: Proof, digest: bytes) -> None:
    """Check that a proof is about a file; `digest` is made by `proof.op`. Raises ProofError."""
    if digest != proof.digest:
        raise ProofError("the proof is for another file, or the file has changed")


def check_proof(proof: Proof, headers: HeadersPort, params: Params, now: int) -> Evidence:
    """Check a proof against headers: the earliest block that holds.

    From that block to the end every rule for headers is checked again; `now` is unix time.
    Raises ProofError where no block attests it.
    """
    tag = tag_of(params)
    attested = [
        (each.attestation.height, each)
        for each in proof.attested
        if isinstance(each.attestation, BlockAttestation) and each.attestation.tag == tag
    ]
    reason = f"no block of chain {params.name} is named in the proof"
    for height, each in sorted(attested, key=lambda pair: pair[0]):
        try:
            return _check_block(each, height, headers, params, now)
        except ProofError as error:
            reason = str(error)
    raise ProofError(reason)


def _check_block(
    attested: Attested, height: int, headers: HeadersPort, params: Params, now: int
) -> Evidence:
    tip = headers.height
    if height > tip:
        raise ProofError(f"the proof is of block {height}, and the headers here end at {tip}")
    header = headers.header_at(height)
    if attested.message != header.merkle_root:
        raise ProofError(
            f"block {height} does not have it: proof, header or chain is not the one it was"
        )
    if height == 0:
        raise ProofError("the first block of a chain holds no proof")
    window = headers.window(height - 1)
    times: list[int] = []
    for at in range(height, tip + 1):
        following = headers.header_at(at)
        try:
            window.extend(following, now)
        except ValidationError as error:
            raise ProofError(f"the header of block {at} breaks a rule: {error.reason}") from None
        if following.hash != headers.hash_at(at):
            raise ProofError(f"the header of block {at} is not the one that was checked")
        if len(times) <= MEDIAN_TIME_SPAN:
            times.append(following.time)
    after = sorted(times[1:])
    return Evidence(
        height,
        header.hash,
        header.time,
        after[MEDIAN_TIME_SPAN // 2] if len(after) == MEDIAN_TIME_SPAN else None,
        tip - height + 1,
        headers.work_at(tip) - headers.work_at(height - 1),
    )
