import pytest

from tests.builders import memory_store, open_chain, small_params


@pytest.fixture
def params():
    return small_params()


@pytest.fixture
def store(params):
    with memory_store(params) as opened:
        yield opened


@pytest.fixture
def chain(params, store):
    return open_chain(params, store)
