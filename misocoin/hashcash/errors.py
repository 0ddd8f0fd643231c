"""Why a stamp does not pay.

MisocoinError
|- StampError        a stamp that is missing or not good here, with its `StampFault`
"""

from enum import Enum

from misocoin.errors import MisocoinError


class StampFault(Enum):
    """What is wrong with a stamp; the value is the word that clients are told."""

    MISSING = "missing"
    """There is none, and one is asked for."""
    MALFORMED = "malformed"
    """It does not have the form of a stamp."""
    WRONG = "wrong"
    """Its digest does not begin with the zero bits that it claims, or is of another message."""
    CHEAP = "cheap"
    """It claims fewer zero bits than are asked for."""
    FOREIGN = "foreign"
    """It was minted for something else: another service, resource or salt."""
    STALE = "stale"
    """It is too old, or from the future."""
    SPENT = "spent"
    """It has been counted before."""


class StampError(MisocoinError):
    """A stamp was asked for, and what came is not one that pays."""

    def __init__(self, fault: StampFault, detail: str = "") -> None:
        super().__init__(fault, detail)
        self.fault = fault
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.fault.value} stamp" + (f": {self.detail}" if self.detail else "")
