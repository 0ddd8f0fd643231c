"""Options from three sources, by one table."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from misocoin.errors import ConfigError
from misocoin.options import (
    FileForm,
    Kind,
    Option,
    Words,
    choice_of,
    flag_from_text,
    help_text,
    integer_between,
    resolve,
    values_from_arguments,
    values_from_environment,
    values_from_file,
)

TABLE = (
    Option("port", "Network", "Where.", integer_between(0, 65535), 4000, placeholder="port"),
    Option("mine", "Mining", "Whether.", flag_from_text, False, Kind.FLAG),
    Option("nodes", "Network", "Whom.", str, (), Kind.LIST),
    Option("secret", "Network", "What.", integer_between(0, 9), None, secret=True),
    Option("chain", "Network", "Which.", choice_of("miso", "regtest"), "miso"),
)
NAMES = [option.name for option in TABLE]
FORM = FileForm(TABLE, {"miso": "miso", "regtest": "regtest", "main": "miso"})


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["-port=1"], {"port": ["1"]}),
        (["--port=1"], {"port": ["1"]}),
        (["-port=1", "-port=2"], {"port": ["1", "2"]}),
        (["-mine"], {"mine": [""]}),
        (["-mine=0"], {"mine": ["0"]}),
        (["-nomine"], {"mine": ["0"]}),
        (["--nomine"], {"mine": ["0"]}),
        (["-nodes=a", "-nodes=b,c"], {"nodes": ["a", "b,c"]}),
        (["-nonodes"], {"nodes": [""]}),
        (["-secret="], {"secret": [""]}),
    ],
)
def test_one_dash_or_two_and_no(words: list[str], expected: dict[str, list[str]]) -> None:
    assert values_from_arguments(words, TABLE) == (expected, ())


def test_options_end_at_the_first_word() -> None:
    values, words = values_from_arguments(["-mine", "get_block", "-5", "-port=1"], TABLE)
    assert values == {"mine": [""]}
    assert words == ("get_block", "-5", "-port=1")


@pytest.mark.parametrize(
    ("arguments", "values", "words"),
    [
        (["get", "-port=1", "5"], {"port": ["1"]}, ["get", "5"]),
        (["get", "-mine"], {"mine": [""]}, ["get"]),
        (["get", "-nomine"], {"mine": ["0"]}, ["get"]),
        (["get", "-5", "-x=1", "-"], {}, ["get", "-5", "-x=1", "-"]),
        (["get", "--", "-port=1"], {}, ["get", "-port=1"]),
    ],
)
def test_loose_words_may_have_options_behind_them(
    arguments: list[str], values: dict[str, list[str]], words: list[str]
) -> None:
    assert values_from_arguments(arguments, TABLE, Words.LOOSE) == (values, tuple(words))


def test_before_the_first_word_an_unknown_option_is_an_error() -> None:
    with pytest.raises(ConfigError, match="did you mean -port"):
        values_from_arguments(["-prot=1", "get"], TABLE, Words.LOOSE)


def test_a_lone_dash_is_a_word() -> None:
    assert values_from_arguments(["-"], TABLE).words == ("-",)


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("-prot=1", "did you mean -port?"),
        ("-mien", "did you mean -mine?"),
        ("-zzzzzz", "-help lists"),
        ("--", "-help lists"),
        ("-port", "write -port=<port>"),
        ("-noport", "not a yes-or-no option"),
        ("-nomine=1", "takes no value"),
    ],
)
def test_what_cannot_be_used_says_what_to_write(word: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        values_from_arguments([word], TABLE)


def test_the_environment_is_read_by_name() -> None:
    environment = {"MISOCOIN_PORT": "5", "MISOCOIN_SERVICE_HOST": "x", "PORT": "6"}
    assert values_from_environment(environment, TABLE) == {"port": ["5"]}


def _file(folder: Path, text: str, section: str = "regtest") -> dict[str, list[str]]:
    path = folder / "misocoin.conf"
    path.write_text(text)
    return values_from_file(path, section, FORM).values


def test_a_file_has_lines_comments_and_sections(tmp_path: Path) -> None:
    text = """
    # a comment
    port = 1
    nodes=a   # another
    nodes=b
    secret=with#sign
    [regtest]
    port=2
    [miso]
    mine=1
    """
    assert _file(tmp_path, text) == {"port": ["2"], "nodes": ["a", "b"], "secret": ["with#sign"]}
    assert _file(tmp_path, text, "miso")["port"] == ["1"]
    assert _file(tmp_path, text, "miso")["mine"] == ["1"]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("prot=1", "line 1: unknown option prot; did you mean port?"),
        ("\n-port=1", "line 2: options stand here without a leading dash"),
        ("port", "write option=value"),
        ("[regtset]", "did you mean regtest?"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, text: str, hint: str) -> None:
    with pytest.raises(ConfigError) as raised:
        _file(tmp_path, text)
    assert hint in str(raised.value)


def test_a_file_may_name_a_section_in_a_line_and_switch_off(tmp_path: Path) -> None:
    text = "regtest.port=2\nport=1\nmain.mine=1\nnomine=1\nnonodes=1\n"
    assert _file(tmp_path, text) == {"port": ["2"], "mine": ["0"], "nodes": [""]}
    assert _file(tmp_path, text, "miso") == {"port": ["1"], "mine": ["1"], "nodes": [""]}


def test_core_s_file_passes_over_the_unknown_and_takes_the_first_value(tmp_path: Path) -> None:
    path = tmp_path / "bitcoin.conf"
    path.write_text("port=1\nport=2\nnodes=a\nnodes=b\nwhat=1\n[signet]\nport=3\n[main]\nmine=0\n")
    said = values_from_file(path, "miso", FORM._replace(is_core=True))
    assert said.values == {"port": ["1"], "nodes": ["a", "b"], "mine": ["0"]}
    assert said.unknown == ("what", "[signet]")
    with pytest.raises(ConfigError, match="unknown option what"):
        values_from_file(path, "miso", FORM)


def test_a_file_may_include_others(tmp_path: Path) -> None:
    (tmp_path / "main").write_text(
        "includeconf=a\nnodes=x\n[regtest]\nincludeconf=b\n[miso]\nincludeconf=none\n"
    )
    (tmp_path / "a").write_text("nodes=y\nmine=1\nincludeconf=main\n[miso]\nmine=0\n")
    (tmp_path / "b").write_text("port=5\n")
    found = values_from_file(tmp_path / "main", "regtest", FORM)
    assert found.values == {"nodes": ["x", "y"], "mine": ["1"], "port": ["5"]}
    assert found.unknown == ("includeconf=main in a file that is included",)
    with pytest.raises(ConfigError, match="includeconf=none: there is no such file"):
        values_from_file(tmp_path / "main", "miso", FORM)


def test_a_missing_file_says_nothing(tmp_path: Path) -> None:
    assert values_from_file(tmp_path / "none", "", FORM).values == {}


def test_a_file_that_is_none_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        values_from_file(tmp_path, "", FORM)
    (tmp_path / "big").write_bytes(b"#" * ((1 << 20) + 1))
    with pytest.raises(ConfigError, match="larger"):
        values_from_file(tmp_path / "big", "", FORM)
    (tmp_path / "binary").write_bytes(b"port=\xff")
    with pytest.raises(ConfigError, match="UTF-8"):
        values_from_file(tmp_path / "binary", "", FORM)


@given(st.binary(max_size=300))
def test_any_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.conf"
    path.write_bytes(data)
    try:
        values_from_file(path, "regtest", FORM._replace(is_core=True))
        values = values_from_file(path, "regtest", FORM).values
    except ConfigError:
        return
    assert set(values) <= set(NAMES)


@given(st.lists(st.text(max_size=20), max_size=5))
def test_any_arguments_are_taken_or_refused(words: list[str]) -> None:
    try:
        resolve(TABLE, ("-", values_from_arguments(words, TABLE).values))
    except ConfigError:
        return


def test_the_first_source_wins_a_whole_option() -> None:
    values = resolve(TABLE, ("-", {"nodes": ["a"]}), ("MISOCOIN_", {"nodes": ["b"], "port": ["7"]}))
    assert values["nodes"] == ("a",)
    assert values["port"] == 7
    assert values["mine"] is False
    assert values["secret"] is None


def test_the_last_of_several_values_counts() -> None:
    assert resolve(TABLE, ("-", {"port": ["1", "2"]}))["port"] == 2


def test_an_empty_list_empties_it() -> None:
    assert resolve(TABLE, ("-", {"nodes": [""]}))["nodes"] == ()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"port": ["x"]}, "-port=x: write a whole number"),
        ({"port": ["70000"]}, "-port=70000: write a number from 0 to 65535"),
        ({"port": ["1" * 30]}, "write a whole number"),
        ({"mine": ["maybe"]}, "-mine=maybe: write 1 or 0"),
        ({"chain": ["main"]}, "-chain=main: choose miso or regtest"),
    ],
)
def test_a_bad_value_is_named(values: dict[str, list[str]], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        resolve(TABLE, ("-", values))
    assert message in str(raised.value)


def test_a_bad_secret_is_not_repeated() -> None:
    with pytest.raises(ConfigError) as raised:
        resolve(TABLE, ("-", {"secret": ["hunter2"]}))
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("text", ["1", "true", "YES", "on", ""])
def test_yes(text: str) -> None:
    assert flag_from_text(text) is True


@pytest.mark.parametrize("text", ["0", "false", "No", "off"])
def test_no(text: str) -> None:
    assert flag_from_text(text) is False


def test_help_shows_every_option_with_its_default() -> None:
    shown = help_text(TABLE)
    assert "-port=<port>\n       Where. (default: 4000)" in shown
    assert all(f"-{name}" in shown for name in NAMES)
    assert max(map(len, shown.splitlines())) <= 80
