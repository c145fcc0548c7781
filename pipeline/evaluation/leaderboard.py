"""The leaderboard: every model of a task, best first, with what it costs."""

import io
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table


def leaderboard(
    scores: pd.DataFrame,
    costs: Mapping[str, Mapping[str, float]],
    metric: str,
    failed: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> pd.DataFrame:
    """
    Put scores and costs together and mark the best.

    Parameters
    ----------
    scores : DataFrame
        What `comparison.compare` gives: a row a model, best first.
    costs : mapping of str to mapping
        For each model ``family``, ``fit_seconds``, ``predict_ms_per_1000``
        and ``model_bytes``.
    metric : str
        The one that decided.
    failed : mapping of str to mapping
        For each model that cannot be compared ``family``, and why in ``failed``.

    Returns
    -------
    DataFrame
        A row per model, best first, those without scores last. ``best`` is ``overall``,
        ``family`` for the best of each other family, or empty. A model for which the metric
        is not defined is the best of nothing. ``failed`` is empty, or the reason why there
        are no scores.
    """
    board = scores.join(pd.DataFrame(costs).T.infer_objects())
    defined = board[metric].notna()
    first = ~board["family"].duplicated() & defined
    board.insert(0, "metric", metric)
    board.insert(0, "best", np.where(first, "family", ""))
    if defined.iloc[0]:
        board.iloc[0, 0] = "overall"
    board["failed"] = ""
    board = board.rename_axis("model").reset_index()
    if not failed:
        return board
    rows = [
        {"model": model, "best": "", "metric": metric, **known} for model, known in failed.items()
    ]
    return pd.concat([board, pd.DataFrame(rows)], ignore_index=True)


def reasons(board: pd.DataFrame) -> str:
    """Word why models have no scores, a line each; empty when all have."""
    rows = board[board["failed"] != ""]
    lines = [f"{row.model}: {row.failed}" for row in rows.itertuples()]
    return "\n" + "\n".join(lines) + "\n" if lines else ""


def interval(row: "pd.Series[float]", name: str, digits: int = 3) -> str:
    """Write a score with the ends of its interval, or a dash where it has no meaning."""
    if np.isnan(row[name]):
        return "–"
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return f"{row[name]:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def readable_seconds(seconds: float) -> str:
    """Write a duration with two decimals while they matter."""
    if np.isnan(seconds):
        return "–"
    return f"{seconds:,.0f}" if seconds >= 10 else f"{seconds:.2f}"


def readable_bytes(count: float) -> str:
    """Write a size in kB or MB."""
    if np.isnan(count):
        return "–"
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


def shown(board: pd.DataFrame, metrics: list[str]) -> pd.DataFrame:
    """
    Word a leaderboard for people.

    Parameters
    ----------
    board : DataFrame
        What `leaderboard` gives.
    metrics : list of str
        Which scores to show, the deciding one first.

    Returns
    -------
    DataFrame
        Texts only, the columns headed as they should be read.
    """
    marks = board["best"].map({"overall": " ★", "family": " ☆", "": ""})
    columns = {"model": board["model"] + marks, "family": board["family"]}
    for name in metrics:
        columns[name] = board.apply(interval, axis=1, name=name)
    columns["behind best"] = board.apply(interval, axis=1, name="behind")
    columns["fit s"] = board["fit_seconds"].map(readable_seconds)
    columns["ms/1,000"] = board["predict_ms_per_1000"].map("{:.0f}".format).replace("nan", "–")
    columns["size"] = board["model_bytes"].map(readable_bytes)
    return pd.DataFrame(columns)


LEGEND = "★ best, ☆ best of its family; [{share:.0%} bootstrap interval], {n:,} test examples"


def table(title: str, rows: pd.DataFrame, legend: str) -> str:
    """Lay out worded rows for a console."""
    laid_out = Table(
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
        laid_out.add_column(str(column), justify="left" if index < 2 else "right", no_wrap=True)
    for row in rows.itertuples(index=False):
        laid_out.add_row(*row)
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(laid_out)
    return "\n".join(line.rstrip() for line in console.export_text().splitlines())


def families(boards: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """
    Tell which family wins where, and by how much.

    Parameters
    ----------
    boards : mapping of str to DataFrame
        For each task what `leaderboard` gives.

    Returns
    -------
    DataFrame
        Texts only, a row a task: the metric that decides, the best model of
        each family, and the family that wins with how far the other's best
        model is behind.
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
            row["wins by"] = f"{best.index[0]} {interval(others.iloc[0], 'behind')}"
        rows.append(row)
    return pd.DataFrame(rows).fillna("")


def markdown(title: str, rows: pd.DataFrame, legend: str) -> str:
    """Lay out worded rows as a Markdown page."""
    lines = [
        "| " + " | ".join(rows) + " |",
        "|" + " --- |" * 2 + " ---: |" * (rows.shape[1] - 2),
        *("| " + " | ".join(row) + " |" for row in rows.to_numpy()),
    ]
    return f"# {title}\n\n" + "\n".join(lines) + "\n\n" + legend + "\n"
