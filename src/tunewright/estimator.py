"""FineTuner: fine-tuning as a scikit-learn classifier of texts."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from tunewright.core.errors import UserError
from tunewright.datasets.numbers import as_number
from tunewright.datasets.quality.duplicates import near_groups
from tunewright.datasets.splits import split

if TYPE_CHECKING:
    from tunewright.runs.run import Run

Columns = dict[str, list[str]]

_NAMES = ("text", "text_pair")
_VALIDATION_SHARE = 0.15  # as data.validation_size


class FineTuner(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier of texts, or of pairs of texts: a pre-trained model, fine-tuned by ``fit``.

    ``X`` is a list, array or Series of texts, or one or two columns of them; ``y`` holds any class labels.
    ``fit`` holds out a share of its own rows to choose the best evaluation by, so that the other fold of a
    cross-validation is never seen; baselines and the saved model's certification are off.
    When: cross-validation, grids and pipelines over texts. When not: regression and multi-label: `tunewright.fit`.

    Parameters
    ----------
    model : local folder, installed package or hub id of the pre-trained model.
    strategy : a named strategy, as `tunewright parts strategies` lists them.
    epochs : passes over the rows; None keeps the strategy's own.
    rate : learning rate of the backbone (optimization.learning_rate); None keeps the strategy's own.
    seed : all randomness depends on it alone.
    settings : more of the recipe, by dotted name or nested: ``{"optimization.layer_decay": 0.9}``.
    out : folder that keeps the run; its test scores are those of the held-out share. None keeps nothing on disk.

    """

    def __init__(
        self,
        model: str = "all-MiniLM-L6-v2",
        strategy: str = "auto",
        epochs: int | None = None,
        rate: float | None = None,
        seed: int = 0,
        settings: Mapping[str, Any] | None = None,
        out: str | Path | None = None,
    ) -> None:
        self.model = model
        self.strategy = strategy
        self.epochs = epochs
        self.rate = rate
        self.seed = seed
        self.settings = settings
        self.out = out

    def fit(self, X: Any, y: Any) -> Self:
        """Fine-tune on texts ``X`` and their classes ``y``."""
        columns = self._columns(X)
        codes = self._learn_classes(y, rows=len(columns["text"]))
        with _as_value_errors():
            self.run_ = self._train(columns, codes)
        self.n_features_in_ = len(columns)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each text, (n,)."""
        check_is_fitted(self, "run_")
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class, (n, classes) in the order of ``classes_``."""
        check_is_fitted(self, "run_")
        columns = self._columns(X)
        if len(columns) != self.n_features_in_:
            raise ValueError(
                f"X has {len(columns)} features, but {type(self).__name__} is expecting {self.n_features_in_} features as input"
            )
        with _as_value_errors():
            answers = self.run_.predict(columns)
        return np.array([[answer["probabilities"][name] for name in self._names] for answer in answers])

    def _columns(self, X: Any) -> Columns:
        return text_columns(X)

    def _learn_classes(self, y: Any, rows: int) -> np.ndarray:
        """Set ``classes_`` and the names they have in the run; returns the class number of each row."""
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        labels = column_or_1d(y, warn=True)
        check_classification_targets(labels)
        if len(labels) != rows:
            raise ValueError(f"Found input variables with inconsistent numbers of samples: {[rows, len(labels)]}")
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError("Classifier can't train when only one class is present.")
        words = [str(label) for label in self.classes_]
        plain = all(isinstance(label, str) and label.strip() and as_number(label) is None for label in self.classes_)
        self._names = words if plain else [str(code) for code in range(len(words))]
        return np.asarray(codes, dtype=np.int64)

    def _train(self, columns: Columns, codes: np.ndarray) -> Run:
        """Run the workflow in a folder that is gone afterwards, unless ``out`` names one."""
        from tunewright.config.reader import resolve
        from tunewright.pipeline.steps import InMemoryData
        from tunewright.pipeline.workflow import fit_recipe

        texts = list(zip(*columns.values(), strict=True))
        parts = split(codes, validation_size=_VALIDATION_SHARE, test_size=0.0, groups=near_groups(texts), seed=self.seed)
        table = columns | {"label": [self._names[code] for code in codes]}
        train, held_out = (
            {name: [values[row] for row in rows] for name, values in table.items()} for rows in (parts.train, parts.validation)
        )
        with _folder(self.out) as folder:
            recipe = resolve(self._sections(columns) | {"out": str(folder)})
            run = fit_recipe(recipe, given=InMemoryData(train, held_out, held_out))
            run.model, run.recipe  # noqa: B018 - read while the folder is there
        return run

    def _sections(self, columns: Columns) -> dict[str, Any]:
        """The recipe's sections that the constructor's arguments ask for; ``settings`` has the last word."""
        sections: dict[str, Any] = {
            "strategy": self.strategy,
            "seed": self.seed,
            "model": {"source": self.model},
            "data": {"text": list(columns), "target": ["label"], "task": "classification"},
            "optimization": {} if self.rate is None else {"backbone": self.rate},
            "training": {"checkpoints": self.out is not None} | ({} if self.epochs is None else {"epochs": self.epochs}),
            "evaluation": {"baselines": [], "certify": False, "reports": [], "resamples": 100},
        }
        for key, value in (self.settings or {}).items():
            _put(sections, key.split("."), value)
        return sections

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        return tags


def text_columns(X: Any) -> Columns:
    """One or two columns of texts, out of a list, array, Series or table of them; ValueError for anything else."""
    if hasattr(X, "columns"):
        columns = [X[name].tolist() for name in X.columns]
    else:
        array = np.asarray(X, dtype=object)
        if array.ndim not in (1, 2):
            raise ValueError(f"X has {array.ndim} dimensions: expected texts (n,), or columns of them, (n, 1) or (n, 2)")
        columns = [array.tolist()] if array.ndim == 1 else array.T.tolist()
    if len(columns) not in (1, 2):
        raise ValueError(f"Found array with {len(columns)} feature(s): expected one column of texts, or two for pairs")
    if not columns[0]:
        raise ValueError("Found array with 0 sample(s) while a minimum of 1 is required")
    for item in (item for column in columns for item in column if not isinstance(item, str)):
        raise ValueError(f"X holds a {type(item).__name__} where a text is expected: {item!r}")
    return dict(zip(_NAMES, ([str(item) for item in column] for column in columns), strict=False))


def _put(sections: dict[str, Any], path: list[str], value: Any) -> None:
    """Set a value at a dotted name; dicts are merged into what is there."""
    if isinstance(value, Mapping) and isinstance(sections.get(path[0], {}), dict) and len(path) == 1:
        for key, item in value.items():
            _put(sections.setdefault(path[0], {}), [key], item)
    elif len(path) == 1:
        sections[path[0]] = value
    else:
        _put(sections.setdefault(path[0], {}), path[1:], value)


@contextmanager
def _folder(out: str | Path | None) -> Iterator[Path]:
    if out is not None:
        yield Path(out)
        return
    with tempfile.TemporaryDirectory(prefix="tunewright-") as folder:
        yield Path(folder) / "run"


@contextmanager
def _as_value_errors() -> Iterator[None]:
    """Scikit-learn's callers expect ValueError for input that cannot be used."""
    try:
        yield
    except UserError as error:
        raise ValueError(str(error)) from error
