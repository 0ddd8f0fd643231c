"""Logging in to the node's pages."""

from collections.abc import Callable
from typing import Protocol

from misocoin.http.errors import RpcError
from misocoin.rpc.declare import Access, Category, method
from misocoin.rpc.errors import RpcCode
from misocoin.rpc.json import Json
from misocoin.rpc.schema import number, obj, text


class CodePort(Protocol):
    """Knows codes to log in with."""

    @property
    def code_seconds(self) -> int:
        """How long a code holds."""

    def new_code(self) -> str:
        """Make one that lets one browser in, once."""


class LoginMethods:
    """Lets a browser in."""

    def __init__(self, codes: CodePort | None, address: Callable[[], tuple[str, int]]) -> None:
        """`codes` is None where there are no pages; `address` is where the node listens."""
        self._codes = codes
        self._address = address

    @method(
        Category.CONTROL,
        access=Access.AUTH,
        result=obj(
            "",
            code=text("to be typed into the page; it lets one browser in, once"),
            url=text("the page to open"),
            seconds=number("how long the code holds"),
        ),
        errors=(RpcCode.MISC_ERROR,),
    )
    def login_code(self) -> Json:
        """Make a code that logs a browser in to the node's pages: wallet and machine room."""
        if self._codes is None:
            raise RpcError(RpcCode.MISC_ERROR, "this node shows no pages (-web=0)")
        host, port = self._address()
        if host in ("0.0.0.0", "::"):  # noqa: S104 - listened on everywhere: here, too
            host = "localhost"
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        return {
            "code": self._codes.new_code(),
            "url": f"http://{place}/login",
            "seconds": self._codes.code_seconds,
        }
