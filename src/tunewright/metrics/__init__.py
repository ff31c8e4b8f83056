"""Metrics: pure functions of targets and predictions, with unit and direction; None is undefined.

Contract: ``UNIT``, ``HIGHER_IS_BETTER``, ``NEEDS`` ('values' or 'probabilities'), ``value(targets, predicted, labels)``, and
``rows(targets, predicted)`` where the metric is a mean over rows.
"""
