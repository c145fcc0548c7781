"""
Compare models on data of one's own in one command: bakeoff FILE --label COLUMN.

All stages run in this process, on a task that has no file in conf/task/. What they write is what
their commands write.
"""

import argparse
import importlib
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from hydra import initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser

from pipeline import command, init, paths, process
from pipeline.config import composition, conf
from pipeline.config.settings import with_value
from pipeline.config.settling import NAME
from pipeline.config.targets import anchor_paths
from pipeline.errors import ModelError, UserError, nearest
from pipeline.features import views
from pipeline.files import read_json, write_text
from pipeline.progress import Bar, console, say, wording
from pipeline.sources.columns import describe
from pipeline.sources.recognise import KINDS, recognise
from pipeline.task_file import add_to_params, format_task, make_task

COLUMNS = ("label", "group", "time", "test", "ignore")
# Settings of the task that this command takes by a flag.
FLAGS = {f"task.source.{name}": f"--{name}" for name in COLUMNS} | {
    "task.kind": "--kind",
    "task.metric": "--metric",
    "task.time_limit": "--time-limit",
}
# Keys whose paths the command line gives.
GIVEN = ("task.source.path", "task.source.test")
# The model that stands where another is not for the kind of problem.
STANDS_IN = {"logistic_regression": "linear"}
# Settings that may follow two dashes, beside those of the task, and the stages that take them.
FURTHER = {
    "resamples": ("evaluate",),
    "confidence": ("evaluate",),
    "tracking.uri": ("train", "combine", "evaluate"),
    "tracking.required": ("train", "combine", "evaluate"),
}


def main() -> None:
    """Recognise the data, train every model on them, compare, and print the board."""
    words = sys.argv[1:]
    if words[:1] == ["init"]:
        init.main(words[1:])
        return
    arguments = parse(words)
    with command.reporting("train"), advising():
        paths.enter_project()
        composition.require_git()
        name = name_of(arguments)
        if arguments.keep:
            check_keep(name)
        columns = {key: value for key in COLUMNS if (value := getattr(arguments, key))}
        settings, further = read_overrides(arguments.overrides)
        found = recognise(arguments.file, columns, arguments.kind, settings.get("source", {}))
        say(f"{name}: {found.because}")
        options = {"metric": arguments.metric, "time_limit": arguments.time_limit}
        settings |= {key: value for key, value in options.items() if value is not None}
        task = make_task(found.template, found.kind, found.source, settings)
        task["source"] = anchor_paths(task["source"], "task.source", GIVEN)
        models = models_for(found.kind, arguments.models)
        compare(name, task, models, further)
        if arguments.keep:
            keep(name, found.template, task)
        console.print(next_steps(name, arguments.keep))


@contextmanager
def advising() -> Iterator[None]:
    """Name in warnings and errors the flags of this command in place of settings."""
    before = wording.set(with_flags)
    try:
        yield
    except UserError as error:
        raise type(error)(with_flags(str(error))) from None
    finally:
        wording.reset(before)


def with_flags(message: str) -> str:
    """
    Word a message that names settings of the task as this command takes them.

    Parameters
    ----------
    message : str
        It names settings as stages take them, such as ``set task.source.time=day``.

    Returns
    -------
    str
        With flags, such as ``set --time day``. What has no flag stands after two dashes.
    """

    def worded(found: re.Match[str]) -> str:
        verb, quote, key, given = found.groups(default="")
        if key in FLAGS:
            return f"{verb}{quote}{FLAGS[key]}{' ' if given else ''}"
        if given:
            return f"{verb}-- {quote}{key}="
        return f"{verb}-- {key}=VALUE" if verb else found[0]

    return re.sub(r"(set )?('?)\b(task(?:\.\w+)+)(=)?", worded, message)


def parse(words: list[str]) -> argparse.Namespace:
    """Parse the command line; what follows two dashes are Hydra's overrides."""
    parser = argparse.ArgumentParser(
        "bakeoff",
        description="Compare models on a table, a folder of texts or a folder of images.",
        epilog="bakeoff titanic.csv --label survived --group ticket --ignore boat,body",
        usage="bakeoff FILE --label COLUMN [options] [-- OVERRIDE ...]\n"
        "       bakeoff init FOLDER, for a project of an installed package",
    )
    add = parser.add_argument
    add("file", type=Path, metavar="FILE", help="a table, or a folder with a folder per class")
    add("--label", metavar="COLUMN", help="the column to predict")
    add("--group", metavar="COLUMN", help="rows with the same value stay together")
    add("--time", metavar="COLUMN", help="the latest rows are held out")
    add("--test", type=Path, metavar="FILE", help="a file whose rows are the test")
    add("--ignore", type=_list, default=[], metavar="A,B", help="columns that no model may see")
    add("--kind", choices=KINDS, help="kind of problem, if it is not the recognised one")
    add("--models", type=_list, metavar="A,B", help="models of conf/model/ to train")
    add("--metric", help="the metric that decides")
    add("--time-limit", metavar="5m", help="the most that all fits of a model may take together")
    add("--name", help="of the task; by default that of the file")
    add("--keep", action="store_true", help="make it a task of dvc repro")
    end = words.index("--") if "--" in words else len(words)
    arguments = parser.parse_args(words[:end])
    arguments.overrides = words[end + 1 :]
    return arguments


def _list(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def name_of(arguments: argparse.Namespace) -> str:
    """
    Return the name of the task: what the user says, or the name of the file.

    Raises
    ------
    UserError
        If it is no name, or if it is that of a task of conf/task/.
    """
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", arguments.file.resolve().name.partition(".")[0])
    name = stem.strip("_-") if arguments.name is None else arguments.name
    if not NAME.fullmatch(name):
        raise UserError(f"--name: '{name}' is not a name: letters, digits, . _ -")
    if yaml.safe_load(name) != name:
        raise UserError(f"--name: YAML does not take '{name}' for a text: --name data_{name}")
    if name in conf.options("task"):
        raise UserError(
            f"{name} is a task of conf/task/: dvc repro evaluate@{name} compares its models; "
            "--name gives this one another name"
        )
    return name


def read_overrides(overrides: list[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """
    Read Hydra's overrides.

    Returns
    -------
    task : dict
        Nested settings of the task.
    further : dict of str to str
        The overrides of other keys.

    Raises
    ------
    UserError
        For a key that is neither.
    """
    task: dict[str, Any] = {}
    further = {}
    for override in OverridesParser.create().parse_overrides(overrides):
        key = override.key_or_group
        first, *rest = key.split(".")
        if first == "task" and rest:
            task = with_value(task, rest, override.value())
        elif key in FURTHER:
            further[key] = str(override.input_line)
        else:
            hint = nearest(key, ["task.<key>", *FURTHER])
            if first == "model":
                hint = f": say task.models.<model>.{override.input_line.removeprefix('model.')}"
            raise UserError(f"{key} cannot be set here{hint}")
    return task, further


def models_for(kind: str, named: list[str] | None) -> list[str]:
    """
    Return the models to train: those that the user names, or those of params.yaml for a kind.

    Raises
    ------
    UserError
        If there is no model of a name.
    """
    if named is None:
        models = conf.params()["models"]
        fitting = [one if conf.supports(one, kind) else STANDS_IN.get(one) for one in models]
        return [one for one in dict.fromkeys(fitting) if one is not None]
    for one in named:
        if one not in conf.options("model"):
            raise UserError(f"--models: unknown model '{one}'{nearest(one, conf.options('model'))}")
    return named


def compare(
    name: str, task: Mapping[str, Any], models: list[str], further: Mapping[str, str]
) -> None:
    """
    Run every stage for a task.

    Parameters
    ----------
    name : str
        Name of the task.
    task : mapping
        What its file would hold.
    models : list of str
        Models to train. One that fails is left out, as evaluate then tells.
    further : mapping of str to str
        Overrides of keys beside the task's.

    Raises
    ------
    UserError
        If the data or a setting cannot be used. Settings of all stages are checked first.
    """
    stages = [("ingest", []), ("featurize", []), *(("train", [f"model={m}"]) for m in models)]
    stages += [(stage, [f"models=[{','.join(models)}]"]) for stage in ("combine", "evaluate")]
    with initialize_config_dir(str(paths.CONF), version_base="1.3"):
        composed = [compose(stage, name, task, choices, further) for stage, choices in stages]
    with Bar(name, len(stages), plain=False) as bar:
        for done, ((stage, choices), cfg) in enumerate(zip(stages, composed, strict=True)):
            bar.step(done, " ".join([stage, *(choices if stage == "train" else [])]))
            try:
                run(stage, cfg)
            except ModelError as error:
                failed = with_flags(f"{name} {' '.join(choices)} failed: {error}")
                print(failed, file=sys.stderr)


def run(stage: str, cfg: Any) -> None:
    """Run a stage. It is imported here, so that help and mistakes need not wait for it."""
    with process.importing():
        module = importlib.import_module(f"pipeline.{stage}")
    if stage == "train":
        module.fit_and_keep(cfg, publish=True)
    else:
        module.main(cfg)


def compose(
    stage: str, name: str, task: Mapping[str, Any], choices: list[str], further: Mapping[str, str]
) -> Any:
    """Compose and check the settings of a stage for a task without a file."""
    composition.register(stage, {name: task})
    own = [text for key, text in further.items() if stage in FURTHER[key]]
    cfg = composition.compose_settings(stage, [f"task={name}", *choices, *own])
    composition.check_stage(stage, cfg)
    return cfg


def check_keep(name: str) -> None:
    """
    Check, before anything is trained, that a task can be kept.

    Raises
    ------
    UserError
        If its data would lie where the stages write, or params.yaml cannot take a line.
    """
    if paths.ROOT / "data" / name in (paths.ingested_folder(""), paths.features_folder("")):
        raise UserError(f"--name: data/{name}/ is where stages write: --keep needs another name")
    add_to_params(name)


def keep(name: str, template: str, task: Mapping[str, Any]) -> None:
    """
    Make a task of dvc repro: copy its data, and write its file and its line in params.yaml.

    Parameters
    ----------
    name : str
        Name of the task.
    template : str
        The task of conf/task/ that it was made from.
    task : mapping
        What its file is to hold.
    """
    params = add_to_params(name)
    home = paths.ROOT / "data" / name
    source = dict(task["source"])
    for key in ("path", "test"):
        if source.get(key):
            source[key] = copy_data(paths.ROOT / source[key], home)
    title = f"Written by bakeoff, to be corrected: dvc repro evaluate@{name} compares its models."
    columns = describe(columns_of(name)) if "columns" in source else ""
    text = format_task(title, template, {**task, "source": source}, columns)
    write_text(paths.CONF / "task" / f"{name}.yaml", text)
    write_text(paths.PARAMS, params)


def columns_of(name: str) -> dict[str, Any]:
    """Return what each column was taken for, by the kept model, which saw more than a round."""
    from pipeline import storage  # only where a task is kept

    ingested = paths.ingested_folder(name)
    view = paths.features_folder(name) / "engineered"
    kept = views.about(view, ingested)["rounds"][-1]
    kinds = storage.load(view / kept / views.FEATURIZER).kinds_
    found = read_json(ingested / "card.json")["columns"]
    return {one: column | {"kind": kinds.get(one, column["kind"])} for one, column in found.items()}


def copy_data(data: Path, home: Path) -> str:
    """Copy a file into a folder, or a folder to its place; return the path below the project."""
    if data.is_dir():
        if data.resolve() != home:
            shutil.copytree(data, home, dirs_exist_ok=True)
        return home.relative_to(paths.ROOT).as_posix()
    place = home / data.name
    if data.resolve() != place:
        home.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(data, place)
    return place.relative_to(paths.ROOT).as_posix()


def next_steps(name: str, kept: bool) -> str:
    """Return what to do with a compared task."""
    board = read_json(paths.report_folder(name) / "board.json", {"verdict": dict})
    take = board["verdict"]["take"]
    predict = f"Predict with {take}: python -m pipeline.predict task={name} file=NEW.csv"
    lines = [
        f"All of it in a browser: reports/{name}/report.html",
        "Every run in MLflow: python -m pipeline.tracking.ui",
        *([predict] if take else []),
        f"{name} is a task now, in conf/task/{name}.yaml, data/{name}/ and params.yaml: dvc repro"
        if kept
        else "Keep it as a task of dvc repro: the same command with --keep",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
