"""SpecAugment: stretches of time and bands of frequency of a spectrogram are masked, drawn from torch's global generator.

Source: Park et al. 2019, SpecAugment, section 2 (without time warping, which brought least); adaptive number of masks off.
When: few sounds, spectrogram models. When not: clips of a few frames, where a mask hides the word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunewright.config.audio_augmentation import AudioAugmentation

if TYPE_CHECKING:
    from torch import Tensor


def spec_augment(features: Tensor, lengths: Tensor, settings: AudioAugmentation) -> Tensor:
    """Features (batch, frames, mels) with masked places set to the mean of their clip; ``lengths`` (batch,) are real frames.

    Each mask is uniformly 0 to its longest wide and lies anywhere in the clip; padding is neither masked nor averaged.
    """
    import torch

    count, frames, mels = features.shape
    place = torch.arange(frames)
    real = place < lengths.view(-1, 1)
    hidden = torch.zeros(count, frames, mels, dtype=torch.bool)
    widest = torch.minimum(torch.full((count,), float(settings.time_width)), lengths * settings.time_share)
    for _ in range(settings.time_masks):
        hidden |= _stretch(widest, lengths, frames).unsqueeze(2)
    widest = torch.full((count,), float(min(settings.frequency_width, mels)))
    for _ in range(settings.frequency_masks):
        hidden |= _stretch(widest, torch.full((count,), mels), mels).unsqueeze(1)
    hidden &= real.unsqueeze(2)
    share = real.unsqueeze(2).to(features.device, features.dtype)
    mean = (features * share).sum((1, 2), keepdim=True) / (share.sum((1, 2), keepdim=True) * mels).clamp(min=1)
    return torch.where(hidden.to(features.device), mean, features)


def _stretch(widest: Tensor, lengths: Tensor, size: int) -> Tensor:
    """One stretch per row of at most ``widest`` places within ``lengths``, (batch, size) bool."""
    import torch

    width = (torch.rand(len(widest)) * (widest.floor() + 1)).floor()
    start = (torch.rand(len(widest)) * (lengths - width + 1)).floor()
    place = torch.arange(size)
    return (place >= start.view(-1, 1)) & (place < (start + width).view(-1, 1))
