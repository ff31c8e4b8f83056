"""Several runs that answer one question about a recipe; one file each.

Contract: ``Settings``; ``study(trials, settings) -> Report``, where ``trials.run(name, changes)`` gives the finished run of the
recipe with some settings changed.
"""
