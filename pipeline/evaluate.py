"""Stage 4: every model of a task on the same test examples."""

from typing import Any, NamedTuple

import pandas as pd

from pipeline import config, scoring, tracking
from pipeline.errors import UserError
from pipeline.evaluation import metrics
from pipeline.evaluation.comparison import check_interval, compare
from pipeline.evaluation.leaderboard import LEGEND, leaderboard, markdown, shown, table
from pipeline.evaluation.metrics import Answers
from pipeline.evaluation.plots import picture, plot_data
from pipeline.files import new_folder, read_json, read_table, write_json
from pipeline.models.fitting import timed
from pipeline.progress import console, track
from pipeline.sources.examples import inputs_of


class Entry(NamedTuple):
    """One model on the leaderboard: what train recorded of it, and what it answered."""

    record: dict[str, Any]
    answers: Answers
    answer_ms: float


def main(cfg: config.Evaluate) -> None:
    """Answer the test examples with every model, compare, report, and record the scores."""
    task = cfg.task
    ingested = config.ingested(task.name)
    classes = read_json(ingested / "card.json")["classes"]
    metrics.check(task.metric, task.metrics, task.positive, classes)
    check_interval(cfg.resamples, cfg.confidence)
    test = read_table(ingested / "test.parquet")
    entries = {
        model: answered(task, model, test, classes)
        for model in track(cfg.models, "answering", len(cfg.models))
    }
    board = compared(cfg, entries, test)
    report(cfg, entries, board, test, classes)
    for model in track(cfg.models, "recording", len(cfg.models)):
        record(cfg, model, entries[model], board, classes)
    console.print((config.reports(task.name) / "leaderboard.txt").read_text(encoding="utf-8"))


def answered(task: config.Task, model: str, test: pd.DataFrame, classes: list[str]) -> Entry:
    """
    Let a trained model answer raw test examples, on the path that serving takes.

    Raises
    ------
    UserError
        When the model is missing, damaged, or was trained for other classes.
    """
    folder = config.trained(task.name, model)
    trained = read_json(folder / scoring.RECORD)
    scorer = scoring.load(folder)
    if scorer.classes != classes:
        raise UserError(
            f"{folder} tells {scorer.classes} apart, the data {classes}: train it again"
        )
    probabilities, milliseconds = timed(scorer.probabilities, test[inputs_of(test)])
    answers = Answers.of(test["label"].to_numpy(), probabilities, classes, task.positive)
    return Entry(trained, answers, milliseconds)


def compared(cfg: config.Evaluate, entries: dict[str, Entry], test: pd.DataFrame) -> pd.DataFrame:
    """Rank the models by the deciding metric, with intervals and costs."""
    scores = compare(
        {model: entry.answers for model, entry in entries.items()},
        test["group"].to_numpy(),
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
    return leaderboard(scores, costs)


def report(
    cfg: config.Evaluate,
    entries: dict[str, Entry],
    board: pd.DataFrame,
    test: pd.DataFrame,
    classes: list[str],
) -> None:
    """Write the leaderboard, the predictions, the metrics and the plots' data."""
    answers = {model: entry.answers for model, entry in entries.items()}
    curves = {model: entry.record["curve"] for model, entry in entries.items()}
    with new_folder(config.reports(cfg.task.name)) as folder:
        board.to_csv(folder / "leaderboard.csv", index=False)
        others = [name for name in cfg.task.metrics if name != cfg.task.metric]
        rows = shown(board, [cfg.task.metric, *others])
        legend = LEGEND.format(share=cfg.confidence, n=len(test))
        page = markdown(heading(cfg.task), rows, legend)
        (folder / "leaderboard.md").write_text(page, encoding="utf-8")
        brief = table(heading(cfg.task), shown(board, [cfg.task.metric]), legend)
        (folder / "leaderboard.txt").write_text(brief, encoding="utf-8")
        predictions(test, answers, classes).to_parquet(folder / "predictions.parquet", index=False)
        for model in answers:
            write_json(folder / "metrics" / f"{model}.json", scores_of(cfg.task, model, board))
        (folder / "plots").mkdir()
        for name, points in plot_data(answers, curves, classes).items():
            points.to_csv(folder / "plots" / name, index=False)


def record(
    cfg: config.Evaluate,
    model: str,
    entry: Entry,
    board: pd.DataFrame,
    classes: list[str],
) -> None:
    """Write test scores into the run that trained the model, made anew where it is unknown."""
    run = tracking.reopened(cfg.tracking.uri, cfg.task.name, entry.record["run_id"])
    if run is None:
        with tracking.restored(cfg.tracking.uri, config.ROOT, entry.record) as run:
            run.trained(entry.record, config.trained(cfg.task.name, model))
        console.print(
            f"{cfg.task.name} {model}: the run that trained it is not in this store; "
            f"recorded as run {run.id}"
        )
    run.scores({f"test/{k}": v for k, v in scores_of(cfg.task, model, board).items()})
    run.scores({"cost/answer_ms_per_1000": entry.answer_ms})
    run.figure("test.png", picture(f"{cfg.task.name}, {model}, test", entry.answers, classes))


def scores_of(task: config.Task, model: str, board: pd.DataFrame) -> dict[str, float]:
    """Pick a model's scores on test, with the interval of the deciding one."""
    row = board.set_index("model").loc[model]
    names = [*task.metrics, f"{task.metric}_low", f"{task.metric}_high"]
    return {name: float(row[name]) for name in names}


def predictions(
    test: pd.DataFrame, answers: dict[str, Answers], classes: list[str]
) -> pd.DataFrame:
    """
    Lay out every answer to every test example.

    Parameters
    ----------
    test : DataFrame
        Test examples.
    answers : dict of str to Answers
        What each model answered.
    classes : list of str
        Labels.

    Returns
    -------
    DataFrame
        A row an example and model: ``example_id``, ``group``, ``label``,
        ``model``, ``predicted``, and ``probability_<class>`` for each class.
    """
    names = pd.Index(classes)
    parts = []
    for model, given in answers.items():
        part = test[["example_id", "group", "label"]].reset_index(drop=True)
        part["model"] = model
        part["predicted"] = names[given.predicted]
        columns = [f"probability_{name}" for name in classes]
        parts.append(part.join(pd.DataFrame(given.probabilities, columns=columns)))
    return pd.concat(parts, ignore_index=True)


def heading(task: config.Task) -> str:
    """Head a leaderboard."""
    return f"{task.name}: {task.metric} on test"


if __name__ == "__main__":
    config.run("evaluate")
