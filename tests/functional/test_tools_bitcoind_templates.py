"""Templates, proposals and blocks made at once: a real bitcoind's answers, and ours."""

import threading
import time
from typing import Any

import pytest

from misocoin.chain.state import ChainState
from misocoin.params import regtest
from misocoin.primitives.block import Block, block_from_bytes
from misocoin.store.store import Store
from tests.builders import ANYONE, COIN, KEY_SCRIPT, TxOut, make_block, open_chain, spend
from tests.functional.conftest import MakeTwins
from tests.functional.framework.answers import Twins
from tests.functional.framework.differences import Buts, ignored, ours_lacks, theirs_lacks
from tests.functional.framework.edge_blocks import BROKEN, HOLDING

pytestmark = pytest.mark.tools

ADDRESS = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
KEY = "02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5"
XPUB = (
    "tpubD6NzVbkrYhZ4WaWSyoBvQwbpLkojyoTZPRsgXELWz3Popb3qkjcJyJUGLnL4qHHoQvao8ESaAstxYSnhyswJ76uZP"
    "StJRJCTKvosUCJZL5B"
)
SEGWIT: dict[str, Any] = {"rules": ["segwit"]}
ID = "00" * 32

LONG_POLL: Buts = {"$.longpollid": ignored("a count of changes since the start")}


class Tip:
    """Both with one chain, and the same in memory, for which `edge_blocks` makes blocks."""

    def __init__(self, twins: Twins) -> None:
        self.twins = twins
        self.params = regtest()
        self._store = Store(None, self.params.genesis.hash)
        self.chain: ChainState = open_chain(self.params, self._store, now=lambda: int(time.time()))

    @property
    def tip(self) -> Any:
        return self.chain.tip

    def make_block(self, transactions: Any = (), **options: Any) -> Block:
        return make_block(self.tip, self.params, transactions, **options)

    def free_coins(self) -> dict[Any, Any]:
        """Coins of ANYONE that the next block may spend, the oldest first."""
        self.chain.flush()
        found = [
            (coin.height, point, coin)
            for point, coin in self.chain.iterate_coins()
            if coin.script_pubkey == ANYONE
            and not (coin.is_coinbase and self.tip.height + 1 - coin.height < 100)
        ]
        return {point: coin for _, point, coin in sorted(found)}

    def grow(self, transactions: Any = ()) -> None:
        block = self.make_block(transactions)
        assert self.twins.same("submitblock", block.serialize().hex()) is None
        self.chain.submit_block(block)

    def close(self) -> None:
        self._store.close()


@pytest.fixture(scope="module")
def tip(make_twins: MakeTwins) -> Any:
    """A chain with coins to spend."""
    tip = Tip(make_twins())
    for _ in range(150):
        tip.grow()
    point = next(iter(tip.free_coins()))
    tip.grow([spend([point], [COIN] * 40 + [TxOut(COIN, KEY_SCRIPT)] * 5)])
    tip.grow()
    yield tip
    tip.close()


@pytest.fixture(scope="module")
def twins(make_twins: MakeTwins) -> Twins:
    """Both with the same ten blocks."""
    twins = make_twins()
    twins.grow(10, ADDRESS)
    return twins


# -- proposals --------------------------------------------------------------------------------

PROPOSED: dict[str, Buts] = dict.fromkeys(
    ("a script that fails", "a signature of something else", "a witness where none belongs"),
    {"$": ignored("'block-script-…' since Core 30, 'mandatory-script-…' before")},
)


# A block of negative version Knots cannot read; Core can.
@pytest.mark.parametrize("name", [name for name in BROKEN if name != "a negative version"])
def test_a_proposal_that_breaks_a_rule(tip: Tip, name: str) -> None:
    block = BROKEN[name][0](tip)  # type: ignore[arg-type]
    raw = block if isinstance(block, bytes) else block.serialize()
    answer = tip.twins.same(
        "getblocktemplate",
        {**SEGWIT, "mode": "proposal", "data": raw.hex()},
        but=PROPOSED.get(name),
    )
    assert (answer is None) is (name == "no proof of work")  # which nobody has done yet
    tip.twins.check_tip()


@pytest.mark.parametrize("name", HOLDING)
def test_a_proposal_that_just_holds(tip: Tip, name: str) -> None:
    raw = HOLDING[name](tip).serialize()  # type: ignore[arg-type]
    request = {**SEGWIT, "mode": "proposal", "data": raw.hex()}
    assert tip.twins.same("getblocktemplate", request) is None
    tip.twins.same("submitheader", raw[:80].hex())
    assert tip.twins.same("getblocktemplate", request) == "duplicate-inconclusive"
    assert tip.twins.same("submitblock", raw.hex()) is None
    tip.chain.submit_block(block_from_bytes(raw))
    assert tip.twins.same("submitblock", raw.hex()) == "duplicate"
    assert tip.twins.same("getblocktemplate", request) == "duplicate"


def test_a_proposal_elsewhere(tip: Tip) -> None:
    fork = make_block(tip.tip.parent, tip.params, tag=b"fork").serialize().hex()
    request = {**SEGWIT, "mode": "proposal", "data": fork}
    assert tip.twins.same("getblocktemplate", request) == "inconclusive-not-best-prevblk"
    assert tip.twins.same("submitblock", fork) == "inconclusive"
    assert tip.twins.same("getblocktemplate", request) == "duplicate-inconclusive"


# -- templates --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"rules": []},
        {"rules": ["csv"]},
        {"rules": "segwit"},
        {"rules": [1]},
        {"rules": ["segwit", 1]},
        {"rules": None},
        {"mode": "x"},
        {"mode": 5},
        {"mode": {}},
        {"mode": "proposal"},
        {"mode": "proposal", "data": 5},
        {"mode": "proposal", "data": "00"},
        {"mode": "proposal", "data": ""},
        {**SEGWIT, "longpollid": "abc"},
        {**SEGWIT, "longpollid": "zz" * 32},
    ],
    ids=str,
)
def test_what_is_no_request(twins: Twins, request_: dict[str, Any]) -> None:
    assert twins.same("getblocktemplate", request_).code < 0


def test_a_request_is_needed(twins: Twins) -> None:
    assert twins.same("getblocktemplate").code == -1
    twins.same("getblocktemplate", None)
    twins.same("getblocktemplate", 5)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"mode": "template"},
        {"mode": None},
        {"capabilities": 5},
        {"capabilities": ["longpoll", 5]},
        {"longpollid": ID},
        {"longpollid": ID + "x"},
        {"longpollid": ID + "7x"},
        {"maxversion": "a", "workid": 5},
        {"rules": ["segwit", "csv", "taproot", "x"]},
    ],
    ids=str,
)
def test_a_template(twins: Twins, more: dict[str, Any]) -> None:
    clock = {"$.curtime": ignored("asked one after the other")}
    twins.same("getblocktemplate", {**SEGWIT, **more}, but={**LONG_POLL, **clock})


def test_a_long_poll_ends_with_the_next_block(twins: Twins) -> None:
    answers: list[Any] = []

    def poll(node: Any) -> None:
        first = node.call("getblocktemplate", SEGWIT)
        started.wait(60)
        following = node.call("getblocktemplate", {**SEGWIT, "longpollid": first["longpollid"]})
        answers.append((following["height"] - first["height"], following["previousblockhash"]))

    started = threading.Barrier(3)
    nodes = (twins.theirs, twins.ours.rpc.client)
    threads = [threading.Thread(target=poll, args=(node,)) for node in nodes]
    for thread in threads:
        thread.start()
    started.wait(60)
    (block_hash,) = twins.grow(1, ADDRESS)
    for thread in threads:
        thread.join(60)
    assert answers == [(1, block_hash)] * 2


# -- figures, priorities, clocks ----------------------------------------------------------------


def test_figures_about_mining(twins: Twins) -> None:
    twins.same(
        "getmininginfo",
        but={
            "$.currentblockweight": ours_lacks("no template's figures are kept"),
            "$.currentblocktx": ours_lacks("no template's figures are kept"),
            "$.blockmintxfee": theirs_lacks("a field of Core since version 30"),
        },
    )
    for params in (
        [], [0], [-2], [-1], [2, 3], [2, 3000], [2, -2], ["a"], [120, 0], [3, -1], [1.5],
        [1, 1.5], [None, None], [10_000],
    ):  # fmt: skip
        twins.same("getnetworkhashps", *params)


def test_clocks(twins: Twins) -> None:
    for params in ([-1], ["a"], [2**40], [9_223_372_037], [], [1.5]):
        assert twins.same("setmocktime", *params).code < 0
    assert twins.same("setmocktime", 9_223_372_036) is None
    assert twins.same("setmocktime", 0) is None


def test_priorities(twins: Twins) -> None:
    # Knots alone still has priorities besides fees: their argument is left zero here.
    for params in (
        [ID, 0, 100], [ID, None, 100], [ID[2:], 0, 1], ["zz" * 32, 0, 1], [ID, 0, -100],
        [ID, 0, -300], [ID, 0, "5"], [ID, 0, 2.5], [],
    ):  # fmt: skip
        twins.same("prioritisetransaction", *params)
    twins.same(
        "getprioritisedtransactions",
        but={f"$.{ID}.priority_delta": ours_lacks("Knots' own")},
    )


# -- blocks at once -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "params",
    [
        [1, "x"],
        [1, ""],
        [1, "1BoatSLRHtKNngkdXEeobR76b53LETtpyT"],
        [-1, ADDRESS],
        [0, ADDRESS],
        ["1", ADDRESS],
        [1.5, ADDRESS],
        [2**31, ADDRESS],
        [1],
    ],
    ids=str,
)
def test_no_block_for_an_address(twins: Twins, params: list[Any]) -> None:
    twins.same("generatetoaddress", *params)
    twins.check_tip()


@pytest.mark.parametrize(
    "params",
    [
        [1, "x"],
        [-1, "raw(51)"],
        [0, "raw(51)"],
        [1, "raw(51)#aaaaaaaa"],
        [1],
        [1, f"wpkh({XPUB}/*)"],
        [1, ADDRESS],
        [1, f"wpkh({KEY}/*)"],
    ],
    ids=str,
)
def test_no_block_for_a_descriptor(twins: Twins, params: list[Any]) -> None:
    twins.same("generatetodescriptor", *params)
    twins.check_tip()


@pytest.mark.parametrize(
    "params",
    [
        ["x", []],
        ["", []],
        ["pk(x)", []],
        ["raw(51)#zzzzzzzz", []],
        [f"wpkh({XPUB}/*)", []],
        [ADDRESS, [ID]],
        [ADDRESS, [ID[2:]]],
        [ADDRESS, ["zz"]],
        [ADDRESS, [5]],
        [ADDRESS],
        [ADDRESS, [], 5],
        [ADDRESS, ["02000000000100e1f505000000000151" + "00000000"]],
    ],
    ids=str,
)
def test_no_block_of_these(twins: Twins, params: list[Any]) -> None:
    assert twins.same("generateblock", *params).code < 0
    twins.check_tip()


@pytest.mark.parametrize(
    "output", ["raw(51)", f"addr({ADDRESS})", f"combo({KEY})", f"multi(1,{KEY})", ADDRESS]
)
def test_a_block_for_anything(twins: Twins, output: str) -> None:
    for node, other in ((twins.theirs, "ours"), (twins.ours.rpc.client, "theirs")):
        made = node.call("generateblock", output, [], False)
        block = block_from_bytes(bytes.fromhex(made["hex"]))
        assert block.header.hash_hex == made["hash"]
        script = block.transactions[0].vout[0].script_pubkey
        assert script == _script_of(twins, output), other


def _script_of(twins: Twins, output: str) -> bytes:
    """What theirs pays for it."""
    made = twins.theirs.call("generateblock", output, [], False)
    return block_from_bytes(bytes.fromhex(made["hex"])).transactions[0].vout[0].script_pubkey
