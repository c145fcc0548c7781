"""The configuration: what it may hold, how it is composed, and what it builds."""
