"""Task: several."""
