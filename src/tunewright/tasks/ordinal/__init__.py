"""Task: ordinal."""
