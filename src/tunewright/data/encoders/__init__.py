"""From examples to the numbers a network reads, one file per modality."""
