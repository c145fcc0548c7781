"""Predict a file with a trained model, or recommend items to a user: python -m pipeline.predict."""

import io
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, NamedTuple

import numpy as np
import pandas as pd
from rich.table import Table

from pipeline import bundle, command, experiment, paths, predictor
from pipeline.config import conf, targets
from pipeline.errors import ModelError, UserError, nearest
from pipeline.files import aside, read_json
from pipeline.predictor import Ensemble, Predictor
from pipeline.progress import console
from pipeline.sources import unlabelled
from pipeline.sources.catalogue import Catalogue

KEYS = """\
task     the task that the model was trained on
file     what to predict: a table of any type that training reads (.csv, .tsv, .json, .jsonl or
         .ndjson, perhaps with .gz, .parquet or .xlsx), written as the training file was, with
         its columns, where that of labels may be missing; or a text, an image, or a folder of
         such
output   the .csv to write; without it standard output, on a terminal the first rows
model    a model of the board, or ensemble; without it the one that the board recommends
run      or the run of the tracking store whose model predicts
user     for a task of recommending, instead of file: the user, as the data names them
n        how many items to recommend to the user; 10

Examples
  python -m pipeline.predict task=titanic file=new.csv output=answers.csv
  python -m pipeline.predict task=genre file=letters/ model=lightgbm | head
  python -m pipeline.predict task=shop user=42 n=3
"""
# The column that says why a row has no prediction.
ERROR = "error"
# Rows that are shown on a terminal.
SHOWN = 10
# Liked items that are named as the reason for one that is recommended.
REASONS = 2


@dataclass(frozen=True)
class Predict:
    """What the command line says, as texts; see `KEYS`."""

    task: str | None = None
    file: str | None = None
    output: str | None = None
    model: str | None = None
    run: str | None = None
    user: str | None = None
    n: str = "10"


class Counts(NamedTuple):
    """Rows that were written, those of them without a prediction, and why the first has none."""

    rows: int
    failed: int
    reason: str


def main(cfg: Predict) -> None:
    """Predict each row of a file, or recommend items to a user."""
    if (cfg.file is None) == (cfg.user is None):
        raise UserError("name what to predict, as in file=new.csv, or user=42 to recommend to one")
    check_output(cfg.output)
    with trained_folder(cfg) as folder:
        manifest = bundle.read(folder)
        with blaming(manifest["model"]):
            trained = predictor.load(folder, conf.trusted_by(manifest))
            if cfg.user is not None:
                for line in recommendations(cfg.user, cfg.n, manifest, trained):
                    console.print(line)
                return
            inputs, source = manifest["inputs"], manifest["settings"]["task"]["source"]
            parts = unlabelled.read(Path(str(cfg.file)), inputs, source)
            answers = (answer(trained, manifest, part) for part in parts)
            if cfg.output is None and sys.stdout.isatty():
                show(answers)
            else:
                report(write(answers, cfg.output), manifest["model"])


@contextmanager
def blaming(model: str) -> Iterator[None]:
    """
    Say in a line that a model cannot predict, if it or its manifest is not what it should be.

    Raises
    ------
    ModelError
        On an error that is not of the user's or of the operating system.
    """
    try:
        yield
    except (UserError, OSError):
        raise
    except Exception as error:
        raise ModelError(f"{model} cannot predict: {experiment.reason(error)}") from error


def check_output(output: str | None) -> None:
    """Check before any work that the answers can be written."""
    if output is None:
        return
    if Path(output).suffix.lower() != ".csv":
        raise UserError(f"output: {output} is not named .csv, which is what is written")
    if not Path(output).absolute().parent.is_dir():
        raise UserError(f"output: there is no folder {Path(output).absolute().parent}")


@contextmanager
def trained_folder(cfg: Predict) -> Iterator[Path]:
    """
    Yield the folder of the model that the command line names.

    Raises
    ------
    UserError
        If there is none. The message names those that there are.
    """
    if cfg.run is not None and cfg.model is not None:
        raise UserError("name the model by model= or by run=, not by both")
    if cfg.run is not None:
        from pipeline import tracking  # here, since it takes seconds and others need it not

        with TemporaryDirectory() as place:
            folder = tracking.download_model(paths.store_uri(), cfg.run, Path(place))
            if cfg.task not in (None, bundle.read(folder)["task"]):
                raise UserError(
                    f"run: {cfg.run} is of task {bundle.read(folder)['task']}, not of {cfg.task}"
                )
            yield folder
        return
    models = trained_models()
    if cfg.task not in models:
        raise UserError(unknown_task(cfg.task, list(models)))
    model = recommended(cfg.task) if cfg.model is None else cfg.model
    if model not in models[cfg.task]:
        raise UserError(
            f"model: task {cfg.task} has no trained model '{model}'"
            f"{nearest(model, models[cfg.task])}"
        )
    yield paths.model_folder(cfg.task, model)


def trained_models() -> dict[str, list[str]]:
    """Return the names of the trained models of each task that has some."""
    found: dict[str, list[str]] = {}
    for file in sorted(paths.ROOT.glob(f"models/*/*/{bundle.MANIFEST}")):
        found.setdefault(file.parts[-3], []).append(file.parts[-2])
    for task, models in found.items():
        if (paths.model_folder(task, paths.ENSEMBLE) / bundle.MANIFEST).is_file():
            models.append(paths.ENSEMBLE)
    return found


def unknown_task(task: str | None, known: list[str]) -> str:
    """Return that a task has no models, with the tasks that have some, the nearest first."""
    if not known:
        return "no model is trained yet: python -m pipeline.train task=... model=..."
    nearest_first = sorted(
        known, key=lambda name: SequenceMatcher(None, name, task or "").ratio(), reverse=True
    )
    what = "name a task" if task is None else f"there is no trained model of '{task}'"
    return f"task: {what}; tasks with models: {', '.join(nearest_first)}"


def recommended(task: str) -> str:
    """Return the model that the board of a task recommends."""
    file = paths.report_folder(task) / "board.json"
    if not file.is_file():
        raise UserError(
            f"model: task {task} has no board yet that recommends one: name it, as in "
            f"model=lightgbm, or `python -m pipeline.evaluate task={task}`"
        )
    take = read_json(file, {"verdict": dict})["verdict"]["take"]
    if take is None:
        raise UserError(
            f"model: the board of {task} recommends none: name it, as in model=lightgbm"
        )
    return str(take)


def answer(
    trained: Predictor | Ensemble, manifest: Mapping[str, Any], part: unlabelled.Part
) -> pd.DataFrame:
    """
    Predict some rows.

    Parameters
    ----------
    trained : Predictor or Ensemble
        The model.
    manifest : mapping
        Its manifest.
    part : Part
        The rows.

    Returns
    -------
    DataFrame
        With the index of the rows, the columns that the model serves, and `ERROR`: why a row
        has no prediction, otherwise an empty text. A row that cannot be predicted leaves the
        others as they are.
    """
    reasons = dict(part.faults)
    reader = trained.members[0] if isinstance(trained, Ensemble) else trained
    for name in reader.inputs:
        reasons |= faults(reader, part.rows[name].drop(index=list(reasons)))
    frames = []
    for rows, found in attempt(trained.predict, part.rows.drop(index=list(reasons))):
        if isinstance(found, str):
            reasons[rows] = found
        else:
            frames.append(found.set_axis(rows))
    table = pd.concat(frames) if frames else pd.DataFrame()
    table = table.reindex(part.rows.index, columns=list(manifest["outputs"]))
    table[ERROR] = [reasons.get(row, "") for row in part.rows.index]
    return table


def faults(reader: Predictor, column: pd.Series) -> dict[Any, str]:
    """Return by index why values of an input cannot be used. Each distinct value is tried once."""
    name = str(column.name)
    kind = reader.inputs[name]
    of_column = reader._replace(inputs={name: kind})
    codes = np.arange(len(column))
    if kind not in ("sequence", "binary"):  # whose values cannot be hashed, or seldom repeat
        codes, _ = pd.factorize(column, use_na_sentinel=False)
    first = np.unique(codes, return_index=True)[1]
    distinct = column.iloc[first].set_axis(np.arange(len(first))).to_frame()
    wrong = {
        code: found
        for code, found in attempt(of_column.conform, distinct)
        if isinstance(found, str)
    }
    return {
        row: wrong[code] for row, code in zip(column.index, codes, strict=True) if code in wrong
    }


def attempt(
    function: Callable[[pd.DataFrame], pd.DataFrame], rows: pd.DataFrame
) -> Iterator[tuple[Any, pd.DataFrame | str]]:
    """
    Call a function with rows, and where it refuses them with each half of them.

    Parameters
    ----------
    function : callable
        Raises a UserError if there is a row that it cannot use.
    rows : DataFrame
        The rows.

    Yields
    ------
    index, result
        Index of some rows, with what the function returned for them; or of one row, with why
        the function refuses it.
    """
    try:
        yield rows.index, function(rows)
    except UserError as error:
        if len(rows) == 1:
            yield rows.index[0], str(error).replace(", row 1:", ":")
            return
        middle = len(rows) // 2
        yield from attempt(function, rows[:middle])
        yield from attempt(function, rows[middle:])


def write(answers: Iterable[pd.DataFrame], output: str | None) -> Counts:
    """
    Write answers as CSV as they come.

    Parameters
    ----------
    answers : iterable of DataFrame
        What `answer` returned.
    output : str or None
        The file, which is there when all is written. None is standard output.

    Raises
    ------
    UserError
        If no row has a prediction.
    """
    if output is None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")  # as in a file, whatever the console can show
        return stream(answers, sys.stdout)
    target = Path(output).absolute()
    with aside(target) as folder:
        filling = folder / target.name
        with filling.open("w", encoding="utf-8", newline="") as file:
            counts = stream(answers, file)
        filling.replace(target)
    return counts


def stream(answers: Iterable[pd.DataFrame], file: IO[str]) -> Counts:
    """Write answers as CSV to an open file. A UserError is raised if no row has a prediction."""
    counts = Counts(0, 0, "")
    for number, table in enumerate(answers):
        table.to_csv(file, header=number == 0, lineterminator="\n")
        reasons = table[ERROR][table[ERROR] != ""]
        first = next((f"{table.index.name} {row}: {why}" for row, why in reasons.items()), "")
        counts = Counts(
            counts.rows + len(table), counts.failed + len(reasons), counts.reason or first
        )
    if counts.rows and counts.failed == counts.rows:
        raise UserError(f"none of {counts.rows:,} rows can be predicted; {counts.reason}")
    return counts


def report(counts: Counts, model: str) -> None:
    """Print on standard error what was predicted, and what was not."""
    failed = f"; {counts.failed:,} could not be, see the column '{ERROR}'" if counts.failed else ""
    predicted = counts.rows - counts.failed
    print(f"{model} predicted {predicted:,} of {counts.rows:,} rows{failed}", file=sys.stderr)


def show(answers: Iterable[pd.DataFrame]) -> None:
    """Print the first answers as a table."""
    first = next(iter(answers))
    shown = first.head(SHOWN).reset_index()
    if not shown[ERROR].any():
        shown = shown.drop(columns=ERROR)
    table = Table(box=None, pad_edge=False)
    for name in shown:
        table.add_column(str(name), overflow="fold")
    for row in shown.itertuples(index=False):
        table.add_row(*map(cell, row))
    console.print(table)
    if len(first) > SHOWN:
        console.print("...\nThe first rows; output=answers.csv writes all of them.")


def cell(value: Any) -> str:
    """Return a value of an answer in few digits, and nothing for a missing one."""
    if pd.isna(value):
        return ""
    return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)


def recommendations(
    user: str, n: str, manifest: Mapping[str, Any], trained: Predictor | Ensemble
) -> list[str]:
    """
    Recommend items to a user as the command line names it.

    Raises
    ------
    UserError
        If the task has no catalogue, the user is unknown, or the model does not rank.
    """
    task, model = manifest["task"], manifest["model"]
    node = conf.catalogue(task)
    if node is None:
        raise UserError(
            f"task {task} has no catalogue: only what its file names under `catalogue` "
            "can be recommended"
        )
    catalogue: Catalogue = targets.build(of_source(node, manifest["settings"]["task"]["source"]))
    most = len(catalogue.names)
    if not n.isdecimal() or not 1 <= int(n) <= most:
        raise UserError(
            f"n: {n} is not a whole number from 1 to {most:,}, the number of {catalogue.what}"
        )
    users = catalogue.histories.index
    if user not in users:
        raise UserError(
            f"user: '{user}' is unknown; there are {len(users):,}, "
            f"such as {users[0]} and {users[-1]}"
        )
    if not isinstance(trained, Predictor) or not hasattr(trained.estimator, "recommend"):
        raise UserError(f"model: {model} recommends no {catalogue.what}: name a model that ranks")
    if names := trained.problem.target.get("names"):
        catalogue = catalogue.numbered(names)
    return recommend(trained, catalogue, user, int(n))


def of_source(node: Mapping[str, Any], source: Mapping[str, Any]) -> dict[str, Any]:
    """
    Give the function that tells a catalogue the values that the model's source was read with.

    Parameters
    ----------
    node : mapping
        With a ``_target_``. What it sets itself is kept.
    source : mapping
        ``task.source`` of the training. Nothing in it is run.
    """
    values = {key: source[key] for key in targets.parameters(node) if key in source}
    return {**values, **node, "_recursive_": False}


def recommend(trained: Predictor, catalogue: Catalogue, user: str, n: int) -> list[str]:
    """
    Recommend items to a user.

    Parameters
    ----------
    trained : Predictor
        A model that ranks.
    catalogue : Catalogue
        What is known of users and items.
    user : str
        One of its users.
    n : int
        Items to recommend. There are fewer if the user has seen most.

    Returns
    -------
    list of str
        A line per item: its place, name and score, and what the user liked that speaks most for
        it, if the model tells.
    """
    X = trained.features(catalogue.histories.loc[[user]])
    items, scores = (one[0] for one in trained.estimator.recommend(X, n))
    lines = []
    for place, (item, score) in enumerate(zip(items[items >= 0], scores, strict=False), 1):
        why = ", ".join(name_of(catalogue, one) for one in reasons(trained.estimator, X, item))
        owed = f", because you liked {why}" if why else ""
        lines.append(f"{place}. {name_of(catalogue, item)}, {score:.3g}{owed}")
    return lines


def reasons(estimator: Any, X: Any, item: int) -> list[int]:
    """Return the liked items that speak most for an item, none if the estimator does not tell."""
    return estimator.reasons(X, item, REASONS) if hasattr(estimator, "reasons") else []


def name_of(catalogue: Catalogue, item: int | np.integer) -> str:
    """Return the name of an item, or its number if it has none."""
    return catalogue.names.get(int(item), str(item))


if __name__ == "__main__":
    command.run_plain("predict", main, Predict, KEYS)
