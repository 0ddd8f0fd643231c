"""The machine room: miner, services, messages, and who is linked or kept out."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Final, Protocol

from flask import Flask, redirect, request
from werkzeug.wrappers import Response as BaseResponse

from misocoin.errors import MisocoinError, NotFoundError, ParseError
from misocoin.mining.miner import MiningInfo
from misocoin.peers.bans import Ban, ban_target_from_text
from misocoin.peers.info import PeerInfo
from misocoin.peers.messages import Address, address_from_text
from misocoin.pow.slices import MAX_THREADS
from misocoin.web.door import Door, Page
from misocoin.web.explorer import View
from misocoin.web.machine import MachineRoom
from misocoin.web.rates import RateSample, rate_chart
from misocoin.web.wallet_pages import add_form, add_page

HOUR: Final = 3_600
"""Seconds."""

BAN_HOURS: Final = (1, 24, 24 * 7, 24 * 365)
"""How long a ban can be."""


class MinerPort(Protocol):
    """What is steered of the miner."""

    def set_mining(self, on: bool, threads: int | None = None) -> None:
        """Switch it on or off."""

    def info(self) -> MiningInfo:
        """How it is going."""


class NetworkPort(Protocol):
    """What is steered of the links with other nodes."""

    def peers(self) -> tuple[PeerInfo, ...]:
        """All links."""

    def remove_node(self, address: Address) -> bool:
        """Keep no link with an address."""

    def unlink(self, number: int) -> bool:
        """End a link."""

    def ban(self, target: str, until: int) -> None:
        """Ban until a unix time; 0 lifts the ban."""

    def banned(self) -> tuple[Ban, ...]:
        """All bans."""


@dataclass(frozen=True, slots=True)
class Machines:
    """What the room shows."""

    miner: MinerPort
    network: NetworkPort
    room: MachineRoom
    now: Callable[[], int]
    """Unix time."""
    default_port: int
    """Of a node whose address has none."""


class MachinePages:
    """Shows the machines and steers them."""

    def __init__(self, door: Door, page: Page, machines: Machines) -> None:
        self._door = door
        self._page = page
        self._machines = machines

    def add_to(self, app: Flask) -> None:
        """Add them to Flask's application."""
        door = self._door
        add_page(app, door, self._page, "machine", self._view)
        add_form(app, door, "/machine/mining", lambda: self._do("mining", self._set_mining))
        add_form(app, door, "/machine/ban", lambda: self._do("ban", self._ban))
        add_form(app, door, "/machine/unban", lambda: self._do("ban", self._lift_ban))
        add_form(app, door, "/machine/disconnect", lambda: self._do("peers", self._disconnect))

    def _view(self) -> View:
        machines = self._machines
        return {
            "now": machines.now(),
            "mining": machines.miner.info()._asdict(),
            "max_threads": MAX_THREADS,
            "rates": [each._asdict() for each in machines.room.rates.samples()],
            "services": machines.room.services.view(),
            "peers": [asdict(peer) for peer in machines.network.peers()],
            "bans": [
                {"target": ban.target, "until": ban.until} for ban in machines.network.banned()
            ],
            "ban_hours": BAN_HOURS,
            "log": [line._asdict() for line in machines.room.log.latest()],
            "failed": "",
            "error": "",
            "target": "",
        }

    def _do(self, name: str, act: Callable[[], None]) -> BaseResponse:
        try:
            act()
        except MisocoinError as error:
            target = request.form.get("target", "")[:80]
            view = {**self._view(), "failed": name, "error": str(error), "target": target}
            return self._page("machine.html", view, HTTPStatus.BAD_REQUEST)
        return redirect(f"/machine#{name}", HTTPStatus.SEE_OTHER)

    def _set_mining(self) -> None:
        threads = _number("threads", MAX_THREADS)
        self._machines.miner.set_mining(request.form.get("on") == "1", threads)

    def _ban(self) -> None:
        hours = _number("hours", BAN_HOURS[-1])
        target = ban_target_from_text(request.form.get("target", ""), self._machines.default_port)
        self._machines.network.ban(target, self._machines.now() + hours * HOUR)

    def _lift_ban(self) -> None:
        target = request.form.get("target", "")
        if target not in {ban.target for ban in self._machines.network.banned()}:
            raise NotFoundError("there is no such ban any more")
        self._machines.network.ban(target, 0)

    def _disconnect(self) -> None:
        network = self._machines.network
        number = _number("peer", 1 << 40)
        peer = next((each for each in network.peers() if each.id == number), None)
        if peer is None:
            raise NotFoundError("that link has ended already")
        if peer.is_manual:  # else it would be made again at once
            network.remove_node(address_from_text(peer.address, self._machines.default_port))
        else:
            network.unlink(number)


def rates_drawn(view: View) -> object:
    """The chart of the hash rate."""
    return rate_chart([RateSample(**each) for each in view["rates"]], view["now"])


def _number(name: str, most: int) -> int:
    text = request.form.get(name, "").strip()
    if not (text.isascii() and text.isdecimal() and len(text) < 14 and 0 <= int(text) <= most):
        raise ParseError(f"{name}: write a number of at most {most}")
    return int(text)
