"""The bridge: methods of the installed library, inside our network."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from tunewright.core.errors import UserError
from tunewright.methods.peft import Settings, apply
from tunewright.models.peft_format import load_adapter, write_adapter
from tunewright.models.quiet import quiet_transformers

peft = pytest.importorskip("peft")
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")  # the library's own

METHODS = [
    ("lora", {"r": 4, "bias": "lora_only"}),
    ("loha", {"r": 2}),
    ("lokr", {"r": 2}),
    ("vera", {"r": 4}),
    ("unilora", {}),
    ("oft", {}),
    ("hra", {}),
    ("fourierft", {"n_frequency": 50}),
    ("ln_tuning", {}),
    ("randlora", {}),
    ("miss", {"r": 8}),
    ("p_tuning", {"num_virtual_tokens": 4, "encoder_hidden_size": 8}),
]


@pytest.mark.parametrize(("method", "arguments"), METHODS)
def test_a_method_of_the_library_trains_saves_and_reloads(make, folder_of, batch_of, logits, train, tmp_path, method, arguments):
    network = make()
    plain = logits(network)
    applied = apply(network, Settings(method=method, **arguments))
    started = logits(network)
    assert applied.identity_at_start is not True or torch.allclose(started, plain, atol=1e-4)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    opened = {*applied.trainable, *network.head_names}
    train(network, opened)
    moved = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    shared = {
        name
        for name in moved
        if network.state_dict()[name].data_ptr() in {network.get_parameter(key).data_ptr() for key in opened}
    }
    assert moved == shared and set(applied.trainable) & moved
    ours = logits(network)
    write_adapter(tmp_path, network, applied)
    again = make()
    load_adapter(again, tmp_path)
    assert torch.allclose(logits(again), ours, atol=1e-5)
    with quiet_transformers():
        base = AutoModelForSequenceClassification.from_pretrained(str(folder_of("bert")), num_labels=3)
    theirs = peft.PeftModel.from_pretrained(base, str(tmp_path)).eval()
    with torch.no_grad():
        assert torch.allclose(theirs(**batch_of(network)).logits, ours, atol=1e-5)


def test_shared_weights_leave_with_the_merge(make, logits, shake):
    network = make()
    applied = apply(network, Settings(method="vera", r=4))
    shake(network, applied.trainable)
    adapted = logits(network)
    applied.merge()
    assert torch.allclose(logits(network), adapted, atol=1e-5)
    assert list(network.state_dict()) == list(make().state_dict())


def test_a_model_that_the_library_does_not_know_gets_all_linear_layers(make):
    applied = apply(make("modernbert"), Settings(method="lora", r=2))
    assert len(applied.trainable) == 3 * 4 * 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "lorra"}, "'LORRA' is not known.*Did you mean 'LORA'"),
        ({"method": "lora", "lora_alfa": 3}, "no argument 'lora_alfa'.*Did you mean 'lora_alpha'"),
        ({"method": "lora", "inference_mode": True}, "no argument 'inference_mode'"),
        ({"method": "lora", "target_modules": ["querry"]}, "querry"),
        ({"method": "miss", "r": 64}, "PEFT cannot apply MISS"),
        ({"method": "prefix-tuning"}, "exists here as 'prefix'"),
        ({"method": "adalora"}, "every optimizer step"),
    ],
)
def test_what_cannot_be_is_said(make, settings, message):
    with pytest.raises(UserError, match=message):
        apply(make(), Settings(**settings))


def test_a_method_without_a_merged_form_says_so(make):
    applied = apply(make(), Settings(method="lily"))
    with pytest.raises(UserError, match="cannot merge LILY"):
        applied.merge()


def test_without_the_library_it_says_what_to_install(make, monkeypatch):
    monkeypatch.setattr("tunewright.methods.peft.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install tunewright\[peft\]"):
        apply(make(), Settings(method="lora"))
