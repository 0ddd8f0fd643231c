"""The light wallet's commands against real daemons, honest and otherwise."""

import signal
from collections.abc import Iterator
from contextlib import closing

import pytest

from misocoin.filters.basic import basic_filter_from_block, calculate_filter_header
from misocoin.params import regtest
from misocoin.primitives.block import Block, block_from_bytes, header_from_bytes
from misocoin.primitives.transaction import TxOut
from misocoin.script.address import script_from_address
from tests.functional.conftest import MakeDaemon
from tests.functional.framework.daemon import Daemon
from tests.functional.framework.network import address, height
from tests.functional.framework.pair import STRANGER, linked_pair, mine, miso
from tests.functional.framework.wallet import Answer, Lie, LyingNode, WalletCommands

# -- two nodes and two wallets ----------------------------------------------------------------


def test_two_nodes_and_two_wallets(nodes: tuple[Daemon, Daemon], make_wallet) -> None:
    one, two = nodes
    both = f"-nodes={address(one)},{address(two)}"
    rob, ann = make_wallet(), make_wallet()
    robs, anns = rob.address("robs-address"), ann.address("anns")
    mine(nodes, 1, robs)
    mine(nodes, 100)

    said = rob.run("sync", "-once", both)
    assert "Block 1: 50.00000000 to robs-address" in said
    assert "At block 101, asked 2 nodes; 2 agree about the filters" in said
    assert rob.balances() == {"robs-address": (miso(50), "-")}

    # A payment, by name and to an address; it is with both nodes at once.
    dry = rob.run("send", "robs-address", "10", anns, both, "-dry-run")
    assert f"10.00000000  {anns}" in dry
    assert dry.endswith("Nothing was sent.\n")
    said = rob.run("send", "robs-address", "10", anns, both, "-note=for the cat")
    assert all(f"{address(node)} has it." in said for node in nodes)
    balance, pending = rob.balances()["robs-address"]
    assert balance == miso(50)
    assert -10.001 < float(pending) < -10
    assert ann.balances() == {"anns": (miso(0), "-")}
    claimed = ann.run("list-addresses", "-mempool", both).splitlines()
    assert claimed[1].split()[1:4] == [miso(0), "-", miso(10)]
    assert "count on none of it" in claimed[-1]
    mine((two, one), 1)

    assert "Payment" in rob.run("sync", "-once", both)
    assert "Block 102: 10.00000000 to anns" in ann.run("sync", "-once", both)
    assert ann.balances() == {"anns": (miso(10), "-")}
    assert 39.99 < float(rob.balances()["robs-address"][0]) < 40
    history = rob.run("history")
    assert "(for the cat)" in history
    assert f"to {anns}" in history
    assert "1 conf." in history

    # All of it goes back, from an address; then both nodes are down for the next payment.
    ann.run("send", anns, "-all", robs, both)
    mine(nodes, 1)
    rob.run("sync", "-once", both)
    ann.run("sync", "-once", both)
    assert ann.balances()["anns"] == (miso(0), "-")
    one.stop()
    two.stop()
    said = rob.run("send", "robs-address", "7", anns, both)
    assert "No node has it yet: every sync sends it again until it is mined" in said
    assert "No node could be asked" in rob.run("sync", "-once", both, fails=True)
    one.launch()
    two.start()
    one.log.wait_for("listening on")
    assert "is with" in rob.run("sync", "-once", both)
    one.rpc.generate(1, STRANGER)
    assert "was mined" in rob.run("sync", "-once", f"-nodes={address(one)}")
    said = ann.run("sync", "-once", both)
    assert "7.00000000 to anns" in said
    listed = ann.run("nodes")
    assert f"{address(one)}" in listed
    assert "agrees" in listed


def test_errors_are_one_line(lasting_nodes: tuple[Daemon, Daemon], make_wallet) -> None:
    nodes = lasting_nodes
    one, _ = nodes
    where = f"-nodes={address(one)}"
    rob = make_wallet()
    robs = rob.address("rob")
    mine(nodes, 3, robs)
    rob.run("sync", "-once", where)
    for words, complaint in (
        (
            ("send", "rob", "1", STRANGER),
            " immature (mined less than 100 blocks ago)",
        ),
        (("send", "nobody", "1", STRANGER), "no key or wallet is named 'nobody'"),
        (("send", "rob", "1", "bcrt1qnonsense"), "'bcrt1qnonsense' is not an address"),
        (("send", "rob", "-5", STRANGER), "unknown option -5"),
        (("send", "rob", "x", STRANGER), "'x' is not an amount"),
        (("send", "rob", "1"), "amounts and recipients stand in turns"),
        (("send", "rob", "0.00000001", STRANGER), "too small to send"),
        (("sync", "-once", "-nodes=a b"), "nodes=a b"),
    ):
        said = rob.run(*words, *([] if words[0] == "sync" else [where]), fails=True)
        assert complaint in said, said
        assert len(said.splitlines()) == 1


# -- a node that lies -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def paid_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Paid"]:
    folder = tmp_path_factory.mktemp("paid")
    with linked_pair(folder) as pair:
        yield Paid(pair, WalletCommands(folder / "wallet"))


@pytest.fixture
def paid(paid_once: "Paid") -> Iterator["Paid"]:
    """A wallet that knows nothing yet and was paid in block 4; honest nodes are at block 6."""
    yield paid_once
    paid_once.close()


class Paid:
    def __init__(self, nodes: tuple[Daemon, Daemon], wallet: WalletCommands) -> None:
        self.nodes = nodes
        self.wallet = wallet
        self.address = wallet.address("mine")
        self.script = script_from_address(self.address, regtest())
        mine(nodes, 3)
        mine(nodes, 1, self.address)
        mine(nodes, 2)
        self._liars: list[LyingNode] = []

    def forget(self) -> None:
        """Have a wallet that knows nothing but its key."""
        for path in self.wallet.folder.glob("light.sqlite*"):
            path.unlink()

    def close(self) -> None:
        for liar in self._liars:
            liar.close()
        self._liars.clear()
        self.forget()

    def liar(self, lies: dict[str, Lie]) -> LyingNode:
        self._liars.append(LyingNode(self.nodes[0], lies))
        return self._liars[-1]

    def sync(self, *addresses: str, fails: bool = False) -> str:
        where = ",".join(addresses)
        return self.wallet.run("sync", "-once", f"-nodes={where}", fails=fails)

    @property
    def balance(self) -> str:
        return self.wallet.balances()["mine"][0]

    def hiding_filters(self) -> dict[str, Lie]:
        """Filters without our script, and the headers that follow from them."""
        filters, headers, header = {}, {}, bytes(32)
        for at in range(7):
            block = self._block(at)
            kept = [
                tx._replace(vout=tuple(o for o in tx.vout if o.script_pubkey != self.script))
                for tx in block.transactions
            ]
            data = basic_filter_from_block(Block(block.header, tuple(kept)), ())
            header = calculate_filter_header(data, header)
            filters[at], headers[at] = data, header
        heights = {self._block(at).header.hash_hex: at for at in range(7)}

        def first_and_count(path: str) -> tuple[int, int]:
            *_, count, name = path.removesuffix(".bin").split("/")
            return heights[name], int(count)

        def tell_headers(path: str, _answer: Answer) -> Answer:
            first, count = first_and_count(path)
            return 200, b"".join(headers[h] for h in range(first, min(7, first + count)))

        def tell_filters(path: str, _answer: Answer) -> Answer:
            first, count = first_and_count(path)
            return 200, b"".join(
                b"\x00" + self._block(h).hash + bytes((len(filters[h]),)) + filters[h]
                for h in range(first, min(7, first + count))
            )

        return {"/rest/blockfilterheaders/": tell_headers, "/rest/blockfilters/": tell_filters}

    def _block(self, height: int) -> Block:
        rpc = self.nodes[0].rpc
        return block_from_bytes(bytes.fromhex(rpc.get_block(rpc.get_block(height)["hash"], 0)))


def test_a_hidden_payment(paid: Paid) -> None:
    honest = address(paid.nodes[1])
    liar = paid.liar(paid.hiding_filters())
    # Alone it is believed, and the wallet says that nobody else was asked.
    assert "nobody else was there to compare" in paid.sync(liar.address)
    assert paid.balance == miso(0)
    # One honest node is enough to find out, also later.
    said = paid.sync(liar.address, honest)
    assert "false filter of block 4: payments in it could be hidden" in said or (
        "what nodes said earlier of block 4 was false: searching again" in said
    )
    assert paid.balance == miso(50)
    paid.sync(honest, liar.address)
    listed = paid.wallet.run("nodes")
    assert any(liar.address in row and "lied" in row for row in listed.splitlines())
    # No address was ever asked for.
    assert not any(paid.address in path or paid.script.hex() in path for path in liar.heard)


def test_a_forged_balance(paid: Paid) -> None:
    """A block with a gift for us in it, under a header that does not commit to it."""

    def gift(_path: str, answer: Answer) -> Answer:
        block = block_from_bytes(answer[1])
        coinbase = block.transactions[0]
        richer = coinbase.build(
            coinbase.version, coinbase.vin, [*coinbase.vout, TxOut(10**12, paid.script)], 0
        )
        return 200, Block(block.header, (richer, *block.transactions[1:])).serialize()

    liar = paid.liar({"/rest/block/": gift})
    said = paid.sync(liar.address, fails=True)
    assert f"{liar.address} sent a false block 4: bad-txnmrklroot" in said
    assert "NOT complete: balances are as of block 3" in said or "No node could be asked" in said
    assert paid.balance == miso(0)
    assert "bad-txnmrklroot" in paid.sync(liar.address, address(paid.nodes[1]))
    assert paid.balance == miso(50)


def test_withheld_answers(paid: Paid) -> None:
    refuse: Lie = lambda _path, _answer: (404, b"Filter not found.")  # noqa: E731
    liar = paid.liar({"/rest/blockfilters/": refuse, "/rest/blockfilter/": refuse})
    said = paid.sync(liar.address, fails=True)
    assert "no node gives the filter of block 1" in said
    assert "NOT complete" in said
    blocks = paid.liar({"/rest/block/": refuse})
    said = paid.sync(blocks.address, fails=True)
    assert "no node gives block 4" in said
    assert "NOT complete: balances are as of block 3" in said
    paid.sync(blocks.address, address(paid.nodes[1]))
    assert paid.balance == miso(50)


def test_headers_that_are_not_worked_for(paid: Paid) -> None:
    def more(path: str, answer: Answer) -> Answer:
        if header_from_bytes(answer[1]).hash_hex not in path:
            return answer
        last = header_from_bytes(answer[1], len(answer[1]) - 80)
        made = last.build(last.version, last.hash, bytes(32), last.time + 1, last.bits, 0)
        while int.from_bytes(made.hash, "little") <= 1 << 255:  # regtest: every second try holds
            made = made.build(*made[:5], made.nonce + 1)
        return 200, answer[1] + made.serialize()

    liar = paid.liar({"/rest/headers/": more})
    said = paid.sync(liar.address, address(paid.nodes[1]))
    assert "sent a header of height 7 that breaks a rule: high-hash" in said
    assert paid.balance == miso(50)


def test_chains_with_less_work_and_with_more(paid: Paid, make_daemon: MakeDaemon) -> None:
    one, two = paid.nodes
    other = make_daemon("-gossip=0").start()
    for at in range(1, 4):
        other.rpc.submit_block(one.rpc.get_block(one.rpc.get_block(at)["hash"], 0))
    other.rpc.generate(2, paid.address)
    honest, weak = address(two), address(other)
    paid.sync(honest)
    assert f"{weak} is on a branch with less work, at height 5" in paid.sync(weak, honest)
    assert paid.balance == miso(50)
    # Whoever meets it alone believes it for as long, and no longer.
    paid.forget()
    paid.sync(weak)
    assert paid.balance == miso(100)
    said = paid.sync(weak, honest)
    assert "The chain was replaced above block 3 by one with more work" in said
    assert paid.balance == miso(50)
    # With more work it is the chain, and what was paid on the other is not any more.
    other.rpc.generate(3, STRANGER)
    said = paid.sync(honest, weak)
    assert "The chain was replaced above block 3" in said
    assert paid.balance == miso(100)
    assert "undone" in paid.wallet.run("history")


def test_stalled_and_endless_answers(paid: Paid) -> None:
    def endless(_path: str, _answer: Answer) -> Answer:
        return 200, bytes(20_000_000)

    liar = paid.liar({"/rest/headers/": endless})
    said = paid.sync(liar.address, address(paid.nodes[1]))
    assert "more than" in said
    assert paid.balance == miso(50)


# -- running -----------------------------------------------------------------------------------


def test_one_sync_at_a_time_until_ctrl_c(lasting_nodes, make_wallet) -> None:
    one, _ = lasting_nodes
    wallet = make_wallet()
    wallet.address("mine")
    where = f"-nodes={address(one)}"
    best = height(one)
    process, log = wallet.start("sync", where)
    with closing(log):
        log.wait_for(f"At block {best}")
        assert "another sync" in wallet.run("sync", "-once", where, fails=True)
        one.rpc.generate(2, STRANGER)
        log.wait_for(f"At block {best + 2}")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    assert "Traceback" not in log.text
    assert f"At block {best + 2}" in wallet.run("sync", "-once", where)


def test_a_folder_from_before_gets_its_filters(make_daemon: MakeDaemon, make_wallet) -> None:
    wallet = make_wallet()
    own = wallet.address("mine")
    daemon = make_daemon("-gossip=0")
    daemon.start("-blockfilterindex=0")
    daemon.rpc.generate(30, own)
    where = f"-nodes={address(daemon)}"
    assert "NOT complete: balances are as of block 0" in wallet.run(
        "sync", "-once", where, fails=True
    )
    daemon.restart()
    daemon.log.wait_for("made the filters of 30 blocks")
    wallet.run("sync", "-once", where)
    assert wallet.balances()["mine"][0] == miso(1500)
