"""Scores of parts of the test examples, and the examples that no model gets right."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pipeline.errors import UserError, nearest
from pipeline.evaluation.comparison import Comparison
from pipeline.evaluation.overlap import long_texts
from pipeline.evaluation.values import count_words
from pipeline.features.inputs import kind_of
from pipeline.problems import Metric, Predictions, Problem
from pipeline.sources.examples import META_PREFIX, inputs_of

# Most values of a column, hard examples, inputs of each, and characters of a text.
MOST_VALUES, MOST_HARD, MOST_INPUTS, MOST_CHARACTERS = 12, 20, 20, 200
Compare = Callable[[Mapping[str, Sequence[Predictions]], Metric], Comparison]


def check_slices(examples: pd.DataFrame, columns: Sequence[str]) -> None:
    """
    Check the columns by whose values models are scored.

    Raises
    ------
    UserError
        If one is missing, or holds sequences or bytes. The message names the nearest that is there.
    """
    known = _columns(examples)
    for name in columns:
        if name not in known:
            raise UserError(f"task.slice_by: there is no column '{name}'{nearest(name, known)}")
        kind = kind_of(examples[known[name]])
        if kind in ("sequence", "binary"):
            raise UserError(
                f"task.slice_by: '{name}' is of kind {kind}: name a column of single values"
            )


def _columns(examples: pd.DataFrame) -> dict[str, str]:
    """Return the columns to slice by: inputs, and columns for metrics by their short names."""
    others = [
        name for name in examples if name.startswith(META_PREFIX) or name in ("group", "time")
    ]
    return {name.removeprefix(META_PREFIX): name for name in [*inputs_of(examples), *others]}


def score_slices(
    kind: Problem,
    tests: Mapping[str, Sequence[Predictions]],
    examples: Sequence[pd.DataFrame],
    columns: Sequence[str],
    compare_tests: Compare,
) -> list[dict[str, Any]]:
    """
    Score models on the test examples of each value of columns.

    Parameters
    ----------
    kind : Problem
        Problem of the task, for its target.
    tests : mapping of str to sequence of Predictions
        For each model its predictions for the test examples of each round.
    examples : sequence of DataFrame
        The test examples of each round.
    columns : sequence of str
        Columns to slice by, beside the label and the lengths of texts.
    compare_tests : callable
        From `tests` and a metric to a comparison.

    Returns
    -------
    list of dict
        For each column its ``name``, the ``metric``, and ``rows`` with ``value``, ``examples``
        and ``scores`` per model. The metric is the deciding one, as the mean over rounds, if
        every slice has examples of all strata of the target in each round. Otherwise it is
        `Problem.mean_metric` over the examples of all rounds.
    """
    together = pd.concat(examples, ignore_index=True)
    sizes = [len(part) for part in examples]
    starts, number = np.cumsum([0, *sizes[:-1]]), np.repeat(np.arange(len(sizes)), sizes)
    strata = kind.strata(together)
    cells = len(examples) * len(np.unique(strata))
    pooled: Mapping[str, Sequence[Predictions]] = {
        model: [kind.concatenate(ones)] for model, ones in tests.items()
    }
    found = []
    for name, masks in _slices(together, columns, strata):
        if len(masks) < 2:
            continue
        by_round = pd.DataFrame({"round": number, "stratum": strata})
        metric, of_models, cuts = kind.METRICS[kind.mean_metric], pooled, starts[:1]
        if all(len(by_round[mask].drop_duplicates()) == cells for mask in masks.values()):
            metric, of_models, cuts = kind.deciding, tests, starts
        rows = []
        for value, mask in masks.items():
            parts = np.split(mask, cuts[1:])
            scored = {
                model: [one.take(part) for one, part in zip(ones, parts, strict=True)]
                for model, ones in of_models.items()
            }
            ends = [metric.name, f"{metric.name}_low", f"{metric.name}_high"]
            scores = compare_tests(scored, metric).scores[ends]
            scores.columns = ["score", "low", "high"]
            row = {"value": value, "examples": int(mask.sum()), "scores": scores.to_dict("index")}
            rows.append(row)
        found.append({"name": name, "metric": metric.name, "rows": rows})
    return found


def _slices(
    examples: pd.DataFrame, columns: Sequence[str], strata: np.ndarray
) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Yield the name of each column to slice by, and a mask per value."""
    known = _columns(examples)
    for name in columns:
        yield name, _cut(examples[known[name]])
    for name in long_texts(examples):
        yield f"length of {name}", _quarters(pd.Series(count_words(examples[name])), " words")
    # Of a target that is neither number nor class, such as a list, the strata tell most.
    target = examples["label"]
    yield "label", _cut(target if kind_of(target) == "double" else pd.Series(strata))


def _cut(values: pd.Series) -> dict[str, np.ndarray]:
    """Return a mask per quarter of many numbers or times, and per value of others."""
    numeric = kind_of(values) in ("double", "datetime") and values.nunique() > MOST_VALUES
    return _quarters(values) if numeric else _frequent(values)


def _frequent(values: pd.Series) -> dict[str, np.ndarray]:
    """Return a mask per value, and one for the rare ones."""
    absent = values.isna().to_numpy()
    frequent = values.value_counts().index[:MOST_VALUES].sort_values()
    masks = {str(value): (values == value).to_numpy() for value in frequent}
    masks["others"] = ~values.isin(frequent).to_numpy() & ~absent
    masks["missing"] = absent
    return {value: mask for value, mask in masks.items() if mask.any()}


def _quarters(values: pd.Series, unit: str = "") -> dict[str, np.ndarray]:
    """Return a mask per quarter of the examples, from the lowest values to the highest."""
    quarter = pd.qcut(values, 4, labels=False, duplicates="drop")
    masks = {}
    for one in sorted(quarter.dropna().unique()):
        mask = (quarter == one).to_numpy()
        low, high = _short(values[mask].min()), _short(values[mask].max())
        masks[f"{low}{unit}" if low == high else f"{low}–{high}{unit}"] = mask
    absent = values.isna().to_numpy()
    return masks | ({"missing": absent} if absent.any() else {})


def find_hard(
    kind: Problem,
    predictions: Mapping[str, Predictions],
    predicted: Mapping[str, np.ndarray],
    examples: pd.DataFrame,
) -> list[dict[str, Any]]:
    """
    Find the examples that no model gets right, the worst first.

    Parameters
    ----------
    kind : Problem
        Problem of the task, for its target.
    predictions : mapping of str to Predictions
        For each model its predictions for n test examples.
    predicted : mapping of str to ndarray of shape (n,)
        For each model the predicted targets as they are served.
    examples : DataFrame with n rows
        The test examples.

    Returns
    -------
    list of dict
        At most `MOST_HARD`: ``example_id``, ``actual``, ``predicted`` per model, and
        ``inputs``, shortened.
    """
    if not predictions:
        return []
    misses = np.array([kind.misses(one) for one in predictions.values()])
    hard = np.flatnonzero((misses > 0).all(0))
    worst = hard[np.argsort(-misses[:, hard].mean(0), kind="stable")[:MOST_HARD]]
    return [
        {
            "example_id": examples["example_id"].iloc[row],
            "actual": examples["label"].iloc[row],
            "predicted": {model: predicted[model][row] for model in predictions},
            "inputs": {
                name: _shorten(examples[name].iloc[row])
                for name in inputs_of(examples)[:MOST_INPUTS]
            },
        }
        for row in worst
    ]


def _shorten(value: Any) -> Any:
    """Return an input as a plain value: the beginning of a text, a summary of a sequence."""
    if isinstance(value, list | np.ndarray):
        numbers = np.asarray(value, float)
        low, high, last = map(_short, (numbers.min(), numbers.max(), numbers[-1]))
        return f"{len(numbers)} numbers from {low} to {high}, the last {last}"
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    if pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    if isinstance(value, str) and len(value) > MOST_CHARACTERS:
        return f"{value[:MOST_CHARACTERS]}…"
    return value


def _short(value: Any) -> str:
    """Return a number or a date as a text."""
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d}"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:g}"
