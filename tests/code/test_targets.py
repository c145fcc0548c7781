"""What a `_target_` names is checked and built; paths do not depend on where one stands."""

import sys

import pytest
import yaml

from pipeline.config.targets import EXTRAS, anchor_paths, build, check_targets
from pipeline.errors import UserError
from pipeline.paths import ROOT


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
                "network": {"_target_": "pipeline.models.networks.tables.MLP", "dropot": 0.1},
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
        check_targets(node, "here")

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "node",
    [
        {"_target_": "pipeline.models.neural_net.NeuralNet", "lr": 1, "max_epochs": 3},
        {"_target_": "pipeline.models.trees.LightGBM", "path_smooth": 0.1},
        {"_target_": "pipeline.models.networks.tables.MLP", "_partial_": True, "hidden": [3]},
        {"no": "target"},
        "scalar",
        None,
    ],
    ids=str,
)
def test_check_targets_lets_what_is_right_pass(node):
    check_targets(node, "here")


def test_build_tells_a_mistake_of_the_users_as_it_is(tmp_path):
    node = {"_target_": "pipeline.sources.text_folder.read", "path": str(tmp_path / "no")}

    with pytest.raises(UserError, match="is not a folder"):
        build(node)


def test_build_keeps_a_partial_of_a_network():
    node = {
        "_target_": "pipeline.models.neural_net.NeuralNet",
        "network": {
            "_target_": "pipeline.models.networks.tables.MLP",
            "_partial_": True,
            "hidden": [3, 4],
        },
    }

    network = build(node).network

    assert network.keywords == {"hidden": [3, 4]}
    assert isinstance(network.keywords["hidden"], list)


TEXTS = {"_target_": "pipeline.sources.text_folder.read", "path": "mine"}


def test_a_path_of_a_file_starts_at_the_root_whatever_the_working_directory(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert anchor_paths(TEXTS, "task.source", []) == TEXTS
    with pytest.raises(UserError, match=f"^{ROOT}/mine is not a folder"):
        build(TEXTS)


def test_a_path_of_the_command_line_starts_at_the_working_directory(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    found = anchor_paths(TEXTS, "task.source", ["task.source.path"])
    assert found == TEXTS | {"path": str(tmp_path / "mine")}


def test_a_path_within_the_project_does_not_say_where_the_project_lies(monkeypatch):
    monkeypatch.chdir(ROOT / "data")
    found = anchor_paths(TEXTS, "task.source", ["task.source.path"])
    assert found == TEXTS | {"path": "data/mine"}


def test_what_fails_as_it_is_built_is_reported_with_its_error_and_line(tmp_path, monkeypatch):
    (tmp_path / "failing_target.py").write_text("def read():\n    return {}['colour']\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError) as caught:
        build({"_target_": "failing_target.read"})
    assert str(caught.value) == (
        "failing_target.read failed: KeyError: 'colour' (failing_target.py, line 2)"
    )


def test_a_target_without_what_it_needs_is_reported_by_its_name():
    with pytest.raises(UserError, match=r"Pipeline failed: TypeError: .*'steps'"):
        build({"_target_": "sklearn.pipeline.Pipeline"})


@pytest.mark.parametrize("extra", sorted(EXTRAS.values()))
def test_a_model_whose_package_is_not_installed_names_its_extra(extra, monkeypatch):
    model = "keras_net" if extra == "keras" else extra
    node = yaml.safe_load((ROOT / f"conf/model/{model}.yaml").read_text("utf-8"))
    target = node["_target_"]["classification"]
    module, _, name = target.rpartition(".")
    (package,) = (package for package, its in EXTRAS.items() if its == extra)
    for imported in [one for one in sys.modules if one.startswith(f"{package}.")]:
        monkeypatch.delitem(sys.modules, imported)
    # Import fails with ModuleNotFoundError where a module is None.
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.delattr(f"pipeline.models.{module.rpartition('.')[2]}", raising=False)
    with pytest.raises(UserError) as caught:
        check_targets({"_target_": target}, "model")
    assert str(caught.value) == (
        f"model._target_: '{module}.{name}' cannot be imported (it needs {package}, which is not "
        f"installed: pip install -e '.[{extra}]')"
    )


@pytest.mark.parametrize(("value", "written"), [(True, "true"), (6, "6")])
def test_a_number_or_truth_value_where_a_text_is_due_is_told_how_to_quote_it(value, written):
    node = {"_target_": "pipeline.sources.table.read", "label": value}

    with pytest.raises(UserError) as caught:
        check_targets(node, "task.source")

    assert f"task.source.label=\"'{written}'\" on the command line" in str(caught.value)
