"""Output descriptors (BIP380 to BIP387, BIP389): scripts named by text.

Understood are addr, raw, pk, pkh, wpkh, sh, wsh, multi, sortedmulti, combo, tr, rawtr, and in the
scripts of a tr also multi_a and sortedmulti_a. Miniscript and musig are not.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from itertools import chain
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

from misocoin.crypto.hashes import hash160, sha256
from misocoin.errors import AddressError, ParseError
from misocoin.params import Params
from misocoin.script.address import address_from_script, script_from_address
from misocoin.script.descriptor_keys import DerivedKey, KeyExpression, key_from_text
from misocoin.script.descriptor_text import body_from_text, descriptor_from_script, with_checksum
from misocoin.script.machine import MAX_ELEMENT_SIZE
from misocoin.script.sigops import MAX_KEYS_PER_MULTISIG
from misocoin.script.taproot import MAX_CONTROL_NODES, KeyScript, ScriptTree, TaprootOutput
from misocoin.script.templates import (
    multisig_script,
    p2pk_script,
    p2pkh_script,
    p2sh_script,
    p2tr_script,
    p2wpkh_script,
    p2wsh_script,
    template_from_script,
)

MAX_DESCRIPTOR = 10_000
"""Characters of a descriptor that is read."""

MAX_PATHS = 16
"""Descriptors that one with several paths may stand for."""

MAX_BARE_KEYS = 3
"""Keys of a multisig outside of script hashes."""

MAX_MULTI_A_KEYS = 999
"""Keys of a multi_a: no more elements may lie on the stack."""

MAX_INDEX = 0x7FFFFFFF
"""The last number of a range."""


class DescribedScript(NamedTuple):
    """An output script, and the descriptor that stands for it alone."""

    script: bytes
    body: str
    """The descriptor without its checksum, which takes longer than all the rest."""

    @property
    def text(self) -> str:
        """The descriptor."""
        return with_checksum(self.body)


@dataclass(frozen=True)
class Expansion:
    """What a descriptor stands for at one number of its range."""

    outputs: tuple[DescribedScript, ...]
    """One, or for `combo` two or four."""
    scripts: tuple[bytes, ...] = ()
    """The scripts behind the hashes of P2SH and P2WSH."""
    taproot: TaprootOutput | None = None
    """What a taproot output commits to."""


class _Place(Enum):
    """Where a function may stand."""

    TOP = "at top level"
    SH = "inside sh()"
    WSH = "inside wsh()"
    TR = "inside tr()"


_ANYWHERE = tuple(_Place)
_TOP = (_Place.TOP,)
_TOP_OR_SH = (_Place.TOP, _Place.SH)
_BEFORE_TAPROOT = (_Place.TOP, _Place.SH, _Place.WSH)
_PLACES: Final[Mapping[str, tuple[_Place, ...]]] = MappingProxyType(
    {
        "pk": _ANYWHERE,
        "pkh": _BEFORE_TAPROOT,
        "wpkh": _TOP_OR_SH,
        "multi": _BEFORE_TAPROOT,
        "sortedmulti": _BEFORE_TAPROOT,
        "multi_a": (_Place.TR,),
        "sortedmulti_a": (_Place.TR,),
        "sh": _TOP,
        "wsh": _TOP_OR_SH,
        "combo": _TOP,
        "tr": _TOP,
        "rawtr": _TOP,
        "addr": _TOP,
        "raw": _TOP,
    }
)

_Tree: TypeAlias = "_Expression | tuple[_Tree, _Tree]"


@dataclass(frozen=True)
class _Expression:
    """One function with what is in its brackets."""

    name: str
    keys: tuple[KeyExpression, ...] = ()
    threshold: int = 0
    inner: "_Expression | None" = None
    tree: "_Tree | None" = None
    script: bytes = b""
    """Of `addr` and `raw`."""
    shown: str = ""
    """What stands in the brackets of those two."""

    @property
    def text(self) -> str:
        """As it was written, without secrets."""
        words = [str(self.threshold)] * bool(self.threshold)
        words += [key.text for key in self.keys]
        if self.inner is not None:
            words.append(self.inner.text)
        if self.tree is not None:
            words.append(_tree_text(self.tree, lambda leaf: leaf.text))
        return f"{self.name}({','.join(words) or self.shown})"

    @property
    def all_keys(self) -> tuple[KeyExpression, ...]:
        """Those of it, and of what is in it."""
        below = [self.inner] if self.inner is not None else []
        if self.tree is not None:
            below += _leaves(self.tree)
        return (*self.keys, *chain.from_iterable(each.all_keys for each in below))


@dataclass(frozen=True)
class Descriptor:
    """A descriptor that was read: with a range it stands for scripts without end."""

    expression: _Expression = field(repr=False)
    text: str
    """As it was written, without secrets, and with its checksum."""

    @property
    def is_range(self) -> bool:
        """Whether a key of it stands for a key for each number."""
        return any(key.is_range for key in self.expression.all_keys)

    @property
    def is_solvable(self) -> bool:
        """Whether it tells how to spend what it stands for."""
        return self.expression.name not in ("addr", "raw")

    @property
    def has_private_keys(self) -> bool:
        """Whether a key of it was written as a private one."""
        return any(key.is_private for key in self.expression.all_keys)

    def expand(self, params: Params, index: int = 0) -> Expansion:
        """What it stands for at a number from 0 to MAX_INDEX.

        Raises KeyFormatError where a key cannot be derived without the private one.
        """
        return _expansion(self.expression, params, index)


def descriptors_from_text(
    text: str, params: Params, *, require_checksum: bool = False
) -> tuple[Descriptor, ...]:
    """Read a descriptor: one, or one for each of the paths it has (BIP389).

    Raises ParseError, with Core's words where it has them.
    """
    if len(text) > MAX_DESCRIPTOR:
        raise ParseError(f"a descriptor has {MAX_DESCRIPTOR} characters at most")
    body = body_from_text(text, require_checksum=require_checksum)
    found = [_read(one, _Place.TOP, params) for one in _single_paths(body)]
    return tuple([Descriptor(each, with_checksum(each.text)) for each in found])


# -- reading ------------------------------------------------------------------------------------

_CALL = re.compile(r"([a-z_]+)\((.*)\)", re.ASCII | re.DOTALL)
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+", re.ASCII)
_PATHS = re.compile(r"(?<=/)<([^<>()\[\],/]*)>", re.ASCII)
_KEY = re.compile(r"[^(),{}]+", re.ASCII)


def _single_paths(body: str) -> list[str]:
    """The descriptors of which each has one of the paths `/<0;1>/`."""
    counts = set()
    for key in _KEY.findall(body):
        groups = list(_PATHS.finditer(key))
        for group in groups:
            if "]" in key[group.end() :]:
                raise ParseError(
                    f"Key path value '{group[0]}' specifies multipath in a section where multipath "
                    "is not allowed"
                )
        if len(groups) > 1:
            raise ParseError("Multiple multipath key path specifiers found")
        for group in groups:
            numbers = group[1].split(";")
            if len(numbers) < 2:
                raise ParseError("Multipath key path specifiers must have at least two items")
            if len(numbers) > MAX_PATHS:
                raise ParseError(f"a descriptor has {MAX_PATHS} paths at most")
            for number in numbers:
                if numbers.count(number) > 1:
                    raise ParseError(f"Duplicated key path value {number} in multipath specifier")
            counts.add(len(numbers))
    if not counts:
        return [body]
    if len(counts) > 1:
        raise ParseError("Multipath subdescriptors have mismatched lengths")

    def with_path(number: int) -> str:
        return _PATHS.sub(lambda group: group[1].split(";")[number], body)

    return [with_path(number) for number in range(counts.pop())]


_SHOWN: Mapping[str, str] = MappingProxyType(
    {
        "tr": "tr",
        "rawtr": "rawtr",
        "multi_a": "multi_a/sortedmulti_a",
        "sortedmulti_a": "multi_a/sortedmulti_a",
    }
)
"""What Core calls an expression that stands in a wrong place, where not by its name and `()`."""


def _call(text: str) -> tuple[str, str]:
    match = _CALL.fullmatch(text)
    if match is None or match[1] not in _PLACES:
        shown = text if match is None else match[1]
        raise ParseError(f"'{shown[:80]}' is not a valid descriptor function")
    return match[1], match[2]


def _read(text: str, place: _Place, params: Params) -> _Expression:
    name, inner = _call(text)
    places = _PLACES[name]
    if place not in places:
        allowed = " or ".join([each.value for each in places])
        raise ParseError(f"Can only have {_SHOWN.get(name, f'{name}()')} {allowed}")
    if name in _READERS:
        return _READERS[name](name, inner, place, params)
    keys = (_key(name, inner, place, params),)
    return _Expression(name, keys)


def _key(name: str, text: str, place: _Place, params: Params) -> KeyExpression:
    in_taproot = place is _Place.TR or name in ("tr", "rawtr")
    before_segwit = place in _TOP_OR_SH and name != "wpkh" and not in_taproot
    try:
        return key_from_text(text, params, allow_uncompressed=before_segwit, allow_xonly=in_taproot)
    except ParseError as error:
        where = "Multi" if "multi" in name else f"{name}()"
        raise ParseError(f"{where}: {error}") from None


def _read_multi(name: str, inner: str, place: _Place, params: Params) -> _Expression:
    count, *texts = inner.split(",")
    if not re.fullmatch(r"\d{1,9}", count, re.ASCII):
        raise ParseError(f"Multi threshold '{count}' is not valid")
    keys = tuple([_key(name, each, place, params) for each in texts])
    most = MAX_MULTI_A_KEYS if place is _Place.TR else MAX_KEYS_PER_MULTISIG
    if not 1 <= len(keys) <= most:
        raise ParseError(
            f"Cannot have {len(keys)} keys in {name}; must have between 1 and {most} keys, "
            "inclusive"
        )
    threshold = int(count)
    if threshold < 1:
        raise ParseError("Multisig threshold cannot be 0, must be at least 1")
    if threshold > len(keys):
        raise ParseError(
            "Multisig threshold cannot be larger than the number of keys; threshold is "
            f"{threshold} but only {len(keys)} keys specified"
        )
    if place is _Place.TOP and len(keys) > MAX_BARE_KEYS:
        raise ParseError(
            f"Cannot have {len(keys)} pubkeys in bare multisig; only at most {MAX_BARE_KEYS} "
            "pubkeys"
        )
    size = sum([34 if key.is_compressed else 66 for key in keys]) + 3
    if place is _Place.SH and size > MAX_ELEMENT_SIZE:
        raise ParseError(
            f"P2SH script is too large, {size} bytes is larger than {MAX_ELEMENT_SIZE} bytes"
        )
    return _Expression(name, keys, threshold)


def _read_sh(name: str, inner: str, _place: _Place, params: Params) -> _Expression:
    return _Expression(name, inner=_read(inner, _Place.SH, params))


def _read_wsh(name: str, inner: str, _place: _Place, params: Params) -> _Expression:
    return _Expression(name, inner=_read(inner, _Place.WSH, params))


def _read_tr(name: str, inner: str, place: _Place, params: Params) -> _Expression:
    text, comma, tree = inner.partition(",")
    keys = (_key(name, text, place, params),)
    return _Expression(name, keys, tree=_read_tree(tree, params) if comma else None)


def _read_tree(text: str, params: Params, depth: int = 0) -> _Tree:
    if depth > MAX_CONTROL_NODES:
        raise ParseError(f"tr() supports at most {MAX_CONTROL_NODES} nesting levels")
    if not text.startswith("{"):
        return _read(text, _Place.TR, params)
    if not text.endswith("}"):
        raise ParseError("tr(): expected '}' after script expression")
    nesting = 0
    for at, character in enumerate(text[1:-1], 1):
        nesting += (character in "({") - (character in ")}")
        if character == "," and not nesting:
            left, right = text[1:at], text[at + 1 : -1]
            return (_read_tree(left, params, depth + 1), _read_tree(right, params, depth + 1))
    raise ParseError("tr(): expected ',' after script expression")


def _read_addr(name: str, inner: str, _place: _Place, params: Params) -> _Expression:
    try:
        script = script_from_address(inner, params)
    except AddressError:
        raise ParseError("Address is not valid") from None
    shown = address_from_script(script, params) or inner
    return _Expression(name, script=script, shown=shown)


def _read_raw(name: str, inner: str, _place: _Place, _params: Params) -> _Expression:
    if not _HEX.fullmatch(inner):
        raise ParseError("Raw script is not hex")
    return _Expression(name, script=bytes.fromhex(inner), shown=inner.lower())


_READERS: Final[Mapping[str, Callable[[str, str, _Place, Params], _Expression]]] = MappingProxyType(
    {
        "multi": _read_multi,
        "sortedmulti": _read_multi,
        "multi_a": _read_multi,
        "sortedmulti_a": _read_multi,
        "sh": _read_sh,
        "wsh": _read_wsh,
        "tr": _read_tr,
        "addr": _read_addr,
        "raw": _read_raw,
    }
)


# -- expanding ----------------------------------------------------------------------------------


def _expansion(expression: _Expression, params: Params, index: int) -> Expansion:
    name = expression.name
    if name in ("addr", "raw"):
        script = expression.script
        text, _ = descriptor_from_script(script, template_from_script(script), params)
        return Expansion((DescribedScript(script, text.partition("#")[0]),))
    if name == "combo":
        return _combo(expression.keys[0].at(index))
    if name == "tr":
        return _taproot(expression, index)
    if name == "rawtr":
        key = expression.keys[0].at(index)
        return _single(p2tr_script(key.xonly), f"rawtr({key.xonly_text})")
    script, text, behind = _script(expression, index)
    return _single(script, text, behind)


def _single(
    script: bytes,
    text: str,
    behind: tuple[bytes, ...] = (),
    taproot: TaprootOutput | None = None,
) -> Expansion:
    return Expansion((DescribedScript(script, text),), behind, taproot)


def _script(expression: _Expression, index: int) -> tuple[bytes, str, tuple[bytes, ...]]:
    """The script, its text, and the scripts behind its hashes."""
    name = expression.name
    if expression.inner is not None:
        script, text, behind = _script(expression.inner, index)
        output = p2sh_script(hash160(script)) if name == "sh" else p2wsh_script(sha256(script))
        return output, f"{name}({text})", (*behind, script)
    keys = [key.at(index) for key in expression.keys]
    if expression.threshold:
        if name == "sortedmulti":
            keys.sort(key=lambda key: key.public_key)
        script = multisig_script(expression.threshold, tuple([key.public_key for key in keys]))
        texts = ",".join([key.text for key in keys])
        return script, f"multi({expression.threshold},{texts})", ()
    (key,) = keys
    make = {"pk": _pk, "pkh": _pkh, "wpkh": _wpkh}[name]
    return make(key), f"{name}({key.text})", ()


def _pk(key: DerivedKey) -> bytes:
    return p2pk_script(key.public_key)


def _pkh(key: DerivedKey) -> bytes:
    return p2pkh_script(hash160(key.public_key))


def _wpkh(key: DerivedKey) -> bytes:
    return p2wpkh_script(hash160(key.public_key))


def _combo(key: DerivedKey) -> Expansion:
    forms = [(_pk(key), f"pk({key.text})"), (_pkh(key), f"pkh({key.text})")]
    behind: tuple[bytes, ...] = ()
    if len(key.public_key) == 33:
        program = _wpkh(key)
        behind = (program,)
        forms.append((program, f"wpkh({key.text})"))
        forms.append((p2sh_script(hash160(program)), f"sh(wpkh({key.text}))"))
    return Expansion(tuple([DescribedScript(*form) for form in forms]), behind)


def _taproot(expression: _Expression, index: int) -> Expansion:
    key = expression.keys[0].at(index)
    words = [key.xonly_text]
    tree: ScriptTree | None = None
    if expression.tree is not None:
        tree = _script_tree(expression.tree, index)
        words.append(_tree_text(expression.tree, lambda leaf: _tapscript(leaf, index)[1]))
    output = TaprootOutput(key.xonly, tree)
    script = p2tr_script(output.output_key)
    return _single(script, f"tr({','.join(words)})", taproot=output)


def _script_tree(tree: _Tree, index: int) -> ScriptTree:
    if isinstance(tree, tuple):
        return _script_tree(tree[0], index), _script_tree(tree[1], index)
    return _tapscript(tree, index)[0]


def _tapscript(expression: _Expression, index: int) -> tuple[bytes, str]:
    """A script of a tr, and its text."""
    keys = [key.at(index) for key in expression.keys]
    if expression.name == "pk":
        (key,) = keys
        return KeyScript((key.xonly,)).serialize(), f"pk({key.xonly_text})"
    if expression.name == "sortedmulti_a":
        keys.sort(key=lambda key: key.xonly)
    script = KeyScript(tuple([key.xonly for key in keys]), expression.threshold).serialize()
    texts = ",".join([key.xonly_text for key in keys])
    return script, f"multi_a({expression.threshold},{texts})"


def _tree_text(tree: _Tree, text_of: Callable[[_Expression], str]) -> str:
    if isinstance(tree, tuple):
        return f"{{{_tree_text(tree[0], text_of)},{_tree_text(tree[1], text_of)}}}"
    return text_of(tree)


def _leaves(tree: _Tree) -> list[_Expression]:
    if isinstance(tree, tuple):
        return [*_leaves(tree[0]), *_leaves(tree[1])]
    return [tree]
