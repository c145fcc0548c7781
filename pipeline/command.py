"""The command that every stage is: its configuration composed and checked, its mistakes told."""

import importlib
import logging
import os
import re
import signal
import sys
from collections.abc import Iterator
from typing import Any, NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    MissingConfigException,
    OverrideParseException,
)
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pipeline import config
from pipeline.config import CONF
from pipeline.errors import UserError, nearest


def run(name: str) -> None:
    """
    Be the command of a stage: compose conf/<name>.yaml, check it, and call the stage's main.

    Mistakes of the user's are told in a line or two on standard error.

    Parameters
    ----------
    name : str
        The stage: a module of this package, a primary config in conf/, and a
        key of `config.SCHEMAS`.

    Raises
    ------
    SystemExit
        With code 1 on a mistake, 130 on Ctrl-C and 143 on SIGTERM.
    """

    def job(composed: DictConfig) -> None:
        if name == "train" and HydraConfig.get().runtime.choices["hydra/sweeper"] == "optuna":
            _exit("error: a sweep is started with --multirun", 1)
        # By name, so that a launcher can send this function to another process.
        main = importlib.import_module(f"pipeline.{name}").main
        try:
            main(config.checked(composed))
        except (UserError, OSError) as error:
            if HydraConfig.get().mode == RunMode.RUN:
                _exit(f"error: {_told(error)}", 1)
            # One failed job of a sweep does not end the others.
            overrides = " ".join(HydraConfig.get().overrides.task)
            print(f"error: {overrides}: {_told(error)}", file=sys.stderr)
            raise UserError("not every job of the sweep was done, see above") from None

    # Hydra then raises what it would print, and this module words it.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    logging.getLogger("hydra").setLevel(logging.CRITICAL)
    signal.signal(signal.SIGTERM, _terminated)
    try:
        config.register(name)
        hydra.main(version_base="1.3", config_path=str(CONF), config_name=name)(job)()
    except KeyboardInterrupt:
        _exit("interrupted", 130)
    except (HydraException, OmegaConfBaseException) as error:
        _exit(f"error: {_worded(error, name)}", 1)
    except (UserError, OSError) as error:
        _exit(f"error: {_told(error)}", 1)


def _exit(message: str, code: int) -> NoReturn:
    print(message, file=sys.stderr)
    sys.exit(code)


def _told(error: UserError | OSError) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def _terminated(signum: int, _frame: object) -> None:
    sys.exit(128 + signum)


def _worded(error: Exception, name: str) -> str:
    """Put an error of Hydra or OmegaConf in one line that names the nearest right key."""
    text = str(error)
    if isinstance(error, OverrideParseException):
        return (
            f"'{error.override}' is not an override: expected key=value, quoted for the shell; "
            "a value with brackets, = or ? needs quotes of its own: 'key=\"value\"'"
        )
    absent = re.search(r"Could not find '(.+)/(.+)'", text)
    if isinstance(error, MissingConfigException) and absent:
        group, choice = absent.groups()
        options = [path.stem for path in (CONF / group).glob("*.yaml")]
        return f"unknown {group} '{choice}'{nearest(choice, options)}"
    if isinstance(error, ConfigCompositionException) and text.startswith("Could not override"):
        wrong = text.split("'")[1]
        if wrong == "sweep":
            return "a search space is added with a plus: +sweep=<model>"
        known = _keys(name)
        if wrong in known:
            return f"'{wrong}' is not a key of every choice in the sweep"
        return f"unknown key '{wrong}'{nearest(wrong, known)}"
    cause = error.__cause__ or error
    message = str(cause).splitlines()[0]
    key = getattr(cause, "full_key", None)
    return f"{key}: {message}" if key else message


def _keys(name: str) -> list[str]:
    """Every key and group that this command line could have named."""
    groups = [path.name for path in CONF.iterdir() if path.is_dir()]
    choices = [
        argument
        for argument in sys.argv[1:]
        if argument.partition("=")[0] in groups and "," not in argument
    ]
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        composed = hydra.compose(name, choices)
    return [*groups, *dict(_dotted(OmegaConf.to_container(composed, resolve=False)))]


def _dotted(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield f"{prefix}{key}", value
            yield from _dotted(value, f"{prefix}{key}.")
