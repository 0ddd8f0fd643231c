"""The cache of coins: it answers like a dict, whatever is done to it between the flushes."""

from hypothesis import given
from hypothesis import strategies as st

from misocoin.chain.coins import CoinCache
from misocoin.consensus.coins import Coin
from misocoin.primitives.transaction import OutPoint
from tests.builders import ANYONE, make_outpoint, memory_store, small_params

POINTS = [make_outpoint(number) for number in range(6)]
steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("apply"),
            st.sets(st.sampled_from(POINTS), max_size=3),
            st.dictionaries(st.sampled_from(POINTS), st.integers(0, 99), max_size=3),
        ),
        st.tuples(st.just("get"), st.sampled_from(POINTS), st.none()),
        st.tuples(st.just("get_many"), st.sets(st.sampled_from(POINTS)), st.none()),
        st.tuples(st.just("flush"), st.sampled_from([0, 2, 10]), st.none()),
        st.tuples(st.just("by script"), st.none(), st.none()),
    ),
    max_size=40,
)


@given(steps)
def test_the_cache_answers_like_a_dict(many):
    with memory_store(small_params()) as store:
        cache = CoinCache(store)
        model: dict[OutPoint, Coin] = {}
        for kind, subject, values in many:
            match kind:
                case "apply":
                    for point in subject:
                        model.pop(point, None)
                    added = {
                        point: Coin(value, ANYONE, value, False)
                        for point, value in values.items()
                        if point not in model  # no coin is made twice
                    }
                    cache.apply(subject, added)
                    model.update(added)
                case "get":
                    assert cache.get(subject) == model.get(subject)
                case "get_many":
                    assert cache.get_many(subject) == {
                        point: model[point] for point in subject if point in model
                    }
                case "flush":
                    cache.flush(b"t" * 32, keep=subject)
                    assert dict(store.iterate_coins()) == model
                case "by script":
                    assert cache.find_by_script(ANYONE) == model
        cache.flush(b"t" * 32, keep=0)
        assert dict(store.iterate_coins()) == model
