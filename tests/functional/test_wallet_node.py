"""The node's wallet by its methods: encrypted, backed up, restored, over restarts and kills."""

import pytest

from misocoin.http.errors import RpcError
from tests.functional.conftest import MakeDaemon
from tests.functional.framework.daemon import Daemon


def refused(code: int, daemon: Daemon, method: str, *params: object) -> str:
    with pytest.raises(RpcError) as raised:
        daemon.rpc.client.call(method, *params)
    assert raised.value.code == code
    return raised.value.message


def test_a_wallet_from_its_first_coin_to_its_restoration(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon().start()
    rpc = daemon.rpc
    tea = rpc.get_new_address("tea", "bech32m")
    rpc.generatetoaddress(101, tea)
    other = "bcrt1qk34t7nv7zarwxw7v88828h58ds5uft0npe3eee"
    rpc.set_label(other, "bob")
    assert rpc.list_labels() == {tea: "tea", other: "bob"}
    paid = rpc.send_many({"bob": 1, tea: "0.5"}, None, "for the shed")
    assert daemon.log.wait_for(f"transaction {paid}.*a payment of ours")
    last = rpc.list_transactions(1)[0]
    assert (last["txid"], last["note"], last["to"]) == (paid, "for the shed", [other])
    assert [coin["amount"] for coin in rpc.list_unspent(102)] == []
    assert {coin["label"] for coin in rpc.list_unspent() if coin["address"] == tea} == {"tea"}

    assert rpc.get_wallet_info()["is_encrypted"] is False
    words = rpc.export_words()
    done = daemon.cli("encrypt_wallet", "-", stdin="hello\n")
    assert done.returncode == 0, done.stderr
    refused(-13, daemon, "send_misocoin", "bob", 1)
    refused(-14, daemon, "unlock_wallet", "Hello")
    refused(-13, daemon, "export_words")
    daemon.kill()
    daemon.start()
    rpc = daemon.rpc
    assert rpc.get_wallet_info()["is_locked"] is True
    rpc.generatetoaddress(1, rpc.get_new_address())  # needs no passphrase
    rpc.unlock_wallet("hello", 60)
    assert rpc.export_words() == words
    signature = rpc.sign_message(rpc.list_addresses()[0]["address"], "text")
    assert rpc.verify_message(rpc.list_addresses()[0]["address"], signature, "text") is True
    refused(-4, daemon, "send_misocoin", "bob", "0.00000001")
    rpc.send_all("bob", None, "all of it")
    rpc.lock_wallet()

    backup = daemon.home / "backup.json"
    refused(-8, daemon, "backup_wallet", "backup.json")
    rpc.backup_wallet(str(backup))
    refused(-4, daemon, "backup_wallet", str(backup))
    balances = rpc.get_balances()
    labels, history = rpc.list_labels(), rpc.list_transactions(3)
    refused(-4, daemon, "restore_wallet", str(daemon.home / "nothing"))
    rpc.restore_wallet(str(backup))
    assert (rpc.list_labels(), rpc.get_balances()) == (labels, balances)
    assert [each["txid"] for each in rpc.list_transactions(3)] == [e["txid"] for e in history]
    rpc.change_passphrase("hello", "world")
    refused(-14, daemon, "unlock_wallet", "hello")
    daemon.stop()
    for path in daemon.folder.iterdir():
        assert path.is_dir() or words.encode() not in path.read_bytes()
    for secret in ("hello", "world", words):
        assert secret not in daemon.log.text
