"""What plots are drawn from, against scikit-learn and by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.metrics import roc_auc_score

from pipeline import evaluate
from pipeline.evaluate import Entry, Scored
from pipeline.evaluation import plots
from pipeline.evaluation.plots import FORMS, plot_table
from pipeline.paths import ROOT
from pipeline.problems import classification
from pipeline.problems.classification import Classification, ClassPredictions


def predictions(actual, probabilities, classes, positive=0):
    n_classes = probabilities.shape[1]
    return ClassPredictions(actual, probabilities, positive, classes=tuple(classes[:n_classes]))


def drawn(title, answers):
    return Classification(target={"classes": answers.classes}).figure(title, answers)


def some_answers(n_classes, positive=0):
    rng = np.random.default_rng(1)
    actual = np.arange(90) % n_classes
    return predictions(actual, rng.dirichlet(np.ones(n_classes), 90), "abc", positive)


@pytest.mark.parametrize(("n_classes", "positive"), [(2, 0), (2, 1), (3, 0)])
def test_area_under_roc_points_is_scikit_learns_auc(n_classes, positive):
    answers = some_answers(n_classes, positive)

    points = classification.roc_points(answers)

    # Of two classes the positive one alone has a curve.
    expected = {
        "abc"[code]: roc_auc_score(answers.actual == code, answers.probabilities[:, code])
        for code in ([positive] if n_classes == 2 else range(n_classes))
    }
    found = {
        name: np.trapezoid(part["true_positive_rate"], part["false_positive_rate"])
        for name, part in points.groupby("class")
    }
    assert found == pytest.approx(expected)


def test_confusion_points_count_actual_and_predicted_classes():
    answers = predictions(
        np.array([0, 1, 1]),
        np.array([[0.1, 0.9], [0.2, 0.8], [0.3, 0.7]]),
        ["benign", "malignant"],
    )

    found = classification.confusion_points(answers)

    assert found.to_dict("list") == {
        "actual": ["benign", "malignant"],
        "predicted": ["malignant", "malignant"],
        "examples": [1, 2],
    }


def test_a_roc_curve_of_many_examples_is_thinned_and_keeps_its_ends_and_its_area():
    rng = np.random.default_rng(0)
    actual = rng.integers(0, 2, 20_000)
    score = 1 / (1 + np.exp(-rng.normal(1.5 * actual)))
    answers = predictions(actual, np.column_stack([1 - score, score]), ["no", "yes"], 1)

    points = classification.roc_points(answers)

    rates = points[["false_positive_rate", "true_positive_rate"]].to_numpy()
    assert 300 < len(rates) <= classification.MOST_POINTS
    assert rates[0].tolist() == [0, 0] and rates[-1].tolist() == [1, 1]
    assert (np.diff(rates, axis=0) >= 0).all()
    found = np.trapezoid(rates[:, 1], rates[:, 0])
    assert found == pytest.approx(roc_auc_score(actual, score), abs=1e-4)


def test_calibration_points_compare_probability_with_frequency():
    # Of 20 examples with a probability of 0.2, 4 are positive, and of 20 with 0.9, 18.
    probability = np.repeat([0.2, 0.9], 20)
    actual = np.concatenate([np.arange(20) >= 4, np.arange(20) >= 18]).astype(int)
    answers = predictions(actual, np.column_stack([probability, 1 - probability]), ["yes", "no"])

    found = classification.calibration_points(answers)

    assert found["predicted"].tolist() == pytest.approx([0.2, 0.9])
    assert found["observed"].tolist() == pytest.approx([0.2, 0.9])
    assert set(found["class"]) == {"yes"}


def test_learning_points_have_a_row_per_step_and_loss():
    curve = [
        {"step": 1, "train/log_loss": 0.9, "validation/log_loss": 1.0},
        {"step": 2, "train/log_loss": 0.5, "validation/log_loss": 0.7},
    ]

    assert plots.learning_points(curve).to_numpy().tolist() == [
        [1, "train/log_loss", 0.9],
        [1, "validation/log_loss", 1.0],
        [2, "train/log_loss", 0.5],
        [2, "validation/log_loss", 0.7],
    ]


def test_learning_points_of_a_model_without_a_curve_are_none():
    found = plots.learning_points([])

    assert found.empty
    assert found.columns.tolist() == ["step", "curve", "loss"]


def test_plots_hold_every_model_and_all_rounds():
    kind = Classification(target={"classes": list("abc")})
    parts = [some_answers(3), some_answers(3)]
    fits = [Scored(str(n), 0, 0.5, {}, {"test": part}, {}) for n, part in enumerate(parts)]
    entries = {name: Entry({}, "", None, fits, {}) for name in ("one", "other")}

    found = {plot["name"]: plot for plot in evaluate.plots(kind, entries)}

    assert list(found) == ["confusion", "roc", "calibration"]
    for plot in found.values():
        rows = pd.DataFrame(plot["rows"])
        assert set(rows["model"]) == {"one", "other"}
        assert {plot["x"], plot["y"], plot.get("series", plot.get("value"))} <= set(rows)
    counted = pd.DataFrame(found["confusion"]["rows"]).groupby("model")["examples"].sum()
    assert counted.tolist() == [180, 180]


def test_rounds_with_different_thresholds_are_joined_with_each_its_own():
    kind = Classification(target={"classes": ["no", "yes"]}, positive="yes")
    halves = [
        ClassPredictions(np.array([0, 1]), np.array([[0.6, 0.4], [0.2, 0.8]]), 1, threshold)
        for threshold in (0.3, 0.9)
    ]

    joined = kind.concatenate(halves)

    assert joined.predicted.tolist() == [1, 1, 0, 0]
    assert joined.actual.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("n_classes", [2, 3])
def test_picture_has_three_panels(n_classes):
    figure = drawn("genre, baseline", some_answers(n_classes))

    assert [panel.get_title() for panel in figure.axes] == ["confusion", "ROC", "calibration"]
    assert figure.get_suptitle() == "genre, baseline"
    # A curve for each class worth one, and the diagonal.
    assert len(figure.axes[1].lines) == {2: 1, 3: 3}[n_classes] + 1


def test_picture_of_a_model_that_knows_no_doubt():
    # All probabilities are 0 or 1, as a rule's: fewer calibration bins than asked for.
    actual = np.arange(30) % 3
    answers = predictions(actual, np.eye(3)[np.zeros(30, dtype=int)], "abc")

    assert len(drawn("rule", answers).axes) == 3


def test_plots_of_a_form_have_the_same_columns_for_dvc():
    rows = [{"model": "m", "class": "a", "false_rate": 0.1, "true_rate": 0.5}]
    plot = {"name": "roc", "title": "ROC", "form": "line", "x": "false_rate", "y": "true_rate"}

    found = [
        plot_table({**plot, "rows": rows}),
        plot_table({**plot, "series": "class", "rows": rows}),
    ]

    one = {"model": "m", "class": "a", "x": 0.1, "y": 0.5, "series": "all"}
    other = {"model": "m", "series": "a", "x": 0.1, "y": 0.5}
    about = {"about": "ROC: true rate (up) by false rate (right)", "diagonal": False}
    assert [table.to_dict("records") for table in found] == [[one | about], [other | about]]


def test_each_form_has_a_template_and_a_folder_in_dvc_yaml():
    (*folders, _) = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["evaluate"]["plots"]
    named = {Path(path).name: props["template"] for one in folders for path, props in one.items()}

    assert named == {form: form for form in FORMS}
    assert all((ROOT / ".dvc/plots" / f"{form}.json").is_file() for form in FORMS)
