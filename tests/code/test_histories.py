"""What is known of a rating before it: by brute force, and with the future removed."""

import numpy as np
import pandas as pd
import pytest

from pipeline.sources.histories import DAMPING, Past, describe

LIKED, MIDDLE = 4.0, 2.75
TAGS = pd.Series({1: "drama", 2: "comedy", 3: "drama", 4: "war"}).rename_axis("item")
TAGS = pd.concat([TAGS, pd.Series({1: "war", 2: "drama"}), pd.Series({77: "never rated"})])


def ratings(n=300, seed=0) -> pd.DataFrame:
    """Draw ratings of few users and items, many of them at one time."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "user": rng.integers(1, 9, n),
            "item": rng.integers(1, 6, n),
            "rating": rng.integers(1, 11, n) / 2,
            "time": rng.integers(0, 40, n) * 43_200,
        }
    )


def described(table: pd.DataFrame, limit=None) -> pd.DataFrame:
    limit = table["time"].to_numpy() if limit is None else limit
    return describe(table, {"genre": TAGS}, limit, LIKED, MIDDLE)


def damped(values, expected=0.0) -> float:
    return (sum(values) + DAMPING * expected) / (len(values) + DAMPING)


def brute(table: pd.DataFrame, limit: np.ndarray) -> pd.DataFrame:
    """Describe one rating after the other, each from the rows before its limit."""
    rows = table.to_dict("records")

    def before(moment, **what):
        return [
            one
            for one in rows
            if one["time"] < moment and all(one[key] == value for key, value in what.items())
        ]

    def stars(found):
        return [one["rating"] for one in found]

    def surprise(one, other):
        mean = damped(stars(before(one["time"])), MIDDLE)
        return one["rating"] - damped(stars(before(one["time"], **{other: one[other]})), mean)

    def offset(side, who, moment):
        other = {"user": "item", "item": "user"}[side]
        return damped([surprise(one, other) for one in before(moment, **{side: who})])

    def unexplained(one):
        mean = damped(stars(before(one["time"])), MIDDLE)
        return (
            one["rating"]
            - mean
            - sum(offset(side, one[side], one["time"]) for side in ("user", "item"))
        )

    found = []
    for one, moment in zip(rows, limit, strict=True):
        row = {}
        for side in ("user", "item"):
            known = before(moment, **{side: one[side]})
            some = stars(known) or [np.nan]
            row |= {
                f"{side}_count": len(known),
                f"{side}_mean": np.mean(some),
                f"{side}_deviation": np.std(some),
                f"{side}_liked": np.mean([s >= LIKED for s in some]) if known else np.nan,
                f"{side}_offset": offset(side, one[side], moment),
            }
            gone = [(one["time"] - other["time"]) / 86_400 for other in known] or [np.nan]
            row |= {f"{side}_first": max(gone), f"{side}_last": min(gone)}
        of_user = before(moment, user=one["user"])
        tags = TAGS[TAGS.index == one["item"]].tolist()
        alike = {
            tag: [o for o in of_user if tag in TAGS[TAGS.index == o["item"]].tolist()]
            for tag in tags
        }
        row["genre_share"] = (
            np.mean([len(some) / len(of_user) for some in alike.values()])
            if tags and of_user
            else np.nan
        )
        row["genre_offset"] = (
            np.mean([damped([unexplained(o) for o in some]) for some in alike.values()])
            if tags
            else np.nan
        )
        found.append(row)
    return pd.DataFrame(found)


@pytest.mark.parametrize("frozen_at", [None, 20])
def test_each_rating_is_described_as_by_brute_force(frozen_at):
    table = ratings(120)
    limit = table["time"].to_numpy()
    if frozen_at is not None:
        limit = np.minimum(limit, frozen_at * 43_200)

    found = described(table, limit)

    expected = brute(table, limit)
    # Rounded to a millionth of a star.
    np.testing.assert_allclose(found[expected.columns], expected, atol=1e-5)


@pytest.mark.parametrize("moment", [1, 7, 20, 39])
def test_without_the_future_all_before_is_described_alike_to_the_last_digit(moment):
    table = ratings()
    past = table[table["time"] <= moment * 43_200]

    found = described(table).loc[past.index]

    pd.testing.assert_frame_equal(described(past), found, check_exact=True)


def test_what_happens_at_the_same_time_tells_nothing():
    table = ratings()
    changed = table.assign(rating=np.where(table["time"] == 20 * 43_200, 0.5, table["rating"]))
    then = table["time"] == 20 * 43_200

    pd.testing.assert_frame_equal(described(table)[then], described(changed)[then])
    assert not described(table)[table["time"] > 20 * 43_200].equals(
        described(changed)[table["time"] > 20 * 43_200]
    )


def test_a_frozen_rating_does_not_hear_of_what_came_after_the_cut():
    table = ratings()
    limit = np.minimum(table["time"].to_numpy(), 20 * 43_200)
    changed = table.assign(rating=np.where(table["time"] >= 20 * 43_200, 0.5, table["rating"]))

    pd.testing.assert_frame_equal(described(table, limit), described(changed, limit))


def test_the_order_of_rows_does_not_matter():
    table = ratings()
    mixed = table.sample(frac=1, random_state=0)

    pd.testing.assert_frame_equal(
        described(mixed).loc[table.index], described(table), check_exact=True
    )


def test_the_last_ratings_are_the_latest():
    table = pd.DataFrame(
        {"user": 1, "item": np.arange(8), "rating": np.arange(8.0), "time": np.arange(8) * 10}
    )

    found = described(table)["user_recent_5"]
    together = described(table.assign(time=table["time"] // 20))["user_recent_5"]

    assert together[6] == pytest.approx(np.mean([0, 1, 2, 3, 4, 5]))  # 0 and 1 at one time
    assert found[7] == pytest.approx(np.mean([2, 3, 4, 5, 6]))
    assert found[2] == pytest.approx(0.5)
    assert np.isnan(found[0])


def test_a_key_without_rows_has_no_past():
    past = Past(np.array([0, 2]), np.array([0, 1]))

    known = past.before(np.array([1, 3, 0, 2]), np.array([2, 2, 0, 2]))

    assert known.number.tolist() == [0, 0, 0, 1]
    assert past.total(np.array([5.0, 6.0]), known).tolist() == [0, 0, 0, 6]
    first, last = past.edges(np.array([5, 6]), known)
    assert np.isnan(first[:3]).all()
    assert first[3] == last[3] == 6


@pytest.mark.parametrize("together", [1, 50])
def test_that_ratings_are_described_in_blocks_changes_nothing(monkeypatch, together):
    table = ratings()
    limit = np.minimum(table["time"].to_numpy(), 20 * 43_200)
    expected = described(table, limit)

    monkeypatch.setattr("pipeline.sources.histories.TOGETHER", together)

    pd.testing.assert_frame_equal(described(table, limit), expected, check_exact=True)
