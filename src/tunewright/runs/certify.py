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
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

import tunewright
from tunewright.core.errors import UserError
from tunewright.core.files import read_json, read_tensors, write_json, write_tensors
from tunewright.data.encoders.text import CHARACTERS_PER_TOKEN, Encoded
from tunewright.data.examples import Examples, batch
from tunewright.heads._rows import encode
from tunewright.models.dual_encoder import paired
from tunewright.models.form import SEQUENCE_CLASSIFICATION, Form
from tunewright.models.frames import each_frame, mean_over_frames
from tunewright.models.network import Network, evaluation_mode
from tunewright.models.plain import Backbone
from tunewright.models.pooling import NORM_EPSILON, last_token, pool
from tunewright.models.quiet import quiet_transformers
from tunewright.models.sources import find_model
from tunewright.models.speech import alphabet_of
from tunewright.models.vocabulary import Vocabulary
from tunewright.runs.artefact import HEAD_FILE, Metadata, form_of, load_model, read_labels, read_metadata

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


def _token_ids(examples: Examples) -> list[list[int]]:
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
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "PYTHONPATH": os.pathsep.join(filter(None, [source, os.environ.get("PYTHONPATH")])),
    }
    command = [sys.executable, "-P", "-W", "ignore", "-m", "tunewright.runs.certify", str(folder)]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return _verdict(0, {}, f"the fresh process took more than {_SECONDS} s")
    if done.returncode != 0:
        last = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        return _verdict(0, {}, f"the fresh process failed: {last[-1]}")
    verdict: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return verdict


def compare(folder: Path, backbone: Backbone | None = None) -> dict[str, Any]:
    """What the fresh process does: reload ``folder``'s model in every way that it promises, and compare."""
    probe, model = read_json(folder / PROBE_FILE), folder / "model"
    tensors = read_tensors(folder / PROBE_TENSORS)
    expected = tensors.pop("output").double().numpy()
    probe["inputs"] = {name.removeprefix("input."): value for name, value in tensors.items()}
    metadata = read_metadata(model)
    ours = "tunewright" if backbone is None else "tunewright, in this process"
    found = {ours: _with_tunewright(model, probe, backbone)}
    if metadata.opens_with == "transformers":
        found[f"transformers {metadata.form['auto']}"] = _with_transformers(model, form_of(metadata), probe)
    elif metadata.opens_with == "sentence-transformers" and metadata.form["output"] == "vectors":
        found |= _as_vectors(model, metadata, probe)
    elif metadata.opens_with == "peft" and _peft_sees_the_same(metadata, probe):
        found["peft PeftModel"] = _with_peft(model, metadata, probe)
    return _verdict(probe["rows"], {name: _difference(expected, logits) for name, logits in found.items()})


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


def _with_transformers(model: Path, form: Form, probe: dict[str, Any]) -> np.ndarray:
    """As somebody does who has transformers and nothing of ours."""
    import transformers

    with quiet_transformers(), torch.inference_mode():
        theirs = getattr(transformers, form.auto).from_pretrained(str(model)).eval()
        inputs = probe["inputs"]
        if "texts" in probe:
            tokenizer = transformers.AutoTokenizer.from_pretrained(str(model))
            inputs = _inputs(tokenizer, signature(theirs.forward).parameters, probe)
        return _array(whole_output(_read(theirs, form, inputs), inputs))


def _as_vectors(model: Path, metadata: Metadata, probe: dict[str, Any]) -> dict[str, np.ndarray]:
    """The saved encoder as plain transformers reads it, pooled as its folder says, and as sentence-transformers does."""
    from transformers import AutoModel

    inputs = probe["inputs"]
    with quiet_transformers(), torch.inference_mode():
        vectors = AutoModel.from_pretrained(str(model)).eval()(**inputs).last_hidden_state
        found = {
            "transformers AutoModel": _array(
                functional.normalize(pool(vectors, inputs["attention_mask"], metadata.pooling), dim=-1)
            )
        }
        if find_spec("sentence_transformers") is not None:
            from sentence_transformers import SentenceTransformer

            theirs = SentenceTransformer(str(model), device="cpu", local_files_only=True)
            found["sentence-transformers"] = _array(theirs(dict(inputs))["sentence_embedding"])
    return found


def _read(theirs: Any, form: Form, inputs: dict[str, Tensor]) -> Any:
    """What the form calls the answer, of transformers' own output."""
    if form.kind == "video":
        return mean_over_frames(theirs(**each_frame(inputs)).logits, inputs)
    out = theirs(**inputs)
    if form.output == "pairs":
        return paired(theirs, out)
    if form.output == "spans":
        return torch.stack([out.start_logits, out.end_logits], -1)
    if form.output == "boxes":
        return {"logits": out.logits, "boxes": out.pred_boxes}
    if form.output == "vocabulary":
        own = inputs["decoder_input_ids"] if "decoder_input_ids" in inputs else inputs["attention_mask"]
        logits = out.logits[:, -own.shape[1] :]  # virtual tokens, where there are any, stand before the text
        return logits[torch.arange(len(logits)), _last_places(inputs)]
    return out.logits


def _peft_sees_the_same(metadata: Metadata, probe: dict[str, Any]) -> bool:
    """Whether the library is there and, for an adapter without a head of its own, keeps the segments of pairs."""
    try:
        import peft  # noqa: F401
    except ImportError:
        return False
    return metadata.pooling == "native" or all(len(row) == 1 for row in probe.get("texts", ()))


def _with_peft(model: Path, metadata: Metadata, probe: dict[str, Any]) -> np.ndarray:
    """The base model with the adapter as the library reads it; our own pooling and head follow where the adapter has none."""
    import transformers
    from peft import PeftModel
    from transformers import AutoModel, AutoModelForTextEncoding, AutoTokenizer

    base, native = find_model(metadata.base.source, metadata.base.revision), metadata.pooling == "native"
    form = form_of(metadata)
    with quiet_transformers(), torch.inference_mode():
        if native and form.auto != SEQUENCE_CLASSIFICATION:
            outputs = {"num_labels": read_labels(metadata).outputs} if form.head_is_new else {}
            if form.output == "frames":
                outputs = {"vocab_size": len(alphabet_of(model, read_labels(metadata))[0])}
            whole = getattr(transformers, form.auto).from_pretrained(str(base), **outputs)
            theirs = PeftModel.from_pretrained(whole, str(model)).eval()
            return _array(whole_output(_read(theirs, form, probe["inputs"]), probe["inputs"]))
        if form.output == "vectors":
            adapted = PeftModel.from_pretrained(AutoModel.from_pretrained(str(base)), str(model)).eval()
            mask = probe["inputs"]["attention_mask"]
            vectors = adapted(**probe["inputs"]).last_hidden_state[:, -mask.shape[1] :]
            return _array(functional.normalize(pool(vectors, mask, metadata.pooling), dim=-1))
        tokenizer = AutoTokenizer.from_pretrained(str(model))
        if native:
            labels = read_labels(metadata).outputs
            plain = getattr(transformers, form.auto).from_pretrained(str(base), num_labels=labels)
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
