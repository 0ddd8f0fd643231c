"""Who else is there: addresses told and heard, links kept and made.

Nodes that a user named are dialled for ever, with pauses up to a minute. Besides them we keep some
links of our own to addresses of different groups.
"""

from dataclasses import dataclass
from functools import partial

from misocoin.peers.addresses import AddressBook, address_group, is_local
from misocoin.peers.bans import BanList
from misocoin.peers.events import Dial, DialFailed
from misocoin.peers.limits import MAX_ADDRESSES
from misocoin.peers.messages import Address, Addresses, GetAddresses
from misocoin.peers.peer import Core, Peer

PASS_ON = 2
"""Peers that a small message of addresses is passed on to, as in Bitcoin's network."""

SMALL = 10
"""Addresses up to which a message counts as news worth passing on."""


@dataclass(slots=True)
class _Named:
    """An address that a user wants a link with."""

    address: Address
    failures: int = 0
    next_try: float = 0.0


class Gossip:
    """Addresses, links to be made, and bans."""

    def __init__(self, core: Core, book: AddressBook, bans: BanList, *, dials: bool) -> None:
        """`dials` says whether links are made beside those a user named."""
        self._core = core
        self.book = book
        self.bans = bans
        self._dials = dials
        self.is_active = True
        """Whether there are links at all."""
        self._named: dict[tuple[str, int], _Named] = {}
        self._dialling: dict[tuple[str, int], Address] = {}
        self._told: dict[tuple[str, int], float] = {}
        """When an address was last passed on."""

    # -- users --------------------------------------------------------------------------------

    @property
    def named(self) -> tuple[Address, ...]:
        """The addresses that users want links with."""
        return tuple([named.address for named in self._named.values()])

    def add_node(self, address: Address) -> None:
        """Keep a link with this address from now on."""
        self._named.setdefault(address[:2], _Named(address))
        self.dial_due()

    def remove_node(self, address: Address) -> None:
        """Want no link with it any more, and drop the one there is."""
        self._named.pop(address[:2], None)
        self.book.remove(address)
        for peer in self._core.alive():
            if peer.link.address is not None and peer.link.address[:2] == address[:2]:
                self._core.drop(peer, "a user asked for it")

    def set_ban(self, target: str, until: int) -> None:
        """Ban a host, network or address until a unix time, or lift the ban."""
        core = self._core
        self.bans.set(target, until, core.time)
        for peer in core.alive():
            if self.bans.has(peer.link.host, peer.link.address, core.time):
                core.drop(peer, "a user banned it")

    def set_active(self, is_active: bool) -> None:
        """End all links and make none, or make them again."""
        self.is_active = is_active
        if is_active:
            for named in self._named.values():
                named.next_try = 0.0
            self.dial_due()
        else:
            for peer in self._core.alive():
                self._core.drop(peer, "a user switched the network off")

    def found(self, address: Address) -> None:
        """A node was discovered on the local network."""
        self.book.add(address._replace(seen=self._core.time), "discovered", self._core.time)
        self.dial_due()

    # -- links --------------------------------------------------------------------------------

    def connected(self, peer: Peer) -> None:
        """A link stands."""
        core = self._core
        link = peer.link
        peer.tokens, peer.tokens_at = core.limits.address_burst, core.now
        if link.address is None:
            return
        named = self._named.get(link.address[:2])
        if link.is_outbound:
            self._dialling.pop(link.address[:2], None)
            if named is not None:
                named.failures = 0
            if peer.is_ours:
                self.book.succeeded(link.address, core.time)
                peer.wants_addresses = True
                core.send(peer, GetAddresses())
            else:
                self.book.remove(link.address)  # where it takes calls is its owner's affair
        else:
            heard = link.address._replace(seen=core.time)
            self.book.add(heard, address_group(heard), core.time)
            self._pass_on(peer, (heard,))

    def disconnected(self, peer: Peer) -> None:
        """A link is gone."""
        address = peer.link.address
        if address is None:
            return
        if peer.link.is_outbound:
            self.book.failed(address, self._core.now)
        named = self._named.get(address[:2])
        if named is not None:
            lived = self._core.now - peer.since > self._core.limits.retry_most
            named.failures = 0 if lived else named.failures + 1
            named.next_try = self._core.now + self._pause(named.failures)

    def failed(self, event: DialFailed) -> None:
        """An address could not be linked with."""
        core = self._core
        self._dialling.pop(event.address[:2], None)
        named = self._named.get(event.address[:2])
        if event.is_self:
            self.book.mark_own(event.address)
            self._named.pop(event.address[:2], None)
            return
        if event.is_hostile and named is None:
            self.book.remove(event.address)
        elif not event.is_double:
            self.book.failed(event.address, core.now)
        if named is not None:
            named.failures += 1
            named.next_try = core.now + self._pause(named.failures)

    def _pause(self, failures: int) -> float:
        limits = self._core.limits
        pause = limits.retry_seconds * 2 ** min(max(failures - 1, 0), 10)
        longest: float = min(pause, limits.retry_most)
        return longest * self._core.random.uniform(0.75, 1.0)

    def dial_due(self) -> None:
        """Dial what is due."""
        core = self._core
        if core.is_stopped or not self.is_active:
            return
        linked = {p.link.address[:2] for p in core.alive() if p.link.address is not None}
        busy = linked | set(self._dialling)
        for key, named in self._named.items():
            if key not in busy and named.next_try <= core.now:
                if self.bans.has(named.address.host, named.address, core.time):
                    continue
                self._dial(named.address, is_manual=True)
                busy.add(key)
        if not self._dials:
            return
        own = core.alive(lambda p: p.link.is_outbound and not p.link.is_manual)
        dialling = [a for a in self._dialling.values() if a[:2] not in self._named]
        free = core.limits.outbound - len(own) - len(dialling)
        used = core.alive(lambda p: p.link.is_outbound and p.link.address is not None)
        groups = {address_group(p.link.address) for p in used if p.link.address is not None}
        groups |= {address_group(address) for address in self._dialling.values()}
        while free > 0:
            address = self.book.choose(core.now, busy, groups)
            if address is None:
                return
            busy.add(address[:2])
            if self.bans.has(address.host, address, core.time):
                continue
            groups.add(address_group(address))
            self._dial(address, is_manual=False)
            free -= 1

    def _dial(self, address: Address, *, is_manual: bool) -> None:
        self._dialling[address[:2]] = address
        self._core.act(Dial(address, is_manual))

    def is_busy(self, address: Address) -> bool:
        """Whether an address is being dialled."""
        return address[:2] in self._dialling

    # -- addresses ----------------------------------------------------------------------------

    def sample(self, *, local: bool) -> tuple[Address, ...]:
        """What a peer is told when it asks. `local` peers hear of private addresses too."""
        return self.book.sample(MAX_ADDRESSES, local)

    def received(self, peer: Peer, addresses: tuple[Address, ...]) -> None:
        """Take addresses; unasked ones only as fast as allowed, the rest is dropped."""
        core = self._core
        limits = core.limits
        if peer.wants_addresses:
            peer.wants_addresses = False
        else:
            earned = (core.now - peer.tokens_at) * limits.address_rate
            peer.tokens = min(peer.tokens + earned, limits.address_burst)
            peer.tokens_at = core.now
            allowed = int(peer.tokens)
            if len(addresses) > allowed + limits.address_burst:
                core.punish(peer, 20, "a flood of addresses")
            peer.addresses_dropped += max(0, len(addresses) - allowed)
            addresses = addresses[:allowed]
            peer.tokens -= len(addresses)
        peer.addresses_taken += len(addresses)
        local = is_local(peer.link.host)
        source = self._source(peer)
        news = [
            address
            for address in addresses
            if (local or not is_local(address.host)) and self.book.add(address, source, core.time)
        ]
        if news and len(addresses) <= SMALL:
            self._pass_on(peer, tuple(news))
        self.dial_due()

    @staticmethod
    def _source(peer: Peer) -> str:
        link = peer.link
        return address_group(link.address or Address(link.host, 1))

    def _pass_on(self, source: Peer, addresses: tuple[Address, ...]) -> None:
        core = self._core
        if len(self._told) > 2 * core.limits.addresses:
            self._told.clear()
        fresh = []
        for address in addresses:
            last = self._told.get(address[:2])
            if last is None or core.now - last >= core.limits.gossip_seconds:
                self._told[address[:2]] = core.now
                fresh.append(address)
        for address in fresh:
            others = core.alive(partial(_may_hear, source, address))
            for peer in core.random.sample(others, min(len(others), PASS_ON)):
                core.send(peer, Addresses((address,)))


def _may_hear(source: Peer, address: Address, peer: Peer) -> bool:
    """Whether a peer is to be told of an address: not its teller, not the node itself."""
    own = peer.link.address
    return (
        peer is not source
        and peer.is_ours
        and (own is None or own[:2] != address[:2])
        and (is_local(peer.link.host) or not is_local(address.host))
    )
