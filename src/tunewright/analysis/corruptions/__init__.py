"""Corruptions of inputs by modality, for robustness."""
