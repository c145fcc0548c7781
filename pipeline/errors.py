"""Mistakes of the user's, told in one or two lines instead of a traceback."""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """Something the user can put right; its message says what and how."""


class ModelError(UserError):
    """A model that cannot be trained or compared; the other models of the task can."""


def address(url: str) -> str:
    """Leave out of a URL what may be a user's name and password."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"


def encoding_fault(error: UnicodeDecodeError) -> str:
    """Describe where bytes are not in the encoding that they should be in."""
    line = error.object.count(b"\n", 0, error.start) + 1
    return f"is not {error.encoding}: byte 0x{error.object[error.start]:02x} in line {line}"


def nearest(name: str, known: Iterable[str]) -> str:
    """
    Suggest the right spelling of a name.

    Parameters
    ----------
    name : str
        What the user wrote.
    known : iterable of str
        What would have been right.

    Returns
    -------
    str
        ``"; did you mean 'x'?"`` when a known name is close, otherwise
        ``"; known: a, b, c"``.
    """
    choices = sorted(set(known))
    close = get_close_matches(name, choices, n=1, cutoff=0.6)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; known: {', '.join(choices)}"
