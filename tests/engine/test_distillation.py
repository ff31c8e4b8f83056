"""Distillation: Hinton's loss, a teacher that says the same in every unit, and a student of fewer blocks that opens elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.engine.toy import toy_rows
from tests.heads.test_tagging import toy as toy_tags
from tunewright.config.recipe import Distillation
from tunewright.core.errors import UserError
from tunewright.core.files import read_json, read_tensors, write_json, write_tensors
from tunewright.core.registry import load_part
from tunewright.core.types import Labels
from tunewright.models.form import Form
from tunewright.models.loading import load_network
from tunewright.models.quiet import quiet_transformers
from tunewright.models.tiny import tiny_model
from tunewright.models.tiny_audio import tiny_audio_model
from tunewright.models.tiny_images import tiny_image_model
from tunewright.pipeline.workflow import fit
from tunewright.training.distillation import Teacher, _in_units

QUICK = {"method": "full", "evaluation": {"baselines": (), "certify": False}, "data": {"near_duplicates": "ignore"}}


def teacher_of(name: str, labels: Labels, **settings: float) -> Teacher:
    return Teacher(None, labels, Distillation(teacher="runs/x", **settings), load_part("tasks", name))


def test_classes_are_hintons_section_2() -> None:
    generator = torch.Generator().manual_seed(0)
    student, said = torch.randn(4, 3, generator=generator), torch.randn(4, 3, generator=generator)
    hard = torch.rand(4, generator=generator)
    ours = teacher_of("classification", Labels("classification", ("a", "b", "c")), weight=0.7, temperature=3.0)
    found = ours.mixed(hard, student, torch.zeros(4), said)
    soft = 9 * (said / 3).softmax(-1).mul((said / 3).log_softmax(-1) - (student / 3).log_softmax(-1)).sum(-1)
    torch.testing.assert_close(found, 0.3 * hard + 0.7 * soft)


@pytest.mark.parametrize("side", ["right", "left"])
def test_what_was_kept_of_words_lies_where_they_are(side: str) -> None:
    said = [torch.randn(2, 3).numpy(), torch.randn(1, 3).numpy()]
    labels = Labels("token_classification", ("O", "B-a", "I-a"))
    ours = Teacher(said, labels, Distillation(teacher="x"), load_part("tasks", "token_classification"), side=side)
    found = ours.kept(torch.zeros(2, 2, 3), np.arange(2)).numpy()
    assert (found[0] == said[0]).all()
    assert (found[1] == np.concatenate([said[1], 0 * said[1]] if side == "right" else [0 * said[1], said[1]])).all()


def test_numbers_of_several_columns_come_in_the_students_units() -> None:
    mine, theirs = (
        Labels(
            "multi_task", parts=(("kind", Labels("classification", ("a", "b"))), ("size", Labels("regression", mean=m, spread=s)))
        )
        for m, s in ((1.0, 2.0), (3.0, 4.0))
    )
    said = np.array([[0.5, -0.5, 1.0]], dtype=np.float32)
    assert _in_units(said, theirs, mine).tolist() == [[0.5, -0.5, (1.0 * 4 + 3 - 1) / 2]]
    assert said[0, 2] == 1.0
    assert torch.equal(_in_units(torch.from_numpy(said), theirs, mine), torch.tensor([[0.5, -0.5, 3.0]]))


@pytest.mark.parametrize("rows", [toy_rows(48), toy_tags(40)], ids=["texts", "words"])
def test_a_smaller_student_learns_from_a_run_and_is_saved_whole(tiny_bert: Path, tmp_path: Path, rows: list) -> None:
    strong = {"optimization": {"learning_rate": 2e-3, "head_learning_rate": 1e-2}, "training": {"epochs": 4, "batch_size": 8}}
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


def test_preferences_are_refused(tmp_path: Path) -> None:
    rows = [{"prompt": row["text"], "chosen": row["label"], "rejected": "no"} for row in toy_rows(40)]
    given = {"model": str(tiny_model("llama", tmp_path / "llama")), "training": {"max_steps": 1}, **QUICK}
    teacher = fit(rows, out=tmp_path / "teacher", **given)
    with pytest.raises(UserError, match="preference optimization cannot be distilled"):
        fit(rows, out=tmp_path / "run", distillation={"teacher": str(teacher.folder)}, **given)


def test_another_vocabulary_is_refused_where_the_teacher_runs_beside(tmp_path: Path) -> None:
    rows = [{"text": row["text"]} for row in toy_rows(40)]
    given = {"training": {"max_steps": 1}, **QUICK, "data": {"task": "causal_lm", "near_duplicates": "ignore"}}
    teacher = fit(rows, model=str(tiny_model("llama", tmp_path / "llama")), out=tmp_path / "teacher", **given)
    other = tiny_model("llama", tmp_path / "other")
    tokenizer = read_json(other / "tokenizer.json")
    words = tokenizer["model"]["vocab"]
    first, last = sorted(words, key=words.get)[-2:]
    words[first], words[last] = words[last], words[first]
    write_json(other / "tokenizer.json", tokenizer)
    with pytest.raises(UserError, match="reads its inputs otherwise than the student"):
        fit(rows, model=str(other), out=tmp_path / "run", distillation={"teacher": str(teacher.folder)}, **given)


MASKED = {"data": {"task": "masked_lm"}, "head": {"name": "masked_lm", "share": 0.5}}


def tasks() -> dict[str, tuple[Any, ...]]:
    """For each task: rows, what makes a tiny model of its kind, the blocks of the student, and settings."""
    texts = toy_rows(40)
    images = image_scenes(40)
    return {
        "causal_lm": ([{"text": row["text"]} for row in texts], "llama", (0, 2), {"data": {"task": "causal_lm"}}),
        "masked_lm": (
            [{"text": row["text"]} for row in texts],
            "bert-masked",
            (0, 2),
            {"data": {"task": "masked_lm"}},
        ),
        "seq2seq": (
            [{"text": row["text"], "summary": row["label"]} for row in texts],
            "t5",
            (0, 2, 3, 5),
            {"data": {"task": "seq2seq", "target": ["summary"]}, "head": {"name": "seq2seq", "longest": 8, "beams": 1}},
        ),
        "embedding": ([{"anchor": row["text"], "positive": row["label"]} for row in texts], "bert", (0, 2), {}),
        "embedding by class": (texts, "bert", (0, 2), {"data": {"task": "embedding", "target": ["label"]}}),
        "question_answering": (
            [
                {"question": "which?", "context": row["text"], "answers": {"text": [row["text"].split()[1]], "answer_start": []}}
                for row in texts
            ],
            "bert",
            (0, 2),
            {},
        ),
        "multi_task": (
            [{**row, "size": number / 10} for number, row in enumerate(texts)],
            "bert",
            (0, 2),
            {"data": {"task": "multi_task", "text": ["text"], "target": ["label", "size"]}},
        ),
        "semantic_segmentation": (
            [{"image": image, "mask": (image[:, :, 0] > 100).astype(np.uint8)} for image in images],
            "segformer",
            None,
            {"data": {"task": "semantic_segmentation"}},
        ),
        "object_detection": (
            [
                {"image": image, "objects": [{"box": [place % 9, 2, place % 9 + 12, 20], "label": "ab"[place % 2]}]}
                for place, image in enumerate(images)
            ],
            "yolos",
            (0, 2),
            {"data": {"task": "object_detection", "augmentation": {"horizontal_flip": 0.5}}},
        ),
        "changed images": (
            [{"image": image, "label": "ab"[place % 2]} for place, image in enumerate(images)],
            "vit",
            (0, 2),
            {"data": {"augmentation": {"horizontal_flip": 0.5}}},
        ),
        "speech_recognition": (spoken(40), "hubert", (0, 2), {"data": {"task": "speech_recognition"}}),
        "speech_seq2seq": (
            spoken(40),
            "whisper",
            (0, 2, 3, 5),
            {"data": {"task": "speech_recognition"}, "head": {"name": "speech_seq2seq", "longest": 8, "beams": 1}},
        ),
    }


def image_scenes(count: int) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.integers(0, 128, (32, 32, 3), dtype=np.uint8) + np.uint8(100 * (place % 2)) for place in range(count)]


def spoken(count: int) -> list[dict[str, Any]]:
    times = np.arange(4000) / 16000
    waves = [np.sin(2 * np.pi * (300 + 400 * (place % 2)) * times).astype(np.float32) for place in range(count)]
    said = zip(waves, ("abba", "cab") * count, strict=False)
    return [{"audio": {"array": wave, "sampling_rate": 16000}, "sentence": text} for wave, text in said]


def model_of(kind: str, folder: Path) -> Path:
    if kind in ("segformer", "yolos", "vit"):
        return tiny_image_model(kind, folder)
    if kind in ("hubert", "whisper"):
        return tiny_audio_model(kind, folder, layers=3)
    if kind != "bert-masked":
        return tiny_model(kind, folder, layers=3)
    from transformers import AutoModelForMaskedLM

    tiny_model("bert", folder, layers=3)
    with quiet_transformers(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        AutoModelForMaskedLM.from_pretrained(str(folder)).save_pretrained(str(folder))
    weights = folder / "model.safetensors"  # larger ones tell words apart from the start
    write_tensors(weights, {name: value * 3 if value.ndim > 1 else value for name, value in read_tensors(weights).items()})
    return folder


@pytest.mark.parametrize("task", tasks())
def test_every_task_has_a_teacher(task: str, tmp_path: Path) -> None:
    rows, kind, blocks, sections = tasks()[task]
    model = str(model_of(kind, tmp_path / "model"))
    sections = {**sections, "data": {**sections.get("data", {}), "near_duplicates": "ignore", "max_length": 48}}
    sections |= {"method": "full", "evaluation": {"baselines": (), "certify": False}, "optimization": {"learning_rate": 1e-3}}
    teacher = fit(rows, model=model, out=tmp_path / "teacher", training={"max_steps": 2, "batch_size": 8}, **sections)
    student = fit(
        rows,
        model={"source": model, **({"blocks": blocks} if blocks else {})},
        out=tmp_path / "student",
        distillation={"teacher": str(teacher.folder), "weight": 1.0},
        training={"epochs": 6, "batch_size": 8},
        **sections,
    )
    if blocks:
        assert sum(layer["name"].startswith("block") for layer in student.details["layers"]) == len(blocks)
    losses = [event["train_loss"] for event in student.history if event["kind"] == "evaluation"]
    assert losses[-1] < losses[0]
    assert min(losses) >= 0


def test_passes_of_a_whole_batch_change_no_gradient_of_similarities(tiny_bert: Path, tmp_path: Path) -> None:
    rows = [{"anchor": row["text"], "positive": row["label"]} for row in toy_rows(40)]
    sections = {"method": "full", "evaluation": {"baselines": (), "certify": False}, "data": {"near_duplicates": "ignore"}}
    wide = {**sections, "model": str(tiny_model("bert", tmp_path / "wide", width=64))}
    sections["model"] = {"source": str(tiny_bert), "dropout": 0.0}
    teacher = fit(rows, out=tmp_path / "teacher", training={"max_steps": 1}, **wide)
    found = []
    for tokens in (16_384, 64):
        run = fit(
            rows,
            out=tmp_path / f"student-{tokens}",
            distillation={"teacher": str(teacher.folder)},
            training={"max_steps": 2, "batch_size": 16, "max_tokens_per_microbatch": tokens},
            **sections,
        )
        found.append([event["loss"] for event in run.history if event["kind"] == "step"])
    assert found[0] == pytest.approx(found[1], rel=1e-4)


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


def test_both_halves_of_an_encoder_decoder_are_thinned(tmp_path: Path) -> None:
    folder, form = tiny_model("t5", tmp_path / "t5", layers=3), Form("text", "AutoModelForSeq2SeqLM", "vocabulary")
    labels = Labels("seq2seq")
    whole, part = (load_network(str(folder), labels, form=form, blocks=blocks) for blocks in (None, (0, 2, 3, 4)))
    for mine, place in zip(part.stack.blocks, (0, 2, 3, 4), strict=True):
        for one, other in zip(mine.parameters, whole.stack.blocks[place].parameters, strict=True):
            assert torch.equal(part.get_parameter(one), whole.get_parameter(other))
    assert (part.inner.config.num_layers, part.inner.config.num_decoder_layers) == (2, 2)
    part.inner.save_pretrained(str(tmp_path / "part"))
    again, info = type(part.inner).from_pretrained(str(tmp_path / "part"), output_loading_info=True)
    assert not any(info.values())
    given = {"input_ids": torch.tensor([[5, 6, 7]]), "decoder_input_ids": torch.tensor([[0, 8]])}
    with torch.no_grad():
        torch.testing.assert_close(again.eval()(**given).logits, part.inner.eval()(**given).logits)
    with pytest.raises(UserError, match="keeps none of 3 to 5"):
        load_network(str(folder), labels, form=form, blocks=(0, 1))
    with pytest.raises(UserError, match="block 0 has what all blocks after it read"):
        load_network(str(folder), labels, form=form, blocks=(1, 3))


@pytest.mark.parametrize("family", ["swin", "resnet", "convnext"])
def test_stages_are_not_thinned(tmp_path: Path, family: str) -> None:
    folder, form = tiny_image_model(family, tmp_path / family), Form("image", "AutoModelForImageClassification", "logits")
    with pytest.raises(UserError, match="none can be left out"):
        load_network(str(folder), Labels("classification", ("a", "b")), form=form, blocks=(0, 1))
