"""Step 7: when layers start to train.

Contract: ``stages(depths, lowest, epochs, settings)``, where ``depths`` counts the groups of the stack (the head, always
open, is the last) and ``lowest`` is the lowest depth that the method lets train. A schedule driven by scores also has
``advance(history, settings)``; ``history`` holds all evaluations of the run so far.
"""
