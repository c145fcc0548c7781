"""A model and its scores are kept together."""

import json

import pytest

from pipeline import train


@pytest.fixture
def keep(monkeypatch, tmp_path):
    """Keep a model as a training does that is compared, below a folder of this test."""
    monkeypatch.setattr(train.paths, "model_folder", lambda *_: tmp_path / "models")
    monkeypatch.setattr(train.paths, "validation_file", lambda *_: tmp_path / "metrics.json")

    def kept(score):
        folder = tmp_path / f"new-{score}"
        folder.mkdir()
        (folder / "bundle.json").write_text(f"{score}")
        train.keep(folder, {"roc_auc": score}, "task", "model", None)

    return kept


@pytest.mark.parametrize(("step", "model"), [("put", "1"), ("write_json", "2")])
def test_a_kill_leaves_no_model_with_the_scores_of_another_and_the_next_training_mends_it(
    keep, step, model, monkeypatch, tmp_path
):
    keep(1)
    with monkeypatch.context() as killed:
        killed.setattr(train, step, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            keep(2)

    assert (tmp_path / "models/bundle.json").read_text() == model
    assert not (tmp_path / "metrics.json").exists()

    keep(3)
    assert (tmp_path / "models/bundle.json").read_text() == "3"
    assert json.loads((tmp_path / "metrics.json").read_text()) == {"roc_auc": 3}
