"""Images with a question."""
