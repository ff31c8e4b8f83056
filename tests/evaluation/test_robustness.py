"""The changes against what they say, and the drops of models whose weakness is known."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from tests.engine.toy import toy_rows
from tests.evaluation.stand_in import subject
from tunewright.analysis.context import Inputs
from tunewright.analysis.corruptions import audio, image, table, text
from tunewright.analysis.evidence import Report
from tunewright.analysis.reports.robustness import Settings, report
from tunewright.core.types import Labels, Predictions
from tunewright.datasets.formats.audio_files import Sound
from tunewright.pipeline.examine import examine
from tunewright.pipeline.workflow import fit

ROW = ("Please RETURN my broken card, it isn't working!",)


def test_typing_errors_are_of_one_letter_inside_of_a_word() -> None:
    generator = np.random.default_rng(0)
    changes = text.changes(share=1.0)
    lengths = {"swapped letters": 0, "dropped letters": -1, "repeated letters": 1, "neighboring keys": 0}
    for name, grown in lengths.items():
        for _ in range(20):
            found = changes[name](ROW, generator)[0]
            for before, after in zip(ROW[0].split(), found.split(), strict=True):
                core = before.strip(",!")
                if len(core) < 4 or not core.isalpha():
                    assert before == after
                    continue
                assert len(after) - len(before) == grown
                assert (after[0], after[len(after) - 1 - len(before) + len(core)]) == (before[0], core[-1])
                if name == "swapped letters":
                    assert sorted(after) == sorted(before)
                if name == "neighboring keys":
                    differ = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
                    assert len(differ) == 1
                    assert differ[0][1].lower() in text.NEIGHBOURS[differ[0][0].lower()]
                    assert differ[0][0].isupper() == differ[0][1].isupper()


def test_keys_are_neighbors_both_ways() -> None:
    assert set(text.NEIGHBOURS["g"]) == set("fhtyvb")
    assert set(text.NEIGHBOURS["q"]) == set("wa")
    for key, beside in text.NEIGHBOURS.items():
        assert all(key in text.NEIGHBOURS[other] for other in beside)


def test_a_share_of_the_words_has_errors() -> None:
    row = (" ".join(["word"] * 50),)
    found = text.changes(share=0.2)["dropped letters"](row, np.random.default_rng(0))[0]
    assert sum(word != "word" for word in found.split()) == 10
    assert text.changes(share=0.2)["dropped letters"](("is it on", "word"), np.random.default_rng(0))[0] == "is it on"


def test_letter_case_punctuation_and_lost_ends() -> None:
    changes, generator = text.changes(0.2), np.random.default_rng(0)
    assert changes["upper case"](ROW, generator)[0] == ROW[0].upper()
    assert changes["no punctuation"](ROW, generator)[0] == "Please RETURN my broken card it isn't working"
    assert changes["no punctuation"](("what? «yes» – (no)",), generator)[0] == "what yes no"
    assert changes["second half lost"](("a b c d e", "x"), generator) == ("a b c", "x")
    assert changes["second half lost"](("",), generator) == ("",)


def test_pictures_change_as_much_as_they_should() -> None:
    generator = np.random.default_rng(0)
    grey = np.full((64, 48, 3), 128, dtype=np.uint8)
    changes = image.changes(severity=1)
    noisy = changes["noise"]((grey,), generator)[0] / 255
    assert noisy.std() == pytest.approx(0.08, rel=0.05)
    assert changes["brighter"]((grey,), generator)[0].mean() == pytest.approx(128 + 0.1 * 255, abs=1)
    assert (changes["brighter"]((grey * 0,), generator)[0] == 26).all()
    scene = generator.integers(0, 256, (64, 48, 3)).astype(np.uint8)
    flat = changes["less contrast"]((scene,), generator)[0]
    assert flat.std() == pytest.approx(0.4 * scene.std(), rel=0.02)
    assert flat.mean() == pytest.approx(scene.mean(), abs=1)
    for name in changes:
        assert changes[name]((scene,), generator)[0].dtype == np.uint8
        assert changes[name]((scene,), generator)[0].shape == scene.shape
    rising = [image.changes(level)["jpeg"]((scene,), generator)[0] for level in (1, 5)]
    errors = [np.abs(one.astype(float) - scene).mean() for one in rising]
    assert 0 < errors[0] < errors[1]
    scene = generator.integers(0, 256, (224, 224, 3)).astype(np.uint8)
    blurs = [image.changes(level)["blur"]((scene,), generator)[0].std() for level in (1, 5)]
    assert scene.std() > blurs[0] > blurs[1]


def test_large_pictures_are_made_smaller_first_and_files_are_read() -> None:
    from PIL import Image

    file = BytesIO()
    Image.fromarray(np.zeros((500, 1000), dtype=np.uint8)).save(file, "PNG")
    (pixels,) = image.plain((file.getvalue(),))
    assert pixels.shape == (224, 448, 3)
    assert image.plain((np.zeros((20, 30, 3), dtype=np.uint8),))[0].shape == (20, 30, 3)


def test_sounds_get_noise_at_the_ratio_that_is_named() -> None:
    time = np.arange(16_000) / 16_000
    clean = (Sound((0.1 * np.sin(2 * np.pi * 440 * time)).astype(np.float32), 16_000),)
    changes, generator = audio.changes(), np.random.default_rng(0)
    for ratio in (20, 10, 0):
        noise = changes[f"noise at {ratio} dB"](clean, generator)[0].samples - clean[0].samples
        measured = 10 * np.log10(np.square(clean[0].samples).mean() / np.square(noise).mean())
        assert measured == pytest.approx(ratio, abs=0.2)
    assert changes["a tenth as loud"](clean, generator)[0].samples.max() == pytest.approx(0.01, rel=1e-3)
    assert changes["four times as loud, clipped"]((Sound(np.array([0.5, -0.1], np.float32), 8000),), generator)[
        0
    ].samples == pytest.approx([1.0, -0.4])


def test_cells_go_missing_by_their_share() -> None:
    generator = np.random.default_rng(0)
    rows = [tuple(range(10)) for _ in range(500)]
    for share in (0.1, 0.3):
        changed = [table.changes()[f"{share:.0%} of cells missing"](row, generator) for row in rows]
        assert np.mean([cell is None for row in changed for cell in row]) == pytest.approx(share, abs=0.02)
        assert all(cell in (None, place) for row in changed for place, cell in enumerate(row))


def judged(words: Inputs) -> Predictions:
    """A model that knows one word: 'refund', in small letters."""
    values = np.array([int("refund" in row[0]) for row in words])
    return Predictions(values, np.eye(2)[values] * 0.8 + 0.1)


def looked_at(rows: list[tuple[str, ...]], targets: np.ndarray, kind: str = "text") -> Report:
    one = subject(
        {"test": judged(rows)},
        {"test": targets},
        Labels("classification", ("a", "b")),
        inputs={"test": rows},
        kind=kind,
        predict=lambda rows, tests: judged(rows),
    )
    return report(one, Settings(share=1.0))


def test_a_model_that_reads_one_word_is_found_out_and_what_it_does_not_read_costs_nothing() -> None:
    targets = np.arange(100) % 2
    told = looked_at([("refund, now" if target else "thanks, bye",) for target in targets], targets)
    drops = {one.name: one for one in told.scores}
    for name in ("swapped_letters", "dropped_letters", "repeated_letters", "neighboring_keys", "upper_case"):
        one = drops[f"change_{name}"]
        assert one.low <= one.value <= one.high
        assert one.value < -0.2
    for name in ("lower_case", "no_punctuation", "second_half_lost"):
        assert drops[f"change_{name}"].value == 0.0
    (finding,) = told.findings
    assert (finding.code, finding.count) == ("not_robust", 5)
    assert "upper case -0.500" in finding.message
    assert "No answer changes with lower case, no punctuation, second half lost." in told.said
    rows = {row[0]: row for row in told.grids[0].rows}
    assert rows["upper case"][-1] == 0.5
    assert rows["upper case"][-2] < 1e-6  # McNemar, exact


def test_a_model_that_loses_nothing_has_no_finding() -> None:
    targets = np.zeros(100, dtype=int)
    assert looked_at([("thanks",)] * 100, targets).findings == ()


def test_a_run_of_texts_is_examined(tiny_bert: Path, tmp_path: Path) -> None:
    run = fit(
        toy_rows(120),
        method="full",
        model=str(tiny_bert),
        target="label",
        out=tmp_path / "run",
        training={"epochs": 2},
        optimization={"learning_rate": 1e-3, "head_learning_rate": 1e-2},
        evaluation={"certify": False, "resamples": 100, "reports": []},
    )
    found = examine(run, "robustness")["robustness"]
    assert found["error"] is None
    assert len(found["scores"]) == 8
    assert all(one["low"] <= one["value"] <= one["high"] for one in found["scores"])
    assert next(one for one in found["scores"] if one["name"] == "change_lower_case")["value"] == 0.0
