"""Diseases of potato leaves."""
