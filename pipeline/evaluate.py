"""
Stage 4: every model of a task on the same test examples.

A model that cannot be compared, because it was not trained, failed, is damaged, or belongs
to another task or other data, is a row without scores that says why. The command fails when
no model is left to compare.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from pipeline import bundle, command, experiment, paths, scoring, tracking
from pipeline.config import composition, schema
from pipeline.errors import ModelError, UserError
from pipeline.evaluation import board as boards_of
from pipeline.evaluation import metrics
from pipeline.evaluation.comparison import check_interval, compare
from pipeline.evaluation.leaderboard import (
    LEGEND,
    leaderboard,
    markdown,
    reasons,
    shown,
    table,
)
from pipeline.evaluation.metrics import Answers
from pipeline.evaluation.plots import picture, plot_data
from pipeline.files import dvc_digest, new_folder, read_json, read_table, size, write_json
from pipeline.models.fitting import timed
from pipeline.progress import console, track
from pipeline.sources.examples import inputs_of
from pipeline.tracking.git import revision

TEST = "test"


class Entry(NamedTuple):
    """One model on the leaderboard: its manifest, its run, what it answered, and what it costs."""

    manifest: dict[str, Any]
    digest: str
    run: tracking.Run
    answers: dict[str, Answers]
    costs: dict[str, float]


def main(cfg: schema.Evaluate) -> None:
    """Answer the test examples with every model, compare, report, and record the scores."""
    task = cfg.task
    ingested = paths.ingested_folder(task.name)
    card = read_json(ingested / "card.json")
    classes = card["classes"]
    metrics.check(task.metric, task.metrics, task.positive, task.threshold, classes)
    check_interval(cfg.resamples, cfg.confidence)
    digest = dvc_digest(ingested)
    parts = {name: read_table(ingested / f"{name}.parquet") for name in [TEST, *card["slices"]]}
    entries, failed = {}, {}
    for model in track(cfg.models, "answering", len(cfg.models)):
        try:
            entries[model] = entry(cfg, model, parts, classes, digest)
        except UserError as error:
            family = composition.model_file(model).get("family", "")
            why = str(error).replace(f"{paths.ROOT}/", "")
            failed[model] = {"family": family, "failed": why}
    check_any(task.name, entries, failed)
    compared = {name: rank(cfg, entries, failed, name) for name in parts}
    report(cfg, described(cfg, entries, failed, classes, digest), entries, compared, parts)
    for model in track(entries, "recording", len(entries)):
        record(cfg, model, entries[model], compared, classes)
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
        When there is none; the reason of the first is told.
    """
    if not entries:
        model, why = next(iter(failed.items()))
        others = f" ({len(failed) - 1} more cannot either)" if len(failed) > 1 else ""
        raise UserError(f"no model of {task} can be compared; {model}: {why['failed']}{others}")


def entry(
    cfg: schema.Evaluate,
    model: str,
    parts: dict[str, pd.DataFrame],
    classes: list[str],
    digest: str,
) -> Entry:
    """
    Let a trained model answer raw test examples, on the path that serving takes.

    Parameters
    ----------
    cfg : schema.Evaluate
        The comparison.
    model : str
        Which model.
    parts : dict of str to DataFrame
        The test examples, and perhaps slices: further test examples.
    classes : list of str
        Labels.
    digest : str
        Of the data that the test examples are part of.

    Raises
    ------
    UserError
        When the model is missing, damaged, failed, or is of another task, other classes or
        other data.
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
    if manifest["classes"] != classes:
        raise UserError(f"{folder} tells {manifest['classes']} apart, the data {classes}")
    scorer = scoring.load(folder, composition.model_file(model).get("trusted", []))
    answers, milliseconds = {}, {}
    for name, part in parts.items():
        try:
            probabilities, milliseconds[name] = timed(scorer.probabilities, part[inputs_of(part)])
        except (UserError, OSError, MemoryError):
            raise
        except Exception as error:
            raise ModelError(f"it failed on {name}: {experiment.reason(error)}") from error
        until = part.get("time_to_event")
        answers[name] = Answers.of(
            part["label"].to_numpy(),
            probabilities,
            classes,
            task.positive,
            threshold=scorer.threshold,
            group=part["group"].to_numpy(),
            time_to_event=None if until is None else until.to_numpy(),
        )
    with tracking.told():
        found = tracking.trainer(cfg.tracking.uri, task.name, bundle.digest(folder))
        run, known = found or (restored(cfg, model, manifest), {})
    costs = {
        "fit_seconds": known.get("cost/fit_seconds", math.nan),
        "predict_ms_per_1000": milliseconds[TEST],
        "model_bytes": size(folder),
    }
    return Entry(manifest, bundle.digest(folder), run, answers, costs)


def check_own(folder: Path, manifest: Mapping[str, Any], task: str, model: str) -> None:
    """
    Check that a folder holds the model that it is called after.

    Raises
    ------
    UserError
        When it holds another one.
    """
    if (manifest["task"], manifest["model"]) != (task, model):
        raise UserError(
            f"{folder} holds the model {manifest['model']} of {manifest['task']}: "
            f"train {model} again"
        )


def rank(
    cfg: schema.Evaluate,
    entries: Mapping[str, Entry],
    failed: Mapping[str, Mapping[str, str]],
    part: str,
) -> pd.DataFrame:
    """Rank the models by the deciding metric, with intervals and costs."""
    scores = compare(
        {model: entry.answers[part] for model, entry in entries.items()},
        cfg.task.metric,
        cfg.task.metrics,
        cfg.seed,
        cfg.resamples,
        cfg.confidence,
    )
    costs = {
        model: {"family": entry.manifest["family"], **entry.costs}
        for model, entry in entries.items()
    }
    return leaderboard(scores, costs, cfg.task.metric, failed)


def described(
    cfg: schema.Evaluate,
    entries: Mapping[str, Entry],
    failed: Mapping[str, Mapping[str, str]],
    classes: list[str],
    digest: str,
) -> dict[str, Any]:
    """Return what was compared, and how, for ``board.json``."""
    task = cfg.task
    return {
        "task": task.name,
        "metric": task.metric,
        "metrics": task.metrics,
        "positive": task.positive,
        "classes": classes,
        "seed": cfg.seed,
        "resamples": cfg.resamples,
        "confidence": cfg.confidence,
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
            model: {**why, "digest": boards_of.digest_in(paths.model_folder(task.name, model))}
            for model, why in failed.items()
        },
    }


def report(
    cfg: schema.Evaluate,
    known: dict[str, Any],
    entries: dict[str, Entry],
    boards: dict[str, pd.DataFrame],
    parts: dict[str, pd.DataFrame],
) -> None:
    """Write the boards, the predictions, the metrics and the plots' data."""
    task, classes = cfg.task, known["classes"]
    answers = {model: entry.answers[TEST] for model, entry in entries.items()}
    curves = {model: entry.manifest["curve"] for model, entry in entries.items()}
    others = [name for name in task.metrics if name != task.metric]
    pages, briefs = [], []
    for name, board in boards.items():
        title = f"{task.name}: {task.metric} on {name}"
        legend = LEGEND.format(share=cfg.confidence, n=len(parts[name]))
        why = reasons(board)
        pages.append(markdown(title, shown(board, [task.metric, *others]), legend) + why)
        # How far behind is left out, for consoles of 80 columns.
        brief = shown(board, [task.metric]).drop(columns="behind best")
        briefs.append(table(title, brief, legend) + why)
    told = pd.concat([predictions(parts[p], p, entries, classes) for p in parts])
    with new_folder(paths.report_folder(task.name)) as folder:
        boards_of.write(folder / "board.json", known, boards, {n: len(p) for n, p in parts.items()})
        boards_of.read(folder / "board.json", TEST).to_csv(folder / "leaderboard.csv", index=False)
        (folder / "leaderboard.md").write_text("\n".join(pages), encoding="utf-8")
        (folder / "leaderboard.txt").write_text("\n\n".join(briefs), encoding="utf-8")
        told.to_parquet(folder / "predictions.parquet", index=False)
        for model in entries:
            write_json(folder / "metrics" / f"{model}.json", scores_of(task, model, boards))
        (folder / "plots").mkdir()
        for name, points in plot_data(answers, curves, classes).items():
            points.to_csv(folder / "plots" / name, index=False)


@tracking.told()
def record(
    cfg: schema.Evaluate,
    model: str,
    entry: Entry,
    boards: dict[str, pd.DataFrame],
    classes: list[str],
) -> None:
    """Write test scores into the run that trained the model."""
    for part, scores in scores_of(cfg.task, model, boards).items():
        entry.run.scores({f"{part}/{name}": value for name, value in scores.items()})
    entry.run.scores({"cost/answer_ms_per_1000": entry.costs["predict_ms_per_1000"]})
    drawn = picture(f"{cfg.task.name}, {model}, {TEST}", entry.answers[TEST], classes)
    entry.run.figure("test.png", drawn)


def restored(cfg: schema.Evaluate, model: str, manifest: Mapping[str, Any]) -> tracking.Run:
    """Record a model again whose run the store lacks, as after `dvc pull`."""
    trusted = composition.model_file(model).get("trusted", [])
    folder = paths.model_folder(cfg.task.name, model)
    identity = experiment.identity(manifest["settings"])
    identity["tags"]["restored"] = "true"
    with tracking.started(cfg.tracking.uri, paths.ROOT, **identity) as run:
        for point in manifest["curve"]:
            run.curve(point["step"], {key: point[key] for key in point if key != "step"})
        run.trained(manifest, folder, bundle.digest(folder), {}, trusted)
    console.print(
        f"{cfg.task.name} {model}: the run that trained it is not in this store; "
        f"recorded as run {run.id}"
    )
    return run


def scores_of(
    task: schema.Task, model: str, boards: dict[str, pd.DataFrame]
) -> dict[str, dict[str, float]]:
    """Pick a model's scores on test and slices, those that are defined, and an interval."""
    names = [*task.metrics, f"{task.metric}_low", f"{task.metric}_high"]
    rows = {part: board.set_index("model").loc[model] for part, board in boards.items()}
    return {part: row[names].dropna().astype(float).to_dict() for part, row in rows.items()}


def predictions(
    examples: pd.DataFrame, part: str, entries: dict[str, Entry], classes: list[str]
) -> pd.DataFrame:
    """
    Lay out every answer to every example.

    Parameters
    ----------
    examples : DataFrame
        Test examples, or those of a slice.
    part : str
        Which of them.
    entries : dict of str to Entry
        With what each model answered.
    classes : list of str
        Labels.

    Returns
    -------
    DataFrame
        A row an example and model: ``example_id``, ``group``, ``label``, ``part``,
        ``model``, ``predicted``, and ``probability_<class>`` for each class.
    """
    names = pd.Index(classes)
    columns = [f"probability_{name}" for name in classes]
    by_model = []
    for model, entry in entries.items():
        given = entry.answers[part]
        rows = examples[["example_id", "group", "label"]].reset_index(drop=True)
        rows = rows.assign(part=part, model=model, predicted=names[given.predicted])
        by_model.append(rows.join(pd.DataFrame(given.probabilities, columns=columns)))
    return pd.concat(by_model, ignore_index=True)


if __name__ == "__main__":
    command.run("evaluate")
