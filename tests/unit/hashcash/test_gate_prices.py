"""What opens the server's gate: stamps that pay, and what is asked for at what time."""

import json

import pytest

from misocoin.hashcash import server_gate
from misocoin.hashcash.client_gate import ClientGate, Terms
from misocoin.hashcash.gate import Tally
from misocoin.hashcash.price import Tariff
from tests.fakes.gates import (
    CHEAP,
    REQUEST,
    Pair,
    Stand,
    fault_of,
    make_server_gate,
    make_toll,
    stamped_line,
)


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda line: line.partition(b" ")[2], "missing"),
        (lambda line: line.replace(b"server.version", b"server.banner"), "wrong"),
        (lambda line: line.replace(b"my.server:", b"mx.server:"), "foreign"),
        (lambda line: line.replace(b":4:", b":3:", 1), "cheap"),
        (lambda line: b"2:4:x " + REQUEST, "malformed"),
        (lambda line: line.replace(b":17952432", b":17952431"), "wrong"),
        (lambda line: line.replace(b":17952432", b":17952422"), "stale"),
        (lambda line: line.replace(b":17952432", b":17953432"), "stale"),
    ],
)
def test_a_stamp_that_does_not_pay(spoil, fault):
    # Sixteen bits, so that no other line has them by chance.
    toll = make_toll(Tariff(16, 16, 20)) if fault == "wrong" else make_toll()
    line = stamped_line(toll)
    server = Stand(make_server_gate(toll))
    server.near(spoil(line))
    answer = server.take_near()
    assert fault_of(answer) == fault
    assert json.loads(answer)["id"] == 1
    assert server.dials == 0
    assert server.to_far == b""


def test_a_stamp_counts_once_on_all_connections():
    toll = make_toll()
    line = stamped_line(toll)
    first, second = Stand(make_server_gate(toll)), Stand(make_server_gate(toll))
    first.near(line)
    assert first.take_far() == REQUEST
    for server in (first, second):
        server.near(line)
        assert fault_of(server.take_near()) == "spent"
        assert server.take_far() == b""


def test_a_stamp_is_good_for_its_time_and_in_its_run():
    toll = make_toll()
    line = stamped_line(toll)
    late = Stand(make_server_gate(toll))
    late.now += 118
    late.near(line)
    assert late.take_far() == REQUEST
    later = Stand(make_server_gate(make_toll()))
    later.now += 130
    later.near(line)
    assert fault_of(later.take_near()) == "stale"
    another = Stand(make_server_gate(server_gate.Toll("my.server", b"another run", CHEAP)))
    another.near(line)
    assert fault_of(another.take_near()) == "foreign"


@pytest.mark.parametrize(
    ("line", "ids"),
    [
        (b'{"id":"x","method":"a"}\n', "x"),
        (b'{"id":123456789012345678901234567890,"method":"a"}\n', 123456789012345678901234567890),
        (b'{"id":1.50,"method":"a"}\n', 1.5),
        (b'{"id":"\\u20ac","method":"a"}\n', "€"),
        (b'{"id":{"x":1},"method":"a"}\n', None),
        (b'{"id":true,"method":"a"}\n', None),
        (b'[{"id":1,"method":"a"},{"method":"b"},{"id":"c","method":"d"},7]\n', [1, "c", None]),
        (b'{"id":1,"method":"a","params":["' + b"x" * 70_000 + b'"]}\n', None),
    ],
)
def test_refusals_carry_the_ids(line, ids):
    server = Stand(make_server_gate())
    server.near(line)
    reply = json.loads(server.take_near())
    assert ([one["id"] for one in reply] if isinstance(reply, list) else reply["id"]) == ids


@pytest.mark.parametrize("line", [b'{"method":"a"}\n', b'[{"method":"a"}]\n'])
def test_notifications_are_refused_in_silence(line):
    server = Stand(make_server_gate())
    server.near(line)
    assert server.take_near() == b""
    assert server.take_far() == b""


def test_who_sends_much_that_is_bad_waits():
    server = Stand(make_server_gate())
    server.near(b"garbage\n" * 1000 + REQUEST)
    assert server.take_near().count(b"\n") == 21
    assert server.holds == pytest.approx([0.1])
    for _ in range(40):
        server.resume()
    assert server.take_near().count(b"\n") == 40
    assert max(server.holds) <= 30
    server.now += 1000
    server.resume()
    assert server.take_near().count(b"\n") == 21


def bits_of(line):
    return int(line.split(b":")[1])


def test_prices_rise_with_the_load_and_fall_again():
    tariff = Tariff(4, 4, 8, address_rate=1)
    pair = Pair(make_toll(tariff))
    seen = []
    for _ in range(120):
        pair.client.near(REQUEST)
        forth = pair.client.take_far()
        seen.append(bits_of(forth))
        pair.server.near(forth)
        pair.settle()
    assert seen[0] == 4
    assert seen == sorted(seen)
    assert seen[-1] == 8
    assert pair.at_upstream == REQUEST * 120
    pair.server.now += 600
    pair.client.now += 600
    pair.server.tick()
    pair.settle()
    pair.client.near(REQUEST)
    assert bits_of(pair.client.take_far()) == 4


def test_methods_and_batches_cost_what_the_server_says():
    pair = Pair(make_toll(Tariff(4, 4, 12, costs={"dear": 8})))
    batch = [{"id": 1, "method": "dear"}, {"id": 2, "method": "x"}]
    for call, bits in (({"id": 1, "method": "dear"}, 7), ({"id": 1}, 4), (batch, 8)):
        pair.client.near(json.dumps(call).encode() + b"\n")
        assert bits_of(pair.client.to_far) == bits
        pair.settle()
    cheap = stamped_line(make_toll(), b'{"id":1,"method":"dear"}\n')
    pair.server.near(cheap)
    assert fault_of(pair.server.take_near()) == "cheap"


def test_nobody_has_to_pay_more_than_they_would():
    pair = Pair(make_toll(Tariff(9, 9, 12)), Terms(max_bits=8))
    pair.send(REQUEST * 2000)
    replies = pair.at_app.splitlines()
    assert len(replies) == 2000
    assert json.loads(replies[0])["error"]["message"] == ("the server asks for 9 bits, more than 8")
    assert pair.at_upstream == b""


def test_a_server_of_another_name_gets_nothing():
    pair = Pair(terms=Terms(service="other.server"))
    pair.send(REQUEST)
    assert "calls itself my.server" in json.loads(pair.at_app)["error"]["message"]
    assert pair.at_upstream == b""


def test_a_price_that_was_told_holds_for_a_while():
    toll = make_toll(Tariff(4, 4, 12, address_rate=1))
    slow = Stand(ClientGate(Tally()))
    slow.mints_by_itself = False
    server = Stand(make_server_gate(toll))
    server.near(slow.take_far())
    slow.far(server.take_near())
    slow.near(REQUEST)
    busy = Pair(toll)
    busy.send(REQUEST * 100)
    slow.mint()
    server.near(slow.take_far())
    assert server.take_far() == REQUEST


def test_without_a_price_no_stamp_is_needed():
    server = Stand(
        make_server_gate(make_toll(Tariff(quiet_bits=0, pressed_bits=4, address_rate=1)))
    )
    for _ in range(200):
        server.near(REQUEST)
    assert 10 < server.take_far().count(b"\n") < 100
    assert fault_of(server.take_near().splitlines()[0]) == "missing"
