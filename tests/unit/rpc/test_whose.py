"""Strangers are not told which transactions are the wallet's."""

from types import SimpleNamespace
from typing import Any

import pytest

from misocoin.errors import NotFoundError
from misocoin.rpc.declare import methods_of
from misocoin.rpc.methods.data import DataMethods
from misocoin.rpc.methods.transactions import TransactionMethods

TXID = bytes(range(32))


class Finder:
    """Finds nothing, and notes whether it was to look into the wallet."""

    def __init__(self) -> None:
        self.looked: list[bool] = []

    def find(self, _txid: bytes, *, with_own: bool = False) -> None:
        self.looked.append(with_own)


@pytest.mark.parametrize("name", ["get_tx", "get_data"])
def test_the_wallet_is_looked_into_for_its_owner_alone(name: str) -> None:
    finder: Any = Finder()
    chain: Any = SimpleNamespace(options=SimpleNamespace(txindex=False))
    nothing: Any = None
    instances = (
        TransactionMethods(chain, nothing, finder),
        DataMethods(chain, nothing, finder, nothing),
    )
    methods = {each.name: each for owner in instances for each in methods_of(owner)}
    asked = TXID if name == "get_tx" else TXID.hex()
    for is_trusted in (False, True):
        with pytest.raises(NotFoundError):
            methods[name].run([asked], is_trusted=is_trusted)
    assert finder.looked == [False, True]
