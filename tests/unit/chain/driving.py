"""Blocks handed to a chain, and what is heard of them."""

import pytest

from misocoin.chain.events import Event, EventBus
from misocoin.chain.state import ChainState
from misocoin.errors import ValidationError
from misocoin.primitives.block import Block
from tests.builders import make_block


def refused(chain: ChainState, block: Block) -> str:
    """Why a block is not taken."""
    with pytest.raises(ValidationError) as caught:
        chain.submit_block(block)
    return caught.value.reason


def record(events: EventBus) -> list[Event]:
    """All that is told from now on."""
    heard: list[Event] = []
    events.subscribe(heard.append)
    return heard


def extend(chain: ChainState, count: int = 1, **options: object) -> list[Block]:
    """Put blocks on the tip."""
    blocks = []
    for _ in range(count):
        block = make_block(chain.tip, chain.params, **options)
        assert chain.submit_block(block).in_chain
        blocks.append(block)
    return blocks
