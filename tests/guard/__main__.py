"""Record what the guard's runs end in: python -m tests.guard."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

EXPECTED = Path(__file__).with_name("expected.json")
# The plainest arithmetic of every library, so that as many processors as possible agree in the last bit.
PLAIN = {
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_CBWR": "COMPATIBLE",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
}


def child(out: Path) -> dict[str, Any]:
    """What the runs end in, made in a process of their own."""
    environment = os.environ | PLAIN | {"TUNEWRIGHT_CACHE": str(out.parent / "features")}
    command = [sys.executable, "-W", "ignore", "-m", "tests.guard.runs", str(out)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=EXPECTED.parents[2])
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return found


def fingerprint() -> dict[str, str]:
    """The libraries and the processor that decide the last bits."""
    import numpy
    import torch
    import transformers

    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").is_file() else []
    processor = {key: value for key, _, value in (line.partition(":") for line in lines)}
    named = {key.strip(): value.strip() for key, value in processor.items()}
    return {
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "numpy": numpy.__version__,
        "processor": " ".join(named.get(key, "?") for key in ("vendor_id", "cpu family", "model")),
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        runs = child(Path(temporary) / "found.json")
    EXPECTED.write_text(json.dumps({"recorded_on": fingerprint(), "runs": runs}, indent=1) + "\n", encoding="utf-8")
