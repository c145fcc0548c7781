"""The data of the plots that DVC draws."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

# Each has a template in .dvc/plots/, and a folder of its own, which dvc.yaml names.
FORMS = ("matrix", "line", "points")


def plot_table(plot: Mapping[str, Any]) -> pd.DataFrame:
    """
    Return the rows of a plot with the columns that the template of its form reads.

    Parameters
    ----------
    plot : mapping
        One of `Problem.PLOTS`, with ``rows``.

    Returns
    -------
    DataFrame
        Columns ``model``, ``x``, ``y``, ``value`` of a matrix, ``series`` of others,
        ``diagonal``, and ``about``: what the plot shows, and the names of its axes.
    """
    names = {plot[axis]: axis for axis in ("x", "y", "value", "series") if axis in plot}
    shown = {
        "series": "all",
        "about": f"{plot['title']}: {plot['y']} (up) by {plot['x']} (right)".replace("_", " "),
        "diagonal": plot.get("diagonal", False),
    }
    table = pd.DataFrame(plot["rows"]).rename(columns=names)
    return table.assign(**{name: value for name, value in shown.items() if name not in table})


def learning_points(curve: list[dict[str, float]]) -> pd.DataFrame:
    """
    Lay out the losses of a fit as rows.

    Parameters
    ----------
    curve : list of dict
        One item per step: ``step``, and each loss under its name.

    Returns
    -------
    DataFrame
        One row per step and loss: ``step``, ``curve`` (the name of the loss), and ``loss``
        (its value).
    """
    rows = [
        {"step": point["step"], "curve": name, "loss": value}
        for point in curve
        for name, value in point.items()
        if name != "step"
    ]
    return pd.DataFrame(rows, columns=["step", "curve", "loss"])


def stack_models(parts: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Concatenate the tables of all models, with their names in the column ``model``."""
    return pd.concat([part.assign(model=name) for name, part in parts.items()])
