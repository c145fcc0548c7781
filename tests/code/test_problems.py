"""Kinds of problem: which there are, how they find metrics, and what they refuse."""

import subprocess
import sys

import numpy as np
import pytest

from pipeline.errors import UserError
from pipeline.problems import Metric, Predictions, metric, problem

CLASSES = {"classes": ["benign", "malignant"], "columns": ["time_to_event"]}
COST, RARE, DELAY = (f"{__name__}.{name}" for name in ("cost", "rare", "delay"))


@metric("price", greater_is_better=False)
def cost(predictions, weights):
    return weights @ predictions.meta["price"]


@metric("class 'rare'")
def rare(predictions, weights):
    return weights.mean(1)


@metric("positive", "time_to_event")
def delay(predictions, weights):
    return weights.mean(1)


def settings(metric="accuracy", metrics=("accuracy",), **others):
    return {"metric": metric, "metrics": list(metrics), **others}


def test_an_unknown_kind_is_reported_with_the_nearest():
    with pytest.raises(UserError, match=r"task\.kind: .*'clasification'.*'classification'\?"):
        problem("clasification")


def test_a_setting_that_a_kind_does_not_take_is_reported():
    with pytest.raises(UserError, match=r"task\.horizon: classification does not take it"):
        problem("classification", {"horizon": 3})


def test_what_is_not_set_is_left_to_the_kind():
    assert problem("classification", {"positive": None}) == problem("classification")


def test_a_kind_is_imported_when_it_is_asked_for():
    code = "import pipeline.problems, sys; print('pipeline.problems.classification' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"


def test_a_metric_by_import_path_is_shown_by_its_name():
    asked = problem("classification", settings(DELAY, [DELAY, "f1"], positive="malignant"))

    found = asked.on(CLASSES)

    assert found.deciding.name == "delay"
    assert [known.name for known in found.reported] == ["delay", "f1"]


def test_directions_are_those_of_the_metrics():
    of_classes = problem("classification").on(CLASSES)

    assert of_classes.find("log_loss").sign == -1
    assert of_classes.find("f1_benign").sign == of_classes.find(DELAY).sign == 1
    assert of_classes.find(COST).sign == -1


def test_a_metric_is_a_function_with_its_name_and_its_needs():
    predictions = Predictions(np.zeros(2), meta={"price": np.array([1, 5])})

    assert isinstance(cost, Metric)
    assert (cost.name, cost.needs) == ("cost", {"price"})
    assert cost.once(predictions) == 6


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (settings("acuracy"), "'acuracy'; did you mean 'accuracy'?"),
        (settings("acuracy", ["acuracy"]), "'acuracy'; did you mean 'accuracy'?"),
        (settings(metrics=["accuracy", "f1_marco"]), "did you mean 'f1_macro'?"),
        (settings(metrics=["accuracy", "f1_bening"]), "did you mean 'f1_benign'?"),
        (settings("xyz", ["xyz"]), "'xyz'; known: accuracy, average_precision"),
        (settings(metrics=["log_loss"]), "'accuracy' is not among task.metrics"),
        (settings(metrics=["accuracy", "accuracy"]), "two are shown as 'accuracy'"),
        (
            settings(metrics=["accuracy", "pipeline.problems.classification.accuracy"]),
            "two are shown as 'accuracy'",
        ),
        (settings(positive="malign"), "did you mean 'malignant'?"),
        (settings("roc_auc", ["roc_auc"]), "set task.positive to one of benign, malignant"),
        (settings(threshold="f1"), "a threshold is about one class"),
        (settings(positive="malignant", threshold="f2"), "task.threshold: unknown metric 'f2'"),
        (settings(points={"benign": {"malign": 1}}), "; did you mean 'malignant'?"),
        (
            settings(points={"benign": {"benign": "one"}}),
            "task.points.benign.benign: 'one' is no number",
        ),
        (settings(points={"bening": {}}), "; did you mean 'benign'?"),
        (
            settings(points={}, positive="malignant", threshold="f1"),
            "task.points and task.threshold both decide",
        ),
        (settings(calibrate="isotonic"), "task.calibrate: unknown 'isotonic': temperature or null"),
        (settings(RARE, [RARE]), "rare needs a class 'rare'"),
        (settings(DELAY, [DELAY]), "delay is about one class"),
        (settings("pipeline.nowhere.x", ["pipeline.nowhere.x"]), "cannot be imported"),
        (settings("pipeline.errors.nearest", ["pipeline.errors.nearest"]), "is not a metric"),
    ],
)
def test_settings_that_do_not_fit_are_reported_with_the_nearest(asked, message):
    with pytest.raises(UserError) as caught:
        problem("classification", asked).on(CLASSES)

    assert message in str(caught.value)


def test_a_metric_that_needs_a_column_says_so_before_anything_is_fitted():
    asked = problem("classification", settings(DELAY, [DELAY], positive="malignant"))

    with pytest.raises(UserError, match="delay needs 'time_to_event'"):
        asked.on({"classes": ["benign", "malignant"], "columns": []})


@pytest.mark.parametrize(
    "asked",
    [
        settings(metrics=["accuracy", "f1_benign"]),
        settings("roc_auc", ["roc_auc", "sensitivity"], positive="malignant", threshold="f1"),
    ],
)
def test_sound_settings_pass(asked):
    problem("classification", asked).on(CLASSES)


def test_the_bootstrap_draws_units_and_without_them_groups():
    group, unit = np.array(["a", "a", "b"]), np.array(["u", "v", "v"])

    assert Predictions(np.zeros(3), meta={"group": group, "unit": unit}).unit is unit
    assert Predictions(np.zeros(3), meta={"group": group}).unit is group
    assert Predictions(np.zeros(3)).unit.tolist() == [0, 1, 2]
