"""Signals that ask a program to stop, heard whichever thread the system hands them to.

A handler of Python's runs in the main thread as soon as that runs Python code again. But the
system may give a signal to any thread, and then a main thread that waits for a lock is not
woken: the program would go on for ever. What `signal.set_wakeup_fd` names is written to at once
by the thread that got the signal; a thread of its own waits for that here.
"""

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, `kill`, and the end of the terminal it was started from."""


@contextmanager
def stop_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Have `stop` called, once, when the first of the signals comes while the block runs.

    It is called on a thread of its own, so it may wait for any lock. From then on Ctrl-C is
    Python's again: whoever is impatient may press it a second time (KeyboardInterrupt). When the
    block has run to its end the program is about to: all three are ignored from then on, so that
    one that comes late does not make a clean end look like another. After an exception they are
    what they were. To be used in the main thread; ValueError elsewhere.
    """

    def handle(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def wait() -> None:
        if reader.recv(1):
            stop()

    reader, writer = socket.socketpair()
    with reader, writer:
        writer.setblocking(False)
        wakeup = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        before = {number: signal.signal(number, handle) for number in STOP_SIGNALS}
        waiting = threading.Thread(target=wait, name="signals", daemon=True)
        waiting.start()
        is_done = False
        try:
            yield
            is_done = True
        finally:
            for number, handler in before.items():
                signal.signal(number, signal.SIG_IGN if is_done else handler)
            signal.set_wakeup_fd(wakeup)
            writer.shutdown(socket.SHUT_WR)
            waiting.join()
