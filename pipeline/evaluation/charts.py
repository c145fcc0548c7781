"""Geometry of the charts on a page: numbers become positions in percent of a chart's area."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from pipeline.evaluation.numbers import format_numbers

# What one page may hold of each plot, so that it stays far below 1 MB.
POINTS_PER_PLOT = 12_000
POINTS_PER_LINE = 160
MARKED = 12
CATEGORIES = 20
PANELS = 12
# Sizes in pixels that labels are placed for: those of a chart on a telephone.
NARROW = 300
TALL = 300
CHARACTER = 6.6
LINE = 14


@dataclass(frozen=True)
class Scale:
    """
    An axis.

    Attributes
    ----------
    low, high : float
        The values at its ends, ``low < high``.
    log : bool
        Whether it is logarithmic.
    down : bool
        Whether greater values come first, as on a vertical axis of SVG.
    """

    low: float
    high: float
    log: bool = False
    down: bool = False

    def __call__(self, value: float) -> float:
        """Return the position of a value, in percent of the axis. Values beyond are at its end."""
        low, high = self.low, self.high
        value = min(max(value, low), high)
        if self.log:
            low, high, value = math.log(low), math.log(high), math.log(value)
        share = (value - low) / (high - low)
        return round(100 * (1 - share if self.down else share), 2)

    def holds(self, value: float) -> bool:
        """Return whether a value is on the axis."""
        return self.low <= value <= self.high

    def ticks(self, count: int = 5) -> list[dict[str, Any]]:
        """Return the position and the text of about ``count`` round values."""
        values = _decades(self.low, self.high, count) if self.log else []
        if len(values) < 3:
            values = _steps(self.low, self.high, count)
        return [{"at": self(value), "text": f"{value:,.6g}"} for value in values]


def fit_scale(
    values: Iterable[float | None], log: bool = False, down: bool = False, room: float = 0.05
) -> Scale:
    """
    Fit an axis to values.

    Parameters
    ----------
    values : iterable of float or None
        What has to be on the axis. None is left out; no value at all gives an axis from 0 to 1.
    log : bool, default=False
        Whether the axis is logarithmic, which is only done if all values are above 0.
    down : bool, default=False
        Whether greater values come first.
    room : float, default=0.05
        Share of the range that is left free at each end.
    """
    known = [value for value in values if value is not None]
    low, high = min(known, default=0.0), max(known, default=1.0)
    if log and low > 0:
        spread = max((high / low) ** room, 1.1 if high > low else 2.0)
        return Scale(low / spread, high * spread, True, down)
    spread = room * (high - low) if high > low else max(abs(high), 1.0) / 2
    return Scale(low - spread, high + spread, False, down)


def _steps(low: float, high: float, count: int) -> list[float]:
    """Return multiples of 1, 2 or 5 times a power of ten, within an interval."""
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough)
    return [i * step for i in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _decades(low: float, high: float, count: int) -> list[float]:
    """Return powers of ten within an interval, with multiples between them if these are few."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    tens = [10.0**power for power in powers if low <= 10.0**power <= high]
    if len(tens) >= 3:
        return tens[:: math.ceil(len(tens) / count)]
    values = [m * 10.0**power for power in powers for m in (1, 3)]
    return [value for value in values if low <= value <= high]


def strip(
    scale: Scale, part: Mapping[str, Any], value: str, rounds: Sequence[float | None] = ()
) -> dict[str, Any]:
    """Lay out a number with its interval, and those of rounds, on an axis that it may be beyond."""
    at, ends = part[value], (part["low"], part["high"])
    return {
        "at": None if at is None else scale(at),
        "beyond": at is not None and not scale.holds(at),
        "ends": None if None in ends else [scale(end) for end in ends],
        "rounds": [scale(one) for one in rounds if one is not None and scale.holds(one)],
    }


def scatter(points: Sequence[Mapping[str, Any]], y: Scale) -> dict[str, Any]:
    """
    Lay out scores against prices.

    Parameters
    ----------
    points : sequence of mapping
        For each point ``name``, ``family``, ``price``, ``score``, ``low``, ``high``,
        ``role`` and ``unbeaten``. Price and score are defined.
    y : Scale
        The axis of the scores. Points may be beyond.

    Returns
    -------
    dict
        Ticks of both axes, the points with the places of their labels, and the corners of the
        front, the line below which something is beaten.
    """
    x = fit_scale((p["price"] for p in points), log=True, room=0.08)
    placed = []
    for point in points:
        on_y = strip(y, point, "score")
        text = (
            f"{point['name']} {format_numbers(point['score'])[0]} ↓"
            if on_y["beyond"]
            else point["name"]
        )
        placed.append({**point, **on_y, "x": x(point["price"]), "y": on_y["at"], "text": text})
    for point, label in zip(placed, _labels(placed), strict=True):
        point["label"] = label
    front = sorted((p["x"], p["y"]) for p in placed if p["unbeaten"])
    following = [*front[1:], *((100.0, top) for _, top in front[-1:])]
    corners = [
        corner
        for (x0, y0), (x1, y1) in zip(front, following, strict=True)
        for corner in ((x0, y0, x1, y0), (x1, y0, x1, y1))
        if corner[:2] != corner[2:]
    ]
    return {"x": x.ticks(), "y": y.ticks(), "points": placed, "front": corners}


def _labels(points: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """
    Place a label beside each point, where it covers least of what is there already.

    Those of the recommended model and of the front come first, and so next to their points.
    """
    at = [(point["x"] * NARROW / 100, point["y"] * TALL / 100) for point in points]
    taken = [(x - 5, x + 5, y - 5, y + 5) for x, y in at]
    for point, (x, _) in zip(points, at, strict=True):
        if point["ends"]:
            low, high = (end * TALL / 100 for end in point["ends"])
            taken.append((x - 1, x + 1, min(low, high), max(low, high)))
    labels: list[dict[str, Any]] = [{}] * len(points)

    def rank(number: int) -> tuple[bool, bool]:
        return points[number]["role"] != "take", not points[number]["unbeaten"]

    for number in sorted(range(len(points)), key=rank):
        (x, y), width = at[number], CHARACTER * len(points[number]["text"])
        places = []
        for shift in range(-6 * LINE, 7 * LINE, LINE):
            for side, left in (("start", x + 9), ("end", x - 9 - width)):
                box = (left, left + width, y + shift - LINE / 2, y + shift + LINE / 2)
                # A line further away is as bad as to cross the interval of another point.
                places.append((_covered(box, taken) + 2 * abs(shift) / LINE, box, side, shift))
        _, box, side, shift = min(places)
        taken.append(box)
        labels[number] = {"side": side, "down": shift}
    return labels


Box = tuple[float, float, float, float]


def _covered(box: Box, taken: Sequence[Box]) -> float:
    """Return how many pixels of a label are beyond the chart or on what is there already."""
    left, right, top, bottom = box
    beyond = max(0, -left) + max(0, right - NARROW - LINE)
    if top < -LINE or bottom > TALL:
        beyond += right - left
    return beyond + sum(
        max(0, min(right, other[1]) - max(left, other[0]))
        for other in taken
        if top < other[3] and other[2] < bottom
    )


def panels(
    rows: Sequence[Mapping[str, Any]],
    x: str,
    y: str,
    panel: Callable[[Mapping[str, Any]], str],
    line: Callable[[Mapping[str, Any]], str],
    order: Sequence[str],
    dots: bool = False,
    own_x: bool = False,
) -> dict[str, Any]:
    """
    Lay out rows as small charts with a shared vertical axis.

    Parameters
    ----------
    rows : sequence of mapping
        The points, in the order in which a line goes through them. Those with an undefined
        coordinate are left out.
    x, y : str
        Keys of the coordinates.
    panel, line : callable
        Give the title of the chart and the name of the line that a row belongs to.
    order : sequence of str
        Names of the lines in the order of their colours. Others follow.
    dots : bool, default=False
        Whether to draw points instead of lines.
    own_x : bool, default=False
        Whether each chart has a horizontal axis of its own. Otherwise they share it.

    Returns
    -------
    dict
        ``names`` of the lines; for each panel its ``title``, its ``lines``, ``x`` and ``y``
        ticks, and the ends of the ``diagonal``; and what was left out, in words.
    """
    known = [row for row in rows if row[x] is not None and row[y] is not None]
    titles = list(dict.fromkeys(map(panel, known)))
    shown = set(titles[:PANELS])
    parts: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in known:
        if panel(row) in shown:
            parts.setdefault((panel(row), line(row)), []).append(row)
    names = sorted({name for _, name in parts}, key=lambda name: place_of(order, name))
    limit = max(20, POINTS_PER_PLOT // max(1, len(parts)))
    if not dots:
        limit = min(limit, POINTS_PER_LINE)
    up = fit_scale((row[y] for row in known), down=True, room=0.03)
    dotted = dots or all(len(rows) <= MARKED for rows in parts.values())
    shared = fit_scale((row[x] for row in known), room=0.02)
    drawn = []
    for title in titles[:PANELS]:
        lines = {name: parts[title, name] for name in names if (title, name) in parts}
        across = shared
        if own_x:
            across = fit_scale((row[x] for line in lines.values() for row in line), room=0.02)
        ends = (max(across.low, up.low), min(across.high, up.high))
        drawn.append(
            {
                "title": title,
                "lines": [
                    {
                        "index": names.index(name),
                        "path": "" if dots else f"M{'L'.join(places)}",
                        "dots": "".join(f"M{at}h0" for at in places) if dotted else "",
                    }
                    for name, rows in lines.items()
                    for places in [_places(thin(rows, limit), x, y, across, up)]
                ],
                "x": across.ticks(4),
                "y": up.ticks(),
                "diagonal": [across(ends[0]), up(ends[0]), across(ends[1]), up(ends[1])],
            }
        )
    left_out = []
    if len(titles) > PANELS:
        left_out.append(f"the first {PANELS} of {len(titles)} are shown")
    if any(len(rows) > limit for rows in parts.values()):
        left_out.append(f"at most {limit} points are drawn of each")
    return {"names": names, "panels": drawn, "note": "; ".join(left_out)}


def _places(
    rows: Sequence[Mapping[str, Any]], x: str, y: str, across: Scale, up: Scale
) -> list[str]:
    """Return the coordinates of points in thousandths of the axes."""
    return [f"{10 * across(row[x]):.0f} {10 * up(row[y]):.0f}" for row in rows]


def place_of(order: Sequence[str], name: str) -> tuple[int, str]:
    """Return what sorts names by an order; those that are not in it come last, by name."""
    return (order.index(name) if name in order else len(order), name)


def thin(points: Sequence[Any], limit: int) -> list[Any]:
    """Keep at most ``limit`` points, evenly, among them the first and the last."""
    if len(points) <= limit:
        return list(points)
    return [points[round(i * (len(points) - 1) / (limit - 1))] for i in range(limit)]


def matrices(
    rows: Sequence[Mapping[str, Any]], x: str, y: str, value: str, order: Sequence[str]
) -> dict[str, Any]:
    """
    Lay out rows as one table per model.

    Parameters
    ----------
    rows : sequence of mapping
        The cells: ``model``, the names of column and row, and a number.
    x, y : str
        Keys of the name of a cell's column and row.
    value : str
        Key of its number. Cells that no row names are 0.
    order : sequence of str
        The models in the order to show them in.

    Returns
    -------
    dict
        Names of columns and rows. They are the same, and only the most frequent ones, where
        columns and rows share names. For each model the cells: number, and share of its row.
    """
    weight: dict[Any, float] = {}
    for row in rows:
        weight[row[y]] = weight.get(row[y], 0) + (row[value] or 0)
    across, down = {row[x] for row in rows}, set(weight)
    if across & down:
        across = down = across | down
    frequent = sorted(across | down, key=lambda name: -weight.get(name, 0))
    columns = sorted(sorted(across, key=frequent.index)[:CATEGORIES], key=_natural)
    lines = sorted(sorted(down, key=frequent.index)[:CATEGORIES], key=_natural)
    tables = []
    ranked = sorted(rows, key=lambda row: place_of(order, row["model"]))
    for model, cells in groupby(ranked, key=lambda row: row["model"]):
        numbers = {(cell[y], cell[x]): cell[value] or 0 for cell in cells}
        table = []
        for name in lines:
            total = sum(numbers.get((name, column), 0) for column in across) or 1
            texts = [numbers.get((name, column), 0) for column in columns]
            table.append([{"value": n, "share": round(abs(n / total), 3)} for n in texts])
        tables.append({"title": model, "cells": table})
    total = max(len(across), len(down))
    note = f"the {CATEGORIES} most frequent of {total} are shown" if total > CATEGORIES else ""
    return {"columns": columns, "rows": lines, "tables": tables, "note": note}


def _natural(name: Any) -> tuple[bool, Any]:
    return (isinstance(name, str), name)
