"""Task: detection."""
