"""Every head found by listing: its contract; its losses against torch and the papers' formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from tunewright.core.errors import UserError
from tunewright.core.registry import list_parts, load_part
from tunewright.core.types import Labels
from tunewright.metrics._columns import load_metric
from tunewright.tasks.classification import task as classification
from tunewright.tasks.multi_label import task as multi_label
from tunewright.tasks.regression import task as regression

ALL = [part.name for part in list_parts("tasks")]
# Those whose answer is a tensor of logits for each row or token; pixels, vocabularies, vectors and boxes have tests of their own.
NAMES = [
    name
    for name, part in ((name, load_part("tasks", name)) for name in ALL)
    if part.OUTPUT in ("logits", "spans") and set(part.READS) != {"image"}
]
LABELS = {
    "classification": Labels("classification", ("a", "b", "c")),
    "multi_label": Labels("multi_label", ("a", "b", "c")),
    "ordinal": Labels("ordinal", ("1", "2", "3", "4")),
    "multi_task": Labels(
        "multi_task", parts=(("a", Labels("classification", ("x", "y"))), ("b", Labels("regression", mean=3.0, spread=2.0)))
    ),
    "regression": Labels("regression", (), mean=3.0, spread=2.0),
    "sentence_similarity": Labels("sentence_similarity", (), mean=2.5, spread=1.5),
    "token_classification": Labels("token_classification", ("O", "B-a", "I-a")),
    "question_answering": Labels("question_answering", ("start", "end")),
}
TARGETS = {
    "classification": torch.tensor([0, 1, 2, 2, 0]),
    "multi_label": torch.tensor([[1.0, 0, 0], [0, 1, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]]),
    "ordinal": torch.tensor([0, 1, 2, 3, 0]),
    "multi_task": torch.tensor([[0, 1.5], [1, 2], [1, -1], [0, 4], [0, 2]], dtype=torch.float64),
    "regression": torch.tensor([1.0, 3.0, 5.0, 2.0, 4.0]),
    "sentence_similarity": torch.tensor([1.0, 3.0, 5.0, 2.0, 4.0]),
    "token_classification": torch.tensor([[0, 1, -100], [0, 0, 0], [1, 2, 0], [2, -100, -100], [0, 1, 1]]),
    "question_answering": torch.tensor([[3, -100, 0], [0, 1, 2], [0, 3, 0], [0, 3, -100], [0, 0, 3]]),
}
ROWS = tuple(name for name in NAMES if "text" in load_part("tasks", name).READS and load_part("tasks", name).OUTPUT == "logits")
LOGITS = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))


def output_of(name: str, labels: Labels) -> torch.Tensor:
    """Random logits of five rows, (5, outputs), or of their three tokens, (5, 3, outputs)."""
    width = labels.outputs
    tokens = torch.randn(5, 3, width, generator=torch.Generator().manual_seed(1))
    return (
        tokens
        if TARGETS[name].shape[1:] == (3,) and name in ("token_classification", "question_answering")
        else LOGITS[:, :width].clone()
    )


@pytest.mark.parametrize("name", ALL)
def test_what_a_head_names_is_there(name: str) -> None:
    head = load_part("tasks", name)
    assert head.PRIMARY in head.METRICS
    for metric in head.METRICS:
        load_metric(metric)
    assert set(head.BASELINES) <= {"majority", "popular", "frozen", "before", "copy", "lead"}
    assert ("majority" in head.BASELINES) == hasattr(head, "majority")
    assert head.Settings()


@pytest.mark.parametrize("name", NAMES)
def test_contract(name: str) -> None:
    head, labels, targets = load_part("tasks", name), LABELS[name], TARGETS[name]
    logits = output_of(name, labels).requires_grad_()
    settings = head.Settings()
    weights = head.class_weights(targets.numpy(), labels, settings)
    losses = head.losses(logits, targets, labels, settings, weights)
    assert losses.shape == head.counts(targets, weights).shape == (5,)
    losses.sum().backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert logits.grad.abs().sum() > 0
    if name in ROWS:
        predictions = head.decode(logits.detach().numpy(), labels)
        assert len(predictions.values) == 5
        assert head.prior_bias(targets.numpy(), labels).shape == (labels.outputs,)


@pytest.mark.parametrize("name", NAMES)
def test_a_row_decides_alone(name: str) -> None:
    """A loss per row: another row's target changes nothing."""
    head, labels, targets = load_part("tasks", name), LABELS[name], TARGETS[name].clone()
    logits = output_of(name, labels)
    before = head.losses(logits, targets, labels, head.Settings(), None)
    targets[0] = targets[1]
    after = head.losses(logits, targets, labels, head.Settings(), None)
    assert torch.equal(before[1:], after[1:])
    assert not torch.equal(before[:1], after[:1])


def classes(**settings: object) -> torch.Tensor:
    chosen = classification.Settings(**settings)
    return classification.losses(LOGITS, TARGETS["classification"], LABELS["classification"], chosen, None)


def test_label_smoothing_is_torchs() -> None:
    wanted = functional.cross_entropy(LOGITS, TARGETS["classification"], label_smoothing=0.1, reduction="none")
    torch.testing.assert_close(classes(label_smoothing=0.1), wanted)


def test_focal_loss_is_the_papers_equation_4() -> None:
    right = LOGITS.softmax(-1)[torch.arange(5), TARGETS["classification"]]
    torch.testing.assert_close(classes(focal_gamma=2.0), -((1 - right) ** 2) * right.log())
    torch.testing.assert_close(classes(focal_gamma=0.0), -right.log())


def test_balanced_weights_are_scikit_learns() -> None:
    from sklearn.utils.class_weight import compute_class_weight

    targets = np.array([0] * 7 + [1] * 2 + [2])
    ours = classification.class_weights(targets, LABELS["classification"], classification.Settings(class_weights="balanced"))
    assert ours is not None
    np.testing.assert_allclose(ours, compute_class_weight("balanced", classes=np.arange(3), y=targets), rtol=1e-6)


def test_weights_of_another_number_of_classes_are_refused() -> None:
    with pytest.raises(UserError, match="one for each class, in this order: a, b, c"):
        classification.class_weights(
            np.array([0, 1]), LABELS["classification"], classification.Settings(class_weights=(1.0, 2.0))
        )


def test_the_prior_bias_predicts_the_base_rates() -> None:
    targets = np.array([0] * 80 + [1] * 15 + [2] * 5)
    shares = classification.prior_bias(targets, LABELS["classification"]).softmax(0)
    np.testing.assert_allclose(shares, [0.8, 0.15, 0.05], atol=0.02)
    sets = np.stack([targets == 0, targets == 1, targets == 2], 1).astype(float)
    np.testing.assert_allclose(multi_label.prior_bias(sets, LABELS["multi_label"]).sigmoid(), [0.8, 0.15, 0.05], atol=0.02)


def test_positive_weights_are_torchs() -> None:
    settings = multi_label.Settings(class_weights="balanced")
    targets = TARGETS["multi_label"]
    weights = multi_label.class_weights(targets.numpy(), LABELS["multi_label"], settings)
    assert weights is not None
    np.testing.assert_allclose(weights, [3 / 2, 2 / 3, 3 / 2], rtol=1e-6)  # negatives / positives
    wanted = functional.binary_cross_entropy_with_logits(LOGITS, targets, pos_weight=weights, reduction="none").mean(1)
    torch.testing.assert_close(multi_label.losses(LOGITS, targets, LABELS["multi_label"], settings, weights), wanted)


def test_numbers_are_learnt_in_standard_units_and_given_in_their_own() -> None:
    labels, outputs = LABELS["regression"], LOGITS[:, :1]
    given = regression.decode(outputs.numpy(), labels).values
    wanted = np.square((given - TARGETS["regression"].numpy()) / labels.spread)
    ours = regression.losses(outputs, TARGETS["regression"], labels, regression.Settings(), None)
    np.testing.assert_allclose(ours, wanted, rtol=1e-5)
    robust = regression.losses(outputs + 100, TARGETS["regression"], labels, regression.Settings(loss="huber"), None)
    assert (robust < ours.max() + 200).all()
