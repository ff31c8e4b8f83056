"""Task: speech generation."""
