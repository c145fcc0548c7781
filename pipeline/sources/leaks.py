"""Find columns that all but tell the label by themselves."""

from typing import Any

import numpy as np
import pandas as pd

from pipeline.features.inputs import kind_of
from pipeline.sources.examples import inputs_of

# Rows that are looked at, and the fewest that tell anything.
MOST_ROWS, FEWEST_ROWS = 10_000, 50
# Labels of fewer rows each, on average, are hardly classes.
FEWEST_OF_CLASS = 5
# A column is reported from these scores on: above what single columns of common tables reach
# (0.96 for the petals of iris; 0.92 for the size of diamonds and their price).
MACRO_F1, R2 = 0.97, 0.95
# Share of the rows that are missing just where the label is one value, and of those of the value.
AGREE = 0.9
# A column that is filled in for one class alone is reported if chance would hardly do that.
LEAST_CHANCE = 1e-6
# A small tree that is fitted on each column. Categories are numbered by what they tell.
LEAVES, LEAF_ROWS, FOLDS = 64, 3, 2
DETERMINES = (
    "column '{}' determines the label by itself: if it is not known when a prediction is wanted, "
    "add it to task.source.ignore"
)
TELLS = (
    "column '{}' all but tells the label: by it alone {} is {:.3f}; if it is not known when a "
    "prediction is wanted, add it to task.source.ignore"
)
MISSES = (
    "column '{}' is {} in {:.1%} of the rows where the label is '{}', and in {:.1%} of the others: "
    "if it is filled in only afterwards, add it to task.source.ignore"
)


def leaks(train: pd.DataFrame) -> list[str]:
    """
    Return warnings about inputs that all but tell the label by themselves.

    Each input is scored by a small tree that is fitted on one half of the rows and predicts
    the other. Of many rows a part is drawn.

    Parameters
    ----------
    train : DataFrame
        Examples to learn from, so that what is told is not told by a test. ``label`` holds
        floats, or texts that are classes.

    Returns
    -------
    list of str
        One for each input that equals the label one to one, is missing just where the label is
        one value, or has a macro-F1 or R² by itself of `MACRO_F1` or `R2` at least.
    """
    labels = train["label"]
    of_numbers = pd.api.types.is_float_dtype(labels)
    rows = np.arange(len(train))
    if len(rows) > MOST_ROWS:
        rows = np.sort(np.random.default_rng(0).choice(rows, MOST_ROWS, replace=False))
    some, known = train.iloc[rows], labels.iloc[rows]
    scored = len(rows) >= FEWEST_ROWS
    scored &= of_numbers or known.nunique() * FEWEST_OF_CLASS <= len(known)
    told = []
    for name in inputs_of(train):
        if _one_to_one(some[name], known) and _one_to_one(train[name], labels):
            told.append(DETERMINES.format(name))
        elif scored:
            warning = _missing(some[name], known) if not of_numbers else ""
            told += [warning or _telling(some[name], known, of_numbers)]
    return [warning for warning in told if warning]


def _one_to_one(values: pd.Series, labels: pd.Series) -> bool:
    """Return whether the values of an input map one to one to the labels."""
    codes, classes = pd.factorize(labels)
    found, distinct = pd.factorize(values, use_na_sentinel=False)
    if len(distinct) != len(classes) or len(classes) == len(labels):
        return False
    return len(np.unique(found * len(classes) + codes)) == len(classes)


def _missing(values: pd.Series, labels: pd.Series) -> str:
    """Return a warning if an input is missing, or there, just where the label is one value."""
    missing = values.isna().to_numpy()
    if not missing.any() or missing.all():
        return ""
    for what, found in (("filled in", ~missing), ("missing", missing)):
        for label in labels.unique():
            of_label = (labels == label).to_numpy()
            within, among = found[of_label].mean(), of_label[found].mean()
            alone = what == "filled in" and among == 1
            by_chance = of_label.mean() ** found.sum()
            if (within > AGREE and among > AGREE) or (alone and by_chance < LEAST_CHANCE):
                return MISSES.format(values.name, what, within, label, found[~of_label].mean())
    return ""


def _telling(values: pd.Series, labels: pd.Series, of_numbers: bool) -> str:
    """Return a warning if an input has a high score by itself."""
    from sklearn.metrics import f1_score, r2_score
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    tree = DecisionTreeRegressor if of_numbers else DecisionTreeClassifier
    target = labels.to_numpy(float) if of_numbers else pd.factorize(labels)[0]
    half = np.random.default_rng(0).permutation(len(target)) % FOLDS
    predicted = np.empty(len(target))
    for fold in range(FOLDS):
        learning, testing = half != fold, half == fold
        numbers = _numbers(values, target, learning)
        model: Any = tree(max_leaf_nodes=LEAVES, min_samples_leaf=LEAF_ROWS, random_state=0)
        model.fit(numbers[learning], target[learning])
        predicted[testing] = model.predict(numbers[testing])
    if of_numbers:
        score, least, metric = r2_score(target, predicted), R2, "R²"
    else:
        score = f1_score(target, predicted, average="macro", zero_division=0)
        least, metric = MACRO_F1, "macro-F1"
    return TELLS.format(values.name, metric, score) if score >= least else ""


def _numbers(values: pd.Series, target: np.ndarray, learning: np.ndarray) -> np.ndarray:
    """Write an input as numbers: categories by the target of the rows to learn from."""
    if kind_of(values) != "string":
        # Trees read numbers in 32 bits, which ranks always fit.
        return values.rank(method="dense").to_numpy(float)[:, None]
    codes, distinct = pd.factorize(values, use_na_sentinel=False)
    if target.dtype == float:
        means = pd.Series(target[learning]).groupby(codes[learning]).mean()
        return pd.Series(codes).map(means).to_numpy(float)[:, None]
    counts = np.zeros((len(distinct), target.max() + 1))
    np.add.at(counts, (codes[learning], target[learning]), 1)
    seen = counts.sum(1)
    share = np.divide(counts.max(1), seen, out=np.full(len(seen), np.nan), where=seen > 0)
    frequent = np.where(seen > 0, counts.argmax(1), np.nan)
    return np.column_stack([frequent[codes], share[codes]])
