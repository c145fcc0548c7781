"""Views: the numbers a model sees, by kind of data."""
