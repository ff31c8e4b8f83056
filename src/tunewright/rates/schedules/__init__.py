"""Schedules: ``Settings`` and ``factor(progress, settings, history)``, a pure function of progress in [0, 1]."""
