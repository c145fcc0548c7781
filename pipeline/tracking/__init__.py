"""Runs in MLflow. Nothing outside this package imports mlflow."""

import os

# Read when mlflow is imported: no progress bars of its own, no usage data sent anywhere.
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

from pipeline.tracking.runs import Run, started, trainer
from pipeline.tracking.store import told
from pipeline.tracking.sweeps import SweepRun, sweeping

__all__ = ["Run", "SweepRun", "started", "sweeping", "told", "trainer"]
