"""The comparison of answers that the tests beside a real bitcoind stand on."""

import pytest

from tests.functional.framework.differences import (
    Buts,
    anything,
    differences,
    ignored,
    ours_lacks,
    read_json,
    theirs_lacks,
    unordered,
)


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ('{"a": 1}', '{"a": 1}', []),
        ("1", "1.0", ["$: ours is integer 1, theirs fraction 1.0"]),
        ("1.50", "1.5", ["$: ours 1.50, theirs 1.5"]),
        ('"1"', "1", ['$: ours is string "1", theirs integer 1']),
        ("true", "1", ["$: ours is boolean true, theirs integer 1"]),
        ("null", "{}", ["$: ours is null null, theirs object {}"]),
        ('{"a": 1, "b": 2}', '{"b": 2, "a": 1}', ["$: ours in the order a b, theirs b a"]),
        ('{"a": 1}', '{"b": 2}', ["$.b: ours lacks it, theirs 2", "$.a: theirs lacks it, ours 1"]),
        ('[{"a": [1, 2]}]', '[{"a": [1, 3]}]', ["$[0].a[1]: ours 2, theirs 3"]),
        ("[1]", "[1, 2]", ["$: ours has 1 [\"1\"], theirs 2 [\"1\", \"2\"]"]),
    ],
)  # fmt: skip
def test_differences_are_found(ours: str, theirs: str, expected: list[str]) -> None:
    assert differences(read_json(ours), read_json(theirs)) == expected


@pytest.mark.parametrize(
    ("ours", "theirs", "but", "rest"),
    [
        ('{"a": [{"t": 1}, {"t": 2}]}', '{"a": [{"t": 3}, {"t": 4}]}',
         {"$.a[*].t": ignored("")}, 0),
        ('{"a": {"t": 1}}', '{"a": {"t": 2}}', {"$.*.t": ignored("")}, 0),
        ("1", "1.5", {"$": ignored("")}, 2),
        ("1", '"1"', {"$": anything("")}, 0),
        ('{"a": 1}', "{}", {"$.a": theirs_lacks("")}, 0),
        ("{}", '{"a": 1}', {"$.a": ours_lacks("")}, 0),
        ("{}", '{"a": 1}', {"$.a": theirs_lacks("")}, 2),
        ("[2, 1]", "[1, 2]", {"$": unordered("")}, 0),
        ("[2, 3]", "[1, 2]", {"$": unordered("")}, 2),
        ('{"a": 1, "b": 2}', '{"b": 2, "a": 1}', {"$": unordered("")}, 0),
        ("1", "1", {"$.a": ignored("a path that nothing has")}, 1),
    ],
)  # fmt: skip
def test_what_may_differ_is_passed_over(ours: str, theirs: str, but: Buts, rest: int) -> None:
    assert len(differences(read_json(ours), read_json(theirs), but)) == rest
