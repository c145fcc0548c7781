"""Faces of forty people."""
