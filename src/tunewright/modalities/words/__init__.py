"""Sentences as lists of words."""
