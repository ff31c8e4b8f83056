"""Task: recommendation."""
