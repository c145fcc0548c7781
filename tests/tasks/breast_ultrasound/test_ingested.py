"""What ingest promises of ultrasound images: what is nearly the same stays together."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.features.decode import read


@pytest.fixture(scope="module")
def card(breast_ultrasound):
    path = breast_ultrasound.root / "data/ingested/breast_ultrasound/card.json"
    return json.loads(path.read_text("utf-8"))


@pytest.fixture(scope="module")
def images(breast_ultrasound):
    folder = breast_ultrasound.root / "data/ingested/breast_ultrasound"
    return pd.read_parquet(folder / "examples.parquet")


def test_all_images_are_there_but_two_that_contradict_each_other(images, card):
    """Two files are the same picture, one called benign, the other malignant."""
    assert images["label"].value_counts().to_dict() == {
        "benign": 436,
        "malignant": 209,
        "normal": 133,
    }
    assert card["dropped"] == {"same inputs, different labels": 2}
    missing = {"benign-433", "malignant-145"}
    assert not missing & set(images["example_id"])


def test_near_duplicates_are_counted(card):
    # As the mirror's page says for the same hash of the original files: 273.
    assert card["joined"]["near-duplicates"] == pytest.approx(273, abs=10)


def test_no_image_of_a_test_has_a_near_duplicate_in_its_train(breast_ultrasound, images):
    """Compared pixel by pixel in small, which knows nothing of hashes."""
    small = np.array(
        [
            np.asarray(Image.fromarray(read(image)).convert("L").resize((16, 16)), float).ravel()
            for image in images["image"]
        ]
    )
    small -= small.mean(1, keepdims=True)
    small /= np.linalg.norm(small, axis=1, keepdims=True)
    alike = small @ small.T > 0.99
    groups = images["group"].to_numpy()
    apart = alike & (groups[:, None] != groups)
    together = np.triu(alike & (groups[:, None] == groups), k=1)

    assert together.sum() > 100
    assert np.triu(apart, k=1).sum() < together.sum() / 5
