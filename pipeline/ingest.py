"""Stage 1: read examples, check them, and split them."""

from typing import Any

import pandas as pd

from pipeline import command, paths
from pipeline.config import schema, targets
from pipeline.config.command_line import overridden_keys
from pipeline.config.settings import pick_settings
from pipeline.errors import UserError, nearest
from pipeline.files import new_folder, write_json
from pipeline.problems import Problem, problem
from pipeline.progress import say
from pipeline.sources.examples import (
    Source,
    check,
    drop_duplicates,
    drop_test_examples,
    inputs_of,
    meta_of,
)
from pipeline.sources.leaks import leaks
from pipeline.sources.rounds import Rounds
from pipeline.sources.split import Plan, absent_later, classes_too_rare, make_plan, split

# What may be done about classes that are too rare to be split, and what they are merged into.
RARE, OTHER = ("error", "drop", "merge"), "other"
SHOWN = 5


def main(cfg: schema.Stage) -> None:
    """Read the examples of a task, check them, split them, and write them with their card."""
    kind = problem(cfg.task.kind, {"unknown": cfg.task.unknown})
    source: Source = targets.build(cfg.task.source)
    check_source(source, cfg.task.source["_target_"])
    examples, test, slices, dropped = clean(source, kind)
    plan = make_plan(cfg.task.split, examples, test is not None)
    try:
        rare = rare_classes(cfg.task.rare, examples, plan, kind, test)
        examples, test, slices, counts = without(rare, cfg.task.rare, examples, test, slices)
        dropped |= counts
        rounds = split(examples, plan, kind, test)
    except UserError as error:
        raise UserError(f"{error}{describe_counts(dropped, 'dropped')}") from None
    source.warnings.extend(find_leaks(source, rounds))
    with new_folder(paths.ingested_folder(cfg.task.name)) as folder:
        rounds.write(folder)
        for name, part in slices.items():
            part.to_parquet(folder / f"{name}.parquet", index=False)
        used = {"settings": pick_settings("ingest", cfg)}
        about = card(source, kind, plan, rounds, slices, dropped)
        write_json(folder / "card.json", about | used)
    line = summary(cfg.task.name, kind, plan, rounds, slices, dropped)
    say(f"{line}{describe_counts(source.joined, 'kept together')}")
    for warning in source.warnings + describe_classes(rare, cfg.task.rare, rounds, kind):
        say(f"warning: {warning}", style="bold yellow")


def check_source(source: Source, name: str) -> None:
    """
    Check that what reads the examples returns them, and that no setting would be ignored.

    Raises
    ------
    UserError
        If it returns something else, or if the command line sets the share of a test that the
        source has itself.
    """
    if not isinstance(source, Source) or not isinstance(source.examples, pd.DataFrame):
        raise UserError(f"{name} does not return a Source with a DataFrame of examples")
    if source.test is not None and "task.split.test" in overridden_keys():
        raise UserError("task.split.test: the data have a test of their own: leave it out")


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


def rare_classes(
    how: str | None,
    examples: pd.DataFrame,
    plan: Plan,
    kind: Problem,
    test: pd.DataFrame | None,
) -> list[str]:
    """
    Return the classes to be dropped or merged.

    Parameters
    ----------
    how : {"error", "drop", "merge"}, optional
        What is done about classes that cannot be split. Those that come up too late are
        dropped even so, since no model can learn them.
    examples, plan, kind, test
        As for `split`.
    """
    if how is None:
        return []
    if how not in RARE:
        raise UserError(f"task.rare: unknown '{how}'{nearest(how, RARE)}")
    if how == "error" and "time" not in examples:
        return []
    return classes_too_rare(examples, plan, kind, test)


def without(
    rare: list[str],
    how: str | None,
    examples: pd.DataFrame,
    test: pd.DataFrame | None,
    slices: dict[str, pd.DataFrame],
) -> tuple[pd.DataFrame, pd.DataFrame | None, dict[str, pd.DataFrame], dict[str, int]]:
    """Drop or merge rare classes everywhere, and count the rows that were dropped."""

    def change(part: pd.DataFrame) -> pd.DataFrame:
        found = part["label"].isin(rare)
        if how == "merge":
            return part.assign(label=part["label"].mask(found, OTHER))
        return part[~found].reset_index(drop=True)

    if not rare:
        return examples, test, slices, {}
    parts = [examples, *([] if test is None else [test]), *slices.values()]
    changed = [change(part) for part in parts]
    count = sum(map(len, parts)) - sum(map(len, changed))
    why = "too late a class" if "time" in examples else "too rare a class"
    kept = None if test is None else changed[1]
    others = changed[len(parts) - len(slices) :]
    return (
        changed[0],
        kept,
        dict(zip(slices, others, strict=True)),
        {why: count} if count else {},
    )


def describe_classes(rare: list[str], how: str | None, rounds: Rounds, kind: Problem) -> list[str]:
    """Return messages about classes that were merged or dropped, or that later rows lack."""
    in_time = "time" in rounds.examples
    absent = absent_later(rounds, kind) if in_time else []
    if not rare:
        return absent
    shown = ", ".join(f"'{label}'" for label in rare[:SHOWN])
    shown += f" and {len(rare) - SHOWN:,} more" * (len(rare) > SHOWN)
    if how == "merge":
        return [f"rare classes are merged into '{OTHER}': {shown}", *absent]
    why = "are not among the earlier rows of each round" if in_time else "are rare"
    return [f"rows of classes that {why} are left out: {shown}", *absent]


def find_leaks(source: Source, rounds: Rounds) -> list[str]:
    """Return warnings about columns of a table that all but tell the label, by train alone."""
    if not source.columns:
        return []
    # By time, the last round has the most to learn from.
    return leaks(rounds.part(rounds.scored[-1], "train"))


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
        reason why they were dropped or joined into one group, notes, warnings, the folds and
        repeats, and for each part of each round, and each slice, the number of examples and
        groups and a summary of the target.
    """

    def summarize(part: pd.DataFrame) -> dict[str, Any]:
        sizes = {"examples": len(part), "groups": part["group"].nunique()}
        return sizes | kind.summarize(part)

    examples = rounds.examples
    columns = sorted(meta_of(examples).keys() - {"group", "unit", "unit_2", "stratum"})
    further = {key: getattr(source, key) for key in ("advice", "names") if getattr(source, key)}
    return {
        "origin": source.origin,
        "inputs": inputs_of(examples),
        "may_miss": source.may_miss,
        "columns": source.columns,
        "target": kind.describe(examples) | {"columns": columns} | further,
        "dropped": dropped,
        "joined": source.joined,
        "notes": source.notes,
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
