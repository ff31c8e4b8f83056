"""Thresholds of several labels: the best F1 on the rows they are tuned on, saved with the model and used again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score

from tunewright.artifacts.model_folder import load_model
from tunewright.core.errors import UserError
from tunewright.core.files import read_json, write_json
from tunewright.core.types import Labels, Predictions
from tunewright.pipeline.steps import InMemoryData, frozen_baseline, prepare_rows, set_up, train_features
from tunewright.pipeline.workflow import fit, make_recipe
from tunewright.tasks.multi_label import task as multi_label

LABELS = Labels("multi_label", ("a", "b", "c"))
TUNED = multi_label.Settings(thresholds="tuned")


def test_each_threshold_is_the_best_of_all() -> None:
    generator = np.random.default_rng(0)
    targets = (generator.random((80, 3)) < (0.1, 0.3, 0.6)).astype(np.float32)
    shares = np.round(np.clip(0.3 * targets + generator.random((80, 3)) * 0.5, 0, 1), 2)  # with ties
    tuned = multi_label.tune(Predictions((shares > 0.5).astype(np.int64), shares), targets, LABELS, TUNED)
    assert len(tuned.thresholds) == 3
    for place, threshold in enumerate(tuned.thresholds):
        every = [f1_score(targets[:, place], shares[:, place] >= cut) for cut in np.unique(shares[:, place])]
        assert f1_score(targets[:, place], shares[:, place] >= threshold) == pytest.approx(max(every))


def test_a_class_of_hardly_any_row_and_half_keep_one_half() -> None:
    targets = np.zeros((20, 3), dtype=np.float32)
    targets[:4, 0], targets[:, 1], targets[::2, 2] = 1, 1, 1
    shares = np.tile(np.linspace(0.01, 0.3, 20)[:, None], 3)
    found = multi_label.tune(Predictions(np.zeros((20, 3), np.int64), shares), targets, LABELS, TUNED)
    assert found.thresholds[0] == 0.5
    assert found.thresholds[1] < 0.01
    assert multi_label.tune(Predictions(np.zeros((20, 3), np.int64), shares), targets, LABELS, multi_label.Settings()) is LABELS


def test_decisions_are_taken_at_the_thresholds() -> None:
    logits = np.array([[0.0, 1.0, -1.0]])
    assert multi_label.decode(logits, LABELS).values.tolist() == [[0, 1, 0]]
    own = Labels("multi_label", LABELS.names, thresholds=(0.5, 0.8, 0.2))
    assert multi_label.decode(logits, own).values.tolist() == [[1, 0, 1]]


def rows(count: int) -> list[dict[str, Any]]:
    """'rare' is on one row in eight and hard to tell."""
    return [
        {"text": f"the {'card' if n % 2 else 'bank'} is {'lost' if n % 8 == 0 else ['new', 'old', 'late'][n % 3]} {n % 7}",
         "tags": ["card"] * (n % 2) + ["rare"] * (n % 8 == 0) + ["other"] * (n % 3 == 0)}
        for n in range(count)
    ]  # fmt: skip


def test_they_are_saved_and_used_again(tiny_bert: Path, tmp_path: Path) -> None:
    run = fit(
        rows(200),
        method="full",
        model=str(tiny_bert),
        target="tags",
        out=tmp_path / "run",
        head={"name": "multi_label", "thresholds": "tuned"},
        data={"near_duplicates": "ignore"},
        optimization={"learning_rate": 1e-3, "head_learning_rate": 3e-3},
        training={"epochs": 3},
        evaluation={"baselines": ()},
    )
    saved = read_json(run.folder / "model" / "tunewright.json")["labels"]["thresholds"]
    assert len(saved) == 3
    assert saved != [0.5] * 3
    given = run.predict([row["text"] for row in rows(8)])
    for row in given:
        named = [name for name, at in zip(run.model.labels.names, saved, strict=True) if row["probabilities"][name] >= at]
        assert row["predicted"] == named
    damaged = read_json(run.folder / "model" / "tunewright.json")
    damaged["labels"]["thresholds"] = [0.5]
    write_json(run.folder / "model" / "tunewright.json", damaged)
    with pytest.raises(UserError, match="a probability for each label"):
        load_model(run.folder / "model")


def test_the_frozen_baseline_has_thresholds_of_its_own(tiny_bert: Path) -> None:
    found = {}
    for how in ("half", "tuned"):
        head = {"name": "multi_label", "thresholds": how}
        recipe = make_recipe(model=str(tiny_bert), target="tags", head=head, data={"near_duplicates": "ignore"})
        data = rows(200)
        setup = set_up(
            recipe, prepare_rows(recipe, InMemoryData(data[:120], data[120:], data[120:]))
        )  # judged on the rows it is tuned on
        found[how] = frozen_baseline(setup, train_features(setup))[0]
        assert setup.network.labels.thresholds == setup.prepared.labels.thresholds == ()  # the probe's are not the network's
    shares = found["half"].probabilities
    assert shares is not None
    assert found["tuned"].probabilities == pytest.approx(shares)
    assert (found["half"].values == (shares > 0.5)).all()
    for place, wanted in enumerate(setup.prepared.test.targets.T):
        best = max(f1_score(wanted, shares[:, place] >= cut) for cut in np.unique(shares[:, place]))
        assert f1_score(wanted, found["tuned"].values[:, place]) == pytest.approx(best)
    assert (found["half"].values != found["tuned"].values).any()


def drawn(n: int, seed: int, hotter: float = 2.5) -> tuple[np.ndarray, np.ndarray]:
    """0/1 targets (n, 3) and probabilities whose log odds are ``hotter`` times what they should be."""
    generator = np.random.default_rng(seed)
    odds = generator.normal(size=(n, 3)) * 1.5 + np.array([-1.0, 0.0, 1.0])
    targets = (generator.random((n, 3)) < 1 / (1 + np.exp(-odds))).astype(np.float32)
    return targets, (1 / (1 + np.exp(-hotter * odds))).astype(np.float32)


@pytest.mark.parametrize("how", ["temperature", "isotonic"])
def test_scaling_mends_probabilities_that_are_too_sure(how: Any) -> None:
    targets, shares = drawn(3000, 0)
    fresh, other = drawn(3000, 1)
    settings = multi_label.Settings(calibrate=how)
    assert multi_label.tunes(settings)
    labels = multi_label.tune(Predictions((shares > 0.5).astype(np.int64), shares), targets, LABELS, settings)
    logits = np.log(other / (1 - other))
    plain, scaled = (multi_label.decode(logits, one) for one in (LABELS, labels))
    assert plain.probabilities is not None
    assert scaled.probabilities is not None

    def loss(found: np.ndarray) -> float:
        return float(-np.log(np.where(fresh > 0, found, 1 - found).clip(1e-6)).mean())

    best = loss(1 / (1 + np.exp(-logits / 2.5)))
    assert loss(plain.probabilities) > 1.2 * best
    assert loss(scaled.probabilities) < 1.02 * best
    if how == "temperature":
        assert labels.temperature == pytest.approx(2.5, rel=0.1)
        assert (scaled.values == plain.values).all()
    else:
        assert (scaled.values == (scaled.probabilities >= 0.5)).all()


def test_a_label_of_hardly_any_row_keeps_its_probabilities_and_thresholds_are_of_scaled_ones() -> None:
    targets, shares = drawn(400, 0)
    targets[:, 0] = 0
    targets[:4, 0] = 1
    settings = multi_label.Settings(calibrate="isotonic", thresholds="tuned")
    labels = multi_label.tune(Predictions((shares > 0.5).astype(np.int64), shares), targets, LABELS, settings)
    assert labels.isotonic[0] == ((0.0, 0.0), (1.0, 1.0))
    found = multi_label.decode(np.log(shares / (1 - shares)), labels)
    assert found.probabilities is not None
    assert found.probabilities[:, 0] == pytest.approx(shares[:, 0], abs=1e-6)
    assert (found.values == (found.probabilities >= np.array(labels.thresholds))).all()
    for place in (1, 2):
        cuts = np.unique(found.probabilities[:, place])
        best = max(f1_score(targets[:, place], found.probabilities[:, place] >= cut) for cut in cuts)
        assert f1_score(targets[:, place], found.values[:, place]) == pytest.approx(best)


def test_the_scaling_is_saved_and_used_again(tiny_bert: Path, tmp_path: Path) -> None:
    run = fit(
        rows(200),
        method="full",
        model=str(tiny_bert),
        target="tags",
        out=tmp_path / "run",
        head={"calibrate": "temperature"},
        data={"near_duplicates": "ignore"},
        optimization={"learning_rate": 1e-3, "head_learning_rate": 3e-3},
        training={"epochs": 2},
        evaluation={"baselines": (), "resamples": 100},
    )
    temperature = run.model.labels.temperature
    assert temperature != 1.0
    assert run.manifest["certified"]["equal"]
    texts = [row["text"] for row in rows(8)]
    told = np.array([list(one["probabilities"].values()) for one in run.predict(texts)])
    odds = np.log(told / (1 - told)) * temperature
    plain = multi_label.decode(odds, Labels("multi_label", run.model.labels.names))
    assert plain.probabilities is not None
    assert np.abs(plain.probabilities - told).max() > 1e-4
