"""Confident learning against its formula, against cleanlab, and on labels of which is known which are wrong."""

from __future__ import annotations

import csv
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.engine.toy import toy_recipe, toy_setup
from tests.evaluation.stand_in import subject
from tunewright.analysis.reports.label_noise import (
    Settings,
    confident_class,
    confident_joint,
    noise_share,
    out_of_fold,
    ranked,
    report,
)
from tunewright.core.types import Labels
from tunewright.datasets.quality.fix import fix
from tunewright.pipeline.analysis_context import loaded_of, subject_of
from tunewright.pipeline.steps import train_features

NAMES = ("a", "b", "c", "d")


def noisy(share: float, rows: int = 800, seed: int = 0, spread: float = 0.6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features of four classes, labels of which a share is flipped to another class, and which ones are."""
    generator = np.random.default_rng(seed)
    true = generator.integers(0, 4, rows)
    features = np.eye(4, 12)[true] * 2 + generator.normal(size=(rows, 12)) * spread
    flipped = generator.random(rows) < share
    return features, np.where(flipped, (true + generator.integers(1, 4, rows)) % 4, true), flipped


def asked(features: np.ndarray, targets: np.ndarray, folder: Path, **more: Any) -> Any:
    return subject(
        {}, {"train": targets}, Labels("classification", NAMES), folder=folder, features=lambda inputs, before: features, **more
    )


def test_the_joint_is_counted_as_written() -> None:
    """By hand: thresholds are 0.7 for a (mean of 0.9, 0.5) and 0.6 for b (mean of 0.8, 0.4)."""
    shares = np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8], [0.6, 0.4]])
    targets = np.array([0, 0, 1, 1])
    guesses = confident_class(shares, targets)
    assert guesses.tolist() == [0, -1, 1, -1]
    shares[3] = 0.75, 0.25  # b's threshold is now 0.525, and its second row confidently a
    guesses = confident_class(shares, targets)
    assert guesses.tolist() == [0, -1, 1, 0]
    joint = confident_joint(targets, guesses, 2)
    assert joint.tolist() == [[1, 0], [1, 1]]
    scaled = joint / joint.sum(1, keepdims=True) * np.bincount(targets)[:, None]
    expected = 1 - np.trace(scaled) / scaled.sum()
    assert noise_share(targets, guesses)(np.ones((1, 4)))[0] == pytest.approx(expected) == 0.25
    assert ranked(shares, targets, "margin").tolist() == [3]


def test_it_is_what_cleanlab_counts() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        count = pytest.importorskip("cleanlab.count")
        rank = pytest.importorskip("cleanlab.rank")
        filters = pytest.importorskip("cleanlab.filter")
    features, targets, _ = noisy(0.2)
    shares = out_of_fold(features, targets, Settings(), 0)
    guesses = confident_class(shares, targets)
    many = [(shares[targets == name, name]).mean() for name in range(4)]
    sound = (shares >= many).sum(1) <= 1  # of several confident classes cleanlab takes the likeliest of all, confident or not
    sound |= (shares >= many)[np.arange(800), shares.argmax(1)]
    assert sound.all()
    joint = confident_joint(targets, guesses, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert np.array_equal(joint, count.compute_confident_joint(targets, shares, calibrate=False))
        theirs = count.estimate_joint(targets, shares, confident_joint=joint)
        assert noise_share(targets, guesses)(np.ones((1, 800)))[0] == pytest.approx(1 - np.trace(theirs), abs=2e-3)
        for ours, method in (("self_confidence", "self_confidence"), ("margin", "normalized_margin")):
            quality = rank.get_label_quality_scores(targets, shares, method=method)
            order = ranked(shares, targets, ours)
            assert (np.diff(quality[order]) >= -1e-12).all()
        issues = filters.find_label_issues(targets, shares, filter_by="confident_learning")
    confident = np.flatnonzero((guesses >= 0) & (guesses != targets))
    assert set(np.flatnonzero(issues)) <= set(confident.tolist())
    assert issues.sum() >= 0.8 * len(confident)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.25])
def test_flipped_labels_are_estimated_and_found(share: float, tmp_path: Path) -> None:
    features, targets, flipped = noisy(share, rows=1500)
    found = report(asked(features, targets, tmp_path), Settings())
    (estimate,) = found.scores
    assert estimate.low <= estimate.value <= estimate.high
    assert abs(estimate.value - flipped.mean()) < 0.05
    with (tmp_path / "label_noise.csv").open(newline="") as file:
        listed = list(csv.DictReader(file))
    told = np.array([int(one["row"]) - 1 for one in listed], dtype=int)
    assert flipped[told].sum() >= 0.8 * flipped.sum()
    assert (~flipped)[told].sum() <= 0.06 * (~flipped).sum()
    if share:
        true = np.array([NAMES.index(one["suggested"]) for one in listed])
        assert (true != targets[told]).all()
        assert flipped[told[:20]].mean() >= 0.9  # the likeliest come first
    assert bool(found.findings) == (share >= 0.25 or (share == 0.1 and estimate.low >= 0.1))


def test_rows_off_the_diagonal_can_be_listed_instead(tmp_path: Path) -> None:
    features, targets, _ = noisy(0.2)
    shares = out_of_fold(features, targets, Settings(), 0)
    guesses = confident_class(shares, targets)
    report(asked(features, targets, tmp_path), Settings(pick="confident", rank="margin"))
    told = {int(line.split(",")[0]) - 1 for line in (tmp_path / "label_noise.csv").read_text().splitlines()[1:]}
    assert told == set(np.flatnonzero((guesses >= 0) & (guesses != targets) & (shares.argmax(1) != targets)).tolist())


def test_the_interval_holds_the_share(tmp_path: Path) -> None:
    """The share of flipped labels is inside the interval about as often as it says, where features tell the classes apart."""
    inside = 0
    for seed in range(20):
        features, targets, flipped = noisy(0.15, rows=500, seed=seed, spread=0.3)
        found = report(asked(features, targets, tmp_path, seed=seed), Settings())
        inside += found.scores[0].low <= flipped.mean() <= found.scores[0].high
    assert inside >= 18


def test_a_weak_probe_and_few_rows_tell_nothing(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    targets = generator.integers(0, 4, 300)
    found = report(asked(generator.normal(size=(300, 12)), targets, tmp_path), Settings())
    assert found.scores[0].value is None
    assert "too weak" in found.said[0]
    few = report(asked(generator.normal(size=(30, 12)), targets[:30], tmp_path), Settings())
    assert "too few" in few.said[0]
    assert not (tmp_path / "label_noise.csv").exists()


def test_classes_of_few_rows_are_not_judged(tmp_path: Path) -> None:
    features, targets, _ = noisy(0.1, rows=300)
    targets[:3] = 3
    targets[(targets == 3) & (np.arange(300) > 2)] = 0
    asked_of: list[int] = []

    def read(inputs: list[Any], before: bool) -> np.ndarray:
        asked_of.append(len(inputs))
        return features[3:]

    found = report(subject_reading(read, targets, tmp_path), Settings())
    assert asked_of == [297]
    assert "297 of 300" in found.said[0]
    assert "d" not in {line.split(",")[1] for line in (tmp_path / "label_noise.csv").read_text().splitlines()[1:]}


def subject_reading(read: Any, targets: np.ndarray, folder: Path) -> Any:
    return subject({}, {"train": targets}, Labels("classification", NAMES), folder=folder, features=read)


def test_streamed_rows_are_said_to_be_left_alone() -> None:
    found = report(subject({}, {"test": np.zeros(3, dtype=int)}, Labels("classification", NAMES)), Settings())
    assert "streamed" in found.said[0]


def test_check_leaves_out_the_rows_that_are_listed(tmp_path: Path) -> None:
    features, targets, flipped = noisy(0.1, rows=400)
    data = [{"text": f"row {number} of many", "label": NAMES[label]} for number, label in enumerate(targets)]
    made = subject(
        {},
        {"train": targets},
        Labels("classification", NAMES),
        inputs={"train": [(row["text"],) for row in data]},
        folder=tmp_path,
        features=lambda inputs, before: features,
    )
    found = report(made, Settings())
    lines = ["text,label", *(f"{row['text']},{row['label']}" for row in data)]
    lines.insert(1, "")  # rows are told by their line: the first of the stand-in is 1, of a file 2
    source = tmp_path / "rows.csv"
    source.write_text("\n".join(lines) + "\n")
    noise = tmp_path / "label_noise.csv"
    rows = noise.read_text().splitlines()
    noise.write_text("\n".join([rows[0], *(f"{int(row.split(',')[0]) + 2},{row.split(',', 1)[1]}" for row in rows[1:])]) + "\n")
    done = fix(source, tmp_path / "fixed.csv", drop_noise=tmp_path, skip=["conflicts"])
    (dropped,) = done.changes
    assert dropped.count == len(rows) - 1 == round(found.scores[0].value * 400)
    assert flipped[np.array(dropped.rows) - 3].sum() >= 0.8 * flipped.sum()


def test_features_that_a_run_knows_are_not_computed_again(tiny_bert: Path, tmp_path: Path) -> None:
    setup = toy_setup(toy_recipe(tiny_bert, evaluation={"baselines": ("frozen",), "certify": False}))
    known = train_features(setup)()
    made = subject_of(loaded_of(setup), setup.recipe, setup.prepared, tmp_path, frozen={"train": known * 2})
    train = made.rows["train"].inputs
    assert made.features([train[4], train[2]], True) == pytest.approx(known[[4, 2]] * 2)
    fresh = subject_of(loaded_of(setup), setup.recipe, setup.prepared, tmp_path)
    assert fresh.features(train, True) == pytest.approx(known, abs=1e-5)
    assert made.features(train, False) == pytest.approx(known, abs=1e-5)  # those of the network itself are computed


def test_rows_of_equal_shares_are_as_likely_as_their_mean() -> None:
    """The mean of equal numbers may be rounded above them: of ten times 0.1 and 0.7 it is."""
    for share in (0.1, 0.3, 0.7, 0.9):
        for many in (3, 10, 77):
            shares = np.tile([share, 1 - share], (2 * many, 1))
            targets = np.repeat([0, 1], many)
            assert (confident_class(shares, targets) == (0 if share > 0.5 else 1)).all()
    shares = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])  # a real difference is one: the second is below its class's mean
    assert confident_class(shares, np.array([0, 0, 1])).tolist() == [0, -1, 1]
