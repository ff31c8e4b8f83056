"""Reports, the HTML page and the model card: they read a finished run and are never needed by it."""
