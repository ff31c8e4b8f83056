"""Mean pooling written as one more transformer block, so that transformers' own classifier computes it.

A network with our mean pooling has no class of its own in transformers. For encoders built like BERT it does not need
one: a block whose queries and keys are zero attends to all visible tokens alike, so its attention is the mean; its
output projection enlarges that mean until the residual beside it is lost in float32's rounding; and its norms, without
scale or shift, are our layer norm. The pooler of the class is made a tiny multiple of the identity, where tanh is
straight, and the classifier undoes the factor. So whoever opens the saved folder with
AutoModelForSequenceClassification, and nothing of ours, gets our predictions. We drop the block again when we load it:
it costs time and holds nothing that was learned, and it is no start for further training.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from tunewright.models.network import Network


# Powers of two, so that multiplying rounds nothing. The residual is 2^-30 of the mean, a sixtieth of float32's last bit;
# tanh(x) = x - x³/3 is off by less than 2^-25 for every |x| < 2^-12, which a normalized vector times 2^-16 never reaches.
_ENLARGE = 2.0**30
_SHRINK = 2.0**-16
_TOLERANCE = 1e-5

_BLOCK = (
    *(f"attention.self.{name}" for name in ("query", "key", "value")),
    *("attention.output.dense", "attention.output.LayerNorm"),
    *("intermediate.dense", "output.dense", "output.LayerNorm"),
)


def to_sequence_classifier(network: Network) -> Any | None:
    """Transformers' own classifier that computes what ``network`` does, in evaluation mode on the processor.

    None where the pooling is another one, the encoder is not built like BERT, or the result was measured to differ.
    """
    from transformers import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING, AutoModelForSequenceClassification

    config = copy.deepcopy(network.inner.config)
    if network.pooling != "mean" or not _blocks(network.inner) or type(config) not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING:
        return None
    config.num_hidden_layers += 1
    with torch.random.fork_rng(devices=[]):  # every initial value is overwritten
        model = AutoModelForSequenceClassification.from_config(config, dtype=torch.float32).eval()
    head = _head(model)
    if head is None:
        return None
    model.base_model.load_state_dict(network.inner.state_dict(), strict=False)
    assert network.classifier is not None
    with torch.no_grad():
        norm_loss = _write_block(_blocks(model)[-1])
        _write_head(*head, network.classifier, norm_loss)
    return model.cpu() if _difference(network, model) <= _TOLERANCE else None


def _blocks(model: nn.Module) -> list[nn.Module]:
    """Modules that have all the parts of a BERT block, in order."""
    modules = dict(model.named_modules())
    return [module for name, module in modules.items() if all(f"{name}.{part}" in modules for part in _BLOCK)]


def _head(model: Any) -> tuple[nn.Linear, nn.Linear] | None:
    """The linear layer before tanh and the one that makes the logits, in BERT's or RoBERTa's arrangement."""
    modules = dict(model.named_modules())
    for first, last in ((f"{model.base_model_prefix}.pooler.dense", "classifier"), ("classifier.dense", "classifier.out_proj")):
        before, output = modules.get(first), modules.get(last)
        if isinstance(before, nn.Linear) and isinstance(output, nn.Linear):
            return before, output
    return None


def _write_block(block: nn.Module) -> float:
    """Make a block that outputs the normalized mean of its inputs; returns by which factor its second norm shrinks it."""
    for parameter in block.parameters():
        parameter.zero_()
    value, project = block.get_submodule("attention.self.value"), block.get_submodule("attention.output.dense")
    nn.init.eye_(value.weight)  # type: ignore[arg-type]
    project.weight.copy_(torch.eye(len(project.weight)) * _ENLARGE)  # type: ignore[arg-type,operator]
    norms = block.get_submodule("attention.output.LayerNorm"), block.get_submodule("output.LayerNorm")
    for norm in norms:
        nn.init.ones_(norm.weight)  # type: ignore[arg-type]
    return float(1 / (1 + norms[1].eps) ** 0.5)  # type: ignore[operator]


def _write_head(before: nn.Linear, output: nn.Linear, trained: nn.Linear, norm_loss: float) -> None:
    before.weight.copy_(torch.eye(len(before.weight)) * _SHRINK)
    before.bias.zero_()
    output.weight.copy_(trained.weight / (_SHRINK * norm_loss))
    output.bias.copy_(trained.bias)


@torch.no_grad()
def _difference(network: Network, model: nn.Module) -> float:
    """Largest difference of the logits on a padded batch, as a share of the largest logit."""
    inputs = _example(network)
    training = network.training
    ours: Tensor = network.eval()(inputs)
    theirs: Tensor = model.to(network.device)(**inputs).logits
    network.train(training)
    return float((ours - theirs).abs().max() / ours.abs().max().clamp(min=1e-12))


def _example(network: Network) -> dict[str, Tensor]:
    """Three rows of 12, 7 and 1 tokens, none of them the padding token."""
    padding = network.tokenizer.pad_token_id
    vocabulary = [number for number in range(min(len(network.tokenizer), 200)) if number != padding]
    ids = torch.tensor(vocabulary).repeat(36)[: 3 * 12 * 7 : 7].reshape(3, 12)
    mask = (torch.arange(12) < torch.tensor([[12], [7], [1]])).to(torch.int64)
    return {
        "input_ids": torch.where(mask == 1, ids, padding).to(network.device),
        "attention_mask": mask.to(network.device),
    }
