"""What a market refuses, and with which HTTP status it says so.

MisocoinError
|- MarketError            a market's request or answer cannot be used
|  |- Malformed    400      it does not have its form
|  |- NotPaidFor   402      the account does not hold enough
|  |- NotAllowed   403      the signature or the role is wrong
|  |- Unknown      404      there is no such thing
|  |- TooLate      409      the state has moved on, or the nonce is spent
|  |- TooLarge     413      more bytes than are taken

Who raises one of these has changed nothing.
"""

from misocoin.errors import MisocoinError


class MarketError(MisocoinError):
    """A request that cannot be granted; its text is what the client reads."""

    status = 400
    """The HTTP status of the answer."""


class Malformed(MarketError):  # noqa: N818 - named for what the client did
    """Text or arguments without the form they need."""


class NotPaidFor(MarketError):  # noqa: N818
    """The account's money does not cover it."""

    status = 402


class NotAllowed(MarketError):  # noqa: N818
    """The signature does not fit, or it is somebody else's to do."""

    status = 403


class Unknown(MarketError):  # noqa: N818
    """Nothing is known under that key."""

    status = 404


class TooLate(MarketError):  # noqa: N818
    """It could have been granted in another state, or before."""

    status = 409


class TooLarge(MarketError):  # noqa: N818
    """More bytes than this market takes."""

    status = 413
