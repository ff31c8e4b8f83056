"""Metrics: pure functions of targets and predictions, with unit and direction; None is undefined.

Contract: ``UNIT``, ``HIGHER_IS_BETTER``, ``NEEDS`` ('values' or 'probabilities'), ``READS`` (kinds of values, below), and
``value(targets, predicted, labels) -> float or None``.

A metric that is a function of sums over rows has ``sums(targets, predicted, labels) -> (n, k)`` and
``of_sums(sums (..., k), labels) -> (...)``, nan where undefined, which makes its bootstrap one matrix product; ``value`` is then
``of_sums`` of all rows' sum. ``SHARE_OF_ROWS = True`` where the first column is 1 for a right row and 0 for a wrong one, and the
second always 1: exact tests of shares apply. A metric that is no such function, but cheap on many resamples together, has
``on_draws(targets, predicted, labels, draws (r, n)) -> (r,)``, where ``draws`` says how often each row was drawn.

Kinds of values (targets; predicted), n rows each; ``object`` means an array of n Python objects:

- ``classes``: class numbers (n,); the same, or probabilities (n, classes).
- ``sets``: 0/1 decisions (n, classes); the same, or probabilities (n, classes).
- ``numbers``: (n,); (n,).
- ``tags``: object, tag numbers (words,) of each row; the same. ``labels.names`` are the tags.
- ``texts``: object, a tuple of right texts per row, ``()`` or ``("",)`` for none; object, one text per row.
- ``likelihoods``: unused; (n, 3): summed loss in nats, number of tokens, number of UTF-8 bytes.
- ``masked``: unused; (n, 4): the same of the hidden tokens, and how many of them were told rightly.
- ``ranks``: unused; (n,) rank of the first right item, from 1; 0 where none was found; (n, directions) where
  each row is looked for in several.
- ``relevances``: object, relevance (k,) of everything judged for the row, in any order; object, relevance (j,) of what was
  returned, best first.
- ``boxes``: object, (boxes (k, 4) as x1, y1, x2, y2; classes (k,)); object, (boxes, classes, scores (k,)).
- ``confusions``: unused; (n, C, C) pixels by right class (row) and predicted class (column).
- ``columns``: class numbers and numbers side by side (n, columns); the same. ``labels.parts`` tells which is which.
- ``margins``: unused; (n,) reward of the chosen answer less that of the rejected one.

``core.arrays.object_array`` makes such arrays.
"""
