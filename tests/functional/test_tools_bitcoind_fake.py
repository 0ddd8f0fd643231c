"""The restated REST of Core, which tests without a real one dial, answers as the real one does."""

import json
from collections.abc import Iterator
from contextlib import suppress

import pytest

from misocoin.http.client import HttpClient
from misocoin.http.errors import HttpError
from misocoin.params import regtest
from misocoin.peers.messages import Address
from misocoin.primitives.block import block_from_bytes
from misocoin.primitives.transaction import transaction_from_bytes
from tests.builders import memory_chain
from tests.fakes.core_rest import CoreRest
from tests.functional.conftest import MakeBitcoind
from tests.functional.framework.bitcoind import Bitcoind
from tests.functional.framework.daemon import wait_until

pytestmark = pytest.mark.tools

HEIGHT = 1000
PRUNED = 600

UNKNOWN = "ab" * 32


@pytest.fixture(scope="module")
def real(make_bitcoind: MakeBitcoind) -> Bitcoind:
    """One that has a payment in its mempool, and none of its first blocks any more."""
    made = make_bitcoind("-prune=1", "-fastprune", "-txindex=0").start()
    made.call("createwallet", "w")
    made.call("generatetoaddress", 10, made.call("getnewaddress"))
    return made


@pytest.fixture(scope="module")
def pair(real: Bitcoind) -> Iterator[tuple[CoreRest, Address, Bitcoind]]:
    """The restated one with the same blocks and payment, and the real one."""
    for _ in range(2):
        real.call("generatetodescriptor", (HEIGHT - 10) // 2, "raw(51)#8lvh9jxk")
    hashes = [real.call("getblockhash", height) for height in range(1, HEIGHT + 1)]
    blocks = [block_from_bytes(bytes.fromhex(real.call("getblock", each, 0))) for each in hashes]
    payment = real.call("sendtoaddress", real.call("getnewaddress"), 1)
    raw = bytes.fromhex(real.call("getrawtransaction", payment))
    pruned = real.call("pruneblockchain", PRUNED)
    with memory_chain(regtest(), blocks) as chain:
        fake = CoreRest(chain, {payment: transaction_from_bytes(raw)}, pruned_below=pruned + 1)
        with fake.serve() as address:
            yield fake, address, real


def ask(address: str, path: str, method: str = "GET") -> tuple[int, str, bytes]:
    client = HttpClient()
    answer = client.request(method, f"http://{address}{path}", b"{}" if method == "POST" else None)
    client.close()
    return answer.status, answer.headers["Content-Type"], answer.body


@pytest.mark.parametrize(
    "path",
    [
        "/peer/hello",
        "/rest/",
        "/rest/nothing",
        "/rest/headers/2/{tip}.bin",
        "/rest/headers/2000/{old}.bin",
        "/rest/headers/2001/{tip}.bin",
        "/rest/headers/0/{tip}.bin",
        "/rest/headers/x/{tip}.bin",
        "/rest/headers/2/none.bin",
        "/rest/headers/2/{upper}.bin",
        "/rest/headers/2/{unknown}.bin",
        "/rest/headers/{tip}.bin",
        "/rest/headers/{old}.bin?count=7",
        "/rest/headers/{old}.bin?count=0",
        "/rest/headers/1/2/{tip}.bin",
        "/rest/block/{tip}.bin",
        "/rest/block/{upper}.bin",
        "/rest/block/{old}.bin",
        "/rest/block/{first_kept}.bin",
        "/rest/block/{last_pruned}.bin",
        "/rest/block/{unknown}.bin",
        "/rest/block/none.bin",
        "/rest/tx/{payment}.bin",
        "/rest/tx/{unknown}.bin",
        "/rest/tx/none.bin",
        "/rest/mempool/contents.json?verbose=false",
        "/rest/mempool/contents.json?verbose=x",
    ],
)
def test_the_same_answer(pair: tuple[CoreRest, Address, Bitcoind], path: str) -> None:
    fake, address, real = pair
    chain = fake.chain
    asked = path.format(
        tip=chain.tip.header.hash_hex,
        upper=chain.tip.header.hash_hex.upper(),
        old=chain.at_height(5).header.hash_hex,
        first_kept=chain.at_height(fake.pruned_below).header.hash_hex,
        last_pruned=chain.at_height(fake.pruned_below - 1).header.hash_hex,
        unknown=UNKNOWN,
        payment=next(iter(fake.pool)),
    )
    method = "POST" if path.startswith("/peer") else "GET"
    assert ask(address.text, asked, method) == ask(real.address, asked, method)


def test_what_both_say_of_the_chain_and_the_mempool(
    pair: tuple[CoreRest, Address, Bitcoind],
) -> None:
    """The restated one says less: what a peer reads."""
    _, address, real = pair
    for path in ("/rest/chaininfo.json", "/rest/mempool/contents.json"):
        (status, kind, fake_body), (*theirs, body) = (
            ask(address.text, path),
            ask(real.address, path),
        )
        assert [status, kind] == theirs
        told, expected = json.loads(fake_body), json.loads(body)
        assert told.keys() <= expected.keys()
        for name, value in told.items():
            if isinstance(value, dict):
                assert value.items() <= expected[name].items()
            else:
                assert value == expected[name]


def test_without_rest(
    pair: tuple[CoreRest, Address, Bitcoind], make_bitcoind: MakeBitcoind
) -> None:
    fake, address, _ = pair
    real = make_bitcoind("-rest=0").start()
    fake.has_rest = False
    for path in ("/rest/chaininfo.json", "/rest/headers/1/none.bin", "/peer/hello"):
        assert ask(address.text, path) == ask(real.address, path)
    fake.has_rest = True


def test_while_it_starts(pair: tuple[CoreRest, Address, Bitcoind]) -> None:
    """It says 503 for a while: as long as it verifies all of its blocks."""
    fake, address, real = pair
    real.stop()
    real.options = (*real.options, "-checkblocks=0", "-checklevel=4")
    fake.is_warming_up = True
    real.launch()
    path = "/rest/chaininfo.json"
    status, kind, body = wait_until(lambda: ask_if_it_listens(real.address, path), "it listens")
    expected = ask(address.text, path)
    start = len(b"Service temporarily unavailable: ")
    assert (status, kind, body[:start]) == (*expected[:2], expected[2][:start])
    assert body.endswith(b"\r\n")
    fake.is_warming_up = False
    wait_until(lambda: ask(real.address, path)[0] == 200, "it is up")


def ask_if_it_listens(address: str, path: str) -> tuple[int, str, bytes] | None:
    with suppress(HttpError):
        return ask(address, path)
    return None
