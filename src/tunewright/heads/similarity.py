"""How alike two texts are: a regression on the pair read together, judged by correlation.

Source: STS-B as in GLUE (Wang et al. 2019, section 3.2): Pearson and Spearman correlation.
When: pairs with a graded score. When not: searching many texts, where each must be embedded alone.
"""

from __future__ import annotations

from tunewright.heads.regression import (
    BASELINES,
    OUTPUT,
    Settings,
    answer,
    class_weights,
    counts,
    decode,
    encode,
    keep,
    losses,
    majority,
    prior_bias,
    shown,
)

__all__ = [
    "BASELINES",
    "METRICS",
    "OUTPUT",
    "PRIMARY",
    "READS",
    "Settings",
    "answer",
    "class_weights",
    "counts",
    "decode",
    "encode",
    "keep",
    "losses",
    "majority",
    "prior_bias",
    "shown",
]

READS = {"text": "AutoModelForSequenceClassification"}
METRICS = ("spearman", "pearson", "root_mean_squared_error")
PRIMARY = "spearman"
