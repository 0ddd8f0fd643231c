"""Core's methods on output descriptors."""

from typing import Annotated

from misocoin.errors import ParseError
from misocoin.http.errors import RpcError
from misocoin.params import Params
from misocoin.rpc.declare import Category, core_method
from misocoin.rpc.errors import RpcCode
from misocoin.rpc.json import Json
from misocoin.rpc.params import ANY, STRING, invalid
from misocoin.rpc.schema import array, boolean, obj, text
from misocoin.script.address import address_from_script
from misocoin.script.descriptor import Descriptor, descriptor_from_text


class CoreDescriptors:
    """Descriptors, looked at alone."""

    def __init__(self, params: Params) -> None:
        self._params = params

    @core_method(
        Category.UTIL,
        result=obj(
            "",
            descriptor=text("the descriptor with its checksum"),
            checksum=text("of the text that was given"),
            isrange=boolean("whether it stands for a range of scripts: none here does"),
            issolvable=boolean("whether it tells how to spend what it stands for"),
            hasprivatekeys=boolean("whether a key in it is a private one"),
        ),
    )
    def getdescriptorinfo(self, descriptor: Annotated[str, STRING, "the descriptor"]) -> Json:
        """Check a descriptor, and tell its checksum."""
        found = self._read(descriptor)
        return {
            "descriptor": found.text,
            "checksum": found.text.rpartition("#")[2],
            "isrange": False,
            "issolvable": not found.text.startswith(("addr(", "raw(")),
            "hasprivatekeys": found.has_private_keys,
        }

    @core_method(
        Category.UTIL, result=array("one for each script it stands for", text("an address"))
    )
    def deriveaddresses(
        self,
        descriptor: Annotated[str, STRING, "the descriptor, with its checksum"],
        range: Annotated[Json, ANY, "not for these descriptors"] = None,  # noqa: A002 - Core's name
    ) -> Json:
        """Tell the addresses that a descriptor stands for."""
        if range is not None:
            raise invalid("Range should not be specified for an un-ranged descriptor")
        found = self._read(descriptor, require_checksum=True)
        addresses = [address_from_script(script, self._params) for script in found.scripts]
        known = [address for address in addresses if address is not None]
        if not known:
            raise RpcError(
                RpcCode.INVALID_ADDRESS_OR_KEY, "Descriptor does not have a corresponding address"
            )
        return known

    def _read(self, descriptor: str, *, require_checksum: bool = False) -> Descriptor:
        try:
            return descriptor_from_text(descriptor, self._params, require_checksum=require_checksum)
        except ParseError as error:
            raise RpcError(RpcCode.INVALID_ADDRESS_OR_KEY, str(error)) from None
