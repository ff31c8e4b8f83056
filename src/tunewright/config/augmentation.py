"""What may happen to training images: settings of the recipe; what they do is in ``modalities/image/augment.py``."""

from __future__ import annotations

from pydantic import Field

from tunewright.config.section import Section

STRONGEST = 30  # RandAugment's scale of strengths (Cubuk et al. 2020, section 3)


class Augmentation(Section):
    """What may happen to each training image; everything is off unless named."""

    horizontal_flip: float = Field(
        0.0, ge=0, le=1, description="Probability of a mirror image; 0.5 is usual for photographs (Krizhevsky 2012)."
    )
    crop_scale: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Smallest share of the area that a random crop keeps; 1 is no crop, 0.08 that of Szegedy 2015 for ImageNet.",
    )
    crop_ratio: float = Field(
        4 / 3,
        ge=1,
        le=4,
        description="Widest ratio of a random crop's sides, either way (4/3: Szegedy 2015); used with crop_scale.",
    )
    brightness: float = Field(
        0.0, ge=0, lt=1, description="Brightness is multiplied by 1 ± this; 0.4 in Chen et al. 2020 (off: a guess)."
    )
    contrast: float = Field(
        0.0, ge=0, lt=1, description="Contrast is multiplied by 1 ± this; 0.4 in Chen et al. 2020 (off: a guess)."
    )
    saturation: float = Field(
        0.0, ge=0, lt=1, description="Saturation is multiplied by 1 ± this; 0.4 in Chen et al. 2020 (off: a guess)."
    )
    policy_changes: int = Field(
        0,
        ge=0,
        le=8,
        description="Changes drawn for each image from RandAugment's list; 0 is none, 2 is Cubuk 2020's for ImageNet.",
    )
    policy_strength: float = Field(
        9.0,
        ge=0,
        le=STRONGEST,
        description="How strong they are, 0 to 30 (9: Cubuk 2020 for ResNet-50); used with policy_changes.",
    )
    erase: float = Field(
        0.0, ge=0, le=1, description="Probability that a rectangle is blotted out with noise; 0.5 in Zhong 2020, 0.25 in DeiT."
    )

    @property
    def active(self) -> bool:
        """Whether anything is on."""
        amounts = (self.horizontal_flip, self.brightness, self.contrast, self.saturation, self.policy_changes, self.erase)
        return any(amounts) or self.crop_scale < 1


class Mixing(Section):
    """Pairs of training images mixed into one, with their targets; off unless named."""

    mixup: float = Field(
        0.0, ge=0, description="Both parameters of mixup's Beta distribution; 0 is off, 0.2 is Zhang 2018's for ImageNet."
    )
    cutmix: float = Field(
        0.0, ge=0, description="The same for CutMix; 0 is off, 1 is Yun 2019's. With both on, each batch draws one of them."
    )

    @property
    def active(self) -> bool:
        return self.mixup > 0 or self.cutmix > 0
