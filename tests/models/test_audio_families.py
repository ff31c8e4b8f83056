"""Every architecture that reads sound: its stack, what freezing holds still, kept states, methods, and a head of its own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.tiny import folders
from tunewright.core.errors import UserError
from tunewright.core.registry import list_parts, load_part
from tunewright.core.seed import random_states, restore_random_states, seed_everything
from tunewright.core.types import Labels
from tunewright.datasets.formats.audio_files import Sound
from tunewright.modalities.audio.modality import Encoded
from tunewright.models.form import Form
from tunewright.models.loading import load_network
from tunewright.models.network import Network
from tunewright.models.prefix import capture, find_prefix, replayed
from tunewright.models.tiny_audio import CLASSIFIERS, tiny_audio_model
from tunewright.tasks.classification import task as classification
from tunewright.training.stages import open_layers

pytest.importorskip("soundfile")
pytestmark = pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")  # of WavLM, in transformers

LABELS = Labels("classification", ("up", "down", "off"))
FORM = Form("audio", "AutoModelForAudioClassification")
MASKED = ("wav2vec2-stable", "hubert", "wavlm", "data2vec-audio")  # families that are told where a clip ends
READS_PADDING = ("wavlm", "data2vec-audio")  # whose normalization or positions, in transformers, see padding as sound
TARGETS = torch.tensor([0, 1, 2, 1])


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Network]:
    folder_of = folders(
        tmp_path_factory, tiny_audio_model, lambda tensors: {k: v * 3 if v.ndim == 2 else v for k, v in tensors.items()}
    )

    def build(family: str) -> Network:
        return load_network(str(folder_of(family)), LABELS, form=FORM)

    return build


def encoded(network: Network, samples: tuple[int, ...] = (10_000,) * 4) -> Encoded:
    generator = np.random.default_rng(0)
    rows = [(Sound((0.1 * generator.standard_normal(count)).astype(np.float32), 16_000),) for count in samples]
    found = classification.encode(network, rows, None, classification.Settings(), 0).encoded
    assert isinstance(found, Encoded)
    return found


def batch(network: Network) -> dict[str, Tensor]:
    return encoded(network).collate(np.arange(4))


@pytest.mark.parametrize("family", CLASSIFIERS)
def test_the_stack_is_complete_and_ordered(make: Callable[[str], Network], family: str) -> None:
    network = make(family)
    groups = network.stack.groups
    for kind, held in (("parameters", network.named_parameters()), ("buffers", network.named_buffers())):
        listed = [name for group in groups for name in getattr(group, kind)]
        assert sorted(listed) == sorted(name for name, _ in held)
    blocks = [f"block {index}" for index in range(3)]
    assert [group.name for group in groups] in ([["embeddings", *blocks, *rest, "head"] for rest in ([], ["final"])])
    assert groups[-1].parameters == tuple(name for name, _ in network.named_parameters() if name in network.head_names)
    convolutions = [name for name, parameter in network.named_parameters() if parameter.ndim == 3]
    assert {network.stack.depth_of(name) for name in convolutions} == {0}
    ran: list[str] = []
    for group in network.stack.blocks:
        network.get_submodule(group.modules[0]).register_forward_pre_hook(lambda *_, name=group.name: ran.append(name))
    with torch.no_grad():
        assert network(batch(network)).shape == (4, 3)
    assert ran == blocks


@pytest.mark.parametrize("family", CLASSIFIERS)
def test_what_is_frozen_stays_as_it_was_and_makes_the_same(make: Callable[[str], Network], family: str) -> None:
    """Steps with masks, dropped layers and dropout on: bits below the cut, and what comes out of it, do not change."""
    network = make(family)
    network.inner.config.layerdrop = network.inner.config.encoder_layerdrop = 0.5
    inputs = batch(network)
    names = tuple(name for name, _ in network.named_parameters() if name not in network.head_names)
    cut = open_layers(network, names, 3)
    assert cut == 3
    top = network.get_submodule(network.stack.blocks[1].modules[0])
    seen: list[Tensor] = []
    top.register_forward_hook(lambda _, __, output: seen.append((output[0] if isinstance(output, tuple) else output).clone()))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    moving = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(moving, lr=0.1)
    seed_everything(0)
    for _ in range(3):
        optimizer.zero_grad()
        functional.cross_entropy(network(inputs), TARGETS).backward()
        optimizer.step()
    moved = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert moved
    assert min(map(network.stack.depth_of, moved)) >= 3
    assert len(seen) == 3
    assert all(torch.equal(one, seen[0]) for one in seen)


@pytest.mark.parametrize("family", CLASSIFIERS)
def test_kept_states_put_back_are_the_whole_pass(make: Callable[[str], Network], family: str) -> None:
    network = make(family).eval()
    inputs, used = batch(network), 0
    for depth in range(1, network.stack.depths):
        prefix = find_prefix(network, depth, inputs)
        if prefix is None:
            continue
        used += 1
        kept = capture(network, [prefix], inputs)
        with torch.no_grad():
            whole = network(inputs)
            with replayed(network, prefix, kept):
                torch.testing.assert_close(network(inputs), whole, rtol=0, atol=0)
            with replayed(network, prefix, {name: value + torch.randn(value.shape[-1]) for name, value in kept.items()}):
                assert not torch.allclose(network(inputs), whole)
    assert used == network.stack.depths - (3 if family == "wavlm" else 2)  # WavLM's first block makes the position bias


@pytest.mark.parametrize("family", CLASSIFIERS)
def test_lengths_are_the_frames_of_the_first_block(make: Callable[[str], Network], family: str) -> None:
    network = make(family).eval()
    found = encoded(network, (4000, 9999, 16_000))
    assert len(set(found.lengths.tolist())) == (3 if family in MASKED else 1)
    seen: list[Tensor] = []
    network.get_submodule(network.stack.blocks[0].modules[0]).register_forward_hook(
        lambda _, __, output: seen.append(output[0] if isinstance(output, tuple) else output)
    )
    with torch.no_grad():
        together = network(found.collate(np.arange(3)))
        alone = torch.cat([network(found.collate(np.array([row]))) for row in range(3)])
    if found.preprocessing.kind == "raw":
        assert seen[0].shape[1] == found.lengths.max()
        assert [one.shape[1] for one in seen[1:]] == found.lengths.tolist()
    if family not in READS_PADDING:
        torch.testing.assert_close(together, alone, rtol=1e-3, atol=1e-4)  # a neighbor in the batch changes nothing


WITH_WORDS = ("prefix", "prompt")


@pytest.mark.parametrize("family", CLASSIFIERS)
@pytest.mark.parametrize("method", [part.name for part in list_parts("methods") if part.name != "peft"])
def test_every_method_works_or_says_why_not(make: Callable[[str], Network], family: str, method: str) -> None:
    network = make(family)
    inputs = batch(network)
    with torch.no_grad():
        plain = network(inputs)
    part = load_part("methods", method)
    if method in WITH_WORDS:
        with pytest.raises(UserError, match="virtual words before a text, and these rows are audio"):
            part.apply(network, part.Settings())
        return
    applied = part.apply(network, part.Settings())
    with torch.no_grad():
        torch.testing.assert_close(network.eval()(inputs), plain, rtol=0, atol=1e-5)
    opened = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert opened == {*applied.trainable, *network.head_names}
    functional.cross_entropy(network(inputs), TARGETS).backward()
    reached = [name for name in applied.trainable if network.get_parameter(name).grad is not None]
    assert bool(reached) is (method != "frozen")


def test_methods_of_peft_are_tried_on_a_sound(make: Callable[[str], Network]) -> None:
    pytest.importorskip("peft")
    part = load_part("methods", "peft")
    assert part.apply(make("wav2vec2"), part.Settings(method="lokr")).trainable
    with pytest.raises(UserError, match="these rows are audio"):
        part.apply(make("wav2vec2"), part.Settings(method="p_tuning"))


def test_masks_come_again_after_a_resume(make: Callable[[str], Network]) -> None:
    """wav2vec 2.0 draws its own masks from NumPy's generator."""
    network = make("wav2vec2").train()
    inputs = batch(network)
    seed_everything(3)
    network(inputs)
    states = random_states()
    first = network(inputs)
    assert not torch.equal(first, network(inputs))
    restore_random_states(states)
    assert torch.equal(first, network(inputs))


def test_whispers_classifier_has_a_new_head_and_no_decoder(make: Callable[[str], Network]) -> None:
    network = make("whisper")
    assert network.head_names == (
        *("inner.projector.weight", "inner.projector.bias"),
        *("inner.classifier.weight", "inner.classifier.bias"),
    )
    assert not any("decoder" in name for name, _ in network.named_parameters())
