"""Every call that an explorer makes (btc-rpc-explorer), to a real bitcoind and to ours.

So no page is an error here that is none there, and none shows another figure.
"""

import pytest

from tests.functional.conftest import MakeTwins
from tests.functional.framework.answers import Twins
from tests.functional.framework.differences import ignored, ours_lacks, theirs_lacks
from tests.functional.framework.rich_chain import PAY, RichChain, build

pytestmark = pytest.mark.tools

FEES = ("-minrelaytxfee=0.00001", "-incrementalrelayfee=0.00001")
"""Core's defaults up to 29.0, and ours; theirs has those of 29.1 and later."""


@pytest.fixture(scope="module")
def twins(make_twins: MakeTwins) -> Twins:
    return make_twins(*FEES)


@pytest.fixture(scope="module")
def chain(twins: Twins) -> RichChain:
    return build(twins)


def test_home_and_node_pages(twins: Twins, chain: RichChain) -> None:
    for method in ("getblockchaininfo", "getmempoolinfo", "getblockcount"):
        twins.same(method)
    twins.same(
        "getmininginfo",
        but={
            "$.blockmintxfee": theirs_lacks("Core 30 has it"),
            "$.currentblockweight": ours_lacks("of the last block assembled, in theirs"),
            "$.currentblocktx": ours_lacks("the same"),
        },
    )
    filters = theirs_lacks("ours has it unless told otherwise")
    twins.same("getindexinfo", but={"$.basic block filter index": filters})
    twins.same("getdeploymentinfo")
    twins.same("estimatesmartfee", 6, "CONSERVATIVE")
    twins.same("estimatesmartfee", 1, "ECONOMICAL")
    twins.same("getnetworkhashps", 144)
    twins.same("getchaintxstats", 100)
    twins.same("gettxoutsetinfo")
    counted = {"$.longpollid": ignored("how often the mempool changed, at its end")}
    twins.same("getblocktemplate", {"rules": ["segwit"]}, but=counted)


def test_block_pages(twins: Twins, chain: RichChain) -> None:
    for block in set(chain.blocks()) - {chain.invalid, chain.header}:
        for verbosity in (1, 2):
            twins.same("getblock", block, verbosity)
        twins.same("getblockheader", block)
        twins.same("getblockstats", block)
    for height in (0, 1, 120, twins.theirs.call("getblockcount")):
        twins.same("getblockhash", height)
        twins.same("getblockstats", height)


def test_transaction_pages(twins: Twins, chain: RichChain) -> None:
    for block in (chain.every_script, chain.spending):
        for txid in twins.theirs.call("getblock", block)["tx"]:
            twins.same("getrawtransaction", txid, 1)
            raw = twins.same("getrawtransaction", txid, 1, block)
            twins.same("decoderawtransaction", raw["hex"])
            for output in raw["vout"]:
                twins.same("decodescript", output["scriptPubKey"]["hex"])
                twins.same("gettxout", txid, output["n"])
    for txid in chain.waiting:
        twins.same("getrawtransaction", txid, 1)
        twins.same("getmempoolentry", txid)
        twins.same("getmempoolancestors", txid)
        twins.same("getmempooldescendants", txid)
    twins.same("getrawmempool", True)
    twins.same("getrawmempool", False)
    twins.same("validateaddress", PAY)


def test_pages_of_what_is_not_there(twins: Twins) -> None:
    nothing = "11" * 32
    for method in ("getblock", "getblockheader", "getblockstats", "getrawtransaction"):
        twins.same(method, nothing)
    twins.same("getblockhash", 1_000_000)
    twins.same("getblockstats", 1_000_000)
    twins.same("getrawtransaction", nothing, 1, nothing)
    twins.same("getmempoolentry", nothing)
    twins.same("gettxout", nothing, 0)
    twins.same("validateaddress", "nobody")
    twins.same("decoderawtransaction", "00")
