"""Train, validation and test rows: balanced by class, by group or by time, the same for the same seed.

Source: Kohavi 1995, A study of cross-validation and bootstrap (stratification); Kapoor and Narayanan 2023, Leakage and the
reproducibility crisis in machine-learning-based science, L1.4 and L3 (duplicates, groups and time across the split).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tunewright.core.errors import UserError

_BINS = 8  # quantiles by which numbers are spread over the parts (a guess)


@dataclass(frozen=True)
class Split:
    """Row indices of each part, ascending."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def join_groups(*groupings: np.ndarray | None) -> np.ndarray | None:
    """Group ids (n,) such that rows together in any of the groupings are together."""
    given = [grouping for grouping in groupings if grouping is not None]
    if len(given) < 2:
        return given[0] if given else None
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n, nodes, edges, offset = len(given[0]), [], [], len(given[0])
    for grouping in given:
        ids = np.unique(grouping, return_inverse=True)[1]
        nodes.append(np.arange(n))
        edges.append(ids + offset)
        offset += int(ids.max()) + 1
    rows, columns = np.concatenate(nodes), np.concatenate(edges)
    graph = coo_array((np.ones(len(rows)), (rows, columns)), shape=(offset, offset))
    return np.asarray(connected_components(graph, directed=False)[1][:n], dtype=np.int64)


def _strata(targets: np.ndarray) -> np.ndarray:
    """A class for each row to balance by: its own, the rarest of its labels, a range of its number, or none. (n,)"""
    if targets.dtype == object:
        return np.zeros(len(targets), dtype=np.int64)
    if targets.ndim == 2:
        frequency = np.where(targets > 0, targets.sum(axis=0), np.inf)
        return np.asarray(np.where(targets.any(axis=1), frequency.argmin(axis=1), targets.shape[1]))
    if np.issubdtype(targets.dtype, np.integer):
        return targets
    edges = np.unique(np.quantile(targets, np.linspace(0, 1, _BINS + 1)[1:-1]))
    return np.searchsorted(edges, targets, side="right")


def first_rows(targets: np.ndarray, many: int, seed: int) -> np.ndarray:
    """Indices of so many rows, ascending, each class with its share; fewer rows are always among more of the same seed."""
    strata = _strata(targets)
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(targets))
    place = np.empty(len(targets))
    for stratum in np.unique(strata):
        own = order[strata[order] == stratum]
        place[own] = (np.arange(len(own)) + generator.random()) / len(own)  # spread evenly over 0 to 1
    return np.sort(np.argsort(place, kind="stable")[:many])


def _quotas(sizes: np.ndarray, spare: np.ndarray, share: float, generator: np.random.Generator) -> np.ndarray:
    """Rows to take from each stratum, (strata,): in proportion, the fractions going to the largest remainders."""
    wanted = np.minimum(sizes * share, spare)
    quotas = np.floor(wanted).astype(np.int64)
    missing = round(float(sizes.sum()) * share) - int(quotas.sum())
    order = np.lexsort((generator.random(len(sizes)), quotas - wanted))
    for stratum in order[quotas[order] < spare[order]][: max(missing, 0)]:
        quotas[stratum] += 1
    return np.asarray(quotas)


def _free(unit: np.ndarray, strata: np.ndarray, left: np.ndarray) -> bool:
    """Whether each stratum keeps a row without the unit; ``left`` (strata,) counts the rows that are not yet taken."""
    found, counts = np.unique(strata[unit], return_counts=True)
    return bool((left[found] > counts).all())


def _fill(pools: list[list[np.ndarray]], strata: np.ndarray, left: np.ndarray, missing: int) -> list[np.ndarray]:
    """Units from any pool as long as one brings the number of rows nearer; large groups fit no stratum's quota."""
    taken: list[np.ndarray] = []
    while missing > 0:
        near = []
        for number, pool in enumerate(pools):
            place = next((place for place in range(len(pool) - 1, -1, -1) if _free(pool[place], strata, left)), None)
            if place is not None:
                near.append((abs(missing - len(pool[place])), number, place))
        if not near or min(near)[0] >= missing:
            break
        _, number, place = min(near)
        taken.append(pools[number].pop(place))
        left -= np.bincount(strata[taken[-1]], minlength=len(left))
        missing -= len(taken[-1])
    return taken


def _take(pools: list[list[np.ndarray]], quotas: np.ndarray, strata: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Whole units from each pool up to its quota, then from any, as long as each stratum keeps a row; ``left`` is lowered."""
    taken: list[np.ndarray] = []
    for pool, quota in zip(pools, quotas, strict=True):
        wanted = int(quota)
        for place in range(len(pool) - 1, -1, -1):
            if len(pool[place]) <= wanted and _free(pool[place], strata, left):
                wanted -= len(pool[place])
                taken.append(pool.pop(place))
                left -= np.bincount(strata[taken[-1]], minlength=len(left))
    taken += _fill(pools, strata, left, int(quotas.sum()) - sum(map(len, taken)))
    return np.sort(np.concatenate(taken)) if taken else np.zeros(0, dtype=np.int64)


def _pools(strata: np.ndarray, groups: np.ndarray, generator: np.random.Generator) -> list[list[np.ndarray]]:
    """The units (rows of one group) of each stratum in random order; a unit belongs to its rows' commonest stratum."""
    order = np.argsort(groups, kind="stable")
    units = np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
    pools: dict[int, list[np.ndarray]] = {int(stratum): [] for stratum in np.unique(strata)}
    for unit in units:
        found, counts = np.unique(strata[unit], return_counts=True)
        pools[int(found[counts.argmax()])].append(unit)
    return [[pool[place] for place in generator.permutation(len(pool))] for pool in pools.values() if pool]


def _spare(pool: list[np.ndarray], strata: np.ndarray, left: np.ndarray) -> int:
    """Rows of a pool that can be taken: its smallest unit stays where its rows' strata have none in another pool."""
    if not pool:
        return 0
    rows = np.concatenate(pool)
    found, counts = np.unique(strata[rows], return_counts=True)
    alone = bool((left[found] == counts).any())
    return len(rows) - (min(map(len, pool)) if alone else 0)


def _by_class(strata: np.ndarray, groups: np.ndarray, shares: Sequence[float], seed: int) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    strata = np.unique(strata, return_inverse=True)[1]
    left = np.bincount(strata)
    pools = _pools(strata, groups, generator)
    sizes = np.array([sum(map(len, pool)) for pool in pools])
    parts = []
    for share in shares:
        spare = np.array([_spare(pool, strata, left) for pool in pools])
        parts.append(_take(pools, _quotas(sizes, spare, share, generator), strata, left))
    return [*parts, np.sort(np.concatenate([unit for pool in pools for unit in pool]))]


def _rows_by_class(strata: np.ndarray, shares: Sequence[float], seed: int) -> list[np.ndarray]:
    """What ``_by_class`` gives where each row is a group of its own, with no object for each row."""
    generator = np.random.default_rng(seed)
    sizes = np.unique(strata, return_counts=True)[1]
    order = np.split(np.argsort(strata, kind="stable"), np.cumsum(sizes)[:-1])
    pools = [rows[generator.permutation(len(rows))] for rows in order]
    parts = []
    for share in shares:
        left = np.array([len(pool) for pool in pools])
        ends = left - _quotas(sizes, left - 1, share, generator)
        parts.append(np.sort(np.concatenate([pool[end:] for pool, end in zip(pools, ends, strict=True)])))
        pools = [pool[:end] for pool, end in zip(pools, ends, strict=True)]
    return [*parts, np.sort(np.concatenate(pools))]


def _by_time(times: np.ndarray, groups: np.ndarray, shares: Sequence[float]) -> list[np.ndarray]:
    """The latest units first; a unit is as late as its latest row, so that nothing later than a test row is trained on."""
    order = np.argsort(groups, kind="stable")
    units = np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
    units.sort(key=lambda unit: (times[unit].max(), int(unit.min())))
    parts = []
    for share in shares:
        part: list[np.ndarray] = []
        missing = round(share * len(times))
        while len(units) > 1 and missing > 0:
            part.append(units.pop())
            missing -= len(part[-1])
        parts.append(np.sort(np.concatenate(part)) if part else np.zeros(0, dtype=np.int64))
    return [*parts, np.sort(np.concatenate(units))]


def split(
    targets: np.ndarray,
    *,
    validation_size: float,
    test_size: float,
    groups: np.ndarray | None = None,
    times: np.ndarray | None = None,
    most: int | None = None,
    seed: int = 0,
) -> Split:
    """Split rows with encoded targets (n,) or (n, classes); a share of 0 leaves that part empty.

    ``most`` bounds the rows of validation, and of test.
    ``groups`` (n,) never cross from one part to another; with ``times`` (n,) the latest rows are the test rows.
    Every class keeps at least one row in train, unless the split is by time.
    """
    if validation_size + test_size >= 1:
        raise UserError(
            f"validation ({validation_size}) and test ({test_size}) take all rows", expected="shares that sum to less than 1"
        )
    n = len(targets)
    units = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]
    shares = [test_size, validation_size] if most is None else [min(share, most / n) for share in (test_size, validation_size)]
    if times is not None:
        test, validation, train = _by_time(np.asarray(times), units, shares)
    elif groups is None:
        test, validation, train = _rows_by_class(_strata(targets), shares, seed)
    else:
        test, validation, train = _by_class(_strata(targets), units, shares, seed)
    for part, share, name in ((validation, validation_size, "validation"), (test, test_size, "test")):
        if share > 0 and not len(part):
            raise _too_few(units, share, name)
    return Split(train, validation, test)


def _too_few(units: np.ndarray, share: float, name: str) -> UserError:
    """No unit could be held out: groups too large for the share, classes that one group has alone, or too few rows."""
    n, sizes = len(units), np.bincount(units)
    nearest = f"a {name} file of its own"
    if len(sizes) < n and sizes.min() / 2 >= share * n:
        return UserError(
            f"the smallest of {len(sizes)} groups has {sizes.min()} of {n} rows, too many for a {name} part of {share:g}",
            expected="a share near a whole group's, since no group is torn apart",
            try_=f"--set data.{name}_size={np.ceil(100 * sizes.min() / n) / 100:g}, or {nearest}",
        )
    return UserError(
        f"{n} rows in {len(sizes)} groups are too few to hold out a {name} part",
        expected="at least a few rows of each class that are not duplicates of one another, in more than one group",
        try_=f"give more rows, or {nearest}",
    )
