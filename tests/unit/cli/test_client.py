"""The command line tool's printing and its view of odd answers."""

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


def test_bad_usage_is_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["-prot=1", "get"], ["-port", "1"], ["-named", "get", "a=1", "a=2"]):
        code, out, err = run(capsys, *words)
        assert (code, out) == (2, "")
        assert err.count("\n") == 1


def test_a_bare_number_is_printed_as_it_is() -> None:
    assert format_result(None) is None
    assert format_result("x") == "x"
    assert format_result(True) == "true"
