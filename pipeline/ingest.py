"""Stage 1: examples in, checked and split."""

from typing import Any

import pandas as pd

from pipeline import command, paths
from pipeline.config import composition, schema, targets
from pipeline.files import new_folder, write_json
from pipeline.progress import console
from pipeline.sources.examples import Source, check, drop_duplicates, drop_known, inputs_of
from pipeline.sources.split import split


def main(cfg: schema.Stage) -> None:
    """Read a task's examples, check them, split them, and write them with their card."""
    source: Source = targets.build(cfg.task.source)
    examples, dropped = checked(source)
    shares = cfg.task.split
    parts = (
        split(examples, shares.test, shares.validation, shares.seed, source.test) | source.slices
    )
    with new_folder(paths.ingested_folder(cfg.task.name)) as folder:
        for name, part in parts.items():
            part.to_parquet(folder / f"{name}.parquet", index=False)
        used = {"settings": composition.settings("ingest", cfg)}
        write_json(folder / "card.json", card(source, parts, dropped) | used)
    console.print(summary(cfg.task.name, parts, dropped))
    for warning in source.warnings:
        console.print(f"warning: {warning}", style="bold yellow", markup=False)


def checked(source: Source) -> tuple[pd.DataFrame, dict[str, int]]:
    """
    Check all that a source gave, and leave out what may not be learned from.

    Parameters
    ----------
    source : Source
        What was read. Its own test examples are checked and kept as they are.

    Returns
    -------
    examples : DataFrame
        Without duplicates, contradictions, and what is among the test examples,
        unless the source says that examples may repeat.
    dropped : dict of str to int
        Rows left out, by reason.

    Raises
    ------
    UserError
        When a check fails.
    """
    for tested in [source.test, *source.slices.values()]:
        if tested is not None:
            check(tested, source.may_miss)
    examples, dropped = check(source.examples, source.may_miss), source.dropped
    if not source.may_repeat:
        examples, again = drop_duplicates(examples)
        dropped = dropped | again
    if source.test is not None:
        unknown, known = drop_known(examples, source.test)
        if not source.may_repeat:
            examples, dropped = unknown, dropped | known
    return examples, dropped


def card(source: Source, parts: dict[str, pd.DataFrame], dropped: dict[str, int]) -> dict[str, Any]:
    """
    Say what the ingested examples are.

    Parameters
    ----------
    source : Source
        What was read.
    parts : dict of str to DataFrame
        The splits.
    dropped : dict of str to int
        Rows left out, by reason.

    Returns
    -------
    dict
        Plain values for ``card.json``: origin, inputs, rows dropped and why,
        warnings, and per split the number of examples, of groups, and of each class.
    """
    return {
        "origin": source.origin,
        "inputs": inputs_of(source.examples),
        "classes": sorted(source.examples["label"].unique()),
        "slices": list(source.slices),
        "dropped": dropped,
        "warnings": source.warnings,
        "splits": {
            name: {
                "examples": len(part),
                "groups": part["group"].nunique(),
                "classes": part["label"].value_counts().sort_index().to_dict(),
            }
            for name, part in parts.items()
        },
    }


def summary(task: str, parts: dict[str, pd.DataFrame], dropped: dict[str, int]) -> str:
    """Tell in a line what was ingested."""
    counts = ", ".join(f"{name} {len(part):,}" for name, part in parts.items())
    left_out = "".join(f"; {count:,} dropped ({why})" for why, count in dropped.items())
    classes = parts["train"]["label"].nunique()
    return f"{task}: {classes} classes; {counts}{left_out}"


if __name__ == "__main__":
    command.run("ingest")
