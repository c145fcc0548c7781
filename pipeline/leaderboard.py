"""Print the leaderboards of the tasks in params.yaml: python -m pipeline.leaderboard."""

import sys
from functools import partial

from pipeline import paths
from pipeline.config import conf
from pipeline.errors import UserError
from pipeline.evaluation.across import FEWEST_TASKS, compare_over_tasks, format_over_tasks
from pipeline.evaluation.board import check_current, read_board
from pipeline.evaluation.layout import console_table, summarize_tasks
from pipeline.evaluation.page import write_index
from pipeline.files import missing

OVER_TASKS = (
    "win rate: share of tasks in which it is best; improvability: share of its error that the "
    f"best avoids; intervals from {FEWEST_TASKS} tasks on"
)


def main() -> None:
    """Print the board of each task, as evaluate wrote it, and write a page about all of them."""
    boards = {}
    for task in conf.params()["tasks"]:
        folder = paths.report_folder(task)
        if not folder.is_dir():
            raise missing(folder)
        check_current(folder / "board.json", partial(paths.model_folder, task))
        print((folder / "leaderboard.txt").read_text(encoding="utf-8"), end="\n\n")
        boards[task] = read_board(folder / "board.json")
    write_index(list(boards.values()), paths.ROOT / "reports")
    legend = "with simultaneous intervals; each family by its model that is best on validation"
    if len(boards) > 1:
        over = format_over_tasks(compare_over_tasks(boards))
        print(console_table("over all tasks", over, OVER_TASKS), end="\n\n")
    print(console_table("which model, classical or deep?", summarize_tasks(boards), legend))


if __name__ == "__main__":
    try:
        paths.enter_project()
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
