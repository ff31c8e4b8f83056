"""What a run tells besides its scores: one file each, the same contract."""
