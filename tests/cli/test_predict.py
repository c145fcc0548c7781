"""Files without labels, predicted by a trained model row by row: python -m pipeline.predict."""

import gzip
import io
import json
import os
import shutil
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.linear_model import LinearRegression, LogisticRegression

from pipeline import bundle, command, paths, predict, predictor, storage
from pipeline.errors import UserError
from pipeline.features.columns import Columns
from pipeline.features.images import engineered
from pipeline.features.text import WordCount
from pipeline.models.baseline import WordCountRule
from pipeline.predict import Predict
from pipeline.problems import problem
from pipeline.sources import unlabelled
from pipeline.sources.table import read

RNG = np.random.default_rng(0)
N = 60
PEOPLE = pd.DataFrame(
    {
        "age": RNG.normal(40, 12, N),
        "plan": RNG.choice(["basic", "plus", "pro"], N),
        # a boolean that the training file lacks in places is a number
        "member": RNG.choice([0.0, 1.0], N),
        "since": pd.Timestamp("2024-01-01") + pd.to_timedelta(RNG.integers(0, 900, N), "D"),
        # which the user calls `group`
        "group_": RNG.integers(0, 5, N).astype(float),
    }
)
KINDS = dict(zip(PEOPLE, ["double", "string", "double", "datetime", "double"], strict=True))
TABLE = {"_target_": "pipeline.sources.table.read", "path": "people.csv", "label": "left"}


def save(
    root, task, kind, target, inputs, source, featurizer, estimator, decision=None, forms=None
):
    """Write a trained model, and a board that recommends it."""
    folder = root / "models" / task / "linear"
    folder.mkdir(parents=True)
    entries = {
        "kind": kind,
        "task": task,
        "model": "linear",
        "family": "classical",
        "view": "raw",
        "data": {},
        "settings": {"task": {"name": task, "source": source}},
        "curve": [],
        "inputs": inputs,
        "may_miss": True,
        "forms": forms or {},
        "example": [],
        "target": target,
        "outputs": problem(kind).on(target).columns(),
        "decision": decision or {},
        "scores": {},
        "rounds": [],
    }
    storage.dump(featurizer, root / "featurizer.skops")
    bundle.write(folder, entries, estimator, root / "featurizer.skops", [])
    board = root / "reports" / task / "board.json"
    board.parent.mkdir(parents=True)
    board.write_text(json.dumps({"verdict": {"take": "linear"}}))


@pytest.fixture
def root(tmp_path, monkeypatch):
    (tmp_path / "conf").mkdir()
    for name in ("params.yaml", "dvc.yaml"):
        (tmp_path / name).touch()
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def leavers(tmp_path_factory):
    """Train who leaves; give the project, and what the model says of PEOPLE as it was trained."""
    root = tmp_path_factory.mktemp("leavers")
    columns = Columns(max_categories=10, words=10).fit(PEOPLE)
    left = np.where(PEOPLE["age"] + 20 * PEOPLE["member"] > 50, "yes", "no")
    model = LogisticRegression().fit(columns.transform(PEOPLE).astype(np.float32), left)
    target = {"classes": ["no", "yes"], "columns": []}
    save(root, "people", "classification", target, KINDS, TABLE, columns, model)
    return root, predictor.load(root / "models/people/linear").predict(PEOPLE)


@pytest.fixture
def people(root, leavers):
    trained, said = leavers
    shutil.copytree(trained, root, dirs_exist_ok=True)
    return said


def sent() -> pd.DataFrame:
    """Return PEOPLE as the user has them: other names, another order, and more columns."""
    table = PEOPLE.rename(columns={"group_": "group"})
    truth = table["member"].map({0.0: "False", 1.0: "True"})
    return table.assign(member=truth, left="yes", name="x")[[*list(table)[::-1], "left", "name"]]


WRITE = {
    "csv": lambda table, file: table.to_csv(file, index=False),
    "tsv": lambda table, file: table.to_csv(file, index=False, sep="\t"),
    "csv.gz": lambda table, file: table.to_csv(file, index=False),
    "jsonl": lambda table, file: table.to_json(
        file, orient="records", lines=True, date_format="iso", double_precision=15
    ),
    "jsonl.gz": lambda table, file: table.to_json(
        file, orient="records", lines=True, date_format="iso", double_precision=15
    ),
    "parquet": lambda table, file: table.to_parquet(file),
    "json": lambda table, file: table.to_json(
        file, orient="records", date_format="iso", double_precision=15
    ),
    "xlsx": lambda table, file: table.to_excel(file, index=False),
}
EXCEL = pytest.mark.extra("excel")


def answers(root, file, **settings) -> pd.DataFrame:
    predict.main(Predict(file=str(file), output="answers.csv", **settings))
    assert [path.name for path in root.glob(".*") if path.name != ".tmp"] == []
    return pd.read_csv(root / "answers.csv", index_col=0, keep_default_na=False, na_values={
        name: [""] for name in ("label", "probability_no", "probability_yes", "low", "high")
    })  # fmt: skip


@pytest.mark.parametrize(
    "suffix", [pytest.param(name, marks=[EXCEL] * (name == "xlsx")) for name in WRITE]
)
def test_a_file_of_any_type_is_answered_as_the_training_table_is(root, people, suffix, capsys):
    WRITE[suffix](sent(), root / f"new.{suffix}")

    found = answers(root, f"new.{suffix}", task="people")

    assert found.index.name == "row"
    assert found.index.tolist() == list(range(1, N + 1))
    assert list(found) == ["label", "probability_no", "probability_yes", "error"]
    assert found["label"].tolist() == people["label"].tolist()
    np.testing.assert_allclose(found["probability_yes"], people["probability_yes"], rtol=1e-6)
    assert (found["error"] == "").all()
    assert capsys.readouterr().err == f"linear predicted {N} of {N} rows\n"


@pytest.fixture(scope="module")
def german(tmp_path_factory):
    """Train who leaves on a German file; give the project, and a table with the right answers."""
    root = tmp_path_factory.mktemp("german")
    turnover = np.where(PEOPLE["age"] > 40, 2345.0, 1.5)
    table = pd.DataFrame({"Umsätze|€": turnover, "Mitglied": PEOPLE["member"]})
    table.loc[3, "Mitglied"] = np.nan
    right = np.where(turnover > 1000, "ja", "nein")
    columns = Columns(max_categories=10, words=10).fit(table)
    model = LogisticRegression().fit(columns.transform(table).astype(np.float32), right)
    source = TABLE | {"sep": ":", "encoding": "utf-16", "decimal": None}
    forms = {
        "Umsätze|€": {"decimal": ",", "thousands": "."},
        "Mitglied": {"true": "yes", "false": "no"},
    }
    target = {"classes": ["ja", "nein"], "columns": []}
    kinds = dict.fromkeys(table, "double")
    save(root, "umsatz", "classification", target, kinds, source, columns, model, forms=forms)
    return root, table.assign(right=right)


def as_german(table):
    turnover = np.where(table["Umsätze|€"] > 1000, "2.345", "1,5")
    member = table["Mitglied"].map({1.0: "yes", 0.0: "no"})
    return table.drop(columns="right").assign(**{"Umsätze|€": turnover, "Mitglied": member})


WRITE_GERMAN = {
    "csv": lambda table, file: table.to_csv(file, sep=":", encoding="utf-16", index=False),
    "csv.gz": lambda table, file: table.to_csv(file, sep=":", encoding="utf-16", index=False),
    "json": lambda table, file: file.write_text(
        table.to_json(orient="records", force_ascii=False), encoding="utf-16"
    ),
    "jsonl": lambda table, file: table.to_json(file, orient="records", lines=True),
    "xlsx": lambda table, file: table.to_excel(file, index=False),
}


@pytest.mark.parametrize(
    "suffix", [pytest.param(name, marks=[EXCEL] * (name == "xlsx")) for name in WRITE_GERMAN]
)
@pytest.mark.parametrize("rows", [slice(None), slice(0, 1)], ids=["all", "one"])
def test_a_file_is_read_as_the_training_file_was_written(root, german, suffix, rows):
    trained, table = german
    shutil.copytree(trained, root, dirs_exist_ok=True)
    first = table.sort_values("Umsätze|€", ascending=False)[rows]
    # of one row no reader can tell that 2.345 is no fraction
    WRITE_GERMAN[suffix](as_german(first), root / f"new.{suffix}")

    found = answers(root, f"new.{suffix}", task="umsatz")

    assert found["error"].tolist() == [""] * len(first)
    assert found["label"].tolist() == first["right"].tolist()


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
@pytest.mark.parametrize("kind", [str, int])
def test_codes_keep_their_zeros_or_get_them_again(root, suffix, kind):
    table = pd.DataFrame({"zip": ["02139", "10001", "00501"] * 5, "left": ["yes", "no", "no"] * 5})
    table.to_csv(root / "zips.csv", index=False)
    source = read(root / "zips.csv", "left")
    columns = Columns(max_categories=10, words=10).fit(source.examples[["zip"]])
    model = LogisticRegression(C=1e6).fit(columns.transform(table), table["left"])
    form = {key: value for key, value in source.columns["zip"].items() if key != "kind"}
    target = {"classes": ["no", "yes"], "columns": []}
    kinds, forms = {"zip": "string"}, {"zip": form}
    save(root, "zips", "classification", target, kinds, TABLE, columns, model, forms=forms)
    WRITE[suffix](table[["zip"]].astype(kind), root / f"new.{suffix}")

    found = answers(root, f"new.{suffix}", task="zips")

    assert found["label"].tolist() == table["left"].tolist()


def test_a_text_is_in_the_encoding_of_the_training_texts(texts):
    manifest = json.loads((texts / "models/texts/linear/bundle.json").read_text())
    manifest["settings"]["task"]["source"]["encoding"] = "cp1252"
    manifest["may_miss"] = False
    (texts / "models/texts/linear/bundle.json").write_text(json.dumps(manifest))
    (texts / "a.txt").write_bytes(b"caf\xe9")
    # a word for missing values is a text like any other
    (texts / "new.csv").write_bytes(b"review\nNA\ncaf\xe9\n")

    assert answers(texts, "a.txt", task="texts")["error"].tolist() == [""]
    assert answers(texts, "new.csv", task="texts")["error"].tolist() == ["", ""]


@pytest.mark.parametrize("rows", [7, N, N + 1])
def test_rows_are_numbered_across_the_parts_that_are_read_at_once(root, people, rows, monkeypatch):
    monkeypatch.setattr(unlabelled, "ROWS", rows)
    table = sent().astype(object)
    table.loc[6, "age"] = "old"  # the last of a part of 7 rows
    table.to_csv("new.csv", index=False)

    found = answers(root, "new.csv", task="people")

    assert found.index.tolist() == list(range(1, N + 1))
    assert found.index[found["error"] != ""].tolist() == [7]
    right = np.arange(N) != 6
    assert found["label"][right].tolist() == people["label"][right].tolist()


def test_a_bad_row_gets_a_reason_and_the_others_an_answer(root, people, capsys):
    table = sent().astype(object)
    table.loc[0, "age"] = "old"
    table.loc[1, ["age", "since"]] = ["?", "yesterday"]
    table.loc[4, "plan"] = None
    table.to_csv("good.csv", index=False)
    lines = (root / "good.csv").read_bytes().splitlines()
    lines[3] = b"1,2"
    lines[4] = b"\xff" + lines[4][1:]
    (root / "new.csv").write_bytes(b"\n".join(lines))

    found = answers(root, "new.csv", task="people")

    assert found["error"].iloc[:5].tolist() == [
        "column 'age': expected a finite number, not 'old'",
        "column 'age': expected a finite number, not '?'",
        "it has 2 values, the header has 7",
        "it is not utf-8",
        "",
    ]
    assert found["label"].iloc[:4].isna().all()
    assert found["label"].iloc[5:].tolist() == people["label"][5:].tolist()
    assert found["probability_yes"].iloc[4] > 0  # a missing value is none that is wrong
    assert capsys.readouterr().err == (
        f"linear predicted {N - 4} of {N} rows; 4 could not be, see the column 'error'\n"
    )


def test_bad_lines_of_json_get_a_reason(root, people):
    WRITE["jsonl"](sent(), "new.jsonl")
    lines = (root / "new.jsonl").read_text().splitlines()
    lines[0], lines[1] = '{"age": ', "[1, 2]"
    (root / "new.jsonl").write_text("\n".join(lines))

    found = answers(root, "new.jsonl", task="people")

    assert found["error"][1].startswith("it is not JSON: ")
    assert found["error"][2] == "it is no object of JSON"
    assert found["label"].iloc[2:].tolist() == people["label"][2:].tolist()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("new.csv", b"", "new.csv has no header in its first line"),
        ("new.csv", b"aeg,plan,member,since,group\n1,a,1,,1\n", "no column 'age'; did you mean 'a"),
        ("new.csv", b"age,plan,since,group\n1,a,,1\n", "no column 'member'; known: age, group, pl"),
        ("new.csv", b"age,age\n1,2\n", "new.csv: 2 columns are called 'age'; rename all but one"),
        ("new.xls", b"PK", "unknown type of file '.xls'; known: .csv, .tsv, .parquet, .jsonl"),
        pytest.param("new.xlsx", b"PK", "new.xlsx: File is not a zip file", marks=[EXCEL]),
        ("new.json", b"{", "new.json: Expecting property name"),
        ("new.csv", b"ag\xe9,plan\n", "new.csv: its header is not utf-8, as the training file was"),
        ("new.csv.gz", b"age\n1\n", "new.csv.gz is damaged: Not a gzipped file"),
        ("new.parquet", b"PAR1", "new.parquet is damaged: "),
        ("new.csv", b"age,plan,member,since,group\nx,a,1,,1\ny,a,1,,1\n",
         "none of 2 rows can be predicted; row 1: column 'age': expected a finite number, not 'x'"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_refused_and_leaves_the_last_answers(
    root, people, name, content, said
):
    (root / name).write_bytes(content)
    (root / "answers.csv").write_text("of yesterday")

    with pytest.raises(UserError) as caught:
        predict.main(Predict(task="people", file=name, output="answers.csv"))

    assert said in str(caught.value)
    assert (root / "answers.csv").read_text() == "of yesterday"


def test_a_table_without_rows_gives_a_header(root, people):
    (root / "new.csv").write_text("age,plan,member,since,group\n")

    predict.main(Predict(task="people", file="new.csv", output="answers.csv"))

    header = "row,label,probability_no,probability_yes,error\n"
    assert (root / "answers.csv").read_text() == header


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"task": "peopel"}, "no trained model of 'peopel'; tasks with models: people, amounts"),
        ({"task": None}, "task: name a task; tasks with models: amounts, people"),
        ({"model": "liner"}, "task people has no trained model 'liner'; did you mean 'linear'?"),
        ({"model": "linear", "run": "0"}, "name the model by model= or by run=, not by both"),
        ({"task": "amounts"}, "task amounts has no board yet that recommends one: name it"),
        ({"file": "gone.csv"}, "gone.csv does not exist"),
        ({"file": "."}, ". is a folder: name a table, .csv"),
        ({"file": None}, "name what to predict, as in file=new.csv, or user=42"),
        ({"output": "answers.xlsx"}, "output: answers.xlsx is not named .csv"),
        ({"output": "no/answers.csv"}, "output: there is no folder "),
        ({"user": "42", "file": None}, "task people has no catalogue"),
    ],
)
def test_a_mistake_of_the_command_line_is_said(root, people, settings, said):
    (root / "models/amounts/linear").mkdir(parents=True)
    (root / "models/amounts/linear/bundle.json").write_text("{}")
    sent().to_csv("new.csv", index=False)

    with pytest.raises(UserError) as caught:
        predict.main(Predict(**({"task": "people", "file": "new.csv"} | settings)))

    assert said in str(caught.value)


def test_numbers_come_with_their_intervals(root):
    numbers = PEOPLE[["age"]]
    columns = Columns(max_categories=10, words=10).fit(numbers)
    model = LinearRegression().fit(columns.transform(numbers).astype(np.float32), numbers["age"])
    decision = {"constant": 40.0, "coverage": 0.9, "edges": [], "radii": [2.5]}
    target = {"low": 1.0, "columns": []}
    save(root, "ages", "regression", target, {"age": "double"}, TABLE, columns, model, decision)
    manifest = json.loads((root / "models/ages/linear/bundle.json").read_text())
    manifest["outputs"] = {"label": "double", "low": "double", "high": "double"}
    (root / "models/ages/linear/bundle.json").write_text(json.dumps(manifest))
    pd.DataFrame({"age": ["30", "40.5"]}).to_csv("new.csv", index=False)

    found = answers(root, "new.csv", task="ages")

    assert list(found) == ["label", "low", "high", "error"]
    np.testing.assert_allclose(found["label"], [30, 40.5], rtol=1e-4)
    np.testing.assert_allclose(found["high"] - found["low"], 5, rtol=1e-4)


@pytest.fixture
def texts(root):
    table = pd.DataFrame({"text": ["the wind", "word " * 200, "word " * 2000]})
    kinds = np.array(["poetry", "essay", "novel"])
    counter = WordCount().fit(table)
    target = {"classes": sorted(map(str, kinds)), "columns": []}
    source = {"_target_": "pipeline.sources.text_folder.read", "text": "review"}
    rule = WordCountRule().fit(counter.transform(table), kinds)
    save(root, "texts", "classification", target, {"text": "string"}, source, counter, rule)
    return root


def test_texts_are_read_from_a_folder_a_file_or_a_column(texts):
    (texts / "letters/old").mkdir(parents=True)
    (texts / "letters/a.txt").write_text("a short poem")
    (texts / "letters/old/b.txt").write_text("word " * 1900)
    (texts / "letters/old/c.txt").write_bytes(b"caf\xe9")
    (texts / "letters/.hidden.txt").write_text("not read")
    pd.DataFrame({"id": [1, 2], "review": ["a short poem", "word " * 1900]}).to_csv("new.csv")

    found = answers(texts, "letters", task="texts")

    assert found.index.name == "file"
    assert found.index.tolist() == ["a.txt", "old/b.txt", "old/c.txt"]
    assert found["label"].tolist()[:2] == ["poetry", "novel"]
    assert found["error"].tolist() == ["", "", "it is not utf-8: byte 0xe9 in line 1"]
    assert answers(texts, "letters/a.txt", task="texts")["label"].tolist() == ["poetry"]
    assert answers(texts, "new.csv", task="texts")["label"].tolist() == ["poetry", "novel"]
    (texts / "other.csv").write_text("reviews\nx\n")
    with pytest.raises(UserError, match="no column 'review'; did you mean 'reviews'"):
        answers(texts, "other.csv", task="texts")


def png(shade: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((30, 20, 3), shade, np.uint8)).save(file, "PNG")
    return file.getvalue()


def test_images_are_read_from_a_folder_or_by_the_paths_of_a_table(root):
    table = pd.DataFrame({"image": [png(shade) for shade in (10, 20, 200, 210)]})
    views = engineered([64, 64]).fit(table)
    model = LogisticRegression().fit(views.transform(table), ["dark", "dark", "light", "light"])
    source = {"_target_": "pipeline.sources.image_folder.read", "image": "photo"}
    target = {"classes": ["dark", "light"], "columns": []}
    save(root, "photos", "classification", target, {"image": "binary"}, source, views, model)
    (root / "new").mkdir()
    (root / "new/a.png").write_bytes(png(15))
    (root / "new/b.png").write_bytes(b"no image")
    (root / "new/c.png").write_bytes(png(205))
    names = ["new/c.png", "new/gone.png", "new/a.png"]
    pd.DataFrame({"photo": names}).to_csv("new.csv", index=False)

    found = answers(root, "new", task="photos")

    assert found["label"].fillna("").tolist() == ["dark", "", "light"]
    assert "is no image of the kinds" in found["error"]["b.png"]
    named = answers(root, "new.csv", task="photos")
    assert named["label"].fillna("").tolist() == ["light", "", "dark"]
    assert named["error"][2] == "new/gone.png: No such file or directory"


def typed(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["predict", *arguments])
    command.run_plain("predict", predict.main, Predict, predict.KEYS)


def test_without_an_output_the_answers_are_csv_for_the_next_program(
    root, people, capsys, monkeypatch
):
    sent().to_csv("new.csv", index=False)

    typed(monkeypatch, "task=people", "file=new.csv")

    found = pd.read_csv(io.StringIO(capsys.readouterr().out), index_col="row")
    assert found["label"].tolist() == people["label"].tolist()


def test_a_reader_that_has_had_enough_is_no_error(root, people, capfd, monkeypatch):
    sent().to_csv("new.csv", index=False)
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        monkeypatch.setattr(sys, "stdout", closed)
        with pytest.raises(SystemExit) as ended:
            typed(monkeypatch, "task=people", "file=new.csv")

    assert ended.value.code == 1
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("fiel=new.csv", "error: unknown key 'fiel'; did you mean 'file'?\n"),
        ("file", "error: file: expected file=value\n"),
        ("file=gone.csv", "error: gone.csv does not exist\n"),
    ],
)
def test_a_mistake_is_a_line(root, people, capsys, monkeypatch, argument, said):
    with pytest.raises(SystemExit) as ended:
        typed(monkeypatch, "task=people", argument)

    assert ended.value.code == 1
    assert capsys.readouterr().err == said


@pytest.mark.parametrize(
    "inputs",
    [{"age": "double"}, {"age": "nothing of the kind"}, {"age": 3, "plan": None}],
)
def test_a_model_with_other_inputs_than_it_was_fitted_on_is_a_line(
    root, people, capsys, monkeypatch, inputs
):
    manifest = root / "models/people/linear" / bundle.MANIFEST
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"inputs": inputs}))
    sent().to_csv("new.csv", index=False)

    with pytest.raises(SystemExit) as ended:
        typed(monkeypatch, "task=people", "file=new.csv")

    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith("error: linear cannot predict: ")
    assert len(said.splitlines()) == 1


def test_on_a_terminal_the_first_rows_are_a_table(root, people, capsys, monkeypatch):
    table = sent().astype(object)
    table.loc[1, "age"] = "old"
    table.to_csv("new.csv", index=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)

    predict.main(Predict(task="people", file="new.csv"))

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["row", "label", "probability_no", "probability_yes", "error"]
    assert lines[2].split(maxsplit=1) == ["2", "column 'age': expected a finite number, not 'old'"]
    assert len(lines) == 1 + predict.SHOWN + 2
    assert lines[-1] == "The first rows; output=answers.csv writes all of them."


def test_gzip_that_ends_early_is_damaged(root, people):
    whole = gzip.compress(sent().to_csv(index=False).encode())
    (root / "new.csv.gz").write_bytes(whole[:-20])

    with pytest.raises(UserError, match=r"new\.csv\.gz is damaged: "):
        answers(root, "new.csv.gz", task="people")
