"""Core's methods on the node itself; `help`, `stop` and `uptime` have one name in both dialects."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final

from misocoin.rpc.declare import Access, Category, core_method
from misocoin.rpc.errors import RpcCode
from misocoin.rpc.json import Json
from misocoin.rpc.params import ARRAY, STRING, invalid
from misocoin.rpc.schema import array, boolean, mapping, number, obj, text

LOG_CATEGORIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "mempool": "misocoin.chain.pool",
        "net": "misocoin.peers",
        "rpc": "misocoin.rpc",
        "validation": "misocoin.chain.state",
    }
)
"""Core's name for what can be logged in detail -> the logger of those messages."""

EVERY_CATEGORY = frozenset({"", "1", "all"})
"""What stands for all of them."""

_CATEGORIES = f"{', '.join(LOG_CATEGORIES)}; all"


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
        changes = [*_loggers_of(include, logging.DEBUG), *_loggers_of(exclude, logging.INFO)]
        for logger, level in changes:
            logger.setLevel(level)
        return {
            name: logging.getLogger(logger).isEnabledFor(logging.DEBUG)
            for name, logger in LOG_CATEGORIES.items()
        }


def _loggers_of(names: Sequence[Json], level: int) -> list[tuple[logging.Logger, int]]:
    """The loggers of categories, each with the level that it is to have."""
    found: list[tuple[logging.Logger, int]] = []
    for name in names:
        if not isinstance(name, str) or name not in EVERY_CATEGORY | LOG_CATEGORIES.keys():
            raise invalid(f"unknown logging category {str(name)[:40]}")
        chosen = LOG_CATEGORIES if name in EVERY_CATEGORY else (name,)
        found += [(logging.getLogger(LOG_CATEGORIES[each]), level) for each in chosen]
    return found
