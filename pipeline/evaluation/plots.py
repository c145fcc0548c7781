"""What plots are drawn from, for DVC, and one picture per model, for MLflow."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from pipeline.evaluation.metrics import Answers
from pipeline.problems.classification import Classification

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def learning_points(curve: list[dict[str, float]], loss: str) -> pd.DataFrame:
    """Lay out the losses of a fit, a row per step and split."""
    rows = [
        {"step": point["step"], "split": name.partition("/")[0], loss: value}
        for point in curve
        for name, value in point.items()
        if name != "step"
    ]
    return pd.DataFrame(rows, columns=["step", "split", loss])


def stacked(parts: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Put the tables of all models below each other, with the column ``model``."""
    return pd.concat([part.assign(model=name) for name, part in parts.items()])


def plot_data(
    answers: Mapping[str, Answers],
    curves: Mapping[str, list[dict[str, float]]],
    classes: list[str],
) -> dict[str, pd.DataFrame]:
    """
    Gather what DVC plots, for all models.

    Parameters
    ----------
    answers : mapping of str to Answers
        What each model answered.
    curves : mapping of str to list of dict
        The losses of each model's fit, as far as it told any.
    classes : list of str
        Labels.

    Returns
    -------
    dict of str to DataFrame
        File name to rows with a column ``model``.
    """
    problem = Classification(target={"classes": classes})
    by_model = {name: problem.plot_data(given) for name, given in answers.items()}
    files = next(iter(by_model.values()))
    plotted = {file: stacked({m: of_m[file] for m, of_m in by_model.items()}) for file in files}
    learning = {m: learning_points(curve, problem.loss) for m, curve in curves.items()}
    return plotted | {"learning.csv": stacked(learning)}


def picture(title: str, answers: Answers, classes: list[str]) -> "Figure":
    """Draw the confusion matrix, ROC and calibration of one model."""
    return Classification(target={"classes": classes}).figure(title, answers)
