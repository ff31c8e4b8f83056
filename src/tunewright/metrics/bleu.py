"""BLEU: geometric mean of n-gram precisions over the whole corpus with a penalty for shortness, from 0 to 100.

Source: Papineni et al. 2002; tokens and smoothing as sacrebleu's default (Post 2018: 13a, exponential).
When: translation, to compare with published figures. When not: single sentences, or languages with many word forms (chrf).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tunewright.core.optional_packages import require
from tunewright.core.types import Labels
from tunewright.metrics._sums import defined

UNIT = "of 100"
HIGHER_IS_BETTER = True
NEEDS = "values"
READS = ("texts",)

_ORDERS = 4


def sums(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> np.ndarray:
    """Words given and wanted, then common and given n-grams of each order, (n, 10)."""
    scorer = _library()(effective_order=True)  # which only silences a warning: the counts are the same
    counts = np.zeros((len(targets), 2 + 2 * _ORDERS))
    for index, (gold, given) in enumerate(zip(targets, predicted, strict=True)):
        found = scorer.sentence_score(given, list(gold or ("",)))
        counts[index] = found.sys_len, found.ref_len, *found.counts, *found.totals
    return counts


def of_sums(sums: np.ndarray, labels: Labels) -> np.ndarray:
    """Shortness penalty times the geometric mean of the precisions; undefined where nothing is wanted."""
    rows = [_score(row) for row in np.rint(sums.reshape(-1, sums.shape[-1])).astype(np.int64).tolist()]
    return np.array(rows).reshape(sums.shape[:-1])


def _score(row: list[int]) -> float:
    given, wanted, common, total = row[0], row[1], row[2 : 2 + _ORDERS], row[2 + _ORDERS :]
    return float(_library().compute_bleu(common, total, given, wanted, smooth_method="exp").score) if wanted else float("nan")


def _library() -> Any:
    return require("sacrebleu.metrics.bleu", "metrics", "bleu scores").BLEU


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Right texts of each row, against one text per row."""
    return defined(of_sums(sums(targets, predicted, labels).sum(0), labels))
