"""Stage 1: read examples, check them, and split them."""

from typing import Any

import pandas as pd

from pipeline import command, paths
from pipeline.config import schema, targets
from pipeline.config.settings import pick_settings
from pipeline.errors import UserError
from pipeline.files import new_folder, write_json
from pipeline.problems import Problem, problem
from pipeline.progress import console
from pipeline.sources.examples import (
    Source,
    check,
    drop_duplicates,
    drop_test_examples,
    inputs_of,
    meta_of,
)
from pipeline.sources.rounds import Rounds
from pipeline.sources.split import Plan, make_plan, split


def main(cfg: schema.Stage) -> None:
    """Read the examples of a task, check them, split them, and write them with their card."""
    kind = problem(cfg.task.kind)
    source: Source = targets.build(cfg.task.source)
    examples, test, slices, dropped = clean(source, kind)
    plan = make_plan(cfg.task.split, examples, test is not None)
    try:
        rounds = split(examples, plan, kind, test)
    except UserError as error:
        raise UserError(f"{error}{describe_counts(dropped, 'dropped')}") from None
    with new_folder(paths.ingested_folder(cfg.task.name)) as folder:
        rounds.write(folder)
        for name, part in slices.items():
            part.to_parquet(folder / f"{name}.parquet", index=False)
        used = {"settings": pick_settings("ingest", cfg)}
        about = card(source, kind, plan, rounds, slices, dropped)
        write_json(folder / "card.json", about | used)
    line = summary(cfg.task.name, kind, plan, rounds, slices, dropped)
    console.print(f"{line}{describe_counts(source.joined, 'kept together')}")
    for warning in source.warnings:
        console.print(f"warning: {warning}", style="bold yellow", markup=False)


def clean(
    source: Source, kind: Problem
) -> tuple[pd.DataFrame, pd.DataFrame | None, dict[str, pd.DataFrame], dict[str, int]]:
    """
    Check everything that a source returns, and drop examples that may not be used in training.

    Parameters
    ----------
    source : Source
        The examples. Its own test examples are checked and kept as they are.
    kind : Problem
        Checks the target.

    Returns
    -------
    examples : DataFrame
        Without duplicates, contradictions and examples that are also in the test, unless
        the source allows repeated examples.
    test : DataFrame or None
        The test examples of the source.
    slices : dict of str to DataFrame
        The further test examples of the source.
    dropped : dict of str to int
        Number of dropped rows by reason.

    Raises
    ------
    UserError
        If a check fails.
    """

    def check_part(part: pd.DataFrame) -> pd.DataFrame:
        check(part, source.may_miss)
        if "label" not in part:
            raise UserError("column 'label' is missing")
        target = part["label"].set_axis(part["example_id"]).rename(source.label)
        target = kind.check_target(target)
        return part.assign(label=target.to_numpy())

    test = None if source.test is None else check_part(source.test)
    slices = {name: check_part(part) for name, part in source.slices.items()}
    examples, dropped = check_part(source.examples), source.dropped
    if not source.may_repeat:
        examples, again = drop_duplicates(examples)
        dropped = dropped | again
    if test is not None:
        untested, tested = drop_test_examples(examples, test)
        if not source.may_repeat:
            examples, dropped = untested, dropped | tested
    return examples, test, slices, dropped


def card(
    source: Source,
    kind: Problem,
    plan: Plan,
    rounds: Rounds,
    slices: dict[str, pd.DataFrame],
    dropped: dict[str, int],
) -> dict[str, Any]:
    """
    Describe the ingested examples.

    Parameters
    ----------
    source : Source
        The examples as they were read.
    kind : Problem
        Describes the target.
    plan : Plan
        How the examples were split.
    rounds : Rounds
        The examples, and their parts in each round.
    slices : dict of str to DataFrame
        The further test examples.
    dropped : dict of str to int
        Number of dropped rows by reason.

    Returns
    -------
    dict
        Plain values for ``card.json``: the origin, the inputs and whether their values may
        be missing, what columns are taken for, the target as models need it, rows by the
        reason why they were dropped or joined into one group, warnings, the folds and
        repeats, and for each part of each round, and each slice, the number of examples and
        groups and a summary of the target.
    """

    def summarize(part: pd.DataFrame) -> dict[str, Any]:
        sizes = {"examples": len(part), "groups": part["group"].nunique()}
        return sizes | kind.summarize(part)

    examples = rounds.examples
    columns = sorted(meta_of(examples).keys() - {"group", "unit", "unit_2", "stratum"})
    advice = {"advice": source.advice} if source.advice else {}
    return {
        "origin": source.origin,
        "inputs": inputs_of(examples),
        "may_miss": source.may_miss,
        "columns": source.columns,
        "target": kind.describe(examples) | {"columns": columns} | advice,
        "dropped": dropped,
        "joined": source.joined,
        "warnings": source.warnings,
        "split": {"folds": plan.test if plan.folds else None, "repeats": plan.repeats},
        "rounds": {
            name: {part: summarize(rows) for part, rows in rounds.split(name).items()}
            for name in rounds.parts
        },
        "slices": {name: summarize(part) for name, part in slices.items()},
    }


def summary(
    task: str,
    kind: Problem,
    plan: Plan,
    rounds: Rounds,
    slices: dict[str, pd.DataFrame],
    dropped: dict[str, int],
) -> str:
    """Return one line about the ingested examples."""
    parts = rounds.split("0") | slices
    counts = ", ".join(f"{name} {len(part):,}" for name, part in parts.items())
    if plan.folds:
        times = f" × {plan.repeats}" if plan.repeats > 1 else ""
        counts = (
            f"{len(rounds.examples):,} examples, {plan.test}{times} folds: {counts} in the first"
        )
    return (
        f"{task}: {kind.headline(rounds.examples)}; {counts}{describe_counts(dropped, 'dropped')}"
    )


def describe_counts(counts: dict[str, int], what: str) -> str:
    """Return how many rows were dropped or kept together for each reason, as the end of a line."""
    return "".join(f"; {count:,} {what} ({why})" for why, count in counts.items())


if __name__ == "__main__":
    command.run("ingest")
