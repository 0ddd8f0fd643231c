"""Taproot cases made by Bitcoin Core's own generator, restated as literals.

Digests: from the test vectors of rust-bitcoin's sighash tests, which took them from Core's
`feature_taproot.py`. Spends: from `script_assets_test.json` in bitcoin-core/qa-assets.
"""

import pytest

from misocoin.primitives.transaction import TxOut, transaction_from_bytes
from misocoin.script.sighash import TxDigests, annex_hash, taproot_sighash
from misocoin.script.taproot import leaf_hash
from tests.unit.script.spends import CONSENSUS, error_of, with_input

# transaction, amount, spent script, hash type, annex, script, digest
DIGESTS = {
    "key path, SINGLE and ANYONECANPAY": (
        "0100000001aa6deae89d5e0aaca58714fc76ef6f3c8284224888089232d4e663843ed3ab3eae010000008b66"
        "57a60450cb4c0000000000160014a3d42b5413ef0c0701c4702f3cd7d4df222c147058020000000000001976"
        "a91430b4ed8723a4ee8992aa2c8814cfe5c3ad0ab9d988ac5802000000000000160014365b1166a6ed0a5e8e"
        "9dff17a6d00bbb43454bc758020000000000001976a914bc98c51a84fe7fad5dc380eb8b39586eff47241688"
        "ac4f313247",
        "07af4e0000000000",
        "51202c36d243dfc06cb56a248e62df27ecba7417307511a81ae61aa41c597a929c69",
        0x83,
        None,
        None,
        "bf9c83f26c6dd16449e4921f813f551c4218e86f2ec906ca8611175b41b566df",
    ),
    "key path with an annex": (
        "0200000001df8123752e8f37d132c4e9f1ff7e4f9b986ade9211267e9ebd5fd22a5e718dec6d01000000ce40"
        "23b903cb7b23000000000017a914a18b36ea7a094db2f4940fc09edf154e86de7bd787580200000000000017"
        "a914afd0d512a2c5c2b40e25669e9cc460303c325b8b87580200000000000017a914a18b36ea7a094db2f494"
        "0fc09edf154e86de7bd787f6020000",
        "ea49260000000000",
        "5120ab5e9800806bf18cb246edcf5fe63441208fe955a4b5a35bbff65f5db622a010",
        0x83,
        "507b979802e62d397acb29f56743a791894b99372872fc5af06a4f6e8d242d0615cda53062bb20e6ec79756f"
        "e39183f0c128adfe85559a8fa042b042c018aa8010143799e44f0893c40e1e",
        None,
        "3b003000add359a364a156e73e02846782a59d0d95ca8c4638aaad99f2ef915c",
    ),
    "script path": (
        "020000000189fc651483f9296b906455dd939813bf086b1bbe7c77635e157c8e14ae29062195010000004445"
        "b5c7044561320000000000160014331414dbdada7fb578f700f38fb69995fc9b5ab958020000000000001976"
        "a914268db0a8104cc6d8afd91233cc8b3d1ace8ac3ef88ac580200000000000017a914ec00dcb368d6a693e1"
        "1986d265f659d2f59e8be2875802000000000000160014c715799a49a0bae3956df9c17cb4440a673ac0df6f"
        "010000",
        "1bec340000000000",
        "512028055142ea437db73382e991861446040b61dd2185c4891d7daf6893d79f7182",
        1,
        None,
        "20cc4e1107aea1d170c5ff5b6817e1303010049724fb3caa7941792ea9d29b3e2bacab",
        "d66de5274a60400c7b08c86ba6b7f198f40660079edf53aca89d2a9501317f2e",
    ),
    "script path with an annex": (
        "020000000132fb72cb8fba496755f027a9743e2d698c831fdb8304e4d1a346ac92cbf51acba50100000026bd"
        "c7df044aad34000000000017a9144fa2554ed6174586854fa3bc01de58dcf33567d087580200000000000016"
        "0014950367e1e62cdf240b35b883fc2f5e39f0eb9ab95802000000000000160014950367e1e62cdf240b35b8"
        "83fc2f5e39f0eb9ab958020000000000001600141b31217d48ccc8760dcc0710fade5866d628e733a02d5122",
        "1458360000000000",
        "5120a7baec3fb9f84614e3899fcc010c638f80f13539344120e1f4d8b68a9a011a13",
        1,
        "50a6272b470e1460e3332ade7bb14b81671c564fb6245761bd5bd531394b28860e0b3808ab229fb51791fb6a"
        "e6fa82d915b2efb8f6df83ae1f5ab3db13e30928875e2a22b749d89358de481f19286cd4caa792ce27f95590"
        "82d227a731c5486882cc707f83da361c51b7aadd9a0cf68fe7480c410fa137b454482d9a1ebf0f96d760b4d6"
        "1426fc109c6e8e99a508372c45caa7b000a41f8251305da3f206c1849985ba03f3d9592832b4053afbd23ab2"
        "5d0465df0bc25a36c223aacf8e04ec736a418c72dc319e4da3e972e349713ca600965e7c665f2090d5a70e24"
        "1ac164115a1f5639f28b1773327715ca307ace64a2de7f0e3df70a2ffee3857689f909c0dad46d8a20fa373a"
        "4cc6eed6d4c9806bf146f0d76baae1",
        "7520ab9160dd8299dc1367659be3e8f66781fe440d52940c7f8d314a89b9f2698d40" + "6ead" * 60 + "ac",
        "a0042aa434f9a75904b64043f2a283f8b4c143c7f4f7f49a6cbe5b9f745f4c15",
    ),
}


@pytest.mark.parametrize("name", DIGESTS)
def test_digests(name):
    raw, amount, spent_script, hash_type, annex, script, expected = DIGESTS[name]
    tx = transaction_from_bytes(bytes.fromhex(raw))
    value = int.from_bytes(bytes.fromhex(amount), "little")
    digests = TxDigests(tx, (TxOut(value, bytes.fromhex(spent_script)),))
    digest = taproot_sighash(
        digests,
        0,
        hash_type,
        None if annex is None else annex_hash(bytes.fromhex(annex)),
        None if script is None else (leaf_hash(0xC0, bytes.fromhex(script)), 0xFFFFFFFF),
    )
    assert digest.hex() == expected


def spend(raw: str, prevouts: list[tuple[str, str]]) -> TxDigests:
    spent = [
        TxOut(int.from_bytes(bytes.fromhex(amount), "little"), bytes.fromhex(script))
        for amount, script in prevouts
    ]
    return TxDigests(transaction_from_bytes(bytes.fromhex(raw)), tuple(spent))


def result(digests: TxDigests, index: int, script_sig: str, witness: list[str]) -> str:
    txin = digests.tx.vin[index]._replace(
        script_sig=bytes.fromhex(script_sig), witness=tuple(map(bytes.fromhex, witness))
    )
    return error_of(with_input(digests, index, txin), CONSENSUS, index)


def test_siglen_empty_keypath():
    digests = spend(
        "f705d6e8019870958e85d1d8f94aa6d74746ba974db0f5ccae49a49b32dcada4e19de4eb5ecb00000000925977"
        "cc01f9875c000000000016001431d2b00cd4687ceb34008d9894de84062def14aa05406346",
        [
            (
                "b4eae10100000000",
                "512039f7e9232896f8100485e38afa652044f855e734a13b840a3f220cbd5d911ad5",
            )
        ],
    )
    signature = (
        "25e45bd4d4b8fcd5933861355a2d376aad8daf1af1588e5fb6dfcea22d0d809acda6fadca11e97f5b5c85af99d"
        "f27cb24fa69b08fa6c790234cdc671d3af5a7302"
    )
    assert result(digests, 0, "", [signature]) == "OK"
    assert result(digests, 0, "", [""]) == "SCHNORR_SIG_SIZE"


def test_legacy_pk_wrongkey():
    digests = spend(
        "4fca6902017c9c7c55331329772679c9dcf1eaf59bb21d2ac43d8b64dbfd93c5cfe516cad85501000000f8c4d2"
        "dd01b9333c0100000000160014017dceb62158ba4ef24bbe63a59ac3d30aa73037203e824d",
        [("4d8a960100000000", "a914e5275b7f57782589ebe0b2b6aeef381eda57379b87")],
    )
    redeem = (
        "43410442f7110c668193b072c2ac20b92ef6127383c166ea8d1e5699af9c371827f98bcbb86a991458282101eb"
        "f8602d6082e953340925a5327b474566e82d41fd98e1ac"
    )
    right = (
        "47304402204d87b96e7f61a568c98e329d1de4e065b1a3fd79323db707dfbe41216d7316f002201882165181d5"
        "f79bdb90c3d7f19bac0d1488b2e1bb8e4d217658e7eaf102e3d281"
    )
    wrong = (
        "4730440220083e187a36f0bb42a9a44c255063516167c7ce57cf08dbc59e9c77890c88566e02204caea5c85699"
        "b917074027c18f5d917492e104506b3ea1fefaa7435e4662ca7781"
    )
    assert result(digests, 0, right + redeem, []) == "OK"
    assert result(digests, 0, wrong + redeem, []) == "EVAL_FALSE"


def test_tapscript_input80limit():
    digests = spend(
        "26dc279d02d8b1a203b653fc4e0f27f408432f3f540136d33f8f930eaeba6559100951429804020000"
        "00fd697cd4eb5278f1e34545cd57b6670df806fa3a0a064fd8e385a19f1a53d9ce8d8971a30f02000000378d5f"
        "b502335dbe02000000001976a9140053a23441c8478caac4c6b769c51f8476cd4b4b88ac580200000000000019"
        "76a914f2aae94a43e0d173354201d7832b46c5269c8a2488ac4a08671e",
        [
            ("91ca4c0100000000", "a9145658b58602cdf7b7e962cfe44e024cb0e366f27087"),
            (
                "cb12740100000000",
                "51201ebe8b90363bd097aa9f352c8b21914e1886bc09fe9e70c09f33ef2d2abdf4bc",
            ),
        ],
    )
    signature = (
        "9675a9982c6398ea9d441cb7a943bcd6ff033cc3a2e01a0178a7d3be4575be863871c6bf3eef5ecd34721c7842"
        "59385ca9101c3a313e010ac942c99de05aaaa602"
    )
    padding = (
        "5799cf4b193b730fb99580b186f7477c2cca4d28957326f6f1a5d14116438530e7ec0ce1cd465ad96968ae8a6a"
        "09d4d37a060a115919f56fcfebe7b2277cc2df5cc08fb6cda9105ee2512b2e22635aba"
    )
    script = "7520c7b5db9562078049719228db2ac80cb9643ec96c8055aa3b29c2c03d4d99edb0ac"
    control = (
        "c1a7957acbaaf7b444c53d9e0c9436e8a8a3247fd515095d66ddf6201918b40a3668f9a4ccdffcf778da624dca"
        "2dda0b08e763ec52fd4ad403ec7563a3504d0cc168b9a77a410029e01dac89567c9b2e6cd726e840351df3f2f5"
        "8fefe976200a19244150d04153909f660184d656ee95fa7bf8e1d4ec83da1fca34f64bc279b76d257ec623e08b"
        "aba2cfa4ea9e99646e88f1eb1668c00c0f15b7443c8ab83481611cc3ae85eb89a7bfc40067eb1d2e6354a32426"
        "d0ce710e88bc4cc0718b99c325509c9d02a6a980d675a8969be10ee9bef82cafee2fc913475667ccda37b1bc7f"
        "13f64e56c449c532658ba8481631c02ead979754c809584a875951619cec8fb040c33f06468ae0266cd8693d6a"
        "64cea5912be32d8de95a6da6300b0c50fdcd6001ea41126e7b7e5280d455054a816560028f5ca53c9a50ee52f1"
        "0e15c5337315bad1f5277acb109a1418649dc6ead2fe14699742fee7182f2f15e54279c7d932ed2799d01d73c9"
        "7e68bbc94d6f7f56ee0a80efd7c76e3169e10d1a1ba3b5f1eb02369dc43af687461c7a2a3344d13eb5485dca29"
        "a67f16b4cb988923060fd3b65d0f0352bb634bcc44f2fe668836dcd0f604150049835135dc4b4fbf90fb334b39"
        "38a1f137eb32f047c65b85e6c1173b890b6d0162b48b186d1f1af8521945924ac8ac8efec321bf34f1d4b3d4a3"
        "04a10313052c652d53f6ecb8a55586614e8950cde9ab6fe8e22802e93b3b9139112250b80ebc589aba231af535"
        "bb20f7eeec2e412f698c17f3fdc0a2e20924a5e38b21a628a9e3b2a61e35958e60c7f5087c"
    )
    witness = [signature, padding, script, control]
    assert result(digests, 1, "", witness) == "OK"
    assert result(digests, 1, "", [signature, padding + "00", script, control]) == "OK"
    other = signature[:-2] + "01"
    assert result(digests, 1, "", [other, padding, script, control]) == "SCHNORR_SIG"
