"""What a real bitcoind (29) answers, restated: codes and texts of errors, and how numbers look."""

from typing import Any

import pytest

from misocoin.http.errors import RpcError
from misocoin.rpc.json import bytes_from_json, real
from tests.unit.rpc.core.conftest import CoreNode

ZERO = "00" * 32


@pytest.mark.parametrize(
    ("method", "params", "code", "message"),
    [
        (
            "getblock",
            [5],
            -3,
            'Wrong type passed:\n{\n    "Position 1 (blockhash)": "JSON value of type number is '
            'not of expected type string"\n}',
        ),
        ("getblock", [ZERO, "1"], -3, "JSON value of type string is not of expected type number"),
        ("getblock", [ZERO, 1 << 31], -1, "JSON integer out of range"),
        ("getblockhash", [1 << 31], -1, "JSON integer out of range"),
        ("getblockhash", [1.5], -1, "JSON integer out of range"),
        ("getblockheader", ["00"], -8, "hash must be of length 64 (not 2, for '00')"),
        ("getblockheader", ["g" * 64], -8, f"hash must be hexadecimal string (not '{'g' * 64}')"),
        ("getblockstats", ["5"], -8, "hash_or_height must be of length 64 (not 1, for '5')"),
        ("getblockstats", [None], -3, "JSON value of type null is not of expected type string"),
        ("getblockstats", [5, [1]], -3, "JSON value of type number is not of expected type string"),
        ("getblockstats", [5, ["x"]], -8, "Invalid selected statistic 'x'"),
        ("getmempoolentry", ["x"], -8, "parameter 1 must be of length 64 (not 1, for 'x')"),
        ("gettxout", [ZERO, -1], -1, "JSON integer out of range"),
        ("gettxoutproof", [[1]], -3, "JSON value of type number is not of expected type string"),
        ("verifytxoutproof", [""], -8, "proof must be hexadecimal string (not '')"),
        (
            "gettxspendingprevout",
            [[1]],
            -3,
            "JSON value of type number is not of expected type object",
        ),
        ("gettxspendingprevout", [[{}]], -3, "Missing txid"),
        ("gettxspendingprevout", [[{"txid": ZERO, "vout": 0, "x": 1}]], -3, "Unexpected key x"),
        (
            "gettxspendingprevout",
            [[{"txid": ZERO, "vout": "0"}]],
            -3,
            "JSON value of type string for field vout is not of expected type number",
        ),
        (
            "gettxspendingprevout",
            [[{"txid": ZERO, "vout": -1}]],
            -8,
            "Invalid parameter, vout cannot be negative",
        ),
        ("scantxoutset", ["stop" * 20], -8, f"Invalid action '{'stop' * 20}'"),
        (
            "scantxoutset",
            ["start", [{"desc": 5}]],
            -3,
            "JSON value of type number is not of expected type string",
        ),
    ],
)
def test_errors(core: CoreNode, method: str, params: list[Any], code: int, message: str) -> None:
    with pytest.raises(RpcError) as caught:
        getattr(core, method)(*params)
    assert (caught.value.code, caught.value.message) == (code, message)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (4.6565423739069247e-10, b"4.656542373906925e-10"),
        (1.0, b"1"),
        (23.0, b"23"),
        (1 / 3, b"0.3333333333333333"),
        (1e16, b"1e+16"),
    ],
)
def test_a_fraction_has_16_digits(value: float, written: bytes) -> None:
    assert bytes_from_json(real(value)) == written


def test_difficulty_is_written_so(core: CoreNode) -> None:
    written = bytes_from_json(core.registry.call("getblockchaininfo"))
    assert b'"difficulty":4.656542373906925e-10,' in written
    assert b'"verificationprogress":1,' in written
