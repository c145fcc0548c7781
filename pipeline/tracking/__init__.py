"""Runs in MLflow. Nothing outside this package imports mlflow."""

from pipeline.tracking.runs import Run, reopened, restored, started

__all__ = ["Run", "reopened", "restored", "started"]
