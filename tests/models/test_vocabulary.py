"""A language model's logits in pieces: torch's loss and gradients, and the model's own logits for every family."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from tunewright.core.types import Labels
from tunewright.datasets.ragged import IGNORED
from tunewright.models import vocabulary
from tunewright.models.form import Form
from tunewright.models.loading import load_network
from tunewright.models.vocabulary import Vocabulary

CAUSAL = Form("text", "AutoModelForCausalLM", "vocabulary")


def given(scale: float = 1.0, cap: float | None = None, bias: bool = False) -> tuple[Vocabulary, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(3, 5, 8, generator=generator, requires_grad=True)
    weight = torch.randn(11, 8, generator=generator, requires_grad=True)
    added = torch.randn(11, generator=generator, requires_grad=True) if bias else None
    targets = torch.randint(0, 11, (3, 5), generator=generator)
    targets[0, :3] = targets[2, 4] = IGNORED
    return Vocabulary(hidden, weight, added, scale, cap), targets


@pytest.mark.parametrize("rows", [1, 4, 1000])
@pytest.mark.parametrize(("scale", "cap", "bias"), [(1.0, None, False), (0.5, None, True), (1.0, 3.0, False), (2.0, 5.0, True)])
def test_loss_and_gradients_are_torchs(
    monkeypatch: pytest.MonkeyPatch, rows: int, scale: float, cap: float | None, bias: bool
) -> None:
    monkeypatch.setattr(vocabulary, "_CELLS", rows * 11)
    whole, targets = given(scale, cap, bias)
    tensors = [tensor for tensor in (whole.hidden, whole.weight, whole.bias) if tensor is not None]
    weights = torch.rand(3, 1, generator=torch.Generator().manual_seed(1))  # rows need not weigh alike
    ours = whole.losses(targets)
    found = torch.autograd.grad((ours * weights).sum(), tensors)
    logits = whole.logits()[:, :-1]
    theirs = functional.cross_entropy(logits.transpose(1, 2), targets[:, 1:], ignore_index=IGNORED, reduction="none")
    torch.testing.assert_close(ours[:, 1:], theirs)
    assert (ours[:, 0] == 0).all()
    for mine, wanted in zip(found, torch.autograd.grad((theirs * weights).sum(), tensors), strict=True):
        torch.testing.assert_close(mine, wanted, rtol=1e-4, atol=1e-5)


def test_never_more_logits_than_a_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    plain = vocabulary._logits

    def counted(hidden: torch.Tensor, *rest: object) -> torch.Tensor:
        made.append(len(hidden))
        return plain(hidden, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(vocabulary, "_CELLS", 2 * 11)
    monkeypatch.setattr(vocabulary, "_logits", counted)
    whole, targets = given()
    whole.losses(targets).sum().backward()
    learnt = int((targets[:, 1:] != IGNORED).sum())
    assert max(made) == 2
    assert sum(made) == 2 * learnt  # once for the loss, once for the gradient, and never for a token that is not learnt


def test_nothing_learnt_is_no_loss() -> None:
    whole, targets = given()
    losses = whole.losses(torch.full_like(targets, IGNORED))
    losses.sum().backward()
    assert (losses == 0).all()


@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen2", "qwen3", "gemma", "gemma2"])
def test_every_familys_own_logits(folder_of: Callable[[str], Path], tmp_path: Path, family: str) -> None:
    from transformers import AutoModelForCausalLM

    whole = AutoModelForCausalLM.from_pretrained(str(folder_of(family)))
    whole.save_pretrained(str(tmp_path))
    for name in folder_of(family).glob("*token*"):
        (tmp_path / name.name).write_bytes(name.read_bytes())
    network = load_network(str(tmp_path), Labels("classification", ("a", "b")), form=CAUSAL)
    ids = torch.randint(5, 40, (2, 7), generator=torch.Generator().manual_seed(0))
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    with torch.no_grad():
        torch.testing.assert_close(network(inputs).logits(), whole.eval()(**inputs).logits, rtol=1e-4, atol=1e-5)
    assert network.head_names == ()
    assert len(network.stack.blocks) == 3
