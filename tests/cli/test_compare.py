"""From a file to an answer in one command: what `bakeoff FILE --label COLUMN` does and refuses."""

import json

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from pipeline.compare import advising
from pipeline.errors import UserError
from pipeline.progress import say

MODELS = ["baseline", "logistic_regression"]
FAST = ["--models", ",".join(MODELS), "--", "task.split.repeats=1", "resamples=100"]
WORDS = list("abcdefghijklmnop")


PLACES = ["old", "new", "upper", "lower", "mill", "abbey", "bridge", "market", "hill", "lake"]


def table(rows=150) -> pd.DataFrame:
    """Draw customers; who pays much and is on the basic plan leaves, and what they owe is known."""
    rng = np.random.default_rng(0)
    paid, plan = rng.normal(50, 15, rows).round(2), rng.choice(["basic", "plus"], rows)
    left = (paid - 50) / 15 + 2 * (plan == "basic") + rng.normal(size=rows) / 3 > 1
    return pd.DataFrame(
        {
            "paid": paid,
            "plan": plan,
            "home": np.arange(rows) // 2,
            # repeated often enough to be categories in the whole table, and not in a train
            "town": [f"{PLACES[n % 10]} {PLACES[n % 7]}" for n in rng.permutation(rows)],
            "owed": (3 * paid + 20 * (plan == "basic") + rng.normal(size=rows)).round(2),
            "left": np.where(left, "yes", "no"),
        }
    )


def board(project, task):
    path = project.root / "reports" / task / "board.json"
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def compared(clone, warm, empty_store, tmp_path_factory):
    """Return the project after one comparison of a table that lies beside it, and what it said."""
    project = clone.copy(tmp_path_factory.mktemp("compared") / "bakeoff", empty_store)
    table().to_csv(project.root.parent / "My churn.csv", index=False)
    words = ["../My churn.csv", "--label", "left", "--group", "home", "--ignore", "owed", *FAST]
    return project, project.must_warm(warm, "pipeline.compare", *words)


def test_it_says_what_it_took_the_data_for_and_ends_with_a_verdict(compared):
    _, said = compared
    first, *_ = said.splitlines()
    assert first == ("My_churn: 'left' holds 2 values: classification")
    for line in (
        "My_churn: numbers: paid; categories: plan; texts: town\n",
        "My_churn: f1_macro on test\n",
        "Take logistic_regression.",
        "Predict with logistic_regression: python -m pipeline.predict task=My_churn file=NEW.csv\n",
    ):
        assert line in said


def test_the_scores_are_those_of_the_commands_of_each_stage(compared, warm, empty_store, tmp_path):
    project, _ = compared
    again = project.copy(tmp_path / "bakeoff", empty_store)
    table().to_csv(again.root.parent / "churn.csv", index=False)
    source = ["path=../churn.csv", "label=left", "group=home", "ignore=[owed]"]
    ingest = [*(f"task.source.{one}" for one in source), "task.split.repeats=1"]
    models = f"models=[{','.join(MODELS)}]"
    for stage, *overrides in (
        ["ingest", *ingest],
        ["featurize"],
        *(["train", f"model={model}"] for model in MODELS),
        ["combine", models],
        ["evaluate", models, "resamples=100"],
    ):
        again.must_warm(warm, f"pipeline.{stage}", "task=table", *overrides)

    def scores(task):
        of = board(again if task == "table" else project, task)["models"]
        return {model: one["scores"] for model, one in of.items()}

    assert scores("My_churn") == scores("table")


def test_each_data_set_is_an_experiment_that_records_what_it_was_ingested_with(compared):
    project, _ = compared
    runs = {run.info.run_name: run for run in project.runs("My_churn")}
    assert set(runs) == {*MODELS, "comparison"}
    params = runs["logistic_regression"].data.params
    outside = (project.root.parent / "My churn.csv").as_posix()
    assert params["task.source.path"] == outside
    assert params["task.source.label"] == "left"
    assert params["task.source.group"] == "home"
    assert params["task.split.repeats"] == "1"


def test_nothing_is_written_into_conf_and_the_page_repeats_the_command(compared):
    project, _ = compared
    assert project.must("git", "status", "--short") == ""
    commands = board(project, "My_churn")["provenance"]["commands"]
    assert commands[1].startswith("bakeoff '../My churn.csv' --label left --group home")


def test_a_kept_task_is_one_of_dvc_with_the_same_settings(compared, warm, empty_store, tmp_path):
    before, _ = compared
    project = before.copy(tmp_path / "bakeoff", empty_store)
    table().to_csv(project.root.parent / "churn.csv", index=False)
    comments = [line for line in lines(project, "params.yaml") if line.startswith("#")]
    words = ["../churn.csv", "--label", "left", "--keep", "--metric", "accuracy", *FAST]

    said = project.must_warm(warm, "pipeline.compare", *words)

    assert "churn is a task now, in conf/task/churn.yaml, data/churn/ and params.yaml" in said
    pd.testing.assert_frame_equal(pd.read_csv(project.root / "data/churn/churn.csv"), table())
    params = yaml.safe_load((project.root / "params.yaml").read_text())
    assert params["tasks"] == ["breast_cancer", "genre", "churn"]
    assert comments == [line for line in lines(project, "params.yaml") if line.startswith("#")]
    text = (project.root / "conf/task/churn.yaml").read_text()
    assert "  # columns that no model may see, such as what is known only afterwards\n" in text
    # as the models saw them, which printed what they took for texts
    assert "churn: numbers: paid, home, owed; categories: plan; texts: town\n" in said
    assert "  columns:\n    paid: number\n    plan: category\n" in text
    # DVC composes for the file what the command used, but for the place of the data.
    card = json.loads((project.root / "data/ingested/churn/card.json").read_text())
    project.must_warm(warm, "pipeline.compose")
    composed = yaml.safe_load((project.root / "composed/ingest/churn.yaml").read_text())
    used = card["settings"]["task"]
    assert composed["task"]["source"].pop("path") == "data/churn/churn.csv"
    assert used["source"].pop("path") == (project.root.parent / "churn.csv").as_posix()
    kinds = {"paid": "number", "plan": "category", "home": "number", "town": "text"}
    kinds |= {"owed": "number"}
    assert composed["task"]["source"].pop("columns") == kinds
    assert used["source"].pop("columns") == {}
    assert composed["task"] == used
    evaluated = yaml.safe_load((project.root / "composed/evaluate/churn.yaml").read_text())
    assert evaluated["task"]["metric"] == board(project, "churn")["metric"] == "accuracy"
    # and the name is taken
    again = project.warm(warm, "pipeline.compare", *words)
    assert again.returncode == 1
    assert again.stderr == (
        "error: churn is a task of conf/task/: dvc repro evaluate@churn compares its models; "
        "--name gives this one another name\n"
    )


def lines(project, name):
    return (project.root / name).read_text(encoding="utf-8").splitlines()


def test_a_label_of_numbers_is_predicted_by_regression(compared, warm):
    project, _ = compared
    table().drop(columns="left").to_csv(project.root.parent / "debts.csv", index=False)

    said = project.must_warm(
        warm, "pipeline.compare", "../debts.csv", "--label", "owed", "--", "resamples=100",
        "task.split.folds=2", "task.split.repeats=1", "task.models.random_forest.n_estimators=20",
        "task.models.neural_net.max_epochs=20", "task.unit=EUR",
    )  # fmt: skip

    assert "numbers: regression (otherwise say --kind classification)" in said
    assert "debts: rmse in EUR on test" in said
    models = board(project, "debts")["models"]
    # the models of params.yaml, of which ridge regression stands where logistic regression does
    assert set(models) == {
        *("baseline", "linear", "random_forest", "lightgbm", "neural_net", "ensemble"),
    }


def test_a_model_that_fails_is_a_row_and_the_others_are_compared(compared, warm):
    project, _ = compared
    done = project.warm(
        warm, "pipeline.compare", "../My churn.csv", "--label", "left", "--name", "fails",
        *("--models", "baseline,lightgbm"), "--", "task.split.repeats=1", "resamples=100",
        "task.models.lightgbm.num_leaves=1",
    )  # fmt: skip
    assert done.returncode == 0
    assert done.stderr.startswith("fails model=lightgbm failed: LightGBM failed: ")
    assert "num_leaves == 1, must be >= 2." in done.stderr
    models = board(project, "fails")["models"]
    assert "num_leaves == 1, must be >= 2." in models["lightgbm"]["failed"]
    assert not models["baseline"]["failed"]


@pytest.mark.parametrize("form", ["folder", "table"])
def test_texts_are_read_as_texts(form, compared, warm):
    project, _ = compared
    rng = np.random.default_rng(0)
    kinds = rng.permutation(["letter", "memo"] * 30)
    texts = [
        " ".join(rng.choice(WORDS, 14)) + (" dear friend" if kind == "letter" else " action point")
        for kind in kinds
    ]
    place = project.root.parent / ("mail" if form == "folder" else "mail.csv")
    if form == "table":
        pd.DataFrame({"body": texts, "kind": kinds}).to_csv(place, index=False)
    for number, (kind, text) in enumerate(zip(kinds, texts, strict=True)):
        if form == "folder":
            (place / kind).mkdir(parents=True, exist_ok=True)
            (place / kind / f"{number}.txt").write_text(text)

    label = ["--label", "kind"] if form == "table" else []
    said = project.must_warm(warm, "pipeline.compare", f"../{place.name}", *label, *FAST)

    assert "mail: 2 classes; 60 examples" in said
    of = board(project, "mail")
    assert of["models"]["logistic_regression"]["scores"]["f1_macro"]["score"] > 0.9


def test_images_are_read_as_images(compared, warm):
    project, _ = compared
    rng = np.random.default_rng(0)
    for colour, name in enumerate(("green", "red")):
        (project.root.parent / "leaves" / name).mkdir(parents=True)
        for number in range(12):
            pixels = rng.integers(0, 90, (16, 16, 3), dtype=np.uint8)
            pixels[:, :, 1 - colour] += 150
            image = Image.fromarray(pixels)
            image.save(project.root.parent / "leaves" / name / f"{number}.png")
    said = project.must_warm(
        warm, "pipeline.compare", "../leaves", *FAST, "task.source.size=[16,16]"
    )
    assert "leaves: ../leaves holds 24 images in folders: classification" in said
    assert "leaves: 2 classes; 24 examples" in said


def test_a_warning_is_one_line_that_names_what_the_command_takes(compared, warm):
    project, _ = compared
    told = table()
    told.insert(0, "left\nfor good", told["left"].str.upper())
    told.to_csv(project.root.parent / "told.csv", index=False)
    source = ["task=table", "task.source.path=../told.csv", "task.source.label=left"]
    fast = ["--models", "baseline", "--", "task.split.folds=null", "resamples=100"]

    by_stage = project.must_warm(warm, "pipeline.ingest", *source)
    by_flags = project.must_warm(warm, "pipeline.compare", "../told.csv", "--label", "left", *fast)

    for said, named in ((by_stage, "task.source.ignore"), (by_flags, "--ignore")):
        (line,) = [line for line in said.splitlines() if "determines the label" in line]
        assert line.startswith(r"warning: column 'left\nfor good' determines the label by itself: ")
        assert line.endswith(f", add it to {named}")
    assert r"told: numbers: paid, home, owed; categories: left\nfor good, plan" in by_flags


@pytest.mark.parametrize(
    ("message", "worded"),
    [
        ("add it to task.source.ignore", "add it to --ignore"),
        ("set task.source.time=day", "set --time day"),
        ("task.source.label: no column 'a'", "--label: no column 'a'"),
        ("raise task.time_limit, or", "raise --time-limit, or"),
        ("set task.rare=drop or task.rare=merge", "set -- task.rare=drop or -- task.rare=merge"),
        ("set 'task.source.columns={a: date}'", "set -- 'task.source.columns={a: date}'"),
        (
            "set task.source.encoding, such as to cp1252",
            "set -- task.source.encoding=VALUE, such as to cp1252",
        ),
        ("did you mean 'task.split'?", "did you mean 'task.split'?"),
        ("../task.csv does not exist", "../task.csv does not exist"),
    ],
)
def test_a_message_names_a_setting_as_the_command_takes_it(message, worded, capsys):
    with pytest.raises(UserError) as caught, advising():
        say(message)
        raise UserError(message)

    assert str(caught.value) == worded
    assert capsys.readouterr().out == f"{worded}\n"
    say(message)
    assert capsys.readouterr().out == f"{message}\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["../My churn.csv"],
            "name the column of ../My churn.csv to predict: paid, plan, home, town, owed, left",
        ),
        (
            ["../My churn.csv", "--label", "lft"],
            "../My churn.csv: --label: no column 'lft'; did you mean 'left'?",
        ),
        (["../none.csv", "--label", "left"], "../none.csv is not a file"),
        (
            ["../My churn.csv", "--label", "left", "--name", "2024"],
            "--name: YAML does not take '2024' for a text: --name data_2024",
        ),
        (
            ["../My churn.csv", "--label", "left", "--keep", "--name", "ingested"],
            "--name: data/ingested/ is where stages write: --keep needs another name",
        ),
        (["../My churn.csv", "--label", "left", "--name", "../x"], "--name: '../x' is not a name"),
        (
            ["../My churn.csv", "--label", "left", "--models", "lightgmb"],
            "--models: unknown model 'lightgmb'; did you mean 'lightgbm'?",
        ),
        (
            ["../My churn.csv", "--label", "left", "--models", "ease"],
            "model ease is for ranking, not for classification",
        ),
        (
            ["../My churn.csv", "--label", "left", "--metric", "f1_marco"],
            "did you mean 'f1_macro'?",
        ),
        (
            ["../My churn.csv", "--label", "left", "--", "model.C=3"],
            "model.C cannot be set here: say task.models.<model>.C=3",
        ),
        (
            ["../My churn.csv", "--label", "left", "--", "task.splitt.folds=3"],
            "unknown key 'task.splitt'; did you mean 'task.split'?",
        ),
        (
            ["../My churn.csv", "--label", "left", "--", "folds"],
            "'folds' is not an override: expected key=value",
        ),
        (["data/genre", "--label", "left", "--name", "own"], "--label: data/genre is a folder"),
        (["conf", "--models", "baseline"], "conf holds no texts or images"),
        (
            ["data/genre", "--kind", "regression", "--name", "own"],
            "the classes of a folder are no numbers: leave --kind out",
        ),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(words, message, compared, warm):
    project, _ = compared
    before = sorted((project.root / "data" / "ingested").iterdir())
    done = project.warm(warm, "pipeline.compare", *words)
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert sorted((project.root / "data" / "ingested").iterdir()) == before
