"""The schema of conf/ and params.yaml: every key that a stage knows, and its type."""

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING


@dataclass
class Split:
    """Which share of the examples is held out, and how often; groups stay whole."""

    test: float = 0.2
    validation: float = 0.2
    # a whole number, auto, or None for one round
    folds: Any = None
    repeats: int | None = None
    seed: int = MISSING


@dataclass
class Kind:
    """What a task sets for its kind of problem: parameters of classes in pipeline/problems/."""

    metric: str = MISSING
    metrics: list[str] = MISSING
    positive: str | None = None
    threshold: str | None = None
    points: dict[str, dict[str, Any]] | None = None
    calibrate: str | None = None
    unit: str | None = None
    coverage: float | None = None
    learn_at_most: float | None = None
    false_acceptance: float | None = None


@dataclass
class Task(Kind):
    """One prediction problem: one file in conf/task/."""

    # of the file
    name: str = "${hydra:runtime.choices.task}"
    kind: str = MISSING
    source: dict[str, Any] = MISSING
    split: Split = MISSING
    # of classes: error, drop or merge
    rare: str | None = None
    # of classes: the label of examples that are of none of them
    unknown: str | None = None
    seeds: list[int] = MISSING
    # seconds once settled; a text such as 5m before
    time_limit: Any = None
    views: dict[str, dict[str, Any]] = MISSING
    # of the comparison
    matters: float = MISSING
    cheapest: str = MISSING
    slice_by: list[str] = MISSING
    mute: list[str] = MISSING
    # what a reader of the verdict must know
    notes: list[str] = field(default_factory=list)
    # functions that change test examples, by the name of what they leave
    variants: dict[str, dict[str, Any]] = field(default_factory=dict)
    # what the task sets for a model, read before the command line
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    # a function that tells the histories of users and the names of items, for recommending; it is
    # given the values of the source that it has parameters for
    catalogue: dict[str, Any] | None = None
    # what a sweep of a model searches beside conf/sweep/<model>.yaml
    spaces: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass
class Tracking:
    """Where runs are recorded."""

    uri: str = MISSING
    required: bool = MISSING


@dataclass
class Stage:
    """What every stage knows: params.yaml and one task."""

    tasks: list[str] = MISSING
    models: list[str] = MISSING
    seed: int = MISSING
    split_seed: int = MISSING
    task: Task = MISSING


@dataclass
class Model:
    """What makes predictions: one file in conf/model/, with all that sets it otherwise."""

    name: str
    family: str
    view: str
    architecture: str | None
    estimator: dict[str, Any]
    # types of other packages that are safe to load
    trusted: list[str] = field(default_factory=list)
    # trials and seconds of the search that found the settings; empty if they are the defaults
    tuned: dict[str, Any] = field(default_factory=dict)
    # why it is not for the task's kind of problem, if it is not
    unsupported: str = ""


@dataclass
class Sweep:
    """A search for a model's best settings: conf/train.yaml, and the space in conf/sweep/."""

    space: dict[str, Any] = field(default_factory=dict)
    architecture_space: dict[str, dict[str, Any]] = field(default_factory=dict)
    n_trials: int = MISSING
    # seconds, or a text such as 10m
    budget: Any = None
    sampler: str = MISSING
    pruner: str | None = None
    warmup: int = MISSING
    workers: int | None = None
    max_failure_rate: float = MISSING
    study: str = MISSING
    storage: str = MISSING


@dataclass
class Train(Stage):
    """One experiment: a task, a model, and where its run is recorded."""

    # a dict of the file's keys as composed; a Model once settled
    model: Any = MISSING
    tracking: Tracking = MISSING
    sweep: Sweep = MISSING


@dataclass
class Adopt(Train):
    """The best settings of a sweep, to be taken into the configuration."""

    dry_run: bool = False


@dataclass
class Combine(Stage):
    """The ensemble of the models of a task."""

    tracking: Tracking = MISSING


@dataclass
class Evaluate(Combine):
    """The comparison of every model of a task."""

    resamples: int = MISSING
    confidence: float = MISSING


SCHEMAS = {
    "ingest": Stage,
    "featurize": Stage,
    "train": Train,
    "combine": Combine,
    "evaluate": Evaluate,
    "adopt": Adopt,
    "tune": Train,
}
FAMILIES = ("baseline", "classical", "deep", "ensemble")
