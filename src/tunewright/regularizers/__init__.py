"""Regularizers: one file each."""
