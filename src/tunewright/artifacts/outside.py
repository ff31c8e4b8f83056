"""What somebody types who has a saved model and nothing of ours, and what a fresh process gets by it.

Nothing of tunewright is imported above: run as a script, this file first runs the model card's own lines where tunewright
cannot be imported, and only then lets ``certify.py`` compare what they gave.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import chdir
from dataclasses import dataclass
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from runpy import run_path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

BASE_CONFIG = "base"  # folder beside an adapter: its base model's configuration, with the labels that were learnt
_CLASS = re.compile(r"AutoModel(For\w+)?")

# The library's class for an adapter, by the task that its config names.
_AUTO_PEFT = {
    "SEQ_CLS": "AutoPeftModelForSequenceClassification",
    "TOKEN_CLS": "AutoPeftModelForTokenClassification",
    "QUESTION_ANS": "AutoPeftModelForQuestionAnswering",
    "CAUSAL_LM": "AutoPeftModelForCausalLM",
    "SEQ_2_SEQ_LM": "AutoPeftModelForSeq2SeqLM",
}

_ONE_CALL = """\
import torch
from peft import {auto}
from transformers import AutoConfig, AutoTokenizer

config = AutoConfig.from_pretrained("model", subfolder="{base}")
tokenizer = AutoTokenizer.from_pretrained("model")
model = {auto}.from_pretrained({arguments}).eval()
"""
_LABELS = """
    "model",
    id2label=config.id2label,
    label2id=config.label2id,
    pad_token_id=config.pad_token_id,
    dtype=torch.float32,
    ignore_mismatched_sizes=True,  # the base model's own head may have other labels
"""
_TWO_CALLS = """\
import torch
from peft import PeftConfig, PeftModel
from transformers import AutoConfig, {auto}

adapter = PeftConfig.from_pretrained("model")
config = AutoConfig.from_pretrained("model", subfolder="{base}")
model = {auto}.from_pretrained(
    adapter.base_model_name_or_path,
    revision=adapter.revision,
    config=config,
    dtype=torch.float32,
    ignore_mismatched_sizes=True,  # the base model's own head may have other labels
)
model = PeftModel.from_pretrained(model, "model").eval()
"""
_WHOLE = """\
import torch
from transformers import {auto}

model = {auto}.from_pretrained("model", dtype=torch.float32).eval()
"""
_SENTENCES = """\
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("model", device="cpu")


def answer(**inputs):
    return model(inputs)["sentence_embedding"]
"""
_TOKENIZER = """
from transformers import AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("model")
"""
_VECTORS = """

def answer(input_ids, attention_mask, **_):
    mask = attention_mask
    states = model(input_ids=input_ids, attention_mask=mask).last_hidden_state[:, -mask.shape[1] :]
    {pooled}
    return torch.nn.functional.normalize(pooled, dim=-1)
"""
_OWN_HEAD = """
from safetensors.torch import load_file

head = load_file("model/head.safetensors")


def answer(input_ids, attention_mask, **_):
    mask = attention_mask
    states = model(input_ids=input_ids, attention_mask=mask).last_hidden_state[:, -mask.shape[1] :]
    {pooled}
    normal = torch.nn.functional.layer_norm(pooled, pooled.shape[-1:], eps=1e-12)
    return torch.nn.functional.linear(normal, head["classifier.weight"], head["classifier.bias"])
"""
_POOLED = {
    "mean": "pooled = (states * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)",
    "cls": "pooled = states[torch.arange(len(states)), mask.argmax(1)]",
    "last": "pooled = states[torch.arange(len(states)), mask.shape[1] - 1 - mask.flip(1).argmax(1)]",
}
_FRAMES = """

def answer(pixel_values, **_):
    logits = model(pixel_values=pixel_values.flatten(0, 1)).logits
    return logits.view(*pixel_values.shape[:2], *logits.shape[1:]).mean(1)
"""


@dataclass(frozen=True)
class Way:
    """A way to open a saved model: the libraries that it needs, and lines that define ``model`` and, where that alone gives no
    answer, ``answer(**inputs)``.
    """

    name: str
    needs: tuple[str, ...]
    lines: str


@dataclass(frozen=True)
class Answer:
    """What a model gave for a batch, the batch, and the two numbers of its own that ``models/dual_encoder.py`` reads."""

    inputs: dict[str, Any]
    output: Any
    numbers: Any


def ways(run: Path) -> tuple[Way, ...]:
    """How the model of a run opens without us, typed in the run's folder; nothing where it does not."""
    said = _json(run / "model" / "tunewright.json")
    form, opens_with = said["form"], said["opens_with"]
    if opens_with == "transformers":
        lines = _WHOLE.format(auto=_class_of(form)) + _tokenizer(run) + (_FRAMES if form["kind"] == "video" else "")
        return (Way(f"transformers {_class_of(form)}", ("transformers",), lines),)
    if opens_with == "sentence-transformers" and form["output"] == "vectors":
        lines = _WHOLE.format(auto="AutoModel") + _tokenizer(run) + _VECTORS.format(pooled=_POOLED[said["pooling"]])
        theirs = Way("sentence-transformers", ("sentence_transformers",), _SENTENCES)
        return Way("transformers AutoModel", ("transformers",), lines), theirs
    if opens_with == "peft" and not (said["pooling"] != "native" and len(said["schema"].get("text", ())) > 1):
        return (Way("peft PeftModel", ("peft", "transformers"), _adapter(run, said)),)
    return ()  # an adapter without a head of its own loses the segments of pairs


def _class_of(form: Mapping[str, Any]) -> str:
    """The class that loads a form: a file's text that becomes code, so nothing but a class's name."""
    if not _CLASS.fullmatch(form["auto"]):
        raise ValueError(f"the saved model's form names the class '{form['auto'][:80]}', which is no auto class of transformers")
    return str(form["auto"])


def _adapter(run: Path, said: Mapping[str, Any]) -> str:
    """Lines that put the adapter on its base model: in float32, as it was trained, and with the labels that were learnt."""
    form, task = said["form"], _json(run / "model" / "adapter_config.json").get("task_type")
    if said["pooling"] == "native" and task in _AUTO_PEFT:
        arguments = '"model", dtype=torch.float32' if form["output"] == "vocabulary" else _LABELS
        return _ONE_CALL.format(auto=_AUTO_PEFT[task], base=BASE_CONFIG, arguments=arguments)
    if said["pooling"] == "native":
        lines = _TWO_CALLS.format(auto=_class_of(form), base=BASE_CONFIG)
        return lines + (_FRAMES if form["kind"] == "video" else "")
    built = _json(run / "model" / BASE_CONFIG / "config.json").get("architectures") or [""]
    encoder = "AutoModelForTextEncoding" if built[0].endswith("EncoderModel") else "AutoModel"
    rest = _VECTORS if form["output"] == "vectors" else _OWN_HEAD
    return _TWO_CALLS.format(auto=encoder, base=BASE_CONFIG) + _tokenizer(run) + rest.format(pooled=_POOLED[said["pooling"]])


def _tokenizer(run: Path) -> str:
    return _TOKENIZER if (run / "model" / "tokenizer_config.json").is_file() else ""


def answers(run: Path) -> dict[str, list[Answer] | str]:
    """What each way gives for the probe that was kept beside the model; where one fails, the error in words.

    A way whose libraries are not installed is left out.
    """
    from safetensors.torch import load_file

    probe = _json(run / "probe.json")
    tensors = load_file(run / "probe.safetensors")
    inputs = {name.removeprefix("input."): value for name, value in tensors.items() if name.startswith("input.")}
    pooled = _json(run / "model" / "tunewright.json")["pooling"] != "native"
    found: dict[str, list[Answer] | str] = {}
    for way in ways(run):
        pairs = pooled and way.name.startswith("peft") and any(len(row) > 1 for row in probe.get("texts", ()))
        if pairs or not all(map(find_spec, way.needs)):
            continue
        try:
            with chdir(run):
                found[way.name] = _tried(way, probe, inputs)
        except Exception as error:  # whatever it is, the model does not open as it is said to
            found[way.name] = f"{way.name}: {type(error).__name__}: {' '.join(str(error).split())[:500]}"
    return found


def _tried(way: Way, probe: Mapping[str, Any], inputs: dict[str, Any]) -> list[Answer]:
    """Run a way's lines, and what they define on the probe."""
    import torch

    with TemporaryDirectory() as place:  # as the card has them: none of their text is a file's but a class's name
        script = Path(place) / "lines.py"
        script.write_text(way.lines, encoding="utf-8")
        typed = run_path(str(script))
    model = typed["model"]
    batches = [inputs]
    if "texts" in probe and "tokenizer" in typed:
        # Row by row: a decoder that reads a prompt as vectors cannot see where the text ends and the padding starts.
        rows = [[row] for row in probe["texts"]] if way.needs[0] == "peft" else [probe["texts"]]
        batches = [_read(typed["tokenizer"], model, texts, probe["input_ids"]) for texts in rows]
    ask = typed.get("answer", model)
    own = {name: getattr(model, name, None) for name in ("logit_scale", "logit_bias")}
    numbers = SimpleNamespace(**{name: None if value is None else value.detach() for name, value in own.items()})
    with torch.inference_mode():
        return [Answer(batch, ask(**batch), numbers) for batch in batches]


def _read(tokenizer: Any, model: Any, texts: Sequence[Sequence[str]], ids: Sequence[Sequence[int]]) -> dict[str, Any]:
    """Rows as the saved tokenizer makes them, without what the model does not take."""
    longest = max(map(len, ids))
    columns = [list(column) for column in zip(*texts, strict=True)]
    made = tokenizer(*columns, truncation="longest_first", max_length=longest, padding=True, return_tensors="pt")
    known = signature(getattr(model, "get_base_model", lambda: model)().forward).parameters
    return {name: value for name, value in made.items() if name in known}


def _json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _main(run: Path) -> None:
    sys.modules["tunewright"] = None  # type: ignore[assignment]  # an import of it fails
    given = answers(run)
    del sys.modules["tunewright"]
    from tunewright.artifacts.certificate import said_of

    said_of(run, given)


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
