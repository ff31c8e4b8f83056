"""Modalities: how rows of a kind are recognised, read and encoded; one folder each."""
