"""Plots of studies whose importances are known."""

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial

from pipeline.sweep.plots import figures

UNIT = FloatDistribution(0, 1)


def study_of(rows, direction="maximize"):
    """Make a study from (parameters, distributions, value) per trial."""
    study = optuna.create_study(direction=direction)
    for params, distributions, value in rows:
        study.add_trial(create_trial(params=params, distributions=distributions, value=value))
    return study


def drawn(study):
    return figures(study, study.get_trials(), "accuracy")


def bars(figure):
    """Return the shares in a plot of importances, by parameter."""
    (axes,) = figure.axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    return dict(zip(names, [bar.get_width() for bar in axes.patches], strict=True))


def two_parameters(sign=1):
    """Return 64 trials on a grid of 8 by 8, where one parameter alone decides the value."""
    return [
        (
            {"model.decides": a / 7, "model.idle": b / 7},
            {"model.decides": UNIT, "model.idle": UNIT},
            sign * a / 7,
        )
        for a in range(8)
        for b in range(8)
    ]


@pytest.mark.parametrize(("direction", "sign"), [("maximize", 1), ("minimize", -1)])
def test_what_alone_decides_has_nearly_all_the_importance(direction, sign):
    shares = bars(drawn(study_of(two_parameters(sign), direction))["importance.png"])
    assert shares["decides"] > 0.95
    assert sum(shares.values()) == pytest.approx(1)


def test_a_parameter_of_some_trials_only_has_an_importance_too():
    always = [({"a": n / 39}, {"a": UNIT}, n) for n in range(0, 40, 2)]
    some = [({"a": n / 39, "b": n / 39}, {"a": UNIT, "b": UNIT}, n) for n in range(1, 40, 2)]
    found = drawn(study_of(always + some))
    assert set(bars(found["importance.png"])) == {"a", "b"}
    # A line through all values needs all of them.
    labels = [label.get_text() for label in found["parallel.png"].axes[0].get_xticklabels()]
    assert labels == ["a", "accuracy"]


def test_a_grid_of_many_values_is_drawn():
    """Of 60 categories, by a value that no tree tells apart; fANOVA would not end."""
    kinds = CategoricalDistribution(tuple(range(60)))
    rows = [({"a": n, "b": n * 7 % 60}, {"a": kinds, "b": kinds}, n * 37 % 60) for n in range(60)]
    assert set(bars(drawn(study_of(rows))["importance.png"])) == {"a", "b"}


ONE = [({"a": n}, {"a": CategoricalDistribution((0, 1, 2))}, n) for n in (0, 1, 2)]
EQUAL = [(params, distributions, 0.5) for params, distributions, _ in two_parameters()]


@pytest.mark.parametrize(
    ("rows", "names"),
    [
        pytest.param([], {"history.png"}, id="no trial"),
        pytest.param(two_parameters()[:3], {"history.png"}, id="three trials"),
        pytest.param(two_parameters()[:9], {"history.png", "parallel.png"}, id="nine trials"),
        pytest.param(ONE * 9, {"history.png", "parallel.png"}, id="one parameter"),
        pytest.param(EQUAL, {"history.png", "parallel.png"}, id="one value"),
    ],
)
def test_plots_that_need_more_trials_are_left_out(rows, names):
    assert set(drawn(study_of(rows))) == names


def test_history_keeps_the_best_so_far_and_leaves_out_what_did_not_end():
    study = study_of([({}, {}, value) for value in (0.2, 0.7, 0.5, 0.9)])
    study.add_trial(create_trial(state=TrialState.FAIL))
    points, best = drawn(study)["history.png"].axes[0].lines
    assert points.get_ydata().tolist() == [0.2, 0.7, 0.5, 0.9]
    assert best.get_ydata().tolist() == [0.2, 0.7, 0.7, 0.9]
