"""Controls: what nothing, the order of rows, or a single column tells of the target."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pipeline.evaluation.comparison import Comparison, compare
from pipeline.evaluation.overlap import long_texts
from pipeline.evaluation.samples import Round
from pipeline.evaluation.values import count_words, holds_images, numbers_of
from pipeline.features.inputs import kind_of
from pipeline.problems import Metric, Predictions, Problem
from pipeline.sources.examples import inputs_of, meta_of
from pipeline.sources.rounds import Rounds

NOTHING, ORDER, BORDER = "nothing", "row order", "border_only"
# Columns that are kept, by their score on validation.
KEPT = 3
# Columns that are tried one by one.
MOST_COLUMNS = 100
# Examples that controls are tried on, and those that the kept ones are fitted on.
TRIED, FITTED = 2_000, 5_000
# Features of the words of a text, and its characters that are read.
TERMS, CHARACTERS = 2**16, 5_000
RESAMPLES = 500
# Numbers of colours are divided by this, so that the fit of a control converges.
COLOURS = 64
# From the examples that are fitted on, and others, to the features of both.
Features = Callable[[pd.DataFrame, pd.DataFrame], tuple[Any, Any]]


class Control(NamedTuple):
    """A part of the examples, and the features that are made of it."""

    name: str
    features: Features
    sparse: bool = False


def controls_of(kind: Problem, examples: pd.DataFrame) -> list[Control]:
    """
    List the controls that examples allow.

    Parameters
    ----------
    kind : Problem
        Problem of the task, for its target.
    examples : DataFrame
        Examples with their labels.

    Returns
    -------
    list of Control
        Nothing at all; the order of rows if ids are numbers and rows are not just sorted by
        label; the length of each text or file; the border of an image, which what it shows
        should not reach; and each column alone, if there are others. Of
        many columns these are the `MOST_COLUMNS` whose ranks differ most between strata.
    """
    names, texts = inputs_of(examples), long_texts(examples)
    found = [Control(NOTHING, _no_features)]
    if _has_order(examples):
        found.append(Control(ORDER, partial(_alone, row_number)))
    found += [
        Control(f"length of {name}", partial(_alone, partial(_length, name))) for name in texts
    ]
    files = [name for name in names if kind_of(examples[name]) == "binary"]
    for name in files:
        if holds_images(examples[name]):
            found.append(Control(BORDER, partial(_alone, partial(_border, name)), True))
        else:
            found.append(Control(f"length of {name}", partial(_column, name)))
    if len(names) > 1:
        columns = [name for name in names if name not in (*texts, *files)]
        for name in [*_strongest(kind, examples, columns), *texts]:
            words = name in texts
            features = partial(_alone, partial(_words, name)) if words else partial(_column, name)
            found.append(Control(f"{name} alone", features, words))
    return found


def fit_controls(
    kind: Problem, rounds: Rounds, names: Sequence[str], seed: int
) -> dict[str, list[Predictions]]:
    """
    Fit controls on the train of each round, and predict its test.

    Parameters
    ----------
    kind : Problem
        Problem of the task, for its target.
    rounds : Rounds
        The examples.
    names : sequence of str
        The rounds.
    seed : int
        Seed of the draws of examples.

    Returns
    -------
    dict of str to list of Predictions
        For each control its predictions per round: `NOTHING`, `ORDER` if there is one, and the
        `KEPT` others that are best on validation in the first round.
    """
    train, validation = (
        kind.sample(rounds.part(names[0], part), TRIED, seed) for part in ("train", "validation")
    )
    controls = controls_of(kind, train)
    fixed = [control for control in controls if control.name in (NOTHING, ORDER)]
    others = controls[len(fixed) :]
    if len(others) > KEPT:
        scores = [_try(kind, control, train, validation) for control in others]
        others = [others[place] for place in np.argsort(-np.array(scores), kind="stable")[:KEPT]]
    found: dict[str, list[Predictions]] = {control.name: [] for control in (*fixed, *others)}
    for name in names:
        train = kind.sample(rounds.part(name, "train"), FITTED, seed)
        validation = kind.sample(rounds.part(name, "validation"), FITTED, seed)
        test = rounds.part(name, "test")
        for control in (*fixed, *others):
            found[control.name].append(predict(kind, control, train, validation, test))
    return found


def _strongest(kind: Problem, examples: pd.DataFrame, columns: list[str]) -> list[str]:
    """Choose columns by the share of the variance of ranks that is between strata."""
    if len(columns) <= MOST_COLUMNS:
        return columns
    strata = np.unique(kind.strata(examples), return_inverse=True)[1]
    of_strata = np.eye(strata.max() + 1)[strata]
    between = []
    for name in columns:
        numbers = numbers_of(examples[name], examples[name])[:, :1]
        ranks = np.nan_to_num(_ranks(numbers, numbers), nan=-1)[:, 0]
        means = ranks @ of_strata / of_strata.sum(0)
        spread = (of_strata.sum(0) * (means - ranks.mean()) ** 2).sum()
        between.append(spread / max(ranks.var() * len(ranks), 1e-9))
    return [
        columns[place] for place in np.argsort(-np.array(between), kind="stable")[:MOST_COLUMNS]
    ]


def _try(kind: Problem, control: Control, train: pd.DataFrame, validation: pd.DataFrame) -> float:
    """Score a control on validation. What cannot be scored is worst."""
    score = kind.deciding.once(predict(kind, control, train, validation, validation))
    return -np.inf if np.isnan(score) else kind.deciding.sign * score


def predict(
    kind: Problem,
    control: Control,
    train: pd.DataFrame,
    validation: pd.DataFrame,
    others: pd.DataFrame,
) -> Predictions:
    """Fit a control on train, decide on validation as for a model, and predict other examples."""
    X, X_both = control.features(train, pd.concat([validation, others], ignore_index=True))
    estimator = kind.control(control.sparse)
    estimator.fit(X, kind.encode(estimator, train["label"].to_numpy()))
    held_out, outputs = np.split(kind.outputs(estimator, X_both), [len(validation)])
    target = validation["label"].to_numpy()
    decision, _ = kind.decided(target, held_out, meta_of(validation))
    return kind.predictions(others["label"].to_numpy(), outputs, meta_of(others), decision)


def compare_tests(
    tests: Mapping[str, Sequence[Predictions]],
    metric: Metric,
    *,
    share: float,
    matters: float,
    seed: int,
    confidence: float,
) -> Comparison:
    """
    Compare models, controls among them, by one metric.

    Parameters
    ----------
    tests : mapping of str to sequence of Predictions
        Predictions of each for the test examples of each round.
    metric : Metric
        The metric.
    share : float
        Number of test examples per training example.
    matters, seed, confidence
        As for `comparison.compare`.
    """
    unknown = dict.fromkeys(tests, np.nan)
    rounds = [
        Round({name: [one] for name, one in zip(tests, ones, strict=True)}, unknown, share)
        for ones in zip(*tests.values(), strict=True)
    ]
    return compare(
        rounds,
        metric,
        [metric],
        # Families are not compared.
        dict.fromkeys(tests, "baseline"),
        matters=matters,
        seed=seed,
        resamples=RESAMPLES,
        confidence=confidence,
    )


def control_rows(comparison: Comparison, metric: str, best: str) -> list[dict[str, Any]]:
    """Return the controls as rows for a board, best first: ``name``, ``score`` and its interval."""
    rows = comparison.scores.drop(index=best)
    ends = {"score": metric, "low": f"{metric}_low", "high": f"{metric}_high"}
    return [
        {"name": name, **{key: row[column] for key, column in ends.items()}}
        for name, row in rows.iterrows()
    ]


def row_number(examples: pd.DataFrame) -> np.ndarray:
    """Return the last number in the id of each example; nan where there is none."""
    numbers = examples["example_id"].str.extract(r"(\d{1,15})\D*$")[0]
    return numbers.astype(float).to_numpy()[:, None]


def _has_order(examples: pd.DataFrame) -> bool:
    numbers = pd.Series(row_number(examples)[:, 0])
    if numbers.isna().any() or numbers.duplicated().any():
        return False
    labels = examples["label"].iloc[np.argsort(numbers)].to_numpy()
    # Rows in blocks of one label, as of a folder per class, were sorted by it.
    return 1 + (labels[1:] != labels[:-1]).sum() > len(np.unique(labels))


def _alone(
    describe: Callable[[pd.DataFrame], Any], train: pd.DataFrame, others: pd.DataFrame
) -> tuple[Any, Any]:
    """Describe examples without what is known of others."""
    return describe(train), describe(others)


def _no_features(train: pd.DataFrame, others: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((len(train), 1)), np.zeros((len(others), 1))


def _length(name: str, examples: pd.DataFrame) -> np.ndarray:
    return count_words(examples[name])[:, None]


def _column(name: str, train: pd.DataFrame, others: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    known, asked = (numbers_of(part[name], train[name]) for part in (train, others))
    return _ranks(known, known), _ranks(asked, known)


def _border(name: str, examples: pd.DataFrame) -> Any:
    """Describe each side of an image, a pixel wide, by the mean and spread of its colours."""
    from scipy.sparse import csr_matrix

    from pipeline.features.decode import read

    described = []
    for content in examples[name]:
        pixels = read(content).astype(float)
        sides = pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]
        described.append([part for side in sides for part in (*side.mean(0), *side.std(0))])
    return csr_matrix(np.array(described) / COLOURS)


def _ranks(numbers: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the place of numbers among known ones, since trees read numbers in 32 bits."""
    ranks = np.full(numbers.shape, np.nan)
    for place, column in enumerate(known.T):
        present = ~np.isnan(numbers[:, place])
        order = np.unique(column[~np.isnan(column)])
        ranks[present, place] = np.searchsorted(order, numbers[present, place])
    return ranks


def _words(name: str, examples: pd.DataFrame) -> Any:
    from sklearn.feature_extraction.text import HashingVectorizer

    # Texts that repeat are read once.
    codes, distinct = pd.factorize(examples[name].fillna("").str[:CHARACTERS])
    return HashingVectorizer(n_features=TERMS, alternate_sign=False).transform(distinct)[codes]
