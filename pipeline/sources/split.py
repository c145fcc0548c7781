"""Held-out examples: stratified by label with groups kept whole, or the latest."""

from itertools import count

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from pipeline.errors import UserError

SPLITS = ("train", "validation", "test")


def split(
    examples: pd.DataFrame,
    test: float,
    validation: float,
    seed: int,
    given: pd.DataFrame | None = None,
) -> dict[str, pd.DataFrame]:
    """
    Split examples into train, validation and test.

    Parameters
    ----------
    examples : DataFrame
        With columns ``label`` and ``group``; with a column ``time``, the latest
        are held out.
    test : float
        Share of the examples, above 0 and at most 0.5. The nearest 1/k is taken.
    validation : float
        Share of what test leaves, likewise.
    seed : int
        Decides who goes where.
    given : DataFrame, optional
        Test examples; then all of `examples` are for train and validation.

    Returns
    -------
    dict of str to DataFrame
        ``train``, ``validation`` and ``test``, each in the order of `examples`.
        No group is in two of them, and every class is in all three.

    Raises
    ------
    UserError
        When a share is out of range, when there is one class only, or when a
        class has too few independent examples to be in every split.
    """
    _check_shares(test=test, validation=validation)
    testing, validating = _parts(test), _parts(validation)
    _check_classes(examples, validating if given is not None else _needed(testing, validating))
    if given is None:
        held_out = _held_out(examples, testing, seed)
        given, examples = examples[held_out], examples[~held_out]
    watched = _held_out(examples, validating, seed)
    parts = {"train": examples[~watched], "validation": examples[watched], "test": given}
    check_labels(parts)
    return {name: part.reset_index(drop=True) for name, part in parts.items()}


def check_labels(parts: dict[str, pd.DataFrame]) -> None:
    """
    Check that every class is in every split.

    Raises
    ------
    UserError
        Names the label and the split that lacks it.
    """
    labels = {name: set(part["label"]) for name, part in parts.items()}
    for label in sorted(set().union(*labels.values())):
        lacking = [name for name in parts if label not in labels[name]]
        if lacking:
            having = [name for name in parts if label in labels[name]]
            raise UserError(
                f"label '{label}' is in {' and '.join(having)} but not in "
                f"{' and '.join(lacking)}: give it more examples, or change task.split or seed"
            )


def _check_shares(**shares: float) -> None:
    for name, share in shares.items():
        if not 0 < share <= 0.5:
            raise UserError(f"task.split.{name}: {share} is not above 0 and at most 0.5")


def _parts(share: float) -> int:
    """Find the k whose 1/k is nearest to a share."""
    below = int(1 / share)
    return min((below, below + 1), key=lambda k: abs(1 / k - share))


def _needed(testing: int, validating: int) -> int:
    """Count the examples of a class that leave one for each fold when test is held out."""
    return next(n for n in count(testing) if n - -(-n // testing) >= validating)


def _check_classes(examples: pd.DataFrame, needed: int) -> None:
    if examples.empty:
        raise UserError("there are no examples")
    independent = examples.groupby("label")["group"].nunique()
    if len(independent) < 2:
        raise UserError(f"there is one class only, '{independent.index[0]}': nothing to tell apart")
    fewest, label = int(independent.min()), independent.idxmin()
    if fewest < needed:
        raise UserError(
            f"label '{label}' has {fewest} independent example{'s' * (fewest != 1)} (groups), "
            f"fewer than the {needed} that the split needs: add some, or raise task.split shares"
        )


def _held_out(examples: pd.DataFrame, parts: int, seed: int) -> np.ndarray:
    if "time" in examples:
        return _latest(examples["time"], parts)
    label, group = examples["label"].to_numpy(), examples["group"].to_numpy()
    grouped = examples["group"].duplicated().any()
    folds = (StratifiedGroupKFold if grouped else StratifiedKFold)(
        parts, shuffle=True, random_state=seed
    )
    chosen = np.zeros(len(examples), dtype=bool)
    chosen[next(folds.split(label, label, group if grouped else None))[1]] = True
    return chosen


def _latest(time: pd.Series, parts: int) -> np.ndarray:
    """Choose the last of equal parts; what happened at one time is not torn apart."""
    border = time.sort_values().iloc[-(len(time) // parts)]
    if border == time.min():
        raise UserError(
            f"task.source.time: too few different times to hold out the latest; "
            f"{(time == border).mean():.0%} of the rows are of {border}"
        )
    return (time >= border).to_numpy()
