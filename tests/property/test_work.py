"""What always holds in the work service, whatever comes over the wire and in whatever order."""

import json
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from misocoin.errors import ParseError
from misocoin.pow.puzzles import BitmessagePuzzle, HashcashPuzzle
from misocoin.work.admission import Limits
from misocoin.work.connection import WorkConnection
from misocoin.work.framing import Splitter, object_from_bytes
from misocoin.work.jobs import Algorithm, fields_from_puzzle, job_id_of, puzzle_from_fields
from misocoin.work.requests import body_from_fields, hello_from_fields, id_from_fields
from misocoin.work.scheduler import Range, Scheduler
from tests.unit.work.rig import Rig

NAMES = st.sampled_from(
    [
        "method", "id", "hello", "version", "token", "algorithm", "target", "initialHash", "header",
        "versions", "prefix", "suffix", "bits", "digest", "width", "alphabet", "deadline", "wait",
        "priority", "progress", "job", "lease", "nonce", "trialValue", "rate", "algorithms",
    ]
)  # fmt: skip
TEXTS = st.sampled_from(
    [
        "do_pow", "get_work", "push_result", "heartbeat", "wait", "cancel", "stats", "ping",
        "bitmessage", "sha256d-header", "hashcash", "misocoin-work", "sha1", "sha256",
        "A" * 86 + "==", "00" * 80, "0f" * 32, "0" * 32, "", "\ud800", "ä" * 600, "01",
    ]
)  # fmt: skip
NUMBERS = st.sampled_from(
    [0, 1, -1, 2, 64, 1 << 32, (1 << 64) - 1, 1 << 64, 0.5, 1e400, True, None]
)
VALUES = st.recursive(
    TEXTS | NUMBERS | st.text(max_size=10) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=2),
    max_leaves=4,
)
FIELDS = st.dictionaries(NAMES, VALUES, max_size=8)


@given(FIELDS)
def test_fields_parse_or_are_refused(fields):
    for parse in (puzzle_from_fields, body_from_fields, hello_from_fields, id_from_fields):
        with suppress(ParseError):
            parse(fields)


@given(st.binary(max_size=200))
def test_bytes_are_an_object_or_refused(data):
    with suppress(ParseError):
        assert isinstance(object_from_bytes(data), dict)


OBJECTS = FIELDS.map(lambda fields: json.dumps(fields).encode())
STREAMS = st.lists(
    OBJECTS | st.sampled_from([b'{"hello":"misocoin-work","version":1}', b"\n", b" ", b"{", b'"'])
    | st.binary(max_size=20),
    max_size=6,
).map(b"".join)  # fmt: skip


def _events(chunks):
    connection = WorkConnection()
    events = []
    for chunk in chunks:
        connection.feed(chunk)
        while (event := connection.next_event()) is not None:
            events.append(repr(event))
    return events


@given(STREAMS, st.lists(st.integers(1, 50), max_size=30))
def test_how_the_stream_is_cut_changes_nothing(stream, sizes):
    chunks, rest = [], stream
    for size in sizes:
        chunks.append(rest[:size])
        rest = rest[size:]
    assert _events([*chunks, rest]) == _events([stream])


@given(st.lists(st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=3), max_size=5))
def test_joined_objects_are_told_apart(objects):
    splitter = Splitter()
    splitter.feed(b"".join(json.dumps(each).encode() for each in objects))
    found = []
    while (message := splitter.next_message()) is not None:
        found.append(object_from_bytes(message))
    assert found == objects
    assert not splitter.has_part


@given(STREAMS, STREAMS)
def test_the_service_survives_any_stream(first, second):
    rig = Rig()
    victim = rig.framed("192.0.2.200")
    for stream in (first, b'{"hello":"misocoin-work","version":1}\n' + second):
        link = rig.connect()
        link.send_bytes(stream)
        rig.pass_time(1)
        link.leave()
    victim.send(id=1, method="ping")
    assert victim.answer() == {"id": 1, "status": "ok"}


@given(FIELDS)
def test_puzzles_and_fields_are_the_same(fields):
    try:
        puzzle = puzzle_from_fields(fields)
    except ParseError:
        return
    again = puzzle_from_fields(json.loads(json.dumps(fields_from_puzzle(puzzle))))
    assert again == puzzle
    assert job_id_of(again) == job_id_of(puzzle)


ACTS = st.lists(
    st.tuples(
        st.sampled_from(
            ["submit", "mine", "lie", "searched", "hang up", "come", "cancel", "wait", "miner dies"]
        ),
        st.integers(0, 3),
    ),
    max_size=40,
)


@given(ACTS)
def test_every_job_that_somebody_waits_for_is_answered_right(acts):
    """Whatever clients and miners do, one honest miner at the end serves whoever still waits."""
    rig = Rig(Limits(deadline=1e9))
    clients = [rig.framed(f"192.0.2.{i}") for i in range(4)]
    miners = [rig.framed(f"198.51.100.{i}") for i in range(4)]
    waiting = [set() for _ in range(4)]
    leases = [None] * 4
    for act, who in acts:
        client, miner = clients[who], miners[who]
        if act == "submit":
            number = rig.fresh()
            client.send(id=number, **_job(number % 5))
            waiting[who].add(number)
        elif act == "cancel":
            client.send(id="c", method="cancel", job=job_id_of(_puzzle(who)))
        elif act == "hang up":
            client.leave()
            clients[who], waiting[who] = rig.framed(f"192.0.2.{who}"), set()
        elif act == "wait":
            rig.pass_time(4.0 * (who + 1), step=1.0)
        elif miner.is_closed or act in ("come", "miner dies"):
            miner.leave()
            miners[who], leases[who] = rig.framed(f"203.0.113.{rig.fresh() % 200}"), None
        elif act == "mine":
            miner.send(id="w", method="get_work", wait=0)
        elif leases[who] is not None:
            lie = {"nonce": 3} if act == "lie" else {}
            miner.send(id="p", method="push_result", lease=leases[who], **lie)
        for i, each in enumerate(miners):
            for answer in each.answers():
                leases[i] = answer.get("lease", leases[i])
        for i, each in enumerate(clients):
            _settle(each, waiting[i])
    for miner in miners:
        miner.leave()
    honest = rig.framed("198.51.100.200")
    for _ in range(1000):
        if not any(waiting):
            break
        honest.send(id="w", method="get_work", wait=0)
        rig.pass_time(1)
        for work in honest.answers():
            if work.get("status") == "work":
                puzzle = puzzle_from_fields(work)
                nonces = range(work["start"], work["start"] + 2000)
                nonce = next(filter(puzzle.is_solution, nonces))
                honest.send(id="p", method="push_result", lease=work["lease"], nonce=nonce)
        for i, each in enumerate(clients):
            _settle(each, waiting[i])
    assert not any(waiting)
    assert not any(rig.service.is_waiting(client.number) for client in clients)


def _puzzle(number):
    return BitmessagePuzzle(bytes([number]) * 64, (1 << 64) // 30)


def _job(number):
    return {"method": "do_pow", **fields_from_puzzle(_puzzle(number))}


def _settle(client, waiting):
    """Check what a client was told, and note which of its requests have come to an end."""
    for answer in client.answers():
        if answer.get("status") == "done":
            assert _puzzle(answer["id"] % 5).is_solution(answer["nonce"])
            waiting.remove(answer["id"])
        elif answer.get("error", {}).get("code") == "cancelled":
            waiting.remove(answer["id"])


STEPS = st.lists(
    st.tuples(st.sampled_from(["take", "searched", "back", "leave", "wait"]), st.integers(0, 3)),
    max_size=60,
)


@given(STEPS)
def test_every_nonce_is_leased_to_one_and_none_is_lost(steps):
    """Leases never overlap, and at the end all nonces are searched, leased or still to come."""
    space = 64**4
    puzzle = HashcashPuzzle(b"x", b"", 4, 60, alphabet=bytes(range(64)))
    scheduler = Scheduler()
    scheduler.add("job", puzzle, 0.0, Range(0, space))
    now, searched = 0.0, []
    for action, who in steps:
        leases = scheduler.of_miner(who)
        if action == "take":
            scheduler.take(who, frozenset(Algorithm), 1e5 * who, now)
        elif action == "searched" and leases:
            searched.append(leases[0].range)
            scheduler.end(leases[0], is_searched=True)
        elif action == "back" and leases:
            scheduler.end(leases[0], is_searched=False)
        elif action == "leave":
            scheduler.leave(who)
        else:
            now += 5.0
            scheduler.expire(now)
        job = scheduler.jobs["job"]
        held = [lease.range for lease in job.leases.values()]
        pieces = sorted([*searched, *held, *job.returned, Range(job.next, job.end)])
        assert pieces[0].start == 0
        assert all(one.end == other.start for one, other in zip(pieces, pieces[1:], strict=False))
        assert pieces[-1].end == space
        assert job.crowd >= 0
        assert job.tried == sum(piece.end - piece.start for piece in searched)
