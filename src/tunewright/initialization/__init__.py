"""Initialization: where the weights start; one file each."""
