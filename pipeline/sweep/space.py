"""Search spaces: ranges in Hydra's syntax as Optuna's distributions."""

import itertools
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import (
    IntervalSweep,
    Override,
    QuotedString,
    RangeSweep,
    ValueType,
)
from hydra.errors import HydraException
from optuna import Trial
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from pipeline.config import schema
from pipeline.errors import UserError, nearest

SYNTAX = (
    "expected interval(low, high), int(interval(low, high)), range(start, stop, step) "
    "or choice(a, b)"
)
# A value is at an end of its range if it is within this share of it.
NEAR_END = 0.03
Distribution = CategoricalDistribution | FloatDistribution | IntDistribution


@dataclass(frozen=True)
class Condition:
    """The key, and the value of it, for which another parameter is searched."""

    key: str
    value: Any


@dataclass(frozen=True)
class Parameter:
    """
    One key of a search space.

    Attributes
    ----------
    key : str
        Its place in the configuration, such as ``model.num_leaves``.
    spec : str or mapping
        Its range as the user wrote it.
    distribution : Distribution
        Its range. Choices that a study cannot store, such as lists, are in JSON.
    condition : Condition or None
        When it is searched; None means always.
    """

    key: str
    spec: Any
    distribution: Distribution
    condition: Condition | None = None

    @property
    def first(self) -> Any:
        """The first of its values."""
        dist = self.distribution
        if isinstance(dist, CategoricalDistribution):
            return value_of(dist.choices[0])
        return dist.low

    def suggest(self, trial: Trial) -> Any:
        """Let the study choose a value for a trial, and return it."""
        dist = self.distribution
        if isinstance(dist, IntDistribution):
            return trial.suggest_int(self.key, dist.low, dist.high, step=dist.step, log=dist.log)
        if isinstance(dist, FloatDistribution):
            return trial.suggest_float(self.key, dist.low, dist.high, step=dist.step, log=dist.log)
        return value_of(trial.suggest_categorical(self.key, dist.choices))

    def points(self) -> list[Any]:
        """
        List all values, as a study stores them.

        Raises
        ------
        UserError
            When there are infinitely many.
        """
        dist = self.distribution
        if isinstance(dist, CategoricalDistribution):
            return list(dist.choices)
        if isinstance(dist, IntDistribution) and not dist.log:
            return list(range(dist.low, dist.high + 1, dist.step))
        if isinstance(dist, FloatDistribution) and dist.step is not None:
            count = round((dist.high - dist.low) / dist.step) + 1
            return [dist.low + number * dist.step for number in range(count)]
        raise UserError(f"sweep.space.{self.key}: a grid needs choice(...) or range(...)")

    def holds(self, stored: Any) -> bool:
        """Return whether a value, as a study stores it, is one of the range."""
        dist = self.distribution
        if isinstance(dist, CategoricalDistribution):
            return stored in dist.choices
        if isinstance(stored, bool) or not isinstance(stored, int | float):
            return False
        steps = (stored - dist.low) / dist.step if dist.step else 0
        return dist.low <= stored <= dist.high and math.isclose(steps, round(steps))

    def applies(self, values: Mapping[str, Any]) -> bool:
        """Return whether the parameter is searched where the keys have these values."""
        return self.condition is None or values.get(self.condition.key) == self.condition.value


Space = list[Parameter]


def value_of(stored: Any) -> Any:
    """Return a value of a study as the configuration holds it: JSON is a list."""
    return json.loads(stored) if isinstance(stored, str) and stored.startswith("[") else stored


def stored_as(value: Any) -> Any:
    """Return a value of the configuration as a study stores it: a list is JSON."""
    return json.dumps(value) if isinstance(value, list) else value


def configured_ranges(cfg: schema.Train) -> dict[str, Any]:
    """Return the ranges of a sweep, of the architecture of the model, and of the task."""
    of_architecture = cfg.sweep.architecture_space.get(cfg.model.architecture, {})
    return cfg.sweep.space | of_architecture | cfg.task.spaces.get(cfg.model.name, {})


def parse(space: Mapping[str, Any]) -> Space:
    """
    Parse a search space.

    Parameters
    ----------
    space : mapping
        From a key to its range; or to ``values``, the range, and ``when``, the override
        ``key=value`` for which the key is searched.

    Raises
    ------
    UserError
        For a range that cannot be parsed or is upside down, and for a key that a trial
        cannot set.
    """
    if not space:
        raise UserError(
            "there is nothing to search: add +sweep=<model>, "
            "or a range such as 'model.C=tag(log, interval(0.01, 100))'"
        )
    parameters = []
    for key, node in space.items():
        if key != "seed" and not key.startswith("model."):
            raise UserError(f"sweep.space.{key}: only keys of the model, and seed, can be searched")
        dist, condition = _read(key, node)
        parameters.append(Parameter(key, node, dist, condition))
    return parameters


def current(space: Space, settings: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the settings that a model has now, where they lie in their range.

    Parameters
    ----------
    space : list of Parameter
        The ranges.
    settings : mapping
        Values of the keys of the model.

    Returns
    -------
    dict
        From keys to values as a study stores them.
    """
    there = [one for one in space if one.key in settings and one.applies(settings)]
    stored = {one.key: stored_as(settings[one.key]) for one in there}
    return {one.key: stored[one.key] for one in there if one.holds(stored[one.key])}


def at_ends(space: Space, values: Mapping[str, Any]) -> list[str]:
    """
    Return which values are at an end of their range.

    Parameters
    ----------
    space : list of Parameter
        The ranges.
    values : mapping
        Values of some keys. Choices have ends if they are three or more numbers.

    Returns
    -------
    list of str
        Each such key with its value.
    """
    found = []
    for parameter in space:
        value = values.get(parameter.key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        dist = parameter.distribution
        if isinstance(dist, CategoricalDistribution):
            ends = [one for one in dist.choices if isinstance(one, int | float)]
            if len(ends) == len(dist.choices) > 2 and value in (min(ends), max(ends)):
                found.append(f"{parameter.key} {value:g}")
            continue
        low, place, high = (
            math.log(one) if dist.log else float(one) for one in (dist.low, value, dist.high)
        )
        if not low + NEAR_END * (high - low) < place < high - NEAR_END * (high - low):
            found.append(f"{parameter.key} {value:g}")
    return found


def check_conditions(space: Space, fixed: Mapping[str, Any]) -> None:
    """
    Check that every condition names a key of the model, or one that is searched before.

    Raises
    ------
    UserError
        For a condition on another key. The message names the nearest valid one.
    """
    valid = set(fixed)
    for parameter in space:
        if parameter.condition and parameter.condition.key not in valid:
            wrong = parameter.condition.key
            raise UserError(
                f"sweep.space.{parameter.key}.when: '{wrong}' is neither a key of the model "
                f"nor searched before{nearest(wrong, valid)}"
            )
        valid.add(parameter.key)


def _read(key: str, node: Any) -> tuple[Distribution, Condition | None]:
    if not isinstance(node, dict):
        return _distribution(key, _parse_override(key, f"{key}={node}")), None
    if set(node) != {"when", "values"}:
        raise UserError(f"sweep.space.{key}: expected the keys 'when' and 'values'")
    condition = _parse_override(f"{key}.when", str(node["when"]))
    distribution = _distribution(key, _parse_override(key, f"{key}={node['values']}"))
    return distribution, Condition(condition.key_or_group, condition.value())


def _parse_override(key: str, text: str) -> Override:
    try:
        return OverridesParser.create().parse_override(text)
    except HydraException:
        raise UserError(f"sweep.space.{key}: '{text}' cannot be read; {SYNTAX}") from None


def _distribution(key: str, override: Override) -> Distribution:
    text = override.get_value_string()
    values = override.value()
    log = "log" in getattr(values, "tags", ())
    if isinstance(values, IntervalSweep):
        low, high = values.start, values.end
    elif isinstance(values, RangeSweep):
        points = list(override.sweep_iterator())
        if not points:
            raise UserError(f"sweep.space.{key}: {text} is upside down or empty")
        low, high = points[0], points[-1]
    elif override.is_choice_sweep() and override.value_type != ValueType.GLOB_CHOICE_SWEEP:
        return _categorical(override.sweep_iterator(_unquote))
    else:
        raise UserError(f"sweep.space.{key}: '{text}' is not a range; {SYNTAX}")
    if low > high:
        raise UserError(f"sweep.space.{key}: {text} is upside down: expected the lower end first")
    if log and low <= 0:
        raise UserError(f"sweep.space.{key}: {text}: a logarithmic range must be above 0")
    step = values.step if isinstance(values, RangeSweep) else None
    whole = isinstance(low, int) and isinstance(high, int)
    if log and step is not None and not (whole and step == 1):
        raise UserError(f"sweep.space.{key}: {text}: a logarithmic range has no steps")
    if whole:
        return IntDistribution(low, high, log=log, step=step or 1)
    return FloatDistribution(low, high, log=log, step=step)


def _unquote(element: Any) -> Any:
    """Return an element of a choice without the quotes that Hydra keeps."""
    if isinstance(element, list):
        return [_unquote(item) for item in element]
    return element.text if isinstance(element, QuotedString) else element


def _categorical(choices: Iterable[Any]) -> Distribution:
    return CategoricalDistribution([stored_as(choice) for choice in choices])


def grid(space: Space, fixed: Mapping[str, Any]) -> list[dict[str, Any]]:
    """
    List every combination of the values of a space.

    Parameters
    ----------
    space : list of Parameter
        Of choices and ranges only.
    fixed : mapping
        Values of the other keys that conditions may name.

    Returns
    -------
    list of dict
        From keys to values as a study stores them. Each combination is there once, without
        the parameters whose condition does not hold.
    """
    combinations: dict[str, dict[str, Any]] = {}
    for point in itertools.product(*(parameter.points() for parameter in space)):
        values, stored = dict(fixed), {}
        for parameter, value in zip(space, point, strict=True):
            if parameter.applies(values):
                stored[parameter.key] = value
                values[parameter.key] = value_of(value)
        combinations.setdefault(json.dumps(stored), stored)
    return list(combinations.values())
