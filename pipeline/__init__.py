"""Bakeoff: which model, classical or deep, and at what price."""
