"""From the bytes of a request to the bytes of its answer: who may, what for, and with what result.

Before the node is ready only the early methods answer (`stop`, `help`); any other call gets the
error -28 with a word on what is going on, and clients ask again.
"""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from math import inf
from threading import get_ident
from time import monotonic

from misocoin.http.errors import RpcError
from misocoin.rpc.auth import EVERYTHING, Whitelists
from misocoin.rpc.declare import Category, Method
from misocoin.rpc.envelope import (
    Answer,
    BadCall,
    Call,
    Request,
    answer_batch,
    answer_single,
    reply_with_error,
    reply_with_result,
    request_from_bytes,
)
from misocoin.rpc.errors import RpcCode, rpc_error_from_exception
from misocoin.rpc.registry import Registry

log = logging.getLogger(__name__)

Permit = Callable[[], AbstractContextManager[None]]

MAX_BATCH_REPLY = 1 << 28
"""Bytes of all replies to a batch; calls beyond that are not made and answered with an error."""

MAX_OPEN_REPLY = 1 << 25
"""As MAX_BATCH_REPLY, for batches that come without credentials."""

OPEN_BATCH_SECONDS = 5.0
"""After so long no further call of such a batch is made: a stranger gets no hours for a line."""

UNAUTHORIZED = Answer(401, b"")
"""Stands for a request that needs the cookie or the password."""


FORBIDDEN = Answer(403, b"")
"""Stands for a request for what its user may not call."""


class RpcService:
    """Answers JSON-RPC requests. Any number of threads may ask at once."""

    def __init__(
        self,
        early: Registry,
        whitelists: Whitelists = EVERYTHING,
        max_batch_reply: int = MAX_BATCH_REPLY,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """`early` holds the methods that answer before the node is ready."""
        self._early = early
        self._whitelists = whitelists
        self._registry = early
        self._warmup: str | None = "Starting"
        self._max_batch_reply = max_batch_reply
        self._clock = clock
        self._is_wallet: Callable[[str], bool] | None = None
        self._active: dict[int, tuple[str, float]] = {}  # by thread

    def active_calls(self) -> list[tuple[str, float]]:
        """The methods that are running in this moment, and for how many seconds."""
        now = monotonic()
        return [(name, now - began) for name, began in list(self._active.values())]

    @property
    def warmup(self) -> str | None:
        """What the node is busy with before it is ready; None once it is."""
        return self._warmup

    def set_warmup(self, message: str) -> None:
        """Say what the node is busy with before it is ready."""
        if self._warmup is not None:
            self._warmup = message

    def open(self, registry: Registry, is_wallet: Callable[[str], bool] | None = None) -> None:
        """Answer with these methods from now on; `is_wallet` knows the wallets by name."""
        self._registry = registry
        self._is_wallet = is_wallet
        self._warmup = None

    def handle(
        self,
        body: bytes,
        user: str | None,
        permit: Permit = nullcontext,
        wallet: str | None = None,
    ) -> Answer:
        """Answer the body of a request; never raises.

        `user` is whose cookie or password came with it, None for nobody's; `permit` is asked where
        a method waits; `wallet` is the one that its calls mean.
        """
        request = request_from_bytes(body)
        is_trusted = user is not None
        if user is not None:
            for call in request.calls:
                if isinstance(call, Call) and not self._whitelists.has(user, call.method):
                    log.warning("user %s may not call %s", user[:40], call.method[:40])
                    return FORBIDDEN
        # One registry for the whole request: `open` may come between the check and the calls.
        registry = self._registry
        if not is_trusted and any(_needs_trust(registry, call) for call in request.calls):
            return UNAUTHORIZED
        if request.is_batch:
            return self._answer_batch(request, registry, permit, is_trusted, wallet)
        call = request.calls[0]
        reply, error = self._reply(call, registry, permit, is_trusted, wallet)
        return answer_single(call, reply, error)

    def _answer_batch(
        self,
        request: Request,
        registry: Registry,
        permit: Permit,
        is_trusted: bool,
        wallet: str | None,
    ) -> Answer:
        replies: list[bytes] = []
        left = self._max_batch_reply if is_trusted else min(self._max_batch_reply, MAX_OPEN_REPLY)
        end = inf if is_trusted else self._clock() + OPEN_BATCH_SECONDS
        for call in request.calls:
            if self._clock() >= end:
                reply = reply_with_error(
                    call, RpcError(RpcCode.MISC_ERROR, "this batch took too long")
                )
            elif left > 0:
                reply, _ = self._reply(call, registry, permit, is_trusted, wallet)
            else:
                reply = reply_with_error(
                    call, RpcError(RpcCode.MISC_ERROR, "the replies to this batch are too long")
                )
            left -= len(reply)
            if not call.is_notification:
                replies.append(reply)
        return answer_batch(request, replies)

    def _reply(
        self,
        call: Call | BadCall,
        registry: Registry,
        permit: Permit,
        is_trusted: bool,
        wallet: str | None,
    ) -> tuple[bytes, RpcError | None]:
        """Make one call; the reply, and the error that it tells."""
        if isinstance(call, BadCall):
            return reply_with_error(call, call.error), call.error
        try:
            found = self._find(registry, call)
            log.debug("call of %s", found.name)
            if wallet is not None and found.category is Category.WALLET:
                self._check_wallet(wallet)
            self._active[get_ident()] = (found.name, monotonic())
            with permit() if found.waits else nullcontext():
                result = registry.call(
                    call.method, call.params, call.is_text, is_trusted=is_trusted
                )
            return reply_with_result(call, result), None
        except Exception as raised:  # noqa: BLE001 - whatever happens, the caller gets an answer
            error = rpc_error_from_exception(raised)
            return reply_with_error(call, error), error
        finally:
            self._active.pop(get_ident(), None)

    def _check_wallet(self, name: str) -> None:
        if self._is_wallet is None or not self._is_wallet(name):
            raise RpcError(
                RpcCode.WALLET_NOT_FOUND, "Requested wallet does not exist or is not loaded"
            )

    def _find(self, registry: Registry, call: Call) -> Method:
        if registry is self._early and call.method not in registry.methods:
            raise RpcError(RpcCode.IN_WARMUP, self._warmup or "Starting")
        return registry.find(call.method, call.is_text)


def _needs_trust(registry: Registry, call: Call | BadCall) -> bool:
    if isinstance(call, BadCall):
        return False
    found = registry.methods.get(call.method)
    return found is not None and found.needs_trust(call.params)
