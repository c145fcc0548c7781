"""Where examples come from: a function a source, from settings to a table of examples."""
