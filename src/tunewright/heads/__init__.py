"""Step 2: one file per task: what its logits mean, its per-example loss, its decoding, its metrics.

Contract of a head file: ``Settings``; ``METRICS`` and ``PRIMARY`` (names in ``metrics/``); ``class_weights(targets, labels,
settings)`` once before training; ``losses(logits, targets, labels, settings, weights)`` -> (batch,); ``counts(targets,
weights)`` -> (batch,), what each row weighs in the mean; ``decode(logits, labels)``; ``prior_bias(targets, labels)``.
"""
