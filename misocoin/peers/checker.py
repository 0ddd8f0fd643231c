"""The thread that has headers, blocks and transactions of peers checked, one after the other.

Headers and blocks go before transactions. What comes out is reported as events.
"""

import logging
import threading
from collections.abc import Callable
from functools import partial
from itertools import count
from queue import PriorityQueue

from misocoin.chain.state import ChainState
from misocoin.consensus.tree import HeaderNode
from misocoin.errors import MisocoinError, ParseError, ValidationError
from misocoin.peers.events import (
    INTERNAL,
    BlockChecked,
    CheckBlock,
    CheckHeaders,
    CheckTransaction,
    Event,
    HeadersChecked,
    TransactionChecked,
)
from misocoin.peers.ports import TransactionTaker
from misocoin.primitives.block import Block, block_from_bytes

log = logging.getLogger(__name__)

Job = CheckHeaders | CheckBlock | CheckTransaction


class Checker:
    """Hands things to the chain and the mempool."""

    def __init__(
        self, chain: ChainState, pool: TransactionTaker, report: Callable[[Event], None]
    ) -> None:
        self._chain = chain
        self._pool = pool
        self._report = report
        self._jobs: PriorityQueue[tuple[int, int, Job | None]] = PriorityQueue()
        self._order = count()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="peers-check", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def put(self, job: Job) -> None:
        """Have something checked."""
        self._jobs.put((1 if isinstance(job, CheckTransaction) else 0, next(self._order), job))

    def stop(self, timeout: float) -> None:
        """Finish what is at hand and drop the rest."""
        self._stopping = True
        self._jobs.put((-1, next(self._order), None))
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _run(self) -> None:
        while True:
            _, _, job = self._jobs.get()
            if job is None or self._stopping:
                return
            match job:
                case CheckHeaders():
                    self._check_headers(job)
                case CheckBlock(peer, block_hash, data):
                    error = self._guarded(partial(self._submit, data))
                    self._report(BlockChecked(peer, block_hash, error))
                case CheckTransaction(peer, tx):
                    error = self._guarded(partial(self._pool.submit, tx))
                    self._report(TransactionChecked(peer, tx, error))

    def _submit(self, data: bytes | Block) -> None:
        if isinstance(data, bytes):
            self._chain.submit_block(block_from_bytes(data), data)
        else:
            self._chain.submit_block(data)

    def _check_headers(self, job: CheckHeaders) -> None:
        nodes: list[HeaderNode] = []

        def accept() -> None:
            for header in job.headers:
                nodes.extend(self._chain.accept_headers((header,)))

        error = self._guarded(accept)
        self._report(HeadersChecked(job.peer, tuple(nodes), error))

    @staticmethod
    def _guarded(check: Callable[[], object]) -> MisocoinError | None:
        """Run a check; an error of ours comes back as one that is held against nobody."""
        try:
            check()
        except (ValidationError, ParseError) as error:
            return error
        except Exception:
            log.exception("what a peer sent could not be checked")
            return ValidationError(INTERNAL, "see the log")
        return None
