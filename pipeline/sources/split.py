"""
Split examples into train, validation and test, once or in several rounds.

A random split keeps groups whole and the shares of strata. A split by time holds out the latest.
"""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from pipeline.errors import UserError
from pipeline.problems import Problem
from pipeline.sources.examples import META_PREFIX
from pipeline.sources.rounds import FINAL, Rounds

STRATUM = f"{META_PREFIX}stratum"
ABSENT = "the latest rows have no '{}': it is not in the {}, where its F1 counts as 0"
# `folds: auto` splits fewer groups than SMALL into FOLDS folds, REPEATS times; up to LARGE
# groups once; and holds out one share of more.
AUTO, SMALL, LARGE, FOLDS, REPEATS = "auto", 1_000, 20_000, 5, 3


class Plan(NamedTuple):
    """
    How examples are split.

    Attributes
    ----------
    test : int
        The k whose 1/k of the examples is the test. With `folds` each of the k parts is the
        test of a round.
    validation : int
        The k whose 1/k of the rest is held out for validation.
    folds : bool
        Whether there are several rounds.
    repeats : int
        Number of times that the folds are drawn.
    seed : int
        Seed of random splits.
    """

    test: int
    validation: int
    folds: bool
    repeats: int
    seed: int


def make_plan(settings: Any, examples: pd.DataFrame, has_test: bool) -> Plan:
    """
    Decide how examples are split.

    Parameters
    ----------
    settings : Split
        The keys of ``task.split``.
    examples : DataFrame
        With ``group``. If there is a column ``time``, the split is by time.
    has_test : bool
        Whether the source has its own test examples.

    Raises
    ------
    UserError
        If a setting is out of range, or does not fit the others or the examples.
    """
    for key in ("test", "validation"):
        share = getattr(settings, key)
        if not 0 < share <= 0.5:
            raise UserError(f"task.split.{key}: {share} is not above 0 and at most 0.5")
    folds, repeats = settings.folds, settings.repeats
    in_time, groups = "time" in examples, examples["group"].nunique()
    if folds == AUTO:
        folds = None if has_test or groups > LARGE else FOLDS
        if repeats is None and folds is not None and groups < SMALL and not in_time:
            repeats = REPEATS
    elif folds is not None and (isinstance(folds, bool) or not isinstance(folds, int)):
        raise UserError(f"task.split.folds: {folds!r} is not a whole number, '{AUTO}' or null")
    elif folds is not None and folds < 2:
        raise UserError(f"task.split.folds: {folds} is not at least 2; null holds out one share")
    elif folds is not None and has_test:
        raise UserError(
            "task.split.folds: the data have a test of their own, so that there is one round: "
            "set it to null"
        )
    if repeats is not None and repeats < 1:
        raise UserError(f"task.split.repeats: {repeats} is not at least 1")
    if (repeats or 1) > 1 and (folds is None or in_time):
        why = "a split by time is the same each time" if in_time else "there are no folds"
        raise UserError(f"task.split.repeats: {repeats}, but {why}: set it to 1")
    return Plan(
        test=folds or nearest_part(settings.test),
        validation=nearest_part(settings.validation),
        folds=folds is not None,
        repeats=repeats or 1,
        seed=settings.seed,
    )


def split(
    examples: pd.DataFrame, plan: Plan, problem: Problem, own_test: pd.DataFrame | None = None
) -> Rounds:
    """
    Split examples into train, validation and test.

    Parameters
    ----------
    examples : DataFrame
        With columns ``label`` and ``group``. If there is a column ``time``, later examples
        are held out.
    plan : Plan
        Shares, folds and seed.
    problem : Problem
        Names the strata whose shares a random split keeps.
    own_test : DataFrame, optional
        The test examples of the source. All of `examples` then go to train and validation.

    Returns
    -------
    Rounds
        No group is in two parts of a round. What no model can learn is in validation instead of
        train. With folds, each example is in the test of one
        round per repeat, and in the round `FINAL` all examples are in train or validation.
        By time, round i is trained on the first i + 1 of k + 1 blocks and tested on the next
        one. After a random split there is a column ``meta:stratum``.

    Raises
    ------
    UserError
        If the problem refuses the examples or their parts.
    """
    if examples.empty:
        raise UserError("there are no examples")
    in_time, has_test = "time" in examples, own_test is not None
    least, needed = 2 if has_test else 4, _needed(plan, has_test)

    def advise_more(there: int) -> str:
        if plan.folds:
            return "add some, or set fewer task.split.folds"
        return "add some" + (", or raise task.split shares" if there >= least else "")

    problem.check_enough(examples, 1 if in_time else needed, advise_more)
    if not in_time:
        examples = examples.assign(**{STRATUM: problem.strata(examples)})
    rounds = _rounds(examples, plan, problem, own_test)
    for name in rounds.scored:
        problem.check_parts(rounds.split(name), _advise_moving(plan, in_time, has_test), in_time)
    return rounds


def classes_too_rare(
    examples: pd.DataFrame, plan: Plan, problem: Problem, own_test: pd.DataFrame | None = None
) -> list[str]:
    """
    Return the classes that cannot be split.

    Parameters
    ----------
    examples, plan, problem, own_test
        As for `split`.

    Returns
    -------
    list of str
        Classes of too few groups. By time these are the ones that come up too late: a train
        lacks them.
    """
    if "time" not in examples:
        return problem.rare(examples, _needed(plan, own_test is not None))
    late: set[str] = set()
    while True:
        rounds = _rounds(examples[~examples["label"].isin(late)], plan, problem, own_test)
        parts = [rounds.split(name) for name in rounds.scored]
        new = {label for one in parts for label, i in problem.lacking(one).items() if "train" in i}
        if not new - late:
            return sorted(late)
        late |= new


def absent_later(rounds: Rounds, problem: Problem) -> list[str]:
    """Return messages about classes that the test or the validation of a round lacks."""
    absent: dict[str, list[str]] = {}
    for name in rounds.scored:
        for label, parts in problem.lacking(rounds.split(name)).items():
            of_round = f" of round {name}" if len(rounds.scored) > 1 else ""
            absent.setdefault(label, []).append(f"{' and '.join(parts)}{of_round}")
    return [ABSENT.format(label, "; ".join(places)) for label, places in absent.items()]


def _rounds(
    examples: pd.DataFrame, plan: Plan, problem: Problem, own_test: pd.DataFrame | None
) -> Rounds:
    if plan.folds:
        parts = pd.DataFrame(dict(_fold(examples, plan, problem)))
        return Rounds(examples.reset_index(drop=True), parts)
    if own_test is None:
        held_out = _hold_out(examples, plan.test, plan.seed)
        own_test, examples = examples[held_out], examples[~held_out]
    parts = pd.DataFrame({"0": _learn(examples, plan, problem, plan.seed)})
    examples, own_test = (rows.reset_index(drop=True) for rows in (examples, own_test))
    return Rounds(examples, parts, own_test)


def _advise_moving(plan: Plan, in_time: bool, has_test: bool) -> Callable[[list[str]], str]:
    """Return a function that advises what to do about parts that lack something."""

    def advise(lacking: list[str]) -> str:
        if has_test and lacking == ["test"]:
            return "add examples of it to the test, or leave it out of the others"
        if has_test and "test" not in lacking and len(lacking) == 2:
            return "give it examples to learn from, or leave it out of the test"
        if in_time:
            return (
                "the latest are held out; change task.split, or leave out task.source.time "
                "to split at random"
            )
        fewer = "set fewer task.split.folds, or change" if plan.folds else "or change task.split or"
        return f"give it more examples, {fewer} split_seed"

    return advise


def nearest_part(share: float) -> int:
    """Return the k whose 1/k is nearest to a share."""
    below = int(1 / share)
    return min((below, below + 1), key=lambda k: abs(1 / k - share))


def _needed(plan: Plan, has_test: bool) -> int:
    """Return how many examples a stratum needs to leave one per fold once test is held out."""
    testing, validating = plan.test, plan.validation
    if has_test:
        return validating
    return next(n for n in count(testing) if n - -(-n // testing) >= validating)


def _fold(examples: pd.DataFrame, plan: Plan, problem: Problem) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the name of each round and the part of each example in it."""
    for repeat in range(plan.repeats):
        seed = int(np.random.SeedSequence([plan.seed, repeat]).generate_state(1)[0])
        in_time = "time" in examples
        tests = _blocks(examples["time"], plan.test) if in_time else _folds(examples, plan, seed)
        for fold, (learning, testing) in enumerate(tests):
            part = np.where(testing, "test", "").astype(object)
            part[learning] = _learn(examples[learning], plan, problem, seed)
            yield str(repeat * plan.test + fold), part
    yield FINAL, _learn(examples, plan, problem, plan.seed)


def _learn(examples: pd.DataFrame, plan: Plan, problem: Problem, seed: int) -> np.ndarray:
    """Return which examples of a round that are no test are in train and which in validation."""
    learned = problem.learned(examples["label"].to_numpy())
    validating = ~learned
    validating[learned] = _hold_out(examples[learned], plan.validation, seed)
    return np.where(validating, "validation", "train")


def _folds(
    examples: pd.DataFrame, plan: Plan, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield for each fold of a random split a mask of the other folds and one of its own."""
    for _, chosen in _splitter(examples, plan.test, seed):
        testing = np.zeros(len(examples), dtype=bool)
        testing[chosen] = True
        yield ~testing, testing


def _splitter(
    examples: pd.DataFrame, folds: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    strata, group = examples[STRATUM].to_numpy(), examples["group"].to_numpy()
    grouped = examples["group"].duplicated().any()
    splitter = StratifiedGroupKFold if grouped else StratifiedKFold
    return splitter(folds, shuffle=True, random_state=seed).split(
        strata, strata, group if grouped else None
    )


def _blocks(time: pd.Series, folds: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """
    Yield for each fold of a split by time a mask of earlier examples and one of its own.

    Examples of one time stay together.
    """
    ranked = time.sort_values()
    borders = [ranked.iloc[len(time) * block // (folds + 1)] for block in range(folds + 1)]
    if len(set(borders)) < len(borders):
        raise UserError(
            f"task.source.time: too few different times for {folds} folds; "
            "set fewer task.split.folds"
        )
    for start, end in zip(borders[1:], [*borders[2:], None], strict=True):
        later = (time >= start).to_numpy()
        yield ~later, later if end is None else later & (time < end).to_numpy()


def _hold_out(examples: pd.DataFrame, parts: int, seed: int) -> np.ndarray:
    if "time" in examples:
        return latest(examples["time"], parts)
    chosen = np.zeros(len(examples), dtype=bool)
    chosen[next(_splitter(examples, parts, seed))[1]] = True
    return chosen


def latest(time: pd.Series, parts: int) -> np.ndarray:
    """Return the latest of equal parts as a mask. Examples of one time stay together."""
    border = time.sort_values().iloc[-(len(time) // parts)]
    if border == time.min():
        raise UserError(
            f"task.source.time: too few different times to hold out the latest; "
            f"{(time == border).mean():.0%} of the rows are of {border}"
        )
    return (time >= border).to_numpy()
