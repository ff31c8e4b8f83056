"""Entities in tag sequences, well formed or not."""

from __future__ import annotations

import numpy as np
import pytest

from tunewright.core.arrays import object_array
from tunewright.core.registry import load_part
from tunewright.core.types import Labels
from tunewright.metrics._tags import entities

SCHEMES = {
    "BIO": ("O", "B-A", "I-A", "B-B", "I-B"),
    "IOB1": ("O", "I-A", "B-A", "I-B"),
    "BIOES": ("O", "B-A", "I-A", "E-A", "S-A", "B-B", "I-B", "E-B", "S-B"),
    "no types": ("O", "B", "I"),
    "dashes": ("O", "B-part-of", "I-part-of", "I-part-by"),
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_entities_are_the_reference_s_on_any_sequence(scheme: str) -> None:
    reference = pytest.importorskip("seqeval.metrics.sequence_labeling").get_entities
    generator, tags, many = np.random.default_rng(0), SCHEMES[scheme], 0
    for _ in range(300):
        row = [str(tag) for tag in generator.choice(tags, generator.integers(0, 10))]
        parts = [name.partition("-") for name in row]
        found = entities([(prefix, kind) for prefix, _, kind in parts])
        assert [(kind or "_", first, end - 1) for kind, first, end in found] == reference(row)
        many += len(found)
    assert many > 300


def test_entities_do_not_cross_rows() -> None:
    labels = Labels("classification", ("O", "B-A", "I-A"))
    targets, given = object_array([np.array([0, 1]), np.array([2, 0])]), object_array([np.array([0, 1]), np.array([1, 0])])
    assert load_part("metrics", "entity_f1").value(targets, given, labels) == 1.0


@pytest.mark.parametrize(
    ("name", "targets", "given", "value"),
    [
        ("entity_f1", [0, 0], [0, 0], None),
        ("entity_f1", [1, 2], [0, 0], 0.0),
        ("entity_precision", [1, 2], [0, 0], None),
        ("entity_recall", [1, 2], [0, 0], 0.0),
        ("entity_recall", [0, 0], [1, 2], None),
        ("entity_f1", [1, 2], [3, 2], 0.0),  # I-A after B-B begins an entity of its own
        ("entity_precision", [1, 0], [1, 1], 0.5),
        ("token_accuracy", [1, 2], [3, 2], 0.5),
    ],
)
def test_what_is_undefined_and_what_is_nothing(name: str, targets: list[int], given: list[int], value: float | None) -> None:
    labels = Labels("classification", ("O", "B-A", "I-A", "B-B"))
    rows = (object_array([np.array(side)]) for side in (targets, given))
    assert load_part("metrics", name).value(*rows, labels) == value


def test_parts_of_speech_have_no_entities() -> None:
    rows = object_array([np.array([0, 1, 1])])
    labels = Labels("classification", ("NOUN", "VERB"))
    assert load_part("metrics", "entity_f1").value(rows, rows, labels) is None
    assert load_part("metrics", "token_accuracy").value(rows, rows, labels) == 1.0
