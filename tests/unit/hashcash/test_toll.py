"""Prices and the memory of spent stamps."""

import hashlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from misocoin.errors import ParseError
from misocoin.hashcash.errors import StampError, StampFault
from misocoin.hashcash.price import (
    MAX_ACCOUNTS,
    Prices,
    Tariff,
    account_from_address,
    bits_for_cost,
    cost_of,
)
from misocoin.hashcash.spent import SpentStamps
from misocoin.hashcash.toll import Toll

NOW = 1_795_243_200.0


def digest(number):
    return hashlib.sha256(str(number).encode()).digest()


@pytest.mark.parametrize(
    ("address", "account"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("somewhere", "somewhere"),
    ],
)
def test_accounts(address, account):
    assert account_from_address(address) == account


@pytest.mark.parametrize(
    ("bits", "cost", "expected"), [(16, 1, 16), (16, 2, 17), (16, 3, 18), (16, 8, 19), (0, 8, 0)]
)
def test_bits_follow_from_cost(bits, cost, expected):
    assert bits_for_cost(bits, cost) == expected


def test_costs_add_up():
    assert cost_of(("a", "b", "b"), {"b": 5}) == 11
    assert cost_of((), {}) == 1


def steady(prices, rate, seconds, now, account="a"):
    """Let requests come at a steady rate; returns the time when it ends."""
    for i in range(int(rate * seconds)):
        prices.count(account, 1, now + i / rate)
    return now + seconds


@pytest.mark.parametrize(("rate", "bits"), [(5, 16), (9, 16), (11, 17), (25, 18), (100, 20)])
def test_a_bit_for_each_doubling_of_the_rate(rate, bits):
    prices = Prices(Tariff(16, 16, 28, address_rate=10))
    now = steady(prices, rate, 120, NOW)
    assert prices.bits("a", now) == bits
    assert prices.bits("b", now) == 16
    assert prices.bits("a", now + 200) == 16


def test_everybody_pays_when_all_together_ask_for_much():
    prices = Prices(Tariff(0, 12, 28, address_rate=10, total_rate=20))
    now = NOW
    for account in "abcdef":
        now = steady(prices, 9, 20, NOW, account)
    assert prices.bits("nobody", now) == 12 + math.ceil(math.log2(6 * 9 * 0.75 / 20))
    assert prices.bits("nobody", now + 300) == 0


def test_prices_end_somewhere():
    prices = Prices(Tariff(16, 16, 18, address_rate=0.01))
    assert prices.bits("a", steady(prices, 100, 5, NOW)) == 18


def test_a_clock_that_steps_back_does_no_harm():
    prices = Prices(Tariff())
    prices.count("a", 1, NOW)
    assert prices.bits("a", NOW - 1e9) == 16


def test_accounts_are_bounded():
    prices = Prices(Tariff(16, 16, 28, address_rate=0.01))
    prices.count("first", 1, NOW)
    assert prices.bits("first", NOW) > 16
    for number in range(MAX_ACCOUNTS):
        prices.count_failure(str(number), NOW)
    assert prices.bits("first", NOW) == 16


# -- spent stamps -----------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 200), st.integers(0, 9)), max_size=80),
    st.integers(1, 20),
)
def test_no_stamp_counts_twice_and_memory_is_bounded(stamps, capacity):
    spent = SpentStamps(capacity)
    counted: set[tuple[int, int]] = set()
    faults = set()
    now = 1000
    for step, age, number in stamps:
        now += step
        time = now - age
        key = (time, number)
        try:
            spent.spend(digest(key), time, now - 120)
        except StampError as error:
            faults.add((error.fault, error.fault is StampFault.STALE or key in counted))
        else:
            assert key not in counted
            counted.add(key)
        assert len(spent) <= capacity
    assert faults <= {(StampFault.SPENT, True), (StampFault.STALE, True)}


def test_stamps_of_the_window_are_all_taken():
    spent = SpentStamps(1000)
    for number in range(500):
        spent.spend(digest(number), NOW - number % 100, NOW - 120)
    assert len(spent) == 500
    spent.spend(digest("later"), NOW + 500, NOW + 400)
    assert len(spent) == 1


def test_when_it_is_full_the_oldest_have_to_go():
    spent = SpentStamps(10)
    for number in range(10):
        spent.spend(digest(number), NOW - 80 + 8 * number, NOW - 120)
    spent.spend(digest("new"), NOW, NOW - 120)
    with pytest.raises(StampError) as caught:
        spent.spend(digest(0), NOW - 80, NOW - 120)
    assert caught.value.fault is StampFault.STALE
    with pytest.raises(StampError) as caught:
        spent.spend(digest("new"), NOW, NOW - 120)
    assert caught.value.fault is StampFault.SPENT


# -- the toll ---------------------------------------------------------------------------------


def test_salts_change_and_the_last_one_is_still_good():
    toll = Toll("s", b"x")
    salts = [toll.challenge("a", NOW + 120 * i).salt for i in range(3)]
    assert len(set(salts)) == 3
    assert toll.challenge("a", NOW).salt == salts[0]
    assert Toll("s", b"y").challenge("a", NOW).salt not in salts


def test_a_service_needs_a_name():
    with pytest.raises(ParseError):
        Toll("two words", b"x")
