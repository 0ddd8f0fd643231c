"""Partially signed transactions: BIP174's vectors, every type of address, multisig, nonsense."""

from base64 import b64encode
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from misocoin.crypto.bip32 import ExtendedPrivateKey, extended_key_from_text, path_from_text
from misocoin.crypto.keys import PrivateKey
from misocoin.errors import ParseError, WalletError
from misocoin.params import regtest
from misocoin.primitives.transaction import OutPoint, Transaction, TxIn, TxOut
from misocoin.script.flags import STANDARD
from misocoin.script.inputs import verify_input
from misocoin.script.sighash import TxDigests
from misocoin.wallet.addresses import (
    SINGLE_KEY_TYPES,
    Account,
    AccountKey,
    AddressType,
    Branch,
    KeyOrigin,
    account_path,
    forms_of_key,
)
from misocoin.wallet.psbt import (
    bytes_from_psbt,
    calculate_psbt_fee,
    combine_psbts,
    create_psbt,
    psbt_from_bytes,
    psbt_from_text,
    spent_outputs,
    text_from_psbt,
)
from misocoin.wallet.psbt_signing import extract_transaction, finalize_psbt, sign_psbt
from misocoin.wallet.walletfile import Secrets, new_wallet_file

KEY = PrivateKey(bytes(31) + b"\x05")

# BIP174, the walk through all roles: the master key, and the PSBT as its updater leaves it.
MASTER = (
    "tprv8ZgxMBicQKsPd9TeAdPADNnSyH9SSUUbTVeFszDE23Ki6TBB5nCefAdHkK8Fm3qMQR6sHwA56zqRmKmxnHk37Jk"
    "iFzvncDqoKmPWubu7hDF"
)
UNSIGNED = (
    "020000000258e87a21b56daf0c23be8e7070456c336f7cbaa5c8757924f545887bb2abdd750000000000ffffffff"
    "838d0427d0ec650a68aa46bb0b098aea4422c071b2ca78352a077959d07cea1d0100000000ffffffff0270aaf008"
    "00000000160014d85c2b71d0060b09c9886aeb815e50991dda124d00e1f5050000000016001400aea9a2e5f0f876"
    "a588df5546e8742d1d87008f00000000"
)
PREVIOUS = (
    "0200000001aad73931018bd25f84ae400b68848be09db706eac2ac18298babee71ab656f8b000000004847304402"
    "2058f6fc7c6a33e1b31548d481c826c015bd30135aad42cd67790dab66d2ad243b02204a1ced2604c6735b6393e5"
    "b41691dd78b00f0c5942fb9f751856faa938157dba01feffffff0280f0fa020000000017a9140fb9463421696b82"
    "c833af241c78c17ddbde493487d0f20a270100000017a91429ca74f8a08f81999428185c97b5d852e4063f618765"
    "000000"
)
REDEEM = (
    "5221029583bf39ae0a609747ad199addd634fa6108559d6c5cd39b4c2183f1ab96e07f2102dab61ff49a14db6a7d"
    "02b0cd1fbb78fc4b18312b5b4e54dae4dba2fbfef536d752ae"
)
WITNESS = (
    "522103089dc10c7ac6db54f91329af617333db388cead0c231f723379d1b99030b02dc21023add904f3d6dcf59dd"
    "b906b0dee23529b7ffb9ed50e5e86151926860221f0e7352ae"
)
NESTED = "00208c2353173743b595dfb4a07b72ba8e42e3797da74e87fe7d9d7497e3b2028903"
UPDATED = (
    "70736274ff01009a"
    + UNSIGNED
    + "000100bb"
    + PREVIOUS
    + "01030401000000010447"
    + REDEEM
    + "2206029583bf39ae0a609747ad199addd634fa6108559d6c5cd39b4c2183f1ab96e07f10d90c6a4f00000080"
    "0000008000000080220602dab61ff49a14db6a7d02b0cd1fbb78fc4b18312b5b4e54dae4dba2fbfef536d710d90c"
    "6a4f00000080000000800100008000"
    "01012000c2eb0b0000000017a914b7f5faf40e3d40a5a459b1db3535f2b72fa921e88701030401000000010422"
    "0020"
    + NESTED[4:]
    + "010547"
    + WITNESS
    + "2206023add904f3d6dcf59ddb906b0dee23529b7ffb9ed50e5e86151926860221f0e7310d90c6a4f00000080"
    "0000008003000080220603089dc10c7ac6db54f91329af617333db388cead0c231f723379d1b99030b02dc10d90c"
    "6a4f00000080000000800200008000"
    "220203a9a4c37f5996d3aa25dbac6b570af0650394492942460b354753ed9eeca5877110d90c6a4f000000800000"
    "00800400008000"
    "2202027f6399757d2eff55a136ad02c684b1838b6556e5f1b6b34282a94b6b5005109610d90c6a4f000000800000"
    "00800500008000"
)
# What its finalizer makes of it.
FINAL_SCRIPT = (
    "00473044022074018ad4180097b873323c0015720b3684cc8123891048e7dbcd9b55ad679c99022073d369b740e3"
    "eb53dcefa33823c8070514ca55a7dd9544f157c167913261118c01483045022100f61038b308dc1da865a3485274"
    "6f015772934208c6d24454393cd99bdf2217770220056e675a675a6d0a02b85b14e5e29074d8a25a9b5760bea281"
    "6f661910a006ea0147" + REDEEM
)
FINAL_WITNESS = (
    "3044022062eb7a556107a7c73f45ac4ab5a1dddf6f7075fb1275969a7f383efff784bcb202200c05dbb7470dbf2f"
    "08557dd356c7325c1ed30913e996cd3840945db12228da5f01",
    "3044022065f45ba5998b59a27ffe1a7bed016af1f1f90d54b3aa8f7450aa5f56a25103bd02207f724703ad1edb96"
    "680b284b56d4ffcb88f7fb759eabbe08aa30f29b851383d201",
)


def vector():
    return psbt_from_bytes(bytes.fromhex(UPDATED))


def find_with(*numbers):
    """The keys m/0'/0'/n' of the vectors' master key, for the numbers that are named."""
    _, master = extended_key_from_text(MASTER)
    assert isinstance(master, ExtendedPrivateKey)

    def find(public_key, origin):
        if origin is None or origin.fingerprint != master.fingerprint:
            return None
        if origin.path[-1] not in [path_from_text(f"{n}'")[0] for n in numbers]:
            return None
        key = master.derive(origin.path).key
        return key if key.public_key == public_key else None

    return find


def test_bip174_from_updater_to_extractor():
    psbt = vector()
    assert bytes_from_psbt(psbt).hex() == UPDATED
    assert calculate_psbt_fee(psbt) == 10_000
    one, count_one = sign_psbt(psbt, find_with(0, 2))
    other, count_other = sign_psbt(psbt, find_with(1, 3))
    assert (count_one, count_other) == (2, 2)
    for half in (one, other):
        with pytest.raises(WalletError, match="input 0 has 1 of the 2 signatures it needs"):
            finalize_psbt(half)
    combined = combine_psbts([one, other])
    assert sign_psbt(combined, find_with(0, 1, 2, 3))[1] == 0  # all of them are there
    final = finalize_psbt(combined)
    tx = extract_transaction(final)
    assert tx.vin[0].script_sig.hex() == FINAL_SCRIPT
    assert tx.vin[0].witness == ()
    assert tx.vin[1].script_sig.hex() == "22" + NESTED
    assert [e.hex() for e in tx.vin[1].witness] == ["", *FINAL_WITNESS, WITNESS]
    assert finalize_psbt(final) == final
    again = psbt_from_text(text_from_psbt(final).encode())
    assert extract_transaction(again) == tx


def test_every_signature_that_is_wrong_is_noticed():
    psbt, _ = sign_psbt(vector(), find_with(0, 1, 2, 3))
    data = bytes_from_psbt(psbt)
    place = data.index(bytes.fromhex(FINAL_WITNESS[0])) + 20
    damaged = psbt_from_bytes(data[:place] + bytes((data[place] ^ 1,)) + data[place + 1 :])
    with pytest.raises(WalletError, match="signatures of input 1 do not hold"):
        finalize_psbt(damaged)


def test_other_scripts_and_hash_types_are_not_signed_for():
    good = UPDATED
    for old, new, reason in (
        (REDEEM, REDEEM[:-4] + "53ae", "redeem script of input 0"),
        ("0104220020" + NESTED[4:], "0104220020" + NESTED[4:-2] + "00", "redeem script of input 1"),
        (WITNESS, WITNESS[:-4] + "53ae", "witness script of input 1"),
        ("0103040100000001044752", "0103048100000001044752", "hash type 129"),
    ):
        assert old in good
        psbt = psbt_from_bytes(bytes.fromhex(good.replace(old, new)))
        with pytest.raises(WalletError, match=reason):
            sign_psbt(psbt, find_with(0, 1, 2, 3))


def test_copies_of_different_payments_are_not_combined():
    psbt = vector()
    other = UPDATED.replace("70aaf008", "71aaf008")
    with pytest.raises(WalletError, match="different payments"):
        combine_psbts([psbt, psbt_from_bytes(bytes.fromhex(other))])


TX_HEX = (  # BIP174's first invalid case: a transaction, no PSBT
    "0200000001268171371edff285e937adeea4b37b78000c0566cbb3ad64641713ca42171bf6000000006a47304402"
    "2070b2245123e6bf474d60c5b50c043d4c691a5d2435f09a34a7662a9dc251790a022001329ca9dacf280bdf3074"
    "0ec0390422422c81cb45839457aeb76fc12edd95b3012102657d118d3357b8e0f4c2cd46db7b39f6d9c38d9a70ab"
    "cb9b2de5dc8dbfe4ce31feffffff02d3dff505000000001976a914d0c59903c5bac2868760e90fd521a4665aa765"
    "2088ac00e1f5050000000017a9143545e6e33b832c47050f24d3eeb93c9c03948bc787b32e1300"
)
SHORT = (  # BIP174: one input with a P2SH-P2WSH output, the base of several invalid cases
    "70736274ff0100550200000001279a2323a5dfb51fc45f220fa58b0fc13e1e3342792a85d7e36cd6333b5cbc3900"
    "00000000ffffffff01a05aea0b000000001976a914ffe9c0061097cc3b636f2cb0460fa4fc427d2b4588ac000000"
    "0000010120955eea0b0000000017a9146345200f68d189e1adc0df1c4d16ea8f14c0dbeb87220203b1341ccba768"
    "3b6af4f1238cd6e97e7167d569fac47f1e48d47541844355bd4646304302200424b58effaaa694e1559ea5c93bbf"
    "d4a89064224055cdf070b6771469442d07021f5c8eb0fea6516d60b8acb33ad64ede60e8785bfb3aa94b99bdf861"
    "51db9a9a010104220020771fd18ad459666dd49f3d564e3dbc42f4c84774e360ada16816a8ed488d568101054752"
    "2103b1341ccba7683b6af4f1238cd6e97e7167d569fac47f1e48d47541844355bd462103de55d1e1dac805e3f8a5"
    "8c1fbf9b94c02f3dbaafe127fefca4995f26f82083bd52ae220603b1341ccba7683b6af4f1238cd6e97e7167d569"
    "fac47f1e48d47541844355bd4610b4a6ba67000000800000008004000080220603de55d1e1dac805e3f8a58c1fbf"
    "9b94c02f3dbaafe127fefca4995f26f82083bd10b4a6ba670000008000000080050000800000"
)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (TX_HEX, "not a partially signed"),
        (SHORT.replace("ff010055", "ff02000155"), "no transaction"),
        (SHORT.replace("010120955e", "02010020955e"), "longer than it may be"),
        (
            SHORT.replace("220203b1", "210203b1", 1).replace("bd4646304302", "bd46304302"),
            "no public key",
        ),
        (UPDATED.replace("80f0fa02", "81f0fa02"), "is another one"),
        (
            UPDATED.replace("00ffffffff838d", "0151ffffffff838d").replace("ff01009a", "ff01009b"),
            "signed",
        ),
        ("70736274ff00", "no transaction"),
        ("70736274ff01fb0402000000" + "00", "no transaction"),
    ],
)
def test_what_is_no_psbt(data, reason):
    with pytest.raises(ParseError, match=reason):
        psbt_from_bytes(bytes.fromhex(data))


def test_a_valid_case_of_bip174_is_read_and_written():
    assert bytes_from_psbt(psbt_from_bytes(bytes.fromhex(SHORT))).hex() == SHORT
    text = b64encode(bytes.fromhex(SHORT))
    assert psbt_from_text(b" " + text[:50] + b"\n" + text[50:] + b"\n").tx.vout[0].value
    for bad in (b"", b"cHNid", b"precious", "é".encode()):
        with pytest.raises(ParseError):
            psbt_from_text(bad)


@given(st.integers(0, len(UPDATED) // 2 - 1), st.integers(1, 255))
def test_a_flipped_byte_is_read_or_refused(place, flip):
    data = bytearray.fromhex(UPDATED)
    data[place] ^= flip
    try:
        psbt = psbt_from_bytes(bytes(data))
    except ParseError:
        return
    assert psbt_from_bytes(bytes_from_psbt(psbt)) == psbt
    try:
        signed, _ = sign_psbt(psbt, find_with(0, 1, 2, 3))
        finalize_psbt(signed)
    except WalletError:
        return


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(data):
    with pytest.raises(ParseError):
        psbt_from_bytes(b"psbt\xff" + data)


# -- own wallets ------------------------------------------------------------------------------


def funding(script: bytes) -> Transaction:
    """A transaction that pays to a script, the same coins twice."""
    return Transaction.build(
        2, [TxIn(OutPoint(bytes(31) + b"\x07" + bytes(4)))], [TxOut(70_000, script)] * 2
    )


def spending(previous: list[Transaction], script: bytes) -> tuple[Transaction, list[TxOut]]:
    points = [tx.outpoint(0) for tx in previous]
    spent = [tx.vout[0] for tx in previous]
    output = TxOut(60_000 * len(previous), script)
    return Transaction.build(2, [TxIn(point) for point in points], [output]), spent


def holds(tx: Transaction, spent: list[TxOut]) -> bool:
    digests = TxDigests(tx, spent)
    return all(verify_input(digests, n, STANDARD) is None for n in range(len(tx.vin)))


def test_every_type_of_address_is_signed_for():
    secrets = Secrets("abandon " * 11 + "about")
    file = new_wallet_file(secrets, regtest())
    own = [account.address(Branch.RECEIVE, 3) for account in file.accounts]
    change = [account.address(Branch.CHANGE, 0) for account in file.accounts]
    addresses = {each.script_pubkey: each for each in (*own, *change)}
    assert [each.kind for each in own] == list(SINGLE_KEY_TYPES)
    previous = {tx.txid: tx for tx in (funding(each.script_pubkey) for each in own)}
    for each in change:
        tx, spent = spending(list(previous.values()), each.script_pubkey)
        psbt = create_psbt(tx, spent, addresses, lambda txid: previous[txid].serialize())
        psbt = psbt_from_text(text_from_psbt(psbt).encode())
        assert spent_outputs(psbt) == spent
        assert calculate_psbt_fee(psbt) == 40_000
        nothing, count = sign_psbt(
            psbt,
            Secrets(keys=(KEY,)).private_key,
        )
        assert (nothing, count) == (psbt, 0)
        signed, count = sign_psbt(psbt, secrets.private_key)
        assert count == 4
        final = extract_transaction(finalize_psbt(signed))
        assert holds(final, spent)
        assert final.txid != b""


def test_an_imported_key_signs():
    own = forms_of_key(KEY.public_key)[0]
    tx, spent = spending([funding(own.script_pubkey)], own.script_pubkey)
    psbt = create_psbt(tx, spent, {own.script_pubkey: own}, lambda _txid: None)
    signed, count = sign_psbt(psbt, Secrets(keys=(KEY,)).private_key)
    assert count == 1
    assert holds(extract_transaction(finalize_psbt(signed)), spent)


@pytest.mark.parametrize(("required", "count"), [(1, 1), (1, 2), (2, 3), (3, 3), (2, 15)])
def test_multisig(required, count):
    secrets = [ExtendedPrivateKey.from_seed(bytes((n + 1,)) * 16) for n in range(count)]
    path = account_path(AddressType.MULTISIG, regtest())
    keys = tuple(
        AccountKey(KeyOrigin(master.fingerprint, path), master.derive(path).public)
        for master in secrets
    )
    own = Account(AddressType.MULTISIG, keys, required).address(Branch.RECEIVE, 0)

    def finder(master):
        def find(public_key, origin):
            if origin is None or origin.fingerprint != master.fingerprint:
                return None
            return master.derive(origin.path).key

        return find

    before = funding(own.script_pubkey)
    tx, spent = spending([before], own.script_pubkey)
    addresses = {own.script_pubkey: own}
    psbt = create_psbt(tx, spent, addresses, lambda _txid: before.serialize())
    halves = [sign_psbt(psbt, finder(master))[0] for master in secrets]
    for chosen in list(combinations(halves, required))[:4]:
        final = extract_transaction(finalize_psbt(combine_psbts(chosen)))
        assert holds(final, spent)
        bare = Transaction.build(final.version, tx.vin, final.vout)
        assert final.weight - bare.weight <= own.input_weight - 164 + 2 + 1
    with pytest.raises(WalletError, match=f"has {required - 1} of the {required} signatures"):
        finalize_psbt(combine_psbts([psbt, *halves[: required - 1]]))
