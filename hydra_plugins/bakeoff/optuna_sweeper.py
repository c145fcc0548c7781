"""hydra/sweeper=optuna: run the trials of an Optuna study by --multirun."""

from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class OptunaSweeper(Sweeper):
    """Run a sweep by `pipeline.sweep`, which is imported only then."""

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep the configuration that Hydra composed."""
        self.hydra_context = hydra_context
        self.config = config

    def sweep(self, arguments: list[str]) -> Any:
        """Run the trials of the command line's overrides, which include ranges."""
        from pipeline.sweep.search import search

        return search(self.hydra_context, self.config, arguments)
