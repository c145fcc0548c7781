"""A user's own ratings, from file to what is shown to whom, by the commands that a user types."""

import json

import numpy as np
import pandas as pd
import pytest
from mlflow.pyfunc import load_model

KINDS = {"jazz": [f"Blue, {letter}" for letter in "ABCDEFGH"], "rock": [*"STUVWXYZ"]}


@pytest.fixture(scope="module")
def shop(clone, warm, empty_store, tmp_path_factory):
    """Return the project after all stages on plays of songs, each user of one kind of music."""
    project = clone.copy(tmp_path_factory.mktemp("ratings") / "bakeoff", empty_store)
    rng = np.random.default_rng(0)
    rows = [
        (f"{kind} fan {number}", song, 100 * place + number)
        for kind, songs in KINDS.items()
        for number in range(20)
        for place, song in enumerate(rng.permutation(songs)[:7])
    ]
    plays = pd.DataFrame(rows, columns=["fan", "song", "at"])
    plays.to_csv(project.root.parent / "plays.csv", index=False)
    keys = ["path=../plays.csv", "user=fan", "item=song", "time=at"]
    said = [
        project.must_warm(warm, f"pipeline.{stage}", "task=ratings", *rest)
        for stage, *rest in (
            ("ingest", *(f"task.source.{key}" for key in keys)),
            ("featurize",),
            ("train", "model=baseline"),
            ("train", "model=ease"),
            ("evaluate", "models=[baseline,ease]"),
        )
    ]
    return project, plays, said[-1]


def test_the_board_takes_what_knows_the_kinds_and_says_its_protocol(shop):
    _, _, said = shop

    assert "\nTake ease." in said
    protocol = said[said.index("Protocol: ") :].replace("\n", " ")
    assert "candidates are all items that a training user liked, but those in the" in protocol
    assert "relevant are items that the user chose after it" in protocol
    assert "The test is the latest 20% of the ratings of all users; models learn fr" in protocol


def test_everyone_is_shown_first_the_song_of_their_kind_that_they_lack(shop, warm):
    project, plays, _ = shop
    for kind, songs in KINDS.items():
        fan = f"{kind} fan 3"
        (lacking,) = set(songs) - set(plays["song"][plays["fan"] == fan])

        printed = project.must_warm(warm, "pipeline.predict", "task=ratings", f"user={fan}", "n=2")

        first, second = printed.splitlines()
        assert first.startswith(f"1. {lacking}, ")
        liked = first.partition(", because you liked ")[2]
        assert any(liked.startswith(song) for song in songs)
        assert second.startswith("2. ")


def test_items_that_came_after_the_training_are_left_out(shop, warm):
    project, *_ = shop
    path = project.root.parent / "plays.csv"
    before = path.read_text()
    shown = ["task=ratings", "user=jazz fan 3", "n=2"]
    expected = project.must_warm(warm, "pipeline.predict", *shown)
    # Sorted before all others, so that each item has another number in the file than in the model.
    path.write_text(before + "jazz fan 3,A new song,900\n")

    assert project.must_warm(warm, "pipeline.predict", *shown) == expected
    path.write_text(before)


def test_who_is_unknown_is_said_in_a_line(shop, warm):
    done = shop[0].warm(warm, "pipeline.predict", "task=ratings", "user=nobody")

    assert done.returncode == 1
    assert done.stderr == (
        "error: user: 'nobody' is unknown; there are 40, such as jazz fan 0 and rock fan 9\n"
    )


def test_the_served_model_shows_the_names_of_the_file(shop, monkeypatch):
    project, _, _ = shop
    monkeypatch.setenv("MLFLOW_TRACKING_URI", project.store)
    monkeypatch.syspath_prepend(".")  # so that sys.path is put back afterwards
    (run,) = (run for run in project.runs("ratings") if run.info.run_name == "ease")
    names = json.loads((project.root / "data/ingested/ratings/card.json").read_text())["target"][
        "names"
    ]
    seen = [float(names.index(song)) for song in KINDS["rock"][1:]]

    found = load_model(f"runs:/{run.info.run_id}/ease").predict(
        pd.DataFrame({"seen": [seen], "liked": [seen]})
    )

    shown = json.loads(found["names"][0])
    assert shown[0] == KINDS["rock"][0]
    assert [names[int(item)] for item in found["label"][0].split()] == shown
