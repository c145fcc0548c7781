"""Split-conformal prediction: how far predictions may be off, from their errors on validation."""

import math

import numpy as np
import pandas as pd

from pipeline.errors import UserError

# Bands of predictions have radii of their own: at most so many, of so many examples each.
MOST_BANDS, EXAMPLES_PER_BAND = 10, 100


def check_coverage(coverage: float | None) -> None:
    """Raise an error for a share that can be no promise."""
    if coverage is not None and not 0 < coverage < 1:
        raise UserError(f"task.coverage: {coverage} is not between 0 and 1")


def fewest_groups(coverage: float) -> int:
    """Return how many groups a promise needs: of fewer not even the worst error is enough."""
    return math.ceil(coverage / (1 - coverage) - 1e-9)


def conformal_quantile(errors: np.ndarray, group: np.ndarray, coverage: float) -> float | None:
    """
    Return the error that a share of new examples does not exceed (Lei et al., JASA 2018).

    Each group counts as one, however many examples it has; their errors are pooled (Dunn,
    Wasserman and Ramdas, JASA 2023).

    Parameters
    ----------
    errors : ndarray of shape (n,)
        Errors for examples that the model was not fitted on.
    group : ndarray of shape (n,)
        Groups. Examples of different groups are independent.
    coverage : float
        The share, between 0 and 1.

    Returns
    -------
    float or None
        None if there are too few groups.
    """
    _, codes, sizes = np.unique(group, return_inverse=True, return_counts=True)
    if len(sizes) < fewest_groups(coverage):
        return None
    order = np.argsort(errors)
    reached = np.cumsum(1 / sizes[codes[order]])
    # A share of the groups and of the one to come; rounding must not ask for one more.
    wanted = coverage * (len(sizes) + 1) * (1 - 1e-12)
    place = int(np.searchsorted(reached, wanted))
    return float(errors[order[min(place, len(errors) - 1)]])


def conformal_radii(
    errors: np.ndarray, predicted: np.ndarray, group: np.ndarray, coverage: float
) -> tuple[list[float], list[float]]:
    """
    Return how far true numbers may be from predictions, per band of predictions.

    In each band the promise holds by itself (Vovk, Gammerman and Shafer, "Algorithmic Learning in
    a Random World", 2005).

    Parameters
    ----------
    errors, group, coverage
        As for `conformal_quantile`.
    predicted : ndarray of shape (n,)
        Predictions, which are cut into bands at their quantiles.

    Returns
    -------
    edges : list of float
        The bounds between bands, one fewer than there are bands.
    radii : list of float
        The radius of each band. Empty where there are too few groups.
    """
    codes, names = pd.factorize(group)
    fewest = fewest_groups(coverage)
    if len(names) < fewest:
        return [], []
    for bands in range(MOST_BANDS, 1, -1):
        edges = np.unique(np.quantile(predicted, np.linspace(0, 1, bands + 1)[1:-1]))
        band = np.searchsorted(edges, predicted, side="right")
        if np.bincount(band, minlength=len(edges) + 1).min() < EXAMPLES_PER_BAND:
            continue
        groups = pd.DataFrame({"band": band, "group": codes}).drop_duplicates()
        if np.bincount(groups["band"], minlength=len(edges) + 1).min() >= 2 * fewest:
            break
    else:
        edges, band = np.array([]), np.zeros(len(predicted), int)
    radii = [
        conformal_quantile(errors[band == one], codes[band == one], coverage)
        for one in range(len(edges) + 1)
    ]
    return edges.tolist(), [radius for radius in radii if radius is not None]
