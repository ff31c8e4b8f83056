"""Predictor: one object for everything that a trained model answers, which threads may share.

A pass changes nothing: a loaded network is in evaluation mode for good, what its output layer reads comes from a view of it
(``models/output_reader.py``), and tokens are drawn from a generator of the call's own. Tokenizers keep settings between two
calls, so that one thread at a time encodes and decodes; there is one lock for each network.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock, RLock
from typing import TYPE_CHECKING, Any, final
from weakref import WeakKeyDictionary

from tunewright.core.registry import load_part
from tunewright.core.types import Predictions
from tunewright.inference.generation import untouched
from tunewright.models.network import Network
from tunewright.training.evaluate import decode_all
from tunewright.training.predict import passes

if TYPE_CHECKING:
    import numpy as np

    from tunewright.artifacts.model_folder import Loaded
    from tunewright.datasets.encoded import EncodedDataset
    from tunewright.inference.decoding import Settings
    from tunewright.modalities.language.messages import Conversation

_LOCKS: WeakKeyDictionary[Network, Any] = WeakKeyDictionary()
_NEW_LOCK = Lock()


def lock_of(network: Network) -> Any:
    """The lock of what one thread at a time may do with a network's processor."""
    with _NEW_LOCK:
        return _LOCKS.setdefault(network, RLock())


@final
class Predictor:
    """Answers of a trained model; its methods may be called from several threads at once."""

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded
        self._untouched: Network | None = None
        self._ends: Sequence[int] | None = None

    @property
    def lock(self) -> Any:
        """The network's own, also after the predictor was pickled."""
        return lock_of(self.loaded.network)

    @property
    def _head(self) -> Any:
        return load_part("tasks", self.loaded.head)

    def predictions(
        self, inputs: Sequence[tuple[Any, ...]], targets: np.ndarray | None = None, precision: str = "float32"
    ) -> Predictions:
        """One prediction for each row; ``precision`` is that of the run's own scores, 'auto' reads float32."""
        loaded, head = self.loaded, self._head
        precision = "float32" if precision == "auto" else precision
        settings, examples = head.Settings(**loaded.head_settings), self.encoded(inputs, targets)
        if hasattr(head, "remember") and head.remembers(settings):
            examples = head.remember(examples, passes(self.untouched(), examples, precision=precision))
        if hasattr(head, "generate"):
            with self.lock:  # what it writes is decoded between its passes
                written: Predictions = head.generate(loaded.network, examples, settings)
                return written
        return decode_all(head, loaded.labels, examples, passes(loaded.network, examples, precision=precision))[0]

    def encoded(self, inputs: Sequence[tuple[Any, ...]], targets: np.ndarray | None = None) -> EncodedDataset:
        """Rows as the model's head reads them."""
        loaded, head = self.loaded, self._head
        settings = head.Settings(**loaded.head_settings)
        with self.lock:
            made: EncodedDataset = head.encode(loaded.network, list(inputs), targets, settings, loaded.max_length)
            return made

    def answers(self, prompts: Sequence[Conversation | str], settings: Settings) -> list[str]:
        """What a language model writes after each prompt."""
        from tunewright.inference.decoding import ends_of, prompt_ids, texts_of, written

        network = self.loaded.network
        with self.lock:
            read = prompt_ids(network, prompts)
            if self._ends is None:
                self._ends = sorted(ends_of(network))
        made = written(network, read, settings, self.loaded.method, self._ends)
        with self.lock:
            return texts_of(network, made)

    def untouched(self) -> Network:
        """The base model as it was before tuning, opened once."""
        with self.lock:
            if self._untouched is None:
                self._untouched = untouched(self.loaded)
            return self._untouched
