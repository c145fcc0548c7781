"""What ingest promises of faces: half of each person's photos are the test, each once per draw."""

import json
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from pipeline.features.decode import read

STRANGER = "somebody else"
ROUNDS = [str(number) for number in range(6)]


def strangers(rows):
    """Return the people of a part of a round whom no model gets to know."""
    return {*rows["group"][rows["label"] == STRANGER]}


@pytest.mark.parametrize("name", ROUNDS)
def test_five_photos_of_each_person_are_tested(faces, name):
    parts = faces.parts("faces", name)

    for part, count in {"train": 4, "validation": 1, "test": 5}.items():
        photos = Counter(parts[part]["label"])
        photos.pop(STRANGER, None)
        assert set(photos.values()) == {count}
        assert len(photos) == 20


@pytest.mark.parametrize("name", ROUNDS)
def test_ten_strangers_are_tested_ten_others_validate_and_nobody_learns_from_any(faces, name):
    parts = faces.parts("faces", name)

    assert not strangers(parts["train"])
    assert len(strangers(parts["validation"])) == len(strangers(parts["test"])) == 10
    assert not strangers(parts["validation"]) & strangers(parts["test"])
    for part in ("validation", "test"):
        assert Counter(parts[part]["label"])[STRANGER] == 100


def test_who_is_a_stranger_is_the_same_in_all_rounds_and_no_class(faces):
    every = [faces.parts("faces", name) for name in ROUNDS]

    people = {frozenset(strangers(one["validation"]) | strangers(one["test"])) for one in every}
    (drawn,) = people
    card = json.loads((faces.root / "data/ingested/faces/card.json").read_text())
    assert len(drawn) == len(card["target"]["classes"]) == 20
    assert not drawn & {*card["target"]["classes"]}
    assert card["target"]["unknown"] == STRANGER


def test_each_draw_tests_every_photo_once_and_another_half(faces):
    tested = [set(faces.parts("faces", name)["test"]["example_id"]) for name in ROUNDS]

    for one, other in (tested[0:2], tested[2:4], tested[4:6]):
        assert len(one | other) == 400
        assert not one & other
    assert tested[0] not in tested[2:]


def test_all_forty_are_told_apart_without_strangers(downloaded):
    everybody = downloaded("faces", "task.source.strangers=0", "task.unknown=null")

    for part, count in {"train": 4, "validation": 1, "test": 5}.items():
        photos = Counter(everybody.parts("faces")[part]["label"])
        assert set(photos.values()) == {count}
        assert len(photos) == 40


def test_a_face_has_the_pixels_of_its_file(faces, mirror):
    face = faces.parts("faces")["test"].set_index("example_id")
    name = face.index[0]
    person, number = name.removeprefix("person_").split("-")

    (file,) = mirror.rglob(f"orl_faces/s{int(person)}/{int(number)}.pgm")

    pixels = read(face.loc[name, "image"])
    np.testing.assert_array_equal(pixels[..., 0], np.asarray(Image.open(file)))
    assert pixels.shape == (112, 92, 3)
