"""The command that every stage is: its settings composed and checked, its mistakes reported."""

import argparse
import importlib
import inspect
import io
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any, NoReturn

import hydra
import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from pipeline.config import composition
from pipeline.config.messages import describe_error
from pipeline.errors import UserError, nearest
from pipeline.paths import CONF, enter_project
from pipeline.process import ensure_user, keep_imports, tie_workers

# Here, since stages import MLflow, which looks for a home, before they run.
ensure_user()

# What a user can mend.
MISTAKES = (UserError, OSError, HydraException, OmegaConfBaseException, yaml.YAMLError)


def _return_value(job: JobReturn) -> Any:
    """Return what a job returned, or raise its error: Hydra's own also prints its overrides."""
    if job.status == JobStatus.FAILED:
        raise job._return_value
    return job._return_value


JobReturn.return_value = property(_return_value, JobReturn.return_value.fset)


def run(name: str) -> None:
    """
    Be the command of a stage: compose conf/<name>.yaml, check it, and call the stage's main.

    Mistakes of the user's are reported as `reporting` does.

    Parameters
    ----------
    name : str
        The stage: a module of this package, a primary config in conf/, and a
        key of `schema.SCHEMAS`.
    """

    def job(composed: DictConfig) -> None:
        if name == "train" and HydraConfig.get().runtime.choices["hydra/sweeper"] == "optuna":
            _exit("error: a sweep is started with --multirun", 1)
        # By name, so that a launcher can send this function to another process.
        main = importlib.import_module(f"pipeline.{name}").main
        try:
            main(composition.check_and_settle(composed))
        except MISTAKES as error:
            if HydraConfig.get().mode == RunMode.RUN:
                _end(error, name)
            # One failed job of a sweep does not end the others.
            overrides = " ".join(HydraConfig.get().overrides.task)
            print(f"error: {overrides}: {_described(error, name)}", file=sys.stderr)
            raise UserError("not every job of the sweep was done, see above") from None

    if {"-m", "--multirun"}.intersection(sys.argv):
        if name != "train":
            _exit(f"error: only pipeline.train takes --multirun, not pipeline.{name}", 1)
        tie_workers()
    # Hydra then raises what it would print, and this module words it.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    logging.getLogger("hydra").setLevel(logging.CRITICAL)
    with reporting(name):
        composition.register(name)
        hydra.main(version_base="1.3", config_path=str(CONF), config_name=name)(job)()


@contextmanager
def reporting(stage: str) -> Iterator[None]:
    """
    Report mistakes of the user's in a line or two on standard error. There must be a project.

    What a console cannot show is replaced by question marks. If whoever reads the output has had
    enough, as in ``... | head -1``, the command ends without a word.

    Parameters
    ----------
    stage : str
        The stage whose settings are composed.

    Raises
    ------
    SystemExit
        With code 1 on a mistake, 130 on Ctrl-C and 143 on SIGTERM.
    """
    keep_imports()
    signal.signal(signal.SIGTERM, _terminated)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    try:
        enter_project()
        yield
        if sys.stdout is not None:
            sys.stdout.flush()
    except KeyboardInterrupt:
        _exit("interrupted", 130)
    except Exception as error:
        # Of what is wrong in conf/, Hydra raises errors of many types.
        if not isinstance(error, MISTAKES) and not _composing(error):
            raise
        _end(error, stage)


def run_plain(name: str, main: Callable[[Any], None], settings: type, keys: str) -> None:
    """
    Be a command that takes ``key=value`` and composes nothing from conf/.

    Mistakes of the user's are reported as `reporting` does.

    Parameters
    ----------
    name : str
        The module of this package.
    main : callable
        Called with the settings. ``--help`` begins with its docstring.
    settings : type
        A dataclass of texts.
    keys : str
        What the settings are, for ``--help``.
    """
    parser = argparse.ArgumentParser(
        f"python -m pipeline.{name}",
        description=inspect.getdoc(main),
        epilog=keys,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("given", nargs="*", metavar="key=value")
    arguments = parser.parse_args().given
    with reporting(name):
        main(_parsed(arguments, settings))


def _parsed(arguments: list[str], settings: type) -> Any:
    known = [one.name for one in fields(settings)]
    given = {}
    for text in arguments:
        key, equals, value = text.partition("=")
        if key not in known:
            raise UserError(f"unknown key '{key}'{nearest(key, known)}")
        if not equals or not value:
            raise UserError(f"{key}: expected {key}=value")
        given[key] = value
    return settings(**given)


def _end(error: Exception, stage: str) -> NoReturn:
    """Report a mistake, unless it is that nobody reads the output any more."""
    if isinstance(error, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    _exit(f"error: {_described(error, stage)}", 1)


def _composing(error: Exception) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    return any(frame.name == "load_configuration" for frame in frames)


def _exit(message: str, code: int) -> NoReturn:
    print(message, file=sys.stderr)
    sys.exit(code)


def _described(error: Exception, stage: str) -> str:
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return describe_error(error, stage)


def _terminated(signum: int, _frame: object) -> None:
    sys.exit(128 + signum)
