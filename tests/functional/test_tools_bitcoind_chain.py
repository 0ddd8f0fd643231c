"""Bitcoin Core's chain and mempool methods: a real bitcoind's answers, and ours on one chain."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from misocoin.rpc.core.absent import ABSENT
from tests.builders import COIN
from tests.functional.conftest import MakeTwins
from tests.functional.framework.answers import Twins
from tests.functional.framework.differences import Buts, anything, ignored
from tests.functional.framework.rich_chain import (
    BARE,
    KEY,
    PAY,
    START,
    RichChain,
    block_on,
    build,
    submit,
)

pytestmark = pytest.mark.tools

ZERO = "00" * 32

ODD: tuple[Any, ...] = (
    None, True, 1, -1, 1.5, 1e20, 1 << 31, 1 << 32, 1 << 63, -(1 << 63),
    "", "zz", "00", "1", ZERO, "g" * 64, "0" * 63, "F" * 64, "f" * 200, "true",
    [], {}, [1], {"a": 1}, ["x"], [{}],
)  # fmt: skip
"""What stands in for each parameter in turn."""


@pytest.fixture(scope="module")
def twins(make_twins: MakeTwins) -> Twins:
    """Both with the same indexes."""
    return make_twins("-blockfilterindex")


@pytest.fixture(scope="module")
def chain(twins: Twins) -> RichChain:
    """The chain that both have."""
    return build(twins)


def blocks_of(twins: Twins, chain: RichChain) -> list[str]:
    """Blocks of every kind. The invalid one is left out: ours keeps no body of what it refused."""
    early = [twins.theirs.call("getblockhash", height) for height in (0, 1, 50, 122, 125)]
    return early + [each for each in chain.blocks() if each != chain.invalid]


@pytest.mark.parametrize(
    "method",
    [
        "getbestblockhash",
        "getblockchaininfo",
        "getblockcount",
        "getchaintips",
        "getchaintxstats",
        "getdeploymentinfo",
        "getindexinfo",
        "getmempoolinfo",
        "getrawmempool",
        "gettxoutsetinfo",
        "verifychain",
    ],
)
def test_methods_without_parameters(twins: Twins, chain: RichChain, method: str) -> None:
    del chain
    twins.same(method)


def test_blocks(twins: Twins, chain: RichChain) -> None:
    for block_hash in blocks_of(twins, chain):
        for verbosity in (0, 1, 2, 3, 4, -1, True, False):
            twins.same("getblock", block_hash, verbosity)
        twins.same("getblockheader", block_hash, True)
        twins.same("getblockheader", block_hash, False)
        twins.same("getblockfilter", block_hash)
        twins.same("getblockfilter", block_hash, "basic")
        twins.same("getdeploymentinfo", block_hash)
        twins.same("getblockstats", block_hash)
    twins.same("getblockheader", chain.invalid, True, but={"$.nTx": ignored("no body kept")})


def test_heights_and_figures(twins: Twins, chain: RichChain) -> None:
    for height in (0, 1, 5, 122, 123, 125, 126, 1000, -1):
        twins.same("getblockhash", height)
        twins.same("getblockstats", height)
        twins.same("getblockstats", height, ["txs"])
    for chosen in (["maxfee", "avgfee"], ["avgfee", "maxfee", "height"], [], ["txs", "txs"]):
        twins.same("getblockstats", 122, chosen)
    for window in (
        (10,), (0,), (1,), (124,), (125,), (126,), (-1,), (None, chain.every_script),
        (10, chain.stale), (10, chain.spending), (None, chain.header), (10, chain.invalid),
    ):  # fmt: skip
        twins.same("getchaintxstats", *window)


def test_the_mempool(twins: Twins, chain: RichChain) -> None:
    for verbose in (True, False):
        twins.same("getrawmempool", verbose)
        twins.same("getrawmempool", verbose, True)
        for txid in chain.waiting:
            twins.same("getmempoolancestors", txid, verbose)
            twins.same("getmempooldescendants", txid, verbose)
    for txid in chain.waiting:
        twins.same("getmempoolentry", txid)
        points = [{"txid": txid, "vout": index} for index in (0, 1, 100)]
        twins.same("gettxspendingprevout", points[:1])
        twins.same("gettxspendingprevout", points)


def test_unspent_outputs(twins: Twins, chain: RichChain) -> None:
    spending = twins.theirs.call("getblock", chain.spending)["tx"]
    every = twins.theirs.call("getblock", chain.every_script, 2)["tx"]
    counted = [(tx["txid"], len(tx["vout"]) + 1) for tx in every]
    counted += [(txid, 3) for txid in (*spending, *chain.waiting)]
    for txid, count in counted:
        for index in range(count):
            twins.same("gettxout", txid, index)
            twins.same("gettxout", txid, index, False)
    for kind in ("none", "muhash", "hash_serialized_3", "hash_serialized_2", "nope"):
        twins.same("gettxoutsetinfo", kind)
        twins.same("gettxoutsetinfo", kind, None, False)
        twins.same("gettxoutsetinfo", kind, 10)


def test_proofs(twins: Twins, chain: RichChain) -> None:
    txids = twins.theirs.call("getblock", chain.spending)["tx"]
    for count in range(1, len(txids) + 1):
        proof = twins.same("gettxoutproof", txids[:count])
        assert twins.same("verifytxoutproof", proof) == txids[:count]
        assert twins.same("gettxoutproof", txids[-count:], chain.spending)
    twins.same("verifytxoutproof", proof[:-2])
    twins.same("verifytxoutproof", proof.replace(proof[200:210], "11" * 5))
    stale = twins.theirs.call("getblock", chain.stale)["tx"]
    proof = twins.same("gettxoutproof", stale, chain.stale)
    twins.same("verifytxoutproof", proof)
    twins.same("gettxoutproof", [txids[3]], chain.every_script)
    twins.same("gettxoutproof", chain.waiting[:1])
    twins.same("gettxoutproof", txids[:1], chain.header)
    twins.same("gettxoutproof", [txids[1], txids[1]])
    twins.same("gettxoutproof", [txids[1], stale[0]])
    twins.same("gettxoutproof", [ZERO])


def test_a_search_for_coins(twins: Twins, chain: RichChain) -> None:
    del chain
    key = KEY.public_key.hex()
    found = [
        f"addr({PAY})", f"raw({BARE.hex()})", f"combo({key})", f"pkh({key})", f"pk({key})",
        f"sh(wpkh({key}))", f"tr({key})", {"desc": f"wpkh({key})"}, "raw(51)",
        {"desc": "raw(51)", "range": 5}, "raw(00)", f"wsh(pkh({key}))",
    ]  # fmt: skip
    for each in (*found, "addr(x)", "nonsense", "", 5, {"range": 5}, {"desc": 5}, None, [], {}):
        twins.same("scantxoutset", "start", [each])
    twins.same("scantxoutset", "start", found)
    twins.same("scantxoutset", "start", [])
    for action in ("start", "status", "abort", "nope"):
        twins.same("scantxoutset", action)
    for given in (["raw(51)"], ["addr(x)"], [5], [], [{"desc": "raw(51)"}]):
        twins.same("scantxoutset", "start", given)


def test_checks_and_waiting(twins: Twins, chain: RichChain) -> None:
    best = twins.same("getbestblockhash")
    for level in range(-1, 6):
        twins.same("verifychain", level)
        twins.same("verifychain", level, 0)
    twins.same("verifychain", 3, 100_000)
    for method, params in (
        ("waitfornewblock", [1]),
        ("waitfornewblock", [-1]),
        ("waitfornewblock", [1, best]),
        ("waitfornewblock", [0, chain.stale]),
        ("waitfornewblock", [1, ZERO]),
        ("waitforblock", [best]),
        ("waitforblock", [chain.stale, 1]),
        ("waitforblock", [chain.stale, -1]),
        ("waitforblockheight", [5]),
        ("waitforblockheight", [500, 1]),
        ("waitforblockheight", [500, -1]),
    ):
        twins.same(method, *params)
    for index in ("txindex", "basic block filter index", "coinstatsindex", "nope", ""):
        twins.same("getindexinfo", index)


# -- bad calls ------------------------------------------------------------------------------------


def good_calls(twins: Twins, chain: RichChain) -> Mapping[str, Sequence[Any]]:
    """A call of each method that both answer, with all of its parameters."""
    best, waiting = str(twins.theirs.call("getbestblockhash")), chain.waiting[0]
    return {
        "getbestblockhash": [],
        "getblock": [best, 1],
        "getblockchaininfo": [],
        "getblockcount": [],
        "getblockfilter": [best, "basic"],
        "getblockhash": [5],
        "getblockheader": [best, True],
        "getblockstats": [5, ["txs"]],
        "getchaintips": [],
        "getchaintxstats": [5, best],
        "getdeploymentinfo": [best],
        "getindexinfo": ["txindex"],
        "getmempoolancestors": [waiting, False],
        "getmempooldescendants": [waiting, False],
        "getmempoolentry": [waiting],
        "getmempoolinfo": [],
        "getrawmempool": [False, False],
        "gettxout": [waiting, 0, True],
        "gettxoutproof": [
            [twins.theirs.call("getblock", chain.spending)["tx"][1]],
            chain.spending,
        ],
        "gettxoutsetinfo": ["none", None, True],
        "gettxspendingprevout": [[{"txid": waiting, "vout": 0}]],
        "invalidateblock": [ZERO],
        "preciousblock": [best],
        "reconsiderblock": [best],
        "scantxoutset": ["start", ["raw(51)"]],
        "verifychain": [0, 1],
        "verifytxoutproof": ["00"],
        "waitforblock": [best, 1],
        "waitforblockheight": [1, 1],
        "waitfornewblock": [1, ZERO],
    }


METHODS = (
    "getbestblockhash", "getblock", "getblockchaininfo", "getblockcount", "getblockfilter",
    "getblockhash", "getblockheader", "getblockstats", "getchaintips", "getchaintxstats",
    "getdeploymentinfo", "getindexinfo", "getmempoolancestors", "getmempooldescendants",
    "getmempoolentry", "getmempoolinfo", "getrawmempool", "gettxout", "gettxoutproof",
    "gettxoutsetinfo", "gettxspendingprevout", "invalidateblock", "preciousblock",
    "reconsiderblock", "scantxoutset", "verifychain", "verifytxoutproof", "waitforblock",
    "waitforblockheight", "waitfornewblock",
)  # fmt: skip

NAMES = {
    "getblock": ("blockhash", "verbosity"),
    "getblockfilter": ("blockhash", "filtertype"),
    "getblockhash": ("height",),
    "getblockheader": ("blockhash", "verbose"),
    "getblockstats": ("hash_or_height", "stats"),
    "getchaintxstats": ("nblocks", "blockhash"),
    "getdeploymentinfo": ("blockhash",),
    "getindexinfo": ("index_name",),
    "getmempoolancestors": ("txid", "verbose"),
    "getmempooldescendants": ("txid", "verbose"),
    "getmempoolentry": ("txid",),
    "getrawmempool": ("verbose", "mempool_sequence"),
    "gettxout": ("txid", "n", "include_mempool"),
    "gettxoutproof": ("txids", "blockhash"),
    "gettxoutsetinfo": ("hash_type", "hash_or_height", "use_index"),
    "gettxspendingprevout": ("outputs",),
    "invalidateblock": ("blockhash",),
    "preciousblock": ("blockhash",),
    "reconsiderblock": ("blockhash",),
    "scantxoutset": ("action", "scanobjects"),
    "verifychain": ("checklevel", "nblocks"),
    "verifytxoutproof": ("proof",),
    "waitforblock": ("blockhash", "timeout"),
    "waitforblockheight": ("height", "timeout"),
    "waitfornewblock": ("timeout", "current_tip"),
}

MORE = {
    "getmempoolinfo": "Knots has fee_histogram",
    "gettxoutproof": "Knots has options",
    "gettxspendingprevout": "Core 31 has options",
    "verifytxoutproof": "Knots has options",
}
"""Methods of which one side takes one parameter more."""

UNBOUNDED = {
    ("waitforblock", 1),
    ("waitforblockheight", 1),
    ("waitfornewblock", 0),
}
"""Parameters that some of the odd values make wait for ever."""

EXCEPT: Mapping[tuple[str, int], tuple[Any, ...]] = {
    ("scantxoutset", 1): (None,),  # ours takes null for nothing given
    ("waitforblockheight", 0): (),
}
"""Odd values left out, by method and place."""


@pytest.mark.parametrize("method", METHODS)
def test_numbers_and_names_of_parameters(twins: Twins, chain: RichChain, method: str) -> None:
    good = list(good_calls(twins, chain)[method])
    names = NAMES.get(method, ())
    for count in range(len(good)):
        if (method, count) not in UNBOUNDED:
            twins.same(method, *good[:count])
    if method not in MORE:
        twins.same(method, *good, "x")
    twins.same(method, nope=1)
    if good:
        by_name = dict(zip(names, good, strict=True))
        twins.same(method, **by_name)
        twins.same(method, **by_name, zzz=5)
        twins.same(method, *good, **{names[0]: good[0]})
        twins.same(method, good[0], **{names[0]: good[0]})
        twins.same(method, args=good)
        twins.same(method, args=5)


@pytest.mark.parametrize(
    ("method", "place"),
    [
        (method, place)
        for method, names in NAMES.items()
        for place in range(len(names))
        if (method, place) not in UNBOUNDED
    ],
)
def test_odd_values(twins: Twins, chain: RichChain, method: str, place: int) -> None:
    good = list(good_calls(twins, chain)[method])
    for value in ODD:
        if value not in EXCEPT.get((method, place), ()):
            twins.same(method, *good[:place], value, *good[place + 1 :])


@pytest.mark.parametrize(
    "point",
    [
        {"txid": "00", "vout": 0},
        {"txid": ZERO},
        {"vout": 0},
        {"txid": ZERO, "vout": "0"},
        {"txid": 5, "vout": 0},
        {"txid": ZERO, "vout": -1},
        {"txid": ZERO, "vout": 1.5},
        {"txid": ZERO, "vout": 1 << 31},
        {"txid": ZERO, "vout": 0, "extra": 1},
        {"txid": None, "vout": None},
        None,
        [],
    ],
)
def test_odd_outputs(twins: Twins, chain: RichChain, point: Any) -> None:
    del chain
    twins.same("gettxspendingprevout", [point])


# -- by hand --------------------------------------------------------------------------------------


def test_branches_by_hand(make_twins: MakeTwins) -> None:
    twins = make_twins()
    twins.set_time(START)
    early = twins.grow(5, PAY)
    side = submit(twins, block_on(twins, early[2], tag=b"side"))
    top = submit(twins, block_on(twins, side))
    equal = submit(twins, block_on(twins, early[3], tag=b"equal"))

    def see() -> None:
        twins.same("getbestblockhash")
        twins.same("getchaintips")
        for each in (*early, side, top, equal):
            twins.same("getblockheader", each)

    see()
    for method, block_hash in (
        ("preciousblock", top), ("preciousblock", early[4]), ("preciousblock", early[0]),
        ("invalidateblock", early[4]), ("invalidateblock", early[4]), ("invalidateblock", early[3]),
        ("preciousblock", early[4]), ("reconsiderblock", equal), ("invalidateblock", top),
        ("invalidateblock", side), ("reconsiderblock", top), ("reconsiderblock", early[3]),
        ("reconsiderblock", early[0]), ("invalidateblock", twins.theirs.call("getblockhash", 0)),
        ("invalidateblock", early[0]), ("reconsiderblock", early[0]),
    ):  # fmt: skip
        twins.same(method, block_hash)
        see()


def test_a_soft_fork_is_signalled(make_twins: MakeTwins) -> None:
    """Blocks of ours signal what theirs do, and both count the same."""
    twins = make_twins()
    twins.set_time(START)
    for count in (142, 1, 1, 1, 100, 42, 1, 1, 143, 1, 1):
        hashes = twins.ours.rpc.generatetoaddress(count, PAY)
        twins.hand_back(hashes)
        twins.same("getdeploymentinfo")
        twins.same("getdeploymentinfo", hashes[0])
    (theirs,) = twins.grow(1, PAY)
    version = twins.same("getblockheader", theirs)["version"]
    assert version == twins.same("getblockheader", hashes[-1])["version"] == 0x20000000
    locked = twins.theirs.call("getblockhash", 300)
    assert twins.same("getblockheader", locked)["version"] == 0x30000000
    for height in (431, 430, 420, 300, 288, 287, 250, 200, 180, 144):
        twins.both("invalidateblock", twins.theirs.call("getblockhash", height))
        twins.same("getdeploymentinfo")
    twins.set_time(START + 100 * 600)
    block_hash = twins.theirs.call("getbestblockhash")
    for _ in range(40):  # half the subsidy: it halves on the way
        block_hash = submit(twins, block_on(twins, block_hash, extra=-25 * COIN))
        twins.same("getdeploymentinfo")


KNOTS_METHODS = set(
    [
        "dumpmasterprivkey",
        "getgeneralinfo",
        "getmempoolstats",
        "getrpcwhitelist",
        "listmempooltransactions",
        "listprunelocks",
        "maxmempool",
        "savefeeestimates",
        "scriptthreadsinfo",
        "setfeerate",
        "setprunelock",
        "setscriptthreadsenabled",
        "sweepprivkeys",
    ]
)
"""Knots' own."""

LEGACY_WALLET = set(
    [
        "addmultisigaddress",
        "dumpwallet",
        "getunconfirmedbalance",
        "importaddress",
        "importmulti",
        "importpubkey",
        "importwallet",
        "newkeypool",
        "sethdseed",
        "settxfee",
        "upgradewallet",
    ]
)
"""What Core 30 and 31 have dropped with the legacy wallet."""


def test_each_of_core_s_methods_is_ours_or_listed_as_absent(twins: Twins) -> None:
    ours, theirs = (
        {line.split()[0] for line in text.splitlines() if line and not line.startswith("==")}
        for text in twins.both("help")
    )
    assert theirs - ours - ABSENT.keys() - KNOTS_METHODS - LEGACY_WALLET == set()


def test_the_comparison_sees_what_differs(twins: Twins, chain: RichChain) -> None:
    """A field of ours that is not theirs, told without the table of what is known."""
    del chain
    with pytest.raises(AssertionError, match=r"size_on_disk: ours"):
        twins.same("getblockchaininfo", standing={})
    wrong: Buts = {"$.nosuch": anything("")}
    with pytest.raises(AssertionError, match=r"\$.nosuch: nothing differs here"):
        twins.same("getblockchaininfo", but=wrong)
