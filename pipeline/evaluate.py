"""
Stage 4: compare every model of a task on the same test examples.

A model cannot be compared if it was not trained, failed, is damaged, or belongs to another task
or other data. Its row has the reason instead of scores. The command fails if no model is left.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from pipeline import bundle, command, experiment, paths, predictor, tracking
from pipeline.config import composition, schema
from pipeline.errors import ModelError, UserError
from pipeline.evaluation.board import make_board, model_digest, read_board, write_board
from pipeline.evaluation.comparison import check_interval, compare
from pipeline.evaluation.layout import (
    LEGEND,
    console_table,
    failure_lines,
    format_board,
    markdown_page,
)
from pipeline.evaluation.plots import learning_points, stack_models
from pipeline.files import dvc_digest, new_folder, read_json, read_table, size, write_json
from pipeline.models.fitting import time_prediction
from pipeline.problems import Predictions, Problem
from pipeline.progress import console, track
from pipeline.sources.examples import inputs_of, meta_of
from pipeline.tracking.git import revision

TEST = "test"


class Entry(NamedTuple):
    """
    One model on the leaderboard.

    Attributes
    ----------
    manifest : dict
        Manifest of its bundle.
    digest : str
        Hash of the manifest.
    run : Run or None
        Run that trained it.
    predictions : dict of str to Predictions
        Predictions for the test examples and each slice.
    frames : dict of str to DataFrame
        The same predictions as they are served.
    costs : dict of str to float
        Time of fitting and predicting, and size.
    """

    manifest: dict[str, Any]
    digest: str
    run: tracking.Run
    predictions: dict[str, Predictions]
    frames: dict[str, pd.DataFrame]
    costs: dict[str, float]


def main(cfg: schema.Evaluate) -> None:
    """Predict the test examples with every model, compare, report, and record the scores."""
    task = cfg.task
    ingested = paths.ingested_folder(task.name)
    card = read_json(ingested / "card.json", {"target": dict, "slices": list})
    kind = experiment.problem_of(task, card["target"])
    check_interval(cfg.resamples, cfg.confidence)
    digest = dvc_digest(ingested)
    parts = {name: read_table(ingested / f"{name}.parquet") for name in [TEST, *card["slices"]]}
    entries, failed = {}, {}
    for model in track(cfg.models, "predicting", len(cfg.models)):
        try:
            entries[model] = entry(cfg, model, kind, parts, digest)
        except UserError as error:
            family = composition.model_file(model).get("family", "")
            why = str(error).replace(f"{paths.ROOT}/", "")
            failed[model] = {"family": family, "failed": why}
    check_any(task.name, entries, failed)
    compared = {name: rank(cfg, kind, entries, failed, name) for name in parts}
    description = describe(cfg, kind, entries, failed, digest)
    report(cfg, kind, description, entries, compared, parts)
    for model in track(entries, "recording", len(entries)):
        record(cfg, kind, model, entries[model], compared)
    page = (paths.report_folder(task.name) / "leaderboard.txt").read_text(encoding="utf-8")
    console.print(page, markup=False)


def check_any(
    task: str, entries: Mapping[str, Entry], failed: Mapping[str, Mapping[str, str]]
) -> None:
    """
    Check that there is a model to compare.

    Raises
    ------
    UserError
        If there is none. The message has the reason of the first.
    """
    if not entries:
        model, why = next(iter(failed.items()))
        others = f" ({len(failed) - 1} more cannot either)" if len(failed) > 1 else ""
        raise UserError(f"no model of {task} can be compared; {model}: {why['failed']}{others}")


def entry(
    cfg: schema.Evaluate,
    model: str,
    kind: Problem,
    parts: dict[str, pd.DataFrame],
    digest: str,
) -> Entry:
    """
    Predict raw test examples with a trained model, as serving does.

    Parameters
    ----------
    cfg : schema.Evaluate
        Settings of the comparison.
    model : str
        Name of the model.
    kind : Problem
        Problem of the task, for its target.
    parts : dict of str to DataFrame
        The test examples and slices, which are further test examples.
    digest : str
        Hash of the ingested data.

    Raises
    ------
    UserError
        If the model is missing, damaged or failed, or belongs to another task, target or
        data.
    """
    task = cfg.task
    folder = paths.model_folder(task.name, model)
    manifest = bundle.read(folder)
    check_own(folder, manifest, task.name, model)
    bundle.check_trained(folder, manifest)
    if manifest["data"]["digest"] != digest:
        raise UserError(
            f"{folder} was trained on other data than {paths.ingested_folder(task.name)}, perhaps "
            "on its test examples: featurize and train again, as `dvc repro` does"
        )
    if (manifest["kind"], manifest["target"]) != (task.kind, kind.target):
        raise UserError(
            f"{folder} was trained for the target {manifest['target']} of {manifest['kind']}, the "
            f"data have {kind.target} of {task.kind}: train {model} again"
        )
    trained = predictor.load(folder, composition.model_file(model).get("trusted", []))
    predictions, frames, milliseconds = {}, {}, {}
    for name, part in parts.items():
        try:
            outputs, milliseconds[name] = time_prediction(trained.outputs, part[inputs_of(part)])
        except (UserError, OSError, MemoryError):
            raise
        except Exception as error:
            raise ModelError(f"it failed on {name}: {experiment.reason(error)}") from error
        target, decision = part["label"].to_numpy(), trained.decision
        predictions[name] = kind.predictions(target, outputs, meta_of(part), decision)
        frames[name] = kind.frame(outputs, decision)
    with tracking.reword_errors():
        found = tracking.find_run(cfg.tracking.uri, task.name, bundle.digest(folder))
        run, metrics = found or (restore(cfg, model, manifest), {})
    costs = {
        "fit_seconds": metrics.get("cost/fit_seconds", math.nan),
        "predict_ms_per_1000": milliseconds[TEST],
        "model_bytes": size(folder),
    }
    return Entry(manifest, bundle.digest(folder), run, predictions, frames, costs)


def check_own(folder: Path, manifest: Mapping[str, Any], task: str, model: str) -> None:
    """
    Check that a folder holds the model that it is named after.

    Raises
    ------
    UserError
        If it holds another one.
    """
    if (manifest["task"], manifest["model"]) != (task, model):
        raise UserError(
            f"{folder} holds the model {manifest['model']} of {manifest['task']}: "
            f"train {model} again"
        )


def rank(
    cfg: schema.Evaluate,
    kind: Problem,
    entries: Mapping[str, Entry],
    failed: Mapping[str, Mapping[str, str]],
    part: str,
) -> pd.DataFrame:
    """Rank the models by the deciding metric, with intervals and costs."""
    scores = compare(
        {model: entry.predictions[part] for model, entry in entries.items()},
        kind.deciding,
        kind.reported,
        cfg.seed,
        cfg.resamples,
        cfg.confidence,
    )
    costs = {
        model: {"family": entry.manifest["family"], **entry.costs}
        for model, entry in entries.items()
    }
    return make_board(scores, costs, kind.deciding.name, failed)


def describe(
    cfg: schema.Evaluate,
    kind: Problem,
    entries: Mapping[str, Entry],
    failed: Mapping[str, Mapping[str, str]],
    digest: str,
) -> dict[str, Any]:
    """Describe for ``board.json`` what was compared and how."""
    task, metric = cfg.task, kind.deciding.name
    metrics = [one.name for one in kind.reported]
    return {
        "task": task.name,
        "metric": metric,
        "metrics": metrics,
        "target": kind.target,
        "settings": composition.settings("evaluate", cfg),
        "data": digest,
        "commit": revision(paths.ROOT).commit,
        "models": {
            model: {
                "family": entry.manifest["family"],
                "digest": entry.digest,
                "run_id": entry.run.id,
                "curve": entry.manifest["curve"],
            }
            for model, entry in entries.items()
        }
        | {
            model: {**why, "digest": model_digest(paths.model_folder(task.name, model))}
            for model, why in failed.items()
        },
    }


def report(
    cfg: schema.Evaluate,
    kind: Problem,
    description: dict[str, Any],
    entries: dict[str, Entry],
    boards: dict[str, pd.DataFrame],
    parts: dict[str, pd.DataFrame],
) -> None:
    """Write the boards, the predictions, the metrics and the data of plots."""
    task, metric = cfg.task, kind.deciding.name
    others = [name for name in description["metrics"] if name != metric]
    pages, briefs = [], []
    for name, board in boards.items():
        title = f"{task.name}: {metric} on {name}"
        legend = LEGEND.format(share=cfg.confidence, n=len(parts[name]))
        why = failure_lines(board)
        pages.append(markdown_page(title, format_board(board, [metric, *others]), legend) + why)
        # The console of 80 columns has no room for how far each model is behind.
        brief = format_board(board, [metric]).drop(columns="behind best")
        briefs.append(console_table(title, brief, legend) + why)
    predicted = pd.concat([predictions(parts[part], part, entries) for part in parts])
    with new_folder(paths.report_folder(task.name)) as folder:
        counts = {name: len(part) for name, part in parts.items()}
        write_board(folder / "board.json", description, boards, counts)
        read_board(folder / "board.json", TEST).to_csv(folder / "leaderboard.csv", index=False)
        (folder / "leaderboard.md").write_text("\n".join(pages), encoding="utf-8")
        (folder / "leaderboard.txt").write_text("\n\n".join(briefs), encoding="utf-8")
        predicted.to_parquet(folder / "predictions.parquet", index=False)
        for model in entries:
            write_json(folder / "metrics" / f"{model}.json", scores_of(kind, model, boards))
        (folder / "plots").mkdir()
        for name, points in plot_data(kind, entries).items():
            points.to_csv(folder / "plots" / name, index=False)


def plot_data(kind: Problem, entries: Mapping[str, Entry]) -> dict[str, pd.DataFrame]:
    """Compute the data of DVC's plots by file name, with a column ``model``."""
    by_model = {m: kind.plot_data(entry.predictions[TEST]) for m, entry in entries.items()}
    files = next(iter(by_model.values()))
    plotted = {
        name: stack_models({m: of_m[name] for m, of_m in by_model.items()}) for name in files
    }
    learning = {m: learning_points(entry.manifest["curve"]) for m, entry in entries.items()}
    return plotted | {"learning.csv": stack_models(learning)}


@tracking.reword_errors()
def record(
    cfg: schema.Evaluate,
    kind: Problem,
    model: str,
    entry: Entry,
    boards: dict[str, pd.DataFrame],
) -> None:
    """Record test scores in the run that trained the model."""
    for part, scores in scores_of(kind, model, boards).items():
        entry.run.log_scores({f"{part}/{name}": value for name, value in scores.items()})
    entry.run.log_scores({"cost/serve_ms_per_1000": entry.costs["predict_ms_per_1000"]})
    title = f"{cfg.task.name}, {model}, {TEST}"
    entry.run.log_figure("test.png", kind.figure(title, entry.predictions[TEST]))


def restore(cfg: schema.Evaluate, model: str, manifest: Mapping[str, Any]) -> tracking.Run:
    """Record a model again whose run is not in the store, as after `dvc pull`."""
    trusted = composition.model_file(model).get("trusted", [])
    folder = paths.model_folder(cfg.task.name, model)
    identity = experiment.identity(manifest["settings"])
    identity["tags"]["restored"] = "true"
    with tracking.start_run(cfg.tracking.uri, paths.ROOT, **identity) as run:
        for point in manifest["curve"]:
            run.log_curve(point["step"], {key: point[key] for key in point if key != "step"})
        run.log_training(manifest, folder, bundle.digest(folder), {}, trusted)
    console.print(
        f"{cfg.task.name} {model}: the run that trained it is not in this store; "
        f"recorded as run {run.id}"
    )
    return run


def scores_of(
    kind: Problem, model: str, boards: dict[str, pd.DataFrame]
) -> dict[str, dict[str, float]]:
    """Return the defined scores of a model on test and slices, with the interval."""
    ends = [f"{kind.deciding.name}_low", f"{kind.deciding.name}_high"]
    names = [*(one.name for one in kind.reported), *ends]
    rows = {part: board.set_index("model").loc[model] for part, board in boards.items()}
    return {part: row[names].dropna().astype(float).to_dict() for part, row in rows.items()}


def predictions(examples: pd.DataFrame, part: str, entries: dict[str, Entry]) -> pd.DataFrame:
    """
    Return every prediction for every example.

    Parameters
    ----------
    examples : DataFrame
        Test examples or those of a slice.
    part : str
        Name of the part: test or a slice.
    entries : dict of str to Entry
        Models with their predictions.

    Returns
    -------
    DataFrame
        A row per example and model: ``example_id``, ``group``, ``label``, ``part``,
        ``model``, ``predicted``, and the further columns that the kind of problem serves.
    """
    rows = examples[["example_id", "group", "label"]].reset_index(drop=True)
    by_model = [
        rows.assign(part=part, model=model).join(
            entry.frames[part].rename(columns={"label": "predicted"})
        )
        for model, entry in entries.items()
    ]
    return pd.concat(by_model, ignore_index=True)


if __name__ == "__main__":
    command.run("evaluate")
