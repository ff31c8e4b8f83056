"""The loop and what it stands on: steps, predictions, stages, checkpoints."""
