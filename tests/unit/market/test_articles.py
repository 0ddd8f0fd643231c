import pytest

from misocoin.errors import ConfigError
from misocoin.market.articles import DEFAULT_ARTICLES, articles_from_text
from misocoin.market.checkers import CHECKERS
from misocoin.market.errors import Malformed
from misocoin.market.pow_work import (
    bitmessage_puzzle_from_work,
    nonce_from_bitmessage_result,
    stamp_order_from_work,
)
from misocoin.market.times import Times

REGISTRY = articles_from_text(DEFAULT_ARTICLES)


@pytest.mark.parametrize(
    "name",
    [
        "fnord", "snafu", "foobar", "net.bitwrk/gorays/0", "foobar~trusted",
        "net.bitwrk/blender/0/2.69/512M", "net.bitwrk/blender/0/2.79/2G",
        "net.bitwrk/blender/0/2.82/32G~trusted", "net.misocoin/pow/bitmessage/0",
        "net.misocoin/pow/hashcash/0", "net.misocoin/wasm/0",
    ],
)  # fmt: skip
def test_what_is_traded(name):
    assert REGISTRY.find(name) is not None


@pytest.mark.parametrize(
    "name",
    [
        "", "fnordx", "xfnord", "FNORD", "foobar~trusted~trusted", "foobar~other",
        "net.bitwrk/blender/0/2.83/2G", "net.bitwrk/blender/0/2.7/2G", "netxbitwrk/gorays/0",
        "net.bitwrk/blender/0/2.79/3G", "foobar\n", "net.bitwrk/blender/0/2.7٣/2G", "f" * 10_000,
    ],
)  # fmt: skip
def test_what_is_not(name):
    assert REGISTRY.find(name) is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "tables"),
        ("x", "TOML"),
        ("article = 1", "tables"),
        ("article = []", "tables"),
        ("article = ['a']", "name or a pattern"),
        ("[[article]]\nname = 'a'\npattern = 'b'", "name or a pattern"),
        ("[[article]]\nchecker = 'hashcash'", "name or a pattern"),
        ("[[article]]\nname = 'a'\nmore = 'b'", "name or a pattern"),
        ("[[article]]\nname = 1", "texts"),
        ("[[article]]\nname = 'a'\nchecker = 'magic'", "magic"),
        ("[[article]]\npattern = '('", "pattern"),
        ("[[article]]\nname = 'a'\nwork = 0", "seconds"),
        ("[[article]]\nname = 'a'\nwork = 604801", "seconds"),
        ("[[article]]\nname = 'a'\nwork = true", "seconds"),
        ("[[article]]\nname = 'a'\nverify = '5'", "seconds"),
        ("[[article]]\nname = 'a'\n[more]\nx = 1", "nothing else"),
    ],
)
def test_a_bad_registry_says_what_is_wrong(text, complaint):
    with pytest.raises(ConfigError, match=complaint):
        articles_from_text(text)


def test_an_article_has_times_of_its_own():
    registry = articles_from_text("[[article]]\nname = 'a'\nwork = 7200\nbid = 5")
    found = registry.find("a")
    assert found is not None
    assert found.times == Times(bid=5_000_000, work=7_200_000_000)
    assert Times() == tuple(n * 60_000_000 for n in (2, 1, 2, 5, 15, 10))


BITMESSAGE = (
    b'{"initialHash": "/PtJSWnGA1cQMGYUaYT3W/mR5Cw8yVTyHeQxXEOo3+sTJY3FvJCqPQ8sKCOdXKSfBSRrnOgc'
    b'ycIYFJ1PLRqWBQ==", "target": 3979158916983}'
)


def test_bitmessage_work():
    puzzle = bitmessage_puzzle_from_work(BITMESSAGE)
    assert puzzle.target == 3979158916983
    assert nonce_from_bitmessage_result(b'{"nonce": 1302572, "trialValue": 799892720325}') == (
        1302572
    )
    check = CHECKERS["bitmessage"]
    easy = BITMESSAGE.replace(b"3979158916983", b"%d" % (1 << 63))
    verdicts = {check(easy, b'{"nonce": %d}' % nonce) for nonce in range(20)}
    assert verdicts == {True, False}
    for result in (b"", b"{}", b'{"nonce": -1}', b'{"nonce": "1"}', b'{"nonce": 1.0}', b"[]"):
        assert not check(easy, result)


@pytest.mark.parametrize(
    "work",
    [
        b"", b"{}", b'{"initialHash": "AA==", "target": 1}', b'{"initialHash": "!", "target": 1}',
        BITMESSAGE.replace(b"3979158916983", b"-1"), BITMESSAGE + b" " * 16_384,
        BITMESSAGE.replace(b"3979158916983", b"true"),
    ],
)  # fmt: skip
def test_work_that_is_no_puzzle(work):
    with pytest.raises(Malformed):
        bitmessage_puzzle_from_work(work)


@pytest.mark.parametrize(
    "work",
    [
        b'{"prefix": "a:", "bits": 65, "digest": "sha1"}',
        b'{"prefix": "a:", "bits": 5, "digest": "md5"}',
        b'{"prefix": "\\u00e9", "bits": 5, "digest": "sha1"}',
        b'{"prefix": "a:", "bits": "5", "digest": "sha1"}',
        b'{"prefix": "\\ud800", "bits": 5, "digest": "sha1", "width": 9}',
        b'{"prefix": "a:", "bits": 5, "digest": "sha1", "width": 11}',
        b'{"prefix": "a:", "bits": 5, "digest": "sha1", "width": true}',
        b'{"prefix": "a:", "bits": 5, "digest": "sha1", "width": 9, "alphabet": "aa"}',
        b'{"prefix": "a:", "bits": 5, "digest": "sha1", "width": 9, "suffix": null}',
        b'{"prefix": "a:", "bits": 5, "digest": "sha1", "suffix": "."}',
    ],
)
def test_work_that_asks_for_no_stamp(work):
    with pytest.raises(Malformed):
        stamp_order_from_work(work)


def test_a_stamp_is_what_was_asked_for_and_nothing_more():
    check = CHECKERS["hashcash"]
    work = b'{"prefix": "1:0:x:", "bits": 0, "digest": "sha1"}'
    assert check(work, b"1:0:x:abc")
    for stamp in (b"1:0:y:abc", b"1:0:x:", b"1:0:x:a b", b"1:0:x:" + b"a" * 33, b"1:0:x:\xe9"):
        assert not check(work, stamp)


def test_a_stamp_whose_counter_has_a_form():
    check = CHECKERS["hashcash"]
    work = (
        b'{"prefix": "a:", "bits": 0, "digest": "sha256", "width": 3, "suffix": ":z", '
        b'"alphabet": "01"}'
    )
    assert check(work, b"a:010:z")
    for stamp in (b"a:01:z", b"a:0100:z", b"a:012:z", b"a:010", b"010:z", b"a:z", b"a:\xb0\xb1:z"):
        assert not check(work, stamp)
    hard = work.replace(b'"bits": 0', b'"bits": 64')
    assert not check(hard, b"a:010:z")
