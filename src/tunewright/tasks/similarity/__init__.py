"""Task: similarity."""
