"""Modalities: how rows of a kind are recognized, read and encoded; one folder each.

Contract of a modality's file (other packages add one by the entry point group ``tunewright.modalities``):
- ``RECOGNITION_ORDER``: the modality with the smallest number is asked first whether it recognizes a table's columns;
  ``recognize(table, named) -> (input columns, target columns, task) | None``. Plain text is what none recognizes;
- ``read(table, columns) -> list`` of one tuple for each row, with ``findings`` and ``kinds`` where it takes them;
- ``shown(row) -> str`` for people, and ``key(row) -> bytes`` or ``compared(row) -> tuple of texts`` to find duplicates;
- ``encode(rows, processor, …)``: what a network reads; ``load_processor(folder, config)`` from a model's folder, whose
  configuration is ``config``;
- ``TOKENIZED``: whether rows become token ids; ``SCRATCH_LOADING``: the module that builds and loads networks where nothing
  pre-trained exists (``models/from_scratch.py``), or None;
- optional: ``keeps_together(columns)``, a column whose rows stay on one side of a split; ``kinds_of(table, columns)``, what each
  column is; ``model_folders(folder)``, the folders inside that each hold the model of one modality.
"""
