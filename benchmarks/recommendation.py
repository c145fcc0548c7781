"""
Compare rules for which model to take, where it is known how good and how dear each one is.

Run: python benchmarks/recommendation.py [repetitions]

Five models have an AUC around 0.85 and prices that differ by up to a hundred times, the one
independent of the other. Each rule sees a test set and prices that are measured with an error. One
Markdown table is printed, for each spread of the AUC over models and number of test examples:

lost
    Mean distance of the AUC of the model that is taken to that of the best one, times 100.
price
    How many times as dear as the cheapest of all models it is, geometric mean.
price again
    Share of cases in which another measurement of the prices changes what is taken, and the
    mean distance, times 100, between the AUC of the two models then.
"""

import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product

import numpy as np
from intervals import as_predictions, distance, shared_noise
from report import machine
from scipy.special import expit

from pipeline.evaluation.comparison import Comparison, compare
from pipeline.evaluation.samples import Round
from pipeline.evaluation.verdict import write_verdict
from pipeline.problems.classification import Classification

METRIC = Classification.METRICS["roc_auc"]
REPETITIONS, DRAWS = 200, 400
MODELS, AUC, MATTERS = [f"m{number}" for number in range(5)], 0.85, 0.01
# Standard deviation of the AUC over models, and numbers of test examples.
SPREADS, SIZES = (0.0, 0.01, 0.03), (120, 500, 3000)
# The relative error of a measured price.
PRICE_ERROR = 0.05

Prices = Mapping[str, float]


def best(comparison: Comparison, _: Prices) -> str:
    """Return the model with the best score."""
    return comparison.contenders[0]


def cheapest_contender(comparison: Comparison, prices: Prices) -> str:
    """Return the cheapest model that none is better than."""
    return min(comparison.contenders, key=prices.__getitem__)


def verdict(comparison: Comparison, prices: Prices) -> str:
    """Return what the verdict recommends."""
    costs = {model: {"predict_ms": price} for model, price in prices.items()}
    take = write_verdict(comparison, costs, "predict", matters=MATTERS).take
    assert take is not None
    return take


RULES: dict[str, Callable[[Comparison, Prices], str]] = {
    "best score": best,
    "cheapest contender": cheapest_contender,
    "verdict": verdict,
}


def main() -> None:
    """Run every case, and print the table."""
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else REPETITIONS
    print(f"{machine()}; {repetitions} repetitions\n")
    print("| spread | examples | rule | lost | price | price again |")
    print("| ---: | ---: | --- | ---: | ---: | --- |")
    with ProcessPoolExecutor() as pool:
        cases = list(product(SPREADS, SIZES))
        for (spread, n), rows in zip(
            cases, pool.map(partial(measure, repetitions), cases), strict=True
        ):
            for rule, (lost, price, changed, apart) in rows.items():
                print(
                    f"| {spread} | {n:,} | {rule} | {100 * lost:.2f} | {price:.1f} "
                    f"| {100 * changed:.0f} %, {100 * apart:.2f} |",
                    flush=True,
                )


def measure(repetitions: int, case: tuple[float, int]) -> dict[str, tuple[float, ...]]:
    """Return for each rule what is lost, the price, how often prices change it, and how far."""
    spread, n = case
    found: dict[str, list[tuple[float, float, bool, float]]] = {rule: [] for rule in RULES}
    for repetition in range(repetitions):
        rng = np.random.default_rng([repetition, n])
        auc = dict(zip(MODELS, AUC + spread * rng.normal(size=len(MODELS)), strict=True))
        prices = dict(zip(MODELS, 10 ** rng.uniform(0, 2, len(MODELS)), strict=True))
        comparison = compare(
            [draw(rng, n, auc)],
            METRIC,
            [METRIC],
            dict.fromkeys(MODELS, "classical"),
            matters=MATTERS,
            seed=repetition,
            resamples=DRAWS,
        )
        now, later = (
            {model: price * np.exp(PRICE_ERROR * rng.normal()) for model, price in prices.items()}
            for _ in range(2)
        )
        for name, rule in RULES.items():
            take, again = rule(comparison, now), rule(comparison, later)
            found[name].append(
                (
                    max(auc.values()) - auc[take],
                    np.log(prices[take] / min(prices.values())),
                    take != again,
                    abs(auc[take] - auc[again]),
                )
            )
    rows = {}
    for name, cases in found.items():
        lost, price, changed, apart = np.array(cases, dtype=float).T
        rows[name] = (
            lost.mean(),
            np.exp(price.mean()),
            changed.mean(),
            apart.sum() / max(changed.sum(), 1),
        )
    return rows


def draw(rng: np.random.Generator, n: int, auc: Mapping[str, float]) -> Round:
    """Draw a test set and the predictions of each model."""
    actual = (np.arange(n) < n // 2).astype(int)
    apart = np.array([distance(one) for one in auc.values()])
    evidence = (actual[:, None] - 0.5) * apart + shared_noise(rng, n, len(apart))
    chance = expit(apart * evidence)
    meta = {"group": np.arange(n), "stratum": actual}
    test = {
        model: [as_predictions(actual, chance[:, number], meta)] for number, model in enumerate(auc)
    }
    return Round(test, dict.fromkeys(auc, 0.0), 0)


if __name__ == "__main__":
    main()
