"""What can go wrong for those who use the service.

MisocoinError
|- WorkError        the service gave no answer
|  |- WorkAway         it cannot be reached, or not now
|  |  |- WorkLiar         its answer is no answer: as good as away
|  |- WorkRefused      it refused, or the job failed; `code` says why
|  |- WorkTimeout      the time limit is over
"""

from misocoin.errors import MisocoinError


class WorkError(MisocoinError):
    """No answer came of it."""


class WorkAway(WorkError):  # noqa: N818 - a state of the service
    """The service cannot be reached, or cannot take jobs now."""


class WorkLiar(WorkAway):  # noqa: N818 - as the others
    """The service's answer does not win."""


class WorkRefused(WorkError):  # noqa: N818 - the field's own term
    """The service has refused, or the job has failed."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        """See `answers.ErrorCode`."""
        self.message = message

    def __str__(self) -> str:
        return f"{self.message} ({self.code})"


class WorkTimeout(WorkError):  # noqa: N818 - the field's own term
    """The caller's time limit is over."""
