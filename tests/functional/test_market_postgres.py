"""Two servers on one book in a real PostgreSQL, or in a file: no bid is met twice."""

import inspect
import threading
from collections import Counter
from contextlib import closing

import pytest

from misocoin.market.audit import audit
from tests.functional.framework.market import MarketProcess
from tests.functional.framework.stranger import Stranger
from tests.functional.test_market import give
from tests.unit.market import test_book, test_coins, test_version_2

EACH = 20


def place(who: Stranger, kind: str, prices: list[int], bids: list[str], errors: list) -> None:
    try:
        for price in prices:
            bids.append(who.bid(kind, "foobar", f"uBTC {price}"))
    except Exception as error:  # noqa: BLE001 - shown by the test
        errors.append(error)


@pytest.fixture(scope="module")
def operator() -> Stranger:
    return Stranger("http://nowhere")


ENGINES = ("PostgreSQL", pytest.param("SQLite", marks=pytest.mark.long))


@pytest.fixture(scope="module", params=ENGINES)
def servers(request: pytest.FixtureRequest, tmp_path_factory, operator: Stranger):
    folder = tmp_path_factory.mktemp("servers")
    where = str(folder / "shared.sqlite")
    if request.param == "PostgreSQL":
        where = request.getfixturevalue("postgres_server").new_database()
    made = [
        MarketProcess(folder / f"server{n}", f"-store={where}", f"-trusted={operator.address}")
        for n in range(2)
    ]
    threads = [threading.Thread(target=server.start) for server in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    yield made
    for server in made:
        server.stop()


def test_two_servers_match_on_one_book(servers, operator):
    buyers = [Stranger(servers[n % 2].url) for n in range(4)]
    sellers = [Stranger(servers[n % 2].url) for n in range(4)]
    for buyer in buyers:
        give(operator, servers[0], buyer, "mBTC 1000")
    bids: dict[str, list[str]] = {"BUY": [], "SELL": []}
    errors: list[Exception] = []
    threads = [
        threading.Thread(target=place, args=(who, kind, list(range(EACH)), bids[kind], errors))
        for kind, group in (("BUY", buyers), ("SELL", sellers))
        for who in group
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    asker = buyers[0]
    told = {key: asker.get(f"/bid/{key}") for kind in bids for key in bids[kind]}
    trades = Counter(bid["Transaction"] for bid in told.values() if bid["Transaction"])
    assert len(told) == 8 * EACH
    assert set(trades.values()) == {2}, "each trade has two bids"
    open_bids = [bid for bid in told.values() if bid["State"] == 1]
    assert len(open_bids) + 2 * len(trades) == len(told)
    # What is left cannot meet: every buyer offers less than every seller asks.
    left = {kind: [amount(b) for b in open_bids if b["Type"] == kind] for kind in (0, 1)}
    assert not left[0] or not left[1] or max(left[0]) < min(left[1])
    for key, bid in told.items():
        if bid["Transaction"]:
            trade = asker.get(f"/tx/{bid['Transaction']}")
            assert key in (trade["BuyerBid"], trade["SellerBid"])
    report = servers[0].run("audit", *servers[0].options[:1])
    assert report.returncode == 0, report.stderr


def amount(bid: dict) -> float:
    unit, number = bid["Price"].split()
    return float(number) * {"BTC": 1e6, "mBTC": 1e3, "uBTC": 1}[unit]


def test_a_message_to_one_server_wakes_who_waits_at_the_other(servers):
    here, there = (Stranger(server.url) for server in servers)
    here.bid("SELL", "snafu", "BTC 0")
    trade = there.trade_of(there.bid("BUY", "snafu", "BTC 0"))
    tag = there.call("GET", f"/tx/{trade}").headers["ETag"]
    threading.Timer(0.2, here.say, (trade,), {"workerurl": "http://127.0.0.1:9/"}).start()
    answer = there.call("GET", f"/tx/{trade}?wait=20", headers={"If-None-Match": tag})
    assert answer.json["Phase"] == "SELLER_ESTABLISHED"


def test_a_postgres_that_is_away_is_told_in_one_line(tmp_path):
    process = MarketProcess(tmp_path / "away", "-store=postgresql://nobody:secret@127.0.0.1:9/x")
    report = process.run("serve", *process.options)
    assert report.returncode == 1
    assert "cannot be used" in report.stderr
    assert "secret" not in report.stderr
    assert len(report.stderr.splitlines()) == 1


# -- the rules of the book, on this engine ------------------------------------------------------

SOME = {
    test_book.test_a_purchase_pays_the_seller_and_the_fee,
    test_coins.test_a_withdrawal_is_paid_less_its_share_of_the_fee,
    test_version_2.test_a_group_outvotes_who_lies,
}

LOSE_COINS = {
    test_coins.test_a_chain_replaced_below_a_credited_deposit_is_told_by_the_audit,
    test_coins.test_another_chain_is_not_followed,
}


def rig_tests() -> list:
    """The unit tests of book, coins and version 2 that need nothing but a book."""
    found = [
        (module, function)
        for module in (test_book, test_coins, test_version_2)
        for name, function in vars(module).items()
        if name.startswith("test_") and list(inspect.signature(function).parameters) == ["rig"]
    ]
    marks = {True: [], False: [pytest.mark.long]}
    return [
        pytest.param(module, function, id=function.__name__, marks=marks[function in SOME])
        for module, function in found
    ]


@pytest.mark.parametrize(("module", "function"), rig_tests())
def test_the_book_is_kept_alike(module, function, postgres_url):
    with closing(module.make_rig(postgres_url)) as rig:
        function(rig)
        found = audit(rig.database, None)
        assert found.is_right or function in LOSE_COINS, found.faults
