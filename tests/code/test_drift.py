"""Differences between train and test: found where planted, and seldom where there are none."""

import numpy as np
import pandas as pd
import pytest

from pipeline.evaluation.drift import differences


def table(rng, n, groups=None, shift=0.0, male=0.5):
    ids = [f"{rng.integers(1 << 60)}" for _ in range(n)]
    of_group = rng.integers(groups, size=n) if groups else np.arange(n)
    level = rng.normal(size=groups or n)[of_group]
    name = rng.integers(1 << 60)
    group = [f"{name}-{one}" for one in of_group]
    x = level + rng.normal(size=n) * (0.1 if groups else 1) + shift
    return pd.DataFrame(
        {
            "example_id": ids,
            "x": x,
            "count": rng.poisson(3, n),
            "flag": rng.random(n) < 0.3,
            "sex": np.where(rng.random(n) < male, "male", "female"),
            "gap": np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n)),
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(1000, size=n), "D"),
            "label": "a",
            "group": group,
        }
    )


def fires(train, test, seed=0):
    tests = differences(train, test, seed)
    return [one.what for one in tests if one.p_value < 0.05 / len(tests)]


@pytest.mark.parametrize("groups", [None, 25])
def test_false_alarms_are_as_rare_as_promised(groups):
    rng = np.random.default_rng(0)
    runs = 100
    alarms = sum(bool(fires(table(rng, 300, groups), table(rng, 120, groups))) for _ in range(runs))
    # 5 %, and three standard errors of the simulation
    assert alarms / runs < 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)


def test_a_shifted_number_is_named_with_its_medians():
    rng = np.random.default_rng(1)
    train, test = table(rng, 400), table(rng, 200, shift=1)
    (found,) = fires(train, test)
    assert (
        found
        == f"'x' (median {train['x'].median():.3g} in train, {test['x'].median():.3g} in test)"
    )


def test_shares_and_missing_values_that_changed_are_named():
    rng = np.random.default_rng(2)
    train, test = table(rng, 400), table(rng, 200, male=0.9)
    test.loc[test.index[:100], "gap"] = np.nan
    found = fires(train, test)
    assert len(found) == 2
    assert any(one.startswith("'sex' (") and "in train" in one for one in found)
    assert any(one.startswith("whether 'gap' is missing (") for one in found)


def test_texts_of_another_subject_are_told_apart_and_those_of_one_are_not():
    rng = np.random.default_rng(3)

    def texts(n, words):
        ids = [f"{rng.integers(1 << 60)}" for _ in range(n)]
        lines = [" ".join(rng.choice(words, 30)) for _ in range(n)]
        return pd.DataFrame({"example_id": ids, "text": lines, "label": "a", "group": ids})

    sea, land = ([f"{theme}{i}" for i in range(200)] for theme in ("sea", "land"))
    (found,) = fires(texts(100, sea), texts(60, sea[:100] + land))
    assert found.startswith("words of 'text' (")
    alarms = sum(bool(fires(texts(60, sea), texts(40, sea))) for _ in range(60))
    assert alarms / 60 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 60)


def test_sequences_are_compared_by_their_last_values():
    rng = np.random.default_rng(4)

    def windows(shift):
        ids = [f"{rng.integers(1 << 60)}" for _ in range(150)]
        values = [rng.normal(size=rng.integers(3, 9)) for _ in ids]
        for one in values:
            one[-1] += shift
        return pd.DataFrame({"example_id": ids, "s": values, "label": "a", "group": ids})

    assert fires(windows(0), windows(0)) == []
    assert fires(windows(0), windows(2))[0].startswith("last value of 's' (median ")
