"""Soft forks that miners decide by bits of their blocks' versions (BIP9, as BIP341 amends it).

The state is the same for all blocks of a period; it follows from the periods before.
"""

from enum import Enum
from typing import NamedTuple

from misocoin.consensus.tree import HeaderNode
from misocoin.params import Deployment, Params

VERSION_TOP = 0x20000000
"""The version of a block that signals nothing: the three highest bits say that the others count."""

_TOP_MASK = 0xE0000000


class DeploymentState(Enum):
    """How far a soft fork has come; the values are Core's words."""

    DEFINED = "defined"
    """It is not time yet."""
    STARTED = "started"
    """Miners decide."""
    LOCKED_IN = "locked_in"
    """They have; it holds from the next period on, or from its least height."""
    ACTIVE = "active"
    """It holds."""
    FAILED = "failed"
    """They did not in time."""


SIGNALLED = (DeploymentState.STARTED, DeploymentState.LOCKED_IN)
"""The states in which blocks set the bit."""


class Progress(NamedTuple):
    """A state, and since when it has been so."""

    state: DeploymentState
    since: int
    """Height of the first block with that state."""


def is_signalling(node: HeaderNode, deployment: Deployment) -> bool:
    """Whether a block's version has the deployment's bit."""
    version = node.header.version
    return version & _TOP_MASK == VERSION_TOP and bool(version >> deployment.bit & 1)


def count_signals(last: HeaderNode, first_height: int, deployment: Deployment) -> int:
    """How many blocks signal, of those from `first_height` up to `last`."""
    count, node = 0, last
    while node.height >= first_height:
        count += is_signalling(node, deployment)
        if node.parent is None:
            break
        node = node.parent
    return count


def deployment_progress(parent: HeaderNode | None, deployment: Deployment) -> Progress:
    """What holds for the child of `parent`; None is the parent of genesis."""
    state, since = DeploymentState.DEFINED, 0
    if parent is None:
        return Progress(state, since)
    period = deployment.period
    for start in range(period, parent.height + 2, period):
        last = parent.ancestor(start - 1)
        following = _next_state(state, last, start, deployment)
        if following is not state:
            state, since = following, start
        if state in (DeploymentState.ACTIVE, DeploymentState.FAILED):
            break
    return Progress(state, since)


def _next_state(
    state: DeploymentState, last: HeaderNode, start: int, deployment: Deployment
) -> DeploymentState:
    """The state of the period from `start` on; `last` is the block before it."""
    time = last.median_time_past
    if state is DeploymentState.DEFINED and time >= deployment.start_time:
        return DeploymentState.STARTED
    if state is DeploymentState.STARTED:
        count = count_signals(last, start - deployment.period, deployment)
        if count >= deployment.threshold:
            return DeploymentState.LOCKED_IN
        return DeploymentState.FAILED if time >= deployment.timeout else state
    if state is DeploymentState.LOCKED_IN and start >= deployment.min_activation_height:
        return DeploymentState.ACTIVE
    return state


def calculate_block_version(parent: HeaderNode, params: Params) -> int:
    """The version of the next block: it signals what is to be decided, or has been."""
    version = VERSION_TOP
    for deployment in params.deployments:
        if deployment_progress(parent, deployment).state in SIGNALLED:
            version |= 1 << deployment.bit
    return version
