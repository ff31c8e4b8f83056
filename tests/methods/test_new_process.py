"""Save, load in a new process, and predict the same; all methods in one process, to spare its start."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch

from tunewright.core.files import read_tensors, write_tensors
from tunewright.core.registry import list_parts, load_part
from tunewright.models.peft_format import write_adapter

METHODS = [part.name for part in list_parts("methods")]
CASES = [(method, pooling) for method in METHODS for pooling in ("native", "mean")]
SHARED_WEIGHTS = {"method": "vera"}  # the bridge's hardest case: weights that all layers share

CHILD = """
import json, sys
import torch
from pathlib import Path
from tunewright.core.files import read_tensors, write_tensors
from tunewright.core.types import Labels
from tunewright.models.peft_format import load_adapter
from tunewright.models.loading import load_network

base, root = sys.argv[1], Path(sys.argv[2])
inputs = read_tensors(root / "inputs.safetensors")
for case in json.loads((root / "cases.json").read_text()):
    folder = root / case
    network = load_network(base, Labels("classification", ("good", "bad", "late")), pooling=case.split("-")[1], seed=99)
    if (folder / "adapter_config.json").exists():
        load_adapter(network, folder)
    else:
        network.load_state_dict(read_tensors(folder / "whole.safetensors"))
    with torch.no_grad():
        write_tensors(folder / "logits.safetensors", {"logits": network.eval()(inputs)})
"""


@pytest.fixture(scope="module")
def outputs(make, folder_of, batch_of, logits, shake, tmp_path_factory):
    """Logits of every case, here and in the new process."""
    root = tmp_path_factory.mktemp("saved")
    here = {}
    for method, pooling in CASES:
        network, part = make("bert", pooling), load_part("methods", method)
        applied = part.apply(network, part.Settings(**(SHARED_WEIGHTS if method == "peft" else {})))
        shake(network, (*applied.trainable, *network.head_names))
        case = f"{method}-{pooling}"
        here[case] = logits(network)
        if applied.adapter_config is not None:
            write_adapter(root / case, network, applied)
        else:
            write_tensors(root / case / "whole.safetensors", network.state_dict())
    write_tensors(root / "inputs.safetensors", batch_of(make()))
    (root / "cases.json").write_text(json.dumps(list(here)))
    subprocess.run([sys.executable, "-c", CHILD, str(folder_of("bert")), str(root)], check=True, timeout=120)
    return here, {case: read_tensors(root / case / "logits.safetensors")["logits"] for case in here}


@pytest.mark.parametrize(("method", "pooling"), CASES)
def test_a_saved_model_predicts_the_same_in_a_new_process(outputs, method, pooling):
    here, there = outputs
    assert torch.allclose(here[f"{method}-{pooling}"], there[f"{method}-{pooling}"], atol=1e-6)


def test_the_cases_differ_from_one_another(outputs):
    """Else the comparison above could not fail."""
    seen = {tuple(value.flatten().tolist()) for value in outputs[0].values()}
    assert len(seen) == len(CASES)
