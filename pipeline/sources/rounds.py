"""The rounds of a task: which part each example has in each, as ingest writes and others read."""

from pathlib import Path
from typing import NamedTuple, Self

import pandas as pd

from pipeline.files import damaged, read_table

PARTS = ("train", "validation", "test")
# The round without a test, whose model is kept if there are several rounds.
FINAL = "final"
EXAMPLES, ROUNDS, TEST = "examples.parquet", "rounds.parquet", "test.parquet"


class Rounds(NamedTuple):
    """
    Examples, and the part that each of them has in each round.

    Attributes
    ----------
    examples : DataFrame
        The examples that are in train or validation of some round.
    parts : DataFrame
        A row per example and a column per round: ``train``, ``validation``, ``test``, or
        empty for an example that the round leaves out. If there are several rounds, the last
        column is `FINAL`.
    test : DataFrame or None
        The test examples of the only round. If there are several rounds, they are among
        `examples`.
    """

    examples: pd.DataFrame
    parts: pd.DataFrame
    test: pd.DataFrame | None = None

    @property
    def scored(self) -> list[str]:
        """The rounds that have a test."""
        return [name for name in self.parts if name != FINAL]

    @property
    def kept(self) -> str:
        """The round whose model is kept."""
        return str(self.parts.columns[-1])

    def split(self, name: str) -> dict[str, pd.DataFrame]:
        """Return the parts of a round that it has."""
        parts = PARTS if name != FINAL else PARTS[:2]
        return {part: self.part(name, part) for part in parts}

    def part(self, name: str, part: str) -> pd.DataFrame:
        """Return the examples of a part of a round."""
        if part == "test" and self.test is not None:
            return self.test
        return self.examples[(self.parts[name] == part).to_numpy()].reset_index(drop=True)

    def write(self, folder: Path) -> None:
        """Write the rounds into a folder."""
        self.examples.to_parquet(folder / EXAMPLES, index=False)
        self.parts.astype("category").to_parquet(folder / ROUNDS, index=False)
        if self.test is not None:
            self.test.to_parquet(folder / TEST, index=False)

    @classmethod
    def read(cls, folder: Path, with_test: bool = False) -> Self:
        """
        Read what `write` wrote.

        Parameters
        ----------
        folder : Path
            Folder of the ingested examples.
        with_test : bool, default=False
            Whether to open the test examples of the only round.

        Raises
        ------
        UserError
            If a file is missing or damaged.
        """
        rounds = cls(read_table(folder / EXAMPLES), read_table(folder / ROUNDS))
        there, known = len(rounds.parts), len(rounds.examples)
        if there != known or rounds.parts.columns.empty:
            raise damaged(folder / ROUNDS, f"{there:,} rows for {known:,} examples")
        if with_test and rounds.kept != FINAL:
            rounds = rounds._replace(test=read_table(folder / TEST))
        return rounds
