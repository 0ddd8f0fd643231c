"""The nodes of one sync: who answers, who failed, who lied.

A node that failed or lied is asked nothing more in this sync. One that says no is asked again, for
other things.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

from misocoin.consensus.block_rules import check_block
from misocoin.errors import MisocoinError, ValidationError
from misocoin.params import Params
from misocoin.primitives.block import Block
from misocoin.wallet.light.errors import NodeFailed, NodeLied, NotServed
from misocoin.wallet.light.headers import NodeTip
from misocoin.wallet.light.ports import NodePort

T = TypeVar("T")


class Unanswered(MisocoinError):  # noqa: N818 - what happened to the question
    """No node gives what is needed."""


class Peer:
    """A node as this sync sees it."""

    def __init__(self, node: NodePort) -> None:
        self.node = node
        self.tip: NodeTip | None = None
        """The end of its chain, once followed."""
        self.trouble = ""
        """Why it is asked no more; empty while it is."""
        self.lie = ""
        """What cannot be true of what it answered."""

    @property
    def name(self) -> str:
        """Its address."""
        return self.node.name


class NodePool:
    """Asks one node after the other; `lied(name, why)` hears of lies."""

    def __init__(self, nodes: Iterable[NodePort], lied: Callable[[str, str], None]) -> None:
        self.peers = tuple(Peer(node) for node in nodes)
        self._lied = lied

    @property
    def usable(self) -> list[Peer]:
        """Those that neither failed nor lied."""
        return [peer for peer in self.peers if not peer.trouble]

    def try_one(self, peer: Peer, question: Callable[[NodePort], T]) -> T | None:
        """The node's answer; None where there is none, of which note is taken.

        A question raises NodeLied where the answer cannot be true.
        """
        try:
            return question(peer.node)
        except NotServed:
            return None
        except NodeLied as error:
            self.condemn(peer, str(error))
        except NodeFailed as error:
            peer.trouble = str(error)
        return None

    def condemn(self, peer: Peer, why: str) -> None:
        """Take note of a lie."""
        peer.trouble = peer.lie = why
        self._lied(peer.name, why)

    def ask(self, what: str, question: Callable[[NodePort], T]) -> T:
        """The first node's answer that can be true.

        Raises Unanswered, saying that nobody gives `what`.
        """
        for peer in self.usable:
            answer = self.try_one(peer, question)
            if answer is not None:
                return answer
        raise Unanswered(f"no node gives {what}")

    def block(self, block_hash: bytes, height: int, params: Params) -> Block:
        """A whole block of the best chain, as its header commits to it. Raises Unanswered."""

        def question(node: NodePort) -> Block:
            block = node.block(block_hash)
            try:
                if block.hash != block_hash:
                    raise NodeLied(f"{node.name} sent another block than {height}")
                check_block(block, params)
            except ValidationError as error:
                raise NodeLied(f"{node.name} sent a false block {height}: {error}") from error
            return block

        return self.ask(f"block {height}", question)
