"""Sounds before the network hears them: read from their files, as spectrograms, and changed at random while training."""
