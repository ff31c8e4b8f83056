"""One file per format; each has ``SUFFIXES`` and ``read(path) -> Table``."""
