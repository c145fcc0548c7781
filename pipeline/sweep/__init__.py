"""Search for the best settings of a model: Optuna suggests them, workers train the trials."""
