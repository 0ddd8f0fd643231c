"""What the command line tool shows in place of a method: `-getinfo`, `-netinfo`, `-generate`.

As in bitcoin-cli each asks several methods and writes what they say for people.
"""

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

from misocoin.errors import MisocoinError

Call = Callable[..., Any]
"""Calls a method with texts as parameters; numbers in its result are texts as they were written."""


def show(what: str, words: Sequence[str], call: Call) -> str:
    """What to print for `getinfo`, `netinfo` or `generate`; `words` stand behind it.

    Raises MisocoinError where the words are wrong or a call fails.
    """
    most = {"getinfo": 0, "netinfo": 1, "generate": 2}[what]
    if len(words) > most:
        raise MisocoinError(f"-{what} takes {most or 'no'} arguments")
    if what == "getinfo":
        return _info(call)
    if what == "netinfo":
        return _netinfo(call, int(words[0]) if words and words[0].isdecimal() else 0)
    return _generate(call, words)


def _info(call: Call) -> str:
    chain, network = call("getblockchaininfo"), call("getnetworkinfo")
    lines = [
        f"Chain: {chain['chain']}",
        f"Blocks: {chain['blocks']}",
        f"Headers: {chain['headers']}",
        f"Verification progress: {float(chain['verificationprogress']):.4%}",
        f"Difficulty: {chain['difficulty']}",
        "",
        f"Network: in {network['connections_in']}, out {network['connections_out']}, "
        f"total {network['connections']}",
        f"Version: {network['version']}",
        f"Time offset (s): {network['timeoffset']}",
        "Proxies: n/a",
        f"Min tx relay fee rate (coins/kvB): {network['relayfee']}",
    ]
    wallet, balances = call("getwalletinfo"), call("getbalances")
    lines += [
        "",
        f"Wallet: {json.dumps(wallet['walletname'])}",
        f"Keypool size: {wallet['keypoolsize']}",
    ]
    if "unlocked_until" in wallet:
        lines.append(f"Unlocked until: {wallet['unlocked_until']}")
    lines += [
        "",
        f"Balance: {balances['mine']['trusted']}",
        "",
        f"Warnings: {' '.join(chain['warnings']) or '(none)'}",
    ]
    return "\n".join(lines)


def _netinfo(call: Call, level: int) -> str:
    """The links: counted, and from level 1 on listed."""
    network, peers = call("getnetworkinfo"), call("getpeerinfo")
    lines = [f"{network['subversion'].strip('/')}, interface of Core {network['version']}", ""]
    if level:
        now = time.time()
        lines.append(f"{'<->':4} {'type':9} {'height':>8} {'minutes':>8}  address and program")
        for peer in peers:
            way = "in" if peer["inbound"] else "out"
            minutes = max(0, int(now) - int(peer["conntime"])) // 60
            kind = peer["connection_type"].split("-", 1)[0]
            lines.append(
                f"{way:4} {kind:9} {peer['synced_headers']:>8} {minutes:>8}  {peer['addr']} "
                f"{peer['subver']}"
            )
        lines.append("")
    inbound = [peer["inbound"] for peer in peers]
    lines += [
        f"{'':8}{'in':>6}{'out':>6}{'total':>6}",
        f"{'links':8}{sum(inbound):>6}{len(peers) - sum(inbound):>6}{len(peers):>6}",
    ]
    return "\n".join(lines)


def _generate(call: Call, words: Sequence[str]) -> str:
    """Mine to a new address of the wallet: how many blocks, and Core's limit of tries."""
    address = call("getnewaddress")
    count, *tries = words or ("1",)
    blocks = call("generatetoaddress", count, address, *tries)
    return json.dumps({"address": address, "blocks": blocks}, indent=2)
