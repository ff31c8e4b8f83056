"""Evidence: scores with intervals, baselines, comparisons, tables, and what the curves say."""
