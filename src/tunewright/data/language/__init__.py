"""Rows that a language model learns from: conversations, chat templates, the audit before training, and packing."""
