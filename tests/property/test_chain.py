"""Chain state: whatever comes in whatever order, and wherever it is cut off, the end is the same.

Trees of blocks are drawn at random, with invalid blocks in them and blocks that build on those.
"""

from collections.abc import Mapping
from contextlib import suppress
from random import Random
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from misocoin.chain.events import BlockConnected, BlockDisconnected, EventBus, TipChanged
from misocoin.chain.importer import import_blocks
from misocoin.chain.script_checks import ScriptChecks
from misocoin.chain.state import ChainOptions
from misocoin.chain.verify import verify_chain
from misocoin.consensus.coins import Coin
from misocoin.consensus.tree import HeaderNode
from misocoin.errors import StoreError, ValidationError
from misocoin.primitives.block import Block
from misocoin.primitives.transaction import OutPoint, TxOut
from misocoin.store.records import BlockStatus
from misocoin.store.store import Store
from tests.builders import (
    ANYONE,
    KEY_SCRIPT,
    coins_after,
    make_block,
    make_coinbase,
    make_outpoint,
    memory_chain,
    memory_store,
    open_chain,
    signed_spend,
    small_params,
    spend,
    stored_coins,
    with_bad_signature,
)
from tests.examples import examples

PARAMS = small_params(coinbase_maturity=1)
SUBSIDY = 5_000_000_000

# -- trees of blocks --------------------------------------------------------------------------

FAULTS = {
    "amount": "bad-cb-amount",
    "signature": "block-script-verify-flag-failed",
    "double spend": "bad-txns-inputs-missingorspent",
    "unknown coin": "bad-txns-inputs-missingorspent",
    "immature": "bad-txns-premature-spend-of-coinbase",
    "height": "bad-cb-height",
    "nonfinal": "bad-txns-nonfinal",
}


class Leaf(NamedTuple):
    """A block of a random tree."""

    node: HeaderNode
    block: Block
    coins: Mapping[OutPoint, Coin]
    """After it, as if all blocks were right."""
    fault: str | None
    is_valid: bool
    """Neither it nor what it builds on has a fault."""
    parent: int
    """Its place in the list of blocks; genesis has -1."""


def _purse(coins, script):
    """What may be spent, the oldest first, of coins that one block's payments leave behind."""
    return [
        point for point, coin in coins.items() if coin.script_pubkey == script and coin.value > 9
    ]


def _payments(coins, choices):
    """Some transactions: a signed one, one that splits, one that spends what the other made."""
    made = []
    signed, free = _purse(coins, KEY_SCRIPT), _purse(coins, ANYONE)
    if choices & 1 and signed:
        point = signed[choices % len(signed)]
        value = coins[point].value
        made.append(
            signed_spend({point: coins[point]}, [TxOut(value // 2, KEY_SCRIPT), value // 3])
        )
        if choices & 2:
            made.append(spend([made[0].outpoint(1)], [value // 4, TxOut(0, b"\x6a"), 0]))
    if choices & 4 and free:
        point = free[choices % len(free)]
        made.append(spend([point], [coins[point].value]))
    return made


def _make_block(parent, coins, choices, fault):
    node, tag = parent, choices.to_bytes(2, "little")
    transactions = _payments(coins, choices)
    coinbase = None
    script = KEY_SCRIPT if choices & 8 else ANYONE
    match fault:
        case "amount":
            transactions, coinbase = [], make_coinbase(node.height + 1, [SUBSIDY + 1], tag=tag)
        case "signature":
            signed = _purse(coins, KEY_SCRIPT)
            if not signed:
                return _make_block(parent, coins, choices, "amount")
            tx = signed_spend({signed[0]: coins[signed[0]]}, [1])
            transactions = [with_bad_signature(tx)]
        case "double spend":
            free = _purse(coins, ANYONE)
            if not free:
                return _make_block(parent, coins, choices, "amount")
            transactions = [spend(free[:1], [1]), spend(free[:1], [2])]
        case "unknown coin":
            transactions = [*transactions, spend([make_outpoint(choices)], [1])]
        case "height":
            transactions, coinbase = [], make_coinbase(node.height + 2, [SUBSIDY], tag=tag)
        case "nonfinal":
            transactions = [spend([make_outpoint(choices)], [1], locktime=2**32 - 1, sequence=0)]
        case "immature":
            block = make_block(node, PARAMS, tag=tag)
            own = block.transactions[0]
            late = spend([own.outpoint(0)], [1])
            return "immature", make_block(node, PARAMS, [late], coinbase=own)
    return fault, make_block(node, PARAMS, transactions, coinbase=coinbase, tag=tag, script=script)


def _draw_tree(random: Random) -> list[Leaf]:
    """Blocks of a tree, parents before children: a trunk, and branches that race each other."""
    root = HeaderNode(PARAMS.genesis.header, None)
    leaves: list[Leaf] = []
    for number in range(random.randint(3, 16)):
        tips = [at for at in range(number) if all(leaf.parent != at for leaf in leaves)]
        if number < 2:
            parent = number - 1
        elif random.random() < 0.75:
            parent = random.choice(tips)
        else:
            parent = random.randint(max(-1, number - 7), number - 1)
        above = leaves[parent] if parent >= 0 else None
        node, coins = (above.node, above.coins) if above else (root, {})
        fault = random.choice(list(FAULTS)) if random.random() < 0.1 else None
        choices = random.randrange(16) + 16 * number  # no two blocks are the same
        fault, block = _make_block(node, coins, choices, fault)
        child = HeaderNode(block.header, node)
        is_valid = fault is None and (above is None or above.is_valid)
        after = coins_after(coins, block, child.height)
        leaves.append(Leaf(child, block, after, fault, is_valid, parent))
    return leaves


# Drawn from a seed, not choice by choice: hypothesis prefers small trees in which all is wrong.
randoms = st.integers(0, 2**32 - 1).map(Random)


def _draw_order(random: Random) -> tuple[list[Leaf], list[Leaf]]:
    """A tree, and an order for its bodies: as they are, mixed a little, or at random."""
    leaves = _draw_tree(random)
    spread = random.choice([0, 3, 100])
    return leaves, sorted(leaves, key=lambda leaf: leaf.node.height + spread * random.random())


GENESIS = Leaf(HeaderNode(PARAMS.genesis.header, None), PARAMS.genesis, {}, None, True, -1)


def _branch(leaves, leaf):
    """The blocks from the first up to `leaf`."""
    blocks = []
    while leaf is not GENESIS:
        blocks.insert(0, leaf.block)
        leaf = leaves[leaf.parent] if leaf.parent >= 0 else GENESIS
    return blocks


class Follower:
    """Keeps coins by the events alone, as every subscriber has to."""

    def __init__(self, events):
        self.tip = PARAMS.genesis.hash
        self.coins = {}
        self._before = []
        self.told_tip = self.tip
        events.subscribe(self.handle)

    def handle(self, event):
        match event:
            case BlockConnected(node, block):
                assert block.header.prev_hash == self.tip
                self._before.append(self.coins)
                self.coins = coins_after(self.coins, block, node.height)
                self.tip = node.hash
            case BlockDisconnected(node, block):
                assert node.hash == block.hash == self.tip
                self.coins = self._before.pop()
                self.tip = block.header.prev_hash
            case TipChanged(old, new, fork):
                assert old.hash == self.told_tip
                assert fork.is_ancestor_of(old)
                assert fork.is_ancestor_of(new)
                self.told_tip = new.hash


class Run:
    """A node that is given the blocks of a tree, is killed and started again."""

    def __init__(self, leaves, store):
        self.leaves = leaves
        self.by_hash = {leaf.block.hash: leaf for leaf in leaves} | {PARAMS.genesis.hash: GENESIS}
        self.store = store
        self.came = {PARAMS.genesis.hash}
        self.start()

    def start(self):
        self.events = EventBus()
        self.chain = open_chain(PARAMS, self.store, events=self.events)
        self.follower = Follower(self.events)
        # what is there already was not told
        leaf = self.by_hash[self.chain.tip.hash]
        self.follower.tip = self.follower.told_tip = leaf.block.hash
        self.follower.coins = dict(leaf.coins)
        self.follower._before = [
            self.by_hash[node.parent.hash].coins
            for node in reversed(list(self.chain.tip.back_to(self.chain.tree.genesis)))
        ]

    def send_headers(self):
        for leaf in self.leaves:
            try:
                self.chain.accept_headers([leaf.block.header])
            except ValidationError as error:
                self.check_reason(leaf, error.reason)

    def submit(self, leaf):
        try:
            self.chain.submit_block(leaf.block)
        except ValidationError as error:
            self.check_reason(leaf, error.reason)
            return
        self.came.add(leaf.block.hash)

    def check_reason(self, leaf, reason):
        if reason == "prev-blk-not-found":
            assert not self.chain.knows(leaf.block.header.prev_hash)
            return
        assert not leaf.is_valid, reason
        known = ("bad-prevblk", "duplicate-invalid", *FAULTS.values())
        assert reason.startswith(known), reason

    def expected(self):
        """The valid blocks of the most work among those that came with all below them."""
        linked = [GENESIS]
        for leaf in self.leaves:
            above = self.leaves[leaf.parent] if leaf.parent >= 0 else GENESIS
            if leaf.is_valid and leaf.block.hash in self.came and above in linked:
                linked.append(leaf)
        most = max(leaf.node.chain_work for leaf in linked)
        return [leaf for leaf in linked if leaf.node.chain_work == most]

    def check(self, before):
        tip = self.chain.tip
        best = {leaf.block.hash for leaf in self.expected()}
        assert tip.hash in best
        if before in best:
            assert tip.hash == before, "of equal branches the first stays"
        leaf = self.by_hash[tip.hash]
        points = list(leaf.coins)
        assert self.chain.get_coins(points) == leaf.coins
        assert self.follower.tip == self.follower.told_tip == tip.hash
        assert self.follower.coins == leaf.coins
        assert self.chain.best_header.chain_work >= tip.chain_work
        assert not self.chain.status(self.chain.best_header) & BlockStatus.FAILED

    def check_end(self):
        """All is as a fresh node has it that was given the winning branch alone."""
        leaf = self.by_hash[self.chain.tip.hash]
        blocks = _branch(self.leaves, leaf)
        with memory_chain(PARAMS, blocks) as fresh:
            assert fresh.tip.hash == self.chain.tip.hash
            coins = stored_coins(self.chain)
            assert coins == stored_coins(fresh) == leaf.coins
            for node in self.chain.tip.back_to(self.chain.tree.genesis):
                twin = fresh.find(node.hash)
                assert self.chain.get_block_bytes(node) == fresh.get_block_bytes(twin)
                assert self.chain.get_undo(node) == fresh.get_undo(twin)
                assert self.chain.status(node) == fresh.status(twin)
            mine = verify_chain(self.chain, ScriptChecks(1))
            assert mine == verify_chain(fresh, ScriptChecks(1))
            assert mine.supply == sum(coin.value for coin in leaf.coins.values())


@examples(200)
@given(randoms)
def test_bodies_in_any_order_with_kills_between_them(random):
    leaves, order = _draw_order(random)
    with memory_store(PARAMS) as store:
        run = Run(leaves, store)
        run.send_headers()
        for leaf in order:
            before = run.chain.tip.hash
            run.submit(leaf)
            run.check(before)
            match random.choice(["", "", "", "flush", "kill"]):
                case "flush":
                    run.chain.flush()
                case "kill":
                    before = run.chain.tip.hash
                    run.start()
                    assert run.chain.tip.hash == before
                    run.check(before)
                    run.send_headers()
        run.check_end()


@examples(60)
@given(randoms)
def test_children_before_their_parents_without_headers(random):
    """What has no parent yet is refused, and taken when it comes again."""
    leaves, order = _draw_order(random)
    with memory_store(PARAMS) as store:
        run = Run(leaves, store)
        came = 0
        while len(run.came) > came:
            came = len(run.came)
            random.shuffle(order)
            for leaf in order:
                before = run.chain.tip.hash
                run.submit(leaf)
                run.check(before)
        assert all(leaf.block.hash in run.came for leaf in leaves if leaf.is_valid)
        run.check_end()


class FailingStore(Store):
    """Dies at its n-th write: before it, or right after it was committed."""

    countdown = 10**9
    after = False

    def _die(self):
        self.countdown -= 1
        if self.countdown == 0:
            raise StoreError("killed")

    def apply(self, changes):
        if not self.after:
            self._die()
        super().apply(changes)
        if self.after:
            self._die()

    def flush_coins(self, tip, gone, new):
        if not self.after:
            self._die()
        super().flush_coins(tip, gone, new)
        if self.after:
            self._die()


@examples(200)
@given(randoms)
def test_a_kill_at_any_write(random):
    """The process dies at a write, in the middle of a reorg too, and starts again from the disk."""
    leaves, order = _draw_order(random)
    kills = random.randint(1, 8)
    store = FailingStore(None, PARAMS.genesis.hash)
    store.after = random.random() < 0.5
    try:
        run = Run(leaves, store)
        todo = list(order)
        while todo:
            if kills and store.countdown > 100:
                store.countdown = random.randint(1, 20)
                kills -= 1
            try:
                run.send_headers()
                run.submit(todo[0])
                if random.random() < 0.2:
                    run.chain.flush()
            except StoreError as error:
                if str(error) != "killed":
                    raise
                store.countdown = 10**9
                run = Run(leaves, store)
                continue
            todo.pop(0)
        store.countdown = 10**9
        run.came = set(run.by_hash)
        assert run.chain.tip.hash in {leaf.block.hash for leaf in run.expected()}
        run.check_end()
    finally:
        store.close()


@examples(30)
@given(randoms)
def test_the_index_of_transactions_follows_the_chain(random):
    leaves, order = _draw_order(random)
    with memory_store(PARAMS) as store:
        chain = open_chain(PARAMS, store, options=ChainOptions(txindex=True))
        for leaf in leaves:
            with suppress(ValidationError):
                chain.accept_headers([leaf.block.header])
        for leaf in order:
            with suppress(ValidationError):
                chain.submit_block(leaf.block)
        active = {}
        for node in chain.tip.back_to(chain.tree.genesis):
            active |= {tx.txid: node for tx in chain.get_block(node).transactions}
        for leaf in leaves:
            for tx in leaf.block.transactions:
                assert chain.find_transaction_block(tx.txid) is active.get(tx.txid)


# -- imports ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("blk")


@examples(40)
@given(randoms, st.lists(st.binary(max_size=30) | st.just(PARAMS.magic), max_size=10))
def test_a_file_of_blocks_in_any_order_with_anything_between(folder, random, noise):
    leaves = _draw_tree(random)
    frames = []
    for leaf in leaves:
        data = leaf.block.serialize()
        frames.append(PARAMS.magic + len(data).to_bytes(4, "little") + data)
    pieces = [*frames, *noise, frames[0]]
    random.shuffle(pieces)
    path = folder / "blk.dat"
    path.write_bytes(b"".join(pieces))
    with memory_store(PARAMS) as store:
        run = Run(leaves, store)
        import_blocks(path, run.chain, PARAMS)
        run.came = set(run.by_hash)
        assert run.chain.tip.hash in {leaf.block.hash for leaf in run.expected()}
        run.check_end()


@examples(60)
@given(st.binary(max_size=400), st.integers(0, 3))
def test_any_file_can_be_imported(folder, data, count):
    path = folder / "noise.dat"
    path.write_bytes((PARAMS.magic + data) * count + data)
    with memory_chain(PARAMS) as chain:
        result = import_blocks(path, chain, PARAMS)
    assert result[:2] == (0, 0)
