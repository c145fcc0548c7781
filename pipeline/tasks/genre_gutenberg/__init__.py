"""Books of Project Gutenberg: poetry, essay or novel."""
