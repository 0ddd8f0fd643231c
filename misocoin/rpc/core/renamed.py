"""Methods on chain, transactions and mining that the first dialect has under other names."""

from collections.abc import Iterator, Mapping

from misocoin.rpc.declare import Method, Param
from misocoin.rpc.params import HASH, INTEGER, LEVEL, STRING
from misocoin.rpc.schema import hexadecimal


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
                LEVEL,
                "0: the bytes in hex; 1: transactions by id; 2: whole transactions; 3: with the "
                "coins that they spend",
                1,
                "detail",
            ),
        ),
    )
    yield first["generate"].in_dialect(
        "generatetoaddress",
        (
            Param("nblocks", INTEGER, "how many blocks", argument="count"),
            Param("address", STRING, "whom they pay"),
            Param("maxtries", INTEGER, "not looked at: blocks cost nothing here", 0, None),
        ),
    )
