"""A wallet of ours and a wallet of a real bitcoind with the same keys."""

from tests.functional.framework.answers import Twins

NOBODY = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
"""An address of neither."""

OPTIONS = ("-addresstype=bech32", "-changetype=bech32", "-keypool=20")
"""Bech32 whatever the wallet knows, as Core has it, and a small keypool."""


def share_keys(twins: Twins, name: str = "w") -> None:
    """Restore our wallet in theirs, from its descriptors; both are empty yet."""
    twins.ours.rpc.createwallet(name)
    twins.theirs.call("createwallet", name, False, True)
    rows = twins.ours.rpc.listdescriptors(True)["descriptors"]
    fresh = [{**row, "next_index": 0} for row in rows]
    for row in fresh:
        del row["next"]
    answers = twins.theirs.call("importdescriptors", fresh)
    assert all(each["success"] for each in answers), answers
    # Our first address is handed out from the start.
    assert twins.theirs.call("getnewaddress") == (twins.ours.rpc.list_addresses()[0]["address"])
