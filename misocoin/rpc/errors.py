"""The one place where our exceptions become RPC codes, and RPC codes HTTP statuses.

The codes are those of JSON-RPC 2.0 and of Bitcoin Core (`rpc/protocol.h`).
"""

import logging
from enum import IntEnum
from http import HTTPStatus

from misocoin.errors import (
    AddressError,
    AmountError,
    ConfigError,
    InsufficientFunds,
    KeyFormatError,
    MisocoinError,
    MissingInputsError,
    NoDataError,
    NotFoundError,
    ParseError,
    StoreError,
    ValidationError,
    WalletError,
    WalletLocked,
    WrongPassphrase,
)
from misocoin.http.errors import Overloaded, RpcError

log = logging.getLogger(__name__)


class RpcCode(IntEnum):
    """What kind of error an answer holds."""

    MISC_ERROR = -1
    """Anything without a code of its own; also a wrong number of arguments."""
    TYPE_ERROR = -3
    """A JSON value of the wrong type, or an amount that is none."""
    WALLET_ERROR = -4
    """The wallet cannot do that."""
    INVALID_ADDRESS_OR_KEY = -5
    """A bad address or key; also a block or transaction nobody here knows."""
    INSUFFICIENT_FUNDS = -6
    INVALID_PARAMETER = -8
    """A value out of range, of the wrong length, or under an unknown name."""
    CLIENT_NOT_CONNECTED = -9
    CLIENT_IN_INITIAL_DOWNLOAD = -10
    """Blocks are still being fetched."""
    WALLET_INVALID_LABEL = -11
    WALLET_UNLOCK_NEEDED = -13
    WALLET_PASSPHRASE_INCORRECT = -14
    WALLET_WRONG_ENC_STATE = -15
    """A passphrase for a wallet that has none, or the other way round."""
    WALLET_NOT_FOUND = -18
    DATABASE_ERROR = -20
    DESERIALIZATION_ERROR = -22
    """Hex that is not a transaction or block."""
    NODE_ALREADY_ADDED = -23
    NODE_NOT_ADDED = -24
    VERIFY_ERROR = -25
    """A transaction whose inputs are missing or spent."""
    VERIFY_REJECTED = -26
    """A block or transaction that breaks a rule; the message begins with Core's reject string."""
    VERIFY_ALREADY_IN_CHAIN = -27
    IN_WARMUP = -28
    """The node is still starting; ask again."""
    NODE_NOT_CONNECTED = -29
    INVALID_IP_OR_SUBNET = -30
    METHOD_DEPRECATED = -32
    """Also an argument that has no meaning any more."""
    WALLET_ALREADY_LOADED = -35
    INVALID_REQUEST = -32600
    METHOD_NOT_FOUND = -32601
    INVALID_PARAMS = -32602
    """Arguments that do not go together, in the few methods where Core says so."""
    INTERNAL_ERROR = -32603
    """A fault of this program; its log has more."""
    PARSE_ERROR = -32700


class WrongUsage(MisocoinError):
    """A method cannot be called so; the caller is shown its help."""


COMMON = (RpcCode.MISC_ERROR, RpcCode.TYPE_ERROR, RpcCode.INVALID_PARAMETER, RpcCode.IN_WARMUP)
"""What any call may end in: a wrong number of arguments, one of a wrong type, one of an unknown
name, and a node that is still starting."""


PAYING = (
    RpcCode.WALLET_ERROR,
    RpcCode.INVALID_ADDRESS_OR_KEY,
    RpcCode.INSUFFICIENT_FUNDS,
    RpcCode.WALLET_UNLOCK_NEEDED,
)
"""What a payment from the wallet may end in."""


def words_from_code(code: RpcCode) -> str:
    """A code in plain words: `invalid parameter`."""
    return code.name.lower().replace("_", " ")


_ALREADY_IN_CHAIN = frozenset({"txn-already-known", "txn-already-confirmed"})

# The first class that fits counts, so the narrower ones come first.
_CODES: tuple[tuple[type[MisocoinError], RpcCode], ...] = (
    (MissingInputsError, RpcCode.VERIFY_ERROR),
    (ValidationError, RpcCode.VERIFY_REJECTED),
    (AmountError, RpcCode.TYPE_ERROR),
    (AddressError, RpcCode.INVALID_ADDRESS_OR_KEY),
    (KeyFormatError, RpcCode.INVALID_ADDRESS_OR_KEY),
    (ParseError, RpcCode.DESERIALIZATION_ERROR),
    (NoDataError, RpcCode.MISC_ERROR),
    (NotFoundError, RpcCode.INVALID_ADDRESS_OR_KEY),
    (InsufficientFunds, RpcCode.INSUFFICIENT_FUNDS),
    (WalletLocked, RpcCode.WALLET_UNLOCK_NEEDED),
    (WrongPassphrase, RpcCode.WALLET_PASSPHRASE_INCORRECT),
    (WalletError, RpcCode.WALLET_ERROR),
    (ConfigError, RpcCode.INVALID_PARAMETER),
    (StoreError, RpcCode.DATABASE_ERROR),
    (Overloaded, RpcCode.INTERNAL_ERROR),
)


def rpc_error_from_exception(error: Exception) -> RpcError:
    """What a caller is told of an exception that a method raised.

    What is not one of ours is a bug: the log gets it whole, the caller gets no detail.
    """
    if isinstance(error, RpcError):
        return error
    if isinstance(error, StoreError):
        log.error("%s", error)  # the owner should know, not the caller alone
    if isinstance(error, ValidationError) and error.reason in _ALREADY_IN_CHAIN:
        return RpcError(RpcCode.VERIFY_ALREADY_IN_CHAIN, str(error))
    for kind, code in _CODES:
        if isinstance(error, kind):
            return RpcError(code, str(error))
    if isinstance(error, MisocoinError):
        return RpcError(RpcCode.MISC_ERROR, str(error))
    log.error("a method failed", exc_info=error)
    return RpcError(RpcCode.INTERNAL_ERROR, "internal error, see the node's log")


def http_status_from_code(code: int) -> HTTPStatus:
    """The HTTP status of an answer to a single call of JSON-RPC 1.x that holds this error.

    Calls of JSON-RPC 2.0 and batches are answered with 200.
    """
    if code == RpcCode.INVALID_REQUEST:
        return HTTPStatus.BAD_REQUEST
    if code == RpcCode.METHOD_NOT_FOUND:
        return HTTPStatus.NOT_FOUND
    return HTTPStatus.INTERNAL_SERVER_ERROR
