"""Checks of examples: duplicates, leakage, personal data, damage."""
