"""
Count false alarms and misses of the comparison of models, where the truth is known.

Run: python benchmarks/intervals.py [repetitions]

Models are equally good in each scenario, so that every difference that is found is a false
alarm. Scores of one round are normal within the two classes, and models share part of what makes
an example hard. In rounds, discriminants and neighbours are fitted on features that have the same
distribution for every model. Four metrics decide in turn. One Markdown table is printed:

false alarms
    Share of test sets on which any of the models is called better than another, and on which any
    of the families is (the first models against the last; each is represented by its best on
    validation).
coverage
    Share of the intervals of scores that hold the true score. In brackets the share of intervals
    that are given, if not all are.
power
    Share of test sets on which a model is called better that is: its AUC is higher by half the
    distance to 1.

Every number has four values, for accuracy, AUC, macro-F1 and log loss.
"""

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from report import machine
from scipy.special import expit, ndtr, ndtri

from pipeline.evaluation.comparison import compare
from pipeline.evaluation.samples import Round
from pipeline.problems.classification import Classification, ClassPredictions

METRICS = [Classification.METRICS[m] for m in ("accuracy", "roc_auc", "f1_macro", "log_loss")]
REPETITIONS = 200
DRAWS = 400
# What models share of the noise of an example, and examples of that of their group.
SHARED, WITHIN = 0.6, 0.3
# Examples that stand for the population.
POPULATION = 1_000_000
DIMENSIONS, NEIGHBOURS = 5, 5
# Standard deviation over seeds of how far the classes are apart.
SEED_SPREAD = 0.15


@dataclass(frozen=True)
class Scenario:
    """
    What is drawn in each repetition.

    Attributes
    ----------
    name : str
        Name in the table.
    n : int
        Number of test examples; in rounds of all examples.
    models : int
        Number of models. The last one is a family of its own.
    positive : float
        Share of the positive class.
    auc : float
        AUC of the models.
    groups : int
        Number of groups of examples of one class. Without groups examples are independent.
    stratified : bool
        Whether the number of positive examples is fixed.
    seeds : int
        Number of training seeds of each model. Seeds change the AUC.
    rounds : tuple of int
        Number of folds, and how often they are drawn; without folds there is one round.
    learner : str
        What is fitted in rounds.
    """

    name: str
    n: int
    models: int = 4
    positive: float = 0.5
    auc: float = 0.85
    groups: int = 0
    stratified: bool = True
    seeds: int = 1
    rounds: tuple[int, int] = (0, 0)
    learner: str = ""


SCENARIOS = [
    Scenario("balanced", 40),
    Scenario("balanced", 100),
    Scenario("balanced", 400),
    Scenario("balanced", 5000),
    Scenario("two models", 100, models=2),
    Scenario("ten models", 100, models=10),
    Scenario("AUC 0.98", 40, auc=0.98),
    Scenario("AUC 0.98", 200, auc=0.98),
    Scenario("10 % positive", 100, positive=0.1),
    Scenario("10 % positive", 400, positive=0.1),
    Scenario("10 %, not stratified", 400, positive=0.1, stratified=False),
    Scenario("3 % positive", 100, positive=0.03),
    Scenario("3 % positive", 500, positive=0.03),
    Scenario("3 % positive", 5000, positive=0.03),
    Scenario("6 groups", 120, groups=6),
    Scenario("10 groups", 120, groups=10),
    Scenario("18 groups", 180, groups=18),
    Scenario("50 groups", 300, groups=50),
    Scenario("3 seeds", 400, seeds=3),
    Scenario("5 folds, discriminant", 100, rounds=(5, 1), learner="discriminant"),
    Scenario("5 folds, discriminant", 400, rounds=(5, 1), learner="discriminant"),
    Scenario("5 folds x 3, discriminant", 100, rounds=(5, 3), learner="discriminant"),
    Scenario("5 folds, neighbours", 100, rounds=(5, 1), learner="neighbours"),
    Scenario("5 folds, neighbours", 400, rounds=(5, 1), learner="neighbours"),
    Scenario("5 folds x 3, neighbours", 100, rounds=(5, 3), learner="neighbours"),
]


def main() -> None:
    """Run every scenario, and print the table."""
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else REPETITIONS
    error = 100 * np.sqrt(0.05 * 0.95 / repetitions)
    print(f"{machine()}; {repetitions} repetitions, {DRAWS} draws")
    print(f"Standard error of a share of 5 %: {error:.1f}, and twice that for n = 5,000\n")
    print(
        "| scenario | n | models | false alarms: models % | families % | coverage % | power % |\n"
        "| --- | ---: | ---: | --- | --- | --- | --- |"
    )
    with ProcessPoolExecutor() as pool:
        for row in pool.map(partial(measure, repetitions=repetitions), SCENARIOS):
            print("| " + " | ".join(row) + " |", flush=True)


def measure(scenario: Scenario, repetitions: int) -> list[str]:
    """Repeat a scenario, and return its row of the table."""
    if scenario.n > 1000:
        repetitions //= 4
    truth = true_scores(scenario)
    alarms, family_alarms, power = np.zeros((3, repetitions, len(METRICS)))
    held = np.full((repetitions, len(METRICS), scenario.models), np.nan)
    families = {f"m{i}": "classical" for i in range(scenario.models - 1)}
    families[f"m{scenario.models - 1}"] = "deep"
    for repetition in range(repetitions):
        rng = np.random.default_rng([1, repetition])
        boosted = rng.spawn(1)[0]
        equal = draw_rounds(scenario, rng, 0)
        two = draw_rounds(replace(scenario, models=2), boosted, better_by(scenario))
        for number, metric in enumerate(METRICS):
            found = compare(
                validated(equal, number),
                metric,
                [metric],
                families,
                matters=0,
                seed=repetition,
                resamples=DRAWS,
            )
            alarms[repetition, number] = (found.pairs["decision"] != "cannot tell").any()
            family_alarms[repetition, number] = (found.families["decision"] != "cannot tell").any()
            low, high = (found.scores[f"{metric.name}_{end}"].to_numpy() for end in ("low", "high"))
            inside = (low <= truth[number]) & (truth[number] <= high)
            held[repetition, number] = np.where(np.isnan(low), np.nan, inside)
            found = compare(
                validated(two, number),
                metric,
                [metric],
                dict.fromkeys(["m0", "m1"], "classical"),
                matters=0,
                seed=repetition,
                resamples=DRAWS,
            )
            power[repetition, number] = found.contenders == ["m0"]
    covered = []
    for of_metric in held.transpose(1, 0, 2).reshape(len(METRICS), -1):
        given = of_metric[~np.isnan(of_metric)]
        share = f" ({100 * len(given) / len(of_metric):.0f})" if len(given) < len(of_metric) else ""
        covered.append(f"{100 * given.mean():.0f}{share}" if len(given) else "none")
    return [
        scenario.name,
        f"{scenario.n:,}",
        str(scenario.models),
        percents(alarms),
        percents(family_alarms),
        " / ".join(covered),
        percents(power),
    ]


def percents(happened: np.ndarray) -> str:
    """Format the share of repetitions per metric."""
    return " / ".join(f"{100 * share:.0f}" for share in happened.mean(0))


def better_by(scenario: Scenario) -> float:
    """Return by how much the AUC of a better model is higher."""
    return (1 - scenario.auc) / 2


def distance(auc: float) -> float:
    """Return how many standard deviations two normal classes with an AUC are apart."""
    return float(np.sqrt(2) * ndtri(auc))


def classes(scenario: Scenario, rng: np.random.Generator, n: int) -> np.ndarray:
    """Draw the class of each example, or of each group."""
    if not scenario.stratified:
        return (rng.random(n) < scenario.positive).astype(int)
    return (np.arange(n) < round(n * scenario.positive)).astype(int)


def shared_noise(rng: np.random.Generator, n: int, *shape: int) -> np.ndarray:
    """Draw noise of n examples that models, the first of the other axes, share in part."""
    common, own = rng.normal(size=(n, 1, *shape[1:])), rng.normal(size=(n, *shape))
    return np.sqrt(SHARED) * common + np.sqrt(1 - SHARED) * own


def predict(
    scenario: Scenario, rng: np.random.Generator, n: int, better: float
) -> list[list[ClassPredictions]]:
    """Draw examples and the predictions of each model and seed for them."""
    meta = {"group": np.arange(n)}
    noise = shared_noise(rng, n, scenario.models)
    if scenario.groups:
        meta["group"] = np.arange(n) % scenario.groups
        actual = classes(scenario, rng, scenario.groups)[meta["group"]]
        of_groups = shared_noise(rng, scenario.groups, scenario.models)[meta["group"]]
        noise = np.sqrt(WITHIN) * of_groups + np.sqrt(1 - WITHIN) * noise
    else:
        actual = classes(scenario, rng, n)
    if scenario.stratified:
        meta["stratum"] = actual
    apart = np.full((scenario.models, scenario.seeds), distance(scenario.auc))
    apart[0] = distance(scenario.auc + better)
    if scenario.seeds > 1:
        apart += SEED_SPREAD * rng.normal(size=apart.shape)
    prior = np.log(scenario.positive / (1 - scenario.positive))
    evidence = (actual[:, None, None] - 0.5) * apart + noise[:, :, None]
    chance = expit(prior + apart * evidence)
    return [
        [as_predictions(actual, chance[:, model, seed], meta) for seed in range(scenario.seeds)]
        for model in range(scenario.models)
    ]


def as_predictions(
    actual: np.ndarray, chance: np.ndarray, meta: dict[str, np.ndarray]
) -> ClassPredictions:
    """Return predictions from the probability of the positive class."""
    return ClassPredictions(actual, np.column_stack([1 - chance, chance]), 1, meta=meta)


@dataclass(frozen=True)
class Drawn:
    """
    One round, before it is known which metric decides.

    Attributes
    ----------
    test : list of list of ClassPredictions
        For each model and seed.
    validation : list of list of ClassPredictions
        The same.
    share : float
        Number of test examples per training example.
    """

    test: list[list[ClassPredictions]]
    validation: list[list[ClassPredictions]]
    share: float


def draw_rounds(scenario: Scenario, rng: np.random.Generator, better: float) -> list[Drawn]:
    """Draw the rounds of a repetition."""
    if scenario.rounds == (0, 0):
        validation = replace(scenario, groups=0)
        return [
            Drawn(
                predict(scenario, rng, scenario.n, better),
                predict(validation, rng, max(40, scenario.n), better),
                0,
            )
        ]
    features, actual = draw_features(scenario, rng, scenario.n, better)
    n_folds, repeats = scenario.rounds
    rounds = []
    for _ in range(repeats):
        fold = np.zeros(len(actual), dtype=int)
        for one in (0, 1):
            members = rng.permutation(np.flatnonzero(actual == one))
            fold[members] = np.arange(len(members)) % n_folds
        for number in range(n_folds):
            test, validation = fold == number, fold == (number + 1) % n_folds
            train = ~test & ~validation
            parts = []
            for part in (test, validation):
                meta = {"group": np.flatnonzero(part), "stratum": actual[part]}
                parts.append(
                    [
                        [
                            as_predictions(
                                actual[part],
                                LEARNERS[scenario.learner](of[train], actual[train], of[part]),
                                meta,
                            )
                        ]
                        for of in features
                    ]
                )
            rounds.append(Drawn(*parts, test.sum() / train.sum()))
    return rounds


def draw_features(
    scenario: Scenario, rng: np.random.Generator, n: int, better: float
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the features of each model, shape (n_models, n, DIMENSIONS), and the classes."""
    actual = classes(scenario, rng, n)
    apart = np.full(scenario.models, distance(scenario.auc))
    apart[0] = distance(scenario.auc + better)
    noise = shared_noise(rng, n, scenario.models, DIMENSIONS)
    shift = (actual[:, None, None] - 0.5) * apart[:, None] / np.sqrt(DIMENSIONS)
    return (shift + noise).transpose(1, 0, 2), actual


def discriminant(train: np.ndarray, actual: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Fit a linear discriminant, and return the probability of the positive class."""
    means = np.array([train[actual == one].mean(0) for one in (0, 1)])
    centred = train - means[actual]
    weights = np.linalg.solve(centred.T @ centred / (len(train) - 2), means[1] - means[0])
    prior = np.log(actual.sum() / (1 - actual).sum())
    return expit(prior + (test - means.mean(0)) @ weights)


def neighbours(train: np.ndarray, actual: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Return the share of the positive class among the nearest neighbours, drawn to a half."""
    away = (train**2).sum(1) - 2 * test @ train.T
    nearest = np.argpartition(away, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
    return (actual[nearest].sum(1) + 0.5) / (NEIGHBOURS + 1)


LEARNERS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "discriminant": discriminant,
    "neighbours": neighbours,
}


def validated(rounds: Sequence[Drawn], number: int) -> list[Round]:
    """Return rounds in which a metric decides."""
    score = METRICS[number].once
    return [
        Round(
            {f"m{i}": of_model for i, of_model in enumerate(one.test)},
            {
                f"m{i}": float(np.mean([*map(score, of_model)]))
                for i, of_model in enumerate(one.validation)
            },
            one.share,
        )
        for one in rounds
    ]


def true_scores(scenario: Scenario) -> np.ndarray:
    """Compute the expected score in each metric, over training sets or seeds if they vary."""
    rng = np.random.default_rng(0)
    alone = replace(scenario, models=1, stratified=True, groups=0, seeds=1)
    if scenario.rounds == (0, 0):
        fits = 50 if scenario.seeds > 1 else 1
        drawn = []
        for _ in range(fits):
            spread = SEED_SPREAD * rng.normal() if scenario.seeds > 1 else 0
            found = predict(alone, rng, POPULATION // fits, raised(scenario.auc, spread))
            drawn.append(found[0][0])
    else:
        drawn = []
        for _ in range(200):
            (train,), actual = draw_features(alone, rng, round(scenario.n * 0.6), 0)
            (test,), of_test = draw_features(alone, rng, POPULATION // 200, 0)
            chance = LEARNERS[scenario.learner](train, actual, test)
            drawn.append(as_predictions(of_test, chance, {}))
    return np.mean([[metric.once(one) for metric in METRICS] for one in drawn], axis=0)


def raised(auc: float, spread: float) -> float:
    """Return by how much an AUC rises if the classes are further apart."""
    return float(ndtr((distance(auc) + spread) / np.sqrt(2))) - auc


if __name__ == "__main__":
    main()
