"""The service in memory: fairness, leases, limits, deadlines and rights."""

from base64 import b64decode

import pytest

from misocoin.work.admission import Limits, Tokens
from misocoin.work.service import Access
from tests.functional.framework.work import base64_text, search, target_for
from tests.unit.work.rig import Rig

TARGET = target_for(50)
HARD = target_for(1 << 40)


def job(number, target=TARGET):
    """The fields of a job of its own."""
    return {
        "method": "do_pow",
        "target": target,
        "initialHash": base64_text(number.to_bytes(64, "big")),
    }


def number_of(work):
    return int.from_bytes(b64decode(work["initialHash"]), "big")


def winner(number, target=TARGET):
    return search(number.to_bytes(64, "big"), target)[0]


def original_result(number, target=TARGET):
    nonce, value = search(number.to_bytes(64, "big"), target)
    text = base64_text(number.to_bytes(64, "big"))
    return {"method": "push_result", "nonce": nonce, "trialValue": value, "initialHash": text}


# -- polls ------------------------------------------------------------------------------------


def test_a_poll_ends_after_20_seconds():
    rig = Rig()
    miner = rig.connect()
    miner.send(method="get_work")
    rig.pass_time(19.9)
    assert miner.answers() == []
    rig.pass_time(0.2)
    assert miner.answer() == {"status": "NO_DATA"}


def test_a_framed_poll_ends_when_it_says():
    rig = Rig()
    miner = rig.framed()
    miner.send(id=1, method="get_work", wait=3)
    miner.send(id=2, method="get_work", wait=0)
    rig.pass_time(0.25)
    assert miner.answer() == {"id": 2, "status": "no_data"}
    rig.pass_time(3)
    assert miner.answer() == {"id": 1, "status": "no_data"}


def test_miners_are_served_in_order_of_arrival():
    rig = Rig()
    miners = [rig.connect() for _ in range(3)]
    for miner in miners:
        miner.send(method="get_work")
    client = rig.connect()
    for number in range(2):
        client.send(**job(number))
    assert [number_of(miner.answer()) for miner in miners[:2]] == [0, 1]
    assert miners[2].answers() == []


# -- fairness ---------------------------------------------------------------------------------


def take_all(rig, count):
    miner = rig.framed("192.0.2.99")
    taken = []
    for i in range(count):
        miner.send(id=i, method="get_work")
        work = miner.answer()
        taken.append(number_of(work))
        miner.send(id="p", method="push_result", lease=work["lease"], nonce=winner(taken[-1]))
        assert miner.answer()["status"] == "ok"
    return taken


def test_clients_take_turns_whatever_they_pile_up():
    rig = Rig()
    greedy, modest = rig.connect("192.0.2.1"), rig.connect("192.0.2.2")
    for number in range(10):
        greedy.send(**job(number))
    for number in range(100, 103):
        modest.send(**job(number))
    assert take_all(rig, 13) == [0, 100, 1, 101, 2, 102, 3, 4, 5, 6, 7, 8, 9]


def test_shares_are_of_hashes_not_of_jobs():
    rig = Rig()
    heavy, light = rig.connect("192.0.2.1"), rig.connect("192.0.2.2")
    for number in range(3):
        heavy.send(**job(number, target_for(400)))
    for number in range(100, 110):
        light.send(**job(number, target_for(100)))
    order = []
    miner = rig.framed("192.0.2.99")
    for i in range(13):
        miner.send(id=i, method="get_work")
        work = miner.answer()
        order.append(number_of(work))
        nonce = winner(order[-1], work["target"])
        miner.send(id="p", method="push_result", lease=work["lease"], nonce=nonce)
        miner.answers()
    assert order[:6] in ([100, 101, 102, 0, 103, 104], [100, 101, 102, 103, 0, 104])


def test_priority_orders_the_jobs_of_one_client():
    rig = Rig()
    client, other = rig.framed("192.0.2.1"), rig.framed("192.0.2.2")
    for number in range(3):
        client.send(id=number, **job(number), priority=0)
    client.send(id=9, **job(9), priority=2)
    other.send(id=1, **job(100))
    order = take_all(rig, 5)
    assert order.index(9) <= 1
    assert order.index(100) <= 2  # another's priority does not keep it waiting


def test_a_late_comer_does_not_wait_for_what_others_have_used():
    rig = Rig()
    first, second = rig.connect("192.0.2.1"), rig.connect("192.0.2.2")
    for number in range(20):
        first.send(**job(number))
    take_all(rig, 10)
    second.send(**job(100))
    assert 100 in take_all(rig, 2)


# -- leases -----------------------------------------------------------------------------------


def test_a_silent_miners_range_goes_to_another():
    rig = Rig()
    client, silent, other = rig.framed(), rig.framed("192.0.2.2"), rig.framed("192.0.2.3")
    client.send(id=1, **job(1))
    silent.send(id=1, method="get_work")
    work = silent.answer()
    other.send(id=1, method="get_work", wait=60)
    rig.pass_time(7)
    assert other.answers() == []
    rig.pass_time(2)
    assert number_of(other.answer()) == 1  # patience is over: others may help
    rig.pass_time(7)
    assert silent.answer() == {"stop": work["lease"]}
    silent.send(id=2, method="push_result", lease=work["lease"], nonce=winner(1))
    assert silent.answer() == {"id": 2, "status": "late"}


def test_a_heartbeat_keeps_a_lease_but_not_for_ever():
    rig = Rig()
    client, miner = rig.framed(), rig.framed("192.0.2.2")
    client.send(id=1, **job(1))
    miner.send(id=1, method="get_work")
    lease = miner.answer()["lease"]
    for _ in range(11):
        rig.pass_time(5)
        miner.send(id=2, method="heartbeat", lease=lease)
        assert miner.answer() == {"id": 2, "status": "ok"}
    rig.pass_time(6)
    assert miner.answer() == {"stop": lease}


def test_a_miner_that_hangs_up_gives_its_range_back():
    rig = Rig()
    client, one, other = rig.framed(), rig.framed("192.0.2.2"), rig.framed("192.0.2.3")
    client.send(id=1, **job(1, HARD))
    one.send(id=1, method="get_work", rate=1e6)
    first = one.answer()
    one.leave()
    other.send(id=1, method="get_work", rate=1e6)
    second = other.answer()
    assert (second["start"], second["count"]) == (first["start"], first["count"])


def test_ranges_are_dealt_out_side_by_side_and_fit_the_rate():
    rig = Rig()
    client = rig.framed()
    client.send(id=1, **job(1, HARD))
    end = 0
    for rate in (0, 1e6, 5e6):
        miner = rig.framed("192.0.2.2")
        miner.send(id=1, method="get_work", rate=rate)
        work = miner.answer()
        assert work["start"] == end
        assert work["count"] == max(1 << 17, int(2 * rate))
        end += work["count"]


def test_a_searched_space_is_exhausted():
    rig = Rig()
    client, miner = rig.framed(), rig.framed("192.0.2.2")
    fields = {"algorithm": "hashcash", "prefix": "x", "bits": 40, "width": 2}
    client.send(id=1, method="do_pow", **fields)
    miner.send(id=1, method="get_work", algorithms=["hashcash"])
    work = miner.answer()
    assert (work["start"], work["count"]) == (0, 64**2)
    miner.send(id=2, method="push_result", lease=work["lease"])
    assert miner.answer() == {"id": 2, "status": "ok"}
    assert client.answers()[-1]["error"]["code"] == "exhausted"


# -- results ----------------------------------------------------------------------------------


def test_a_wrong_result_is_seen_by_nobody_and_the_job_goes_back():
    rig = Rig()
    client, liar, honest = rig.framed(), rig.framed("192.0.2.2"), rig.framed("192.0.2.3")
    client.send(id=1, **job(1))
    client.answers()
    for _ in range(3):
        liar.send(id=1, method="get_work")
        work = liar.answer()
        liar.send(id=2, method="push_result", lease=work["lease"], nonce=winner(1) + 1)
        assert liar.answers()[0]["error"]["code"] == "wrong_result"
    assert liar.is_closed
    assert client.answers() == []
    refusal = rig.service.connect(99, "192.0.2.2", rig.now)
    assert refusal.code.text == "forbidden"
    honest.send(id=1, method="get_work")
    work = honest.answer()
    honest.send(id=2, method="push_result", lease=work["lease"], nonce=winner(1))
    assert client.answer()["nonce"] == winner(1)
    rig.pass_time(3601, step=600)
    assert rig.service.connect(99, "192.0.2.2", rig.now) is None


def test_faults_are_forgotten_after_a_while():
    rig = Rig()
    client = rig.framed()
    client.send(id=1, **job(1), deadline=600_000)
    for _ in range(5):
        liar = rig.framed("192.0.2.2")
        liar.send(id=1, method="get_work")
        lease = liar.answer()["lease"]
        liar.send(id=2, method="push_result", lease=lease, nonce=winner(1) + 1)
        liar.leave()
        rig.pass_time(2000, step=500)


@pytest.mark.parametrize("nonce", [1 << 32, (1 << 64) - 1])
def test_a_nonce_beyond_a_small_space_is_wrong(nonce):
    rig = Rig()
    client, miner = rig.framed(), rig.framed("192.0.2.2")
    fields = {"algorithm": "sha256d-header", "header": "00" * 80, "target": "00ff" + "ff" * 30}
    client.send(id=1, method="do_pow", **fields)
    miner.send(id=1, method="get_work", algorithms=["sha256d-header"])
    lease = miner.answer()["lease"]
    miner.send(id=2, method="push_result", lease=lease, nonce=nonce)
    assert miner.answer()["error"]["code"] == "wrong_result"


def test_one_original_result_serves_jobs_of_other_targets():
    rig = Rig()
    easy, hard, miner = rig.connect(), rig.connect("192.0.2.2"), rig.connect("192.0.2.3")
    easy.send(**job(1, target_for(10)))
    hard.send(**job(1, TARGET))
    miner.send(method="get_work")
    miner.answers()
    miner.send(**original_result(1))
    assert easy.answer() == hard.answer()


def test_a_late_original_result_is_no_fault():
    rig = Rig(Limits(faults=1))
    client, miner, slow = rig.connect(), rig.connect("192.0.2.2"), rig.connect("192.0.2.3")
    client.send(**job(1))
    for peer in (slow, miner):
        peer.send(method="get_work")
    rig.pass_time(9)  # patience is over
    for peer in (miner, slow):
        peer.send(**original_result(1))
    assert client.answer()["status"] == 200
    assert not slow.is_closed


def test_a_wrong_trial_value_is_a_fault_but_the_nonce_serves():
    rig = Rig(Limits(faults=1))
    client, miner = rig.connect(), rig.connect("192.0.2.3")
    client.send(**job(1))
    miner.send(method="get_work")
    result = original_result(1)
    miner.send(**{**result, "trialValue": result["trialValue"] + 1})
    assert client.answer()["trialValue"] == result["trialValue"]
    assert miner.is_closed


def test_an_original_miner_that_asks_again_has_let_go():
    rig = Rig()
    client, miner = rig.connect(), rig.connect("192.0.2.2")
    client.send(**job(1))
    miner.send(method="get_work")
    assert number_of(miner.answer()) == 1
    miner.send(method="get_work")
    assert number_of(miner.answer()) == 1


# -- ends -------------------------------------------------------------------------------------


def test_a_deadline_ends_a_job_and_its_search():
    rig = Rig()
    client, miner, original = rig.framed(), rig.framed("192.0.2.2"), rig.connect("192.0.2.3")
    client.send(id=1, **job(1), deadline=3)
    original.send(**job(2))
    miner.send(id=1, method="get_work")
    lease = miner.answer()["lease"]
    rig.pass_time(3.5)
    assert client.answers()[-1]["error"]["code"] == "deadline"
    assert miner.answer() == {"stop": lease}
    rig.pass_time(3600, step=100)
    assert original.answer()["status"] == 408


def test_an_original_client_that_hangs_up_takes_its_job_along():
    rig = Rig()
    client, other = rig.connect(), rig.connect("192.0.2.2")
    client.send(**job(1))
    client.send(**job(2))
    other.send(**job(2))
    client.leave()
    assert rig.service.gauges(rig.now).jobs == 1
    assert take_all(rig, 1) == [2]


def test_a_framed_client_comes_back_for_its_job():
    rig = Rig()
    client = rig.framed()
    client.send(id=1, **job(1))
    name = client.answer()["job"]
    client.leave()
    again = rig.framed("192.0.2.7")
    again.send(id=5, method="wait", job=name)
    take_all(rig, 1)
    assert again.answer()["nonce"] == winner(1)
    again.send(id=6, method="wait", job=name)
    assert again.answer()["nonce"] == winner(1)
    again.send(id=7, **job(1))
    assert [answer["status"] for answer in again.answers()] == ["accepted", "done"]


def test_cancelling_ends_only_ones_own():
    rig = Rig()
    one, other, miner = rig.framed(), rig.framed("192.0.2.2"), rig.framed("192.0.2.3")
    one.send(id=1, **job(1))
    other.send(id=1, **job(1))
    name = one.answer()["job"]
    assert other.answer()["job"] == name
    stranger = rig.framed("192.0.2.4")
    stranger.send(id=1, method="cancel", job=name)
    assert stranger.answer()["error"]["code"] == "not_found"
    one.send(id=2, method="cancel", job=name)
    assert [answer.get("status") for answer in one.answers()] == ["ok", None]
    miner.send(id=1, method="get_work")
    lease = miner.answer()["lease"]
    other.send(id=2, method="cancel", job=name)
    assert miner.answer() == {"stop": lease}
    assert rig.service.gauges(rig.now).jobs == 0


def test_progress_is_told_to_those_who_want_it():
    rig = Rig()
    client, miner = rig.framed(), rig.framed("192.0.2.2")
    client.send(id=1, **job(1, HARD), progress=True)
    client.answers()
    miner.send(id=1, method="get_work", rate=1e6)
    work = miner.answer()
    rig.pass_time(2)
    miner.send(id=2, method="push_result", lease=work["lease"])
    rig.service.report_progress(rig.now)
    rig.pump()
    progress = client.answer()
    assert progress["status"] == "progress"
    assert progress["tried"] == work["count"] == 2_000_000
    assert progress["expected"] == pytest.approx(2**40, rel=0.01)
    assert progress["rate"] == 1_000_000


def test_whoever_waits_is_told_of_the_end():
    rig = Rig()
    framed, original = rig.framed(), rig.connect()
    framed.send(id=1, **job(1))
    original.send(**job(2))
    framed.answers()
    rig.service.stop()
    rig.pump()
    assert framed.answer()["error"]["code"] == "unavailable"
    assert original.answer()["status"] == 503


# -- limits and rights ------------------------------------------------------------------------


def test_limits_of_jobs():
    rig = Rig(Limits(jobs=3, jobs_per_client=2))
    one, other = rig.framed("192.0.2.1"), rig.framed("192.0.2.2")
    for number in range(3):
        one.send(id=number, **job(number))
    assert one.answers()[-1]["error"]["code"] == "busy"
    for number in range(10, 12):
        other.send(id=number, **job(number))
    assert other.answers()[-1]["error"]["code"] == "overloaded"
    other.send(id=1, **job(0))  # one that is open already takes no room
    assert other.answer()["status"] == "accepted"
    take_all(rig, 1)
    other.send(id=12, **job(12))
    assert other.answers()[-1]["status"] == "accepted"


def test_limits_of_connections():
    rig = Rig(Limits(connections=4, connections_per_address=2))
    for _ in range(2):
        rig.connect("192.0.2.1")
    assert rig.service.connect(50, "192.0.2.1", rig.now).code.text == "busy"
    assert rig.service.connect(51, "::ffff:192.0.2.1", rig.now).code.text == "busy"
    first = rig.connect("2001:db8::1")
    rig.connect("2001:db8::2")  # one network of 64 bits counts as one
    assert rig.service.connect(52, "192.0.2.3", rig.now).code.text == "overloaded"
    first.leave()
    assert rig.service.connect(53, "2001:db8::3", rig.now) is None


def test_this_machine_is_not_limited_as_one_address():
    rig = Rig(Limits(connections_per_address=1))
    for _ in range(5):
        rig.connect("127.0.0.1")


def test_a_connection_with_too_many_requests_is_not_read():
    rig = Rig(Limits(pending=3))
    client = rig.framed()
    for number in range(3):
        assert not rig.service.is_full(client.number)
        client.send(id=number, **job(number))
    assert rig.service.is_full(client.number)
    take_all(rig, 1)
    assert not rig.service.is_full(client.number)


def test_tokens_give_rights():
    rig = Rig(access=Access(Tokens(("asker", "other")), Tokens(("digger",))))
    nobody, asker, digger = rig.framed(), rig.framed(token="asker"), rig.framed(token="digger")
    nobody.send(id=1, **job(1))
    assert nobody.answer()["error"]["code"] == "unauthorized"
    nobody.send(id=2, method="get_work")
    assert nobody.answer()["error"]["code"] == "unauthorized"
    digger.send(id=1, **job(1))
    assert digger.answer()["error"]["code"] == "unauthorized"
    asker.send(id=1, method="get_work")
    assert asker.answer()["error"]["code"] == "unauthorized"
    asker.send(id=2, **job(1))
    assert asker.answer()["status"] == "accepted"
    digger.send(id=2, method="get_work")
    assert digger.answer()["status"] == "work"
    stranger = rig.connect().hello(token="guess")
    assert stranger.answer()["error"]["code"] == "unauthorized"
    assert stranger.is_closed
    original = rig.connect()
    original.send(**job(3))
    assert original.answer()["status"] == 401
    original.send(**job(3), token="other")
    original.leave()
    assert rig.service.gauges(rig.now).jobs == 1


def test_two_tokens_of_one_address_are_two_clients():
    rig = Rig(access=Access(Tokens(("a", "b"))))
    greedy, modest = rig.framed(token="a"), rig.framed(token="b")
    for number in range(5):
        greedy.send(id=number, **job(number))
    modest.send(id=1, **job(100))
    assert 100 in take_all(rig, 2)


def test_answers_to_the_original_dialect_fit_its_reader():
    rig = Rig()
    miner = rig.connect("192.0.2.8")
    miner.send(method="get_work")
    client = rig.connect()
    client.send(**job(1))
    assert len(miner.received) < 1024
    client.send_bytes(b'{"method":"' + b"x" * 4000 + b'"}')
    assert len(client.received) < 1024
