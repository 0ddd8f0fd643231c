"""Both gates joined in memory: what goes in at one end comes out at the other."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from misocoin.hashcash import client_gate, server_gate
from misocoin.hashcash.client_gate import ClientGate
from misocoin.hashcash.gate import Bounds, Tally
from misocoin.hashcash.price import Tariff
from tests.fakes.gates import (
    REQUEST,
    Pair,
    Stand,
    cutter,
    make_server_gate,
    make_toll,
    stamped_line,
)

LINES = (
    REQUEST,
    b'{"method":"a"}\n',
    b'[{"id":1,"method":"a"},{"id":2,"method":"b"},{"method":"c"}]\n',
    '{"id":"é€😀","method":"a","params":["\\u20ac\\ud83d\\ude00\\u00e9"]}\n'.encode(),
    b'{"id":123456789012345678901234567890,"method":"a","params":[1.0,1e400,-0.0,1e-7]}\r\n',
    b'{"id":1,"method":"a","params":["\\ud800"]}\n',
    b'{"id":1,"method":"a","method":"b","pow":"x","nonce":"y"}  \t\n',
    b'{"id":1,"method":"a","params":["' + b"x" * 20_000 + b'"]}\n',
    b'  {"id":null,"method":"a"}\n',
    b'{"result":1,"id":7}\n',
    b'{"id":1,"method":"\xff\xfe"}\n',
)


CUTS = st.lists(st.integers(1, 400) | st.just(1 << 20), min_size=1, max_size=6).map(cutter)


@given(st.lists(st.sampled_from(LINES), min_size=1, max_size=8), CUTS, st.booleans())
def test_requests_arrive_byte_for_byte(lines, cuts, is_whole):
    sent = b"".join(lines)
    sent = sent if is_whole else sent[:-1]
    pair = Pair(cuts=cuts)
    pair.send(sent)
    pair.end()
    assert pair.at_upstream == sent
    assert pair.at_app == b""
    assert pair.server.far_ended
    assert pair.tally["requests"] == len(lines)


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=10), CUTS)
def test_answers_come_back_byte_for_byte(pieces, cuts):
    """Announcements are put between their lines, and taken out again."""
    pair = Pair(make_toll(Tariff(4, 4, 12, address_rate=0.05)), cuts=cuts)
    pair.send(REQUEST)
    for piece in pieces:
        pair.answer(piece)
        pair.send(REQUEST)
        pair.server.now += 0.4
        pair.server.tick()
        pair.settle()
    pair.answer(b"\n")
    pair.server.far_end()
    pair.settle()
    assert pair.at_app == b"".join(pieces) + b"\n"
    assert pair.client.closed
    assert pair.server.closed


def test_blank_lines_are_nothing():
    pair = Pair()
    pair.send(b"\n\n \r\n\t\n" + REQUEST)
    assert pair.at_upstream == REQUEST
    assert pair.at_app == b""


def test_the_server_is_dialled_by_the_first_paid_request_alone():
    pair = Pair()
    assert pair.server.dials == 0
    assert not pair.server.gate.has_paid
    pair.send(REQUEST)
    assert pair.server.dials == 1
    assert pair.server.gate.has_paid
    pair.send(REQUEST)
    assert pair.server.dials == 1


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"garbage\n", -32700),
        (b'{"id":1,"method":"a"\n', -32700),
        (b"17\n", -32600),
        (b'"text"\n', -32600),
        (b"[]\n", -32600),
        (b"[" * 5000 + b"\n", -32700),
        (b"\xff\xfe\x00\n", -32700),
    ],
)
@pytest.mark.parametrize("where", ["client", "server"])
def test_what_is_no_request_is_answered_with_an_error(where, line, code):
    pair = Pair()
    if where == "client":
        pair.client.near(line)
        answer = pair.client.take_near()
    else:
        pair.server.near(line)
        answer = pair.server.take_near()
    assert json.loads(answer)["error"]["code"] == code
    assert json.loads(answer)["id"] is None
    pair.send(REQUEST)
    assert pair.at_upstream == REQUEST


@pytest.mark.parametrize("where", ["client", "server"])
def test_an_endless_line_is_the_end(where):
    bounds = Bounds(line=100)
    stand = Stand(ClientGate(Tally(), bounds=bounds) if where == "client" else
                  make_server_gate(bounds=bounds))  # fmt: skip
    stand.near(b"x" * 101)
    assert "more than 100 bytes" in json.loads(stand.take_near())["error"]["message"]
    assert stand.closed
    stand.near(b"x" * 101)
    assert stand.take_near() == b""


# -- ends -------------------------------------------------------------------------------------


def test_a_half_closed_connection_gets_its_answers():
    pair = Pair()
    pair.send(REQUEST)
    pair.end()
    assert pair.server.far_ended
    pair.answer(b'{"id":1,"result":0}\n')
    assert pair.at_app == b'{"id":1,"result":0}\n'
    pair.server.far_end()
    pair.settle()
    assert pair.client.closed


def test_a_connection_that_ends_unpaid_is_closed():
    pair = Pair()
    pair.end()
    assert pair.server.closed
    assert pair.client.closed
    assert pair.server.dials == 0


def test_a_server_that_is_down_is_told_of():
    pair = Pair(reachable=False)
    pair.send(REQUEST)
    reply = json.loads(pair.at_app)
    assert reply["id"] == 1
    assert reply["error"] == {"code": -32028, "message": "nobody there"}
    pair.client.take_near()
    pair.server.is_reachable = True
    pair.send(REQUEST)
    assert pair.at_upstream == REQUEST


def test_a_gate_that_is_down_is_told_of():
    client = Stand(ClientGate(Tally()), is_reachable=False)
    client.near(REQUEST)
    assert json.loads(client.take_near())["error"] == {"code": -32028, "message": "nobody there"}
    client.near_end()
    assert client.closed


def test_a_gate_that_goes_away_leaves_no_request_unanswered():
    pair = Pair()
    pair.client.mints_by_itself = False
    pair.send(REQUEST * 3)
    pair.client.far_end()
    assert [json.loads(line)["id"] for line in pair.at_app.splitlines()] == [1, 1, 1]
    assert pair.client.closed


def test_a_gate_that_is_full_says_so():
    client = Stand(ClientGate(Tally(), bounds=Bounds(waiting_lines=10)))
    client.near(REQUEST * 11)
    assert client.gate.is_full
    server = Stand(make_server_gate())
    server.near(client.take_far())
    client.far(server.take_near())
    assert not client.gate.is_full
    server = make_server_gate(bounds=Bounds(waiting_lines=2))
    server.near_data(stamped_line() * 1, 1_795_243_200.0)
    assert not server.is_full


@pytest.mark.parametrize("module", [client_gate, server_gate])
def test_the_tables_are_whole(module):
    """Every state can be reached and left, and nothing leads out of the last one."""
    first = next(iter(module.State))
    reached, edge = {first}, [first]
    while edge:
        state = edge.pop()
        for (before, _), (after, _) in module.TRANSITIONS.items():
            if before is state and after not in reached:
                reached.add(after)
                edge.append(after)
    assert reached == set(module.State)
    assert {before for before, _ in module.TRANSITIONS} == set(module.State) - {module.State.CLOSED}
    assert {event for _, event in module.TRANSITIONS} == set(module.Event)
    assert {step for _, step in module.TRANSITIONS.values()} == set(module.Step)


@given(st.data())
def test_whatever_happens_to_a_gate_it_lives_on_or_closes(data):
    is_client = data.draw(st.booleans())
    gate = ClientGate(Tally()) if is_client else make_server_gate()
    stand = Stand(gate, is_reachable=data.draw(st.booleans()))
    pieces = st.sampled_from([*LINES, b"\n", b"2:4:", b" ", b"{", *stamped_line().split(b" ")])
    pieces |= st.binary(min_size=1, max_size=30)
    for _ in range(data.draw(st.integers(0, 12))):
        if stand.closed:
            break
        what = data.draw(st.sampled_from(["near", "far", "far_end", "silence", "tick", "resume"]))
        if what in ("near", "far"):
            getattr(stand, what)(data.draw(pieces))
        elif what == "silence" and stand.wake is None:
            continue
        else:
            getattr(stand, what)()
