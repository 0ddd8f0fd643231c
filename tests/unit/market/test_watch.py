import threading

from misocoin.market.rate import MAX_ADDRESSES, RateLimit
from misocoin.market.watch import Watch


def test_who_waits_is_woken_by_its_key():
    watch = Watch(look_again=30)
    looks = []
    seen = threading.Event()

    def look():
        looks.append(1)
        seen.set()
        return len(looks) > 1

    thread = threading.Thread(target=watch.wait_for, args=("k", look, 30))
    thread.start()
    assert seen.wait(60)
    watch.wake(["other"])
    watch.wake(["k"])
    thread.join(60)
    assert not thread.is_alive()
    assert len(looks) == 2


def test_a_change_while_one_looks_is_not_missed():
    watch = Watch(look_again=30)
    looks = []

    def look():
        looks.append(1)
        if len(looks) == 1:
            watch.wake(["k"])  # after the look began, before the wait does
            return False
        return True

    assert watch.wait_for("k", look, 30)
    assert len(looks) == 2


def test_time_runs_out():
    assert Watch(look_again=0.01).wait_for("k", lambda: None, 0.05) is None
    assert Watch().wait_for("k", lambda: 0, 0) == 0


def test_a_rate_is_held_and_comes_back():
    time = [0.0]
    rate = RateLimit(2, 3, lambda: time[0])
    assert [rate.is_free("a") for _ in range(5)] == [True, True, True, False, False]
    assert rate.is_free("b")
    time[0] += 0.5
    assert [rate.is_free("a") for _ in range(2)] == [True, False]
    time[0] += 100
    assert [rate.is_free("a") for _ in range(4)] == [True, True, True, False]


def test_the_silent_are_forgotten():
    rate = RateLimit(0, 1, lambda: 0.0)
    assert rate.is_free("first")
    assert not rate.is_free("first")
    for number in range(MAX_ADDRESSES):
        rate.is_free(str(number))
    assert rate.is_free("first")
