"""Deposits by the trusted account, what is told of ways to pay in, relations: and bad ones."""

from contextlib import closing

import pytest

from misocoin.errors import AmountError
from misocoin.market.documents import (
    address_request_document,
    deposit_document,
    deposit_info_document,
    relation_document,
)
from misocoin.market.errors import Malformed, NotAllowed, NotPaidFor, TooLate, Unknown
from misocoin.market.relations import RelationType
from tests.unit.market.builders import BUYER, SELLER, STRANGER
from tests.unit.market.rig import OPERATOR, Rig


@pytest.fixture
def rig():
    with closing(Rig()) as rig:
        yield rig


def deposit_form(rig: Rig, signer=OPERATOR, **changes: str) -> dict[str, str]:
    form = {
        "type": "0",
        "account": BUYER.address,
        "amount": "MISO 1",
        "nonce": rig.book.new_nonce(),
        "uid": "deposit-1",
        "ref": "bank-7",
        **changes,
    }
    names = ("account", "amount", "nonce", "ref", "type", "uid")
    return {**form, "signature": signer.sign(deposit_document(*(form[name] for name in names)))}


def test_the_same_deposit_again_changes_nothing(rig):
    for _ in range(2):
        assert rig.bank.deposit(deposit_form(rig)) == "deposit-1"
        assert rig.holds(BUYER) == (100_000_000, 0)
    found = rig.bank.get_deposit("deposit-1")
    assert (found.amount.amount, found.reference) == (100_000_000, "bank-7")
    with pytest.raises(TooLate, match="another deposit"):
        rig.bank.deposit(deposit_form(rig, amount="MISO 2"))
    assert rig.holds(BUYER) == (100_000_000, 0)
    with pytest.raises(Unknown):
        rig.bank.get_deposit("deposit-2")


def test_a_negative_deposit_takes_what_is_there(rig):
    rig.bank.deposit(deposit_form(rig))
    rig.bank.deposit(deposit_form(rig, uid="deposit-2", amount="MISO -0.4"))
    assert rig.holds(BUYER) == (60_000_000, 0)
    with pytest.raises(NotPaidFor):
        rig.bank.deposit(deposit_form(rig, uid="deposit-3", amount="MISO -0.7"))


@pytest.mark.parametrize(
    ("changes", "error", "complaint"),
    [
        ({"signer": STRANGER}, NotAllowed, "signature"),
        ({"type": "2"}, Malformed, "0 or 1"),
        ({"type": "1", "amount": "MISO 0"}, Malformed, "more than zero"),
        ({"uid": "short"}, Malformed, "uid"),
        ({"uid": "with space"}, Malformed, "uid"),
        ({"ref": "x" * 65}, Malformed, "ref"),
        ({"account": "nobody"}, Malformed, "participant"),
        ({"amount": "1"}, AmountError, "amount"),
        ({"amount": "MISO 46116860184"}, NotAllowed, "as much"),
        ({"nonce": "00" * 16}, TooLate, "nonce"),
    ],
)
def test_bad_deposits_are_refused(rig, changes, error, complaint):
    rig.give(BUYER, "MISO 100")
    before = rig.everything()
    with pytest.raises(error, match=complaint):
        rig.bank.deposit(deposit_form(rig, **changes))
    assert rig.everything() == before


def test_one_currency_at_a_time(rig):
    rig.give(BUYER, "EUR 1")
    with pytest.raises(NotAllowed, match="holds EUR"):
        rig.give(BUYER, "MISO 1")
    rig.give(BUYER, "EUR -1")
    rig.give(BUYER, "MISO 1")
    assert rig.holds(BUYER) == (100_000_000, 0)


def test_a_market_without_trusted_account_or_node_takes_no_money():
    with closing(Rig()) as rig:
        object.__setattr__(rig.rules, "trusted_account", "")
        with pytest.raises(NotAllowed, match="no trusted account"):
            rig.bank.deposit(deposit_form(rig))
        nonce = rig.book.new_nonce()
        document = address_request_document(nonce, BUYER.address, BUYER.address)
        form = {"participant": BUYER.address, "signer": BUYER.address, "nonce": nonce}
        with pytest.raises(NotAllowed, match="no node"):
            rig.bank.request_deposit_address({**form, "signature": BUYER.sign(document)})


def info_form(rig: Rig, signer=OPERATOR, **changes: str) -> dict[str, str]:
    form = {
        "participant": BUYER.address,
        "depositaddress": "IBAN DE00 1234",
        "reference": "miso 7",
        "signer": OPERATOR.address,
        "nonce": rig.book.new_nonce(),
        **changes,
    }
    names = ("depositaddress", "nonce", "participant", "reference", "signer")
    document = deposit_info_document(*(form[name] for name in names))
    return {**form, "signature": signer.sign(document)}


def test_the_trusted_account_tells_how_to_pay_in(rig):
    rig.bank.store_deposit_info(info_form(rig))
    assert '"IBAN DE00 1234"' in rig.bank.account(BUYER.address).deposit_info
    before = rig.everything()
    for changes, error in (
        ({"signer": STRANGER}, NotAllowed),
        ({"reference": "x" * 201}, Malformed),
        ({"participant": "nobody"}, Malformed),
    ):
        with pytest.raises(error):
            rig.bank.store_deposit_info(info_form(rig, **changes))
    with pytest.raises(NotAllowed, match="only the trusted account"):
        rig.bank.store_deposit_info({**info_form(rig), "signer": BUYER.address})
    assert rig.everything() == before


def relation_form(rig: Rig, signer=BUYER, **changes: str) -> dict[str, str]:
    form = {
        "source": BUYER.address,
        "type": "worksfor",
        "target": SELLER.address,
        "enabled": "true",
        "nonce": rig.book.new_nonce(),
        **changes,
    }
    names = ("enabled", "nonce", "source", "target", "type")
    document = relation_document(*(form[name] for name in names))
    return {**form, "signature": signer.sign(document)}


def test_relations(rig):
    rig.bank.set_relation(relation_form(rig))
    kept = rig.bank.get_relation(BUYER.address, "worksfor", SELLER.address)
    assert (kept.type, kept.enabled) == (RelationType.WORKS_FOR, True)
    rig.bank.set_relation(relation_form(rig, enabled="false"))
    assert not rig.bank.get_relation(BUYER.address, "worksfor", SELLER.address).enabled
    before = rig.everything()
    for changes, error, complaint in (
        ({"signer": STRANGER}, NotAllowed, "signature"),
        ({"type": "loves"}, Malformed, "trusts or worksfor"),
        ({"enabled": "maybe"}, Malformed, "enabled"),
        ({"target": "nobody"}, Malformed, "participant"),
        ({"nonce": "00" * 16}, TooLate, "nonce"),
    ):
        with pytest.raises(error, match=complaint):
            rig.bank.set_relation(relation_form(rig, **changes))
    assert rig.everything() == before
    with pytest.raises(Unknown):
        rig.bank.get_relation(SELLER.address, "worksfor", BUYER.address)


@pytest.mark.parametrize(
    "call",
    ["deposit", "request_deposit_address", "store_deposit_info", "withdraw", "set_relation"],
)
def test_a_missing_field_is_named(rig, call):
    with pytest.raises(Malformed, match="Missing argument: "):
        getattr(rig.bank, call)({})


def test_unknown_accounts_hold_nothing(rig):
    assert rig.holds(STRANGER) == (0, 0)
    for text in ("", "x", "1" * 34, "miso1qqqq", BUYER.address.lower()):
        with pytest.raises(Unknown):
            rig.bank.account(text)
