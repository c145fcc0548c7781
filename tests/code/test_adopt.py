"""What a sweep found best is set beside what was adopted before."""

import yaml

from pipeline.adopt import adopted, text_of


def test_values_are_set_beside_those_of_before():
    done = adopted({"num_leaves": 7}, ["model.x"], {"model.x": 0.1 + 0.2, "seed": 3})
    assert done == {"num_leaves": 7, "x": 0.30000000000000004}


def test_what_was_searched_and_has_no_value_now_goes_and_the_rest_stays():
    searched = ["model.a", "model.b.c"]
    once = adopted({"b": {"d": 5}}, searched, {"model.a": 1, "model.b.c": [2]})
    assert once == {"b": {"d": 5, "c": [2]}, "a": 1}
    assert adopted(once, searched, {"model.a": None}) == {"b": {"d": 5}, "a": None}


def test_nothing_adopted_before_is_the_same_as_an_empty_file():
    assert adopted({}, ["model.a"], {"model.a": 1}) == {"a": 1}


def test_the_file_is_of_the_model_and_names_the_sweep():
    settings = {"C": 0.1, "network": {"hidden": [64, 64]}, "class_weight": None}
    text = text_of(settings, "genre-mine")
    assert text.startswith("# @package model\n")
    assert "'genre-mine'" in text
    assert yaml.safe_load(text) == settings
