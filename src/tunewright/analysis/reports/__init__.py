"""Reports on a run: one file each."""
