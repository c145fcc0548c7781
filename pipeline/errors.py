"""Define errors that users can fix, and help to word their messages."""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """An error that the user can fix. Its message explains the fault and the remedy."""


class ModelError(UserError):
    """An error of one model. The other models of the task can still be trained and compared."""


def address(url: str) -> str:
    """Return a URL without user name and password."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"


def encoding_fault(error: UnicodeDecodeError) -> str:
    """Describe where bytes are not in the encoding that they should be in."""
    line = error.object.count(b"\n", 0, error.start) + 1
    return f"is not {error.encoding}: byte 0x{error.object[error.start]:02x} in line {line}"


def nearest(name: str, known: Iterable[str]) -> str:
    """
    Return a suggestion for a name that is not known.

    Parameters
    ----------
    name : str
        The name that the user wrote.
    known : iterable of str
        The names that exist.

    Returns
    -------
    str
        ``"; did you mean 'x'?"`` if a known name is similar, otherwise
        ``"; known: a, b, c"``.
    """
    choices = sorted(set(known))
    close = get_close_matches(name, choices, n=1, cutoff=0.6)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; known: {', '.join(choices)}"
