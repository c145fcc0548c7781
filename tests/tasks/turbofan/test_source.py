"""Turbofan engines: what an example looks back on, and how long its engine has left."""

import hashlib
import re

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import UserError
from pipeline.tasks.turbofan.source import READINGS, read

# Cycles on record, and left after them.
TRAIN, TEST, REMAINING = [7, 4], [6, 2, 5], [1, 9, 3]


def table(cycles: list[int]) -> str:
    """Write engines as NASA does; a reading tells engine, cycle and column."""
    lines = [
        f"{engine} {cycle} "
        + " ".join(f"{engine * 1000 + cycle + column / 100:.2f}" for column in range(24))
        for engine, last in enumerate(cycles, 1)
        for cycle in range(1, last + 1)
    ]
    return "  \n".join(lines) + "  \n"


@pytest.fixture
def hangar(tmp_path, monkeypatch):
    """Make a mirror of a few engines, and give it with the files' manifest."""
    contents = {"train": table(TRAIN), "test": table(TEST), "remaining": "1 \n9 \n3 \n"}
    rows = []
    for name, content in contents.items():
        path = tmp_path / "example.org" / f"{name}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
        digest = hashlib.sha256(content.encode()).hexdigest()
        rows.append({"file": name, "url": f"https://example.org/{name}.txt", "sha256": digest})
    # In any order: the names say which is which.
    pd.DataFrame(rows[::-1]).to_csv(tmp_path / "manifest.csv", index=False)
    monkeypatch.setenv("BAKEOFF_MIRROR", str(tmp_path))
    return tmp_path


def fly(hangar, horizon=2, window=3):
    return read(hangar / "manifest.csv", horizon, window)


def expected(cycles, remaining, prefix, horizon, window):
    """List what an example of each engine and cycle must be, one by one."""
    for engine, (last, left_after_last) in enumerate(zip(cycles, remaining, strict=True), 1):
        for cycle in range(1, last + 1):
            left = left_after_last + last - cycle
            seen = range(max(1, cycle - window + 1), cycle + 1)
            yield {
                "example_id": f"{prefix}-{engine:03d}-{cycle:03d}",
                "group": f"{prefix}-{engine:03d}",
                "meta:time_to_event": left,
                "label": "fails" if left <= horizon else "runs",
                "setting_1": [engine * 1000 + c for c in seen],
                "sensor_21": [engine * 1000 + c + 0.23 for c in seen],
            }


@pytest.mark.parametrize("horizon", [1, 2, 3])
@pytest.mark.parametrize("window", [1, 3, 50])
def test_every_cycle_of_every_engine_is_an_example(hangar, horizon, window):
    source = fly(hangar, horizon, window)

    for found, settled in (
        (source.examples, expected(TRAIN, [0, 0], "train", horizon, window)),
        (source.slices["every_cycle"], expected(TEST, REMAINING, "test", horizon, window)),
    ):
        settled = list(settled)
        rows = found[list(settled[0])].to_dict("records")
        assert [
            row | {name: row[name].tolist() for name in ("setting_1", "sensor_21")} for row in rows
        ] == settled


def test_every_column_has_its_place_in_the_file(hangar):
    last = fly(hangar, window=1).examples.iloc[-1]

    assert [last[name].tolist() for name in READINGS] == [
        [pytest.approx(2004 + column / 100)] for column in range(24)
    ]


def test_the_last_cycle_of_an_engine_that_ran_to_failure_has_none_left(hangar):
    last = fly(hangar).examples.groupby("group").last()

    assert last["meta:time_to_event"].tolist() == [0, 0]
    assert last["label"].tolist() == ["fails", "fails"]


def test_the_test_is_the_last_cycle_of_each_test_engine(hangar):
    test = fly(hangar).test

    assert test["example_id"].tolist() == ["test-001-006", "test-002-002", "test-003-005"]
    assert test["meta:time_to_event"].tolist() == REMAINING
    assert test["label"].tolist() == ["fails", "runs", "runs"]


def test_the_origin_names_every_file(hangar):
    origin = fly(hangar).origin

    files = [hangar / "example.org" / name for name in ("train.txt", "test.txt", "remaining.txt")]
    assert origin == [
        {
            "url": f"https://example.org/{file.name}",
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        }
        for file in files
    ]


def test_windows_share_the_memory_of_the_readings(hangar):
    histories = fly(hangar, window=3).examples["sensor_1"]

    assert np.shares_memory(histories[1], histories[2])


@pytest.mark.parametrize("window", [0, -1])
def test_an_empty_window_is_refused(hangar, window):
    with pytest.raises(UserError, match=f"task.source.window: {window} is not at least 1"):
        fly(hangar, window=window)


def test_test_engines_without_their_remaining_cycles_are_reported(hangar):
    path = hangar / "example.org" / "remaining.txt"
    manifest = hangar / "manifest.csv"
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_text("1\n9\n")
    after = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest.write_text(manifest.read_text().replace(before, after))

    with pytest.raises(UserError, match=f"{re.escape(str(path))} holds .* 2 engines, .* has 3"):
        fly(hangar)
