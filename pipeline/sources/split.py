"""Split examples: at random with groups kept whole and strata's shares kept, or by time."""

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
    own_test: pd.DataFrame | None = None,
) -> dict[str, pd.DataFrame]:
    """
    Split examples into train, validation and test.

    Parameters
    ----------
    examples : DataFrame
        With columns ``label`` and ``group``. If there is a column ``time``, the latest
        examples are held out.
    test : float
        Share of the examples, above 0 and at most 0.5. The nearest 1/k is taken.
    validation : float
        Share of the remaining examples, in the same range and rounded likewise.
    seed : int
        Seed of the random split.
    problem : Problem
        Names the strata whose shares a random split keeps.
    own_test : DataFrame, optional
        The test examples of the source. All of `examples` then go to train and validation.

    Returns
    -------
    dict of str to DataFrame
        ``train``, ``validation`` and ``test``, each in the order of `examples`.
        No group is in two of them. Parts that were split at random have a column
        ``meta:stratum``, because they keep the shares of the strata.

    Raises
    ------
    UserError
        If a share is out of range, or the problem refuses the examples or their parts.
    """
    _check_shares(test=test, validation=validation)
    testing, validating = _parts(test), _parts(validation)
    if examples.empty:
        raise UserError("there are no examples")
    has_test, in_time = own_test is not None, "time" in examples
    least, needed = (2, validating) if has_test else (4, _needed(testing, validating))

    def advise_more(there: int) -> str:
        return "add some" + (", or raise task.split shares" if there >= least else "")

    def advise_moving(lacking: list[str]) -> str:
        if has_test and lacking == ["test"]:
            return "add examples of it to the test, or leave it out of the others"
        if has_test and "test" not in lacking and len(lacking) == 2:
            return "give it examples to learn from, or leave it out of the test"
        if in_time:
            return (
                "the latest are held out; change the shares of task.split, or set "
                "task.source.time=null to split at random"
            )
        return "give it more examples, or change task.split or seed"

    problem.check_enough(examples, 1 if in_time else needed, advise_more)
    if not in_time:
        examples = examples.assign(**{STRATUM: problem.strata(examples)})
    if own_test is None:
        held_out = _hold_out(examples, testing, seed)
        own_test, examples = examples[held_out], examples[~held_out]
    held_out = _hold_out(examples, validating, seed)
    parts = {"train": examples[~held_out], "validation": examples[held_out], "test": own_test}
    problem.check_parts(parts, advise_moving)
    return {name: part.reset_index(drop=True) for name, part in parts.items()}


def _check_shares(**shares: float) -> None:
    for name, share in shares.items():
        if not 0 < share <= 0.5:
            raise UserError(f"task.split.{name}: {share} is not above 0 and at most 0.5")


def _parts(share: float) -> int:
    """Return the k whose 1/k is nearest to a share."""
    below = int(1 / share)
    return min((below, below + 1), key=lambda k: abs(1 / k - share))


def _needed(testing: int, validating: int) -> int:
    """Return how many examples a stratum needs to leave one per fold once test is held out."""
    return next(n for n in count(testing) if n - -(-n // testing) >= validating)


def _hold_out(examples: pd.DataFrame, parts: int, seed: int) -> np.ndarray:
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
    """Return the latest of equal parts as a mask. Examples of one time stay together."""
    border = time.sort_values().iloc[-(len(time) // parts)]
    if border == time.min():
        raise UserError(
            f"task.source.time: too few different times to hold out the latest; "
            f"{(time == border).mean():.0%} of the rows are of {border}"
        )
    return (time >= border).to_numpy()
