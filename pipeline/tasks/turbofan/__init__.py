"""Turbofan engines run to failure."""
