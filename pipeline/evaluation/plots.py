"""What plots are drawn from, for DVC, and one picture a model, for MLflow."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.calibration import calibration_curve
from sklearn.metrics import ConfusionMatrixDisplay, roc_curve

from pipeline.evaluation.metrics import Answers, confusion

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXAMPLES_A_BIN = 20
MOST_BINS = 10
# On curves with more, points nearer to each other than a pixel or so are left out.
MOST_POINTS = 400


def one_against_rest(answers: Answers) -> list[int]:
    """List the classes worth a curve of their own: of two, the positive one says it all."""
    n_classes = answers.probabilities.shape[1]
    return [answers.positive] if n_classes == 2 else list(range(n_classes))


def confusion_points(answers: Answers, classes: list[str]) -> pd.DataFrame:
    """Count the examples of each actual and predicted class, as far as there are any."""
    names = np.array(classes)
    pairs = pd.DataFrame({"actual": names[answers.actual], "predicted": names[answers.predicted]})
    return pairs.value_counts(sort=False).reset_index(name="examples")


def roc_points(answers: Answers, classes: list[str]) -> pd.DataFrame:
    """Trace the ROC curve of each class against the rest, by `MOST_POINTS` points at most."""
    parts = []
    for code in one_against_rest(answers):
        false, true, _ = roc_curve(answers.actual == code, answers.probabilities[:, code])
        if len(false) > MOST_POINTS:
            # Both rates only rise: their sum goes from 0 to 2 along the curve.
            evenly = np.linspace(0, 2, MOST_POINTS)
            kept = np.unique(np.searchsorted(false + true, evenly))
            false, true = false[kept], true[kept]
        points = {
            "class": classes[code],
            "false_positive_rate": false,
            "true_positive_rate": true,
        }
        parts.append(pd.DataFrame(points))
    return pd.concat(parts)


def calibration_points(answers: Answers, classes: list[str]) -> pd.DataFrame:
    """Compare the probability given to each class with how often it came true, in quantile bins."""
    bins = min(MOST_BINS, max(2, len(answers.actual) // EXAMPLES_A_BIN))
    parts = []
    for code in one_against_rest(answers):
        observed, predicted = calibration_curve(
            answers.actual == code,
            answers.probabilities[:, code].clip(0, 1),
            n_bins=bins,
            strategy="quantile",
        )
        points = {"class": classes[code], "predicted": predicted, "observed": observed}
        parts.append(pd.DataFrame(points))
    return pd.concat(parts)


def learning_points(curve: list[dict[str, float]]) -> pd.DataFrame:
    """Lay out the losses of a fit, a row a step and split."""
    rows = [
        {"step": point["step"], "split": name.partition("/")[0], "log_loss": loss}
        for point in curve
        for name, loss in point.items()
        if name != "step"
    ]
    return pd.DataFrame(rows, columns=["step", "split", "log_loss"])


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

    def stacked(parts: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
        return pd.concat([part.assign(model=name) for name, part in parts.items()])

    return {
        "confusion.csv": stacked({m: confusion_points(a, classes) for m, a in answers.items()}),
        "roc.csv": stacked({m: roc_points(a, classes) for m, a in answers.items()}),
        "calibration.csv": stacked({m: calibration_points(a, classes) for m, a in answers.items()}),
        "learning.csv": stacked({m: learning_points(curve) for m, curve in curves.items()}),
    }


def picture(title: str, answers: Answers, classes: list[str]) -> "Figure":
    """
    Draw the confusion matrix, ROC and calibration of one model.

    Parameters
    ----------
    title : str
        Which model, on what.
    answers : Answers
        What it answered.
    classes : list of str
        Labels.

    Returns
    -------
    Figure
        Three panels side by side.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4), layout="constrained")
    figure.suptitle(title)
    left, middle, right = figure.subplots(1, 3)
    counts = confusion(answers, np.ones((1, len(answers.actual))))[0].astype(int)
    ConfusionMatrixDisplay(counts, display_labels=classes).plot(
        ax=left, colorbar=False, cmap="Blues"
    )
    left.set_title("confusion")
    for name, part in roc_points(answers, classes).groupby("class"):
        middle.plot(part["false_positive_rate"], part["true_positive_rate"], label=name)
    middle.set(title="ROC", xlabel="false positive rate", ylabel="true positive rate")
    for name, part in calibration_points(answers, classes).groupby("class"):
        right.plot(part["predicted"], part["observed"], marker="o", label=name)
    right.set(title="calibration", xlabel="predicted probability", ylabel="observed share")
    for panel in (middle, right):
        panel.plot([0, 1], [0, 1], color="grey", linestyle=":")
        panel.legend()
    return figure
