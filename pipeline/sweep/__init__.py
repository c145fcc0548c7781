"""Searches for a model's best settings: Optuna decides what to try, trials are trained here."""
