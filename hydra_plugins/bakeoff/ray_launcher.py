"""
hydra/launcher=ray: the jobs of a --multirun as tasks of Ray.

The machines of a cluster need the project in the same place, its features, and for a sweep
a database that all reach, `sweep.storage=postgresql://...`.
"""

import logging
import os
import sys
from collections.abc import Sequence
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict


class RayLauncher(Launcher):
    """
    Runs each job as a task of Ray.

    Hydra's own launcher needs a cloudpickle that joblib is too new for.

    Parameters
    ----------
    address : str or None
        A running cluster's; None starts one on this machine for the time of the command.
    num_cpus : int or None
        Cores of a job; None shares those of this machine out.
    """

    def __init__(self, address: str | None, num_cpus: int | None) -> None:
        self.address = address
        self.num_cpus = num_cpus

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep what each job needs."""
        self.hydra_context = hydra_context
        self.task_function = task_function
        self.config = config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run a job for each list of overrides, and wait for all."""
        try:
            import ray
        except ImportError:
            from pipeline.errors import UserError

            raise UserError("hydra/launcher=ray needs Ray: pip install 'bakeoff[ray]'") from None
        found = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        with ray.init(
            address=self.address or "local",
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env={"env_vars": found} if self.address is None else None,
        ):
            cores = self.num_cpus or max(1, len(os.sched_getaffinity(0)) // len(job_overrides))
            task = ray.remote(num_cpus=cores, max_retries=0)(run)
            return ray.get(
                [
                    task.remote(
                        self.hydra_context,
                        self.task_function,
                        self.config,
                        list(overrides),
                        initial_job_idx + number,
                        Singleton.get_state(),
                    )
                    for number, overrides in enumerate(job_overrides)
                ]
            )


def run(
    context: HydraContext,
    task_function: TaskFunction,
    config: DictConfig,
    overrides: list[str],
    number: int,
    singletons: Any,
) -> JobReturn:
    """Run one job where Ray has placed it."""
    setup_globals()
    Singleton.set_state(singletons)
    job = context.config_loader.load_sweep_config(config, overrides)
    with open_dict(job):
        job.hydra.job.id = f"{job.hydra.job.name}_{number}"
        job.hydra.job.num = number
    return run_job(
        hydra_context=context,
        task_function=task_function,
        config=job,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
    )
