"""FineTuner as scikit-learn expects an estimator: its own checks, cross-validation, grids, pipelines."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_estimator

from tests.engine.toy import toy_rows
from tunewright import FineTuner
from tunewright.estimator import text_columns

QUICK = {
    "model.pooling": "mean",
    "optimization.head_learning_rate": 3e-2,
    "optimization.learning_rate": 3e-3,
    "training.batch_size": 8,
    "training.threads": 1,
}


@pytest.fixture(scope="module")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tunewright.models.tiny import tiny_model

    return tiny_model("bert", tmp_path_factory.mktemp("models") / "bert", layers=1, width=16)


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return [row["text"] for row in toy_rows(60)]


@pytest.fixture(scope="module")
def labels() -> list[str]:
    return [row["label"] for row in toy_rows(60)]


@pytest.fixture(scope="module")
def tuner(tiny_bert: Path) -> FineTuner:
    return FineTuner(str(tiny_bert), strategy="full", epochs=4, settings=QUICK)


@pytest.fixture(scope="module")
def fitted(tuner: FineTuner, texts: list[str], labels: list[str]) -> FineTuner:
    return clone(tuner).fit(texts, labels)


def test_it_learns_and_predicts(fitted: FineTuner, texts: list[str], labels: list[str]) -> None:
    probabilities = fitted.predict_proba(texts)
    assert list(fitted.classes_) == ["money", "mood", "post"]
    assert probabilities.shape == (60, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert (fitted.predict(texts) == fitted.classes_[probabilities.argmax(axis=1)]).all()
    assert fitted.score(texts, labels) > 0.6  # a third by chance


def test_nothing_stays_on_disk(fitted: FineTuner) -> None:
    assert not fitted.run_.folder.parent.exists()


def test_the_same_seed_gives_the_same_model(tuner: FineTuner, fitted: FineTuner, texts: list[str], labels: list[str]) -> None:
    again = clone(tuner).fit(np.array(texts, dtype=object).reshape(-1, 1), np.array(labels))
    other = clone(tuner).set_params(seed=1).fit(pd.Series(texts), pd.Series(labels))
    np.testing.assert_array_equal(again.predict_proba(texts), fitted.predict_proba(texts))
    assert not np.array_equal(other.predict_proba(texts), fitted.predict_proba(texts))


def test_labels_keep_their_type(tuner: FineTuner, texts: list[str], labels: list[str]) -> None:
    numbers = np.array([{"money": 10, "mood": 9, "post": -1}[label] for label in labels])
    fitted = clone(tuner).fit(texts, numbers)
    assert fitted.classes_.tolist() == [-1, 9, 10]
    assert fitted.predict(texts).dtype == numbers.dtype


def test_pairs_of_texts(tuner: FineTuner, texts: list[str]) -> None:
    frame = pd.DataFrame({"question": texts, "answer": texts[1:] + texts[:1]})
    fitted = clone(tuner).fit(frame, [0, 1] * 30)
    assert fitted.n_features_in_ == 2
    assert fitted.predict(frame).shape == (60,)
    with pytest.raises(ValueError, match="expecting 2 features"):
        fitted.predict(texts)


def test_a_pickled_estimator_predicts_the_same(fitted: FineTuner, texts: list[str]) -> None:
    copy = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(copy.predict_proba(texts), fitted.predict_proba(texts))


def test_with_out_the_run_is_kept(tuner: FineTuner, texts: list[str], labels: list[str], tmp_path: Path) -> None:
    import tunewright

    kept = clone(tuner).set_params(out=tmp_path / "kept").fit(texts, labels)
    opened = tunewright.load(tmp_path / "kept").predict(texts)
    assert [answer["predicted"] for answer in opened] == kept.predict(texts).tolist()
    assert opened[0]["predicted"] in {"money", "mood", "post"}


def test_cross_validation_grid_and_pipeline(tuner: FineTuner, texts: list[str], labels: list[str]) -> None:
    scores = cross_val_score(tuner, texts, labels, cv=2, error_score="raise")
    assert scores.shape == (2,)
    assert np.isfinite(scores).all()
    pipeline = Pipeline([("lower", FunctionTransformer(lambda rows: [text.lower() for text in rows])), ("tune", tuner)])
    grid = GridSearchCV(pipeline, {"tune__strategy": ["full", "feature-extraction"]}, cv=2, error_score="raise").fit(
        texts, labels
    )
    assert grid.best_params_["tune__strategy"] in ("full", "feature-extraction")
    assert set(grid.predict(texts)) <= {"money", "mood", "post"}


def test_settings_reach_the_recipe(tuner: FineTuner, texts: list[str], labels: list[str]) -> None:
    settings = QUICK | {"optimization": {"layer_decay": 0.9}, "training": {"epochs": 1}}
    recipe = clone(tuner).set_params(settings=settings).fit(texts, labels).run_.recipe
    assert (recipe.optimization.layer_decay, recipe.optimization.head_learning_rate, recipe.training.epochs) == (0.9, 3e-2, 1)
    with pytest.raises(ValueError, match="layer_decay"):
        clone(tuner).set_params(settings={"optimization.layer_decy": 0.9}).fit(texts, labels)


@pytest.mark.parametrize(
    "wrong", [[], [1, 2], ["a", None], np.zeros((4, 3)), np.full((2, 3), "a", dtype=object), np.array("a"), [["a"], ["b", "c"]]]
)
def test_what_holds_no_texts_is_a_value_error(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"text|sample|shorter|dimensions"):
        text_columns(wrong)


def test_unfitted_and_one_class(tuner: FineTuner, texts: list[str]) -> None:
    with pytest.raises(NotFittedError):
        clone(tuner).predict(texts)
    with pytest.raises(ValueError, match="one class"):
        clone(tuner).fit(texts, ["same"] * 60)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        clone(tuner).fit(texts, ["a", "b"])


NUMBERS = "texts are not numbers: "
MEANINGLESS = {
    "check_n_features_in": NUMBERS + "columns of texts are counted, and all numbers of a row make one text here",
    "check_n_features_in_after_fitting": NUMBERS + "columns of texts are counted, and all numbers of a row make one text here",
    "check_classifiers_train": NUMBERS + "it learns the numbers, then wants another number of them refused",
    "check_estimators_nan_inf": NUMBERS + "a text cannot be NaN",
    "check_estimator_sparse_tag": NUMBERS + "no sparse matrix holds texts",
    "check_estimator_sparse_array": NUMBERS + "no sparse matrix holds texts",
    "check_estimator_sparse_matrix": NUMBERS + "no sparse matrix holds texts",
    "check_fit1d": NUMBERS + "one dimension is right for texts",
    "check_fit2d_predict1d": NUMBERS + "one dimension is right for texts",
    "check_estimators_empty_data_messages": NUMBERS + "a row of no numbers makes an empty text here",
}


class Memory:
    """A stand-in for a trained run, so that a hundred fits take a second: it knows the texts it was trained on."""

    def __init__(self, known: dict[str, str], names: list[str]) -> None:
        self.known, self.names = known, names

    def predict(self, columns: dict[str, list[str]]) -> list[dict[str, Any]]:
        found = (self.known.get(text, self.names[0]) for text in columns["text"])
        return [{"probabilities": {name: float(name == answer) for name in self.names}} for answer in found]


class Worded(FineTuner):
    """FineTuner that reads each row of numbers as one text, so that scikit-learn's own checks can call it."""

    def _columns(self, X: Any) -> dict[str, list[str]]:
        return {"text": [" ".join(f"{float(value):.3f}" for value in row) for row in np.asarray(X)]}

    def _train(self, columns: dict[str, list[str]], codes: np.ndarray) -> Any:
        return Memory(dict(zip(columns["text"], [self._names[code] for code in codes], strict=True)), self._names)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.string = tags.input_tags.one_d_array = False
        return tags


@pytest.mark.filterwarnings("ignore")  # scikit-learn's checks warn on purpose
def test_scikit_learns_own_checks() -> None:
    results = check_estimator(Worded(), expected_failed_checks=MEANINGLESS, on_skip=None, on_fail=None)
    failed = {result["check_name"]: result["exception"] for result in results if result["status"] == "failed"}
    assert not failed
    assert {result["check_name"] for result in results if result["status"] == "xfail"} == set(MEANINGLESS)
    assert sum(result["status"] == "passed" for result in results) > 40
