"""What the service wants done: the shell does it, and tells the service what came of it."""

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
    """Write a new job to the store, then call `Service.kept`."""

    job: str
    takes: bool
    """Whether this server has miners for it at once."""


class Finish(NamedTuple):
    """Write to the store how a job ended."""

    job: str
    nonce: int | None
    """None where it was given up."""
    reason: str
    """The error's code where it was given up."""


class Find(NamedTuple):
    """Look in the store for a job, then call `Service.found`."""

    job: str
    connection: int
    request: RequestId


class Claim(NamedTuple):
    """Take up to so many jobs from the store for this server's miners; `Service.claimed`."""

    most: int


class Extend(NamedTuple):
    """Get more nonces for a job from the store, then call `Service.extended`."""

    job: str


Effect = Send | Close | Keep | Finish | Find | Claim | Extend
"""Everything that the service wants."""
