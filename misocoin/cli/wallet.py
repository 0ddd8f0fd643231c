"""The command `wallet`: keys and payments apart from any node.

misocoin wallet <command> [options]
"""

import sys
from collections.abc import Sequence

from misocoin.cli.command import run_group
from misocoin.cli.wallet_headers import COMMANDS as HEADER_COMMANDS
from misocoin.cli.wallet_keys import COMMANDS as KEY_COMMANDS
from misocoin.cli.wallet_money import COMMANDS as MONEY_COMMANDS
from misocoin.cli.wallet_psbt import COMMANDS as PSBT_COMMANDS
from misocoin.cli.wallet_send import COMMANDS as SEND_COMMANDS
from misocoin.cli.wallet_sync import COMMANDS as SYNC_COMMANDS

PROGRAM = "misocoin wallet"

COMMANDS = (
    *KEY_COMMANDS,
    *MONEY_COMMANDS,
    *SEND_COMMANDS,
    *PSBT_COMMANDS,
    *SYNC_COMMANDS,
    *HEADER_COMMANDS,
)
"""In the order of the overview."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    return run_group(PROGRAM, COMMANDS, sys.argv[1:] if arguments is None else arguments)
