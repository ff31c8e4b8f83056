"""Step 3, the examples: reading, guessing columns, labels, splits, checks, encoding and batching."""
