"""Search spaces: Hydra's syntax in, Optuna's distributions out."""

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from pipeline.errors import UserError
from pipeline.sweep import space


def only(text: str) -> space.Parameter:
    (parameter,) = space.parse({"model.x": text})
    return parameter


@pytest.mark.parametrize(
    ("text", "distribution"),
    [
        ("interval(2, 64)", FloatDistribution(2, 64)),
        ("int(interval(2, 64))", IntDistribution(2, 64)),
        ("tag(log, int(interval(2, 64)))", IntDistribution(2, 64, log=True)),
        ("tag(log, interval(0.001, 1))", FloatDistribution(0.001, 1, log=True)),
        # the end of a range is not part of it
        ("range(1, 10, 3)", IntDistribution(1, 7, step=3)),
        ("range(0, 1, 0.25)", FloatDistribution(0, 0.75, step=0.25)),
        ("choice(gbdt, dart)", CategoricalDistribution(["gbdt", "dart"])),
        ("null,balanced", CategoricalDistribution([None, "balanced"])),
        ("choice(true, false)", CategoricalDistribution([True, False])),
        (r"choice('a b', 'c')", CategoricalDistribution(["a b", "c"])),
        (r"choice(['a b', 1], [c])", CategoricalDistribution(['["a b", 1]', '["c"]'])),
        ("choice([64], [64, 64])", CategoricalDistribution(["[64]", "[64, 64]"])),
    ],
)
def test_a_range_is_the_distribution_that_it_says(text, distribution):
    assert only(text).distribution == distribution


def test_a_list_comes_back_from_a_study_as_a_list():
    trial = optuna.trial.FixedTrial({"model.x": "[64, 64]"})
    assert only("choice([64], [64, 64])").suggest(trial) == [64, 64]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("interval(3, 1)", "upside down"),
        ("int(interval(9, 2))", "upside down"),
        ("range(5, 1)", "upside down or empty"),
        ("tag(log, interval(0, 1))", "must be above 0"),
        ("0.1", "is not a range"),
        ("interval(0.1)", "cannot be read"),
        ("interval(0.1, 1", "cannot be read"),
        ("tag(log, range(1, 9, 2))", "a logarithmic range has no steps"),
        ("tag(log, range(0.1, 0.9, 0.1))", "a logarithmic range has no steps"),
    ],
)
def test_what_is_no_range_is_reported_with_its_key(text, message):
    with pytest.raises(UserError, match=rf"sweep\.space\.model\.x.*{message}"):
        only(text)


CONDITIONAL = {
    "model.bootstrap": "choice(true, false)",
    "model.max_samples": {"when": "model.bootstrap=true", "values": "choice(0.5, 0.9)"},
}


def test_a_grid_holds_a_conditional_parameter_only_where_it_applies():
    assert space.grid(space.parse(CONDITIONAL), {}) == [
        {"model.bootstrap": True, "model.max_samples": 0.5},
        {"model.bootstrap": True, "model.max_samples": 0.9},
        {"model.bootstrap": False},
    ]


def test_a_condition_must_name_what_is_known_before():
    backwards = dict(reversed(CONDITIONAL.items()))
    with pytest.raises(UserError, match=r"'model\.bootstrap' is neither a key of the model"):
        space.check_conditions(space.parse(backwards), {"model.boot": 1})
    space.check_conditions(space.parse(backwards), {"model.bootstrap": True})


@pytest.mark.parametrize("text", ["interval(0, 1)", "int(tag(log, interval(1, 8)))"])
def test_a_grid_of_a_continuum_is_refused(text):
    with pytest.raises(UserError):
        space.grid(space.parse({"model.x": text}), {})


@pytest.mark.parametrize("key", ["task.metric", "model", "tracking.uri"])
def test_only_the_model_and_the_seed_are_searched(key):
    with pytest.raises(UserError, match="only keys of the model, and seed"):
        space.parse({key: "choice(1, 2)"})


def test_a_grid_leaves_out_what_a_condition_on_a_key_that_is_not_set_excludes():
    searched = space.parse(
        {
            "model.solver": {"when": "model.penalty=l1", "values": "choice(a, b)"},
            "model.rate": {"when": "model.solver=a", "values": "choice(1, 2)"},
        }
    )

    assert space.grid(searched, {"model.penalty": "l2"}) == [{}]


@pytest.mark.parametrize(
    ("text", "inside", "at_an_end"),
    [
        ("interval(0, 1)", 0.5, 0.99),
        # the middle in logarithmic steps, and what looks low without them
        ("tag(log, interval(0.001, 1000))", 1.0, 0.0011),
        ("tag(log, int(interval(2, 64)))", 3, 64),
        ("range(1, 10, 3)", 4, 7),
        ("choice(32, 64, 128)", 64, 128),
    ],
)
def test_values_at_an_end_of_their_range_are_found(text, inside, at_an_end):
    parameters = space.parse({"model.x": text})
    assert space.at_ends(parameters, {"model.x": inside}) == []
    assert space.at_ends(parameters, {"model.x": at_an_end}) == [f"model.x {at_an_end:g}"]
    assert space.at_ends(parameters, {"model.y": at_an_end}) == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("choice(true, false)", True),
        ("choice(32, 64)", 64),
        ("choice(sqrt, log2, 0.1, 0.3)", 0.3),
        ("choice([32], [64, 64], [128])", [128]),
        ("null,balanced", None),
    ],
)
def test_choices_without_an_order_have_no_ends(text, value):
    assert space.at_ends(space.parse({"model.x": text}), {"model.x": value}) == []


@pytest.mark.parametrize(
    ("text", "value", "stored"),
    [
        ("tag(log, interval(0.01, 0.3))", 0.05, 0.05),
        ("int(interval(4, 64))", 31, 31),
        ("int(interval(4, 64))", 3, None),
        ("int(interval(4, 64))", True, None),
        ("interval(0.1, 1)", "sqrt", None),
        ("range(1, 10, 3)", 4, 4),
        ("range(1, 10, 3)", 5, None),
        ("range(0, 1, 0.1)", 0.3, 0.3),
        ("choice(sqrt, log2)", "sqrt", "sqrt"),
        ("choice(sqrt, log2)", None, None),
        ("choice([64], [64, 64])", [64, 64], "[64, 64]"),
    ],
)
def test_the_settings_of_now_are_a_point_of_the_space_where_they_are_in_range(text, value, stored):
    searched = space.parse({"model.x": text})
    expected = {} if stored is None else {"model.x": stored}

    assert space.current(searched, {"model.x": value}) == expected
    assert space.current(searched, {"model.y": value}) == {}


def test_the_settings_of_now_leave_out_what_is_searched_under_another_condition():
    searched = space.parse({"model.x": {"values": "interval(0, 1)", "when": "model.y=a"}})

    assert space.current(searched, {"model.x": 0.5, "model.y": "b"}) == {}
    assert space.current(searched, {"model.x": 0.5, "model.y": "a"}) == {"model.x": 0.5}
