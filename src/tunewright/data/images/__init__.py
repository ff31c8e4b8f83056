"""Pictures before the network sees them: read from their files, and changed at random while training."""
