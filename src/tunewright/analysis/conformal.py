"""Split conformal prediction: sets of classes, or intervals of numbers, that hold the truth as often as was asked for.

Source: Vovk, Gammerman and Shafer 2005, section 2.2; least ambiguous sets (lac): Sadinle, Lei and Wasserman 2019; adaptive sets
(aps): Romano, Sesia and Candès 2020; regularized (raps): Angelopoulos, Bates, Malik and Jordan 2021, section 2. In place of their
random number stands 0, so that a row's set is always the same: a class is as strange as what is more likely than it has
probability. The most likely class is in every set. The guarantee is one of new rows drawn like the held ones, on average
over both.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import ceil, isinf
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from tunewright.core.errors import UserError
from tunewright.core.files import read_json, write_json
from tunewright.core.types import Predictions

Method = Literal["lac", "aps", "raps", "residual"]

FILE = "conformal.json"
_ROUNDING = 1e-9  # sums of probabilities differ in their last bits


@dataclass(frozen=True)
class Conformal:
    """How strange each held row was for what it is, sorted: all that sets of any coverage need.

    ``penalty`` and ``free``: of raps, what each class beyond the first ``free`` adds.
    """

    method: Method
    strangeness: tuple[float, ...]
    penalty: float = 0.0
    free: int = 0

    def quantile(self, coverage: float) -> float:
        """The strangeness up to which answers are in the set; infinite where the held rows are too few for this coverage."""
        return quantile(self.strangeness, coverage)


def quantile(strangeness: tuple[float, ...] | np.ndarray, coverage: float) -> float:
    """The ⌈(n + 1) coverage⌉-th of n sorted values."""
    rank = ceil((len(strangeness) + 1) * coverage - _ROUNDING)
    return float(strangeness[rank - 1]) if rank <= len(strangeness) else float("inf")


def fitted(method: Method, predictions: Predictions, targets: np.ndarray, penalty: float = 0.0, free: int = 0) -> Conformal:
    """From held rows that nothing was trained on."""
    if method == "residual":
        values = np.abs(predictions.values - targets)
    else:
        assert predictions.probabilities is not None
        values = strangeness(method, predictions.probabilities, penalty, free)[np.arange(len(targets)), targets]
    return Conformal(method, tuple(np.sort(values).tolist()), penalty, free)


def strangeness(method: Method, shares: np.ndarray, penalty: float = 0.0, free: int = 0) -> np.ndarray:
    """How strange each class is for each row, (n, classes): 1 - probability, or that of all likelier classes."""
    if method == "lac":
        return 1 - shares
    order = np.argsort(-shares, axis=1, kind="stable")
    likely = np.take_along_axis(shares, order, 1)
    sums = likely.cumsum(1) - likely
    if method == "raps":
        sums = sums + penalty * np.maximum(0, np.arange(1, shares.shape[1] + 1) - free)
    found: np.ndarray = np.empty_like(sums)
    np.put_along_axis(found, order, sums, 1)
    return found


def sets(conformal: Conformal, shares: np.ndarray, coverage: float) -> np.ndarray:
    """Which classes are in each row's set, (n, classes); the most likely one always is."""
    strange = strangeness(conformal.method, shares, conformal.penalty, conformal.free)
    inside: np.ndarray = strange <= conformal.quantile(coverage) + _ROUNDING
    inside[np.arange(len(shares)), shares.argmax(1)] = True
    return inside


def save(folder: Path, conformal: Conformal) -> None:
    write_json(folder / FILE, asdict(conformal))


def load(folder: Path) -> Conformal:
    """What the run's folder keeps; UserError where that is nothing that can be used."""
    if not (folder / FILE).is_file():
        raise UserError(
            f"the run '{folder}' keeps nothing that sets could be made of", try_=f"tunewright report {folder} conformal"
        )
    kept = read_json(folder / FILE)
    try:
        found = Conformal(kept["method"], tuple(map(float, kept["strangeness"])), float(kept["penalty"]), int(kept["free"]))
    except (KeyError, TypeError, ValueError):
        found = None
    if found is None or found.method not in get_args(Method) or list(found.strangeness) != sorted(found.strangeness):
        raise UserError(f"{folder / FILE} cannot be used", try_=f"tunewright report {folder} conformal")
    return found


def with_sets(
    answers: list[dict[str, Any]], predictions: Predictions, conformal: Conformal, names: tuple[str, ...], coverage: float
) -> list[dict[str, Any]]:
    """Each answer with the ``set`` of classes, most likely first, or the ``interval`` that holds the truth so often."""
    if not 0 < coverage < 1:
        raise UserError(
            f"sets that hold the truth {coverage:g} of the time", expected="a share between 0 and 1", try_="--sets 0.9"
        )
    if isinf(conformal.quantile(coverage)):
        raise UserError(
            f"{len(conformal.strangeness)} held rows are too few for sets that hold the truth {coverage:g} of the time",
            expected=f"at most {len(conformal.strangeness) / (len(conformal.strangeness) + 1):.4g}",
        )
    if conformal.method == "residual":
        half = conformal.quantile(coverage)
        return [one | {"interval": [one["predicted"] - half, one["predicted"] + half]} for one in answers]
    assert predictions.probabilities is not None
    shares = predictions.probabilities
    inside = sets(conformal, shares, coverage)
    order = np.argsort(-shares, axis=1, kind="stable")
    return [one | {"set": [names[place] for place in order[row] if inside[row, place]]} for row, one in enumerate(answers)]
