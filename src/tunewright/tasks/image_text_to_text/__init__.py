"""Task: image text to text."""
