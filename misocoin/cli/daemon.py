"""The daemon: options, messages and signals around a node.

    misocoind [options]

It runs in the foreground, with `-daemon` in the background, until Ctrl-C, SIGTERM, SIGHUP or the
method `stop`, and then writes what it holds in memory to disk. Exit code 0 after a clean stop, 1
where it could not start (as bitcoind), 130 after a second Ctrl-C, which does not wait for the
first; nothing acknowledged is lost even then.
"""

import logging
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from misocoin.cli.background import detach
from misocoin.cli.logs import set_up_logging
from misocoin.cli.output import run_printing
from misocoin.cli.progress import Progress
from misocoin.cli.signals import stop_signals
from misocoin.config import Config, daemon_config
from misocoin.errors import ConfigError, MisocoinError
from misocoin.node import Node
from misocoin.option_table import Program, options_of
from misocoin.options import help_text
from misocoin.pow.engines import missing_native_notice
from misocoin.version import VERSION

log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the daemon until it is told to stop; returns its exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    return run_printing("misocoind", lambda: _run_told(words))


def _run_told(arguments: Sequence[str]) -> int:
    try:
        config, line = daemon_config(arguments, os.environ)
        if line.version:
            print(f"Misocoin daemon version {VERSION}")
            return 0
        if line.help:
            print(f"Usage: misocoind [options]\n\n{help_text(options_of(Program.DAEMON))}", end="")
            return 0
        return _run_configured(config)
    except MisocoinError as error:
        print(f"misocoind: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _run_configured(config: Config) -> int:
    """Run where the configuration says, with messages where it says."""
    log_file = None if config.log_file is None else _open_log(config.log_file, config.log_link)
    tell_ready = None
    if config.background:
        print("Misocoin daemon starting", flush=True)
        tell_ready = detach(config.waits_for_start)
    set_up_logging(config.loglevel, config.logjson, log_file)
    try:
        return run(config, tell_ready)
    except MisocoinError as error:
        if log_file is not None:
            log.error("%s", error)  # noqa: TRY400 - one line says it
        raise


def _open_log(path: Path, link: Path | None) -> TextIO:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if link is not None and not link.exists():
            link.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            link.symlink_to(os.path.relpath(path, link.parent))
        return path.open("a", buffering=1, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"messages cannot go to {path}: {error.strerror}") from None


def run(config: Config, tell_ready: Callable[[], None] | None = None) -> int:
    """Run a node until a signal or a call stops it; `tell_ready` is called when it serves."""
    for note in config.notes:
        log.warning("%s", note)
    node = Node(config, Progress)
    with stop_signals(node.request_stop):
        node.start()
        try:
            _leave_pid(config.pid_files)
            _welcome(node)
            if tell_ready is not None:
                tell_ready()
            node.run_imports()
            node.start_mining()
            node.wait()
            log.info("stopping")
        finally:
            node.stop()
            for path in config.pid_files:
                path.unlink(missing_ok=True)
            for path in config.cookie_copies:
                with suppress(OSError):
                    path.parent.rmdir()
    log.info("stopped")
    return 0


def _leave_pid(paths: Sequence[Path]) -> None:
    for path in paths:
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            path.write_text(f"{os.getpid()}\n", "ascii")
        except OSError as error:
            raise ConfigError(f"-pid={path} cannot be written: {error.strerror}") from None


def _welcome(node: Node) -> None:
    places = node.server.addresses
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
    shown = [
        f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        for host, port in places
    ]
    log.info("listening on %s", " and ".join(shown))
