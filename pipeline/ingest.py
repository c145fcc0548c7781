"""Stage 1: examples in, checked and split."""

from typing import Any

import pandas as pd

from pipeline import command, paths
from pipeline.config import composition, schema, targets
from pipeline.errors import UserError
from pipeline.files import new_folder, write_json
from pipeline.problems import Problem, problem
from pipeline.progress import console
from pipeline.sources.examples import (
    Source,
    check,
    drop_duplicates,
    drop_known,
    inputs_of,
    meta_of,
)
from pipeline.sources.split import split


def main(cfg: schema.Stage) -> None:
    """Read a task's examples, check them, split them, and write them with their card."""
    kind = problem(cfg.task.kind)
    source: Source = targets.build(cfg.task.source)
    examples, test, slices, dropped = checked(source, kind)
    shares = cfg.task.split
    try:
        parts = split(examples, shares.test, shares.validation, shares.seed, kind, test) | slices
    except UserError as error:
        raise UserError(f"{error}{left_out(dropped)}") from None
    with new_folder(paths.ingested_folder(cfg.task.name)) as folder:
        for name, part in parts.items():
            part.to_parquet(folder / f"{name}.parquet", index=False)
        used = {"settings": composition.settings("ingest", cfg)}
        write_json(folder / "card.json", card(source, kind, parts, dropped) | used)
    console.print(summary(cfg.task.name, kind, parts, dropped))
    for warning in source.warnings:
        console.print(f"warning: {warning}", style="bold yellow", markup=False)


def checked(
    source: Source, kind: Problem
) -> tuple[pd.DataFrame, pd.DataFrame | None, dict[str, pd.DataFrame], dict[str, int]]:
    """
    Check all that a source gave, and leave out what may not be learned from.

    Parameters
    ----------
    source : Source
        What was read. Its own test examples are checked and kept as they are.
    kind : Problem
        Checks the target.

    Returns
    -------
    examples : DataFrame
        Without duplicates, contradictions, and what is among the test examples,
        unless the source says that examples may repeat.
    test : DataFrame or None
        The source's own test examples.
    slices : dict of str to DataFrame
        Its further test examples.
    dropped : dict of str to int
        Rows left out, by reason.

    Raises
    ------
    UserError
        When a check fails.
    """

    def sound(part: pd.DataFrame) -> pd.DataFrame:
        check(part, source.may_miss)
        if "label" not in part:
            raise UserError("column 'label' is missing")
        target = kind.checked(part["label"].set_axis(part["example_id"]))
        return part.assign(label=target.to_numpy())

    test = None if source.test is None else sound(source.test)
    slices = {name: sound(part) for name, part in source.slices.items()}
    examples, dropped = sound(source.examples), source.dropped
    if not source.may_repeat:
        examples, again = drop_duplicates(examples)
        dropped = dropped | again
    if test is not None:
        unknown, known = drop_known(examples, test)
        if not source.may_repeat:
            examples, dropped = unknown, dropped | known
    return examples, test, slices, dropped


def card(
    source: Source, kind: Problem, parts: dict[str, pd.DataFrame], dropped: dict[str, int]
) -> dict[str, Any]:
    """
    Describe the ingested examples.

    Parameters
    ----------
    source : Source
        What was read.
    kind : Problem
        Describes the target.
    parts : dict of str to DataFrame
        The splits and slices.
    dropped : dict of str to int
        Rows left out, by reason.

    Returns
    -------
    dict
        Plain values for ``card.json``: origin, inputs and whether they may lack values, what
        models must know of the target, rows dropped and why, warnings, and per split the
        number of examples, of groups, and a summary of the target.
    """
    train = parts["train"]
    target = kind.describe(train)
    columns = sorted(meta_of(train).keys() - {"group", "unit", "stratum"})
    return {
        "origin": source.origin,
        "inputs": inputs_of(train),
        "may_miss": source.may_miss,
        "target": target | {"columns": columns},
        "slices": list(source.slices),
        "dropped": dropped,
        "warnings": source.warnings,
        "splits": {
            name: {
                "examples": len(part),
                "groups": part["group"].nunique(),
                **kind.summarize(part),
            }
            for name, part in parts.items()
        },
    }


def summary(
    task: str, kind: Problem, parts: dict[str, pd.DataFrame], dropped: dict[str, int]
) -> str:
    """Sum up in a line what was ingested."""
    counts = ", ".join(f"{name} {len(part):,}" for name, part in parts.items())
    return f"{task}: {kind.headline(parts['train'])}; {counts}{left_out(dropped)}"


def left_out(dropped: dict[str, int]) -> str:
    """State how many rows were left out, and why."""
    return "".join(f"; {count:,} dropped ({why})" for why, count in dropped.items())


if __name__ == "__main__":
    command.run("ingest")
