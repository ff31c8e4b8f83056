"""The steps before training: rows, network and head, method, starting values, and the job they make together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from inspect import signature
from types import ModuleType
from typing import Any

import numpy as np
import torch

from tunewright.analysis.references import read_reference
from tunewright.analysis.reports import forgetting
from tunewright.config.reader import check_part
from tunewright.config.recipe import OWN, Choice, Model, Recipe
from tunewright.core.device import pick_device
from tunewright.core.distributed import ALONE, DistributedContext
from tunewright.core.errors import UserError
from tunewright.core.memory import keep_freed_memory
from tunewright.core.registry import load_part, name_of
from tunewright.core.seed import seed_everything
from tunewright.core.types import Applied, Labels, Predictions
from tunewright.datasets.cells import cells_of
from tunewright.datasets.counterfactual import with_counterfactuals
from tunewright.datasets.encoded import EncodedDataset
from tunewright.datasets.group_reweighting import row_weights
from tunewright.datasets.groups import Groups, groups_of, placed
from tunewright.datasets.prepare import DatasetSplits, prepare
from tunewright.datasets.ragged import IGNORED, Ragged
from tunewright.datasets.replay import with_replay
from tunewright.datasets.rows import Rows, StreamedRows
from tunewright.datasets.schema import Schema
from tunewright.datasets.streaming import prepare_streamed
from tunewright.evaluation import trees
from tunewright.modalities.text.on_disk import on_disk
from tunewright.models.config import read_config
from tunewright.models.form import Form
from tunewright.models.from_scratch import loading_of
from tunewright.models.image_size import fit_images
from tunewright.models.loading import load_network
from tunewright.models.network import Network
from tunewright.models.seconds import fit_seconds
from tunewright.models.sources import find_model
from tunewright.models.torch_module import SOURCE, Backbone, missing_module, plain_network
from tunewright.pipeline.auto_strategy import decided_strategy, start_of
from tunewright.tasks.shared.group_thresholds import decided_by
from tunewright.training.augmentation import changing
from tunewright.training.callback import Callback
from tunewright.training.checkpoint import Checkpoints
from tunewright.training.context import TrainingContext
from tunewright.training.distillation import Teacher
from tunewright.training.evaluate import decode_all
from tunewright.training.feature_cache import FeatureCache, default_folder
from tunewright.training.forward import Forward
from tunewright.training.frozen_features import FrozenFeatures
from tunewright.training.gradients import Gradients
from tunewright.training.microbatches import MicroBatches
from tunewright.training.precision import Arithmetic, Precision, choose_arithmetic
from tunewright.training.predict import passes, predict_features

PARTS = ("train", "validation", "test")

# What starts a head from the targets, one for each row or token.
_FROM_TARGETS = ("linear_probe", "prior_bias")

# Streamed rows that a probe reads, because it has the features of all its rows in memory (a guess).
PROBED = 10_000


@dataclass(frozen=True)
class InMemoryData:
    """Rows that come from Python instead of files."""

    train: Any = None
    validation: Any = None
    test: Any = None


@dataclass(frozen=True)
class PreparedRun:
    """A recipe's rows, encoded, and its network with a new head: steps 1 to 3.

    ``recipe`` has the precision and the thread count that ``arithmetic`` chose.
    """

    recipe: Recipe
    prepared: DatasetSplits
    network: Network
    head: ModuleType
    head_settings: Any
    examples: dict[str, EncodedDataset]
    arithmetic: Arithmetic
    store: FeatureCache | None
    sized: str | None = None  # what was changed of the images' size, in words
    chosen: str | None = None  # what the strategy auto decided, in words

    @property
    def precision(self) -> Precision:
        return self.arithmetic.precision

    @property
    def head_name(self) -> str:
        return name_of("tasks", self.head)


def prepare_rows(recipe: Recipe, given: InMemoryData) -> DatasetSplits:
    """Step 3, first half: read, guess, check and split the rows; no model is touched."""
    data = recipe.data
    sources = {part: getattr(given, part) if getattr(given, part) is not None else getattr(data, part) for part in PARTS}
    how = prepare_streamed if data.streaming else prepare
    prepared = how(
        **sources,
        text=data.text or data.input,
        kind=data.kind,
        target=data.target,
        task=data.task,
        separator=data.separator,
        group=data.group,
        time=data.time,
        validation_size=data.validation_size,
        test_size=data.test_size,
        near_duplicates=data.near_duplicates,
        max_train_samples=data.max_train_samples,
        seed=recipe.seed,
    )
    if data.counterfactual_augmentation:
        prepared = with_counterfactuals(prepared, data.counterfactual_augmentation)
    if data.replay:
        prepared = with_replay(prepared, data.replay, data.replay_share, measured_rows(recipe), recipe.seed)
    return prepared


def measured_rows(recipe: Recipe) -> set[tuple[Any, ...]]:
    """The rows by which the recipe's report measures forgetting; they are never trained on."""
    asked = [forgetting.Settings(**one.settings) for one in recipe.evaluation.reports if one.name == "forgetting"]
    read = (read_reference(path, one.rows, recipe.seed) for one in asked for path in one.references)
    return {row for reference in read for row in reference.inputs}


def set_up(recipe: Recipe, prepared: DatasetSplits, backbone: Backbone | None = None) -> PreparedRun:
    """Steps 1 to 3: load the network with a head for the task, and turn rows into token ids.

    ``backbone`` is a module from Python in place of the folder of a model.
    """
    seed_everything(recipe.seed)
    keep_freed_memory()
    choice = recipe.head or Choice(name=OWN)
    if choice.name == OWN:
        choice = choice.model_copy(update={"name": _own_head(recipe, prepared.labels.task)})
        check_part("tasks", "head", choice)
    head = load_part("tasks", choice.name)
    settings = head.Settings(**choice.settings)
    if hasattr(head, "decided"):
        prepared = replace(prepared, labels=head.decided(prepared.labels, settings))
    groups_to_decide_by(prepared, settings)  # a column that is missing is told before anything trains
    recipe = sourced(_with_defaults(recipe, head), prepared.schema)
    model, device = recipe.model, pick_device(recipe.training.device)
    network = untuned(recipe, prepared, head, backbone).to(device)
    network.freeze_batch_norm = model.freeze_batch_norm
    sized = fit_images(network, recipe.data)
    fit_seconds(network, recipe.data.max_seconds)
    network.stack  # noqa: B018 - read before a method changes the module tree
    recipe, strategy = decided_strategy(recipe, network, head)
    training = recipe.training
    settings, prepared = _settled(head, settings, network, prepared)
    examples = {
        part: _encode(network, head, settings, rows, recipe.data.max_length)
        for part in PARTS
        if (rows := getattr(prepared, part)) is not None
    }
    examples["train"] = changing(examples["train"], recipe, settings, prepared.labels.task)
    prepared = _audited(head, network, prepared, examples)
    arithmetic = choose_arithmetic(network, examples["train"], training.precision, training.threads)
    torch.set_num_threads(arithmetic.threads)
    if hasattr(head, "remember") and head.remembers(settings):
        told = {part: passes(network, one, precision=arithmetic.precision) for part, one in examples.items()}
        examples = {part: head.remember(one, told[part]) for part, one in examples.items()}
    chosen = training.model_copy(update={"precision": arithmetic.precision, "threads": arithmetic.threads})
    memory, disk = (int(size * 2**30) for size in (training.cache_memory_gib, training.cache_disk_gib))
    keeps = training.cache and not recipe.data.streaming  # what is kept of each row is larger than its text
    store = FeatureCache(memory=memory, disk=disk) if keeps else None
    resolved = recipe.model_copy(update={"training": chosen})
    return PreparedRun(resolved, prepared, network, head, settings, examples, arithmetic, store, sized, strategy)


def untuned(recipe: Recipe, prepared: DatasetSplits, head: ModuleType, backbone: Backbone | None = None) -> Network:
    """The pre-trained network with a new head, on the processor, before a method changes anything."""
    if backbone is None and not recipe.model.source.startswith(SOURCE):
        return _load(recipe, prepared, form_of(head, prepared.schema.kind))
    return _of_module(recipe, prepared, head, backbone)


def said_of_model(setup: PreparedRun) -> tuple[str, ...]:
    """What there is to say of the network and how it computes."""
    network, stack = setup.network, setup.network.stack
    total = sum(parameter.numel() for parameter in network.parameters())
    said = [f"{network.base}: {len(stack.blocks)} blocks, {total:,} parameters, pooling {network.pooling}"]
    said += [one for one in (setup.chosen, setup.sized) if one is not None]
    said += getattr(network.processor, "said", ())
    if stack.shared > 1:
        said.append(f"each block runs {stack.shared} times with the same weights: layers cannot be frozen apart")
    arithmetic = setup.arithmetic
    threads = "1 thread" if arithmetic.threads == 1 else f"{arithmetic.threads} threads"
    said.append(f"computing in {arithmetic.precision} with {threads}: {arithmetic.why}")
    if setup.recipe.data.streaming:
        said.append(f"token ids of train are on disk; features are not kept, and probes read at most {PROBED:,} train rows")
    for part, examples in setup.examples.items():
        if examples.encoded.truncated:
            said.append(
                f"{examples.encoded.truncated} of {len(examples)} {part} rows are cut at "
                f"{getattr(examples.encoded, 'limit', f'{network.longest(setup.recipe.data.max_length)} tokens')}"
            )
    return tuple(said)


def _load(recipe: Recipe, prepared: DatasetSplits, form: Form) -> Network:
    """The pre-trained network with a head for the task; one of our own reads what the training rows hold."""
    model, own = recipe.model, loading_of(form.kind)
    if own is not None:
        _refuse_settings(model, f"networks of {form.kind}")
        processor = own.learn(prepared.schema.text, prepared.train)
        made: Network = own.load(model.source, processor, prepared.labels, form=form, dropout=model.dropout, seed=recipe.seed)
        return made
    return load_network(
        model.source,
        prepared.labels,
        form=form,
        pooling=model.pooling,
        revision=model.revision,
        dropout=model.dropout,
        blocks=model.blocks,
        quantize=model.quantize,
        seed=recipe.seed,
    )


def sourced(recipe: Recipe, schema: Schema) -> Recipe:
    """The recipe with random values as its source where none was named and no pre-trained model knows such rows."""
    own = loading_of(schema.kind)
    if own is None or "source" in recipe.model.model_fields_set or (schema.kind == "interactions" and len(schema.text) > 2):
        return recipe
    return recipe.model_copy(update={"model": recipe.model.model_copy(update={"source": own.SCRATCH})})


def _with_defaults(recipe: Recipe, head: ModuleType) -> Recipe:
    """The recipe with the task's own settings, where none were named."""
    found = {}
    for name, values in getattr(head, "DEFAULTS", {}).items():
        section = getattr(recipe, name)
        found[name] = section.model_copy(update={key: values[key] for key in values if key not in section.model_fields_set})
    return recipe.model_copy(update=found)


def _settled(head: ModuleType, settings: Any, network: Network, prepared: DatasetSplits) -> tuple[Any, DatasetSplits]:
    """The head's settings with what the training rows decide of them, and what is to be said of that."""
    if not hasattr(head, "settled"):
        return settings, prepared
    found, said = head.settled(settings, network, prepared.train)
    return found, replace(prepared, said=(*prepared.said, *said))


def _audited(head: ModuleType, network: Network, prepared: DatasetSplits, examples: dict[str, EncodedDataset]) -> DatasetSplits:
    """What a head that looks at its examples before training says of them, beside what the rows themselves revealed."""
    if not hasattr(head, "audit"):
        return prepared
    found = head.audit(network, {part: getattr(prepared, part) for part in examples}, examples)
    return replace(prepared, findings=(*prepared.findings, *found.findings), said=(*prepared.said, *found.lines))


def _own_head(recipe: Recipe, task: str) -> str:
    """The head of a task; one of its own where the model writes with a decoder."""
    other = getattr(load_part("tasks", task), "WITH_DECODER", None)
    if other is None:
        return task
    config = read_config(find_model(recipe.model.source, recipe.model.revision))
    return str(other) if getattr(config, "is_encoder_decoder", False) else task


def form_of(head: ModuleType, kind: str) -> Form:
    """How a network is loaded for a task on inputs of a kind."""
    if kind not in head.READS:
        task = name_of("tasks", head).replace("_", " ")
        raise UserError(f"{task} does not read {kind}", expected=f"rows of {' or '.join(head.READS)}")
    return Form(kind, head.READS[kind], head.OUTPUT)


def _of_module(recipe: Recipe, prepared: DatasetSplits, head: ModuleType, backbone: Backbone | None) -> Network:
    """The network made from a module; what only a folder of transformers has is refused."""
    model = recipe.model
    if backbone is None:
        raise missing_module(f"the model '{model.source}'")
    kind = prepared.schema.kind
    if kind != backbone.kind or form_of(head, kind).auto != f"AutoModelFor{kind.capitalize()}Classification":
        task = prepared.labels.task.replace("_", " ")
        raise UserError(
            f"{task} of {kind} cannot be learnt with a Python module that reads {backbone.kind}",
            expected=f"one answer for each {'sound' if backbone.kind == 'audio' else 'image'}",
        )
    _refuse_settings(model, "a Python module", "dropout")
    return plain_network(backbone, prepared.labels, recipe.seed)


def _refuse_settings(model: Model, who: str, *more: str) -> None:
    """What only a folder of transformers has means nothing for other networks, and is no setting to be overlooked."""
    named = [name for name in ("revision", "blocks", *more) if getattr(model, name) is not None]
    named += ["pooling"] if model.pooling not in ("auto", "native") else []
    named += ["quantize"] if model.quantize != "none" else []
    if named:
        raise UserError(f"model.{named[0]} means nothing for {who}", expected="a model's folder")


def _encode(network: Network, head: ModuleType, settings: Any, rows: Rows | StreamedRows, max_length: int) -> EncodedDataset:
    if isinstance(rows, Rows):
        named = {"where": rows.where} if "where" in signature(head.encode).parameters else {}
        encoded: EncodedDataset = head.encode(network, rows.inputs, rows.targets, settings, max_length, **named)
        return encoded
    parts = (head.encode(network, texts, None, settings, max_length).encoded for texts in rows.pieces())
    return EncodedDataset(on_disk(parts, default_folder()), rows.targets)


def probed(setup: PreparedRun) -> EncodedDataset:
    """The training rows that start a head or a baseline: all, or a sample drawn with the seed of those that are streamed."""
    train = setup.examples["train"]
    if not setup.recipe.data.streaming or len(train) <= PROBED:
        return train
    chosen = np.random.default_rng(setup.recipe.seed).choice(len(train), PROBED, replace=False)
    return train.subset(np.sort(chosen))


def baselines_of(setup: PreparedRun) -> tuple[str, ...]:
    """Those of the recipe that mean something for the task and its rows; a new head has nothing to say before training."""
    meant = set(setup.head.BASELINES) - ({"before"} if setup.network.head_names else set())
    if setup.network.form.kind == "table" and setup.prepared.labels.task in trees.TASKS:
        meant.add("trees")
    return tuple(name for name in setup.recipe.evaluation.baselines if name in meant)


def frozen_baseline(setup: PreparedRun, features: Callable[[], np.ndarray]) -> tuple[Predictions, float | None]:
    """What a linear probe on the untouched network predicts for the test rows, and its loss on the validation rows; the head is
    put back as it was.

    Thresholds and temperatures are fitted for the probe, too: what they bring is not to pass for what training brings.
    """
    linear = setup.network.last_linear
    before = [parameter.detach().clone() for parameter in linear.parameters()]
    probe = load_part("initialization", "linear_probe")
    targets = _targets(probed(setup))
    probe.initialize(setup.network, features, targets, setup.prepared.labels, probe.Settings(), setup.recipe.seed)
    loss = _validation_loss(setup, linear)
    labels = _tuned_labels(setup, _probe_logits(setup, linear, "validation"))
    probed_setup = replace(setup, prepared=replace(setup.prepared, labels=labels))
    predictions = predicted(probed_setup, _probe_logits(setup, linear, "test"))
    with torch.no_grad():
        for parameter, value in zip(linear.parameters(), before, strict=True):
            parameter.copy_(value)
    return predictions, loss


def _validation_loss(setup: PreparedRun, linear: torch.nn.Linear) -> float | None:
    """The probe's mean loss on the validation rows, weighed as in training."""
    outputs, how = _probe_logits(setup, linear, "validation"), (setup.head_settings, _class_weights(setup))
    return decode_all(setup.head, setup.prepared.labels, setup.examples["validation"], outputs, how)[1]


def _class_weights(setup: PreparedRun, train: EncodedDataset | None = None) -> torch.Tensor | None:
    """What the head's loss weighs each class by, from the training rows."""
    targets = (setup.examples["train"] if train is None else train).targets
    weights: torch.Tensor | None = setup.head.class_weights(targets, setup.prepared.labels, setup.head_settings)
    return None if weights is None else weights.to(setup.network.device)


def _probe_logits(setup: PreparedRun, linear: torch.nn.Linear, part: str) -> Iterator[tuple[np.ndarray, Any]]:
    """Outputs for a part's rows: from their features where each row has one vector, which are kept for the next run."""
    examples = setup.examples[part]
    if isinstance(examples.targets, Ragged):
        yield from passes(setup.network, examples, precision=setup.precision)
        return
    read = torch.from_numpy(_features(setup, examples))
    with torch.no_grad():
        yield np.arange(len(examples)), linear(read.to(setup.network.device))


def predicted(setup: PreparedRun, outputs: Iterable[tuple[np.ndarray, Any]] | None = None) -> Predictions:
    """Predictions for the test rows, by the network as it is or from the outputs given."""
    test = setup.examples["test"]
    if outputs is None and hasattr(setup.head, "generate"):
        written: Predictions = setup.head.generate(setup.network, test, setup.head_settings)
        return written
    found = passes(setup.network, test, precision=setup.precision) if outputs is None else outputs
    return decided(setup.prepared, "test", decode_all(setup.head, setup.prepared.labels, test, found)[0])


# Parts that a column of numbers is cut into where its groups decide (a guess).
_QUANTILES = 4


def groups_to_decide_by(prepared: DatasetSplits, settings: Any) -> Groups | None:
    """The groups of all rows by the column that the head's settings name, where they name one."""
    column = getattr(settings, "thresholds_by", None)
    return None if column is None else groups_of(column, {part: cells_of(prepared, part, column) for part in PARTS}, _QUANTILES)


def decided(prepared: DatasetSplits, part: str, found: Predictions) -> Predictions:
    """Predictions for a part's rows with the thresholds of their groups, where the labels hold any."""
    groups = prepared.labels.groups
    if groups is None:
        return found
    return decided_by(found, placed(cells_of(prepared, part, groups.column), groups.names, groups.edges), groups)


def tune_decisions(setup: PreparedRun) -> PreparedRun:
    """What a head decides by the validation rows once the network is trained: the setup with labels that hold it."""
    labels = _tuned_labels(setup, passes(setup.network, setup.examples["validation"], precision=setup.precision))
    if labels is setup.prepared.labels:
        return setup
    setup.network.labels = labels
    return replace(setup, prepared=replace(setup.prepared, labels=labels))


def _tuned_labels(setup: PreparedRun, outputs: Iterable[tuple[np.ndarray, Any]]) -> Labels:
    """The labels with what the head decides by the outputs for the validation rows; where it decides nothing, as they are."""
    prepared, settings = setup.prepared, setup.head_settings
    if not hasattr(setup.head, "tune") or not setup.head.tunes(settings):
        return prepared.labels
    found = decode_all(setup.head, prepared.labels, setup.examples["validation"], outputs)[0]
    labels: Labels = setup.head.tune(found, prepared.validation.targets, prepared.labels, settings)
    groups = groups_to_decide_by(prepared, settings)
    return labels if groups is None else setup.head.tune_groups(found, prepared.validation.targets, labels, settings, groups)


def train_features(setup: PreparedRun) -> Callable[[], np.ndarray]:
    """Features of the ``probed`` training rows, (n, width), computed when first asked for and kept."""
    return cache(lambda: _features(setup, probed(setup)))


def apply_method(setup: PreparedRun) -> Applied:
    """Step 4: what trains."""
    method = load_part("methods", setup.recipe.method.name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(setup.recipe.seed)
        applied: Applied = method.apply(setup.network, method.Settings(**setup.recipe.method.settings))
    if applied.adapter_config is not None:
        setup.network.freeze_batch_norm = True  # an adapter's files hold no running means
    setup.network.to(setup.network.device)
    if loading_of(setup.network.form.kind) and applied.adapter_config is not None and applied.merge is None:
        raise UserError(
            f"what the method {setup.recipe.method.name} adds cannot be folded into a network that is saved whole",
            expected="a method that changes weights, or lora",
        )
    if not applied.trainable and not setup.network.head_names:
        task = setup.head_name.replace("_", " ")
        raise UserError(
            f"the method {setup.recipe.method.name} trains nothing but a new head, and {task} has none",
            expected="a method that changes the network",
            try_="--strategy lora",
        )
    return applied


def initialize(setup: PreparedRun, applied: Applied, features: Callable[[], np.ndarray]) -> list[str]:
    """Step 6: from where; features are computed again when the method changed what the head reads."""
    current = features if applied.identity_at_start is True else train_features(setup)
    if not setup.network.head_names:
        left_out = [choice.name for choice in setup.recipe.initialization]
        return [f"{' and '.join(left_out)}: not done, the network has no new head to start"] if left_out else []
    said = []
    for choice in setup.recipe.initialization:
        if choice.name in _FROM_TARGETS and not hasattr(setup.head, "prior_bias"):
            said.append(f"{choice.name} cannot start a head for {setup.head_name.replace('_', ' ')}; it stays as it was")
            continue
        part = load_part("initialization", choice.name)
        labels, seed, targets = setup.prepared.labels, setup.recipe.seed, _targets(probed(setup))
        said.append(part.initialize(setup.network, current, targets, labels, part.Settings(**choice.settings), seed))
        current = train_features(setup)  # what was just started anew may change what the next one reads
    return said


def make_job(
    setup: PreparedRun,
    applied: Applied,
    callbacks: tuple[Callback, ...] = (),
    checkpoints: Checkpoints | None = None,
    teacher: Teacher | None = None,
    world: DistributedContext = ALONE,
) -> TrainingContext:
    """What the loop needs for steps 5, 7 and 8."""
    if not world.alone and getattr(setup.head, "WHOLE_BATCH", False):
        raise UserError(
            f"{setup.head_name.replace('_', ' ')} looks at whole batches, which processes cannot share yet",
            expected="one process",
        )
    train = setup.examples["train"]
    if hasattr(setup.head, "for_training"):
        train = setup.head.for_training(train, setup.network, _packs(setup))
    return TrainingContext(
        network=setup.network,
        applied=applied,
        head=setup.head,
        head_settings=setup.head_settings,
        weights=_class_weights(setup, train),
        train=train,
        validation=setup.examples["validation"],
        wanted=setup.prepared.validation.targets,
        recipe=setup.recipe,
        forward=Forward(setup.network, setup.precision, setup.store),
        gradients=Gradients(setup.network),
        passes=MicroBatches(train.encoded.lengths, setup.recipe.training.max_tokens_per_microbatch),
        row_weights=_row_weights(setup),
        teacher=teacher,
        checkpoints=checkpoints,
        callbacks=callbacks,
        world=world,
        start=start_of(setup.recipe, setup.network, setup.head),
    )


def _row_weights(setup: PreparedRun) -> torch.Tensor | None:
    """What each training row weighs by its group and class."""
    column = setup.recipe.data.group_reweighting
    return None if column is None else torch.from_numpy(row_weights(setup.prepared, column)).to(setup.network.device)


def _packs(setup: PreparedRun) -> bool:
    """Whether the rows of a batch share longer ones: by default on an accelerator, where short rows leave it idle."""
    wanted = setup.recipe.training.packing
    if wanted == "on" and setup.recipe.method.name in ("prefix", "prompt", "peft"):
        raise UserError(f"packing does not go with {setup.recipe.method.name}", expected="training.packing: off")
    can = setup.recipe.method.name not in ("prefix", "prompt", "peft")
    return wanted == "on" or (wanted == "auto" and can and setup.network.device.type != "cpu")


def _features(setup: PreparedRun, examples: EncodedDataset) -> np.ndarray:
    """What the last linear layer reads of each row, (n, width)."""
    if setup.store is None or isinstance(examples.targets, Ragged):
        return predict_features(setup.network, examples, precision=setup.precision)
    kept: np.ndarray = FrozenFeatures(setup.network, setup.precision, setup.store).pooled(examples).numpy()
    return kept


def untuned_features(setup: PreparedRun, features: Callable[[], np.ndarray]) -> dict[str, np.ndarray]:
    """Those that the frozen baseline read: of all training rows (``features``), and of the test rows where they were kept."""
    test = setup.examples["test"]
    found = {"train": features()}
    return found if setup.store is None or isinstance(test.targets, Ragged) else found | {"test": _features(setup, test)}


def _targets(examples: EncodedDataset) -> np.ndarray:
    """What a probe learns: one target for each row, or for each token that has one."""
    targets = examples.targets
    assert isinstance(targets, (np.ndarray, Ragged))
    return targets.values[targets.values != IGNORED] if isinstance(targets, Ragged) else targets
