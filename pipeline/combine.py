"""
Stage 4: average the models of a task, with weights chosen on validation.

The ensemble is a model like any other: a bundle, recorded in a run of its own, and served from raw
inputs. Its row shows what combining would add, and what it would cost.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pipeline import bundle, command, experiment, paths, tracking
from pipeline.config import schema
from pipeline.config.settings import merge
from pipeline.errors import UserError
from pipeline.evaluation.numbers import format_numbers
from pipeline.files import dvc_digest, new_folder, read_json
from pipeline.paths import ENSEMBLE
from pipeline.problems import Predictions, Problem
from pipeline.progress import console
from pipeline.sources.examples import meta_of
from pipeline.sources.rounds import FINAL, Rounds

# Members that are added after those that the choice starts with; it then keeps the best number.
STEPS = 50
FEWEST = 2
VALIDATION = "validation"
# What the manifest of an ensemble says as those of its members do.
SHARED = ("inputs", "may_miss", "forms", "example", "target", "outputs")
Fit = tuple[str, int]


class Validation(NamedTuple):
    """
    The validation examples of a fit, and what each model says about them.

    Attributes
    ----------
    target : ndarray of shape (n,)
        The column ``label``.
    meta : dict of str to ndarray of shape (n,)
        Further columns for metrics.
    outputs : dict of str to ndarray of shape (n, ...)
        Output of each model.
    """

    target: np.ndarray
    meta: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]


class Combined(NamedTuple):
    """The weights of an ensemble, the decision on its outputs, and its predictions."""

    weights: dict[str, float]
    decision: dict[str, Any]
    predictions: Predictions


def main(cfg: schema.Combine) -> None:
    """
    Choose weights in each round and for the kept model, and write and record the ensemble.

    Models that failed, or are not of these data, are left out. Of fewer than two no ensemble is
    made. The folder then says so, and evaluate shows no row.
    """
    task = cfg.task
    ingested = paths.ingested_folder(task.name)
    target = read_json(ingested / "card.json", {"target": dict})["target"]
    kind = experiment.problem_of(task, target)
    rounds = Rounds.read(ingested)
    members, outputs = usable(cfg, kind, rounds.scored, dvc_digest(ingested))
    with (
        tracking.recording(cfg.tracking.uri, cfg.tracking.required) as records,
        new_folder(paths.model_folder(task.name, ENSEMBLE)) as folder,
    ):
        if len(members) < FEWEST:
            why = f"{len(members)} of {len(cfg.models)} models can be combined, {FEWEST} are needed"
            bundle.write_failed(folder, provenance(cfg, members), why)
            console.print(f"{task.name} {ENSEMBLE}: {why}")
            return
        fits = join_validation(rounds, outputs)
        by_fit = {fit: combine(kind, validation) for fit, validation in fits.items()}
        # The kept models of several rounds have seen all examples, so that weights come from
        # what those of the rounds said.
        kept = (
            combine(kind, pool(fits))
            if rounds.kept == FINAL
            else by_fit[rounds.kept, task.seeds[0]]
        )
        entries = describe(cfg, kind, members, by_fit, kept)
        with records.start_run(paths.ROOT, **experiment.identity(entries["settings"])) as run:
            places = {name: paths.model_folder(task.name, name) for name in kept.weights}
            manifest = bundle.write_ensemble(folder, entries, places, kept.weights)
            costs = costs_of(records, task.name, places) | {"model_bytes": bundle.size(folder)}
            trusted = manifest["estimator"]["trusted"]
            run.log_training(manifest, folder, bundle.digest(folder), costs, trusted)
    metric = kind.deciding.name
    weights = ", ".join(f"{weight:.2f} {name}" for name, weight in kept.weights.items())
    score = entries["scores"][metric]
    console.print(
        f"{task.name} {ENSEMBLE}: {weights}; validation {metric} {format_numbers(score)[0]}"
    )


def usable(
    cfg: schema.Combine, kind: Problem, rounds: list[str], data: str
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[Fit, np.ndarray]]]:
    """
    Return the models that can be combined, and print why others cannot.

    Baselines are left out.

    Parameters
    ----------
    cfg : schema.Combine
        Names the models.
    kind : Problem
        Problem of the task, for its target.
    rounds : list of str
        The rounds of the data that have a test.
    data : str
        Digest of the ingested examples.

    Returns
    -------
    manifests : dict of str to dict
        The manifest of each model.
    outputs : dict of str to dict
        Its outputs for validation, by round and seed.
    """
    task, found, outputs = cfg.task.name, {}, {}
    for model in cfg.models:
        folder = paths.model_folder(task, model)
        try:
            manifest = bundle.read_trained(
                folder,
                model,
                data,
                (task, cfg.task.kind, kind.target),
                rounds,
            )
            seeds = manifest["settings"]["task"]["seeds"]
            if seeds != cfg.task.seeds:
                raise UserError(f"trained with seeds {seeds}, not {cfg.task.seeds}")
            of_fits = bundle.read_validation(folder, manifest)
        except UserError as error:
            why = str(error).replace(f"{paths.ROOT}/", "")
            console.print(f"{task} {ENSEMBLE}: without {model}: {why}")
        else:
            # A constant changes no ranking, and so would be taken for nothing.
            if manifest["family"] != "baseline":
                found[model], outputs[model] = manifest, of_fits
    return found, outputs


def join_validation(
    rounds: Rounds, outputs: Mapping[str, Mapping[Fit, np.ndarray]]
) -> dict[Fit, Validation]:
    """
    Join the validation examples of each fit with what each model says about them.

    Parameters
    ----------
    rounds : Rounds
        The examples in rounds.
    outputs : mapping of str to mapping
        The outputs of each model, by round and seed.

    Returns
    -------
    dict of (str, int) to Validation
        By round and seed.
    """
    found: dict[Fit, Validation] = {}
    for model, of_model in outputs.items():
        for fit, of_fit in of_model.items():
            if fit not in found:
                part = rounds.part(fit[0], VALIDATION)
                found[fit] = Validation(part["label"].to_numpy(), meta_of(part), {})
            found[fit].outputs[model] = of_fit
    return found


def pool(fits: Mapping[Fit, Validation]) -> Validation:
    """Return the validation examples of all fits together."""
    every = list(fits.values())
    return Validation(
        np.concatenate([one.target for one in every]),
        {name: np.concatenate([one.meta[name] for one in every]) for name in every[0].meta},
        {name: np.concatenate([one.outputs[name] for one in every]) for name in every[0].outputs},
    )


def combine(kind: Problem, validation: Validation) -> Combined:
    """Choose the weights of models, and the decision on their average, on validation."""
    target, meta, outputs = validation

    def score(average: np.ndarray) -> float:
        return kind.deciding.sign * kind.deciding.once(kind.decided(target, average, meta)[1])

    counts = choose(outputs, score, kind.average)
    total = sum(counts.values())
    weights = {name: count / total for name, count in counts.items()}
    average = kind.average([outputs[name] for name in weights], list(weights.values()))
    return Combined(weights, *kind.decided(target, average, meta))


def choose(
    outputs: Mapping[str, np.ndarray],
    score: Callable[[np.ndarray], float],
    average: Callable[[Sequence[np.ndarray], Sequence[float]], np.ndarray],
    steps: int = STEPS,
) -> dict[str, int]:
    """
    Choose greedily how often each model is in an ensemble.

    It starts with the best models, as many as are best together. Then the model that helps most
    is added, again and again, one that is there already too. What was best on this way is taken,
    the smallest of equal ones (Caruana, Niculescu-Mizil, Crew and Ksikes, "Ensemble Selection from
    Libraries of Models", ICML 2004).

    Parameters
    ----------
    outputs : mapping of str to ndarray
        Output of each model for the same examples.
    score : callable
        From an average of outputs to a score. Greater is better.
    average : callable
        From outputs and their weights to their average.
    steps : int
        Number of models that are added.

    Returns
    -------
    dict of str to int
        How often each model is taken, the most frequent one first. Those that are not taken
        are left out.
    """

    def score_of(counts: Mapping[str, int]) -> float:
        found = score(average([outputs[name] for name in counts], list(counts.values())))
        return -np.inf if np.isnan(found) else found

    ranked = sorted(outputs, key=lambda name: score_of({name: 1}), reverse=True)
    # max takes the first of equal ones
    way = [
        max((Counter(ranked[:n]) for n in range(1, len(ranked) + 1)), key=score_of),
    ]
    for _ in range(steps):
        way.append(max((way[-1] + Counter([name]) for name in ranked), key=score_of))
    return dict(max(way, key=score_of).most_common())


def provenance(cfg: schema.Combine, members: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the entries of the manifest that do not depend on the weights."""
    manifests = list(members.values())
    task: dict[str, Any] = {"name": cfg.task.name}
    for one in manifests:
        task = merge(task, one["settings"]["task"])
    view = ", ".join(sorted({one["view"] for one in manifests}))
    model = {"name": ENSEMBLE, "family": ENSEMBLE, "view": view}
    return {
        "kind": cfg.task.kind,
        "task": cfg.task.name,
        "model": ENSEMBLE,
        "family": ENSEMBLE,
        "view": view,
        "data": manifests[0]["data"] if manifests else {},
        "settings": {"seed": cfg.seed, "task": task, "model": model},
        "curve": [],
        "rounds": [],
    }


def describe(
    cfg: schema.Combine,
    kind: Problem,
    members: Mapping[str, Mapping[str, Any]],
    by_fit: Mapping[Fit, Combined],
    kept: Combined,
) -> dict[str, Any]:
    """Return the entries of the manifest of an ensemble."""
    first = next(iter(members.values()))
    entries = provenance(cfg, members)
    entries["settings"]["model"]["weights"] = kept.weights
    rounds = [
        {
            "round": name,
            "seed": seed,
            "weights": combined.weights,
            "decision": combined.decision,
            "scores": experiment.scores(kind, combined.predictions),
        }
        for (name, seed), combined in by_fit.items()
    ]
    return entries | {
        **{key: first[key] for key in SHARED},
        "decision": kept.decision,
        "scores": experiment.average_scores(kind, rounds),
        "rounds": rounds,
        "combined": {
            name: bundle.digest(paths.model_folder(cfg.task.name, name)) for name in members
        },
    }


def costs_of(
    records: tracking.Recording, task: str, members: Mapping[str, Path]
) -> dict[str, float]:
    """Return what it costs to fit the members, as far as the runs that trained them say."""
    runs = [records.find_run(task, bundle.digest(folder)) for folder in members.values()]
    costs = pd.DataFrame([found[1] if found else {} for found in runs])
    add_up = {"cost/fit_seconds", "cost/fit_seconds_total", "cost/energy_joules"}
    found = {name: costs[name].sum(skipna=False) for name in add_up & set(costs)}
    if "cost/peak_bytes" in costs:
        found["cost/peak_bytes"] = costs["cost/peak_bytes"].max(skipna=False)
    return {name.removeprefix("cost/"): float(cost) for name, cost in found.items() if cost == cost}


if __name__ == "__main__":
    command.run("combine")
