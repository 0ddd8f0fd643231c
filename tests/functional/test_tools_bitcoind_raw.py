"""Raw transactions, scripts and addresses: ours beside a real bitcoind, drawn at random as well."""

import os
from collections.abc import Callable
from typing import Any

import pytest

from misocoin.crypto.keys import PrivateKey
from misocoin.crypto.wif import wif_from_key
from tests.functional.conftest import MakeTwins
from tests.functional.framework.answers import Twins
from tests.functional.framework.differences import Buts, differences, ignored, read_json
from tests.functional.framework.odd_scripts import OddScripts
from tests.functional.framework.standing import below

pytestmark = pytest.mark.tools

ROUNDS = int(os.environ.get("BITCOIND_ROUNDS", "10"))
SEED = int(os.environ.get("BITCOIND_SEED", "1"))
BATCH = 200

KEYS = [PrivateKey(bytes([number]) * 32) for number in (1, 2, 3)]
WIFS = [wif_from_key(key, 239) for key in KEYS]
PUBLIC = [key.public_key.hex() for key in KEYS]
ADDRESS = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
TXID = "ab" * 32
PLACE = {"txid": TXID, "vout": 0}


@pytest.fixture(scope="module")
def twins(make_twins: MakeTwins) -> Twins:
    """Both with coins of the first key: two to its P2WPKH and two to its P2PKH address."""
    # Core lowered both a hundredfold between 29.0 and 30.
    twins = make_twins("-minrelaytxfee=0.00001", "-incrementalrelayfee=0.00001")
    twins.set_time(1_700_000_000)
    for address in spendable(twins):
        twins.grow(2, address)
    twins.grow(101, ADDRESS)
    return twins


def spendable(twins: Twins) -> list[str]:
    """The first key's addresses."""
    found = []
    for form in (f"wpkh({PUBLIC[0]})", f"pkh({PUBLIC[0]})"):
        descriptor = twins.theirs.call("getdescriptorinfo", form)["descriptor"]
        found += twins.theirs.call("deriveaddresses", descriptor)
    return found


def coin(twins: Twins, height: int) -> dict[str, Any]:
    """What the block at a height made."""
    block = twins.theirs.call("getblock", twins.theirs.call("getblockhash", height))
    return {"txid": block["tx"][0], "vout": 0}


def check_drawn(
    twins: Twins, method: str, draw: Callable[[], list[Any]], but: Callable[[Any], Buts]
) -> None:
    """Ask both the same in batches; `but` says of theirs what may differ."""
    for _ in range(ROUNDS):
        drawn = [draw() for _ in range(BATCH)]
        calls = [
            {"id": place, "method": method, "params": each} for place, each in enumerate(drawn)
        ]
        ours, theirs = map(lambda reply: read_json(reply.body), twins.post(calls))
        for params, one, other in zip(drawn, ours, theirs, strict=True):
            found = differences(one, other, but(other), below("$.result", method))
            assert not found, (method, params, found)


def no_but(_answer: Any) -> Buts:
    return {}


def test_transactions_drawn_at_random(twins: Twins) -> None:
    odd = OddScripts(SEED)
    check_drawn(
        twins,
        "decoderawtransaction",
        lambda: [odd.transaction().hex(), *odd.random.choice(([], [], [True], [False]))],
        no_but,
    )


def test_scripts_drawn_at_random(twins: Twins) -> None:
    odd = OddScripts(SEED)

    def miniscript(answer: Any) -> Buts:
        desc = ((answer["result"] or {}).get("segwit") or {}).get("desc", "")
        if desc.startswith("wsh(") and not desc.startswith("wsh(multi("):
            return {"$.result.segwit.desc": ignored("miniscript, which ours does not infer")}
        return {}

    check_drawn(twins, "decodescript", lambda: [odd.script().hex()], miniscript)


def test_addresses_drawn_at_random(twins: Twins) -> None:
    odd = OddScripts(SEED)

    check_drawn(twins, "validateaddress", lambda: [odd.address()], no_but)


@pytest.mark.parametrize(
    "params",
    [
        [[PLACE], {ADDRESS: 1}],
        [[PLACE], [{ADDRESS: 1}, {"data": "00ff"}], 5, False],
        [[{**PLACE, "sequence": 5}], {}, 0, False],
        [[{**PLACE, "sequence": 0xFFFFFFFE}], {}, 0, True],
        [[{**PLACE, "sequence": 0xFFFFFFFE}, PLACE], {}, 0, True],
        [[PLACE, PLACE], {}],
        [[], {}],
        [[PLACE], None],
        [[PLACE], "x"],
        *([[PLACE], {"data": data}] for data in ("", "0", "zz", 5)),
        *([[PLACE], outputs] for outputs in ([5], ["x"], [{}], [{ADDRESS: 1, "data": "00"}])),
        [[PLACE], [{ADDRESS: 1}, {ADDRESS: 1}]],
        [[PLACE], {ADDRESS: 1, ADDRESS.upper(): 2}],
        [[PLACE], [{"data": "00"}, {"data": "01"}]],
        [[PLACE], {"nobody": 1}],
        *([[each], {}] for each in (5, "x", None, [], {}, {"txid": TXID}, {"vout": 0})),
        *([[{**PLACE, "txid": txid}], {}] for txid in ("", "x", "zz" * 32, 5, None)),
        *([[{**PLACE, "vout": vout}], {}] for vout in (-1, "0", 1.5, True, 1 << 31, 1 << 32)),
        *([[{**PLACE, "sequence": each}], {}] for each in (-1, "x", None, 1.5, 1 << 32)),
        *([[PLACE], {}, locktime] for locktime in (0, 500_000_000, -1, 1 << 32, 1 << 63, 1.5)),
    ],
)
def test_what_a_transaction_is_made_of(twins: Twins, params: list[Any]) -> None:
    twins.same("createrawtransaction", *params)


@pytest.mark.parametrize(
    "amount",
    [1, 0, -1, 0.1, 1e-8, 1e-9, 21_000_000, 21_000_001, 1e10, 10**11, None, True, [1], {}]
    + ["1", "1e-8", "1e1", "-0", "-1", "01", ".5", "5.", "+1", " 1", "", "0x1", "1.0000000000"]
    + ["0e999", "1e18", "0.123456789", "92233720368.54775807", "21000000.00000001"],
)
def test_amounts(twins: Twins, amount: Any) -> None:
    twins.same("createrawtransaction", [], {ADDRESS: amount})


@pytest.mark.parametrize("bad", ["", "0", "zz", "00", "0200", "02000000000000000000"])
def test_what_is_no_transaction(twins: Twins, bad: str) -> None:
    twins.same("decoderawtransaction", bad)
    twins.same("testmempoolaccept", [bad])
    twins.same("submitpackage", [bad, bad])
    twins.same("signrawtransactionwithkey", bad, [])
    twins.same("combinerawtransaction", [bad])


@pytest.mark.parametrize("kind", ["legacy", "p2sh-segwit", "bech32"])
def test_a_multisig_signed_in_parts(twins: Twins, kind: str) -> None:
    made = twins.same("createmultisig", 2, PUBLIC, kind)
    script = twins.same("validateaddress", made["address"])["scriptPubKey"]
    place = coin(twins, {"legacy": 1, "p2sh-segwit": 2, "bech32": 3}[kind])
    funding = twins.same("createrawtransaction", [place], {made["address"]: 49.9999})
    paid = twins.same("signrawtransactionwithkey", funding, [WIFS[0]])
    spent = {"txid": twins.send(paid["hex"]), "vout": 0}
    plain = twins.same("createrawtransaction", [spent], {ADDRESS: 49.999})
    name = "redeemScript" if kind == "legacy" else "witnessScript"
    told = [{**spent, "scriptPubKey": script, name: made["redeemScript"], "amount": 49.9999}]
    parts = [
        twins.same("signrawtransactionwithkey", plain, keys, told)["hex"]
        for keys in ([], WIFS[:1], WIFS[1:2], WIFS[2:])
    ]
    twins.same("signrawtransactionwithkey", parts[1], WIFS[2:], told)
    for chosen in ((0,), (1,), (1, 0), (1, 1), (3, 2), (1, 2, 3)):
        twins.same("combinerawtransaction", [parts[place] for place in chosen])
    whole = twins.same("combinerawtransaction", [parts[2], parts[1]])
    twins.send(whole)


@pytest.mark.parametrize("hash_type", ["ALL", "NONE", "SINGLE|ANYONECANPAY", "DEFAULT", "all", ""])
def test_what_is_signed(twins: Twins, hash_type: str) -> None:
    for height in (1, 3):  # both kinds of output
        plain = twins.same("createrawtransaction", [coin(twins, height)], {ADDRESS: 49})
        twins.same("signrawtransactionwithkey", plain, WIFS[:1], [], hash_type)


def test_outputs_that_are_told_of(twins: Twins) -> None:
    plain = twins.same("createrawtransaction", [PLACE], {ADDRESS: 1})
    script = f"5121{PUBLIC[0]}51ae"
    shown = twins.same("decodescript", script)
    hidden = twins.theirs.call("validateaddress", shown["p2sh"])["scriptPubKey"]
    nested = twins.theirs.call("validateaddress", shown["segwit"]["p2sh-segwit"])["scriptPubKey"]
    told = {**PLACE, "scriptPubKey": hidden, "amount": 2}
    sign = "signrawtransactionwithkey"
    for wrong in (
        *(5, "x", {}),
        *({**told, "txid": txid} for txid in ("00", 5)),
        *({**told, "vout": vout} for vout in (-1, "0", 1.5)),
        *({**told, "scriptPubKey": each} for each in ("", "zz", 5)),
        *({**told, "amount": amount} for amount in ("x", -1, None, 1e10)),
        told,
        *({**told, "redeemScript": each} for each in ("", "zz", "51", 5)),
        {**told, "redeemScript": script, "witnessScript": "51"},
        {**told, "scriptPubKey": shown["segwit"]["hex"], "witnessScript": script, "amount": None},
    ):
        twins.same(sign, plain, WIFS[:1], [wrong])
    right: list[dict[str, Any]] = [
        {**told, "redeemScript": script},
        {**told, "witnessScript": script},
        {**told, "scriptPubKey": shown["segwit"]["hex"], "witnessScript": script},
        {**told, "scriptPubKey": shown["segwit"]["hex"], "redeemScript": script},
        {**told, "scriptPubKey": nested, "redeemScript": script},
        {
            **told,
            "scriptPubKey": nested,
            "witnessScript": script,
            "redeemScript": shown["segwit"]["hex"],
        },
    ]
    for each in right:
        assert twins.same(sign, plain, WIFS[:1], [each])["complete"]
        assert not twins.same(sign, plain, [], [each])["complete"]
    del right[2]["amount"]
    twins.same(sign, plain, WIFS[:1], [right[2]])
    assert not twins.same(sign, plain, WIFS[:1])["complete"]
    for wrong_key in ("x", "", 5):
        twins.same(sign, plain, [wrong_key])


def test_transactions_that_are_refused(twins: Twins) -> None:
    place = coin(twins, 4)

    def signed(outputs: Any, lock: int = 0, **more: Any) -> str:
        plain = twins.theirs.call("createrawtransaction", [{**place, **more}], outputs, lock)
        done = twins.theirs.call("signrawtransactionwithkey", plain, WIFS[:1])
        return str(done["hex"])

    good = signed({ADDRESS: 49.999})
    value = (4_999_900_000).to_bytes(8, "little").hex()
    for refused in (
        signed({ADDRESS: 51}),
        signed({ADDRESS: 40}),
        signed({ADDRESS: 49.999}, 5000),
        signed({ADDRESS: 49.999}, 0, sequence=500),
        signed({}),
        signed([{"data": "00"}, {ADDRESS: 49.99}]),
        "05000000" + good[8:],
        good.replace(value, "ff" * 8),
        good.replace(value, (21 * 10**14 + 1).to_bytes(8, "little").hex()),
        twins.theirs.call("createrawtransaction", [place], {ADDRESS: 49}),
        twins.theirs.call("createrawtransaction", [PLACE], {ADDRESS: 49}),
        twins.theirs.call("createrawtransaction", [place, place], {ADDRESS: 49}),
        twins.theirs.call("createrawtransaction", [coin(twins, 50)], {ADDRESS: 49}),
        good[:120] + ("0" if good[120] != "0" else "1") + good[121:],
    ):
        (verdict,) = twins.same("testmempoolaccept", [refused])
        if not verdict["allowed"]:
            twins.same("sendrawtransaction", refused)
    twins.send(good)
    assert twins.same("sendrawtransaction", good)
    twins.same("sendrawtransaction", signed({ADDRESS: 49.9995}))
    twins.same("sendrawtransaction", signed({ADDRESS: 49.9989999}))
    twins.grow(1, ADDRESS)
    twins.same("sendrawtransaction", good)
    twins.same("sendrawtransaction", signed({ADDRESS: 49.9}))


def test_getrawtransaction(twins: Twins) -> None:
    txid = coin(twins, 5)["txid"]
    block = twins.theirs.call("getblockhash", 5)
    for params in (
        [txid],
        [txid, 0],
        [txid, 1],
        [txid, 2],
        [txid, True],
        [txid, 1, block],
        [txid, 2, block],
        [txid, 1, twins.theirs.call("getblockhash", 6)],
        [txid, 1, "00" * 32],
        [txid, -5],
        [txid, 9],
        [TXID],
        ["x"],
        ["zz" * 32],
        [txid, "1"],
        [txid, {}],
        [txid, 1.5],
    ):
        twins.same("getrawtransaction", *params)


def test_messages(twins: Twins) -> None:
    address = spendable(twins)[1]
    signature = twins.same("signmessagewithprivkey", WIFS[0], "hello")
    assert twins.same("verifymessage", address, signature, "hello") is True
    for wrong in ("", "x", "AAAA", signature[:-4], f" {signature}", f"{signature}\n", "A" * 88):
        twins.same("verifymessage", address, wrong, "hello")
    twins.same("verifymessage", "x", signature, "hello")
    twins.same("signmessagewithprivkey", "x", "hello")


@pytest.mark.parametrize(
    "params",
    [
        *([2, PUBLIC, kind] for kind in ("legacy", "bech32", "p2sh-segwit", "bech32m", "x")),
        *([required, PUBLIC] for required in (0, -1, 4, 1.5, 1 << 40)),
        *([1, [key]] for key in (5, None, "x", "zz" * 33, "02" * 33, "0202", f"05{'02' * 32}")),
        [16, [PUBLIC[0]] * 16],
        [2, [PUBLIC[0]] * 20, "bech32"],
        [2, [PUBLIC[0]] * 21, "bech32"],
        [1, []],
    ],
)
def test_multisig_addresses(twins: Twins, params: list[Any]) -> None:
    twins.same("createmultisig", *params)
