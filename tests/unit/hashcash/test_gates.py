"""Both gates joined in memory: what goes in at one end comes out at the other."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from misocoin.hashcash import client_gate, server_gate
from misocoin.hashcash.client_gate import ClientGate, Counterpart, Terms
from misocoin.hashcash.gate import Bounds, Tally, Version
from misocoin.hashcash.price import Tariff
from tests.fakes.gates import (
    CHEAP,
    OriginalServer,
    Pair,
    Stand,
    make_server_gate,
    make_toll,
    original_client,
)

REQUEST = b'{"id": 1, "method": "server.version", "params": []}\n'

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


def cutter(sizes):
    def cut(data):
        pieces, place, turn = [], 0, 0
        while place < len(data):
            size = sizes[turn % len(sizes)]
            pieces.append(data[place : place + size])
            place, turn = place + size, turn + 1
        return pieces

    return cut


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


# -- who does not pay -------------------------------------------------------------------------


def fault_of(answer):
    reply = json.loads(answer)
    assert reply["error"]["code"] == -32029
    assert reply["error"]["data"]["challenge"].startswith("2:")
    return reply["error"]["data"]["stamp"]


def stamped_line(toll=None, request=REQUEST):
    """What a client's gate sends for a request, the greeting left out."""
    pair = Pair(toll)
    pair.client.near(request)
    return pair.client.take_far()


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


# -- prices -----------------------------------------------------------------------------------


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


# -- with the original ------------------------------------------------------------------------


def test_an_original_server_is_found_out_and_spoken_to_one_by_one():
    original = OriginalServer(zeros="0")
    counterpart = Counterpart()
    client = Stand(ClientGate(Tally(), Terms(original_bits=4), counterpart))
    client.near(REQUEST + b'{"id":2,"method":"\\u20ac"}\n{"method":"n"}\n' + REQUEST)
    original.packet(client.take_far())
    assert original.passed == []
    assert client.wake == 2.0
    client.silence()
    for answer in (b'{"id":1,"result":0}\n', b'{"method":"x"}\n{"id":2,"result":0}\n', None):
        original.packet(client.take_far())
        assert client.take_far() == b""
        if answer is None:
            assert client.wake == 0.1
            client.silence()
        else:
            client.far(answer)
    original.packet(client.take_far())
    assert len(original.passed) == 4
    assert client.to_near == b'{"id":1,"result":0}\n{"method":"x"}\n{"id":2,"result":0}\n'
    methods = [json.loads(line)["method"] for line in original.passed]
    assert methods == ["server.version", "€", "n", "server.version"]
    # The next connection knows, and forgets after ten minutes.
    again = Stand(ClientGate(Tally(), Terms(original_bits=4), counterpart))
    again.near(REQUEST)
    original.packet(again.take_far())
    assert len(original.passed) == 5
    assert not counterpart.is_original(again.now + 601)


def test_an_original_that_swallows_a_request_does_not_stop_the_next():
    client = Stand(ClientGate(Tally(), Terms(Version.ORIGINAL, original_bits=4)))
    client.near(REQUEST * 2)
    assert client.take_far().count(b"\n") == 1
    assert client.wake == 10.0
    client.silence()
    assert client.take_far().count(b"\n") == 1


def test_an_original_takes_no_batches():
    client = Stand(ClientGate(Tally(), Terms(Version.ORIGINAL, original_bits=4)))
    client.near(b'[{"id":1,"method":"a"}]\n')
    assert json.loads(client.take_near())[0]["error"]["message"] == (
        "the other side takes no batches"
    )
    assert client.to_far == b""


@pytest.mark.parametrize("cuts", [None, cutter([1]), cutter([7, 100])])
def test_a_server_without_any_gate_gets_the_requests(cuts):
    """Its answer to the greeting is kept from the client."""
    client = Stand(ClientGate(Tally(), Terms(original_bits=4)))
    client.near(REQUEST)
    assert json.loads(client.take_far())["id"] == "hashcash.hello"
    answer = b'{"jsonrpc":"2.0","error":{"code":-32601,"message":"?"},"id":"hashcash.hello"}\n'
    for piece in (cuts or (lambda data: [data]))(answer):
        client.far(piece)
    assert client.take_near() == b""
    assert json.loads(client.take_far())["method"] == "server.version"


def test_half_a_line_before_silence_is_not_lost():
    client = Stand(ClientGate(Tally(), Terms(original_bits=4)))
    client.far(b'{"method":')
    assert client.take_near() == b""
    client.silence()
    client.far(b'"x"}\n')
    assert client.take_near() == b'{"method":"x"}\n'


def test_a_late_challenge_is_taken():
    server = Stand(make_server_gate())
    client = Stand(ClientGate(Tally(), Terms(original_bits=4)))
    client.near(REQUEST * 2)
    greeting = client.take_far()
    client.silence()
    server.near(greeting)
    first = client.take_far()
    client.far(server.take_near())
    server.near(first + client.take_far())
    assert server.take_far() == REQUEST * 2


@pytest.mark.parametrize("method", ["plain", "é"])
def test_the_originals_requests_pass_and_count_once(method):
    line = json.dumps({"id": 1, "method": method}, ensure_ascii=False).encode()
    stamped = original_client(line, "0")
    server = Stand(make_server_gate())
    server.near(stamped)
    assert json.loads(server.take_far()) == {"id": 1, "method": method}
    server.near(stamped)
    assert fault_of(server.take_near()) == "spent"
    server.near(stamped.replace(b'"id":1', b'"id":2'))
    assert fault_of(server.take_near()) == "wrong"


def test_a_client_that_insists_does_not_speak_to_the_original():
    original = OriginalServer()
    client = Stand(ClientGate(Tally(), Terms(Version.INSIST)))
    client.near(REQUEST)
    original.packet(client.take_far())
    client.silence()
    assert "insisted on" in json.loads(client.take_near())["error"]["message"]
    assert client.closed
    assert client.to_far == b""
    assert original.passed == []


def test_a_server_that_insists_takes_nothing_from_the_original():
    server = Stand(make_server_gate(version=Version.INSIST))
    server.near(original_client(REQUEST, "0"))
    assert fault_of(server.take_near()) == "missing"
    pair = Pair(server_version=Version.INSIST, terms=Terms(Version.INSIST))
    pair.send(REQUEST)
    assert pair.at_upstream == REQUEST


def test_a_server_that_knows_the_original_alone():
    pair = Pair(server_version=Version.ORIGINAL, terms=Terms(original_bits=4))
    pair.send(REQUEST)
    assert pair.at_upstream == REQUEST
    assert pair.tally["requests_original"] == 1
    pair.server.near(stamped_line())
    assert fault_of(pair.server.take_near()) == "malformed"


def test_long_requests_of_the_original_are_refused_unread():
    server = Stand(make_server_gate())
    server.near(original_client(b'{"id":1,"method":"%s"}' % (b"x" * 70_000), "0"))
    assert "needs one of version 2" in json.loads(server.take_near())["error"]["message"]
    free = Stand(make_server_gate(make_toll(Tariff(quiet_bits=0))))
    free.near(b'{"id":1,"method":"%s"}\n' % (b"x" * 70_000))
    assert len(free.take_far()) > 70_000
