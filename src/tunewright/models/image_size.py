"""The size of the images that a network reads: its processor's, one that was asked for, or the only one that it takes."""

from __future__ import annotations

from dataclasses import replace

import torch

from tunewright.config.recipe import Data
from tunewright.core.errors import UserError
from tunewright.modalities.image.modality import ImagePreprocessing
from tunewright.models.example_inputs import example_inputs
from tunewright.models.network import Network


def fit_images(network: Network, data: Data) -> str | None:
    """Bring images to the size that the recipe or the network wants; what is for images alone is refused for other kinds."""
    if network.form.kind == "video" and data.frames is not None:
        network.processor = replace(network.processor, frames=data.frames)
    elif data.frames is not None:
        raise UserError(f"data.frames is for videos, and these rows are {network.form.kind}", try_="leave data.frames out")
    if network.form.kind == "image":
        return fit_image_size(network, data.image_size)
    named = {"image_size": data.image_size is not None, "mixing": data.mixing.active}
    if getattr(network.processor, "images", None) is None:
        named["augmentation"] = data.augmentation.active
    for name, wanted in named.items():
        if wanted:
            raise UserError(f"data.{name} is for images, and these rows are {network.form.kind}", try_=f"leave data.{name} out")
    return None


def fit_image_size(network: Network, wanted: int | None) -> str | None:
    """Bring the processor to ``wanted`` pixels a side, or to what the network takes; says what was changed, None for nothing.

    Networks with one position for each patch take one size alone, which their config tells; a processor of another size that
    lies beside such a network is corrected.
    """
    had: ImagePreprocessing = network.processor
    own = _own_size(network)
    _fit_channels(network)
    if wanted is not None:
        network.processor = _resized(network.processor, (wanted, wanted))
        if not _takes(network):
            raise UserError(
                f"{network.base} does not read images of {wanted} x {wanted} pixels",
                expected=f"{own[0]} x {own[1]} pixels" if own else f"{had.height} x {had.width} pixels",
                try_="leave data.image_size out",
            )
        return f"images are brought to {wanted} x {wanted} pixels instead of {had.height} x {had.width}"
    if _takes(network):
        return None
    if own is not None and own != (had.height, had.width):
        network.processor = _resized(network.processor, own)
        if _takes(network):
            return f"images are brought to {own[0]} x {own[1]} pixels, which the model reads; its processor says {had.height}"
    raise UserError(f"{network.base} does not read the images of {had.height} x {had.width} pixels that its processor makes")


def _fit_channels(network: Network) -> None:
    """As many channels as the network reads; with a mean for each of another number nothing can be made."""
    processor: ImagePreprocessing = network.processor
    channels = getattr(network.inner.config, "num_channels", processor.channels)
    if channels == processor.channels:
        return
    if processor.mean or channels not in (1, 3):
        raise UserError(
            f"{network.base} reads {channels} channels and its image processor makes {processor.channels}",
            expected="1 (grey) or 3 (RGB) in both",
        )
    network.processor = replace(processor, channels=channels)


def _own_size(network: Network) -> tuple[int, int] | None:
    size = getattr(network.inner.config, "image_size", None)
    if isinstance(size, int):
        return size, size
    return (int(size[0]), int(size[1])) if isinstance(size, (list, tuple)) and len(size) == 2 else None


def _resized(processor: ImagePreprocessing, size: tuple[int, int]) -> ImagePreprocessing:
    """The same preparation with the whole image brought to (height, width)."""
    return replace(processor, height=size[0], width=size[1], resize=size, shortest_edge=None, crop=False)


def _takes(network: Network) -> bool:
    """Whether an image of the processor's size goes through."""
    training = network.training
    try:
        with torch.no_grad():
            network.eval()(example_inputs(network.inner, network.processor, network.device))
    except (ValueError, RuntimeError):
        return False
    finally:
        network.train(training)
    return True
