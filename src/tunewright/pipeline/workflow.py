"""fit(recipe) -> Run: the eight steps of adapting a pre-trained model, one after the other.

Step 1 choose the model, 2 its head, 3 prepare the rows, 4 what trains, 5 how fast, 6 from where, 7 when, 8 train and watch;
then measure, save, prove that what was saved is what was trained, and report.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunewright.analysis.html_page import write_report
from tunewright.analysis.model_card import write_card
from tunewright.analysis.reporting import chosen, keep_reports, make_reports
from tunewright.artifacts.certificate import certify, write_probe
from tunewright.artifacts.lock import locked
from tunewright.artifacts.manifest import code_hash, differences, now
from tunewright.artifacts.model_folder import save_model
from tunewright.artifacts.run_folder import check_free, clear_half_written, is_unfinished, new_folder
from tunewright.artifacts.saved_rows import keep_rows
from tunewright.callbacks.early_stopping import EarlyStopping
from tunewright.callbacks.history import History
from tunewright.callbacks.named import named_callbacks
from tunewright.config.reader import resolve, to_yaml
from tunewright.config.recipe import Recipe
from tunewright.core.differences import changed_since
from tunewright.core.distributed import DistributedContext, join
from tunewright.core.energy import metered
from tunewright.core.errors import UserError
from tunewright.core.files import write_text
from tunewright.core.registry import load_part
from tunewright.core.seed import seed_everything
from tunewright.core.versions import versions
from tunewright.datasets.encoded import EncodedDataset
from tunewright.datasets.prepare import DatasetSplits
from tunewright.datasets.rows import StreamedRows
from tunewright.modalities.audio.modality import AudioPreprocessing
from tunewright.modalities.image.modality import ImagePreprocessing
from tunewright.models.sources import lasting
from tunewright.models.torch_module import Backbone, backbone_of
from tunewright.pipeline.analysis_context import loaded_of, subject_of
from tunewright.pipeline.forgetting_budget import begin, failure, fit_within
from tunewright.pipeline.results import open_manifest, test_scores, write_manifest, write_results
from tunewright.pipeline.steps import (
    PARTS,
    InMemoryData,
    PreparedRun,
    apply_method,
    baselines_of,
    frozen_baseline,
    initialize,
    make_job,
    predicted,
    prepare_rows,
    said_of_model,
    set_up,
    train_features,
    tune_decisions,
    untuned_features,
)
from tunewright.pipeline.verdict import verdict
from tunewright.runs.reproduction import Reproduced, compare_weights
from tunewright.runs.run import Run, load
from tunewright.tasks.shared.group_thresholds import said_of
from tunewright.training.callback import Callback, checked, notify
from tunewright.training.checkpoint import Checkpoints
from tunewright.training.checkpoint_folder import folders
from tunewright.training.distillation import Teacher, make_teacher
from tunewright.training.estimate import estimate
from tunewright.training.events import RunBegin, RunEnd, StageMessages, Status
from tunewright.training.trainer import train

__all__ = ["fit", "fit_recipe", "load", "make_recipe", "reproduce", "resume"]


def fit(
    data: Any = None,
    /,
    *,
    model: Any = None,
    preprocessing: ImagePreprocessing | AudioPreprocessing | None = None,
    target: str | Sequence[str] | None = None,
    strategy: str | None = None,
    validation: Any = None,
    test: Any = None,
    seed: int | None = None,
    out: str | Path | None = None,
    callbacks: Sequence[Callback | str | Mapping[str, Any]] = (),
    **sections: Any,
) -> Run:
    """Adapt a pre-trained model to examples and return the finished run.

    ``data``, ``validation`` and ``test`` are paths, hub ids, DataFrames, lists of dicts, dicts of lists, or (texts, labels).
    ``sections`` are the recipe's own: ``optimization={"layer_decay": 0.9}``, ``training={"epochs": 3}``, and the short forms
    ``text="message"``, ``task="regression"``, ``budget=600`` (seconds). ``model`` is a folder, a package's name, a hub id,
    a section, or a ``torch.nn.Module`` that reads images or sounds as ``preprocessing`` makes them, of which a copy is trained.
    ``callbacks``: objects, and names (or names with settings) as a recipe's ``callbacks`` has them, such as ``"tensorboard"``.
    When: a table of texts with a target. When not: generating text.
    """
    section = dict(model) if isinstance(model, Mapping) else {"source": model}
    backbone = backbone_of(section.get("source"), preprocessing)
    source = model if backbone is None else section | {"source": backbone.source}
    objects = [one for one in callbacks if not isinstance(one, (str, Mapping))]
    if len(objects) < len(callbacks):
        sections["callbacks"] = [one for one in callbacks if isinstance(one, (str, Mapping))]
    recipe = make_recipe(
        data, model=source, target=target, strategy=strategy, validation=validation, test=test, seed=seed, out=out, **sections
    )
    return fit_recipe(recipe, given=_from_python(data, validation, test), callbacks=checked(objects), backbone=backbone)


def make_recipe(
    data: Any = None,
    /,
    *,
    model: str | Path | Mapping[str, Any] | None = None,
    target: str | Sequence[str] | None = None,
    text: str | Sequence[str] | None = None,
    task: str | None = None,
    budget: float | None = None,
    **wanted: Any,
) -> Recipe:
    """The recipe of ``fit``'s arguments, every default resolved; all faults are reported at once."""
    paths = {"train": data, "validation": wanted.pop("validation", None), "test": wanted.pop("test", None)}
    short: dict[str, dict[str, Any]] = {
        "data": {part: str(path) for part, path in paths.items() if isinstance(path, (str, Path))},
        "model": {} if model is None else dict(model) if isinstance(model, Mapping) else {"source": str(model)},
        "training": {} if budget is None else {"budget_seconds": float(budget)},
    }
    short["data"] |= {} if task is None else {"task": task}
    for key, value in (("target", target), ("text", text)):
        if value is not None:
            short["data"][key] = [value] if isinstance(value, str) else list(value)
    user = {key: str(value) if isinstance(value, Path) else value for key, value in wanted.items() if value is not None}
    for section, values in short.items():
        if values:
            user[section] = {**_plain(user.get(section, {})), **values}
    return resolve(user)


def fit_recipe(
    recipe: Recipe,
    *,
    given: InMemoryData | None = None,
    callbacks: Sequence[Callback] = (),
    parent: str | None = None,
    command: str = "",
    backbone: Backbone | None = None,
    repeats: Run | None = None,
) -> Run:
    """Run a resolved recipe from its rows to its report; ``backbone`` is the module of a recipe that has no model's folder.

    ``repeats``: a run with whose pre-trained weights this one has to begin.

    Where ``out`` holds an unfinished run of the same recipe and rows, that run is continued.
    """
    started = time.monotonic()
    callbacks = checked(callbacks)
    given = given or InMemoryData()
    world = join()
    if not world.is_main_process:
        return _follow(given, backbone, world)
    if recipe.evaluation.max_forgetting is not None:
        if not world.alone:
            raise UserError("evaluation.max_forgetting goes with one process alone", try_="the command without torchrun")
        return _within_budget(recipe, given, callbacks, backbone)
    if recipe.out is not None:
        check_free(Path(recipe.out).expanduser())
        if is_unfinished(Path(recipe.out).expanduser()):
            return _continued(recipe, given, callbacks, backbone)
    tell = _Teller((*callbacks, *named_callbacks(recipe.callbacks)))
    prepared = prepare_rows(recipe, given)
    tell.phase("data", *prepared.said, *(finding.message for finding in prepared.findings))
    setup = set_up(recipe, prepared, backbone)
    if repeats is not None:
        _check_base(setup, repeats)
    tell.phase("model", *said_of_model(setup), *setup.prepared.said[len(prepared.said) :])
    folder = new_folder(recipe.out, f"{Path(recipe.data.train or 'rows').stem}-{recipe.strategy or recipe.method.name}")
    with locked(folder):
        if (folder / "manifest.json").is_file():
            raise UserError(f"another process has just begun a run in '{folder}'", try_="another --out")
        kept = _keep_rows(setup.recipe, given, folder)
        write_text(folder / "recipe.yaml", to_yaml(kept))
        command = command or f"tunewright fit {folder / 'recipe.yaml'}"
        manifest = open_manifest(folder, setup, parent=parent, command=command, asked=_asked(recipe))
        with tell.run(RunBegin(folder, kept.model_dump(mode="json"))), _end_noted(folder, manifest), metered(started) as spent:
            checkpoints = _checkpoints(folder, kept, prepared)
            _steps(setup, folder, manifest, tell, spent, backbone, checkpoints, resuming=False, world=world)
    world.wait()
    return load(folder, backbone=backbone)


def _within_budget(recipe: Recipe, given: InMemoryData, callbacks: Sequence[Callback], backbone: Backbone | None) -> Run:
    """Runs of the recipe and of its remedies, until one forgets no more than asked; what was tried already is not tried again."""
    folder = begin(recipe, _asked(recipe))

    def attempt(changed: Recipe, place: Path) -> Run:
        if (place / "manifest.json").is_file() and (done := load(place, backbone=backbone)).finished:
            return done
        _Teller(tuple(callbacks)).phase("attempt", place.name.replace("_", " "))
        inside = changed.model_copy(update={"out": str(place)})
        return fit_recipe(inside, given=given, callbacks=callbacks, backbone=backbone)

    tried = fit_within(recipe, folder, attempt)
    run = load(folder, backbone=backbone)
    if not run.finished:
        raise UserError(
            failure(tried, recipe.evaluation.max_forgetting or 0.0),
            expected=f"see {run.report}",
            try_="more of evaluation.remedies, or a larger max_forgetting",
        )
    return run


def _continued(recipe: Recipe, given: InMemoryData, callbacks: Sequence[Callback], backbone: Backbone | None) -> Run:
    """Continue the unfinished run in ``recipe.out``; UserError lists what differs from what was asked then."""
    assert recipe.out is not None
    folder = Path(recipe.out).expanduser()
    manifest = load(folder, backbone=backbone).manifest
    said = changed_since(manifest.get("asked", {}), _asked(recipe))
    if not said and prepare_rows(recipe, given).data_hash != manifest["data_hash"]:
        said = ["the rows changed"]
    if said:
        raise UserError(
            f"the folder '{folder}' holds an unfinished run of something else: {'; '.join(said)}",
            expected="the same recipe and rows",
            try_=f"tunewright resume {folder} to continue that run, or another --out",
        )
    return resume(folder, callbacks=callbacks, backbone=backbone)


def resume(folder: str | Path, *, callbacks: Sequence[Callback] = (), backbone: Backbone | None = None) -> Run:
    """Continue an interrupted run from its newest whole checkpoint, as if it had never stopped.

    A run that has none yet begins anew in its folder; a finished run is left as it is.
    """
    world = join()
    callbacks = checked(callbacks)
    if not world.is_main_process:
        return _follow(InMemoryData(), backbone, world)
    run = load(folder, backbone=backbone)
    if run.finished and run.report.is_file() and (run.folder / "README.md").is_file():
        world.broadcast_object({"recipe": None, "folder": str(folder)})
        world.wait()
        return run
    with locked(run.folder):
        clear_half_written(run.folder)
        if run.finished:  # all but its pages
            world.broadcast_object({"recipe": None, "folder": str(folder)})
            write_report(run.folder)
            write_card(run.folder)
        else:
            _resume(run, _Teller((*callbacks, *named_callbacks(run.recipe.callbacks))), backbone, world)
    world.wait()
    return load(folder, backbone=backbone)


def _follow(given: InMemoryData, backbone: Backbone | None, world: DistributedContext) -> Run:
    """What every process but the first one does: the same steps up to the end of training, without writing anything.

    The first one decides how to compute and where; one that has nothing to train says so.
    """
    told = world.broadcast_object()
    if told["recipe"] is not None:
        recipe = Recipe.model_validate(told["recipe"])
        prepared = prepare_rows(recipe, given)
        setup = set_up(recipe, prepared, backbone)
        applied = apply_method(setup)
        initialize(setup, applied, train_features(setup))
        place = Path(told["folder"]) / "checkpoints"
        checkpoints = None if told["kept"] is None else Checkpoints(place, told["kept"], prepared.data_hash)
        job = make_job(setup, applied, (), checkpoints, _teacher(setup, _Teller(())), world)
        seed_everything(recipe.seed + world.rank)
        train(job, resume=told["resuming"])
    world.wait()
    return load(told["folder"], backbone=backbone)


def _resume(run: Run, tell: _Teller, backbone: Backbone | None, world: DistributedContext) -> None:
    started, manifest = time.monotonic(), run.manifest
    prepared = prepare_rows(run.recipe, InMemoryData())
    if prepared.data_hash != manifest["data_hash"]:
        said = f"the rows of '{run.folder}' changed since it was interrupted"
        raise UserError(said, expected="the same rows", try_="a new run")
    newer = manifest | {"code_hash": code_hash(), "versions": {**manifest["versions"], **versions()}}
    tell.phase("data", *prepared.said, *differences(manifest, newer))
    setup = set_up(run.recipe, prepared, backbone)
    _check_base(setup, run)
    checkpoints = _checkpoints(run.folder, run.recipe, prepared)
    resuming = checkpoints is not None and bool(folders(checkpoints.folder))
    if not resuming:
        tell.phase("checkpoint", "nothing had been saved: the run begins anew")
    begun = RunBegin(run.folder, run.recipe.model_dump(mode="json"), resumed=True)
    with tell.run(begun), _end_noted(run.folder, manifest), metered(started) as spent:
        _steps(setup, run.folder, manifest, tell, spent, backbone, checkpoints, resuming=resuming, world=world)


def _check_base(setup: PreparedRun, first: Run) -> None:
    """Refuse to go on from, or to repeat, a run with other pre-trained weights than it began with."""
    if setup.network.base_hash != first.manifest["base"]["hash"]:
        raise UserError(
            f"the model '{setup.network.base}' is not the one that '{first.folder}' began with (its weights' hash differs)",
            expected="the same pre-trained weights",
            try_="a new run",
        )


def _checkpoints(folder: Path, recipe: Recipe, prepared: DatasetSplits) -> Checkpoints | None:
    if not recipe.training.checkpoints:
        return None
    made_of = recipe.model_dump(mode="json")
    made_of["data"] |= dict.fromkeys(PARTS)  # the rows are known by their hash, wherever they lie
    return Checkpoints(folder / "checkpoints", made_of, prepared.data_hash)


def reproduce(
    folder: str | Path,
    *,
    out: str | Path | None = None,
    callbacks: Sequence[Callback] = (),
    backbone: Backbone | None = None,
) -> Reproduced:
    """Make a finished run again from its folder; equal means: the same weights, bit for bit."""
    first = load(folder, backbone=backbone)
    if not first.finished:
        raise UserError(f"the run '{folder}' is not finished ({first.manifest['status']})", try_=f"tunewright resume {folder}")
    target = str(out) if out is not None else f"{first.folder}-reproduced"
    recipe = first.recipe.model_copy(update={"out": target})
    command = f"tunewright reproduce {folder}"
    second = fit_recipe(recipe, callbacks=callbacks, parent=str(first.folder), command=command, backbone=backbone, repeats=first)
    return compare_weights(first, second)


@contextmanager
def _end_noted(folder: Path, manifest: dict[str, Any]) -> Iterator[None]:
    """The manifest says how the run ended, whatever happens; where the disk refuses it, the run's own error is told.

    What the run writes into ``manifest`` meanwhile, its proof most of all, is kept.
    """
    try:
        yield
    except KeyboardInterrupt:
        with suppress(OSError):
            write_manifest(folder, manifest | {"status": "interrupted"})
        raise
    except Exception as error:
        with suppress(OSError):
            write_manifest(folder, manifest | {"status": "failed", "error": str(error)})
        raise


def _steps(
    setup: PreparedRun,
    folder: Path,
    manifest: dict[str, Any],
    tell: _Teller,
    spent: Callable[[], dict[str, Any]],
    backbone: Backbone | None,
    checkpoints: Checkpoints | None,
    *,
    resuming: bool,
    world: DistributedContext,
) -> None:
    """Steps 4 to 8 and what follows them."""
    recipe = setup.recipe
    kept = None if checkpoints is None else checkpoints.recipe
    world.broadcast_object({"recipe": recipe.model_dump(mode="json"), "kept": kept, "folder": str(folder), "resuming": resuming})
    reports = chosen(recipe.evaluation.reports, setup.prepared.labels.task, setup.prepared.schema.kind)
    features = train_features(setup)
    untrained, probe_loss = {}, None
    if "before" in baselines_of(setup):
        tell.phase("baselines", "the untouched network itself")
        untrained["before"] = predicted(setup)
    if "frozen" in baselines_of(setup):
        untrained["frozen"], probe_loss = frozen_baseline(setup, features)
        tell.phase("baselines", "a linear probe on the untouched network, and always the most frequent answer")
    frozen = untuned_features(setup, features) if "frozen" in untrained else {}  # known by now, and what reports need again
    applied = apply_method(setup)
    said = initialize(setup, applied, features)
    job = make_job(setup, applied, _watchers(setup, folder, tell), checkpoints, _teacher(setup, tell), world)
    expected = estimate(job)
    tell.phase("training", *said, f"about {expected.seconds:.0f} s and {expected.bytes / 2**30:.1f} GiB expected")
    seed_everything(recipe.seed)
    trained = train(job, resume=resuming)
    setup = tune_decisions(setup)
    labels = setup.prepared.labels
    by_group = [said_of(labels.groups, labels.names)] if labels.groups else []
    beaten = verdict(job, trained, probe_loss)
    by_group += [] if beaten is None else [beaten]
    tell.phase("evaluation", f"best at step {trained.best_step} of {trained.steps} ({trained.reason})", *by_group)
    tuned = predicted(setup)
    write_results(folder, setup, job, trained, {"fine-tuned": tuned, **untrained}, expected, said, beaten)
    save_model(
        folder / "model",
        setup.network,
        recipe.method.name,
        recipe.method.settings,
        applied,
        head=setup.head_name,
        head_settings=setup.head_settings.model_dump(mode="json"),
        max_length=recipe.data.max_length,
        schema=setup.prepared.schema.as_dict(),
    )
    proof = None
    if recipe.evaluation.certify:
        who = "a fresh process" if backbone is None else "a fresh copy of the module"
        tell.phase("certifying", f"{who} reloads the saved model and predicts the same rows")
        write_probe(folder, setup.network, setup.head, setup.head_settings, setup.prepared.test.inputs, recipe.data.max_length)
        proof = certify(folder, backbone)
        manifest["certified"] = proof  # kept however the run ends
    if reports:
        tell.phase("reports", f"made: {', '.join(choice.name for choice in reports)}")
        subject = subject_of(loaded_of(setup), recipe, setup.prepared, folder, tested=tuned, backbone=backbone, frozen=frozen)
        made = make_reports(subject, reports)
        keep_reports(folder, made)
        tell.phase("reports", *(finding["message"] for one in made.values() for finding in one["findings"]))
    manifest.pop("error", None)  # that of a run which was continued
    failed = proof is not None and not proof["equal"]
    manifest.update(
        {"status": "failed" if failed else "done", "finished": now(), "certified": proof, "verdict": beaten, **spent()}
    )
    write_manifest(folder, manifest)
    tell.phase("report", str(write_report(folder)))
    write_card(folder)
    if failed:
        raise CertificationError(f"the saved model in '{folder}' does not predict as the trained one: {proof}")


def _teacher(setup: PreparedRun, tell: _Teller) -> Teacher | None:
    """What the recipe's teacher says of the training rows."""
    settings = setup.recipe.distillation
    if settings is None:
        return None
    run = load(settings.teacher)
    if not run.finished:
        raise UserError(f"the teacher '{settings.teacher}' is not a finished run", try_=f"tunewright resume {settings.teacher}")
    rows, loaded = setup.prepared.train, run.model
    if isinstance(rows, StreamedRows):
        raise UserError("distillation does not go with data.streaming", try_="--set data.streaming=false")
    head = load_part("tasks", loaded.head)

    def read() -> EncodedDataset:
        own = head.Settings(**loaded.head_settings)
        made: EncodedDataset = head.encode(loaded.network, rows.inputs, rows.targets, own, loaded.max_length)
        return made

    teacher = make_teacher(
        loaded.network,
        head,
        read,
        setup.network,
        setup.head,
        setup.head_settings,
        setup.examples["train"],
        settings,
        setup.precision,
    )
    how = f"answers {len(rows)} training rows, once" if teacher.network is None else "runs beside the student, which takes longer"
    tell.phase("teacher", f"{settings.teacher} {how}")
    return teacher


class CertificationError(RuntimeError):
    """The saved model is not the trained one: our fault, and the run says so."""


@dataclass(frozen=True)
class _Teller:
    """Tells the callbacks which phase a run is in, and what there is to say about it."""

    callbacks: tuple[Callback, ...]

    def phase(self, name: str, *said: str) -> None:
        notify(self.callbacks, StageMessages(name, tuple(said)))

    @contextmanager
    def run(self, begun: RunBegin) -> Iterator[None]:
        """The time of a run; the callbacks learn how it ended, however it ends."""
        status: Status = "failed"
        error = ""
        try:
            notify(self.callbacks, begun)
            yield
            status = "finished"
        except BaseException as raised:
            status = "interrupted" if isinstance(raised, KeyboardInterrupt) else "failed"
            error = str(raised)
            raise
        finally:
            notify(self.callbacks, RunEnd(status, error, test_scores(begun.folder)))


def _watchers(setup: PreparedRun, folder: Path, tell: _Teller) -> tuple[Callback, ...]:
    patience = setup.recipe.training.early_stopping_patience
    stopping = () if patience is None else (EarlyStopping(patience),)
    return (History(folder / "history.jsonl"), *stopping, *tell.callbacks)


def _keep_rows(recipe: Recipe, given: InMemoryData, folder: Path) -> Recipe:
    """The recipe with absolute paths, and the run's own copy of rows that came from Python."""
    kept = {part: keep_rows(folder, part, rows) for part in PARTS if (rows := getattr(given, part)) is not None}
    lasting = _lasting(recipe)
    return lasting.model_copy(update={"data": lasting.data.model_copy(update=kept)})


def _asked(recipe: Recipe) -> dict[str, Any]:
    """A recipe as it was asked for, so that asking for the same again continues the run."""
    return _lasting(recipe).model_dump(mode="json")


def _lasting(recipe: Recipe) -> Recipe:
    """The recipe with absolute paths and without the place of the run."""
    named = {part: path for part in PARTS if (path := getattr(recipe.data, part)) is not None}
    kept = {part: str(Path(path).resolve()) if Path(path).exists() else path for part, path in named.items()}
    replayed = tuple(str(Path(path).resolve()) if Path(path).exists() else path for path in recipe.data.replay)
    changed: dict[str, Any] = {"data": recipe.data.model_copy(update={**kept, "replay": replayed}), "out": None}
    if "source" in recipe.model.model_fields_set:
        changed["model"] = recipe.model.model_copy(update={"source": lasting(recipe.model.source)})
    if recipe.distillation is not None:
        teacher = Path(recipe.distillation.teacher).expanduser()
        lies = str(teacher.resolve()) if teacher.is_dir() else recipe.distillation.teacher
        changed["distillation"] = recipe.distillation.model_copy(update={"teacher": lies})
    return recipe.model_copy(update=changed)


def _from_python(*rows: Any) -> InMemoryData:
    return InMemoryData(*(None if isinstance(part, (str, Path)) else part for part in rows))


def _plain(section: Any) -> Mapping[str, Any]:
    return section.model_dump(mode="json") if hasattr(section, "model_dump") else dict(section)
