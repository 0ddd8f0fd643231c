"""The gates as processes, between a client and a server, beside the original, and under attack."""

import json
import os
import shutil
import ssl
import subprocess
import sys
from contextlib import suppress

import pytest

from misocoin.hashcash.challenge import challenge_from_text, mint_request_stamp
from misocoin.http.client import HttpClient
from misocoin.pow.engines import select_engine
from tests.fakes.gates import OriginalServer, original_client
from tests.functional.framework.daemon import ROOT, clean_environment, wait_until
from tests.functional.framework.hashcash import GateProcess, Line, PacketRelay, Upstream, echo

CHEAP = ("-bits=4", "-service=my.server")


@pytest.fixture
def made():
    """What the test makes; closed at its end, the last first."""
    things = []
    yield things
    for thing in reversed(things):
        thing.close()


@pytest.fixture
def upstream(made):
    made.append(Upstream())
    return made[-1]


@pytest.fixture
def gate(made, tmp_path):
    def make(role, target, *options):
        made.append(GateProcess(tmp_path, role, target, *options))
        return made[-1]

    return make


@pytest.fixture
def line(made):
    def make(port, host="127.0.0.1"):
        made.append(Line(port, host))
        return made[-1]

    return make


def test_the_whole_way(upstream, gate, line):
    """Five messages in one write, one in many, batches, unicode, answers large and joined."""
    server = gate("server", upstream.port, *CHEAP)
    client = gate("client", server.port)
    near = line(client.port)
    burst = b"".join(b'{"id": %d, "method": "a"}\n' % i for i in range(5))
    near.send(burst)
    assert [near.reply()["id"] for _ in range(5)] == list(range(5))
    odd = '[{"id":1,"method":"é€"},{"method":"n"}]\r\n'.encode()
    for place in range(len(odd)):
        near.send(odd[place : place + 1])
    assert near.reply() == [{"id": 1, "result": 0}, {"id": None, "result": 0}]
    upstream.handle = lambda _: b'{"method":"n"}\n' + b"x" * 3_000_000 + b"\n{}\n"
    near.send(burst[:25])
    assert near.read() == b'{"method":"n"}\n'
    assert near.read() == b"x" * 3_000_000 + b"\n"
    assert near.read() == b"{}\n"
    upstream.handle = lambda _: b"the end\n"
    near.send(b'{"id":1e400,"method":"last"}')
    near.end()
    assert near.read() == b"the end\n"
    assert near.read() == b""
    assert upstream.data == burst + odd + burst[:25] + b'{"id":1e400,"method":"last"}'
    client.stop()
    server.stop()


def test_one_upstream_connection_for_each_of_many(upstream, gate, line):
    server = gate("server", upstream.port, *CHEAP)
    client = gate("client", server.port)
    lines = [line(client.port) for _ in range(200)]
    for number, near in enumerate(lines):
        near.send(b'{"id":%d,"method":"a"}\n' % number)
    assert [near.reply()["id"] for near in lines] == list(range(200))
    assert upstream.connections == 200
    server.stop()
    assert [near.read() for near in lines] == [b""] * 200
    client.stop()


def test_a_server_that_is_down_is_told_of_and_found_again(gate, line, made, reserve_port):
    port = reserve_port()
    server = gate("server", port, *CHEAP)
    client = gate("client", server.port)
    near = line(client.port)
    reply = near.ask("a", id=7)
    assert reply["id"] == 7
    assert reply["error"]["code"] == -32028
    assert "Connection refused" in reply["error"]["message"]
    made.append(Upstream(port=port))
    assert near.ask("a", id=8)["id"] == 8
    server.stop()
    assert near.read() == b""
    near = line(client.port)
    assert "cannot be reached: Connection refused" in near.ask("a", id=9)["error"]["message"]
    client.stop()


def test_who_does_not_pay_is_answered_and_the_server_sees_nothing(upstream, gate, line):
    server = gate("server", upstream.port, "-service=my.server")
    near = line(server.port)
    reply = near.ask("a", id="x")
    assert (reply["id"], reply["error"]["data"]["stamp"]) == ("x", "missing")
    challenge = challenge_from_text(reply["error"]["data"]["challenge"])
    assert (challenge.bits, challenge.service) == (16, "my.server")
    near.send(b"garbage\n\n[]\n" + b'{"id":2,"pow":"00"}\n' + b"2:16:1:my.server:0:1 {}\n")
    codes = [near.reply()["error"]["code"] for _ in range(4)]
    assert codes == [-32700, -32600, -32029, -32029]
    assert upstream.connections == 0
    request = b'{"id":3,"method":"a"}'
    stamp = mint_request_stamp(challenge, request, select_engine(), 1)
    paid = stamp.text.encode() + b" " + request + b"\n"
    near.send(paid)
    assert near.reply() == {"id": 3, "result": len(request) + 1}
    with Line(server.port) as other:
        other.send(paid)
        reply = other.reply()
        assert (reply["id"], reply["error"]["data"]["stamp"]) == (3, "spent")
    near.send(b'{"id":4,"x":"' + b"y" * (1 << 22))
    assert "more than 4194304 bytes" in near.reply()["error"]["message"]
    assert near.read() == b""
    assert upstream.received == [request + b"\n"]
    server.stop()


@pytest.mark.parametrize("side", ["client", "server"])
def test_beside_the_original_re_enacted(side, upstream, gate, line, made):
    """Packets are messages to the original, 4,096 bytes at most, and it dies of most else."""
    if side == "server":
        made.append(PacketRelay(gate("server", upstream.port).port, original_client))
        near = line(made[-1].port)
        for number in range(3):
            assert near.ask("é", id=number)["id"] == number
        # The original has put the members in order before it stamped them.
        assert upstream.received[0] == '{"id":0,"method":"é","params":[]}\n'.encode("latin-1")
        return
    original = OriginalServer()

    def convert(packet):
        before = len(original.passed)
        original.packet(packet)
        return b"".join(original.passed[before:])

    relay = PacketRelay(upstream.port, convert)
    made.append(relay)
    client = gate("client", relay.port, "-greeting=1")
    near = line(client.port)
    near.send(b"".join(b'{"id":%d,"method":"\\u20ac"}\n' % i for i in range(5)))
    assert [near.reply()["id"] for _ in range(5)] == list(range(5))
    assert len(original.passed) == 5
    assert relay.died is None
    with Line(client.port) as again:
        assert again.ask("a", id=9)["id"] == 9
    client.stop()


@pytest.mark.tools
@pytest.mark.parametrize("side", ["client", "server"])
def test_beside_the_original_itself(side, upstream, gate, line, reserve_port):
    """ELECTRUM_HASHCASH_CLIENT and ..._SERVER name the original programs."""
    other = "client" if side == "server" else "server"
    program = os.environ.get(f"ELECTRUM_HASHCASH_{other.upper()}")
    if program is None:
        pytest.skip(f"ELECTRUM_HASHCASH_{other.upper()} does not name the original program")
    port = reserve_port()
    ours = gate("server", upstream.port).port if side == "server" else 0
    process = subprocess.Popen(
        [program, f"--listen_port={port}", "--target_host=127.0.0.1",
         f"--target_port={ours or upstream.port}"],
    )  # fmt: skip
    try:
        wait_until(lambda: listens(port), "the original listens")
        near = line(port if side == "server" else gate("client", port).port)
        for number in range(3):
            assert near.ask("a", id=number)["id"] == number
    finally:
        process.kill()
        process.wait()


def listens(port):
    try:
        Line(port).close()
    except OSError:
        return False
    return True


def test_each_side_can_insist_on_version_2(upstream, gate, line, made):
    server = gate("server", upstream.port, "-version=2", "-bits=8")
    insisting = gate("client", server.port, "-version=2")
    assert line(insisting.port).ask("a")["id"] == 1
    old = gate("client", server.port, "-version=1", "-bits=8")
    assert line(old.port).ask("a")["error"]["data"]["stamp"] == "missing"
    made.append(PacketRelay(upstream.port, lambda packet: OriginalServer().packet(packet) or b""))
    insisting = gate("client", made[-1].port, "-version=2", "-greeting=1")
    near = line(insisting.port)
    assert "insisted on" in near.ask("a")["error"]["message"]
    assert near.read() == b""


# -- the network ------------------------------------------------------------------------------


@pytest.fixture
def certificate(tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=gate",
         "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem", "-days", "2"],
        check=True, capture_output=True,
    )  # fmt: skip
    return tmp_path / "cert.pem", tmp_path / "key.pem"


def test_tls_on_every_way(certificate, gate, made):
    cert, key = certificate
    own = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    own.load_cert_chain(cert, key)
    made.append(Upstream(tls=own))
    both = (f"-tlscert={cert}", f"-tlskey={key}", f"-target_ca={cert}")
    server = gate("server", made[-1].port, *CHEAP, *both)
    client = gate("client", server.port, *both)
    trusting = ssl.create_default_context(cafile=cert)
    trusting.check_hostname = False
    with Line(client.port) as near:
        near.socket = trusting.wrap_socket(near.socket)
        near._file.close()
        near._file = near.socket.makefile("rb")
        assert near.ask("a", id=5)["id"] == 5
    doubting = gate("client", server.port, "-target_ssl")
    with Line(doubting.port) as near:
        assert "its certificate is not trusted" in near.ask("a")["error"]["message"]
    careless = gate("client", server.port, "-target_noverify")
    with Line(careless.port) as near:
        assert near.ask("a", id=6)["id"] == 6
    server.stop()


def test_ipv6_on_both_sides(made, tmp_path):
    try:
        made.append(Upstream(host="::1"))
    except OSError:
        pytest.skip("this machine has no IPv6")
    options = ("--listen_ipv6", "--target_ipv6", "--target_host=::1")
    made.append(GateProcess(tmp_path, "server", made[-1].port, *CHEAP, *options))
    made.append(GateProcess(tmp_path, "client", made[-1].port, *options))
    with Line(made[-1].port, "::1") as near:
        assert near.ask("a", id=5)["id"] == 5


def test_who_may_connect(upstream, gate, line):
    server = gate("server", upstream.port, "-allow=10.0.0.0/8,192.0.2.1")
    near = line(server.port)
    assert near.reply()["error"]["code"] == -32028
    assert near.read() == b""
    server = gate("server", upstream.port, "-allow=127.0.0.0/8", "-maxconnperip=2")
    lines = [line(server.port) for _ in range(3)]
    assert "too many connections" in lines[2].reply()["error"]["message"]
    assert lines[0].ask("a")["error"]["code"] == -32029


def test_what_waits_is_bounded_over_all_connections(upstream, gate, line):
    server = gate("server", upstream.port, *CHEAP, "-maxbuffered=1")
    client = gate("client", server.port)
    lines = [line(server.port) for _ in range(4)]
    for near in lines:
        with suppress(OSError):
            near.send(b"[" + b" " * 600_000)
    wait_until(lambda: len([near for near in lines if has_ended(near)]) >= 2, "some are closed")
    assert not all(map(has_ended, lines))
    assert line(client.port).ask("a", id=1)["id"] == 1


def has_ended(near):
    near.socket.setblocking(False)
    try:
        return near.socket.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_who_does_not_read_is_not_read_for(upstream, gate, line):
    """The answer waits where it comes from, and comes whole in the end."""
    size = 40_000_000
    upstream.handle = lambda _: b"x" * size + b"\n"
    server = gate("server", upstream.port, *CHEAP)
    client = gate("client", server.port)
    near = line(client.port)
    before = server.memory() + client.memory()
    near.send(b'{"id":1,"method":"a"}\n')
    assert near.socket.recv(1) == b"x"
    with line(client.port) as other:
        upstream.handle = echo
        assert other.ask("a", id=2)["id"] == 2
    assert server.memory() + client.memory() - before < 15_000_000
    assert len(near.read()) == size


@pytest.mark.long
def test_who_never_pays_is_closed_and_so_is_who_is_idle(upstream, gate, line):
    server = gate("server", upstream.port, *CHEAP, "-unpaidtimeout=3", "-idletimeout=12")
    client = gate("client", server.port)
    paying, idle = line(client.port), line(server.port)
    assert paying.ask("a")["id"] == 1
    assert idle.read() == b""
    assert paying.ask("a", id=2)["id"] == 2
    assert paying.read() == b""


def test_metrics(upstream, gate, line, reserve_port):
    port = reserve_port()
    server = gate("server", upstream.port, *CHEAP, f"-metricsport={port}")
    client = gate("client", server.port)
    line(client.port).ask("a")
    line(server.port).ask("a")
    http = HttpClient()
    response = http.get(f"http://127.0.0.1:{port}/metrics")
    http.close()
    text = response.body.decode()
    for sample in (
        "connections_total 2", "requests_total 1", "refused_missing_total 1",
        "open_connections 2", "spent_stamps 1",
    ):  # fmt: skip
        assert f"\nmisocoin_hashcash_{sample}\n" in text


SERVER = ("server", "-listen_port=0", "-target_host=x", "-target_port=1")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["client", "-target_host=x", "-target_port=1"], "write -listen_port=<port> as well"),
        ([*SERVER, "-allow=x"], "-allow"),
        ([*SERVER, "-cost=x"], "method=cost"),
        ([*SERVER, "-tlscert=/x"], "No such file"),
        ([*SERVER, "-service=a b"], "service's name"),
        (["mint", "a:b"], "without blanks and colons"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_line(words, complaint, tmp_path):
    ended = subprocess.run(
        [sys.executable, "-m", "misocoin", "hashcash", *words],
        capture_output=True, text=True, check=False, timeout=60,
        env=clean_environment(tmp_path, {"PYTHONPATH": str(ROOT)}),
    )  # fmt: skip
    assert ended.returncode == 2
    assert complaint in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_port_in_use_is_one_line(upstream, tmp_path):
    ended = subprocess.run(
        [sys.executable, "-m", "misocoin", "hashcash", "client",
         f"--listen_port={upstream.port}", "--target_host=x", "--target_port=1"],
        capture_output=True, text=True, check=False, timeout=60,
        env=clean_environment(tmp_path, {"PYTHONPATH": str(ROOT)}),
    )  # fmt: skip
    assert ended.returncode == 1
    assert ended.stderr == (
        f"misocoin hashcash: cannot listen on 127.0.0.1:{upstream.port}: the port is in use by "
        "another program; choose another\n"
    )


def test_a_client_that_leaves_ends_its_search(upstream, gate, line):
    server = gate("server", upstream.port, "-bits=40", "-maxbits=40")
    client = gate("client", server.port, "-maxbits=40")
    near = line(client.port)
    near.send(json.dumps({"id": 1, "method": "a"}).encode() + b"\n")
    near.send(b"garbage\n")
    assert near.reply()["error"]["code"] == -32700
    near.close()
    client.stop()
    server.stop()
