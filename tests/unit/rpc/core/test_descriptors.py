"""Core's methods on descriptors."""

from tests.unit.rpc.core.conftest import MINER, MINER_WIF, CoreNode


def test_descriptors(core: CoreNode) -> None:
    info = core.getdescriptorinfo(f"wpkh({MINER_WIF})")
    assert info["hasprivatekeys"]
    assert info["issolvable"]
    assert not core.getdescriptorinfo(f"addr({MINER})")["issolvable"]
    assert core.deriveaddresses(info["descriptor"]) == [MINER]
    assert core.error("deriveaddresses", f"wpkh({MINER_WIF})") == (-5, "Missing checksum")
    assert core.error("deriveaddresses", info["descriptor"], 5)[0] == -8
    assert core.error("getdescriptorinfo", "x")[0] == -5
    raw = core.getdescriptorinfo("raw(6a)")["descriptor"]
    assert core.error("deriveaddresses", raw) == (
        -5,
        "Descriptor does not have a corresponding address",
    )
