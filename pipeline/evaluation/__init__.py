"""The comparison of models, its board, and how the board is shown."""
