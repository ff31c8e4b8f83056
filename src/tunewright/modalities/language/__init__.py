"""What language models read: chat templates, conversations, packed sequences."""
