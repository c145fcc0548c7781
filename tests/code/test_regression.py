"""Regression: metrics against other libraries, intervals that hold, and targets of all sorts."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn import metrics as sk
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression, LogisticRegression

from pipeline.conformal import conformal_radii
from pipeline.errors import ModelError, UserError
from pipeline.problems import problem
from pipeline.problems.regression import Regression, error_by_size

METRICS = Regression.METRICS
RNG = np.random.default_rng(3)
N = 80
ACTUAL = RNG.normal(10, 4, N).round(1) + 20
PREDICTED = (ACTUAL + RNG.normal(0, 2, N)).round(1)
RADIUS = 2.5
# The same facts in the words of scikit-learn and SciPy; `w` counts how often an example is drawn.
REFERENCE = {
    "rmse": lambda w: sk.root_mean_squared_error(ACTUAL, PREDICTED, sample_weight=w),
    "mae": lambda w: sk.mean_absolute_error(ACTUAL, PREDICTED, sample_weight=w),
    "median_absolute_error": lambda w: sk.median_absolute_error(
        np.repeat(ACTUAL, w), np.repeat(PREDICTED, w)
    ),
    "mape": lambda w: sk.mean_absolute_percentage_error(ACTUAL, PREDICTED, sample_weight=w),
    "r2": lambda w: sk.r2_score(ACTUAL, PREDICTED, sample_weight=w),
    "skill": lambda w: (
        1
        - sk.mean_squared_error(ACTUAL, PREDICTED, sample_weight=w)
        / sk.mean_squared_error(ACTUAL, np.full(N, 29.0), sample_weight=w)
    ),
    "spearman": lambda w: spearmanr(np.repeat(ACTUAL, w), np.repeat(PREDICTED, w)).statistic,
    "pinball": lambda w: (
        (
            sk.mean_pinball_loss(ACTUAL, PREDICTED - RADIUS, alpha=0.1, sample_weight=w)
            + sk.mean_pinball_loss(ACTUAL, PREDICTED + RADIUS, alpha=0.9, sample_weight=w)
        )
        / 2
    ),
    "coverage": lambda w: np.average(np.abs(ACTUAL - PREDICTED) <= RADIUS, weights=w),
    "width": lambda w: 2 * RADIUS,
    "rmse_cut": lambda w: sk.root_mean_squared_error(
        np.minimum(ACTUAL, 33), PREDICTED, sample_weight=w
    ),
}


def bound(**settings):
    """Return a problem for a target between 0 and 100, whose deviation is 5."""
    target = {"mean": 30.0, "sd": 5.0, "low": 0.0, "high": 100.0, "nearest_to_zero": 0.1}
    return problem("regression", settings).on(target)


def predicted(kind=None, decision=None):
    decision = decision or {"constant": 29.0, "coverage": 0.8, "edges": [], "radii": [RADIUS]}
    return (kind or bound(coverage=0.8)).predictions(ACTUAL, PREDICTED, {}, decision)


def series(values):
    index = [f"e{number}" for number in range(len(values))]
    return pd.Series(values, index, name="price")


@pytest.mark.parametrize("name", sorted(METRICS))
def test_a_metric_is_that_of_another_library_in_every_draw(name):
    kind = bound(coverage=0.8, learn_at_most=33.0 if name == "rmse_cut" else None)
    draws = RNG.multinomial(N, np.full(N, 1 / N), size=20)

    found = METRICS[name](predicted(kind), draws)

    np.testing.assert_allclose(found, [REFERENCE[name](draw) for draw in draws])
    assert METRICS[name].once(predicted(kind)) == pytest.approx(REFERENCE[name](np.ones(N, int)))


def test_every_metric_has_a_reference():
    assert set(REFERENCE) == set(METRICS)


def test_metrics_of_one_value_only_are_not_defined_where_they_divide_by_its_spread():
    kind = bound()
    same = kind.predictions(np.full(4, 3.0), np.arange(4.0), {}, {"constant": 3.0})

    for name in ("r2", "skill", "spearman"):
        assert math.isnan(METRICS[name].once(same))
    assert METRICS["mae"].once(same) == 1.5


@pytest.mark.parametrize("n", [19, 50, 400])
def test_intervals_hold_the_promised_share_of_new_numbers(n):
    """The guarantee of split-conformal prediction: between 0.9 and 0.9 + 1 / (n + 1)."""
    rng, held = np.random.default_rng(0), []
    for _ in range(400):
        errors = rng.lognormal(size=n + 500)
        _, radii = conformal_radii(errors[:n], np.zeros(n), np.arange(n), 0.9)
        held.append((errors[n:] <= radii[0]).mean())

    margin = 4 * np.std(held) / np.sqrt(len(held))
    assert 0.9 - margin < np.mean(held) < 0.9 + 1 / (n + 1) + margin


def test_intervals_of_groups_hold_although_their_examples_are_alike():
    rng, held, naive = np.random.default_rng(0), [], []
    for _ in range(300):
        scale = rng.lognormal(size=41)  # of a group
        errors = np.abs(rng.normal(size=(41, 10)) * scale[:, np.newaxis])
        group = np.repeat(np.arange(40), 10)
        _, radii = conformal_radii(errors[:40].ravel(), np.zeros(400), group, 0.9)
        held.append((errors[40] <= radii[0]).mean())
        naive.append((errors[40] <= np.quantile(errors[:40], 0.9)).mean())

    assert np.mean(held) > 0.9 - 2 * np.std(held) / np.sqrt(300) > np.mean(naive) - 0.05


def test_each_group_counts_as_one_however_many_examples_it_has():
    """One group of 1,000 large errors among 99 of one small error each: 1 % of the groups."""
    errors = np.r_[np.full(1000, 50.0), np.linspace(0.1, 1, 99)]
    group = np.r_[np.zeros(1000), np.arange(1, 100)]

    _, radii = conformal_radii(errors, np.zeros(1099), group, 0.9)

    assert radii[0] < 1


def test_intervals_are_wider_where_errors_are():
    predictions = np.linspace(0, 100, 2000)
    errors = predictions / 10

    edges, radii = conformal_radii(errors, predictions, np.arange(2000), 0.9)

    np.testing.assert_allclose(edges, np.arange(10, 100, 10), atol=0.1)
    # Nine tenths of the way through each band.
    np.testing.assert_allclose(radii, np.arange(0.9, 10), atol=0.02)


def test_too_few_examples_give_no_interval():
    assert conformal_radii(np.ones(8), np.zeros(8), np.arange(8), 0.9) == ([], [])
    kind = bound(coverage=0.9)
    decision = kind.decide(kind.predictions(ACTUAL[:8], PREDICTED[:8], {}))

    frame = kind.frame(PREDICTED[:3], decision)

    assert frame["low"].isna().all()
    assert math.isnan(METRICS["coverage"].once(kind.predictions(ACTUAL, PREDICTED, {}, decision)))


def test_what_is_decided_on_validation_is_served():
    kind = bound(coverage=0.8)
    decision = kind.decide(kind.predictions(ACTUAL, PREDICTED, {}))
    error = np.sort(np.abs(ACTUAL - PREDICTED))
    # 0.8 of 81 is 64.8, so the 65th smallest error.
    assert decision == {
        "constant": pytest.approx(ACTUAL.mean()),
        "coverage": 0.8,
        "edges": [],
        "radii": [pytest.approx(error[64])],
    }

    frame = problem("regression").on(kind.target).frame(np.array([40.0, 1.0]), decision)

    assert list(frame) == list(kind.columns()) == ["label", "low", "high"]
    np.testing.assert_allclose(frame["high"], [40 + error[64], 1 + error[64]])
    # No target is negative.
    np.testing.assert_allclose(frame["low"], [40 - error[64], 0])


def test_without_coverage_there_are_no_intervals():
    kind = bound()
    decision = kind.decide(predicted(kind))

    assert list(kind.frame(PREDICTED, decision)) == list(kind.columns()) == ["label"]


@pytest.mark.parametrize(
    "decision",
    [
        {"constant": "high"},
        {"constant": 1.0, "widths": [1.0]},
        {"constant": 1.0, "coverage": 0.9, "edges": [1.0], "radii": [1.0]},
        {"constant": 1.0, "coverage": 0.9, "edges": [], "radii": [math.inf]},
    ],
)
def test_a_strange_decision_is_reported(decision):
    with pytest.raises(UserError, match="decision"):
        bound(coverage=0.9).check_decision(decision)


def test_the_decision_of_a_fit_is_sound():
    kind = bound(coverage=0.8)

    kind.check_decision(kind.decide(predicted(kind)))
    kind.check_decision({})


def test_texts_become_numbers():
    found = Regression().check_target(series(["1.5", "-3", "1e3"]))

    assert found.tolist() == [1.5, -3, 1000]
    assert found.dtype == float


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            ["1", "red", "2"],
            "column 'price', example e1: 'red', but regression predicts finite numbers",
        ),
        (["1", "1,234", "x"], r"example e1: '1,234' \(and 1 more\)"),
        ([1.0, math.inf], "example e1: 'inf'"),
        ([1.0, None], "example e1: is missing"),
        ([1.0, 1e300], r"example e1: '1e\+300'"),
        (pd.to_datetime(["2024-01-01", "2024-01-02"]), "holds times.*days from a date"),
    ],
)
def test_a_target_that_is_no_number_is_reported_by_example(values, expected):
    with pytest.raises(UserError, match=expected):
        Regression().check_target(series(values))


def frame(labels):
    groups = [f"g{number}" for number in range(len(labels))]
    return pd.DataFrame({"label": np.asarray(labels, float), "group": groups})


def test_a_constant_and_too_few_examples_are_reported():
    with pytest.raises(UserError, match="every label is 5: there is nothing to predict"):
        Regression().check_enough(frame([5] * 30), 7, str)
    with pytest.raises(UserError, match=r"3 independent examples, fewer than the 7.*: add 3"):
        Regression().check_enough(frame([1, 2, 3]), 7, lambda n: f"add {n}")
    parts = {"train": frame([1, 2]), "test": frame([4, 4])}
    with pytest.raises(UserError, match="every label in test is equal: move test"):
        Regression().check_parts(parts, lambda lacking: f"move {lacking[0]}")


def test_few_different_values_are_said():
    assert "only 3 different values" in Regression().headline(frame([1, 2, 3] * 30))
    assert Regression(unit="EUR").headline(frame(range(1, 101))) == "1 to 100 EUR, mean 50.5"


def test_a_split_keeps_the_shares_of_quantiles():
    target = load_diabetes().target

    strata = Regression().strata(frame(target))

    # Ties at the borders of the deciles move a few.
    assert np.bincount(strata).tolist() == pytest.approx([44] * 10, abs=4)
    assert (np.diff(strata[np.argsort(target)]) >= 0).all()
    assert set(Regression().strata(frame(range(30)))) == {0}


def test_what_matters_is_a_share_of_the_deviation_for_metrics_in_the_unit_of_the_target():
    assert bound(metric="rmse", metrics=("rmse",)).margin(0.01) == pytest.approx(0.05)
    assert bound(metric="r2", metrics=("r2",)).margin(0.01) == 0.01


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"metrics": ("rmsee",)}, r"unknown metric 'rmsee'; did you mean 'rmse'\?"),
        ({"metrics": ("roc_auc",)}, "metric 'roc_auc', which is one of classification; known: "),
        ({"metric": "roc_auc", "metrics": ("rmse",)}, "'roc_auc', which is one of class"),
        ({"metrics": ("coverage",)}, "coverage is about intervals: set task.coverage"),
        ({"metrics": ("rmse_cut",)}, "set task.learn_at_most"),
        ({"coverage": 1.0}, "task.coverage: 1.0 is not between 0 and 1"),
        ({"learn_at_most": -5.0}, "task.learn_at_most: -5.0 is not above 0, the lowest target"),
    ],
)
def test_a_wrong_setting_is_reported(settings, expected):
    with pytest.raises(UserError, match=expected):
        bound(**settings)


def test_relative_errors_are_refused_where_a_target_is_nearly_0():
    described = Regression().describe(frame([0.001, 100, 200]))

    with pytest.raises(UserError, match="mape divides by the target, and one is 0 or nearly so"):
        problem("regression", {"metrics": ("mape",)}).on(described)


def test_a_setting_of_classification_is_refused():
    with pytest.raises(UserError, match=r"task\.positive: regression does not take it"):
        problem("regression", {"positive": "yes"})


def test_models_learn_a_target_at_most():
    kind = bound(learn_at_most=30.0, coverage=0.8)

    assert kind.encode(None, np.array([5.0, 80.0])).tolist() == [5, 30]
    found = kind.predictions(np.array([80.0]), np.array([29.0]), {}, {"constant": 1.0})
    assert found.learned.tolist() == [30]
    assert found.error.tolist() == [51]


def test_an_estimator_that_predicts_no_numbers_is_reported():
    class Texts:
        def fit(self, X, y):
            return self

        def predict(self, X):
            return np.array(["red"] * len(X))

    class Wide(Texts):
        def predict(self, X):
            return np.zeros((len(X), 2))

    class Missing(Texts):
        def predict(self, X):
            return np.full(len(X), np.nan)

    kind = bound()
    with pytest.raises(ModelError, match="LogisticRegression is a classifier"):
        kind.check_estimator(LogisticRegression())
    kind.check_estimator(LinearRegression())
    for one, expected in ((Texts, "not numbers"), (Wide, r"\(3, 2\)"), (Missing, "not finite")):
        with pytest.raises(ModelError, match=f"the predictions of {one.__name__} .*{expected}"):
            kind.outputs(one(), np.zeros((3, 1)))


def test_misses_are_the_errors_outside_of_intervals():
    found = predicted()
    error = np.abs(ACTUAL - PREDICTED)

    misses = bound(coverage=0.8).misses(found)

    np.testing.assert_array_equal(misses, np.where(error <= RADIUS + 1e-9, 0, error))


def test_rounds_are_joined_with_their_intervals():
    kind = bound(coverage=0.8)
    other = predicted(decision={"constant": 9.0, "coverage": 0.8, "edges": [], "radii": [1.0]})

    both = kind.concatenate([predicted(), other])

    assert len(both) == 2 * N
    np.testing.assert_allclose(both.high - both.predicted, np.repeat([RADIUS, 1.0], N))
    assert both.constant[[0, -1]].tolist() == [29, 9]


def test_the_error_by_size_is_that_of_each_tenth():
    found = error_by_size(predicted())
    tenths = pd.qcut(pd.Series(ACTUAL).rank(method="first"), 10)
    expected = pd.Series(np.abs(ACTUAL - PREDICTED)).groupby(tenths, observed=True).mean()

    np.testing.assert_allclose(found["mean_absolute_error"], expected)


def test_plots_hold_what_their_names_say():
    kind = bound(coverage=0.8)
    data = kind.plot_data(predicted())

    for plot in kind.PLOTS:
        assert {plot["x"], plot["y"]} <= set(data[plot["name"]])
    residuals = data["residuals"]
    np.testing.assert_allclose(
        sorted(residuals["residual"]), sorted(ACTUAL - PREDICTED), atol=1e-12
    )
    assert len(kind.figure("life", predicted()).axes) == 3
