"""Methods that mine."""

from collections.abc import Callable
from typing import Annotated

from misocoin.chain.state import ChainState
from misocoin.consensus.difficulty import calculate_network_difficulty
from misocoin.http.errors import RpcError
from misocoin.mining.miner import Miner
from misocoin.pow.slices import MAX_THREADS
from misocoin.rpc.declare import Access, Category, method
from misocoin.rpc.errors import RpcCode
from misocoin.rpc.forms import hash_hex
from misocoin.rpc.json import Json, real
from misocoin.rpc.params import BOOLEAN, INTEGER, STRING
from misocoin.rpc.schema import array, boolean, fraction, hexadecimal, nullable, number, obj, text
from misocoin.script.address import script_from_address

MAX_GENERATED = 10_000
"""Blocks of one call: nobody can take it back."""

MINING_INFO = obj(
    "the background miner",
    mining=boolean("whether it runs"),
    threads=number("that search"),
    engine=text("what searches"),
    kernel=text("the loop it runs for block headers"),
    rolled_versions=number("of the block that are searched beside one another (BIP320)"),
    hashes_per_second=number("over the last half minute"),
    expected_seconds=nullable(number("to the next block of our own, on average")),
    blocks_found=number("since the start"),
    difficulty=fraction("of the tip"),
    height=number("of the block being searched for"),
)


class MiningMethods:
    """The background miner, and blocks at once on regtest."""

    def __init__(
        self,
        chain: ChainState,
        miner: Miner,
        generate: Callable[[int, bytes], list[bytes]],
        own_script: Callable[[], bytes],
    ) -> None:
        self._chain = chain
        self._miner = miner
        self._generate = generate
        self._own_script = own_script

    @method(Category.MINING, result=MINING_INFO)
    def get_mining_info(self) -> Json:
        """Tell how mining goes: hash rate and expected time to a block."""
        info = self._miner.info()
        tip = self._chain.tip
        return {
            "mining": info.is_mining,
            "threads": info.threads,
            "engine": info.engine,
            "kernel": info.kernel,
            "rolled_versions": info.rolled_versions,
            "hashes_per_second": round(info.hashes_per_second),
            "expected_seconds": info.expected_seconds,
            "blocks_found": info.blocks_found,
            "difficulty": real(calculate_network_difficulty(tip.header.bits, self._chain.params)),
            "height": tip.height + 1,
        }

    @method(
        Category.MINING,
        access=Access.AUTH,
        waits=True,
        result=MINING_INFO,
        examples=("true 2", "false"),
        errors=(RpcCode.INVALID_PARAMETER,),
    )
    def set_mining(
        self,
        on: Annotated[bool, BOOLEAN, "true to mine, false to stop"],
        threads: Annotated[int | None, INTEGER, "how many threads; as before if left out"] = None,
    ) -> Json:
        """Switch the background miner on or off."""
        if threads is not None and not 1 <= threads <= MAX_THREADS:
            raise RpcError(RpcCode.INVALID_PARAMETER, f"threads must be 1 to {MAX_THREADS}")
        self._miner.set_mining(on, threads)
        return self.get_mining_info.function(self)

    @method(
        Category.MINING,
        access=Access.AUTH,
        waits=True,
        result=array("the new blocks", hexadecimal("a hash")),
        examples=("101",),
        errors=(RpcCode.MISC_ERROR, RpcCode.INVALID_ADDRESS_OR_KEY, RpcCode.INVALID_PARAMETER),
    )
    def generate(
        self,
        count: Annotated[int, INTEGER, "how many blocks"],
        address: Annotated[str | None, STRING, "whom they pay; the wallet if left out"] = None,
    ) -> Json:
        """Mine blocks at once, on regtest."""
        if self._chain.params.name != "regtest":
            raise RpcError(
                RpcCode.MISC_ERROR,
                "generate is for chain regtest, where blocks cost nothing; see set_mining",
            )
        if count > MAX_GENERATED:
            raise RpcError(RpcCode.INVALID_PARAMETER, f"count must be {MAX_GENERATED} at most")
        script = (
            self._own_script()
            if address is None
            else script_from_address(address, self._chain.params)
        )
        return [hash_hex(block_hash) for block_hash in self._generate(max(0, count), script)]
