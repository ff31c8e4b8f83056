"""Metrics: ``UNIT``, ``HIGHER_IS_BETTER``, ``NEEDS`` ('values' or 'probabilities'), and ``value``, a pure function; None is undefined."""
