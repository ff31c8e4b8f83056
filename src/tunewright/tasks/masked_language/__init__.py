"""Task: masked language."""
