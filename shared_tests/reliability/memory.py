"""What memory a process holds."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

STATM = Path("/proc/self/statm")  # of Linux


def resident() -> float:
    """The megabytes that this process holds now; where the system does not tell, peak()."""
    if not STATM.exists():
        return peak()
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def peak() -> float:
    """The most megabytes that it ever held."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1 << 20 if sys.platform == "darwin" else 1 << 10)
