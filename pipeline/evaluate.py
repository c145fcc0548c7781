"""Stage 4: every model of a task on the same test examples."""

from typing import Any, NamedTuple

import pandas as pd

from pipeline import command, paths, scoring, tracking
from pipeline.config import schema
from pipeline.errors import UserError
from pipeline.evaluation import metrics
from pipeline.evaluation.comparison import check_interval, compare
from pipeline.evaluation.leaderboard import LEGEND, leaderboard, markdown, shown, table
from pipeline.evaluation.metrics import Answers
from pipeline.evaluation.plots import picture, plot_data
from pipeline.files import dvc_digest, new_folder, read_json, read_table, write_json
from pipeline.models.fitting import timed
from pipeline.progress import console, track
from pipeline.sources.examples import inputs_of

TEST = "test"


class Entry(NamedTuple):
    """One model on the leaderboard: what train recorded of it, and what it answered."""

    record: dict[str, Any]
    answers: dict[str, Answers]
    answer_ms: float


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
    entries = {
        model: answered(task, model, parts, classes, digest)
        for model in track(cfg.models, "answering", len(cfg.models))
    }
    boards = {name: compared(cfg, entries, name) for name in parts}
    report(cfg, entries, boards, parts, classes)
    for model in track(cfg.models, "recording", len(cfg.models)):
        record(cfg, model, entries[model], boards, classes)
    console.print((paths.report_folder(task.name) / "leaderboard.txt").read_text(encoding="utf-8"))


def answered(
    task: schema.Task,
    model: str,
    parts: dict[str, pd.DataFrame],
    classes: list[str],
    digest: str,
) -> Entry:
    """
    Let a trained model answer raw test examples, on the path that serving takes.

    Parameters
    ----------
    task : schema.Task
        Of the examples.
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
        When the model is missing, damaged, or was trained for other classes or on other data.
    """
    folder = paths.model_folder(task.name, model)
    trained = read_json(folder / scoring.RECORD)
    scorer = scoring.load(folder)
    if scorer.classes != classes:
        raise UserError(
            f"{folder} tells {scorer.classes} apart, the data {classes}: train it again"
        )
    if trained["about"]["digest"] != digest:
        raise UserError(
            f"{folder} was trained on other data than {paths.ingested_folder(task.name)}, perhaps "
            "on its test examples: featurize and train again, as `dvc repro` does"
        )
    answers, milliseconds = {}, {}
    for name, part in parts.items():
        probabilities, milliseconds[name] = timed(scorer.probabilities, part[inputs_of(part)])
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
    return Entry(trained, answers, milliseconds[TEST])


def compared(cfg: schema.Evaluate, entries: dict[str, Entry], part: str) -> pd.DataFrame:
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
        model: {
            "family": entry.record["tags"]["family"],
            "fit_seconds": entry.record["costs"]["fit_seconds"],
            "predict_ms_per_1000": entry.answer_ms,
            "model_bytes": entry.record["costs"]["model_bytes"],
        }
        for model, entry in entries.items()
    }
    return leaderboard(scores, costs, cfg.task.metric)


def report(
    cfg: schema.Evaluate,
    entries: dict[str, Entry],
    boards: dict[str, pd.DataFrame],
    parts: dict[str, pd.DataFrame],
    classes: list[str],
) -> None:
    """Write the leaderboards, the predictions, the metrics and the plots' data."""
    task = cfg.task
    answers = {model: entry.answers[TEST] for model, entry in entries.items()}
    curves = {model: entry.record["curve"] for model, entry in entries.items()}
    others = [name for name in task.metrics if name != task.metric]
    pages, briefs = [], []
    for name, board in boards.items():
        title = f"{task.name}: {task.metric} on {name}"
        legend = LEGEND.format(share=cfg.confidence, n=len(parts[name]))
        pages.append(markdown(title, shown(board, [task.metric, *others]), legend))
        # How far behind is left out, for consoles of 80 columns.
        brief = shown(board, [task.metric]).drop(columns="behind best")
        briefs.append(table(title, brief, legend))
    told = pd.concat([predictions(parts[p], p, entries, classes) for p in parts])
    with new_folder(paths.report_folder(task.name)) as folder:
        boards[TEST].to_csv(folder / "leaderboard.csv", index=False)
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
    """Write test scores into the run that trained the model, made anew where it is unknown."""
    run = tracking.reopened(cfg.tracking.uri, cfg.task.name, entry.record["run_id"])
    if run is None:
        with tracking.restored(cfg.tracking.uri, paths.ROOT, entry.record) as run:
            run.trained(entry.record, paths.model_folder(cfg.task.name, model))
        console.print(
            f"{cfg.task.name} {model}: the run that trained it is not in this store; "
            f"recorded as run {run.id}"
        )
    for part, scores in scores_of(cfg.task, model, boards).items():
        run.scores({f"{part}/{name}": value for name, value in scores.items()})
    run.scores({"cost/answer_ms_per_1000": entry.answer_ms})
    drawn = picture(f"{cfg.task.name}, {model}, {TEST}", entry.answers[TEST], classes)
    run.figure("test.png", drawn)


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
