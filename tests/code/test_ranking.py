"""Rankings: scores by hand and by brute force, lists without what was seen, and EASE."""

import math
from functools import partial

import numpy as np
import pandas as pd
import pytest
import pytrec_eval
import torch
from scipy import sparse
from sklearn.linear_model import Ridge
from sklearn.metrics import ndcg_score

from pipeline import formats, storage
from pipeline.errors import ModelError, UserError
from pipeline.features.history import LIKED, SEEN, Histories
from pipeline.models.networks.histories import Autoencoder
from pipeline.models.neural_recommender import (
    NeuralNetRecommender,
    mean_of_items,
    sum_of_items,
)
from pipeline.models.ranker import FOLDS, LightGBMRecommender
from pipeline.models.recommend import EASE, Popularity
from pipeline.problems.ranking import LENGTH, NONE, Ranking, parse_items

METRICS = ("ndcg_10", "recall_10", "map_10", "coverage_10", "novelty_10")
N_ITEMS = 40


def people(n=60, seed=0) -> tuple[pd.DataFrame, np.ndarray]:
    """Draw users who like even or odd items, with what they liked afterwards."""
    rng = np.random.default_rng(seed)
    rows, labels = [], []
    for user in range(n):
        of_kind = np.arange(user % 2, N_ITEMS, 2)
        liked = rng.choice(of_kind, 8, replace=False).astype(float)
        other = rng.integers(0, N_ITEMS, 3).astype(float)
        rows.append({"seen": np.append(liked[:5], other), "liked": liked[:5]})
        labels.append(" ".join(str(int(item)) for item in liked[5:]))
    return pd.DataFrame(rows), np.array(labels)


def network(**settings) -> NeuralNetRecommender:
    small = partial(Autoencoder, units=16)
    settings = {"lr": 0.02, "max_epochs": 30, "device": "cpu", "random_state": 0} | settings
    return NeuralNetRecommender(small, **settings)


def ranker(**settings) -> LightGBMRecommender:
    settings = {"n_estimators": 20, "num_leaves": 7, "n_jobs": 1, "verbose": -1} | settings
    return LightGBMRecommender(**settings)


def fitted(estimator) -> tuple:
    table, labels = people()
    view = Histories().fit(table, labels)
    return view, estimator.fit(view.transform(table), labels)


def ranked(items, labels, target=None):
    """Return the predictions of lists of items."""
    outputs = np.full((len(items), 2, LENGTH), float(NONE))
    for row, of_user in enumerate(items):
        outputs[row, 0, : len(of_user)] = of_user
    kind = Ranking("ndcg_10", METRICS).on(target or {"users": 3, "liked": {"1": 3, "2": 1}})
    return kind.predictions(np.array(labels), outputs, {})


def score(name, predictions, weights=None) -> float:
    weights = np.ones((1, len(predictions))) if weights is None else np.array([weights])
    return float(Ranking.METRICS[name](predictions, weights)[0])


def test_scores_of_a_list_by_hand():
    found = ranked([[5, 1, 7, 2]], ["1 2 9"])

    ideal = 1 + 1 / math.log2(3) + 1 / math.log2(4)
    assert score("ndcg_10", found) == pytest.approx((1 / math.log2(3) + 1 / math.log2(5)) / ideal)
    assert score("recall_10", found) == pytest.approx(2 / 3)
    assert score("map_10", found) == pytest.approx((1 / 2 + 2 / 4) / 3)
    # Of 3 users 3 liked item 1 and one item 2; nobody liked 5 and 7.
    assert score("novelty_10", found) == pytest.approx(np.mean([2, 0, 2, 1]))
    assert score("coverage_10", ranked([[1]], ["1"])) == pytest.approx(1 / 2)


def brute(items, liked, n_items, counts, users) -> dict[str, float]:
    """Score lists user by user, from the definitions."""
    ndcg, recall, precision, rare, shown = [], [], [], [], set()
    for of_user, of in zip(items, liked, strict=True):
        top = of_user[:10]
        rare.append(np.mean([-math.log2((counts.get(i, 0) + 1) / (users + 1)) for i in top]))
        shown |= set(top)
        if not of:
            continue
        gain = sum(1 / math.log2(place + 2) for place, item in enumerate(top) if item in of)
        best = sum(1 / math.log2(place + 2) for place in range(min(10, len(of))))
        ndcg.append(gain / best)
        recall.append(len(set(top) & of) / len(of))
        at_hits = [
            len(set(top[: place + 1]) & of) / (place + 1)
            for place, item in enumerate(top)
            if item in of
        ]
        precision.append(sum(at_hits) / min(10, len(of)))
    values = map(np.mean, (ndcg, recall, precision))
    return dict(zip(METRICS, [*values, len(shown) / n_items, np.mean(rare)], strict=True))


def random_lists(n=30):
    rng = np.random.default_rng(1)
    items = [rng.permutation(60)[:LENGTH].tolist() for _ in range(n)]
    liked = [set(rng.integers(0, 60, rng.integers(0, 25)).tolist()) for _ in range(n)]
    counts = {str(item): int(rng.integers(1, 9)) for item in range(60)}
    labels = [" ".join(map(str, sorted(of))) for of in liked]
    return items, liked, labels, {"users": 20, "liked": counts}


def test_scores_are_those_of_brute_force():
    items, liked, labels, target = random_lists()

    found = ranked(items, labels, target)

    counts = {int(item): number for item, number in target["liked"].items()}
    expected = brute(items, liked, len(counts), counts, 20)
    assert {name: score(name, found) for name in METRICS} == pytest.approx(expected)


def test_ndcg_is_that_of_scikit_learn():
    items, liked, labels, target = random_lists()
    truth = np.array([[item in of for item in range(60)] for of in liked], float)
    values = np.zeros((len(items), 60))
    for row, of_user in enumerate(items):
        values[row, of_user] = -np.arange(len(of_user))

    some = truth.any(1)
    expected = ndcg_score(truth[some], values[some], k=10)
    assert score("ndcg_10", ranked(items, labels, target)) == pytest.approx(expected)


def test_scores_are_those_of_trec_eval():
    items, liked, labels, target = random_lists()
    relevant = {str(user): dict.fromkeys(map(str, of), 1) for user, of in enumerate(liked) if of}
    shown = {
        user: {str(item): -float(place) for place, item in enumerate(items[int(user)])}
        for user in relevant
    }
    measures = {"ndcg_cut.10", "recall.10", "map_cut.10"}

    of_users = pytrec_eval.RelevanceEvaluator(relevant, measures).evaluate(shown)

    found = ranked(items, labels, target)
    for ours, theirs in (("ndcg_10", "ndcg_cut_10"), ("recall_10", "recall_10")):
        expected = np.mean([of_user[theirs] for of_user in of_users.values()])
        assert score(ours, found) == pytest.approx(expected)
    # Of what a user liked there can be at most ten in a list of ten, where trec_eval counts all.
    possible = {user: len(of) / min(len(of), 10) for user, of in relevant.items()}
    assert max(possible.values()) > 1
    expected = np.mean([of["map_cut_10"] * possible[user] for user, of in of_users.items()])
    assert score("map_10", found) == pytest.approx(expected)


@pytest.mark.parametrize("name", METRICS)
def test_a_weight_counts_a_user_as_often(name):
    items, _, labels, target = random_lists(6)
    weights = [2, 0, 1, 3, 0, 1]
    repeated = np.repeat(np.arange(6), weights)

    found = score(name, ranked(items, labels, target), weights)

    again = ranked([items[i] for i in repeated], [labels[i] for i in repeated], target)
    assert found == pytest.approx(score(name, again))


@pytest.mark.parametrize("estimator", [Popularity(), EASE(l2=5, least=1), network()])
def test_nothing_that_was_seen_is_shown_and_everything_else_once(estimator):
    view, model = fitted(estimator)
    table, _ = people(seed=1)

    items, scores = model.recommend(view.transform(table), N_ITEMS)

    for row, of_user in enumerate(items):
        shown = of_user[of_user != -1]
        assert set(shown) == set(model.items_) - set(table["seen"][row].astype(int))
        assert len(set(shown)) == len(shown)
    assert (np.diff(np.where(items == -1, -np.inf, scores)[:, :20]) <= 0).all()


def test_ease_solves_the_ridge_regression_of_each_item_on_the_others():
    _, model = fitted(EASE(l2=7, least=1))
    table, labels = people()
    likes = np.zeros((len(table), N_ITEMS))
    for row, (history, after) in enumerate(zip(table["liked"], labels, strict=True)):
        likes[row, [*history.astype(int), *parse_items(after)]] = 1

    for item in (0, 11):
        others = np.delete(np.arange(N_ITEMS), item)
        ridge = Ridge(7, fit_intercept=False).fit(likes[:, others], likes[:, item])
        np.testing.assert_allclose(model.weights_[others, item], ridge.coef_, atol=1e-5)
        assert model.weights_[item, item] == 0


def test_ease_finds_the_kind_of_item_that_a_user_likes_and_says_why(tmp_path):
    view, model = fitted(EASE(l2=5, least=1))
    history = view.transform(pd.DataFrame({"seen": [[2.0, 4.0, 7.0]], "liked": [[2.0, 4.0]]}))

    items, _ = model.recommend(history, 10)

    assert (items % 2 == 0).mean() > 0.8
    assert set(model.reasons(history, int(items[0, 0]), 2)) <= {2, 4}
    assert model.reasons(history, 99_999, 2) == []
    storage.dump(model, tmp_path / "ease.skops")
    again = storage.load(tmp_path / "ease.skops").recommend(history, 10)
    np.testing.assert_array_equal(again[0], items)


def test_recommending_to_a_few_users_at_a_time_changes_nothing(monkeypatch):
    view, model = fitted(EASE(l2=5, least=1))
    X = view.transform(people(seed=1)[0])
    expected = model.recommend(X, 10)

    monkeypatch.setattr("pipeline.models.recommend.USERS", 7)

    np.testing.assert_array_equal(model.recommend(X, 10), expected)


@pytest.mark.parametrize("estimator", [Popularity(), EASE(least=1), ranker()])
def test_nobody_is_recommended_nothing(estimator):
    view, model = fitted(estimator)
    table, _ = people()

    items, scores = model.recommend(view.transform(table.head(0)), 5)

    assert items.shape == scores.shape == (0, 5)


def test_a_network_finds_the_kind_of_item_that_a_user_likes_and_is_kept_whole(tmp_path):
    view, model = fitted(network())
    histories = pd.DataFrame({"seen": [[2.0, 4.0, 7.0], [5.0, 9.0]], "liked": [[2.0, 4.0], [5.0]]})
    X = view.transform(histories)

    items, scores = model.recommend(X, 10)

    assert (items[0] % 2 == 0).mean() > 0.8
    assert (items[1] % 2 == 1).mean() > 0.8
    assert formats.save(model, tmp_path, []) == "recommender"
    again = formats.load("recommender", tmp_path, [])
    np.testing.assert_array_equal(again.recommend(X, 10), (items, scores))
    assert not [*tmp_path.glob("*.skops")]
    assert set(model.reasons(X[:1], int(items[0, 0]), 3)) <= {2, 4}
    alone = view.transform(pd.DataFrame({"seen": [[4.0, 7.0]], "liked": [[4.0]]}))
    shown = int(items[0, items[0] % 2 == 0][0])
    fall = model.scores(X[:1])[0] - model.scores(alone)[0]
    assert (2 in model.reasons(X[:1], shown, 2)) == (fall[model.items_ == shown][0] > 0)
    assert model.reasons(X[:1], 99_999, 2) == []


def test_a_network_stops_on_what_is_liked_afterwards_on_validation():
    table, labels = people()
    later, liked = people(n=30, seed=1)
    view = Histories().fit(table, labels)
    reported = []

    model = network(max_epochs=200, patience=5).fit(
        view.transform(table),
        labels,
        validation=(view.transform(later), liked),
        report=lambda step, losses: reported.append(losses["validation/ranking_loss"]),
    )

    assert model.n_epochs_ == len(reported) < 200
    best = int(np.argmin(reported)) + 1
    assert model.n_epochs_ == best + 5
    # Of the items that were not seen, half are of the kind that is liked.
    assert reported[best - 1] < math.log(N_ITEMS)


def test_the_loss_of_a_network_is_that_of_a_multinomial_by_hand():
    scores = torch.tensor([[0.0, 1.0, 2.0], [0.0, 0.0, 0.0], [3.0, 1.0, 0.0]])
    liked = torch.tensor([[0, 1, 1], [1, 0, 0], [0, 0, 0]], dtype=torch.uint8)

    total = 1 + math.e + math.e**2
    both = -math.log(math.e / total) - math.log(math.e**2 / total)
    assert float(sum_of_items(scores, liked)) == pytest.approx((both + math.log(3)) / 3)
    assert float(mean_of_items(scores, liked)) == pytest.approx((both / 2 + math.log(3)) / 3)


def test_a_network_scores_what_was_seen_lowest_and_reads_what_was_liked_only():
    torch.manual_seed(0)
    module = Autoencoder(n_items=5, n_outputs=5, units=4).eval()
    marks = torch.tensor([[LIKED, 0, 0, SEEN, 0], [LIKED, SEEN, 0, 0, 0]], dtype=torch.uint8)

    scores = module(marks)

    lowest = scores == torch.finfo(scores.dtype).min
    assert torch.equal(lowest, marks >= SEEN)
    torch.testing.assert_close(scores[0, [2, 4]], scores[1, [2, 4]])


def test_trees_find_the_kind_of_item_that_a_user_likes_and_are_kept_whole(tmp_path):
    view, model = fitted(ranker())
    histories = pd.DataFrame({"seen": [[2.0, 4.0, 7.0], [5.0, 9.0]], "liked": [[2.0, 4.0], [5.0]]})
    X = view.transform(histories)

    items, scores = model.recommend(X, 10)

    assert (items[0] % 2 == 0).all()
    assert (items[1] % 2 == 1).all()
    assert not {2, 4, 7} & {*items[0].tolist()}
    assert formats.save(model, tmp_path, []) == "lightgbm"
    again = formats.load("lightgbm", tmp_path, [])
    np.testing.assert_array_equal(again.recommend(X, 10), (items, scores))


def test_trees_read_what_others_liked_by_hand():
    table = pd.DataFrame(
        {"seen": [[0.0, 1.0, 3.0]] * 4 + [[2.0]] * 3, "liked": [[0.0, 1.0]] * 4 + [[2.0]] * 3}
    )
    labels = np.array(["2", "2", "", "", "0", "0", ""])
    X = Histories().fit(table, labels).transform(table)
    model = ranker(n_estimators=1).fit(X, labels)

    # 0 is liked by 4 and 2 users, 1 by 4, 2 by 2 and 3; both 0 and 1 by 4, 0 and 2 by 2 and 2.
    assert model.items_.tolist() == [0, 1, 2]
    np.testing.assert_allclose(model.share_, [6 / 7, 4 / 7, 5 / 7], rtol=1e-6)
    together = [[1, 4 / 6, 4 / 6], [1, 1, 2 / 4], [4 / 5, 2 / 5, 1]]
    np.testing.assert_allclose(model.together_, together, rtol=1e-6)
    # Item 2 is alike to 0 by 4 of sqrt(6 * 5), and to 1 by 2 of sqrt(4 * 5).
    assert model.reasons(X[:1], 2, 5) == [0, 1]
    assert model.reasons(X[:1], 99, 5) == []


def test_no_item_is_known_by_the_own_like_of_the_user_who_is_to_be_told():
    # Likes are drawn at random: nothing is there to be learned.
    rng = np.random.default_rng(0)
    drawn = [rng.permutation(30)[:12] for _ in range(200)]
    table = pd.DataFrame({"seen": [one[:6] for one in drawn], "liked": [one[:6] for one in drawn]})
    labels = np.array([" ".join(map(str, one[6:])) for one in drawn])
    X = Histories().fit(table, labels).transform(table)
    reported = []

    model = ranker(min_child_samples=400).fit(
        X, labels, (X[:50], labels[:50]), lambda step, losses: reported.append(losses)
    )

    # In an order by chance, 6 of 24 or 12 of 30 items are liked: NDCG is that share of the sum of
    # discounts, over the best sum.
    discount = 1 / np.log2(np.arange(2, 12))
    chance = np.mean([6 / 24 * discount.sum() / discount[:6].sum(), 12 / 30])
    assert len(model.items_) == 30
    assert reported[-1]["train/ranking_loss"] > 1 - chance - 0.1


def test_each_user_is_described_by_the_others_only():
    table, labels = people()
    X = Histories().fit(table, labels).transform(table)
    changed = labels.copy()
    changed[::FOLDS] = labels[::-1][::FOLDS]

    first, second = (ranker(n_estimators=1).fit(X, of) for of in (labels, changed))
    rows = [model._train_rows(X, labels, model.count(X, labels)) for model in (first, second)]

    np.testing.assert_array_equal(rows[0][0], rows[1][0])


@pytest.mark.parametrize(
    ("labels", "liked", "message"),
    [
        (["1", "2", "3"], "1", "no item was liked by 3 users"),
        (["1", "1", "1"], "2", "nobody in validation liked afterwards what is ranked"),
    ],
)
def test_trees_refuse_what_they_cannot_learn_from(labels, liked, message):
    X = sparse.csr_matrix((3, 4))
    with pytest.raises(ValueError, match=message):
        ranker().fit(X, np.array(labels), (X[:1], np.array([liked])))


def test_a_user_without_a_history_is_shown_what_is_popular():
    view, ease = fitted(EASE(least=1))
    _, popular = fitted(Popularity())
    nothing = view.transform(pd.DataFrame({"seen": [None], "liked": [None]}))

    np.testing.assert_array_equal(ease.recommend(nothing, 10)[0], popular.recommend(nothing, 10)[0])


def test_histories_mark_the_liked_over_the_seen_and_leave_out_the_unknown():
    view = Histories().fit(pd.DataFrame({"seen": [[1.0, 4.0]], "liked": [None]}))
    X = view.transform(
        pd.DataFrame({"seen": [[1, 3], None, [9, -1]], "liked": [[3], [0, 0], None]})
    )

    assert sparse.issparse(X)
    assert X.toarray().tolist() == [[0, 1, 0, 2, 0], [2, 0, 0, 0, 0], [0, 0, 0, 0, 0]]


@pytest.mark.parametrize("label", ["red", "1, 2", "1.5", None, "-3"])
def test_a_target_that_is_no_list_of_items_is_reported(label):
    with pytest.raises(UserError, match=r"example u1: '.*' is no list of items"):
        Ranking().check_target(pd.Series(["1 2", label], ["u0", "u1"], dtype=object))


def test_lists_are_fused_by_reciprocal_ranks():
    first, second = np.full((2, 1, 2, LENGTH), float(NONE))
    first[0, 0, :3], second[0, 0, :2] = [5, 6, 7], [6, 8]

    fused = Ranking().average([first, second], [0.5, 0.5])

    assert fused[0, 0, :5].tolist() == [6, 5, 8, 7, NONE]
    assert fused[0, 1, 0] == pytest.approx(0.5 / 62 + 0.5 / 61)


def test_predictions_are_served_as_texts():
    outputs = np.full((1, 2, LENGTH), float(NONE))
    outputs[0, :, :2] = [[12, 7], [0.5, 0.25]]

    assert Ranking().frame(outputs, {}).to_dict("records") == [
        {"label": "12 7", "scores": "0.5 0.25"}
    ]


def test_a_model_that_does_not_recommend_is_refused():
    with pytest.raises(ModelError, match="Ridge has no recommend: it ranks no items"):
        Ranking().check_estimator(Ridge())


def test_who_liked_nothing_counts_in_no_score_of_hits():
    both = ranked([[1], [1]], ["1", ""])

    assert score("ndcg_10", both) == score("ndcg_10", ranked([[1]], ["1"])) == 1
    assert math.isnan(score("ndcg_10", ranked([[1]], [""])))
