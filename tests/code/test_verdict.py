"""The verdict in words."""

import numpy as np
import pandas as pd
import pytest

from pipeline.evaluation.comparison import Comparison
from pipeline.evaluation.verdict import write_verdict

COSTS = {
    "logistic_regression": {"fit_seconds": 0.2, "predict_ms": 1.0, "model_bytes": 4e5},
    "lightgbm": {"fit_seconds": 0.1, "predict_ms": 9.0, "model_bytes": 5e5},
    "neural_net": {"fit_seconds": 9.0, "predict_ms": 3.0, "model_bytes": 1e5},
}
COLUMNS = ["first", "second", "difference", "low", "high", "decision"]
NOTHING = (np.nan, np.nan)


def compared(pairs, contenders, families=(), models=("lightgbm", "logistic_regression")):
    """A comparison of models in the given order, by their pairs."""
    behind = {models[0]: 0.0}
    behind |= {second: difference for _, second, difference, *_ in pairs}
    scores = pd.DataFrame({"behind": [behind.get(m, np.nan) for m in models]}, index=list(models))
    return Comparison(
        scores,
        pd.DataFrame(pairs, columns=COLUMNS),
        pd.DataFrame(list(families), columns=COLUMNS),
        list(contenders),
        pd.Series(dtype=float),
        500,
    )


CLOSE = ("lightgbm", "logistic_regression", -0.002, -0.011, 0.006, "cannot tell")


def test_the_cheapest_contender_is_taken_and_the_words_say_why():
    families = [("deep", "classical", -0.051, -0.063, -0.039, "worse")]
    found = write_verdict(
        compared([CLOSE], ["lightgbm", "logistic_regression"], families),
        COSTS,
        "predict",
        matters=0.001,
    )

    # The half width of 0.0085 has to shrink to 0.002: 500 * (4.25**2 - 1) = 8,531 more.
    assert found.take == "logistic_regression"
    assert found.contenders == ["lightgbm", "logistic_regression"]
    assert " ".join(found.sentences) == (
        "Take logistic_regression. It cannot be told apart from lightgbm (0.002 [-0.006, 0.011]) "
        "and predicts 9 times as fast. Classical models beat deep ones by 0.051 [0.039, 0.063]. "
        "About 8,500 more examples would separate lightgbm and logistic_regression."
    )


@pytest.mark.parametrize(
    ("cheapest", "take", "saves"),
    [
        ("fit", "lightgbm", "and fits 2 times as fast"),
        ("predict", "logistic_regression", "and predicts 9 times as fast"),
        ("size", "logistic_regression", "and is 1.2 times as small"),
    ],
)
def test_what_cheap_means_is_a_setting(cheapest, take, saves):
    found = write_verdict(
        compared([CLOSE], ["lightgbm", "logistic_regression"]), COSTS, cheapest, matters=0
    )

    assert found.take == take
    assert found.sentences[1].endswith(f"{saves}.")


def test_prices_that_are_unknown_or_equal_save_nothing():
    costs = {model: {"predict_ms": np.nan} for model in COSTS}
    comparison = compared([CLOSE], ["lightgbm", "logistic_regression"])

    found = write_verdict(comparison, costs, "predict", matters=0)

    assert found.take == "lightgbm"
    assert found.sentences[1] == (
        "It cannot be told apart from logistic_regression (-0.002 [-0.011, 0.006])."
    )


def test_several_contenders_are_named_with_what_is_known_of_each():
    models = ("lightgbm", "logistic_regression", "neural_net")
    pairs = [
        CLOSE,
        ("lightgbm", "neural_net", 0.004, -0.004, 0.012, "cannot tell"),
        ("logistic_regression", "neural_net", 0.001, -0.002, 0.004, "equivalent"),
    ]

    found = write_verdict(compared(pairs, models, (), models), COSTS, "predict", matters=0.005)

    assert found.sentences[1:3] == [
        "It is equivalent to neural_net (0.001 [-0.002, 0.004]) and cannot be told apart from "
        "lightgbm (0.002 [-0.006, 0.011]).",
        "It predicts 9 times as fast as lightgbm.",
    ]


@pytest.mark.parametrize(("matters", "take"), [(0.0599, "lightgbm"), (0.06, "neural_net")])
def test_a_low_price_makes_up_for_no_more_than_what_matters(matters, take):
    models = ("lightgbm", "neural_net")
    pairs = [("lightgbm", "neural_net", 0.06, -0.155, 0.275, "cannot tell")]

    found = write_verdict(compared(pairs, models, (), models), COSTS, "predict", matters=matters)

    assert found.take == take
    assert found.contenders == ["lightgbm", "neural_net"]
    told = "neural_net predicts 3 times as fast, and scores 0.060 worse." in found.sentences
    assert told == (take == "lightgbm")


def test_a_model_that_is_better_than_all_others_is_taken_at_any_price():
    pairs = [("lightgbm", "logistic_regression", 0.05, 0.03, 0.07, "better")]

    found = write_verdict(compared(pairs, ["lightgbm"]), COSTS, "predict", matters=0)

    assert found.take == "lightgbm"
    assert found.sentences == [
        "Take lightgbm.",
        "It is better than logistic_regression by 0.050 [0.030, 0.070].",
    ]


def test_one_model_alone_is_taken_as_such():
    found = write_verdict(compared([], ["lightgbm"], (), ["lightgbm"]), COSTS, "predict", matters=0)

    assert found.sentences == ["Take lightgbm.", "It is the only model that was compared."]


def test_models_without_a_score_are_no_rivals():
    found = write_verdict(compared([], ["lightgbm"]), COSTS, "predict", matters=0)

    assert found.sentences[1] == "It is the only model that has a score."


def test_nothing_is_taken_when_no_model_has_a_score():
    found = write_verdict(compared([], []), COSTS, "predict", matters=0)

    assert (found.take, found.contenders) == (None, [])
    assert found.sentences == ["Nothing can be said: no model has a score."]


def test_models_that_answer_the_same_are_equivalent():
    pairs = [("lightgbm", "logistic_regression", 0.0, 0.0, 0.0, "equivalent")]

    found = write_verdict(
        compared(pairs, ["lightgbm", "logistic_regression"]), COSTS, "predict", matters=0
    )

    assert found.sentences == [
        "Take logistic_regression.",
        "It is equivalent to lightgbm (0.000 [0.000, 0.000]) and predicts 9 times as fast.",
    ]


def test_too_few_examples_are_told_and_promise_nothing():
    pairs = [("lightgbm", "logistic_regression", 0.1, *NOTHING, "cannot tell")]
    families = [("classical", "deep", 0.1, *NOTHING, "cannot tell")]

    found = write_verdict(
        compared(pairs, ["lightgbm", "logistic_regression"], families),
        COSTS,
        "predict",
        matters=0.1,
    )

    assert found.sentences == [
        "Take logistic_regression.",
        "It cannot be told apart from lightgbm (-0.100, too few to tell) and predicts 9 times as "
        "fast.",
        "Classical models cannot be told apart from deep ones (0.100, too few to tell).",
    ]


def test_equivalent_families_are_said_to_be():
    families = [("classical", "deep", 0.001, -0.002, 0.004, "equivalent")]

    found = write_verdict(
        compared([CLOSE], ["lightgbm", "logistic_regression"], families),
        COSTS,
        "predict",
        matters=0,
    )

    assert found.sentences[2] == (
        "Classical models and deep ones are equivalent (0.001 [-0.002, 0.004])."
    )


def test_a_family_that_loses_with_another_model_than_the_recommended_one_is_explained():
    pair = ("neural_net", "lightgbm", 0.02, 0.01, 0.03, "better")
    families = [("classical", "deep", 0.05, 0.03, 0.07, "better")]
    of_models = {"neural_net": "deep", "lightgbm": "classical"}
    comparison = compared([pair], ["neural_net"], families, models=("neural_net", "lightgbm"))

    found = write_verdict(comparison, COSTS, "predict", matters=0.01, families=of_models)

    assert found.take == "neural_net"
    assert found.sentences[-1] == (
        "Classical models beat deep ones by 0.050 [0.030, 0.070], each family by its model that is "
        "best on validation."
    )


def test_a_difference_that_does_not_matter_needs_examples_to_show_that():
    """The half width of 0.0085 has to shrink to 0.01 - 0.004."""
    close = ("lightgbm", "logistic_regression", 0.004, -0.0045, 0.0125, "cannot tell")

    found = write_verdict(
        compared([close], ["lightgbm", "logistic_regression"]), COSTS, "predict", matters=0.01
    )

    assert found.sentences[-1] == (
        "About 500 more examples would show that lightgbm and logistic_regression are equivalent."
    )


def test_no_advice_to_have_thousands_of_times_the_examples():
    close = ("lightgbm", "logistic_regression", 0.0001, -0.01, 0.01, "cannot tell")

    found = write_verdict(
        compared([close], ["lightgbm", "logistic_regression"]), COSTS, "predict", matters=0
    )

    assert not any("examples" in sentence for sentence in found.sentences)


def test_an_ensemble_is_recommended_only_if_no_single_model_is_a_contender():
    families = {"lightgbm": "ensemble", "logistic_regression": "classical"}
    close = compared([CLOSE], ["lightgbm", "logistic_regression"])
    ahead = compared(
        [("lightgbm", "logistic_regression", 0.05, 0.03, 0.07, "better")], ["lightgbm"]
    )

    # It would be the better one of two that cost nothing.
    free = {model: {"predict_ms": 1.0} for model in families}
    found = [
        write_verdict(one, free, "predict", matters=0.01, families=families)
        for one in (close, ahead)
    ]

    assert [one.take for one in found] == ["logistic_regression", "lightgbm"]
    assert write_verdict(close, free, "predict", matters=0.01).take == "lightgbm"
