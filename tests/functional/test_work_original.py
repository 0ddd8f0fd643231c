"""The original protocol, spoken by a client and a miner written from its description."""

import json
import time

import pytest

from tests.functional.framework.work import (
    KNOWN_HASH,
    KNOWN_NONCE,
    KNOWN_TARGET,
    KNOWN_TRIAL,
    WorkService,
    base64_text,
    search,
    target_for,
)

JOB = {"method": "do_pow", "target": KNOWN_TARGET, "initialHash": KNOWN_HASH}
RESULT = {
    "method": "push_result",
    "nonce": KNOWN_NONCE,
    "trialValue": KNOWN_TRIAL,
    "initialHash": KNOWN_HASH,
}
ANSWER = {"status": 200, "nonce": KNOWN_NONCE, "trialValue": KNOWN_TRIAL}


@pytest.fixture
def service(tmp_path):
    service = WorkService(tmp_path)
    yield service
    service.stop()


def test_the_known_answer(service):
    with service.original() as miner, service.original() as client:
        miner.send(method="get_work")
        client.send(**JOB)
        data = miner.socket.recv(1024)
        assert data == (
            f'{{"status":200,"target":{KNOWN_TARGET},"initialHash":"{KNOWN_HASH}"}}'.encode()
        )
        miner.send(**RESULT)
        data = client.socket.recv(1024)
        assert data == (
            f'{{"status":200,"nonce":{KNOWN_NONCE},"trialValue":{KNOWN_TRIAL}}}'.encode()
        )
        # Nothing is sent back for a result: what comes next answers the next poll.
        miner.send(method="get_work")
        client.send(method="do_pow", target=target_for(50), initialHash=base64_text(bytes(64)))
        assert miner.answer()["initialHash"] == base64_text(bytes(64))


def test_bytes_come_one_by_one(service):
    with service.original() as miner, service.original() as client:
        for peer, message in ((miner, {"method": "get_work"}), (client, JOB)):
            for byte in json.dumps(message).encode():
                peer.socket.sendall(bytes([byte]))
                time.sleep(0.0005)  # packets of one byte, not one packet
        assert miner.answer()["target"] == KNOWN_TARGET
        for byte in json.dumps(RESULT).encode():
            miner.socket.sendall(bytes([byte]))
            time.sleep(0.0005)
        assert client.answer() == ANSWER


def test_two_messages_come_in_one_packet(service):
    second_hash, target = bytes(range(64)), target_for(100)
    second = {"method": "do_pow", "target": target, "initialHash": base64_text(second_hash)}
    with service.original() as miner, service.original() as client:
        client.socket.sendall((json.dumps(JOB) + json.dumps(second)).encode())
        miner.send(method="get_work")
        assert miner.answer()["target"] == KNOWN_TARGET
        miner.socket.sendall((json.dumps(RESULT) + json.dumps({"method": "get_work"})).encode())
        assert client.answer() == ANSWER
        assert miner.answer()["initialHash"] == base64_text(second_hash)
        nonce, value = search(second_hash, target)
        push = {**RESULT, "nonce": nonce, "trialValue": value}
        push["initialHash"] = base64_text(second_hash)
        miner.socket.sendall((json.dumps(push) + json.dumps({"method": "get_work"})).encode())
        assert client.answer() == {"status": 200, "nonce": nonce, "trialValue": value}


@pytest.mark.long
def test_a_poll_without_work_ends_after_20_seconds(service):
    with service.original() as miner:
        began = time.monotonic()
        miner.send(method="get_work")
        assert miner.socket.recv(1024) == b'{"status":"NO_DATA"}'
        assert time.monotonic() - began > 19.5
