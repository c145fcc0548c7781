"""The bootstrap: draws and intervals, against loops and exact theory."""

from collections import Counter

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.metrics import accuracy_score, log_loss

from pipeline.evaluation import comparison
from pipeline.evaluation.comparison import draws
from pipeline.problems import Metric
from pipeline.problems.classification import Classification, ClassPredictions

# 12 groups of 1 to 6 examples in 3 strata; the labels of group g5 are mixed.
GROUPS = np.array([f"g{g}" for g in range(12) for _ in range(1 + g % 6)])
LABELS = np.array(["abc"[int(g[1:]) % 3] for g in GROUPS])
LABELS[np.flatnonzero(GROUPS == "g5")[0]] = "a"
ACTUAL = np.searchsorted(["a", "b", "c"], LABELS)


def compare(predictions, deciding, metrics, *args):
    by_name = Classification.METRICS
    chosen = [by_name[m] for m in metrics]
    return comparison.compare(predictions, by_name[deciding], chosen, *args)


def drawn(resamples=50, seed=0):
    return np.concatenate(list(draws(GROUPS, ACTUAL, resamples, seed)))


def some_predictions(skill, seed):
    """Predict the examples of GROUPS; the more skill, the higher the right class."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(3), len(ACTUAL))
    probabilities[np.arange(len(ACTUAL)), ACTUAL] += skill
    return ClassPredictions(
        ACTUAL,
        probabilities / probabilities.sum(1, keepdims=True),
        0,
        meta={"group": GROUPS, "stratum": ACTUAL},
    )


def test_whole_groups_are_drawn_together():
    weights = drawn()

    for group in np.unique(GROUPS):
        members = weights[:, group == GROUPS]
        assert (members == members[:, :1]).all()


def test_each_draw_keeps_the_number_of_groups_of_each_stratum():
    stratum = {g: Counter(LABELS[g == GROUPS]).most_common(1)[0][0] for g in np.unique(GROUPS)}
    first = [np.flatnonzero(g == GROUPS)[0] for g in stratum]

    times_drawn = drawn()[:, first]

    for label in "abc":
        members = [i for i, g in enumerate(stratum) if stratum[g] == label]
        assert (times_drawn[:, members].sum(1) == len(members)).all()


def test_every_group_is_drawn_once_on_average():
    # A count is about Poisson with mean 1, so the mean of 4,000 is within 5/sqrt(4000) of 1.
    assert np.abs(drawn(resamples=4000).mean(0) - 1).max() < 5 / np.sqrt(4000)


def test_draws_vary():
    assert len(np.unique(drawn(), axis=0)) > 40


def test_same_seed_draws_the_same_and_another_seed_does_not():
    np.testing.assert_array_equal(drawn(seed=4), drawn(seed=4))
    assert (drawn(seed=4) != drawn(seed=5)).any()


def test_draws_come_in_chunks_that_add_up(monkeypatch):
    monkeypatch.setattr(comparison, "WEIGHTS_AT_ONCE", 7 * len(GROUPS))

    sizes = [len(chunk) for chunk in draws(GROUPS, ACTUAL, 50, 0)]

    assert sizes == [7] * 7 + [1]


@pytest.mark.parametrize("confidence", [0.95, 0.5])
def test_scores_and_intervals_equal_a_loop_over_resampled_examples(confidence):
    predictions = {"good": some_predictions(1.0, 1), "poor": some_predictions(0.1, 2)}
    actual = predictions["good"].actual
    scorers = {
        "accuracy": lambda a, i: accuracy_score(actual[i], a.predicted[i]),
        "log_loss": lambda a, i: log_loss(actual[i], a.probabilities[i], labels=[0, 1, 2]),
    }
    resamples, seed = 60, 11

    found = compare(predictions, "accuracy", list(scorers), seed, resamples, confidence)

    everything = np.arange(len(GROUPS))
    resampled = [np.repeat(everything, times.astype(int)) for times in drawn(resamples, seed)]
    tails = [0.5 - confidence / 2, 0.5 + confidence / 2]
    best_drawn = np.array([scorers["accuracy"](predictions["good"], i) for i in resampled])
    assert found.index.tolist() == ["good", "poor"]
    for name, of_model in predictions.items():
        for metric, scorer in scorers.items():
            expected = [
                scorer(of_model, everything),
                *np.quantile([scorer(of_model, i) for i in resampled], tails),
            ]
            ends = [metric, f"{metric}_low", f"{metric}_high"]
            np.testing.assert_allclose(found.loc[name, ends], expected, rtol=1e-9)
        gap = best_drawn - [scorers["accuracy"](of_model, i) for i in resampled]
        np.testing.assert_allclose(
            found.loc[name, ["behind_low", "behind_high"]], np.quantile(gap, tails), atol=1e-12
        )


def test_accuracy_interval_is_that_of_the_binomial():
    # One stratum of 100 independent examples, 80 right: Bin(100, 0.8) are right in a draw.
    right = np.arange(100) < 80
    predictions = ClassPredictions(
        np.zeros(100, dtype=int), np.column_stack([right, ~right]) * 1.0, 0
    )

    row = compare({"m": predictions}, "accuracy", ["accuracy"], 0, 20_000).loc["m"]

    exact = binom.ppf([0.025, 0.975], 100, 0.8) / 100
    np.testing.assert_allclose([row["accuracy_low"], row["accuracy_high"]], exact, atol=0.0101)


def test_dependent_examples_widen_the_interval():
    # 100 examples of 10 groups, each all right or all wrong: Bin(10, 0.8) / 10.
    groups = np.repeat(np.arange(10), 10)
    right = groups < 8
    probabilities = np.column_stack([right, ~right]) * 1.0
    predictions = ClassPredictions(
        np.zeros(100, dtype=int), probabilities, 0, meta={"group": groups}
    )

    row = compare({"m": predictions}, "accuracy", ["accuracy"], 0, 20_000).loc["m"]

    exact = binom.ppf([0.025, 0.975], 10, 0.8) / 10
    np.testing.assert_allclose([row["accuracy_low"], row["accuracy_high"]], exact, atol=1e-9)


def test_identical_models_are_zero_behind_in_every_draw():
    same = some_predictions(0.3, 5)

    found = compare({"one": same, "other": same}, "accuracy", ["accuracy"], 0, 100)

    assert (found[["behind", "behind_low", "behind_high"]] == 0).all(axis=None)
    assert found.loc["one", "accuracy_low"] < found.loc["one", "accuracy_high"]


def test_a_lower_log_loss_ranks_first():
    predictions = {"poor": some_predictions(0.1, 2), "good": some_predictions(2.0, 1)}

    found = compare(predictions, "log_loss", ["log_loss", "accuracy"], 0, 100)

    assert found.index.tolist() == ["good", "poor"]
    assert found["log_loss"].is_monotonic_increasing
    assert found.loc["good", "behind"] == 0
    assert found.loc["poor", "behind"] == pytest.approx(
        found.loc["poor", "log_loss"] - found.loc["good", "log_loss"]
    )
    assert found.loc["poor", "behind_low"] <= found.loc["poor", "behind"]
    assert found.loc["poor", "behind"] <= found.loc["poor", "behind_high"]


def test_order_of_the_models_does_not_matter():
    one, other = some_predictions(0.1, 2), some_predictions(1.0, 1)

    found = [
        compare(predictions, "accuracy", ["accuracy"], 0, 100)
        for predictions in ({"one": one, "other": other}, {"other": other, "one": one})
    ]

    assert found[0].equals(found[1])


def test_same_seed_gives_the_same_intervals_and_another_seed_does_not():
    first, second, other = (
        compare({"m": some_predictions(0.3, 5)}, "log_loss", ["log_loss"], seed, 100)
        for seed in (1, 1, 2)
    )

    assert first.equals(second)
    assert not first.equals(other)


def test_draws_without_the_positive_class_have_no_part_in_its_interval():
    # One stratum of 3 groups; a draw lacks the positive example with chance (2/3)**3.
    actual = np.array([1, 0, 0, 0, 0, 0])
    group = np.array(["a", "a", "a", "b", "b", "c"])
    right = np.eye(2)[actual]
    predictions = ClassPredictions(actual, right, 1, meta={"group": group})

    row = compare({"m": predictions}, "recall", ["recall"], 0, 500).loc["m"]

    assert row[["recall", "recall_low", "recall_high"]].tolist() == [1, 1, 1]


def test_without_strata_the_number_of_a_class_varies_as_it_does_in_the_population():
    # A predefined test of 400 with 10 % positive: the number of positives in a draw is binomial.
    actual = np.arange(400) < 40

    free = np.concatenate(list(draws(np.arange(400), None, 4000, 0))) @ actual
    kept = np.concatenate(list(draws(np.arange(400), actual, 50, 0))) @ actual

    assert free.std() == pytest.approx(binom.std(400, 0.1), rel=0.05)
    assert set(kept) == {40}


def test_accuracy_interval_of_a_predefined_test_is_that_of_the_binomial():
    # Right for the 90 negatives alone, so that fixing their number would leave no doubt at all.
    actual = (np.arange(100) < 10).astype(int)
    predictions = ClassPredictions(actual, np.tile([1.0, 0.0], (100, 1)), 1)

    row = compare({"m": predictions}, "accuracy", ["accuracy"], 0, 20_000).loc["m"]

    exact = binom.ppf([0.025, 0.975], 100, 0.9) / 100
    np.testing.assert_allclose([row["accuracy_low"], row["accuracy_high"]], exact, atol=0.01)


def test_units_are_drawn_where_they_are_not_the_groups():
    unit = np.array(["u", "v"])[np.arange(len(GROUPS)) % 2]
    predictions = ClassPredictions(
        ACTUAL, np.eye(3)[ACTUAL], 0, meta={"group": GROUPS, "unit": unit}
    )
    seen = []

    def spy(predictions, weights):
        seen.append(weights)
        return weights.sum(1)

    of_units = Metric(spy, "spy")
    comparison.compare({"m": predictions}, of_units, [of_units], 0, 20)

    for one in "uv":
        members = seen[-1][:, unit == one]
        assert (members == members[:, :1]).all()
    assert (seen[-1][:, 0] + seen[-1][:, 1] == 2).all()


def test_models_for_which_the_metric_is_not_defined_come_last():
    defined = {"low": 0.2, "none": np.nan, "high": 0.9, "nor": np.nan}
    by_name = {
        name: ClassPredictions(np.zeros(4, int), np.full((4, 1), score), 0)
        for name, score in defined.items()
    }
    share = Metric(lambda p, w: w @ p.probabilities[:, 0] / w.sum(1), "share")

    found = comparison.compare(by_name, share, [share], 0, 20)

    assert found.index.tolist() == ["high", "low", "none", "nor"]
    assert found["behind"].tolist()[:2] == pytest.approx([0, 0.7])
    assert found.loc[["none", "nor"], ["behind", "behind_low"]].isna().all(axis=None)
