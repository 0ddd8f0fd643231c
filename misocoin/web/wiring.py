"""All of the node's pages, added to Flask's application."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flask import Flask

from misocoin.chain.mempool import Mempool
from misocoin.chain.state import ChainState
from misocoin.peers.info import PeerInfo
from misocoin.wallet.wallet import Wallet
from misocoin.web.door import Door, LoginPages
from misocoin.web.sessions import Sessions
from misocoin.web.site import Pages
from misocoin.web.wallet_pages import WalletPages
from misocoin.web.wallet_views import WalletViews


@dataclass(frozen=True, slots=True)
class PageParts:
    """What the pages show and steer."""

    chain: ChainState
    mempool: Mempool
    peers: Callable[[], Sequence[PeerInfo]]
    wallet: Wallet
    sessions: Sessions
    is_password: Callable[[str, str], bool]
    """Knows the node's names and passwords."""


def add_pages(app: Flask, parts: PageParts) -> None:
    """Add them."""
    door = Door(parts.sessions)
    pages = Pages(parts.chain, parts.mempool, parts.peers, door.csrf)
    pages.add_to(app)
    LoginPages(door, parts.sessions, parts.is_password, pages.page).add_to(app)
    views = WalletViews(parts.chain, parts.wallet)
    WalletPages(door, pages.page, parts.wallet, views).add_to(app)
