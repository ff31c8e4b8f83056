"""Task: regression."""
