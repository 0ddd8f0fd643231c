"""Mines on the templates of another node, ours or bitcoind: one thread polls, others search.

The node is asked by long poll, so new work comes at once. When it goes away the search rests until
it is back: a block could not be handed in. Work is never searched past its tip: after a block is
found the search waits for the template that follows it.
"""

import itertools
import logging
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from misocoin.errors import MisocoinError, ParseError
from misocoin.http.errors import HttpError, HttpRefused, HttpTimeout, RpcError
from misocoin.mining.miner import rolled_puzzle
from misocoin.mining.remote_template import RemoteWork, template_request, work_from_json
from misocoin.params import Params
from misocoin.pow.engine import Engine
from misocoin.pow.searcher import Searcher, Work
from misocoin.primitives.block import header_from_bytes
from misocoin.units import Sats, text_from_sats

log = logging.getLogger(__name__)

RETRY_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Waits between attempts at a node that does not answer; the last one goes on."""

SUBMIT_ATTEMPTS = 5
"""How often a block is handed in to a node that does not answer."""

MAX_ROLL_SECONDS = 7_000
"""How far the header's time follows the clock beyond the template's; nodes refuse two hours."""

_PASSING_CODES = frozenset({-28, -9, -10})
"""A node that starts, has no peers yet, or is catching up."""


class NodePort(Protocol):
    """The node that is mined for."""

    def get_template(self, request: dict[str, Any]) -> object:
        """Call `getblocktemplate`; raises HttpError or RpcError."""

    def submit(self, block_hex: str, work_id: str) -> object:
        """Call `submitblock`: null, or why not; raises HttpError or RpcError."""

    def renew(self) -> None:
        """Connect anew, with what the credentials are now."""


@dataclass(frozen=True, slots=True)
class RemoteOptions:
    """What is mined, and for how long."""

    params: Params
    script_pubkey: bytes
    """Whom the blocks pay."""
    threads: int = 1
    tag: bytes = b"misocoin"
    """Put into the coinbase."""
    blocks: int = 0
    """Stop after so many that were taken; 0 is without end."""


class _Job(NamedTuple):
    work: RemoteWork
    extra_nonce: int


class RemoteMiner:
    """Mines until `stop`, or until as many blocks were taken as asked for."""

    def __init__(
        self,
        node: NodePort,
        engine: Engine,
        options: RemoteOptions,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._node = node
        self._options = options
        self._clock = clock
        self._extra_nonces = itertools.count(secrets.randbits(62))
        self._stopping = threading.Event()
        self._ended = threading.Event()
        self._failure: BaseException | None = None
        self._lock = threading.Lock()
        self._work: RemoteWork | None = None
        self._work_at = 0.0
        self._ready = False
        # The parent of the last block handed in, and how often that was done to the end: work
        # on it that was asked for before is stale, work that was asked for since is meant.
        self._solved: bytes | None = None
        self._submissions = 0
        self.accepted = 0
        """Blocks that the node took."""
        self.refused = 0
        """Blocks that it did not."""
        self._searcher: Searcher[_Job] = Searcher(
            engine, self._source, self._found, threads=options.threads, name="mine"
        )

    def run(self) -> None:
        """Mine. Raises HttpRefused where the first answer is that this user may not.

        Raises ParseError where the node's first template cannot be mined on.
        """
        self._searcher.start()
        # Beside this thread, for a long poll may be answered late or never, and the end be near.
        threading.Thread(target=self._poll_to_the_end, name="poll", daemon=True).start()
        try:
            self._ended.wait()
        finally:
            self.stop()
            self._searcher.close()
        failure = self._failure or self._searcher.failure
        if failure is not None:
            raise failure

    def stop(self) -> None:
        """Have `run` return."""
        self._stopping.set()
        self._ended.set()

    @property
    def rate(self) -> float:
        """Hashes a second over the last half minute."""
        return self._searcher.rate()

    # -- asking -------------------------------------------------------------------------------

    def _poll_to_the_end(self) -> None:
        try:
            self._poll()
        except BaseException as error:  # noqa: BLE001 - `run` raises it
            if not self._stopping.is_set():
                self._failure = error
        finally:
            self._ended.set()

    def _poll(self) -> None:
        long_poll_id, failures = "", 0
        while not self._is_over():
            submissions = self._submissions
            try:
                answer = self._node.get_template(template_request(long_poll_id))
                long_poll_id = self._take(answer, submissions)
                failures = 0
                if not long_poll_id:
                    self._stopping.wait(RETRY_SECONDS[0])
            except HttpTimeout:
                # A node may keep silent while nothing changes; its template is still the latest.
                if not long_poll_id:
                    failures = self._rest(failures, "it took too long to answer")
            except (HttpError, RpcError, ParseError) as error:
                if not self._ready and not _may_pass(error):
                    raise
                failures = self._rest(failures, str(error))
                long_poll_id = ""

    def _is_over(self) -> bool:
        wanted = self._options.blocks
        is_enough = bool(wanted) and self.accepted >= wanted
        return self._stopping.is_set() or is_enough or self._searcher.failure is not None

    def _take(self, answer: object, submissions: int) -> str:
        """Turn to the work in an answer, asked for after so many submissions; what to poll by."""
        options = self._options
        work = work_from_json(answer, options.params, options.script_pubkey, options.tag)
        self._ready = True
        template, rate = work.template, self.rate
        with self._lock:
            # Nothing is told of work that comes when the last block wanted was taken.
            if self._is_over():
                return ""
            if template.prev_hash == self._solved and submissions != self._submissions:
                return ""
            self._work, self._work_at = work, self._clock()
            log.info(
                "work on block %d with %d transactions, %s coins%s",
                template.height,
                len(template.transactions),
                text_from_sats(Sats(template.coinbase_value)),
                f", {rate:,.0f} hashes/s" if rate else "",
            )
        self._searcher.refresh()
        return work.long_poll_id

    def _rest(self, failures: int, why: str) -> int:
        """Let the search rest and wait; returns how many failures there were in a row."""
        with self._lock:
            self._work = None
        self._searcher.refresh()
        seconds = RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)]
        if failures == 0:
            log.warning("no work from the node: %s; trying on", why)
        self._stopping.wait(seconds)
        self._node.renew()
        return failures + 1

    # -- searching ----------------------------------------------------------------------------

    def _source(self) -> Work[_Job] | None:
        with self._lock:
            work, work_at = self._work, self._work_at
        # The poll may have brought more work while the last block wanted was handed in.
        if work is None or self._is_over():
            return None
        template = work.template
        passed = min(int(self._clock() - work_at), MAX_ROLL_SECONDS)
        extra_nonce = next(self._extra_nonces)
        header = template.header(extra_nonce, template.time + passed)
        return Work(rolled_puzzle(header.serialize(), template.bits), _Job(work, extra_nonce))

    def _found(self, job: Work[_Job], nonce: int) -> None:
        work, extra_nonce = job.context
        header = header_from_bytes(job.puzzle.message(nonce))
        block = work.template.block(extra_nonce, header.time, header.nonce, version=header.version)
        parent = work.template.prev_hash
        with self._lock:
            if parent == self._solved:
                return  # one on the same parent was handed in a moment ago
            self._solved = parent
            self._submissions += 1
            if self._work is not None and self._work.template.prev_hash == parent:
                self._work = None  # the block's child is what is wanted next
        self._searcher.refresh()
        answer = self._submit(block.serialize().hex(), work.work_id)
        with self._lock:
            self._submissions += 1
            if answer is None:
                self.accepted += 1
            else:
                self.refused += 1
                self._solved = None
        if answer is None:
            log.info("block %d mined: %s", work.template.height, block.header.hash_hex)
        else:
            log.warning("block %d was not taken: %s", work.template.height, answer)
            self._stopping.wait(RETRY_SECONDS[0])  # the same again would be refused, too
        if self._is_over():
            self._ended.set()
        else:
            self._fetch_next()

    def _submit(self, block_hex: str, work_id: str) -> object:
        for attempt in range(SUBMIT_ATTEMPTS):
            try:
                return self._node.submit(block_hex, work_id)
            except RpcError as error:
                return str(error)
            except HttpError as error:
                reason = str(error)
            self._stopping.wait(RETRY_SECONDS[attempt])
            self._node.renew()
        return reason

    def _fetch_next(self) -> None:
        """Ask for the next work at once: the long poll may take its time."""
        submissions = self._submissions
        try:
            self._take(self._node.get_template(template_request()), submissions)
        except MisocoinError:
            return  # the poll meets the same and says so


def _may_pass(error: MisocoinError) -> bool:
    """Whether it is worth asking again: the node is not there yet, or still starting."""
    if isinstance(error, RpcError):
        return error.code in _PASSING_CODES
    if isinstance(error, HttpRefused):
        return error.status >= 500
    return isinstance(error, HttpError)
