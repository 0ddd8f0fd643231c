"""The wallet's pages on a real node: pay once what was shown, name, note, lock, back up."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from misocoin.units import sats_from_text
from tests.functional.conftest import MakeDaemon
from tests.functional.framework.browser import Browser, field, text_of
from tests.functional.framework.daemon import Daemon

PAGES = ("/wallet", "/send", "/receive", "/history", "/names", "/keys")


@pytest.fixture(scope="module")
def node(lasting_daemon: Daemon) -> Daemon:
    lasting_daemon.rpc.generate(110)
    return lasting_daemon


@pytest.fixture(scope="module")
def owner(node: Daemon) -> Iterator[Browser]:
    browser = Browser(node).log_in()
    yield browser
    browser.http.close()


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    daemon = Daemon(tmp_path_factory.mktemp("elsewhere") / "node").start()
    yield daemon.rpc.get_new_address()
    daemon.stop()


FORMS = (
    "/send",
    "/send/confirm",
    "/receive",
    "/history/note",
    "/names",
    "/keys/lock",
    "/keys/unlock",
    "/keys/encrypt",
    "/keys/change",
    "/keys/backup",
    "/machine/mining",
    "/machine/ban",
    "/machine/unban",
    "/machine/disconnect",
)


def review(owner: Browser, **fields: str) -> str:
    """The page that shows a payment before it goes."""
    answer = owner.post("/send", {"amount": "", "fee": "normal", "note": "", **fields})
    assert answer.status_code == 200, text_of(answer.text)
    return answer.text


@pytest.mark.parametrize("path", PAGES)
def test_each_page_is_safe_and_kept_by_nobody(owner: Browser, path: str) -> None:
    answer = owner.get(path)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert " style=" not in answer.text
    assert owner.get(f"{path}.json").json()
    assert owner.get(f"{path}.json").headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", FORMS)
def test_each_form_must_be_our_own(owner: Browser, node: Daemon, path: str) -> None:
    assert owner.post(path, {"csrf": "x"}).status_code == 403
    assert Browser(node).post(path).status_code == 403
    foreign = {"Origin": "http://evil.test", "Sec-Fetch-Site": "cross-site"}
    assert owner.post(path, headers=foreign).status_code == 403


def test_balance(owner: Browser, node: Daemon) -> None:
    view = owner.get("/wallet.json").json()
    balances = node.rpc.get_balances()
    for name in ("available", "pending", "immature"):
        assert view[f"{name}_sats"] == sats_from_text(f"{balances[name]:.8f}")


def test_what_was_shown_is_sent_once(owner: Browser, node: Daemon, elsewhere: str) -> None:
    before = set(node.rpc.getrawmempool())
    page = review(owner, to=elsewhere, amount="1.25", fee="own", rate="3.5", note="for tea")
    shown = text_of(page)
    assert elsewhere in shown
    assert "1.25 BTC To" in shown
    assert set(node.rpc.getrawmempool()) == before  # nothing was sent yet
    draft = field(page, "draft")

    def press() -> str:
        answer = owner.post(
            "/send/confirm", {"draft": draft, "step": "send"}, allow_redirects=False
        )
        assert answer.status_code == 303
        return answer.headers["Location"]

    with ThreadPoolExecutor(4) as pool:
        goals = {each.result() for each in [pool.submit(press) for _ in range(4)]}
    (sent,) = set(node.rpc.getrawmempool()) - before
    assert goals == {f"/wallet?sent={sent}"}
    assert f"Sent: {sent}" in text_of(owner.get(f"/wallet?sent={sent}").text)
    entry = node.rpc.getmempoolentry(sent)
    fee = sats_from_text(f"{entry['fees']['base']:.8f}")
    assert f"Fee {fee / 1e8:.8f}".rstrip("0") in shown
    assert fee == pytest.approx(3.5 * entry["vsize"], abs=20)
    outputs = node.rpc.getrawtransaction(sent, True)["vout"]
    paid = {out["scriptPubKey"]["address"]: out["value"] for out in outputs}
    assert paid.pop(elsewhere) == 1.25
    (change,) = paid.values()
    assert f"{change:.8f}".rstrip("0") + " BTC comes back as change" in shown
    latest = owner.get("/history.json").json()["entries"][0]
    assert latest["txid"] == sent
    assert latest["note"] == "for tea"
    assert latest["kind"] == "sent"


def test_everything_can_be_sent_to_a_name(owner: Browser, node: Daemon, elsewhere: str) -> None:
    named = owner.post("/names", {"address": elsewhere, "label": "the tea house"})
    assert "the tea house" in named.text
    before = owner.get("/wallet.json").json()["available_sats"]
    page = text_of(review(owner, to="the tea house", everything="1", fee="slow"))
    assert elsewhere in page
    assert f"Leaves your wallet {before / 1e8:,.8f}".rstrip("0.") in page
    assert owner.get("/wallet.json").json()["available_sats"] == before
    removed = owner.post("/names", {"address": elsewhere, "remove": "1"})
    assert "the tea house" not in removed.text


def test_a_payment_request_is_taken(owner: Browser, elsewhere: str) -> None:
    request = f"misocoin:{elsewhere}?amount=0.5&label=Tea%20%3Chouse%3E"
    page = review(owner, to=request)
    assert "0.5 BTC To" in text_of(page)
    assert "Tea &lt;house&gt;" in page
    other = owner.post("/send", {"to": request, "amount": "2", "fee": "normal"})
    assert other.status_code == 400
    assert "the request asks for 0.50000000" in text_of(other.text)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"to": "nobody", "amount": "1"}, "nobody"),
        ({"amount": ""}, "write how much"),
        ({"amount": "x"}, "is not an amount"),
        ({"amount": "0"}, "more than zero"),
        ({"amount": "99999999"}, "is more than there will ever be"),
        ({"amount": "9999"}, "Insufficient funds"),
        ({"amount": "1", "fee": "own", "rate": "0.001"}, "nobody would pass this on"),
        ({"amount": "1", "fee": "own", "rate": "1e3"}, "is no fee rate"),
        ({"amount": "1", "fee": "soon"}, "choose a fee"),
        ({"amount": "1", "note": "a\tb"}, "a label or note is one line"),
    ],
)
def test_mistakes_are_told_beside_the_form(
    owner: Browser, elsewhere: str, fields: dict[str, str], complaint: str
) -> None:
    typed = {"to": elsewhere, "amount": "1", "fee": "fast", "note": "my <note>", **fields}
    answer = owner.post("/send", typed)
    assert answer.status_code == 400
    assert complaint in text_of(answer.text)
    assert f'value="{typed["to"]}"' in answer.text
    assert f'value="{typed["amount"]}"' in answer.text
    if "note" not in fields:
        assert 'value="my &lt;note&gt;"' in answer.text


def test_changing_ones_mind_loses_nothing(owner: Browser, elsewhere: str) -> None:
    page = review(owner, to=elsewhere, amount="0.75", note="maybe")
    answer = owner.post("/send/confirm", {"draft": field(page, "draft"), "step": "change"})
    assert 'value="0.75"' in answer.text
    assert 'value="maybe"' in answer.text


def test_a_payment_of_another_session_cannot_be_confirmed(
    owner: Browser, node: Daemon, elsewhere: str
) -> None:
    page = review(owner, to=elsewhere, amount="0.25")
    before = node.rpc.getrawmempool()
    other = Browser(node).log_in()
    for browser, token in ((other, field(page, "draft")), (owner, "x"), (owner, "")):
        answer = browser.post("/send/confirm", {"draft": token, "step": "send"})
        assert answer.status_code == 400
        assert "is not known any more" in answer.text
    assert node.rpc.getrawmempool() == before


def test_coins_spent_meanwhile(owner: Browser, node: Daemon, elsewhere: str) -> None:
    fields = {"to": elsewhere, "everything": "1", "fee": "slow"}
    first, second = (field(review(owner, **fields), "draft") for _ in range(2))
    assert owner.post("/send/confirm", {"draft": first, "step": "send"}).status_code == 200
    before = node.rpc.getrawmempool()
    answer = owner.post("/send/confirm", {"draft": second, "step": "send"})
    assert answer.status_code == 400
    assert "Not sent: its coins have been spent meanwhile" in answer.text
    assert node.rpc.getrawmempool() == before
    node.rpc.generate(101)  # money for those who come after


def test_receiving(owner: Browser, node: Daemon) -> None:
    page = owner.post("/receive", {"label": "rent <1>", "kind": "bech32m"})
    (address,) = [a for a, label in node.rpc.list_labels().items() if label == "rent <1>"]
    assert page.url.endswith(f"/receive?address={address}")
    assert '<svg role="img"' in page.text
    assert "rent &lt;1&gt;" in page.text
    path = f"/receive.json?address={address}&amount=0.10&label=Ann%20%26%20Co"
    assert owner.get(path).json()["uri"] == f"misocoin:{address}?amount=0.1&label=Ann%20%26%20Co"
    count = owner.get("/receive.json").json()["count"]
    refused = owner.post("/receive", {"label": "x", "kind": "p2wsh"})
    assert refused.status_code == 400
    assert owner.get("/receive.json").json()["count"] == count
    assert "none of the wallet" in owner.get("/receive?address=x").text
    assert "is not an amount" in owner.get("/receive?amount=x").text


def test_notes_and_pages_of_the_history(owner: Browser, node: Daemon) -> None:
    view = owner.get("/history.json?page=2").json()
    assert view["pages"] > 2
    txid = view["entries"][3]["txid"]
    answer = owner.post("/history/note", {"txid": txid, "note": "Miso's <bowl>", "page": "2"})
    assert "Miso&#39;s &lt;bowl&gt;" in answer.text
    assert owner.get("/history.json?page=2").json()["entries"][3]["note"] == "Miso's <bowl>"
    refused = owner.post("/history/note", {"txid": txid, "note": "a\tb", "page": "2"})
    assert refused.status_code == 400
    assert "one line" in refused.text
    assert owner.get("/history?page=99").status_code == 404


def test_keys_are_locked_and_backed_up(make_daemon: MakeDaemon, elsewhere: str) -> None:
    daemon = make_daemon().start()
    daemon.rpc.generate(102)
    owner = Browser(daemon).log_in()
    different = owner.post("/keys/encrypt", {"new": "a", "again": "b"})
    assert different.status_code == 400
    assert "differ" in different.text
    assert (
        "is encrypted" in owner.post("/keys/encrypt", {"new": "s3 cret", "again": "s3 cret"}).text
    )
    assert daemon.rpc.get_wallet_info()["is_locked"]

    page = review(owner, to=elsewhere, amount="1")
    fields = {"draft": field(page, "draft"), "step": "send"}
    for passphrase, complaint in (("", "passphrase"), ("wrong", "passphrase")):
        answer = owner.post("/send/confirm", {**fields, "passphrase": passphrase})
        assert answer.status_code == 400
        assert complaint in answer.text
    assert daemon.rpc.getrawmempool() == []
    assert owner.post("/send/confirm", {**fields, "passphrase": "s3 cret"}).status_code == 200
    assert len(daemon.rpc.getrawmempool()) == 1
    assert daemon.rpc.get_wallet_info()["is_locked"]

    assert owner.post("/keys/unlock", {"passphrase": "x", "minutes": "5"}).status_code == 400
    assert owner.post("/keys/unlock", {"passphrase": "s3 cret", "minutes": "0"}).status_code == 400
    owner.post("/keys/unlock", {"passphrase": "s3 cret", "minutes": "5"})
    assert 0 < owner.get("/keys.json").json()["unlocked_seconds"] <= 300
    owner.post("/keys/lock")
    assert owner.get("/keys.json").json()["is_locked"]
    owner.post("/keys/change", {"passphrase": "s3 cret", "new": "other", "again": "other"})

    backup = owner.post("/keys/backup")
    assert backup.headers["Content-Disposition"].startswith("attachment; filename=")
    assert backup.headers["Cache-Control"] == "no-store"
    assert json.loads(backup.content)
    assert owner.get("/keys/backup").status_code == 405
    again = make_daemon()
    again.folder.mkdir(parents=True)
    (again.folder / "wallet.json").write_bytes(backup.content)
    again.start()
    assert again.rpc.list_addresses()[0]["address"] == daemon.rpc.list_addresses()[0]["address"]
    assert "s3 cret" not in daemon.log.text
