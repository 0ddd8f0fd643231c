"""What README and docs/ tell to type is there: commands, their options, methods."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from misocoin.__main__ import main

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
SINGLE = ("mine", "notarize", "verify", "bench", "daemon", "cli")
"""Commands without commands of their own."""

PROGRAM = re.compile(r"(?:\./)?(misocoin(?:d|-cli)?)(?:\.py)?")


def calls_of(page: Path) -> Iterator[list[str]]:
    """The calls of our programs in a page's blocks of code, as words; the first is the program."""
    text = page.read_text("utf-8").replace("\\\n", " ")
    text = re.sub(r"\$\([^()]*\)", "value", text)
    for block in re.findall(r"(?:^ {4}.*\n)+|^```\n.*?^```$", text, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            words = line.strip().removeprefix("$ ").split(" #")[0].replace("'", "").split()
            match = PROGRAM.fullmatch(words[0]) if words else None
            if match:
                yield [match[1], *words[1:]]


CALLS = list(
    dict.fromkeys((page.name, " ".join(words)) for page in PAGES for words in calls_of(page))
)


def test_there_are_calls_to_check() -> None:
    assert len(CALLS) > 50
    assert {"README.md", "wallet.md", "market.md", "hashcash.md"} <= {page for page, _ in CALLS}


@pytest.fixture(scope="module")
def methods() -> set[str]:
    """The methods of a node, by the page that is made from their declarations."""
    page = (ROOT / "docs" / "rpc.md").read_text("utf-8")
    return set(re.findall(r"^### (\w+)$", page, re.MULTILINE))


@pytest.mark.parametrize(("page", "line"), CALLS)
def test_a_call_is_one_that_can_be_made(
    page: str, line: str, methods: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    program, *words = line.split()
    if program == "misocoin":
        depth = 1 if words[0] in SINGLE or words[0] == "help" else 2
        command, words = words[:depth], words[depth:]
    else:
        command = ["daemon"] if program == "misocoind" else ["cli"]
    assert main([*command, *([] if command[0] == "help" else ["-help"])]) == 0
    shown = set(re.findall(r"^  -(\w[\w-]*)", capsys.readouterr().out, re.MULTILINE))
    for word in words:
        name = re.match(r"--?([a-z][\w-]*)", word)
        if name and not word.startswith("-zmqpub"):
            known = {name[1], name[1].removeprefix("no")}
            assert known & shown, f"{page}: {line}"
    if program == "misocoin-cli":
        called = [word for word in words if not word.startswith("-")]
        assert not called or called[0] in methods | {"help"}, f"{page}: {line}"
