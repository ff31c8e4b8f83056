"""Keeping freed memory in the process: a training step then touches pages that it already has.

glibc gives large blocks back to the system as they are freed, and the next step pays a page fault for every 4 KiB it
takes again. Source: mallopt(3), M_MMAP_MAX and M_TRIM_THRESHOLD. The price: the process stays as large as its peak.
"""

from __future__ import annotations

import ctypes
import resource
from functools import cache

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
