"""Payments signed together with wallets that others wrote: Electrum and embit."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from misocoin.crypto.bip32 import ExtendedPrivateKey, path_from_text
from misocoin.wallet.words import seed_from_words
from tests.functional.conftest import MakeDaemon
from tests.functional.framework.daemon import Daemon
from tests.functional.framework.electrum import OfflineElectrum
from tests.functional.framework.registries import Registries, run
from tests.functional.framework.wallet import WalletCommands

pytestmark = pytest.mark.tools

EMBIT = "embit==0.8.0"
SCRIPT = Path(__file__).parent / "tool_scripts" / "embit_psbt.py"
MULTISIG_PATH = "m/48'/1'/0'/2'"
PRIVATE_MULTISIG = bytes.fromhex("02575048")  # Vprv


class Purse:
    """A wallet folder, the node it asks, and files that are passed around."""

    def __init__(self, folder: Path, node: Daemon) -> None:
        self.wallet = WalletCommands(folder / "keys")
        self.node = node
        self._at = f"-nodes=127.0.0.1:{node.port}"
        self._folder = folder

    def fund(self, *addresses: str) -> list[str]:
        """Pay 20 to each, mined; their transactions in hex."""
        rpc = self.node.rpc
        txids = [rpc.sendtoaddress(address, 20) for address in addresses]
        rpc.generatetoaddress(1, rpc.getnewaddress())
        self.wallet.run("sync", "-once", self._at)
        return [rpc.getrawtransaction(txid) for txid in txids]

    def file(self, name: str, text: str) -> str:
        path = self._folder / name
        path.write_text(text)
        return str(path)

    def draft(self, name: str, amount: str = "7") -> str:
        """A payment of a wallet's that nobody has signed."""
        theirs = self.node.rpc.getnewaddress()
        words = ["-all", theirs] if amount == "-all" else [amount, theirs]
        return self.wallet.run("psbt-create", name, *words, self._at)

    def sign(self, name: str, text: str) -> str:
        return self.wallet.run("psbt-sign", self.file("to-sign.psbt", text), name)

    def send(self, *texts: str) -> None:
        """Send what is complete together, and see it mined."""
        files = [self.file(f"part-{n}.psbt", text) for n, text in enumerate(texts)]
        said = self.wallet.run("psbt-send", *files, self._at)
        txid = said.split()[1]
        rpc = self.node.rpc
        assert rpc.getrawmempool() == [txid], said
        rpc.generatetoaddress(1, rpc.getnewaddress())
        assert f"Payment {txid} was mined" in self.wallet.run("sync", "-once", self._at)


@pytest.fixture
def purse(make_daemon: MakeDaemon, tmp_path: Path) -> Purse:
    node = make_daemon("-txindex").start()
    node.rpc.generatetoaddress(101, node.rpc.getnewaddress())
    return Purse(tmp_path, node)


@pytest.fixture
def embit(registries: Registries, purse: Purse) -> Callable[..., dict[str, Any]]:
    python = registries.python(EMBIT) / "python"

    def embit(text: str, *words: str) -> dict[str, Any]:
        ended = run([python, SCRIPT, purse.file("embit.psbt", text), *words])
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    return embit


def test_electrum_signs_for_a_wallet_that_watches(purse: Purse, tmp_path: Path) -> None:
    cold = OfflineElectrum(tmp_path, "cold")
    cold.call("create", "--seed_type", "segwit")
    said = purse.wallet.run("watch", "cold", cold.call("getmpk"))
    addresses = cold.call("listaddresses")
    assert f"with address {addresses[0]}\n" in said
    purse.fund(*addresses[:2])
    draft = purse.draft("cold", "30")  # more than one of the coins
    purse.send(cold.call("signtransaction", draft))


def test_electrum_watches_a_wallet_that_signs(purse: Purse, tmp_path: Path) -> None:
    address = purse.wallet.run("new-wallet", "hd").split("with address ")[1].split()[0]
    watching = OfflineElectrum(tmp_path, "watching")
    watching.call("restore", purse.wallet.run("xpub", "hd", "-slip132").strip())
    assert watching.call("listaddresses")[0] == address
    (coin,) = purse.fund(address)
    watching.call("addtransaction", coin)
    theirs = purse.node.rpc.getnewaddress()
    draft = watching.call("payto", theirs, "3", "--fee=0.0001", "--unsigned")
    purse.send(purse.sign("hd", draft))


def test_a_multisig_of_three_programs(
    purse: Purse, tmp_path: Path, embit: Callable[..., dict[str, Any]]
) -> None:
    """Two of: ann in a wallet here, bob in Electrum's, cyd in embit's."""
    wallet = purse.wallet
    for name in ("ann", "bob", "cyd"):
        wallet.run("new-wallet", name)
    words = {name: wallet.run("words", name).strip() for name in ("bob", "cyd")}
    zpubs = [wallet.run("xpub", each, "-multisig", "-slip132").strip() for each in ("bob", "ann")]
    zpubs.append(wallet.run("xpub", "cyd", "-multisig", "-slip132").strip())
    made = wallet.run("new-multisig", "ours", "2", "ann", "bob", "cyd")
    address = made.split("with address ")[1].split()[0]
    master = ExtendedPrivateKey.from_seed(seed_from_words(words["bob"]))
    bob = OfflineElectrum(tmp_path, "bob")
    own = master.derive(path_from_text(MULTISIG_PATH)).to_text(PRIVATE_MULTISIG)
    bob.write_multisig(own, master.fingerprint.hex(), MULTISIG_PATH, *zpubs)
    assert bob.call("listaddresses")[0] == address

    (coin,) = purse.fund(address)
    draft = purse.draft("ours")
    by_bob, by_cyd = bob.call("signtransaction", draft), embit(draft, words["cyd"])
    assert (by_cyd["count"], by_cyd["transaction"]) == (1, None)
    of_all = embit(purse.sign("ann", by_bob))["transaction"]
    assert of_all is not None  # embit finishes what two others have signed
    purse.send(by_bob, by_cyd["psbt"])

    (coin,) = purse.fund(address)
    bob.call("addtransaction", coin)
    theirs = purse.node.rpc.getnewaddress()
    draft = bob.call("payto", theirs, "1.25", "--fee=0.0002")  # signs for bob at once
    purse.send(bob.call("signtransaction", purse.sign("ann", draft)))


def test_embit_signs_for_every_type_of_address(
    purse: Purse, embit: Callable[..., dict[str, Any]]
) -> None:
    wallet = purse.wallet
    wallet.run("new-wallet", "hd")

    def draft_of(*types: str) -> str:
        new = (wallet.run("next-address", "hd", f"-type={each}").strip() for each in types)
        purse.fund(*new)
        return purse.draft("hd", "-all")

    types = ("bech32", "p2sh-segwit", "legacy")
    theirs = embit(draft_of(*types, "bech32m"), wallet.run("words", "hd").strip())
    assert theirs["count"] == 4
    purse.send(theirs["transaction"])
    # Its finalizer takes no notice of taproot's signatures.
    purse.send(embit(purse.sign("hd", draft_of(*types)))["transaction"])
