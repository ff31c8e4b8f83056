"""transformers without its own messages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock


@dataclass
class _Quiet:
    """How many are inside, and what the first one found: threads may come and go in any order."""

    inside: int = 0
    verbosity: int = 0
    bars: bool = False


_STATE, _LOCK = _Quiet(), Lock()


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """No load reports and progress bars of transformers: what matters in them is checked and said by us."""
    from transformers.utils import logging

    with _LOCK:
        if not _STATE.inside:
            _STATE.verbosity, _STATE.bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
            logging.set_verbosity_error()
            logging.disable_progress_bar()
        _STATE.inside += 1
    try:
        yield
    finally:
        with _LOCK:
            _STATE.inside -= 1
            if not _STATE.inside:
                logging.set_verbosity(_STATE.verbosity)
                if _STATE.bars:
                    logging.enable_progress_bar()
