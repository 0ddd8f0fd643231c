"""A market beside a real node: coins come in over the chain, and go out over it once."""

import http.client
import json
import random
import secrets
import subprocess
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from misocoin.http.errors import RpcError
from tests.functional.framework.daemon import DEADLINE, Daemon, wait_until
from tests.functional.framework.market import MarketProcess
from tests.functional.framework.stranger import Stranger, escaped


@pytest.fixture(scope="module")
def node(tmp_path_factory) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path_factory.mktemp("coins") / "node").start()
    daemon.rpc.generate(110)
    yield daemon
    daemon.stop()


@pytest.fixture
def market(tmp_path, node):
    process = MarketProcess(tmp_path / "market", *node_options(node), "-confirmations=3")
    yield process.start()
    process.close()


def node_options(node: Daemon) -> list[str]:
    return [f"-node=127.0.0.1:{node.port}", f"-nodecookie={node.folder / '.cookie'}"]


def post_signed(who: Stranger, path: str, form: dict[str, str], **unsigned: str):
    text = "&".join(f"{name}={escaped(value)}" for name, value in sorted(form.items()))
    return who.post(path, {**form, **unsigned, "signature": who.sign(text)})


def deposit_address(who: Stranger) -> str:
    form = {"nonce": who.nonce(), "participant": who.address, "signer": who.address}
    post_signed(who, f"/account/{who.address}", form, action="requestdepositaddress")
    return str(who.get(f"/account/{who.address}")["DepositInfo"]["DepositAddress"])


def withdraw(who: Stranger, address: str, amount: str) -> str:
    form = {
        "address": address, "amount": amount, "nonce": who.nonce(), "participant": who.address,
    }  # fmt: skip
    return str(post_signed(who, "/withdrawal", form).headers["Location"])


def available(who: Stranger) -> str:
    return str(who.get(f"/account/{who.address}")["Available"])


def audit(market: MarketProcess, node: Daemon) -> subprocess.CompletedProcess[str]:
    return market.run("audit", *node_options(node))


def other_address() -> str:
    return secrets.token_hex(20)


def received(node: Daemon, address: str) -> Decimal:
    return Decimal(str(node.rpc.get_balance(address)))


def test_coins_in_and_out(market, node):
    who = Stranger(market.url, agent="somebody")
    address = deposit_address(who)
    assert deposit_address(who) == address
    node.rpc.send_misocoin(address, "1.5")
    (block, _) = node.rpc.generate(2)
    assert available(who) == "MISO 0"
    # The chain is replaced before the deposit is deep enough: it waits for its new block.
    node.rpc.invalidateblock(block)
    node.rpc.generate(3)
    wait_until(lambda: available(who) == "MISO 1.5", "the deposit is credited")
    path = withdraw(who, home := other_address(), "MISO 0.4")
    assert available(who) == "MISO 1.1"
    wait_until(lambda: who.get(path)["State"] == "PAID", "the withdrawal is paid")
    node.rpc.generate(1)
    wait_until(lambda: who.get(path)["State"] == "CONFIRMED", "the payment is in a block")
    assert Decimal("0.3999") < received(node, home) < Decimal("0.4")
    report = audit(market, node)
    assert report.returncode == 0, report.stderr
    assert "MISO: available MISO 1.1, blocked MISO 0, fee MISO 0, world MISO -1.1" in report.stdout
    assert "coins held: MISO 1.1 (1 on the chain)" in report.stdout
    nothing = market.run("collect", *node_options(node), other_address(), "MISO 1")
    assert (nothing.returncode, nothing.stderr.count("\n")) == (1, 1)
    assert "MISO 0 of fees are here" in nothing.stderr
    market.stop()


def kill_while_paying(market: MarketProcess, node: Daemon, kills: int, seed: int) -> None:
    chance = random.Random(seed)
    who = Stranger(market.url, agent="somebody")
    node.rpc.send_misocoin(deposit_address(who), 5)
    node.rpc.send_misocoin(deposit_address(who), 5)
    node.rpc.generate(3)
    wait_until(lambda: available(who) == "MISO 10", "the deposits are credited")
    asked = []
    for _ in range(kills):
        for _ in range(chance.randrange(1, 4)):
            asked.append((withdraw(who, home := other_address(), "MISO 0.03"), home))
        # Up to two passes of the payer, which come twice a second.
        time.sleep(chance.random())
        market.kill()
        if chance.random() < 0.5:
            node.rpc.generate(1)
        market.start()
        who.host = market.url.removeprefix("http://")
    paid = ("PAID", "CONFIRMED")
    wait_until(lambda: all(who.get(path)["State"] in paid for path, _ in asked), "all are paid")
    node.rpc.generate(3)
    wait_until(lambda: all(who.get(p)["State"] == "CONFIRMED" for p, _ in asked), "all confirm")
    for _, home in asked:
        assert Decimal("0.0299") < received(node, home) < Decimal("0.03")
    assert Decimal(available(who).removeprefix("MISO ")) == 10 - Decimal("0.03") * len(asked)
    report = audit(market, node)
    assert report.returncode == 0, report.stderr


def test_kill_9_while_it_pays(market, node):
    kill_while_paying(market, node, 2, seed=1)


@pytest.mark.long
def test_many_kills_while_it_pays(market, node):
    kill_while_paying(market, node, 60, seed=random.SystemRandom().randrange(1 << 30))


class Killer:
    """Stands between a market and its node, and ends the market at a call: before or after it."""

    def __init__(self, node: Daemon) -> None:
        self.node = node
        self.market: MarketProcess | None = None
        self.armed: tuple[str, str] | None = None
        self.ready = threading.Event()
        """Set once what the test asked of the market is answered."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def strikes(self, body: bytes, when: str) -> bool:
        if self.armed != (json.loads(body)["method"], when) or self.market is None:
            return False
        self.ready.wait(DEADLINE)
        self.market.kill()
        self.armed = None
        return True

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        killer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if killer.strikes(body, "before"):
                    return
                line = http.client.HTTPConnection("127.0.0.1", killer.node.port, timeout=60)
                names = ("Authorization", "Content-Type")
                headers = {name: self.headers[name] for name in names if name in self.headers}
                line.request("POST", self.path, body, headers)
                answer = line.getresponse()
                told = answer.read()
                line.close()
                if killer.strikes(body, "after"):
                    return
                self.send_response(answer.status)
                self.send_header("Content-Length", str(len(told)))
                self.end_headers()
                self.wfile.write(told)

            def log_message(self, *_arguments: object) -> None:
                pass

        return Handler


CALLS = (
    "getblock", "getnewaddress", "getmempoolinfo", "signrawtransactionwithwallet",
    "sendrawtransaction",
)  # fmt: skip


@pytest.mark.long
def test_killed_at_every_call_to_its_node(tmp_path, node):
    """What is written down lies between two of these calls, so each step of the journal is cut."""
    killer = Killer(node)
    options = [f"-node=127.0.0.1:{killer.port}", *node_options(node)[1:], "-confirmations=1"]
    market = killer.market = MarketProcess(tmp_path / "market", *options).start()
    try:
        who = Stranger(market.url, agent="somebody")
        node.rpc.send_misocoin(deposit_address(who), 5)

        def is_paid() -> bool:
            return all(who.get(path)["State"] in ("PAID", "CONFIRMED") for path, _ in asked)

        asked: list[tuple[str, str]] = []
        for method in CALLS:
            killer.ready.clear()
            killer.armed = (method, "before")
            if method == "getblock":
                node.rpc.generate(1)
            else:
                asked.append((withdraw(who, home := other_address(), "MISO 0.03"), home))
            killer.ready.set()
            wait_until(lambda: killer.armed is None, f"it was killed before {method}")
            killer.armed = (method, "after")
            market.start()
            wait_until(lambda: killer.armed is None, f"it was killed after {method}")
            market.start()
            wait_until(lambda: available(who) != "MISO 0", "the deposit is credited")
            wait_until(is_paid, "all are paid")
        node.rpc.generate(1)
        wait_until(lambda: all(who.get(p)["State"] == "CONFIRMED" for p, _ in asked), "confirmed")
        assert len(asked) == 4
        for _, home in asked:
            assert Decimal("0.0299") < received(node, home) < Decimal("0.03")
        assert available(who) == "MISO 4.88"
        report = audit(market, node)
        assert report.returncode == 0, report.stderr
        assert "the books are right" in report.stdout
    finally:
        market.close()
        killer.close()


def test_from_deposit_to_withdrawal_with_a_seller_who_vanishes(tmp_path, node):
    articles = tmp_path / "articles.toml"
    articles.write_text("[[article]]\nname = 'foobar'\nestablish = 1\n")
    options = (*node_options(node), "-confirmations=1", f"-articles={articles}")
    market = MarketProcess(tmp_path / "market", *options).start()
    try:
        buyer, *sellers = (Stranger(market.url, agent="somebody") for _ in range(3))
        node.rpc.send_misocoin(deposit_address(buyer), 2)
        node.rpc.generate(1)
        wait_until(lambda: available(buyer) == "MISO 2", "the deposit is credited")
        for number in range(8):
            seller = sellers[number % 2]
            if number == 4:  # this one bids, and is never heard of again
                seller.bid("SELL", "foobar", "mMISO 100")
                gone = buyer.trade_of(buyer.bid("BUY", "foobar", "mMISO 100"))
                buyer.poll(f"/tx/{gone}", lambda trade: trade["State"] == 1)
                continue
            sale = seller.sell("foobar", "mMISO 100", bytes.upper)
            assert buyer.buy("foobar", "mMISO 110", b"work") == b"WORK"
            sale.finish()
        assert available(buyer) == "MISO 1.279", "seven pieces of work, and the fees"
        homes = {}
        for seller, earned in zip(sellers, ("MISO 0.3", "MISO 0.4"), strict=True):
            home = other_address()
            homes[withdraw(seller, home, earned)] = (seller, home, earned)
        paid = ("PAID", "CONFIRMED")
        for path, (seller, _, _) in homes.items():
            wait_until(lambda s=seller, p=path: s.get(p)["State"] in paid, "it is paid")
        node.rpc.generate(1)
        for _, home, earned in homes.values():
            amount = Decimal(earned.removeprefix("MISO "))
            assert amount - Decimal("0.0001") < received(node, home) < amount
        report = audit(market, node)
        assert report.returncode == 0, report.stderr
        assert "fee mMISO 21, world MISO -1.3" in report.stdout
        market.stop()
    finally:
        market.close()


def test_an_audit_tells_of_coins_that_somebody_took(market, node):
    who = Stranger(market.url, agent="somebody")
    txid = node.rpc.send_misocoin(deposit_address(who), 1)
    node.rpc.generate(3)
    wait_until(lambda: available(who) == "MISO 1", "the deposit is credited")
    assert audit(market, node).returncode == 0
    wait_until(
        lambda: txid in [each["txid"] for each in node.rpc.listlockunspent()],
        "the market has the wallet hold its coins back",
    )
    # The wallet is emptied, so this test is the module's last.
    balance = Decimal(str(node.rpc.get_balance()))
    with pytest.raises(RpcError, match="Insufficient funds"):
        node.rpc.send_misocoin(other_address(), str(balance - Decimal("0.001")))
    # Who names the coins can take them.
    named = {"inputs": node.rpc.listlockunspent()}
    assert node.rpc.sendall([other_address()], None, "unset", None, named)["complete"] is True
    report = audit(market, node)
    assert report.returncode == 1
    assert "is spent or unknown on the chain" in report.stderr
    assert "Traceback" not in report.stderr
