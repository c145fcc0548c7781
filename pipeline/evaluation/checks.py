"""
Checks: what makes an answer doubtful, in a sentence each, with what to do about it.

A check is a function that `check` registers under its name, which is its code. A task mutes it
by that code.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from pipeline.errors import UserError, nearest
from pipeline.evaluation.comparison import Comparison
from pipeline.evaluation.controls import NOTHING, ORDER
from pipeline.evaluation.drift import differences
from pipeline.evaluation.intervals import FEWEST_FOR_DIFFERENCE
from pipeline.evaluation.numbers import format_interval, format_numbers
from pipeline.evaluation.overlap import find_copies, long_texts
from pipeline.evaluation.pairs import CANNOT_TELL, EQUIVALENT, WORSE, find_pair
from pipeline.problems import Predictions, Problem
from pipeline.sources.rounds import PARTS, Rounds

NOTE, WARNING, ERROR = "note", "warning", "error"
SEVERITIES = (ERROR, WARNING, NOTE)
# A control that keeps more than this share of the gain over `NOTHING` tells nearly all.
NEARLY_ALL = 0.9
# Names that a sentence lists.
LISTED = 3
STRATUM = "meta:stratum"
# The least share of what models could read that is worth a note.
WORTH_READING = 0.01


class Finding(NamedTuple):
    """
    What a check found.

    Attributes
    ----------
    severity : str
        One of `SEVERITIES`.
    sentence : str
        What was found, with its figures.
    advice : str
        What to do, as a sentence.
    models : sequence of str
        The models that it is about; none if it is about the data.
    """

    severity: str
    sentence: str
    advice: str
    models: Sequence[str] = ()


@dataclass(frozen=True)
class Evidence:
    """
    What the checks look at.

    Attributes
    ----------
    kind : Problem
        Problem of the task, for its target.
    rounds : Rounds
        The examples.
    repeat : list of str
        The rounds of the first repeat.
    families : mapping of str to str
        The family of each model that was compared.
    train : mapping of str to Predictions
        For each model its predictions for a sample of the train examples of the rounds.
    validation : mapping of str to mapping
        For each model ``rounds``, the deciding score on validation of each round, and of a
        single round perhaps ``low`` and ``high``.
    calibration : mapping of str to mapping
        For each model what `Problem.calibration` returned.
    comparison : Comparison
        The models on test.
    controls : Comparison
        The controls and the best model on test.
    take : str or None
        The model that the verdict recommends.
    share : float
        Number of test examples per training example.
    tuned : sequence of str
        The models whose settings a sweep found.
    edges : mapping of str to sequence of str
        For each model that was tuned the settings that are at an end of their searched range.
    unread : mapping of str to float
        For each model the share of its inputs that it never reads, because they are too long.
    limited : mapping of str to int
        For each model the number of fits that the time limit ended.
    looks : int
        How often models were evaluated on this test, 0 if that is not known.
    matters, confidence, seed
        As for `comparison.compare`.
    """

    kind: Problem
    rounds: Rounds
    repeat: Sequence[str]
    families: Mapping[str, str]
    train: Mapping[str, Predictions]
    validation: Mapping[str, Mapping[str, Any]]
    calibration: Mapping[str, Mapping[str, float]]
    comparison: Comparison
    controls: Comparison
    take: str | None
    share: float
    tuned: Sequence[str]
    edges: Mapping[str, Sequence[str]]
    unread: Mapping[str, float]
    limited: Mapping[str, int]
    looks: int
    matters: float
    confidence: float
    seed: int

    @property
    def metric(self) -> str:
        """Name of the deciding metric."""
        return self.kind.deciding.name

    @property
    def contestants(self) -> list[str]:
        """The models that are no baselines, best first."""
        return [m for m in self.comparison.scores.index if self.families[m] != "baseline"]

    @property
    def alpha(self) -> float:
        """The highest share of false alarms that a check may raise."""
        return 1 - self.confidence


Check = Callable[[Evidence], Iterator[Finding]]
CHECKS: dict[str, Check] = {}


def check(function: Check) -> Check:
    """Register a check under its name."""
    CHECKS[function.__name__] = function
    return function


def check_muted(mute: Sequence[str]) -> None:
    """
    Check the codes of checks that a task mutes.

    Raises
    ------
    UserError
        If one is unknown. The message names the nearest code.
    """
    for code in mute:
        if code not in CHECKS:
            raise UserError(f"task.mute: there is no check '{code}'{nearest(code, CHECKS)}")


def run_checks(evidence: Evidence, mute: Sequence[str]) -> list[dict[str, Any]]:
    """
    Run the checks that are not muted.

    Returns
    -------
    list of dict
        ``code``, ``severity``, ``sentence``, ``advice`` and ``models`` of each finding, the
        gravest first.
    """
    found = [
        {"code": code, **finding._asdict(), "models": list(finding.models)}
        for code, one in CHECKS.items()
        if code not in mute
        for finding in one(evidence)
    ]
    return sorted(found, key=lambda one: SEVERITIES.index(one["severity"]))


@check
def overlap(evidence: Evidence) -> Iterator[Finding]:
    """Find test examples of which train holds a copy, or nearly one."""
    rounds = evidence.rounds
    learnt = len(rounds.examples)
    places, examples = [], rounds.examples
    for name in evidence.repeat:
        part = rounds.parts[name].to_numpy()
        places.append((np.flatnonzero(part == "train"), np.flatnonzero(part == "test")))
    if rounds.test is not None:
        examples = pd.concat([examples, rounds.test], ignore_index=True)
        tested = np.arange(learnt, len(examples))
        places = [(train, tested) for train, _ in places]
    for copies in find_copies(examples, places):
        first, count = copies.pairs.iloc[0], len(copies.pairs)
        total = sum(len(test) for _, test in places)
        what = f"a '{copies.what}' that is nearly the same" if copies.what else "the same inputs"
        yield Finding(
            WARNING,
            f"{count:,} of {total:,} test examples have {what} as one in train, "
            f"such as {first['test']} and {first['train']}.",
            "Leave copies out, or give them one group, so that they stay in one part.",
        )


@check
def leak(evidence: Evidence) -> Iterator[Finding]:
    """Find controls that do what they should not."""
    if count_rarest(evidence)[2] < FEWEST_FOR_DIFFERENCE:
        return
    scores = evidence.controls.scores
    best = next(name for name in scores.index if name in evidence.families)
    gain = _difference(evidence.controls, best, NOTHING)[1]
    if not gain > 0:
        return
    for control in scores.index.drop([best, NOTHING]):
        if not _difference(evidence.controls, control, NOTHING)[0] > 0:
            continue
        score = _describe(scores, control, evidence.metric)
        if control == ORDER:
            yield Finding(
                NOTE,
                f"The order of the rows alone has {evidence.metric} {score}.",
                "Rows that are near each other may belong together: if so, name their group, or "
                "split by time.",
            )
            continue
        # Not where an interval is merely wide: even its far end leaves the control this much.
        kept = 1 - _difference(evidence.controls, best, control)[2] / gain
        if kept > NEARLY_ALL:
            yield Finding(
                WARNING,
                f"'{control}' has {evidence.metric} {score}: at least {min(kept, 1):.0%} of what "
                f"{best} gains over knowing nothing.",
                "See whether it is known when a prediction is needed; if not, leave it out.",
                [best],
            )


@check
def worse_than_baseline(evidence: Evidence) -> Iterator[Finding]:
    """Find models that are not better than the best baseline, where there is an interval."""
    ranked = evidence.comparison.scores.index
    baseline = next((name for name in ranked if evidence.families[name] == "baseline"), None)
    if baseline is None:
        return
    pairs = {m: find_pair(evidence.comparison.pairs, m, baseline) for m in evidence.contestants}
    told = {m: pair for m, pair in pairs.items() if pair and pd.notna(pair["low"])}
    for severity, decision, one, several in (
        (ERROR, WORSE, "is worse than", "are worse than"),
        (WARNING, EQUIVALENT, "is not better than", "are not better than"),
        (WARNING, CANNOT_TELL, *["cannot be told apart from"] * 2),
    ):
        found = {m: pair for m, pair in told.items() if pair["decision"] == decision}
        if found:
            listed = _list([f"{model} ({_interval(pair)})" for model, pair in found.items()])
            yield Finding(
                severity,
                f"{listed} {one if len(found) == 1 else several} {baseline}.",
                "See whether the inputs tell of the target, and whether the fit went well.",
                list(found),
            )


@check
def train_far_better(evidence: Evidence) -> Iterator[Finding]:
    """Find models that lose on new examples more than half of what they learned."""
    sign, chance = evidence.kind.deciding.sign, evidence.controls.scores[evidence.metric][NOTHING]
    found = {}
    for model in evidence.contestants:
        train = evidence.kind.deciding.once(evidence.train[model])
        row = evidence.comparison.scores.loc[model]
        end = row[f"{evidence.metric}_{'high' if sign > 0 else 'low'}"]
        # False for what is not defined.
        if sign * (train - end) > sign * (end - chance):
            on_train, on_test = format_numbers(train, row[evidence.metric])
            found[model] = f"{model} ({on_train} on train, {on_test} on test)"
    if found:
        yield Finding(
            WARNING,
            f"More than half of what was learned is lost on new examples: {_list(found.values())}.",
            "Fit with more examples, fewer inputs, or more regularisation.",
            list(found),
        )


@check
def validation_far_better(evidence: Evidence) -> Iterator[Finding]:
    """Find models whose score on validation promises more than test keeps."""
    sign, found = evidence.kind.deciding.sign, {}
    alpha = evidence.alpha / max(1, len(evidence.contestants))
    for model in evidence.contestants:
        row, validation = evidence.comparison.scores.loc[model], evidence.validation[model]
        score = float(np.mean(validation["rounds"]))
        gap = sign * (score - row[evidence.metric])
        if len(validation["rounds"]) > 1:
            tested = np.array(row[f"{evidence.metric}_rounds"], dtype=float)
            gaps = sign * (np.array(validation["rounds"]) - tested)
            # Nadeau and Bengio, Machine Learning 2003: rounds share their training examples.
            error = gaps.std(ddof=1) * np.sqrt(1 / len(gaps) + evidence.share)
            degrees = float(len(gaps) - 1)
        else:
            ends = [f"{evidence.metric}_{end}" for end in ("low", "high")]
            halves = [
                (validation["high"] - validation["low"]) / 2,
                (row[ends[1]] - row[ends[0]]) / 2,
            ]
            error = np.hypot(*halves) / stdtrit(np.inf, (1 + evidence.confidence) / 2)
            degrees = np.inf
        # False for what is not defined.
        if gap - stdtrit(degrees, 1 - alpha / 2) * error > evidence.matters:
            on_validation, on_test = format_numbers(score, row[evidence.metric])
            found[model] = f"{model} ({on_validation} on validation, {on_test} on test)"
    if found:
        yield Finding(
            WARNING,
            f"Validation promised more than test keeps: {_list(found.values())}.",
            "Examples of validation may be like those of train as the test's are not: name what "
            "belongs together as a group, and tune less on validation.",
            list(found),
        )


@check
def validation_shares(evidence: Evidence) -> Iterator[Finding]:
    """Find columns whose texts validation has in common with train more often than test has."""
    name = evidence.repeat[-1]
    train, *others = (evidence.rounds.part(name, part) for part in PARTS)
    columns = long_texts(train)
    for column in columns:
        # Distinct texts, because the examples of one text come together.
        known = [pd.Series(part[column].unique()).isin(train[column]) for part in others]
        (validation, test), sizes = [one.mean() for one in known], [len(one) for one in known]
        both = pd.concat(known).mean()
        error = np.sqrt(both * (1 - both) * (1 / sizes[0] + 1 / sizes[1]))
        if validation - test > NormalDist().inv_cdf(1 - evidence.alpha / len(columns)) * error:
            yield Finding(
                WARNING,
                f"{validation:.0%} of the distinct values of '{column}' in validation are also in "
                f"train, but {test:.0%} of those in test.",
                "Scores on validation, and what is chosen on it, are optimistic: rely on test.",
            )


@check
def edge_of_range(evidence: Evidence) -> Iterator[Finding]:
    """Find adopted settings that are at an end of the range that was searched."""
    found = {model: edges for model, edges in evidence.edges.items() if edges}
    if found:
        listed = _list([f"{model}: {', '.join(edges)}" for model, edges in found.items()])
        yield Finding(
            NOTE,
            f"The best settings are at an end of the range that was searched ({listed}).",
            "Search further beyond it: a better value may lie there.",
            list(found),
        )


@check
def tuned_on_rounds(evidence: Evidence) -> Iterator[Finding]:
    """
    Find settings that were chosen with the help of test examples.

    Settings are chosen by the mean score on validation over the rounds. If there are several,
    examples that are in the validation of one are in the test of another.
    """
    if evidence.tuned and len(evidence.rounds.scored) > 1:
        yield Finding(
            NOTE,
            f"The settings of {_list(evidence.tuned)} were chosen on validation examples that "
            "other rounds test: their scores are slightly optimistic.",
            "One round (task.split.folds=null) keeps its test out of the choice.",
            evidence.tuned,
        )


@check
def unread(evidence: Evidence) -> Iterator[Finding]:
    """Find models that never read a part of the texts, which others may read."""
    found = {model: share for model, share in evidence.unread.items() if share >= WORTH_READING}
    if found:
        listed = _list(f"{model} {share:.0%}" for model, share in found.items())
        yield Finding(
            NOTE,
            f"A share of the texts is never read, because they are too long: {listed}.",
            "Raise the greatest length in the view of the task, such as task.views.raw.max_length.",
            list(found),
        )


@check
def time_limit(evidence: Evidence) -> Iterator[Finding]:
    """Find models whose fits the time limit ended."""
    found = {model: fits for model, fits in evidence.limited.items() if fits}
    if found:
        listed = _list(f"{model} in {fits} fits" for model, fits in found.items())
        yield Finding(
            WARNING,
            f"The time limit ended trainings before they were done: {listed}.",
            "Raise task.time_limit before these models are said to be worse.",
            list(found),
        )


@check
def too_few(evidence: Evidence) -> Iterator[Finding]:
    """Find scores without an interval, because examples or groups are too few."""
    scores, metric = evidence.comparison.scores, evidence.metric
    undefined = scores[f"{metric}_low"].isna() & scores[metric].notna()
    if not undefined.any():
        return
    rarest, examples, units = count_rarest(evidence)
    of_groups = f" in {units:,} groups" if units < examples else ""
    there = f"'{rarest}' has" if isinstance(rarest, str) else "the rarest quantile has"
    models = list(scores.index[undefined])
    yield Finding(
        WARNING,
        f"There are too few test examples for an interval of {metric}: "
        f"{there} {examples:,}{of_groups}.",
        "Add examples of it, or test all examples in turn with task.split.folds.",
        models,
    )


@check
def calibration(evidence: Evidence) -> Iterator[Finding]:
    """Find models whose claimed chances differ from what is observed, by more than chance."""
    claims = {m: evidence.calibration[m] for m in evidence.contestants if evidence.calibration[m]}
    found = {
        model: one for model, one in claims.items() if one["p_value"] < evidence.alpha / len(claims)
    }
    if found:
        listed = _list(
            f"{model} {one['error']:.3f} [{one['low']:.3f}, {one['high']:.3f}], calibrated it "
            f"would be {one['expected']:.3f}"
            for model, one in found.items()
        )
        yield Finding(
            WARNING if evidence.take in found else NOTE,
            f"Predicted chances are not those observed; expected calibration error: {listed}.",
            "Calibrate them on validation before they are used as chances.",
            list(found),
        )


@check
def drift(evidence: Evidence) -> Iterator[Finding]:
    """Find inputs that differ between train and a test that was not drawn from the same."""
    name = evidence.repeat[-1]
    train, test = (evidence.rounds.part(name, part) for part in ("train", "test"))
    if STRATUM in test:
        return
    tests = differences(train, test, evidence.seed)
    found = [one.what for one in tests if one.p_value < evidence.alpha / len(tests)]
    if found:
        yield Finding(
            WARNING,
            f"Train and test differ in {_list(found)}.",
            "Scores on test tell of examples like those of the test: collect train examples that "
            "are more like them, or leave such inputs out.",
        )


@check
def looks(evidence: Evidence) -> Iterator[Finding]:
    """Report how often the test was looked at."""
    if evidence.looks > 1:
        false = 1 - evidence.confidence**evidence.looks
        yield Finding(
            WARNING if false > 1 / 2 else NOTE,
            f"This test was looked at {evidence.looks} times: had each look been a choice, the "
            f"chance of a false one would be up to {false:.0%}.",
            "Choose on validation, and confirm on test examples that were never used.",
        )


def _difference(comparison: Comparison, first: str, second: str) -> tuple[float, float, float]:
    """Return the low end, value and high end of a difference."""
    pair = find_pair(comparison.pairs, first, second)
    if pair is None:
        return np.nan, np.nan, np.nan
    value = pair["difference"]
    # With enough examples an interval is undefined only if the difference is always the same.
    low, high = (value if np.isnan(pair[end]) else pair[end] for end in ("low", "high"))
    return low, value, high


def count_rarest(evidence: Evidence) -> tuple[Any, int, int]:
    """Return the rarest stratum among the tested, and how many examples and groups it has."""
    rounds = evidence.rounds
    tested = rounds.examples if rounds.test is None else rounds.test
    counts = tested.groupby(evidence.kind.strata(tested))["group"].agg(["size", "nunique"])
    rarest = counts["nunique"].idxmin()
    return rarest, int(counts.loc[rarest, "size"]), int(counts.loc[rarest, "nunique"])


def _interval(pair: Mapping[str, Any]) -> str:
    plus = "+" if pair["difference"] > 0 else ""
    return f"{plus}{format_interval(pair['difference'], pair['low'], pair['high'])}"


def _describe(scores: pd.DataFrame, name: str, metric: str) -> str:
    row = scores.loc[name]
    return format_interval(row[metric], row[f"{metric}_low"], row[f"{metric}_high"])


def _list(names: Any) -> str:
    """List names, as many as a sentence holds."""
    names = list(names)
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"{', '.join(names[:LISTED])}{more}"
