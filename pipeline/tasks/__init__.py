"""What only one task needs, one package per task."""
