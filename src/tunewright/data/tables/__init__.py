"""Tables of mixed columns: what each column is, its numbers made normal, and who took what."""
