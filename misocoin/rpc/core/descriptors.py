"""Core's methods on output descriptors, and how they and others read one."""

from collections.abc import Iterator
from typing import Annotated

from misocoin.errors import KeyFormatError, ParseError
from misocoin.http.errors import RpcError
from misocoin.params import Params
from misocoin.rpc.declare import Access, Category, core_method
from misocoin.rpc.errors import RpcCode
from misocoin.rpc.json import Json
from misocoin.rpc.params import ANY, STRING, invalid
from misocoin.rpc.schema import array, boolean, either, obj, optional, text
from misocoin.script.address import address_from_script
from misocoin.script.descriptor import MAX_INDEX, Descriptor, Expansion, descriptors_from_text
from misocoin.script.descriptor_text import body_from_text, descriptor_checksum
from misocoin.script.templates import ScriptKind, template_from_script

MAX_RANGE = 1_000_000
"""Numbers of a range, at most."""

_ADDRESSES = array("one for each script it stands for", text("an address"))


class CoreDescriptors:
    """Descriptors, looked at alone."""

    def __init__(self, params: Params) -> None:
        self._params = params

    @core_method(
        Category.UTIL,
        result=obj(
            "",
            descriptor=text("without private keys and with its checksum; the first of several"),
            multipath_expansion=optional(array("all of several", text("a descriptor"))),
            checksum=text("of the text that was given"),
            isrange=boolean("whether it stands for a range of scripts"),
            issolvable=boolean("whether it tells how to spend what it stands for"),
            hasprivatekeys=boolean("whether a key in it is a private one"),
        ),
        examples=("'wpkh([d34db33f/84h/0h/0h]tpub…/0/*)'",),
        errors=(RpcCode.INVALID_ADDRESS_OR_KEY,),
    )
    def getdescriptorinfo(self, descriptor: Annotated[str, STRING, "the descriptor"]) -> Json:
        """Check a descriptor, and tell its checksum."""
        found = descriptors_of(descriptor, self._params)
        first = found[0]
        several = [each.text for each in found] if len(found) > 1 else None
        return {
            "descriptor": first.text,
            **({"multipath_expansion": several} if several else {}),
            "checksum": descriptor_checksum(body_from_text(descriptor)),
            "isrange": first.is_range,
            "issolvable": first.is_solvable,
            "hasprivatekeys": first.has_private_keys,
        }

    # A long range is much work, and nothing that strangers need of a node.
    @core_method(
        Category.UTIL,
        access=Access.AUTH,
        result=either(
            "by whether the descriptor has several paths",
            _ADDRESSES,
            array("for each path", _ADDRESSES),
        ),
        examples=("'wpkh([d34db33f/84h/0h/0h]tpub…/0/*)#…' '[0,2]'",),
        errors=(RpcCode.INVALID_ADDRESS_OR_KEY, RpcCode.INVALID_PARAMETER),
    )
    def deriveaddresses(
        self,
        descriptor: Annotated[str, STRING, "the descriptor, with its checksum"],
        range: Annotated[  # noqa: A002 - Core's name
            Json, ANY, "for one with a range: its end, or [begin, end], both included"
        ] = None,
    ) -> Json:
        """Tell the addresses that a descriptor stands for."""
        begin, end = (0, 0) if range is None else range_from_json(range)
        found = descriptors_of(descriptor, self._params, require_checksum=True)
        if range is not None and not found[0].is_range:
            raise invalid("Range should not be specified for an un-ranged descriptor")
        if range is None and found[0].is_range:
            raise invalid("Range must be specified for a ranged descriptor")
        listed = [list(self._addresses(each, begin, end)) for each in found]
        return listed[0] if len(listed) == 1 else listed

    def _addresses(self, descriptor: Descriptor, begin: int, end: int) -> Iterator[str]:
        for expansion in expansions_of(descriptor, self._params, begin, end):
            outputs = expansion.outputs
            for script, _ in outputs:
                address = address_from_script(script, self._params)
                if address is not None:
                    yield address
                # The bare key of a combo has none, and the others do.
                elif len(outputs) == 1 or template_from_script(script).kind is not ScriptKind.P2PK:
                    raise RpcError(
                        RpcCode.INVALID_ADDRESS_OR_KEY,
                        "Descriptor does not have a corresponding address",
                    )


def descriptors_of(
    text: str, params: Params, *, require_checksum: bool = False, what: str = ""
) -> tuple[Descriptor, ...]:
    """Read a descriptor; raises Core's error, with `what` before it."""
    try:
        return descriptors_from_text(text, params, require_checksum=require_checksum)
    except ParseError as error:
        raise RpcError(RpcCode.INVALID_ADDRESS_OR_KEY, f"{what}{error}") from None


def expansions_of(
    descriptor: Descriptor, params: Params, begin: int = 0, end: int = 0
) -> Iterator[Expansion]:
    """What it stands for from one number to another; raises Core's error."""
    try:
        for index in range(begin, end + 1):
            yield descriptor.expand(params, index)
    except KeyFormatError as error:
        raise RpcError(RpcCode.INVALID_ADDRESS_OR_KEY, str(error)) from None


def expansion_of(text: str, params: Params, *, what: str = "") -> Expansion:
    """What a descriptor without a range or several paths stands for; raises Core's error."""
    found = descriptors_of(text, params, what=what)
    if len(found) > 1:
        raise invalid("Multipath descriptor not accepted")
    if found[0].is_range:
        raise invalid("Ranged descriptor not accepted. Maybe pass through deriveaddresses first?")
    (expansion,) = expansions_of(found[0], params)
    return expansion


def range_from_json(value: Json) -> tuple[int, int]:
    """Read a range, its end or both ends; raises Core's error."""
    if _is_integer(value):
        begin, end = 0, value
    elif isinstance(value, list) and len(value) == 2 and all(map(_is_integer, value)):
        begin, end = value
        if begin > end:
            raise invalid("Range specified as [begin,end] must not have begin after end")
    else:
        raise invalid("Range must be specified as end or as [begin,end]")
    if begin < 0:
        raise invalid("Range should be greater or equal than 0")
    if not 0 <= end <= MAX_INDEX:
        raise invalid("End of range is too high")
    if end >= begin + MAX_RANGE:
        raise invalid("Range is too large")
    return begin, end


def _is_integer(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
