"""Every file of conf/ composes, and what a user may get wrong in it is reported."""

import copy
import functools
import json
import re
import shutil

import hydra
import numpy as np
import pytest
import yaml
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.errors import MissingConfigException
from omegaconf import OmegaConf, open_dict

from pipeline import compose, paths
from pipeline.config import code, composition, conf, messages, schema
from pipeline.config.messages import describe_error
from pipeline.config.settings import merge, pick_settings
from pipeline.config.targets import EXTRAS, build
from pipeline.errors import UserError
from pipeline.paths import CONF, ROOT
from pipeline.problems import class_of, kinds
from pipeline.sweep import space


def choices(group):
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


TASKS, MODELS, SWEEPS = choices("task"), choices("model"), choices("sweep")


def pairs(models):
    """Return each model with each task of its kind, and mark those that need an extra."""
    extras = {"keras_net": "keras"} | {name: name for name in EXTRAS.values()}
    return [
        pytest.param(
            model, task, marks=[pytest.mark.extra(extras[model])] if model in extras else []
        )
        for model in models
        for task in TASKS
        if conf.supports(model, kind_of(task))
    ]


@functools.cache
def kind_of(task):
    """Return the kind of problem that a task's file names or builds on."""
    read = yaml.safe_load((CONF / f"task/{task}.yaml").read_text("utf-8"))
    return read.get("kind") or next(k for k in kinds() if f"base/{k}" in read["defaults"])


@pytest.fixture(autouse=True, scope="module")
def hydra_as_it_was():
    """Restore Hydra's singletons: the schemas, and the configuration of a job."""
    before = Singleton.get_state()
    yield
    Singleton.set_state(before)


# Tasks, and architectures for them that a user asks for.
OTHERS = [("genre", "text_gru"), ("genre", "cnn")]


@functools.cache
def registered(stage):
    """Return what Hydra knows of the files of conf/ once a stage is registered."""
    store = ConfigStore.instance()
    store.repo = copy.deepcopy(store.repo)  # that of another stage stays as it is
    composition.register(stage)
    return store.repo


def composed(stage, *overrides):
    """Compose and check as `command.run` does."""
    if paths.CONF == CONF:
        ConfigStore.instance().repo = registered(stage)
    else:
        composition.register(stage)
    with hydra.initialize_config_dir(str(paths.CONF), version_base="1.3"):
        whole = hydra.compose(stage, list(overrides), return_hydra_config=True)
    HydraConfig.instance().set_config(whole)
    with open_dict(whole):
        del whole["hydra"]
    return composition.check_and_settle(whole)


@functools.cache
def files_of_compositions():
    """Name the files that Hydra reads for the stages, each task, model, architecture and sweep."""
    found = set()
    for stage in schema.SCHEMAS:
        ConfigStore.instance().repo = registered(stage)
        with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
            for task in TASKS if stage == "train" else TASKS[:1]:
                of_task = MODELS if task == TASKS[0] else ["baseline", "keras_net", "neural_net"]
                for model in of_task if stage == "train" else [None]:
                    asked = [f"task={task}", *[f"model={model}"] * bool(model)]
                    whole = hydra.compose(stage, asked, return_hydra_config=True)
                    found |= {f"{stage}.yaml"}
                    found |= {f"{g}/{c}.yaml" for g, c in whole.hydra.runtime.choices.items()}
                    if model and whole.model.get("architecture"):
                        found |= {f"architecture/{whole.model.architecture}.yaml"}
            for sweep in SWEEPS if stage == "train" else []:
                whole = hydra.compose(stage, [f"+sweep={sweep}"], return_hydra_config=True)
                found |= {f"{g}/{c}.yaml" for g, c in whole.hydra.runtime.choices.items()}
    bases = [yaml.safe_load(p.read_text("utf-8")) for p in CONF.glob("task/**/*.yaml")]
    found |= {
        f"task/base/{b.rpartition('/')[2]}.yaml" for n in bases for b in n.get("defaults", [])
    }
    return found


@pytest.mark.parametrize("name", sorted(p.relative_to(CONF).as_posix() for p in CONF.rglob("*.*")))
def test_every_file_of_conf_is_part_of_a_composition(name):
    # To run jobs elsewhere, and architectures for tasks that name another.
    others = ["backbone", *(architecture for _, architecture in OTHERS)]
    asked_for = {"hydra/launcher/ray.yaml", *(f"architecture/{one}.yaml" for one in others)}
    assert name in files_of_compositions() | asked_for


@pytest.mark.parametrize(("task", "architecture"), OTHERS)
def test_an_architecture_that_no_task_names_is_taken_with_its_space(task, architecture):
    asked = [f"task={task}", "model=neural_net", f"architecture={architecture}"]
    cfg = composed("train", *asked, "+sweep=neural_net")

    searched = {one.key for one in space.parse(space.configured_ranges(cfg))}
    of_it = {key for key in searched if key.startswith("model.network.")}
    assert of_it == set(cfg.sweep.architecture_space[architecture])
    assert {key.rpartition(".")[2] for key in of_it} <= set(cfg.model.estimator["network"])
    build(composed("train", *asked).model.estimator)


@pytest.mark.parametrize(("model", "task"), pairs(sorted(set(SWEEPS) & set(MODELS))))
def test_a_model_takes_every_key_of_its_space(task, model):
    cfg = composed("train", f"task={task}", f"model={model}", f"+sweep={model}")
    searched = space.parse(space.configured_ranges(cfg))
    values = [
        f"++{parameter.key}={json.dumps(parameter.first)}"
        for parameter in searched
        if parameter.condition is None
    ]
    assert values
    assert hasattr(
        build(composed("train", f"task={task}", f"model={model}", *values).model.estimator), "fit"
    )


@pytest.mark.parametrize(("model", "task"), pairs(MODELS))
def test_every_model_can_be_built_for_every_task(task, model):
    cfg = composed("train", f"task={task}", f"model={model}", "seed=7")

    built = build(cfg.model.estimator)

    assert (cfg.task.name, cfg.model.name) == (task, model)
    assert cfg.model.view in cfg.task.views
    assert cfg.task.kind == kind_of(task)
    assert hasattr(built, "fit")
    if "random_state" in built.get_params() and model != "baseline":
        assert built.get_params()["random_state"] == 7


@pytest.mark.parametrize(
    ("model", "task", "other"),
    [
        ("logistic_regression", "table_regression", "classification"),
        ("linear", "genre", "regression"),
    ],
)
def test_a_model_of_another_kind_is_refused_by_hand_and_left_out_of_a_board(model, task, other):
    expected = f"model {model} is for {other}, not for {kind_of(task)}"
    with pytest.raises(UserError, match=expected):
        composed("train", f"task={task}", f"model={model}")

    board = composed("evaluate", f"task={task}", f"models=[baseline,{model}]")
    assert board.models == ["baseline"]


@pytest.mark.parametrize("task", TASKS)
def test_every_view_of_a_task_can_be_built(task):
    for node in composed("featurize", f"task={task}").task.views.values():
        assert hasattr(build(node), "fit_transform")


def test_every_task_and_model_of_params_yaml_has_a_file():
    assert set(conf.params()["tasks"]) <= set(TASKS)
    assert set(conf.params()["models"]) <= set(MODELS)


@pytest.mark.parametrize(
    ("stage", "overrides", "message"),
    [
        ("ingest", ["+task.source.paht=x"], "unknown key 'task.source.paht'; did you mean 'path'?"),
        ("train", ["+model.min_samples_leav=1"], "did you mean 'min_samples_leaf'?"),
        (
            "featurize",
            ["task.views.raw.max_length=long"],
            "task.views.raw.max_length: 'long' is not of type int",
        ),
        ("ingest", ["task.source._target_=pipeline.sources.nothing"], "cannot be imported"),
        ("train", ["+nonsense=1"], "unknown key 'nonsense'"),
        ("train", ["model.family=clasical"], "unknown family 'clasical'; did you mean 'classical'"),
        ("train", ["model.view=rae"], "view 'rae', which task genre lacks; did you mean 'raw'"),
        ("train", ["model.view=null"], "conf/model/random_forest.yaml: the key 'view' is missing"),
        ("train", ["seed=4294967296"], "seed: 4294967296 is not between 0 and 4294967295"),
        ("train", ["task.seeds=[]"], "task.seeds: [] are not one or more different seeds"),
        ("train", ["task.seeds=[1,1]"], "task.seeds: [1, 1] are not one or more different seeds"),
        ("train", ["task.seeds=[0,-1]"], "task.seeds: -1 is not between 0 and 4294967295"),
        ("ingest", ["split_seed=-1"], "split_seed: -1 is not between 0 and 4294967295"),
        ("train", ["task.name=x"], "task.name"),
        ("ingest", ["task.name="], "task.name cannot be set"),
        ("ingest", ["task=../task/table"], "task: '../task/table' is not a name"),
        ("train", ["sweep.study=../x"], "sweep.study: '../x' is not a name"),
        ("train", ["sweep.study="], "sweep.study: '' is not a name"),
        ("train", ["+model.architecture=text_cnn"], "set architecture=text_cnn"),
        ("train", ["architecture=text_cnm"], "Could not find 'architecture/text_cnm'"),
    ],
)
def test_a_wrong_key_or_value_of_a_composition_is_reported(stage, overrides, message):
    model = ["model=random_forest"] if stage == "train" else []
    with pytest.raises(Exception) as caught:
        composed(stage, *dict.fromkeys(["task=genre", *model]), *overrides)

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("stage", "override", "owner"),
    [
        ("train", "task.views.engineered.words=10", "featurize"),
        ("train", "task.split.test=0.1", "ingest"),
        ("train", "split_seed=1", "ingest"),
        ("featurize", "task.source.path=elsewhere", "ingest"),
        ("evaluate", "task.views.raw.max_length=3", "featurize"),
        ("ingest", "task.metric=accuracy", "train"),
        ("ingest", "seed=1", "train"),
    ],
)
def test_a_key_of_another_stage_is_refused_with_the_command_that_applies_it(stage, override, owner):
    with pytest.raises(UserError) as caught:
        composed(stage, "task=genre", override)

    assert f"is used by {owner}, not by {stage}" in str(caught.value)
    assert f"python -m pipeline.{owner} task=genre {override}," in str(caught.value)


@pytest.mark.slow
def test_every_stage_composes_for_every_task():
    documents = compose.compose(TASKS, ["baseline"])
    for task in TASKS:
        for stage in ("ingest", "featurize", "combine", "evaluate"):
            assert documents[paths.composed_file(stage, task)]["task"]["name"] == task
        trained = documents[paths.composed_file("train", task, "baseline")]
        assert (trained["task"]["name"], trained["model"]["name"]) == (task, "baseline")


def test_what_the_task_sets_for_a_model_is_set_on_the_command_line_as_the_models():
    with pytest.raises(UserError, match=r"read from the task's file only: set model\.lr"):
        composed("train", "task=genre", "++task.models.neural_net.lr=1")


@pytest.fixture
def own_conf(monkeypatch, tmp_path):
    """Return a copy of conf/ to write in, which the code reads, until the test ends."""
    shutil.copytree(CONF, tmp_path / "conf")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    for module in (paths, conf, composition, compose, messages):
        monkeypatch.setattr(module, "CONF", tmp_path / "conf")
    monkeypatch.setattr(paths, "PARAMS", tmp_path / "params.yaml")
    monkeypatch.setattr(ConfigStore.instance(), "repo", copy.deepcopy(ConfigStore.instance().repo))
    return tmp_path / "conf"


def settings_of(model, *overrides):
    return composed("train", "task=mine", f"model={model}", *overrides).model


def test_precedence_is_file_architecture_task_adopted_command_line(own_conf):
    """Five values of one key; each source is taken away in turn."""
    (own_conf / "model/net.yaml").write_text(
        "family: deep\nview: raw\n_target_: argparse.Namespace\nlr: 1\narchitecture: big\n"
    )
    architecture = own_conf / "architecture/big.yaml"
    architecture.write_text("# @package model\nlr: 2\nlayers: {width: 9, depth: 1}\n")
    task = (own_conf / "task/genre.yaml").read_text()
    task = task.replace("models:\n", "models:\n  net:\n    lr: 3\n    layers: {depth: 2}\n")
    (own_conf / "task/mine.yaml").write_text(task)
    adopted = own_conf / "adopted/mine/net.yaml"
    adopted.parent.mkdir(parents=True)
    adopted.write_text("# @package model\nlr: 4\n")

    assert settings_of("net", "model.lr=5").estimator["lr"] == 5
    assert settings_of("net").estimator["lr"] == 4
    adopted.unlink()
    assert settings_of("net").estimator["lr"] == 3
    assert settings_of("net").estimator["layers"] == {"width": 9, "depth": 2}
    (own_conf / "task/mine.yaml").write_text(task.replace("    lr: 3\n", ""))
    assert settings_of("net").estimator["lr"] == 2
    architecture.write_text("# @package model\n{}\n")
    assert settings_of("net").estimator["lr"] == 1


def test_the_command_line_may_choose_another_architecture(own_conf):
    found = composed("train", "task=genre", "model=neural_net", "architecture=mlp").model
    assert found.architecture == "mlp"
    assert found.estimator["network"]["_target_"] == "pipeline.models.networks.tables.MLP"
    assert "filters" not in found.estimator["network"]


def test_a_task_may_bring_a_network_of_its_own_instead_of_an_architecture(own_conf):
    task = (own_conf / "task/breast_cancer.yaml").read_text()
    network = "{architecture: null, network: {_target_: argparse.Namespace}}"
    (own_conf / "task/mine.yaml").write_text(f"{task}models: {{neural_net: {network}}}\n")

    found = settings_of("neural_net")

    assert found.architecture is None
    assert found.estimator["network"] == {"_target_": "argparse.Namespace"}


def test_an_architecture_that_is_not_there_is_reported_with_the_nearest(own_conf):
    task = (own_conf / "task/breast_cancer.yaml").read_text()
    (own_conf / "task/mine.yaml").write_text(
        f"{task}models: {{neural_net: {{architecture: mpl}}}}\n"
    )
    with pytest.raises(UserError, match="unknown architecture 'mpl'; did you mean 'mlp'"):
        settings_of("neural_net")


def test_a_model_may_have_a_target_for_each_kind_of_problem(own_conf):
    (own_conf / "model/line.yaml").write_text(
        "family: classical\nview: engineered\n"
        "_target_: {classification: sklearn.linear_model.LogisticRegression}\n"
    )
    found = composed("train", "task=genre", "model=line").model
    assert found.estimator["_target_"] == "sklearn.linear_model.LogisticRegression"
    with pytest.raises(UserError, match="model line is for classification, not for regression"):
        composed("train", "task=table_regression", "model=line")


def test_the_readmes_example_of_a_model_is_all_that_it_takes(own_conf):
    readme = (ROOT / "README.md").read_text("utf-8")
    (name, text) = re.search(
        r"here the whole of `conf/model/(\w+)\.yaml`:\n\n```yaml\n(.*?)```", readme, re.DOTALL
    ).groups()
    assert name not in MODELS
    (own_conf / f"model/{name}.yaml").write_text(text)

    model = build(composed("train", "task=genre", f"model={name}").model.estimator)

    X = np.arange(40.0)[:, np.newaxis]
    y = np.repeat(["novel", "poetry"], 20)
    assert model.fit(X, y).predict_proba(X[:2]).tolist() == [[1, 0], [1, 0]]


def test_settings_of_a_stage_are_what_it_uses_and_no_more():
    cfg = composed("train", "task=genre", "model=lightgbm", "seed=3", "tracking.uri=http://u:pw@h")

    found = pick_settings("train", cfg)

    assert found.keys() == {"seed", "task", "model"}
    assert found["seed"] == found["model"]["random_state"] == 3
    assert "views" not in found["task"]
    assert found["model"]["name"] == "lightgbm"
    assert "pw" not in str(found)


def test_nested_settings_are_put_together():
    first = {"task": {"name": "a", "split": {"test": 0.1}}, "seed": 1}
    second = {"task": {"views": {"raw": 1}}, "seed": 2}
    assert merge(first, second) == {
        "task": {"name": "a", "split": {"test": 0.1}, "views": {"raw": 1}},
        "seed": 2,
    }


def test_the_store_is_a_file_at_the_root_unless_the_environment_names_another(monkeypatch):
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert paths.store_uri() == f"sqlite:///{ROOT.as_posix()}/mlflow.db"

    # As DVC sets it for an experiment that runs in a copy.
    monkeypatch.setenv("DVC_ROOT", "/projects/mine")
    assert paths.store_uri() == "sqlite:////projects/mine/mlflow.db"

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert paths.store_uri() == "http://127.0.0.1:5000"


GOOD = "tasks: [genre]\nmodels: [baseline]\nseed: 0\nsplit_seed: 0\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("tasks: [", "params.yaml, line 1 cannot be read as YAML"),
        ("tasks: \t- a", "params.yaml, line 1 cannot be read as YAML"),
        ("", "params.yaml is empty"),
        ("- a\n", "params.yaml holds only \"['a']\": expected keys and values"),
        (GOOD.replace("seed: 0\n", "sede: 3\n", 1), "unknown key 'sede'; did you mean 'seed'?"),
        (GOOD.replace("\nseed: 0", ""), "the key 'seed' is missing"),
        (GOOD.replace("[baseline]", "baseline"), "models: 'baseline' is not a list of names"),
        (GOOD.replace("[baseline]", "[]"), "models is empty: name at least one"),
        (GOOD.replace("[genre]", "[genre, genre]"), "tasks: 'genre' is listed twice"),
        (GOOD.replace("[genre]", "[1]"), "tasks: 1 is not a name"),
        (GOOD.replace("split_seed: 0", "split_seed: a"), "split_seed: 'a' is not a whole number"),
    ],
)
def test_a_mistake_in_params_yaml_is_reported(content, message, own_conf):
    paths.PARAMS.write_text(content)

    with pytest.raises(UserError) as caught:
        conf.params()

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_params_yaml_is_reported_by_name(own_conf):
    paths.PARAMS.unlink()
    with pytest.raises(UserError, match=r"params\.yaml cannot be read"):
        conf.params()


SPLIT = "split:\n  folds: 5\n  validation: 0.25\n"


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("task/genre.yaml", "split:", "splitt:", "conf/task/genre.yaml: unknown key 'task.splitt'"),
        (
            "task/genre.yaml",
            "  validation: 0.25",
            "  validaton: 0.25",
            "unknown key 'task.split.validaton'; did you mean 'task.split.validation'?",
        ),
        (
            "task/genre.yaml",
            SPLIT,
            "split: 0.2\n",
            "task.split: expected keys",
        ),
        ("task/genre.yaml", "views:", "views: [", "conf/task/genre.yaml, line "),
        ("task/genre.yaml", "  validation: 0.25", "  validation: much", "task.split.validation"),
        ("task/base/text.yaml", "views:", "vieuws:", "unknown key 'task.vieuws'"),
        ("task/genre.yaml", "  baseline:\n    architecture: word_count", "  baseline: 5", "models"),
        ("model/baseline.yaml", "family: baseline", "", "the key 'family' is missing"),
        (
            "model/baseline.yaml",
            "family: baseline",
            "family: baseline\nfamilly: deep",
            "conf/model/baseline.yaml: unknown key 'familly'; did you mean 'family'?",
        ),
        ("model/baseline.yaml", "family: baseline", "famly: baseline", "'family' is missing"),
        ("architecture/word_count.yaml", "_target_:", "_traget_:", "the key '_target_' is missing"),
        ("model/baseline.yaml", "family", "family: [", "conf/model/baseline.yaml, line "),
        ("architecture/word_count.yaml", "view: length", "view: {a: 1}", "the view '{'a': 1}'"),
        ("architecture/word_count.yaml", "view:", "trusted: x.Y\nview:", "'x.Y' is not a list"),
        ("architecture/word_count.yaml", "below: 100", "below: ${sed}", "model.poetry_below: "),
        ("task/genre.yaml", "base/text", "base/txet", "there is no conf/task/base/txet.yaml"),
        (
            "task/base/classification.yaml",
            "metric: f1_macro",
            "",
            "conf/task/genre.yaml: the key 'metric' is missing",
        ),
    ],
)
def test_a_mistake_in_conf_is_reported_with_its_file_or_key(own_conf, file, old, new, message):
    text = (own_conf / file).read_text()
    assert text.count(old) == 1
    (own_conf / file).write_text(text.replace(old, new))

    with pytest.raises(UserError) as caught:
        compose.compose(["genre"], ["baseline"])

    assert message in str(caught.value)
    assert "raised while composing" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["", "- a list\n", "text\n", "5\n", "1.5\n", "true\n"])
def test_a_model_file_without_keys_is_reported(own_conf, content):
    (own_conf / "model/mine.yaml").write_text(content)
    with pytest.raises(UserError, match="mine"):
        compose.compose(["genre"], ["mine"])


@pytest.mark.parametrize("choice", ["", "../model/baseline"])
def test_a_model_that_is_no_name_is_reported(choice):
    with pytest.raises(MissingConfigException) as caught:
        composed("train", "task=genre", f"model={choice}")
    assert describe_error(caught.value, "train").startswith(f"unknown model '{choice}'; ")


def test_a_name_that_has_no_file_is_reported_with_the_nearest():
    with pytest.raises(
        UserError, match=r"tasks: there is no conf/task/genr\.yaml; did you mean 'genre'"
    ):
        compose.check_names("task", ["genr"])


@pytest.mark.parametrize(
    ("metric", "metrics", "said"),
    [
        ("f1_marco", "[f1_macro]", "unknown metric 'f1_marco'; did you mean 'f1_macro'?"),
        ("f1_macro", "[f1_macro, f1_marco]", "'f1_marco'; did you mean 'f1_macro'?"),
        ("rmse", "[rmse]", "unknown metric 'rmse', which is one of regression; known: accuracy"),
        ("accuracy", "[f1_macro]", "metric 'accuracy' is not among its metrics [f1_macro]"),
    ],
)
def test_a_metric_that_the_kind_of_problem_lacks_is_refused(own_conf, metric, metrics, said):
    task = yaml.safe_load((own_conf / "task/genre.yaml").read_text())
    task |= {"metric": metric, "metrics": yaml.safe_load(metrics)}
    (own_conf / "task/mine.yaml").write_text(yaml.safe_dump(task))

    with pytest.raises(UserError) as caught:
        compose.compose(["mine"], ["baseline"])

    assert str(caught.value).startswith("task mine: ")
    assert said in str(caught.value)


def test_the_f1_of_a_class_is_left_to_the_stages_that_know_the_classes(own_conf):
    task = yaml.safe_load((own_conf / "task/genre.yaml").read_text())
    task |= {"metric": "f1_poetry", "metrics": ["f1_poetry", "f1_macro"]}
    (own_conf / "task/mine.yaml").write_text(yaml.safe_dump(task))

    compose.compose(["mine"], ["baseline"])


@pytest.mark.parametrize("kind", kinds())
def test_the_metrics_of_a_kind_are_found_without_importing_it(kind):
    assert sorted(code.metrics(compose.PROBLEMS / f"{kind}.py")) == sorted(class_of(kind).METRICS)


def test_metrics_that_a_kind_imports_from_another_are_found(tmp_path):
    (tmp_path / "one.py").write_text("@metric()\ndef mae():\n    pass\ndef help():\n    pass\n")
    (tmp_path / "two.py").write_text("from pipeline.problems.one import help, mae\n")

    assert code.metrics(tmp_path / "two.py") == ["mae"]


def test_code_beside_the_package_is_refused_because_dvc_does_not_watch_it(
    own_conf, tmp_path, monkeypatch
):
    (tmp_path / "beside.py").write_text("def read():\n    pass\n")
    monkeypatch.setattr(code, "ROOT", tmp_path)
    task = (own_conf / "task/breast_cancer.yaml").read_text()
    target = "pipeline.tasks.breast_cancer.source.read"
    (own_conf / "task/mine.yaml").write_text(task.replace(target, "beside.read"))
    code._files.cache_clear()
    try:
        with pytest.raises(UserError) as caught:
            compose.compose(["mine"], ["baseline"])
    finally:
        code._files.cache_clear()

    assert str(caught.value) == (
        "task mine runs beside.py, and dvc repro would not see it change: "
        "move it into pipeline/, such as to pipeline/tasks/mine/"
    )


def test_every_stage_has_settings_of_its_own_and_no_path_of_this_machine():
    documents = compose.compose(["genre"], ["baseline", "lightgbm"])
    assert [file.relative_to(paths.COMPOSED).as_posix() for file in documents] == [
        "ingest/genre.yaml",
        "featurize/genre.yaml",
        "train/genre/baseline.yaml",
        "train/genre/lightgbm.yaml",
        "combine/genre.yaml",
        "evaluate/genre.yaml",
    ]
    assert str(ROOT) not in yaml.safe_dump([*documents.values()])
    assert (
        "pipeline/models/trees.py"
        in documents[paths.composed_file("train", "genre", "lightgbm")]["code"]
    )
    baseline = documents[paths.composed_file("train", "genre", "baseline")]
    assert "pipeline/models/trees.py" not in baseline["code"]
    assert baseline["model"]["_target_"] == "pipeline.models.baseline.WordCountRule"


def test_what_a_model_trusts_is_read_from_no_folder_but_conf(tmp_path, monkeypatch):
    monkeypatch.setattr(conf, "CONF", tmp_path / "conf")
    (tmp_path / "conf/model").mkdir(parents=True)
    (tmp_path / "conf/task").mkdir()
    own = "trusted: [mine.Mine]\ncatalogue: {_target_: mine.items}\n"
    (tmp_path / "conf/model/mine.yaml").write_text(own)
    (tmp_path / "conf/task/mine.yaml").write_text(own)
    # A stranger's model may bring any file, and name what it likes.
    (tmp_path / "evil.yaml").write_text(own.replace("mine", "evil"))
    outside = ["../../evil", str(tmp_path / "evil"), "../model/mine"]

    assert conf.trusted_by({"model": "mine"}) == ["mine.Mine"]
    assert conf.catalogue("mine") == {"_target_": "mine.items"}
    for name in outside:
        assert conf.trusted_by({"model": "mine", "members": [{"model": name}]}) == ["mine.Mine"]
        assert conf.trusted_by({"model": name}) == []
        assert conf.catalogue(name) is None


def test_yaml_is_read_and_written_as_hydra_does(tmp_path):
    """YAML 1.1 takes 1e-3 for a text, OmegaConf for a number."""
    node = {"texts": ["1e-3", "1.5E3", "-2e+05", "1e", "yes", "2024-01-01", "é"], "number": 1e-3}
    (tmp_path / "written.yaml").write_text(conf.to_yaml(node), encoding="utf-8")
    (tmp_path / "typed.yaml").write_text("a: 1e-3\nb: -1.5E3\nc: 1e\n", encoding="utf-8")

    assert OmegaConf.to_container(OmegaConf.load(tmp_path / "written.yaml")) == node
    assert conf.read_yaml(tmp_path / "written.yaml") == node
    assert conf.read_yaml(tmp_path / "typed.yaml") == {"a": 0.001, "b": -1500.0, "c": "1e"}
