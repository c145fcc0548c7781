"""A user's own table and texts, from file to leaderboard, by the commands that a user types."""

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline import paths, predict, predictor
from pipeline.errors import UserError
from pipeline.predict import Predict

WORDS = ["slow", "fast", "late", "kind", "good", "bad", "old", "new", "red", "blue", "cold"]
MODELS = ["baseline", "logistic_regression"]


def churn(rows=300) -> pd.DataFrame:
    """Draw customers of whom those leave who pay much, are on the basic plan, and complain."""
    rng = np.random.default_rng(0)
    paid = rng.normal(50, 15, rows)
    plan = rng.choice(["basic", "plus", "pro"], rows)
    upset = rng.random(rows) < 0.5
    left = (paid - 50) / 15 + (plan == "basic") + 2 * upset + rng.normal(size=rows) * 0.3 > 1.3
    note = [" ".join([*rng.choice(WORDS, 4), "refund" if angry else "thanks"]) for angry in upset]
    table = pd.DataFrame(
        {
            "customer": [f"C{number:04d}" for number in rng.permutation(rows)],
            "paid": paid,
            "plan": plan,
            "member": rng.random(rows) < 0.5,
            "since": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 900, rows), "D"),
            "note": note,
            "left": np.where(left, "yes", "no"),
        }
    )
    for column in ("paid", "plan", "since", "note"):
        table.loc[rng.choice(rows, 9, replace=False), column] = None
    return table


def stages(project, warm, task, *overrides):
    """Run the four stages by hand, with two cheap models; give what they said."""
    commands = [
        ["ingest", *overrides],
        ["featurize"],
        *(["train", f"model={model}"] for model in MODELS),
        ["evaluate", f"models=[{','.join(MODELS)}]"],
    ]
    return [
        project.must_warm(warm, f"pipeline.{stage}", f"task={task}", *rest)
        for stage, *rest in commands
    ]


@pytest.fixture(scope="module")
def own(clone, warm, empty_store, tmp_path_factory):
    """Return the project after the four stages on a table that lies elsewhere."""
    project = clone.copy(tmp_path_factory.mktemp("own") / "bakeoff", empty_store)
    churn().to_csv(project.root.parent / "churn.csv", index=False)
    place = ["task.source.path=../churn.csv", "task.source.label=left"]
    return project, stages(project, warm, "table", *place)


def test_a_table_goes_from_file_to_leaderboard(own):
    project, said = own
    board = pd.read_csv(project.root / "reports" / "table" / "leaderboard.csv").set_index("model")
    # What decides is in the columns: a model that reads them all is nearly always right.
    assert board.loc["logistic_regression", "f1_macro"] > 0.85
    assert board.loc["baseline", "f1_macro"] < 0.5
    assert "f1_macro on test" in said[-1]


def test_predictions_of_raw_rows_are_those_that_evaluate_scored(own, tmp_path, monkeypatch):
    project, _ = own
    # The kept model has learned from all rows, that of a round has not seen its test.
    of_round = project.root / "models/table/logistic_regression/rounds/0/0"
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    shutil.copytree(of_round, tmp_path / "models/table/first")
    scored = pd.read_parquet(project.root / "reports/table/predictions.parquet")
    scored = scored[(scored["model"] == "logistic_regression") & (scored["round"] == "0")]
    rows = churn().iloc[scored["example_id"].astype(int) - 1]
    rows.drop(columns="left").iloc[:, ::-1].to_csv(tmp_path / "new.csv", index=False)
    output = tmp_path / "answers.csv"

    asked = Predict(task="table", model="first", file=f"{tmp_path}/new.csv", output=str(output))
    predict.main(asked)

    found = pd.read_csv(output)
    assert len(found) > 50
    assert found["label"].tolist() == scored["predicted"].tolist()
    for name in ("probability_no", "probability_yes"):
        np.testing.assert_allclose(found[name], scored[name].astype(float), rtol=1e-6)


def test_the_model_of_a_logged_run_predicts(own, tmp_path, monkeypatch):
    project, _ = own
    monkeypatch.setenv("MLFLOW_TRACKING_URI", project.store)
    monkeypatch.setattr(paths, "ROOT", project.root)
    (run,) = (run for run in project.runs("table") if run.info.run_name == "logistic_regression")
    churn().head(5).to_csv(tmp_path / "new.csv", index=False)
    file, output = str(tmp_path / "new.csv"), str(tmp_path / "answers.csv")
    predict.main(Predict(task="table", model="logistic_regression", file=file, output=output))
    expected = Path(output).read_text()

    predict.main(Predict(run=run.info.run_id, file=file, output=output))

    assert Path(output).read_text() == expected
    with pytest.raises(UserError, match=f"{run.info.run_id} is of task table, not of other"):
        predict.main(Predict(task="other", run=run.info.run_id, file=file))
    with pytest.raises(UserError, match="run: there is no run 'abc' in sqlite:///"):
        predict.main(Predict(task="table", run="abc", file=file))


def test_featurize_says_which_column_is_what(own):
    _, (_, said, *_) = own
    assert (
        "table: numbers: paid, member; dates: since; categories: plan; texts: note; "
        "left out, another value in almost every row: customer\n"
    ) in said


@pytest.fixture(scope="module")
def served(own):
    """Return the newest logged model of logistic regression."""
    import mlflow.pyfunc

    project, _ = own
    (run,) = (run for run in project.runs("table") if run.info.run_name == "logistic_regression")
    with pytest.MonkeyPatch.context() as patch:
        # Not MLflow's own setting, which would stand against the environment of later tests.
        patch.setenv("MLFLOW_TRACKING_URI", project.store)
        yield mlflow.pyfunc.load_model(f"models:/{run.outputs.model_outputs[0].model_id}")


def test_the_logged_model_says_what_each_column_is(served):
    kinds = {
        "customer": "string",
        "paid": "double",
        "plan": "string",
        "member": "boolean",
        "since": "datetime",
        "note": "string",
    }
    assert served.metadata.metadata["inputs"] == kinds
    assert served.metadata.get_input_schema().input_names() == list(kinds)


@pytest.fixture(scope="module")
def sent(own) -> pd.DataFrame:
    """Return the rows of the user's file that are the test examples, as pandas reads them."""
    project, _ = own
    test = project.parts("table")["test"]
    return pd.read_csv(project.root.parent / "churn.csv").iloc[test["example_id"].astype(int) - 1]


def probabilities(served, frame) -> np.ndarray:
    return served.predict(frame).filter(like="probability_").to_numpy()


def test_rows_of_the_file_itself_have_the_probabilities_of_evaluate(own, sent):
    project, _ = own
    predictions = pd.read_parquet(project.root / "reports/table/predictions.parquet")
    of_model = predictions[predictions["model"] == "logistic_regression"]
    expected = of_model[of_model["round"] == "0"]
    columns = ["probability_no", "probability_yes"]
    of_round = predictor.load(project.root / "models/table/logistic_regression/rounds/0/0")
    np.testing.assert_array_equal(probabilities(of_round, sent), expected[columns])


def test_the_served_model_predicts_rows_of_the_file_as_the_kept_one_does(own, served, sent):
    project, _ = own
    kept = predictor.load(project.root / "models/table/logistic_regression")
    np.testing.assert_array_equal(probabilities(served, sent), probabilities(kept, sent))


SAME = {
    "ISO text with a zone": lambda rows: rows.assign(since=rows["since"] + "T00:00:00Z"),
    "dates": lambda rows: rows.assign(since=pd.to_datetime(rows["since"])),
    "dates in a zone": lambda rows: rows.assign(
        since=pd.to_datetime(rows["since"]).dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo")
    ),
    "1 and 0": lambda rows: rows.assign(member=rows["member"].astype(int)),
    "numbers as text": lambda rows: rows.assign(paid=rows["paid"].map(str, na_action="ignore")),
    "another order": lambda rows: rows[rows.columns[::-1]],
    "a column more": lambda rows: rows.assign(more=1),
    "only the inputs": lambda rows: rows.drop(columns="left"),
    "categories": lambda rows: rows.astype({"plan": "category"}),
    "objects": lambda rows: rows.astype(object),
}


@pytest.mark.parametrize("name", SAME)
@pytest.mark.filterwarnings("ignore:Found extra inputs")
def test_a_frame_is_answered_alike_whatever_types_it_comes_in(served, sent, name):
    found = probabilities(served, SAME[name](sent))

    np.testing.assert_array_equal(found, probabilities(served, sent))


def test_whole_numbers_are_answered_as_fractions_are(served, sent):
    whole = sent.assign(paid=sent["paid"].fillna(50).round().astype(int))

    found = probabilities(served, whole)

    expected = probabilities(served, whole.astype({"paid": float}))
    np.testing.assert_array_equal(found, expected)


def test_one_row_and_no_row_are_answered(served, sent):
    answers = served.predict(sent)

    one, none = served.predict(sent.iloc[[3]]), served.predict(sent.head(0))

    expected = answers.iloc[3, 1:].astype(float)
    np.testing.assert_allclose(one.iloc[0, 1:].astype(float), expected, rtol=1e-5)
    assert list(none) == list(answers)
    assert len(none) == 0


@pytest.mark.parametrize(
    "odd",
    [{"paid": 1e300}, {"paid": -1e300}, {"since": "9999-12-31"}, {"since": "0001-01-01"}],
    ids=str,
)
def test_values_off_any_scale_are_answered_with_probabilities(served, odd):
    assert 0 <= predicted(served, ROW | odd)["probability_yes"] <= 1


def test_a_category_may_come_as_a_number(served):
    assert predicted(served, ROW | {"plan": 7}) == predicted(served, ROW | {"plan": "never seen"})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"paid": "much"}, "column 'paid', row 1: expected a finite number, not 'much'"),
        ({"since": "31/12/2024"}, "column 'since', row 1: expected a date"),
        ({"member": "maybe"}, "column 'member', row 1: expected true or false, not 'maybe'"),
    ],
)
def test_a_value_that_cannot_be_is_reported_by_column_and_row(served, wrong, message):
    with pytest.raises(Exception, match=message) as caught:
        served.predict(pd.DataFrame([ROW | wrong]))

    # The class of the model's own copy of the code.
    assert type(caught.value).__name__ == "UserError"


ROW = {
    "customer": "C9999",
    "paid": 80.0,
    "plan": "basic",
    "member": True,
    "since": "2024-05-06T00:00:00",
    "note": "so late, want a refund",
}


def predicted(served, row):
    """Predict a row of JSON as the scoring server does."""
    from mlflow.pyfunc.scoring_server import infer_and_parse_data

    data = {"dataframe_records": [json.loads(json.dumps(row))]}
    frame = infer_and_parse_data(data, schema=served.metadata.get_input_schema())
    (answer,) = served.predict(frame).to_dict("records")
    assert answer["probability_yes"] + answer["probability_no"] == pytest.approx(1)
    return answer


@pytest.mark.parametrize(
    ("change", "label"),
    [
        ({}, "yes"),
        ({"paid": 20.0, "plan": "pro", "note": "thanks"}, "no"),
        ({"plan": "never seen"}, "yes"),
        ({"customer": None, "since": None, "plan": None}, "yes"),
        ({"paid": None, "note": None, "since": None, "plan": None}, None),
    ],
)
def test_the_logged_model_answers_a_row_with_nulls_and_new_categories(served, change, label):
    answer = predicted(served, ROW | change)
    assert answer["label"] in ({label} if label else {"yes", "no"})


def test_the_logged_model_answers_a_frame_as_it_does_json(served):
    row = ROW | {"paid": None, "plan": None}
    frame = pd.DataFrame([row | {"since": pd.Timestamp(row["since"])}])
    frame["paid"] = frame["paid"].astype(float)
    assert served.predict(frame).to_dict("records") == [predicted(served, row)]


def test_paths_are_relative_to_where_the_user_stands(own, tmp_path):
    project, _ = own
    churn().to_csv(tmp_path / "here.csv", index=False)
    command = ["task=table", "task.source.path=here.csv", "task.source.label=left"]
    done = project.stage("ingest", *command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        "table: 2 classes; 300 examples, 5 × 3 folds: "
        "train 192, validation 48, test 60 in the first\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["here.csv"]


PARAMS = "tasks: [churn]\nmodels: [baseline]\nseed: 0\nsplit_seed: 0\n"


def test_a_new_task_is_a_copy_of_the_file_in_conf(warm, clone, empty_store, tmp_path):
    project = clone.copy(tmp_path / "bakeoff", empty_store)
    root = project.root
    task = (root / "conf/task/table.yaml").read_text("utf-8")
    task = task.replace("data/table/data.csv", "data/churn/customers.csv")
    task = task.replace("label: label", "label: left")
    (root / "conf/task/churn.yaml").write_text(task, "utf-8")
    (root / "data/churn").mkdir()
    churn().to_csv(root / "data/churn/customers.csv", index=False)
    (root / "params.yaml").write_text(PARAMS, "utf-8")

    project.must_dvc(warm, "repro", "evaluate@churn")

    assert "churn: f1_macro on test" in (root / "reports/churn/leaderboard.txt").read_text("utf-8")
    assert json.loads(project.must_dvc(warm, "status", "--json")) == {}
    # DVC watches the file of the task.
    churn(200).to_csv(root / "data/churn/customers.csv", index=False)
    assert list(json.loads(project.must_dvc(warm, "status", "--json"))) == ["ingest@churn"]


def test_git_leaves_the_users_data_alone_but_not_the_page_about_it(clone):
    places = [
        "table/data.csv",
        "table/README.md",
        "text_folder/good/a.txt",
        "text_folder/README.md",
    ]
    done = clone.run("git", "check-ignore", *(f"data/{place}" for place in places))
    assert done.stdout.split() == ["data/table/data.csv", "data/text_folder/good/a.txt"]


def reviews(rows=60) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    good = np.arange(rows) % 2 == 0
    said = [" ".join([*rng.choice(WORDS, 8), "love" if fine else "hate"]) for fine in good]
    return pd.DataFrame({"review": said, "mood": np.where(good, "good", "bad")})


def test_a_table_of_texts_goes_from_file_to_leaderboard(project, warm):
    reviews().to_csv(project.root.parent / "reviews.csv", index=False)
    columns = ["task.source.text=review", "task.source.label=mood"]

    stages(project, warm, "text_folder", "task.source.path=../reviews.csv", *columns)

    board = pd.read_csv(project.root / "reports/text_folder/leaderboard.csv").set_index("model")
    assert board.loc["logistic_regression", "f1_macro"] > board.loc["baseline", "f1_macro"] + 0.3


GOOD = "a,b,when,who,label\n" + "".join(
    f"{row / 8},{'uvw'[row % 3]},2024-01-{row + 1:02d},p{row // 2},{'yes' if row % 2 else 'no'}\n"
    for row in range(24)
)
LATER = GOOD.replace("2024", "2025").replace("p", "q").replace(",u,", ",x,").replace(",v,", ",y,")
MISTAKES = {
    "label column missing": (GOOD, "task.source.label=labl", ["'labl'", "mean 'label'"]),
    "one class only": (GOOD.replace(",no", ",yes"), "", ["one class", "'yes'"]),
    "no column with a value": ("c,label\n" + ",yes\n,no\n" * 12, "", ["no column is left"]),
    "duplicate header": (GOOD.replace("a,b", "a,a"), "", ["2 columns", "'a'"]),
    "ragged row": (GOOD + "1,u\n", "", ["Row #26", "Expected 5 columns, got 2"]),
    "not UTF-8": (GOOD.encode() + b"1,caf\xe9,,,no\n", "", ["not utf-8", "0xe9", "line 26"]),
    "empty file": ("", "", ["Empty"]),
    "header alone": ("a,label\n", "", ["no rows"]),
    "a quantity": (GOOD, "task.source.label=a", ["'a'", "24 different", "task=table_regression"]),
    "missing label": (GOOD + "1,u,,p,\n", "", ["label", "1 of 25 rows (25"]),
    "group and time": (
        GOOD,
        "task.source.group=who task.source.time=when",
        ["task.source.group", "task.source.time", "both"],
    ),
    "time that is none": (GOOD, "task.source.time=b", ["'b'", "2024-12-31", "'u'"]),
    "column to ignore missing": (GOOD, "task.source.ignore=[bb]", ["'bb'", "mean 'b'"]),
    "columns to ignore are no list": (GOOD, "task.source.ignore=b", ["task.source.ignore", "list"]),
    "too few of a class": (
        GOOD + "1,u,2024-02-01,z,maybe\n",
        "",
        ["'maybe'", "1 independent", "task.rare"],
    ),
    "unknown choice": (GOOD, "task.rare=dropp", ["task.rare", "'dropp'", "mean 'drop'"]),
    "unknown type": (GOOD, "task.source.path=mine/table.xls", [".xls", ".csv", ".parquet"]),
    "no such file": (GOOD, "task.source.path=mine/tables.csv", ["tables.csv", "not a file"]),
    "test file lacks a column": (
        GOOD,
        "task.source.test=mine/lacking.csv",
        ["lacking.csv", "'b'", "same columns"],
    ),
    "group in both files": (
        GOOD,
        "task.source.test=mine/same.csv task.source.group=who",
        ["'p0'", "in the test"],
    ),
    "class in test alone": (
        GOOD,
        "task.source.test=mine/other.csv",
        ["'maybe'", "test", "not in train"],
    ),
}


@pytest.fixture(scope="module")
def fresh(clone, empty_store, tmp_path_factory):
    """Return a project whose tests put things right again."""
    project = clone.copy(tmp_path_factory.mktemp("mistakes") / "bakeoff", empty_store)
    folder = project.root / "mine"
    folder.mkdir()
    (folder / "table.xls").write_bytes(b"PK")
    pd.read_csv(io.StringIO(LATER)).drop(columns="b").to_csv(folder / "lacking.csv", index=False)
    (folder / "same.csv").write_text(LATER.replace("q0", "p0"), "utf-8")
    (folder / "other.csv").write_text(LATER.replace(",no", ",maybe"), "utf-8")
    return project


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_reported_and_leaves_nothing_behind(fresh, warm, files, name):
    content, overrides, named = MISTAKES[name]
    table = fresh.root / "mine" / "table.csv"
    table.write_bytes(content if isinstance(content, bytes) else content.encode())
    before = files(fresh.root)

    command = ["task=table", "task.source.path=mine/table.csv", *overrides.split()]
    done = fresh.warm(warm, "pipeline.ingest", *command)

    assert done.returncode == 1, done.stdout
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") <= 2
    assert [part for part in named if part not in done.stderr] == []
    assert files(fresh.root) == before


def test_a_leak_is_warned_of_and_goes_on(fresh, warm):
    table = fresh.root / "mine" / "table.csv"
    leaking = churn().assign(refunded=lambda rows: rows["left"].eq("yes").astype(int))
    leaking.to_csv(table, index=False)

    command = ["task=table", "task.source.path=mine/table.csv", "task.source.label=left"]
    done = fresh.warm(warm, "pipeline.ingest", *command)

    assert done.returncode == 0, done.stderr
    assert "warning: column 'refunded' determines the label by itself" in done.stdout
    card = json.loads((fresh.root / "data/ingested/table/card.json").read_text("utf-8"))
    assert len(card["warnings"]) == 1


def test_a_table_of_few_different_rows_keeps_them_all(fresh, warm):
    rows = [f"{plan},{stay}\n" for plan in "abcd" for stay in ["yes"] * 30 + ["no"] * 20]
    (fresh.root / "mine" / "table.csv").write_text("plan,label\n" + "".join(rows), "utf-8")
    done = fresh.warm(warm, "pipeline.ingest", "task=table", "task.source.path=mine/table.csv")
    assert done.stdout.startswith(
        "table: 2 classes; 200 examples, 5 × 3 folds: "
        "train 128, validation 32, test 40 in the first\nwarning: "
    )

    place = "mine/table.csv"
    command = ["task=table", f"task.source.path={place}", f"task.source.test={place}"]
    done = fresh.warm(warm, "pipeline.ingest", *command)
    assert done.stdout.startswith("table: 2 classes; train 160, validation 40, test 200\nwarning: ")


def test_a_table_of_identifiers_alone_is_told(fresh, warm):
    rows = "".join(f"id{number},{'yes' if number % 2 else 'no'}\n" for number in range(40))
    (fresh.root / "mine" / "table.csv").write_text(f"who,label\n{rows}", "utf-8")
    done = fresh.warm(warm, "pipeline.ingest", "task=table", "task.source.path=mine/table.csv")
    assert done.returncode == 0, done.stderr

    done = fresh.warm(warm, "pipeline.featurize", "task=table")

    assert done.returncode == 1
    assert "there is no column to learn from: left out, another value in almost every row: who" in (
        done.stderr
    )
    assert not (fresh.root / "data/features/table").exists()


def test_photos_are_trained_on_in_the_size_that_ingest_was_given(warm, project):
    """Views refer to the source as it was ingested, though the command line alone has its size."""
    rng = np.random.default_rng(0)
    for label, shade in (("cat", 60), ("dog", 190)):
        folder = project.root / "data/image_folder" / label
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(14):
            pixels = rng.integers(shade - 50, shade + 50, (40, 50, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    settings = ["task.source.size=[24, 32]", "task.split.folds=2"]
    project.must_warm(warm, "pipeline.ingest", "task=image_folder", *settings)

    said = project.must_warm(warm, "pipeline.featurize", "task=image_folder")

    assert "image_folder: view raw, 24 × 32 × 3 numbers per example" in said
    project.must_warm(warm, "pipeline.train", "task=image_folder", "model=lightgbm")
    # A photo as the user has it, not as it was stored.
    photo = (project.root / "data/image_folder/dog/0.png").read_bytes()
    trained = predictor.load(project.root / "models/image_folder/lightgbm")
    assert trained.predict(pd.DataFrame({"image": [photo]}))["label"].tolist() == ["dog"]
