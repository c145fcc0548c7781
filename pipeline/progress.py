"""Show the progress of long work: a live bar on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
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

from pipeline.errors import one_line

T = TypeVar("T")

# Without markup, since names of columns and intervals may stand in square brackets.
console = Console(highlight=False, soft_wrap=True, markup=False)
# Without a terminal there is no width to fit in.
if not console.is_terminal:
    console.width = 120
PLAIN_EVERY_SECONDS = 10.0
# How a message names settings: as the command that runs takes them.
wording: ContextVar[Callable[[str], str]] = ContextVar("wording", default=str)


def say(message: str, style: str | None = None) -> None:
    """Print a message in one line, whatever the names in it hold."""
    console.print(one_line(wording.get()(message)), style=style)


class Bar:
    """
    Show the progress of one piece of work; a context manager.

    On a terminal a bar within another is shown below it.

    Parameters
    ----------
    title : str
        The work that is done.
    total : int or None
        Number of steps, or None when it is not known.
    plain : bool, default=True
        Whether to print a line now and then without a terminal.
    """

    def __init__(self, title: str, total: int | None = None, plain: bool = True) -> None:
        self.title = title
        self.total = total
        self.plain = plain and not console.is_terminal
        self.done = 0
        self.printed = time.monotonic()
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
        Show how many steps are done.

        Parameters
        ----------
        done : int
            Number of steps that are done.
        note : str
            Text to show beside it, such as a score.
        """
        self.live.update(self.bar, completed=done, note=note)
        now = time.monotonic()
        if self.plain and now - self.printed >= PLAIN_EVERY_SECONDS:
            self.printed = now
            of = f"/{self.total}" if self.total else ""
            console.print(f"{self.title} {done}{of} {note}".rstrip())


def track(items: Iterable[T], title: str, total: int) -> Iterator[T]:
    """Yield items, and show how many were yielded."""
    with Bar(title, total) as bar:
        for done, item in enumerate(items, 1):
            yield item
            bar.step(done)
