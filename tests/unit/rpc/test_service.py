"""JSON-RPC from bytes to bytes, as Core 28 answers it."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from misocoin.http.errors import Overloaded
from misocoin.rpc.auth import EVERYTHING, Whitelists, whitelists_of
from misocoin.rpc.declare import Category, method, methods_of
from misocoin.rpc.envelope import MAX_BATCH, Answer
from misocoin.rpc.json import Json
from misocoin.rpc.registry import Registry
from misocoin.rpc.schema import text
from misocoin.rpc.service import UNAUTHORIZED, RpcService
from tests.unit.rpc.sample import sample_registry


def ready(max_batch_reply: int = 1 << 20, whitelists: Whitelists = EVERYTHING) -> RpcService:
    service = RpcService(Registry([]), whitelists, max_batch_reply)
    service.open(sample_registry())
    return service


def ask(sent: Any, is_trusted: bool = False) -> Answer:
    body = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
    return ready().handle(body, "me" if is_trusted else None)


def reply(sent: Any, is_trusted: bool = False) -> tuple[int, Any]:
    answer = ask(sent, is_trusted)
    assert answer.body.endswith(b"\n")
    return answer.status, json.loads(answer.body)


@pytest.mark.parametrize(
    "version", [{}, *({"jsonrpc": one} for one in ("1.0", "1.1", 1, 1.0)), {"version": "1"}]
)
@pytest.mark.parametrize("id", [1, "x", None, [2], {"a": 1}, 1.5])
def test_a_1_x_call_is_answered_with_all_three_fields(version: dict[str, str], id: Any) -> None:
    sent = {**version, "method": "add", "params": [1], "id": id}
    assert reply(sent) == (200, {"result": 11, "error": None, "id": id})


@pytest.mark.parametrize(
    "id",
    [
        b"1.23456789012345678",
        b"[1.0000000000000000,5]",
        b"1e5",
        b"1.50",
        b"12345678901234567890123",
    ],
)
def test_an_id_comes_back_as_it_was_written(id: bytes) -> None:
    assert ask(b'{"method":"add","params":[1],"id":' + id + b"}").body.endswith(
        b'"id":' + id + b"}\n"
    )


def test_a_call_without_id_is_still_answered_in_1_x() -> None:
    assert reply({"method": "add", "params": [1]}) == (
        200,
        {"result": 11, "error": None},
    )


@pytest.mark.parametrize("version", [{}, {"jsonrpc": "1.0"}, {"jsonrpc": "2.0"}])
def test_a_bad_call_without_id_is_told_alone(version: dict[str, str]) -> None:
    status, answer = reply(version)
    assert status == 400
    assert "id" not in answer
    assert answer["error"] == {"code": -32600, "message": "Missing method"}
    in_batch = ask([version])
    assert in_batch.status == (204 if version.get("jsonrpc") == "2.0" else 200)


@pytest.mark.parametrize("params", [{"a": 1}, [1], [1, 10]])
def test_parameters_by_name_or_place(params: Any) -> None:
    assert reply({"method": "add", "params": params, "id": 1})[1]["result"] == 11


@pytest.mark.parametrize("params", [{}, {"params": None}, {"params": []}, {"params": {}}])
def test_no_parameters_may_be_said_in_four_ways(params: Any) -> None:
    status, answer = reply({"method": "help", "id": 1, **params})
    assert status == 200
    assert answer["error"] is None


def test_a_2_0_call_has_a_result_or_an_error_and_status_200() -> None:
    call = {"jsonrpc": "2.0", "id": "a"}
    assert reply({**call, "method": "add", "params": [1]}) == (
        200,
        {"jsonrpc": "2.0", "result": 11, "id": "a"},
    )
    assert reply({**call, "method": "nosuch"}) == (
        200,
        {
            "jsonrpc": "2.0",
            "error": {"code": -32601, "message": "Method not found"},
            "id": "a",
        },
    )


def test_a_2_0_call_with_id_null_is_no_notification() -> None:
    sent = {"jsonrpc": "2.0", "id": None, "method": "add", "params": [1]}
    assert reply(sent) == (200, {"jsonrpc": "2.0", "result": 11, "id": None})


@pytest.mark.parametrize("method", ["add", "nosuch"])
def test_a_notification_is_carried_out_and_not_answered(method: str) -> None:
    assert ask({"jsonrpc": "2.0", "method": method, "params": [1]}) == Answer(204, b"")


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        ({"method": "nosuch", "id": 1}, 404, -32601),
        ({"method": "add", "params": ["x"], "id": 1}, 500, -3),
        ({"method": "add", "params": [], "id": 1}, 500, -1),
        ({"method": "add", "params": 5, "id": 1}, 400, -32600),
        ({"method": 5, "id": 1}, 400, -32600),
        ({"id": 1}, 400, -32600),
        ({"method": "add", "jsonrpc": 2, "id": 1}, 400, -32600),
        ({"method": "add", "jsonrpc": True, "id": 1}, 400, -32600),
        ({"method": "add", "jsonrpc": "3.0", "id": 1}, 400, -32600),
        ({"method": "fail", "id": 1}, 500, -32603),
    ],
)
def test_errors_of_1_x_have_a_status_of_their_own(sent: Any, status: int, code: int) -> None:
    answered, answer = reply(sent)
    assert (answered, answer["error"]["code"]) == (status, code)
    assert answer["result"] is None
    assert answer["id"] == 1


@pytest.mark.parametrize("body", [b"", b"this is bad", b"{", b"\xff", b"[" * 5000])
def test_what_is_no_json_is_a_parse_error(body: bytes) -> None:
    status, answer = reply(body)
    assert status == 500
    assert answer["error"]["code"] == -32700
    assert answer["error"]["message"] == "Parse error"
    assert answer["id"] is None


@pytest.mark.parametrize("sent", [b"5", b'"x"', b"null"])
def test_json_that_is_no_call_is_an_error(sent: bytes) -> None:
    status, answer = reply(sent)
    assert (status, answer["error"]["code"]) == (500, -32700)


def test_a_bad_2_0_call_is_told_so_in_2_0() -> None:
    status, answer = reply({"jsonrpc": "2.0", "id": 7})
    assert status == 400
    assert answer == {
        "jsonrpc": "2.0",
        "error": {"code": -32600, "message": "Missing method"},
        "id": 7,
    }


def test_a_batch_is_answered_in_order_whatever_fails() -> None:
    status, answers = reply(
        [
            {"method": "add", "params": [1], "id": 1},
            {"method": "nosuch", "id": 2},
            5,
            {"jsonrpc": "2.0", "method": "add", "params": [2], "id": 3},
            {"jsonrpc": "2.0", "method": "add", "params": [3]},
            {"method": "add", "params": [4], "id": 1},
        ]
    )
    assert status == 200
    assert [answer.get("id") for answer in answers] == [1, 2, None, 3, 1]
    assert [answer.get("result") for answer in answers] == [11, None, None, 12, 14]
    assert answers[1]["error"]["code"] == -32601
    assert answers[2]["error"]["code"] == -32600


def test_an_empty_batch_is_an_empty_array() -> None:
    assert ask([]) == Answer(200, b"[]\n")


def test_a_batch_of_notifications_is_not_answered() -> None:
    assert ask([{"jsonrpc": "2.0", "method": "add", "params": [1]}] * 2) == Answer(204, b"")


def test_a_batch_has_a_bound() -> None:
    assert reply([5] * MAX_BATCH)[0] == 200
    status, answer = reply([5] * (MAX_BATCH + 1))
    assert status == 400
    assert "10000 calls" in answer["error"]["message"]


def test_the_replies_to_a_batch_have_a_bound() -> None:
    call = {"method": "same", "params": [[1] * 100], "id": 1}
    answer = ready(max_batch_reply=500).handle(json.dumps([call] * 5).encode(), None)
    replies = json.loads(answer.body)
    assert [item["error"] is None for item in replies] == [True, True, True, False, False]
    assert replies[4]["error"]["message"] == "the replies to this batch are too long"


def test_amounts_are_written_with_eight_decimals() -> None:
    sent = {"method": "pay", "params": ["x", 0.00000001], "id": 1}
    assert b'"paid":0.00000001' in ask(sent, is_trusted=True).body


def test_an_error_of_ours_has_its_code() -> None:
    status, answer = reply({"method": "pay", "params": ["x", 1], "id": 1}, is_trusted=True)
    assert (status, answer["error"]["code"]) == (500, -6)
    assert answer["error"]["message"] == "not that much is there"


def test_a_bug_is_logged_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    body = ask({"method": "fail", "id": 1}).body
    assert b"secret detail" not in body
    assert "ZeroDivisionError" in caplog.text


def test_wallet_methods_need_trust_also_in_a_batch() -> None:
    pay = {"method": "pay", "params": ["x", "0"], "id": 1}
    assert ask(pay) is UNAUTHORIZED
    assert ask([{"method": "add", "params": [1]}, pay]) is UNAUTHORIZED
    assert reply(pay, is_trusted=True)[0] == 200


def test_nothing_of_an_untrusted_batch_is_carried_out() -> None:
    registry = sample_registry()
    service = RpcService(Registry([]))
    service.open(registry)
    sent = [{"method": "add", "params": [1]}, {"method": "pay", "params": ["x", "0"]}]
    service.handle(json.dumps(sent).encode(), None)
    owner = registry.methods["add"].function.__self__  # type: ignore[attr-defined]
    assert owner.calls == []


def test_typed_words_are_marked_by_a_member() -> None:
    sent = {"method": "add", "params": ["1", "2"], "id": 1, "text": True}
    assert reply(sent)[1]["result"] == 3


def test_before_it_is_ready_only_early_methods_answer() -> None:
    service = RpcService(Registry([]))
    service.set_warmup("Loading blocks")
    status, body = service.handle(b'{"method":"add","params":[1],"id":1}', None)
    assert status == 500
    assert json.loads(body)["error"] == {"code": -28, "message": "Loading blocks"}
    assert service.handle(b'{"method":"help","id":1}', None).status == 200
    service.open(sample_registry())
    service.set_warmup("too late")
    assert service.handle(b'{"method":"add","params":[1],"id":1}', None).status == 200


def test_a_method_that_waits_asks_for_a_permit() -> None:
    asked = []

    @contextmanager
    def permit() -> Iterator[None]:
        asked.append("same")
        yield

    body = b'[{"method":"add","params":[1]},{"method":"same","params":[[1]]}]'
    assert ready().handle(body, None, permit).status == 200
    assert asked == ["same"]


def test_a_method_that_may_not_wait_is_an_error() -> None:
    @contextmanager
    def permit() -> Iterator[None]:
        raise Overloaded("as many requests are waiting as may")
        yield

    answer = ready().handle(b'{"method":"same","params":[[1]],"id":1}', None, permit)
    assert answer.status == 500
    assert b"as many requests are waiting as may" in answer.body


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["method", "params", "id", "jsonrpc", "text", "a", "args"]), inner
        )
    ),
    max_leaves=12,
)


@given(JSON | st.fixed_dictionaries({"method": st.sampled_from(["add", "help"]), "params": JSON}))
def test_any_json_is_answered(sent: Any) -> None:
    answer = ask(sent)
    assert answer.status in {200, 204, 400, 404, 500}
    if answer.status != 204:
        json.loads(answer.body)


@given(st.binary(max_size=100))
def test_any_bytes_are_answered(body: bytes) -> None:
    assert ask(body).status in {200, 204, 400, 404, 500}


@pytest.mark.parametrize(("is_trusted", "made"), [(False, 2), (True, 4)])
def test_a_strangers_batch_ends_after_some_seconds(is_trusted: bool, made: int) -> None:
    hours = iter([0.0, 1.0, 4.9, 5.0, 6.0, 7.0, 8.0])
    service = RpcService(Registry([]), clock=lambda: next(hours))
    service.open(sample_registry())
    call = {"method": "add", "params": [1], "id": 1}
    user = "me" if is_trusted else None
    replies = json.loads(service.handle(json.dumps([call] * 4).encode(), user).body)
    assert len(replies) == 4
    assert [each["error"] is None for each in replies] == [True] * made + [False] * (4 - made)


def test_a_strangers_batch_has_a_smaller_bound() -> None:
    call = {"method": "add", "params": [1], "id": "x" * (1 << 20)}
    body = json.dumps([call] * 40).encode()
    service = ready(1 << 28)
    assert len(service.handle(body, "me").body) > 40 << 20
    replies = json.loads(service.handle(body, None).body)
    assert replies[-1]["error"]["message"] == "the replies to this batch are too long"


def test_a_notification_writes_no_reply(caplog: pytest.LogCaptureFixture) -> None:
    for body in (
        b'{"jsonrpc":"2.0","method":"add","params":[1]}',
        b'[{"jsonrpc":"2.0","method":"add","params":[1]}]',
    ):
        answer = ask(body)
        assert (answer.status, answer.body) == (204, b"")
    assert not caplog.records


def test_a_wallet_named_in_the_path_must_be_there() -> None:
    service = RpcService(Registry([]))
    service.open(sample_registry(), {"mine"}.__contains__)
    pay = b'{"method":"pay","params":["x","0"],"id":1}'
    assert json.loads(service.handle(pay, "me", wallet="mine").body)["error"] is None
    refused = json.loads(service.handle(pay, "me", wallet="other").body)["error"]
    assert refused["code"] == -18
    add = b'{"method":"add","params":[1],"id":1}'
    assert json.loads(service.handle(add, "me", wallet="other").body)["error"] is None


def test_what_needs_trust_does_so_too_when_the_node_becomes_ready_meanwhile() -> None:
    registry = sample_registry()
    service = RpcService(Registry(methods_of(Opener(lambda: service.open(registry)))))
    sent = [{"method": "open_now", "id": 1}, {"method": "pay", "params": ["x", "0"], "id": 2}]
    replies = json.loads(service.handle(json.dumps(sent).encode(), None).body)
    assert replies[1]["error"]["code"] == -28
    assert service.handle(json.dumps(sent[1]).encode(), None) is UNAUTHORIZED


def test_a_method_can_tell_the_owner_more_than_strangers() -> None:
    service = RpcService(Registry([]))
    service.open(Registry(methods_of(Discreet())))
    body = b'[{"method": "whose", "id": 1}, {"method": "whose", "params": [true], "id": 2}]'
    for user, told in ((None, "nothing"), ("me", "mine")):
        first, second = json.loads(service.handle(body, user).body)
        assert first["result"] == told
        assert second["error"]["code"] == -1  # it cannot be said by the caller


def test_whitelists_hold_for_every_call_of_a_batch() -> None:
    lists = whitelists_of([("u", frozenset({"add", "pay"})), ("u", frozenset({"add"}))], None)
    service = ready(whitelists=lists)
    add, pay = {"method": "add", "params": [1], "id": 1}, {"method": "pay", "id": 2}

    def status(user: str | None, sent: Any) -> int:
        return service.handle(json.dumps(sent).encode(), user).status

    assert status("u", add) == status("u", [add]) == 200
    assert status("u", pay) == status("u", [add, pay]) == status("u", {"method": "nosuch"}) == 403
    assert status("u", {"id": 1}) == 400  # calls nothing
    assert status("other", add) == 403
    assert status(None, add) == 200  # what is open to all is


class Discreet:
    """A method that is told who calls."""

    @method(Category.WALLET, result=text("what may be told"))
    def whose(self, is_trusted: bool = False) -> Json:
        """Tell whose it is."""
        return "mine" if is_trusted else "nothing"


class Opener:
    """A method that answers early, during which the node becomes ready."""

    def __init__(self, open_service: Callable[[], None]) -> None:
        self._open = open_service

    @method(Category.CONTROL)
    def open_now(self) -> None:
        """Make the service ready."""
        self._open()
