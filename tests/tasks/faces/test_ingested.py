"""What ingest promises of faces: half of each person's photos are the test, each once per draw."""

from collections import Counter

import numpy as np
import pytest
from PIL import Image

from pipeline.features.decode import read


@pytest.mark.parametrize("name", [str(number) for number in range(6)])
def test_five_photos_of_each_person_are_tested(faces, name):
    parts = faces.parts("faces", name)

    for part, count in {"train": 4, "validation": 1, "test": 5}.items():
        assert set(Counter(parts[part]["label"]).values()) == {count}
        assert parts[part]["label"].nunique() == 40


def test_each_draw_tests_every_photo_once_and_another_half(faces):
    tested = [set(faces.parts("faces", str(n))["test"]["example_id"]) for n in range(6)]

    for one, other in (tested[0:2], tested[2:4], tested[4:6]):
        assert len(one | other) == 400
        assert not one & other
    assert tested[0] not in tested[2:]


def test_a_face_has_the_pixels_of_its_file(faces, mirror):
    face = faces.parts("faces")["test"].set_index("example_id")
    name = face.index[0]
    person, number = name.removeprefix("person_").split("-")

    (file,) = mirror.rglob(f"orl_faces/s{int(person)}/{int(number)}.pgm")

    pixels = read(face.loc[name, "image"])
    np.testing.assert_array_equal(pixels[..., 0], np.asarray(Image.open(file)))
    assert pixels.shape == (112, 92, 3)
