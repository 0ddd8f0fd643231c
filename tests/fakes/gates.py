"""Gates without sockets: two of them joined in memory, or one with a hand on its other side."""

import hashlib
import json
import random
from collections import deque

from misocoin.hashcash.client_gate import ClientGate
from misocoin.hashcash.gate import (
    Close,
    Dial,
    EndFar,
    Gate,
    Hold,
    Mint,
    Tally,
    ToFar,
    ToNear,
    Wake,
)
from misocoin.hashcash.price import Tariff
from misocoin.hashcash.server_gate import ServerGate
from misocoin.hashcash.toll import Toll
from misocoin.pow.engine import StopFlag
from misocoin.pow.engines import select_engine

SERVICE = "my.server"
REQUEST = b'{"id": 1, "method": "server.version", "params": []}\n'
NOW = 1_795_243_200.0
ENGINE = select_engine()
CHEAP = Tariff(quiet_bits=4, pressed_bits=4, max_bits=12)


def cutter(sizes):
    """What cuts bytes into pieces of these sizes, taken in turn."""

    def cut(data):
        pieces, place, turn = [], 0, 0
        while place < len(data):
            size = sizes[turn % len(sizes)]
            pieces.append(data[place : place + size])
            place, turn = place + size, turn + 1
        return pieces

    return cut


def make_toll(tariff=CHEAP, **more):
    return Toll(SERVICE, b"secret", tariff, **more)


def make_server_gate(toll=None, tally=None, **more):
    more.setdefault("original_bits", 4)
    tally = Tally() if tally is None else tally
    return ServerGate(toll or make_toll(), "10.0.0.1", tally, **more)


class Stand:
    """One gate; what it sends is gathered, and it is told what the test says."""

    def __init__(self, gate: Gate, is_reachable=True):
        self.gate = gate
        self.now = NOW
        self.to_near = b""
        self.to_far = b""
        self.is_reachable = is_reachable
        self.dials = 0
        self.holds = []
        self.wake = None
        self.far_ended = False
        self.closed = False
        self.mints_by_itself = True
        self.jobs = deque()
        self._do(gate.start(self.now))

    def near(self, data):
        self._do(self.gate.near_data(data, self.now))

    def near_end(self):
        self._do(self.gate.near_end(self.now))

    def far(self, data):
        self._do(self.gate.far_data(data, self.now))

    def far_end(self):
        self._do(self.gate.far_end(self.now))

    def silence(self):
        self.wake = None
        self._do(self.gate.silence(self.now))

    def tick(self):
        self._do(self.gate.tick(self.now))

    def resume(self):
        self._do(self.gate.resume(self.now))

    def mint(self):
        line = self.jobs.popleft().run(ENGINE, random.getrandbits(58), StopFlag())
        self._do(self.gate.minted(line, self.now))

    def take_near(self):
        data, self.to_near = self.to_near, b""
        return data

    def take_far(self):
        data, self.to_far = self.to_far, b""
        return data

    def _do(self, actions):
        for action in actions:
            match action:
                case ToNear(data):
                    assert data
                    self.to_near += data
                case ToFar(data):
                    assert data
                    assert not self.far_ended
                    self.to_far += data
                case Dial():
                    self.dials += 1
                    if self.is_reachable:
                        self._do(self.gate.far_connected(self.now))
                    else:
                        self._do(self.gate.far_failed("nobody there", self.now))
                case EndFar():
                    self.far_ended = True
                case Hold(seconds):
                    self.holds.append(seconds)
                case Wake(seconds):
                    self.wake = seconds
                case Mint(job):
                    self.now += 0.001
                    self.jobs.append(job)
                    if self.mints_by_itself:
                        self.mint()
                case Close():
                    assert self.gate.is_closed
                    self.closed = True


class Pair:
    """A client's gate before a server's; `app` and `upstream` are the ends."""

    def __init__(self, toll=None, terms=None, server_version=None, cuts=None, reachable=True):
        more = {} if server_version is None else {"version": server_version}
        self.tally = Tally()
        self.client = Stand(ClientGate(Tally(), terms))
        self.server = Stand(make_server_gate(toll, self.tally, **more), reachable)
        self._cuts = cuts or (lambda data: [data])
        self._server_was_told = False
        self.settle()

    def settle(self):
        """Carry bytes until there are none to carry."""
        while True:
            forth, back = self.client.take_far(), self.server.take_near()
            for piece in self._cuts(forth) if forth else ():
                self.server.near(piece)
            for piece in self._cuts(back) if back else ():
                self.client.far(piece)
            if self.client.far_ended and not self._server_was_told and not self.client.to_far:
                self._server_was_told = True
                self.server.near_end()
                continue
            if not (forth or back):
                break
        if self.server.closed and not self.client.closed:
            self.client.far_end()

    def send(self, data):
        for piece in self._cuts(data):
            self.client.near(piece)
            self.settle()

    def end(self):
        self.client.near_end()
        self.settle()

    def answer(self, data):
        for piece in self._cuts(data):
            self.server.far(piece)
            self.settle()

    @property
    def at_upstream(self):
        return self.server.to_far

    @property
    def at_app(self):
        return self.client.to_near


# -- the original, re-enacted from what was observed of it ------------------------------------


def canonical(request):
    text = json.dumps(request, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("latin-1")


class Died(Exception):  # noqa: N818
    """What the original does of many things."""


class OriginalServer:
    """The original before a server: a packet is a message, and a bad one is its end."""

    def __init__(self, zeros="0000"):
        self.zeros = zeros
        self.passed = []

    def packet(self, data):
        if data.count(b"\n") != 1 or not data.endswith(b"\n"):
            raise Died("not one message in one packet")
        try:
            request = json.loads(data.decode("latin-1"))
        except ValueError:
            raise Died("no JSON") from None
        if not isinstance(request, dict):
            raise Died("no object")
        if "method" not in request:
            self.passed.append(data)
            return
        claimed = request.pop("pow", None)
        try:
            text = canonical(request)
        except UnicodeEncodeError:
            raise Died("wide character") from None
        digest = hashlib.sha256(text).hexdigest()
        if claimed == digest and digest.startswith(self.zeros):
            self.passed.append(data)


def original_client(line, zeros="0000"):
    """What the original beside a client makes of a request."""
    request = json.loads(line.decode("latin-1"))
    for number in range(1 << 24):
        request["nonce"] = f"{number:010d}"
        digest = hashlib.sha256(canonical(request)).hexdigest()
        if digest.startswith(zeros):
            request["pow"] = digest
            return canonical(request) + b"\n"
    raise AssertionError("no nonce")


def fault_of(answer):
    """What is wrong with a stamp, by the refusal."""
    reply = json.loads(answer)
    assert reply["error"]["code"] == -32029
    assert reply["error"]["data"]["challenge"].startswith("2:")
    return reply["error"]["data"]["stamp"]


def stamped_line(toll=None, request=REQUEST):
    """What a client's gate sends for a request, the greeting left out."""
    pair = Pair(toll)
    pair.client.near(request)
    return pair.client.take_far()
