"""Held-out examples: how many, which, and what cannot be split."""

import numpy as np
import pandas as pd
import pytest

from pipeline.config.schema import Split
from pipeline.errors import UserError
from pipeline.problems import problem
from pipeline.sources import split as module
from pipeline.sources.rounds import FINAL, PARTS, Rounds
from pipeline.sources.split import make_plan

KIND = problem("classification")


def split(examples, test, validation, seed, given=None):
    settings = Split(test=test, validation=validation, seed=seed)
    plan = make_plan(settings, examples, given is not None)
    return module.split(examples, plan, KIND, given).split("0")


def fold(examples, seed=0, given=None, **settings):
    """Split in rounds."""
    plan = make_plan(Split(seed=seed, **settings), examples, given is not None)
    return module.split(examples, plan, KIND, given)


def ungrouped(counts):
    """Make examples without groups: label to number."""
    labels = [label for label, n in counts.items() for _ in range(n)]
    ids = [f"e{i}" for i in range(len(labels))]
    return pd.DataFrame({"example_id": ids, "label": labels, "group": ids})


def grouped(groups=60, seed=0):
    """Make groups of 1 to 8 examples, of one class of three each."""
    sizes = np.random.default_rng(seed).integers(1, 9, groups)
    names = np.repeat([f"g{g}" for g in range(groups)], sizes)
    labels = ["abc"[int(name[1:]) % 3] for name in names]
    ids = [f"e{i}" for i in range(len(names))]
    return pd.DataFrame({"example_id": ids, "label": labels, "group": names})


@pytest.mark.parametrize(
    ("test", "validation", "sizes"),
    [
        (0.2, 0.25, (180, 60, 60)),
        (0.5, 0.5, (75, 75, 150)),
        (0.1, 1 / 3, (180, 90, 30)),
    ],
)
def test_shares_are_those_asked_for(test, validation, sizes):
    parts = split(ungrouped({"a": 200, "b": 100}), test, validation, seed=0)

    assert tuple(len(parts[name]) for name in PARTS) == sizes


@pytest.mark.parametrize(
    ("share", "parts"), [(0.33, 3), (0.3, 3), (0.27, 4), (0.12, 8), (0.45, 2), (0.4, 3), (0.29, 4)]
)
def test_the_nearest_1_over_k_is_taken(share, parts):
    held_out = split(ungrouped({"a": 840, "b": 840}), share, 0.5, seed=0)["test"]

    assert len(held_out) == 1680 // parts


def test_classes_keep_their_shares_in_every_split():
    parts = split(ungrouped({"a": 200, "b": 100, "c": 20}), 0.2, 0.25, seed=3)

    for name, share in {"train": 0.6, "validation": 0.2, "test": 0.2}.items():
        counts = parts[name]["label"].value_counts()
        assert {label: counts[label] for label in "abc"} == pytest.approx(
            {"a": 200 * share, "b": 100 * share, "c": 20 * share}, abs=1
        )


@pytest.mark.parametrize("seed", range(5))
def test_no_group_is_in_two_splits_and_every_class_is_in_all(seed):
    examples = grouped(seed=seed)

    parts = split(examples, 0.25, 0.25, seed)

    where = {}
    for name, part in parts.items():
        assert set(part["label"]) == {"a", "b", "c"}
        for group in part["group"]:
            where.setdefault(group, set()).add(name)
    assert where.keys() == set(examples["group"])
    assert all(len(names) == 1 for names in where.values())


def test_groups_keep_the_shares_about():
    examples = grouped(groups=300)

    parts = split(examples, 0.25, 0.25, seed=0)

    assert len(parts["test"]) / len(examples) == pytest.approx(0.25, abs=0.03)
    assert len(parts["validation"]) / len(examples) == pytest.approx(0.1875, abs=0.03)
    for part in parts.values():
        assert (part["label"] == "a").mean() == pytest.approx(
            (examples["label"] == "a").mean(), abs=0.05
        )


@pytest.mark.parametrize("examples", [ungrouped({"a": 40, "b": 30}), grouped()])
def test_every_example_is_in_one_split_in_the_order_it_came_in(examples):
    parts = split(examples, 0.25, 0.25, seed=1)

    place = {example: i for i, example in enumerate(examples["example_id"])}
    for part in parts.values():
        assert part["example_id"].map(place).is_monotonic_increasing
        assert part.index.tolist() == list(range(len(part)))
    together = pd.concat(parts.values())
    assert sorted(together["example_id"], key=place.get) == examples["example_id"].tolist()


@pytest.mark.parametrize("examples", [ungrouped({"a": 40, "b": 30}), grouped()])
def test_the_seed_decides(examples):
    first, again, other = (split(examples, 0.25, 0.25, seed)["test"] for seed in (1, 1, 2))

    assert first.equals(again)
    assert set(first["example_id"]) != set(other["example_id"])


@pytest.mark.parametrize("share", [0, -0.1, 0.51, 1, float("nan")])
@pytest.mark.parametrize("name", ["test", "validation"])
def test_a_share_out_of_range_is_refused_by_name(name, share):
    shares = {"test": 0.2, "validation": 0.2, name: share}

    with pytest.raises(UserError, match=rf"task\.split\.{name}: {share} is not above 0"):
        split(ungrouped({"a": 40, "b": 30}), **shares, seed=0)


def test_one_class_is_refused():
    with pytest.raises(UserError, match="one class only, 'a'"):
        split(ungrouped({"a": 40}), 0.2, 0.2, seed=0)


def test_no_examples_are_refused():
    # As when every example was dropped as a contradiction.
    with pytest.raises(UserError, match="there are no examples"):
        split(ungrouped({"a": 4}).head(0), 0.2, 0.2, seed=0)


# Of 6, a fifth for test leaves 4 or 5, and validation takes a fifth of 5 or more.
@pytest.mark.parametrize("n", [4, 5, 6])
def test_too_few_examples_of_a_class_are_refused(n):
    with pytest.raises(UserError, match=rf"label 'b' has {n} independent .* the 7 that"):
        split(ungrouped({"a": 40, "b": n}), 0.2, 0.2, seed=0)


def test_further_classes_of_too_few_examples_are_counted():
    with pytest.raises(
        UserError,
        match=r"label 'b' has 2 independent examples \(and 1 more label has too few\), fewer .*"
        r"; or set task\.rare=drop or task\.rare=merge$",
    ):
        split(ungrouped({"a": 40, "b": 2, "c": 6, "d": 7}), 0.2, 0.2, seed=0)


def test_just_enough_examples_of_a_class_are_in_every_split():
    for seed in range(10):
        for part in split(ungrouped({"a": 40, "b": 7}), 0.2, 0.2, seed).values():
            assert "b" in set(part["label"])


def test_one_group_of_many_examples_is_one_independent_example():
    examples = ungrouped({"a": 40, "b": 40})
    examples.loc[examples["label"] == "b", "group"] = "one patient"

    with pytest.raises(UserError, match=r"label 'b' has 1 independent example \(groups\)"):
        split(examples, 0.2, 0.2, seed=0)


def test_given_test_examples_stay_whole_and_the_rest_is_split_in_two():
    examples = ungrouped({"a": 60, "b": 40})
    given = ungrouped({"a": 3, "b": 1}).assign(example_id=["t0", "t1", "t2", "t3"])

    parts = split(examples, 0.5, 0.25, seed=0, given=given)

    assert parts["test"].equals(given)
    assert [len(parts[name]) for name in ("train", "validation")] == [75, 25]
    learned = pd.concat([parts["train"], parts["validation"]])["example_id"]
    assert sorted(learned) == sorted(examples["example_id"])


def test_a_label_of_given_test_examples_alone_is_reported():
    given = ungrouped({"a": 3, "b": 1, "c": 1})

    with pytest.raises(UserError, match="label 'c' is in test but not in train and validation"):
        split(ungrouped({"a": 60, "b": 40}), 0.5, 0.25, seed=0, given=given)


def test_with_a_time_the_latest_are_held_out():
    days = np.random.default_rng(0).permutation(100)
    examples = ungrouped({"a": 50, "b": 50}).assign(time=days)

    parts = split(examples, 0.2, 0.25, seed=0)

    assert {name: sorted(part["time"]) for name, part in parts.items()} == {
        "train": list(range(60)),
        "validation": list(range(60, 80)),
        "test": list(range(80, 100)),
    }


def test_one_time_alone_has_no_latest():
    examples = ungrouped({"a": 50, "b": 50}).assign(time=2024)

    with pytest.raises(UserError, match=r"too few different times.*100% of the rows are of 2024"):
        split(examples, 0.2, 0.25, seed=0)


def test_what_happened_at_one_time_is_not_torn_apart():
    examples = ungrouped({"a": 50, "b": 50}).assign(time=[1, 2, 3, 4] * 25)

    parts = split(examples, 0.1, 0.1, seed=0)

    assert {name: set(part["time"]) for name, part in parts.items()} == {
        "train": {1, 2},
        "validation": {3},
        "test": {4},
    }


def test_random_splits_tell_the_strata_that_they_kept():
    examples = ungrouped({"a": 60, "b": 40})

    for part in split(examples, 0.2, 0.25, seed=0).values():
        assert part["meta:stratum"].tolist() == part["label"].tolist()


def test_neither_the_latest_nor_given_test_examples_kept_strata():
    examples = ungrouped({"a": 50, "b": 50})
    in_time = examples.assign(time=np.random.default_rng(0).permutation(100))

    latest = split(in_time, 0.2, 0.25, seed=0)
    tested = split(examples, 0.2, 0.25, seed=0, given=ungrouped({"a": 3, "b": 1}))

    assert not any("meta:stratum" in part for part in latest.values())
    assert [name for name in PARTS if "meta:stratum" in tested[name]] == ["train", "validation"]


@pytest.mark.parametrize(
    ("own_test", "rest", "advice"),
    [
        ({"a": 3}, {"a": 60, "b": 40}, "add examples of it to the test, or leave it out of the"),
        ({"a": 3, "b": 1, "c": 1}, {"a": 60, "b": 40}, "give it examples to learn from, or leave"),
    ],
)
def test_of_a_class_that_a_given_test_and_the_rest_do_not_share_the_split_is_not_blamed(
    own_test, rest, advice
):
    with pytest.raises(UserError, match=advice) as caught:
        split(ungrouped(rest), 0.2, 0.2, seed=0, given=ungrouped(own_test))

    assert "task.split" not in str(caught.value)


def test_of_a_class_that_the_latest_examples_lack_the_seed_is_not_blamed():
    examples = ungrouped({"a": 50, "b": 50}).assign(time=range(100))

    with pytest.raises(UserError, match=r"label 'a' .* leave out task\.source\.time") as caught:
        split(examples, 0.2, 0.2, seed=0)

    assert "seed" not in str(caught.value)


@pytest.mark.parametrize(("n", "shares"), [(3, False), (4, True)])
def test_larger_shares_are_advised_only_where_they_can_help(n, shares):
    with pytest.raises(UserError) as caught:
        split(ungrouped({"a": 40, "b": n}), 0.2, 0.2, seed=0)

    assert ("raise task.split shares" in str(caught.value)) == shares
    if shares:
        split(ungrouped({"a": 40, "b": n}), 0.5, 0.5, seed=0)


@pytest.mark.parametrize("examples", [ungrouped({"a": 40, "b": 30}), grouped()])
@pytest.mark.parametrize("repeats", [1, 3])
def test_every_example_is_tested_once_per_repeat(examples, repeats):
    rounds = fold(examples, folds=5, repeats=repeats)

    assert rounds.scored == [str(number) for number in range(5 * repeats)]
    assert (rounds.parts[rounds.scored] == "test").sum(axis=1).eq(repeats).all()
    assert rounds.examples["example_id"].tolist() == examples["example_id"].tolist()


def test_repeats_draw_other_folds_and_the_seed_decides_them():
    examples = ungrouped({"a": 40, "b": 30})

    first, again = (fold(examples, folds=5, repeats=2) for _ in range(2))
    other = fold(examples, folds=5, repeats=2, seed=1)

    assert first.parts.equals(again.parts)
    assert not first.parts["0"].equals(first.parts["5"])
    assert not first.parts["0"].equals(other.parts["0"])


def test_groups_are_whole_and_classes_in_every_part_of_every_round():
    rounds = fold(grouped(), folds=5)

    for name in rounds.parts:
        parts = rounds.split(name)
        groups = [set(part["group"]) for part in parts.values()]
        assert len(set().union(*groups)) == sum(map(len, groups))
        assert all(set(part["label"]) == {"a", "b", "c"} for part in parts.values())


def test_the_final_round_learns_from_every_example_and_has_no_test():
    rounds = fold(ungrouped({"a": 40, "b": 40}), folds=4, validation=0.25)

    assert rounds.kept == FINAL
    assert {name: len(part) for name, part in rounds.split(FINAL).items()} == {
        "train": 60,
        "validation": 20,
    }
    assert {name: len(part) for name, part in rounds.split("3").items()} == {
        "train": 45,
        "validation": 15,
        "test": 20,
    }


def test_by_time_a_round_learns_from_what_came_before_its_test():
    days = np.random.default_rng(0).permutation(100)
    labels = np.where(days % 2, "a", "b")
    examples = ungrouped({"a": 100}).assign(time=days, label=labels)

    rounds = fold(examples, folds=4, validation=0.2)

    tested = []
    for name in rounds.scored:
        parts = rounds.split(name)
        assert parts["train"]["time"].max() < parts["validation"]["time"].min()
        assert parts["validation"]["time"].max() < parts["test"]["time"].min()
        tested.append(sorted(parts["test"]["time"]))
    # Of 5 blocks the first is never tested.
    assert tested == [list(range(start, start + 20)) for start in (20, 40, 60, 80)]
    assert rounds.split(FINAL)["validation"]["time"].min() == 80


@pytest.mark.parametrize(
    ("examples", "expected"),
    [
        (ungrouped({"a": 500, "b": 499}), (5, 3)),
        (ungrouped({"a": 500, "b": 500}), (5, 1)),
        (ungrouped({"a": 10_000, "b": 10_000}), (5, 1)),
        (ungrouped({"a": 10_001, "b": 10_000}), (None, 1)),
        (ungrouped({"a": 40, "b": 40}).assign(time=range(80)), (5, 1)),
        # What counts is groups.
        (grouped(groups=300), (5, 3)),
    ],
)
def test_the_number_of_rounds_follows_from_the_number_of_groups(examples, expected):
    plan = make_plan(Split(folds="auto", seed=0), examples, has_test=False)

    assert (plan.test if plan.folds else None, plan.repeats) == expected


def test_data_with_a_test_of_their_own_have_one_round():
    examples, own = ungrouped({"a": 40, "b": 30}), ungrouped({"a": 3, "b": 3})

    assert fold(examples, folds="auto", given=own).scored == ["0"]
    with pytest.raises(UserError, match=r"task\.split\.folds: the data have a test of their own"):
        fold(examples, folds=5, given=own)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"folds": 1}, r"folds: 1 is not at least 2"),
        ({"folds": 2.5}, r"folds: 2\.5 is not a whole number, 'auto' or null"),
        ({"folds": "five"}, r"folds: 'five' is not a whole number"),
        ({"folds": True}, r"folds: True is not a whole number"),
        ({"folds": 5, "repeats": 0}, r"repeats: 0 is not at least 1"),
        ({"repeats": 3}, r"repeats: 3, but there are no folds"),
    ],
)
def test_folds_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(UserError, match=rf"task\.split\.{message}"):
        fold(ungrouped({"a": 40, "b": 30}), **settings)


def test_folds_that_a_class_cannot_fill_are_refused_with_the_number_that_it_can():
    with pytest.raises(UserError, match=r"label 'b' has 6 .* set fewer task\.split\.folds"):
        fold(ungrouped({"a": 40, "b": 6}), folds=10)


def test_too_few_times_for_the_folds_are_refused():
    examples = ungrouped({"a": 50, "b": 50}).assign(time=[1, 2, 3, 4] * 25)

    with pytest.raises(UserError, match="too few different times for 5 folds"):
        fold(examples, folds=5)


@pytest.mark.parametrize("folds", [None, 3])
def test_what_is_written_is_what_is_read(folds, tmp_path):
    rounds = fold(ungrouped({"a": 40, "b": 30}), folds=folds)

    rounds.write(tmp_path)
    read = Rounds.read(tmp_path, with_test=True)

    for name in rounds.parts:
        for part, rows in rounds.split(name).items():
            pd.testing.assert_frame_equal(read.part(name, part), rows, check_dtype=False)


def test_the_test_of_the_only_round_is_in_a_file_of_its_own(tmp_path):
    rounds = fold(ungrouped({"a": 40, "b": 30}))
    rounds.write(tmp_path)

    (tmp_path / "test.parquet").unlink()
    read = Rounds.read(tmp_path)

    assert len(read.examples) == len(rounds.examples) == 56
    with pytest.raises(UserError, match=r"test\.parquet"):
        Rounds.read(tmp_path, with_test=True)
