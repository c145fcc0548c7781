"""hydra/sweeper=optuna: the jobs of a --multirun are trials of an Optuna study."""

from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class OptunaSweeper(Sweeper):
    """Hands a search over to `pipeline.sweep`, imported when it is asked for."""

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep what Hydra composed."""
        self.hydra_context = hydra_context
        self.config = config

    def sweep(self, arguments: list[str]) -> Any:
        """Run the trials that the command line's overrides, ranges among them, ask for."""
        from pipeline.sweep.search import search

        return search(self.hydra_context, self.config, arguments)
