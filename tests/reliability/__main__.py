"""Run the suites: python -m tests.reliability [--all] [name …]: one JSON line per case, then one line per suite.

``--all`` also kills before and amid each single operation on the disk. Names choose the cases that contain one of them.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable


def main(arguments: list[str]) -> int:
    os.environ["TUNEWRIGHT_CACHE"] = tempfile.mkdtemp(prefix="tunewright-features-")
    for name, value in (("OMP_NUM_THREADS", "1"), ("TOKENIZERS_PARALLELISM", "false"), ("HF_HUB_OFFLINE", "1")):
        os.environ.setdefault(name, value)  # before anything imports torch
    from tests.reliability import controls, faults, harness, inputs, resume, stranger_controls, strangers

    if "--all" in arguments:
        faults.CASES["killed_at_every_operation"] = faults.killed_at_every_operation
    suites = (
        ("faults survived", "survived", faults.CASES),
        ("resume exact", "exact", resume.CASES),
        ("stranger's files refused", "refused", strangers.CASES),
        ("bad inputs handled", "handled", inputs.CASES),
        ("defences whose absence is found", "found", controls.CASES | stranger_controls.CASES),
    )
    wanted = [name for name in arguments if not name.startswith("-")]
    totals = []
    for suite, expected, cases in suites:
        chosen = {name: run for name, run in cases.items() if not wanted or any(part in name for part in wanted)}
        good = sum([_passes(suite, name, expected, run) for name, run in chosen.items()])
        totals.append((suite, good, len(chosen)))
    for suite, good, count in totals:
        sys.stdout.write(f"{suite} {good}/{count}\n")
    shutil.rmtree(harness.root(), ignore_errors=True)
    shutil.rmtree(os.environ["TUNEWRIGHT_CACHE"], ignore_errors=True)
    return 0 if all(good == count for _, good, count in totals) else 1


def _passes(suite: str, name: str, expected: str, run: Callable[[], list[str]]) -> bool:
    """Run a case and write its line."""
    begun = time.monotonic()
    try:
        problems = run()
    except Exception as error:  # the other cases are to be run all the same
        problems = [f"{type(error).__name__}: {error}"]
    line = {
        "suite": suite,
        "id": name,
        "expected": expected,
        "got": problems or expected,
        "ok": not problems,
        "seconds": round(time.monotonic() - begun, 2),
        "rss_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024,
    }
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
    return not problems


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
