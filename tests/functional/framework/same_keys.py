"""A wallet of ours and a wallet of a real bitcoind with the same keys."""

from typing import Any

from tests.functional.framework.answers import Twins
from tests.functional.framework.differences import Buts, ours_lacks, theirs_lacks

NOBODY = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
"""An address of neither."""

KNOTS = ours_lacks("Knots' own field; Core has none")

POOLED = {"$[*].in_mempool": KNOTS, "$.in_mempool": KNOTS, "$.transactions[*].in_mempool": KNOTS}

LATER = theirs_lacks("Core has it since 30")

GONE = ours_lacks("Core has it no more since 30 or 31")

OPTIONS = ("-corepolicy", "-addresstype=bech32", "-changetype=bech32", "-keypool=20")
"""Of the bitcoind: bech32 as Core has it whatever the wallet knows, and a small keypool."""


def share_keys(twins: Twins, name: str = "w") -> None:
    """Restore our wallet in theirs from its descriptors; both are empty yet.

    Our first address is handed out from the start, so theirs is made to.
    """
    twins.ours.rpc.createwallet(name)
    twins.theirs.call("createwallet", name, False, True)
    found = twins.ours.rpc.listdescriptors(True)["descriptors"]
    taken = [{k: v for k, v in each.items() if k != "next_index"} for each in found]
    for each in taken:
        each["next_index"] = 0
    answers = twins.theirs.call("importdescriptors", taken)
    assert all(each["success"] for each in answers), answers
    assert twins.theirs.call("getnewaddress") == twins.ours.rpc.list_addresses()[0]["address"]


def known(twins: Twins, method: str, *params: Any, but: Buts | None = None) -> Any:
    """`twins.same`, with what Knots adds to the wallet's transactions left out."""
    return twins.same(method, *params, but=but)
