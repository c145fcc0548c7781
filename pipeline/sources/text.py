"""Text as every text source gives it."""

import re

_QUOTES = str.maketrans(
    {
        "‘": "'",
        "’": "'",
        "‚": "'",
        "‛": "'",
        "“": '"',
        "”": '"',
        "„": '"',
        "«": '"',
        "»": '"',
    }
)


def normalise(text: str, keep_layout: bool) -> str:
    r"""
    Make quotes straight and line ends ``\n``; collapse white space unless layout counts.

    Parameters
    ----------
    text : str
        Decoded text.
    keep_layout : bool
        Whether line breaks, indents and blank lines stay.

    Returns
    -------
    str
        Without white space at its ends.
    """
    text = text.translate(_QUOTES).replace("\r\n", "\n").replace("\r", "\n")
    return text.strip() if keep_layout else " ".join(re.split(r"\s+", text.strip()))


def decoding_problem(error: UnicodeDecodeError) -> str:
    """Say where bytes are not in the encoding they should be in."""
    line = error.object.count(b"\n", 0, error.start) + 1
    return f"is not {error.encoding}: byte 0x{error.object[error.start]:02x} in line {line}"
