"""Examples: read, checked, split."""
