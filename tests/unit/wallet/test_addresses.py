"""Accounts: the published addresses of BIP44, 49, 84 and 86, and multisig."""

import pytest

from misocoin.crypto.bip32 import ExtendedPrivateKey, path_from_text
from misocoin.params import bitcoin, miso, regtest
from misocoin.script.address import address_from_script
from misocoin.script.templates import ScriptKind, template_from_script
from misocoin.wallet.addresses import (
    Account,
    AccountKey,
    AddressType,
    Branch,
    KeyOrigin,
    account_path,
    address_type_from_text,
)
from misocoin.wallet.words import seed_from_words

MASTER = ExtendedPrivateKey.from_seed(seed_from_words("abandon " * 11 + "about"))


def account(kind: AddressType, params, master=MASTER) -> Account:
    path = account_path(kind, params)
    key = AccountKey(KeyOrigin(master.fingerprint, path), master.derive(path).public)
    return Account(kind, (key,))


# BIP84 and BIP86 (test vectors), BIP49 (on a test network); BIP44's is what wallets agree on.
@pytest.mark.parametrize(
    ("kind", "params", "branch", "index", "address"),
    [
        (AddressType.BECH32, bitcoin(), 0, 0, "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu"),
        (AddressType.BECH32, bitcoin(), 0, 1, "bc1qnjg0jd8228aq7egyzacy8cys3knf9xvrerkf9g"),
        (AddressType.BECH32, bitcoin(), 1, 0, "bc1q8c6fshw2dlwun7ekn9qwf37cu2rn755upcp6el"),
        (
            AddressType.TAPROOT,
            bitcoin(),
            0,
            0,
            "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr",
        ),
        (
            AddressType.TAPROOT,
            bitcoin(),
            0,
            1,
            "bc1p4qhjn9zdvkux4e44uhx8tc55attvtyu358kutcqkudyccelu0was9fqzwh",
        ),
        (
            AddressType.TAPROOT,
            bitcoin(),
            1,
            0,
            "bc1p3qkhfews2uk44qtvauqyr2ttdsw7svhkl9nkm9s9c3x4ax5h60wqwruhk7",
        ),
        (AddressType.NESTED, regtest(), 0, 0, "2Mww8dCYPUpKHofjgcXcBCEGmniw9CoaiD2"),
        (AddressType.LEGACY, bitcoin(), 0, 0, "1LqBGSKuX5yYUonjxT5qGfpUsXKYYWeabA"),
    ],
)
def test_published_addresses(kind, params, branch, index, address):
    own = account(kind, params).address(Branch(branch), index)
    assert address_from_script(own.script_pubkey, params) == address


def test_published_account_keys():
    key = account(AddressType.BECH32, bitcoin()).keys[0].key
    assert key.to_text(bytes.fromhex("04b24746")) == (
        "zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1ADqtfSdVCToUG868RvUUkgDKf"
        "31mGDtKsAYz2oz2AGutZYs"
    )
    key = account(AddressType.TAPROOT, bitcoin()).keys[0].key
    assert key.to_text(bitcoin().address.bip32_public) == (
        "xpub6BgBgsespWvERF3LHQu6CnqdvfEvtMcQjYrcRzx53QJjSxarj2afYWcLteoGVky7D3UKDP9QyrLprQ3VCECoY"
        "49yfdDEHGCtMMj92pReUsQ"
    )


def test_paths():
    assert account_path(AddressType.BECH32, bitcoin()) == path_from_text("m/84'/0'/0'")
    assert account_path(AddressType.LEGACY, regtest(), 3) == path_from_text("m/44'/1'/3'")
    assert account_path(AddressType.MULTISIG, miso()) == path_from_text("m/48'/1835627375'/0'/2'")


def test_multisig_is_the_same_whoever_is_named_first():
    masters = [ExtendedPrivateKey.from_seed(bytes((n,)) * 16) for n in range(3)]
    keys = [account(AddressType.MULTISIG, miso(), master).keys[0] for master in masters]
    one = Account(AddressType.MULTISIG, tuple(keys), required=2).address(Branch.RECEIVE, 7)
    other = Account(AddressType.MULTISIG, (*keys[1:], keys[0]), required=2).address(
        Branch.RECEIVE, 7
    )
    assert one.script_pubkey == other.script_pubkey
    template = template_from_script(one.witness_script)
    assert template.kind is ScriptKind.MULTISIG
    assert (template.required, list(template.solutions)) == (2, sorted(template.solutions))
    for public_key, origin in one.origins:
        master = next(m for m in masters if m.fingerprint == origin.fingerprint)
        assert master.derive(origin.path).key.public_key == public_key


def test_types_by_name():
    assert address_type_from_text(" Bech32m ") is AddressType.TAPROOT
    for text in ("", "p2wsh", "segwit"):
        with pytest.raises(ValueError, match="choose bech32, bech32m, p2sh-segwit, legacy"):
            address_type_from_text(text)
