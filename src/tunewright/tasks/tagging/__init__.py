"""Task: tagging."""
