"""Examples of none of the classes: never learned, held out by whole groups, and rejected."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta, binomtest
from sklearn.linear_model import LogisticRegression

from pipeline import experiment
from pipeline.config.schema import Split
from pipeline.errors import UserError
from pipeline.evaluation.comparison import interval
from pipeline.evaluation.controls import NOTHING, fit_controls
from pipeline.experiment import Examples
from pipeline.features.views import Features
from pipeline.problems import problem
from pipeline.problems.classification import ClassPredictions, acceptance, confusion
from pipeline.sources.rounds import FINAL
from pipeline.sources.split import make_plan, split

NOBODY = "nobody"
KIND = problem("classification", {"unknown": NOBODY})
METRICS = ["identification_rate", "false_acceptance_rate", "closed_accuracy", "log_loss"]
OPEN = problem(
    "classification", {"metric": METRICS[0], "metrics": METRICS, "false_acceptance": 0.01}
).on({"classes": ["a", "b", "c"], "unknown": NOBODY})


def examples(strangers=8, photos=5, known=20):
    """Make examples alone in their groups of three classes, and strangers with some photos each."""
    labels = [*"abc" * known, *[NOBODY] * strangers * photos]
    ids = [f"e{number}" for number in range(len(labels))]
    groups = ids[: 3 * known] + [f"s{person}" for person in range(strangers) for _ in range(photos)]
    return pd.DataFrame({"example_id": ids, "x": 1.0, "label": labels, "group": groups})


def rounds_of(table, **settings):
    return split(table, make_plan(Split(seed=0, **settings), table, False), KIND)


@pytest.mark.parametrize("settings", [{"folds": 2, "repeats": 3}, {"folds": 4}, {}])
def test_strangers_are_in_validation_and_other_ones_in_test_and_none_in_train(settings):
    rounds = rounds_of(examples(), **settings)

    for name in rounds.scored:
        parts = rounds.split(name)
        people = {part: {*rows["group"][rows["label"] == NOBODY]} for part, rows in parts.items()}
        assert not people["train"]
        assert people["validation"]
        assert people["test"]
        assert not people["validation"] & people["test"]
        assert len(people["validation"] | people["test"]) == 8


def test_every_stranger_is_tested_once_a_repeat_and_in_validation_of_the_kept_model():
    table = examples()
    rounds = rounds_of(table, folds=4, repeats=2)

    parts = rounds.parts[(table["label"] == NOBODY).to_numpy()]
    assert (parts[["0", "1", "2", "3"]] == "test").sum(axis=1).eq(1).all()
    assert (parts[["4", "5", "6", "7"]] == "test").sum(axis=1).eq(1).all()
    assert (parts[FINAL] == "validation").all()


def test_the_shares_of_the_classes_are_those_without_strangers():
    rounds = rounds_of(examples(), folds=4, validation=0.2)

    for name in rounds.scored:
        for part, count in {"train": 12, "validation": 3, "test": 5}.items():
            labels = rounds.part(name, part)["label"].value_counts()
            assert labels.drop(NOBODY, errors="ignore").to_dict() == dict.fromkeys("abc", count)


@pytest.mark.parametrize(
    ("table", "parts"),
    [
        (examples(strangers=0), ["task.unknown", "'nobody'", "give it some"]),
        (examples(strangers=1), ["'nobody'", "but not in"]),
    ],
    ids=["no stranger", "one stranger"],
)
def test_too_few_strangers_are_an_error(table, parts):
    with pytest.raises(UserError) as caught:
        rounds_of(table, folds=2)

    assert [part for part in parts if part not in str(caught.value)] == []


def test_the_target_names_the_classes_and_beside_them_the_label_of_none():
    target = KIND.describe(examples())

    assert target == {"classes": ["a", "b", "c"], "unknown": NOBODY}
    assert KIND.headline(examples()) == "3 classes and 'nobody'"
    # What serves knows of the label from the target alone.
    assert problem("classification").on(target).labels == ["a", "b", "c", NOBODY]


@pytest.mark.parametrize(
    ("settings", "target", "message"),
    [
        ({"metrics": ["identification_rate"]}, {}, "set task.unknown"),
        ({"coverage": 0.9}, {"unknown": NOBODY}, "task.unknown"),
        ({"false_acceptance": 1.0}, {"unknown": NOBODY}, "not between 0 and 1"),
        ({"false_acceptance": 0.01}, {}, r"task\.false_acceptance: .* set task\.unknown"),
        (
            {"metric": "log_loss", "metrics": ["log_loss"]},
            {"unknown": NOBODY},
            r"task\.false_acceptance: task\.unknown needs it: .* such as 0\.01",
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, target, message):
    with pytest.raises(UserError, match=message):
        problem("classification", settings).on({"classes": ["a", "b"], **target})


def test_another_kind_has_no_label_of_none():
    with pytest.raises(UserError, match=r"task\.unknown: regression does not take it"):
        problem("regression", {"unknown": NOBODY})


class Watched(LogisticRegression):
    """A classifier that remembers the labels that it was shown, which are numbers to it."""

    def fit(self, X, y, validation, report):
        self.shown_ = [(len(X), y.tolist()), (len(validation[0]), validation[1].tolist())]
        report(1, {"validation/log_loss": 1.0})
        return super().fit(X, y)


def features(labels, seed):
    """Make points of classes around corners, and of nobody between them."""
    corners = {"a": (0, 6), "b": (-6, -6), "c": (6, -6), NOBODY: (0, -2)}
    noise = np.random.default_rng(seed).normal(size=(len(labels), 2)) / 2
    return Features(np.array([corners[label] for label in labels]) + noise, np.array(labels), {})


def test_no_model_sees_a_stranger_but_the_decision_does():
    train, validation = features([*"abc" * 5], 0), features([*"abc" * 4, *[NOBODY] * 99], 1)

    fitted = experiment.run(
        Watched(), Examples(train, validation), OPEN, report=lambda step, losses: None
    )

    assert fitted.estimator.shown_ == [(15, [0, 1, 2] * 5), (12, [0, 1, 2] * 4)]
    found = experiment.scores(OPEN, fitted.predictions)
    assert found["identification_rate"] == found["closed_accuracy"] == 1
    assert found["false_acceptance_rate"] == 0
    # The final fit learns from what was held out, but not from strangers.
    both = experiment.join(Examples(train, validation))
    again = experiment.run(
        Watched(), Examples(both, validation), OPEN, report=lambda step, losses: None
    )
    assert again.estimator.shown_[0] == (27, [0, 1, 2] * 9)


def answers(highest, actual, n_classes=3):
    """Make predictions of class 0 with given probabilities."""
    highest = np.asarray(highest, float)
    others = np.repeat((1 - highest)[:, None] / (n_classes - 1), n_classes - 1, axis=1)
    probabilities = np.column_stack([highest, others])
    return ClassPredictions(np.asarray(actual), probabilities, 0, classes=(*"abc", NOBODY))


@pytest.mark.parametrize(
    ("share", "strangers", "accepted"),
    # so many of n may be above that one more is with a chance of at most the share
    [(0.01, 50, 0), (0.01, 99, 0), (0.01, 198, 0), (0.01, 199, 1), (0.05, 99, 4), (0.5, 9, 4)],
)
def test_as_few_strangers_of_validation_are_accepted_as_the_share_allows(
    share, strangers, accepted
):
    rng = np.random.default_rng(0)
    highest = rng.uniform(0.4, 1, strangers + 20)
    actual = np.repeat([3, 0], [strangers, 20])
    found = answers(highest, actual)

    above = acceptance(found, share)

    decided = dataclasses.replace(found, accept_above=above)
    assert (decided.predicted[:strangers] == 0).sum() == accepted
    assert OPEN.METRICS["false_acceptance_rate"].once(decided) == accepted / strangers


@pytest.mark.parametrize("strangers", [99, 150, 199])
def test_new_strangers_are_accepted_as_often_as_promised(strangers):
    rng = np.random.default_rng(1)
    rates = []
    for _ in range(4000):
        highest = rng.beta(5, 2, strangers) / 2 + 0.5
        # A uniform number below is how often a new one of this distribution is above.
        above = acceptance(answers(highest, np.full(strangers, 3)), 0.01)
        rates.append((above - 0.5) * 2)
    expected = (strangers + 1) // 100 / (strangers + 1)
    assert beta(5, 2).sf(rates).mean() == pytest.approx(expected, rel=0.06)
    assert expected <= 0.01


def test_scores_are_those_of_a_count_by_hand():
    #            own, accepted | own, rejected | other's, accepted | stranger: accepted, rejected
    highest = [0.9, 0.8, 0.5, 0.9, 0.9, 0.4]
    found = dataclasses.replace(answers(highest, [0, 0, 0, 1, 3, 3]), accept_above=0.5)

    assert found.predicted.tolist() == [0, 0, 3, 0, 0, 3]
    scores = {name: OPEN.METRICS[name].once(found) for name in METRICS[:3]}
    assert scores == {
        "identification_rate": 2 / 4,
        "false_acceptance_rate": 1 / 2,
        "closed_accuracy": 3 / 4,
    }
    assert OPEN.METRICS["accuracy"].once(found) == 3 / 6
    assert OPEN.METRICS["log_loss"].once(found) == pytest.approx(
        -np.log([0.9, 0.8, 0.5, 0.05]).mean()
    )
    np.testing.assert_array_equal(
        confusion(found), [[2, 0, 0, 1], [1, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 1]]
    )
    # An accepted stranger is off by what the model was sure of.
    np.testing.assert_allclose(OPEN.misses(found), [0, 0, 0.5, 0.95, 0.9, 0])


def test_what_is_served_is_what_was_scored():
    outputs = np.array([[0.9, 0.05, 0.05], [0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
    decision = {"accept_above": 0.5}

    served = OPEN.frame(outputs, decision)

    assert served["label"].tolist() == ["a", NOBODY, "c"]
    assert list(served) == ["label", "probability_a", "probability_b", "probability_c"]
    scored = OPEN.predictions(np.array(["a", NOBODY, "b"]), outputs, {}, decision)
    assert scored.predicted.tolist() == [0, 3, 2]
    assert scored.actual.tolist() == [0, 3, 1]


def test_rounds_keep_their_own_decisions_together():
    outputs, target = np.array([[0.6, 0.2, 0.2]]), np.array([NOBODY])
    parts = [OPEN.predictions(target, outputs, {}, {"accept_above": t}) for t in (0.5, 0.7)]

    assert OPEN.concatenate(parts).predicted.tolist() == [0, 3]


@pytest.mark.parametrize("above", ["0.5", 1.5, None])
def test_a_decision_that_was_changed_is_refused(above):
    with pytest.raises(UserError, match="accept above"):
        OPEN.check_decision({"accept_above": above})


def test_temperature_comes_before_acceptance():
    kind = dataclasses.replace(OPEN, calibrate="temperature")
    rng = np.random.default_rng(0)
    target = np.array([*"abc" * 40, *[NOBODY] * 99])
    outputs = rng.dirichlet([0.2] * 3, len(target))

    decision, found = kind.decided(target, outputs, {})

    assert decision["temperature"] > 1.5
    assert found.probabilities.max(1)[target == NOBODY].max() == decision["accept_above"]


def test_calibration_and_plots_are_of_examples_that_have_a_class():
    rng = np.random.default_rng(0)
    known = rng.dirichlet([1.0] * 3, 300)
    target = np.array(["abc"[rng.choice(3, p=row)] for row in known])
    found = OPEN.predictions(target, known, {}, {"accept_above": 0.7})
    more = np.concatenate([known, rng.dirichlet([0.1] * 3, 200)])
    labels = np.concatenate([target, [NOBODY] * 200])
    with_strangers = OPEN.predictions(labels, more, {}, {"accept_above": 0.7})

    assert OPEN.calibration(with_strangers, 0, 0.95) == OPEN.calibration(found, 0, 0.95)
    plots, alone = OPEN.plot_data(with_strangers), OPEN.plot_data(found)
    pd.testing.assert_frame_equal(plots["calibration"], alone["calibration"])
    assert plots["confusion"]["examples"].sum() == 500
    assert {*plots["confusion"]["actual"]} == {"a", "b", "c", NOBODY}
    OPEN.figure("title", with_strangers)


def test_knowing_nothing_recognises_nobody_at_this_rate():
    table = examples(known=40)
    (control,) = fit_controls(OPEN, rounds_of(table, folds=2), ["0"], seed=0)[NOTHING]

    assert OPEN.METRICS["identification_rate"].once(control) == 0
    assert OPEN.METRICS["closed_accuracy"].once(control) == pytest.approx(1 / 3, abs=0.02)


@pytest.mark.parametrize("right", [97, 100])
def test_the_interval_of_known_people_does_not_depend_on_strangers(right):
    highest = np.concatenate([np.full(100, 0.9), np.full(200, 0.4)])
    actual = np.repeat([0, 1, 3], [right, 100 - right, 200])
    of_person = [f"s{person}" for person in range(20) for _ in range(10)]
    meta = {"group": np.array([*map(str, range(100)), *of_person])}
    found = dataclasses.replace(answers(highest, actual), accept_above=0.5, meta=meta)

    ends = interval(found, OPEN.METRICS["closed_accuracy"], seed=0)

    wilson = binomtest(right, 100).proportion_ci(method="wilson")
    assert ends == pytest.approx((wilson.low, wilson.high), abs=1e-6)


def test_the_photos_of_a_stranger_count_as_few_where_they_are_alike():
    accepted = np.repeat([0.9, 0.4], [20, 180])
    groups = np.array([f"s{person}" for person in range(20) for _ in range(10)])
    found = dataclasses.replace(answers(accepted, np.full(200, 3)), accept_above=0.5)
    far = OPEN.METRICS["false_acceptance_rate"]

    alone = interval(found, far, seed=0)
    alike = interval(dataclasses.replace(found, meta={"group": groups}), far, seed=0)

    photos = binomtest(20, 200).proportion_ci(method="wilson")
    assert alone == pytest.approx((photos.low, photos.high), abs=1e-6)
    # As wide at least as if each of the twenty people were one photo.
    people = binomtest(2, 20).proportion_ci(method="wilson")
    assert alike[0] < people.low * 1.1
    assert alike[1] > people.high * 0.95
