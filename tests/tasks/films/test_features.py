"""Views of ratings, the rule to beat, and the network."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score

from pipeline import storage
from pipeline.models.neural_net import NeuralNet
from pipeline.tasks.films.baseline import UserAndFilmMeans, UserAndFilmMeansRegressor
from pipeline.tasks.films.features import Coded, engineered, means
from pipeline.tasks.films.network import Embeddings
from pipeline.tasks.films.source import likes

SPLIT = {"test": 0.2, "validation": 0.2, "folds": None}


@pytest.fixture
def inputs(shelf) -> pd.DataFrame:
    examples = likes(shelf / "manifest.csv", "global", True, SPLIT).examples
    return examples.drop(columns=["example_id", "label", "group", "time"])


def stranger(inputs) -> pd.DataFrame:
    """Make an example of which nothing is known."""
    unknown = pd.DataFrame([dict.fromkeys(inputs)]).astype(inputs.dtypes)
    return unknown.assign(user_count=0.0, film_count=0.0, user="9999", film="9999")


@pytest.mark.parametrize("make", [engineered, lambda: Coded(2)])
def test_a_user_and_a_film_never_seen_have_finite_numbers(inputs, make, tmp_path):
    view = make().fit(inputs)
    X = view.transform(pd.concat([inputs, stranger(inputs)]))

    assert np.isfinite(X).all()
    storage.dump(view, tmp_path / "view.skops")
    np.testing.assert_array_equal(
        storage.load(tmp_path / "view.skops").transform(inputs), X[: len(inputs)]
    )


def test_codes_are_those_of_who_rated_often_enough(inputs):
    often = inputs["user"].value_counts()
    least = int(often.iloc[0])

    X = Coded(least).fit_transform(inputs)

    kept = sorted(often.index[often >= least])
    assert [kept[int(code) - 1] if code else None for code in X[:, 0]] == [
        user if user in kept else None for user in inputs["user"]
    ]


def test_genres_are_marked(inputs):
    view = engineered().fit(inputs)
    numbers = view[0].transform(inputs)

    marked = pd.DataFrame(numbers[:, -len(view[0].genres_) :], columns=view[0].genres_)
    assert "" not in marked
    expected = inputs["genres"].str.get_dummies("|")
    np.testing.assert_array_equal(marked[expected.columns], expected)
    assert (marked.sum(axis=1) == expected.sum(axis=1)).all()


def test_the_rule_adds_damped_means():
    X = np.array([[4, 5.0, 0, np.nan], [0, np.nan, 6, 2.0], [1, 3.0, 1, 4.0]])
    rule = UserAndFilmMeans(damping=2).fit(X, np.array(["yes", "no", "yes"]))

    mean = (5 + 2 + 3 + 4) / 4
    assert rule.expected_ == mean
    assert rule.sums(X)[:, 0].tolist() == pytest.approx(
        [
            (4 * 5 + 2 * mean) / 6 + mean,
            mean + (6 * 2 + 2 * mean) / 8,
            (3 + 2 * mean) / 3 + (4 + 2 * mean) / 3,
        ]
    )


def test_the_rule_knows_who_likes_much(tmp_path):
    rng = np.random.default_rng(0)
    user, film = rng.normal(3.5, 0.5, (2, 2000))
    X = np.column_stack([np.full(2000, 50), user, np.full(2000, 50), film])
    y = np.where(user + film + rng.normal(0, 0.3, 2000) > 7, "yes", "no")

    rule = UserAndFilmMeans().fit(X[:1000], y[:1000])

    storage.dump(rule, tmp_path / "rule.skops")
    found = storage.load(tmp_path / "rule.skops").predict_proba(X[1000:])
    assert roc_auc_score(y[1000:], found[:, 1]) > 0.9
    assert found.mean(0)[1] == pytest.approx((y[1000:] == "yes").mean(), abs=0.03)


def test_the_rule_for_ratings_is_a_line_through_the_sum_of_the_means(tmp_path):
    rng = np.random.default_rng(0)
    user, film = rng.normal(3.5, 0.5, (2, 500))
    many = np.full(500, 1e9)  # so that nothing is damped
    X = np.column_stack([many, user, many, film])
    y = 0.8 * (user + film) - 2

    rule = UserAndFilmMeansRegressor().fit(X, y)

    storage.dump(rule, tmp_path / "rule.skops")
    found = storage.load(tmp_path / "rule.skops").predict(X[:5])
    np.testing.assert_allclose(found, y[:5], atol=1e-6)
    unknown = rule.predict(np.array([[0, np.nan, 0, np.nan]]))
    np.testing.assert_allclose(unknown, 1.6 * np.mean([user, film]) - 2, atol=1e-6)


def rated(n, seed) -> tuple[np.ndarray, np.ndarray]:
    """Draw users who like films of their own kind; the last number tells a film's kind."""
    rng = np.random.default_rng(seed)
    user, film = rng.integers(1, 21, n), rng.integers(1, 41, n)
    kind = np.where(film % 2, 1.0, -1.0)
    X = np.column_stack([user, film, rng.normal(size=n), kind]).astype(np.float32)
    return X, np.where((user % 2) == (film % 2), "yes", "no")


def test_the_network_learns_who_likes_what_and_tells_of_a_new_film_by_its_kind():
    X, y = rated(4000, 0)
    net = NeuralNet(
        Embeddings, lr=0.01, batch_size=128, max_epochs=8, random_state=0, device="cpu"
    ).fit(X, y)
    held_out, truth = rated(500, 1)

    assert (net.predict(held_out) == truth).mean() > 0.95
    unseen = held_out.copy()
    unseen[:, 1] = 0
    assert (net.predict(unseen) == truth).mean() > 0.9
    beyond = held_out.copy()
    beyond[:, 1] = 10_000
    np.testing.assert_array_equal(net.predict_proba(beyond), net.predict_proba(unseen))


def test_code_0_has_no_vector_of_its_own():
    net = Embeddings(5, 5, 2, 2)

    assert (net.users.weight[0] == 0).all()
    assert torch.isfinite(net.eval()(torch.zeros(3, 4))).all()


def test_means_are_passed_on(inputs):
    X = means().fit_transform(inputs)

    assert X.shape == (len(inputs), 4)
    np.testing.assert_array_equal(X[:, 3], inputs["film_mean"])
