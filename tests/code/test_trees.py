"""Forests and boosting: what scikit-learn and LightGBM would fit, and what they report."""

import numpy as np
import pytest
from lightgbm import LGBMClassifier
from scipy import sparse
from sklearn.base import clone
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.metrics import log_loss

from pipeline.models.trees import (
    ExtraTrees,
    HistGradientBoosting,
    LightGBM,
    RandomForest,
    threads,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 5)).astype(np.float32)
# Noise on the border, so that boosting overfits soon.
NAMES = np.array(["essay", "novel", "poetry"])
Y = NAMES[np.digitize(X[:, 0] + RNG.normal(size=400), [-0.6, 0.6])]
TRAIN, VALIDATION = (X[:250], Y[:250]), (X[250:], Y[250:])


@pytest.mark.parametrize(
    ("n_jobs", "data", "expected"),
    [
        (-1, np.zeros((10, 9)), 1),
        (0, np.zeros((10, 9)), 1),
        (-1, np.zeros((10, 10)), -1),
        (-1, sparse.csr_matrix(np.eye(99)), 1),
        (-1, [[0.0] * 9] * 10, 1),
        (2, np.zeros((10, 9)), 2),
        (-2, np.zeros((10, 9)), -2),
        (None, np.zeros((10, 9)), None),
    ],
)
def test_few_data_are_fitted_by_one_thread_unless_a_number_is_set(n_jobs, data, expected):
    assert threads(n_jobs, (0, -1), data, 100) == expected


def test_a_fit_by_one_thread_leaves_the_setting_as_it_was():
    model = boosting(n_jobs=0).fit(*TRAIN, VALIDATION)

    assert model.booster_.params["num_threads"] == 1
    assert model.n_jobs == 0


@pytest.fixture
def reported():
    """Note what is reported."""
    return []


def forest(n_estimators=25, **options):
    return RandomForest(n_estimators, random_state=3, **options)


def boosting(**options):
    settings = {
        "n_estimators": 200,
        "learning_rate": 0.3,
        "early_stopping_round": 8,
        "n_jobs": 1,
        "deterministic": True,
        "force_row_wise": True,
        "verbose": -1,
        "random_state": 0,
    }
    return LightGBM(**settings | options)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(RandomForest, RandomForestClassifier), (ExtraTrees, ExtraTreesClassifier)],
    ids=["random", "extra"],
)
@pytest.mark.parametrize("n_estimators", [1, 3, 25, 40])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_a_forest_grown_in_steps_is_scikit_learns(ours, theirs, n_estimators, form, reported):
    found = ours(n_estimators, random_state=3).fit(
        form(TRAIN[0]), TRAIN[1], VALIDATION, lambda *step: reported.append(step)
    )

    expected = theirs(n_estimators, random_state=3).fit(form(TRAIN[0]), TRAIN[1])
    np.testing.assert_array_equal(
        found.predict_proba(VALIDATION[0]), expected.predict_proba(VALIDATION[0])
    )
    assert len(found.estimators_) == n_estimators


@pytest.mark.parametrize("class_weight", ["balanced", "balanced_subsample"])
def test_a_forest_with_class_weights_is_scikit_learns(class_weight, reported):
    found = forest(class_weight=class_weight).fit(
        *TRAIN, VALIDATION, lambda *step: reported.append(step)
    )

    expected = RandomForestClassifier(25, random_state=3, class_weight=class_weight).fit(*TRAIN)
    np.testing.assert_array_equal(
        found.predict_proba(VALIDATION[0]), expected.predict_proba(VALIDATION[0])
    )


def test_a_forest_that_is_fitted_again_is_grown_anew(reported):
    model = forest().fit(*TRAIN, VALIDATION, lambda *step: reported.append(step))
    model.fit(*VALIDATION, TRAIN, lambda *step: reported.append(step))

    expected = forest().fit(*VALIDATION)
    np.testing.assert_array_equal(model.predict_proba(TRAIN[0]), expected.predict_proba(TRAIN[0]))


@pytest.mark.parametrize(
    ("n_estimators", "steps"),
    [
        (100, [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]),
        (25, [2, 5, 7, 10, 12, 15, 17, 20, 22, 25]),
        (3, [1, 2, 3]),
        (1, [1]),
    ],
)
def test_a_forest_reports_each_tenth(n_estimators, steps, reported):
    forest(n_estimators).fit(*TRAIN, VALIDATION, lambda *step: reported.append(step))

    assert [trees for trees, _ in reported] == steps


def test_a_forest_reports_the_log_loss_on_validation(reported):
    model = forest().fit(*TRAIN, VALIDATION, lambda *step: reported.append(step))

    loss = log_loss(VALIDATION[1], model.predict_proba(VALIDATION[0]))
    assert reported[-1][1] == {"validation/log_loss": pytest.approx(loss)}


def test_a_forest_leaves_its_parameters_as_they_were(reported):
    model = forest(n_jobs=1, min_samples_leaf=2)
    before = model.get_params()

    model.fit(*TRAIN, VALIDATION, lambda *step: reported.append(step))

    assert model.get_params() == before


def test_a_forest_leaves_its_parameters_when_the_report_raises():
    model = forest()
    before = model.get_params()

    def stop(*step):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.fit(*TRAIN, VALIDATION, stop)

    assert model.get_params() == before


def test_a_forest_is_the_same_with_any_number_of_threads():
    one, two = (forest(n_jobs=n).fit(*TRAIN).predict_proba(VALIDATION[0]) for n in (1, 2))

    np.testing.assert_array_equal(one, two)


def test_boosting_stops_at_the_lowest_loss_on_validation(reported):
    model = boosting().fit(*TRAIN, VALIDATION, lambda *step: reported.append(step))

    losses = [point["validation/log_loss"] for _, point in reported]
    assert model.best_iteration_ < model.n_estimators
    assert model.best_iteration_ == np.argmin(losses) + 1
    assert len(losses) == model.best_iteration_ + 8
    # What it answers with is the best round, not the last one.
    assert log_loss(VALIDATION[1], model.predict_proba(VALIDATION[0])) == pytest.approx(min(losses))


def test_boosting_tells_every_round_with_both_losses(reported):
    model = boosting(n_estimators=4).fit(*TRAIN, VALIDATION, lambda *step: reported.append(step))

    assert [step for step, _ in reported] == [1, 2, 3, 4]
    assert reported[-1][1] == pytest.approx(
        {
            "train/log_loss": log_loss(TRAIN[1], model.booster_.predict(TRAIN[0])),
            "validation/log_loss": log_loss(VALIDATION[1], model.booster_.predict(VALIDATION[0])),
        }
    )


def test_boosting_does_not_stop_on_the_loss_on_train():
    # Validation is train's inverse: the first round is the best one there is.
    against = (TRAIN[0], NAMES[::-1][np.searchsorted(NAMES, TRAIN[1])])

    model = boosting().fit(*TRAIN, against)

    assert model.best_iteration_ == 1


def test_boosting_without_validation_runs_all_rounds_of_lightgbm():
    found = boosting(n_estimators=15).fit(*TRAIN)

    options = {k: v for k, v in found.get_params().items() if k != "early_stopping_round"}
    expected = LGBMClassifier(**options).fit(*TRAIN)
    np.testing.assert_array_equal(
        found.predict_proba(VALIDATION[0]), expected.predict_proba(VALIDATION[0])
    )


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_boosting_answers_in_labels(form):
    model = boosting(n_estimators=10).fit(
        form(TRAIN[0]), TRAIN[1], (form(VALIDATION[0]), VALIDATION[1])
    )

    assert model.classes_.tolist() == ["essay", "novel", "poetry"]
    answers = model.predict(form(VALIDATION[0]))
    assert set(answers) <= set(NAMES)
    assert (answers == VALIDATION[1]).mean() > 0.5


@pytest.mark.parametrize("classes", [2, 3])
def test_boosting_is_the_same_with_one_and_two_threads(classes):
    y = Y if classes == 3 else np.where(Y == "novel", "novel", "other")

    one, two = (boosting(n_jobs=n).fit(TRAIN[0], y[:250], (VALIDATION[0], y[250:])) for n in (1, 2))

    np.testing.assert_array_equal(
        one.predict_proba(VALIDATION[0]), two.predict_proba(VALIDATION[0])
    )


def test_boosting_keeps_its_parameters_through_clone():
    model = boosting(num_leaves=7, path_smooth=0.5)

    again = clone(model)

    assert again.get_params() == model.get_params()
    assert again.get_params()["early_stopping_round"] == 8
    # A parameter of the library that LGBMClassifier does not name.
    assert again.get_params()["path_smooth"] == 0.5


def test_boosting_takes_early_stopping_from_set_params(reported):
    model = boosting().set_params(early_stopping_round=2)

    model.fit(*TRAIN, VALIDATION, lambda *step: reported.append(step))

    assert len(reported) == model.best_iteration_ + 2


def test_boosting_without_validation_keeps_its_early_stopping_for_the_next_fit():
    model = boosting(n_estimators=5).fit(*TRAIN)

    assert model.get_params()["early_stopping_round"] == 8


def test_boosting_without_early_stopping_runs_all_rounds_with_validation(reported):
    model = boosting(n_estimators=40, early_stopping_round=None)

    model.fit(*TRAIN, VALIDATION, lambda *step: reported.append(step))

    assert len(reported) == 40


@pytest.mark.parametrize(
    "options",
    [
        {"num_leaves": 1},
        {"learning_rate": 0},
        {"colsample_bytree": 1.5},
        {"subsample": 0},
        {"n_estimators": 0},
        {"reg_lambda": -1},
        {"min_child_samples": "ten"},
    ],
    ids=lambda options: next(iter(options)),
)
def test_boosting_names_a_setting_that_it_refuses_and_writes_nothing(options, capfd):
    with pytest.raises((ValueError, TypeError), match=next(iter(options))):
        boosting(**options).fit(*TRAIN, VALIDATION)

    heard = capfd.readouterr()
    assert heard.out + heard.err == ""


@pytest.mark.parametrize("n_estimators", [0, -3, "ten"])
def test_a_forest_names_a_number_of_trees_that_it_refuses(n_estimators, reported):
    with pytest.raises((ValueError, TypeError), match="n_estimators"):
        forest(n_estimators).fit(*TRAIN, VALIDATION, lambda *step: reported.append(step))

    assert reported == []


def histogram(**options):
    settings = {"max_iter": 100, "learning_rate": 0.3, "early_stopping": True}
    return HistGradientBoosting(**settings | {"n_iter_no_change": 8, "random_state": 0} | options)


def test_histogram_boosting_is_scikit_learns_with_the_given_validation(reported):
    found = histogram().fit(*TRAIN, VALIDATION, lambda *step: reported.append(step))

    expected = HistGradientBoostingClassifier(
        max_iter=100, learning_rate=0.3, early_stopping=True, n_iter_no_change=8, random_state=0
    ).fit(*TRAIN, X_val=VALIDATION[0], y_val=VALIDATION[1])
    np.testing.assert_array_equal(
        found.predict_proba(VALIDATION[0]), expected.predict_proba(VALIDATION[0])
    )
    assert found.predict(VALIDATION[0]).tolist() == expected.predict(VALIDATION[0]).tolist()
    assert [step for step, _ in reported] == [*range(1, found.n_iter_ + 1)]
    assert found.n_iter_ < 100


@pytest.mark.parametrize("classes", [2, 3])
def test_histogram_boosting_reports_the_log_losses_of_its_rounds(classes, reported):
    y = Y if classes == 3 else np.where(Y == "novel", "novel", "other")
    model = histogram(max_iter=5).fit(
        X[:250], y[:250], (X[250:], y[250:]), lambda *step: reported.append(step)
    )

    assert reported[-1][1] == pytest.approx(
        {
            "train/log_loss": log_loss(y[:250], model.predict_proba(X[:250])),
            "validation/log_loss": log_loss(y[250:], model.predict_proba(X[250:])),
        }
    )


def test_histogram_boosting_without_validation_runs_all_rounds():
    model = histogram(max_iter=30).fit(*TRAIN)

    assert model.n_iter_ == 30
    assert model.get_params()["early_stopping"] is True


def test_histogram_boosting_reads_the_components_of_sparse_features():
    many = sparse.random(300, 200, density=0.05, random_state=1, format="csr", dtype=np.float32)
    y = np.where(np.asarray(many.sum(1)).ravel() > 5, "long", "short")

    model = histogram(max_iter=5).fit(many[:200], y[:200], (many[200:], y[200:]))

    svd = TruncatedSVD(64, random_state=0).fit(many[:200])
    expected = HistGradientBoostingClassifier(
        max_iter=5, learning_rate=0.3, early_stopping=True, n_iter_no_change=8, random_state=0
    ).fit(svd.transform(many[:200]), y[:200], X_val=svd.transform(many[200:]), y_val=y[200:])
    np.testing.assert_array_equal(
        model.predict_proba(many), expected.predict_proba(svd.transform(many))
    )
