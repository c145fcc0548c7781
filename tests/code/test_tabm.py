"""The network for tables: its members, its pieces, and what of it is saved."""

import functools

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.metrics import log_loss
from sklearn.pipeline import Pipeline
from torch.nn import functional

from pipeline.errors import UserError
from pipeline.features.reduction import Reduction
from pipeline.features.scaler import SmoothScaler
from pipeline.models.networks.tabm import TabM
from pipeline.models.neural_net import NeuralNet

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 5)).astype(np.float32)
Y = np.array(["essay", "novel", "poetry"])[np.digitize(X[:, 0] * X[:, 1], [-0.3, 0.3])]
SMALL = functools.partial(TabM, members=4, units=16, layers=1)


def net(**options):
    steps = [["reduce", Reduction(3)], ["scale", SmoothScaler()]]
    settings = {"lr": 0.01, "max_epochs": 3, "device": "cpu", "random_state": 0}
    return NeuralNet(SMALL, Pipeline(steps), **settings | options)


@pytest.fixture
def module():
    X_torch = torch.from_numpy(X)
    return TabM(**TabM.dimensions(X_torch), n_outputs=3, members=4, units=16, dropout=0.0)


def test_in_training_each_member_has_outputs(module):
    assert module.train()(torch.from_numpy(X)).shape == (200, 4, 3)


def test_a_prediction_is_the_mean_of_the_probabilities_of_the_members(module):
    with torch.inference_mode():
        each = module.train()(torch.from_numpy(X))
        together = module.eval()(torch.from_numpy(X))
    expected = np.mean([functional.softmax(each[:, i], 1).numpy() for i in range(4)], axis=0)
    np.testing.assert_allclose(functional.softmax(together, 1).numpy(), expected, rtol=1e-5)


def test_a_single_output_is_the_mean_of_the_members():
    X_torch = torch.from_numpy(X)
    module = TabM(**TabM.dimensions(X_torch), n_outputs=1, members=4, units=16, dropout=0.0)
    with torch.inference_mode():
        each, together = module.train()(X_torch), module.eval()(X_torch)
    np.testing.assert_allclose(together.numpy(), each.numpy().mean(1), rtol=1e-5, atol=1e-7)


def test_pieces_end_at_quantiles_of_training():
    (ends,) = TabM.dimensions(torch.from_numpy(X[:, :1]))["bins"]
    np.testing.assert_allclose(ends, np.quantile(X[:, 0], np.linspace(0, 1, 17)), rtol=1e-5)


def test_a_column_of_one_value_is_read_without_a_warning():
    X_torch = torch.tensor([[1.0, 0.0], [1.0, 2.0], [1.0, 5.0]])
    module = TabM(**TabM.dimensions(X_torch), n_outputs=2, members=2, units=4).eval()

    assert module(X_torch).isfinite().all()


def test_a_column_of_few_values_has_fewer_pieces_and_a_constant_has_one():
    flags = np.stack([np.repeat([0, 1], [51, 49]), np.ones(100)], axis=1).astype(np.float32)
    assert TabM.dimensions(torch.from_numpy(flags)) == {"bins": [[0, 1], [1, 2]]}


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_it_predicts_the_same_once_loaded(form, tmp_path):
    model = net().fit(form(X[:100]), Y[:100], (form(X[100:]), Y[100:]))
    model.save(tmp_path)

    again = NeuralNet.load(tmp_path)

    np.testing.assert_array_equal(again.predict_proba(form(X)), model.predict_proba(form(X)))
    assert {path.name for path in tmp_path.iterdir()} == {
        "network.json",
        "network.safetensors",
        "preprocessor.skops",
    }
    assert "models.networks.tabm.TabM" in (tmp_path / "network.json").read_text()


def test_the_preprocessor_is_fitted_on_train_only():
    far = X[100:] + 1000
    model = net().fit(X[:100], Y[:100], (far, Y[100:]))

    np.testing.assert_allclose(
        model.preprocessor_.named_steps["scale"].center_, np.median(X[:100], axis=0), rtol=1e-5
    )


def test_a_missing_preprocessor_is_reported_by_name(tmp_path):
    net().fit(X, Y).save(tmp_path)
    (tmp_path / "preprocessor.skops").unlink()

    with pytest.raises(UserError, match=r"preprocessor\.skops does not exist"):
        NeuralNet.load(tmp_path)


def test_the_loss_on_validation_is_that_of_the_prediction():
    reported = []
    model = net(max_epochs=8)
    model.fit(X[:100], Y[:100], (X[100:], Y[100:]), lambda *e: reported.append(e))

    best = min(point["validation/log_loss"] for _, point in reported)
    found = log_loss(Y[100:], model.predict_proba(X[100:]))
    assert found == pytest.approx(best, rel=1e-5)


def test_it_learns_a_product_of_two_columns():
    model = net(max_epochs=60).fit(X[:150], Y[:150])
    assert (model.predict(X[150:]) == Y[150:]).mean() > 0.6


@pytest.mark.parametrize("options", [{"members": 0}, {"units": 1.5}, {"dropout": 1}])
def test_a_setting_out_of_range_is_named(options):
    with pytest.raises((ValueError, TypeError), match=next(iter(options))):
        TabM([[0.0, 1.0]], 2, **options)
