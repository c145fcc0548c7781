"""Diseases of cassava."""
