"""Core's methods on the node itself; `help`, `stop` and `uptime` have one name in both dialects."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final

from misocoin.rpc.declare import Access, Category, core_method
from misocoin.rpc.errors import RpcCode
from misocoin.rpc.json import Json
from misocoin.rpc.params import ARRAY, STRING, invalid, wrong_type
from misocoin.rpc.schema import array, boolean, mapping, number, obj, text

_NET, _POOL, _CHAIN = "misocoin.peers", "misocoin.chain.pool", "misocoin.chain.state"
_RPC, _WALLET = "misocoin.rpc", "misocoin.wallet"

LOG_CATEGORIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "addrman": _NET,
        "bench": _CHAIN,
        "blockstorage": _CHAIN,
        "cmpctblock": _NET,
        "coindb": _CHAIN,
        "estimatefee": "misocoin.chain.fee_observer",
        "http": "misocoin.http",
        "i2p": "",
        "ipc": "",
        "leveldb": "",
        "libevent": "",
        "mempool": _POOL,
        "mempoolrej": _POOL,
        "net": _NET,
        "proxy": "",
        "prune": "",
        "qt": "",
        "rand": "",
        "reindex": "",
        "rpc": _RPC,
        "scan": _RPC,
        "selectcoins": _WALLET,
        "tor": "",
        "txpackages": _POOL,
        "txreconciliation": "",
        "validation": _CHAIN,
        "walletdb": _WALLET,
        "zmq": "misocoin.notify",
    }
)
"""Core's name for what can be logged in detail -> the logger of those messages, if there are any.

One logger may serve several: it tells its details while any of them is chosen.
"""

EVERY_CATEGORY = frozenset({"", "1", "all"})
"""What stands for all of them."""

_CATEGORIES = f"{', '.join(name for name, logger in LOG_CATEGORIES.items() if logger)}; all"


class CoreControl:
    """The interface, and what it publishes."""

    def __init__(
        self,
        active_calls: Callable[[], list[tuple[str, float]]],
        log_file: Path | None,
        publications: Sequence[tuple[str, str, int]],
    ) -> None:
        """`publications` are topic, address and high-water mark of ZeroMQ's messages."""
        self._active_calls = active_calls
        self._log_file = log_file
        self._publications = tuple(publications)
        self._detailed = {
            name
            for name, logger in LOG_CATEGORIES.items()
            if logging.getLogger(logger or _RPC).isEnabledFor(logging.DEBUG)
        }

    @core_method(
        Category.CONTROL,
        access=Access.AUTH,
        result=obj(
            "the interface",
            active_commands=array(
                "the calls under way",
                obj("", method=text("the method"), duration=number("microseconds so far")),
            ),
            logpath=text("the file that messages go to; empty for the console"),
        ),
    )
    def getrpcinfo(self) -> Json:
        """Tell which calls are under way."""
        return {
            "active_commands": [
                {"method": name, "duration": int(seconds * 1_000_000)}
                for name, seconds in self._active_calls()
            ],
            "logpath": str(self._log_file or ""),
        }

    @core_method(
        Category.CONTROL,
        result=array(
            "what is published by ZeroMQ",
            obj(
                "",
                type=text("pub and the topic"),
                address=text("where"),
                hwm=number("messages kept for a slow subscriber"),
            ),
        ),
    )
    def getzmqnotifications(self) -> Json:
        """List what is published by ZeroMQ (-zmqpub...)."""
        return [
            {"type": f"pub{topic}", "address": address, "hwm": mark}
            for topic, address, mark in self._publications
        ]

    @core_method(
        Category.CONTROL,
        access=Access.AUTH,
        result=obj(
            "memory that is locked against being written to disk: none is",
            locked=obj(
                "",
                used=number("bytes in use"),
                free=number("bytes that can be had"),
                total=number("bytes of both"),
                locked=number("bytes that could be locked"),
                chunks_used=number("pieces in use"),
                chunks_free=number("pieces that can be had"),
            ),
        ),
        errors=(RpcCode.INVALID_PARAMETER,),
    )
    def getmemoryinfo(
        self, mode: Annotated[str, STRING, "stats; mallocinfo is not available"] = "stats"
    ) -> Json:
        """Tell of locked memory, in which Core keeps keys; here they are in memory like any other.

        The process's memory is what the system tells of it.
        """
        if mode == "mallocinfo":
            raise invalid("mallocinfo mode not available")
        if mode != "stats":
            raise invalid(f"unknown mode {mode[:40]}")
        names = ("used", "free", "total", "locked", "chunks_used", "chunks_free")
        return {"locked": dict.fromkeys(names, 0)}

    @core_method(
        Category.CONTROL,
        access=Access.AUTH,
        result=mapping("by category", boolean("whether its details are logged")),
        examples=("'[\"net\"]' '[\"rpc\"]'",),
        errors=(RpcCode.INVALID_PARAMETER,),
    )
    def logging(
        self,
        include: Annotated[list[Json], ARRAY, f"what to log: {_CATEGORIES}"] = [],  # noqa: B006 - never changed
        exclude: Annotated[list[Json], ARRAY, "what to log no more, the last word"] = [],  # noqa: B006
    ) -> Json:
        """Choose what is logged in detail, until the node stops, and tell what is."""
        chosen, left_out = _categories(include), _categories(exclude)
        self._detailed = (self._detailed | chosen) - left_out
        for logger in filter(None, {LOG_CATEGORIES[name] for name in chosen | left_out}):
            is_wanted = any(LOG_CATEGORIES[name] == logger for name in self._detailed)
            logging.getLogger(logger).setLevel(logging.DEBUG if is_wanted else logging.INFO)
        return {name: name in self._detailed for name in LOG_CATEGORIES}


def _categories(names: Sequence[Json]) -> set[str]:
    """What a list of categories names; raises RpcError."""
    found: set[str] = set()
    for name in names:
        if not isinstance(name, str):
            raise wrong_type(name, "string")
        if name not in EVERY_CATEGORY | LOG_CATEGORIES.keys():
            raise invalid(f"unknown logging category {name[:40]}")
        found |= LOG_CATEGORIES.keys() if name in EVERY_CATEGORY else {name}
    return found
