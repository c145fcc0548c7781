"""Print the leaderboards of the tasks in params.yaml: python -m pipeline.leaderboard."""

import sys

import pandas as pd

from pipeline import paths
from pipeline.config import composition
from pipeline.errors import UserError
from pipeline.evaluation.board import check_current
from pipeline.evaluation.layout import compare_families, console_table
from pipeline.files import missing


def main() -> None:
    """Print the leaderboard of each task, as evaluate wrote it, and which family wins where."""
    boards = {}
    for task in composition.params()["tasks"]:
        folder = paths.report_folder(task)
        if not folder.is_dir():
            raise missing(folder)
        check_current(folder / "board.json", paths.ROOT / "models" / task)
        print((folder / "leaderboard.txt").read_text(encoding="utf-8"), end="\n\n")
        boards[task] = pd.read_csv(folder / "leaderboard.csv")
    legend = "wins by: how far the other family's best model is behind, with its paired interval"
    print(console_table("classical or deep?", compare_families(boards), legend))


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
