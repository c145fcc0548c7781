"""What plots are drawn from, for DVC."""

from collections.abc import Mapping

import pandas as pd


def learning_points(curve: list[dict[str, float]]) -> pd.DataFrame:
    """
    Lay out the losses of a fit.

    Parameters
    ----------
    curve : list of dict
        For each step ``step``, and each loss by its name.

    Returns
    -------
    DataFrame
        A row per step and loss: ``step``, ``curve``, its name, and ``loss``, its value.
    """
    rows = [
        {"step": point["step"], "curve": name, "loss": value}
        for point in curve
        for name, value in point.items()
        if name != "step"
    ]
    return pd.DataFrame(rows, columns=["step", "curve", "loss"])


def stacked(parts: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Put the tables of all models below each other, with the column ``model``."""
    return pd.concat([part.assign(model=name) for name, part in parts.items()])
