"""What a run leaves on disk: its folder, manifest, model and certificate."""
