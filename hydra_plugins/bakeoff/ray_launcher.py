"""
hydra/launcher=ray: run the jobs of a --multirun as tasks of Ray.

The machines of a cluster need the project and its features in the same place. A sweep also
needs a database that all machines reach, `sweep.storage=postgresql://...`.
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
    Run each job as a task of Ray.

    Hydra's own launcher needs a version of cloudpickle that excludes current joblib.

    Parameters
    ----------
    address : str or None
        Address of a running cluster. None starts one on this machine, for this command.
    num_cpus : int or None
        Cores per job. None shares the cores of this machine among the jobs.
    """

    def __init__(self, address: str | None, num_cpus: int | None) -> None:
        self.address = address
        self.num_cpus = num_cpus

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep the configuration, the function and the context of the jobs."""
        self.hydra_context = hydra_context
        self.task_function = task_function
        self.config = config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run a job per list of overrides, and return when all have ended."""
        try:
            import ray
        except ImportError:
            from pipeline.errors import UserError

            raise UserError("hydra/launcher=ray needs Ray: pip install 'bakeoff[ray]'") from None
        variables = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        with ray.init(
            address=self.address or "local",
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env={"env_vars": variables} if self.address is None else None,
        ):
            cores = self.num_cpus or max(1, len(os.sched_getaffinity(0)) // len(job_overrides))
            task = ray.remote(num_cpus=cores, max_retries=0)(run_task)
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


def run_task(
    context: HydraContext,
    task_function: TaskFunction,
    config: DictConfig,
    overrides: list[str],
    number: int,
    singletons: Any,
) -> JobReturn:
    """Run one job in a process of Ray."""
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
