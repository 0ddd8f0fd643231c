"""What can go wrong between two programs that speak HTTP.

MisocoinError
|- HttpError         no usable answer came
|  |- HttpTimeout      it took too long
|  |- HttpTooLarge     it was longer than allowed
|- RpcError          an answer came, and it is an error of JSON-RPC
|- ListenError       the port cannot be listened on
|- Overloaded        as much is going on here as may
"""

import errno
import os
import socket
from collections.abc import Mapping
from types import MappingProxyType

from misocoin.errors import MisocoinError


class HttpError(MisocoinError):
    """No usable answer: no connection, a broken one, or one that is not HTTP."""


class HttpTimeout(HttpError):  # noqa: N818 - the field's own term
    """The answer was not whole when its time was up."""


class HttpTooLarge(HttpError):  # noqa: N818 - the field's own term
    """The answer is longer than the caller allows."""


class HttpRefused(HttpError):  # noqa: N818 - as the others
    """The answer is not what was asked for, but a status and a remark."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(status, text)
        self.status = status
        self.text = text

    def __str__(self) -> str:
        return f"HTTP status {self.status}: {self.text}" if self.text else f"HTTP {self.status}"


class RpcError(MisocoinError):
    """An error of JSON-RPC, on either side of the wire."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)
        self.code = int(code)
        """One of the codes of JSON-RPC 2.0 or of Bitcoin Core (`misocoin.rpc.errors`)."""
        self.message = message

    def __str__(self) -> str:
        return f"{self.message} (code {self.code})"


class ListenError(MisocoinError):
    """The address cannot be listened on."""


def listen_error(host: str, port: int, error: OSError) -> ListenError:
    """What to tell of an address that the system does not give."""
    if isinstance(error, socket.gaierror):
        why = "there is no host of that name"
    else:
        # asyncio puts a sentence of its own into `strerror`, which names the address again.
        why = _WHY_NOT.get(error.errno or 0) or os.strerror(error.errno or 0)
    place = f"[{host}]" if ":" in host else host
    return ListenError(f"cannot listen on {place}:{port}: {why}")


_WHY_NOT: Mapping[int, str] = MappingProxyType(
    {
        errno.EADDRINUSE: "the port is in use by another program; choose another",
        errno.EADDRNOTAVAIL: "this machine has no such address",
        errno.EACCES: "no permission for that port",
    }
)


class Overloaded(MisocoinError):  # noqa: N818 - the field's own term
    """As many requests are waiting as may wait; the client should come again."""
