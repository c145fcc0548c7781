"""Network architectures, each with the sizes that it reads from the data."""
