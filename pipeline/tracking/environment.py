"""The environment of a run: Python, installed packages, processor, threads, system."""

import platform
import sys
from pathlib import Path

import joblib
from threadpoolctl import threadpool_info


def installed_packages() -> list[str]:
    """
    Return the installed packages as ``name==version``, sorted.

    Names and versions are read from the names of the ``.dist-info`` folders.
    `importlib.metadata` opens a file per package, which takes longer than everything else
    that a run records.
    """
    found: dict[str, str] = {}
    for entry in sys.path:
        for folder in Path(entry).glob("*.dist-info"):
            name, _, version = folder.stem.rpartition("-")
            found.setdefault(name.lower(), version)
    return [f"{name}=={version}" for name, version in sorted(found.items())]


def machine() -> dict[str, str]:
    """Return Python's version and the machine as tags of a run."""
    threads = [pool["num_threads"] for pool in threadpool_info()]
    return {
        "python": platform.python_version(),
        "machine.system": platform.platform(),
        "machine.processor": _processor(),
        "machine.cores": str(joblib.cpu_count()),
        "machine.threads": str(max(threads, default=1)),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return platform.processor()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine())
