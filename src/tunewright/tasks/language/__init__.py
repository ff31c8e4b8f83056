"""Task: language."""
