"""Rows for the tests: distinct sentences, made rather than written."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

ANIMALS = ["otter", "heron", "badger", "falcon", "lizard", "walrus", "beetle", "donkey", "parrot", "salmon", "turtle", "weasel"]
DEEDS = ["gathers", "painted", "behind", "crosses", "watched", "guarded", "borrows", "climbed"]
PLACES = ["harbours", "meadows", "glaciers", "libraries", "rooftops", "vineyards"]


def sentence(number: int) -> str:
    """A sentence of its own for each number below 576."""
    animal, deed, place = ANIMALS[number % 12], DEEDS[number // 12 % 8], PLACES[number // 96 % 6]
    return (
        f"{animal} {number * 7919 % 9973} {deed} {place[::-1] if number % 2 else place} {'xyzw'[number % 4] * (number % 5 + 1)}"
    )


def rows(n: int = 24, labels: tuple[Any, ...] = ("neg", "pos")) -> list[dict[str, Any]]:
    return [{"text": sentence(number), "label": labels[number % len(labels)]} for number in range(n)]


def as_csv(data: list[dict[str, Any]], *, delimiter: str = ",", end: str = "\n") -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(data[0]), delimiter=delimiter, lineterminator=end)
    writer.writeheader()
    writer.writerows(data)
    return out.getvalue()


def as_jsonl(data: list[dict[str, Any]], *, end: str = "\n") -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + end for row in data)
