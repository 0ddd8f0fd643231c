"""Core's methods on the node itself; `help`, `stop` and `uptime` have one name in both dialects."""

from collections.abc import Callable, Sequence
from pathlib import Path

from misocoin.rpc.declare import Access, Category, core_method
from misocoin.rpc.json import Json
from misocoin.rpc.schema import array, number, obj, text


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
