"""The shell around the machine: its clock, its thread, its links.

One thread feeds the machine and carries out what it wants. Links, the checker, the chain's events
and the HTTP server only put events into its queue, so nothing here needs a lock of its own.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from random import SystemRandom
from typing import Any, TypeVar

from misocoin.chain.events import (
    BlockConnected,
    TipChanged,
    TransactionAdded,
    TransactionRemoved,
)
from misocoin.chain.events import Event as ChainEvent
from misocoin.chain.pool import TransactionPool
from misocoin.chain.state import ChainState
from misocoin.errors import MisocoinError
from misocoin.hashcash.http import make_payer
from misocoin.http.client import Bounds, HttpClient
from misocoin.http.errors import Overloaded
from misocoin.peers import events as net
from misocoin.peers.addresses import KnownAddress
from misocoin.peers.bans import Ban
from misocoin.peers.checker import Checker
from misocoin.peers.dialling import RefusedError, Remote, WrongChainError, is_hostile
from misocoin.peers.discovery import Discovery
from misocoin.peers.hello import Hello, own_address
from misocoin.peers.info import PeerInfo, info_of
from misocoin.peers.keeping import load_known, save_known
from misocoin.peers.limits import PeerLimits
from misocoin.peers.links import Dialled, Mailbox
from misocoin.peers.machine import Machine
from misocoin.peers.messages import Address, Message, Request
from misocoin.peers.ports import ChainReader, ProgressPort, Silence
from misocoin.peers.serving import Responder
from misocoin.peers.switchboard import Switchboard, tell_link
from misocoin.peers.sync_bar import SyncBar
from misocoin.primitives.block import Block

log = logging.getLogger(__name__)

TICK = 0.25
"""Seconds between two looks at what is due."""

SAVE_SECONDS = 60.0
"""How often addresses and bans are written to disk, besides at the stop."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PeerSettings:
    """What a node's network is told."""

    port: int
    """Where this node listens."""
    listens_locally: bool
    """Whether only this machine can reach it."""
    nodes: tuple[Address, ...] = ()
    """Links to be kept."""
    external_host: str = ""
    """Its address to the outside, where it differs from what others see."""
    dials: bool = True
    """Whether links are made to addresses that others told of."""
    file: Path | None = None
    """Where addresses and bans are kept; None forgets them."""
    agent: str = ""
    """Program and version, as others are told."""
    is_active: bool = True
    """Whether there are links at all, from the start."""
    discovers: bool = False
    """Whether nodes are sought on the local network, and this one shows itself there."""
    limits: PeerLimits = PeerLimits()


class PeerManager:
    """One node's part of the network. `start` returns at once."""

    def __init__(
        self,
        chain: ChainState,
        pool: TransactionPool,
        settings: PeerSettings,
        progress: Callable[[str, str], ProgressPort],
        silence: Silence,
    ) -> None:
        """`progress(label, unit)` shows a first sync, while `silence` keeps others quiet."""
        self._chain = chain
        self._pool = pool
        self._settings = settings
        self._limits = settings.limits
        self._random = SystemRandom()
        self._nonce = self._random.getrandbits(64)
        self._reader = reader = ChainReader(chain)
        self._machine = Machine(
            chain.params,
            reader,
            self._random,
            settings.limits,
            nonce=self._nonce,
            dials=settings.dials,
        )
        self.responder = Responder(
            reader,
            self._machine.transactions.find,
            self._sample_addresses,
            lambda: self._random.getrandbits(64),
        )
        self._client = HttpClient(Bounds(), connections=64, pay=make_payer())
        self._queue: SimpleQueue[net.Event | Callable[[], None]] = SimpleQueue()
        self._checker = Checker(chain, pool, self._queue.put)
        self._links = Switchboard(settings.limits)
        self._bar = SyncBar(chain.tip, progress, silence)
        self._connected_blocks: list[Block] = []
        self._failures: dict[str, str] = {}  # by address that a user named: why, as last told
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="peers", daemon=True)
        self._discovery: Discovery | None = None
        if settings.discovers:
            self._discovery = Discovery(
                chain.params.name,
                chain.params.genesis.header.hash_hex,
                settings.port,
                f"{self._nonce:016x}",
                lambda address: self.report(net.Found(address)),
                is_local=settings.listens_locally,
            )

    # -- life ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Read what was kept, listen to the chain, dial."""
        self._load()
        with self._chain.lock:
            entries = self._pool.mempool.entries()
            self._machine.load([entry.tx for entry in entries])
            self._bar.moved(self._chain.tip)
            self._unsubscribe = self._chain.events.subscribe(self._chain_event)
        if not self._settings.is_active:
            self._queue.put(net.SetActive(False))
        for address in self._settings.nodes:
            self._queue.put(net.AddNode(address))
        self._checker.start()
        self._thread.start()
        if self._discovery is not None:
            self._discovery.start(self._chain.tip.height)

    def stop(self) -> None:
        """End all links and keep addresses and bans."""
        if not self._thread.is_alive():
            return
        self._unsubscribe()
        if self._discovery is not None:
            self._discovery.stop()
        self._stopping.set()
        self._queue.put(net.Tick())
        self._thread.join(10)
        for connection in self._links.all():
            connection.close()
        self._checker.stop(30)
        self._save()
        self._client.close()

    def report(self, event: net.Event) -> None:
        """Tell the machine something; any thread may."""
        self._queue.put(event)

    def _chain_event(self, event: ChainEvent) -> None:
        """Pass on what the chain tells; called under its lock."""
        match event:
            case BlockConnected(_, block):
                self._connected_blocks.append(block)
            case TipChanged(_, new, _):
                blocks, self._connected_blocks = tuple(self._connected_blocks), []
                self._queue.put(net.TipMoved(new, blocks))
            case TransactionAdded(tx, _):
                self._queue.put(net.TransactionAdded(tx))
            case TransactionRemoved(tx, _):
                self._queue.put(net.TransactionRemoved(tx))
            case _:
                pass

    # -- the thread ---------------------------------------------------------------------------

    def _run(self) -> None:
        next_tick = next_save = time.monotonic()
        next_save += SAVE_SECONDS
        while not self._stopping.is_set():
            try:
                item = self._queue.get(timeout=max(0.0, next_tick - time.monotonic()))
                self._step(item)
            except Empty:
                pass
            except Exception:
                log.exception("the network failed at an event")
            now = time.monotonic()
            if now >= next_tick:
                next_tick = now + TICK
                self._tick()
                if now >= next_save:
                    next_save = now + SAVE_SECONDS
                    self._save()
                    if self._discovery is not None:
                        self._discovery.tell_height(self._chain.tip.height)
        self._bar.hide()

    def _step(self, item: net.Event | Callable[[], None]) -> None:
        if callable(item):
            item()
        else:
            self._handle(item)

    def _handle(self, event: net.Event) -> None:
        if isinstance(event, net.Connected):
            tell_link(event.link)
        elif isinstance(event, net.Disconnected):
            self._links.drop(event.peer, event.why)
        elif isinstance(event, net.TipMoved):
            self._bar.moved(event.tip)
        actions = self._machine.handle(event, time.monotonic(), self._chain.now())
        for action in actions:
            self._do(action)
        if isinstance(event, net.HeadersChecked | net.TipMoved):
            self._show_progress()

    def _show_progress(self) -> None:
        self._bar.look(self._chain.best_header, is_syncing=self._machine.is_syncing)

    def _do(self, action: net.Action) -> None:
        match action:
            case net.Send(peer, message):
                if not self._links.send(peer, message):
                    self._queue.put(net.Disconnected(peer, "it does not take what is sent"))
            case net.CheckBlock(_, _, data):
                if isinstance(data, Block):
                    self.responder.remember(data)
                self._checker.put(action)
            case net.CheckHeaders() | net.CheckTransaction():
                self._checker.put(action)
            case net.Disconnect(peer, why, is_banned):
                self._links.drop(peer, why, is_banned=is_banned)
            case net.Remark(peer, text):
                self._links.remark(peer, text)
            case net.Dial(address, is_manual):
                threading.Thread(
                    target=self._dial, args=(address, is_manual), name="peers-dial", daemon=True
                ).start()

    def _tick(self) -> None:
        for peer in self._links.silent():
            self._handle(net.Disconnected(peer, "it fell silent"))
        self._handle(net.Tick())
        self._show_progress()

    def _invoke(self, function: Callable[[], T], timeout: float = 10.0) -> T:
        """Run something in the network's thread; raises Overloaded where that takes too long."""
        done = threading.Event()
        results: list[T] = []
        errors: list[Exception] = []

        def run() -> None:
            try:
                results.append(function())
            except Exception as error:  # noqa: BLE001 - it is raised again where it was called
                errors.append(error)
            finally:
                done.set()

        self._queue.put(run)
        if not done.wait(timeout) or self._stopping.is_set():
            raise Overloaded("the network is busy")
        if errors:
            raise errors[0]
        return results[0]

    # -- links --------------------------------------------------------------------------------

    def _hello(self, *, is_far: bool) -> Hello:
        """What this node tells of itself; `is_far` says that the other is on another machine."""
        tip = self._chain.tip
        settings = self._settings
        unreachable = is_far and settings.listens_locally and not settings.external_host
        return Hello(
            genesis=self._chain.params.genesis.hash,
            tip=tip.hash,
            height=tip.height,
            work=tip.chain_work,
            time=self._chain.now(),
            nonce=self._nonce,
            port=0 if unreachable else settings.port,
            host=settings.external_host,
            agent=settings.agent,
        )

    def _dial(self, address: Address, is_manual: bool) -> None:
        """Make a link; runs in a thread of its own."""
        remote = Remote(self._client, address, self._limits)
        try:
            answer = remote.greet(self._hello(is_far=not address.host.startswith("127.")))
            if answer is not None and answer.nonce == self._nonce:
                remote.leave()
                raise RefusedError("this is myself")
            if answer is None and not remote.has_block(self._chain.params.genesis.hash):
                raise WrongChainError(f"another chain{remote.chain_name()}")
            host = address.host
            link = net.Link(net.PeerId(0), True, host, address, answer, is_manual)
            refused = self._invoke(lambda: self._admit_dialled(link, remote))
        except MisocoinError as error:
            why = str(error)
            if not self._stopping.is_set():
                self._tell_failure(address, why, is_manual)
                self.report(
                    net.DialFailed(
                        address,
                        why,
                        is_self="myself" in why,
                        is_double="already" in why,
                        is_hostile=is_hostile(error),
                    )
                )
            return
        if refused is not None:
            remote.leave()
            self.report(net.DialFailed(address, refused, is_double="already" in refused))

    def _tell_failure(self, address: Address, why: str, is_manual: bool) -> None:
        """Log why there is no link; who named the address reads each reason once."""
        is_news = is_manual and "already" not in why and self._failures.get(address.text) != why
        if is_news:
            self._failures[address.text] = why
        level = logging.WARNING if is_news else logging.DEBUG
        log.log(level, "no link with %s: %s", address.text, why)

    def _admit_dialled(self, link: net.Link, remote: Remote) -> str | None:
        refused = self._machine.refusal(link)
        if refused is not None:
            return refused
        link = link._replace(peer=self._links.new_id())
        connection = Dialled(link, remote, self._limits, self.report, self.answer)
        self._links.add(connection)
        self._handle(net.Connected(link))
        connection.start()
        return None

    def greeted(self, hello: Hello, host: str) -> Hello:
        """Answer the handshake of a node that dials us; raises RefusedError or Overloaded."""

        def admit() -> Hello | str:
            link = net.Link(self._links.new_id(), False, host, own_address(hello, host), hello)
            refused = self._machine.refusal(link)
            if refused is not None:
                return refused
            token = self._links.add_mailbox(link)
            answer = self._hello(is_far=not host.startswith("127."))._replace(session=token)
            self._handle(net.Connected(link))
            return answer

        answer = self._invoke(admit)
        if isinstance(answer, str):
            raise RefusedError(answer)
        return answer

    def mailbox(self, token: str) -> Mailbox | None:
        """The link of that name, if a node dialled us and was given it."""
        return self._links.mailbox(token)

    def received(self, mailbox: Mailbox, messages: tuple[Message, ...]) -> None:
        """Take messages that a node pushed; raises Overloaded where too many wait."""
        mailbox.touch()
        if self._queue.qsize() > self._limits.events:
            raise Overloaded("too much is going on")
        for message in messages:
            self._queue.put(net.Received(mailbox.link.peer, message))

    def answer(self, request: Request, is_near: bool) -> Any:
        """The messages that answer a peer's request."""
        return self.responder.answer(request, is_local=is_near)

    def _sample_addresses(self, is_near: bool) -> tuple[Address, ...]:
        gossip = self._machine.gossip
        if threading.current_thread() is self._thread:
            return gossip.sample(local=is_near)
        return self._invoke(lambda: gossip.sample(local=is_near))

    # -- what users ask -----------------------------------------------------------------------

    def peers(self) -> tuple[PeerInfo, ...]:
        """All links."""
        return self._invoke(
            lambda: tuple(
                [
                    info_of(peer, self._reader, time.monotonic(), self._links.traffic(peer.id))
                    for peer in self._machine.peers.values()
                ]
            )
        )

    def named_nodes(self) -> tuple[Address, ...]:
        """The addresses that users want links with."""
        return self._invoke(lambda: self._machine.gossip.named)

    def add_node(self, address: Address) -> None:
        """Keep a link with an address."""
        self._invoke(lambda: self._handle(net.AddNode(address)))

    def remove_node(self, address: Address) -> bool:
        """Keep no link with an address; False if there was none and none was wanted."""

        def remove() -> bool:
            known = address[:2] in {each[:2] for each in self._machine.gossip.named} or any(
                peer.link.address is not None and peer.link.address[:2] == address[:2]
                for peer in self._machine.peers.values()
            )
            self._handle(net.RemoveNode(address))
            return known

        return self._invoke(remove)

    def unlink(self, number: int) -> bool:
        """End the link of that number; False if there is none."""

        def end() -> bool:
            found = [peer for peer in self._machine.peers if int(peer) == number]
            for peer in found:
                self._handle(net.Disconnected(peer, "its owner ended the link"))
            return bool(found)

        return self._invoke(end)

    def ban(self, target: str, until: int) -> None:
        """Ban a host, network or `host:port` until a unix time; 0 lifts the ban."""
        self._invoke(lambda: self._handle(net.SetBan(target, until)))

    @property
    def is_active(self) -> bool:
        """Whether there are links at all."""
        return self._machine.gossip.is_active

    def set_active(self, is_active: bool) -> None:
        """End all links and make none, or make them again."""
        self._invoke(lambda: self._handle(net.SetActive(is_active)))

    def known_addresses(self) -> tuple[KnownAddress, ...]:
        """Where nodes may be reached, as far as this one knows."""
        return self._invoke(self._machine.gossip.book.known)

    def ping(self) -> None:
        """Have all links timed."""
        self._queue.put(net.PingAll())

    def banned(self) -> tuple[Ban, ...]:
        """Every ban in force."""
        return self._invoke(lambda: self._machine.bans.items(self._chain.now()))

    # -- keeping ------------------------------------------------------------------------------

    def _load(self) -> None:
        if self._settings.file is not None:
            machine = self._machine
            load_known(self._settings.file, machine.gossip.book, machine.bans, self._chain.now())

    def _save(self) -> None:
        if self._settings.file is not None:
            machine = self._machine
            save_known(self._settings.file, machine.gossip.book, machine.bans, self._chain.now())
