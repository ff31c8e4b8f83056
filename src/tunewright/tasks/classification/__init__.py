"""Task: classification."""
