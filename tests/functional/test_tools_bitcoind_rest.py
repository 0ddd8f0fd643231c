"""REST: statuses, Content-Types and bodies of a real bitcoind, and ours on the same chain."""

import re

import pytest

from tests.functional.conftest import MakeTwins
from tests.functional.framework.answers import Reply, Twins
from tests.functional.framework.rich_chain import RichChain, build

pytestmark = pytest.mark.tools

ENDINGS = (".bin", ".hex", ".json", "", ".xml", ".json.json", ".JSON", ".")
ZERO = "00" * 32
NUMBERS = ("0", "1", "2", "2000", "2001", "-1", "x", "", "1.5", "+1", "01", "9" * 22)


@pytest.fixture(scope="module")
def twins(make_twins: MakeTwins) -> Twins:
    """Both with the same indexes."""
    return make_twins("-blockfilterindex")


@pytest.fixture(scope="module")
def chain(twins: Twins) -> RichChain:
    """The chain that both have."""
    return build(twins)


@pytest.fixture(scope="module")
def hashes(twins: Twins, chain: RichChain) -> list[str]:
    """Blocks of every kind, and what is none. The invalid one is left out: ours keeps no body."""
    best = str(twins.theirs.call("getbestblockhash"))
    genesis = str(twins.theirs.call("getblockhash", 0))
    blocks = [each for each in chain.blocks() if each != chain.invalid]
    return [best, genesis, *blocks, ZERO, "zz" * 32, "00", "", best.upper()]


@pytest.mark.parametrize(
    "path",
    [
        "block/{}",
        "block/notxdetails/{}",
        "headers/{}",
        "headers/2/{}",
        "headers/{}?count=3",
        "blockfilter/basic/{}",
        "blockfilterheaders/basic/{}",
        "blockfilterheaders/basic/2/{}",
        "blockfilterheaders/basic/{}?count=3",
        "deploymentinfo/{}",
        "spenttxouts/{}",
    ],
)
def test_blocks(twins: Twins, hashes: list[str], path: str) -> None:
    for block_hash in hashes:
        for ending in ENDINGS:
            name, question, query = path.format(block_hash).partition("?")
            twins.same_get(f"/rest/{name}{ending}{question}{query}")


def test_counts_and_heights(twins: Twins, hashes: list[str]) -> None:
    for number in NUMBERS:
        twins.same_get(f"/rest/headers/{number}/{hashes[0]}.json")
        twins.same_get(f"/rest/headers/{hashes[0]}.json?count={number}")
        twins.same_get(f"/rest/blockfilterheaders/basic/{number}/{hashes[0]}.json")
        twins.same_get(f"/rest/blockfilterheaders/basic/{hashes[0]}.json?count={number}")
    for number in (*NUMBERS, "50", "125", "126"):
        for ending in ENDINGS:
            twins.same_get(f"/rest/blockhashbyheight/{number}{ending}")


def test_transactions(twins: Twins, chain: RichChain) -> None:
    txids = [
        txid
        for each in (chain.every_script, chain.spending)
        for txid in twins.theirs.call("getblock", each)["tx"]
    ]
    for txid in (*txids, *chain.waiting, ZERO, "zz", "zz" * 32, "", txids[0].upper()):
        for ending in ENDINGS:
            twins.same_get(f"/rest/tx/{txid}{ending}")


@pytest.mark.parametrize(
    "path",
    [
        "chaininfo",
        "chaininfo/",
        "deploymentinfo",
        "deploymentinfo/",
        "getutxos",
        "getutxos/",
        "getutxos/checkmempool",
        "headers/",
        "headers/1/2/3",
        "blockfilter/",
        "blockfilter/basic",
        f"blockfilter/nope/{ZERO}",
        "blockfilterheaders/",
        f"blockfilterheaders/nope/{ZERO}",
        "block/",
        "block/notxdetails/",
        "blockhashbyheight/",
        "spenttxouts/",
        "mempool/info",
        "mempool/contents",
    ],
)
def test_paths(twins: Twins, chain: RichChain, path: str) -> None:
    del chain
    endings = ENDINGS if not path.startswith("mempool/") else (".json", ".bin", ".hex", "")
    for ending in endings:
        twins.same_get(f"/rest/{path}{ending}")


@pytest.mark.parametrize("path", ["mempool/x", "mempool/info/x.json", "mempool/contents.xml"])
def test_a_path_of_the_mempool_that_is_none(twins: Twins, path: str) -> None:
    """Knots names one path more in the words for it."""
    ours, theirs = both(twins, f"/rest/{path}")
    said = theirs.body.replace(b"|info/with_fee_histogram", b"")
    assert ours == Reply(theirs.status, theirs.kind, said)


@pytest.mark.parametrize("path", ["", "nope", "tx", "block", "headers", "mempool", "x/y.json"])
def test_a_path_that_is_none(twins: Twins, path: str) -> None:
    """Theirs leaves the page to libevent."""
    ours, theirs = both(twins, f"/rest/{path}")
    assert ours.status == theirs.status == 404


def both(twins: Twins, path: str) -> tuple[Reply, Reply]:
    return twins.get(twins.ours.url + path), twins.get(twins.theirs_url + path)


@pytest.mark.parametrize(
    "query",
    [
        "verbose=true",
        "verbose=false",
        "verbose=1",
        "verbose=",
        "VERBOSE=false",
        "nope=1",
        "mempool_sequence=true",
        "mempool_sequence=x",
        "verbose=false&mempool_sequence=true",
        "verbose=false&mempool_sequence=false",
        "verbose=true&mempool_sequence=true",
        "verbose=false&verbose=true",
    ],
)
def test_queries_of_the_mempool(twins: Twins, chain: RichChain, query: str) -> None:
    del chain
    twins.same_get(f"/rest/mempool/contents.json?{query}")


def test_unspent_outputs(twins: Twins, chain: RichChain) -> None:
    every = twins.theirs.call("getblock", chain.every_script)["tx"][1]
    spent = twins.theirs.call("getblock", chain.spending)["tx"][1]
    first, last = chain.waiting[0], chain.waiting[-1]
    points = [f"{every}-{index}" for index in range(30)]
    asked = [
        points[:1], points[:15], points[9:24], points[14:29], points[:16],
        [f"{spent}-0"], [f"{first}-0", f"{first}-1"], [f"{last}-0", points[12]],
        [f"{ZERO}-0"], [points[11], points[11]], [f"{every.upper()}-12"],
        ["x"], [f"{ZERO}-x"], [f"{ZERO}-"], [ZERO], [f"{ZERO}-4294967295"], [f"{ZERO}-4294967296"],
        [f"{ZERO}--1"], [f"{ZERO}-+1"], [f"{ZERO}-01"], [f"{ZERO}-1-1"], [f"{ZERO}-1.5"],
        ["zz" * 32 + "-0"], [every[:-2] + "-0"], [points[11], ""], ["", points[11]],
        ["checkmempool", "checkmempool", points[11]], [points[11], "checkmempool"], [], [""],
    ]  # fmt: skip
    for each in asked:
        for before in ("", "checkmempool/"):
            for ending in (".bin", ".hex", ".json", "", ".xml"):
                twins.same_get(f"/rest/getutxos/{before}{'/'.join(each)}{ending}")


def test_unspent_outputs_by_a_body(twins: Twins, chain: RichChain) -> None:
    """What goes wrong without its being read; see the next test for one that is read."""
    point = f"{chain.waiting[0]}-0"
    body = b"\x01\x01" + bytes.fromhex(chain.waiting[0])[::-1] + bytes(4)
    for ending in (".bin", ".json", "", ".xml"):
        for path in ("getutxos/checkmempool", f"getutxos/{point}"):
            twins.same_get(f"/rest/{path}{ending}", body)
    for ending in (".json", "", ".xml"):
        twins.same_get(f"/rest/getutxos{ending}", body)
        twins.same_get(f"/rest/getutxos/{ending}", body)


def test_a_body_is_read_as_bip64_has_it(twins: Twins, chain: RichChain) -> None:
    """Theirs takes the length of the body for its first byte, and so asks for other outputs."""
    body = b"\x01\x01" + bytes.fromhex(chain.waiting[-1])[::-1] + bytes(4)
    found = [
        twins.get(f"{url}/rest/getutxos.bin", body).body
        for url in (twins.ours.url, twins.theirs_url)
    ]
    assert found[0][:36] == found[1][:36]
    assert found[0] == twins.same_get(f"/rest/getutxos/checkmempool/{chain.waiting[-1]}-0.bin").body


def test_the_comparison_sees_what_differs(twins: Twins, chain: RichChain) -> None:
    """A field of ours that theirs lacks, told without the table of what is known."""
    del chain
    with pytest.raises(AssertionError, match=re.escape("$.size_on_disk: ours")):
        twins.same_get("/rest/chaininfo.json", standing={})
