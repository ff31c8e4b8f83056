"""How alike two texts are: a regression on the pair read together, judged by correlation.

Source: STS-B as in GLUE (Wang et al. 2019, section 3.2): Pearson and Spearman correlation.
When: pairs with a graded score. When not: searching many texts, where each must be embedded alone.
"""

from __future__ import annotations

from tunewright.heads.regression import BASELINES as BASELINES
from tunewright.heads.regression import OUTPUT as OUTPUT
from tunewright.heads.regression import Settings as Settings
from tunewright.heads.regression import answer as answer
from tunewright.heads.regression import class_weights as class_weights
from tunewright.heads.regression import counts as counts
from tunewright.heads.regression import decode as decode
from tunewright.heads.regression import encode as encode
from tunewright.heads.regression import keep as keep
from tunewright.heads.regression import losses as losses
from tunewright.heads.regression import majority as majority
from tunewright.heads.regression import prior_bias as prior_bias
from tunewright.heads.regression import shown as shown

READS = {"text": "AutoModelForSequenceClassification"}
METRICS = ("spearman", "pearson", "root_mean_squared_error")
PRIMARY = "spearman"
