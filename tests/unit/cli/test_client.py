"""The command line tool's printing and its view of odd answers."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from misocoin.cli.client import format_result, main


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def answer_with() -> Iterator[Callable[[bytes], str]]:
    """Answer one request with raw bytes; gives the option that leads there."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads = []

    def start(raw: bytes) -> str:
        def serve() -> None:
            sock, _ = listener.accept()
            with sock:
                sock.recv(65536)
                sock.sendall(raw)

        thread = threading.Thread(target=serve)
        thread.start()
        threads.append(thread)
        return f"-port={listener.getsockname()[1]}"

    yield start
    for thread in threads:
        thread.join()
    listener.close()


def http(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(words)
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize(
    ("result", "printed"),
    [
        (b"null", ""),
        (b'"bare text"', "bare text\n"),
        (b"1.50000000", "1.50000000\n"),
        (b"true", "true\n"),
        (b"[]", "[]\n"),
        (b"{}", "{}\n"),
        (b'[1.00,"a"]', '[\n  1.00,\n  "a"\n]\n'),
        (b'{"a":{"b":[1e5]}}', '{\n  "a": {\n    "b": [\n      1e5\n    ]\n  }\n}\n'),
        ('"Grüße"'.encode(), "Grüße\n"),
        (b'["\\u001b"]', '[\n  "\\u001b"\n]\n'),
        (b"123456789012345678901234567890", "123456789012345678901234567890\n"),
    ],
)  # fmt: skip
def test_results_are_printed_as_they_came(
    answer_with: Callable[[bytes], str],
    capsys: pytest.CaptureFixture[str],
    result: bytes,
    printed: str,
) -> None:
    option = answer_with(http(b'{"jsonrpc":"2.0","result":' + result + b',"id":1}'))
    assert run(capsys, option, "get") == (0, printed, "")


@pytest.mark.parametrize(
    ("raw", "hint"),
    [
        (http(b"", "401 Unauthorized"), "does not know this user"),
        (http(b"<html>", "502 Bad Gateway"), "not an answer of a daemon: HTTP status 502 <html>"),
        (http(b"[]"), "not an answer of a daemon"),
        (http(b"{}"), "not an answer of a daemon"),
        (http(b'{"error":5}'), "not an answer of a daemon"),
        (b"", "broke off"),
        (b"garbage\r\n\r\n", "broke off"),
        (http(b'{"error":{"code":-5,"message":"two\\nlines"}}'), "error code: -5: two lines"),
    ],
)
def test_odd_answers_are_one_line_and_exit_code_1(
    answer_with: Callable[[bytes], str], capsys: pytest.CaptureFixture[str], raw: bytes, hint: str
) -> None:
    code, out, err = run(capsys, answer_with(raw), "get")
    assert (code, out) == (1, "")
    assert hint in err
    assert err.count("\n") == 1


PLACE = 'Wrong type passed:\n{\n    "Position 2 (count)": "'
IS_TEXT = "JSON value of type string is not of expected type "


@pytest.mark.parametrize(
    ("words", "errors", "asked"),
    [
        (["5", "6"], [], [["5", "6"]]),
        (["5", "6"], [PLACE + IS_TEXT + 'number"\n}'], [["5", "6"], ["5", 6]]),
        (["a=5", "count=[6]"], [PLACE + IS_TEXT + 'array"\n}'], [
            {"a": "5", "count": "[6]"}, {"a": "5", "count": [6]},
        ]),
        (["5", "x"], [IS_TEXT + "bool"], [["5", "x"], [5, "x"]]),
        (["[]", "{}"], [PLACE + IS_TEXT + "object", IS_TEXT + "array"], [
            ["[]", "{}"], ["[]", {}], [[], {}],
        ]),
        (["x", "y"], [IS_TEXT + "number"] * 2, [["x", "y"]]),
        (["5", "6"], ["JSON value of type number is not of expected type string"], [["5", "6"]]),
    ],
)  # fmt: skip
def test_a_bitcoind_is_given_json_where_it_wants_some(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    errors: list[str],
    asked: list[object],
) -> None:
    heard: list[object] = []

    def exchange(_config: object, body: bytes) -> tuple[int, bytes]:
        heard.append(json.loads(body)["params"])
        if len(heard) <= len(errors):
            error = {"code": -3, "message": errors[len(heard) - 1]}
            return 500, json.dumps({"error": error}).encode()
        return 200, b'{"result": 7, "error": null}'

    monkeypatch.setattr("misocoin.cli.client._exchange", exchange)
    named = ["-named"] if "=" in words[0] else []
    code, out, _ = run(capsys, *named, "get", *words)
    assert heard == asked
    assert (code, out) == ((0, "7\n") if len(asked) > len(errors) else (1, ""))


def test_bad_usage_is_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["-prot=1", "get"], ["-port", "1"], ["-named", "get", "a=1", "a=2"]):
        code, out, err = run(capsys, *words)
        assert (code, out) == (2, "")
        assert err.count("\n") == 1


def test_a_bare_number_is_printed_as_it_is() -> None:
    assert format_result(None) is None
    assert format_result("x") == "x"
    assert format_result(True) == "true"
