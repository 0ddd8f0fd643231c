"""Either gate with the original on its other side, which knows no announcements."""

import json

import pytest

from misocoin.hashcash.client_gate import ClientGate, Counterpart, Terms
from misocoin.hashcash.gate import Tally, Version
from misocoin.hashcash.price import Tariff
from tests.fakes.gates import (
    REQUEST,
    OriginalServer,
    Pair,
    Stand,
    cutter,
    fault_of,
    make_server_gate,
    make_toll,
    original_client,
    stamped_line,
)


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
