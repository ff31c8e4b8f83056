"""Task: generation."""
