"""Boards as people read them: on a console and as Markdown."""

import io
import textwrap
from collections.abc import Mapping
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from pipeline.evaluation.numbers import format_interval
from pipeline.evaluation.tuning import DEFAULTS

WIDTH = 80


ENDS = {"score": "", "low": "_low", "high": "_high"}
MARKS = {"take": " ★", "contender": " ☆", "": ""}
LEGEND = (
    "★ take it, ☆ cannot be told apart from the best; [{share:.0%} interval]; "
    "ms: to predict 100; {tested}"
)


def console_page(board: Mapping[str, Any]) -> str:
    """
    Lay out a board for a console: the table of each slice, the verdict, and what makes it doubtful.

    Parameters
    ----------
    board : mapping
        What `board.make_board` returned.
    """
    metric, sentences = board["metric"], " ".join(board["verdict"]["sentences"])
    pages = []
    for part, of_part in board["slices"].items():
        legend = LEGEND.format(share=board["confidence"], tested=describe_test(board, part))
        why = [f"{row['model']}: {row['failed']}" for row in of_part["rows"] if row["failed"]]
        unit = f" in {board['unit']}" if board.get("unit") else ""
        title = f"{board['task']}: {metric}{unit} on {part}"
        page = console_table(title, format_board(board, part), legend)
        pages.append("\n".join([page, *why]))
    doubts = [
        f"{one['severity']}: {one['sentence']} {one['advice']}"
        for one in board.get("checks", ())
        if one["severity"] != "note"
    ]
    texts = [describe_settings(board), *board.get("notes", ()), sentences, *doubts]
    below = "\n".join(textwrap.fill(text, WIDTH) for text in texts if text)
    return "\n\n".join([pages[0], below, *pages[1:]])


def describe_settings(board: Mapping[str, Any]) -> str:
    """Return which models were tuned and for how long, or nothing if none was."""
    found = {name: model.get("settings", DEFAULTS) for name, model in board["models"].items()}
    tuned = [f"{name} ({how})" for name, how in found.items() if how != DEFAULTS]
    return f"Tuned: {', '.join(tuned)}; other settings are the defaults." if tuned else ""


def describe_test(board: Mapping[str, Any], part: str) -> str:
    """Return on how many examples, and in how many rounds, models were scored."""
    rounds, tested = board["rounds"], f"{board['slices'][part]['examples']:,} examples"
    if rounds["rounds"] > 1:
        times = f" × {rounds['repeats']}" if rounds["repeats"] > 1 else ""
        tested += f", {rounds['folds']}{times} folds"
    if len(rounds["seeds"]) > 1:
        tested += f", {len(rounds['seeds'])} seeds"
    return tested


def format_score(part: Mapping[str, Any] | None, value: str = "score") -> str:
    """
    Format a score or a difference with the ends of its interval.

    Parameters
    ----------
    part : mapping or None
        The number under its key, ``low`` and ``high``. None, or a number that is None, is not
        defined; an end that is None means that no interval can be given.
    value : str, default="score"
        The key of the number.
    """
    if part is None or part[value] is None:
        return "–"
    return format_interval(part[value], part["low"], part["high"])


def format_seconds(seconds: float | None) -> str:
    """Format a duration, with two decimals below 10 seconds."""
    if seconds is None:
        return "–"
    return f"{seconds:,.0f}" if seconds >= 10 else f"{seconds:.2f}"


def format_milliseconds(value: float | None) -> str:
    """Format a short duration, with three digits below 100 milliseconds."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def format_bytes(count: float | None) -> str:
    """Format a size in kB or MB."""
    if count is None:
        return "–"
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


def format_board(board: Mapping[str, Any], part: str) -> pd.DataFrame:
    """
    Format the rows of a board as texts.

    Parameters
    ----------
    board : mapping
        What `board.make_board` returned.
    part : str
        ``test``, or the name of a slice.

    Returns
    -------
    DataFrame
        Texts only. The names of the columns are the headings to show.
    """
    metric = board["metric"]
    return pd.DataFrame(
        {
            "model": f"{row['model']}{MARKS[row['mark']]}",
            "family": row["family"],
            metric: format_score({key: row.get(f"{metric}{end}") for key, end in ENDS.items()}),
            "fit s": format_seconds(row.get("fit_seconds")),
            "ms": format_milliseconds(row.get("predict_ms")),
            "size": format_bytes(row.get("model_bytes")),
        }
        for row in board["slices"][part]["rows"]
    )


def console_table(title: str, rows: pd.DataFrame, legend: str) -> str:
    """Lay out formatted rows as a table for a console."""
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        caption=legend,
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    for index, column in enumerate(rows):
        table.add_column(str(column), justify="left" if index < 2 else "right", no_wrap=True)
    for row in rows.itertuples(index=False):
        table.add_row(*row)
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(table)
    return "\n".join(line.rstrip() for line in console.export_text().splitlines())


def summarize_tasks(boards: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """
    Show which model to take for each task, and how its families compare.

    Parameters
    ----------
    boards : mapping of str to mapping
        For each task what `board.make_board` returned.

    Returns
    -------
    DataFrame
        Texts only, one row per task.
    """
    rows = []
    for task, board in boards.items():
        take, metric = board["verdict"]["take"], board["metric"]
        row = {"task": task, "metric": metric, "take": take or "–", "score": "–"}
        if take:
            row["score"] = format_score(board["models"][take]["scores"][metric])
        for pair in board["families"]:
            row[f"{pair['first']} − {pair['second']}"] = format_score(pair, "difference")
        rows.append(row)
    return pd.DataFrame(rows).fillna("–")
