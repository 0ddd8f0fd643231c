"""JSON-RPC on the wire, wrong arguments and help: what a real bitcoind answers, and ours."""

import base64
import json
import re
import socket
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.functional.conftest import MakeTwins
from tests.functional.framework.answers import Twins
from tests.functional.framework.bitcoind import CREDENTIALS

pytestmark = pytest.mark.tools

CALL = b'{"method":"getblockcount","id":1}'


@pytest.fixture(scope="module")
def twins(make_twins: MakeTwins) -> Twins:
    """Both at genesis, theirs with a wallet."""
    twins = make_twins()
    twins.theirs.call("createwallet", "w")
    return twins


class Answer(NamedTuple):
    """One answer, with what says something: not the date, nor who serves."""

    status: int
    kind: str
    asks: str
    """Its WWW-Authenticate."""
    body: bytes


def talk(address: tuple[str, int], sent: bytes, count: int) -> tuple[list[Answer], bool]:
    """The answers to what is sent as it is, and whether the connection stays open after them."""
    with socket.create_connection(address, timeout=60) as sock, sock.makefile("rb") as reader:
        sock.sendall(sent)
        answers = []
        for _ in range(count):
            status = int(reader.readline().split()[1])
            fields = {}
            while (line := reader.readline()) not in (b"\r\n", b""):
                name, _, value = line.decode().partition(":")
                fields[name.lower()] = value.strip()
            if "content-length" in fields:
                body = reader.read(int(fields["content-length"]))
            else:
                body = b"" if status == 204 else reader.read()
            answers.append(
                Answer(
                    status,
                    fields.get("content-type", "") if body else "",
                    fields.get("www-authenticate", ""),
                    body,
                )
            )
        sock.settimeout(0.2)
        try:
            return answers, reader.read(1) != b""
        except TimeoutError:
            return answers, True


def request(
    body: bytes, line: str = "POST / HTTP/1.1", *fields: str, password: str | None = None
) -> bytes:
    """A request as it goes out; `{token}` stands where each daemon's own credentials go."""
    auth = "Authorization: Basic {token}" if password is None else password
    head = [line, "Host: 127.0.0.1", *filter(None, [auth]), *fields]
    return "\r\n".join([*head, f"Content-Length: {len(body)}", "", ""]).encode() + body


def sides(twins: Twins) -> Iterator[tuple[tuple[str, int], tuple[str, str]]]:
    """Host and port, and the credentials, of ours and of theirs."""
    for url, credentials in (
        (twins.ours.url, twins.ours.credentials),
        (twins.theirs_url, CREDENTIALS),
    ):
        host, port = url.removeprefix("http://").rsplit(":", 1)
        yield (host, int(port)), credentials


def same_talk(twins: Twins, sent: bytes, count: int = 1) -> list[Answer]:
    """Both answers to the same bytes, which must be the same."""
    found = []
    for address, credentials in sides(twins):
        token = base64.b64encode(":".join(credentials).encode())
        found.append(talk(address, sent.replace(b"{token}", token), count))
    ours, theirs = found
    assert ours == theirs, f"\n{ours}\n{theirs}"
    return theirs[0]


@pytest.mark.parametrize(
    "body",
    [
        *(b'{"method":"getblockcount"%s}' % more for more in (b"", b',"id":1', b',"id":null')),
        *(
            b'{"method":"getblockcount","jsonrpc":%s%s}' % (version, id)
            for version in (b'"1.0"', b'"1.1"', b'"2.0"', b"null")
            for id in (b"", b',"id":"x"', b',"id":null')
        ),
        *(
            b'{"method":"getblockcount","id":%s}' % id
            for id in (
                b"1.50",
                b"1e5",
                b"0",
                b"true",
                b'[1,{"a":2}]',
                b'{"b":1,"a":2}',
                b'"\xc3\xa9"',
            )
        ),
        b'{"method":"getblockcount","id":12345678901234567890123}',
        b'{"method":"getblockcount","id":"\xc3\xa9"}',
        *(
            b'{"method":"getblockcount","params":%s}' % each
            for each in (b"null", b"{}", b"5", b'"x"')
        ),
        *(b'{"method":%s,"id":1}' % each for each in (b"5", b"null", b'""', b'"nosuch"', b"[]")),
        *(b'{"jsonrpc":"2.0"%s}' % more for more in (b"", b',"method":5', b',"method":"nosuch"')),
        b'{"jsonrpc":"2.0","method":"nosuch","id":1}',
        b'{"jsonrpc":"2.0","method":"getblockhash","params":[-1],"id":1}',
        b'{"method":"getblockhash","params":[-1],"id":1}',
        b'{"method":"getblockhash","params":{"height":0},"id":1}',
        b'{"method":"getblockhash","params":{"args":[0]},"id":1}',
        b'{"method":"getblockhash","params":{"args":[0],"height":0},"id":1}',
        b'{"method":"getblockhash","params":{"args":5},"id":1}',
        b'{"method":"getblockhash","params":{"height":0,"nosuch":1},"id":1}',
        b"{}",
        *(
            b"5",
            b'"x"',
            b"null",
            b"true",
            b"",
            b"{",
            b"[,]",
            b'{"id":1}x',
            b'{"id":01}',
            b'{"id":1,}',
        ),
        b'{"method":"getblockcount","id":"\xff"}',
        b'\xef\xbb\xbf{"method":"getblockcount"}',
        b"[" * 600 + b"]" * 600,
        b' {"method":"getblockcount","id":1}\n\n',
        *(b"[]", b"[1]", b"[[]]", b"[{}]", b'[{"jsonrpc":"2.0"}]', b"[" + CALL + b"]"),
        b'[{"method":"getblockcount","jsonrpc":"2.0"}]',
        b'[{"method":"nosuch","jsonrpc":"2.0"},{"method":"getblockcount","jsonrpc":"2.0"}]',
        b"["
        + b",".join(
            [
                b"5",  # after a call theirs would give that call's id
                CALL,
                b'{"method":"nosuch","id":2}',
                b'{"method":"getblockcount","jsonrpc":"2.0"}',
                b'{"method":"getblockcount","jsonrpc":"2.0","id":3}',
                b'{"method":"getblockhash","params":["x"],"jsonrpc":"2.0","id":4}',
                b'{"jsonrpc":"2.0","id":5}',
                b'{"method":"getblockcount","params":null,"id":6}',
            ]
        )
        + b"]",
    ],
)
def test_envelopes(twins: Twins, body: bytes) -> None:
    same_talk(twins, request(body))


@pytest.mark.parametrize(
    ("sent", "count"),
    [
        (request(CALL) * 3, 3),
        (request(CALL.replace(b'"id":1', b'"jsonrpc":"2.0"')) + request(CALL), 2),
        (request(CALL, "POST /wallet/nosuch HTTP/1.1"), 1),
        (request(b'{"method":"getbalances","id":1}', "POST /wallet/nosuch HTTP/1.1"), 1),
        (request(CALL, "POST / HTTP/1.1", "Connection: close"), 1),
        (request(CALL, "POST / HTTP/1.0"), 1),
        (request(CALL, "POST / HTTP/1.1", "Expect: nothing"), 0),
        *(
            (request(CALL, "POST / HTTP/1.1", f"Content-Type: {kind}"), 1)
            for kind in ("text/plain", "application/json; charset=utf-8", "multipart/form-data")
        ),
        (
            request(CALL)
            .replace(b"Content-Length: 33", b"Transfer-Encoding: chunked")
            .replace(CALL, b"5\r\n" + CALL[:5] + b"\r\n1c\r\n" + CALL[5:] + b"\r\n0\r\n\r\n")
            + request(CALL),
            2,
        ),
        (request(b'{"method":"getblockcount","id":1,"x":"%s"}' % (b"a" * 9_500_000)), 1),
    ],
    ids=range(12),
)
def test_requests(twins: Twins, sent: bytes, count: int) -> None:
    same_talk(twins, sent, count)


@pytest.mark.parametrize(
    "password",
    ["Authorization: Basic eDp5", "Authorization: Basic !!!", "Authorization: Bearer x", ""],
)
def test_a_wrong_password(twins: Twins, password: str) -> None:
    # Ours says in the body what it wants, and asks for a password only where one is needed.
    sent = request(b'{"method":"stop","id":1}', password=password)
    for address, _ in sides(twins):
        ((answer,), _) = talk(address, sent, 1)
        assert (answer.status, answer.asks) == (401, 'Basic realm="jsonrpc"')


# -- arguments and help --------------------------------------------------------------------------

SAMPLES: dict[str, Any] = {
    "string": "x",
    "numeric": 1,
    "boolean": True,
    "json array": [],
    "json object": {},
}
WRONG: tuple[Any, ...] = ("x", 5, True, [1], {"a": 1}, None)

KNOTS = {
    "addnode": "knows another argument, and another name of one",
    "createmultisig": "takes options where Core takes the type of address",
    "deriveaddresses": "takes options",
    "getblock": "has lost the name `verbose`",
    "getmempoolinfo": "draws a histogram",
    "gettxoutproof": "proves witnesses",
    "importdescriptors": "takes seeds",
    "importprivkey": "is for its old wallets, which Core 30 has no more",
    "dumpprivkey": "the same",
    "listunspent": "calls its options otherwise",
    "prioritisetransaction": "takes a priority where Core takes a dummy",
    "sendrawtransaction": "ignores reasons to refuse",
    "testmempoolaccept": "the same",
    "verifytxoutproof": "proves witnesses",
    "walletprocesspsbt": "takes options where Core takes whether to sign",
}
"""Methods whose parameters Knots has made others than Core's."""

NOT_ASKED = frozenset(
    {
        *("stop", "setmocktime", "encryptwallet", "invalidateblock", "backupwallet"),
        *("generatetoaddress", "generatetodescriptor", "generateblock", "createwallet"),
        *("waitfornewblock", "waitforblock", "waitforblockheight", "rescanblockchain"),
        *("loadwallet", "walletpassphrase", "walletpassphrasechange", "walletlock"),
    }
)
"""What would change something, or wait, where a sample is taken."""

ORDER = "another of the arguments is looked at first"
OTHERWISE = {
    "disconnectnode": "has Core's code -32602 for a wrong pair of arguments",
    "help": "Core refuses null",
    "sendmany": ORDER,
    "setban": "Core counts arguments that are null",
    "simulaterawtransaction": "theirs refuses null for what may be left out",
    "submitpackage": ORDER,
    "sendtoaddress": ORDER,
    "getbalance": "knows `account`, an old name of Knots'",
}
"""Methods whose words for some wrong argument differ, and why."""


def methods(twins: Twins) -> list[str]:
    """Those that both have."""

    def names(listing: str) -> set[str]:
        lines = listing.splitlines()
        return {line.split()[0] for line in lines if line and not line.startswith("==")}

    hidden = {"generateblock", "generatetoaddress", "invalidateblock", "reconsiderblock"}
    ours, theirs = twins.both("help")
    return sorted(names(ours) & (names(theirs) | hidden | {"waitforblock", "waitfornewblock"}))


def arguments(text: str) -> list[tuple[str, str]]:
    """Name and manner of each, out of a method's help."""
    found = re.search(r"^Arguments:\n(.*?)(?=^Result|^Named Arguments)", text, re.S | re.M)
    lines = found[1].splitlines() if found else []
    matches = (re.match(r"\d+\. \"?(\w+)\"?\s+\((.*)", line) for line in lines)
    return [(match[1], match[2]) for match in matches if match]


def test_help_names_the_same_arguments(twins: Twins) -> None:
    # How many Core 31 has.
    later = {"createrawtransaction": 5, "gettxspendingprevout": 2, "send": 6}
    other_by_name = {
        "sendmany": "ours says itself that amounts are missing, after an argument that may be",
        "walletcreatefundedpsbt": "so with inputs, and Core 31 has a version",
    }
    wrong = []
    for method in methods(twins):
        ours, theirs = map(arguments, twins.both("help", method))
        if method in KNOTS or method in other_by_name or "_" in method or method == "generate":
            continue
        ours = ours[: len(theirs)] if len(ours) == later.get(method) else ours
        one = [(name, "required" in manner) for name, manner in ours]
        other = [(name, "required" in manner) for name, manner in theirs]
        if one != other:
            wrong.append((method, one, other))
    assert not wrong, "\n".join(map(str, wrong))


def cases(method: str, given: list[tuple[str, str]]) -> Iterator[list[Any]]:
    """Calls with one argument of each wrong type in each place."""

    def sample(manner: str) -> Any:
        kind = manner.split(",")[0].rstrip(")")
        return SAMPLES.get(kind, 1 if "numeric" in kind else "x")

    right = [sample(manner) for _, manner in given]
    needed = sum("required" in manner for _, manner in given)
    for place, fitting in enumerate(right):
        for wrong in WRONG:
            if type(wrong) is type(fitting):
                continue
            params = right[: max(place + 1, needed)]
            params[place] = wrong
            yield params


def test_arguments_of_wrong_types(twins: Twins) -> None:
    asked = 0
    different = []
    for method in methods(twins):
        if method in NOT_ASKED or method in KNOTS or method in OTHERWISE or "_" in method:
            continue
        for params in cases(method, arguments(twins.theirs.call("help", method))):
            asked += 1
            ours, theirs = twins.post({"id": 1, "method": method, "params": params})
            one, other = json.loads(ours.body)["error"], json.loads(theirs.body)["error"]
            codes = {(each or {}).get("code") for each in (one, other)}
            is_help = one and other and "\n\nResult" in one["message"] and one["code"] == -1
            if one != other and codes & {-1, -3, -8, -32603} and not is_help:
                different.append((method, params, one, other))
    assert asked > 500
    assert not different, "\n".join(map(str, different))


def test_too_many_and_unknown_arguments(twins: Twins) -> None:
    for method in methods(twins):
        if "_" in method or method in KNOTS:
            continue
        ours, theirs = twins.post({"id": 1, "method": method, "params": [None] * 40})
        one, other = json.loads(ours.body)["error"], json.loads(theirs.body)["error"]
        assert one["code"] == other["code"] == -1, method
        assert one["message"].startswith(method)
        ours, theirs = twins.post({"id": 1, "method": method, "params": {"nosuch": 1}})
        assert json.loads(ours.body) == json.loads(theirs.body), method
