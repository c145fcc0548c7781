"""What ingest promises of the turbofan engines, against the files themselves."""

import json

import numpy as np
import pandas as pd
import pytest

CMAPSS = (
    "raw.githubusercontent.com/alireza-javanmardi/conformal-RUL-intervals"
    "/37e450ac8b656229d44aed3ac39dcf85ea11b86c/data/CMAPSS"
)
WINDOW, HORIZON = 50, 30


@pytest.fixture(scope="module")
def raw(mirror) -> dict[str, np.ndarray]:
    """Return NASA's files as numbers."""
    names = ("train_FD001", "test_FD001", "RUL_FD001")
    return {name: np.loadtxt(mirror / CMAPSS / f"{name}.txt") for name in names}


@pytest.fixture(scope="module")
def parts(turbofan) -> dict[str, pd.DataFrame]:
    every_cycle = pd.read_parquet(turbofan.root / "data/ingested/turbofan/every_cycle.parquet")
    return turbofan.parts("turbofan") | {"every_cycle": every_cycle}


def test_every_cycle_of_100_engines_that_failed_is_there_to_learn_from(parts):
    """Saxena and Goebel, readme of the data set: FD001 has 100 and 100 trajectories."""
    known = pd.concat([parts["train"], parts["validation"]])

    assert len(known) == 20631
    assert known["group"].nunique() == 100
    assert parts["train"]["group"].nunique() == 80
    assert (known.groupby("group")["meta:time_to_event"].min() == 0).all()
    assert (known.groupby("group")["label"].value_counts()[:, "fails"] == HORIZON + 1).all()


def test_no_engine_is_in_two_splits(parts):
    engines = [set(parts[name]["group"]) for name in ("train", "validation", "test")]

    assert sum(map(len, engines)) == len(set.union(*engines)) == 200


def test_the_test_is_the_official_one(parts, raw):
    test = parts["test"]

    assert test["meta:time_to_event"].tolist() == raw["RUL_FD001"].tolist()
    assert test["label"].value_counts().to_dict() == {"runs": 75, "fails": 25}
    assert test["group"].tolist() == [f"test-{engine:03d}" for engine in range(1, 101)]
    last = {row[0]: row for row in raw["test_FD001"]}
    sensor_21 = [readings[-1] for readings in test["sensor_21"]]
    assert sensor_21 == [last[engine][25] for engine in range(1, 101)]


def test_the_slice_holds_every_cycle_of_every_test_engine(parts, raw):
    cycles = parts["every_cycle"]

    assert len(cycles) == len(raw["test_FD001"]) == 13096
    assert set(parts["test"]["example_id"]) < set(cycles["example_id"])
    by_engine = cycles.groupby("group")["meta:time_to_event"]
    assert by_engine.min().tolist() == raw["RUL_FD001"].tolist()
    assert cycles["label"].eq("fails").equals(cycles["meta:time_to_event"] <= HORIZON)


@pytest.mark.parametrize(("part", "file"), [("train", "train_FD001"), ("test", "test_FD001")])
def test_an_example_looks_back_on_the_last_readings_of_its_engine(parts, raw, part, file):
    for row in parts[part].sample(50, random_state=0).itertuples():
        _, engine, cycle = row.example_id.split("-")
        lines = raw[file][raw[file][:, 0] == int(engine)]
        past = lines[max(0, int(cycle) - WINDOW) : int(cycle)]
        assert row.setting_2.tolist() == past[:, 3].tolist()
        assert row.sensor_11.tolist() == past[:, 15].tolist()


def test_the_card_names_files_and_slices(turbofan):
    path = turbofan.root / "data/ingested/turbofan/card.json"
    card = json.loads(path.read_text(encoding="utf-8"))

    assert [file["url"] for file in card["origin"]] == [
        f"https://{CMAPSS}/{name}.txt" for name in ("train_FD001", "test_FD001", "RUL_FD001")
    ]
    assert list(card["slices"]) == ["every_cycle"]
    assert card["dropped"] == {}
    assert len(card["inputs"]) == 24
