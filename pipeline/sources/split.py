"""Held-out examples: stratified by label, groups kept whole."""

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from pipeline.errors import UserError

SPLITS = ("train", "validation", "test")


def split(
    examples: pd.DataFrame, test: float, validation: float, seed: int
) -> dict[str, pd.DataFrame]:
    """
    Split examples into train, validation and test.

    Parameters
    ----------
    examples : DataFrame
        With columns ``label`` and ``group``.
    test : float
        Share of the examples, above 0 and at most 0.5. The nearest 1/k is taken.
    validation : float
        Share of what test leaves, likewise.
    seed : int
        Decides who goes where.

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
    _check_classes(examples, max(testing, validating))
    held_out = _one_fold(examples, testing, seed)
    rest = examples[~held_out]
    watched = _one_fold(rest, validating, seed)
    parts = {
        "train": rest[~watched],
        "validation": rest[watched],
        "test": examples[held_out],
    }
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


def _check_classes(examples: pd.DataFrame, parts: int) -> None:
    if examples.empty:
        raise UserError("there are no examples")
    independent = examples.groupby("label")["group"].nunique()
    if len(independent) < 2:
        raise UserError(f"there is one class only, '{independent.index[0]}': nothing to tell apart")
    fewest, label = int(independent.min()), independent.idxmin()
    if fewest < parts:
        raise UserError(
            f"label '{label}' has {fewest} independent example{'s' * (fewest != 1)} (groups), "
            f"fewer than the {parts} parts of the split: add examples, or raise task.split shares"
        )


def _one_fold(examples: pd.DataFrame, parts: int, seed: int) -> np.ndarray:
    label, group = examples["label"].to_numpy(), examples["group"].to_numpy()
    grouped = examples["group"].duplicated().any()
    folds = (StratifiedGroupKFold if grouped else StratifiedKFold)(
        parts, shuffle=True, random_state=seed
    )
    chosen = np.zeros(len(examples), dtype=bool)
    chosen[next(folds.split(label, label, group if grouped else None))[1]] = True
    return chosen
