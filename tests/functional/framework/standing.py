"""What our answers and a real bitcoind's differ in wherever a method is called, and why."""

from collections.abc import Mapping

from tests.functional.framework.differences import (
    Buts,
    anything,
    ignored,
    ours_lacks,
    theirs_lacks,
    unordered,
)

KNOTS = ours_lacks("Knots' own field; Core has none")
LATER = theirs_lacks("Core 30 and later have it")
NO_PEER = ignored("ours counts as told what it took")

_ENTRY = {
    "startingpriority": KNOTS,
    "currentpriority": KNOTS,
    "hash": KNOTS,
    "unbroadcast": NO_PEER,
}
_ENTRIES: Buts = {f"$.*.{name}": but for name, but in _ENTRY.items()}
_HEADER: Buts = {"$.txcount": KNOTS, "$.header_version": KNOTS}

STANDING: Mapping[str, Buts] = {
    "getblock": _HEADER,
    "getblockheader": _HEADER,
    "getblockchaininfo": {
        "$.size_on_disk": ignored("another store"),
        "$.verificationprogress": anything("an estimate: theirs of transactions, ours of blocks"),
    },
    "getchaintips": {"$": unordered("theirs has tips of one height in the order of addresses")},
    "getdeploymentinfo": {"$.script_flags": LATER},
    "getmempoolancestors": _ENTRIES,
    "getmempooldescendants": _ENTRIES,
    "getmempoolentry": {f"$.{name}": but for name, but in _ENTRY.items()},
    "getmempoolinfo": {
        **{
            f"$.{name}": KNOTS
            for name in (
                "dustrelayfee",
                "dustrelayfeefloor",
                "dustdynamic",
                "rbf_policy",
                "truc_policy",
            )
        },
        "$.permitbaremultisig": LATER,
        "$.maxdatacarriersize": LATER,
        "$.usage": ignored("memory"),
        "$.unbroadcastcount": NO_PEER,
    },
    "getrawmempool": {
        **_ENTRIES,
        "$": unordered("by ancestors and fee rate in 29, by chunks in 31, by arrival in ours"),
        "$.txids": unordered("the same"),
    },
    "gettxoutsetinfo": {"$.disk_size": ignored("another store")},
    "verifytxoutproof": {"$.message": ignored("C++'s words for the end of data")},
}
"""By method and path."""


def below(path: str, method: str) -> Buts:
    """What differs in a method's result where that stands under another path."""
    return {path + each.removeprefix("$"): but for each, but in STANDING.get(method, {}).items()}


REST: Mapping[str, Buts] = {
    "block": STANDING["getblock"],
    "headers": below("$[*]", "getblockheader"),
    "chaininfo": STANDING["getblockchaininfo"],
    "deploymentinfo": STANDING["getdeploymentinfo"],
    "mempool": {**STANDING["getmempoolinfo"], **STANDING["getrawmempool"]},
}
"""By what stands behind `/rest/` and path."""
