"""The data of the plots that DVC draws."""

from collections.abc import Mapping

import pandas as pd


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
