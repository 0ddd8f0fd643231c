"""Standard output, which its reader may have closed (`… | head`) or whose disk may be full."""

import errno
import os
import sys
from collections.abc import Callable

_UNWRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


def run_printing(program: str, run: Callable[[], int]) -> int:
    """Run what prints, and write out what it printed; returns the exit code.

    Who has read enough of it is told nothing, that a disk is full is one line on standard error,
    which `program` begins; both are exit code 1.
    """
    try:
        code = run()
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        _let_go()
        return 1
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        _let_go()
        print(f"{program}: the output cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    return code


def _let_go() -> None:
    """Give up standard output, since Python would try again and complain at exit."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)
