"""Task: transcription."""
