"""Task: question answering."""
