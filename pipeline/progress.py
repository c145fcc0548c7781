"""What long work shows: a live bar on a terminal, a plain line now and then elsewhere."""

import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

T = TypeVar("T")

console = Console(highlight=False, soft_wrap=True)
# Away from a terminal there is no width to fit in.
if not console.is_terminal:
    console.width = 120
PLAIN_EVERY_SECONDS = 10.0


class Bar:
    """
    Progress of one piece of work, used as a context manager.

    Parameters
    ----------
    title : str
        What is being done.
    total : int or None
        How many steps there are, when that is known.
    """

    def __init__(self, title: str, total: int | None = None) -> None:
        self.title = title
        self.total = total
        self.done = 0
        self.said = time.monotonic()
        self.live = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Self:
        self.live.start()
        self.bar = self.live.add_task(self.title, total=self.total, note="")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.live.stop()

    def step(self, done: int, note: str = "") -> None:
        """
        Tell how far the work is.

        Parameters
        ----------
        done : int
            Steps done so far.
        note : str
            What is worth knowing now, such as a score.
        """
        self.live.update(self.bar, completed=done, note=note)
        now = time.monotonic()
        if not console.is_terminal and now - self.said >= PLAIN_EVERY_SECONDS:
            self.said = now
            of = f"/{self.total}" if self.total else ""
            console.print(f"{self.title} {done}{of} {note}".rstrip())


def track(items: Iterable[T], title: str, total: int) -> Iterator[T]:
    """Pass items on while showing how many have passed."""
    with Bar(title, total) as bar:
        for done, item in enumerate(items, 1):
            yield item
            bar.step(done)
