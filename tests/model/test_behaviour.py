"""How trained models behave, on the path from raw input that evaluation and serving take."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow.pyfunc import load_model
from safetensors.torch import load_file
from sklearn import datasets

from pipeline import bundle, predictor

EXPERIMENTS = [
    (task, model)
    for task in ("breast_cancer", "genre")
    for model in ("baseline", "logistic_regression", "neural_net")
]
SERVED = [*EXPERIMENTS, ("breast_cancer", "ensemble"), ("genre", "ensemble")]
SWEPT = ["lightgbm", "logistic_regression", "neural_net", "random_forest"]


ROUNDS = ["0", "1", "2", "3", "4"]


def examples(repro, task: str) -> pd.DataFrame:
    """Return the test examples of the first round."""
    return repro.parts(task)["test"]


def load(repro, task: str, model: str) -> predictor.Predictor | predictor.Ensemble:
    place = f"ensembles/{task}" if model == "ensemble" else f"models/{task}/{model}"
    return predictor.load(repro.root / place)


def swept_folders(swept) -> dict[str, Path]:
    """Return the folder of each model of the sweep."""
    manifests = (swept.root / "multirun").glob("*/*/*/model/bundle.json")
    return {json.loads(path.read_text("utf-8"))["model"]: path.parent for path in manifests}


@pytest.mark.parametrize(("task", "model"), SERVED)
def test_probabilities_are_those_of_all_classes_and_sum_to_1(repro, task, model):
    given = load(repro, task, model).outputs(examples(repro, task))
    assert given.min() >= 0
    np.testing.assert_allclose(given.sum(1), 1, atol=1e-6)


@pytest.mark.parametrize(("task", "model"), SERVED)
def test_an_answer_does_not_depend_on_the_examples_beside_it(repro, task, model):
    trained, test = load(repro, task, model), examples(repro, task)
    together = trained.outputs(test)
    backwards = trained.outputs(test[::-1])[::-1]
    alone = np.vstack([trained.outputs(test.iloc[[row]]) for row in range(10)])
    np.testing.assert_allclose(backwards, together, atol=1e-5)
    np.testing.assert_allclose(alone, together[:10], atol=1e-5)


@pytest.mark.parametrize("model", ["baseline", "logistic_regression", "neural_net"])
def test_white_space_after_a_text_changes_no_answer(repro, model):
    trained, test = load(repro, "genre", model), examples(repro, "genre")
    spaced = test.assign(text=test["text"] + " \n")
    np.testing.assert_allclose(trained.outputs(spaced), trained.outputs(test), atol=1e-6)


@pytest.mark.parametrize("model", ["logistic_regression", "neural_net"])
def test_learned_models_tell_more_texts_right_than_counting_words(repro, model):
    scores = pd.read_csv(repro.root / "reports/genre/leaderboard.csv").set_index("model")
    assert scores.loc[model, "f1_macro"] > scores.loc["baseline", "f1_macro"] + 0.1


@pytest.mark.parametrize("model", ["logistic_regression", "neural_net"])
def test_the_same_seed_gives_the_same_model_in_another_process(swept, reproduced, model):
    """One is trained alone, the other was beside three others by a parallel sweep."""
    (run,) = (run for run in swept.runs("breast_cancer") if run.info.run_name == model)
    # Networks sum in another order with another number of threads.
    threads = run.data.tags["machine.threads"]
    plain = ("task=breast_cancer", f"model={model}")
    done = reproduced.stage("train", *plain, OMP_NUM_THREADS=threads)
    assert done.returncode == 0, done.stderr
    folder = swept_folders(swept)[model]
    test = examples(swept, "breast_cancer")
    once = load(reproduced, "breast_cancer", model).outputs(test)
    again = predictor.load(folder).outputs(test)
    np.testing.assert_array_equal(once, again)
    scores = reproduced.root / "metrics" / "breast_cancer" / f"{model}.json"
    assert scores.read_bytes() == folder.with_name("metrics.json").read_bytes()


@pytest.mark.parametrize("model", ["lightgbm", "random_forest"])
def test_the_same_seed_gives_the_same_trees(warm, swept, reproduced, model):
    done = reproduced.warm(warm, "pipeline.train", "task=breast_cancer", f"model={model}")
    assert done.returncode == 0, done.stderr
    test = examples(swept, "breast_cancer")
    np.testing.assert_array_equal(
        load(reproduced, "breast_cancer", model).outputs(test),
        predictor.load(swept_folders(swept)[model]).outputs(test),
    )


def logged(project, task: str, model: str, monkeypatch):
    """Load what a run logged, as `mlflow models serve` does."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", project.store)
    monkeypatch.syspath_prepend(".")  # so that sys.path is put back afterwards
    (run,) = (run for run in project.runs(task) if run.info.run_name == model)
    return load_model(f"runs:/{run.info.run_id}/{model}")


@pytest.mark.parametrize(("task", "model"), SERVED)
def test_a_logged_model_answers_raw_input_as_the_one_in_models(repro, task, model, monkeypatch):
    test = examples(repro, task)
    inputs = test.drop(columns=["example_id", "label", "group"])
    answers = logged(repro, task, model, monkeypatch).predict(inputs)
    trained = load(repro, task, model)
    classes = sorted(test["label"].unique())
    assert list(answers) == ["label", *(f"probability_{name}" for name in classes)]
    np.testing.assert_array_equal(answers.iloc[:, 1:].to_numpy(), trained.outputs(test))
    assert answers["label"].tolist() == trained.predict(test)["label"].tolist()


def originals(repro, task: str, name: str) -> pd.DataFrame:
    """Return the test examples of a round as they are in the original files, by their ids."""
    test = repro.parts(task, name)["test"]
    if task == "genre":
        texts = [(repro.root / "data/genre" / place).read_bytes() for place in test["example_id"]]
        return pd.DataFrame({"text": [text.decode("utf-8") for text in texts]})
    file = Path(datasets.__file__).parent / "data" / "breast_cancer.csv"
    names = [*datasets.load_breast_cancer().feature_names, "target"]
    rows = test["example_id"].str.removeprefix("patient-").astype(int)
    return pd.read_csv(file, skiprows=1, names=names).iloc[rows]


@pytest.mark.parametrize(("task", "model"), EXPERIMENTS)
def test_original_examples_have_the_probabilities_of_evaluate(repro, task, model):
    predictions = pd.read_parquet(repro.root / "reports" / task / "predictions.parquet")
    of_model = predictions[predictions["model"] == model]
    folder = repro.root / "models" / task / model

    for name in ROUNDS:
        expected = of_model[of_model["round"] == name].filter(like="probability_")
        trained = predictor.load(folder / "rounds" / name / "0")
        given = trained.predict(originals(repro, task, name))
        np.testing.assert_array_equal(given.filter(like="probability_"), expected)


@pytest.mark.parametrize(("task", "model"), EXPERIMENTS)
def test_what_train_keeps_for_the_ensemble_is_what_the_models_predict_from_raw_inputs(
    repro, task, model
):
    folder = repro.root / "models" / task / model

    kept = bundle.read_validation(folder, bundle.read(folder))

    assert list(kept) == [(name, 0) for name in ROUNDS]
    for (name, seed), outputs in kept.items():
        trained = predictor.load(folder / "rounds" / name / str(seed))
        predicted = trained.outputs(repro.parts(task, name)["validation"])
        np.testing.assert_allclose(outputs, predicted, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(("task", "model"), SERVED)
@pytest.mark.filterwarnings("ignore:Found extra inputs")
def test_a_logged_model_predicts_original_examples_as_ingested_ones(
    repro, task, model, monkeypatch
):
    served = logged(repro, task, model, monkeypatch).predict(originals(repro, task, "0"))

    expected = load(repro, task, model).predict(examples(repro, task))
    pd.testing.assert_frame_equal(served, expected, check_exact=True)


@pytest.mark.parametrize("model", ["baseline", "logistic_regression", "neural_net"])
def test_a_text_is_answered_alike_however_it_was_typed(repro, model):
    trained, test = load(repro, "genre", model), examples(repro, "genre")
    typed = test["text"].str.replace("'", "’").str.replace(" ", "\r\n ")
    assert (typed.str.contains("’")).any()
    np.testing.assert_array_equal(trained.outputs(test.assign(text=typed)), trained.outputs(test))


@pytest.mark.parametrize("model", SWEPT)
def test_a_model_logged_by_a_sweep_answers_as_the_one_in_its_folder(swept, model, monkeypatch):
    test = examples(swept, "breast_cancer")
    inputs = test.drop(columns=["example_id", "label", "group"])
    answers = logged(swept, "breast_cancer", model, monkeypatch).predict(inputs)
    expected = predictor.load(swept_folders(swept)[model]).outputs(test)
    np.testing.assert_array_equal(answers.iloc[:, 1:].to_numpy(), expected)


def test_nothing_that_is_read_back_is_a_pickle(repro, swept):
    folders = [
        *(repro.root / name for name in ("data/ingested", "data/features", "models", "ensembles")),
        repro.root / "mlruns",
        *(swept.root / name for name in ("multirun", "mlruns")),
    ]
    seen = set()
    for path in (path for folder in folders for path in folder.rglob("*") if path.is_file()):
        seen.add(path.suffix)
        assert path.suffix not in {".pkl", ".pickle", ".joblib"}, path
        # A pickle of protocol 2 or later begins so.
        assert path.read_bytes()[:1] != b"\x80", path
        if path.suffix == ".safetensors":
            assert load_file(path)
        elif path.suffix == ".npy":
            assert np.load(path, allow_pickle=False).dtype != object
        elif path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                assert all(array.dtype != object for array in arrays.values())
        elif path.suffix == ".skops":
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    assert archive.read(name)[:1] != b"\x80", f"{path}: {name}"
    assert {".safetensors", ".npy", ".npz", ".skops", ".json", ".parquet"} <= seen
