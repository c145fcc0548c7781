"""Films that people rated."""
