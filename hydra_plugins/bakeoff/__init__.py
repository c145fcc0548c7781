"""Plugins that Hydra finds by itself, because they lie in this namespace."""
