"""What ingest promises of the photos of leaves, against the files themselves."""

import hashlib
import io
import json
import urllib.parse

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.tasks.leaf_disease.variants import cut_out, leaf


@pytest.fixture(scope="module")
def parts(leaf_disease):
    return leaf_disease.parts("leaf_disease")


@pytest.fixture(scope="module")
def photos(parts):
    return pd.concat(parts, ignore_index=True).set_index("example_id")


def pixels_of(content):
    return np.asarray(Image.open(io.BytesIO(content)))


def test_every_photo_is_tested_once_and_classes_are_even(leaf_disease, photos):
    card = json.loads((leaf_disease.root / "data/ingested/leaf_disease/card.json").read_text())

    assert photos["label"].value_counts().to_dict() == {
        "early blight": 152,
        "healthy": 152,
        "late blight": 152,
    }
    rounds = [leaf_disease.parts("leaf_disease", str(number)) for number in range(5)]
    tested = [set(parts["test"]["example_id"]) for parts in rounds]
    assert sum(map(len, tested)) == len(set.union(*tested)) == 456
    assert (card["dropped"], card["joined"]) == ({}, {})


def test_a_photo_is_the_file_scaled_down_and_bears_its_hash(leaf_disease, mirror, photos):
    manifest = pd.read_csv(leaf_disease.root / "data/leaf_disease/manifest.csv")
    for row in manifest.sample(10, random_state=0).itertuples():
        url = urllib.parse.urlsplit(row.url)
        content = (mirror / url.netloc / urllib.parse.unquote(url.path[1:])).read_bytes()
        found = photos.loc[row.example_id]
        # By another way of scaling: the mean of four pixels.
        coarse = pixels_of(content).reshape(128, 2, 128, 2, 3).mean((1, 3))

        assert found["meta:sha256"] == hashlib.sha256(content).hexdigest() == row.sha256
        assert np.abs(pixels_of(found["image"]) - coarse).mean() < 6


def test_a_leaf_is_cut_out_of_its_background(photos):
    some = photos.sample(30, random_state=0)

    for before, after in zip(some["image"], cut_out(some)["image"], strict=True):
        old, new = pixels_of(before), pixels_of(after)
        kept = (old == new).all(2)
        assert 0.15 < kept.mean() < 0.8
        # What is kept is greener than what is not: the cloths are grey.
        green = old[..., 1].astype(int) - old[..., 2]
        assert green[kept].mean() > green[~kept].mean() + 20
        assert len(np.unique(new[~kept], axis=0)) == 1


def test_the_leaf_is_the_largest_yellow_part_without_holes():
    pixels = np.full((60, 60, 3), 150, dtype=np.uint8)
    pixels[10:50, 10:50] = [60, 140, 40]
    pixels[25:30, 25:30] = [150, 150, 150]
    pixels[2:6, 54:58] = [60, 140, 40]

    found = leaf(pixels)

    assert found[12:48, 12:48].all()
    assert not found[:8].any()
    assert found.sum() == pytest.approx(40 * 40, rel=0.05)
