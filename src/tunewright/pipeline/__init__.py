"""The stages of a run, from the recipe to the report."""
