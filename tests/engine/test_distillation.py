"""Distillation: Hinton's loss, a teacher that says the same in every unit, and a student of fewer blocks that opens elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.engine.toy import toy_rows
from tests.heads.test_tagging import toy as toy_tags
from tunewright.core.errors import UserError
from tunewright.core.types import Labels
from tunewright.engine.distillation import Teacher
from tunewright.models.loading import load_network
from tunewright.models.tiny import tiny_model
from tunewright.recipe import Distillation
from tunewright.workflow import fit

QUICK = {"evaluation": {"baselines": (), "certify": False}, "data": {"near_duplicates": "ignore"}}


def teacher_of(outputs: object, labels: Labels, **settings: float) -> Teacher:
    return Teacher(outputs, labels, Distillation(teacher="runs/x", **settings))


def test_classes_are_hintons_section_2() -> None:
    generator = torch.Generator().manual_seed(0)
    student, said = torch.randn(4, 3, generator=generator), torch.randn(4, 3, generator=generator)
    hard = torch.rand(4, generator=generator)
    ours = teacher_of(said.numpy(), Labels("classification", ("a", "b", "c")), weight=0.7, temperature=3.0)
    found = ours.mixed(hard, student, torch.zeros(4), np.arange(4))
    soft = 9 * (said / 3).softmax(-1).mul((said / 3).log_softmax(-1) - (student / 3).log_softmax(-1)).sum(-1)
    torch.testing.assert_close(found, 0.3 * hard + 0.7 * soft)


def test_a_perfect_student_has_nothing_to_learn_from_its_teacher() -> None:
    said = torch.randn(4, 2, 3)
    labels = Labels("tagging", ("O", "B-a", "I-a"))
    ours = teacher_of(list(said.numpy()), labels, weight=1.0)
    found = ours.mixed(torch.ones(4), said.clone(), torch.zeros(4, 2, dtype=torch.long), np.arange(4))
    torch.testing.assert_close(found, torch.zeros(4), atol=1e-6, rtol=0)
    other = ours.mixed(torch.ones(4), said.flip(0), torch.full((4, 2), -100), np.arange(4))
    assert (other == 0).all()  # tokens without a tag are not learnt from the teacher either


def test_several_labels_and_numbers() -> None:
    said, student = torch.randn(4, 3), torch.randn(4, 3)
    several = teacher_of(said.numpy(), Labels("multi_label", ("a", "b", "c")), weight=1.0)
    wanted = functional.binary_cross_entropy_with_logits(student, said.sigmoid(), reduction="none").mean(1)
    torch.testing.assert_close(several.mixed(torch.ones(4), student, said, np.arange(4)), wanted)
    numbers = teacher_of(said[:, :1].numpy(), Labels("regression"), weight=1.0)
    torch.testing.assert_close(
        numbers.mixed(torch.ones(4), student[:, :1], said, np.arange(4)), (student[:, 0] - said[:, 0]).square()
    )


@pytest.mark.parametrize("rows", [toy_rows(48), toy_tags(40)], ids=["texts", "words"])
def test_a_smaller_student_learns_from_a_run_and_is_saved_whole(tiny_bert: Path, tmp_path: Path, rows: list) -> None:
    strong = {"rates": {"backbone": 2e-3, "head": 1e-2}, "training": {"epochs": 4, "batch_size": 8}}
    teacher = fit(rows, model=str(tiny_bert), out=tmp_path / "teacher", **QUICK, **strong)
    student = fit(
        rows,
        model={"source": str(teacher.folder / "model") if "label" in rows[0] else str(tiny_bert), "blocks": (0, 2)},
        out=tmp_path / "student",
        distillation={"teacher": str(teacher.folder), "weight": 1.0},
        **{**QUICK, "evaluation": {"baselines": (), "certify": True}},
        **strong,
    )
    assert student.manifest["certified"]["equal"]
    assert any(name.startswith("transformers") for name in student.manifest["certified"]["with"])
    assert sum(layer["name"].startswith("block") for layer in student.details["layers"]) == 2
    losses = [event["train_loss"] for event in student.history if event["kind"] == "evaluation"]
    assert losses[-1] < losses[0]


def test_another_teacher_is_refused(tiny_bert: Path, tmp_path: Path) -> None:
    once = {"training": {"max_steps": 1}}
    fit(toy_rows(48), model=str(tiny_bert), out=tmp_path / "teacher", **QUICK, **once)
    other = [{**row, "label": row["label"][::-1]} for row in toy_rows(48)]
    with pytest.raises(UserError, match="the teacher answers classification with"):
        fit(
            other,
            model=str(tiny_bert),
            distillation={"teacher": str(tmp_path / "teacher")},
            out=tmp_path / "run",
            **QUICK,
            **once,
        )
    with pytest.raises(UserError, match="is not a folder"):
        fit(other, model=str(tiny_bert), distillation={"teacher": str(tmp_path / "no")}, out=tmp_path / "run2", **QUICK, **once)


def test_a_task_whose_outputs_mean_something_else_is_refused(tiny_bert: Path, tmp_path: Path) -> None:
    rows = [{"text": row["text"], "a": row["label"], "b": row["label"][::-1]} for row in toy_rows(48)]
    given = {
        "model": str(tiny_bert),
        "task": "several",
        "target": ["a", "b"],
        "text": "text",
        "training": {"max_steps": 1},
        **QUICK,
    }
    teacher = fit(rows, out=tmp_path / "teacher", **given)
    with pytest.raises(UserError, match="several cannot be distilled yet"):
        fit(rows, out=tmp_path / "run", distillation={"teacher": str(teacher.folder)}, **given)


@pytest.mark.parametrize("family", ["bert", "distilbert", "gpt2", "llama", "gemma2"])
def test_kept_blocks_are_the_teachers(tmp_path: Path, family: str) -> None:
    folder = tiny_model(family, tmp_path / family, layers=3)
    labels = Labels("classification", ("a", "b"))
    whole, part = load_network(str(folder), labels), load_network(str(folder), labels, blocks=(0, 2))
    for mine, theirs in zip(part.stack.blocks, (whole.stack.blocks[0], whole.stack.blocks[2]), strict=True):
        for one, other in zip(mine.parameters, theirs.parameters, strict=True):
            assert torch.equal(part.get_parameter(one), whole.get_parameter(other))
    assert part.inner.config.num_hidden_layers == 2
    for wrong in ((), (2, 0), (0, 3), (0, 0)):
        with pytest.raises(UserError, match="ascending, each once"):
            load_network(str(folder), labels, blocks=wrong)
