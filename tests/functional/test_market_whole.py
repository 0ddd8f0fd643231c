"""All of the market at once: a node, a server, two sellers, one buyer, and coins that move."""

import secrets
import subprocess
import threading
from decimal import Decimal
from pathlib import Path

import pytest

from tests.functional.framework.daemon import Daemon, wait_until
from tests.functional.framework.market import MarketProcess
from tests.functional.framework.market_client import ClientProcess, FakeWorker, WorkerProcess
from tests.functional.test_market_client import BITMESSAGE, is_solved, pow_work

PRICE = Decimal("0.001")
FEE = Decimal("0.00003")
ARTICLES = f"""
[[article]]
name = "{BITMESSAGE}"
checker = "bitmessage"
transmit = 30
work = 60
"""
LONGEST_TRADE = 60 + 30 + 60 + 60


def amount(text: str) -> Decimal:
    """An amount of the market, in coins."""
    unit, number = text.split()
    sizes = {"MISO": 1, "mMISO": 1000, "uMISO": 1_000_000, "satoshi": 100_000_000}
    return Decimal(number) / sizes[unit]


class Money:
    """What the market has of a client's."""

    def __init__(self, client: ClientProcess) -> None:
        told = client.json("/myaccount")
        self.available = amount(told["Account"]["Available"])
        self.blocked = amount(told["Account"]["Blocked"])
        self.address = told["DepositAddress"]


def buy_pieces(tmp_path: Path, pieces: int, stays_dead: bool) -> None:
    """Buy work from two sellers: the first lies once, the second is killed in the middle."""
    node = Daemon(tmp_path / "node").start()
    options = [f"-node=127.0.0.1:{node.port}", f"-nodecookie={node.folder / '.cookie'}"]
    articles = tmp_path / "articles.toml"
    articles.write_text(ARTICLES)
    more = ("-confirmations=2", f"-articles={articles}")
    market = MarketProcess(tmp_path / "market", *options, *more)
    market.start()
    buyer = ClientProcess(tmp_path / "buyer", market.url, "-atonce=6", "-bond=mMISO 1").start()
    straight = ("-extport=0", "-extaddr=localhost", "-bond=mMISO 1")
    sellers = [ClientProcess(tmp_path / f"s{n}", market.url, *straight).start() for n in range(2)]
    liar = ClientProcess(tmp_path / "liar", market.url, *straight).start()
    workers: list[WorkerProcess] = []
    fake = None
    try:
        node.rpc.generate(104)
        for client, coins in ((buyer, "1"), *((each, "0.01") for each in (*sellers, liar))):
            assert client.form("/requestdepositaddress").status == 303
            node.rpc.send_misocoin(Money(client).address, coins)
        node.rpc.generate(2)
        everyone = (buyer, *sellers, liar)
        wait_until(lambda: all(Money(each).available for each in everyone), "coins are credited")

        fake = FakeWorker(liar, BITMESSAGE, lambda _work: b'{"nonce": 3}')
        liar.permit("SELL", BITMESSAGE, "mMISO 1", 1)
        wait_until(lambda: Money(liar).blocked, "the liar offers")
        workers = [
            WorkerProcess(tmp_path / f"w{number}", seller, "bitmessage", "-threads=1")
            for number, seller in enumerate(sellers)
        ]
        for seller in sellers:
            seller.permit("SELL", BITMESSAGE, "mMISO 1", pieces)
        buyer.permit("BUY", BITMESSAGE, "mMISO 1", pieces)

        results: dict[int, bytes] = {}
        halfway = threading.Event()

        def buy(number: int) -> None:
            results[number] = buyer.buy(BITMESSAGE, pow_work(number))
            if len(results) >= pieces // 2:
                halfway.set()

        threads = [
            threading.Thread(target=buy, args=(number,), daemon=True) for number in range(pieces)
        ]
        for thread in threads:
            thread.start()
        assert halfway.wait(120)
        sellers[1].kill()
        if not stays_dead:
            sellers[1].start()
        for thread in threads:
            thread.join(120)
        assert sorted(results) == list(range(pieces))
        assert all(is_solved(pow_work(number), result) for number, result in results.items())

        if stays_dead:
            # What the dead seller had in hand comes back when the market has waited long enough.
            wait_until(lambda: not Money(buyer).blocked, "all is settled", LONGEST_TRADE)
            sellers[1].start()
        for each in everyone:
            each.form("/ui/unregister", id="none")
        paid = pieces * (PRICE + FEE)
        told = Money(buyer)
        # The liar lost its bond to the buyer.
        assert told.available + told.blocked == 1 - paid + PRICE
        assert Money(liar).available + Money(liar).blocked == Decimal("0.01") - PRICE
        earned = [Money(each).available + Money(each).blocked for each in sellers]
        assert sum(earned) == Decimal("0.02") + pieces * PRICE

        home = secrets.token_hex(20)
        wanted = [Money(each).available for each in sellers]
        for seller, sum_ in zip(sellers, wanted, strict=True):
            answer = seller.form("/withdraw", address=home, amount=f"MISO {sum_}")
            assert answer.status == 303, answer.body
            path = answer.headers["Location"]
            wait_until(lambda s=seller, p=path: s.json(p)["State"] == "PAID", "it is paid")
        node.rpc.generate(1)
        received = Decimal(str(node.rpc.get_balance(home)))
        assert sum(wanted) - Decimal("0.0002") < received < sum(wanted)
        report = audit(market, options)
        assert report.returncode == 0, report.stdout + report.stderr
        assert "the books are right" in report.stdout
        for each in everyone:
            assert "Traceback" not in each.log.text
    finally:
        for worker in workers:
            worker.close()
        if fake is not None:
            fake.close()
        for client in (buyer, *sellers, liar):
            client.close()
        market.close()
        node.close()


def audit(market: MarketProcess, options: list[str]) -> subprocess.CompletedProcess[str]:
    return market.run("audit", *options)


def test_work_is_bought_with_coins(tmp_path: Path) -> None:
    buy_pieces(tmp_path, 6, stays_dead=False)


@pytest.mark.long
def test_fifty_works_and_a_seller_that_stays_dead(tmp_path: Path) -> None:
    buy_pieces(tmp_path, 50, stays_dead=True)
