"""Options by one table: command line, environment and file, in the manner of Bitcoin Core.

A program declares its options as a tuple of `Option`. `values_from_arguments`,
`values_from_environment` and `values_from_file` each read one source into `{name: texts}`;
`resolve` lays them over each other (the source named first wins a whole option) and parses.

On the command line an option is `-name=value` with one dash or two; `-name` alone switches a
yes-or-no option on and `-noname` switches it off. The daemon stops there; its tool (`Words.LOOSE`)
also finds its options after the method, and the other commands (`Words.SPACED`) also take
`-name value`.
Whatever cannot be used raises ConfigError with one line that says what to write instead.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from misocoin.errors import ConfigError, ParseError
from misocoin.spelling import suggestion

MAX_FILE_SIZE = 1 << 20
"""Bytes of a configuration file; a larger one is not a configuration file."""

Values = dict[str, list[str]]
"""What one source says: option name -> the texts given for it, in order."""


class Kind(Enum):
    """What an option's text may be."""

    FLAG = "flag"
    """Yes or no."""
    VALUE = "value"
    """One text; the last one given counts."""
    LIST = "list"
    """May be given again; an empty text empties it."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a program."""

    name: str
    """As it is written after the dash, in the file, and in upper case in the environment."""
    group: str
    """Heading under which `-help` lists it."""
    help: str
    """What it does, in one or two sentences; the default is added to it."""
    parse: Callable[[str], Any] = str
    """From text to value; raises ValueError saying what would do."""
    default: Any = None
    """The value when no source has it; a tuple for `Kind.LIST`."""
    kind: Kind = Kind.VALUE
    placeholder: str = "value"
    """What stands for the value in `-help`: `-port=<port>`."""
    default_text: str = ""
    """The default as `-help` says it, where its value does not say it."""
    secret: bool = False
    """Whether an error may not repeat the text."""
    separator: str = ","
    """What stands between the items of a `Kind.LIST`."""
    negated: str | None = None
    """The text that `-noname` stands for, where it is not the kind's own."""


class Words(Enum):
    """Where options may stand on a command line, and what may look like one."""

    LAST = "options, then words"
    """The first word ends the options."""
    LOOSE = "options among words"
    """After the first word a known option is one, and anything else a word; `--` ends options."""
    SPACED = "options among words, with their values behind a blank or `=`"
    """Whatever has a dash is an option, up to `--`."""


class Arguments(NamedTuple):
    """A command line, taken apart."""

    values: Values
    """The options."""
    words: tuple[str, ...]
    """What is not an option."""


def flag_from_text(text: str) -> bool:
    """Read yes or no: `true`, `yes`, `on` and the empty text, or `false`, `no`, `off`.

    A number is no if it is 0, as for bitcoind.
    """
    lowered = text.strip().lower()
    if lowered in {"", "true", "yes", "on"}:
        return True
    if lowered in {"false", "no", "off"}:
        return False
    if lowered.removeprefix("-").isdecimal() and len(lowered) < 20:
        return bool(int(lowered))
    raise ValueError("write 1 or 0")


def integer_between(low: int, high: int) -> Callable[[str], int]:
    """Make a parser of decimal integers from `low` to `high`, both included."""

    def parse(text: str) -> int:
        digits = text.strip()
        if not digits.removeprefix("-").isdecimal() or not digits.isascii() or len(digits) > 20:
            raise ValueError("write a whole number")
        if not low <= (value := int(digits)) <= high:
            raise ValueError(f"write a number from {low} to {high}")
        return value

    return parse


def choice_of(*names: str) -> Callable[[str], str]:
    """Make a parser that takes one of these names."""

    def parse(text: str) -> str:
        if (name := text.strip().lower()) not in names:
            raise ValueError(f"choose {', '.join(names[:-1])} or {names[-1]}")
        return name

    return parse


def values_from_arguments(
    arguments: Sequence[str], table: Iterable[Option], manner: Words = Words.LAST
) -> Arguments:
    """Take the options off a command line.

    Raises ConfigError for an unknown option, for a value that is missing or not wanted.
    """
    options = {option.name: option for option in table}
    values: Values = {}
    words: list[str] = []
    rest = iter(arguments)
    for word in rest:
        if word == "--" and (manner is Words.SPACED or (manner is Words.LOOSE and words)):
            break
        name, equals, text = word.lstrip("-").partition("=")
        if not word.startswith("-") or word == "-":
            words.append(word)
            if manner is not Words.LAST:
                continue
            break
        option = options.get(name)
        if option is None and name.startswith("no") and name[2:] in options:
            option, text = options[name[2:]], _negated(options[name[2:]], word, equals)
        elif option is None and words and manner is Words.LOOSE:
            words.append(word)
            continue
        elif option is None:
            raise ConfigError(_unknown(f"option -{name}", name, options, "-"))
        elif not equals and option.kind is not Kind.FLAG:
            following = next(rest, None) if manner is Words.SPACED else None
            if following is None:
                raise ConfigError(f"-{name} needs a value: write -{name}=<{option.placeholder}>")
            text = following
        values.setdefault(option.name, []).append(text)
    return Arguments(values, (*words, *rest))


def _negated(option: Option, word: str, equals: str) -> str:
    """The text that `-noname` stands for."""
    if equals:
        raise ConfigError(f"{word}: -no{option.name} takes no value")
    if option.negated is not None:
        return option.negated
    if option.kind is Kind.VALUE:
        raise ConfigError(f"{word}: -{option.name} is not a yes-or-no option")
    return "0" if option.kind is Kind.FLAG else ""


def values_from_environment(environment: Mapping[str, str], table: Iterable[Option]) -> Values:
    """Read `MISOCOIN_NAME` variables; a list's items stand in one, with its separator between.

    Variables of other names are left alone, since some systems set their own under any prefix.
    """
    values: Values = {}
    for option in table:
        text = environment.get(f"MISOCOIN_{option.name.upper()}")
        if text is not None:
            values[option.name] = [text]
    return values


class FileForm(NamedTuple):
    """What a configuration file may say, and how strictly it is read."""

    table: tuple[Option, ...]
    """The options that may stand in it."""
    sections: Mapping[str, str]
    """The names that may stand in brackets, each with the section it means."""
    is_core: bool = False
    """Read as bitcoind reads its file: unknown lines are passed over and told of, of several
    values the first counts, and `#` starts a comment anywhere."""


class FileValues(NamedTuple):
    """What a configuration file says."""

    values: Values
    unknown: tuple[str, ...] = ()
    """What was passed over."""
    only_above: frozenset[str] = frozenset()
    """The options that stand above all sections, and not under the one that counts."""


def values_from_file(path: Path, section: str, form: FileForm) -> FileValues:
    """Read `key=value` lines; those under `[section]` come before those above any section.

    `section.key=value` stands for a line under a section, `nokey=1` switches off. `#` starts a
    comment at the start of a line or after a blank. `includeconf=file`, by its path beside this
    file, has another one read after it, in which it may not stand. A missing file says nothing.
    Raises ConfigError for a line that is neither, for what the form does not allow, and for a file
    that cannot be read.
    """
    if not path.exists():
        return FileValues({})
    reader = _FileReader(section, form)
    reader.read(path)
    for name in reader.take_included():
        if not (path.parent / name).is_file():
            raise ConfigError(f"{path}: includeconf={name[:40]}: there is no such file")
        reader.read(path.parent / name)
    for name in reader.take_included():
        reader.unknown.append(f"includeconf={name} in a file that is included")
    return reader.result()


def _lines_of(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_SIZE + 1)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    if len(content) > MAX_FILE_SIZE:
        raise ConfigError(f"{path} is larger than {MAX_FILE_SIZE} bytes")
    try:
        return content.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text") from None


class _FileReader:
    """Gathers what one file and those that it includes say."""

    def __init__(self, section: str, form: FileForm) -> None:
        self._section = section
        self._form = form
        self._options = {option.name: option for option in form.table}
        self._by_section: dict[str, Values] = {}
        self._included: list[tuple[str, str]] = []
        self.unknown: list[str] = []

    def take_included(self) -> list[str]:
        """The files that are to be read besides, once each."""
        wanted = [name for under, name in self._included if under in ("", self._section)]
        self._included = []
        return wanted

    def result(self) -> FileValues:
        above, under = (self._by_section.get(name, {}) for name in ("", self._section))
        values = {**above, **under}
        if self._form.is_core:
            for name in values:
                if self._options[name].kind is not Kind.LIST:
                    del values[name][1:]
        only_above = frozenset(above.keys() - under.keys())
        return FileValues(values, tuple(dict.fromkeys(self.unknown)), only_above)

    def read(self, path: Path) -> None:
        heading = ""
        for number, raw in enumerate(_lines_of(path), 1):
            line = raw.split("#", 1)[0] if self._form.is_core else f" {raw}".split(" #", 1)[0]
            line = line.strip()
            place = f"{path}, line {number}"
            if line.startswith("[") and line.endswith("]"):
                heading = self._heading(place, line[1:-1].strip())
            elif line:
                if "#" in raw and self._form.is_core and line.startswith("rpcpassword"):
                    raise ConfigError(f"{place}: a # here is taken for a comment; leave it out")
                self._read_setting(place, line, heading)

    def _heading(self, place: str, name: str) -> str:
        heading = self._form.sections.get(name)
        if heading is not None:
            return heading
        if not self._form.is_core:
            hint = _unknown(f"section [{name}]", name, self._form.sections)
            raise ConfigError(f"{place}: {hint}")
        self.unknown.append(f"[{name}]")
        return f"[{name}]"

    def _read_setting(self, place: str, line: str, section: str) -> None:
        name, equals, text = (part.strip() for part in line.partition("="))
        before, dot, behind = name.partition(".")
        if dot and before in self._form.sections:
            section, name = self._form.sections[before], behind
        if name.startswith("-"):
            raise ConfigError(f"{place}: options stand here without a leading dash: {name[:40]}")
        if not equals:
            raise ConfigError(f"{place}: write option=value, not {line[:40]!r}")
        if name == "includeconf":
            self._included.append((section, text))
            return
        if name == "conf":
            raise ConfigError(f"{place}: conf cannot stand in a file; includeconf can")
        options = self._options
        option = options.get(name)
        if option is None and name.startswith("no") and name[2:] in options and text in ("", "1"):
            option = options[name[2:]]
            text = _negated(option, f"{place}: {name}", "")
        if option is not None:
            self._by_section.setdefault(section, {}).setdefault(option.name, []).append(text)
        elif self._form.is_core:
            self.unknown.append(name)
        else:
            raise ConfigError(f"{place}: {_unknown(f'option {name}', name, options)}")


def _unknown(what: str, name: str, known: Iterable[str], dash: str = "") -> str:
    names = [dash + each for each in known]
    return f"unknown {what[:60]}{suggestion(dash + name, names, '-help lists what there is')}"


def resolve(table: Iterable[Option], *sources: tuple[str, Values]) -> dict[str, Any]:
    """The value of every option of the table, from the first source that has it.

    A source is (what to call it before a name in an error, what it says).
    """
    resolved: dict[str, Any] = {}
    for option in table:
        for prefix, values in sources:
            if option.name in values:
                resolved[option.name] = _parse(option, prefix, values[option.name])
                break
        else:
            resolved[option.name] = option.default
    return resolved


def _parse(option: Option, prefix: str, texts: Sequence[str]) -> object:
    try:
        if option.kind is not Kind.LIST:
            return option.parse(texts[-1])
        items = [item.strip() for text in texts for item in text.split(option.separator)]
        return tuple(option.parse(item) for item in items if item)
    except (ValueError, ParseError) as error:
        shown = "" if option.secret or not texts[-1] else f"={texts[-1][:40]}"
        raise ConfigError(f"{prefix}{option.name}{shown}: {error}") from None


def help_text(table: Sequence[Option], width: int = 80) -> str:
    """The options by group, as `-help` prints them."""
    import textwrap

    lines: list[str] = []
    for group in dict.fromkeys(option.group for option in table):
        lines += [f"{group}:", ""]
        for option in sorted((o for o in table if o.group == group), key=lambda o: o.name):
            value = "" if option.kind is Kind.FLAG else f"=<{option.placeholder}>"
            default = option.default_text
            if not default and option.kind is Kind.VALUE and option.default is not None:
                default = str(option.default)
            text = f"{option.help} (default: {default})" if default else option.help
            indent = " " * 7
            lines.append(f"  -{option.name}{value}")
            lines += textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent)
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"
