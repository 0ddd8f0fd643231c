"""Libraries that others wrote, at work on a node: they build, sign, send and read.

What each does stands in `tool_scripts`, run in an environment of its own.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.functional.conftest import Node
from tests.functional.framework.registries import Registries, find_program, run

pytestmark = pytest.mark.tools

SCRIPTS = Path(__file__).parent / "tool_scripts"
BITCOINJS = ("bitcoinjs-lib@7", "ecpair@3", "tiny-secp256k1@2", "rpc-bitcoin@2")


@pytest.fixture
def node(any_node: Node) -> Node:
    """Ours, and a real bitcoind, on which all of this goes as well."""
    return any_node


def result_of(*command: str | Path, environment: dict[str, str] | None = None) -> Any:
    ended = run(command, environment=environment)
    assert ended.returncode == 0, ended.stderr + ended.stdout
    return json.loads(ended.stdout)


def url_of(node: Node) -> str:
    return f"http://{':'.join(node.credentials)}@127.0.0.1:{node.port}"


def check_spends(node: Node, sent: dict[str, str], kinds: set[str]) -> None:
    assert set(sent) == kinds
    for txid in sent.values():
        assert node.rpc.getrawtransaction(txid, 1)["confirmations"] >= 1
    assert node.rpc.verifychain(4, 0) is True


def test_bitcoin_utils_spends_coins_of_every_kind(registries: Registries, node: Node) -> None:
    python = registries.python("bitcoin-utils==0.8.8") / "python"
    sent = result_of(python, SCRIPTS / "bitcoin_utils.py", *node.credentials, str(node.port))
    kinds = {"p2pkh", "p2sh multisig", "p2wpkh", "p2sh-p2wpkh", "p2wsh"}
    check_spends(node, sent, kinds | {"p2tr key", "p2tr script"})


def test_python_bitcoinlib_spends_coins_of_the_kinds_it_knows(
    registries: Registries, node: Node
) -> None:
    python = registries.python("python-bitcoinlib==0.12.2") / "python"
    sent = result_of(python, SCRIPTS / "python_bitcoinlib.py", url_of(node))
    kinds = {"p2pkh", "p2sh multisig", "p2wpkh", "p2sh-p2wpkh", "p2wsh multisig"}
    check_spends(node, sent, kinds)


def test_python_bitcoinrpc_pays_and_reads_errors(registries: Registries, node: Node) -> None:
    python = registries.python("python-bitcoinrpc==1.0") / "python"
    answer = result_of(python, SCRIPTS / "python_bitcoinrpc.py", url_of(node))
    assert answer["refused"] == [-5, -8, -22, -32601]
    assert node.rpc.gettransaction(answer["txid"])["confirmations"] == 1


def test_bitcoinlib_looks_pays_and_signs(
    registries: Registries, node: Node, tmp_path: Path
) -> None:
    python = registries.python("bitcoinlib==0.7.10") / "python"
    home = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}  # it keeps a folder there
    sent = result_of(python, SCRIPTS / "bitcoinlib_service.py", url_of(node), environment=home)
    check_spends(node, sent, {"legacy", "p2sh-segwit", "segwit"})


def test_bitcoinjs_and_rpc_bitcoin_spend_coins_of_every_kind(
    registries: Registries, node: Node
) -> None:
    program = find_program("node")
    modules = registries.npm(*BITCOINJS) / "node_modules"
    script = SCRIPTS / "bitcoinjs_lib.cjs"
    sent = result_of(program, script, modules, *node.credentials, str(node.port))
    kinds = {"p2pkh", "p2sh multisig", "p2wpkh", "p2sh-p2wpkh", "p2wsh multisig"}
    check_spends(node, sent, kinds | {"p2tr key", "p2tr script"})
