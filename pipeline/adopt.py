"""Take the best settings that a sweep found into the configuration, as a change to review."""

import difflib
import io
import sys
from collections.abc import Collection, Mapping
from typing import Any

import optuna
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import CommentMark
from ruamel.yaml.tokens import CommentToken

from pipeline import command, config
from pipeline.errors import UserError, address
from pipeline.features import store
from pipeline.files import write_text
from pipeline.progress import console
from pipeline.sweep import study as studies
from pipeline.sweep.space import value_of
from pipeline.sweep.table import best, headline


def main(cfg: config.Adopt) -> None:
    """Write the best trial's settings into the task's file, and show the change."""
    study = found(cfg)
    trials = study.get_trials(deepcopy=False)
    winner = best(study, trials)
    if winner is None:
        raise UserError(f"the sweep '{cfg.sweep.study}' has no complete trial yet")
    searched = list(studies.ranges_of(study.user_attrs[studies.TRIED]))
    values = given(cfg) | {key: value_of(kept) for key, kept in winner.params.items()}
    path = config.CONF / "task" / f"{cfg.task.name}.yaml"
    before = path.read_text(encoding="utf-8")
    after = adopted(before, cfg.model.name, searched, values)
    console.print(headline(study, trials, cfg.task.metric), markup=False)
    if after == before:
        console.print(f"{path.relative_to(config.ROOT)} has these settings already")
        return
    console.print(difference(before, after, path.relative_to(config.ROOT).as_posix()), markup=False)
    if not cfg.dry_run:
        write_text(path, after)


def found(cfg: config.Adopt) -> optuna.Study:
    """
    Find the study of a sweep.

    Raises
    ------
    UserError
        When there is none, or it was made with settings or data that are not those of now.
    """
    name = cfg.sweep.study
    storage = studies.connect(cfg.sweep.storage)
    try:
        study = optuna.load_study(study_name=name, storage=storage)
    except KeyError:
        raise UserError(
            f"there is no sweep '{name}' in {address(cfg.sweep.storage)}: "
            f"run python -m pipeline.train --multirun task={cfg.task.name} model={cfg.model.name} "
            f"+sweep={cfg.model.name}"
        ) from None
    before = study.user_attrs[studies.TRIED]
    view = config.features(cfg.task.name) / cfg.model.view
    digest = store.about(view, config.ingested(cfg.task.name))["digest"]
    now = studies.tried(cfg, studies.ranges_of(before), digest)
    now["sweep.sampler"] = before["sweep.sampler"]
    if now != before:
        raise UserError(
            f"the sweep '{name}' does not tell what is best now: "
            f"{studies.difference(before, now)}. Give the overrides of the sweep here too, or "
            "sweep again under another sweep.study"
        )
    return study


def given(cfg: config.Adopt) -> dict[str, Any]:
    """Give the model's settings that the command line names, as it did in the sweep."""
    keys = [config.own_key(key) for key in config.written() if key.startswith("model.")]
    return {
        key: value
        for key, value in config.leaves(cfg.model.estimator, "model")
        if any(f"{key}.".startswith(f"{named}.") for named in keys)
    }


def adopted(text: str, model: str, searched: Collection[str], values: Mapping[str, Any]) -> str:
    """
    Set what a task sets for a model, and leave all else of its file as it is.

    Parameters
    ----------
    text : str
        A file of conf/task/.
    model : str
        The model.
    searched : collection of str
        Keys such as ``model.num_leaves`` that a search decided; those without a value now
        are taken out.
    values : mapping
        Their values.

    Returns
    -------
    str
        The file with the values under ``models.<model>``.
    """
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.representer.add_representer(type(None), _null)
    yaml.indent(mapping=2, sequence=4, offset=2)
    document = yaml.load(text)
    models = document.setdefault("models", {})
    after = _parted(*_end(models, model)) if model in models else ""
    if not models.get(model):
        models[model] = CommentedMap()
    for key in searched:
        if key not in values:
            _drop(models[model], key.split(".")[1:])
    for key, value in values.items():
        if key.startswith("model."):
            _set(models[model], key.split(".")[1:], value)
    _joined(*_end(models, model), after)
    written = io.StringIO()
    yaml.dump(document, written)
    return written.getvalue()


def _end(node: Any, key: Any) -> tuple[Any, Any]:
    """Find the last line of what is under a key: the innermost collection there, and its key."""
    child = node[key]
    if isinstance(child, CommentedMap | CommentedSeq) and child and not child.fa.flow_style():
        last = next(reversed(child)) if isinstance(child, CommentedMap) else len(child) - 1
        return _end(child, last)
    return node, key


def _parted(node: Any, key: Any) -> str:
    """Take away, and give, the lines of comments after a line; a comment in the line stays."""
    token = (node.ca.items.get(key) or [None] * 4)[0 if isinstance(node, CommentedSeq) else 2]
    if token is None:
        return ""
    inline, _, after = token.value.partition("\n")
    token.value = f"{inline}\n"
    return str(after)


def _joined(node: Any, key: Any, after: str) -> None:
    """Put lines of comments after a line."""
    place = 0 if isinstance(node, CommentedSeq) else 2
    tokens = node.ca.items.setdefault(key, [None] * 4)
    if tokens[place] is None:
        tokens[place] = CommentToken("\n", CommentMark(0))
    tokens[place].value += after


def _null(representer: Any, _: None) -> Any:
    """Write null as it is written in conf/, not as nothing."""
    return representer.represent_scalar("tag:yaml.org,2002:null", "null")


def _set(node: Any, path: list[str], value: Any) -> None:
    first, *rest = path
    if rest:
        _set(node.setdefault(first, CommentedMap()), rest, value)
    else:
        node[first] = value


def _drop(node: Any, path: list[str]) -> None:
    first, *rest = path
    if rest and first in node:
        _drop(node[first], rest)
    if first in node and not (rest and node[first]):
        del node[first]


def difference(before: str, after: str, name: str) -> str:
    """Show a change as git does."""
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), f"a/{name}", f"b/{name}", lineterm=""
    )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.argv = ["dry_run=true" if argument == "--dry-run" else argument for argument in sys.argv]
    command.run("adopt")
