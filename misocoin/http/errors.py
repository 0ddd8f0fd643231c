"""What can go wrong between two programs that speak HTTP.

MisocoinError
|- HttpError         no usable answer came
|  |- HttpTimeout      it took too long
|  |- HttpTooLarge     it was longer than allowed
|- RpcError          an answer came, and it is an error of JSON-RPC
|- ListenError       the port cannot be listened on
|- Overloaded        as much is going on here as may
"""

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


class Overloaded(MisocoinError):  # noqa: N818 - the field's own term
    """As many requests are waiting as may wait; the client should come again."""
