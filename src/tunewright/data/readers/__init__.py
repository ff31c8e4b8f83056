"""One file per format; each has ``SUFFIXES`` and ``read(path) -> Table``.

Formats whose rows stand one after the other have ``pieces(path, size) -> Iterator[Table]``, too, for files larger than memory.
"""
