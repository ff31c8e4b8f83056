"""Step 8: watchers. A watcher is called with each event of a run and may answer with a Request."""
