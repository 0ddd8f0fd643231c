"""The help of methods, made from their declarations."""

from collections.abc import Iterable, Mapping
from typing import Annotated

from misocoin.rpc.declare import Category, Dialect, Method, Param, method
from misocoin.rpc.errors import words_from_code
from misocoin.rpc.json import bytes_from_json
from misocoin.rpc.params import STRING
from misocoin.rpc.schema import lines_from_result, text
from misocoin.spelling import suggestion
from misocoin.units import text_from_sats

TOOL = "misocoin-cli"


def signature_of(shown: Method) -> str:
    """Write a call in one line; what may be left out stands in brackets."""
    words, is_open = [shown.name], False
    for param in shown.params:
        if not param.is_required and not is_open:
            words.append("(")
            is_open = True
        elif param.is_required and is_open:
            words.append(")")
            is_open = False
        words.append(param.names[0])
    return " ".join([*words, *([")"] if is_open else [])])


def help_of(shown: Method) -> str:
    """Explain a method: call, summary, arguments, result, errors, examples."""
    lines = [signature_of(shown), "", shown.summary]
    if shown.params:
        lines += ["", "Arguments:"]
        width = max(len(param.names[0]) for param in shown.params)
        for position, param in enumerate(shown.params, 1):
            lines.append(f"{position}. {param.names[0]:{width}}    ({_manner(param)}) {param.help}")
    lines += ["", "Result:", *lines_from_result(shown.result)]
    if shown.errors:
        codes = [
            f"{code:d} ({words_from_code(code)})" for code in sorted(shown.errors, reverse=True)
        ]
        lines += ["", f"Errors: {', '.join(codes)}"]
    if shown.examples:
        lines += ["", "Examples:"]
        lines += [f"> {TOOL} {shown.name} {arguments}".rstrip() for arguments in shown.examples]
    return "\n".join(lines)


def _manner(param: Param) -> str:
    if param.is_required:
        return f"{param.kind.name}, required"
    shown = _default_text(param)
    return f"{param.kind.name}, optional{shown and f', default={shown}'}"


def _default_text(param: Param) -> str:
    """A default as JSON; empty where it is nothing."""
    if param.default in (None, "", (), [], {}):
        return ""
    if param.kind.is_amount:
        return text_from_sats(param.default)
    return bytes_from_json(param.default).decode()


def listing(methods: Iterable[Method]) -> str:
    """List methods by category, one call a line; those with Core's names come last."""
    lines: list[str] = []
    known = sorted(methods, key=lambda each: each.name)
    for dialect in Dialect:
        end = "" if dialect is Dialect.OWN else f" ({dialect.value})"
        for category in Category:
            members = [m for m in known if m.category is category and m.dialect is dialect]
            if members:
                lines += ["", f"== {category.value}{end} ==", *map(signature_of, members)]
    return "\n".join(lines[1:])


class HelpMethods:
    """The method `help`, over the methods that it is given."""

    def __init__(self, methods: Mapping[str, Method]) -> None:
        self._methods = methods

    @method(
        Category.CONTROL,
        result=text("the list, or the help"),
        examples=("", "get_block"),
    )
    def help(
        self, command: Annotated[str, STRING, "method to explain; without it all are listed"] = ""
    ) -> str:
        """List all methods, or explain one."""
        if not command:
            return listing(self._methods.values())
        if command not in self._methods:
            return f"help: unknown command: {command[:60]}{suggestion(command, self._methods)}"
        return help_of(self._methods[command])
