"""What a user types, beside `dvc repro`: one stage, a sweep, an experiment, help."""

import hashlib
from pathlib import Path

import pytest
import yaml

CONF = Path(__file__).parents[2] / "conf"
STAGES = ["ingest", "featurize", "train", "evaluate"]
# Every file of a group is a choice, in the order of the alphabet.
CHOICES = {
    group: f"{group}=: {', '.join(sorted(path.stem for path in CONF.glob(f'{group}/*.yaml')))}"
    for group in ("task", "model")
}
GROUPS = {stage: ["task"] for stage in STAGES} | {"train": ["task", "model"]}


def hashes(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_training_with_settings_of_its_own_writes_beside_what_is_compared(
    reproduced, files, tmp_path
):
    """From another folder, in which nothing is written."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    before = files(reproduced.root)
    kept = {name: hashes(reproduced.root / name) for name in ("models", "metrics")}
    overrides = ["task=breast_cancer", "model=logistic_regression", "model.C=1e-9"]
    done = reproduced.stage("train", *overrides, cwd=elsewhere)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("breast_cancer logistic_regression: validation roc_auc 0.")
    assert done.stderr == ""
    assert list(elsewhere.iterdir()) == []
    (run,) = reproduced.runs("breast_cancer")
    beside = f"runs/breast_cancer/logistic_regression/{run.info.run_id}"
    model = ("bundle.json", "estimator.skops", "featurizer.skops")
    places = ["", *(f"rounds/{name}/0/" for name in range(5))]
    made = set(files(reproduced.root)) - set(before)
    assert {name for name in made if (reproduced.root / name).is_file()} == {
        f"{beside}/metrics.json",
        *(f"{beside}/model/{place}{name}" for place in places for name in model),
        f"{beside}/model/rounds/validation.npz",
    }
    assert f"kept in {beside}\n" in done.stdout
    assert {name: hashes(reproduced.root / name) for name in kept} == kept
    assert run.info.status == "FINISHED"
    assert run.data.params["model.C"] == "1e-09"
    assert "dvc.stage" not in run.data.tags


@pytest.mark.parametrize("stage", STAGES)
def test_help_names_the_choices_and_three_examples(warm, clone, stage):
    done = clone.warm(warm, f"pipeline.{stage}", "--help")
    assert done.returncode == 0, done.stderr
    for group in GROUPS[stage]:
        assert CHOICES[group] in " ".join(done.stdout.split())
    assert done.stdout.count(f"python -m pipeline.{stage} ") == 3
    assert ("--multirun" in done.stdout) == (stage == "train")
    assert max(map(len, done.stdout.splitlines())) <= 110


@pytest.mark.parametrize("stage", STAGES)
def test_cfg_prints_the_configuration_as_yaml(warm, clone, stage):
    done = clone.warm(warm, f"pipeline.{stage}", "--cfg", "job", "task=genre", "split_seed=5")
    assert done.returncode == 0, done.stderr
    printed = yaml.safe_load(done.stdout)
    assert printed["split_seed"] == 5
    assert printed["task"]["metric"] == "f1_macro"


def test_a_sweep_trains_each_job_into_a_folder_of_its_own(warm, reproduced):
    before = {name: hashes(reproduced.root / name) for name in ("models", "metrics", "reports")}
    done = reproduced.warm(
        warm,
        "pipeline.train",
        "--multirun",
        "task=genre,breast_cancer",
        "model=baseline,logistic_regression",
    )
    assert done.returncode == 0, done.stderr
    assert {name: hashes(reproduced.root / name) for name in before} == before
    runs = reproduced.runs("genre") + reproduced.runs("breast_cancer")
    assert sorted((run.data.tags["task"], run.info.run_name) for run in runs) == [
        ("breast_cancer", "baseline"),
        ("breast_cancer", "logistic_regression"),
        ("genre", "baseline"),
        ("genre", "logistic_regression"),
    ]
    assert {run.info.status for run in runs} == {"FINISHED"}
    manifests = list((reproduced.root / "multirun").glob("*/*/?/model/bundle.json"))
    assert {hashlib.sha256(path.read_bytes()).hexdigest() for path in manifests} == {
        run.data.tags["bundle"] for run in runs
    }
    assert len(list((reproduced.root / "multirun").glob("*/*/?/metrics.json"))) == 4


def test_one_failed_job_does_not_end_a_sweep_but_tells(warm, reproduced):
    done = reproduced.warm(
        warm, "pipeline.train", "--multirun", "task=breast_cancer", "model.C=1,-1,2"
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "model.C=-1" in done.stderr
    runs = reproduced.runs("breast_cancer")
    assert {run.data.params["model.C"]: run.info.status for run in runs} == {
        "1": "FINISHED",
        "-1": "FAILED",
        "2": "FINISHED",
    }


def test_a_parallel_sweep_makes_the_store_and_finishes_every_job(swept):
    runs = swept.runs("breast_cancer")
    assert sorted(run.info.run_name for run in runs) == [
        "lightgbm",
        "logistic_regression",
        "neural_net",
        "random_forest",
    ]
    assert {run.info.status for run in runs} == {"FINISHED"}


def test_an_experiment_reaches_every_stage_and_the_store_of_the_project(warm, reproduced):
    before = {name: hashes(reproduced.root / name) for name in ("data/ingested", "models")}
    change = [
        "-S",
        "seed=9",
        "-S",
        "split_seed=9",
        "-S",
        "tasks=[breast_cancer]",
        "-S",
        "models=[baseline]",
    ]
    reproduced.must_dvc(warm, "exp", "run", "--temp", "--name", "nine", *change)
    assert {name: hashes(reproduced.root / name) for name in before} == before
    (run,) = (run for run in reproduced.runs("breast_cancer") if "kind" not in run.data.tags)
    assert run.data.params["seed"] == run.data.tags["seed"] == "9"
    assert run.data.tags["dvc.exp_name"] == "nine"
    assert run.data.tags["dvc.stage"] == "train@breast_cancer-baseline"
    assert "test/roc_auc" in run.data.metrics

    seed_0 = reproduced.parts("breast_cancer")["test"]["example_id"]
    reproduced.must_dvc(warm, "exp", "apply", "nine")
    seed_9 = reproduced.parts("breast_cancer")["test"]["example_id"]
    assert len(seed_0) == len(seed_9)
    assert set(seed_0) != set(seed_9)
