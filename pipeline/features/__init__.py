"""Featurizers, which compute the numbers that models see, by kind of data."""
