"""The calibration errors against their formulas, and what scaling does to probabilities that are known to be wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.engine.toy import toy_rows
from tests.evaluation.stand_in import classifier
from tunewright.analysis.reports.calibration import Settings, calibration_error, debiased_calibration_error, report
from tunewright.artifacts.model_folder import load_model
from tunewright.core.errors import UserError
from tunewright.core.files import read_json, write_json
from tunewright.core.types import Labels
from tunewright.pipeline.workflow import fit
from tunewright.tasks.classification import task as classification
from tunewright.tasks.shared.calibration import scaled, with_scaling

LABELS = Labels("classification", ("a", "b", "c"))


def drawn(temperature: float, rows: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Classes drawn from the true probabilities, and probabilities that are too sure by a temperature."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(rows, 3)) * 1.5
    true = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    targets = (generator.random(rows)[:, None] > true.cumsum(1)).sum(1)
    said = np.exp(logits * temperature)
    return targets, said / said.sum(1, keepdims=True)


def test_the_error_is_the_mean_gap_of_the_bins() -> None:
    targets, shares = drawn(2.0, 300)
    order = np.argsort(shares.max(1), kind="stable")
    right = (shares.argmax(1) == targets)[order]
    parts = zip(np.split(right, 10), np.split(shares.max(1)[order], 10), strict=True)
    gaps = [abs(often.mean() - sure.mean()) for often, sure in parts]
    assert calibration_error(targets, shares, 10)(np.ones((1, 300)))[0] == pytest.approx(np.mean(gaps))


def test_the_debiased_error_is_near_zero_where_nothing_is_wrong() -> None:
    values, plain = [], []
    for seed in range(20):
        targets, shares = drawn(1.0, 200, seed)
        ones = np.ones((1, 200))
        values.append(debiased_calibration_error(targets, shares, 15)(ones)[0] ** 2)
        plain.append(calibration_error(targets, shares, 15)(ones)[0])
    assert np.mean(values) < 0.002
    assert np.mean(plain) > 0.05  # what counting few rows alone makes of it


@pytest.mark.parametrize("how", ["temperature", "isotonic"])
def test_scaling_mends_probabilities_that_are_too_sure(how: str) -> None:
    targets, shares = drawn(2.5)
    fresh, other = drawn(2.5, seed=1)
    labels = with_scaling(LABELS, shares, targets, how)  # type: ignore[arg-type]
    ones = np.ones((1, len(fresh)))
    before, after = (calibration_error(fresh, found, 15)(ones)[0] for found in (other, scaled(other, labels)))
    assert before > 0.1
    assert after < 0.03
    assert scaled(other, labels).sum(1) == pytest.approx(1.0)
    if how == "temperature":
        assert labels.temperature == pytest.approx(2.5, rel=0.1)
        assert (scaled(other, labels).argmax(1) == other.argmax(1)).all()


def test_the_scaling_is_saved_with_the_model_and_used_again(tiny_bert: Path, tmp_path: Path) -> None:
    run = fit(
        toy_rows(120),
        method="full",
        model=str(tiny_bert),
        target="label",
        out=tmp_path / "run",
        head={"name": "classification", "calibrate": "temperature"},
        training={"epochs": 3},
        optimization={"learning_rate": 1e-3, "head_learning_rate": 1e-2},
        evaluation={"resamples": 100},
    )
    temperature = run.model.labels.temperature
    assert temperature != 1.0
    assert run.manifest["certified"]["equal"]
    first = run.predict(["the bill is wrong"])[0]
    logits = np.log([list(first["probabilities"].values())]) * temperature
    plain = classification.decode(logits, Labels("classification", tuple(first["probabilities"])))
    assert plain.probabilities is not None
    assert max(plain.probabilities[0]) != pytest.approx(first["probability"], abs=1e-6)
    place = run.folder / "model" / "tunewright.json"
    for wrong in ({"temperature": -1.0}, {"isotonic": [[[0.0, 0.0], [1.0, 1.0]]]}):
        content = read_json(place)
        write_json(tmp_path / "kept.json", content)
        content["labels"] |= wrong
        write_json(place, content)
        with pytest.raises(UserError, match="scaling of probabilities"):
            load_model(run.folder / "model")
        write_json(place, read_json(tmp_path / "kept.json"))


@pytest.mark.parametrize(("temperature", "told"), [(1.0, False), (2.5, True)])
def test_only_what_few_rows_do_not_explain_is_a_finding(temperature: float, told: bool) -> None:
    (targets, shares), (wanted, held) = drawn(temperature, 200), drawn(temperature, 200, seed=1)
    found = report(classifier({"test": (shares, targets), "validation": (held, wanted)}), Settings())
    assert bool(found.findings) is told
    assert (found.scores[0].value or 0) > 0.03  # the plain error is large either way
