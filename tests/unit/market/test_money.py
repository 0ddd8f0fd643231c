import pytest
from hypothesis import given
from hypothesis import strategies as st

from misocoin.errors import AmountError
from misocoin.market.money import (
    COIN_NAMES,
    MAX_AMOUNT,
    OLD_NAMES,
    Currency,
    Money,
    money_from_text,
    text_from_money,
)


@pytest.mark.parametrize(
    ("text", "amount", "currency"),
    [
        ("MISO 1", 100_000_000, Currency.COIN),
        ("MISO1.5", 150_000_000, Currency.COIN),
        ("mMISO 998.97", 99_897_000, Currency.COIN),
        ("uMISO 60", 6_000, Currency.COIN),
        ("satoshi 7", 7, Currency.COIN),
        ("BTC 0", 0, Currency.COIN),
        ("mBTC2", 200_000, Currency.COIN),
        ("mBTC -2", -200_000, Currency.COIN),
        ("EUR 1.000000001", 1_000_000_001, Currency.EUR),
        ("€3", 3_000_000_000, Currency.EUR),
        ("R$ 1", 1_000_000_000, Currency.BRL),
        ("$1", 1_000_000_000, Currency.USD),
        ("£ 0.5", 500_000_000, Currency.GBP),
        ("satoshi 1.0", 1, Currency.COIN),
    ],
)
def test_money_is_read(text, amount, currency):
    assert money_from_text(text) == Money(amount, currency)


@pytest.mark.parametrize(
    "text",
    [
        "", "1", "MISO", "MISO 1.", "MISO .5", "MISO  1", "MISO -", "MISO --1", "MISO 1e3",
        "XYZ 1", "miso 1", "MISO 1,5", "MISO +1", "satoshi 0.5", "uMISO 0.001", "EUR 0.0000000001",
        "MISO 99999999999", "MISO ١", "MISO 1\n", "MISO 1 ", "1 MISO", "MISO 1" + "0" * 40,
    ],
)  # fmt: skip
def test_malformed_money_is_refused(text):
    with pytest.raises(AmountError):
        money_from_text(text)


@pytest.mark.parametrize(
    ("amount", "text", "old"),
    [
        (0, "MISO 0", "BTC 0"),
        (1, "satoshi 1", "satoshi 1"),
        (99, "satoshi 99", "satoshi 99"),
        (100, "uMISO 1", "uBTC 1"),
        (99_897_000, "mMISO 998.97", "mBTC 998.97"),
        (-200_000, "mMISO -2", "mBTC -2"),
        (123_456_789, "MISO 1.23456789", "BTC 1.23456789"),
    ],
)
def test_money_is_written_in_the_largest_unit(amount, text, old):
    assert text_from_money(Money(amount)) == text
    assert text_from_money(Money(amount), OLD_NAMES) == old


@given(
    st.builds(Money, st.integers(-MAX_AMOUNT, MAX_AMOUNT), st.sampled_from(Currency)),
    st.sampled_from([COIN_NAMES, OLD_NAMES]),
)
def test_money_is_read_as_it_was_written(money, names):
    assert money_from_text(text_from_money(money, names)) == money
    assert money_from_text(text_from_money(money, names).replace(" ", "")) == money


@given(st.text(max_size=40) | st.from_regex(r"[A-Za-z€$£]+ ?-?[0-9]{1,30}(\.[0-9]{1,30})?"))
def test_any_text_is_money_or_an_error(text):
    try:
        money = money_from_text(text)
    except AmountError:
        return
    assert abs(money.amount) <= MAX_AMOUNT
