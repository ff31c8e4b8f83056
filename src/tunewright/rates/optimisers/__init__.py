"""Optimisers: ``Settings`` and ``build(groups, settings)``; each group brings its own rate and decay."""
