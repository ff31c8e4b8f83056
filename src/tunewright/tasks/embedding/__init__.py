"""Task: embedding."""
