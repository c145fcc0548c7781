"""Tests of whether the inputs of two sets of examples have the same distribution."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from pipeline.evaluation.overlap import long_texts
from pipeline.evaluation.values import count_words, numbers_of
from pipeline.features.inputs import kind_of
from pipeline.sources.examples import inputs_of, meta_of

# Units per set that are compared, and texts whose words are.
MOST_UNITS, MOST_TEXTS = 5_000, 1_000
# Values of a column that are told apart, and how often one must be expected to be one of them.
MOST_VALUES, LEAST_EXPECTED = 20, 5
WORD_FEATURES = 2**16
# What `numbers_of` tells of values that are no numbers.
FIRST_NUMBER = {"sequence": "last value of '{}'", "binary": "bytes of '{}'"}


class Difference(NamedTuple):
    """How the values of one input differ between train and test, and how likely by chance."""

    what: str
    p_value: float


def differences(train: pd.DataFrame, test: pd.DataFrame, seed: int) -> list[Difference]:
    """
    Test each input for a difference between train and test.

    Numbers are compared by the test of Kolmogorov and Smirnov, categories by chi-squared, and
    the words of texts by whether a model that is fitted on half of the texts tells the other
    half apart (Lopez-Paz and Oquab, ICLR 2017). One
    example is drawn per unit, so that those compared are independent.

    Parameters
    ----------
    train, test : DataFrame
        Examples.
    seed : int
        Seed of the draws.

    Returns
    -------
    list of Difference
        One per test that could be done, the least likely first. Their p-values are not adjusted
        for how many there are.
    """
    rng = np.random.default_rng(seed)
    train, test = (_one_per_unit(part, rng) for part in (train, test))
    found = [
        one for name in inputs_of(train) for one in _differences(name, train[name], test[name])
    ]
    for name in long_texts(train):
        found += _differ_in_words(name, train[name], test[name])
    return sorted(found, key=lambda one: one.p_value)


def _one_per_unit(examples: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    meta = meta_of(examples)
    units = pd.Series(meta.get("unit", meta["group"]))
    order = rng.permutation(len(examples))
    first = order[~units.iloc[order].duplicated().to_numpy()]
    return examples.iloc[first[:MOST_UNITS]]


def _differences(name: str, train: pd.Series, test: pd.Series) -> Iterator[Difference]:
    kind = kind_of(train)
    absent = train.isna(), test.isna()
    if any(one.any() for one in absent):
        yield from _differ_in_shares(f"whether '{name}' is missing", *absent)
    train, test = train.dropna(), test.dropna()
    if not len(train) or not len(test):
        return
    if kind == "boolean" or (kind == "string" and train.nunique() <= len(train) / 2):
        yield from _differ_in_shares(f"'{name}'", train, test)
    elif kind == "string":
        counts = count_words(train), count_words(test)
        yield _differ_in_numbers(f"words per '{name}'", *counts)
    elif kind in FIRST_NUMBER:
        what = FIRST_NUMBER[kind].format(name)
        yield _differ_in_numbers(what, *_first_numbers(train, test))
    else:
        yield _differ_in_numbers(f"'{name}'", *_first_numbers(train, test), kind == "double")


def _first_numbers(train: pd.Series, test: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    return numbers_of(train, train)[:, 0], numbers_of(test, test)[:, 0]


def _differ_in_numbers(
    name: str, train: np.ndarray, test: np.ndarray, show: bool = True
) -> Difference:
    medians = f" (median {np.median(train):.3g} in train, {np.median(test):.3g} in test)"
    p_value = stats.ks_2samp(train, test, method="asymp").pvalue
    return Difference(f"{name}{medians if show else ''}", float(p_value))


def _differ_in_shares(name: str, train: pd.Series, test: pd.Series) -> Iterator[Difference]:
    both = pd.concat([train.astype(str), test.astype(str)])
    counts = pd.crosstab(both.to_numpy(), np.repeat([0, 1], [len(train), len(test)]))
    frequent = counts.sum(axis=1).nlargest(MOST_VALUES).index
    smaller = min(len(train), len(test)) / len(both)
    told = counts.loc[frequent]
    told = told[told.sum(axis=1) * smaller >= LEAST_EXPECTED]
    others = counts.drop(told.index).sum()
    table = (
        told.to_numpy() if others.sum() * smaller < LEAST_EXPECTED else np.vstack([told, others])
    )
    if len(table) < 2:
        return
    shares = told / counts.sum()
    value = (shares[1] - shares[0]).abs().idxmax()
    shown = f"{value}: {shares.loc[value, 0]:.0%} in train, {shares.loc[value, 1]:.0%} in test"
    yield Difference(f"{name} ({shown})", float(stats.chi2_contingency(table).pvalue))


def _differ_in_words(name: str, train: pd.Series, test: pd.Series) -> Iterator[Difference]:
    from sklearn.feature_extraction.text import HashingVectorizer
    from sklearn.svm import LinearSVC

    parts = [part.dropna().drop_duplicates().head(MOST_TEXTS) for part in (train, test)]
    texts = pd.concat(parts)
    side = np.repeat([0, 1], [len(part) for part in parts])
    fitted_on = np.arange(len(texts)) % 2 == 0
    if min(np.bincount(side[fitted_on], minlength=2)) < LEAST_EXPECTED:
        return
    X = HashingVectorizer(n_features=WORD_FEATURES, alternate_sign=False).transform(texts)
    model = LinearSVC(class_weight="balanced", random_state=0)
    score = model.fit(X[fitted_on], side[fitted_on]).decision_function(X[~fitted_on])
    held = side[~fitted_on]
    of_test, of_train = score[held == 1], score[held == 0]
    result = stats.mannwhitneyu(of_test, of_train, alternative="greater")
    right = result.statistic / (len(of_test) * len(of_train))
    yield Difference(
        f"words of '{name}' (they tell a train text from a test text in {right:.0%} of pairs)",
        float(result.pvalue),
    )
