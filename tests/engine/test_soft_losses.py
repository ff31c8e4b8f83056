"""A student's distance from its teacher, task by task, against the formulas; a vocabulary's in pieces as well as whole."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tunewright.core.types import Labels
from tunewright.datasets.targets.masks import NO_CLASS
from tunewright.models import vocabulary
from tunewright.models.vocabulary import Vocabulary, divergences
from tunewright.tasks.multi_task import task as multi_task
from tunewright.tasks.object_detection import task as detection
from tunewright.tasks.shared import distillation as soft_losses

WARMTH = 2.0
LABELS = Labels("classification", ("a", "b", "c"))


def softened(said: Tensor, student: Tensor) -> Tensor:
    """Kullback and Leibler's sum along the last axis, written out, times the temperature's square."""
    p, q = (said / WARMTH).softmax(-1), (student / WARMTH).softmax(-1)
    return WARMTH**2 * (p * (p / q).log()).sum(-1)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_words_without_a_tag_are_not_learnt_from_the_teacher() -> None:
    said, student = drawn(2, 3, 3), drawn(2, 3, 3, seed=1)
    targets = torch.tensor([[0, 1, -100], [2, -100, -100]])
    found = soft_losses.classes(student, said, targets, LABELS, WARMTH)
    each = softened(said, student)
    torch.testing.assert_close(found, torch.stack([each[0, :2].sum(), each[1, 0]]))
    assert (soft_losses.classes(said, said, targets, LABELS, WARMTH).abs() < 1e-6).all()


def test_flags_and_numbers() -> None:
    said, student = drawn(4, 3), drawn(4, 3, seed=1)
    wanted = functional.binary_cross_entropy_with_logits(student, said.sigmoid(), reduction="none").mean(1)
    torch.testing.assert_close(soft_losses.flags(student, said, said, LABELS, WARMTH), wanted)
    found = soft_losses.numbers(student[:, :1], said[:, :1], said, Labels("regression"), WARMTH)
    torch.testing.assert_close(found, (student[:, 0] - said[:, 0]).square())


def test_both_ends_of_an_answer_are_softmaxes_over_the_places_that_may_hold_it() -> None:
    said, student = drawn(1, 5, 2), drawn(1, 5, 2, seed=1).requires_grad_()
    targets = torch.tensor([[0, -100, 1, 2, 0]])
    allowed = [0, 2, 3, 4]
    found = soft_losses.spans(student, said, targets, Labels("question_answering"), WARMTH)
    ends = [softened(said[0, allowed, end], student[0, allowed, end]) for end in (0, 1)]
    torch.testing.assert_close(found[0], torch.stack(ends).mean())
    found.sum().backward()
    assert student.grad is not None
    assert torch.isfinite(student.grad).all()
    assert (student.grad[0, 1] == 0).all()


def test_pixels_with_a_class_at_the_masks_size() -> None:
    said, student = drawn(2, 3, 4, 4), drawn(2, 3, 2, 2, seed=1)
    mask = torch.randint(0, 3, (2, 4, 4), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    mask[0, :2] = NO_CLASS
    found = soft_losses.pixels(student, said, mask, LABELS, WARMTH)
    large = functional.interpolate(student, size=(4, 4), mode="bilinear", align_corners=False)
    each = softened(said.movedim(1, -1), large.movedim(1, -1))
    torch.testing.assert_close(found, torch.stack([each[0, 2:].sum(), each[1].sum()]))


def test_frames_of_a_clip_are_a_mean_that_weighs_its_characters() -> None:
    said, student = drawn(2, 4, 3), drawn(2, 4, 3, seed=1)
    targets = torch.tensor([[4, 0, 1, 2, 1], [2, 0, 1, -100, -100]])  # frames, blank, text
    found = soft_losses.frames(student, said, targets, Labels("speech_recognition", tuple("ab")), WARMTH)
    each = softened(said, student)
    torch.testing.assert_close(found, torch.stack([3 * each[0].mean(), each[1, :2].mean()]))


def test_vectors_of_one_width_by_distance_and_of_others_by_similarities() -> None:
    student, said, wide = (functional.normalize(drawn(6, width, seed=width), dim=1) for width in (4, 4, 7))
    said = functional.normalize(drawn(6, 4, seed=9), dim=1)
    ids = torch.tensor([[0, 1], [2, 3], [4, -1]])  # the last row has no partner
    found = soft_losses.vectors(student, said, ids, Labels("embedding"), WARMTH)
    cosines = (student * said).sum(1)
    torch.testing.assert_close(found, (2 - 2 * cosines).view(3, 2).mean(1) * torch.tensor([1.0, 1.0, 0.0]))
    other = soft_losses.vectors(student, wide, ids, Labels("embedding"), WARMTH)
    row = torch.stack([sum((student[a] @ student[b] - wide[a] @ wide[b]) ** 2 for b in range(6)) / 6 for a in range(2)])
    torch.testing.assert_close(other[0], row.mean())
    turned = wide @ torch.linalg.qr(drawn(7, 7))[0]
    same = soft_losses.vectors(functional.pad(turned, (0, 1)), wide, ids, Labels("embedding"), WARMTH)
    torch.testing.assert_close(same, torch.zeros(3))  # the same similarities in another space


def test_several_columns_have_each_their_own() -> None:
    labels = Labels("multi_task", parts=(("kind", LABELS), ("size", Labels("regression"))))
    said, student = drawn(2, 4), drawn(2, 4, seed=1)
    found = multi_task.distillation_loss(student, said, torch.zeros(2, 2), labels, WARMTH, None, torch.tensor([1.0, 0.5]))
    wanted = softened(said[:, :3], student[:, :3]) + 0.5 * (student[:, 3] - said[:, 3]).square()
    torch.testing.assert_close(found, wanted)


def test_boxes_that_the_teacher_finds_are_targets() -> None:
    settings, labels = detection.Settings(), Labels("object_detection", ("cat", "dog"))
    output = {"logits": drawn(1, 4, 3), "boxes": drawn(1, 4, 4, seed=1).sigmoid()}
    said = {"logits": torch.tensor([[[4.0, 0, 0], [0, 0, 4], [0, 4, 0]]]), "boxes": drawn(1, 3, 4, seed=2).sigmoid()}
    found = detection.distillation_loss(output, said, torch.zeros(1, 1, 5), labels, WARMTH, settings, None)
    wanted = torch.cat([said["boxes"][0, [0, 2]], torch.tensor([[0.0], [1.0]])], 1)[None]
    torch.testing.assert_close(found, detection.losses(output, wanted, labels, settings, None))
    nothing = {**said, "logits": torch.tensor([[[0.0, 0, 4]] * 3])}
    empty = detection.losses(output, torch.full((1, 1, 5), -1.0), labels, settings, None)
    torch.testing.assert_close(
        detection.distillation_loss(output, nothing, torch.zeros(1, 1, 5), labels, WARMTH, settings, None), empty
    )


@pytest.mark.parametrize("shifted", [True, False])
@pytest.mark.parametrize("cap", [None, 1.5])
@pytest.mark.parametrize("cells", [1 << 24, 60])
def test_a_vocabulary_is_compared_in_pieces(
    shifted: bool, cap: float | None, cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vocabulary, "_CELLS", cells)
    leaves = [drawn(2, 5, 4), drawn(12, 4, seed=1), drawn(12, seed=5)]
    said = Vocabulary(drawn(2, 5, 6, seed=2), drawn(11, 6, seed=3), drawn(11, seed=4))  # ours has a word of no token more
    targets = torch.tensor([[3, 4, -100, 5, 6], [-100, -100, 7, -100, -100]])
    places = [[0, 2, 3], [1]] if shifted else [[0, 1, 3, 4], [2]]
    weights = torch.tensor([1.0, 0.3])
    mine, plain = ([leaf.clone().requires_grad_() for leaf in leaves] for _ in range(2))
    found = divergences(Vocabulary(*mine, scale=0.5, cap=cap), said, targets, WARMTH, shifted=shifted)
    (found * weights).sum().backward()
    hidden, weight, bias = plain
    logits = 0.5 * (hidden @ weight.T + bias)
    logits = (logits if cap is None else cap * torch.tanh(logits / cap))[..., :11]
    theirs = said.hidden @ said.weight.T + said.bias
    whole = torch.stack([softened(theirs[row, some], logits[row, some]).sum() for row, some in enumerate(places)])
    torch.testing.assert_close(found, whole)
    (whole * weights).sum().backward()
    for one, other in zip(mine, plain, strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_an_example_of_which_nothing_is_learnt_adds_nothing() -> None:
    ours, said = Vocabulary(drawn(1, 3, 4).requires_grad_(), drawn(7, 4)), Vocabulary(drawn(1, 3, 4), drawn(7, 4))
    found = divergences(ours, said, torch.full((1, 3), -100), WARMTH)
    assert found.tolist() == [0.0]
