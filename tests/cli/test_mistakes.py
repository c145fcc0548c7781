"""A mistake of the user's is reported in a line or two with its place, and leaves no trace."""

import os
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess

import pytest

Prepare = Callable[[Path], None]


def nothing(root: Path) -> None:
    pass


def truncated(name: str) -> Prepare:
    def prepare(root: Path) -> None:
        file = root / name
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])

    return prepare


def written(name: str, content: bytes) -> Prepare:
    def prepare(root: Path) -> None:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    return prepare


def replaced(name: str, old: str, new: str) -> Prepare:
    def prepare(root: Path) -> None:
        text = (root / name).read_text(encoding="utf-8")
        assert old in text
        (root / name).write_text(text.replace(old, new, 1), encoding="utf-8")

    return prepare


def copied(name: str, to: str) -> Prepare:
    def prepare(root: Path) -> None:
        shutil.copyfile(root / name, root / to)

    return prepare


def removed(name: str) -> Prepare:
    def prepare(root: Path) -> None:
        path = root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return prepare


def replaced_by_a_file(name: str) -> Prepare:
    def prepare(root: Path) -> None:
        removed(name)(root)
        (root / name).write_text("in the way")

    return prepare


def texts(**counts: int) -> Prepare:
    """Make a folder of texts, so many a class."""

    def prepare(root: Path) -> None:
        for label, count in counts.items():
            for number in range(count):
                written(f"mine/{label}/{number}.txt", f"{label} {number}".encode())(root)

    return prepare


def table(source: str) -> Prepare:
    """Make a module with a source of the user's own."""
    module = f"""
import pandas as pd
from pipeline.sources.examples import Source

def read():
    examples = pd.DataFrame({{
        "example_id": [f"e{{i}}" for i in range(40)],
        "size": [float(i) for i in range(40)],
        "label": ["a", "b"] * 20,
        "group": [f"e{{i}}" for i in range(40)],
    }})
    {source}
    return Source(examples, [{{"path": "mine", "sha256": "0" * 64}}])
"""
    return written("mine.py", module.encode())


def download(content: bytes | None) -> Prepare:
    """Make a source that downloads a file, and a mirror that may hold it."""

    def prepare(root: Path) -> None:
        remote = 'Remote("https://example.org/book.txt", "21dac76b" + 56 * "0")'
        imported = "from pipeline.sources.download import Remote, fetch"
        table(f"{imported}; fetch([{remote}])")(root)
        (root / "mirror").mkdir()
        if content is not None:
            written("mirror/example.org/book.txt", content)(root)

    return prepare


@dataclass(frozen=True)
class Mistake:
    """A command that must fail, and what its message must name."""

    command: str
    names: list[str]
    prepare: Prepare = nothing
    environment: dict[str, str] = field(default_factory=dict)


LOGISTIC = b"""\
family: classical
view: engineered
_target_: sklearn.linear_model.LogisticRegression
"""
MINE = "ingest task=genre task.source.path=mine"
OWN = "ingest task.source={_target_:mine.read}"
MISTAKES = {
    # the command line
    "unknown task": Mistake("train task=genr", ["task", "'genr'", "did you mean 'genre'"]),
    "unknown model": Mistake("train model=lightgmb", ["model", "'lightgmb'", "mean 'lightgbm'"]),
    "unknown task, none alike": Mistake("ingest task=xyz", ["'xyz'", "known: ", "text_folder"]),
    "unknown key": Mistake("train sed=3", ["'sed'", "did you mean 'seed'"]),
    "unknown key of a model": Mistake(
        "train model=lightgbm model.num_leafs=3", ["num_leafs", "model.num_leaves"]
    ),
    "new key of a model": Mistake("train +model.penalti=l1", ["model.penalti", "penalty"]),
    "new key of a task": Mistake("ingest +task.splitt.test=0.3", ["splitt"]),
    "an override without a value": Mistake("ingest seed", ["seed"]),
    "seed is text": Mistake("train seed=abc", ["seed", "abc"]),
    "rounds are text": Mistake(
        "train model=lightgbm model.n_estimators=ten", ["n_estimators", "ten"]
    ),
    "trees are text": Mistake(
        "train model=random_forest model.n_estimators=ten", ["n_estimators", "int, not str"]
    ),
    "learning rate is text": Mistake("train model=neural_net model.lr=fast", ["model.lr", "fast"]),
    "epochs are below 1": Mistake("train model=neural_net model.max_epochs=0", ["max_epochs", "0"]),
    "hidden layers are one number": Mistake(
        "train model=neural_net model.network.hidden=8", ["hidden", "8"]
    ),
    "penalty is below 0": Mistake("train model.C=-1", ["C", "-1"]),
    "threads are none": Mistake(
        "train model=random_forest model.n_jobs=0", ["RandomForest", "n_jobs == 0"]
    ),
    "leaves are below 2": Mistake("train model=lightgbm model.num_leaves=0", ["num_leaves", "0"]),
    "share is above a half": Mistake("ingest task.split.test=0.9", ["task.split.test", "0.9"]),
    "unknown metric": Mistake(
        "train task=genre task.metrics=[f1_makro] task.metric=f1_makro", ["f1_makro", "f1_macro"]
    ),
    "unknown positive class": Mistake(
        "train task.positive=malignnt", ["task.positive", "malignnt", "malignant"]
    ),
    "unknown architecture": Mistake(
        "train model=neural_net architecture=mpl", ["architecture", "'mpl'", "mean 'mlp'"]
    ),
    "a model of another task": Mistake(
        "train model=baseline architecture=word_count", ["length", "breast_cancer"]
    ),
    "a task without a name": Mistake("ingest task.name=", ["task.name", "cannot be set"]),
    "a task outside conf": Mistake("ingest task=../task/table", ["'../task/table'", "not a name"]),
    "a task that is null": Mistake("ingest task=null", ["task=", "name of a file"]),
    "a task that is a list": Mistake("ingest task=[genre]", ["task: name one of", "genre"]),
    "a task that is taken away": Mistake("ingest ~task", ["task: name one of", "genre"]),
    "a task that is a path": Mistake("ingest task=/etc/passwd", ["unknown task '/etc/passwd'"]),
    "a value without its value": Mistake("train seed=???", ["seed has no value"]),
    "a key that would be new to open keys": Mistake(
        "ingest task=table task.source.columns={zip:category}",
        ["task.source.columns has no key 'zip'", "+task.source.columns.zip="],
    ),
    "a target that Hydra does not call": Mistake(
        "featurize task.views.engineered._target_=os.system", ["os.system"]
    ),
    "a path that is null": Mistake(
        "ingest task=table task.source.path=null", ["task.source.path", "None"]
    ),
    "no models to compare": Mistake("evaluate models=[]", ["models", "none to compare"]),
    "one model instead of a list": Mistake("evaluate models=baseline", ["models", "a list"]),
    "jobs outside the project": Mistake(
        "train --multirun model.C=1 hydra.sweep.dir=../jobs",
        ["model.C=1", "hydra.sweep.dir", "not in the project"],
    ),
    "a study that is not there": Mistake("adopt sweep.study=x", ["there is no sweep 'x'"]),
    "trials that cannot be kept": Mistake(
        "train --multirun model=lightgbm +sweep=lightgbm sweep.storage=x", ["sweep.storage", "x"]
    ),
    "a study outside its folder": Mistake("train sweep.study=../x", ["sweep.study", "'../x'"]),
    "seed above 32 bits": Mistake("train seed=4294967296", ["seed", "4294967295"]),
    "a key of an earlier stage": Mistake(
        "train task.split.test=0.1",
        ["task.split.test", "pipeline.ingest task=breast_cancer task.split.test=0.1"],
    ),
    "many jobs of a stage that writes one folder": Mistake(
        "ingest --multirun split_seed=1,2", ["--multirun", "pipeline.train"]
    ),
    "unknown model to compare": Mistake(
        "evaluate models=[xyz]", ["no model of breast_cancer can be compared", "xyz"]
    ),
    "unknown family": Mistake("train model.family=clasical", ["clasical", "mean 'classical'"]),
    "a network that diverges": Mistake(
        "train model=neural_net model.lr=1e30 model.max_epochs=3",
        ["NeuralNet", "validation/log_loss is nan"],
    ),
    "a metric that is no loss": Mistake(
        "train model=lightgbm +model.metric=auc", ["log loss", "'auc'"]
    ),
    "an objective that is no classifier's": Mistake(
        "train model=lightgbm +model.objective=regression", ["log loss", "'l2'"]
    ),
    "a value that names an unknown key": Mistake(
        "train model=random_forest",
        ["model.random_state", "'sed'"],
        replaced("conf/model/random_forest.yaml", "${seed}", "${sed}"),
    ),
    "no resamples": Mistake("evaluate resamples=0", ["resamples", "0"]),
    "confidence above 1": Mistake("evaluate confidence=95", ["confidence", "95"]),
    # the data
    "folder is missing": Mistake(MINE, ["mine", "not a folder", "task.source.path"]),
    "folder is empty": Mistake(
        MINE, ["mine", "no text", "<label>/<text>.txt"], written("mine/a.md", b"")
    ),
    "file is not UTF-8": Mistake(
        MINE, ["mine/a/0.txt", "utf-8", "line 2"], written("mine/a/0.txt", b"un\nd\xe9j\xe0\n")
    ),
    "text is empty": Mistake(
        MINE, ["text", "a/empty.txt", "empty"], written("mine/a/empty.txt", b" \n")
    ),
    "class with one example": Mistake(MINE, ["'b'", "1 independent"], texts(a=9, b=1)),
    "one class only": Mistake(MINE, ["one class", "'a'"], texts(a=9)),
    "a number is missing": Mistake(
        OWN,
        ["'size'", "e7", "missing"],
        table("examples.loc[7, 'size'] = None"),
        {"PYTHONPATH": "."},
    ),
    "a number is infinite": Mistake(
        OWN,
        ["'size'", "e7", "finite"],
        table("examples.loc[7, 'size'] = float('inf')"),
        {"PYTHONPATH": "."},
    ),
    "an id twice": Mistake(
        OWN,
        ["'example_id'", "e7", "unique"],
        table("examples.loc[8, 'example_id'] = 'e7'"),
        {"PYTHONPATH": "."},
    ),
    "no label": Mistake(
        OWN, ["'label'"], table("examples = examples.drop(columns='label')"), {"PYTHONPATH": "."}
    ),
    "a label that is also the group": Mistake(
        "ingest task=table task.source.path=mine.csv task.source.group=label",
        ["task.source.group", "'label'", "task.source.label"],
        written("mine.csv", b"size,label\n1,a\n2,b\n"),
    ),
    "a share of test beside a test": Mistake(
        "ingest task=table task.source.path=mine.csv task.source.test=mine.csv task.split.test=0.3",
        ["task.split.test", "a test of their own"],
        written("mine.csv", b"size,label\n1,a\n2,b\n"),
    ),
    "source that returns nothing": Mistake(
        OWN, ["mine.read", "Source"], written("mine.py", b"def read():\n    pass\n")
    ),
    "source with a slip": Mistake(
        OWN,
        ["mine.read", "KeyError: 'colour' (mine.py, line 2)"],
        written("mine.py", b"def read():\n    {}['colour']\n"),
    ),
    "source with a slip at import": Mistake(
        OWN, ["mine.read", "ZeroDivisionError", "(mine.py, line 2)"], written("mine.py", b"\n1/0\n")
    ),
    "source that is no Python": Mistake(
        OWN, ["mine.read", "SyntaxError", "(mine.py, line 1)"], written("mine.py", b"def read(:\n")
    ),
    "source cannot be imported": Mistake(OWN, ["task.source._target_", "mine.read"]),
    "download with other bytes": Mistake(
        OWN,
        ["book.txt", "sha256", "expected 21dac76b"],
        download(b"cut short"),
        {"PYTHONPATH": ".", "BAKEOFF_MIRROR": "mirror"},
    ),
    "download that cannot be had": Mistake(
        OWN,
        ["book.txt", "cannot be downloaded", "BAKEOFF_MIRROR"],
        download(None),
        {"PYTHONPATH": ".", "BAKEOFF_MIRROR": "mirror"},
    ),
    "mirror is no folder": Mistake(
        OWN,
        ["gone", "mirror"],
        download(None),
        {"PYTHONPATH": ".", "BAKEOFF_MIRROR": "gone"},
    ),
    # what the stages before should have written
    "not ingested": Mistake(
        "featurize", ["examples.parquet", "does not exist", "dvc repro"], removed("data/ingested")
    ),
    "ingested file is damaged": Mistake(
        "featurize",
        ["examples.parquet", "damaged"],
        truncated("data/ingested/breast_cancer/examples.parquet"),
    ),
    "parts of other examples": Mistake(
        "featurize",
        ["rounds.parquet", "damaged", "120 rows for 569 examples"],
        copied("data/ingested/genre/rounds.parquet", "data/ingested/breast_cancer/rounds.parquet"),
    ),
    "a card of other examples": Mistake(
        "featurize",
        ["card.json", "damaged", "inputs"],
        replaced("data/ingested/breast_cancer/card.json", "mean radius", "mean sradius"),
    ),
    "not featurized": Mistake(
        "train", ["view.json", "does not exist", "dvc repro"], removed("data/features")
    ),
    "features are damaged": Mistake(
        "train",
        ["train.npz", "damaged"],
        truncated("data/features/breast_cancer/engineered/0/train.npz"),
    ),
    "dense features are damaged": Mistake(
        "train",
        ["train.npy", "damaged"],
        truncated("data/features/breast_cancer/engineered/0/train.npy"),
    ),
    "view that cannot be fitted": Mistake(
        "featurize task=genre task.views.raw.max_length=0", ["task.views.raw", "max_length", "0"]
    ),
    "terms rarer than the texts": Mistake(
        "featurize task=genre task.views.engineered.min_texts=999", ["task.views.engineered"]
    ),
    "not trained": Mistake("evaluate", ["baseline", "does not exist"], removed("models")),
    "other data were ingested since": Mistake(
        "evaluate",
        ["models/breast_cancer/baseline was trained on other data", "dvc repro"],
        written("data/ingested/breast_cancer/more.txt", b"more"),
    ),
    "other data were ingested since featurize": Mistake(
        "train",
        ["data/ingested/breast_cancer has changed since it was featurized"],
        written("data/ingested/breast_cancer/more.txt", b"more"),
    ),
    "no leaderboard": Mistake("leaderboard", ["reports", "does not exist"], removed("reports")),
    "no text of a leaderboard": Mistake(
        "leaderboard", ["leaderboard.txt"], removed("reports/genre/leaderboard.txt")
    ),
    # the surroundings
    "server does not answer": Mistake(
        "train",
        ["http://127.0.0.1:9", "cannot be reached"],
        environment={"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"},
    ),
    "store is not a database": Mistake(
        "train", ["mlflow.db", "cannot be reached"], written("mlflow.db", b"not SQLite" * 99)
    ),
    "not a git repository": Mistake("ingest", ["git", "commit"], removed(".git")),
    "params.yaml is not YAML": Mistake(
        "ingest", ["params.yaml", "cannot be read"], written("params.yaml", b"tasks: [")
    ),
    "params.yaml is empty": Mistake("ingest", ["params.yaml"], written("params.yaml", b"")),
    "a key of params.yaml twice": Mistake(
        "compose", ["params.yaml, line 9", "seed"], replaced("params.yaml", "split_seed", "seed")
    ),
    "a misspelt key of params.yaml": Mistake(
        "compose", ["params.yaml", "'sede'", "mean 'seed'"], replaced("params.yaml", "seed", "sede")
    ),
    "a task of params.yaml without a file": Mistake(
        "compose",
        ["params.yaml", "conf/task/genr.yaml", "mean 'genre'"],
        replaced("params.yaml", "- genre", "- genr"),
    ),
    "a metric of another kind of problem": Mistake(
        "compose",
        ["task breast_cancer", "'rmse'", "one of regression"],
        replaced("conf/task/breast_cancer.yaml", "metric: roc_auc", "metric: rmse"),
    ),
    "a misspelt key of a task": Mistake(
        "ingest task=genre",
        ["conf/task/genre.yaml", "'task.splitt'", "mean 'task.split'"],
        replaced("conf/task/genre.yaml", "split:", "splitt:"),
    ),
    "broken YAML of a task": Mistake(
        "ingest task=genre",
        ["conf/task/genre.yaml, line"],
        replaced("conf/task/genre.yaml", "split:", "split: ["),
    ),
    "a model's file that is empty": Mistake(
        "train task=genre model=mine", ["mine"], written("conf/model/mine.yaml", b"")
    ),
    "a model's file that is a list": Mistake(
        "train task=genre model=mine", ["mine"], written("conf/model/mine.yaml", b"- a\n")
    ),
    "a model's file that is not UTF-8": Mistake(
        "train model=mine",
        ["conf/model/mine.yaml", "utf-8"],
        written("conf/model/mine.yaml", b"\xe9"),
    ),
    "a model's key that is no name": Mistake(
        "train model=mine",
        ["conf/model/mine.yaml", "key 3"],
        written("conf/model/mine.yaml", LOGISTIC + b"3: 4\n"),
    ),
    "a model's key that is null": Mistake(
        "train model=mine",
        ["conf/model/mine.yaml", "key None"],
        written("conf/model/mine.yaml", LOGISTIC + b"null: 4\n"),
    ),
    "a model's architecture that is a list": Mistake(
        "train model=mine",
        ["mine", "unknown architecture '['mlp']'"],
        written("conf/model/mine.yaml", LOGISTIC + b"architecture: [mlp]\n"),
    ),
    "a model's defaults that are a text": Mistake(
        "train model=mine",
        ["conf/model/mine.yaml", "defaults must be a list"],
        written("conf/model/mine.yaml", b"defaults: x\n" + LOGISTIC),
    ),
    "a model's defaults that are the model": Mistake(
        "train model=mine",
        ["defaults", "itself"],
        written("conf/model/mine.yaml", b"defaults: [mine]\n" + LOGISTIC),
    ),
    "broken YAML of an architecture": Mistake(
        "train task=genre model=neural_net",
        ["conf/architecture/text_cnn.yaml, line"],
        written("conf/architecture/text_cnn.yaml", b"lr: ["),
    ),
    "a task's file that is a list": Mistake(
        "ingest task=genre",
        ["conf/task/genre.yaml", "keys"],
        written("conf/task/genre.yaml", b"- a\n"),
    ),
    "a list in place of keys": Mistake(
        "ingest task=genre",
        ["conf/task/genre.yaml", "a list in place of keys"],
        replaced("conf/task/genre.yaml", "views:", "views: [engineered]\nmute:"),
    ),
    "a store without its URI": Mistake(
        "train", ["tracking.uri has no value"], written("conf/tracking/local.yaml", b"")
    ),
    "a model's file without a view": Mistake(
        "train model=mine",
        ["conf/model/mine.yaml", "'view'", "missing"],
        written("conf/model/mine.yaml", b"family: deep\n_target_: builtins.dict\n"),
    ),
    "settings that DVC does not watch": Mistake(
        "train",
        ["composed/train/breast_cancer/logistic_regression.yaml", "model.C", "dvc repro compose"],
        replaced("conf/model/logistic_regression.yaml", "C: 1.0", "C: 2.0"),
        {"DVC_STAGE": "train@breast_cancer-logistic_regression"},
    ),
    "output is in the way": Mistake(
        "ingest", ["data/ingested"], replaced_by_a_file("data/ingested")
    ),
}


@pytest.fixture(scope="session")
def reported(
    request, warm, repro, empty_store, files, tmp_path_factory
) -> dict[str, Future[tuple[CompletedProcess, list[str], list[str]]]]:
    """Make the mistakes that are asked for, two at a time, each in a copy of its own."""

    def make(mistake: Mistake) -> tuple[CompletedProcess, list[str], list[str]]:
        project = repro.copy(tmp_path_factory.mktemp("mistake") / "bakeoff", empty_store)
        mistake.prepare(project.root)
        before = files(project.root)
        stage, *overrides = mistake.command.split()
        ceiling = {"GIT_CEILING_DIRECTORIES": str(project.root.parent)}
        result = project.warm(
            warm, f"pipeline.{stage}", *overrides, **ceiling, **mistake.environment
        )
        return result, before, files(project.root)

    asked = [
        item.callspec.params["name"]
        for item in request.session.items
        if getattr(item, "originalname", "") == test_a_mistake_is_reported.__name__
    ]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {name: pool.submit(make, MISTAKES[name]) for name in asked}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_reported(reported, name):
    result, before, after = reported[name].result()
    message = result.stderr
    assert result.returncode == 1, message
    assert "Traceback" not in message
    assert "Error executing job" not in message
    assert message.startswith("error: ")
    assert message.count("\n") <= 3
    for fragment in MISTAKES[name].names:
        assert fragment in message
    assert after == before, "something was left behind"


@pytest.mark.parametrize("command", ["compose", "leaderboard", "ingest task=genre", "train --help"])
def test_a_command_whose_output_nobody_reads_ends_without_a_word(reproduced, warm, command):
    stage, *arguments = command.split()
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [warm, "-m", f"pipeline.{stage}", *arguments],
        cwd=reproduced.root,
        env=reproduced.environment(),
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_console_without_unicode_shows_what_it_can(reproduced):
    done = reproduced.stage("leaderboard", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "logistic_regression ?" in done.stdout
