"""Checks: each fires where its fault is planted, and seldom where there is none."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import UserError
from pipeline.evaluation.checks import CHECKS, Evidence, check_muted, run_checks
from pipeline.evaluation.comparison import compare
from pipeline.evaluation.controls import compare_tests, fit_controls
from pipeline.evaluation.pairs import find_pair
from pipeline.evaluation.samples import Round
from pipeline.paths import ROOT
from pipeline.problems.classification import Classification
from pipeline.sources.examples import meta_of
from pipeline.sources.rounds import Rounds

KIND = Classification("roc_auc", ("roc_auc",), positive="yes").on({"classes": ["no", "yes"]})
FAMILIES = {"good": "classical", "other": "deep", "rule": "baseline"}


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def make_rounds(seed=0, n=400, folds=4):
    """Two columns that tell of the label together, and one that does not; every row is tested."""
    rng = np.random.default_rng(seed)
    x, y, noise = rng.normal(size=(3, n))
    label = np.where(rng.random(n) < sigmoid(2 * x + 2 * y), "yes", "no")
    # no number: the rows are in no order
    ids = ["".join(rng.choice(list("abcdefgh"), 12)) for _ in range(n)]
    columns = {"x": x, "y": y, "noise": noise, "label": label, "group": ids}
    examples = pd.DataFrame({"example_id": ids, **columns, "meta:stratum": label})
    number = np.arange(n) % (folds + 1)
    parts = {
        str(fold): np.where(
            np.arange(n) % folds == fold, "test", np.where(number == folds, "validation", "train")
        )
        for fold in range(folds)
    }
    return Rounds(examples, pd.DataFrame(parts).assign(final="train"))


def answer(part, model):
    """The true probabilities, those of a weaker model, or a constant."""
    p = {
        "good": sigmoid(2 * part["x"] + 2 * part["y"]),
        "other": sigmoid(2 * part["x"] + 2 * part["y"] + 0.2 * part["noise"]),
        "rule": pd.Series(0.5, part.index),
    }[model].to_numpy()
    outputs = np.column_stack([1 - p, p])
    return KIND.predictions(part["label"].to_numpy(), outputs, meta_of(part))


def weigh(rounds, answers=answer, seed=0):
    """Collect the evidence as the stage does."""
    names = rounds.scored
    of = {
        part: {m: [answers(rounds.part(name, part), m) for name in names] for m in FAMILIES}
        for part in ("train", "validation", "test")
    }
    validation = {
        m: {"rounds": [KIND.deciding.once(one) for one in ones], "low": np.nan, "high": np.nan}
        for m, ones in of["validation"].items()
    }
    compared = [
        Round(
            {m: [ones[number]] for m, ones in of["test"].items()},
            {m: one["rounds"][number] for m, one in validation.items()},
            0.5,
        )
        for number in range(len(names))
    ]
    settings = {"matters": 0.01, "seed": seed, "confidence": 0.95}
    comparison = compare(
        compared, KIND.deciding, [KIND.deciding], FAMILIES, resamples=300, **settings
    )
    pooled = {m: KIND.concatenate(ones) for m, ones in of["test"].items()}
    return Evidence(
        kind=KIND,
        rounds=rounds,
        repeat=names,
        families=FAMILIES,
        train={m: KIND.concatenate(ones) for m, ones in of["train"].items()},
        validation=validation,
        calibration={m: KIND.calibration(one, seed, 0.95) for m, one in pooled.items()},
        comparison=comparison,
        controls=compare_tests(
            {**fit_controls(KIND, rounds, names, seed), "good": of["test"]["good"]},
            KIND.deciding,
            share=0.5,
            **settings,
        ),
        take="good",
        share=0.5,
        tuned=[],
        edges={m: [] for m in FAMILIES},
        unread=dict.fromkeys(FAMILIES, 0.0),
        limited=dict.fromkeys(FAMILIES, 0),
        looks=1,
        **settings,
    )


@pytest.fixture(scope="module")
def clean():
    return weigh(make_rounds())


def codes(evidence, *mute):
    return [one["code"] for one in run_checks(evidence, mute)]


def only(evidence, code):
    (found,) = (one for one in run_checks(evidence, []) if one["code"] == code)
    return found


def test_nothing_fires_on_clean_data(clean):
    assert run_checks(clean, []) == []


def test_false_alarms_are_rare_over_seeds():
    found = [codes(weigh(make_rounds(seed), seed=seed)) for seed in range(1, 31)]
    alarms = [code for ones in found for code in set(ones)]
    # Each check may err in 5 % of cases: of 30, four or fewer with a chance of 98 %.
    assert {code: alarms.count(code) for code in alarms if alarms.count(code) > 4} == {}
    assert sum(bool(ones) for ones in found) <= 6


def test_every_finding_has_a_severity_a_sentence_and_advice(clean):
    rounds = clean.rounds
    copied = rounds.examples.copy()
    copied.loc[1, ["x", "y", "noise", "label"]] = copied.loc[0, ["x", "y", "noise", "label"]]
    faulty = replace(
        clean,
        rounds=rounds._replace(examples=copied),
        edges={"good": ["model.C 1000"]},
        looks=20,
    )
    found = run_checks(faulty, [])
    assert [one["code"] for one in found] == ["overlap", "looks", "edge_of_range"]
    for one in found:
        assert one["severity"] in ("note", "warning", "error")
        assert re.fullmatch(r"[A-Z0-9].*\.", one["sentence"])
        assert re.fullmatch(r"[A-Z].*\.", one["advice"])
    assert found[0]["models"] == []
    assert copied["example_id"][0] in found[0]["sentence"]
    assert "64%" in found[1]["sentence"]
    assert found[2]["models"] == ["good"]


def test_a_check_that_is_muted_is_not_run(clean):
    looked = replace(clean, looks=20)
    assert codes(looked) == ["looks"]
    assert codes(looked, "looks") == []
    check_muted(list(CHECKS))


def test_an_unknown_check_is_refused_with_the_nearest():
    with pytest.raises(UserError) as error:
        check_muted(["overlap", "worse_than_baselin"])
    assert str(error.value) == (
        "task.mute: there is no check 'worse_than_baselin'; did you mean 'worse_than_baseline'?"
    )


def test_a_column_that_equals_the_label_is_a_leak():
    rounds = make_rounds()
    known = rounds.examples.assign(known=(rounds.examples["label"] == "yes") + 0.0)

    def reads_it(part, model):
        if model == "rule":
            return answer(part, model)
        p = np.clip(part["known"].to_numpy(), 0.01, 0.99)
        outputs = np.column_stack([1 - p, p])
        return KIND.predictions(part["label"].to_numpy(), outputs, meta_of(part))

    found = only(weigh(rounds._replace(examples=known), reads_it), "leak")
    assert found["severity"] == "warning"
    assert found["sentence"].startswith("'known alone' has roc_auc 1.000 [")
    assert found["models"] == ["good"]


def test_an_order_that_tells_the_label_is_a_note():
    rounds = make_rounds()
    examples = rounds.examples.sort_values("x", ignore_index=True)
    numbered = examples.assign(example_id=[f"row-{i}" for i in range(len(examples))])
    found = only(weigh(rounds._replace(examples=numbered)), "leak")
    assert (found["severity"], found["models"]) == ("note", [])
    assert found["sentence"].startswith("The order of the rows alone has roc_auc 0.")


def test_models_that_are_not_better_than_the_baseline_are_named():
    def guesses(part, model):
        chance = part.assign(x=part["noise"], y=0.0)
        if model == "other":
            return answer(part.assign(x=-part["x"], y=-part["y"]), model)
        return answer(chance, model)

    found = [
        one
        for one in run_checks(weigh(make_rounds(), guesses), [])
        if one["code"] == "worse_than_baseline"
    ]
    assert [(one["severity"], one["models"]) for one in found] == [
        ("error", ["other"]),
        ("warning", ["good"]),
    ]
    assert re.search(
        r"other \(-0\.\d+ \[-0\.\d+, -0\.\d+\]\) is worse than rule", found[0]["sentence"]
    )
    assert found[1]["sentence"].endswith("]) cannot be told apart from rule.")


def test_of_too_few_examples_no_model_is_said_to_be_no_better_than_the_baseline():
    evidence = weigh(make_rounds(n=12, folds=2))
    pair = find_pair(evidence.comparison.pairs, "good", "rule")
    assert pair["difference"] > 0.3
    assert np.isnan(pair["low"])
    assert run_checks(evidence, []) == []


def test_a_model_that_knows_train_by_heart_loses_more_than_half():
    rounds = make_rounds()
    train = rounds.part("0", "train")
    truth = np.column_stack([train["label"] == "no", train["label"] == "yes"]).astype(float)
    by_heart = KIND.predictions(train["label"].to_numpy(), truth, meta_of(train))
    learnt = {m: answer(train, m) for m in FAMILIES} | {"other": by_heart}
    half_blind = weigh(rounds, lambda part, m: answer(part.assign(x=2 * part["noise"]), m))
    assert "train_far_better" not in codes(half_blind)
    found = only(replace(half_blind, train=learnt), "train_far_better")
    assert found["models"] == ["other"]
    assert "other (1.000 on train, 0." in found["sentence"]


def test_a_validation_that_promises_too_much_is_told(clean):
    validation = dict(clean.validation)
    kept = np.array(clean.comparison.scores.loc["other", "roc_auc_rounds"])
    validation["other"] = {
        **validation["other"],
        "rounds": kept + np.array([0.05, 0.06, 0.07, 0.06]),
    }
    found = only(replace(clean, validation=validation), "validation_far_better")
    assert found["models"] == ["other"]
    assert f"{kept.mean() + 0.06:.3f} on validation, {kept.mean():.3f} on test" in found["sentence"]


def test_texts_that_validation_shares_with_train_and_test_does_not_are_told(clean):
    rounds, rng = clean.rounds, np.random.default_rng(3)
    part = rounds.parts["0"]
    headlines = np.array([f"one headline of five words {number}" for number in range(40)])
    articles = [f"an article of at least five words {number}" for number in range(len(part))]
    chosen = np.where(
        part == "test", rng.integers(30, 40, len(part)), rng.integers(0, 30, len(part))
    )
    texts = rounds.examples.assign(headline=headlines[chosen], body=articles)
    one = rounds._replace(examples=texts, parts=rounds.parts[["0"]])

    found = only(replace(clean, rounds=one, repeat=["0"]), "validation_shares")

    assert found["sentence"] == (
        "100% of the distinct values of 'headline' in validation are also in train, "
        "but 0% of those in test."
    )
    everywhere = texts.assign(headline=headlines[rng.integers(0, 40, len(part))])
    assert "validation_shares" not in codes(
        replace(clean, rounds=one._replace(examples=everywhere), repeat=["0"])
    )


def test_of_one_round_validation_is_compared_by_both_intervals(clean):
    score = clean.comparison.scores.loc["good", "roc_auc"]
    for half, fires in ((0.01, True), (0.3, False)):
        of_model = {
            "rounds": [score + 0.08],
            "low": score + 0.08 - half,
            "high": score + 0.08 + half,
        }
        others = {"rounds": [0.5], "low": np.nan, "high": np.nan}
        validation = {"good": of_model, "other": others, "rule": others}
        evidence = replace(clean, validation=validation)
        assert ("validation_far_better" in codes(evidence)) == fires


def test_scores_without_an_interval_are_too_few(clean):
    scores = clean.comparison.scores.copy()
    scores.loc["good", ["roc_auc_low", "roc_auc_high"]] = np.nan
    found = only(replace(clean, comparison=clean.comparison._replace(scores=scores)), "too_few")
    counts = clean.rounds.examples["label"].value_counts()
    assert f"'{counts.idxmin()}' has {counts.min()}." in found["sentence"]
    assert found["models"] == ["good"]


def test_texts_that_are_cut_are_told_and_a_few_words_are_not(clean):
    found = only(replace(clean, unread={"good": 0.0, "other": 0.471, "rule": 0.009}), "unread")

    assert found["models"] == ["other"]
    assert found["severity"] == "note"
    assert found["sentence"].endswith("too long: other 47%.")


def test_trainings_that_the_time_limit_ended_are_told(clean):
    found = only(replace(clean, limited={"good": 0, "other": 3, "rule": 0}), "time_limit")

    assert (found["severity"], found["models"]) == ("warning", ["other"])
    assert found["sentence"].endswith("before they were done: other in 3 fits.")


def test_a_model_that_is_too_sure_is_not_calibrated():
    def sure(part, model):
        return answer(part.assign(x=4 * part["x"], y=4 * part["y"]), model)

    found = only(weigh(make_rounds(), sure), "calibration")
    assert set(found["models"]) == {"good", "other"}
    assert found["severity"] == "warning"
    assert re.search(
        r"good 0\.\d+ \[0\.\d+, 0\.\d+\], calibrated it would be 0\.0", found["sentence"]
    )


def test_drift_is_looked_for_where_the_test_was_not_drawn_at_random(clean):
    examples = clean.rounds.examples
    shifted = examples.assign(noise=examples["noise"] + 2)
    drawn = Rounds(examples, clean.rounds.parts[["0"]], shifted)
    assert "drift" not in codes(replace(clean, rounds=drawn, repeat=["0"]), "overlap")
    given = drawn._replace(test=shifted.drop(columns="meta:stratum"))
    found = only(replace(clean, rounds=given, repeat=["0"]), "drift")
    assert found["sentence"].startswith("Train and test differ in 'noise' (median ")


def test_models_that_know_nothing_are_no_trouble_to_any_check():
    evidence = weigh(make_rounds(), lambda part, model: answer(part, "rule"))
    (found,) = run_checks(evidence, [])
    assert (found["code"], found["models"]) == ("worse_than_baseline", ["good", "other"])
    alone = replace(
        evidence,
        families={"rule": "baseline"},
        comparison=evidence.comparison._replace(scores=evidence.comparison.scores.loc[["rule"]]),
        controls=evidence.controls._replace(
            scores=evidence.controls.scores.rename(index={"good": "rule"})
        ),
    )
    assert run_checks(alone, []) == []


def test_a_pair_is_found_from_either_side(clean):
    pair = {"difference": 0.1, "low": 0.05, "high": 0.3, "decision": "better"}
    pairs = pd.DataFrame([{"first": "a", "second": "b", **pair}])
    assert find_pair(pairs, "a", "b") == {"first": "a", "second": "b", **pair}
    opposite = {
        "first": "b",
        "second": "a",
        "difference": -0.1,
        "low": -0.3,
        "high": -0.05,
        "decision": "worse",
    }
    assert find_pair(pairs, "b", "a") == opposite
    assert find_pair(pairs, "a", "c") is None


def test_settings_that_other_rounds_tested_are_reported_and_those_of_one_round_are_not(clean):
    found = only(replace(clean, tuned=["good"]), "tuned_on_rounds")

    assert (found["models"], found["severity"]) == (["good"], "note")
    assert "The settings of good were chosen" in found["sentence"]
    alone = clean.rounds._replace(parts=clean.rounds.parts[clean.rounds.scored[:1]])
    assert "tuned_on_rounds" not in codes(
        replace(clean, tuned=["good"], rounds=alone, repeat=["0"])
    )


def test_the_comment_in_the_configuration_lists_every_check():
    text = (ROOT / "conf/task/base/common.yaml").read_text("utf-8")
    comment = text.partition("# checks that are not reported:")[2].partition("mute:")[0]
    assert set(re.findall(r"\w+", comment)) == set(CHECKS)
