"""Metrics, the comparison of models, and what is shown of it."""
