"""Estimators and networks, all scikit-learn classifiers."""
