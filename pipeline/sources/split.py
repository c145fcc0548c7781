"""Held-out examples: stratified with groups kept whole, or the latest."""

from itertools import count

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from pipeline.errors import UserError
from pipeline.problems import Problem
from pipeline.sources.examples import META_PREFIX

STRATUM = f"{META_PREFIX}stratum"
SPLITS = ("train", "validation", "test")


def split(
    examples: pd.DataFrame,
    test: float,
    validation: float,
    seed: int,
    problem: Problem,
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
    problem : Problem
        Names the strata whose shares a random split keeps.
    given : DataFrame, optional
        Test examples; then all of `examples` are for train and validation.

    Returns
    -------
    dict of str to DataFrame
        ``train``, ``validation`` and ``test``, each in the order of `examples`.
        No group is in two of them. Those that keep the shares of strata have a column
        ``meta:stratum``: neither the latest examples nor test examples of their own do.

    Raises
    ------
    UserError
        When a share is out of range, or the problem refuses what there is.
    """
    _check_shares(test=test, validation=validation)
    testing, validating = _parts(test), _parts(validation)
    if examples.empty:
        raise UserError("there are no examples")
    own_test, in_time = given is not None, "time" in examples
    least, needed = (2, validating) if own_test else (4, _needed(testing, validating))

    def more(there: int) -> str:
        return "add some" + (", or raise task.split shares" if there >= least else "")

    def elsewhere(lacking: list[str]) -> str:
        if own_test and lacking == ["test"]:
            return "add examples of it to the test, or leave it out of the others"
        if own_test and "test" not in lacking and len(lacking) == 2:
            return "give it examples to learn from, or leave it out of the test"
        if in_time:
            return (
                "the latest are held out; change the shares of task.split, or set "
                "task.source.time=null to split at random"
            )
        return "give it more examples, or change task.split or seed"

    problem.check_enough(examples, 1 if in_time else needed, more)
    if not in_time:
        examples = examples.assign(**{STRATUM: problem.strata(examples)})
    if given is None:
        held_out = _held_out(examples, testing, seed)
        given, examples = examples[held_out], examples[~held_out]
    held_out = _held_out(examples, validating, seed)
    parts = {"train": examples[~held_out], "validation": examples[held_out], "test": given}
    problem.check_parts(parts, elsewhere)
    return {name: part.reset_index(drop=True) for name, part in parts.items()}


def _check_shares(**shares: float) -> None:
    for name, share in shares.items():
        if not 0 < share <= 0.5:
            raise UserError(f"task.split.{name}: {share} is not above 0 and at most 0.5")


def _parts(share: float) -> int:
    """Find the k whose 1/k is nearest to a share."""
    below = int(1 / share)
    return min((below, below + 1), key=lambda k: abs(1 / k - share))


def _needed(testing: int, validating: int) -> int:
    """Count the examples of a stratum that leave one for each fold when test is held out."""
    return next(n for n in count(testing) if n - -(-n // testing) >= validating)


def _held_out(examples: pd.DataFrame, parts: int, seed: int) -> np.ndarray:
    if "time" in examples:
        return _latest(examples["time"], parts)
    strata, group = examples[STRATUM].to_numpy(), examples["group"].to_numpy()
    grouped = examples["group"].duplicated().any()
    folds = (StratifiedGroupKFold if grouped else StratifiedKFold)(
        parts, shuffle=True, random_state=seed
    )
    chosen = np.zeros(len(examples), dtype=bool)
    chosen[next(folds.split(strata, strata, group if grouped else None))[1]] = True
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
