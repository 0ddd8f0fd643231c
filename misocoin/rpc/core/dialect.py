"""Bitcoin Core's dialect: its names, parameters and results over this node's functions.

A method is here for one of two reasons:

* The first dialect has the function. Then it is made of that one by `Method.in_dialect`, in one
  of the functions of `_RENAMED`: a name, parameters (`argument` says which of the function's each
  one is) and the form of the result.
* It has not. Then a group (a class beside this file) declares it with `core_method`.

`core_methods` puts both together; a registry with `check_results` holds all results to their forms.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from misocoin.rpc.core.renamed import renamed_methods
from misocoin.rpc.core.words import core_error
from misocoin.rpc.declare import Method, methods_of

_RENAMED: Final[tuple[Callable[[Mapping[str, Method]], Iterator[Method]], ...]] = (renamed_methods,)


def core_methods(first: Iterable[Method], groups: Iterable[object]) -> list[Method]:
    """All methods under Core's names: those of `groups`, and those that `first` has already."""
    by_name = {each.name: each for each in first}
    made = [each for make in _RENAMED for each in make(by_name)]
    made += [each for group in groups for each in methods_of(group)]
    return [each if each.translate else replace(each, translate=core_error) for each in made]
