"""What a run cost: seconds, energy and its carbon, measured where the machine tells, else estimated from processor time.

Source: measuring: codecarbon, which reads the processor's own counters and the accelerator's; carbon of a kilowatt-hour: Ember,
Global Electricity Review 2024 (480 g, the world's mean of 2023).
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_WATTS = 10.0  # of a busy core with its share of the machine (a guess: servers of 64 cores draw 300 to 600 W)
_KG_PER_KWH = 0.48
_COUNTERS = Path("/sys/class/powercap/intel-rapl:0/energy_uj")
_ACCELERATOR = Path("/proc/driver/nvidia/version")


@contextmanager
def metered(started: float) -> Iterator[Callable[[], dict[str, Any]]]:
    """Give a function that tells ``seconds`` since ``started`` (monotonic) and, of what is inside, the ``energy``:

    ``kwh``, ``co2_kg``, and ``how`` they are known.
    """
    if not _is_measurable():
        before = _processor_seconds()
        yield lambda: _cost(started, _estimated(_processor_seconds() - before))
        return
    tracker = _tracker()
    found: list[dict[str, Any]] = []
    tracker.start()

    def stopped() -> dict[str, Any]:
        """The tracker tells once, when it is stopped."""
        if not found:
            tracker.stop()
            found.append(_measured(tracker.final_emissions_data))
        return found[0]

    try:
        yield lambda: _cost(started, stopped())
    finally:
        stopped()


def _cost(started: float, energy: dict[str, Any]) -> dict[str, Any]:
    return {"seconds": round(time.monotonic() - started, 2), "energy": energy}


def _is_measurable() -> bool:
    """Whether codecarbon is there and the machine has something to read."""
    return find_spec("codecarbon") is not None and (os.access(_COUNTERS, os.R_OK) or _ACCELERATOR.exists())


def _tracker() -> Any:
    logging.getLogger("codecarbon").setLevel(logging.ERROR)
    return import_module("codecarbon").OfflineEmissionsTracker(
        country_iso_code="USA",  # only for its own figure of carbon, which is not used
        save_to_file=False,
        log_level="error",
        tracking_mode="process",
    )


def _measured(found: Any) -> dict[str, Any]:
    how = f"measured by codecarbon {found.codecarbon_version} (processor, memory and accelerator)"
    return _spent(float(found.energy_consumed), how)


def _estimated(seconds: float) -> dict[str, Any]:
    kwh = seconds * _WATTS / 3.6e6
    return _spent(kwh, f"estimated: {seconds:.0f} processor seconds at {_WATTS:g} W")


def _spent(kwh: float, how: str) -> dict[str, Any]:
    return {"kwh": kwh, "co2_kg": kwh * _KG_PER_KWH, "how": f"{how}; {1000 * _KG_PER_KWH:.0f} g of CO2 per kWh, the world's mean"}


def _processor_seconds() -> float:
    """Of this process and the ones it waited for."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system
