"""What a web page open in the user's browser cannot do to a daemon on the same machine.

A page can send requests to 127.0.0.1, with any body and without asking, and after rebinding its
own name to 127.0.0.1 it can read the answers. The open methods would answer it. So:

* A request with an Origin that is not this very server is refused. Browsers add the header to
  every such request that can do harm; programs do not send it.
* While only this machine can reach the port, a request must name it by an address or as
  `localhost`. A page under a rebound name would name that.
"""

import re

_LOCAL_HOST = re.compile(r"(localhost|[0-9.]+|\[[0-9a-fA-F:.]+\])(:\d+)?", re.ASCII)


def refusal(host: str | None, origin: str | None, is_local: bool) -> str | None:
    """Why a request is refused, by its Host and Origin headers; None if it is not.

    `is_local` tells whether only this machine can reach the port.
    """
    if origin is not None and (host is None or origin.lower() != f"http://{host.lower()}"):
        return "requests from the pages of other sites are refused"
    if is_local and host is not None and _LOCAL_HOST.fullmatch(host.lower()) is None:
        return "the Host header must name this machine by its address or as localhost"
    return None
