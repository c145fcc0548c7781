"""The draws of units, and the units that are left out in turn."""

from collections import Counter

import numpy as np
import pytest
from scipy.stats import binom

from pipeline.evaluation import draws
from pipeline.evaluation.draws import draw, leave_out, units_of
from pipeline.problems.classification import ClassPredictions

# 12 groups of 1 to 6 examples in 3 strata; the labels of group g5 are mixed.
GROUPS = np.array([f"g{g}" for g in range(12) for _ in range(1 + g % 6)])
LABELS = np.array(["abc"[int(g[1:]) % 3] for g in GROUPS])
LABELS[np.flatnonzero(GROUPS == "g5")[0]] = "a"
ACTUAL = np.searchsorted(["a", "b", "c"], LABELS)


def examples(actual, **meta):
    probabilities = np.full((len(actual), actual.max() + 1), 0.5)
    return ClassPredictions(actual, probabilities, 0, meta=meta)


GROUPED = examples(ACTUAL, group=GROUPS, stratum=ACTUAL)


def drawn(*tests, resamples=50, seed=0):
    parts = list(draw(units_of(tests), resamples, seed))
    joined = [np.concatenate(of_round) for of_round in zip(*parts, strict=True)]
    return joined[0] if len(tests) == 1 else joined


def test_whole_groups_are_drawn_together():
    weights = drawn(GROUPED)

    for group in np.unique(GROUPS):
        members = weights[:, group == GROUPS]
        assert (members == members[:, :1]).all()


def test_each_draw_keeps_the_weight_of_the_groups_of_each_stratum():
    stratum = {g: Counter(LABELS[g == GROUPS]).most_common(1)[0][0] for g in np.unique(GROUPS)}
    first = [np.flatnonzero(g == GROUPS)[0] for g in stratum]

    times_drawn = drawn(GROUPED)[:, first]

    for label in "abc":
        members = [i for i, g in enumerate(stratum) if stratum[g] == label]
        np.testing.assert_allclose(times_drawn[:, members].sum(1), len(members))


def test_the_variance_of_a_drawn_mean_is_unbiased():
    # Of 4 units of one stratum, s**2 / 4 with the divisor n - 1; of 4,000 draws within 10 %.
    values = np.array([0.0, 1.0, 3.0, 8.0])

    means = drawn(examples(np.zeros(4, int)), resamples=4000) @ values / 4

    assert means.var() == pytest.approx(values.var(ddof=1) / 4, rel=0.1)
    assert means.mean() == pytest.approx(values.mean(), abs=0.15)


def test_draws_vary_and_same_seed_draws_the_same():
    assert len(np.unique(drawn(GROUPED), axis=0)) > 40
    np.testing.assert_array_equal(drawn(GROUPED, seed=4), drawn(GROUPED, seed=4))
    assert (drawn(GROUPED, seed=4) != drawn(GROUPED, seed=5)).any()


def test_draws_come_in_chunks_that_add_up(monkeypatch):
    monkeypatch.setattr(draws, "WEIGHTS_AT_ONCE", 7 * len(GROUPS))

    sizes = [len(chunk[0]) for chunk in draw(units_of([GROUPED]), 50, 0)]

    assert sizes == [7] * 7 + [1]


def test_without_strata_the_number_of_a_class_varies_as_it_does_in_the_population():
    # A predefined test of 400 with 10 % positive: the number of positives in a draw is binomial.
    actual = (np.arange(400) < 40).astype(int)

    free = drawn(examples(actual), resamples=4000) @ actual
    kept = drawn(examples(actual, stratum=actual)) @ actual

    assert free.std() == pytest.approx(binom.std(400, 0.1), rel=0.05)
    np.testing.assert_allclose(kept, 40)


def test_units_are_drawn_where_they_are_not_the_groups():
    unit = np.array(["u", "v", "w"])[np.arange(len(GROUPS)) % 3]

    weights = drawn(examples(ACTUAL, group=GROUPS, unit=unit))

    for one in "uvw":
        members = weights[:, unit == one]
        assert (members == members[:, :1]).all()
    np.testing.assert_allclose(weights[:, 0] + weights[:, 1] + weights[:, 2], 3)


def test_an_example_of_several_rounds_has_one_weight():
    names = np.array(["a", "b", "c", "d", "e"])
    one, other = (
        examples(np.zeros(5, int), group=names),
        examples(np.zeros(5, int), group=names[::-1]),
    )

    first, second = drawn(one, other)

    np.testing.assert_array_equal(first, second[:, ::-1])


def test_two_units_multiply_their_weights():
    # 3 headlines times 4 bodies: the matrix of weights has rank 1 in every draw.
    headline, body = np.repeat(["x", "y", "z"], 4), np.tile(["p", "q", "r", "s"], 3)
    pairs = examples(np.arange(12) % 2, unit=headline, unit_2=body, stratum=np.arange(12) % 2)

    weights = drawn(pairs, resamples=200).reshape(200, 3, 4)

    assert [len(way) for way in units_of([pairs])] == [3, 4]
    assert all(np.linalg.matrix_rank(of_draw) <= 1 for of_draw in weights)
    np.testing.assert_allclose(weights.sum((1, 2)), 12)


def test_each_unit_is_left_out_once():
    (units,) = units_of([GROUPED])
    kept = np.concatenate([weights[0] for _, weights in leave_out(units)])

    assert kept.shape == (12, len(GROUPS))
    for group in np.unique(GROUPS):
        assert (kept[:, group == GROUPS].sum(0) == 11).all()
        assert len(np.unique(kept[:, group == GROUPS], axis=1).T) == 1


def test_many_units_are_left_out_in_blocks_of_one_category():
    actual = (np.arange(5000) < 150).astype(int)
    (units,) = units_of([examples(actual)])

    left = [(category, 1 - row) for category, w in leave_out(units) for row in w[0]]

    assert len(left) == draws.MOST_BLOCKS
    np.testing.assert_array_equal(sum(row for _, row in left), 1)
    assert all(set(actual[row == 1]) == {category} for category, row in left)


def test_the_rarest_category_is_counted_in_examples_and_units():
    actual = np.array([0] * 20 + [1] * 6)
    group = np.r_[np.arange(20), [20, 20, 20, 21, 21, 21]]

    (once,) = units_of([examples(actual, group=group)])
    (twice,) = units_of([examples(actual, group=group)] * 2)

    for units in (once, twice):
        assert (units.rare_examples, units.rare_units) == (6, 2)
        assert (units.examples, len(units), units.single) == (26, 22, False)
