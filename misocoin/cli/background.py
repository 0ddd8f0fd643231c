"""Running in the background, as bitcoind does with `-daemon` and `-daemonwait`."""

import os
import sys
from collections.abc import Callable

READY = b"r"
"""What the background process writes when it serves."""


def detach(waits: bool) -> Callable[[], None]:
    """Go on as a process in a session of its own; the command that was typed ends.

    With `waits` it ends when what is returned here is called (exit code 0), or when this process
    ends without that (exit code 1), and until then this process keeps the terminal's output, for
    an error. Otherwise it ends at once. To be called before any thread is started.
    """
    from_child, to_parent = os.pipe()
    if os.fork():
        os.close(to_parent)
        _leave(0 if not waits or os.read(from_child, 1) == READY else 1)
    os.close(from_child)
    os.setsid()
    if os.fork():
        # Without the session's first process it can never get a terminal again.
        _leave(0)
    if not waits:
        _let_go_of_terminal()

    def tell_ready() -> None:
        if waits:
            _let_go_of_terminal()
            os.write(to_parent, READY)
        os.close(to_parent)

    return tell_ready


def _let_go_of_terminal() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    os.close(nothing)


def _leave(code: int) -> None:
    # Not sys.exit: whatever is registered for the end belongs to the process that goes on.
    sys.stdout.flush()
    os._exit(code)
