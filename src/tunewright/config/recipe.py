"""Recipe: what the user asked for, in sections that follow the workflow; data, never code."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_serializer

from tunewright.config.audio_augmentation import AudioAugmentation
from tunewright.config.augmentation import Augmentation, Mixing
from tunewright.config.section import Section as Section
from tunewright.core.registry import plain_name
from tunewright.core.types import Swap

Name = Annotated[str, AfterValidator(plain_name)]  # as it is registered, so that equal choices are equal


class Choice(Section):
    """A part chosen by name, with its own settings: ``lora`` or ``{name: lora, rank: 8}``."""

    name: Name
    settings: dict[str, Any] = Field(default_factory=dict)

    @model_serializer
    def _flat(self) -> dict[str, Any]:
        return {"name": self.name, **self.settings}


def _as_choice(value: Any) -> Any:
    if isinstance(value, str):
        return {"name": value}
    if isinstance(value, dict) and "settings" not in value:
        return {"name": value.get("name"), "settings": {key: item for key, item in value.items() if key != "name"}}
    return value


Part = Annotated[Choice, BeforeValidator(_as_choice)]

OWN = "own"  # the head of the task, whichever it is, where only its settings are named


def _as_head(value: Any) -> Any:
    return {"name": OWN, **value} if isinstance(value, dict) and "settings" not in value else value


DEFAULT_REPORTS = Choice(name="default")  # those that a run makes without being asked


class Data(Section):
    """Step 3: the examples."""

    train: str | None = Field(
        None, description="File, folder or hub id of the training rows; None when rows are given from Python."
    )
    validation: str | None = Field(None, description="Rows to choose by; otherwise a share of train is held out.")
    test: str | None = Field(None, description="Rows to report on; otherwise a share of train is held out.")
    text: tuple[str, ...] | None = Field(None, description="One text column, or two for pairs; guessed when unambiguous.")
    input: tuple[str, ...] | None = Field(
        None, description="The input columns of other kinds: image, audio, the columns of a table; guessed when unambiguous."
    )
    kind: Name | None = Field(
        None, description="What the input columns hold: one of `tunewright parts modalities`; guessed from names and values."
    )
    target: tuple[str, ...] | None = Field(None, description="The target column; several 0/1 columns for multi-label.")
    task: Name | None = Field(None, description="One of `tunewright parts tasks`; guessed from the target when unambiguous.")
    separator: str | None = Field(
        None,
        min_length=1,
        max_length=8,
        description="What stands between the labels of a row that are one text, such as ','; guessed where splitting there "
        "leaves fewer labels than combinations.",
    )
    group: str | None = Field(None, description="Rows of one group stay on one side of every split.")
    time: str | None = Field(None, description="Split by this column: the latest rows are the test rows.")
    validation_size: float = Field(0.15, gt=0, lt=0.9, description="Share of train held out to choose by (a guess).")
    test_size: float = Field(
        0.15, gt=0, lt=0.9, description="Share of train held out to report on, when no test is given (a guess)."
    )
    max_train_samples: int | None = Field(
        None, ge=2, description="Train on at most this many of the training rows, class by class, drawn with the seed."
    )
    near_duplicates: Literal["together", "ignore"] = Field("together", description="Keep near-duplicates on one side of a split.")
    counterfactual_augmentation: tuple[Swap, ...] = Field(
        (), description="Training texts are read once more with such words swapped, with the same targets (Lu et al. 2018)."
    )
    replay: tuple[str, ...] = Field(
        (), description="Files of an earlier task's rows, of the same form and classes, that are mixed into the training rows."
    )
    replay_share: float = Field(
        0.25,
        gt=0,
        le=10,
        description="Replayed rows to each training row, all files together (Ibrahim et al. 2024: about 0.05 where the new texts "
        "are like the old, 0.25 where not).",
    )
    group_reweighting: str | None = Field(
        None,
        description="A column of groups: rows weigh so that the group says nothing of the class (Kamiran and Calders 2012).",
    )
    streaming: bool = Field(
        False, description="Read rows in pieces and keep their token ids on disk: for files larger than memory."
    )
    max_length: int = Field(
        128,
        ge=4,
        le=8192,
        description="Tokens kept of each example; what is cut is counted and said (a guess; language models take 1024).",
    )
    image_size: int | None = Field(
        None, ge=8, le=4096, description="Sides of the images that the model reads, in pixels; None takes the model's own."
    )
    max_seconds: float | None = Field(
        None, ge=0.05, le=600, description="Seconds kept of each sound; None takes the model's own, or 10 (a guess)."
    )
    frames: int | None = Field(
        None, ge=1, le=512, description="Frames read of each video, spread evenly; None takes the model's own, or 8 (a guess)."
    )
    audio_augmentation: AudioAugmentation = AudioAugmentation()  # type: ignore[call-arg]
    augmentation: Augmentation = Augmentation()  # type: ignore[call-arg]
    mixing: Mixing = Mixing()  # type: ignore[call-arg]


class Model(Section):
    """Step 1: the pre-trained network."""

    source: str = Field("all-MiniLM-L6-v2", description="Local folder, installed package, or hub id.")
    revision: str | None = Field(None, description="Branch, tag or commit of a hub id.")
    pooling: Literal["auto", "native", "mean", "cls", "last"] = Field(
        "auto", description="What the head reads: as the folder declares, else the architecture's own classification head."
    )
    blocks: tuple[int, ...] | None = Field(
        None,
        description="The blocks that are kept, counted from 0, a decoder's on from its encoder's: a smaller network, for "
        "distillation; None keeps all.",
    )
    dropout: float | None = Field(
        None, ge=0, lt=1, description="Overrides every dropout of the network; None keeps the model's own."
    )
    freeze_batch_norm: bool = Field(
        False, description="Batch norms keep their pre-trained mean and variance where they train, too: for small batches."
    )
    quantize: Literal["none", "4bit"] = Field(
        "none", description="The frozen base in 4 bits, for lora on a CUDA device (QLoRA); needs tunewright[quantized]."
    )


class Optimization(Section):
    """Step 5: how fast each layer trains."""

    learning_rate: float = Field(5e-5, ge=0, lt=10, description="Learning rate of what the method trains in the topmost layer.")
    head_learning_rate: float = Field(1e-3, gt=0, lt=10, description="Learning rate of the new head.")
    layer_decay: float = Field(1.0, gt=0, le=1, description="Rate of each layer as a fraction of the one above it.")
    learning_rates_by_depth: tuple[float, ...] | None = Field(
        None, description="Explicit rates, embeddings first, head not included; replaces backbone and layer_decay."
    )
    weight_decay: float = Field(0.01, ge=0, lt=1, description="Decoupled decay; never on biases or norms.")
    optimizer: Part = Field(Choice(name="adamw"), description="One of `tunewright parts optimizers`.")
    schedule: Part = Field(Choice(name="linear", settings={"warmup": 0.1}), description="One of `tunewright parts schedules`.")


class Distillation(Section):
    """A trained run as teacher: its outputs are learnt beside the true targets."""

    teacher: str = Field(description="Folder of a finished run on the same task and labels.")
    weight: float = Field(
        0.9, ge=0, le=1, description="Share of the teacher's part in the loss (a guess; Hinton et al. 2015: most)."
    )
    temperature: float = Field(
        2.0,
        gt=0,
        le=100,
        description="Softens both outputs (Hinton et al. 2015, section 2; they use 1 to 20, the value is a guess).",
    )


class Training(Section):
    """Step 8: the loop."""

    epochs: int = Field(5, ge=1, le=10_000, description="Passes over the training rows.")
    max_train_examples_seen: int | None = Field(
        None,
        ge=1,
        description="With many rows fewer epochs: as many as read this many rows, but at least three; None makes all of them.",
    )
    max_steps: int | None = Field(None, ge=1, description="Stop after this many optimizer steps.")
    budget_seconds: float | None = Field(None, gt=0, description="Stop training when this much time has passed.")
    batch_size: int = Field(32, ge=1, le=65_536, description="Rows per forward pass.")
    gradient_accumulation_steps: int = Field(1, ge=1, le=4096, description="Forward passes per optimizer step.")
    max_grad_norm: float | None = Field(1.0, gt=0, description="Largest gradient norm; None for no clipping.")
    evaluations_per_epoch: int = Field(1, ge=1, le=100, description="How often validation is scored.")
    early_stopping_patience: int | None = Field(
        None, ge=1, description="Stop after this many evaluations without a better one; None never."
    )
    max_tokens_per_microbatch: int = Field(
        16_384, ge=1, description="Padded tokens per forward pass; a larger batch is computed in several (a guess)."
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="Arithmetic of the forward pass, auto decides by measuring; weights stay float32."
    )
    packing: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Language models: rows of a batch share longer ones, with the same loss; auto only on an accelerator, since "
        "on a processor it was slower where measured.",
    )
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N.")
    shard: bool = Field(
        False,
        description="Under torchrun: each process keeps a share of the weights, gradients and optimizer's state instead of all.",
    )
    threads: int | None = Field(None, ge=1, le=1024, description="Processor threads; None decides by measuring.")
    checkpoints: bool = Field(True, description="Keep best and last on disk while training.")
    checkpoint_steps: int | None = Field(
        None,
        ge=1,
        description="Save after every so many optimizer steps as well; None saves at evaluations and when asked to end.",
    )
    cache: bool = Field(True, description="Compute what frozen layers make of each row once, not in every epoch.")
    cache_memory_gib: float = Field(2.0, ge=0, description="Memory for that, in GiB; what is larger is read from disk (a guess).")
    cache_disk_gib: float = Field(
        10.0, ge=0, description="Disk for that in $TUNEWRIGHT_CACHE or the user's cache folder, in GiB (a guess)."
    )


class Evaluation(Section):
    """What every run measures and reports."""

    baselines: tuple[Literal["majority", "popular", "trees", "frozen", "before", "copy", "lead"], ...] = Field(
        ("majority", "popular", "trees", "frozen", "before", "copy", "lead"),
        description="Shown beside the result where they mean something for the task.",
    )
    monitor: str | None = Field(None, description="Metric that decides which evaluation is best; None takes the task's own.")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Coverage of the intervals.")
    resamples: int = Field(
        1000, ge=100, le=100_000, description="Bootstrap resamples (Efron and Tibshirani 1993: about 1000 for intervals)."
    )
    reports: tuple[Part, ...] = Field(
        (DEFAULT_REPORTS,),
        description="What is told besides the scores: `tunewright parts reports`; 'default' is those that mean something for the "
        "task and cost little.",
    )
    max_forgetting: float | None = Field(
        None,
        ge=0,
        description="The most that may be lost on a reference of the report forgetting, in points of accuracy or correlation, or "
        "nats per token; what loses more is tried again with one remedy after another.",
    )
    remedies: tuple[Literal["wise_ft", "lower_rates", "l2_sp", "fewer_layers", "lora", "replay"], ...] = Field(
        ("wise_ft", "lower_rates", "l2_sp", "fewer_layers"), description="What may be tried for that, in this order."
    )
    certify: bool = Field(True, description="Reload the saved model in a fresh process and compare; a difference fails the run.")


class Recipe(Section):
    """A whole run, every default resolved."""

    version: Literal[1] = Field(1, description="Of this format.")
    strategy: str | None = Field(
        None,
        description="A named combination of the sections below; `tunewright parts strategies`. Where none is named, and neither "
        "method, initialization nor unfreezing is, it is auto.",
    )
    seed: int = Field(0, ge=0, lt=2**32, description="Of splits, order, initial values and dropout.")
    out: str | None = Field(None, description="Folder of the run; a new one under runs/ when None.")
    data: Data = Data()  # type: ignore[call-arg]
    model: Model = Model()  # type: ignore[call-arg]
    head: Annotated[Part | None, BeforeValidator(_as_head)] = Field(
        None, description="The task's head and loss settings; None takes the task's own; so do settings without a name."
    )
    method: Part = Field(Choice(name="full"), description="Step 4, what trains: one of `tunewright parts methods`.")
    optimization: Optimization = Optimization()  # type: ignore[call-arg]
    initialization: tuple[Part, ...] = Field(
        (), description="Step 6, from where: `tunewright parts initialization`, in this order."
    )
    unfreezing: Part = Field(Choice(name="none"), description="Step 7, when: one of `tunewright parts unfreezing`.")
    distillation: Distillation | None = Field(None, description="A trained run whose outputs are learnt too; None for none.")
    regularizers: tuple[Part, ...] = Field((), description="Added to the loss once per step: `tunewright parts regularizers`.")
    averaging: tuple[Part, ...] = Field((), description="Kept where validation is no worse: `tunewright parts averaging`.")
    callbacks: tuple[Part, ...] = Field(
        (), description="Experiment trackers and other callbacks of the run: `tunewright parts callbacks`."
    )
    training: Training = Training()  # type: ignore[call-arg]
    evaluation: Evaluation = Evaluation()  # type: ignore[call-arg]
