"""`getdeploymentinfo`: which soft forks hold, in Core's form."""

from typing import Any

from misocoin.consensus.deployments import script_flags_at
from misocoin.consensus.tree import HeaderNode
from misocoin.consensus.version_bits import (
    SIGNALLED,
    DeploymentState,
    deployment_progress,
    is_signalling,
)
from misocoin.params import Deployment, Params
from misocoin.primitives.block import NULL_HASH
from misocoin.rpc.json import Json
from misocoin.rpc.schema import array, boolean, hexadecimal, mapping, number, obj, optional, text
from misocoin.script.flags import FLAGS_BY_NAME

_NO_TIMEOUT = (1 << 63) - 1
_ALWAYS_ACTIVE = -1

_SCRIPT_FLAGS = (
    "CHECKLOCKTIMEVERIFY",
    "CHECKSEQUENCEVERIFY",
    "DERSIG",
    "NULLDUMMY",
    "P2SH",
    "TAPROOT",
    "WITNESS",
)

DEPLOYMENT_INFO = obj(
    "",
    hash=hexadecimal("of the block"),
    height=number("of the block"),
    script_flags=array("what scripts in the next block are checked for", text("a flag")),
    deployments=mapping(
        "by name",
        obj(
            "a soft fork",
            type=text("buried: from a height on; bip9: by signals in versions"),
            height=optional(number("from which on it holds")),
            active=boolean("whether it holds for the next block"),
            bip9=optional(
                obj(
                    "how it was decided",
                    bit=optional(number("of the version, while it is signalled")),
                    start_time=number("unix time; -1: it always held"),
                    timeout=number("unix time"),
                    min_activation_height=number("first height it may hold at"),
                    status=text("at this block"),
                    since=number("height from which on it has that status"),
                    status_next=text("at the next block"),
                    statistics=optional(
                        obj(
                            "of this block's period, while it is signalled",
                            period=number("blocks that are counted together"),
                            elapsed=number("blocks so far"),
                            count=number("those that signal"),
                            threshold=optional(number("signals that lock it in")),
                            possible=optional(boolean("whether so many can still come")),
                        )
                    ),
                    signalling=optional(text("a character a block: # signals, - does not")),
                )
            ),
        ),
    ),
)


def deployments_json(node: HeaderNode, params: Params) -> Json:
    """What holds for the child of `node`."""
    height = node.height + 1
    active = params.activation
    forks: dict[str, Any] = {
        name: {"type": "buried", "active": height >= start, "height": start}
        for name, start in (
            ("bip34", active.bip34),
            ("bip66", active.bip66),
            ("bip65", active.bip65),
            ("csv", active.csv),
            ("segwit", active.segwit),
        )
    }
    for deployment in params.deployments:
        forks[deployment.name] = _deployment_json(node, deployment)
    # The rules hold from genesis on here (but for listed blocks), as Core checks them, too.
    forks["taproot"] = {
        "type": "bip9",
        "height": 0,
        "active": True,
        "bip9": {
            "start_time": _ALWAYS_ACTIVE,
            "timeout": _NO_TIMEOUT,
            "min_activation_height": 0,
            "status": "active",
            "since": 0,
            "status_next": "active",
        },
    }
    flags = script_flags_at(height, NULL_HASH, params)
    return {
        "hash": node.header.hash_hex,
        "height": node.height,
        "script_flags": [name for name in _SCRIPT_FLAGS if flags & FLAGS_BY_NAME[name]],
        "deployments": forks,
    }


def _deployment_json(node: HeaderNode, deployment: Deployment) -> dict[str, Any]:
    now = deployment_progress(node.parent, deployment)
    following = deployment_progress(node, deployment)
    bip9: dict[str, Any] = {
        "start_time": deployment.start_time,
        "timeout": deployment.timeout,
        "min_activation_height": deployment.min_activation_height,
        "status": now.state.value,
        "since": now.since,
        "status_next": following.state.value,
    }
    if now.state in SIGNALLED:
        bip9 = {"bit": deployment.bit, **bip9, **_signals_json(node, deployment)}
        if now.state is DeploymentState.LOCKED_IN:
            del bip9["statistics"]["threshold"], bip9["statistics"]["possible"]
    is_active = following.state is DeploymentState.ACTIVE
    height = {"height": following.since} if is_active else {}
    return {"type": "bip9", **height, "active": is_active, "bip9": bip9}


def _signals_json(node: HeaderNode, deployment: Deployment) -> dict[str, Any]:
    """What the blocks of a period have signalled, up to this one."""
    elapsed = node.height % deployment.period + 1
    first = node.ancestor(node.height + 1 - elapsed)
    blocks = [*reversed(list(node.back_to(first)))]
    marks = "".join("-#"[is_signalling(each, deployment)] for each in (first, *blocks))
    count = marks.count("#")
    missing = deployment.threshold - count
    return {
        "statistics": {
            "period": deployment.period,
            "elapsed": elapsed,
            "count": count,
            "threshold": deployment.threshold,
            "possible": deployment.period - elapsed >= missing,
        },
        "signalling": marks,
    }
