"""Experiment trackers: one file each, with ``Settings`` and ``callback(settings)``."""
