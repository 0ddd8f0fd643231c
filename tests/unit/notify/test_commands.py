"""The owner's commands: what is put into them, when, and how they are run."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from misocoin.chain.events import TransactionAdded
from misocoin.chain.state import ChainState
from misocoin.notify.commands import (
    CommandNotifier,
    CommandRunner,
    Templates,
    fill,
    transaction_values,
)
from tests.builders import grow, make_outpoint, memory_chain, small_params, spend

PARAMS = small_params()
TX = spend([make_outpoint(1)], [1])


@pytest.fixture
def chain() -> Iterator[ChainState]:
    with memory_chain(PARAMS) as made:
        yield made


def test_values_are_put_in_once() -> None:
    assert fill("a %s %b 100%% %x %", {"s": "%b", "b": "B"}) == "a %b B 100%% %x %"


def test_the_wallet_s_name_is_quoted_for_the_shell() -> None:
    values = transaction_values("aa", None, "x; rm -rf ~")
    assert values == {"s": "aa", "b": "unconfirmed", "h": "-1", "w": "'x; rm -rf ~'"}


def test_which_commands_follow_from_what_happens(chain: ChainState) -> None:
    commands: list[str] = []
    block, other = grow(chain.tip, PARAMS, 2)
    own = {TX.txid, block.transactions[0].txid}
    notifier = CommandNotifier(
        Templates("tip %s", "tx %s %b %h %w"),
        commands.append,
        lambda: chain.best_header,
        own.__contains__,
        lambda: "main",
    )
    chain.events.subscribe(notifier.handle)
    chain.submit_block(block)
    mined = block.transactions[0].txid_hex
    tip = block.header.hash_hex
    assert commands == [f"tx {mined} {tip} 1 main", f"tip {tip}"]
    commands.clear()
    chain.events.publish(TransactionAdded(TX, 1))
    chain.submit_block(other)
    assert commands == [
        f"tx {TX.txid_hex} unconfirmed -1 main",
        f"tip {other.header.hash_hex}",
    ]


def test_while_it_catches_up_no_command_is_run_for_each_block(chain: ChainState) -> None:
    commands: list[str] = []
    notifier = CommandNotifier(
        Templates("tip %s"), commands.append, lambda: chain.best_header, lambda _: False
    )
    chain.events.subscribe(notifier.handle)
    blocks = grow(chain.tip, PARAMS, 147)
    chain.accept_headers([block.header for block in blocks])
    for block in blocks:
        chain.submit_block(block)
    assert len(commands) == 145


def test_commands_are_run_by_the_shell_and_failures_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    runner = CommandRunner(running=2)
    for number in range(5):
        runner.run(f"echo {number} >> {tmp_path}/out")
    runner.run("exit 3")
    assert runner.wait(60)
    assert sorted((tmp_path / "out").read_text().split()) == ["0", "1", "2", "3", "4"]
    assert "exit 3 ended with 3" in caplog.text


def test_what_is_too_much_is_dropped_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runner = CommandRunner(running=1, waiting=1)
    gate = tmp_path / "gate"
    for _ in range(10):
        runner.run(f"while [ ! -e {gate} ]; do sleep 0.01; done; echo x >> {tmp_path}/out")
    gate.touch()
    assert runner.wait(60)
    runner.run("true")
    assert runner.wait(60)
    assert "commands were not run" in caplog.text
    assert 1 <= (tmp_path / "out").read_text().count("x") <= 2
