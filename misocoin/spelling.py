"""What somebody may have meant who wrote a name that does not exist."""

from collections.abc import Iterable


def suggestion(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """`; did you mean port?` for the nearest of the known names.

    Where none is near it is `otherwise`, behind a semicolon if there is any.
    """
    # Only an error needs it, and every start of a program would pay for it.
    from difflib import get_close_matches

    close = get_close_matches(name[:100], list(known), 1)
    hint = f"did you mean {close[0]}?" if close else otherwise
    return f"; {hint}" if hint else ""
