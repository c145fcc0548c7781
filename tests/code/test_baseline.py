"""The rule that counts words."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import estimator_checks_generator

from pipeline.models.baseline import WordCountRule

KINDS = np.array(["poetry", "essay", "novel"])
WORDS = np.array([[10.0], [500.0], [5000.0]], dtype=np.float32)


@pytest.fixture
def rule():
    return WordCountRule().fit(WORDS, KINDS)


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (0, "poetry"),
        (99, "poetry"),
        (100, "essay"),
        (1000, "essay"),
        (1001, "novel"),
        (10**6, "novel"),
    ],
)
def test_an_essay_runs_from_100_to_1000_words(rule, words, kind):
    assert rule.predict(np.array([[words]], dtype=np.float32)).tolist() == [kind]


def test_the_borders_are_parameters():
    rule = WordCountRule(poetry_below=5, novel_above=6).fit(WORDS, KINDS)

    answers = rule.predict(np.array([[4.0], [5.0], [6.0], [7.0]]))

    assert answers.tolist() == ["poetry", "essay", "essay", "novel"]


def test_the_rule_knows_no_doubt(rule):
    assert rule.classes_.tolist() == ["essay", "novel", "poetry"]
    assert rule.predict_proba(WORDS).tolist() == [[0, 0, 1], [1, 0, 0], [0, 1, 0]]


def test_training_that_lacks_a_kind_is_refused():
    with pytest.raises(ValueError, match="poetry, essay and novel"):
        WordCountRule().fit(WORDS[[0, 2]], KINDS[[0, 2]])


def test_other_labels_are_refused_by_name():
    with pytest.raises(ValueError, match="not drama, essay, poetry"):
        WordCountRule().fit(WORDS, np.array(["poetry", "essay", "drama"]))


def test_more_than_one_column_is_refused():
    with pytest.raises(ValueError, match="one column, the number of words, not 2"):
        WordCountRule().fit(np.ones((3, 2)), KINDS)


def test_a_rule_that_is_not_fitted_is_an_error():
    with pytest.raises(NotFittedError):
        WordCountRule().predict(WORDS)


# The other checks fit on made-up columns and labels, which the rule refuses.
CLAIMED = {
    "check_classifiers_regression_target",
    "check_complex_data",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_sparse_matrix",
    "check_estimators_empty_data_messages",
    "check_estimators_unfitted",
    "check_fit1d",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_set_params",
    "check_supervised_y_no_nan",
    "check_valid_tag_types",
}


def test_the_rule_is_a_scikit_learn_classifier_as_far_as_it_claims():
    run = set()
    for estimator, check in estimator_checks_generator(WordCountRule()):
        if check.func.__name__ in CLAIMED:
            check(estimator)
            run.add(check.func.__name__)

    assert run == CLAIMED
