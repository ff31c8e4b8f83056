"""The command line: one file per command; a file's name is the command's, and files that start with '_' are shared."""
