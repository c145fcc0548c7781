"""Runs in MLflow. Nothing outside this package imports mlflow."""

import os

# MLflow reads these: no progress bars, no address after each run, no usage data sent anywhere. A
# store that is gone is found to be gone within seconds, not within minutes.
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")

from pipeline.tracking.records import Recording, recording
from pipeline.tracking.runs import Run
from pipeline.tracking.store import download_model, reword_errors
from pipeline.tracking.sweeps import TrialRuns, sweep_run

__all__ = [
    "Recording",
    "Run",
    "TrialRuns",
    "download_model",
    "recording",
    "reword_errors",
    "sweep_run",
]
