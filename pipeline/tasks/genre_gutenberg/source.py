"""Cut passages from books of Project Gutenberg."""

import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.errors import UserError, encoding_fault
from pipeline.sources.download import fetch, remotes
from pipeline.sources.examples import Source

_START = re.compile(r"\*\*\* ?START OF TH.*?\*\*\*", re.DOTALL)
# Some books advertise others after the last page.
_NOTICE = re.compile("^.*Project Gutenberg", re.MULTILINE)
_END = re.compile(r"\*\*\* ?END OF TH|End of (?:the |this )?Project Gutenberg", re.IGNORECASE)


def read(
    manifest: Path,
    passages: int,
    shortest: int,
    longest: int,
    seed: int,
) -> Source:
    """
    Read books and cut the same number of passages from each.

    Parameters
    ----------
    manifest : Path
        CSV with a row per book: ``label``, ``author``, ``gutenberg_id``,
        ``encoding``, ``sha256``, ``url``.
    passages : int
        Number of passages per book, each at a random place.
    shortest, longest : int
        Range of the length of a passage in words. Lengths are log-uniform.
    seed : int
        Seed of places and lengths.

    Returns
    -------
    Source
        With the input ``text``. The group is the author.

    Raises
    ------
    UserError
        If a book cannot be downloaded or decoded, or is shorter than `longest`.
    """
    if not 0 < shortest <= longest:
        raise UserError(
            f"task.source: shortest ({shortest}) is above longest ({longest}) or not above 0"
        )
    books = pd.read_csv(manifest, dtype=str)
    downloads = remotes(books)
    rows = []
    for book, path in zip(books.itertuples(), fetch(downloads), strict=True):
        text = body(_decode(path, str(book.encoding)))
        rng = np.random.default_rng([seed, int(str(book.gutenberg_id))])
        try:
            cuts = cut(text, passages, shortest, longest, rng)
        except ValueError as error:
            raise UserError(f"{path}: {error}") from None
        for number, passage in enumerate(cuts):
            rows.append((f"{book.gutenberg_id}-{number:03d}", passage, book.label, book.author))
    examples = pd.DataFrame(rows, columns=["example_id", "text", "label", "group"])
    return Source(examples, [asdict(download) for download in downloads])


def body(book: str) -> str:
    """Return a book without the text that Project Gutenberg puts before and after it."""
    start = _START.search(book)
    inner = book[start.end() :] if start else book
    end = _END.search(inner)
    inner = inner[: end.start()] if end else inner
    notice = _NOTICE.search(inner, len(inner) * 4 // 5)
    return inner[: notice.start()] if notice else inner


def cut(
    text: str, passages: int, shortest: int, longest: int, rng: np.random.Generator
) -> list[str]:
    """
    Cut passages of log-uniform length at uniform places.

    Parameters
    ----------
    text : str
        The whole book.
    passages : int
        Number of passages.
    shortest, longest : int
        Range of lengths in words, both included.
    rng : Generator
        Source of randomness.

    Returns
    -------
    list of str
        Passages in the order of drawing. They may overlap.

    Raises
    ------
    ValueError
        If the text has fewer words than `longest`.
    """
    spans = [match.span() for match in re.finditer(r"\S+", text)]
    if len(spans) < longest:
        raise ValueError(f"has {len(spans):,} words, fewer than a passage may have ({longest:,})")
    lengths = np.exp(rng.uniform(np.log(shortest), np.log(longest + 1), passages)).astype(int)
    starts = rng.integers(0, len(spans) - lengths + 1)
    return [
        text[spans[start][0] : spans[start + length - 1][1]]
        for start, length in zip(starts, lengths, strict=True)
    ]


def _decode(path: Path, encoding: str) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError as error:
        raise UserError(f"{path} {encoding_fault(error)}") from None
    except LookupError:
        raise UserError(f"{path}: the manifest names an unknown encoding, '{encoding}'") from None
