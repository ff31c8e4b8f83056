"""How alike two texts are: a regression on the pair read together, judged by correlation.

Source: STS-B as in GLUE (Wang et al. 2019, section 3.2): Pearson and Spearman correlation.
When: pairs with a graded score. When not: searching many texts, where each must be embedded alone.
"""

from __future__ import annotations

from tunewright.tasks.regression.task import BASELINES as BASELINES
from tunewright.tasks.regression.task import OUTPUT as OUTPUT
from tunewright.tasks.regression.task import Settings as Settings
from tunewright.tasks.regression.task import answer as answer
from tunewright.tasks.regression.task import class_weights as class_weights
from tunewright.tasks.regression.task import counts as counts
from tunewright.tasks.regression.task import decode as decode
from tunewright.tasks.regression.task import encode as encode
from tunewright.tasks.regression.task import keep as keep
from tunewright.tasks.regression.task import losses as losses
from tunewright.tasks.regression.task import majority as majority
from tunewright.tasks.regression.task import prior_bias as prior_bias
from tunewright.tasks.regression.task import shown as shown
from tunewright.tasks.shared import distillation

TARGETS = "values"
UNTARGETED = False
PIPELINE_TAGS = {"text": "sentence-similarity"}
TEACHER_ANSWERS_ONCE = True
distillation_loss = distillation.by_row(distillation.numbers)
READS = {"text": "AutoModelForSequenceClassification"}
METRICS = ("spearman", "pearson", "root_mean_squared_error")
PRIMARY = "spearman"
