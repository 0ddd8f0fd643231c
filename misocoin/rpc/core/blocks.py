"""Core's methods that read blocks and headers."""

from typing import Annotated

from misocoin.chain.state import ChainState
from misocoin.errors import NotFoundError
from misocoin.http.errors import RpcError
from misocoin.rpc.declare import Category, Dialect, method
from misocoin.rpc.errors import RpcCode
from misocoin.rpc.forms import hash_hex
from misocoin.rpc.json import Json
from misocoin.rpc.params import INTEGER
from misocoin.rpc.schema import hexadecimal, number


class CoreBlocks:
    """Blocks of the active chain and beside it."""

    def __init__(self, chain: ChainState) -> None:
        self._chain = chain

    @method(Category.CHAIN, dialect=Dialect.CORE, result=number("the tip's height"))
    def getblockcount(self) -> Json:
        """Tell the height of the active chain's last block; genesis has 0."""
        return self._chain.height

    @method(Category.CHAIN, dialect=Dialect.CORE, result=hexadecimal("the block's hash"))
    def getblockhash(self, height: Annotated[int, INTEGER, "height on the active chain"]) -> Json:
        """Tell the hash of the active chain's block at a height."""
        try:
            return hash_hex(self._chain.at_height(height).hash)
        except NotFoundError:
            raise RpcError(RpcCode.INVALID_PARAMETER, "Block height out of range") from None
