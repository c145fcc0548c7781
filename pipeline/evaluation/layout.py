"""Boards as people read them: on a console and as Markdown."""

import io
from collections.abc import Mapping

import numpy as np
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table


def failure_lines(board: pd.DataFrame) -> str:
    """Describe why models have no scores, one line per model; empty when all have scores."""
    rows = board[board["failed"] != ""]
    lines = [f"{row.model}: {row.failed}" for row in rows.itertuples()]
    return "\n" + "\n".join(lines) + "\n" if lines else ""


def format_interval(row: "pd.Series[float]", name: str, digits: int = 3) -> str:
    """Format a score with the ends of its interval, or as a dash where it is not defined."""
    if np.isnan(row[name]):
        return "–"
    low, high = row[f"{name}_low"], row[f"{name}_high"]
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
        What `make_board` returns.
    metrics : list of str
        The scores to show, the deciding one first.

    Returns
    -------
    DataFrame
        Texts only. The names of the columns are the headings to show.
    """
    marks = board["best"].map({"overall": " ★", "family": " ☆", "": ""})
    columns = {"model": board["model"] + marks, "family": board["family"]}
    for name in metrics:
        columns[name] = board.apply(format_interval, axis=1, name=name)
    columns["behind best"] = board.apply(format_interval, axis=1, name="behind")
    columns["fit s"] = board["fit_seconds"].map(format_seconds)
    columns["ms/1,000"] = board["predict_ms_per_1000"].map("{:.0f}".format).replace("nan", "–")
    columns["size"] = board["model_bytes"].map(format_bytes)
    return pd.DataFrame(columns)


LEGEND = "★ best, ☆ best of its family; [{share:.0%} bootstrap interval], {n:,} test examples"


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


def compare_families(boards: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """
    Compare the best classical and the best deep model of each task.

    Parameters
    ----------
    boards : mapping of str to DataFrame
        For each task what `make_board` returns.

    Returns
    -------
    DataFrame
        Texts only, one row per task: the deciding metric, the best model of each family, and
        the family that wins, with how far the best model of the other one is behind.
    """
    rows = []
    for task, board in boards.items():
        metric = board["metric"].iloc[0]
        row = {"task": task, "metric": metric}
        best = board[board[metric].notna()].drop_duplicates("family").set_index("family")
        for family in ("classical", "deep"):
            if family in best.index:
                model = best.loc[family]
                row[f"best {family}"] = f"{model['model']} {model[metric]:.3f}"
        others = best[1:].drop("baseline", errors="ignore")
        if len(others):
            row["wins by"] = f"{best.index[0]} {format_interval(others.iloc[0], 'behind')}"
        rows.append(row)
    return pd.DataFrame(rows).fillna("")


def markdown_page(title: str, rows: pd.DataFrame, legend: str) -> str:
    """Lay out formatted rows as a Markdown page."""
    lines = [
        "| " + " | ".join(rows) + " |",
        "|" + " --- |" * 2 + " ---: |" * (rows.shape[1] - 2),
        *("| " + " | ".join(row) + " |" for row in rows.to_numpy()),
    ]
    return f"# {title}\n\n" + "\n".join(lines) + "\n\n" + legend + "\n"
