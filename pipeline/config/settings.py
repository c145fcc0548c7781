"""What decides the result of a stage: its settings, and the code that these name."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from typing import Any

from pipeline.config import code
from pipeline.config.schema import Kind

# What a kind of problem is given, wherever something is scored.
KIND = ("task.kind", *(f"task.{one.name}" for one in fields(Kind)))
# What a task sets for the comparison of its models.
VERDICT = tuple(
    f"task.{key}" for key in ("matters", "cheapest", "slice_by", "mute", "notes", "variants")
)
# What a stage is made of, as written to its file: its result depends on these keys alone.
SETTINGS = {
    "ingest": ("task.name", "task.kind", "task.source", "task.split", "task.rare", "task.unknown"),
    "featurize": ("task.name", "task.kind", "task.views"),
    "train": ("seed", "task.name", *KIND, "task.seeds", "task.time_limit", "model"),
    "combine": ("seed", "models", "task.name", *KIND, "task.seeds"),
    "evaluate": ("seed", "models", "task.name", *KIND, *VERDICT, "resamples", "confidence"),
}
# What else the command line of a stage may set.
BESIDE = {
    "ingest": ("split_seed",),
    "train": ("sweep", "tracking"),
    "combine": ("tracking",),
    "evaluate": ("tracking",),
    "adopt": (*SETTINGS["train"], "sweep", "tracking", "dry_run"),
    "tune": (*SETTINGS["train"], "models", "sweep", "tracking"),
}
PROJECT = __name__.partition(".")[0]


def pick_settings(stage: str, cfg: Any) -> dict[str, Any]:
    """
    Pick the settings that decide what a stage makes.

    Parameters
    ----------
    stage : str
        A key of `SETTINGS`.
    cfg : Stage
        Settled. Where runs are recorded is left out: it decides nothing, and may hold a
        password.

    Returns
    -------
    dict
        Nested plain values; a model's hyperparameters stand beside its name.
    """
    plain = asdict(cfg)
    if "model" in plain:
        estimator = plain["model"].pop("estimator")
        beside = {key: plain["model"].pop(key) for key in ("trusted", "tuned", "unsupported")}
        plain["model"] |= estimator | {key: value for key, value in beside.items() if value}
    picked: dict[str, Any] = {}
    for key in SETTINGS[stage]:
        *above, last = key.split(".")
        source, place = plain, picked
        for part in above:
            source, place = source[part], place.setdefault(part, {})
        # What another kind of problem would be given is not set.
        if key not in KIND or source[last] is not None:
            place[last] = source[last]
    return picked


def only_view(settings: dict[str, Any], view: str) -> dict[str, Any]:
    """Keep of the views in settings the one that a model sees."""
    views = {view: settings["task"]["views"][view]}
    return settings | {"task": settings["task"] | {"views": views}}


def code_of(stage: str, cfg: Any) -> list[str]:
    """List the dotted names that a stage runs because its settings say so."""
    kind = f"{PROJECT}.problems.{cfg.task.kind}"
    if stage == "ingest":
        return [kind, *code.targets(cfg.task.source)]
    if stage == "featurize":
        return list(code.targets(cfg.task.views))
    metrics = [name for name in [cfg.task.metric, *cfg.task.metrics] if "." in name]
    if stage == "train":
        return [kind, *metrics, *code.targets(cfg.model.estimator)]
    return [kind, *metrics, *(code.targets(cfg.task.variants) if stage == "evaluate" else ())]


def merge(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested settings together. Where both have a value, that of the second is taken."""
    both = {
        key: merge(first[key], value)
        if isinstance(value, Mapping) and isinstance(first.get(key), Mapping)
        else value
        for key, value in second.items()
    }
    return {**first, **both}


def leaves(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value below a node with its dotted key."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from leaves(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, node


def with_value(node: dict[str, Any], path: list[str], value: Any) -> dict[str, Any]:
    """Set a value below a node, which stays as it is."""
    first, *rest = path
    return node | {first: with_value(node.get(first) or {}, rest, value) if rest else value}
