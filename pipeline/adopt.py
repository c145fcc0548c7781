"""Take the best settings that a sweep found into the configuration, as a change to review."""

import difflib
import sys
from collections.abc import Collection, Mapping
from typing import Any

import optuna
import yaml

from pipeline import command, experiment, paths
from pipeline.config import command_line, schema
from pipeline.config.conf import to_yaml
from pipeline.config.settings import leaves, with_value
from pipeline.errors import UserError, address
from pipeline.features import views
from pipeline.files import write_text
from pipeline.progress import console
from pipeline.sweep import study as studies
from pipeline.sweep.results import best_trial, headline
from pipeline.sweep.space import value_of


def main(cfg: schema.Adopt) -> None:
    """Write the best trial's settings into a file of conf/adopted/, and show the change."""
    view = paths.features_folder(cfg.task.name) / cfg.model.view
    about = views.about(view, paths.ingested_folder(cfg.task.name))
    metric = experiment.problem_of(cfg.task, about["target"]).deciding.name
    study = found(cfg, about)
    trials = studies.begun_trials(study)
    winner = best_trial(study, trials)
    if winner is None:
        raise UserError(f"the sweep '{cfg.sweep.study}' has no complete trial yet")
    searched = list(studies.searched_ranges(study.user_attrs[studies.SETTINGS]))
    values = given(cfg) | {key: value_of(kept) for key, kept in winner.params.items()}
    path = paths.adopted_file(cfg.task.name, cfg.model.name)
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    settings = adopted(yaml.safe_load(before) or {}, searched, values)
    settings.pop("tuned", None)  # of the sweep before; it is to come last
    settings["tuned"] = {"trials": len(trials), "seconds": round(studies.spent(trials), 1)}
    after = text_of(settings, cfg.sweep.study)
    console.print(headline(study, trials, metric))
    if after == before:
        console.print(f"{path.relative_to(paths.ROOT)} has these settings already")
        return
    name = path.relative_to(paths.ROOT).as_posix()
    console.print(difference(before, after, name))
    if not cfg.dry_run:
        write_text(path, after)


def found(cfg: schema.Adopt, about: Mapping[str, Any]) -> optuna.Study:
    """
    Find the study of a sweep.

    Parameters
    ----------
    cfg : schema.Adopt
        Names it.
    about : mapping
        What featurize wrote about the model's view.

    Raises
    ------
    UserError
        When there is none, or it was made with settings or data that are not those of now.
    """
    name = cfg.sweep.study
    try:
        study = studies.load(cfg.sweep)
    except KeyError:
        raise UserError(
            f"there is no sweep '{name}' in {address(cfg.sweep.storage)}: "
            f"run python -m pipeline.train --multirun task={cfg.task.name} model={cfg.model.name} "
            f"+sweep={cfg.model.name}"
        ) from None
    before = study.user_attrs[studies.SETTINGS]
    now = studies.trial_settings(cfg, studies.searched_ranges(before), about)
    now["sweep.sampler"] = before["sweep.sampler"]
    if now != before:
        raise UserError(
            f"the sweep '{name}' does not tell what is best now: "
            f"{studies.describe_difference(before, now)}. Give the overrides of the sweep here "
            "too, or sweep again under another sweep.study"
        )
    return study


def given(cfg: schema.Adopt) -> dict[str, Any]:
    """Return the model's settings that the command line names, as it did in the sweep."""
    keys = [key for key in command_line.overridden_keys() if key.startswith("model.")]
    return {
        key: value
        for key, value in leaves(cfg.model.estimator, "model")
        if any(f"{key}.".startswith(f"{named}.") for named in keys)
    }


def adopted(
    before: dict[str, Any], searched: Collection[str], values: Mapping[str, Any]
) -> dict[str, Any]:
    """
    Set what a sweep found best, beside what was adopted before.

    Parameters
    ----------
    before : dict
        Nested settings of the model.
    searched : collection of str
        Keys such as ``model.num_leaves`` that a search decided; those without a value now
        are left out.
    values : mapping
        Their values, and perhaps others that stood beside them.

    Returns
    -------
    dict
        Nested settings of the model.
    """
    kept = {
        key: value
        for key, value in leaves(before, "model")
        if key not in searched and key != "model"
    }
    after: dict[str, Any] = {}
    for key, value in {**kept, **values}.items():
        if key.startswith("model."):
            after = with_value(after, key.split(".")[1:], value)
    return after


def text_of(settings: dict[str, Any], study: str) -> str:
    """Write adopted settings as a file of conf/adopted/."""
    head = (
        "# @package model\n"
        f"# Written by pipeline.adopt: the best settings of the sweep '{study}'.\n"
        "# Remove the file to take them back.\n"
    )
    return head + to_yaml(settings)


def difference(before: str, after: str, name: str) -> str:
    """Show a change as git does."""
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), f"a/{name}", f"b/{name}", lineterm=""
    )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.argv = ["dry_run=true" if argument == "--dry-run" else argument for argument in sys.argv]
    command.run("adopt")
