"""Run: the folder of a run, opened."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, final

from tunewright.analysis.conformal import load as read_conformal
from tunewright.analysis.conformal import with_sets
from tunewright.artifacts.records import read_manifest, read_scores, score_of
from tunewright.callbacks.history import read_history
from tunewright.config.reader import read_recipe
from tunewright.config.recipe import Recipe
from tunewright.core.damaged_files import read_fields, unusable
from tunewright.core.errors import UserError
from tunewright.core.files import read_object
from tunewright.core.paths import refuse_address
from tunewright.core.registry import load_part
from tunewright.core.types import Predictions, Score
from tunewright.datasets.columns import find
from tunewright.datasets.inputs import inputs_of
from tunewright.datasets.prepare import label_rows
from tunewright.datasets.read import read_table
from tunewright.datasets.schema import Schema
from tunewright.datasets.table import Table
from tunewright.evaluation.intervals import score
from tunewright.modalities.audio.modality import AudioPreprocessing
from tunewright.modalities.image.modality import ImagePreprocessing
from tunewright.runs.confusion_matrix import ConfusionMatrix
from tunewright.runs.notebook import run_html
from tunewright.runs.reports import Reports
from tunewright.runs.run_history import RunHistory
from tunewright.runs.scores import Scores
from tunewright.tasks import metrics_of
from tunewright.tasks.shared.group_thresholds import decided_by, places_of

if TYPE_CHECKING:
    import numpy as np

    from tunewright.artifacts.model_folder import Loaded
    from tunewright.inference.predictor import Predictor
    from tunewright.models.torch_module import Backbone

_OPENING = RLock()  # models are opened one at a time, and each once


@final
class Run:
    """A run's folder: its recipe, what it measured, and its model, read when first asked for."""

    def __init__(self, folder: str | Path, backbone: Backbone | None = None) -> None:
        self.folder = Path(folder)
        self.backbone = backbone

    def __repr__(self) -> str:
        return f"Run('{self.folder}')"

    def _repr_html_(self) -> str:
        return run_html(self)

    @cached_property
    def recipe(self) -> Recipe:
        return read_recipe(self.folder / "recipe.yaml")

    @property
    def manifest(self) -> dict[str, Any]:
        return read_manifest(self.folder)

    @property
    def finished(self) -> bool:
        return bool(self.manifest["status"] == "done")

    @property
    def scores(self) -> Scores:
        """The fine-tuned model's scores on the test rows: a list, with ``to_frame()``."""
        return Scores(score_of(entry) for entry in self.all_scores() if entry["of"] == "fine-tuned")

    def all_scores(self) -> list[dict[str, Any]]:
        """Every score, of the fine-tuned model and of the baselines."""
        entries: list[dict[str, Any]] = read_scores(self.folder)["scores"]
        return entries

    @property
    def details(self) -> dict[str, Any]:
        """Tables, layers, time and memory, as measured."""
        return read_object(self.folder / "details.json")

    def model_labels(self) -> dict[str, Any]:
        """What the targets mean, as data.json has it."""
        labels: dict[str, Any] = read_fields(self.folder / "data.json", {"labels": dict}, "what a run knows of its data")[
            "labels"
        ]
        return labels | {"names": tuple(labels["names"])}

    @property
    def history(self) -> RunHistory:
        """Steps, evaluations and stages: a list of events, with ``plot()`` and ``to_frame()``."""
        return RunHistory(read_history(self.folder / "history.jsonl"))

    def confusion_matrix(self) -> ConfusionMatrix:
        """Test rows by class and predicted class; UserError where the task has no such counts."""
        return ConfusionMatrix.of(self.details, str(self.model_labels()["task"]))

    @property
    def report(self) -> Path:
        """The page for people."""
        return self.folder / "report.html"

    @property
    def model(self) -> Loaded:
        """The trained model, reloaded from what was saved."""
        return self.predictor.loaded

    @property
    def predictor(self) -> Predictor:
        """What answers with the trained model; opened once, and threads may share it."""
        with _OPENING:
            return self._predictor

    @cached_property
    def _predictor(self) -> Predictor:
        from tunewright.artifacts.model_folder import load_model  # torch is loaded here, not where runs are listed
        from tunewright.inference.predictor import Predictor

        return Predictor(load_model(self.folder / "model", self.backbone))

    def predict(self, data: Any, *, sets: float | None = None) -> list[dict[str, Any]]:
        """Predict each row of a file, table, or list of texts: its number, the answer, its probability where there is one.

        ``sets=0.9`` adds the ``set`` of classes, or the ``interval``, that holds the truth of nine rows in ten
        (``analysis/conformal.py``). A model with thresholds by group asks for the group's column. One tuned on conversations
        writes its answers, as ``generate`` does with nothing set.
        """
        conformal = None if sets is None else read_conformal(self.folder)
        if self.model.head in ("causal_lm", "preference_optimization") and self._schema.kind == "conversation":
            return [{"row": one["row"], "predicted": one["answer"], "probability": None} for one in self.generate(data)]
        table = _as_table(data, self._schema)
        predictions = self._predictions(table)
        head, labels = load_part("tasks", self.model.head), self.model.labels
        answers = [{"row": table.rows[index], **head.answer(predictions, index, labels)} for index in range(len(table))]
        if conformal is None or sets is None:
            return answers
        return with_sets(answers, predictions, conformal, labels.names, sets)

    def generate(self, data: Any, **settings: Any) -> list[dict[str, Any]]:
        """Answers of a tuned language model to prompts: a text, texts, lists of messages, or the rows of a file or table.

        ``settings`` are those of ``inference/decoding.py``: max_new_tokens, temperature (0 is greedy), top_p, seed, batch_size.
        """
        from tunewright.inference.generation import generated

        return generated(self.predictor, data, settings)

    def check_answers(
        self, data: Any, check: Any, *, schema: Any = None, before: bool = True, **settings: Any
    ) -> dict[str, Score]:
        """Share of written answers that pass a check ('number', 'words', or 'json' with a ``schema``), tuned and before."""
        from tunewright.inference.generation import checked

        confidence = self.recipe.evaluation.confidence
        return checked(self.predictor, data, check, settings, schema=schema, before=before, confidence=confidence)

    def evaluate(self, data: Any) -> list[Score]:
        """Score labeled rows with the task's metrics and intervals."""
        return self._scored(*self._answered(_as_table(data, self._schema)))

    def evaluate_by(self, data: Any, columns: Sequence[str]) -> dict[tuple[str, ...], list[Score]]:
        """Scores of the rows apart that have the same values in some columns, by these values in alphabetical order."""
        table = _as_table(data, self._schema)
        cells = [table.column(find(table, name, "by")[0]) for name in columns]
        targets, predictions = self._answered(table)
        if len(predictions.values) != len(table):
            raise UserError(f"{self.model.head.replace('_', ' ')} has no answer for each row", try_="leave --by out")
        slices: dict[tuple[str, ...], list[int]] = {}
        for index, values in enumerate(zip(*cells, strict=True)):
            slices.setdefault(tuple("" if value is None else str(value) for value in values), []).append(index)
        found = {}
        for key in sorted(slices):
            probabilities = None if predictions.probabilities is None else predictions.probabilities[slices[key]]
            found[key] = self._scored(targets[slices[key]], Predictions(predictions.values[slices[key]], probabilities))
        return found

    def _answered(self, table: Table) -> tuple[np.ndarray, Predictions]:
        """What labeled rows say, and what is predicted for them."""
        targets = label_rows(table, self._schema, self.model.labels).targets
        return targets, self._predictions(table, targets)

    def _scored(self, targets: np.ndarray, predictions: Predictions) -> list[Score]:
        loaded, evaluation = self.model, self.recipe.evaluation
        return [
            score(
                name,
                targets,
                predictions,
                loaded.labels,
                split="given",
                confidence=evaluation.confidence,
                resamples=evaluation.resamples,
                seed=self.recipe.seed,
            )
            for name in metrics_of(load_part("tasks", loaded.head), loaded.labels)
        ]

    def zero_shot(self, data: Any, template: str | Sequence[str] = "a photo of a {}.", names: Sequence[str] = ()) -> list[Score]:
        """Score labeled images by the texts of their classes, which need not have been trained on: accuracy and macro F1.

        A class is named by its label in ``template``; of several templates its vectors' mean.
        ``names`` adds classes without images.
        """
        from tunewright.inference.zero_shot import zero_shot

        templates = (template,) if isinstance(template, str) else tuple(template)
        with self.predictor.lock:
            return zero_shot(self.model, read_table(data, "test"), templates, tuple(names), self.recipe)

    @property
    def reports(self) -> Reports:
        """What the run's reports found, by their names, as scores.json has it."""
        return Reports(read_scores(self.folder).get("reports", {}))

    @cached_property
    def _schema(self) -> Schema:
        with unusable(self.folder / "model" / "tunewright.json", "a model saved by tunewright"):
            return Schema.from_dict(self.model.schema)

    def _predictions(self, table: Table, targets: np.ndarray | None = None) -> Predictions:
        groups = self.model.labels.groups
        places = None if groups is None else places_of(table, groups)
        found = self.predictor.predictions(inputs_of(table, self._schema), targets, self.recipe.training.precision)
        return found if groups is None or places is None else decided_by(found, places, groups)


def load(folder: str | Path, *, backbone: Backbone | tuple[Any, ImagePreprocessing | AudioPreprocessing] | None = None) -> Run:
    """Open the folder of a run; one of a Python module needs it again, as it was before training, with its preprocessing."""
    refuse_address(folder, "the run")
    if isinstance(backbone, tuple):
        from tunewright.models.torch_module import backbone_of  # with torch, which listing runs needs not

        backbone = backbone_of(*backbone)
    run = Run(folder, backbone)
    if not run.folder.is_dir():
        raise UserError(f"'{folder}' is not a folder", expected="the folder of a run", try_="tunewright runs list")
    if not (run.folder / "manifest.json").is_file():
        raise UserError(f"'{folder}' is not the folder of a run: it has no manifest.json", try_="tunewright runs list")
    return run


def _as_table(data: Any, schema: Schema) -> Table:
    """Rows to predict, of several splits the test rows; a list of texts, paths or images becomes the run's input column."""
    if isinstance(data, (list, tuple)) and data and all(isinstance(item, (str, bytes, Path)) or _is_image(item) for item in data):
        data = {schema.text[0]: list(data)}
    return read_table(data, "test")


def _is_image(item: Any) -> bool:
    return getattr(item, "ndim", 0) in (2, 3)
