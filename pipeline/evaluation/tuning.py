"""How the settings of models were found."""

from collections.abc import Mapping
from typing import Any

DEFAULTS = "defaults"


def describe_tuning(tuned: Mapping[str, Any]) -> str:
    """
    Describe the search that found the settings of a model.

    Parameters
    ----------
    tuned : mapping
        ``trials`` and ``seconds``, as `pipeline.adopt` writes them, or nothing.

    Returns
    -------
    str
        Such as ``30 trials, 9.8 min``, or ``defaults``.
    """
    if not tuned:
        return DEFAULTS
    trials, seconds = tuned["trials"], tuned["seconds"]
    if seconds < 60:
        time = f"{seconds:.0f} s"
    elif seconds < 3600:
        time = f"{seconds / 60:.1f} min"
    else:
        time = f"{seconds / 3600:.1f} h"
    return f"{trials:,} trial{'s' * (trials != 1)}, {time}"
