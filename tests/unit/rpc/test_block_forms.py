"""Blocks as JSON: what is kept of them, and what is not."""

import orjson

from misocoin.consensus.coins import Coin
from misocoin.rpc.block_forms import BlockForms
from misocoin.rpc.json import bytes_from_json
from tests.builders import ANYONE, COIN, grow, make_block, memory_chain, small_params, spend


def test_a_block_is_written_once_and_seen_from_every_tip() -> None:
    params = small_params()
    with memory_chain(params) as chain:
        for block in grow(chain.tip, params, 3):
            chain.submit_block(block)
        node = chain.tip
        forms = BlockForms(chain)
        first = orjson.loads(bytes_from_json(forms.form(node, 2)))
        assert first["confirmations"] == 1
        assert "nextblockhash" not in first
        for block in grow(chain.tip, params, 1):
            chain.submit_block(block)
        again = orjson.loads(bytes_from_json(forms.form(node, 2)))
        assert again["confirmations"] == 2
        assert again["nextblockhash"] == chain.tip.header.hash_hex
        assert again["tx"] == first["tx"]


def test_fees_and_spent_coins_by_detail() -> None:
    params = small_params()
    with memory_chain(params) as chain:
        for block in grow(chain.tip, params, 3):
            chain.submit_block(block)
        coinbase = chain.get_block(chain.at_height(1)).transactions[0]
        tx = spend([coinbase.outpoint(0)], [49 * COIN])
        chain.submit_block(make_block(chain.tip, params, [tx], fees=COIN))
        forms = BlockForms(chain)
        shown = {
            detail: orjson.loads(bytes_from_json(forms.form(chain.tip, detail)))["tx"]
            for detail in (1, 2, 3)
        }
        assert shown[1] == [each["txid"] for each in shown[2]]
        assert "fee" not in shown[2][0]
        assert shown[2][1]["fee"] == 1.0
        assert "prevout" not in shown[2][1]["vin"][0]
        assert shown[3][1]["vin"][0]["prevout"] == {
            "generated": True,
            "height": 1,
            "value": 50.0,
            "scriptPubKey": {
                "asm": "1",
                "desc": "raw(51)#8lvh9jxk",
                "hex": Coin(0, ANYONE, 0, False).script_pubkey.hex(),
                "type": "nonstandard",
            },
        }


def test_a_block_beside_the_chain_has_no_fees_until_it_is_connected() -> None:
    params = small_params()
    with memory_chain(params) as chain:
        for block in grow(chain.tip, params, 3):
            chain.submit_block(block)
        coinbase = chain.get_block(chain.at_height(1)).transactions[0]
        fork = chain.tip.parent
        assert fork is not None
        tx = spend([coinbase.outpoint(0)], [49 * COIN])
        side = make_block(fork, params, [tx], fees=COIN)
        chain.submit_block(side)
        node = chain.find(side.hash)
        forms = BlockForms(chain)
        assert "fee" not in orjson.loads(bytes_from_json(forms.form(node, 2)))["tx"][1]
        chain.submit_block(make_block(node, params))
        assert orjson.loads(bytes_from_json(forms.form(node, 2)))["tx"][1]["fee"] == 1.0


def test_memory_is_bounded_and_old_blocks_go_first() -> None:
    params = small_params()
    with memory_chain(params) as chain:
        for block in grow(chain.tip, params, 30):
            chain.submit_block(block)
        forms = BlockForms(chain, kept_bytes=6000)
        for height in range(1, 31):
            forms.form(chain.at_height(height), 2)
        assert 0 < forms.kept_bytes <= 6000
