"""Classification: what a target may be, what an estimator must return, and what is served."""

import re

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge

from pipeline.errors import ModelError, UserError
from pipeline.problems import problem
from pipeline.problems.classification import log_loss, predict_classes

KIND = problem("classification")
GENRES = KIND.on({"classes": ["essay", "novel", "poetry"]})


class Fixed:
    """A fitted classifier that always returns the same."""

    def __init__(self, probabilities, classes=("essay", "novel", "poetry")):
        self.classes_ = np.array(classes)
        self.probabilities = np.array(probabilities)

    def predict_proba(self, X):
        return self.probabilities


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        (["x", None, "y"], ["example e1", "is missing", "a text"]),
        (["x", np.nan, None], ["example e1", "is missing", "(and 1 more)"]),
        (["x", "", "y"], ["example e1", "not empty"]),
        (["x", "y", 3], ["example e2", "'3'", "a text"]),
    ],
)
def test_a_target_that_is_no_class_is_reported_by_example(values, parts):
    with pytest.raises(UserError) as caught:
        KIND.check_target(pd.Series(values, index=["e0", "e1", "e2"], dtype=object))

    assert [part for part in parts if part not in str(caught.value)] == []


def test_a_sound_target_stays_as_it_is():
    target = pd.Series(["x", "y"], index=["e0", "e1"])

    assert KIND.check_target(target).equals(target)


def test_the_target_is_described_by_its_classes_and_counted():
    train = pd.DataFrame({"label": ["b", "a", "b"]})

    assert KIND.describe(train) == {"classes": ["a", "b"]}
    assert KIND.summarize(train) == {"classes": {"a": 1, "b": 2}}
    assert KIND.headline(train) == "2 classes"


@pytest.mark.parametrize(
    ("estimator", "lacking"), [(Ridge(), "predict_proba"), (Fixed([[1, 0, 0]]), "fit")]
)
def test_what_is_no_classifier_is_refused_before_the_fit(estimator, lacking):
    with pytest.raises(ModelError, match=f"{type(estimator).__name__} has no {lacking}"):
        KIND.check_estimator(estimator)

    KIND.check_estimator(LogisticRegression())


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (Fixed([[0.2, 0.2, np.nan]]), "are not finite"),
        (Fixed([[0.2, 0.2, np.inf]]), "are not finite"),
        (Fixed([[3.0, -1.0, -1.0]]), "are not between 0 and 1: one is -1"),
        (Fixed([[3.0, 0.0, 0.0]]), "are not between 0 and 1: one is 3"),
        (Fixed([[0.5, 0.5, 0.5]]), "do not sum to 1: one sum is 1.5"),
        (Fixed([["much", "more", "most"]]), "are of type"),
        (Fixed([[0.5, 0.5]]), "have the shape (1, 2), not (1, 3)"),
        (Fixed([[0.2, 0.3, 0.5]] * 2), "have the shape (2, 3), not (1, 3)"),
        (Fixed([[0.2, 0.3, 0.5]], ["novel", "essay", "poetry"]), "not in sorted order"),
        (Fixed([[0.5, 0.5]], ["essay", "novel"]), "has the classes ['essay', 'novel']; the data"),
        (Ridge(), "Ridge has no classes_ after fit"),
    ],
)
def test_what_is_no_probability_of_each_class_is_refused(estimator, message):
    with pytest.raises(ModelError, match=re.escape(message)):
        GENRES.outputs(estimator, np.zeros((1, 4)))


def test_rows_of_several_lengths_are_refused():
    ragged = Fixed([[1, 0, 0]])
    ragged.probabilities = [[1.0, 0.0, 0.0], [1.0]]

    with pytest.raises(ModelError, match="are no array"):
        GENRES.outputs(ragged, np.zeros((2, 4)))


def test_probabilities_rounded_to_32_bits_pass():
    rounded = np.array(
        [[1 / 3, 1 / 3, 1 / 3], [1 + 1e-6, 0, 0], [0.3333333, 0.6666666, 0]], dtype=np.float32
    )

    assert GENRES.outputs(Fixed(rounded), np.zeros((3, 4))).tolist() == rounded.tolist()


@pytest.mark.parametrize("classes", [["essay", "novel", "poetry"], [0, 1, 2]])
def test_classes_are_names_or_their_places(classes):
    assert GENRES.outputs(Fixed([[0.2, 0.3, 0.5]], classes), np.zeros((1, 4))).shape == (1, 3)


def test_an_estimator_of_another_package_gets_numbers_as_labels():
    labels = np.array(["poetry", "essay"])

    assert GENRES.encode(LogisticRegression(), labels) is labels
    assert GENRES.encode(Fixed([[1, 0, 0]]), labels).tolist() == [2, 0]


def test_served_are_the_class_and_its_probabilities():
    frame = GENRES.frame(np.array([[0.2, 0.5, 0.3]]), {})

    assert frame.to_dict("records") == [
        {
            "label": "novel",
            "probability_essay": 0.2,
            "probability_novel": 0.5,
            "probability_poetry": 0.3,
        }
    ]
    assert list(frame) == list(GENRES.columns())


def test_the_threshold_chosen_on_validation_decides_what_is_served():
    alarms = problem("classification", {"positive": "fails", "threshold": "f1"})
    alarms = alarms.on({"classes": ["fails", "runs"]})
    fails = np.array([0.4, 0.3, 0.1, 0.05])
    given = np.column_stack([fails, 1 - fails])
    target = np.array(["fails", "fails", "runs", "runs"])

    decision = alarms.decide(alarms.predictions(target, given, {}))

    assert decision == {"positive": "fails", "threshold": pytest.approx(0.2)}
    assert alarms.frame(given, decision)["label"].tolist() == target.tolist()
    again = alarms.predictions(target, given, {}, decision)
    assert again.predicted.tolist() == [0, 0, 1, 1]


def test_without_a_threshold_there_is_nothing_to_decide():
    assert GENRES.decide(GENRES.predictions(np.array(["novel"]), np.eye(3)[[1]], {})) == {}


def test_the_class_of_most_expected_points_is_predicted():
    # A missed illness costs ten times a false alarm.
    points = {"ill": {"ill": 10, "well": 0}, "well": {"ill": 0, "well": 1.0}}
    doctor = problem("classification", {"points": points}).on({"classes": ["ill", "well"]})
    ill = np.array([0.05, 0.09, 0.095, 0.5])
    given = np.column_stack([ill, 1 - ill])
    target = np.array(["well", "well", "ill", "ill"])

    decision = doctor.decide(doctor.predictions(target, given, {}))

    assert decision == {"points": [[10, 0], [0, 1]]}
    # 10 p > 1 - p from p = 1 / 11 on
    assert doctor.frame(given, decision)["label"].tolist() == target.tolist()
    assert doctor.predictions(target, given, {}, decision).predicted.tolist() == [1, 1, 0, 0]


def test_no_other_classes_have_more_expected_points():
    rng = np.random.default_rng(5)
    values, given = rng.random((3, 3)), rng.dirichlet(np.ones(3), 200)

    found = predict_classes(given, 0, None, tuple(map(tuple, values)))

    for row, chosen in zip(given, found, strict=True):
        expected = [sum(row[true] * values[true][code] for true in range(3)) for code in range(3)]
        assert expected[chosen] == max(expected)


def test_temperature_is_that_of_scikit_learn():
    X, y = make_classification(600, n_informative=6, n_classes=3, random_state=1)
    names = np.array(["a", "b", "c"])[y]
    overfitted = RandomForestClassifier(20, max_depth=8, random_state=0).fit(X[:200], names[:200])
    given = overfitted.predict_proba(X[200:])
    peer = CalibratedClassifierCV(FrozenEstimator(overfitted), method="temperature", cv=None)
    peer.fit(X[200:400], names[200:400])
    kind = problem("classification", {"calibrate": "temperature"}).on({"classes": list("abc")})

    decision = kind.decide(kind.predictions(names[200:400], given[:200], {}))

    found = kind.predictions(names[400:], given[200:], {}, decision)
    expected = peer.predict_proba(X[400:])
    np.testing.assert_allclose(found.probabilities, expected, atol=2e-3)
    columns = [f"probability_{label}" for label in "abc"]
    served = kind.frame(given[200:], decision)[columns].to_numpy()
    np.testing.assert_array_equal(served, found.probabilities)
    before = kind.predictions(names[400:], given[200:], {})
    assert log_loss.once(found) < log_loss.once(before)
    assert (found.predicted == before.predicted).all()


@pytest.mark.parametrize(
    ("decision", "message"),
    [
        ({"positive": 7, "threshold": 0.5}, "is no class with its threshold"),
        ({"positive": "novel", "threshold": "high"}, "is no class with its threshold"),
        ({"positive": "novel", "threshold": 0.5}, "is that of class 'novel', task.positive is"),
        ({"points": [[1.0, 0.0]]}, "has no number for each pair of classes"),
        ({"points": [[1.0, 0.0, "x"]] * 3}, "has no number for each pair of classes"),
        ({"temperature": 0.0}, "has no temperature above 0"),
        ({"temprature": 2.0}, "unknown key temprature"),
    ],
)
def test_a_decision_that_is_not_the_tasks_is_refused(decision, message):
    of_poetry = problem("classification", {"positive": "poetry"}).on(GENRES.target)

    with pytest.raises(UserError, match=message):
        of_poetry.predictions(np.array(["novel"]), np.eye(3)[[1]], {}, decision)


def test_a_label_that_no_model_was_trained_for_is_reported():
    with pytest.raises(UserError, match="label 'drama' is not one of the classes essay, novel"):
        GENRES.predictions(np.array(["novel", "drama"]), np.eye(3)[:2], {})


def some_probabilities(n, seed):
    """Return probabilities of three classes, and classes drawn from other, sharper ones."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(n, 3))
    claimed, true = (np.exp(times * scores) for times in (1, 2))
    claimed, true = (one / one.sum(1, keepdims=True) for one in (claimed, true))
    drawn = (true.cumsum(1) < rng.random((n, 1))).sum(1)
    return claimed, np.array(["a", "b", "c"])[np.minimum(drawn, 2)]


def test_sets_hold_the_class_of_the_promised_share():
    kind = problem("classification", {"coverage": 0.9}).on({"classes": ["a", "b", "c"]})
    held, sizes = [], []
    for seed in range(100):
        outputs, target = some_probabilities(300, seed)
        decision, _ = kind.decided(target[:100], outputs[:100], {})
        found = kind.predictions(target[100:], outputs[100:], {}, decision)
        held.append(kind.METRICS["coverage"].once(found))
        sizes.append(kind.METRICS["set_size"].once(found))

    margin = 3 * np.std(held) / 10
    assert 0.9 - margin < np.mean(held) < 0.9 + 1 / 101 + margin
    assert 1 < np.mean(sizes) < 2


def test_a_set_is_served_with_the_predicted_class_and_all_that_may_be_true():
    kind = problem("classification", {"coverage": 0.9}).on({"classes": ["a", "b", "c"]})
    outputs = np.array([[0.6, 0.3, 0.1], [0.3, 0.3, 0.4], [0.26, 0.5, 0.24]])

    frame = problem("classification").on(kind.target).frame(outputs, {"set_from": 0.25})
    strict = kind.frame(outputs, {"set_from": 0.9})

    assert frame["set"].tolist() == ["a | b", "a | b | c", "a | b"]
    assert strict["set"].tolist() == strict["label"].tolist() == ["a", "c", "b"]
    assert list(frame) == list(kind.columns())


def test_of_too_few_examples_a_set_holds_all_classes():
    kind = problem("classification", {"coverage": 0.9}).on({"classes": ["a", "b", "c"]})
    outputs, target = some_probabilities(8, 0)

    decision, found = kind.decided(target, outputs, {})

    assert decision == {"set_from": 0.0}
    assert found.sets.all()
    kind.check_decision(decision)
    with pytest.raises(UserError, match="has no probability for sets"):
        kind.check_decision({"set_from": 2.0})


def test_sets_of_rounds_keep_their_own_decisions():
    kind = problem("classification", {"coverage": 0.9}).on({"classes": ["a", "b", "c"]})
    outputs, target = some_probabilities(40, 0)
    parts = [kind.predictions(target, outputs, {}, {"set_from": one}) for one in (0.2, 0.5)]

    both = kind.concatenate(parts)

    np.testing.assert_array_equal(both.sets, np.concatenate([part.sets for part in parts]))
    np.testing.assert_array_equal(both.take(np.arange(40, 80)).sets, parts[1].sets)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"metrics": ("set_size",)}, "set_size is about sets of classes: set task.coverage"),
        ({"coverage": 90.0}, r"task\.coverage: 90\.0 is not between 0 and 1"),
    ],
)
def test_a_wrong_setting_of_sets_is_reported(settings, expected):
    with pytest.raises(UserError, match=expected):
        problem("classification", settings).on({"classes": ["a", "b"]})
