"""How alike two texts are: a regression on the pair read together, judged by correlation.

Source: STS-B as in GLUE (Wang et al. 2019, section 3.2): Pearson and Spearman correlation.
When: pairs with a graded score. When not: searching many texts, where each must be embedded alone.
"""

from __future__ import annotations

from tunewright.heads.regression import Settings, class_weights, counts, decode, losses, prior_bias

__all__ = ["METRICS", "PRIMARY", "Settings", "class_weights", "counts", "decode", "losses", "prior_bias"]

METRICS = ("spearman", "pearson", "root_mean_squared_error")
PRIMARY = "spearman"
