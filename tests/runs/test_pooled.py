"""Seeds taken together: scipy's own intervals and p-values, groups by recipe, and what cannot be pooled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import t, ttest_rel

from tests.engine.toy import toy_rows
from tunewright.core.errors import UserError
from tunewright.core.files import read_json, write_json
from tunewright.pipeline.workflow import fit
from tunewright.runs.pooled import pool_runs

VALUES = {"a": {0: 0.80, 1: 0.84, 2: 0.82}, "b": {0: 0.78, 1: 0.80, 2: 0.81, 7: 0.99}}


@pytest.fixture(scope="module")
def folders(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Runs of two recipes and some seeds, whose accuracy is written down as wanted: the arithmetic is what is tested."""
    root = tmp_path_factory.mktemp("pooled")
    evaluation = {"certify": False, "resamples": 100, "reports": (), "baselines": ()}
    found: dict[str, list[Path]] = {}
    for name, epochs in (("a", 1), ("b", 2)):
        for seed, value in VALUES[name].items():
            out, training = root / f"{name}{seed}", {"epochs": epochs, "checkpoints": False}
            fit(
                toy_rows(36),
                method="full",
                model=str(tiny_bert),
                target="label",
                seed=seed,
                out=out,
                training=training,
                evaluation=evaluation,
            )
            scores = read_json(out / "scores.json")
            for one in scores["scores"]:
                one["value"] = value if one["name"] == "accuracy" else one["value"]
            write_json(out / "scores.json", scores)
            found.setdefault(name, []).append(out)
    return found


def test_means_and_differences_are_students(folders: dict[str, list[Path]]) -> None:
    pooled = pool_runs([*folders["a"], *folders["b"]])
    first, second = pooled["groups"]
    assert (first["seeds"], second["seeds"]) == ([0, 1, 2], [0, 1, 2, 7])
    assert second["recipe"] == {"training.epochs": 2}
    values = np.array(list(VALUES["a"].values()))
    low, high = t.interval(0.95, 2, values.mean(), values.std(ddof=1) / np.sqrt(3))
    assert first["scores"]["accuracy"]["low"] == pytest.approx(low)
    assert first["scores"]["accuracy"]["high"] == pytest.approx(high)
    (difference,) = pooled["differences"]
    shared = [list(VALUES[name].values())[:3] for name in ("a", "b")]
    told = ttest_rel(*shared)
    assert difference["p"] == pytest.approx(told.pvalue)
    assert (difference["low"], difference["high"]) == pytest.approx(tuple(told.confidence_interval()))
    assert difference["seeds"] == 3


def test_one_seed_has_no_interval_and_the_same_run_twice_is_refused(folders: dict[str, list[Path]]) -> None:
    pooled = pool_runs([folders["a"][0], folders["b"][0]])
    assert pooled["groups"][0]["scores"]["accuracy"]["low"] is None
    assert pooled["differences"][0]["difference"] is None
    assert pooled["differences"][0]["test"] == "fewer than two shared seeds"
    with pytest.raises(UserError, match="two runs are the same"):
        pool_runs([folders["a"][0], folders["a"][0]])
