"""Callbacks: history, early stopping, progress, experiment trackers, and a bridge to those of transformers."""
