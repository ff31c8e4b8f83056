"""Our adapter folders in the real library, and the library's in ours: the same logits."""

from __future__ import annotations

import warnings

import pytest
import torch
from transformers import AutoModel, AutoModelForSequenceClassification

from tunewright.core.errors import UserError
from tunewright.core.files import read_json, read_tensors, write_tensors
from tunewright.core.registry import load_part
from tunewright.models.peft_format import head_modules, load_adapter, method_of, read_adapter, write_adapter
from tunewright.models.quiet import quiet_transformers

peft = pytest.importorskip("peft")
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")  # the library's own

ALONE = ("my card is lost . please help me",)  # the library's prompts on decoders look at padding, so nothing is padded
FAMILIES = ["bert", "roberta", "gpt2", "llama"]
CASES = [
    *((method, family) for method in ("lora", "dora", "ia3", "prefix", "prompt") for family in FAMILIES),
    *(("lora", family) for family in ("distilbert", "deberta-v2", "modernbert", "albert", "t5")),
    *(("prompt", family) for family in ("electra", "albert", "modernbert", "gemma")),
    *(("prefix", family) for family in ("electra", "qwen3", "gemma", "gemma2")),
    *(("ia3", family) for family in ("mpnet", "deberta-v2", "modernbert", "t5")),
]
SETTINGS = {
    "lora": {"rank": 3, "alpha": 5, "rank_stabilised": True, "rank_pattern": {"0.*": 2}, "alpha_pattern": {"0.*": 9}},
    "dora": {"rank": 2, "layers": (0, 2)},
    "prefix": {"tokens": 5},
    "prompt": {"tokens": 5, "words": "good bad"},
}


def plain_model(folder, kind=AutoModelForSequenceClassification, **options):
    with quiet_transformers():
        return kind.from_pretrained(str(folder), pad_token_id=0, **options).eval()


def texts_for(method):
    return ALONE if method == "prompt" else (*ALONE, "no")


def their_logits(model, inputs):
    with torch.no_grad():
        return model.eval()(**inputs).logits


@pytest.mark.parametrize(("method", "family"), CASES)
def test_peft_opens_what_we_saved(make, folder_of, batch_of, logits, shake, tmp_path, method, family):
    network = make(family)
    part = load_part("methods", method)
    plain = logits(network, texts_for(method))
    applied = part.apply(network, part.Settings(**SETTINGS.get(method, {})))
    shake(network, (*applied.trainable, *network.head_names))
    ours = logits(network, texts_for(method))
    assert (ours - plain).abs().max() > 1e-2
    write_adapter(tmp_path, network, applied)
    again = make(family)
    load_adapter(again, tmp_path)
    assert torch.equal(logits(again, texts_for(method)), ours)
    theirs = peft.PeftModel.from_pretrained(plain_model(folder_of(family), num_labels=3), str(tmp_path))
    if family == "t5":  # its attention is not scaled: rounding grows to 1e-3 in these random weights, so compare without any
        theirs, ours = theirs.double(), logits(network.double(), texts_for(method))
    assert torch.allclose(their_logits(theirs, batch_of(network, texts_for(method))), ours, atol=1e-5)


THEIR_CONFIGS = {
    "lora": lambda: peft.LoraConfig(task_type="SEQ_CLS", r=4, lora_alpha=6, target_modules="all-linear"),
    "lora_patterns": lambda: peft.LoraConfig(
        task_type="SEQ_CLS",
        r=4,
        use_rslora=True,
        target_modules=["query", "value"],
        rank_pattern={r"layer\.1.*query": 2},
        alpha_pattern={"value": 3},
    ),
    "dora": lambda: peft.LoraConfig(task_type="SEQ_CLS", r=4, use_dora=True, target_modules=["query", "output.dense"]),
    "ia3": lambda: peft.IA3Config(task_type="SEQ_CLS"),
    "prefix": lambda: peft.PrefixTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=4),
    "prefix_projected": lambda: peft.PrefixTuningConfig(
        task_type="SEQ_CLS", num_virtual_tokens=4, prefix_projection=True, encoder_hidden_size=8
    ),
    "prompt": lambda: peft.PromptTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=4),
    "p_tuning": lambda: peft.PromptEncoderConfig(task_type="SEQ_CLS", num_virtual_tokens=4, encoder_hidden_size=8),
}
ENCODERS_ONLY = ("lora_patterns", "dora")  # these cases name an encoder's layers
THEIR_CASES = [(case, family) for case in THEIR_CONFIGS for family in FAMILIES[: 2 if case in ENCODERS_ONLY else 4]]


@pytest.mark.parametrize(("case", "family"), THEIR_CASES)
def test_we_open_what_peft_saved(make, folder_of, batch_of, logits, tmp_path, case, family):
    network = make(family)
    texts = ALONE if case in ("prompt", "p_tuning") else texts_for(case)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about Conv1D, which the library then handles
        theirs = peft.get_peft_model(plain_model(folder_of(family), num_labels=3), THEIR_CONFIGS[case]())
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for _, parameter in theirs.named_parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    theirs.save_pretrained(str(tmp_path))
    applied = load_adapter(network, tmp_path)
    assert torch.allclose(logits(network, texts), their_logits(theirs, batch_of(network, texts)), atol=1e-5)
    assert applied.trainable
    assert {name for name, parameter in network.named_parameters() if parameter.requires_grad} == {
        *applied.trainable,
        *network.head_names,
    }


@pytest.mark.parametrize("method", ["lora", "dora", "ia3", "prefix", "prompt"])
def test_with_our_own_pooling_peft_makes_the_same_token_vectors(make, folder_of, batch_of, logits, shake, tmp_path, method):
    network = make("bert", "mean")
    part = load_part("methods", method)
    applied = part.apply(network, part.Settings())
    shake(network, (*applied.trainable, *network.head_names))
    write_adapter(tmp_path, network, applied)
    assert sorted(read_tensors(tmp_path / "head.safetensors")) == ["classifier.bias", "classifier.weight"]
    theirs = peft.PeftModel.from_pretrained(plain_model(folder_of("bert"), AutoModel), str(tmp_path)).eval()
    inputs = {key: value for key, value in batch_of(network).items() if key != "token_type_ids"}  # the library drops them here
    with torch.no_grad():
        vectors = theirs(**inputs).last_hidden_state
        ours = network.inner(**inputs).last_hidden_state
    assert torch.allclose(vectors[:, vectors.shape[1] - ours.shape[1] :], ours, atol=1e-5)
    again = make("bert", "mean")
    load_adapter(again, tmp_path)
    assert torch.equal(logits(again), logits(network))


def test_the_head_is_named_as_peft_wraps_it(make):
    named = {family: head_modules(make(family)) for family in ("bert", "roberta", "distilbert", "deberta-v2", "llama", "t5")}
    assert named == {
        "bert": ("classifier",),
        "roberta": ("classifier",),
        "distilbert": ("pre_classifier", "classifier"),
        "deberta-v2": ("pooler", "classifier"),
        "llama": ("score",),
        "t5": ("classification_head",),
    }
    assert head_modules(make("bert", "mean")) == ()


def test_a_config_names_the_method_that_reads_it():
    kinds = {
        "IA3": "ia3",
        "PREFIX_TUNING": "prefix",
        "P_TUNING": "prompt",
        "BOTTLENECK": "bottleneck",
        "VERA": "peft",
        "LORA": "lora",
    }
    assert {kind: method_of({"peft_type": kind}) for kind in kinds} == kinds
    assert method_of({"peft_type": "LORA", "use_dora": True}) == "dora"
    assert method_of({"peft_type": "LORA", "lora_bias": True}) == "peft"


@pytest.fixture
def saved(make, shake, tmp_path):
    network = make()
    part = load_part("methods", "lora")
    applied = part.apply(network, part.Settings(targets=("query",)))
    shake(network, applied.trainable)
    write_adapter(tmp_path, network, applied)
    return tmp_path


def test_a_tensor_that_is_missing_left_over_or_of_another_shape_is_an_error(make, saved):
    path = saved / "adapter_model.safetensors"
    whole = read_tensors(path)
    key = next(key for key in whole if "lora_B" in key)
    broken = {
        "lacks 1 tensors": {name: value for name, value in whole.items() if name != key},
        "no place": {**whole, "base_model.model.other.weight": torch.zeros(1)},
        "has shape": {**whole, key: whole[key][:-1]},
        "does not have": {name.replace("layer.2", "layer.7"): value for name, value in whole.items()},
    }
    for message, tensors in broken.items():
        write_tensors(path, tensors)
        with pytest.raises(UserError, match=message):
            load_adapter(make(), saved)


def test_a_broken_folder_is_an_error(make, saved):
    write_tensors(saved / "adapter_model.safetensors", {"x": torch.tensor([float("nan")])})
    with pytest.raises(UserError, match="NaN"):
        read_adapter(saved)
    (saved / "adapter_model.safetensors").write_bytes(b"\0" * 20)
    with pytest.raises(UserError, match="not a whole safetensors"):
        read_adapter(saved)
    (saved / "adapter_config.json").write_text("[]")
    with pytest.raises(UserError, match="names no peft_type"):
        read_adapter(saved)


def test_an_option_that_we_do_not_compute_is_refused_by_lora(make, saved):
    config, state = read_adapter(saved)
    with pytest.raises(UserError, match=r"bias = 'all'.*peft"):
        load_part("methods", "lora").load(make(), {**config, "bias": "all"}, state)


def test_the_config_is_plain_json_with_exact_targets(saved):
    config = read_json(saved / "adapter_config.json")
    assert config["target_modules"] == [f"bert.encoder.layer.{index}.attention.self.query" for index in range(3)]
    assert (config["task_type"], config["modules_to_save"], config["r"], config["lora_alpha"]) == (
        "SEQ_CLS",
        ["classifier"],
        8,
        16,
    )


def test_methods_that_change_the_network_itself_have_no_adapter(make, tmp_path):
    part = load_part("methods", "full")
    network = make()
    with pytest.raises(UserError, match="no adapter to save"):
        write_adapter(tmp_path, network, part.apply(network, part.Settings()))
