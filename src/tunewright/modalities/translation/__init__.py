"""Texts and their translations or summaries."""
