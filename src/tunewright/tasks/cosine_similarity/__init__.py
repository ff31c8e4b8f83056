"""Task: cosine."""
