"""Format what every benchmark prints: the machine, and medians with ranges."""

import os
import platform
from collections.abc import Sequence
from pathlib import Path
from statistics import median


def machine() -> str:
    """Describe the processor, the cores that this process may use, and the Python version."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{name}, {cores} cores, Python {platform.python_version()}"


def spread(values: Sequence[float]) -> str:
    """Format the median of some repetitions, and their minimum and maximum."""
    return f"{median(values):.2f} ({min(values):.2f}..{max(values):.2f})"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format rows below a header: the first column aligned left, the others right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        padded = [cell.rjust(width) for cell, width in zip(cells, widths, strict=True)]
        return "  ".join([cells[0].ljust(widths[0]), *padded[1:]])

    return "\n".join([line(header), line(["-" * width for width in widths]), *map(line, rows)])
