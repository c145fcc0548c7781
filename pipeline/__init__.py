"""Bakeoff: which model, classical or deep, and at what price."""

import gc
import os
import sys

# OpenMP reads this once, when the first library that uses it is loaded. Threads that
# spin while they wait make training several times slower on a machine with other work.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Keras reads it when it is imported; the user may name another.
os.environ.setdefault("KERAS_BACKEND", "torch")
# Python sets this while it starts `python -m pipeline.MODULE`. Importing makes a million objects,
# and collecting garbage among them takes a quarter of that time. `process.keep_imports` enables it.
if sys.argv[:1] == ["-m"]:
    gc.disable()
