from misocoin.chain.candidates import Candidates
from misocoin.consensus.tree import HeaderNode
from misocoin.params import regtest
from misocoin.primitives.block import BlockHeader


def _child(parent, nonce=0):
    header = BlockHeader.build(4, parent.hash, bytes(32), parent.header.time + 1, 0x207FFFFF, nonce)
    return HeaderNode(header, parent)


ROOT = HeaderNode(regtest().genesis.header, None)
A1, B1 = _child(ROOT, 1), _child(ROOT, 2)
A2, B2 = _child(A1), _child(B1)
A3 = _child(A2)
C2 = _child(A1, 3)
C3 = _child(C2)


def _candidates(*failed):
    return Candidates(ROOT, lambda node: node in failed)


def test_the_most_work_is_best():
    candidates = _candidates()
    assert candidates.best(ROOT) is ROOT
    for node in (A1, B1, B2):
        candidates.link(node)
    assert candidates.best(ROOT) is B2
    assert candidates.best(A1) is B2


def test_of_equal_work_the_first_to_come_is_best():
    candidates = _candidates()
    for node in (B1, A1, A2, B2):
        candidates.link(node)
    assert candidates.best(ROOT) is A2
    assert candidates.best(B2) is A2
    candidates.prefer(B2)
    assert candidates.best(ROOT) is candidates.best(A2) is B2


def test_a_body_waits_for_those_below_it():
    candidates = _candidates()
    candidates.link(A3)
    candidates.link(A2)
    assert candidates.best(ROOT) is ROOT
    assert [candidates.is_linked(node) for node in (ROOT, A1, A2, A3)] == [
        True,
        False,
        False,
        False,
    ]
    candidates.link(A1)
    assert candidates.best(ROOT) is A3
    assert all(map(candidates.is_linked, (A1, A2, A3)))


def test_invalid_blocks_are_no_candidates_though_their_bodies_are_there():
    candidates = _candidates(A2, A3)
    for node in (A1, A2, A3):
        candidates.link(node)
    assert candidates.best(ROOT) is A1
    assert candidates.is_linked(A3)


def test_a_block_that_turned_out_to_be_invalid_is_forgotten():
    candidates = _candidates()
    for node in (A1, B1, A2):
        candidates.link(node)
    candidates.discard(A2)
    candidates.discard(A3)
    assert candidates.best(ROOT) is A1
    candidates.discard(A1)
    assert candidates.best(ROOT) is B1


def test_what_cannot_win_any_more_is_forgotten():
    candidates = _candidates()
    for node in (A1, B1, A2):
        candidates.link(node)
    candidates.prune(A2.chain_work)
    candidates.discard(A2)
    assert candidates.best(ROOT) is ROOT
    candidates.link(B2)
    candidates.prune(B2.chain_work)
    assert candidates.best(ROOT) is B2


def test_of_bodies_that_waited_for_the_same_one_the_first_to_come_is_best():
    """As in Bitcoin Core; what waited for them comes after them."""
    for order in ((A2, C2), (C2, A2)):
        candidates = _candidates()
        for node in (*order, A1):
            candidates.link(node)
        assert candidates.best(ROOT) is order[0]
    candidates = _candidates()
    for node in (C3, A3, A2, C2, A1):
        candidates.link(node)
    assert candidates.best(ROOT) is A3
