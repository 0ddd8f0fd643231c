"""Hash functions against the published digests of their authors."""

import hashlib

import pytest

from misocoin.crypto import hashes, ripemd

# Digests of RIPEMD-160 by its authors (homes.esat.kuleuven.be/~bosselae/ripemd160.html).
RIPEMD160 = [
    (b"", "9c1185a5c5e9fc54612808977ee8f548b2258d31"),
    (b"a", "0bdc9d2d256b3ee9daae347be6f4dc835a467ffe"),
    (b"abc", "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc"),
    (b"message digest", "5d0689ef49d2fae572b881b123a85ffa21595f36"),
    (b"abcdefghijklmnopqrstuvwxyz", "f71c27109c692c1b56bbdceb5b9d2865b3708dbc"),
    (
        b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
        "12a053384a9c0c88e405a06c27dcf49ada62eb2b",
    ),
    (b"1234567890" * 8, "9b752e45573d4b39f4dbd3323cab82bf63326bfb"),
]


@pytest.mark.parametrize("function", [hashes.ripemd160, ripemd.ripemd160])
@pytest.mark.parametrize(("data", "digest"), RIPEMD160)
def test_ripemd160(function, data, digest):
    assert function(data).hex() == digest


def test_ripemd160_of_openssl_is_used_where_it_is_offered(monkeypatch):
    assert hashes._choose_ripemd160()(b"abc").hex() == RIPEMD160[2][1]

    def refuse(name, data=b"", **_options):
        raise ValueError(f"unsupported hash type {name}")

    monkeypatch.setattr(hashlib, "new", refuse)
    assert hashes._choose_ripemd160() is ripemd.ripemd160


@pytest.mark.parametrize("size", [0, 1, 55, 56, 63, 64, 65, 119, 120, 128, 1000])
def test_ripemd160_pads_every_length_as_openssl_does(size):
    data = bytes(range(256)) * 4
    assert ripemd.ripemd160(data[:size]) == hashes.ripemd160(data[:size])


def test_sha1_and_sha256_of_abc():
    # FIPS 180-4, examples.
    assert hashes.sha1(b"abc").hex() == "a9993e364706816aba3e25717850c26c9cd0d89d"
    assert hashes.sha256(b"abc").hex() == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


def test_sha256d_of_the_genesis_header_of_bitcoin():
    header = bytes.fromhex(
        "01000000" + "00" * 32 + "3ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a"
        "29ab5f49ffff001d1dac2b7c"
    )
    assert hashes.sha256d(header)[::-1].hex() == (
        "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f"
    )


def test_hash160_of_the_generator():
    # BIP173: the key of its examples.
    key = bytes.fromhex("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
    assert hashes.hash160(key).hex() == "751e76e8199196d454941c45d1b3a323f1433bd6"


@pytest.mark.parametrize("tag", ["TapLeaf", b"TapLeaf"])
def test_tagged_hash_is_sha256_behind_twice_the_hash_of_its_tag(tag):
    name = hashlib.sha256(b"TapLeaf").digest()
    for data in (b"", b"abc", bytes(200)):
        assert hashes.tagged_hash(tag, data) == hashlib.sha256(name + name + data).digest()
