"""Mining for another node: its templates read, its silence and its death survived."""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from misocoin.chain.state import ChainState
from misocoin.chain.template import BlockTemplate, build_template
from misocoin.consensus.difficulty import is_proof_of_work
from misocoin.errors import ParseError
from misocoin.http.errors import HttpError, HttpRefused, HttpTimeout, RpcError
from misocoin.mining.remote import RemoteMiner, RemoteOptions
from misocoin.mining.remote_template import template_request, work_from_json
from misocoin.pow.portable import PortableEngine
from misocoin.primitives.block import block_from_bytes
from misocoin.primitives.transaction import TxOut
from tests.builders import (
    ANYONE,
    COIN,
    KEY_SCRIPT,
    grow,
    make_block,
    memory_chain,
    signed_spend,
    small_params,
    spend,
)

PARAMS = small_params()
WAIT = 60


def template_json(template: BlockTemplate, long_poll_id: str = "1") -> dict[str, Any]:
    """What `getblocktemplate` answers."""
    return {
        "capabilities": ["proposal"],
        "version": template.version,
        "rules": ["csv", "!segwit", "taproot"],
        "vbavailable": {},
        "previousblockhash": template.prev_hash[::-1].hex(),
        "transactions": [
            {"data": each.tx.serialize().hex(), "fee": each.fee, "txid": "ignored"}
            for each in template.transactions
        ],
        "coinbaseaux": {},
        "coinbasevalue": template.coinbase_value,
        "longpollid": long_poll_id,
        "mintime": template.min_time,
        "curtime": template.time,
        "bits": f"{template.bits:08x}",
        "height": template.height,
        "default_witness_commitment": template.witness_commitment.hex(),
    }


@pytest.fixture
def chain() -> Iterator[ChainState]:
    with memory_chain(PARAMS) as made:
        yield made


def answer_of(chain: ChainState) -> dict[str, Any]:
    return template_json(build_template(chain.tip, (), PARAMS, chain.tip.header.time + 1, ANYONE))


def test_the_block_made_of_a_template_is_one_the_chain_takes(chain: ChainState) -> None:
    for block in grow(chain.tip, PARAMS, 3):
        chain.submit_block(block)
    coinbase = chain.get_block(chain.at_height(1)).transactions[0]
    pay_key = spend([coinbase.outpoint(0)], [TxOut(49 * COIN, KEY_SCRIPT)])
    chain.submit_block(make_block(chain.tip, PARAMS, [pay_key], fees=COIN))
    coins = chain.get_coins([pay_key.outpoint(0)])
    with_witness = signed_spend(coins, [48 * COIN])
    answer = answer_of(chain)
    answer["transactions"] = [{"data": with_witness.serialize().hex(), "fee": COIN}]
    answer["coinbasevalue"] += COIN
    del answer["default_witness_commitment"]
    work = work_from_json(answer, PARAMS, KEY_SCRIPT, b"hello")
    block = next(
        block
        for block in (work.template.block(7, nonce=nonce) for nonce in range(1000))
        if is_proof_of_work(block.hash, block.header.bits, PARAMS)
    )
    assert chain.submit_block(block).in_chain
    first, commitment = block.transactions[0].vout
    assert first == (51 * COIN, KEY_SCRIPT)
    assert commitment.script_pubkey.startswith(bytes.fromhex("6a24aa21a9ed"))
    assert b"\x05hello" in block.transactions[0].vin[0].script_sig


def test_the_node_s_commitment_is_held_against_ours(chain: ChainState) -> None:
    answer = answer_of(chain)
    work = work_from_json(answer, PARAMS, ANYONE)
    assert work.template.witness_commitment.hex() == answer["default_witness_commitment"]
    answer["default_witness_commitment"] = "6a24aa21a9ed" + "00" * 32
    with pytest.raises(ParseError, match="not that of its transactions"):
        work_from_json(answer, PARAMS, ANYONE)


def test_what_the_coinbase_must_hold_is_in_it(chain: ChainState) -> None:
    answer = answer_of(chain) | {"coinbaseaux": {"flags": "0a0b"}, "workid": "w"}
    work = work_from_json(answer, PARAMS, ANYONE, b"x" * 200)
    script = work.template.coinbase().vin[0].script_sig
    assert script.startswith(b"\x51\x08" + bytes(8) + b"\x0a\x0b")
    assert len(script) <= 100
    assert work.work_id == "w"


@pytest.mark.parametrize(
    "wrong",
    [
        {"height": 0},
        {"height": "1"},
        {"height": True},
        {"bits": "207fffff00"},
        {"bits": "00000000"},
        {"bits": None},
        {"previousblockhash": "00"},
        {"coinbasevalue": -1},
        {"curtime": 1 << 40},
        {"transactions": {}},
        {"transactions": [{"data": "00"}]},
        {"transactions": [1]},
        {"rules": ["!mystery"]},
        {"rules": [1]},
        {"coinbaseaux": []},
        {"coinbaseaux": {"flags": "00" * 100}},
        {"longpollid": 5},
    ],
)
def test_what_is_no_template_is_refused(chain: ChainState, wrong: dict[str, Any]) -> None:
    with pytest.raises(ParseError):
        work_from_json(answer_of(chain) | wrong, PARAMS, ANYONE)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner),
    max_leaves=6,
)


@given(st.data())
def test_any_answer_is_read_or_refused(data: st.DataObject) -> None:
    with memory_chain(PARAMS) as chain:
        answer: Any = answer_of(chain)
    name = data.draw(st.sampled_from([*answer, ""]))
    value = data.draw(JSON)
    with suppress(ParseError):
        work_from_json(answer | {name: value} if name else value, PARAMS, ANYONE)


class FakeNode:
    """A node over a chain in memory; its death and its refusals are the test's."""

    def __init__(self, chain: ChainState) -> None:
        self.chain = chain
        self.changed = threading.Condition()
        self.is_down = False
        self.first_errors: list[Exception] = []
        self.refusal: str | None = None
        self.log: list[str] = []

    def get_template(self, request: dict[str, Any]) -> object:
        assert request["rules"] == ["segwit"]
        with self.changed:
            if self.first_errors:
                raise self.first_errors.pop(0)
            known = request.get("longpollid")
            if known is not None:
                self.changed.wait_for(
                    lambda: self.is_down or self.chain.tip.hash.hex() != known, WAIT
                )
            if self.is_down:
                self.note("away")
                raise HttpError("it is gone")
            self.note("template")
            return answer_of(self.chain) | {"longpollid": self.chain.tip.hash.hex()}

    def submit(self, block_hex: str, work_id: str) -> object:
        with self.changed:
            if self.refusal is not None:
                answer, self.refusal = self.refusal, None
                return answer
            if self.is_down:
                raise HttpError("it is gone")
            block = block_from_bytes(bytes.fromhex(block_hex))
            self.chain.submit_block(block)
            self.changed.notify_all()
            return None

    def renew(self) -> None:
        self.note("renewed")

    def note(self, what: str) -> None:
        with self.changed:
            self.log.append(what)
            self.changed.notify_all()

    def set_down(self, is_down: bool) -> None:
        with self.changed:
            self.is_down = is_down
            self.changed.notify_all()

    def wait_for(self, condition: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, WAIT)


def mine(node: FakeNode, blocks: int) -> RemoteMiner:
    options = RemoteOptions(PARAMS, ANYONE, blocks=blocks)
    return RemoteMiner(node, PortableEngine(), options, clock=lambda: 0.0)


def test_it_mines_as_many_blocks_as_asked_for(chain: ChainState) -> None:
    miner = mine(FakeNode(chain), 5)
    miner.run()
    assert (miner.accepted, miner.refused, chain.height) == (5, 0, 5)


def test_a_refused_block_is_counted_and_work_goes_on(chain: ChainState) -> None:
    node = FakeNode(chain)
    node.refusal = "high-hash"
    miner = mine(node, 2)
    miner.run()
    assert (miner.accepted, miner.refused) == (2, 1)


@pytest.mark.parametrize(
    "error", [HttpError("nobody"), RpcError(-28, "Loading"), HttpRefused(503, "busy")]
)
def test_it_waits_for_a_node_that_is_not_ready(chain: ChainState, error: Exception) -> None:
    node = FakeNode(chain)
    node.first_errors = [error]
    miner = mine(node, 1)
    miner.run()
    assert miner.accepted == 1
    assert node.log[0] == "renewed"


@pytest.mark.parametrize(
    "error", [HttpRefused(401, ""), RpcError(-32601, "Method not found"), ParseError("what")]
)
def test_it_gives_up_where_the_first_answer_says_no(chain: ChainState, error: Exception) -> None:
    node = FakeNode(chain)
    node.first_errors = [error]
    with pytest.raises(type(error)):
        mine(node, 1).run()


def test_a_long_silence_is_no_failure(chain: ChainState) -> None:
    node = FakeNode(chain)
    get = node.get_template
    silences = iter([True])

    def silent(request: dict[str, Any]) -> object:
        if "longpollid" in request and next(silences, False):
            raise HttpTimeout("silence")
        return get(request)

    node.get_template = silent  # type: ignore[method-assign]
    miner = mine(node, 3)
    miner.run()
    assert miner.accepted == 3


def test_it_survives_the_node_s_death(chain: ChainState) -> None:
    node = FakeNode(chain)
    miner = mine(node, 0)
    thread = threading.Thread(target=miner.run)
    thread.start()
    node.wait_for(lambda: chain.height >= 2)
    node.set_down(True)
    node.wait_for(lambda: "renewed" in node.log)
    height = chain.height
    node.set_down(False)
    node.wait_for(lambda: chain.height >= height + 2)
    miner.stop()
    node.set_down(True)
    thread.join(WAIT)
    assert not thread.is_alive()
    assert miner.accepted == chain.height


def test_the_request_names_rules_and_long_poll() -> None:
    assert template_request()["rules"] == ["segwit"]
    assert "longpollid" not in template_request()
    assert template_request("x")["longpollid"] == "x"
