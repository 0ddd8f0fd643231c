"""The command line tool: one call of the daemon's JSON-RPC, its result on standard output.

    misocoin-cli [options] <method> [arguments]
    misocoin-cli [options] -named <method> [name=value]...

Options may also stand behind the method; what has the name of an option there is one, and `--`
ends them. bitcoin-cli's options mean the same here.

Every argument is sent as the text that was typed, and the daemon reads it by the declared kind of
the parameter. So the tool needs no table of methods, and an address that looks like a number stays
an address. A bitcoind does not read so; it names what it wants as JSON, and is asked again with
that. An argument `-` is read from standard input, whole.

A result that is an object or array is printed as JSON, a text bare, null not at all. An error is
one line on standard error. The exit code is 0, or 1 for an error, or 2 where the call itself is
wrong: an option, the method's name, the number of arguments.

Starting up is most of the work, so little is imported: `http.client`, not `requests`.
"""

import base64
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from time import monotonic, sleep
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from misocoin.cli.output import run_printing
from misocoin.config import ClientConfig, client_config
from misocoin.errors import ConfigError, MisocoinError
from misocoin.version import VERSION

USAGE = """\
Usage: misocoin-cli [options] <method> [arguments]
       misocoin-cli [options] -named <method> [name=value]...
       misocoin-cli help [<method>]        what there is, and how it is called
"""

_MAX_ANSWER = 1 << 30
_USAGE_CODES = frozenset({-1, -32601})
_TOO_MANY = 429
"""HTTP's status where a daemon asks for proof of work."""

_MAX_PAYMENTS = 3

_OLD, _NEW = "Passphrase", "New passphrase"
_PASSPHRASES = MappingProxyType(
    {
        "unlock_wallet": (_OLD,),
        "encrypt_wallet": (_NEW,),
        "change_passphrase": (_OLD, _NEW),
        "walletpassphrase": (_OLD,),
        "encryptwallet": (_NEW,),
        "walletpassphrasechange": (_OLD, _NEW),
    }
)
"""What -stdinwalletpassphrase reads for a method, in the order of its parameters."""

_TYPE_ERROR = -3
_IS_TEXT = "JSON value of type string is not of expected type"

_WARMUP_CODE = -28
_RETRY_SECONDS = 0.2


class UsageError(MisocoinError):
    """The tool was called in a way that cannot be right."""


class CallError(MisocoinError):
    """The daemon answered with an error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    @property
    def is_usage(self) -> bool:
        """Whether method or number of arguments are wrong, not what they say."""
        return self.code in _USAGE_CODES and (self.code != -1 or "\n" in self.message)


class NoDaemonError(MisocoinError):
    """Nothing answers where the daemon should be."""


class _Number(str):
    """A JSON number as it was written, so that amounts keep their zeros."""

    __slots__ = ()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tool; returns its exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    return run_printing("error", lambda: _run_told(words))


def _run_told(arguments: Sequence[str]) -> int:
    try:
        return _run(arguments)
    except (ConfigError, UsageError) as error:
        return _complain(f"error: {error}", 2)
    except CallError as error:
        return _complain(_line_of(error), 2 if error.is_usage else 1)
    except MisocoinError as error:
        return _complain(f"error: {error}", 1)
    except KeyboardInterrupt:
        return 130


def _complain(line: str, code: int) -> int:
    print(" ".join(line.split()), file=sys.stderr)
    return code


def _line_of(error: CallError) -> str:
    if error.code == -1 and error.is_usage:
        call = error.message.split("\n", 1)[0]
        return f"usage: misocoin-cli {call}   (see: misocoin-cli help {call.split(' ', 1)[0]})"
    is_guessed = "did you mean" in error.message
    hint = " (misocoin-cli help lists the methods)" if error.is_usage and not is_guessed else ""
    return f"error code: {error.code}: {error.message}{hint}"


def _run(arguments: Sequence[str]) -> int:
    config, line = client_config(arguments, os.environ)
    if line.version:
        print(f"Misocoin command line tool version {VERSION}")
        return 0
    if line.help:
        _print_help()
        return 0
    words = list(line.words)
    if config.password_on_stdin:
        config = replace(config, rpcpassword=sys.stdin.readline().rstrip("\r\n"))
    if config.passphrase_on_stdin:
        words[1:1] = _passphrases(words[0] if words else "", len(words))
    if config.stdin:
        words += sys.stdin.read().splitlines()
    if config.instead is not None:
        from misocoin.cli.glance import show

        print(show(config.instead, words, lambda method, *params: _call(config, method, params)))
        return 0
    if not words:
        raise UsageError("which method? misocoin-cli help lists them")
    method, params = words[0], _params(words[1:], config.named)
    text = format_result(_call(config, method, params))
    if text is not None:
        print(text)
    return 0


def _passphrases(method: str, words: int) -> list[str]:
    """The passphrases that a call lacks, from standard input. Raises UsageError."""
    if method not in _PASSPHRASES:
        raise UsageError(f"-stdinwalletpassphrase is for {', '.join(_PASSPHRASES)}")
    # As for bitcoin-cli, the new one may stand behind the method.
    missing = _PASSPHRASES[method][: 1 if words > 1 else None]
    if not sys.stdin.isatty():
        return [sys.stdin.readline().rstrip("\r\n") for _ in missing]
    from getpass import getpass

    typed = [getpass(f"{which}: ") for which in missing]
    if missing[-1] == _NEW and getpass(f"{_NEW}, once more: ") != typed[-1]:
        raise UsageError("the two are not the same; nothing was changed")
    return typed


def _print_help() -> None:
    from misocoin.option_table import Program, options_of
    from misocoin.options import help_text

    print(f"{USAGE}\n{help_text(options_of(Program.CLIENT))}", end="")


def _params(words: Sequence[str], is_named: bool) -> list[str] | dict[str, Any]:
    """Arrange the arguments as the call's parameters, `-` replaced by standard input."""
    if words.count("-") > 1:
        raise UsageError("standard input can be only one of the arguments")
    values = [sys.stdin.read().rstrip("\r\n") if word == "-" else word for word in words]
    if not is_named:
        return values
    named: dict[str, Any] = {}
    positional = []
    for value in values:
        name, equals, text = value.partition("=")
        if not equals:
            positional.append(value)
        elif name in named:
            raise UsageError(f"{name} is given twice")
        else:
            named[name] = text
    return {**named, "args": positional} if positional else named


def _call(config: ClientConfig, method: str, params: Sequence[str] | dict[str, Any]) -> Any:
    """Make the call, and again with types where the daemon does not read typed text (bitcoind)."""
    params = params if isinstance(params, dict) else list(params)
    while True:
        try:
            return _call_once(config, method, params)
        except CallError as error:
            typed = _typed(params, error)
            if typed == params:
                raise
            params = typed


def _typed(params: Sequence[Any] | dict[str, Any], error: CallError) -> list[Any] | dict[str, Any]:
    """The parameters with JSON in place of the texts that an error calls of the wrong type.

    bitcoind names their places, or else means any of them.
    """
    is_wrong = error.code == _TYPE_ERROR and _IS_TEXT in error.message
    named = re.findall(r'"Position (\d+) \((.*?)\)"', error.message)
    wrong = {key for each in named for key in each}

    def typed(key: str, value: Any) -> Any:
        if is_wrong and isinstance(value, str) and (key in wrong or not wrong):
            with suppress(ValueError):
                return json.loads(value)
        return value

    if isinstance(params, dict):
        return {key: typed(key, value) for key, value in params.items()}
    return [typed(str(place), value) for place, value in enumerate(params, 1)]


def _call_once(config: ClientConfig, method: str, params: Sequence[Any] | dict[str, Any]) -> Any:
    """Make the call; with -rpcwait again and again until a daemon is ready."""
    body = json.dumps(
        {"jsonrpc": "2.0", "id": 1, "method": method, "params": params, "text": True}
    ).encode()
    end = monotonic() + config.wait_timeout if config.wait_timeout else float("inf")
    while True:
        try:
            return _result(*_exchange(config, body))
        except (NoDaemonError, CallError) as error:
            is_starting = isinstance(error, NoDaemonError) or error.code == _WARMUP_CODE
            if not (config.wait and is_starting and monotonic() < end):
                raise
        sleep(_RETRY_SECONDS)  # nothing tells when a daemon begins to listen


def _exchange(config: ClientConfig, body: bytes) -> tuple[int, bytes]:
    """Send a request; status and body of the answer."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.host, config.host)  # noqa: S104
    place = f"{host}:{config.port}"
    connection = HTTPConnection(host, config.port, timeout=config.timeout or None)
    try:
        connection.connect()
    except OSError as error:
        why = error.strerror or str(error) or type(error).__name__
        raise NoDaemonError(
            f"no daemon answers at {place} ({why}): start one with misocoind, or say where it is "
            "with -host and -port"
        ) from None
    try:
        path = "/" if config.wallet is None else f"/wallet/{quote(config.wallet, safe='')}"
        return _ask_and_pay(connection, path, body, _headers(config))
    except TimeoutError:
        raise MisocoinError(
            f"{place} gave no answer within {config.timeout} s (-rpcclienttimeout)"
        ) from None
    except (OSError, HTTPException) as error:
        raise MisocoinError(f"{place} broke off: {error or type(error).__name__}") from None
    finally:
        connection.close()


def _ask_and_pay(
    connection: HTTPConnection, path: str, body: bytes, headers: Mapping[str, str]
) -> tuple[int, bytes]:
    """Send a request, with a stamp if one is asked for; status and body of the answer."""
    status, answer, challenge = _ask(connection, path, body, headers)
    for _ in range(_MAX_PAYMENTS):
        stamp = _stamp(challenge, path, body) if status == _TOO_MANY and challenge else None
        if stamp is None:
            break
        status, answer, challenge = _ask(connection, path, body, {**headers, **stamp})
    return status, answer


def _ask(
    connection: HTTPConnection, path: str, body: bytes, headers: Mapping[str, str]
) -> tuple[int, bytes, str | None]:
    """Send a request; status and body of the answer, and the challenge that came with it."""
    connection.request("POST", path, body, dict(headers))
    response = connection.getresponse()
    return response.status, response.read(_MAX_ANSWER), response.headers.get("Hashcash-Challenge")


def _stamp(challenge: str, path: str, body: bytes) -> dict[str, str] | None:
    """Pay for a call by proof of work; None where that asks for too much."""
    # Hardly any call needs it, and every start would pay for it.
    from misocoin.hashcash.http import make_payer
    from misocoin.http.client import STAMP_FIELD, stamped_request

    stamp = make_payer()(challenge, stamped_request("POST", path, body))
    return None if stamp is None else {STAMP_FIELD: stamp}


def _headers(config: ClientConfig) -> dict[str, str]:
    headers = {"Content-Type": "application/json"}
    if config.rpcpassword is not None:
        secret = f"{config.rpcuser or ''}:{config.rpcpassword}"
    else:
        secret = next(filter(None, map(_cookie_in, config.cookie_files)), "")
        if not secret:
            # Methods that are open to all work without, and the daemon says which are not.
            return headers
    headers["Authorization"] = f"Basic {base64.b64encode(secret.encode()).decode()}"
    return headers


def _cookie_in(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except (OSError, UnicodeDecodeError):
        return ""


def _result(status: int, body: bytes) -> Any:
    """The result in an answer; raises CallError for an error."""
    if status == 401:
        raise MisocoinError(
            "the daemon does not know this user: is it the one with this -datadir, -chain and "
            "-port? (its cookie or -rpcuser and -rpcpassword are needed)"
        )
    try:
        reply = json.loads(body, parse_float=_Number, parse_int=_Number)
        error = reply.get("error")
        if error is not None:
            raise CallError(int(error["code"]), str(error["message"]))
        return reply["result"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        text = body[:200].decode("utf-8", "replace")
        raise MisocoinError(f"not an answer of a daemon: HTTP status {status} {text}") from None


def format_result(value: Any) -> str | None:
    """Write a result for people and shells: JSON, a bare text, or nothing for null."""
    if value is None:
        return None
    if isinstance(value, str):
        return str(value)
    return _json_text(value, "")


def _json_text(value: Any, indent: str) -> str:
    if isinstance(value, _Number):
        return value
    if not isinstance(value, dict | list) or not value:
        return json.dumps(value, ensure_ascii=False)
    inner = indent + "  "
    if isinstance(value, dict):
        lines = [
            f"{inner}{json.dumps(key, ensure_ascii=False)}: {_json_text(item, inner)}"
            for key, item in value.items()
        ]
    else:
        lines = [inner + _json_text(item, inner) for item in value]
    left, right = ("{", "}") if isinstance(value, dict) else ("[", "]")
    return "{}\n{}\n{}{}".format(left, ",\n".join(lines), indent, right)
