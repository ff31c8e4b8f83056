"""A finished run as its table and as its JSON document."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunewright.cli._output import cell, print_json, print_table, tell
from tunewright.core.files import read_json
from tunewright.training.interrupts import Interrupted

if TYPE_CHECKING:
    from tunewright.runs.run import Run

_NOTHING_GAINED = (
    "Training gained nothing here. `tunewright find-rate` with the same data and settings suggests a rate for this network; "
    "a strategy brings its own (`tunewright parts strategies`)."
)

# From the least a model can do to the run's own result.
_ORDER = ("majority", "popular", "copy", "lead", "trees", "frozen", "before", "fine-tuned")


def by_name(scores: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Scores by metric: value, low, high, n, and a note where a value is undefined."""
    kept = ("value", "low", "high", "n")
    return {s["name"]: {key: s[key] for key in kept} | ({"note": s["note"]} if s.get("note") else {}) for s in scores}


def interval(score: dict[str, Any]) -> str:
    """'0.934 [0.921, 0.945]', or a dash for an undefined value."""
    if score["value"] is None:
        return cell(None)
    bounds = "" if score["low"] is None else f" [{score['low']:.3f}, {score['high']:.3f}]"
    return f"{score['value']:.3f}{bounds}"


def comparison(compared: dict[str, Any]) -> str:
    """'fine-tuned − frozen: accuracy +0.031 [0.020, 0.042], p = 0.003 (McNemar)'."""
    pair = f"{compared['a']} − {compared['b']}: {compared['metric']}"
    if compared["difference"] is None:
        return f"{pair} {compared['test']}"
    bounds = "" if compared["low"] is None else f" [{compared['low']:+.3f}, {compared['high']:+.3f}]"
    chance = "" if compared["p"] is None else f", p = {compared['p']:.2g}"
    return f"{pair} {compared['difference']:+.3f}{bounds}{chance} ({compared['test']})"


def gained_nothing(compared: Sequence[dict[str, Any]]) -> bool:
    """Whether training was for nothing: no better than the untouched network or its probe, by the metric that was compared."""
    from tunewright.training.evaluate import higher_is_better  # torch, which --help does not need

    return any(
        one["difference"] is not None and (one["difference"] <= 0 if higher_is_better(one["metric"]) else one["difference"] >= 0)
        for one in compared
        if (one["a"], one["b"]) in (("fine-tuned", "frozen"), ("fine-tuned", "before"))
    )


def run_document(run: Run) -> dict[str, Any]:
    """What `fit --json` and `runs show --json` print."""
    manifest = run.manifest
    document = {key: manifest.get(key) for key in ("status", "created", "strategy", "seed", "parent", "certified")}
    groups: dict[str, list[dict[str, Any]]] = {}
    for score in run.all_scores() if run.finished else ():
        groups.setdefault(score["of"], []).append(score)
    return {
        "run": run.folder,
        **document,
        "model": manifest["base"]["source"],
        "scores": by_name(groups.pop("fine-tuned", [])),
        "baselines": {name: by_name(scores) for name, scores in groups.items()},
        "verdict": manifest.get("verdict"),
        "comparisons": read_json(run.folder / "scores.json").get("comparisons", []) if run.finished else [],
        "report": run.report if run.report.is_file() else None,
    }


def show_run(run: Run, *, as_json: bool) -> None:
    """The result of a run: baselines and fine-tuned side by side, and where everything lies."""
    if as_json:
        print_json(run_document(run))
        return
    if run.finished:
        _show_scores(run.all_scores())
        compared = read_json(run.folder / "scores.json").get("comparisons", ())
        for one in compared:
            tell(comparison(one))
        if run.manifest.get("verdict"):
            tell(run.manifest["verdict"])
        elif gained_nothing(compared):
            tell(_NOTHING_GAINED)
    tell(f"run     {run.folder}")
    if run.report.is_file():
        tell(f"report  {run.report}")


def _show_scores(scores: list[dict[str, Any]]) -> None:
    metrics = list(dict.fromkeys(score["name"] for score in scores))
    found = {(score["of"], score["name"]): interval(score) for score in scores}
    named = {of for of, _ in found}
    models = [*sorted(named - set(_ORDER)), *(name for name in _ORDER if name in named)]
    rows = [(name, *(found.get((name, metric)) for metric in metrics)) for name in models]
    print_table(("", *metrics), rows, title=f"Test rows: {scores[0]['n']:,}")


@contextmanager
def telling_how_to_resume(out: str | Path | None) -> Iterator[None]:
    """On Ctrl-C or SIGTERM, name the command that continues the run; without ``out`` it is the newest interrupted one."""
    try:
        yield
    except KeyboardInterrupt as stop:
        folder, number = Path(out) if out is not None else _newest_interrupted(), getattr(stop, "signal", signal.SIGINT)
        if folder is None or not list((folder / "checkpoints").glob("step-*")):
            raise Interrupted(number, "Interrupted before anything was saved.") from stop
        raise Interrupted(number, f"Interrupted; `tunewright resume {folder}` continues it.") from stop


def _newest_interrupted() -> Path | None:
    from tunewright.runs.store import list_runs

    return next((Path(row["folder"]) for row in list_runs(Path("runs")) if row["status"] == "interrupted"), None)
