"""Workers that search for proof of work: Bitmessage's and hashcash's."""

import json

from misocoin.market.errors import Malformed
from misocoin.market.pow_work import bitmessage_puzzle_from_work, stamp_order_from_work
from misocoin.pow.engine import Engine, StopFlag
from misocoin.pow.puzzles import BASE64_DIGITS, HashcashPuzzle, Puzzle
from misocoin.pow.search import search_threads

MAX_BITS = 50
"""How hard a work may be: 2 to this power tries are to be expected."""

_SPARE_BITS = 8
_DIGIT_BITS = 6


class PowWorker:
    """Searches on an engine; `kind` is the checker's name of what it sells."""

    def __init__(self, kind: str, engine: Engine, threads: int = 1) -> None:
        """`kind` is `bitmessage` or `hashcash`."""
        self.article = f"net.misocoin/pow/{kind}/0"
        self._kind = kind
        self._engine = engine
        self._threads = threads

    def do(self, work: bytes, stop: StopFlag) -> bytes:
        """Do one work. Raises Malformed for what is none, or too hard."""
        if self._kind == "bitmessage":
            nonce = self._search(bitmessage_puzzle_from_work(work), stop)
            return json.dumps({"nonce": nonce}).encode()
        puzzle = stamp_puzzle_from_work(work)
        return puzzle.message(self._search(puzzle, stop))

    def close(self) -> None:
        """Nothing is held."""

    def _search(self, puzzle: Puzzle, stop: StopFlag) -> int:
        if puzzle.expected_tries > 1 << MAX_BITS:
            raise Malformed(f"more than 2^{MAX_BITS} tries are to be expected")
        nonce = search_threads(self._engine, puzzle, self._threads, stop).nonce
        if nonce is None:
            raise Malformed("the search has ended without a nonce")
        return nonce


def stamp_puzzle_from_work(work: bytes) -> HashcashPuzzle:
    """The search for a stamp that is asked for. Raises Malformed."""
    order = stamp_order_from_work(work)
    if order.puzzle is not None:
        return order.puzzle
    width = max(4, -(-(order.bits + _SPARE_BITS) // _DIGIT_BITS))
    if width > 10:
        raise Malformed("so hard a stamp cannot be searched for")
    return HashcashPuzzle(order.prefix, b"", width, order.bits, order.digest, BASE64_DIGITS)
