"""Runs in MLflow. Nothing outside this package imports mlflow."""

import os

# MLflow reads these when it is imported: no progress bars, and no usage data sent anywhere.
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

from pipeline.tracking.runs import Run, count_comparisons, download_model, find_run, start_run
from pipeline.tracking.store import reword_errors
from pipeline.tracking.sweeps import SweepRun, sweep_run

__all__ = [
    "Run",
    "SweepRun",
    "count_comparisons",
    "download_model",
    "find_run",
    "reword_errors",
    "start_run",
    "sweep_run",
]
