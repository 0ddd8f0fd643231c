"""The notary's commands against real daemons, and offline."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from misocoin.__main__ import main
from misocoin.cli.wallet_common import LIGHT_FILE
from misocoin.http.client import HttpClient
from misocoin.notary.proof import MISO_TAG, BlockAttestation, PaymentAttestation, proof_from_bytes
from misocoin.params import regtest
from misocoin.primitives.block import HEADER_SIZE, Block, block_from_bytes
from misocoin.wallet.light.store import LightStore
from tests.functional.conftest import MakeDaemon
from tests.functional.framework.daemon import Daemon, wait_until
from tests.functional.framework.network import address, height
from tests.functional.framework.wallet import Answer, Lie, LyingNode, WalletCommands

STRANGER = "22" * 20


class Desk:
    """`misocoin notarize` and `verify` over a wallet and a folder of files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "desk"
        self.folder.mkdir()
        self.wallet = WalletCommands(folder / "wallet")

    def run(self, *words: str, code: int = 0) -> str:
        """Run a command here; what it printed, or its one line on an error."""
        place = ["-chain=regtest", f"-walletdir={self.wallet.folder}"]
        with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
            ended = main([words[0], *place, *words[1:]])
        said = err.getvalue()
        assert ended == code, out.getvalue() + said
        if code:
            assert said.count("\n") == 1, said
        return said if code else out.getvalue()

    def files(self, count: int) -> list[str]:
        """Make some files."""
        names = [f"file{number}.txt" for number in range(count)]
        for name in names:
            (self.folder / name).write_text(f"what {name} says")
        return names

    def proof(self, name: str) -> Path:
        return self.folder / f"{name}.ots"

    def listing(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    desk = Desk(tmp_path)
    monkeypatch.chdir(desk.folder)
    monkeypatch.setenv("HOME", str(tmp_path))
    return desk


def fund(daemon: Daemon, desk: Desk) -> None:
    """Give the wallet's only key a coin to spend."""
    daemon.rpc.generate(1, desk.wallet.address("rob"))
    daemon.rpc.generate(100, STRANGER)
    desk.wallet.run("sync", "-once", f"-nodes={address(daemon)}")


def fetch(url: str) -> bytes:
    with closing(HttpClient()) as http:
        return http.get(url).body


def flip(path: Path, bit: int) -> Callable[[], Any]:
    """Flip a bit of a file; what is returned puts it back."""
    data = path.read_bytes()
    path.write_bytes(
        data[: bit // 8] + bytes((data[bit // 8] ^ 1 << bit % 8,)) + data[bit // 8 + 1 :]
    )
    return lambda: path.write_bytes(data)


def test_three_files_and_one_payment(daemon: Daemon, desk: Desk) -> None:
    nodes = f"-nodes={address(daemon)}"
    fund(daemon, desk)
    names = desk.files(3)
    said = desk.run("notarize", nodes, *names)
    assert f"{address(daemon)} has it." in said
    assert desk.listing() == sorted([*names, *[f"{name}.ots" for name in names]])
    (txid,) = daemon.rpc.getrawmempool()
    outputs = [out["scriptPubKey"] for out in daemon.rpc.getrawtransaction(txid, True)["vout"]]
    assert sorted(out["type"] for out in outputs) == ["nulldata", "witness_v0_keyhash"]
    pending = proof_from_bytes(desk.proof(names[0]).read_bytes()).attested[0]
    assert pending.message[::-1].hex() == txid
    assert isinstance(pending.attestation, PaymentAttestation)

    # Not mined yet; and nothing is paid twice.
    assert f"{txid} is not proven to be mined" in desk.run("verify", names[0], code=1)
    assert "is there already" in desk.run("notarize", nodes, names[0], code=1)
    assert daemon.rpc.getrawmempool() == [txid]

    daemon.rpc.generate(2, STRANGER)
    desk.wallet.run("sync", "-once", nodes)
    headers = daemon.rpc.getblockcount() + 1
    raw = fetch(f"{daemon.url}/rest/headers/{headers}/{daemon.rpc.getblockhash(0)}.bin")
    daemon.stop()

    # Offline from here on. What a reorg may undo is not written down.
    pending_bytes = desk.proof(names[0]).read_bytes()
    assert "2 confirmations" in desk.run("verify", "-depth=3", names[0])
    said = desk.run("notarize", "-upgrade", "-depth=3", f"{names[0]}.ots", code=1)
    assert "block 102 holds it, which is written into the proof after 1 more" in said
    assert desk.proof(names[0]).read_bytes() == pending_bytes

    # One is completed by verifying, the others on request.
    said = desk.run("verify", names[0], f"{names[0]}.ots")
    assert "Block 102 of chain regtest holds it" in said
    assert "2 confirmations" in said
    assert "10 more blocks" in said
    said = desk.run("notarize", "-upgrade", *[f"{name}.ots" for name in names])
    assert said.count("is complete: block 102 holds it") == 3
    for name in names[1:]:
        assert f"{name}: the proof holds" in desk.run("verify", name)
        assert f"{name}: the proof holds" in desk.run("verify", f"{name}.ots")

    undo = flip(desk.folder / names[1], 3)
    assert "another file, or the file has changed" in desk.run("verify", names[1], code=1)
    undo()
    assert "another file" in desk.run("verify", names[1], f"{names[0]}.ots", code=1)
    size = desk.proof(names[1]).stat().st_size
    for byte in (10, 40, 70, size // 2, size - 20, size - 1):
        undo = flip(desk.proof(names[1]), byte * 8 + byte % 8)
        desk.run("verify", names[1], code=1)
        undo()

    kept = desk.folder / "headers.bin"
    said = desk.wallet.run("export-headers", str(kept))
    assert said.startswith(f"{kept}: {headers} headers of chain regtest; verify -headers={kept}")
    assert kept.read_bytes() == raw
    assert len(raw) == headers * HEADER_SIZE
    desk.wallet.run("export-headers", str(kept))  # older ones of the chain are replaced
    theirs = desk.folder / names[1]
    said = desk.wallet.run("export-headers", str(theirs), fails=True)
    assert "holds no headers of this chain" in said
    against = f"-headers={kept}"
    assert "2 confirmations" in desk.run("verify", names[1], against)
    for byte in (102 * HEADER_SIZE + 40, 102 * HEADER_SIZE, 50 * HEADER_SIZE + 70, 5):
        undo = flip(kept, byte * 8)
        desk.run("verify", names[1], against, code=1)
        undo()
    kept.write_bytes(raw[:-1])
    assert "middle of a header" in desk.run("verify", names[1], against, code=1)
    kept.write_bytes(raw[: 102 * HEADER_SIZE])
    assert "the headers here end at 101" in desk.run("verify", names[1], against, code=1)


def test_a_nodes_wallet_pays(make_daemon: MakeDaemon, desk: Desk) -> None:
    daemon = make_daemon().start()
    daemon.rpc.generate(101, daemon.rpc.get_new_address())
    payer = [f"-payer={address(daemon)}", f"-cookie={daemon.folder / '.cookie'}"]
    names = desk.files(2)
    assert "is made" in desk.run("notarize", *payer, *names)
    proofs = [f"{name}.ots" for name in names]
    nodes = f"-nodes={address(daemon)}"
    for path in proofs:
        assert "is in no block yet" in desk.run("notarize", "-upgrade", nodes, path, code=1)
    daemon.rpc.generate(12, STRANGER)
    assert "has no headers" in desk.run("verify", names[0], code=2)
    said = desk.run("notarize", "-upgrade", nodes, *proofs)
    assert said.count("block 102 holds it") == 2
    said = desk.run("verify", nodes, names[1])
    assert "It was there by" in said
    assert "12 confirmations" in said


def test_what_cannot_be_notarized(daemon: Daemon, desk: Desk) -> None:
    nodes = f"-nodes={address(daemon)}"
    names = desk.files(1)
    assert "which name of yours pays" in desk.run("notarize", nodes, *names, code=2)
    desk.wallet.address("rob")
    for words, code, reason in (
        ((nodes, *names), 1, "Insufficient funds"),
        ((nodes, "-from=bob", *names), 1, "no key or wallet is named 'bob'"),
        ((nodes, *names, *names), 2, "named twice"),
        ((nodes, "missing.txt"), 1, "No such file"),
        ((nodes, "."), 1, "not a file"),
        ((nodes, ""), 1, "not a file"),
        ((nodes, "../desk"), 1, "Is a directory"),
        ((nodes, "a\0b"), 1, "not a file"),
        ((), 2, "usage"),
        ((f"-payer={address(daemon)}", *names), 1, "needs the cookie"),
        ((f"-payer={address(daemon)}", "-user=rob", *names), 2, "go together"),
        (("-payer=127.0.0.1:1", *names), 1, "127.0.0.1:1"),
        (("-upgrade", nodes, *names), 1, "file0.txt: not a proof"),
        (("-upgrade", nodes, "missing.ots"), 1, "misocoin: missing.ots: No such file"),
    ):
        assert reason in desk.run("notarize", *words, code=code)
        assert desk.listing() == names
    assert f"{names[0]}.ots: No such file" in desk.run("verify", names[0], code=1)
    assert "missing.txt: No such file" in desk.run("verify", "missing.txt", code=1)
    assert "missing.txt: No such file" in desk.run("verify", "missing.txt.ots", code=1)
    desk.proof(names[0]).write_bytes(b"no proof")
    assert "not a proof" in desk.run("verify", names[0], code=1)


def test_a_lying_node_completes_nothing(daemon: Daemon, desk: Desk) -> None:
    """Whatever a node answers, a pending proof stays as it is until the truth is told."""
    daemon.rpc.generate(101, daemon.rpc.get_new_address())
    (name,) = desk.files(1)
    payer = [f"-payer={address(daemon)}", f"-cookie={daemon.folder / '.cookie'}"]
    desk.run("notarize", *payer, name)
    daemon.rpc.generate(2, STRANGER)
    other, right = daemon.rpc.getblockhash(101), daemon.rpc.getblockhash(102)
    pending = desk.proof(name).read_bytes()

    def another_block(_path: str, answer: Answer) -> Answer:
        return answer[0], answer[1].replace(right.encode(), other.encode())

    def unknown_block(_path: str, answer: Answer) -> Answer:
        return answer[0], answer[1].replace(right.encode(), b"11" * 32)

    def other_body(_path: str, answer: Answer) -> Answer:
        block = block_from_bytes(answer[1])
        return answer[0], Block(block.header, block.transactions[::-1]).serialize()

    def nonsense(_path: str, answer: Answer) -> Answer:
        return answer[0], b"[" * 2000

    for place, lie in (
        ("/", another_block), ("/", unknown_block), ("/", nonsense),
        ("/rest/block/", other_body), ("/rest/block/", nonsense), ("/rest/headers/", nonsense),
    ):  # fmt: skip
        with closing(LyingNode(daemon, {place: _on(place, lie)})) as liar:
            nodes = f"-nodes={liar.address}"
            with redirect_stderr(StringIO()):
                assert main(["verify", "-chain=regtest", nodes, name]) == 1, (place, lie)
        assert desk.proof(name).read_bytes() == pending
    nodes = f"-nodes={address(daemon)}"
    assert "the proof holds" in desk.run("verify", nodes, name)
    assert len(desk.proof(name).read_bytes()) > len(pending)


def _on(place: str, lie: Lie) -> Lie:
    """Lie about that path alone where it is the root, with which every path begins."""
    return lambda path, answer: lie(path, answer) if place != "/" or path == "/" else answer


def test_a_kill_leaves_no_payment_without_its_proofs(daemon: Daemon, desk: Desk) -> None:
    nodes = f"-nodes={address(daemon)}"
    daemon.rpc.generate(6, desk.wallet.address("rob"))
    daemon.rpc.generate(100, STRANGER)
    desk.wallet.run("sync", "-once", nodes)
    place = ["-chain=regtest", f"-walletdir={desk.wallet.folder}", nodes]
    names = desk.files(6)
    for name, delay in zip(names, (0.3, 0.4, 0.45, 0.5, 0.55, 0.65), strict=True):
        command = [sys.executable, "-m", "misocoin", "notarize", *place, name]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=desk.folder) as process:
            try:
                process.wait(delay)
            except subprocess.TimeoutExpired:
                process.kill()
    proofs = [proof_from_bytes(path.read_bytes()) for path in desk.folder.glob("file*.ots")]
    proven = {proof.attested[0].message for proof in proofs}
    with closing(LightStore(desk.wallet.folder / LIGHT_FILE, regtest())) as store:
        paid = {entry.txid for entry in store.payments()}
    assert paid <= proven
    for name in names:
        if not desk.proof(name).exists():
            desk.run("notarize", *place[2:], name)
    desk.wallet.run("sync", "-once", nodes)
    daemon.rpc.generate(1, STRANGER)
    desk.wallet.run("sync", "-once", nodes)
    for name in names:
        proof = proof_from_bytes(desk.proof(name).read_bytes())
        if proof.attested[0].message in proven - paid:
            assert "knows nothing of it" in desk.run("verify", name, code=1)
        else:
            assert f"{name}: the proof holds" in desk.run("verify", name)
        assert f"{name}: the proof holds" in desk.run("verify", f"{name}.ots")


@pytest.mark.long
def test_on_chain_miso_blocks_attest_by_a_tag_of_their_own(
    make_daemon: MakeDaemon, desk: Desk
) -> None:
    daemon = make_daemon(chain="miso").start()
    (name,) = desk.files(1)
    daemon.rpc.set_mining(True)
    wait_until(lambda: height(daemon) > 101, "a coin can be spent", 300)
    payer = [f"-payer={address(daemon)}", f"-cookie={daemon.folder / '.cookie'}"]
    assert "not of chain regtest" in desk.run("notarize", *payer, name, code=1)
    desk.run("notarize", "-chain=miso", *payer, name)
    wait_until(lambda: not daemon.rpc.get_mempool(), "the payment is mined", 300)
    mined = height(daemon)
    wait_until(lambda: height(daemon) > mined + 5, "it has six confirmations", 300)
    nodes = f"-nodes={address(daemon)}"
    assert "of chain miso holds it" in desk.run("verify", "-chain=miso", nodes, name)
    attestation = proof_from_bytes(desk.proof(name).read_bytes()).attested[0].attestation
    assert isinstance(attestation, BlockAttestation)
    assert attestation.tag == MISO_TAG
