"""Boards as people read them: on a console and as Markdown."""

import io
import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

WIDTH = 80
# Columns of a board that hold no numbers.
TEXTS = ("model", "mark", "metric", "family", "failed")


MARKS = {"take": " ★", "contender": " ☆", "": ""}
LEGEND = (
    "★ take it, ☆ cannot be told apart from the best; [{share:.0%} interval]; "
    "ms: to predict 100; {tested}"
)


def console_page(board: Mapping[str, Any]) -> str:
    """
    Lay out a board for a console: the table of each slice, and the verdict.

    Parameters
    ----------
    board : mapping
        What `board.make_board` returned.
    """
    metric, sentences = board["metric"], " ".join(board["verdict"]["sentences"])
    pages = []
    for part, of_part in board["slices"].items():
        rows = pd.DataFrame(of_part["rows"])
        legend = LEGEND.format(share=board["confidence"], tested=describe_test(board, part))
        why = [f"{row.model}: {row.failed}" for row in rows[rows["failed"] != ""].itertuples()]
        page = console_table(
            f"{board['task']}: {metric} on {part}", format_board(rows, [metric]), legend
        )
        pages.append("\n".join([page, *why]))
    verdict = textwrap.fill(sentences, WIDTH)
    return "\n\n".join([pages[0], verdict, *pages[1:]])


def describe_test(board: Mapping[str, Any], part: str) -> str:
    """Return on how many examples, and in how many rounds, models were scored."""
    examples, rounds = board["slices"][part]["examples"], board["rounds"]
    if rounds["rounds"] == 1:
        return f"{examples:,} examples"
    times = f" × {rounds['repeats']}" if rounds["repeats"] > 1 else ""
    return f"{examples:,} examples, {rounds['folds']}{times} folds"


def format_interval(row: "pd.Series[float]", name: str, digits: int = 3) -> str:
    """Format a score with the ends of its interval, or as a dash where it is not defined."""
    if np.isnan(row[name]):
        return "–"
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    if np.isnan(low) or np.isnan(high):
        return f"{row[name]:.{digits}f}"
    return f"{row[name]:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def format_seconds(seconds: float) -> str:
    """Format a duration, with two decimals below 10 seconds."""
    if np.isnan(seconds):
        return "–"
    return f"{seconds:,.0f}" if seconds >= 10 else f"{seconds:.2f}"


def format_bytes(count: float) -> str:
    """Format a size in kB or MB."""
    if np.isnan(count):
        return "–"
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


def format_board(board: pd.DataFrame, metrics: list[str]) -> pd.DataFrame:
    """
    Format the values of a board as texts.

    Parameters
    ----------
    board : DataFrame
        What `board.read_rows` returns.
    metrics : list of str
        The scores to show, the deciding one first.

    Returns
    -------
    DataFrame
        Texts only. The names of the columns are the headings to show.
    """
    numbers = board.astype({name: float for name in board if name not in TEXTS})
    columns = {"model": board["model"] + board["mark"].map(MARKS), "family": board["family"]}
    for name in metrics:
        columns[name] = numbers.apply(format_interval, axis=1, name=name)
    columns["fit s"] = numbers["fit_seconds"].map(format_seconds)
    columns["ms"] = numbers["predict_ms"].map("{:,.1f}".format).replace("nan", "–")
    columns["size"] = numbers["model_bytes"].map(format_bytes)
    return pd.DataFrame(columns)


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
            row[f"{pair['first']} − {pair['second']}"] = format_score(
                {"score": pair["difference"], **pair}
            )
        rows.append(row)
    return pd.DataFrame(rows).fillna("–")


def format_score(score: Mapping[str, Any], digits: int = 3) -> str:
    """Format a score with the ends of its interval, as far as they are defined."""
    if score["score"] is None:
        return "–"
    if score["low"] is None or score["high"] is None:
        return f"{score['score']:.{digits}f}"
    return f"{score['score']:.{digits}f} [{score['low']:.{digits}f}, {score['high']:.{digits}f}]"
