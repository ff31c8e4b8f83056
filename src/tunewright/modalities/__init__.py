"""Modalities: how rows of a kind are recognized, read and encoded; one folder each."""
