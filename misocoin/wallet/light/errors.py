"""What can go wrong between a light wallet and the nodes it asks.

MisocoinError
|- NodeFailed      no usable answer: not reachable, too slow, too long, or not understood
|  |- NotServed      the node says no: it does not have or not give what was asked for
|- NodeLied        what it answered contradicts itself, the rules, or what is proven
|- Refused         it does not take a transaction, and says why
"""

from misocoin.errors import MisocoinError


class NodeFailed(MisocoinError):  # noqa: N818 - what is said of the node
    """No usable answer came; the node may be all right later."""


class NotServed(NodeFailed):
    """The node says that it does not have what was asked for."""


class NodeLied(MisocoinError):  # noqa: N818 - what is said of the node
    """The answer cannot be true."""


class Refused(MisocoinError):  # noqa: N818 - what is said of the transaction
    """A node does not take a transaction."""
