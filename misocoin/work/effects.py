"""What the service wants done: the shell does it, and tells the service what came of it.

What the store is to tell are the methods of `shared.StoreSide`.
"""

from typing import NamedTuple

from misocoin.work.answers import Answer
from misocoin.work.requests import RequestId


class Send(NamedTuple):
    """Write an answer to a connection."""

    connection: int
    request: RequestId
    answer: Answer


class Close(NamedTuple):
    """Close a connection when what was sent to it has gone out."""

    connection: int


class Keep(NamedTuple):
    """Write a job to the store, then tell `kept` or `not_kept`."""

    job: str
    client: str
    """Who wants it."""
    takes: bool
    """Whether this server has miners for it at once."""


class Finish(NamedTuple):
    """Write to the store how a job ended."""

    job: str
    nonce: int | None
    """None where it was given up."""
    reason: str
    """The error's code where it was given up."""
    can_wait: bool
    """Whether its clients were told here, so that no other server waits to hear of it."""


class Find(NamedTuple):
    """Look in the store for a job, then tell `found`."""

    job: str
    connection: int
    request: RequestId


class Claim(NamedTuple):
    """Take jobs from the store for this server's miners, then tell `claimed`."""

    most: int
    hashes: float
    """How many hashes may be expected of them together."""


class Extend(NamedTuple):
    """Get more nonces for a job from the store, then tell `extended`."""

    job: str


class Release(NamedTuple):
    """Let other servers have these jobs: nobody searches them here."""

    jobs: tuple[str, ...]


Effect = Send | Close | Keep | Finish | Find | Claim | Extend | Release
"""Everything that the service wants."""
