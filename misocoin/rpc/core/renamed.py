"""Methods on chain, transactions and mining that the first dialect has under other names."""

from collections.abc import Iterator, Mapping

from misocoin.errors import AddressError, MisocoinError, ValidationError
from misocoin.http.errors import RpcError
from misocoin.rpc.core.kinds import COINS
from misocoin.rpc.declare import Method, Param
from misocoin.rpc.errors import RpcCode
from misocoin.rpc.methods.transactions import DEFAULT_MAX_FEERATE
from misocoin.rpc.params import (
    HASH,
    INTEGER,
    LONG,
    STRING,
    TRANSACTION,
    bounded_level,
)
from misocoin.rpc.schema import hexadecimal
from misocoin.units import Sats


def renamed_methods(first: Mapping[str, Method]) -> Iterator[Method]:
    """The methods, made of those of the first dialect by name."""
    yield first["get_best_block"].in_dialect(
        "getbestblockhash",
        result=hexadecimal("the tip's hash"),
        shape=lambda block: block["hash"],
        summary="Tell the hash of the active chain's last block.",
    )
    yield first["get_block"].in_dialect(
        "getblock",
        (
            Param("blockhash", HASH, "the block's hash", argument="block"),
            Param(
                "verbosity|verbose",
                bounded_level(3),
                "0: the bytes in hex; 1: transactions by id; 2: whole transactions; 3: with the "
                "coins that they spend",
                1,
                "detail",
            ),
        ),
        errors=(RpcCode.INVALID_ADDRESS_OR_KEY, RpcCode.INVALID_PARAMETER),
    )
    yield first["generate"].in_dialect(
        "generatetoaddress",
        (
            Param("nblocks", INTEGER, "how many blocks", argument="count"),
            Param("address", STRING, "whom they pay"),
            Param("maxtries", LONG, "not looked at: blocks cost nothing here", 1_000_000, None),
        ),
        translate=_generate_error,
        errors=(RpcCode.MISC_ERROR, RpcCode.INVALID_ADDRESS_OR_KEY, RpcCode.INVALID_PARAMETER),
    )
    yield first["send_raw_tx"].in_dialect(
        "sendrawtransaction",
        (
            Param("hexstring", TRANSACTION, "the signed transaction", argument="tx"),
            Param(
                "maxfeerate",
                COINS,
                "coins per 1,000 virtual bytes that it may pay at most; 0 for any",
                DEFAULT_MAX_FEERATE,
                "max_fee_rate",
            ),
            Param(
                "maxburnamount",
                COINS,
                "coins that one unspendable output may hold",
                Sats(0),
                "max_burn",
            ),
        ),
        translate=_raw_error,
        errors=(
            RpcCode.DESERIALIZATION_ERROR,
            RpcCode.VERIFY_ERROR,
            RpcCode.VERIFY_REJECTED,
            RpcCode.VERIFY_ALREADY_IN_CHAIN,
        ),
    )


def _generate_error(error: MisocoinError) -> MisocoinError:
    if isinstance(error, AddressError):
        return RpcError(RpcCode.INVALID_ADDRESS_OR_KEY, "Error: Invalid address")
    return error


def _raw_error(error: MisocoinError) -> MisocoinError:
    """Core's code and words for a transaction that is refused."""
    if isinstance(error, ValidationError) and error.reason == "max-fee-exceeded":
        return RpcError(
            RpcCode.VERIFY_ERROR,
            "Fee exceeds maximum configured by user (e.g. -maxtxfee, maxfeerate)",
        )
    if isinstance(error, ValidationError) and error.reason == "txn-already-known":
        return RpcError(RpcCode.VERIFY_ALREADY_IN_CHAIN, "Transaction outputs already in utxo set")
    return error
