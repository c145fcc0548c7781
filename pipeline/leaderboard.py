"""The leaderboards of the tasks in params.yaml: python -m pipeline.leaderboard."""

import sys

from pipeline import config
from pipeline.errors import UserError
from pipeline.files import missing


def main() -> None:
    """Print each leaderboard as the last evaluation left it."""
    for task in config.params()["tasks"]:
        page = config.reports(task) / "leaderboard.txt"
        if not page.is_file():
            raise missing(page)
        print(page.read_text(encoding="utf-8"))


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
