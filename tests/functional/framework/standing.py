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

GONE = ours_lacks("Core 30 or 31 has it no more")
SETS = unordered("theirs keeps them by hash, in the order of its memory")
_LISTS = ("$", "$[*]", "$.transactions[*]", "$.removed[*]", "$.details[*]")
_PARENTS = ignored("theirs from the master's key, ours from the account's, known when locked too")
_WALLET: Buts = {
    **{f"{path}.in_mempool": KNOTS for path in _LISTS},
    **{f"{path}.parent_descs[*]": _PARENTS for path in _LISTS},
}

STANDING: Mapping[str, Buts] = {
    "getaddressinfo": {"$.isactive": KNOTS, "$.use_txids": KNOTS},
    "getwalletinfo": {
        "$.balance": GONE,
        "$.unconfirmed_balance": GONE,
        "$.immature_balance": GONE,
        "$.paytxfee": GONE,
        "$.mintxfee": KNOTS,
        "$.flags": LATER,
        "$.keypoolsize": ignored("theirs was told of as many as were asked for by the restore"),
        "$.keypoolsize_hd_internal": ignored("the same"),
        "$.blank": anything("theirs was made without keys, then given some"),
    },
    "gettransaction": _WALLET,
    "listtransactions": _WALLET,
    "listsinceblock": {
        **_WALLET,
        "$.transactions": SETS,
        "$.removed": SETS,
    },
    "listunspent": {"$": SETS, "$[*].parent_descs[*]": _PARENTS},
    "listreceivedbyaddress": {"$": SETS, "$[*].txids": SETS},
    "listaddressgroupings": {"$": SETS, "$[*]": SETS},
    "getaddressesbylabel": {"$": SETS},
    "getblock": _HEADER,
    "getblockheader": _HEADER,
    "getblockchaininfo": {
        "$.size_on_disk": ignored("another store"),
        "$.verificationprogress": anything("an estimate: theirs of transactions, ours of blocks"),
    },
    "getchaintips": {"$": unordered("theirs has tips of one height in the order of addresses")},
    "getdeploymentinfo": {
        "$.script_flags": LATER,
        "$.deployments.testdummy.bip9.statistics.period_start": KNOTS,
    },
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
        **{
            f"$.{name}": ignored("ours has the least fee rates of Core up to 29.0")
            for name in ("mempoolminfee", "minrelaytxfee", "incrementalrelayfee")
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
    "signrawtransactionwithkey": {"$.fee": KNOTS, "$.feerate": KNOTS},
    "testmempoolaccept": {"$[*].usage": KNOTS},
    "validateaddress": {"$.error_index": KNOTS},
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
