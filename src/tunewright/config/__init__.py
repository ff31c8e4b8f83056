"""The recipe and its reader."""
