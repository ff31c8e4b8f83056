"""Step 2: one file per task: what it reads, its loss for each row, its decoding, its metrics.

Other packages add one by the entry point group ``tunewright.tasks``; nothing else lists tasks.

Contract of a head file:
- ``TARGETS``: how targets stand in a table: a file of ``datasets/targets/``, a module of its own, or None for a head that
  other tasks use; ``UNTARGETED``: whether the texts are themselves what is learned;
- ``PIPELINE_TAGS``: modality -> the hubs' word for the task in the model card; the first is for all others;
- ``distillation_loss(output, said, targets, labels, temperature, settings, weights) -> (batch,)``, how far a student's output
  lies from its teacher's, or None; ``TEACHER_ANSWERS_ONCE``: whether a teacher's answer to a row is a few numbers, or some for
  each word;
- ``READS``: input kind -> transformers' auto class; ``OUTPUT``: what of the network's output is the answer (``models/form.py``);
- ``METRICS`` and ``PRIMARY`` (names in ``metrics/``); ``BASELINES`` that mean something for the task, of *majority*, *frozen*
  (a linear probe on the untouched network), *before* (the untouched network itself), *copy* and *lead* (the text that is
  read, and its first sentences), *popular* (what is taken most);
- ``Settings``; ``encode(network, inputs, targets, settings, max_length) -> EncodedDataset``, with the
  targets as the loss reads them;
- ``class_weights(targets, labels, settings)`` once before training; ``losses(output, targets, labels, settings, weights)`` and
  ``counts(targets, weights)``, both (batch,): the mean loss is the sum of the one over the sum of the other;
- ``keep(output, encoded, rows)``: the little that decoding needs of a batch, an array or a list with one array for each example;
  ``decode(kept, labels, encoded) -> Predictions``, one for each row;
- ``shown(value, labels) -> str`` and ``answer(predictions, index, labels) -> dict`` for people and for JSON;
- ``WITH_DECODER``: the head that stands in for this one where the model has a decoder;
- ``WATCHED``: metrics of validation rows during training, the first of them decides, where they are others than ``METRICS``;
- ``generate(network, examples, settings) -> Predictions`` where the answer is written step by step, not read off one pass;
  ``from_inputs(name, inputs, train) -> Predictions``, the baselines *copy*, *lead* and *popular*, from the rows themselves;
- ``tunes(settings) -> bool`` and ``tune(predictions, targets, labels, settings) -> Labels`` where something
   is decided by the validation rows after training;
- ``WHOLE_BATCH = True`` where a row's loss looks at the other rows of its batch (``training/in_batch.py``);
- ``badness(targets, predictions) -> (n,)``, how wrong each row is, where it is no simple difference;
- ``settled(settings, network, train) -> (settings, lines)`` where the training rows decide some of them, which are saved with it;
- ``metrics(labels)`` and ``primary(labels)`` where they depend on the labels; ``decided(labels, settings) -> Labels``, with
  what decides;
- optional: ``DEFAULTS``, settings by section of the recipe where it names none; ``audit(network, rows, examples) -> Audit``,
  what is said of the examples before training; ``remembers(settings)`` and ``remember(examples, passes) -> EncodedDataset``, the
  examples with what the untouched network says of them; ``for_training(examples, network, packing) ->
  EncodedDataset``, those that steps read;
- ``majority(train, wanted, labels)`` and ``prior_bias(targets, labels)`` where they mean something.

What several heads share lies in ``_rows.py`` (one answer for each row), ``_tokens.py`` (an answer for each token) and
``_weights.py`` (all weigh alike); a head imports what it takes under its own name.
"""

from __future__ import annotations

from types import ModuleType

from tunewright.core.types import Labels


def metrics_of(head: ModuleType, labels: Labels) -> tuple[str, ...]:
    """Names of the metrics by which a task's test rows are judged."""
    found: tuple[str, ...] = head.metrics(labels) if hasattr(head, "metrics") else head.METRICS
    return found


def primary_of(head: ModuleType, labels: Labels) -> str:
    """Name of the metric that a task is judged by first."""
    return str(head.primary(labels) if hasattr(head, "primary") else head.PRIMARY)
