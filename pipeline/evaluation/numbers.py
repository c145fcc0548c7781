"""Scores and differences as people read them."""

from math import floor, isfinite, log10
from typing import Any

DECIMALS = 3
# Numbers of this size or more have fewer decimals, and smaller ones than LEAST more.
MANY, LEAST = 100, 0.0005


def format_numbers(*values: float) -> list[str]:
    """
    Format numbers that belong together, such as a score and the ends of its interval.

    They have three decimals, or fewer so that the greatest has five digits. If all would be
    rounded to 0, the greatest has three digits. An undefined number is a dash.
    """
    greatest = max((abs(value) for value in values if isfinite(value)), default=0.0)
    decimals = DECIMALS
    if greatest >= MANY:
        decimals = max(0, 4 - floor(log10(greatest)))
    elif 0 < greatest < LEAST:
        decimals = 2 - floor(log10(greatest))
    # Adding 0 turns -0.0 into 0.0.
    return [
        f"{round(float(value), decimals) + 0.0:,.{decimals}f}" if isfinite(value) else "–"
        for value in values
    ]


def format_interval(value: float, low: Any, high: Any) -> str:
    """Format a number with the ends of its interval; without them it is too few to tell."""
    if any(end is None or not isfinite(end) for end in (low, high)):
        return f"{format_numbers(value)[0]} [too few to tell]"
    number, *ends = format_numbers(value, low, high)
    return f"{number} [{', '.join(ends)}]"
