"""What the readers share: files as bytes and text, separated values, JSON, archives, Arrow, folders of classes."""
