"""The comparison of models: scores, pairs, families and contenders, against known answers."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kurtosis, norm, t
from sklearn.metrics import accuracy_score, log_loss

from pipeline.evaluation import comparison
from pipeline.evaluation.comparison import Round, compare, interval
from pipeline.evaluation.draws import draw, units_of
from pipeline.problems import Metric
from pipeline.problems.classification import Classification, ClassPredictions

METRICS = Classification.METRICS
Z = norm.ppf(0.975)


def answers(right, *, actual=None, **meta):
    """Predict two classes with certainty; `right` says which examples are right."""
    right = np.asarray(right, bool)
    actual = np.arange(len(right)) % 2 if actual is None else actual
    predicted = np.where(right, actual, 1 - actual)
    meta = {"group": np.arange(len(right)), **meta}
    return ClassPredictions(actual, np.eye(2)[predicted], 1, meta=meta)


def some(skill, seed, n=120):
    """Predict three classes; the more skill, the higher the right one."""
    rng = np.random.default_rng(seed)
    actual = np.arange(n) % 3
    probabilities = rng.dirichlet(np.ones(3), n)
    probabilities[np.arange(n), actual] += skill
    probabilities /= probabilities.sum(1, keepdims=True)
    return ClassPredictions(actual, probabilities, 0, meta={"group": np.arange(n)})


def one_round(predictions, deciding="accuracy", metrics=None, families=None, **settings):
    found = {name: [one] for name, one in predictions.items()}
    families = families or dict.fromkeys(found, "classical")
    validation = settings.pop("validation", dict.fromkeys(found, 0.5))
    chosen = [METRICS[name] for name in metrics or [deciding]]
    settings = {"matters": 0.01, "seed": 0, "resamples": 500, **settings}
    rounds = [Round(found, validation, 0.25)]
    return compare(rounds, METRICS[deciding], chosen, families, **settings)


def wilson(right, n, times=Z):
    """Wilson's interval by its closed form."""
    middle = (right + times**2 / 2) / (n + times**2)
    width = times / (n + times**2) * np.sqrt(right * (n - right) / n + times**2 / 4)
    return middle - width, middle + width


def test_scores_are_those_of_all_examples_and_the_best_is_first():
    models = {"poor": some(0.1, 2), "good": some(1.0, 1)}

    found = one_round(models, "log_loss", ["log_loss", "accuracy"]).scores

    assert found.index.tolist() == ["good", "poor"]
    for name, model in models.items():
        expected = log_loss(model.actual, model.probabilities)
        assert found.loc[name, "log_loss"] == pytest.approx(expected)
        expected = accuracy_score(model.actual, model.predicted)
        assert found.loc[name, "accuracy"] == pytest.approx(expected)
    assert found.loc["good", ["behind", "behind_low", "behind_high"]].tolist() == [0, 0, 0]
    behind = found.loc["poor", "log_loss"] - found.loc["good", "log_loss"]
    assert found.loc["poor", "behind"] == pytest.approx(behind)
    assert found.loc["poor", "behind_low"] < behind < found.loc["poor", "behind_high"]


def test_share_of_independent_examples_has_the_interval_of_wilson():
    right = np.arange(100) < 80

    row = one_round({"m": answers(right)}).scores.loc["m"]

    assert (row["accuracy_low"], row["accuracy_high"]) == pytest.approx(wilson(80, 100))


@pytest.mark.parametrize("name", ["accuracy", "roc_auc", "recall"])
def test_no_perfect_score_is_certain(name):
    row = one_round({"m": answers(np.ones(40))}, name).scores.loc["m"]

    assert (row[name], row[f"{name}_high"]) == (1, 1)
    assert 0.7 < row[f"{name}_low"] < 0.96


def test_perfect_score_in_a_metric_without_known_variance_has_no_interval():
    row = one_round({"m": answers(np.ones(200))}, "f1_macro").scores.loc["m"]

    assert row[["f1_macro_low", "f1_macro_high"]].isna().all()
    assert row["f1_macro_why"] == "too few to tell"


def test_class_without_a_right_answer_may_still_be_predicted_well_elsewhere():
    """Of 20 that are missed a share of 4 / 24 can be right, which is an F1 of 8 / 28."""
    actual = (np.arange(100) < 20).astype(int)
    never = answers(actual == 0, actual=actual, stratum=actual)

    row = one_round({"m": never}, "f1", ["f1", "f1_macro"]).scores.loc["m"]

    assert row["f1"] == row["f1_low"] == 0
    assert row["f1_high"] == pytest.approx(Z * 4 / 28)
    assert row["f1_macro"] < row["f1_macro_high"] < row["f1_macro"] + Z * 2 / 28 + 0.01


def test_few_examples_of_a_class_give_no_interval():
    actual = (np.arange(100) < 3).astype(int)
    model = answers(np.arange(100) % 7 > 0, actual=actual, stratum=actual)

    found = one_round({"m": model, "n": some_wrong(model)}, "f1_macro", ["f1_macro", "accuracy"])

    assert found.scores.loc["m", "f1_macro_why"] == "too few to tell"
    assert found.scores.loc["m", "accuracy_why"] == ""
    assert found.pairs["decision"].tolist() == ["cannot tell"]
    assert found.pairs[["low", "high"]].isna().all(axis=None)


def some_wrong(model):
    right = np.arange(len(model)) % 5 > 0
    return answers(right, actual=model.actual, **model.meta)


def test_dependent_examples_widen_the_interval():
    """Of 40 groups each is all right or all wrong: 400 examples tell as much as 40."""
    groups = np.repeat(np.arange(40), 10)
    model = answers(groups < 32, actual=np.zeros(400, int), group=groups)
    excess = kurtosis(np.arange(40) < 32, bias=False)
    times = t.ppf(0.975, 39 * min(1, 2 / (2 + excess)))

    row = one_round({"m": model}, resamples=20_000).scores.loc["m"]

    # The variance of the draws is that of a mean of 40 with the divisor 39.
    expected = wilson(32, 40, times * np.sqrt(40 / 39))
    assert (row["accuracy_low"], row["accuracy_high"]) == pytest.approx(expected, abs=0.004)


def test_difference_has_the_standard_error_of_paired_examples():
    rng = np.random.default_rng(3)
    one, other = rng.random((2, 1000)) < [[0.8], [0.7]]
    models = {"one": answers(one), "other": answers(other)}

    pair = one_round(models, resamples=20_000).pairs.iloc[0]

    difference = one.astype(int) - other
    error = difference.std(ddof=1) / np.sqrt(1000)
    assert (pair["first"], pair["second"], pair["decision"]) == ("one", "other", "better")
    assert pair["difference"] == pytest.approx(difference.mean())
    assert (pair["high"] - pair["low"]) / 2 == pytest.approx(Z * error, rel=0.03)


def test_intervals_of_many_pairs_are_wider_together():
    models = {f"m{seed}": some(0.5, seed) for seed in range(6)}
    alone = one_round({name: models[name] for name in ("m0", "m1")}, "log_loss").pairs
    pairs = one_round(models, "log_loss").pairs
    both = pairs[pairs["first"].isin(["m0", "m1"]) & pairs["second"].isin(["m0", "m1"])]

    assert len(pairs) == 15
    assert abs(both["difference"].item()) == pytest.approx(abs(alone["difference"].item()))
    widths = [(of["high"] - of["low"]).item() for of in (both, alone)]
    assert widths[0] > 1.2 * widths[1]


def test_models_that_predict_the_same_are_equivalent():
    same = some(0.3, 5)

    found = one_round({"one": same, "other": same, "more": same}, matters=0)

    assert set(found.pairs["decision"]) == {"equivalent"}
    assert (found.pairs[["difference", "low", "high"]] == 0).all(axis=None)
    assert found.contenders == ["more", "one", "other"]
    np.testing.assert_allclose(found.probability_best, 1 / 3)


def test_different_answers_that_are_right_alike_do_not_show_equality():
    one = some(5.0, 1)
    other = some(5.0, 2)

    pair = one_round({"one": one, "other": other}).pairs.iloc[0]

    assert pair["difference"] == 0
    assert (pair["decision"], np.isnan(pair["low"])) == ("cannot tell", True)


def test_small_differences_are_equivalent_if_they_do_not_matter():
    right = np.arange(5000) % 10 > 0
    other = right.copy()
    other[:8] = ~other[:8]
    models = {"one": answers(right), "other": answers(other)}

    decisions = [one_round(models, matters=m).pairs["decision"].item() for m in (0, 0.01)]

    assert decisions == ["cannot tell", "equivalent"]


def test_the_contenders_are_those_that_nothing_is_better_than():
    models = {"a": some(2.0, 1), "b": some(2.0, 2), "c": some(0.2, 3), "d": some(0.1, 4)}

    found = one_round(models, "log_loss")

    assert sorted(found.contenders) == ["a", "b"]
    assert found.contenders[0] == found.scores.index[0]
    assert found.probability_best.sum() == pytest.approx(1)
    assert found.probability_best[["c", "d"]].max() < 0.001


def test_contenders_hold_the_confidence_set_of_arch():
    """Hansen, Lunde and Nason (2011) eliminate in steps, and so keep no more than here."""
    bootstrap = pytest.importorskip("arch.bootstrap")
    rng = np.random.default_rng(0)
    shared = rng.normal(size=400)
    errors = {
        name: np.abs(shared + rng.normal(size=400)) + extra
        for name, extra in {"a": 0, "b": 0.02, "c": 0.03, "d": 0.3, "e": 0.5}.items()
    }
    loss = Metric(lambda p, w: w @ p.probabilities[:, 0] / w.sum(1), "loss", False)
    models = {
        name: [ClassPredictions(np.arange(400) % 2, of[:, None], 0)] for name, of in errors.items()
    }
    confidence_set = bootstrap.MCS(
        pd.DataFrame(errors), size=0.05, reps=2000, block_size=1, bootstrap="circular", seed=0
    )
    confidence_set.compute()

    found = compare(
        [Round(models, {}, 0)],
        loss,
        [loss],
        dict.fromkeys(models, "baseline"),
        matters=0,
        seed=0,
    )

    assert set(confidence_set.included) == {"a", "b", "c"}
    assert set(found.contenders) == {"a", "b", "c"}


def test_a_family_is_represented_by_its_best_on_validation():
    skills = {"one": 1.0, "two": 0.1, "net": 0.4, "base": 3.0, "all": 4.0}
    models = {name: some(skill, seed) for seed, (name, skill) in enumerate(skills.items())}
    families = dict(
        zip(models, ["classical", "classical", "deep", "baseline", "ensemble"], strict=True)
    )
    # "two" is best on validation, although "one" is better on test.
    validation = {"one": 0.5, "two": 0.6, "net": 0.1, "base": 0.9, "all": 0.9}

    found = one_round(models, families=families, validation=validation)

    pair = found.families.to_dict("records")[0]
    assert len(found.families) == 1
    assert (pair["first"], pair["second"]) == ("classical", "deep")
    accuracy = found.scores["accuracy"]
    assert pair["difference"] == pytest.approx(accuracy["two"] - accuracy["net"])


def test_each_round_has_its_own_representative_of_a_family():
    parts = [{name: some(1.0, seed + 10 * r) for seed, name in enumerate("ab")} for r in (0, 1)]
    networks = [some(0.5, seed) for seed in (30, 31)]
    rounds = [
        Round({"a": [of["a"]], "b": [of["b"]], "n": [net]}, validation, 0.25)
        for of, net, validation in zip(
            parts, networks, [{"a": 1, "b": 0, "n": 0}, {"a": 0, "b": 1, "n": 0}], strict=True
        )
    ]
    metric = METRICS["accuracy"]
    families = {"a": "classical", "b": "classical", "n": "deep"}

    found = compare(rounds, metric, [metric], families, matters=0, seed=0, resamples=200)

    expected = np.mean([metric.once(parts[0]["a"]), metric.once(parts[1]["b"])])
    expected -= np.mean([metric.once(net) for net in networks])
    assert found.families["difference"].item() == pytest.approx(expected)


def folds(right, n_folds, share, seeds=1):
    parts = np.array_split(np.arange(len(right)), n_folds)
    return [
        Round({"m": [answers(right[part], group=part)] * seeds}, {"m": 0.5}, share)
        for part in parts
    ]


def test_rounds_are_averaged_and_their_overlap_is_paid_for():
    """Nadeau and Bengio: 5 folds of n examples are worth n / (1 + 5 / 4)."""
    right = np.arange(200) % 5 > 0

    found = compare(
        folds(right, 5, 0.25),
        METRICS["accuracy"],
        [METRICS["accuracy"]],
        {"m": "classical"},
        matters=0,
        seed=0,
        resamples=200,
    )

    row = found.scores.loc["m"]
    expected = wilson(160, 200, Z * np.sqrt(1 + 5 / 4))
    assert (row["accuracy_low"], row["accuracy_high"]) == pytest.approx(expected)
    assert row["accuracy_rounds"] == pytest.approx([0.8] * 5)
    assert row["accuracy_sd"] == pytest.approx(0, abs=1e-12)
    assert found.examples == 200


def test_repeated_examples_are_no_more_examples():
    right = np.arange(200) % 5 > 0
    metric = METRICS["accuracy"]

    once, thrice = (
        compare(
            folds(right, 5, 0.25) * times,
            metric,
            [metric],
            {"m": "classical"},
            matters=0,
            seed=0,
            resamples=200,
        )
        for times in (1, 3)
    )

    for end in ("accuracy", "accuracy_low", "accuracy_high"):
        assert thrice.scores.loc["m", end] == pytest.approx(once.scores.loc["m", end])
    assert thrice.examples == 200


def test_rounds_in_which_a_score_is_not_defined_are_left_out():
    """The last round has no example of the class that recall is about."""
    names = np.arange(90).reshape(3, 30)
    actual = [np.arange(30) % 2, np.arange(30) % 2, np.zeros(30, int)]
    models = {
        model: [
            answers(np.arange(30) % every > 0, actual=of, group=group)
            for of, group in zip(actual, names, strict=True)
        ]
        for model, every in {"one": 3, "other": 7}.items()
    }
    rounds = [Round({m: [of[r]] for m, of in models.items()}, {}, 0.5) for r in range(3)]
    metric = METRICS["recall"]

    found = compare(rounds, metric, [metric], dict.fromkeys(models, "baseline"), matters=0, seed=0)

    for model, of in models.items():
        expected = np.mean([metric.once(one) for one in of[:2]])
        row = found.scores.loc[model]
        assert row["recall"] == pytest.approx(expected)
        assert 0 < row["recall_low"] < expected < row["recall_high"] <= 1
    assert found.pairs["low"].notna().all()


def test_training_seeds_widen_the_interval_of_a_difference():
    rng = np.random.default_rng(0)
    right = rng.random(2000) < 0.8
    steady = answers(right)
    moods = []
    for shift in (-60, 0, 60):
        changed = right.copy()
        changed[rng.choice(np.flatnonzero(right), 60 + shift, replace=False)] = False
        moods.append(answers(changed))
    metric = METRICS["accuracy"]

    def width(of):
        rounds = [Round({"steady": [steady] * len(of), "moody": of}, {}, 0.25)]
        families = dict.fromkeys(["steady", "moody"], "baseline")
        pair = compare(rounds, metric, [metric], families, matters=0, seed=0).pairs.iloc[0]
        return (pair["high"] - pair["low"]) / 2

    scores = [metric.once(one) for one in moods]
    training = np.std(scores, ddof=1) / np.sqrt(3)
    assert width(moods) > 2 * training
    assert width(moods) > 3 * width([moods[1]] * 3)


def test_scores_of_seeds_are_averaged():
    models = [some(skill, seed) for seed, skill in enumerate([0.2, 0.6, 1.0])]
    metric = METRICS["log_loss"]

    found = compare(
        [Round({"m": models}, {"m": 0.0}, 0.25)],
        metric,
        [metric],
        {"m": "deep"},
        matters=0,
        seed=0,
        resamples=100,
    )

    assert found.scores.loc["m", "log_loss"] == pytest.approx(np.mean([*map(metric.once, models)]))
    assert found.pairs.empty
    assert found.contenders == ["m"]


def test_draws_without_a_class_are_counted():
    """Of 3 groups 2 are drawn; a draw lacks the only positive one with chance (2/3)**2."""
    actual = np.array([1, 0, 0, 0, 0, 0])
    model = answers(np.ones(6), actual=actual, group=np.array(list("aabbcc")))

    row = one_round({"m": model}, "recall", resamples=4000).scores.loc["m"]

    assert row["recall_undefined"] == pytest.approx(4 / 9, abs=0.03)


def test_models_for_which_the_metric_is_not_defined_come_last_and_contend_for_nothing():
    defined = {"low": 0.2, "none": np.nan, "high": 0.9, "nor": np.nan}
    models = {
        name: [ClassPredictions(np.arange(40) % 2, np.full((40, 1), score), 0)]
        for name, score in defined.items()
    }
    share = Metric(lambda p, w: w @ p.probabilities[:, 0] / w.sum(1), "share")

    found = compare(
        [Round(models, dict.fromkeys(models, 0.5), 0)],
        share,
        [share],
        dict.fromkeys(models, "classical"),
        matters=0,
        seed=0,
        resamples=20,
    )

    assert found.scores.index.tolist() == ["high", "low", "none", "nor"]
    assert found.scores["behind"].tolist()[:2] == pytest.approx([0, 0.7])
    assert found.scores.loc[["none", "nor"], ["behind", "behind_low"]].isna().all(axis=None)
    assert found.contenders == ["high", "low"]
    assert found.probability_best.loc[["none", "nor"]].isna().all()


def test_order_of_the_models_does_not_matter_and_the_seed_does():
    one, other = some(0.1, 2), some(1.0, 1)
    models = {"one": one, "other": other}

    first, turned, reseeded = (
        one_round(of, "log_loss", seed=seed).scores
        for of, seed in ((models, 0), (dict(reversed(models.items())), 0), (models, 1))
    )

    pd.testing.assert_frame_equal(first, turned)
    assert not first.equals(reseeded)


def test_interval_of_one_model_is_that_of_the_comparison():
    model = some(0.5, 1)
    for name in ("accuracy", "f1_macro", "log_loss"):
        row = one_round({"m": model}, name, resamples=300).scores.loc["m"]

        found = interval(model, METRICS[name], seed=0, resamples=300)

        assert found == pytest.approx((row[f"{name}_low"], row[f"{name}_high"]))


def test_interval_of_a_mean_loss_is_about_that_of_student():
    model = some(1.0, 4, n=600)
    losses = -np.log(model.probabilities[np.arange(600), model.actual])
    width = t.ppf(0.975, 300) * losses.std(ddof=1) / np.sqrt(600)

    low, high = interval(model, METRICS["log_loss"], seed=0, resamples=20_000)

    assert (low, high) == pytest.approx((losses.mean() - width, losses.mean() + width), rel=0.01)


def test_draws_are_shared_by_all_models(monkeypatch):
    seen = []
    units = units_of([some(1, 0)])
    expected = np.concatenate([part[0] for part in draw(units, 50, 3)])

    def spy(predictions, weights):
        seen.append(weights)
        return weights.sum(1)

    metric = Metric(spy, "spy")
    models = {name: [some(1, seed)] for seed, name in enumerate("ab")}
    families = dict.fromkeys("ab", "baseline")
    compare([Round(models, {}, 0)], metric, [metric], families, matters=0, seed=3, resamples=50)

    drawn = [weights for weights in seen if len(weights) == 50]
    assert len(drawn) == 2
    for weights in drawn:
        np.testing.assert_array_equal(weights, expected)


@pytest.mark.parametrize(("resamples", "confidence"), [(0, 0.95), (10, 0), (10, 1)])
def test_settings_of_the_bootstrap_are_checked(resamples, confidence):
    with pytest.raises(comparison.UserError):
        comparison.check_interval(resamples, confidence)
