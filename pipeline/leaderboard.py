"""Print the leaderboards of the tasks in params.yaml: python -m pipeline.leaderboard."""

import argparse
from functools import partial

from pipeline import command, paths
from pipeline.config import conf
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
    boards, shown = {}, []
    for task in conf.params()["tasks"]:
        folder = paths.report_folder(task)
        table = folder / "leaderboard.txt"
        if not table.is_file():
            raise missing(table if folder.is_dir() else folder)
        check_current(folder / "board.json", partial(paths.model_folder, task))
        shown.append(table.read_text(encoding="utf-8"))
        boards[task] = read_board(folder / "board.json")
    write_index(list(boards.values()), paths.ROOT / "reports")
    legend = "with simultaneous intervals; each family by its model that is best on validation"
    if len(boards) > 1:
        over = format_over_tasks(compare_over_tasks(boards))
        shown.append(console_table("over all tasks", over, OVER_TASKS))
    shown.append(console_table("which model, classical or deep?", summarize_tasks(boards), legend))
    print("\n\n".join(shown))


if __name__ == "__main__":
    argparse.ArgumentParser("python -m pipeline.leaderboard", description=main.__doc__).parse_args()
    with command.reporting("evaluate"):
        main()
