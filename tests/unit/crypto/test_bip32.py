"""Extended keys: the published vectors of BIP32, on either backend."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from misocoin.crypto.bip32 import (
    HARDENED,
    VERSIONS,
    ExtendedPrivateKey,
    ExtendedPublicKey,
    extended_key_from_bytes,
    extended_key_from_text,
    path_from_text,
    text_from_path,
)
from misocoin.errors import KeyFormatError

XPUB = bytes.fromhex("0488b21e")
XPRV = bytes.fromhex("0488ade4")

# BIP32, test vectors 1 to 4: seed, then path, public and private key.
SEED_1 = "000102030405060708090a0b0c0d0e0f"
SEED_2 = (
    "fffcf9f6f3f0edeae7e4e1dedbd8d5d2cfccc9c6c3c0bdbab7b4b1aeaba8a5a2"
    "9f9c999693908d8a8784817e7b7875726f6c696663605d5a5754514e4b484542"
)
SEED_3 = (
    "4b381541583be4423346c643850da4b320e46a87ae3d2a4e6da11eba819cd4ac"
    "ba45d239319ac14f863b8d5ab5a0d0c64d2e8a1e7d1457df2e5a3c51c73235be"
)
SEED_4 = "3ddd5602285899a946114506157c7997e5444528f3003f6134712147db19b678"
VECTORS = [
    (
        SEED_1,
        "m",
        "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8",
        "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi",
    ),
    (
        SEED_1,
        "m/0'",
        "xpub68Gmy5EdvgibQVfPdqkBBCHxA5htiqg55crXYuXoQRKfDBFA1WEjWgP6LHhwBZeNK1VTsfTFUHCdrfp1bgwQ9xv5ski8PX9rL2dZXvgGDnw",
        "xprv9uHRZZhk6KAJC1avXpDAp4MDc3sQKNxDiPvvkX8Br5ngLNv1TxvUxt4cV1rGL5hj6KCesnDYUhd7oWgT11eZG7XnxHrnYeSvkzY7d2bhkJ7",
    ),
    (
        SEED_1,
        "m/0'/1",
        "xpub6ASuArnXKPbfEwhqN6e3mwBcDTgzisQN1wXN9BJcM47sSikHjJf3UFHKkNAWbWMiGj7Wf5uMash7SyYq527Hqck2AxYysAA7xmALppuCkwQ",
        "xprv9wTYmMFdV23N2TdNG573QoEsfRrWKQgWeibmLntzniatZvR9BmLnvSxqu53Kw1UmYPxLgboyZQaXwTCg8MSY3H2EU4pWcQDnRnrVA1xe8fs",
    ),
    (
        SEED_1,
        "m/0'/1/2'",
        "xpub6D4BDPcP2GT577Vvch3R8wDkScZWzQzMMUm3PWbmWvVJrZwQY4VUNgqFJPMM3No2dFDFGTsxxpG5uJh7n7epu4trkrX7x7DogT5Uv6fcLW5",
        "xprv9z4pot5VBttmtdRTWfWQmoH1taj2axGVzFqSb8C9xaxKymcFzXBDptWmT7FwuEzG3ryjH4ktypQSAewRiNMjANTtpgP4mLTj34bhnZX7UiM",
    ),
    (
        SEED_1,
        "m/0'/1/2'/2",
        "xpub6FHa3pjLCk84BayeJxFW2SP4XRrFd1JYnxeLeU8EqN3vDfZmbqBqaGJAyiLjTAwm6ZLRQUMv1ZACTj37sR62cfN7fe5JnJ7dh8zL4fiyLHV",
        "xprvA2JDeKCSNNZky6uBCviVfJSKyQ1mDYahRjijr5idH2WwLsEd4Hsb2Tyh8RfQMuPh7f7RtyzTtdrbdqqsunu5Mm3wDvUAKRHSC34sJ7in334",
    ),
    (
        SEED_1,
        "m/0'/1/2'/2/1000000000",
        "xpub6H1LXWLaKsWFhvm6RVpEL9P4KfRZSW7abD2ttkWP3SSQvnyA8FSVqNTEcYFgJS2UaFcxupHiYkro49S8yGasTvXEYBVPamhGW6cFJodrTHy",
        "xprvA41z7zogVVwxVSgdKUHDy1SKmdb533PjDz7J6N6mV6uS3ze1ai8FHa8kmHScGpWmj4WggLyQjgPie1rFSruoUihUZREPSL39UNdE3BBDu76",
    ),
    (
        SEED_2,
        "m",
        "xpub661MyMwAqRbcFW31YEwpkMuc5THy2PSt5bDMsktWQcFF8syAmRUapSCGu8ED9W6oDMSgv6Zz8idoc4a6mr8BDzTJY47LJhkJ8UB7WEGuduB",
        "xprv9s21ZrQH143K31xYSDQpPDxsXRTUcvj2iNHm5NUtrGiGG5e2DtALGdso3pGz6ssrdK4PFmM8NSpSBHNqPqm55Qn3LqFtT2emdEXVYsCzC2U",
    ),
    (
        SEED_2,
        "m/0/2147483647'/1/2147483646'/2",
        "xpub6FnCn6nSzZAw5Tw7cgR9bi15UV96gLZhjDstkXXxvCLsUXBGXPdSnLFbdpq8p9HmGsApME5hQTZ3emM2rnY5agb9rXpVGyy3bdW6EEgAtqt",
        "xprvA2nrNbFZABcdryreWet9Ea4LvTJcGsqrMzxHx98MMrotbir7yrKCEXw7nadnHM8Dq38EGfSh6dqA9QWTyefMLEcBYJUuekgW4BYPJcr9E7j",
    ),
    (
        SEED_3,
        "m",
        "xpub661MyMwAqRbcEZVB4dScxMAdx6d4nFc9nvyvH3v4gJL378CSRZiYmhRoP7mBy6gSPSCYk6SzXPTf3ND1cZAceL7SfJ1Z3GC8vBgp2epUt13",
        "xprv9s21ZrQH143K25QhxbucbDDuQ4naNntJRi4KUfWT7xo4EKsHt2QJDu7KXp1A3u7Bi1j8ph3EGsZ9Xvz9dGuVrtHHs7pXeTzjuxBrCmmhgC6",
    ),
    (
        SEED_3,
        "m/0'",
        "xpub68NZiKmJWnxxS6aaHmn81bvJeTESw724CRDs6HbuccFQN9Ku14VQrADWgqbhhTHBaohPX4CjNLf9fq9MYo6oDaPPLPxSb7gwQN3ih19Zm4Y",
        "xprv9uPDJpEQgRQfDcW7BkF7eTya6RPxXeJCqCJGHuCJ4GiRVLzkTXBAJMu2qaMWPrS7AANYqdq6vcBcBUdJCVVFceUvJFjaPdGZ2y9WACViL4L",
    ),
    (
        SEED_4,
        "m",
        "xpub661MyMwAqRbcGczjuMoRm6dXaLDEhW1u34gKenbeYqAix21mdUKJyuyu5F1rzYGVxyL6tmgBUAEPrEz92mBXjByMRiJdba9wpnN37RLLAXa",
        None,
    ),
    (
        SEED_4,
        "m/0'",
        "xpub69AUMk3qDBi3uW1sXgjCmVjJ2G6WQoYSnNHyzkmdCHEhSZ4tBok37xfFEqHd2AddP56Tqp4o56AePAgCjYdvpW2PU2jbUPFKsav5ut6Ch1m",
        None,
    ),
    (
        SEED_4,
        "m/0'/1'",
        "xpub6BJA1jSqiukeaesWfxe6sNK9CCGaujFFSJLomWHprUL9DePQ4JDkM5d88n49sMGJxrhpjazuXYWdMf17C9T5XnxkopaeS7jGk1GyyVziaMt",
        None,
    ),
]

# BIP32, test vector 5: what is no extended key.
INVALID = [
    # public key of the wrong form, or none
    "xpub661MyMwAqRbcEYS8w7XLSVeEsBXy79zSzH1J8vCdxAZningWLdN3zgtU6LBpB85b3D2yc8sfvZU521AAwdZafEz7mnzBBsz4wKY5fTtTQBm",
    "xpub661MyMwAqRbcEYS8w7XLSVeEsBXy79zSzH1J8vCdxAZningWLdN3zgtU6Txnt3siSujt9RCVYsx4qHZGc62TG4McvMGcAUjeuwZdduYEvFn",
    "xpub661MyMwAqRbcEYS8w7XLSVeEsBXy79zSzH1J8vCdxAZningWLdN3zgtU6N8ZMMXctdiCjxTNq964yKkwrkBJJwpzZS4HS2fxvyYUA4q2Xe4",
    "xpub661MyMwAqRbcEYS8w7XLSVeEsBXy79zSzH1J8vCdxAZningWLdN3zgtU6Q5JXayek4PRsn35jii4veMimro1xefsM58PgBMrvdYre8QyULY",
    # private key of the wrong form, or out of range
    "xprv9s21ZrQH143K24Mfq5zL5MhWK9hUhhGbd45hLXo2Pq2oqzMMo63oStZzFGTQQD3dC4H2D5GBj7vWvSQaaBv5cxi9gafk7NF3pnBju6dwKvH",
    "xprv9s21ZrQH143K24Mfq5zL5MhWK9hUhhGbd45hLXo2Pq2oqzMMo63oStZzFGpWnsj83BHtEy5Zt8CcDr1UiRXuWCmTQLxEK9vbz5gPstX92JQ",
    "xprv9s21ZrQH143K24Mfq5zL5MhWK9hUhhGbd45hLXo2Pq2oqzMMo63oStZzF93Y5wvzdUayhgkkFoicQZcP3y52uPPxFnfoLZB21Teqt1VvEHx",
    # a master key with a parent or a number
    "xpub661no6RGEX3uJkY4bNnPcw4URcQTrSibUZ4NqJEw5eBkv7ovTwgiT91XX27VbEXGENhYRCf7hyEbWrR3FewATdCEebj6znwMfQkhRYHRLpJ",
    "xpub661MyMwAuDcm6CRQ5N4qiHKrJ39Xe1R1NyfouMKTTWcguwVcfrZJaNvhpebzGerh7gucBvzEQWRugZDuDXjNDRmXzSZe4c7mnTK97pTvGS8",
    # unknown versions
    "DMwo58pR1QLEFihHiXPVykYB6fJmsTeHvyTp7hRThAtCX8CvYzgPcn8XnmdfHPmHJiEDXkTiJTVV9rHEBUem2mwVbbNfvT2MTcAqj3nesx8uBf9",
    "DMwo58pR1QLEFihHiXPVykYB6fJmsTeHvyTp7hRThAtCX8CvYzgPcn8XnmdfHGMQzT7ayAmfo4z3gY5KfbrZWZ6St24UVf2Qgo6oujFktLHdHY4",
    # checksum
    "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHL",
    "",
    "xpub",
    "5KYZdUEo39z3FPrtuX2QbbwGnNP5zTd7yyr2SC1j299sBCnWjss",
]


@pytest.mark.parametrize(("seed", "path", "public", "private"), VECTORS)
def test_vectors_of_bip32(seed, path, public, private):
    steps = path_from_text(path)
    key = ExtendedPrivateKey.from_seed(bytes.fromhex(seed)).derive(steps)
    assert key.public.to_text(XPUB) == public
    assert extended_key_from_text(public) == (VERSIONS[XPUB], key.public)
    if private:
        assert key.to_text(XPRV) == private
        assert extended_key_from_text(f" {private}\n") == (VERSIONS[XPRV], key)
    if steps and steps[-1] < HARDENED:
        parent = ExtendedPrivateKey.from_seed(bytes.fromhex(seed)).derive(steps[:-1])
        assert parent.public.child(steps[-1]) == key.public


@pytest.mark.parametrize("text", INVALID)
def test_invalid_keys_of_bip32(text):
    with pytest.raises(KeyFormatError) as error:
        extended_key_from_text(text)
    assert not text or text not in str(error.value)


def test_forms_of_slip_132():
    key = ExtendedPrivateKey.from_seed(bytes(16))
    letters = {}
    for version, (form, is_test, is_private) in VERSIONS.items():
        text = (key if is_private else key.public).to_text(version)
        assert extended_key_from_text(text) == (
            (form, is_test, is_private),
            key if is_private else key.public,
        )
        letters[text[:4]] = form
    assert letters == {
        **{name: "x" for name in ("xpub", "xprv", "tpub", "tprv")},
        **{name: "y" for name in ("ypub", "yprv", "upub", "uprv")},
        **{name: "z" for name in ("zpub", "zprv", "vpub", "vprv")},
        **{name: "Z" for name in ("Zpub", "Zprv", "Vpub", "Vprv")},
    }


def test_secrets_are_not_shown():
    key = ExtendedPrivateKey.from_seed(bytes(16))
    shown = repr(key)
    assert key.key.secret.hex() not in shown
    assert repr(key.key.secret) not in shown
    assert repr(key.chain_code) not in shown


def test_public_keys_have_no_hardened_children():
    public = ExtendedPrivateKey.from_seed(bytes(16)).public
    with pytest.raises(KeyFormatError, match="private key"):
        public.child(HARDENED)
    with pytest.raises(KeyFormatError, match="depth 255"):
        ExtendedPublicKey(public.public_key, public.chain_code, 255, bytes(4), 1).child(0)


@pytest.mark.parametrize("size", [0, 15, 65])
def test_seeds_have_16_to_64_bytes(size):
    with pytest.raises(KeyFormatError, match="16 to 64"):
        ExtendedPrivateKey.from_seed(bytes(size))


def test_paths():
    assert path_from_text("m/84'/0h/2H/1/5") == (84 + HARDENED, HARDENED, 2 + HARDENED, 1, 5)
    assert path_from_text("m") == path_from_text("") == path_from_text("m/") == ()
    assert path_from_text("0/1") == (0, 1)
    for text in ("x", "m/-1", "m//1", "m/1/", "m/2147483648", "m/1''", "m/ 1", "/".join("1" * 256)):
        with pytest.raises(KeyFormatError):
            path_from_text(text)


@given(st.lists(st.integers(0, 2**32 - 1), max_size=20).map(tuple))
def test_paths_are_read_as_written(path):
    assert path_from_text(text_from_path(path)) == path


@given(st.binary(min_size=77, max_size=79) | st.binary(max_size=100))
def test_any_bytes_are_a_key_or_refused(data):
    try:
        key = extended_key_from_bytes(data)
    except KeyFormatError:
        return
    assert extended_key_from_bytes(data) == key


@given(st.text(max_size=120))
def test_any_text_is_a_key_or_refused(text):
    with pytest.raises(KeyFormatError):
        extended_key_from_text(text)


@given(st.binary(min_size=16, max_size=64), st.lists(st.integers(0, HARDENED - 1), max_size=3))
def test_public_and_private_derivation_agree(seed, path):
    key = ExtendedPrivateKey.from_seed(seed)
    assert key.derive(tuple(path)).public == key.public.derive(tuple(path))
