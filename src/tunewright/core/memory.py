"""Keeping freed memory in the process: a training step then touches pages that it already has.

glibc gives large blocks back to the system as they are freed, and the next step pays a page fault for every 4 KiB it
takes again. Source: mallopt(3), M_MMAP_MAX and M_TRIM_THRESHOLD. The price: the process stays as large as its peak.
"""

from __future__ import annotations

import ctypes
import re
import resource
from functools import cache
from pathlib import Path

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # glibc's malloc.h
_NEVER = 2**31 - 1


@cache
def keep_freed_memory() -> bool:
    """Tell the allocator to keep what is freed; False where it is not glibc's and so is left as it is."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_MMAP_MAX, 0) and mallopt(_TRIM_THRESHOLD, _NEVER))


def page_faults() -> int:
    """Pages that this process had to be given so far, without those read from disk."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


_MEMORY, _OWN, _GROUP = Path("/proc/meminfo"), Path("/proc/self/statm"), Path("/sys/fs/cgroup/memory.max")


def memory_at_hand(system: Path = _MEMORY, own: Path = _OWN, group: Path = _GROUP) -> int | None:
    """Bytes that this process can have at most: its own, the system's free ones and swap, within its group; None where unknown.

    Its own count, because what it freed it keeps (``keep_freed_memory``) and takes again.
    """
    try:
        told = dict(re.findall(r"^(\w+):\s+(\d+) kB", system.read_text(), re.MULTILINE))
        pages = int(own.read_text().split()[1])
        most = 1024 * (int(told["MemAvailable"]) + int(told.get("SwapFree", 0))) + pages * resource.getpagesize()
    except (OSError, KeyError, ValueError, IndexError):
        return None
    try:
        return min(most, int(group.read_text()))
    except (OSError, ValueError):  # no such group, or "max"
        return most
