"""What follows a run while it trains: history, early stopping, progress."""
