"""Task: multi label."""
