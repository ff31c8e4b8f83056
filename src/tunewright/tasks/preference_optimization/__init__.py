"""Task: preference."""
