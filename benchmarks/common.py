"""What every benchmark shares: where the data is, which runs are done, how a result is written."""

from __future__ import annotations

import csv
import gzip
import json
import math
import os
import random
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent
RESULTS = ROOT / "results"
DATA = Path(os.environ.get("TUNEWRIGHT_DATA", ROOT.parent.parent / "shared" / "data"))

Rows = list[dict[str, str]]

# Of transformers' TrainingArguments and those made after them: nothing saved, nothing told.
UNTOLD: dict[str, Any] = {"save_strategy": "no", "logging_strategy": "no", "report_to": "none", "disable_tqdm": True}


def read_rows(name: str, part: str) -> Rows:
    """Rows of one part of a data set as dictionaries with 'text' and 'label'."""
    path = DATA / name / f"{part}.csv.gz"
    if not path.is_file():
        raise SystemExit(f"{path} is not there; set TUNEWRIGHT_DATA to the folder that has {name}/")
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    text = next(column for column in ("text", "sentence", "description") if column in rows[0])
    label = next(column for column in ("label", "target", "category") if column in rows[0])
    return [{"text": row[text], "label": row[label]} for row in rows]


def few_per_class(rows: Rows, shots: int, seed: int) -> Rows:
    """``shots`` rows of each class, drawn with ``seed``, in shuffled order."""
    generator = random.Random(seed)
    chosen: Rows = []
    for label in sorted({row["label"] for row in rows}):
        chosen += generator.sample([row for row in rows if row["label"] == label], shots)
    generator.shuffle(chosen)
    return chosen


def done(file: str) -> set[str]:
    """Keys of the runs that ``results/<file>`` already has."""
    return {row["key"] for row in results(file)}


def results(file: str) -> list[dict[str, Any]]:
    """Every line of ``results/<file>``, in the order of writing."""
    path = RESULTS / file
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []


def write(file: str, key: str, row: dict[str, Any]) -> None:
    """Append one run's line."""
    RESULTS.mkdir(exist_ok=True)
    with (RESULTS / file).open("a", encoding="utf-8") as out:
        out.write(json.dumps({"key": key, **row}) + "\n")


def once(file: str, key: str, measure: Callable[[], dict[str, Any]], **about: Any) -> None:
    """Measure and write one run's line with the processor's seconds, unless ``results/<file>`` has it."""
    if key in done(file):
        return
    started = time.process_time()
    found = measure()
    seconds = round(time.process_time() - started, 1)
    write(file, key, {**about, **found, "seconds": seconds} | machine())
    print(key, found, f"{seconds} s", flush=True)


def carried(package: str, *path: str) -> Path:
    """A file that an installed package carries; the package is not imported."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"{package} is not installed: see the first lines of the script")
    return Path(spec.submodule_search_locations[0]).joinpath(*path)


def machine() -> dict[str, Any]:
    """Versions and hardware, for every line."""
    import torch

    from tunewright.artifacts.manifest import versions
    from tunewright.core.device import describe_hardware, pick_device

    return {"versions": versions(), "hardware": describe_hardware(pick_device("auto")), "threads": torch.get_num_threads()}


def mine(items: Iterable[Any], part: str) -> Iterator[Any]:
    """This process's share of the work, for 'k/n' running side by side."""
    index, of = (int(number) for number in part.split("/"))
    return (item for position, item in enumerate(items) if position % of == index)


def grouped(rows: Iterable[dict[str, Any]], *keys: str) -> dict[tuple[Any, ...], list[dict[str, Any]]]:
    found: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        found[tuple(row[key] for key in keys)].append(row)
    return found


def spread(values: list[float], *, times: float = 100, digits: int = 1) -> str:
    """Mean and standard deviation over seeds, in per cent unless said otherwise."""
    mean = f"{times * statistics.mean(values):.{digits}f}"
    return f"{mean} ± {times * statistics.stdev(values):.{digits}f}" if len(values) > 1 else mean


def difference(points: list[float]) -> str:
    """Mean of paired differences in points, with its 95% interval by Student's t."""
    mean = statistics.mean(points)
    if len(points) < 3:
        return f"{mean:+.1f}"
    from scipy.stats import t

    half = t.ppf(0.975, len(points) - 1) * statistics.stdev(points) / math.sqrt(len(points))
    return f"{mean:+.1f} [{mean - half:+.1f}, {mean + half:+.1f}]"
