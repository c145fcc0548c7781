"""Stage 2: convert examples to features, in each round with featurizers fitted on its train."""

import base64
import json
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.pipeline import Pipeline

from pipeline import command, paths, storage
from pipeline.config import schema, targets
from pipeline.config.settings import merge, only_view, pick_settings
from pipeline.errors import UserError
from pipeline.features import views
from pipeline.features.inputs import kind_of
from pipeline.features.views import Features
from pipeline.files import damaged, dvc_digest, new_folder, read_json, write_json
from pipeline.progress import say, track
from pipeline.sources.examples import inputs_of, meta_of
from pipeline.sources.rounds import Rounds

# What is read of the card of the ingested examples.
CARD = {
    "settings": dict,
    "inputs": list,
    "may_miss": bool,
    "columns": dict,
    "target": dict,
    "origin": list,
    "split": dict,
}


def main(cfg: schema.Stage) -> None:
    """Fit the featurizers of each view on train, and write the features of train and validation."""
    ingested = paths.ingested_folder(cfg.task.name)
    rounds = Rounds.read(ingested)
    card = read_json(ingested / "card.json", CARD)
    if card["inputs"] != inputs_of(rounds.examples):
        raise damaged(ingested / "card.json", "it names other inputs than the examples have")
    about = description(rounds, card) | {"digest": dvc_digest(ingested)}
    used = merge(card["settings"], pick_settings("featurize", cfg))
    summaries = set()
    with new_folder(paths.features_folder(cfg.task.name)) as folder:
        for view, node in cfg.task.views.items():
            for name in track(rounds.parts, f"featurizing {view}", len(rounds.parts.columns)):
                featurizer = targets.build(node)
                shape = featurize(featurizer, view, rounds, name, folder / view / name)
            of_view = {"settings": only_view(used, view), "unread": unread(featurizer)}
            write_json(folder / view / views.ABOUT, about | of_view)
            size = " × ".join(f"{n:,}" for n in shape)
            numbers = f"number{'s' * (size != '1')} per example"
            say(f"{cfg.task.name}: view {view}, {size} {numbers}")
            if of_view["unread"]:
                say(f"{cfg.task.name}: {of_view['unread']:.2%} of view {view} is cut off")
            if hasattr(featurizer, "summary"):
                summaries.add(featurizer.summary())
    for summary in sorted(summaries):
        say(f"{cfg.task.name}: {summary}")


def featurize(
    featurizer: Any, view: str, rounds: Rounds, name: str, folder: Path
) -> tuple[int, ...]:
    """
    Fit a featurizer on the train of a round, and write the features of train and validation.

    Returns
    -------
    tuple of int
        Shape of the features of one example.
    """
    train, validation = (rounds.part(name, part) for part in ("train", "validation"))
    X = fit_transform(featurizer, view, train)
    X_validation = featurizer.transform(validation[inputs_of(validation)])
    folder.mkdir(parents=True)
    views.save(folder / "train.npz", features(X, train))
    views.save(folder / "validation.npz", features(X_validation, validation))
    storage.dump(featurizer, folder / views.FEATURIZER)
    return tuple(X.shape[1:])


def fit_transform(featurizer: Any, view: str, train: pd.DataFrame) -> Any:
    """
    Fit a featurizer on train, and return the features of train.

    Raises
    ------
    UserError
        If its settings do not fit the data.
    """
    try:
        return featurizer.fit_transform(train[inputs_of(train)], train["label"])
    except (TypeError, ValueError) as error:  # scikit-learn refuses settings with these
        raise UserError(f"task.views.{view}: {str(error).splitlines()[0]}") from error


def unread(featurizer: Any) -> float:
    """Return the share of the inputs that a fitted featurizer, or its last step, cuts off."""
    last = featurizer[-1] if isinstance(featurizer, Pipeline) else featurizer
    return float(getattr(last, "unread_", 0.0))


def features(X: Any, examples: pd.DataFrame) -> Features:
    """Return features together with the target and the columns for metrics."""
    return Features(X, examples["label"].to_numpy(), meta_of(examples))


def description(rounds: Rounds, card: dict[str, Any]) -> dict[str, Any]:
    """
    Describe the rounds, the raw inputs and the target, as a trained model needs them.

    Parameters
    ----------
    rounds : Rounds
        Ingested examples.
    card : dict
        The card that ingest wrote.

    Returns
    -------
    dict
        Plain values: the names of the rounds, the kept one last; the kind of each input,
        whether values may be missing, two raw examples with times in ISO 8601 and bytes in
        base64, how texts write inputs where that is unusual, the target, and the origin of the
        data.
    """
    inputs = rounds.part(rounds.kept, "train")[card["inputs"]]
    kinds = {name: kind_of(inputs[name]) for name in inputs}
    forms = {
        name: {key: value for key, value in column.items() if key != "kind"}
        for name, column in card["columns"].items()
    }
    first = inputs.head(2)
    encoded = {n: first[n].map(_encode, "ignore") for n, kind in kinds.items() if kind == "binary"}
    example = first.assign(**encoded).to_json(
        orient="records", date_format="iso", double_precision=15
    )
    return {
        "rounds": list(rounds.parts),
        "folds": card["split"]["folds"],
        "inputs": kinds,
        "may_miss": card["may_miss"],
        "forms": {name: form for name, form in forms.items() if form},
        "example": json.loads(example),
        "target": card["target"],
        "origin": card["origin"],
    }


def _encode(content: bytes) -> str:
    return base64.b64encode(content).decode()


if __name__ == "__main__":
    command.run("featurize")
