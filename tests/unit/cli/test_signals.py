import os
import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from misocoin.cli.signals import STOP_SIGNALS, stop_signals

DEADLINE = 60.0


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def _to_another_thread(number: int) -> None:
    thread = threading.Thread(target=lambda: signal.pthread_kill(threading.get_ident(), number))
    thread.start()
    thread.join()


@pytest.mark.parametrize("number", STOP_SIGNALS)
@pytest.mark.parametrize("send", [_to_another_thread, lambda number: os.kill(os.getpid(), number)])
def test_the_main_thread_need_not_be_the_one_that_gets_it(
    number: int, send: Callable[[int], None]
) -> None:
    stopping = threading.Event()
    with stop_signals(stopping.set):
        # The main thread is to wait for a lock when it comes, as daemons do.
        sender = threading.Timer(0.05, send, [number])
        sender.start()
        assert stopping.wait(DEADLINE)
        sender.join()


def test_a_second_ctrl_c_is_the_languages_own() -> None:
    calls = []
    called = threading.Event()

    def stop() -> None:
        calls.append(1)
        called.set()

    with stop_signals(stop):
        os.kill(os.getpid(), signal.SIGINT)
        assert called.wait(DEADLINE)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert calls == [1]


def test_one_that_comes_when_all_is_done_changes_nothing() -> None:
    threads = threading.active_count()
    with stop_signals(pytest.fail):
        pass
    for number in STOP_SIGNALS:
        assert signal.getsignal(number) is signal.SIG_IGN
        os.kill(os.getpid(), number)
    assert threading.active_count() == threads
    assert signal.set_wakeup_fd(-1) == -1


def test_a_failure_leaves_everything_as_it_was() -> None:
    before = [signal.getsignal(number) for number in STOP_SIGNALS]
    threads = threading.active_count()
    with pytest.raises(ZeroDivisionError), stop_signals(pytest.fail):
        assert [signal.getsignal(number) for number in STOP_SIGNALS] != before
        raise ZeroDivisionError
    assert [signal.getsignal(number) for number in STOP_SIGNALS] == before
    assert threading.active_count() == threads
    assert signal.set_wakeup_fd(-1) == -1
