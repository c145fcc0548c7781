"""Recommend items to a user, with scores and reasons: python -m pipeline.predict."""

from typing import Any

import numpy as np

from pipeline import command, paths, predictor
from pipeline.config import schema, targets
from pipeline.errors import UserError
from pipeline.files import read_json
from pipeline.predictor import Predictor
from pipeline.progress import console
from pipeline.sources.catalogue import Catalogue

# Liked items that are named as the reason for one that is shown.
REASONS = 2


def main(cfg: schema.Predict) -> None:
    """Print what to show to a user, the best first."""
    task = cfg.task
    if task.catalogue is None:
        raise UserError(
            f"task {task.name} has no catalogue: only what its file names under `catalogue` "
            "can be recommended"
        )
    if cfg.user is None:
        raise UserError("user: name the user to recommend to, as in user=42")
    catalogue: Catalogue = targets.build(task.catalogue)
    most = len(catalogue.names)
    if isinstance(cfg.n, bool) or not isinstance(cfg.n, int) or not 1 <= cfg.n <= most:
        raise UserError(
            f"n: {cfg.n} is not a whole number from 1 to {most:,}, the number of {catalogue.what}"
        )
    if str(cfg.user) not in catalogue.histories.index:
        users = catalogue.histories.index
        raise UserError(
            f"user: '{cfg.user}' is unknown; there are {len(users):,}, "
            f"such as {users[0]} and {users[-1]}"
        )
    model = cfg.by or recommended(task.name)
    trained = predictor.load(paths.model_folder(task.name, model))
    if not isinstance(trained, Predictor) or not hasattr(trained.estimator, "recommend"):
        raise UserError(f"by: {model} recommends no {catalogue.what}: name a model that ranks")
    for line in recommend(trained, catalogue, str(cfg.user), cfg.n):
        console.print(line, markup=False)


def recommended(task: str) -> str:
    """Return the model that the board of a task recommends."""
    board = read_json(paths.report_folder(task) / "board.json", {"verdict": dict})
    return str(board["verdict"]["take"])


def recommend(trained: Predictor, catalogue: Catalogue, user: str, n: int) -> list[str]:
    """
    Recommend items to a user.

    Parameters
    ----------
    trained : Predictor
        A model that ranks.
    catalogue : Catalogue
        What is known of users and items.
    user : str
        One of its users.
    n : int
        Items to recommend. There are fewer if the user has seen most.

    Returns
    -------
    list of str
        A line per item: its place, name and score, and what the user liked that speaks most for
        it, if the model tells.
    """
    X = trained.features(catalogue.histories.loc[[user]])
    items, scores = (one[0] for one in trained.estimator.recommend(X, n))
    lines = []
    for place, (item, score) in enumerate(zip(items[items >= 0], scores, strict=False), 1):
        why = ", ".join(name_of(catalogue, one) for one in reasons(trained.estimator, X, item))
        owed = f", because you liked {why}" if why else ""
        lines.append(f"{place}. {name_of(catalogue, item)}, {score:.3g}{owed}")
    return lines


def reasons(estimator: Any, X: Any, item: int) -> list[int]:
    """Return the liked items that speak most for an item, none if the estimator does not tell."""
    return estimator.reasons(X, item, REASONS) if hasattr(estimator, "reasons") else []


def name_of(catalogue: Catalogue, item: int | np.integer) -> str:
    """Return the name of an item, or its number if it has none."""
    return catalogue.names.get(int(item), str(item))


if __name__ == "__main__":
    command.run("predict")
