"""Metrics: ``UNIT``, ``HIGHER_IS_BETTER``, ``NEEDS`` ('values' or 'probabilities'), and ``value``, pure; None is undefined."""
