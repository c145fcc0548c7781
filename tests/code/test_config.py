"""Every file of conf/ composes, and what a user may get wrong in it is told."""

import functools
import json
import os

import hydra
import pytest
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from omegaconf import open_dict

from pipeline import config
from pipeline.config import CONF, SCHEMAS
from pipeline.errors import UserError
from pipeline.sweep.space import parse


def choices(group):
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


TASKS, MODELS, SWEEPS = choices("task"), choices("model"), choices("sweep")


@pytest.fixture(autouse=True)
def hydra_as_it_was():
    """Put Hydra's singletons back: the schemas, and the configuration of a job."""
    before = Singleton.get_state()
    yield
    Singleton.set_state(before)


def composed(stage, *overrides):
    """Compose and check as `command.run` does; give the configuration and the files it took."""
    config.register(stage)
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        whole = hydra.compose(stage, list(overrides), return_hydra_config=True)
    HydraConfig.instance().set_config(whole)
    files = {f"{stage}.yaml"} | {
        f"{group}/{choice}.yaml" for group, choice in whole.hydra.runtime.choices.items()
    }
    with open_dict(whole):
        del whole["hydra"]
    return config.checked(whole), files


def every_composition():
    for stage in SCHEMAS:
        for task in TASKS:
            for model in MODELS if stage == "train" else [None]:
                yield stage, task, model


@functools.cache
def files_of_compositions():
    stages = {
        name
        for stage, task, model in every_composition()
        for name in composed(stage, f"task={task}", *[f"model={model}"] * bool(model))[1]
    }
    return stages | {name for sweep in SWEEPS for name in composed("train", f"+sweep={sweep}")[1]}


@pytest.mark.parametrize("name", sorted(p.relative_to(CONF).as_posix() for p in CONF.rglob("*.*")))
def test_every_file_of_conf_is_part_of_a_composition(name):
    assert name in files_of_compositions()


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("model", sorted(set(SWEEPS) & set(MODELS)))
def test_a_model_takes_every_key_of_its_space(task, model):
    cfg, _ = composed("train", f"task={task}", f"model={model}", f"+sweep={model}")
    space = parse(cfg.sweep.space, getattr(cfg.task.variants, model, None))
    values = [
        f"++{parameter.key}={json.dumps(parameter.first)}"
        for parameter in space
        if parameter.condition is None
    ]
    assert len(values) > 1
    cfg, _ = composed("train", f"task={task}", f"model={model}", *values)
    built = config.build(cfg.model.estimator)
    if hasattr(built, "_validate_params"):
        built._validate_params()


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("model", MODELS)
def test_every_model_can_be_built_for_every_task(task, model):
    cfg, _ = composed("train", f"task={task}", f"model={model}", "seed=7")

    built = config.build(cfg.model.estimator)

    assert (cfg.task.name, cfg.model.name) == (task, model)
    assert cfg.model.view in cfg.task.views
    assert hasattr(built, "fit")
    if "random_state" in built.get_params() and model != "baseline":
        assert built.get_params()["random_state"] == 7


@pytest.mark.parametrize("task", TASKS)
def test_every_view_of_a_task_can_be_built(task):
    cfg, _ = composed("featurize", f"task={task}")

    for node in cfg.task.views.values():
        assert hasattr(config.build(node), "fit_transform")


@pytest.mark.parametrize("task", TASKS)
def test_the_deciding_metric_of_a_task_is_known_and_reported(task):
    from pipeline.evaluation.metrics import METRICS, check

    known = composed("evaluate", f"task={task}")[0].task

    # The classes that the file itself names.
    classes = [name.removeprefix("f1_") for name in known.metrics if name not in METRICS]
    classes += [known.positive] if known.positive else []
    check(known.metric, known.metrics, known.positive, known.threshold, classes)


def test_every_task_and_model_of_params_yaml_has_a_file():
    assert set(config.params()["tasks"]) <= set(TASKS)
    assert set(config.params()["models"]) <= set(MODELS)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["+task.source.paht=x"], "unknown key 'task.source.paht'; did you mean 'path'?"),
        (["+model.min_samples_leav=1"], "did you mean 'min_samples_leaf'?"),
        (
            ["task.views.raw.max_length=long"],
            "task.views.raw.max_length: 'long' is not of type int",
        ),
        (["task.source.keep_layout=1"], "task.source.keep_layout: 1 is not of type bool"),
        (["task.source._target_=pipeline.sources.nothing"], "cannot be imported"),
        (["+nonsense=1"], "unknown key 'nonsense'"),
    ],
)
def test_a_wrong_key_or_value_of_a_composition_is_told(overrides, message):
    with pytest.raises(UserError) as caught:
        composed("train", "task=genre", "model=random_forest", *overrides)

    assert message in str(caught.value)


TASK = config.Task(
    name="mine",
    source={"_target_": "pipeline.sources.text_folder.read", "path": "data/mine"},
    split=config.Split(),
    views={"engineered": {"_target_": "x"}, "raw": {"_target_": "y"}},
    metric="accuracy",
    metrics=["accuracy"],
    variants=config.Variants(baseline="majority", neural_net="cnn"),
)


def test_a_model_without_variants_is_its_file():
    node = {"family": "classical", "view": "engineered", "_target_": "x.Y", "C": 2}

    found = config.settled_model(node, "logistic_regression", TASK)

    assert found == config.Model(
        "logistic_regression", "classical", "engineered", {"_target_": "x.Y", "C": 2}
    )


def test_the_variant_that_the_task_names_adds_and_replaces_keys():
    node = {
        "family": "deep",
        "view": "raw",
        "_target_": "x.Net",
        "lr": 1,
        "epochs": 9,
        "variants": {"cnn": {"lr": 2, "filters": 3}, "mlp": {"lr": 4}},
    }

    found = config.settled_model(node, "neural_net", TASK)

    assert found == config.Model(
        "neural_net", "deep", "raw", {"_target_": "x.Net", "lr": 2, "epochs": 9, "filters": 3}
    )
    assert node["lr"] == 1


def test_what_the_command_line_sets_stands_against_the_variant():
    node = {"family": "deep", "view": "raw", "lr": 1, "variants": {"cnn": {"lr": 2, "filters": 3}}}

    found = config.settled_model(node, "neural_net", TASK, given=["seed", "model.lr"])

    assert found.estimator == {"lr": 1, "filters": 3}


def test_a_variant_may_bring_its_own_view():
    node = {"family": "baseline", "variants": {"majority": {"view": "engineered", "_target_": "x"}}}

    found = config.settled_model(node, "baseline", TASK)

    assert (found.view, found.estimator) == ("engineered", {"_target_": "x"})


def test_an_unknown_variant_is_told_with_the_nearest():
    node = {"family": "deep", "view": "raw", "variants": {"text_cnn": {}, "mlp": {}}}

    with pytest.raises(UserError, match=r"task\.variants\.neural_net: unknown variant 'cnn'"):
        config.settled_model(node, "neural_net", TASK)


def test_a_view_that_the_task_lacks_is_told_with_the_nearest():
    node = {"family": "deep", "view": "rae", "_target_": "x.Net"}

    with pytest.raises(UserError, match="'rae', which task mine lacks; did you mean 'raw'"):
        config.settled_model(node, "neural_net", TASK)


def test_a_variant_of_a_model_that_tasks_do_not_choose_is_told():
    # A user's own model file with variants: no task names one of them.
    node = {"family": "deep", "view": "raw", "variants": {"small": {}, "large": {}}}

    with pytest.raises(UserError, match="transformer"):
        config.settled_model(node, "transformer", TASK)


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (
            {"_target_": "pipeline.features.text.TokenIds", "max_lenght": 3},
            "unknown key 'here.max_lenght'; did you mean 'max_length'?",
        ),
        (
            {"_target_": "pipeline.features.text.TokenIds", "max_length": "3"},
            "here.max_length: '3' is not of type int",
        ),
        (
            {"_target_": "pipeline.features.text.TokenIds", "max_length": 3.5},
            "here.max_length: 3.5 is not of type int",
        ),
        (
            {"_target_": "pipeline.features.text.TokenIds", "max_length": True},
            "here.max_length: True is not of type int",
        ),
        (
            {"_target_": "pipeline.models.neural_net.NeuralNet", "lr": "fast"},
            "here.lr: 'fast' is not of type float",
        ),
        (
            {"raw": {"_target_": "pipeline.features.text.TokenIds", "words": 3}},
            "unknown key 'here.raw.words'",
        ),
        (
            [{"_target_": "pipeline.features.text.TokenIds", "words": 3}],
            "unknown key 'here.0.words'",
        ),
        (
            {
                "_target_": "pipeline.models.neural_net.NeuralNet",
                "network": {"_target_": "pipeline.models.networks.MLP", "dropot": 0.1},
            },
            "unknown key 'here.network.dropot'; did you mean 'dropout'?",
        ),
        (
            {"_target_": "pipeline.sources.table.read", "group": 5},
            "here.group: 5 is not of type str",
        ),
        (
            {"_target_": "pipeline.sources.table.read", "ignore": "age"},
            "here.ignore: 'age' is not a list",
        ),
        ({"_target_": "no.such.thing"}, "here._target_: 'no.such.thing' cannot be imported"),
        (
            {"_target_": "pipeline.features.text.TokenId"},
            "here._target_: 'pipeline.features.text.TokenId' cannot be imported",
        ),
        # The name of the function was forgotten.
        ({"_target_": "pipeline.sources.text_folder"}, "here._target_"),
        ({"_target_": "pipeline.config.ROOT"}, "here._target_"),
    ],
)
def test_check_targets_tells_what_is_wrong_where(node, message):
    with pytest.raises(UserError) as caught:
        config.check_targets(node, "here")

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "node",
    [
        {"_target_": "pipeline.models.neural_net.NeuralNet", "lr": 1, "max_epochs": 3},
        {"_target_": "pipeline.models.trees.LightGBM", "path_smooth": 0.1},
        {"_target_": "pipeline.models.networks.MLP", "_partial_": True, "hidden": [3]},
        {"no": "target"},
        "scalar",
        None,
    ],
    ids=str,
)
def test_check_targets_lets_what_is_right_pass(node):
    config.check_targets(node, "here")


def test_what_is_recorded_leaves_out_where_and_the_other_views():
    cfg, _ = composed(
        "train", "task=genre", "model=lightgbm", "seed=3", "tracking.uri=http://user:secret@host"
    )

    found = config.recorded(cfg)

    assert found.keys() == {"seed", "task", "model"}
    assert found["seed"] == 3
    assert found["task"]["views"].keys() == {"engineered"}
    assert found["task"]["name"] == "genre"
    assert found["model"]["name"] == "lightgbm"
    assert found["model"]["random_state"] == 3
    assert "secret" not in str(found)


def test_recording_does_not_change_the_configuration():
    cfg, _ = composed("train", "task=genre", "model=lightgbm")

    config.recorded(cfg)

    assert cfg.task.views.keys() == {"engineered", "raw", "length"}


def test_the_store_is_a_file_at_the_root_unless_the_environment_names_another(monkeypatch):
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert config.store_uri() == f"sqlite:///{config.ROOT.as_posix()}/mlflow.db"

    # As DVC sets it for an experiment that runs in a copy.
    monkeypatch.setenv("DVC_ROOT", "/projects/mine")
    assert config.store_uri() == "sqlite:////projects/mine/mlflow.db"

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert config.store_uri() == "http://127.0.0.1:5000"


def test_an_absolute_root_is_used_whatever_the_working_directory(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    cfg, _ = composed("ingest", "task=genre")

    assert cfg.task.source["path"] == os.fspath(config.ROOT / "data" / "genre")


@pytest.mark.parametrize("content", [None, "tasks: [", "tasks: \t- a"])
def test_params_yaml_that_cannot_be_read_is_told_by_name(content, monkeypatch, tmp_path):
    path = tmp_path / "params.yaml"
    if content is not None:
        path.write_text(content)
    monkeypatch.setattr(config, "PARAMS", path)

    with pytest.raises(UserError) as caught:
        config.params()

    assert f"{path} cannot be read" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_build_tells_a_mistake_of_the_users_as_it_is(tmp_path):
    node = {"_target_": "pipeline.sources.text_folder.read", "path": str(tmp_path / "no")}

    with pytest.raises(UserError, match="is not a folder"):
        config.build(node)


def test_build_keeps_a_partial_of_a_network():
    node = {
        "_target_": "pipeline.models.neural_net.NeuralNet",
        "network": {
            "_target_": "pipeline.models.networks.MLP",
            "_partial_": True,
            "hidden": [3, 4],
        },
    }

    network = config.build(node).network

    assert network.keywords == {"hidden": [3, 4]}
    assert isinstance(network.keywords["hidden"], list)
