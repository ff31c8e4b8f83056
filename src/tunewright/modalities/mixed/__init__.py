"""Several modalities in one row."""
