"""The pages of a comparison, made from what ``board.json`` holds: for a browser and as Markdown."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from pipeline.evaluation import charts
from pipeline.evaluation.across import FEWEST_TASKS, compare_over_tasks, format_over_tasks
from pipeline.evaluation.board import BATCH
from pipeline.evaluation.importance import order_columns
from pipeline.evaluation.layout import (
    format_bytes,
    format_milliseconds,
    format_score,
    format_seconds,
)
from pipeline.evaluation.numbers import format_numbers
from pipeline.evaluation.pairs import turn
from pipeline.evaluation.tuning import DEFAULTS
from pipeline.evaluation.verdict import PRICES
from pipeline.files import write_text

Board = Mapping[str, Any]
Values = dict[str, Any]

HARD_EXAMPLES = 20
# Columns whose importance is shown.
IMPORTANT_COLUMNS = 20
# Share of draws without a defined score from which on it is told.
UNDEFINED = 0.01
SEVERITIES = ("error", "warning", "note")
COSTS: Values = {
    "fit_seconds": None,
    "tune_seconds": None,
    "predict_ms": {},
    "threads": None,
    "peak_bytes": None,
    "model_bytes": None,
    "energy_joules": None,
}
# What Markdown takes for code, emphasis, a table's border or a link. An underscore within a word
# is none of these.
MARKS = re.compile(r"[\\`*|~]|(?<![^\W_])_|_(?![^\W_])|(?<=\])\(")
PROVENANCE: Values = {
    "commit": None,
    "dirty": False,
    "data": None,
    "origin": [],
    "seeds": {},
    "versions": {},
    "machine": {},
    "commands": [],
}


# A difference with its interval in a sentence of the verdict.
NUMBERS = re.compile(r"\([^()\[\]]*\[[^()\[\]]*\]\)")
# What is cheap, by the value of `cheapest`: the name of an axis, and its unit.
AXES = {
    "fit": ("seconds to fit", 1.0),
    "predict": (f"ms to predict {BATCH} examples", 1.0),
    "size": ("size in MB", 1e6),
}


def write_report(board: Board, folder: Path) -> None:
    """
    Write the page of a task, ``report.html`` and ``report.md``.

    Parameters
    ----------
    board : mapping
        What ``board.json`` holds.
    folder : Path
        The folder to write into.
    """
    report = _report(board)
    for name in ("report.html", "report.md"):
        write_text(folder / name, _render(name, report))


def write_index(boards: Sequence[Board], folder: Path) -> None:
    """
    Write the page over all tasks, ``index.html``.

    Parameters
    ----------
    boards : sequence of mapping
        What the ``board.json`` of each task holds. The page of a task is looked for in the
        folder that is named after it.
    folder : Path
        The folder to write into.
    """
    reports = [_report(board) for board in boards]
    models = list(dict.fromkeys(model["name"] for report in reports for model in report["models"]))
    families = list(
        dict.fromkeys(
            (pair["first"], pair["second"]) for report in reports for pair in report["families"]
        )
    )
    over = []
    if len(boards) > 1:
        measures = compare_over_tasks({board["task"]: board for board in boards})
        measures = measures.astype({"tasks": int})
        over = format_over_tasks(measures).rename(columns={"": "kind"}).to_dict("records")
    values = {
        "reports": reports,
        "models": models,
        "families": families,
        "over": over,
        "fewest": FEWEST_TASKS,
    }
    page = _render("index.html", values)
    write_text(folder / "index.html", page)


def _render(name: str, values: Mapping[str, Any]) -> str:
    return _environment(markdown=name.endswith(".md")).get_template(f"{name}.j2").render(values)


@cache
def _environment(markdown: bool) -> Environment:
    """Return templates that escape all texts, for HTML or for Markdown."""
    environment = Environment(
        loader=PackageLoader("pipeline.evaluation"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        finalize=_markdown if markdown else None,
    )
    environment.filters |= {
        "score": format_score,
        "interval": _format_ends,
        "doubt": _doubt,
        "short": lambda part, value="score": format_score(part, value).partition(" ")[0],
        "breakable": _breakable,
        "quiet": _quiet,
        "value": lambda value: "" if value is None else value,
        "percent": _format_share,
        "decimals": lambda value: "–" if value is None else format_numbers(value)[0],
        "seconds": format_seconds,
        "milliseconds": format_milliseconds,
        "bytes": format_bytes,
    }
    return environment


def _markdown(value: Any) -> Any:
    """Escape a text for Markdown: what would be HTML, a table's border, emphasis, code, a link."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    text = MARKS.sub(r"\\\g<0>", re.sub(r"\s+", " ", value))
    return Markup(text.replace("&", "&amp;").replace("<", "&lt;"))  # noqa: S704


def _breakable(name: str) -> Markup:
    """Allow a name to be broken after its underscores."""
    return Markup("_<wbr>").join(name.split("_"))


def _quiet(sentence: str) -> Markup:
    """Set the numbers in parentheses back, so that the words can be read without them."""
    return Markup(NUMBERS.sub(r'<span class="numbers">\g<0></span>', str(escape(sentence))))  # noqa: S704


def _format_ends(part: Mapping[str, Any], value: str = "score") -> str:
    return format_score(part, value).partition(" ")[2]


def _doubt(part: Mapping[str, Any]) -> str:
    """Describe what `format_score` does not: undefined draws, and why there is no interval."""
    undefined, why = part.get("undefined") or 0, part.get("why", "")
    said = [f"not defined in {_format_share(undefined)} of draws"] if undefined > UNDEFINED else []
    if why not in format_score(part):
        said.append(why)
    return "; ".join(said)


def _format_share(share: float | None) -> str:
    if share is None:
        return "–"
    return "<1%" if share < 0.01 else ">99%" if share > 0.99 else f"{share:.0%}"


def _report(board: Board) -> Values:
    """Arrange what the templates show. What a board does not have is empty."""
    metric, greater = board["metric"], board.get("greater_is_better", True)
    cheapest = board.get("cheapest", "predict")
    verdict = {"take": None, "contenders": [], "sentences": [], **board.get("verdict", {})}
    names = [metric, *(name for name in board.get("metrics", []) if name != metric)]
    models = _models(board, names, greater, verdict)
    order = [model["name"] for model in models]
    pairs = _pairs(board.get("pairs", []), verdict["take"], order)
    families = board.get("families", [])
    matters = board.get("matters") or 0
    baselines = {model["name"] for model in models if model["family"] == "baseline"}
    among = [pair for pair in pairs if not baselines & {pair["first"], pair["second"]}] or pairs
    differences = charts.fit_scale(
        [0, -2 * matters, 2 * matters]
        + [pair[key] for pair in (*among, *families) for key in ("difference", "low", "high")]
    )
    checks = sorted(
        ({"models": [], "advice": "", **check} for check in board.get("checks", [])),
        key=lambda check: SEVERITIES.index(check["severity"]),
    )
    hard = board.get("hard", [])
    calibration = board.get("calibration", {})
    # The table of calibration follows the plots, so its plot is the last one.
    plots = sorted(
        (plot for plot in board.get("plots", []) if plot["rows"]),
        key=lambda plot: plot["name"] == "calibration",
    )
    return {
        "task": board["task"],
        "kind": board.get("kind", ""),
        "metric": metric,
        "unit": board.get("unit"),
        "metrics": names,
        "greater": greater,
        "facts": _facts(board),
        "notes": board.get("notes", []),
        "matters": matters,
        "rounds": board.get("rounds", {}).get("rounds", 1),
        "verdict": verdict,
        "sentences": verdict["sentences"] or [_nothing(models)],
        "models": models,
        "ticks": _score_scale(models, metric).ticks(4),
        "price": AXES[cheapest][0],
        "batch": BATCH,
        "scatter": _scatter(models, metric, greater, cheapest),
        "batches": _batches(models),
        "threads": sorted({m["costs"]["threads"] for m in models} - {None}),
        "measured": [
            key
            for key in ("tune_seconds", "peak_bytes", "energy_joules")
            if any(model["costs"][key] for model in models)
        ],
        "pairs": _forest(pairs, differences),
        "families": _forest(families, differences),
        "differences": differences.ticks(4),
        "margin": [differences(-matters), differences(matters)],
        "zero": differences(0),
        "learning": _learning(models),
        "plots": [_plot(plot, order) for plot in plots],
        "calibration": {name: calibration[name] for name in order if calibration.get(name)},
        "slices": [
            _slice(name, part, names)
            for name, part in board.get("slices", {}).items()
            if name != "test"
        ],
        "by": board.get("by", []),
        "importance": _importance(board.get("importance", {}), order),
        "hard": [_hard(example, order) for example in hard[:HARD_EXAMPLES]],
        "hard_count": len(hard),
        "photos": board.get("photos", []),
        "controls": _controls(board.get("controls", []), models, metric),
        "checks": checks,
        "alerts": [check for check in checks if check["severity"] != "note"],
        "provenance": PROVENANCE | board.get("provenance", {}),
    }


def _nothing(models: Sequence[Values]) -> str:
    if all(model["failed"] for model in models):
        return "No model can be taken: all failed."
    return "Nothing can be said about which model to take."


def _facts(board: Board) -> list[str]:
    """Describe in a few words what was tested and how."""
    facts = []
    if rounds := board.get("rounds"):
        tested = f"{rounds['examples']:,} examples tested"
        if rounds.get("units", rounds["examples"]) != rounds["examples"]:
            tested += f", in {rounds['units']:,} groups"
        facts.append(tested)
        if rounds["rounds"] > 1:
            repeats = f", {rounds['repeats']} times" if rounds["repeats"] > 1 else ""
            facts.append(f"{rounds['rounds']} rounds: {rounds['folds']} folds{repeats}")
        else:
            facts.append("one round")
        if len(rounds["seeds"]) > 1:
            facts.append(f"each trained with {len(rounds['seeds'])} seeds")
    if "confidence" in board:
        facts.append(f"differences are in {board['metric']}")
        facts.append(f"[ ]: {board['confidence']:.0%} intervals from {board['resamples']:,} draws")
    if board.get("matters"):
        facts.append(f"differences below {board['matters']:.3g} do not matter")
    if looks := board.get("looks"):
        times = "once" if looks == 1 else f"{looks:,} times"
        facts.append(f"test examples looked at {times}")
    return facts


def _models(board: Board, names: Sequence[str], greater: bool, verdict: Values) -> list[Values]:
    """Arrange the models, best first. Those that failed come last, those without score before."""
    metric, sign = names[0], 1 if greater else -1

    def rank(item: tuple[str, Values]) -> tuple[bool, bool, float]:
        score = item[1].get("scores", {}).get(metric, {}).get("score")
        return (bool(item[1].get("failed")), score is None, -sign * (score or 0))

    empty = {"score": None, "low": None, "high": None}
    models = []
    for name, found in sorted(board["models"].items(), key=rank):
        costs = COSTS | found.get("costs", {})
        scores = found.get("scores", {})
        models.append(
            {
                "family": "",
                "failed": "",
                "unbeaten": False,
                "curve": [],
                "run_id": None,
                "digest": None,
                **found,
                "settings": _settings(found.get("settings", "")),
                "name": name,
                "costs": costs,
                "prices": dict.fromkeys(PRICES.values()) | found.get("prices", {}),
                "scores": {one: scores.get(one, empty) for one in names},
                "role": _role(name, verdict),
            }
        )
    scale = _score_scale(models, metric)
    for model in models:
        part = model["scores"][metric]
        model["strip"] = charts.strip(scale, part, "score", part.get("rounds", ()))
    return models


def _settings(settings: str) -> str:
    return settings if settings in ("", DEFAULTS) else f"tuned in {settings}"


def _score_scale(models: Sequence[Values], metric: str, down: bool = False) -> charts.Scale:
    """Fit an axis to the scores of all but baselines, which are far off as a rule."""
    able = [model for model in models if model["scores"][metric]["score"] is not None]
    among = [model for model in able if model["family"] != "baseline"] or able
    ends = [model["scores"][metric][key] for model in among for key in ("score", "low", "high")]
    return charts.fit_scale(ends, down=down)


def _role(name: str, verdict: Values) -> str:
    if name == verdict["take"]:
        return "take"
    return "contender" if name in verdict["contenders"] else ""


def _batches(models: Sequence[Values]) -> list[str]:
    """Return the sizes of the batches that were timed."""
    latency = [item for model in models for item in model["costs"]["predict_ms"].items()]
    return sorted({size for size, ms in latency if ms is not None}, key=int)


def _scatter(models: Sequence[Values], metric: str, greater: bool, cheapest: str) -> Values | None:
    points = []
    for model in models:
        part, price = model["scores"][metric], model["prices"][PRICES[cheapest]]
        if price is not None and part["score"] is not None:
            about = {key: model[key] for key in ("name", "family", "unbeaten", "role")}
            points.append({**part, **about, "price": price / AXES[cheapest][1]})
    return charts.scatter(points, _score_scale(models, metric, down=greater)) if points else None


def _pairs(pairs: Sequence[Board], take: str | None, order: Sequence[str]) -> list[Values]:
    """Turn pairs so that the recommended model is first, and sort them as the models are."""
    turned = [turn(pair) if pair["second"] == take else dict(pair) for pair in pairs]
    return sorted(
        turned,
        key=lambda pair: (
            pair["first"] != take,
            order.index(pair["first"]),
            order.index(pair["second"]),
        ),
    )


def _controls(controls: Sequence[Board], models: Sequence[Values], metric: str) -> list[Values]:
    """Lay out what trivial inputs reach, below the best model."""
    best = [
        {**model["scores"][metric], "name": model["name"], "best": True}
        for model in models[:1]
        if model["scores"][metric]["score"] is not None
    ]
    rows = [*best, *({**control, "best": False} for control in controls)] if controls else []
    scale = charts.fit_scale(row[key] for row in rows for key in ("score", "low", "high"))
    return [
        {**row, "strip": charts.strip(scale, row, "score"), "ticks": scale.ticks()} for row in rows
    ]


def _forest(pairs: Sequence[Board], scale: charts.Scale) -> list[Values]:
    return [{**pair, "strip": charts.strip(scale, pair, "difference")} for pair in pairs]


def _learning(models: Sequence[Values]) -> list[Values]:
    """Arrange the learning curves: one chart per model, one group of charts per metric."""
    rows: dict[str, list[Values]] = {}
    for model in models:
        for point in model["curve"]:
            for key, value in point.items():
                if key != "step":
                    part, _, metric = key.rpartition("/")
                    rows.setdefault(metric, []).append(
                        {"model": model["name"], "part": part, "step": point["step"], "y": value}
                    )
    return [
        {
            "metric": metric,
            **charts.panels(
                points,
                "step",
                "y",
                panel=lambda row: str(row["model"]),
                line=lambda row: str(row["part"]),
                order=("train", "validation"),
                own_x=True,
            ),
        }
        for metric, points in rows.items()
    ]


def _plot(plot: Board, order: Sequence[str]) -> Values:
    """Arrange a plot of the kind of problem, by its form alone."""
    x, y, series = plot["x"], plot["y"], plot.get("series")
    rows = sorted(plot["rows"], key=lambda row: charts.place_of(order, row["model"]))
    about = {
        "title": plot["title"],
        "form": plot["form"],
        "across": x,
        "up": y,
        "with_diagonal": plot.get("diagonal", False),
    }
    if plot["form"] == "matrix":
        return about | charts.matrices(rows, x, y, plot["value"], order)

    def model(row: Board) -> str:
        return str(row["model"])

    def part(row: Board) -> str:
        return str(row[series]) if series else ""

    if plot["form"] == "points":
        return about | charts.panels(rows, x, y, model, part, (), dots=True)
    return about | charts.panels(plot["rows"], x, y, part, model, order)


def _slice(name: str, part: Board, metrics: Sequence[str]) -> Values:
    """Arrange a further set of test examples, of which ``board.json`` has rows of a table."""
    keys = {"score": "", "low": "_low", "high": "_high"}
    rows = [
        {
            "model": row["model"],
            "scores": {
                metric: {key: row.get(metric + ending) for key, ending in keys.items()}
                for metric in metrics
            },
        }
        for row in part["rows"]
    ]
    return {"name": name, "examples": part["examples"], "rows": rows}


def _importance(
    by_model: Mapping[str, Sequence[Board]], order: Sequence[str]
) -> dict[str, dict[str, Board]]:
    """Return by column and model how much the column matters, the most important ones first."""
    found = {
        model: {row["column"]: row for row in by_model[model]}
        for model in order
        if model in by_model
    }
    columns = order_columns(by_model)[:IMPORTANT_COLUMNS] if by_model else []
    return {name: {model: rows[name] for model, rows in found.items()} for name in columns}


def _hard(example: Board, order: Sequence[str]) -> Values:
    """Group the models by what they predict for an example."""
    answers: dict[Any, list[str]] = {}
    for model in sorted(example["predicted"], key=order.index):
        answers.setdefault(_short(example["predicted"][model]), []).append(model)
    return {"inputs": {}, **example, "actual": _short(example["actual"]), "answers": answers}


def _short(target: Any) -> Any:
    """Shorten a number."""
    return format_numbers(target)[0] if isinstance(target, float) else target
