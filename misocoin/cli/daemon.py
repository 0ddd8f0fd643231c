"""The daemon: options, messages and signals around a node.

    misocoind [options]

It runs in the foreground until Ctrl-C, SIGTERM, SIGHUP or the method `stop`, and then writes what
it holds in memory to disk. Exit code 0 after a clean stop, 1 where it could not start (as
bitcoind), 130 after a second Ctrl-C, which does not wait for the first; nothing acknowledged is
lost even then.
"""

import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType

from misocoin.cli.logs import set_up_logging
from misocoin.cli.progress import Progress
from misocoin.config import Config, daemon_config
from misocoin.errors import MisocoinError
from misocoin.node import Node
from misocoin.option_table import Program, options_of
from misocoin.options import help_text
from misocoin.pow.engines import missing_native_notice
from misocoin.version import VERSION

log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the daemon until it is told to stop; returns its exit code."""
    try:
        config, line = daemon_config(sys.argv[1:] if arguments is None else arguments, os.environ)
        if line.version:
            print(f"Misocoin daemon version {VERSION}")
            return 0
        if line.help:
            print(f"Usage: misocoind [options]\n\n{help_text(options_of(Program.DAEMON))}", end="")
            return 0
        set_up_logging(config.loglevel, config.logjson)
        return run(config)
    except MisocoinError as error:
        print(f"misocoind: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def run(config: Config) -> int:
    """Run a node until a signal or a call stops it."""
    node = Node(config, Progress)
    _stop_on_signals(node)
    node.start()
    try:
        _welcome(node)
        node.run_imports()
        node.start_mining()
        node.wait()
        log.info("stopping")
    finally:
        node.stop()
    log.info("stopped")
    return 0


def _stop_on_signals(node: Node) -> None:
    def handle(_number: int, _frame: FrameType | None) -> None:
        # Whoever is impatient may press Ctrl-C again.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # The handler runs inside whatever the main thread was doing, which may hold the very
        # lock that this needs; another thread can wait for it.
        threading.Thread(target=node.request_stop, name="stop", daemon=True).start()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # HUP: its terminal was closed
        signal.signal(number, handle)


def _welcome(node: Node) -> None:
    host, port = node.server.address
    config = node.config
    tip = node.chain.tip
    log.info("Misocoin %s on %s, at height %d", VERSION, config.chain, tip.height)
    log.info("address %s", node.wallet.address)
    log.info("data in %s", config.data_folder or "memory only")
    notice = missing_native_notice()
    if notice is not None:
        log.warning("%s", notice)
    if config.mine:
        threads = f"{config.threads} thread" + ("s" if config.threads > 1 else "")
        log.info("mining with %s", threads)
    # Last: whoever waits for this line finds all of it told.
    log.info("listening on http://%s:%d", f"[{host}]" if ":" in host else host, port)
