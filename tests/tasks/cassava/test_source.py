"""Cassava, on a git repository of the same layout that the test makes."""

import subprocess

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from pipeline.errors import UserError
from pipeline.paths import ROOT
from pipeline.problems.classification import Classification
from pipeline.tasks.cassava.source import read

CLASSES = ["cbb", "cbsd", "cgm", "cmd", "healthy"]


@pytest.fixture
def repository(tmp_path, monkeypatch):
    place = tmp_path / "repository"
    rng = np.random.default_rng(0)
    for name in CLASSES:
        (place / "data/train" / name).mkdir(parents=True)
        for number in range(3):
            pixels = rng.integers(0, 256, (20 + number, 30, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(place / f"data/train/{name}/train-{name}-{number}.jpg")
    author = ["-c", "user.name=Tester", "-c", "user.email=tester@example.org"]
    for arguments in (
        ["init", "--quiet"],
        ["config", "uploadpack.allowFilter", "true"],
        ["config", "uploadpack.allowAnySHA1InWant", "true"],
        ["add", "."],
        [*author, "commit", "--quiet", "--message", "photos"],
    ):
        subprocess.run(["git", "-C", str(place), *arguments], check=True, capture_output=True)
    commit = subprocess.run(
        ["git", "-C", str(place), "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return place.as_uri(), commit


@pytest.fixture
def advice():
    task = yaml.safe_load((ROOT / "conf/task/cassava.yaml").read_text("utf-8"))
    return task["source"]["advice"]


def test_every_photo_has_the_class_of_its_folder(repository, advice):
    source = read(*repository, "data/train", advice, [16, 16])

    assert source.examples["label"].value_counts().to_dict() == dict.fromkeys(CLASSES, 3)
    assert source.examples["example_id"][0] == "cbb/train-cbb-0.jpg"
    (origin,) = source.origin
    assert origin["url"] == f"{repository[0]}/tree/{repository[1]}/data/train"


def test_the_advice_is_told_beside_the_answer(advice):
    target = {"classes": CLASSES, "advice": advice}
    kind = Classification("accuracy", ("accuracy",)).on(target)

    told = kind.frame(np.eye(5)[[3, 4]], {})

    assert told["label"].tolist() == ["cmd", "healthy"]
    assert told["advice"].tolist() == [advice["cmd"], advice["healthy"]]
    assert list(told) == list(kind.columns())
    assert isinstance(told, pd.DataFrame)


def test_a_class_without_advice_is_named(repository, advice):
    del advice["cgm"]

    with pytest.raises(UserError, match=r"task\.source\.advice: class 'cgm' has none"):
        read(*repository, "data/train", advice, [16, 16])
