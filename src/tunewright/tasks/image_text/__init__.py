"""Task: image text."""
