"""Core's methods that wait for blocks, check them, or decide about them by hand."""

import threading
from collections.abc import Callable
from typing import Annotated

from misocoin.chain.clock import MAX_MOCK_TIME, NetworkClock
from misocoin.chain.state import ChainState
from misocoin.consensus.tree import HeaderNode
from misocoin.errors import StoreError
from misocoin.http.errors import RpcError
from misocoin.rpc.declare import Access, Category, core_method
from misocoin.rpc.errors import RpcCode
from misocoin.rpc.json import Json
from misocoin.rpc.params import HASH, INTEGER, LONG, invalid
from misocoin.rpc.schema import boolean, hexadecimal, nothing, number, obj

MAX_WAIT = threading.TIMEOUT_MAX
"""Seconds that a thread can wait at all."""

TIP = obj("the tip", hash=hexadecimal("its hash"), height=number("its height"))


class CoreSteering:
    """Waiting for the chain, and moving it by hand."""

    def __init__(
        self, chain: ChainState, clock: NetworkClock, verify: Callable[[int, int], bool]
    ) -> None:
        """`verify(level, blocks)` checks the last blocks."""
        self._chain = chain
        self._clock = clock
        self._verify = verify

    # -- waiting ------------------------------------------------------------------------------

    @core_method(
        Category.CHAIN,
        access=Access.AUTH,
        waits=True,
        result=TIP,
        errors=(RpcCode.MISC_ERROR, RpcCode.INVALID_PARAMETER),
    )
    def waitfornewblock(
        self,
        timeout: Annotated[int, INTEGER, "milliseconds; 0 for no end"] = 0,
        current_tip: Annotated[bytes | None, HASH, "wait for another tip than this one"] = None,
    ) -> Json:
        """Wait for another tip, and show it."""
        known = self._chain.tip.hash if current_tip is None else current_tip
        return self._wait(lambda tip: tip.hash != known, timeout)

    @core_method(
        Category.CHAIN,
        access=Access.AUTH,
        waits=True,
        result=TIP,
        errors=(RpcCode.MISC_ERROR, RpcCode.INVALID_PARAMETER),
    )
    def waitforblock(
        self,
        blockhash: Annotated[bytes, HASH, "the block to wait for"],
        timeout: Annotated[int, INTEGER, "milliseconds; 0 for no end"] = 0,
    ) -> Json:
        """Wait until a block is the tip, and show the tip."""
        return self._wait(lambda tip: tip.hash == blockhash, timeout)

    @core_method(
        Category.CHAIN, access=Access.AUTH, waits=True, result=TIP, errors=(RpcCode.MISC_ERROR,)
    )
    def waitforblockheight(
        self,
        height: Annotated[int, INTEGER, "the height to wait for"],
        timeout: Annotated[int, INTEGER, "milliseconds; 0 for no end"] = 0,
    ) -> Json:
        """Wait until the chain is that high, and show the tip."""
        return self._wait(lambda tip: tip.height >= height, timeout)

    def _wait(self, condition: Callable[[HeaderNode], bool], timeout: int) -> Json:
        if timeout < 0:
            raise RpcError(RpcCode.MISC_ERROR, "Negative timeout")
        seconds = min(timeout / 1000, MAX_WAIT) if timeout else None
        tip = self._chain.wait_until(condition, seconds)
        return {"hash": tip.header.hash_hex, "height": tip.height}

    # -- deciding -----------------------------------------------------------------------------

    @core_method(
        Category.CHAIN,
        access=Access.AUTH,
        waits=True,
        result=nothing(),
        errors=(RpcCode.MISC_ERROR, RpcCode.INVALID_ADDRESS_OR_KEY, RpcCode.INVALID_PARAMETER),
    )
    def invalidateblock(self, blockhash: Annotated[bytes, HASH, "the block"]) -> Json:
        """Treat a block as if it broke a rule, also after a restart; see reconsiderblock.

        Genesis stays valid.
        """
        node = self._chain.find(blockhash)
        if node.parent is not None:
            self._chain.invalidate(node)

    @core_method(
        Category.CHAIN,
        access=Access.AUTH,
        waits=True,
        result=nothing(),
        errors=(RpcCode.INVALID_ADDRESS_OR_KEY, RpcCode.INVALID_PARAMETER),
    )
    def reconsiderblock(self, blockhash: Annotated[bytes, HASH, "the block"]) -> Json:
        """Check a block anew that was held to be invalid, with its ancestors and descendants."""
        self._chain.reconsider(self._chain.find(blockhash))

    @core_method(
        Category.CHAIN,
        access=Access.AUTH,
        waits=True,
        result=nothing(),
        errors=(RpcCode.INVALID_ADDRESS_OR_KEY, RpcCode.INVALID_PARAMETER),
    )
    def preciousblock(self, blockhash: Annotated[bytes, HASH, "the block"]) -> Json:
        """Treat a block as if it had come before others with as much work."""
        self._chain.prefer(self._chain.find(blockhash))

    @core_method(
        Category.CHAIN, access=Access.AUTH, waits=True, result=boolean("whether all is well")
    )
    def verifychain(
        self,
        checklevel: Annotated[int, INTEGER, "how thorough, 0 to 4"] = 3,
        nblocks: Annotated[int, INTEGER, "how many blocks; 0 for all"] = 6,
    ) -> Json:
        """Check the last blocks as they are stored.

        0: they can be read; 1: they are valid by themselves; 2: what they spent can be read; 3:
        disconnecting them in memory works out; 4: connecting them again does. See verify_chain for
        all of it from genesis on, with the reason where something is wrong.
        """
        try:
            return self._verify(min(max(checklevel, 0), 4), nblocks)
        except StoreError:
            return False

    @core_method(
        Category.CONTROL,
        access=Access.AUTH,
        result=nothing(),
        errors=(RpcCode.MISC_ERROR, RpcCode.INVALID_PARAMETER),
    )
    def setmocktime(
        self, timestamp: Annotated[int, LONG, "unix time to stay at; 0 for the real one"]
    ) -> Json:
        """Stop the node's clock at a time, on regtest.

        Header checks, templates and the mempool's expiry go by it.
        """
        if self._chain.params.name != "regtest":
            raise RpcError(
                RpcCode.MISC_ERROR, "setmocktime is for regression testing (-regtest mode) only"
            )
        if not 0 <= timestamp <= MAX_MOCK_TIME:
            raise invalid(f"Mocktime must be in the range [0, {MAX_MOCK_TIME}], not {timestamp}.")
        self._clock.set_mock(timestamp or None)
