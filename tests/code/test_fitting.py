"""Fit any classifier, and time any prediction."""

import functools
import sys

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB

from pipeline.features.views import Features
from pipeline.models.fitting import (
    fit,
    joules_between,
    measure_latency,
    peak_memory,
    read_energy,
    reset_peak_memory,
)
from pipeline.models.networks.sequences import SequenceCNN, SequenceGRU
from pipeline.models.networks.tables import MLP
from pipeline.models.networks.texts import TextCNN, TextGRU
from pipeline.models.neural_net import NeuralNet
from pipeline.models.trees import LightGBM, RandomForest

X = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
Y = np.where(X[:, 0] > 0, "a", "b")
TRAIN, VALIDATION = Features(X[:40], Y[:40], {}), Features(X[40:], Y[40:], {})


@pytest.fixture
def reported():
    return []


@pytest.mark.parametrize(
    ("model", "steps"),
    [
        (LogisticRegression(), []),
        (RandomForest(10), list(range(1, 11))),
        (LightGBM(n_estimators=3, verbose=-1), [1, 2, 3]),
        (NeuralNet(max_epochs=2, device="cpu"), [1, 2]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_model_that_reports_its_steps_is_called_back(model, steps, reported):
    spent = fit(model, TRAIN, VALIDATION, lambda step, losses: reported.append(step))

    assert reported == steps
    assert spent.seconds > 0
    assert model.predict(X).shape == (60,)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can forget")
def test_the_peak_of_memory_is_that_since_the_last_reset():
    large = np.ones(30_000_000)
    with_it = peak_memory()
    del large
    assert peak_memory() == with_it
    reset_peak_memory()
    assert peak_memory() < with_it - 200_000_000


def network(kind, **settings):
    return NeuralNet(functools.partial(kind, **settings), max_epochs=1, device="cpu")


IDS = Features(np.ones((40, 5), dtype=np.int32), Y[:40], {"group": Y[:40]})
SPARSE = Features(sparse.csr_matrix(X[:40]), Y[:40], {"group": Y[:40]})
WINDOWS = Features(np.ones((40, 5, 2), dtype=np.float32), Y[:40], {"group": Y[:40]})
PAIRS = Features(np.ones((40, 2, 5), dtype=np.int32), Y[:40], {"group": Y[:40]})


@pytest.mark.parametrize(
    ("model", "train", "names"),
    [
        (LogisticRegression(C=-1), TRAIN, ["LogisticRegression", "'C'", "-1"]),
        (LogisticRegression(solver="lbfgs", penalty="l1"), TRAIN, ["lbfgs", "l1"]),
        (RandomForest(max_features=-1), TRAIN, ["RandomForest", "max_features"]),
        (RandomForest(n_jobs=0), TRAIN, ["RandomForest", "n_jobs"]),
        (LightGBM(num_leaves=0, verbose=-1), TRAIN, ["LightGBM", "num_leaves"]),
        (LightGBM(verbose=-1, tree_learner="none"), TRAIN, ["LightGBM", "none"]),
        (MultinomialNB(), TRAIN, ["MultinomialNB", "Negative values"]),
        (NeuralNet(lr=-1, device="cpu"), TRAIN, ["NeuralNet", "lr == -1", "> 0"]),
        (NeuralNet(lr="fast", device="cpu"), TRAIN, ["NeuralNet", "lr"]),
        (NeuralNet(batch_size=0, device="cpu"), TRAIN, ["batch_size == 0"]),
        (NeuralNet(patience=2.5, device="cpu"), TRAIN, ["patience"]),
        (NeuralNet(device="abacus"), TRAIN, ["device 'abacus'"]),
        (NeuralNet(device="cpu"), SPARSE, ["NeuralNet", "Sparse data"]),
        (network(MLP, hidden=[-4]), TRAIN, ["NeuralNet", "hidden == -4"]),
        (network(MLP, hidden=8), TRAIN, ["hidden must be a list", "8"]),
        (network(MLP, dropout=2), TRAIN, ["dropout == 2", "< 1"]),
        (network(MLP), IDS._replace(X=WINDOWS.X), ["MLP reads columns", "3 axes"]),
        (network(TextCNN), TRAIN, ["TextCNN reads token ids", "float32"]),
        (network(TextCNN), PAIRS, ["TextCNN reads token ids", "3 axes"]),
        (network(TextCNN, widths=[]), IDS, ["widths is empty"]),
        (network(TextCNN, widths=[0]), IDS, ["widths == 0"]),
        (network(TextCNN, embedding=0), IDS, ["embedding == 0"]),
        (network(TextCNN, crop=0), IDS, ["crop == 0"]),
        (network(TextGRU), PAIRS, ["TextGRU reads token ids", "3 axes"]),
        (network(TextGRU, width=2), IDS, ["width == 2", "odd"]),
        (network(SequenceGRU), TRAIN, ["SequenceGRU reads sequences", "2 axes"]),
        (network(SequenceGRU, stride=0), WINDOWS, ["stride == 0"]),
        (network(SequenceCNN), TRAIN, ["SequenceCNN reads sequences", "2 axes"]),
        (network(SequenceCNN, widths=[]), WINDOWS, ["widths is empty"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
# scikit-learn warns of `penalty` before it refuses this one.
@pytest.mark.filterwarnings("ignore:'penalty' was deprecated:FutureWarning")
def test_what_an_estimator_refuses_is_reported_with_its_name_in_a_line(model, train, names):
    with pytest.raises((ValueError, TypeError)) as refused:
        fit(model, train, train, lambda step, losses: None)

    message = f"{type(model).__name__}: {refused.value}".splitlines()[0]
    assert [name for name in names if name not in message] == []


def test_what_ends_a_fit_is_not_taken_for_a_refusal():
    class PrunedError(Exception):
        pass

    def prune(step, losses):
        raise PrunedError

    with pytest.raises(PrunedError):
        fit(NeuralNet(max_epochs=2, device="cpu"), TRAIN, VALIDATION, prune)


def test_latency_is_measured_on_batches_of_distinct_examples():
    batches = []

    def predict(X):
        batches.append(X["x"].tolist())

    found = measure_latency(predict, pd.DataFrame({"x": range(25)}), sizes=(1, 10, 100))

    # Of 25 examples there is no batch of 100.
    assert list(found) == [1, 10]
    assert all(milliseconds > 0 for milliseconds in found.values())
    # Once to warm up; then no example comes twice in the batches of a size.
    assert batches[0] == [0]
    assert [batch for batch in batches if len(batch) == 10] == [[*range(10)], [*range(10, 20)]]
    ones = [batch[0] for batch in batches[1:] if len(batch) == 1]
    assert ones == list(range(len(ones))) and len(ones) == 15


def counter(folder, name: str, microjoules: int, of: str):
    zone = folder / name
    zone.mkdir(exist_ok=True)
    for file, content in (("name", of), ("energy_uj", microjoules), ("max_energy_range_uj", 10**7)):
        (zone / file).write_text(f"{content}\n")


def test_energy_is_that_of_all_processors_also_when_a_counter_starts_anew(tmp_path):
    counter(tmp_path, "intel-rapl:0", 9_000_000, "package-0")
    counter(tmp_path, "intel-rapl:0:0", 5, "core")
    counter(tmp_path, "intel-rapl:1", 1_000_000, "package-1")
    counter(tmp_path, "intel-rapl:2", 0, "psys")
    before = read_energy(tmp_path)
    counter(tmp_path, "intel-rapl:0", 500_000, "package-0")
    counter(tmp_path, "intel-rapl:0:0", 7_000_000, "core")
    counter(tmp_path, "intel-rapl:1", 4_000_000, "package-1")

    assert joules_between(before, read_energy(tmp_path)) == 1.5 + 3.0


def test_energy_that_no_counter_tells_is_unknown(tmp_path):
    assert read_energy(tmp_path / "nowhere") == {}
    counter(tmp_path, "intel-rapl:0", 1, "package-0")
    (tmp_path / "intel-rapl:0/energy_uj").write_text("")
    assert read_energy(tmp_path) == {}
    assert joules_between({}, {}) is None
