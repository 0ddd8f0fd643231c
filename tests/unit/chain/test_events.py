import logging

from misocoin.chain.events import EventBus, TransactionRemoved
from tests.builders import make_outpoint, spend

EVENT = TransactionRemoved(spend([make_outpoint(1)], [1]), "expiry")


def test_everyone_is_told_in_the_order_they_came():
    bus = EventBus()
    heard = []
    bus.publish(EVENT)
    bus.subscribe(lambda event: heard.append((1, event)))
    bus.subscribe(lambda event: heard.append((2, event)))
    bus.publish(EVENT)
    assert heard == [(1, EVENT), (2, EVENT)]


def test_who_ends_the_subscription_hears_no_more():
    bus = EventBus()
    heard = []
    leave = bus.subscribe(lambda _event: heard.append("first"))
    bus.subscribe(lambda _event: heard.append("second"))
    leave()
    leave()
    bus.publish(EVENT)
    assert heard == ["second"]


def test_one_that_fails_harms_nobody_else(caplog):
    bus = EventBus()
    heard = []

    def fail(_event):
        raise RuntimeError("oh no")

    bus.subscribe(fail)
    bus.subscribe(heard.append)
    with caplog.at_level(logging.ERROR):
        bus.publish(EVENT)
    assert heard == [EVENT]
    assert "a subscriber failed at TransactionRemoved" in caplog.text
    assert "oh no" in caplog.text


def test_subscribing_while_being_told_counts_from_the_next_event_on():
    bus = EventBus()
    heard = []
    bus.subscribe(lambda _event: bus.subscribe(heard.append) and None)
    bus.publish(EVENT)
    assert heard == []
    bus.publish(EVENT)
    assert heard == [EVENT]
