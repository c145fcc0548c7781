"""What `dvc repro` leaves in MLflow: the same things for every model, and all of them."""

import hashlib
import json
import re

import numpy as np
import pytest
import yaml

MODELS = ["baseline", "ensemble", "logistic_regression", "neural_net"]
SCORES = {
    "breast_cancer": ["roc_auc", "sensitivity", "specificity", "f1_macro", "log_loss"],
    "genre": ["f1_macro", "accuracy", "log_loss"],
}
EXPERIMENTS = [(task, model) for task in SCORES for model in MODELS]
CURVES = {"curve/train/log_loss", "curve/validation/log_loss"}


def artifacts(client, run_id: str, folder: str | None = None) -> list[str]:
    return sorted(found.path for found in client.list_artifacts(run_id, folder))


@pytest.fixture(scope="module")
def recorded(repro) -> dict:
    """Return the runs by task and model."""
    runs = [run for task in SCORES for run in repro.runs(task) if "kind" not in run.data.tags]
    found = {(run.data.tags["task"], run.info.run_name): run for run in runs}
    assert len(found) == len(runs)
    return found


def read(repro, folder: str, task: str, name: str):
    return json.loads((repro.root / folder / task / name).read_text(encoding="utf-8"))


def manifest_of(repro, task: str, model: str) -> dict:
    if model == "ensemble":
        return read(repro, "ensembles", task, "bundle.json")
    return read(repro, "models", task, f"{model}/bundle.json")


def test_every_experiment_is_one_finished_run(recorded):
    assert sorted(recorded) == EXPERIMENTS
    assert {run.info.status for run in recorded.values()} == {"FINISHED"}


def test_params_are_the_seed_the_task_with_its_view_and_the_model(recorded):
    assert recorded["breast_cancer", "logistic_regression"].data.params == {
        "seed": "0",
        "task.name": "breast_cancer",
        "task.kind": "classification",
        "task.source._target_": "pipeline.tasks.breast_cancer.source.read",
        "task.split.test": "0.2",
        "task.split.validation": "0.2",
        "task.split.folds": "5",
        "task.split.repeats": "None",
        "task.split.seed": "0",
        "task.seeds": "[0]",
        "task.rare": "error",
        "task.unknown": "None",
        "task.time_limit": "None",
        "task.views.engineered._target_": "pipeline.features.scaler.Scaler",
        "task.metric": "roc_auc",
        "task.metrics": "['roc_auc', 'sensitivity', 'specificity', 'f1_macro', 'log_loss']",
        "task.positive": "malignant",
        "model.name": "logistic_regression",
        "model.family": "classical",
        "model.view": "engineered",
        "model.architecture": "None",
        "model._target_": "sklearn.linear_model.LogisticRegression",
        "model.C": "1.0",
        "model.max_iter": "1000",
        "model.random_state": "0",
    }


@pytest.mark.parametrize(("task", "model"), EXPERIMENTS)
def test_metrics_have_the_same_names_for_every_model(recorded, task, model):
    deciding = SCORES[task][0]
    costs = ["fit_seconds", "fit_seconds_total", "peak_bytes", "model_bytes"]
    # Of 1,000 examples none is measured, since there are fewer.
    latency = [f"predict_ms_{size}" for size in (1, 10, 100)]
    assert set(recorded[task, model].data.metrics) - CURVES == {
        *(f"{part}/{name}" for part in ("validation", "test") for name in SCORES[task]),
        *(f"rounds/{part}/{name}" for part in ("validation", "test") for name in SCORES[task]),
        *(f"{part}/{deciding}_sd" for part in ("validation", "test")),
        *(f"test/{deciding}_{end}" for end in ("low", "high")),
        *(f"cost/{name}" for name in [*costs, *latency]),
    }


@pytest.mark.parametrize("part", ["validation", "test"])
@pytest.mark.parametrize(("task", "model"), EXPERIMENTS)
def test_the_score_is_the_mean_of_the_rounds(repro, recorded, task, model, part):
    run, metric = recorded[task, model], SCORES[task][0]
    rounds = repro.client.get_metric_history(run.info.run_id, f"rounds/{part}/{metric}")
    values = [point.value for point in rounds]

    assert [point.step for point in rounds] == list(range(5))
    assert run.data.metrics[f"{part}/{metric}"] == pytest.approx(np.mean(values))
    assert run.data.metrics[f"{part}/{metric}_sd"] == pytest.approx(np.std(values, ddof=1))


@pytest.mark.parametrize(("task", "model"), EXPERIMENTS)
def test_scores_are_those_in_the_files_that_dvc_tracks(repro, recorded, task, model):
    logged = recorded[task, model].data.metrics
    files = {"test": read(repro, "reports", task, f"metrics/{model}.json")["test"]}
    if model != "ensemble":
        files["validation"] = read(repro, "metrics", task, f"{model}.json")
    for split, file in files.items():
        assert set(file) == set(SCORES[task])
        assert {name: logged[f"{split}/{name}"] for name in file} == file


def test_tags_say_what_ran_where_and_from_which_commit(repro, recorded):
    tags = dict(recorded["genre", "neural_net"].data.tags)
    manifest = repro.root / "models/genre/neural_net/bundle.json"
    assert tags.pop("bundle") == hashlib.sha256(manifest.read_bytes()).hexdigest()
    machine = ("cores", "processor", "system", "threads")
    varying = ["journal", "mlflow.user", "process.host", "process.id", "python"]
    for name in varying + [f"machine.{part}" for part in machine]:
        assert tags.pop(name)
    assert tags == {
        "mlflow.runName": "neural_net",
        "mlflow.source.name": "train",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": repro.must("git", "rev-parse", "HEAD").strip(),
        "git.dirty": "false",
        "dvc.stage": "train@genre-neural_net",
        "task": "genre",
        "model": "neural_net",
        "family": "deep",
        "view": "raw",
        "seed": "0",
        "mlflow.note.content": "neural_net on genre, scored as the mean of 5 fits in rounds.",
        **marks_of(repro, "genre")["neural_net"],
    }


def marks_of(repro, task: str) -> dict[str, dict[str, str]]:
    """Read the place, the mark and the score of each model from the table that people read."""
    table = (repro.root / "reports" / task / "leaderboard.txt").read_text("utf-8")
    row = re.compile(r"^ (\w+) ?([★☆]?) .*?(\d\.\d{3} \[.*?\])", re.MULTILINE)
    verdicts = {"★": "take", "☆": "contender", "": ""}
    return {
        model: {"rank": f"{place:02}", "verdict": verdicts[mark], f"test/{SCORES[task][0]}": score}
        for place, (model, mark, score) in enumerate(row.findall(table), start=1)
    }


@pytest.mark.parametrize("task", SCORES)
def test_runs_have_the_place_the_mark_and_the_score_that_the_leaderboard_shows(
    repro, recorded, task
):
    marks = marks_of(repro, task)
    assert sorted(marks) == MODELS
    for model, of_model in marks.items():
        assert recorded[task, model].data.tags.items() >= of_model.items()


@pytest.mark.parametrize("task", SCORES)
def test_the_shared_view_names_what_the_runs_have(repro, recorded, task):
    experiment = repro.client.get_experiment_by_name(task)
    state = json.loads(experiment.tags["mlflow.sharedViewState.board"])
    runs = [recorded[task, model].data for model in MODELS]
    metrics = set().union(*(run.metrics for run in runs))
    shared = set.intersection(*(set(run.tags) for run in runs))

    assert state["selectedColumns"] == [
        "tags.`verdict`",
        f"tags.`test/{SCORES[task][0]}`",
        "tags.`family`",
        "metrics.`cost/fit_seconds`",
        "attributes.`Description`",
    ]
    assert {"verdict", "rank", f"test/{SCORES[task][0]}", "family", "mlflow.note.content"} <= shared
    charts = [chart["metricKey"] for chart in state["compareRunCharts"]]
    assert charts == [f"test/{SCORES[task][0]}", "curve/validation/log_loss"]
    assert {*charts, "cost/fit_seconds"} <= metrics


@pytest.mark.parametrize("task", SCORES)
def test_a_logged_model_has_the_name_of_its_model(repro, task):
    experiment = repro.client.get_experiment_by_name(task)
    logged = repro.client.search_logged_models([experiment.experiment_id])
    assert sorted(model.name for model in logged) == MODELS


@pytest.mark.parametrize("task", SCORES)
def test_the_comparison_is_a_run_with_the_verdict_and_the_pages(repro, task):
    (run,) = (run for run in repro.runs(task) if run.data.tags.get("kind") == "comparison")
    board = read(repro, "reports", task, "board.json")
    reports = repro.root / "reports" / task

    assert run.info.status == "FINISHED"
    assert run.data.tags["data"] == board["provenance"]["data"]
    assert board["looks"] == 1
    assert run.data.tags["mlflow.note.content"] == (reports / "report.md").read_text("utf-8")
    assert {"board.json", "report.html"} <= set(artifacts(repro.client, run.info.run_id))


@pytest.mark.parametrize(("task", "model"), EXPERIMENTS)
def test_artifacts_are_the_configuration_and_the_picture_of_the_test(repro, recorded, task, model):
    run = recorded[task, model]
    # How much each column matters is told where there are several, of models that use them alone.
    told = task == "breast_cancer" and model in ("logistic_regression", "neural_net")
    importance = ["importance.csv"] if told else []
    assert artifacts(repro.client, run.info.run_id) == [
        "config.yaml",
        *importance,
        "requirements.txt",
        "test.png",
    ]
    manifest = manifest_of(repro, task, model)
    place = repro.root / "mlruns" / task / run.info.run_id / "artifacts" / "config.yaml"
    assert yaml.safe_load(place.read_text(encoding="utf-8")) == manifest["settings"]


@pytest.mark.parametrize("task", SCORES)
def test_curves_hold_every_epoch_in_order(repro, recorded, task):
    run = recorded[task, "neural_net"]
    manifest = read(repro, "models", task, "neural_net/bundle.json")
    epochs = read(repro, "models", task, "neural_net/network.json")["n_epochs"]
    for curve in CURVES:
        points = repro.client.get_metric_history(run.info.run_id, curve)
        assert [point.step for point in points] == list(range(1, epochs + 1))
        kept = [point[curve.removeprefix("curve/")] for point in manifest["curve"]]
        assert [point.value for point in points] == kept


@pytest.mark.parametrize(("task", "model"), EXPERIMENTS)
def test_the_digest_of_the_dataset_is_that_of_dvc(repro, recorded, task, model):
    locked = yaml.safe_load((repro.root / "dvc.lock").read_text(encoding="utf-8"))
    (out,) = locked["stages"][f"ingest@{task}"]["outs"]
    (used,) = recorded[task, model].inputs.dataset_inputs
    assert (used.dataset.name, used.dataset.digest) == (task, out["md5"])
    assert [(tag.key, tag.value) for tag in used.tags] == [("mlflow.data.context", "training")]
