"""Training images and sounds that change at random in each epoch; probes and features read them as they are."""

from __future__ import annotations

from typing import Any

from tunewright.config.recipe import Recipe
from tunewright.core.errors import UserError
from tunewright.datasets.encoded import EncodedDataset


def changing(train: EncodedDataset, recipe: Recipe, settings: Any, task: str) -> EncodedDataset:
    """The training examples with what the recipe changes of them; what does not go together is a ``UserError``."""
    augmentation, mixing, sounds = recipe.data.augmentation, recipe.data.mixing, recipe.data.audio_augmentation
    encoded: Any = train.encoded
    if sounds.active:
        if not hasattr(encoded, "disturbed"):
            raise UserError(
                "data.audio_augmentation changes sounds, and these rows are something else",
                try_="leave data.audio_augmentation out",
            )
        return EncodedDataset(encoded.disturbed(sounds), train.targets)
    if not (augmentation.active or mixing.active):
        return train
    if not hasattr(encoded, "augmented"):
        raise UserError("data.augmentation changes images and would leave the targets of this task wrong", expected="classes")
    if mixing.active:
        _check_mixing(recipe, settings, task)
    return EncodedDataset(encoded.augmented(augmentation, mixing), train.targets)


def _check_mixing(recipe: Recipe, settings: Any, task: str) -> None:
    """Mixed targets are shares of classes, which not every loss reads."""
    if task not in ("classification", "multi_label"):
        raise UserError(f"data.mixing mixes classes, and the task is {task}", expected="classification or multi_label")
    wrong = [name for name in ("class_weights", "focal_gamma") if getattr(settings, name, None) not in (None, "none", 0.0)]
    wrong += ["distillation"] if recipe.distillation is not None else []
    if wrong:
        raise UserError(f"data.mixing does not go with {wrong[0]}", expected="one of them")
