"""Proof that what was saved is what was trained: a fresh process reloads it, with and without our code, and compares.

The difference is measured on the logits of up to 32 rows, as a share of the largest logit (of 1 where all are smaller:
a change of a logit by 1e-5 moves no probability by more than that).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Container, Sequence
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

import tunewright
from tunewright.core.errors import UserError
from tunewright.core.files import read_json, read_tensors, write_json
from tunewright.engine.examples import encode
from tunewright.engine.predict import predict_logits
from tunewright.models.loading import quiet_transformers
from tunewright.models.network import Network
from tunewright.models.pooling import NORM_EPSILON, pool
from tunewright.models.sources import find_model
from tunewright.runs.artefact import HEAD_FILE, Metadata, load_model, read_metadata

TOLERANCE = 1e-5
PROBE_FILE = "probe.json"
_ROWS = 32
_CHARACTERS_PER_TOKEN = 64  # as many as the encoder looks at; a probe is no place for whole books
_SECONDS = 1800


def write_probe(folder: Path, network: Network, texts: Sequence[tuple[str, ...]], max_length: int) -> None:
    """Keep up to 32 rows with their token ids and the logits that the trained network gives them on the processor."""
    kept = [tuple(text[: max_length * _CHARACTERS_PER_TOKEN] for text in row) for row in texts[:_ROWS]]
    examples = encode(network, kept, None, max_length)
    device = network.device
    try:
        logits = predict_logits(network.cpu(), examples)
    finally:
        network.to(device)
    rows = [[value if np.isfinite(value) else None for value in row] for row in logits.tolist()]
    ids = [examples.encoded.row(index) for index in range(len(kept))]
    write_json(folder / PROBE_FILE, {"texts": kept, "max_length": max_length, "input_ids": ids, "logits": rows})


def certify(folder: Path) -> dict[str, Any]:
    """Compare the saved model in ``folder`` with the trained one's probe, in a fresh process without a network.

    Returns ``equal``, ``largest_difference`` (None where nothing could be compared), ``tolerance``, ``relative_to``,
    ``rows``, ``with`` (what reloaded it, each with its own difference in ``differences``) and, after a failure, ``error``.
    """
    source = str(Path(tunewright.__file__).parent.parent)
    threads = str(torch.get_num_threads())
    environment = os.environ | {
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "PYTHONPATH": os.pathsep.join(filter(None, [source, os.environ.get("PYTHONPATH")])),
    }
    command = [sys.executable, "-P", "-W", "ignore", "-m", "tunewright.runs.certify", str(folder)]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return _verdict([], {}, f"the fresh process took more than {_SECONDS} s")
    if done.returncode != 0:
        last = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        return _verdict([], {}, f"the fresh process failed: {last[-1]}")
    verdict: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return verdict


def compare(folder: Path) -> dict[str, Any]:
    """What the fresh process does: reload ``folder``'s model in every way that it promises, and compare."""
    probe, model = read_json(folder / PROBE_FILE), folder / "model"
    expected = np.array(probe["logits"], dtype=np.float64)
    metadata = read_metadata(model)
    found = {"tunewright": _with_tunewright(model, probe)}
    if metadata.opens_with == "transformers":
        found["transformers AutoModelForSequenceClassification"] = _with_transformers(model, probe)
    elif metadata.opens_with == "peft" and _peft_sees_the_same(metadata, probe):
        found["peft PeftModel"] = _with_peft(model, metadata, probe)
    return _verdict(probe["texts"], {name: _difference(expected, logits) for name, logits in found.items()})


def _verdict(rows: list[Any], differences: dict[str, float], error: str = "") -> dict[str, Any]:
    """JSON has no NaN: a difference that is not a number is None, and never equal."""
    finite = [value for value in differences.values() if np.isfinite(value)]
    whole = bool(differences) and len(finite) == len(differences)
    return {
        "equal": whole and max(finite) <= TOLERANCE,
        "largest_difference": max(finite) if whole else None,
        "tolerance": TOLERANCE,
        "relative_to": "the largest logit, or 1 where all are smaller",
        "rows": len(rows),
        "with": list(differences),
        "differences": {name: value if np.isfinite(value) else None for name, value in differences.items()},
        **({"error": error} if error else {}),
    }


def _difference(expected: np.ndarray, found: np.ndarray) -> float:
    if expected.shape != found.shape:
        return float("nan")
    return float(np.abs(expected - found).max() / max(1.0, np.abs(expected).max()))


def _with_tunewright(model: Path, probe: dict[str, Any]) -> np.ndarray:
    loaded = load_model(model)
    examples = encode(loaded.network, [tuple(row) for row in probe["texts"]], None, probe["max_length"])
    if [examples.encoded.row(index) for index in range(len(examples))] != probe["input_ids"]:
        raise UserError(f"the tokenizer saved in '{model}' makes other tokens than the trained model read")
    return predict_logits(loaded.network, examples)


def _with_transformers(model: Path, probe: dict[str, Any]) -> np.ndarray:
    """As somebody does who has transformers and nothing of ours."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    with quiet_transformers(), torch.inference_mode():
        tokenizer = AutoTokenizer.from_pretrained(str(model))
        theirs = AutoModelForSequenceClassification.from_pretrained(str(model)).eval()
        return _array(theirs(**_inputs(tokenizer, signature(theirs.forward).parameters, probe)).logits)


def _peft_sees_the_same(metadata: Metadata, probe: dict[str, Any]) -> bool:
    """Whether the library is there and, for an adapter without a head of its own, keeps the segments of pairs."""
    try:
        import peft  # noqa: F401
    except ImportError:
        return False
    return metadata.pooling == "native" or all(len(row) == 1 for row in probe["texts"])


def _with_peft(model: Path, metadata: Metadata, probe: dict[str, Any]) -> np.ndarray:
    """The base model with the adapter as the library reads it; our own pooling and head follow where the adapter has none."""
    from peft import PeftModel
    from transformers import AutoModel, AutoModelForSequenceClassification, AutoModelForTextEncoding, AutoTokenizer

    base, native = find_model(metadata.base.source, metadata.base.revision), metadata.pooling == "native"
    with quiet_transformers(), torch.inference_mode():
        tokenizer = AutoTokenizer.from_pretrained(str(model))
        if native:
            plain = AutoModelForSequenceClassification.from_pretrained(str(base), num_labels=len(probe["logits"][0]))
            plain.config.pad_token_id = tokenizer.pad_token_id
        else:
            plain = AutoModel.from_pretrained(str(base))
            plain = AutoModelForTextEncoding.from_pretrained(str(base)) if plain.config.is_encoder_decoder else plain
        known = signature(plain.forward).parameters
        theirs = PeftModel.from_pretrained(plain, str(model)).eval()
        # Row by row: a decoder that reads a prompt as vectors cannot see where the text ends and the padding starts.
        rows = [_inputs(tokenizer, known, {**probe, "texts": [row]}) for row in probe["texts"]]
        if native:
            return _array(torch.cat([theirs(**row).logits for row in rows]))
        for row in rows:
            row.pop("token_type_ids", None)  # all zero, as the model assumes; the library would not lengthen them
        return _array(
            torch.cat([_own_head(theirs(**row).last_hidden_state, row["attention_mask"], metadata, model) for row in rows])
        )


def _own_head(vectors: Tensor, mask: Tensor, metadata: Metadata, model: Path) -> Tensor:
    """Logits from token vectors, the virtual tokens before the text left out."""
    head = read_tensors(model / HEAD_FILE)
    pooled = pool(vectors[:, vectors.shape[1] - mask.shape[1] :], mask, metadata.pooling)
    normal = functional.layer_norm(pooled, pooled.shape[-1:], eps=NORM_EPSILON)
    return functional.linear(normal, head["classifier.weight"], head["classifier.bias"])


def _inputs(tokenizer: Any, known: Container[str], probe: dict[str, Any]) -> dict[str, Tensor]:
    """The probe's rows as the saved tokenizer makes them, without what the model does not take."""
    longest = max(map(len, probe["input_ids"]))
    columns = [list(column) for column in zip(*probe["texts"], strict=True)]
    made = tokenizer(*columns, truncation="longest_first", max_length=longest, padding=True, return_tensors="pt")
    return {name: value for name, value in made.items() if name in known}


def _array(logits: Tensor) -> np.ndarray:
    return logits.float().numpy()


if __name__ == "__main__":
    try:
        print(json.dumps(compare(Path(sys.argv[1]))))  # noqa: T201 - the parent process reads it
    except UserError as error:
        sys.exit(str(error).replace("\n", " "))
