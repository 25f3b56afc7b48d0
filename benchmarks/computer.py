"""What computer a benchmark ran on, in words."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def computer() -> str:
    """Return processor, number of processors and Python: `AMD EPYC, 2 processors, Python 3.11.7`."""
    return f"{_processor()}, {os.cpu_count()} processors, Python {platform.python_version()}"


def load() -> str:
    """Return how busy it is, to be set behind other words: `; load average 0.4`; nothing where that is not known."""
    return f"; load average {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or "unknown processor")
