"""Define errors that users can fix, and help to word their messages."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

# What would end a line or is no character, such as in the name of a column.
CONTROL = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029]")


class UserError(Exception):
    """An error that the user can fix. Its message, of one line, explains fault and remedy."""

    def __str__(self) -> str:
        return one_line(super().__str__())


class ModelError(UserError):
    """An error of one model. The other models of the task can still be trained and compared."""


def one_line(message: str) -> str:
    """Return a message in one line, with control characters as Python writes them in quotes."""
    return CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), message)


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
