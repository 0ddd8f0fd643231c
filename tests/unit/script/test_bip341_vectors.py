"""BIP341's public wallet-test-vectors.json: script trees, and one transaction of every key path.

The signed transaction spends seven taproot outputs, a P2PKH and a P2WPKH one.
"""

import pytest

from misocoin.crypto.keys import PrivateKey, xonly_tweak_add
from misocoin.primitives.transaction import Transaction, TxOut, transaction_from_bytes
from misocoin.script import flags as verify_flags
from misocoin.script.inputs import check_input_deferred, verify_input
from misocoin.script.sighash import TxDigests, taproot_sighash
from misocoin.script.taproot import (
    branch_hash,
    control_block_from_bytes,
    is_committed,
    leaf_hash,
    root_from_path,
    tweak_hash,
)

# internal key, leaves (version, script), merkle root, tweak, output key, control blocks
TREES = {
    "no tree": (
        "d6889cb081036e0faefa3a35157ad71086b123b2b144b649798b494c300a961d",
        [],
        "",
        "b86e7be8f39bab32a6f2c0443abbc210f0edac0e2c53d501b36b64437d9c6c70",
        "53a1f6e454df1aa2776a2814a721372d6258050de330b3c6d10ee8f4e0dda343",
        [],
    ),
    "one leaf": (
        "187791b6f712a8ea41c8ecdd0ee77fab3e85263b37e1ec18a3651926b3a6cf27",
        [(192, "20d85a959b0290bf19bb89ed43c916be835475d013da4b362117393e25a48229b8ac")],
        "5b75adecf53548f3ec6ad7d78383bf84cc57b55a3127c72b9a2481752dd88b21",
        "cbd8679ba636c1110ea247542cfbd964131a6be84f873f7f3b62a777528ed001",
        "147c9c57132f6e7ecddba9800bb0c4449251c92a1e60371ee77557b6620f3ea3",
        ["c1187791b6f712a8ea41c8ecdd0ee77fab3e85263b37e1ec18a3651926b3a6cf27"],
    ),
    "two leaves, one of an unknown version": (
        "ee4fe085983462a184015d1f782d6a5f8b9c2b60130aff050ce221ecf3786592",
        [
            (192, "20387671353e273264c495656e27e39ba899ea8fee3bb69fb2a680e22093447d48ac"),
            (250, "06424950333431"),
        ],
        "6c2dc106ab816b73f9d07e3cd1ef2c8c1256f519748e0813e4edd2405d277bef",
        "9e0517edc8259bb3359255400b23ca9507f2a91cd1e4250ba068b4eafceba4a9",
        "712447206d7a5238acc7ff53fbe94a3b64539ad291c7cdbc490b7577e4b17df5",
        [
            "c0ee4fe085983462a184015d1f782d6a5f8b9c2b60130aff050ce221ecf3786592"
            "f224a923cd0021ab202ab139cc56802ddb92dcfc172b9212261a539df79a112a",
            "faee4fe085983462a184015d1f782d6a5f8b9c2b60130aff050ce221ecf3786592"
            "8ad69ec7cf41c2a4001fd1f738bf1e505ce2277acdcaa63fe4765192497f47a7",
        ],
    ),
    "three leaves": (
        "e0dfe2300b0dd746a3f8674dfd4525623639042569d829c7f0eed9602d263e6f",
        [
            (192, "2072ea6adcf1d371dea8fba1035a09f3d24ed5a059799bae114084130ee5898e69ac"),
            (192, "202352d137f2f3ab38d1eaa976758873377fa5ebb817372c71e2c542313d4abda8ac"),
            (192, "207337c0dd4253cb86f2c43a2351aadd82cccb12a172cd120452b9bb8324f2186aac"),
        ],
        "ccbd66c6f7e8fdab47b3a486f59d28262be857f30d4773f2d5ea47f7761ce0e2",
        "b57bfa183d28eeb6ad688ddaabb265b4a41fbf68e5fed2c72c74de70d5a786f4",
        "91b64d5324723a985170e4dc5a0f84c041804f2cd12660fa5dec09fc21783605",
        [
            "c0e0dfe2300b0dd746a3f8674dfd4525623639042569d829c7f0eed9602d263e6f"
            "ffe578e9ea769027e4f5a3de40732f75a88a6353a09d767ddeb66accef85e553",
            "c0e0dfe2300b0dd746a3f8674dfd4525623639042569d829c7f0eed9602d263e6f"
            "9e31407bffa15fefbf5090b149d53959ecdf3f62b1246780238c24501d5ceaf6"
            "2645a02e0aac1fe69d69755733a9b7621b694bb5b5cde2bbfc94066ed62b9817",
            "c0e0dfe2300b0dd746a3f8674dfd4525623639042569d829c7f0eed9602d263e6f"
            "ba982a91d4fc552163cb1c0da03676102d5b7a014304c01f0c77b2b8e888de1c"
            "2645a02e0aac1fe69d69755733a9b7621b694bb5b5cde2bbfc94066ed62b9817",
        ],
    ),
}


@pytest.mark.parametrize("name", TREES)
def test_output_key_commits_to_the_tree(name):
    internal, leaves, root, tweak, output, controls = TREES[name]
    internal_key, output_key = bytes.fromhex(internal), bytes.fromhex(output)
    assert tweak_hash(internal_key, bytes.fromhex(root)).hex() == tweak
    assert xonly_tweak_add(internal_key, bytes.fromhex(tweak))[0] == output_key
    for (version, script), control_hex in zip(leaves, controls, strict=True):
        control = control_block_from_bytes(bytes.fromhex(control_hex))
        leaf = leaf_hash(version, bytes.fromhex(script))
        assert control.leaf_version == version
        assert control.internal_key == internal_key
        assert root_from_path(leaf, control.path).hex() == root
        assert is_committed(control, leaf, output_key)
        assert not is_committed(control._replace(parity=1 - control.parity), leaf, output_key)
        assert not is_committed(control, leaf_hash(version ^ 2, bytes.fromhex(script)), output_key)


def test_branches_are_the_same_either_way_round():
    assert branch_hash(b"a" * 32, b"b" * 32) == branch_hash(b"b" * 32, b"a" * 32)


SPENT = (
    TxOut(
        420000000,
        bytes.fromhex("512053a1f6e454df1aa2776a2814a721372d6258050de330b3c6d10ee8f4e0dda343"),
    ),
    TxOut(
        462000000,
        bytes.fromhex("5120147c9c57132f6e7ecddba9800bb0c4449251c92a1e60371ee77557b6620f3ea3"),
    ),
    TxOut(294000000, bytes.fromhex("76a914751e76e8199196d454941c45d1b3a323f1433bd688ac")),
    TxOut(
        504000000,
        bytes.fromhex("5120e4d810fd50586274face62b8a807eb9719cef49c04177cc6b76a9a4251d5450e"),
    ),
    TxOut(
        630000000,
        bytes.fromhex("512091b64d5324723a985170e4dc5a0f84c041804f2cd12660fa5dec09fc21783605"),
    ),
    TxOut(378000000, bytes.fromhex("00147dd65592d0ab2fe0d0257d571abf032cd9db93dc")),
    TxOut(
        672000000,
        bytes.fromhex("512075169f4001aa68f15bbed28b218df1d0a62cbbcf1188c6665110c293c907b831"),
    ),
    TxOut(
        546000000,
        bytes.fromhex("5120712447206d7a5238acc7ff53fbe94a3b64539ad291c7cdbc490b7577e4b17df5"),
    ),
    TxOut(
        588000000,
        bytes.fromhex("512077e30a5522dd9f894c3f8b8bd4c4b2cf82ca7da8a3ea6a239655c39c050ab220"),
    ),
)

SIGNED = (
    "020000000001097de20cbff686da83a54981d2b9bab3586f4ca7e48f57f5b55963115f3b334e9c0100000000"
    "00000000d7b7cab57b1393ace2d064f4d4a2cb8af6def61273e127517d44759b6dafdd990000000000ffffff"
    "fff8e1f583384333689228c5d28eac13366be082dc57441760d957275419a41842000000006b483045022100"
    "8f3b8f8f0537c420654d2283673a761b7ee2ea3c130753103e08ce79201cf32a022079e7ab904a1980ef1c58"
    "90b648c8783f4d10103dd62f740d13daa79e298d50c201210279be667ef9dcbbac55a06295ce870b07029bfc"
    "db2dce28d959f2815b16f81798fffffffff0689180aa63b30cb162a73c6d2a38b7eeda2a83ece74310fda084"
    "3ad604853b0100000000feffffffaa5202bdf6d8ccd2ee0f0202afbbb7461d9264a25e5bfd3c5a52ee1239e0"
    "ba6c0000000000feffffff956149bdc66faa968eb2be2d2faa29718acbfe3941215893a2a3446d32acd05000"
    "0000000000000000e664b9773b88c09c32cb70a2a3e4da0ced63b7ba3b22f848531bbb1d5d5f4c9401000000"
    "0000000000e9aa6b8e6c9de67619e6a3924ae25696bb7b694bb677a632a74ef7eadfd4eabf0000000000ffff"
    "ffffa778eb6a263dc090464cd125c466b5a99667720b1c110468831d058aa1b82af10100000000ffffffff02"
    "00ca9a3b000000001976a91406afd46bcdfd22ef94ac122aa11f241244a37ecc88ac807840cb0000000020ac"
    "9a87f5594be208f8532db38cff670c450ed2fea8fcdefcc9a663f78bab962b0141ed7c1647cb97379e76892b"
    "e0cacff57ec4a7102aa24296ca39af7541246d8ff14d38958d4cc1e2e478e4d4a764bbfd835b16d4e314b729"
    "37b29833060b87276c030141052aedffc554b41f52b521071793a6b88d6dbca9dba94cf34c83696de0c1ec35"
    "ca9c5ed4ab28059bd606a4f3a657eec0bb96661d42921b5f50a95ad33675b54f83000141ff45f742a8761399"
    "46a149ab4d9185574b98dc919d2eb6754f8abaa59d18b025637a3aa043b91817739554f4ed2026cf8022dbd8"
    "3e351ce1fabc272841d2510a010140b4010dd48a617db09926f729e79c33ae0b4e94b79f04a1ae93ede6315e"
    "b3669de185a17d2b0ac9ee09fd4c64b678a0b61a0a86fa888a273c8511be83bfd6810f0247304402202b795e"
    "4de72646d76eab3f0ab27dfa30b810e856ff3a46c9a702df53bb0d8cc302203ccc4d822edab5f35caddb10af"
    "1be93583526ccfbade4b4ead350781e2f8adcd012102f9308a019258c31049344f85f89d5229b531c845836f"
    "99b08601f113bce036f90141a3785919a2ce3c4ce26f298c3d51619bc474ae24014bcdd31328cd8cfbab2eff"
    "3395fa0a16fe5f486d12f22a9cedded5ae74feb4bbe5351346508c5405bcfee0020141ea0c6ba90763c2d3a2"
    "96ad82ba45881abb4f426b3f87af162dd24d5109edc1cdd11915095ba47c3a9963dc1e6c432939872bc49212"
    "fe34c632cd3ab9fed429c4820141bbc9584a11074e83bc8c6759ec55401f0ae7b03ef290c3139814f545b58a"
    "9f8127258000874f44bc46db7646322107d4d86aec8e73b8719a61fff761d75b5dd9810065cd1d"
)

# input, internal private key, merkle root, hash type, digest
KEY_PATHS = [
    (
        0,
        "6b973d88838f27366ed61c9ad6367663045cb456e28335c109e30717ae0c6baa",
        "",
        3,
        "2514a6272f85cfa0f45eb907fcb0d121b808ed37c6ea160a5a9046ed5526d555",
    ),
    (
        1,
        "1e4da49f6aaf4e5cd175fe08a32bb5cb4863d963921255f33d3bc31e1343907f",
        "5b75adecf53548f3ec6ad7d78383bf84cc57b55a3127c72b9a2481752dd88b21",
        131,
        "325a644af47e8a5a2591cda0ab0723978537318f10e6a63d4eed783b96a71a4d",
    ),
    (
        3,
        "d3c7af07da2d54f7a7735d3d0fc4f0a73164db638b2f2f7c43f711f6d4aa7e64",
        "c525714a7f49c28aedbbba78c005931a81c234b2f6c99a73e4d06082adc8bf2b",
        1,
        "bf013ea93474aa67815b1b6cc441d23b64fa310911d991e713cd34c7f5d46669",
    ),
    (
        4,
        "f36bb07a11e469ce941d16b63b11b9b9120a84d9d87cff2c84a8d4affb438f4e",
        "ccbd66c6f7e8fdab47b3a486f59d28262be857f30d4773f2d5ea47f7761ce0e2",
        0,
        "4f900a0bae3f1446fd48490c2958b5a023228f01661cda3496a11da502a7f7ef",
    ),
    (
        6,
        "415cfe9c15d9cea27d8104d5517c06e9de48e2f986b695e4f5ffebf230e725d8",
        "2f6b2c5397b6d68ca18e09a3f05161668ffe93a988582d55c6f07bd5b3329def",
        2,
        "15f25c298eb5cdc7eb1d638dd2d45c97c4c59dcaec6679cfc16ad84f30876b85",
    ),
    (
        7,
        "c7b0e81f0a9a0b0499e112279d718cca98e79a12e2f137c72ae5b213aad0d103",
        "6c2dc106ab816b73f9d07e3cd1ef2c8c1256f519748e0813e4edd2405d277bef",
        130,
        "cd292de50313804dabe4685e83f923d2969577191a3e1d2882220dca88cbeb10",
    ),
    (
        8,
        "77863416be0d0665e517e1c375fd6f75839544eca553675ef7fdf4949518ebaa",
        "ab179431c28d3b68fb798957faf5497d69c883c6fb1e1cd9f81483d87bac90cc",
        129,
        "cccb739eca6c13a8a89e6e5cd317ffe55669bbda23f2fd37b0f18755e008edd2",
    ),
]


def signed_digests() -> tuple[Transaction, TxDigests]:
    tx = transaction_from_bytes(bytes.fromhex(SIGNED))
    return tx, TxDigests(tx, SPENT)


def test_every_input_of_the_signed_transaction_holds():
    tx, digests = signed_digests()
    assert len(tx.vin) == 9
    for index in range(9):
        assert verify_input(digests, index, verify_flags.STANDARD) is None
        jobs = check_input_deferred(digests, index, verify_flags.STANDARD)
        assert len(jobs) == 1


def test_shared_hashes():
    _, digests = signed_digests()
    shared = {
        "58a6964a4f5f8f0b642ded0a8a553be7622a719da71d1f5befcefcdee8e0fde6": digests.hash_amounts,
        "a2e6dab7c1f0dcd297c8d61647fd17d821541ea69c3cc37dcbad7f90d4eb4bc5": digests.hash_outputs,
        "e3b33bb4ef3a52ad1fffb555c0d82828eb22737036eaeb02a235d82b909c4c3f": digests.hash_prevouts,
        "23ad0f61ad2bca5ba6a7693f50fce988e17c3780bf2b1e720cfbb38fbdd52e21": (
            digests.hash_script_pubkeys
        ),
        "18959c7221ab5ce9e26c3cd67b22c24f8baa54bac281d8e6b05e400e6c3a957e": digests.hash_sequences,
    }
    assert [value.hex() for value in shared.values()] == list(shared)


@pytest.mark.parametrize("path", KEY_PATHS, ids=lambda path: f"input {path[0]}")
def test_key_path(path):
    index, secret, root, hash_type, digest_hex = path
    tx, digests = signed_digests()
    digest = taproot_sighash(digests, index, hash_type)
    assert digest.hex() == digest_hex
    key = PrivateKey.from_hex(secret)
    tweaked = key.xonly_tweak_add(tweak_hash(key.xonly_public_key, bytes.fromhex(root)))
    assert tweaked.xonly_public_key == SPENT[index].script_pubkey[2:]
    suffix = bytes((hash_type,)) if hash_type else b""
    assert tx.vin[index].witness == (tweaked.sign_schnorr(digest, bytes(32)) + suffix,)
