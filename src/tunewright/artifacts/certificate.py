"""Proof that what was saved is what was trained: a fresh process reloads it, with and without our code, and compares.

Without our code means: the model card's own lines (``outside.py``), run where tunewright cannot be imported.
The difference is measured on the logits of up to 32 rows, as a share of the largest logit (of 1 where all are smaller:
a change of a logit by 1e-5 moves no probability by more than that).
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

import tunewright
from tunewright.artifacts import outside
from tunewright.artifacts.model_folder import form_of, load_model, read_metadata
from tunewright.core.errors import UserError
from tunewright.core.files import read_json, read_tensors, write_json, write_tensors
from tunewright.datasets.encoded import EncodedDataset, batch
from tunewright.modalities.text.modality import CHARACTERS_PER_TOKEN, Encoded
from tunewright.models.dual_encoder import paired
from tunewright.models.form import SEQUENCE_CLASSIFICATION, Form
from tunewright.models.network import Network, evaluation_mode
from tunewright.models.pooling import last_token
from tunewright.models.quiet import quiet_transformers
from tunewright.models.torch_module import Backbone
from tunewright.models.vocabulary import Vocabulary
from tunewright.tasks.shared.rows import encode

TOLERANCE = 1e-5
PROBE_FILE = "probe.json"
PROBE_TENSORS = "probe.safetensors"
_ROWS = 32
_LARGE_ROWS = 4
_SECONDS = 1800


def write_probe(
    folder: Path, network: Network, head: ModuleType, head_settings: Any, inputs: Sequence[tuple[Any, ...]], max_length: int
) -> None:
    """Keep some rows as the trained network read them, and its output for them on the processor.

    Of texts with one answer each, up to 32 are kept as texts too, so that the saved tokenizer is tried as well; of tokens,
    pixels and boxes, whose outputs are large, up to 4 rows.
    """
    whole = network.form.auto == SEQUENCE_CLASSIFICATION
    kept = list(inputs[: _ROWS if whole else _LARGE_ROWS])
    if whole:  # no more than the encoder looks at: a probe is no place for whole books
        kept = [tuple(text[: max_length * CHARACTERS_PER_TOKEN] for text in row) for row in kept]
    examples = head.encode(network, kept, None, head_settings, max_length)
    rows = np.arange(len(examples) if whole else min(len(examples), _LARGE_ROWS))
    inside = batch(examples, rows, network.reads, torch.device("cpu"))
    device = network.device
    try:
        with evaluation_mode(network.cpu()):
            output = whole_output(network(inside), inside)
    finally:
        network.to(device)
    write_tensors(folder / PROBE_TENSORS, {"output": output, **{f"input.{name}": value for name, value in inside.items()}})
    texts = {"texts": kept, "input_ids": _token_ids(examples)} if whole else {}
    write_json(folder / PROBE_FILE, {"rows": len(rows), "max_length": max_length, **texts})


def _token_ids(examples: EncodedDataset) -> list[list[int]]:
    assert isinstance(examples.encoded, Encoded)
    return [examples.encoded.row(index) for index in range(len(examples))]


def whole_output(output: Any, inputs: dict[str, Tensor]) -> Tensor:
    """All that is compared, as one tensor; of a vocabulary, the logits after each row's last token."""
    if isinstance(output, Vocabulary):
        output = output.logits(output.hidden[torch.arange(len(output.hidden)), _last_places(inputs)])
    if isinstance(output, dict):
        output = torch.cat([part.flatten(1) for part in output.values()], 1)
    found: Tensor = output.float().contiguous().clone()
    return found


def _last_places(inputs: dict[str, Tensor]) -> Tensor:
    """Where each row's last token is, (batch,); of a decoder, the last place of all."""
    written = inputs.get("decoder_input_ids")
    return last_token(inputs["attention_mask"]) if written is None else torch.full((len(written),), written.shape[1] - 1)


def certify(folder: Path, backbone: Backbone | None = None) -> dict[str, Any]:
    """Compare the saved model in ``folder`` with the trained one's probe, in a fresh process without a network.

    A Python module cannot be had in another process: what was saved is loaded into a fresh copy of it here.

    Returns ``equal``, ``largest_difference`` (None where nothing could be compared), ``tolerance``, ``relative_to``,
    ``rows``, ``with`` (what reloaded it, each with its own difference in ``differences``) and, after a failure, ``error``.
    """
    if backbone is not None:
        return compare(folder, backbone)
    source = str(Path(tunewright.__file__).parent.parent)
    threads = str(torch.get_num_threads())
    environment = os.environ | {
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_VERBOSITY": "error",
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "PYTHONPATH": os.pathsep.join(filter(None, [source, os.environ.get("PYTHONPATH")])),
    }
    command = [sys.executable, "-P", "-W", "ignore", str(outside.__file__), str(folder)]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return _verdict(0, {}, f"the fresh process took more than {_SECONDS} s")
    if done.returncode != 0:
        last = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        return _verdict(0, {}, f"the fresh process failed: {last[-1]}")
    verdict: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return verdict


def said_of(folder: Path, given: dict[str, Any]) -> None:
    """What the fresh process says to the one that started it; ``given``: what the card's lines gave, before ours was imported."""
    try:
        print(json.dumps(compare(folder, given=given)))  # noqa: T201 - the parent process reads it
    except UserError as error:
        sys.exit(str(error).replace("\n", " "))


def compare(folder: Path, backbone: Backbone | None = None, *, given: dict[str, Any] | None = None) -> dict[str, Any]:
    """What the fresh process does: reload ``folder``'s model in every way that it promises, and compare."""
    probe, model = read_json(folder / PROBE_FILE), folder / "model"
    tensors = read_tensors(folder / PROBE_TENSORS)
    expected = tensors.pop("output").double().numpy()
    probe["inputs"] = {name.removeprefix("input."): value for name, value in tensors.items()}
    form = form_of(read_metadata(model))
    ours = "tunewright" if backbone is None else "tunewright, in this process"
    differences = {ours: _difference(expected, _with_tunewright(model, probe, backbone))}
    if given is None:
        with quiet_transformers():
            given = outside.answers(folder)
    for name, answers in given.items():
        differences[name] = math.nan if isinstance(answers, str) else _difference(expected, _read(answers, form))
    return _verdict(probe["rows"], differences, "; ".join(said for said in given.values() if isinstance(said, str)))


def _verdict(rows: int, differences: dict[str, float], error: str = "") -> dict[str, Any]:
    """JSON has no NaN: a difference that is not a number is None, and never equal."""
    finite = [value for value in differences.values() if np.isfinite(value)]
    whole = bool(differences) and len(finite) == len(differences)
    return {
        "equal": whole and max(finite) <= TOLERANCE,
        "largest_difference": max(finite) if whole else None,
        "tolerance": TOLERANCE,
        "relative_to": "the largest logit, or 1 where all are smaller",
        "rows": rows,
        "with": list(differences),
        "differences": {name: value if np.isfinite(value) else None for name, value in differences.items()},
        **({"error": error} if error else {}),
    }


def _difference(expected: np.ndarray, found: np.ndarray) -> float:
    if expected.shape != found.shape:
        return float("nan")
    return float(np.abs(expected - found).max() / max(1.0, np.abs(expected).max()))


def _with_tunewright(model: Path, probe: dict[str, Any], backbone: Backbone | None) -> np.ndarray:
    loaded = load_model(model, backbone)
    network = loaded.network
    if "texts" in probe:
        examples = encode(network, [tuple(row) for row in probe["texts"]], None, None, probe["max_length"])
        if _token_ids(examples) != probe["input_ids"]:
            raise UserError(f"the tokenizer saved in '{model}' makes other tokens than the trained model read")
    with evaluation_mode(network):
        return _array(whole_output(network(probe["inputs"]), probe["inputs"]))


def _read(answers: Sequence[outside.Answer], form: Form) -> np.ndarray:
    """What the form calls the answer, of others' own outputs."""
    return _array(torch.cat([whole_output(_answer(one, form), one.inputs) for one in answers]))


def _answer(given: outside.Answer, form: Form) -> Any:
    inputs, out = given.inputs, given.output
    if isinstance(out, Tensor):
        return out
    if form.output == "pairs":
        return paired(given.numbers, out)
    if form.output == "spans":
        return torch.stack([out.start_logits, out.end_logits], -1)
    if form.output == "boxes":
        return {"logits": out.logits, "boxes": out.pred_boxes}
    if form.output == "vocabulary":
        own = inputs["decoder_input_ids"] if "decoder_input_ids" in inputs else inputs["attention_mask"]
        logits = out.logits[:, -own.shape[1] :]  # virtual tokens, where there are any, stand before the text
        return logits[torch.arange(len(logits)), _last_places(inputs)]
    return out.logits


def _array(logits: Tensor) -> np.ndarray:
    return logits.float().numpy()
