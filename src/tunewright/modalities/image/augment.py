"""Random changes of training images, drawn from torch's global generator, so that a resumed run draws the same.

Every function takes and gives images (batch, channels, height, width) float32 from 0 to 1, on any device, and changes each image
of the batch in its own way.

Source: Szegedy et al. 2015, Going deeper with convolutions, section 6 (crops, flips); Howard 2013 (colour); Cubuk et al. 2020,
RandAugment; Zhong et al. 2020, Random erasing; Zhang et al. 2018, mixup; Yun et al. 2019, CutMix.
When: few images, and labels that the change leaves true. When not: digits and text are not flipped, colour may be the label.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from tunewright.config.augmentation import STRONGEST, Augmentation, Mixing

if TYPE_CHECKING:
    from torch import Tensor


def augment(images: Tensor, settings: Augmentation) -> Tensor:
    """All that is on, in this order: crop, flip, colour, policy, erasing."""
    if settings.crop_scale < 1:
        images = random_resized_crop(images, settings.crop_scale, settings.crop_ratio)
    if settings.horizontal_flip:
        images = horizontal_flip(images, settings.horizontal_flip)
    if settings.brightness or settings.contrast or settings.saturation:
        images = colour_jitter(images, settings.brightness, settings.contrast, settings.saturation)
    if settings.policy_changes:
        images = rand_augment(images, settings.policy_changes, settings.policy_strength)
    if settings.erase:
        images = random_erasing(images, settings.erase)
    return images


def horizontal_flip(images: Tensor, probability: float = 0.5) -> Tensor:
    """Mirror each image with a probability."""
    import torch

    return mirrored(images, torch.rand(len(images)) < probability)


def mirrored(images: Tensor, chosen: Tensor) -> Tensor:
    """Images or masks (batch, …, width), those of them that are ``chosen`` (batch,) with left and right exchanged."""
    rows = chosen.nonzero().flatten().to(images.device)
    return images.index_copy(0, rows, images[rows].flip(-1))


def random_resized_crop(images: Tensor, scale: float = 0.08, ratio: float = 4 / 3) -> Tensor:
    """A random rectangle of each image, its area from ``scale`` to 1 and its sides up to ``ratio``, enlarged to the whole.

    Bilinear. The area is drawn uniformly and the ratio of the sides uniformly in its logarithm; a side that would be longer
    than the image is as long as the image.
    """
    import torch

    area = scale + (1 - scale) * torch.rand(len(images))
    side = torch.exp(math.log(ratio) * (2 * torch.rand(len(images)) - 1)).sqrt()
    height, width = (area.sqrt() / side).clamp(max=1), (area.sqrt() * side).clamp(max=1)
    top, left = (1 - height) * torch.rand(len(images)), (1 - width) * torch.rand(len(images))
    zero = torch.zeros(len(images))
    matrix = torch.stack([width, zero, 2 * left + width - 1, zero, height, 2 * top + height - 1], dim=1)
    return _resampled(images, matrix.view(-1, 2, 3), "border")


def colour_jitter(images: Tensor, brightness: float, contrast: float, saturation: float) -> Tensor:
    """Brightness, contrast and saturation of each image multiplied by factors drawn uniformly from 1 - x to 1 + x."""
    for change, amount in ((_brightness, brightness), (_contrast, contrast), (_saturation, saturation)):
        if amount:
            images = change(images, 1 + _signed(len(images)) * amount)
    return images


def rand_augment(images: Tensor, changes: int = 2, strength: float = 9.0) -> Tensor:
    """``changes`` operations on each image, drawn from ``POLICY`` with equal chance, all at one strength from 0 to 30."""
    import torch

    images = images.clone()
    operations = list(POLICY.values())
    for _ in range(changes):
        drawn = torch.randint(len(operations), (len(images),))
        signs = torch.randint(2, (len(images),)) * 2.0 - 1
        for number, operation in enumerate(operations):
            chosen = (drawn == number).nonzero().flatten()
            if len(chosen):
                images[chosen] = operation(images[chosen], signs[chosen] * strength / STRONGEST)
    return images


def random_erasing(
    images: Tensor, probability: float = 0.5, area: tuple[float, float] = (0.02, 0.33), ratio: float = 0.3
) -> Tensor:
    """A rectangle of some images becomes uniform noise: 2% to 33% of the area, sides from 0.3 to 1 / 0.3 (Zhong 2020)."""
    import torch

    count, _, height, width = images.shape
    erased = torch.rand(count) < probability
    size = area[0] + (area[1] - area[0]) * torch.rand(count)
    side = torch.exp(math.log(ratio) * (2 * torch.rand(count) - 1)).sqrt()
    inside = _rectangles(count, height, width, (size.sqrt() * side).clamp(max=1), (size.sqrt() / side).clamp(max=1))
    inside &= erased.view(-1, 1, 1)
    noise = torch.rand(images.shape, dtype=images.dtype).to(images.device)
    return torch.where(inside.unsqueeze(1).to(images.device), noise, images)


def mix(pixels: Tensor, targets: Tensor, settings: Mixing) -> tuple[Tensor, Tensor]:
    """Mixup or CutMix of a batch, whichever is on; of both, one is drawn with equal chance."""
    import torch

    if settings.mixup and (not settings.cutmix or torch.rand(()) < 0.5):
        return mixup(pixels, targets, settings.mixup)
    return cutmix(pixels, targets, settings.cutmix) if settings.cutmix else (pixels, targets)


def mixup(pixels: Tensor, targets: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Each image is mixed with another of the batch, and so are their targets (batch, classes), soft or 0 and 1.

    The share of the first is drawn once for the batch from Beta(alpha, alpha); Zhang 2018, section 2.
    """
    import torch

    share, other = _beta(alpha), torch.randperm(len(pixels))
    return torch.lerp(pixels[other], pixels, share), torch.lerp(targets[other], targets, share)


def cutmix(pixels: Tensor, targets: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """A rectangle of each image comes from another of the batch; targets are mixed by its true area (Yun 2019, section 3.2)."""
    import torch

    share, other = _beta(alpha), torch.randperm(len(pixels))
    side = torch.full((1,), math.sqrt(1 - share))
    height, width = pixels.shape[-2:]
    inside = _rectangles(1, height, width, side, side, may_leave=True)
    share = 1 - float(inside.float().mean())
    mixed = torch.where(inside.unsqueeze(1).to(pixels.device), pixels[other], pixels)
    return mixed, torch.lerp(targets[other], targets, share)


def _beta(alpha: float) -> float:
    """One draw of Beta(alpha, alpha): that of two gammas."""
    import torch

    return float(torch.distributions.Beta(alpha, alpha).sample())


def _signed(count: int) -> Tensor:
    """Uniform from -1 to 1, (count,)."""
    import torch

    return 2 * torch.rand(count) - 1


def _per_image(values: Tensor, images: Tensor) -> Tensor:
    return values.to(images.device, images.dtype).view(-1, 1, 1, 1)


def _rectangles(count: int, height: int, width: int, tall: Tensor, wide: Tensor, *, may_leave: bool = False) -> Tensor:
    """One rectangle at a random place per image, (count, height, width) bool; ``tall`` and ``wide`` are shares of the sides.

    With ``may_leave`` the centre is anywhere, so that a part may fall outside.
    """
    import torch

    rows, columns = (tall * height).round(), (wide * width).round()
    if may_leave:
        top, left = (torch.rand(count) * height - rows / 2).round(), (torch.rand(count) * width - columns / 2).round()
    else:
        top, left = (torch.rand(count) * (height - rows)).round(), (torch.rand(count) * (width - columns)).round()
    y, x = torch.arange(height).view(1, -1, 1), torch.arange(width).view(1, 1, -1)
    corners = [part.view(-1, 1, 1) for part in (top, top + rows, left, left + columns)]
    return (y >= corners[0]) & (y < corners[1]) & (x >= corners[2]) & (x < corners[3])


def _resampled(images: Tensor, matrices: Tensor, outside: str = "zeros") -> Tensor:
    """Each image seen through its matrix (2, 3), in coordinates from -1 to 1."""
    from torch.nn.functional import affine_grid, grid_sample

    grid = affine_grid(matrices.to(images.device, images.dtype), list(images.shape), align_corners=False)
    return grid_sample(images, grid, mode="bilinear", padding_mode=outside, align_corners=False)


def _grey(images: Tensor) -> Tensor:
    """Luminance (ITU-R BT.601), (batch, 1, height, width)."""
    if images.shape[1] != 3:
        return images.mean(1, keepdim=True)
    return images[:, :1] * 0.299 + images[:, 1:2] * 0.587 + images[:, 2:] * 0.114


def _brightness(images: Tensor, factors: Tensor) -> Tensor:
    return (images * _per_image(factors, images)).clamp(0, 1)


def _contrast(images: Tensor, factors: Tensor) -> Tensor:
    middle = _grey(images).mean((1, 2, 3), keepdim=True)
    return (middle + (images - middle) * _per_image(factors, images)).clamp(0, 1)


def _saturation(images: Tensor, factors: Tensor) -> Tensor:
    grey = _grey(images)
    return (grey + (images - grey) * _per_image(factors, images)).clamp(0, 1)


def _affine(images: Tensor, entries: dict[tuple[int, int], Tensor]) -> Tensor:
    """Each image seen through the identity with some entries (count,) of its matrix changed; black outside."""
    import torch

    matrices = torch.eye(2, 3).repeat(len(images), 1, 1)
    for (row, column), values in entries.items():
        matrices[:, row, column] = values
    return _resampled(images, matrices)


def _rotated(images: Tensor, amounts: Tensor) -> Tensor:
    """Up to 30 degrees; pixels stay square whatever the image's sides."""
    import torch

    angles, ratio = amounts * math.radians(30), images.shape[-2] / images.shape[-1]
    cos, sin = torch.cos(angles), torch.sin(angles)
    return _affine(images, {(0, 0): cos, (0, 1): -sin * ratio, (1, 0): sin / ratio, (1, 1): cos})


def _posterized(images: Tensor, amounts: Tensor) -> Tensor:
    """From 8 down to 4 bits."""
    levels = 2 ** _per_image((8 - amounts.abs() * 4).round(), images)
    return ((images * 255).floor() * levels / 256).floor() * (256 / levels) / 255


def _solarized(images: Tensor, amounts: Tensor) -> Tensor:
    """Values above a threshold, from 1 down to 0, are inverted."""
    import torch

    return torch.where(images >= 1 - _per_image(amounts.abs(), images), 1 - images, images)


def _stretched(images: Tensor, amounts: Tensor) -> Tensor:
    """Each channel from its darkest to its brightest value becomes 0 to 1; one that is constant stays."""
    import torch

    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    return torch.where(high > low, (images - low) / (high - low).clamp(min=1e-6), images)


def _sharpened(images: Tensor, amounts: Tensor) -> Tensor:
    """Away from (or to) a smoothed copy; the border stays."""
    import torch
    from torch.nn.functional import conv2d

    kernel = torch.tensor([[1.0, 1, 1], [1, 5, 1], [1, 1, 1]], device=images.device, dtype=images.dtype) / 13
    smooth, channels = images.clone(), images.shape[1]
    if min(images.shape[2:]) < 3:
        return images  # all of it is border
    smooth[:, :, 1:-1, 1:-1] = conv2d(images, kernel.expand(channels, 1, 3, 3), groups=channels)
    return (smooth + (images - smooth) * _per_image(1 + 0.9 * amounts, images)).clamp(0, 1)


# RandAugment's list by the names of Cubuk 2020, table 6, without Equalize; amounts run from -1 to 1 with the strength of 30 as 1.
POLICY: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "identity": lambda images, amounts: images,
    "auto_contrast": _stretched,
    "rotate": _rotated,
    "solarize": _solarized,
    "colour": lambda images, amounts: _saturation(images, 1 + 0.9 * amounts),
    "posterize": _posterized,
    "contrast": lambda images, amounts: _contrast(images, 1 + 0.9 * amounts),
    "brightness": lambda images, amounts: _brightness(images, 1 + 0.9 * amounts),
    "sharpness": _sharpened,
    "shear_x": lambda images, amounts: _affine(images, {(0, 1): 0.3 * amounts}),
    "shear_y": lambda images, amounts: _affine(images, {(1, 0): 0.3 * amounts}),
    "translate_x": lambda images, amounts: _affine(images, {(0, 2): 0.9 * amounts}),
    "translate_y": lambda images, amounts: _affine(images, {(1, 2): 0.9 * amounts}),
}
