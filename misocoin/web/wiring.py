"""All of the node's pages, added to Flask's application."""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from flask import Flask

from misocoin.chain.pool import TransactionPool
from misocoin.chain.state import ChainState
from misocoin.http.guard import Guard
from misocoin.policy.feerate import FeeRate
from misocoin.wallet.wallet import Wallet
from misocoin.web.door import Door, LoginPages
from misocoin.web.key_pages import KeyPages
from misocoin.web.machine_pages import MachinePages, Machines, rates_drawn
from misocoin.web.money_pages import MoneyPages, qr_svg
from misocoin.web.paying import Paying
from misocoin.web.sessions import Sessions
from misocoin.web.site import Pages
from misocoin.web.wallet_pages import WalletPages
from misocoin.web.wallet_views import WalletViews


@dataclass(frozen=True, slots=True)
class PageParts:
    """What the pages show and steer."""

    chain: ChainState
    pool: TransactionPool
    wallet: Wallet
    estimate: Callable[[int], FeeRate | None]
    """A fee rate that makes it within so many blocks."""
    sessions: Sessions
    guard: Guard
    """Knows what this node is called, and its own pages."""
    is_password: Callable[[str, str], bool]
    """Knows the node's names and passwords."""
    machines: Machines


def add_pages(app: Flask, parts: PageParts) -> None:
    """Add them."""
    door = Door(parts.sessions, parts.guard)
    pages = Pages(parts.chain, parts.pool.mempool, parts.machines.network.peers, door.csrf)
    pages.templates.globals.update(qr=qr_svg, rates_drawn=rates_drawn)
    pages.add_to(app)
    LoginPages(door, parts.sessions, parts.is_password, pages.page).add_to(app)
    views = WalletViews(parts.chain, parts.wallet)
    WalletPages(door, pages.page, parts.wallet, views).add_to(app)
    KeyPages(door, pages.page, parts.wallet, views).add_to(app)
    paying = Paying(parts.chain, parts.pool, parts.wallet, parts.estimate, monotonic)
    MoneyPages(door, pages.page, parts.wallet, views, paying).add_to(app)
    MachinePages(door, pages.page, parts.machines).add_to(app)
