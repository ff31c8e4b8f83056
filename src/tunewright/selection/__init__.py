"""Step 1: choosing, and knowing beforehand what a run will take."""
