"""Photos of a page: which are chosen, and what a model looks at."""

import base64
import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.evaluation.controls import BORDER, controls_of, predict
from pipeline.evaluation.photos import (
    GRID,
    MOST_PHOTOS,
    choose,
    describe_photo,
    image_input,
    occlude,
    spotlight,
)
from pipeline.features.decode import encode, read
from pipeline.problems.classification import Classification

RNG = np.random.default_rng(0)
KIND = Classification("accuracy", ("accuracy",), {"classes": ["a", "b"]})


def spot(row, column):
    """Draw a dark photo with a bright spot in one cell."""
    pixels = np.full((64, 64, 3), 20, dtype=np.uint8)
    pixels[row * 8 : row * 8 + 8, column * 8 : column * 8 + 8] = 240
    return pixels


def brightest(files):
    """Answer whether a photo has a bright spot, and with it how dark the rest is."""
    bright = np.array([read(file).max() / 255 for file in files])
    return np.column_stack([bright, 1 - bright])


def test_what_is_looked_at_is_where_covering_changes_the_answer():
    changes = occlude(spot(2, 5), brightest)

    assert changes.shape == (GRID, GRID)
    assert np.unravel_index(changes.argmax(), changes.shape) == (2, 5)
    assert changes[0, 0] == changes[7, 7] == 0


def test_a_spotlight_dims_the_rest():
    flat = np.full((64, 64, 3), 200, dtype=np.uint8)

    lit = spotlight(flat, np.eye(GRID)[[2]].T @ np.eye(GRID)[[5]])

    assert lit[20, 44].mean() > 150
    assert lit[50, 10].mean() == 50


def test_photos_are_addresses_that_hold_small_files():
    found = describe_photo(
        encode(spot(2, 5)), {"net": brightest}, {"net": "a"}, {"rest": encode(spot(1, 1))}
    )

    files = [found["photo"], found["answers"][0]["looked"], found["variants"][0]["photo"]]
    for uri in files:
        kind, _, content = uri.partition(",")
        assert kind == "data:image/webp;base64"
        assert Image.open(io.BytesIO(base64.b64decode(content))).size == (64, 64)
    assert (found["answers"][0]["model"], found["answers"][0]["answer"]) == ("net", "a")


def test_of_each_class_wrong_and_right_answers_are_shown_the_worst_first():
    actual = np.repeat([0, 1], 50)
    chance = np.full(100, 0.9)
    chance[[3, 7, 60]] = [0.4, 0.1, 0.2]
    outputs = np.where(actual[:, None] == [0, 1], chance[:, None], 1 - chance[:, None])
    labels = np.array(["a", "b"])[actual]
    predictions = KIND.predictions(labels, outputs, {})

    rows = choose(KIND, predictions, pd.DataFrame({"label": labels}))

    assert rows[:3].tolist() == [7, 3, 60]
    assert len(rows) == MOST_PHOTOS
    assert np.bincount(actual[rows]).tolist() == [8, 8]


def test_only_images_are_shown():
    assert image_input(pd.DataFrame({"age": [1.0], "file": [b"%PDF"]})) is None
    assert image_input(pd.DataFrame({"file": [encode(spot(0, 0))]})) == "file"


def test_the_border_is_a_control_and_tells_what_is_on_it_only():
    pixels = RNG.integers(0, 256, (200, 16, 16, 3)).astype(np.uint8)
    label = np.where(np.arange(200) % 2, "a", "b")
    pixels[label == "a", 0] //= 2
    table = pd.DataFrame({"example_id": [f"x{i}" for i in range(200)], "label": label})
    table["group"] = table["example_id"]
    on_border = table.assign(image=[encode(one) for one in pixels])
    inside = table.assign(
        image=[encode(np.pad(one[:1], ((3, 3), (3, 3), (0, 0)))) for one in pixels]
    )

    scores = {}
    for name, examples in {"border": on_border, "inside": inside}.items():
        (control,) = (c for c in controls_of(KIND, examples) if c.name == BORDER)
        found = predict(KIND, control, examples[:100], examples[100:], examples[100:])
        scores[name] = KIND.deciding.once(found)

    assert scores["border"] > 0.95
    assert scores["inside"] == pytest.approx(0.5)
