"""Whatever happens to the chain and whatever liars say: one honest node, and balances are true."""

from contextlib import closing

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from misocoin.chain.state import ChainState
from misocoin.filters.basic import basic_filter_from_block, calculate_filter_header
from misocoin.primitives.block import Block, BlockHeader
from misocoin.primitives.transaction import Transaction, TxOut
from misocoin.wallet.light.ports import BlockFilter
from misocoin.wallet.light.store import LightStore
from misocoin.wallet.light.sync import sync
from misocoin.wallet.light.wallet import LightWallet
from tests.builders import (
    ANYONE,
    KEY_SCRIPT,
    LATE,
    grow,
    make_block,
    memory_chain,
    mine,
    signed_spend,
    small_params,
    spend,
)
from tests.fakes.light import FakeKeys, FakeNode, fails, refuses

PARAMS = small_params()
FEE = 1000


def spendable(chain: ChainState, script: bytes):
    """A coin of a script that the next block may spend, the oldest."""
    found = sorted(
        ((coin.height, point, coin) for point, coin in chain.coins_of(script).items()),
        key=lambda each: each[:2],
    )
    for height, point, coin in found:
        if coin.value > 10 * FEE and chain.height + 1 - height >= PARAMS.coinbase_maturity:
            return point, coin
    return None


def payment(chain: ChainState, script: bytes, to: bytes) -> list[Transaction]:
    found = spendable(chain, script)
    if found is None:
        return []
    point, coin = found
    outputs = [TxOut(coin.value // 3, to), TxOut(coin.value - coin.value // 3 - FEE, script)]
    if script == KEY_SCRIPT:
        return [signed_spend({point: coin}, outputs)]
    return [spend([point], outputs)]


def happen(chain: ChainState, what: str, tag: bytes) -> None:
    """Something happens on the chain."""
    if what == "reorg":
        depth = min(3, chain.height)
        fork = chain.at_height(chain.height - depth)
        for block in grow(fork, PARAMS, depth + 1, tag=tag):
            chain.submit_block(block)
        return
    transactions = {
        "paid": lambda: payment(chain, ANYONE, KEY_SCRIPT),
        "pays": lambda: payment(chain, KEY_SCRIPT, ANYONE),
        "mined": list,
        "empty": list,
    }[what]()
    script = KEY_SCRIPT if what == "mined" else ANYONE
    fees = FEE * len(transactions)
    chain.submit_block(
        make_block(chain.tip, PARAMS, transactions, fees=fees, script=script, tag=tag)
    )


# -- lies -----------------------------------------------------------------------------------------


def hidden(honest: FakeNode, seed: int):
    """Filters of the active chain, our script left out of every `seed`-th block, and headers."""
    chain, made, header = honest.chain, {}, bytes(32)
    for height in range(chain.height + 1):
        node = chain.at_height(height)
        data = chain.filters.get(node).data
        if height % (1 + seed % 3) == 0:
            block = chain.get_block(node)
            kept = [
                tx._replace(vout=tuple(o for o in tx.vout if o.script_pubkey != KEY_SCRIPT))
                for tx in block.transactions
            ]
            data = basic_filter_from_block(Block(block.header, tuple(kept)), ())
        header = calculate_filter_header(data, header)
        made[node.hash] = (data, header)
    return made


def lies(kind: str, seed: int) -> dict:
    def headers_of_filters(honest: FakeNode, block_hash: bytes, count: int):
        made = hidden(honest, seed)
        return [made[node.hash][1] for node in honest._nodes(block_hash, count)]

    def filters(honest: FakeNode, block_hash: bytes, count: int):
        made = hidden(honest, seed)
        nodes = honest._nodes(block_hash, count)
        return [BlockFilter(node.hash, made[node.hash][0]) for node in nodes]

    def block(honest: FakeNode, block_hash: bytes):
        true = honest.block(block_hash)
        gift = spend([true.transactions[0].outpoint(0)], [TxOut(10**12, KEY_SCRIPT)])
        return Block(true.header, (*true.transactions, gift))

    def headers(honest: FakeNode, block_hash: bytes, count: int):
        true = list(honest.headers(block_hash, count))
        if len(true) > 1:
            at = 1 + seed % (len(true) - 1)
            header: BlockHeader = true[at]
            true[at] = mine(header, fail=True)
        return true

    return {
        "hides": {"filter_headers": headers_of_filters, "filters": filters},
        "hides and is coy": {
            "filter_headers": headers_of_filters,
            "filters": refuses,
            "spent_outputs": refuses,
            "block": refuses,
        },
        "sends other filters": {"filters": filters},
        "forges blocks": {"block": block},
        "forges headers": {"headers": headers},
        "stalls": {"filters": fails},
        "withholds": {"block": refuses},
        "is silent": {"headers": fails},
    }[kind]


KINDS = (
    "hides",
    "hides and is coy",
    "sends other filters",
    "forges blocks",
    "forges headers",
    "stalls",
    "withholds",
    "is silent",
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(
            st.lists(
                st.sampled_from(["paid", "paid", "pays", "mined", "empty", "reorg"]), max_size=5
            ),
            st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 9)), max_size=3),
            st.booleans(),
        ),
        max_size=5,
    )
)
def test_one_honest_node_is_enough(rounds) -> None:
    with memory_chain(PARAMS) as chain, closing(LightStore(None, PARAMS)) as store:
        for block in grow(chain.tip, PARAMS, 4):
            chain.submit_block(block)
        keys = FakeKeys([KEY_SCRIPT])
        wallet = LightWallet(PARAMS, store, keys)
        for turn, (events, liars, honest_comes) in enumerate(rounds):
            for number, what in enumerate(events):
                happen(chain, what, bytes([turn, number]))
            nodes = [
                FakeNode(chain, f"liar:{number}", **lies(kind, seed))
                for number, (kind, seed) in enumerate(liars)
            ]
            if honest_comes:
                nodes.append(FakeNode(chain))
            # Liars alone may mislead it; what they did is put right when somebody honest comes.
            sync(PARAMS, store, keys, nodes, LATE)
            assert wallet.unproven() == []
        report = sync(PARAMS, store, keys, [*nodes_of(chain, rounds), FakeNode(chain)], LATE)
        assert report.is_complete, report.problems
        assert "honest:1" not in report.lied
        held = wallet.balances(LATE)
        true = sum(coin.value for coin in chain.coins_of(KEY_SCRIPT).values())
        assert (held[KEY_SCRIPT].confirmed if held else 0) == true


def nodes_of(chain: ChainState, rounds) -> list[FakeNode]:
    """The last round's liars once more."""
    return [
        FakeNode(chain, f"liar:{number}", **lies(kind, seed))
        for number, (kind, seed) in enumerate(rounds[-1][1] if rounds else ())
    ]
