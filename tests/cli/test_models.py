"""A model is what it says it is: trained at once with others, failed, damaged, moved, or stale."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow.pyfunc import load_model
from sklearn.metrics import roc_auc_score

from pipeline import bundle, predictor

MODELS = Path("models", "breast_cancer")
VICTIM = "logistic_regression"
Damage = Callable[[Path], None]


def truncated(name: str) -> Damage:
    def damage(model: Path) -> None:
        file = model / name
        file.write_bytes(file.read_bytes()[:100])

    return damage


def another_model(model: Path) -> None:
    shutil.rmtree(model)
    shutil.copytree(model.with_name("baseline"), model)


def file_of_another_model(model: Path) -> None:
    shutil.copy(model.with_name("baseline") / "estimator.skops", model)


def edited(**changes: object) -> Damage:
    def damage(model: Path) -> None:
        file = model / "bundle.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    return damage


# By the name of a model: what is done to it, and what its row says.
DAMAGES = {
    VICTIM: (shutil.rmtree, f"models/breast_cancer/{VICTIM}/bundle.json does not exist"),
    "manifest_cut_short": (truncated("bundle.json"), "bundle.json is damaged"),
    "estimator_cut_short": (truncated("estimator.skops"), "estimator.skops is damaged"),
    "featurizer_cut_short": (truncated("featurizer.skops"), "featurizer.skops is damaged"),
    "folder_of_another": (another_model, "holds the model baseline of breast_cancer"),
    "estimator_of_another": (file_of_another_model, "estimator.skops is damaged"),
    "of_another_task": (edited(task="genre"), "holds the model of_another_task of genre"),
    "deciding_on_no_class": (
        edited(decision={"positive": 7, "threshold": 0.5}),
        "is no class with its threshold",
    ),
    "of_other_data": (edited(data={"digest": "0"}), "was trained on other data"),
    "of_another_target": (
        edited(target={"classes": ["a", "malignant"], "columns": []}),
        "was trained for the target {'classes': ['a', 'malignant']",
    ),
    "of_another_kind": (edited(kind="regression"), "of regression, the data have"),
}


@pytest.fixture(scope="module")
def damaged(warm, repro, empty_store, tmp_path_factory):
    """Return the project after a comparison with copies of a model, each damaged in its way."""
    project = repro.copy(tmp_path_factory.mktemp("damaged") / "bakeoff", empty_store)
    for name, (damage, _) in DAMAGES.items():
        model = project.root / MODELS / name
        if name != VICTIM:
            shutil.copytree(repro.root / MODELS / VICTIM, model)
            edited(model=name)(model)
            conf = project.root / "conf/model"
            shutil.copy(conf / f"{VICTIM}.yaml", conf / f"{name}.yaml")
        damage(model)
    asked = f"models=[baseline,neural_net,{','.join(DAMAGES)}]"
    done = project.warm(warm, "pipeline.evaluate", "task=breast_cancer", "resamples=10", asked)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return project


@pytest.mark.parametrize("name", DAMAGES)
def test_a_model_that_cannot_be_compared_is_a_row_that_says_so(damaged, name):
    _, reason = DAMAGES[name]
    reports = damaged.root / "reports" / "breast_cancer"
    board = pd.read_csv(reports / "leaderboard.csv", keep_default_na=False).set_index("model")
    assert board["roc_auc"][name] == ""
    assert reason in board["failed"][name]
    assert board["family"][name] == "classical"
    assert f"{name}: " in (reports / "leaderboard.txt").read_text("utf-8")
    assert name in (reports / "report.md").read_text("utf-8")
    assert not (reports / "metrics" / f"{name}.json").exists()


def test_models_that_cannot_be_compared_take_their_ensemble_along_and_no_other(warm, damaged):
    reports = damaged.root / "reports" / "breast_cancer"
    board = pd.read_csv(reports / "leaderboard.csv", keep_default_na=False).set_index("model")
    assert set(board.index[board["roc_auc"] != ""]) == {"neural_net", "baseline"}
    assert f"combines another {VICTIM} than" in board["failed"]["ensemble"]
    printed = damaged.must_warm(warm, "pipeline.leaderboard")
    assert "which model, classical or deep?" in printed


def test_the_board_in_json_holds_what_the_others_are_written_from(repro):
    reports = repro.root / "reports" / "breast_cancer"
    board = json.loads((reports / "board.json").read_text("utf-8"))
    rows = pd.DataFrame(board["slices"]["test"]["rows"])
    csv = pd.read_csv(reports / "leaderboard.csv", keep_default_na=False)
    texts = ["model", "mark", "metric", "family", "failed"]
    pd.testing.assert_frame_equal(rows[texts], csv[texts], check_dtype=False)
    numbers = [name for name in rows if name not in texts]
    found = csv[numbers].apply(pd.to_numeric)
    pd.testing.assert_frame_equal(rows[numbers].astype(float), found, check_dtype=False)
    assert board["slices"]["test"]["examples"] == 569
    assert board["provenance"]["commit"] == repro.must("git", "rev-parse", "HEAD").strip()
    for name, model in board["models"].items():
        own = repro.root / MODELS / name
        folder = repro.root / "ensembles/breast_cancer" if name == "ensemble" else own
        manifest = json.loads((folder / "bundle.json").read_text("utf-8"))
        assert model["digest"] == bundle.digest(folder)
        assert (model["family"], model["curve"]) == (manifest["family"], manifest["curve"])
    runs = [run for run in repro.runs("breast_cancer") if "kind" not in run.data.tags]
    ids = {run.info.run_name: run.info.run_id for run in runs}
    assert {name: model["run_id"] for name, model in board["models"].items()} == ids


def test_a_training_that_fails_is_a_result_under_dvc_and_an_error_by_hand(warm, reproduced):
    """A network that diverges, as its file says."""
    reproduced.edit("conf/model/neural_net.yaml", "lr: 0.002", "lr: 1.0e+30")
    reproduced.must_warm(warm, "pipeline.compose")
    command = ("pipeline.train", "task=breast_cancer", "model=neural_net")

    by_hand = reproduced.warm(warm, *command)
    under_dvc = reproduced.warm(warm, *command, DVC_STAGE="train@breast_cancer-neural_net")

    reason = "NeuralNet: validation/log_loss is nan at step 1"
    assert (by_hand.returncode, by_hand.stderr) == (1, f"error: {reason}\n")
    assert under_dvc.returncode == 0
    assert under_dvc.stderr == f"breast_cancer neural_net failed: {reason}\n"
    assert {run.info.status for run in reproduced.runs("breast_cancer")} == {"FAILED"}
    assert {run.data.tags["error"] for run in reproduced.runs("breast_cancer")} == {reason}
    metrics = reproduced.root / "metrics" / "breast_cancer" / "neural_net.json"
    assert json.loads(metrics.read_text()) == {}

    done = reproduced.warm(warm, "pipeline.evaluate", "task=breast_cancer", "resamples=10")

    assert done.returncode == 0, done.stderr
    assert f"neural_net: its training failed: {reason}" in done.stdout


def test_two_trainings_at_once_each_keep_their_own_model_and_scores(warm, reproduced):
    wanted = [0.0001, 100.0]
    command = (warm, "-m", "pipeline.train", "task=breast_cancer", f"model={VICTIM}")
    processes = [reproduced.start(*command, f"model.C={C}") for C in wanted]
    said = [process.communicate(timeout=120) for process in processes]

    assert [process.returncode for process in processes] == [0, 0], said
    runs = reproduced.runs("breast_cancer")
    assert sorted(float(run.data.params["model.C"]) for run in runs) == wanted
    for run in runs:
        place = reproduced.root / "runs" / "breast_cancer" / VICTIM / run.info.run_id
        model = predictor.load(place / "model")
        assert float(run.data.params["model.C"]) == model.estimator.C
        assert bundle.digest(place / "model") == run.data.tags["bundle"]
        scores = json.loads((place / "metrics.json").read_text())
        logged = run.data.metrics
        assert scores == {name: logged[f"validation/{name}"] for name in scores}


def test_a_model_is_kept_whose_run_the_store_cannot_take_yet(warm, reproduced):
    """The store refuses the scores, as a full disk would."""
    reproduced.edit("conf/model/logistic_regression.yaml", "C: 1.0", "C: 2.0")
    before = bundle.digest(reproduced.root / MODELS / VICTIM)
    refusal = (
        "CREATE TRIGGER full BEFORE INSERT ON metrics WHEN NEW.key LIKE 'validation/%' "
        "BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
    )
    with closing(sqlite3.connect(reproduced.root / "mlflow.db")) as database:
        database.execute(refusal)

    done = reproduced.warm(warm, "pipeline.train", "task=breast_cancer", f"model={VICTIM}")

    assert done.returncode == 0
    assert "(database or disk is full): kept in .spool/" in done.stderr
    now = bundle.digest(reproduced.root / MODELS / VICTIM)
    assert now != before
    (run,) = reproduced.runs("breast_cancer")
    assert run.info.status == "RUNNING"
    with closing(sqlite3.connect(reproduced.root / "mlflow.db")) as database:
        database.execute("DROP TRIGGER full")
    reproduced.must_warm(warm, "pipeline.tracking.sync")
    (run,) = reproduced.runs("breast_cancer")
    assert (run.info.status, run.data.tags["bundle"]) == ("FINISHED", now)


def test_a_plain_training_by_hand_makes_the_model_that_is_compared(warm, reproduced):
    reproduced.edit("conf/model/logistic_regression.yaml", "C: 1.0", "C: 2.0")

    reproduced.must_warm(warm, "pipeline.train", "task=breast_cancer", f"model={VICTIM}")

    assert predictor.load(reproduced.root / MODELS / VICTIM).estimator.C == 2.0
    assert not (reproduced.root / "runs").exists()


STAGES = [
    "train@breast_cancer-neural_net",
    f"train@breast_cancer-{VICTIM}",
    "evaluate@breast_cancer",
]


def test_the_lock_depends_neither_on_the_clock_nor_on_the_place(warm, reproduced):
    """Stages run again, later, in a folder of another name."""

    def locked() -> dict:
        stages = yaml.safe_load((reproduced.root / "dvc.lock").read_text("utf-8"))["stages"]
        return {name: stages[name] for name in STAGES}

    before = locked()
    reproduced.must_dvc(warm, "repro", "--single-item", "--force", *STAGES)

    assert locked() == before
    others = {"restored", "kind"}
    runs = reproduced.runs("breast_cancer")
    trained = [run for run in runs if not others & set(run.data.tags)]
    assert len(trained) == 2


def test_a_board_of_other_models_is_not_printed(warm, reproduced):
    reproduced.edit("conf/model/logistic_regression.yaml", "C: 1.0", "C: 2.0")
    reproduced.must_warm(warm, "pipeline.train", "task=breast_cancer", f"model={VICTIM}")

    done = reproduced.warm(warm, "pipeline.leaderboard")

    assert done.returncode == 1
    assert "compares another logistic_regression than the one in" in done.stderr
    assert "python -m pipeline.evaluate task=breast_cancer" in done.stderr


def test_two_logged_models_answer_in_one_process_each_with_its_own_code(
    warm, reproduced, monkeypatch
):
    plain = ("pipeline.train", "task=breast_cancer")
    reproduced.must_warm(warm, *plain, f"model={VICTIM}")
    reproduced.edit(
        "pipeline/predictor.py",
        "columns})\n        return self.problem.frame(self.outputs(examples), self.decision)",
        "columns})\n"
        "        return self.problem.frame(self.outputs(examples), self.decision).assign(new=1.0)",
    )
    reproduced.must_warm(warm, *plain, "model=neural_net")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", reproduced.store)
    monkeypatch.syspath_prepend(".")  # so that sys.path is put back afterwards
    runs = {run.info.run_name: run.info.run_id for run in reproduced.runs("breast_cancer")}
    test = reproduced.parts("breast_cancer")["test"]

    old, new = (load_model(f"runs:/{runs[model]}/{model}") for model in (VICTIM, "neural_net"))

    assert "new" not in old.predict(test)
    assert new.predict(test)["new"].eq(1).all()
    assert "new" not in old.predict(test)


def test_each_round_is_trained_once_per_seed_and_the_score_is_their_mean(warm, project):
    project.edit("conf/task/base/common.yaml", 'seeds: ["${seed}"]', "seeds: [3, 4]")
    project.edit("conf/task/breast_cancer.yaml", "folds: 5", "folds: null")
    project.edit("conf/model/neural_net.yaml", "max_epochs: 200", "max_epochs: 3")
    models = ["baseline", "neural_net"]
    for stage in ("ingest", "featurize"):
        project.must_warm(warm, f"pipeline.{stage}", "task=breast_cancer")
    for model in models:
        project.must_warm(warm, "pipeline.train", "task=breast_cancer", f"model={model}")
    asked = ["task=breast_cancer", f"models=[{','.join(models)}]"]
    said = project.must_warm(warm, "pipeline.evaluate", *asked)

    reports = project.root / "reports/breast_cancer"
    predictions = pd.read_parquet(reports / "predictions.parquet")
    of_network = predictions[predictions["model"] == "neural_net"]
    scores = {
        seed: roc_auc_score(part["label"] == "malignant", part["probability_malignant"])
        for seed, part in of_network.groupby("seed")
    }
    board = json.loads((reports / "board.json").read_text("utf-8"))
    assert list(scores) == board["rounds"]["seeds"] == [3, 4]
    assert scores[3] != scores[4]
    found = board["models"]["neural_net"]["scores"]["roc_auc"]["score"]
    assert found == pytest.approx(np.mean(list(scores.values())))
    # The kept model is that of the first seed.
    kept = predictor.load(project.root / MODELS / "neural_net")
    first = of_network[of_network["seed"] == 3].filter(like="probability_")
    np.testing.assert_array_equal(kept.outputs(project.parts("breast_cancer")["test"]), first)
    assert "114 examples, 2 seeds" in " ".join(said.split())
