import pytest

from misocoin.chain.importer import ImportProgress, ImportResult, import_blocks
from misocoin.chain.script_checks import ScriptChecks
from misocoin.chain.verify import verify_chain
from misocoin.consensus.tree import HeaderNode
from misocoin.errors import ConfigError, StoreError
from misocoin.params import bitcoin
from tests.builders import grow, make_block, memory_chain, memory_store, open_chain, small_params
from tests.shared import shared_file

PARAMS = small_params()
MAGIC = bytes.fromhex("fabfb5da")
GENESIS = PARAMS.genesis
BLOCKS = grow(HeaderNode(GENESIS.header, None), PARAMS, 6)
TIP = BLOCKS[-1].hash


def _frame(block, magic=MAGIC):
    data = block.serialize()
    return magic + len(data).to_bytes(4, "little") + data


FRAMES = [_frame(block) for block in BLOCKS]


@pytest.fixture
def load(tmp_path):
    """Imports bytes into a new chain: what came of it, and the chain's tip."""

    def run(*parts, chain=None, **options):
        path = tmp_path / "blk.dat"
        path.write_bytes(b"".join(parts))
        with memory_chain(PARAMS) as new:
            chain = chain or new
            return import_blocks(path, chain, PARAMS, **options), chain.tip.hash

    return run


def test_a_file_in_order(load):
    assert load(_frame(GENESIS), *FRAMES) == (ImportResult(7, 7, 0, 0), TIP)
    assert load(*FRAMES) == (ImportResult(6, 6, 0, 0), TIP)


def test_a_file_in_any_order(load):
    assert load(*reversed(FRAMES)) == (ImportResult(6, 6, 0, 0), TIP)
    assert load(*[FRAMES[n] for n in (3, 0, 5, 1, 4, 2)], _frame(GENESIS)) == (
        ImportResult(7, 7, 0, 0),
        TIP,
    )


def test_two_children_wait_for_one_parent(load):
    rival = make_block(
        HeaderNode(BLOCKS[0].header, HeaderNode(GENESIS.header, None)), PARAMS, tag=b"r"
    )
    result, tip = load(_frame(rival), *FRAMES[1:], FRAMES[0])
    assert (result, tip) == (ImportResult(7, 7, 0, 0), TIP)


def test_blocks_may_come_twice(load):
    assert load(*FRAMES, *FRAMES) == (ImportResult(12, 12, 0, 0), TIP)
    assert load(FRAMES[1], FRAMES[1], *FRAMES) == (ImportResult(8, 8, 0, 0), TIP)


def test_a_block_without_its_parent_is_counted(load):
    result, tip = load(FRAMES[0], *FRAMES[2:])
    assert result == ImportResult(1, 1, 0, 4)
    assert tip == BLOCKS[0].hash


@pytest.mark.parametrize(
    "garbage",
    [
        b"\0" * 5000,
        b"noise",
        MAGIC,
        MAGIC * 3,
        MAGIC + b"\x00\x00\x00\x00",
        MAGIC + (80).to_bytes(4, "little") + bytes(80),
        MAGIC + (0x02000001).to_bytes(4, "little"),
        MAGIC + b"\xff\xff\xff\xff",
        MAGIC + (200).to_bytes(4, "little") + bytes(200),  # no block
        MAGIC + (200).to_bytes(4, "little"),  # it claims the next frame as its own
        MAGIC[:3],
        MAGIC[:2] + MAGIC,
        _frame(BLOCKS[0])[:-20],
        _frame(BLOCKS[0], bytes.fromhex("f9beb4d9")),
    ],
)
def test_garbage_between_blocks_is_passed_over(load, garbage):
    parts = [part for frame in FRAMES for part in (garbage, frame)]
    assert load(*parts, garbage) == (ImportResult(6, 6, 0, 0), TIP)


def test_a_file_cut_short(load):
    result, tip = load(*FRAMES[:5], FRAMES[5][:-1])
    assert (result, tip) == (ImportResult(5, 5, 0, 0), BLOCKS[4].hash)


def test_another_networks_file(load):
    frames = [_frame(block, bitcoin().magic) for block in BLOCKS]
    assert load(*frames) == (ImportResult(0, 0, 0, 0), GENESIS.hash)


def test_an_empty_file(load):
    assert load() == (ImportResult(0, 0, 0, 0), GENESIS.hash)


def test_bad_blocks_are_counted_and_named(load):
    parent = HeaderNode(GENESIS.header, None)
    bad = make_block(parent, PARAMS, fees=1)
    (child,) = grow(HeaderNode(bad.header, parent), PARAMS, 1)
    told = []
    result, tip = load(
        _frame(child),
        _frame(bad),
        *FRAMES,
        rejected=lambda name, error: told.append((name, error.reason)),
    )
    assert result == ImportResult(6, 6, 2, 0)
    assert tip == TIP
    assert told == [
        (bad.header.hash_hex, "bad-cb-amount"),
        (child.header.hash_hex, "bad-prevblk"),
    ]


def test_children_of_a_block_that_was_not_even_a_header_are_orphans(load):
    parent = HeaderNode(GENESIS.header, None)
    bad = make_block(parent, PARAMS, time=1)
    (child,) = grow(HeaderNode(bad.header, parent), PARAMS, 1)
    result, _ = load(_frame(child), _frame(bad))
    assert result == ImportResult(0, 0, 1, 1)


def test_progress(load):
    told = []
    load(*FRAMES[:3], progress=told.append)
    sizes = [len(frame) for frame in FRAMES]
    whole = sum(sizes[:3])
    assert told == [
        ImportProgress(1, 1, sizes[0], whole),
        ImportProgress(2, 2, sum(sizes[:2]), whole),
        ImportProgress(3, 3, whole, whole),
    ]


@pytest.mark.parametrize("frames", [FRAMES, FRAMES[::-1]], ids=["in order", "reversed"])
def test_an_import_can_be_stopped(load, frames):
    told = []
    result, _ = load(*frames, progress=told.append, should_stop=lambda: len(told) == 2)
    assert (result.blocks, len(told)) == (2, 2)


def test_an_import_goes_on_where_another_ended(load):
    with memory_store(PARAMS) as store:
        chain = open_chain(PARAMS, store)
        load(*FRAMES[:3], chain=chain)
        chain = open_chain(PARAMS, store)
        assert load(*FRAMES, chain=chain) == (ImportResult(6, 6, 0, 0), TIP)


def test_a_file_that_cannot_be_read(tmp_path):
    with memory_chain(PARAMS) as chain:
        for path in (tmp_path, tmp_path / "missing"):
            with pytest.raises(ConfigError, match=f"-loadblock={path}: "):
                import_blocks(path, chain, PARAMS)


def test_a_broken_disk_is_no_bad_block(load, monkeypatch):
    def fail(*_args):
        raise StoreError("the disk is full")

    with memory_store(PARAMS) as store:
        chain = open_chain(PARAMS, store)
        monkeypatch.setattr(store, "apply", fail)
        with pytest.raises(StoreError, match="full"):
            load(*FRAMES, chain=chain)


# -- real chains ------------------------------------------------------------------------------


def test_the_first_255_blocks_of_bitcoin():
    path = shared_file("chains/bitcoin-1-255.blk")
    with memory_chain(bitcoin()) as chain:
        result = import_blocks(path, chain, bitcoin())
        assert result == ImportResult(255, 262, 0, 0)
        assert chain.tip.header.hash_hex == (
            "00000000d0a75c861fabf9ff7b92022f60e4afeed9331fe5aa073d8e4706fe3c"
        )
        assert chain.height == 255
        assert chain.tip.chain_work == 256 * 0x100010001
        verified = verify_chain(chain, ScriptChecks(1))
        assert verified.transactions == 263
        assert verified.supply == 255 * 5_000_000_000
