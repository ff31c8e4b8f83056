"""What happens to rows on their way to a model: one file for each kind, ``changes(settings) -> name -> change of one row``."""
