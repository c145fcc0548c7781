"""Stage 0: the settings of every experiment of params.yaml, each in a file of its own."""

import argparse
from collections.abc import Iterable
from difflib import get_close_matches
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hydra import initialize_config_dir

from pipeline import command, paths
from pipeline.config import code, composition, conf, schema
from pipeline.config.messages import describe_error
from pipeline.config.settings import PROJECT, code_of, pick_settings
from pipeline.errors import UserError, nearest
from pipeline.files import new_folder
from pipeline.paths import COMPOSED, CONF, ENSEMBLE

DISTRIBUTION = "bakeoff"
# The kinds of problem, a module each.
PROBLEMS = Path(__file__).with_name("problems")
# How like a metric the F1 of a class may be called.
LIKE = 0.8


def main() -> None:
    """Compose the settings of every stage, and write them where DVC watches them."""
    params = conf.params()
    for group in ("task", "model"):
        check_names(group, params[f"{group}s"])
    documents = compose(params["tasks"], params["models"])
    with new_folder(COMPOSED) as folder:
        for file, document in documents.items():
            place = folder / file.relative_to(COMPOSED)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(conf.to_yaml(document), "utf-8")
    print(f"composed the settings of {len(documents)} stages")


def check_names(group: str, names: list[str]) -> None:
    """
    Check that params.yaml names files of conf/.

    Raises
    ------
    UserError
        With the nearest name.
    """
    known = conf.options(group)
    if group == "model" and ENSEMBLE in names:
        raise UserError(
            f"params.yaml: models: {ENSEMBLE} is the name of what is made of the others: "
            "name the model otherwise"
        )
    for name in names:
        if name not in known:
            raise UserError(
                f"params.yaml: {group}s: there is no conf/{group}/{name}.yaml{nearest(name, known)}"
            )


def compose(tasks: list[str], models: list[str]) -> dict[Path, dict[str, Any]]:
    """
    Compose what decides the result of each stage.

    Parameters
    ----------
    tasks, models : list of str
        Every model is an experiment of every task.

    Returns
    -------
    dict of Path to dict
        By the file that it belongs in: the settings of a stage, and under ``code`` the
        digests of the project's files that the stage runs because its settings say so, and the
        version of this package if it is installed from elsewhere.

    Raises
    ------
    UserError
        If a setting is wrong, or names code that DVC does not watch.
    """
    documents: dict[Path, dict[str, Any]] = {}
    with initialize_config_dir(str(CONF), version_base="1.3"):
        for task in tasks:
            names: list[str] = []
            for stage in ("ingest", "featurize", "train", "combine", "evaluate"):
                composition.register(stage)
                for model in models if stage == "train" else [None]:
                    choices = [f"task={task}", *([f"model={model}"] if model else [])]
                    try:
                        cfg = composition.compose_settings(stage, choices)
                    except Exception as error:
                        raise UserError(describe_error(error, stage)) from None
                    own = code_of(stage, cfg)
                    names += own if stage != "ingest" else []
                    # combine and evaluate predict with every view and model
                    predicts = stage in ("combine", "evaluate")
                    digests = code.digests(names if predicts else own)
                    if paths.in_checkout():
                        check_code(digests, task)
                    documents[paths.composed_file(stage, task, model)] = {
                        **pick_settings(stage, cfg),
                        "code": installed() | digests,
                    }
            check_metrics(cfg.task)
    return documents


def check_metrics(task: schema.Task) -> None:
    """
    Check the names of metrics, without importing the code of a kind of problem.

    A metric with an import path, and the F1 of one class, are left to the stages, which know the
    classes, unless it is a slip of the pen.

    Raises
    ------
    UserError
        If the kind of problem has no metric of a name, with the nearest, or if the deciding
        metric is not among those that are reported.
    """
    by_kind = {file.stem: code.metrics(file) for file in PROBLEMS.glob("[!_]*.py")}
    if task.kind not in by_kind:
        raise UserError(
            f"task {task.name}: kind: unknown '{task.kind}'{nearest(task.kind, by_kind)}"
        )
    known = by_kind[task.kind]
    for name in (task.metric, *task.metrics):
        of_class = name.startswith("f1_") and not get_close_matches(name, known, cutoff=LIKE)
        if name not in known and "." not in name and not of_class:
            others = sorted(kind for kind, names in by_kind.items() if name in names)
            of_others = f", which is one of {' and '.join(others)}" * bool(others)
            raise UserError(
                f"task {task.name}: unknown metric '{name}'{of_others}{nearest(name, known)}"
            )
    if task.metric not in task.metrics:
        raise UserError(
            f"task {task.name}: metric '{task.metric}' is not among its metrics "
            f"[{', '.join(task.metrics)}]: add it"
        )


def installed() -> dict[str, str]:
    """Return the version of this package, if it is not code of the project that DVC watches."""
    return {} if paths.in_checkout() else {DISTRIBUTION: version(DISTRIBUTION)}


def check_code(files: Iterable[str], task: str) -> None:
    """
    Check that the code that settings name is in the folder that this stage depends on.

    Raises
    ------
    UserError
        If a file is elsewhere in the project.
    """
    for file in files:
        if not file.startswith(f"{PROJECT}/"):
            raise UserError(
                f"task {task} runs {file}, and dvc repro would not see it change: "
                f"move it into {PROJECT}/, such as to {PROJECT}/tasks/{task}/"
            )


if __name__ == "__main__":
    argparse.ArgumentParser("python -m pipeline.compose", description=main.__doc__).parse_args()
    with command.reporting("train"):
        main()
