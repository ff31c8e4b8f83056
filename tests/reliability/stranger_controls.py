"""Negative controls of stranger's files and bad inputs: with one defence off, the case that watches it must find something."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import jinja2

from tests.reliability import inputs, strangers
from tests.reliability.harness import Problems, missed_without
from tunewright.core import tensor_header
from tunewright.modalities.language import template_worker
from tunewright.models import folder_checks

CASES: dict[str, Callable[[], Problems]] = {}


def off(name: str, watching: Callable[[], Problems], *defences: Any) -> None:
    """With ``defences`` patched away, ``watching`` has to find something; sound models are made before."""

    def run() -> Problems:
        strangers.finished()
        strangers.finished("lora")
        return missed_without(watching, defences)

    CASES[name] = run


def _nothing(*_: object, **__: object) -> None:
    pass


def _no(*_: object, **__: object) -> bool:
    return False


@contextmanager
def _without_sandbox() -> Iterator[None]:
    """Chat templates by plain Jinja in this process, as some servers did."""
    here = SimpleNamespace(ask=lambda question, seconds: template_worker.answer(question))
    with (
        patch("tunewright.modalities.language.chat_template._worker", lambda: here),
        patch.object(template_worker, "ImmutableSandboxedEnvironment", jinja2.Environment),
    ):
        template_worker._compiled.cache_clear()
        yield
    template_worker._compiled.cache_clear()


def _trusting_index(folder: Any) -> list[str]:
    return []


_SOURCES = ("models.sources", "datasets.read", "runs.run", "core.outputs", "core.yaml12")

off(
    "keys_of_a_config_stay",
    strangers.ARTEFACTS["attention_of_a_repository"],
    patch("tunewright.models.config.without_code", lambda raw, _: raw),
)
off(
    "sizes_are_not_checked",
    lambda: strangers.huge_dimensions(strangers.HUGE[:1]),
    patch("tunewright.models.loading.refuse_size", _nothing),
    patch("tunewright.models.config.refuse_counts", _nothing),
)
off(
    "a_name_twice_is_taken",
    strangers.MODEL_FOLDERS["a_tensor_twice"],
    patch.object(tensor_header, "_once", lambda _, pairs: dict(pairs)),
)
off(
    "an_index_may_name_any_file",
    strangers.ARTEFACTS["shard_above"],
    patch.object(folder_checks, "_check_index", _trusting_index),
)
off("links_are_followed", strangers.ARTEFACTS["link_out"], patch.object(folder_checks, "refuse_links_out", _nothing))
off("templates_without_a_sandbox", strangers.ARTEFACTS["template_escapes"], _without_sandbox())
off(
    "expressions_are_not_tried",
    lambda: strangers.tokenizer_regex(strangers.HANGING[:1]),
    patch("tunewright.modalities.processor_files.try_file", _no),
)
off(
    "an_adapter_may_name_code",
    strangers.ARTEFACTS["adapter_names_code"],
    patch("tunewright.models.peft_format._refuse_code", _nothing),
)
off("names_may_lead_out", strangers.PATHS["above"], patch("tunewright.artifacts.model_folder.leads_out", _no))
off(
    "hashes_are_checked_once",
    strangers.PATHS["swapped_after_the_check"],
    patch("tunewright.artifacts.model_folder._states", lambda *_: []),
)
off(
    "archives_are_not_checked",
    strangers.ARCHIVES["above"],
    patch("tunewright.datasets.formats.archives._refuse_unsafe", _nothing),
)
off(
    "addresses_are_tried",
    strangers.URIS["http"],
    *(patch(f"tunewright.{module}.refuse_address", _nothing) for module in _SOURCES),
)
off(
    "nesting_is_not_counted",
    inputs.CASES["jsonl_depth_10,000"],
    patch("tunewright.datasets.formats.strict_json._refuse_depth", _nothing),
)
off(
    "links_of_cells_are_followed",
    inputs.CASES["image_link_that_leads_out"],
    patch("pathlib.Path.is_relative_to", lambda *_: True),
)
off("pixels_are_not_looked_at", inputs.CASES["image_1_x_1"], patch("tunewright.datasets.formats.image_files._refuse", _nothing))
