"""How a buyer of version 2 proves a result wrong: by what the seller cannot deny.

The seller's key, the hash that the receipt names and the result's own hash bind the result, and
the work's hash binds the work. So the encrypted result alone shows a wrong key or another result
than was promised, and together with the work an article's checker can tell.
"""

from misocoin.market.checkers import Checker
from misocoin.market.errors import Malformed, NotAllowed, TooLarge, TooLate
from misocoin.market.receipts import sha256_hex, unseal
from misocoin.market.trade import Trade

MAX_PROOF = 17 << 20
"""Bytes of a proof: room for a result of 16 MiB and a work that can be checked."""


def bytes_from_proof(work: bytes, encrypted: bytes) -> bytes:
    """A proof as it is sent: the work's length in four bytes (big-endian), the work, the result."""
    return len(work).to_bytes(4, "big") + work + encrypted


def proof_from_bytes(data: bytes) -> tuple[bytes, bytes]:
    """Work and encrypted result of a proof; the work may be empty. Raises Malformed, TooLarge."""
    if len(data) > MAX_PROOF:
        raise TooLarge(f"a proof has {MAX_PROOF} bytes at most")
    size = int.from_bytes(data[:4], "big")
    if len(data) < 4 + size:
        raise Malformed("the proof is cut short")
    return data[4 : 4 + size], data[4 + size :]


def check_refuted(trade: Trade, work: bytes, encrypted: bytes, checker: Checker | None) -> str:
    """What is wrong with the result of a trade; raises NotAllowed where that is not shown."""
    if trade.receipt is None or trade.result_key is None or trade.terms is None:
        raise TooLate("there is no result that a proof could be about")
    if sha256_hex(encrypted) != trade.receipt.hash:
        raise NotAllowed("that is not the encrypted result that was received")
    try:
        result = unseal(encrypted, bytes.fromhex(trade.result_key))
    except NotAllowed:
        return "the result does not open with the seller's key"
    if sha256_hex(result) != trade.terms.result_hash:
        return "the result is not the one that the seller named"
    if checker is not None and sha256_hex(work) == trade.work_hash:
        try:
            if not checker(work, result):
                return "the article's checker refuses the result"
        except Malformed as error:
            raise NotAllowed(f"the work is none of this article's: {error}") from None
    raise NotAllowed("the proof shows nothing wrong with the result")
