"""Stage 2: convert examples to features, with featurizers fitted on train only."""

import json
from typing import Any

import pandas as pd

from pipeline import command, paths, storage
from pipeline.config import composition, schema, targets
from pipeline.errors import UserError
from pipeline.features import views
from pipeline.features.inputs import kind_of
from pipeline.features.views import Features
from pipeline.files import dvc_digest, new_folder, read_json, read_table, write_json
from pipeline.progress import console, track
from pipeline.sources.examples import inputs_of, meta_of


def main(cfg: schema.Stage) -> None:
    """Fit the featurizer of each view on train, and write the features of train and validation."""
    ingested = paths.ingested_folder(cfg.task.name)
    train = read_table(ingested / "train.parquet")
    validation = read_table(ingested / "validation.parquet")
    card = read_json(
        ingested / "card.json",
        {"settings": dict, "inputs": list, "may_miss": bool, "target": dict, "origin": list},
    )
    about = description(train, card) | {"digest": dvc_digest(ingested)}
    used = composition.merge(card["settings"], composition.settings("featurize", cfg))
    summaries = set()
    with new_folder(paths.features_folder(cfg.task.name)) as folder:
        for view, node in track(cfg.task.views.items(), "featurizing", len(cfg.task.views)):
            featurizer = targets.build(node)
            X = fit_transform(featurizer, view, train)
            X_validation = featurizer.transform(validation[inputs_of(validation)])
            (folder / view).mkdir()
            views.save(folder / view / "train.npz", features(X, train))
            views.save(folder / view / "validation.npz", features(X_validation, validation))
            storage.dump(featurizer, folder / view / views.FEATURIZER)
            of_view = {"settings": composition.only_view(used, view)}
            write_json(folder / view / views.ABOUT, about | of_view)
            size = " × ".join(f"{n:,}" for n in X.shape[1:])
            console.print(f"{cfg.task.name}: view {view}, {size} numbers per example")
            if hasattr(featurizer, "summary"):
                summaries.add(featurizer.summary())
    for summary in sorted(summaries):
        console.print(f"{cfg.task.name}: {summary}", markup=False)


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


def features(X: Any, examples: pd.DataFrame) -> Features:
    """Return features together with the target and the columns for metrics."""
    return Features(X, examples["label"].to_numpy(), meta_of(examples))


def description(train: pd.DataFrame, card: dict[str, Any]) -> dict[str, Any]:
    """
    Describe the raw inputs and the target, as a trained model needs them.

    Parameters
    ----------
    train : DataFrame
        Ingested training examples.
    card : dict
        The card that ingest wrote.

    Returns
    -------
    dict
        Plain values: the kind of each input, whether values may be missing, two raw examples
        with times in ISO 8601, the target, and the origin of the data.
    """
    inputs = train[card["inputs"]]
    example = inputs.head(2).to_json(orient="records", date_format="iso", double_precision=15)
    return {
        "inputs": {name: kind_of(inputs[name]) for name in inputs},
        "may_miss": card["may_miss"],
        "example": json.loads(example),
        "target": card["target"],
        "origin": card["origin"],
    }


if __name__ == "__main__":
    command.run("featurize")
