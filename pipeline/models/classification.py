"""What is asked of a classifier: labels it can be fitted on, classes, and probabilities."""

from typing import Any

import numpy as np
from sklearn.base import RegressorMixin

from pipeline.errors import ModelError
from pipeline.requirements import PROJECT, packages

# Estimators made of these take class names as labels. Other packages may want 0, 1, 2, ...
TAKE_NAMES = {PROJECT, "sklearn", "lightgbm", "numpy", "scipy", "torch"}
# How far a probability may be above 1, and the sum of a row from 1.
TOLERANCE = 1e-5


def check_estimator(estimator: Any) -> None:
    """
    Check that an estimator can be fitted and give probabilities.

    Raises
    ------
    ModelError
        For what is no classifier.
    """
    if isinstance(estimator, RegressorMixin):
        raise ModelError(f"{name_of(estimator)} is a regressor, not a classifier")
    for method in ("fit", "predict_proba"):
        if not hasattr(estimator, method):
            raise ModelError(f"{name_of(estimator)} has no {method}: it is not a classifier")


def labels_for(estimator: Any, y: np.ndarray, classes: list[str]) -> np.ndarray:
    """
    Return labels as an estimator takes them.

    An estimator made of the project's, scikit-learn's and LightGBM's parts alone gets the
    names of the classes. One with parts of another package gets integers: XGBoost, for one,
    takes no names.

    Parameters
    ----------
    estimator : classifier
        To be fitted.
    y : ndarray of str, shape (n_examples,)
        Names of classes.
    classes : list of str
        All of them, sorted.

    Returns
    -------
    ndarray of shape (n_examples,)
        `y` itself, or for each example the place of its class in `classes`.
    """
    return y if packages(estimator) <= TAKE_NAMES else np.searchsorted(classes, y)


def check_classes(estimator: Any, classes: list[str]) -> None:
    """
    Check that the columns of a fitted classifier's probabilities are the data's classes.

    Raises
    ------
    ModelError
        When it has no ``classes_``, or others, or not sorted.
    """
    found = getattr(estimator, "classes_", None)
    if found is None:
        raise ModelError(f"{name_of(estimator)} has no classes_ after fit: which column is which?")
    names = [str(label) for label in found]
    if names == classes or names == [str(number) for number in range(len(classes))]:
        return
    order = ", not in sorted order" if sorted(names) == classes else ""
    raise ModelError(
        f"{name_of(estimator)} has the classes {names}{order}; the data have {classes}"
    )


def check_probabilities(estimator: Any, given: Any, n_examples: int, n_classes: int) -> np.ndarray:
    """
    Check what a classifier's ``predict_proba`` gave.

    Parameters
    ----------
    estimator : classifier
        Named in the error.
    given : array-like
        What it gave.
    n_examples, n_classes : int
        The shape that it shall have.

    Returns
    -------
    ndarray of shape (n_examples, n_classes)
        Finite, from 0 to 1, rows that sum to 1.

    Raises
    ------
    ModelError
        When it is anything else.
    """
    what = f"the probabilities of {name_of(estimator)}"
    try:
        probabilities = np.asarray(given)
    except ValueError:  # rows of several lengths
        raise ModelError(f"{what} are no array") from None
    if probabilities.shape != (n_examples, n_classes):
        raise ModelError(
            f"{what} have the shape {probabilities.shape}, not {(n_examples, n_classes)}: "
            "a row per example, a column per class"
        )
    if probabilities.dtype.kind not in "fiub":
        raise ModelError(f"{what} are of type {probabilities.dtype}, not numbers")
    wrong = ~np.isfinite(probabilities).all(1)
    if wrong.any():
        raise ModelError(f"{what} are not finite for {wrong.sum():,} of {n_examples:,} examples")
    low, high = probabilities.min(initial=0), probabilities.max(initial=0)
    if low < 0 or high > 1 + TOLERANCE:
        worst = low if low < 0 else high
        raise ModelError(f"{what} are not between 0 and 1: one is {worst:.6g}")
    sums = probabilities.sum(1, dtype=float)
    off = np.abs(sums - 1) > TOLERANCE
    if off.any():
        raise ModelError(
            f"{what} do not sum to 1 for {off.sum():,} of {n_examples:,} examples: "
            f"one sum is {sums[off][0]:.6g}"
        )
    return probabilities


def name_of(estimator: Any) -> str:
    """Return the name of an estimator's class."""
    return type(estimator).__name__
