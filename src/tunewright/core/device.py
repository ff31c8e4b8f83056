"""Which device computes, with how many threads, and how much memory the process has used."""

from __future__ import annotations

import os
import platform
import resource
import sys
from typing import Any

import torch

from tunewright.core.errors import UserError


def pick_device(name: str) -> torch.device:
    """'auto' is the first GPU, else the processor; a device that is not there is a UserError."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(
            f"device '{name}' cannot be used here", expected="auto, cpu, cuda or cuda:N", try_="--set training.device=auto"
        ) from error
    return device


def peak_memory(device: torch.device) -> int:
    """Largest memory used so far, in bytes: of the GPU's allocator, or of this process."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes there, in KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def describe_hardware(device: torch.device) -> dict[str, Any]:
    """What the manifest says about the machine; no host name, no user name."""
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.release()}",
    }
