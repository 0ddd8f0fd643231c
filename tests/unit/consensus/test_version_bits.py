"""BIP9's states, period by period, and the version that follows from them."""

import pytest

from misocoin.consensus.tree import HeaderNode
from misocoin.consensus.version_bits import (
    DeploymentState,
    calculate_block_version,
    count_signals,
    deployment_progress,
    is_signalling,
)
from misocoin.params import Deployment, bitcoin, miso, regtest
from misocoin.primitives.block import NULL_HASH, BlockHeader

PLAIN, SIGNAL = 0x20000000, 0x20000004
FORK = Deployment("fork", bit=2, period=4, threshold=3, start_time=10, timeout=30)


def chain(*versions: int, time: int = 100, step: int = 0) -> list[HeaderNode]:
    """Blocks with these versions; the first one is genesis."""
    nodes: list[HeaderNode] = []
    for height, version in enumerate(versions):
        parent = nodes[-1] if nodes else None
        previous = NULL_HASH if parent is None else parent.hash
        header = BlockHeader.build(
            version, previous, bytes(32), time + step * height, 0x207FFFFF, 0
        )
        nodes.append(HeaderNode(header, parent))
    return nodes


def states(fork: Deployment, *versions: int, time: int = 100, step: int = 0) -> str:
    """The first letters of the states of all blocks and of the one after them."""
    nodes = [None, *chain(*versions, time=time, step=step)]
    return "".join(deployment_progress(node, fork).state.name[0] for node in nodes)


@pytest.mark.parametrize(
    ("signals", "expected"),
    [
        ("---- ---- ---- ----", "DDDD SSSS SSSS SSSS S"),
        ("#### ###- ---- ----", "DDDD SSSS LLLL AAAA A"),
        ("#### ##-- -### ----", "DDDD SSSS SSSS LLLL A"),
        ("#### #### #### #### -", "DDDD SSSS LLLL AAAA AA"),
    ],
)
def test_signals_lock_it_in_and_a_period_later_it_holds(signals: str, expected: str) -> None:
    endless = Deployment("fork", bit=2, period=4, threshold=3, start_time=10)
    versions = [SIGNAL if each == "#" else PLAIN for each in signals.replace(" ", "")]
    assert states(endless, *versions) == expected.replace(" ", "")


def test_it_begins_with_its_time_and_fails_after_it() -> None:
    assert states(FORK, *[PLAIN] * 8, time=0) == "DDDDDDDDD"
    # The median of the last eleven blocks lags behind the last one's time.
    assert states(FORK, *[PLAIN] * 24, step=2, time=0) == "D" * 12 + "S" * 12 + "F"
    late = states(FORK, *[PLAIN] * 16, time=50)
    assert late == "DDDDSSSS" + "F" * 9
    # In its last period signals count for more than time.
    assert states(FORK, *[PLAIN] * 4, *[SIGNAL] * 8, time=50) == "DDDDSSSSLLLLA"


def test_it_holds_from_no_lower_height_on() -> None:
    fork = Deployment("fork", bit=2, period=4, threshold=3, min_activation_height=13)
    progress = [deployment_progress(node, fork) for node in chain(*[SIGNAL] * 17)]
    assert [each.state for each in progress[7:16]] == [DeploymentState.LOCKED_IN] * 8 + [
        DeploymentState.ACTIVE
    ]
    assert (progress[8].since, progress[16].since) == (8, 16)


def test_only_versions_with_the_top_bits_signal() -> None:
    nodes = chain(SIGNAL, 4, 0x60000004, -0x5FFFFFFC, 0x20000008, 0x2000000C)
    assert [is_signalling(node, FORK) for node in nodes] == [True, False, False, False, False, True]
    assert count_signals(nodes[-1], 0, FORK) == 2
    assert count_signals(nodes[-1], 1, FORK) == 1


def test_regtest_signals_its_dummy_as_core_does() -> None:
    """From block 144 to 431; a real bitcoind's blocks have these versions."""
    params = regtest()
    (dummy,) = params.deployments
    assert (dummy.name, dummy.bit, dummy.period, dummy.threshold) == ("testdummy", 28, 144, 108)
    nodes = chain(1)
    while len(nodes) < 440:
        parent = nodes[-1]
        version = calculate_block_version(parent, params)
        assert version == (0x30000000 if 144 <= len(nodes) < 432 else 0x20000000), len(nodes)
        header = BlockHeader.build(version, parent.hash, bytes(32), 100, 0x207FFFFF, 0)
        nodes.append(HeaderNode(header, parent))
    assert deployment_progress(nodes[-1], dummy) == (DeploymentState.ACTIVE, 432)


def test_others_decide_nothing() -> None:
    for params in (miso(), bitcoin()):
        assert params.deployments == ()
