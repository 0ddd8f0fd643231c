"""Core's methods on descriptors, and the others that read one; cases of Core's own tests."""

import pytest

from tests.unit.rpc.core.conftest import MINER, MINER_WIF, CoreNode

PRIVATE = (
    "tprv8ZgxMBicQKsPd7Uf69XL1XwhmjHopUGep8GuEiJDZmbQz6o58LninorQAfcKZWARbtRtfnLcJ5MQ2AtHcQJCCRUcM"
    "RvmDUjyEmNUWwx8UbK"
)
PUBLIC = (
    "tpubD6NzVbkrYhZ4WaWSyoBvQwbpLkojyoTZPRsgXELWz3Popb3qkjcJyJUGLnL4qHHoQvao8ESaAstxYSnhyswJ76uZP"
    "StJRJCTKvosUCJZL5B"
)
ADDRESSES = [
    "bcrt1qjqmxmkpmxt80xz4y3746zgt0q3u3ferr34acd5",
    "bcrt1qhku5rq7jz8ulufe2y6fkcpnlvpsta7rq4442dy",
    "bcrt1qpgptk2gvshyl0s9lqshsmx932l9ccsv265tvaq",
]


def summed(core: CoreNode, text: str) -> str:
    """The descriptor as it is, with its checksum."""
    return f"{text}#{core.getdescriptorinfo(text)['checksum']}"


def test_what_a_descriptor_is(core: CoreNode) -> None:
    info = core.getdescriptorinfo(f"wpkh({MINER_WIF})")
    assert info["hasprivatekeys"]
    assert info["issolvable"]
    assert not info["isrange"]
    assert MINER_WIF not in info["descriptor"]
    assert core.deriveaddresses(info["descriptor"]) == [MINER]
    assert not core.getdescriptorinfo(f"addr({MINER})")["issolvable"]
    assert core.getdescriptorinfo(f"wpkh({PRIVATE}/1/1/*)") == {
        "descriptor": summed(core, f"wpkh({PUBLIC}/1/1/*)"),
        "checksum": "kft60nuy",
        "isrange": True,
        "issolvable": True,
        "hasprivatekeys": True,
    }
    several = core.getdescriptorinfo(f"wpkh({PUBLIC}/<0;1>/*)")
    assert several["multipath_expansion"] == [
        summed(core, f"wpkh({PUBLIC}/{number}/*)") for number in range(2)
    ]
    assert several["descriptor"] == several["multipath_expansion"][0]
    assert core.error("getdescriptorinfo", "x")[0] == -5


def test_addresses(core: CoreNode) -> None:
    assert core.deriveaddresses(f"wpkh({PRIVATE}/1/1/0)#t6wfjs64") == ADDRESSES[:1]
    ranged = f"wpkh({PRIVATE}/1/1/*)#kft60nuy"
    assert core.deriveaddresses(ranged, [1, 2]) == ADDRESSES[1:]
    assert core.deriveaddresses(ranged, 2) == ADDRESSES
    last = 2**31 - 1
    assert len(core.deriveaddresses(ranged, [last, last])) == 1
    several = core.deriveaddresses(summed(core, f"wpkh({PUBLIC}/1/<1;2>/*)"), [1, 2])
    assert several[0] == ADDRESSES[1:]
    assert len(several[1]) == 2
    combo = core.deriveaddresses(summed(core, f"combo({PUBLIC}/1/1/0)"))
    assert combo[1] == ADDRESSES[0]
    assert len(combo) == 3  # the bare key has none


def test_addresses_that_there_are_not(core: CoreNode) -> None:
    ranged = f"wpkh({PRIVATE}/1/1/*)#kft60nuy"
    fixed = f"wpkh({PRIVATE}/1/1/0)#t6wfjs64"
    for descriptor, numbers, error in (
        (fixed.partition("#")[0], None, (-5, "Missing checksum")),
        (fixed, [0, 2], (-8, "Range should not be specified for an un-ranged descriptor")),
        (ranged, None, (-8, "Range must be specified for a ranged descriptor")),
        (ranged, -1, (-8, "End of range is too high")),
        (ranged, [-1, 0], (-8, "Range should be greater or equal than 0")),
        (ranged, [2, 0], (-8, "Range specified as [begin,end] must not have begin after end")),
        (ranged, [0, 2**31], (-8, "End of range is too high")),
        (ranged, [0, 1_000_000], (-8, "Range is too large")),
        (ranged, "2", (-8, "Range must be specified as end or as [begin,end]")),
        (ranged, [0, True], (-8, "Range must be specified as end or as [begin,end]")),
        (
            summed(core, f"wpkh({PUBLIC}/1h/*)"),
            0,
            (-5, "Cannot derive script without private keys"),
        ),
        ("raw(6a)#", None, (-5, "Expected 8 character checksum, not 0 characters")),
        (
            summed(core, f"multi(1,{PUBLIC})"),
            None,
            (-5, "Descriptor does not have a corresponding address"),
        ),
    ):
        assert core.error("deriveaddresses", descriptor, numbers) == error


def test_coins_of_a_range_are_found(core: CoreNode) -> None:
    core.generatetodescriptor(1, f"wpkh({PUBLIC}/1/1/1001)")
    core.generatetodescriptor(2, f"pkh({PUBLIC}/1/1/7)")
    core.generatetodescriptor(1, f"tr({PUBLIC}/1/1/3)")

    def found(*objects: object) -> list[str]:
        unspents = core.scantxoutset("start", list(objects))["unspents"]
        return sorted(each["desc"].partition("]")[0] for each in unspents)

    assert found(f"wpkh({PUBLIC}/1/1/*)") == []  # a thousand without a range
    ranged = {"desc": f"wpkh({PUBLIC}/1/1/*)", "range": 1001}
    assert found(ranged) == ["wpkh([0c5f9a1e/1/1/1001"]
    assert found({"desc": f"combo({PUBLIC}/1/1/*)", "range": [7, 7]}) == ["pkh([0c5f9a1e/1/1/7"] * 2
    assert found(f"tr({PRIVATE}/1/<1;2>/3)") == ["tr([0c5f9a1e/1/1/3"]


@pytest.mark.parametrize(
    ("scanned", "error"),
    [
        (5, (-8, "Scan object needs to be either a string or an object")),
        ({"range": 5}, (-8, "Descriptor needs to be provided in scan object")),
        ({"desc": f"wpkh({PUBLIC}/*)", "range": -1}, (-8, "End of range is too high")),
        (f"wpkh({PUBLIC}/*h)", (-5, "Cannot derive script without private keys")),
        ("wpkh()", (-5, "wpkh(): key '' is not valid")),
    ],
)
def test_what_cannot_be_scanned_for(
    core: CoreNode, scanned: object, error: tuple[int, str]
) -> None:
    assert core.error("scantxoutset", "start", [scanned]) == error


def test_what_cannot_be_mined_to(core: CoreNode) -> None:
    assert core.error("generatetodescriptor", 1, f"wpkh({PUBLIC}/*)") == (
        -8,
        "Ranged descriptor not accepted. Maybe pass through deriveaddresses first?",
    )
    assert core.error("generatetodescriptor", 1, f"wpkh({PUBLIC}/<0;1>)") == (
        -8,
        "Multipath descriptor not accepted",
    )
