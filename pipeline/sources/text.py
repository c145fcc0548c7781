"""What every source of texts needs."""


def decoding_problem(error: UnicodeDecodeError) -> str:
    """Describe where bytes are not in the encoding they should be in."""
    line = error.object.count(b"\n", 0, error.start) + 1
    return f"is not {error.encoding}: byte 0x{error.object[error.start]:02x} in line {line}"
