"""
Count false alarms and misses of the comparison of models of numbers, where the truth is known.

Run: python benchmarks/intervals_of_numbers.py [repetitions]

The same as intervals.py for regression. Four models are equally good, and share part of what they
leave unexplained. The target has standard deviation 1, and errors have `NOISE`. Every number in the
table has four values, for RMSE, mean absolute error, R2 and Spearman's correlation.
"""

import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from report import machine

from pipeline.evaluation.comparison import compare
from pipeline.evaluation.samples import Round
from pipeline.problems.regression import NumberPredictions, Regression

METRICS = [Regression.METRICS[name] for name in ("rmse", "mae", "r2", "spearman")]
REPETITIONS, DRAWS, MODELS = 200, 400, 4
# Of the errors of models: their size, and the shares that models, and examples of a group, share.
NOISE, SHARED, WITHIN = 0.5, 0.6, 0.3
POPULATION = 1_000_000
FAMILIES = {f"m{i}": "deep" if i == MODELS - 1 else "classical" for i in range(MODELS)}


@dataclass(frozen=True)
class Scenario:
    """
    What is drawn in each repetition.

    Attributes
    ----------
    name : str
        Name in the table.
    n : int
        Number of test examples.
    tails : int
        Degrees of freedom of Student's t that errors are of. 0 for normal ones.
    uneven : bool
        Whether errors grow with the target.
    groups : int
        Number of groups of examples. Without groups examples are independent.
    """

    name: str
    n: int
    tails: int = 0
    uneven: bool = False
    groups: int = 0


SCENARIOS = [
    Scenario("normal errors", 40),
    Scenario("normal errors", 100),
    Scenario("normal errors", 400),
    Scenario("normal errors", 5000),
    Scenario("heavy tails", 100, tails=5),
    Scenario("heavy tails", 400, tails=5),
    Scenario("errors grow with the target", 100, uneven=True),
    Scenario("errors grow with the target", 400, uneven=True),
    Scenario("10 groups", 200, groups=10),
    Scenario("50 groups", 400, groups=50),
]


def main() -> None:
    """Run every scenario, and print the table."""
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else REPETITIONS
    print(f"{machine()}; {repetitions} repetitions, {DRAWS} draws\n")
    print(
        "| scenario | n | false alarms: models % | families % | coverage % |\n"
        "| --- | ---: | --- | --- | --- |"
    )
    with ProcessPoolExecutor() as pool:
        for row in pool.map(partial(measure, repetitions=repetitions), SCENARIOS):
            print("| " + " | ".join(row) + " |", flush=True)


def measure(scenario: Scenario, repetitions: int) -> list[str]:
    """Repeat a scenario, and return its row of the table."""
    if scenario.n > 1000:
        repetitions //= 4
    # One example of each of as many groups is distributed as any other.
    alone = replace(scenario, groups=0)
    whole = predict(alone, np.random.default_rng(0), POPULATION, models=1)[0]
    truth = [metric.once(whole) for metric in METRICS]
    alarms, family_alarms = np.zeros((2, repetitions, len(METRICS)))
    held = np.full((repetitions, len(METRICS), MODELS), np.nan)
    for repetition in range(repetitions):
        rng = np.random.default_rng([1, repetition])
        tests, validations = (predict(scenario, rng, scenario.n, MODELS) for _ in range(2))
        for number, metric in enumerate(METRICS):
            one = Round(
                {f"m{i}": [test] for i, test in enumerate(tests)},
                {f"m{i}": metric.once(part) for i, part in enumerate(validations)},
                0.25,
            )
            found = compare(
                [one], metric, [metric], FAMILIES, matters=0, seed=repetition, resamples=DRAWS
            )
            alarms[repetition, number] = (found.pairs["decision"] != "cannot tell").any()
            family_alarms[repetition, number] = (found.families["decision"] != "cannot tell").any()
            low, high = (found.scores[f"{metric.name}_{end}"].to_numpy() for end in ("low", "high"))
            inside = (low <= truth[number]) & (truth[number] <= high)
            held[repetition, number] = np.where(np.isnan(low), np.nan, inside)
    covered = [one[~np.isnan(one)] for one in held.transpose(1, 0, 2).reshape(len(METRICS), -1)]
    return [
        scenario.name,
        f"{scenario.n:,}",
        percents([*alarms.T]),
        percents([*family_alarms.T]),
        percents(covered),
    ]


def percents(happened: list[np.ndarray]) -> str:
    """Format the share of repetitions per metric."""
    return " / ".join(f"{100 * one.mean():.0f}" if len(one) else "none" for one in happened)


def predict(
    scenario: Scenario, rng: np.random.Generator, n: int, models: int
) -> list[NumberPredictions]:
    """Draw examples and the predictions of each model for them."""
    group = np.arange(n) % scenario.groups if scenario.groups else np.arange(n)
    actual = drawn(scenario, rng, group, 1, 0)[:, 0]
    errors = drawn(scenario, rng, group, models, scenario.tails)
    if scenario.uneven:
        errors = errors * np.exp(actual / 2)[:, np.newaxis]
    return [
        Regression().predictions(actual, actual + NOISE * errors[:, model], {"group": group})
        for model in range(models)
    ]


def drawn(
    scenario: Scenario, rng: np.random.Generator, group: np.ndarray, models: int, tails: int
) -> np.ndarray:
    """Draw numbers of shape (n, models), of which models and groups share parts."""
    shape = (len(group), models)
    noise = mixed(rng, shape, tails)
    if scenario.groups:
        of_groups = mixed(rng, (scenario.groups, models), tails)[group]
        noise = np.sqrt(WITHIN) * of_groups + np.sqrt(1 - WITHIN) * noise
    return noise


def mixed(rng: np.random.Generator, shape: tuple[int, int], tails: int) -> np.ndarray:
    """Draw noise of variance 1 that models, the second axis, share in part."""

    def draw(*size: int) -> np.ndarray:
        if not tails:
            return rng.normal(size=size)
        return rng.standard_t(tails, size) / np.sqrt(tails / (tails - 2))

    return np.sqrt(SHARED) * draw(shape[0], 1) + np.sqrt(1 - SHARED) * draw(*shape)


if __name__ == "__main__":
    main()
