"""Augmentation: each change by its formula or Pillow's, off by default, different for each image, repeatable by torch's seed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from tests.data.pictures import photo
from tunewright.config.augmentation import Augmentation, Mixing
from tunewright.modalities.image import augment as changes
from tunewright.modalities.image.augment import augment


def pictures(count: int = 4, height: int = 24, width: int = 32) -> torch.Tensor:
    stacked = np.stack([np.moveaxis(photo(height, width, seed), -1, 0) for seed in range(count)])
    return torch.from_numpy(stacked).float() / 255


def enhanced(name: str, image: torch.Tensor, factor: float) -> torch.Tensor:
    """Pillow's own change of one picture."""
    enhance = pytest.importorskip("PIL.ImageEnhance")
    from PIL import Image

    picture = Image.fromarray((image * 255).round().byte().permute(1, 2, 0).numpy())
    made = np.asarray(getattr(enhance, name)(picture).enhance(factor))
    return torch.from_numpy(made.copy()).permute(2, 0, 1).float() / 255


def test_everything_is_off_by_default() -> None:
    assert not Augmentation().active
    assert not Mixing().active
    images, targets = pictures(), torch.eye(4)
    assert torch.equal(augment(images, Augmentation()), images)
    mixed = changes.mix(images, targets, Mixing())
    assert mixed[0] is images
    assert mixed[1] is targets


@pytest.mark.parametrize(
    "settings",
    [
        {"horizontal_flip": 1.0},
        {"crop_scale": 0.3},
        {"brightness": 0.5},
        {"contrast": 0.5},
        {"saturation": 0.5},
        {"policy_changes": 2},
        {"erase": 1.0},
    ],
)
def test_each_setting_alone_changes_images_and_follows_the_seed(settings: dict[str, float]) -> None:
    how = Augmentation(**settings)
    assert how.active
    images = pictures()
    before = images.clone()
    torch.manual_seed(0)
    first = augment(images, how)
    torch.manual_seed(0)
    assert torch.equal(first, augment(images, how))
    assert first.shape == images.shape
    assert first.min() >= 0
    assert first.max() <= 1 + 1e-6
    assert not torch.allclose(first, before)
    assert torch.equal(images, before)  # the batch itself stays


def test_unknown_and_impossible_settings_are_refused() -> None:
    for wrong in ({"flip": 1}, {"horizontal_flip": 2}, {"crop_scale": 0}, {"policy_strength": 31}):
        with pytest.raises(ValidationError):
            Augmentation(**wrong)


def test_every_setting_says_its_unit_and_origin() -> None:
    for model in (Augmentation, Mixing):
        assert all(len(field.description or "") > 40 for field in model.model_fields.values())


def test_flips_are_drawn_for_each_image() -> None:
    torch.manual_seed(0)
    images = pictures(1).repeat(400, 1, 1, 1)
    flipped = changes.horizontal_flip(images, 0.25)
    mirrored = (flipped == images.flip(-1)).flatten(1).all(1)
    plain = (flipped == images).flatten(1).all(1)
    assert (mirrored ^ plain).all()
    assert 70 <= int(mirrored.sum()) <= 130  # 100 expected, spread 8.7


def test_a_crop_is_a_rectangle_enlarged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draws of one half and a scale of zero make a crop of half the area in the middle: the middle of 34 x 34 is 24 x 24."""
    monkeypatch.setattr(torch, "rand", lambda *shape: torch.full(shape, 0.5))
    images = pictures(height=340, width=340)
    found = changes.random_resized_crop(images, scale=0.0, ratio=1.0)
    side = 340 * 0.5**0.5
    start = (340 - side) / 2
    centres = start + (torch.arange(340) + 0.5) * side / 340 - 0.5  # where each new pixel lies in the old image
    low = centres.floor().long()
    share = centres - low
    rows = torch.lerp(images[:, :, low], images[:, :, low + 1], share.view(-1, 1))
    assert torch.allclose(found, torch.lerp(rows[..., low], rows[..., low + 1], share), atol=1e-4)


def test_crops_keep_at_least_the_share_and_stay_inside() -> None:
    torch.manual_seed(0)
    seen: list[torch.Tensor] = []
    resampled = changes._resampled

    def spy(images: torch.Tensor, matrices: torch.Tensor, outside: str = "zeros") -> torch.Tensor:
        seen.append(matrices)
        return resampled(images, matrices, outside)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(changes, "_resampled", spy)
        changes.random_resized_crop(torch.rand(500, 1, 4, 4), 0.25, 4 / 3)
    (matrix,) = seen
    width, height = matrix[:, 0, 0], matrix[:, 1, 1]
    assert (matrix[:, 0, 2].abs() + width <= 1 + 1e-5).all()
    assert (matrix[:, 1, 2].abs() + height <= 1 + 1e-5).all()
    area = width * height
    assert 0.2 < float(area.min()) < 0.3
    assert float(area.max()) > 0.9
    assert float((width / height).max()) <= 4 / 3 + 1e-5


@pytest.mark.parametrize(
    ("name", "change", "off"),
    [
        ("Brightness", changes._brightness, 1.01),
        ("Color", changes._saturation, 2.01),
        ("Contrast", changes._contrast, 1.51),
        ("Sharpness", None, 2.01),
    ],
)
@pytest.mark.parametrize("factor", [0.6, 1.3])
def test_colours_are_those_of_pillow(name: str, change: Callable[..., torch.Tensor] | None, off: float, factor: float) -> None:
    images = pictures()
    found = (
        change(images, torch.full((4,), factor)) if change else changes._sharpened(images, torch.full((4,), (factor - 1) / 0.9))
    )
    for image, one in zip(images, found, strict=True):
        assert float((one - enhanced(name, image, factor)).abs().max()) * 255 <= off


def test_solarize_posterize_and_contrast_stretching_are_those_of_pillow() -> None:
    ops = pytest.importorskip("PIL.ImageOps")
    from PIL import Image

    images = pictures()
    for image in images:
        picture = Image.fromarray((image * 255).round().byte().permute(1, 2, 0).numpy())
        for ours, theirs in (
            (changes._solarized(image[None], torch.tensor([0.5])), ops.solarize(picture, 128)),
            (changes._posterized(image[None], torch.tensor([1.0])), ops.posterize(picture, 4)),
            (changes._stretched(image[None], torch.tensor([0.0])), ops.autocontrast(picture)),
        ):
            expected = torch.from_numpy(np.asarray(theirs).copy()).permute(2, 0, 1) / 255
            assert float((ours[0] - expected).abs().max()) * 255 <= 1.01


def test_rotation_and_shift_are_geometry() -> None:
    images = pictures(2, 16, 16)
    turned = changes._rotated(images, torch.full((2,), 3.0))  # 3 x 30 degrees
    assert torch.allclose(turned, images.rot90(1, (2, 3)), atol=1e-5)
    wide = changes._rotated(pictures(2, 16, 32), torch.full((2,), 3.0))  # square pixels: the middle square turns as it did
    assert torch.allclose(wide[..., 8:24], pictures(2, 16, 32)[..., 8:24].rot90(1, (2, 3)), atol=1e-5)
    shifted = changes.POLICY["translate_x"](images, torch.full((2,), 0.25 / 0.9))  # a quarter of half the width: 2 pixels
    assert torch.allclose(shifted[..., :-2], images[..., 2:], atol=1e-5)
    assert (shifted[..., -1] == 0).all()


def test_every_operation_of_the_policy_is_drawn_and_strength_0_changes_little() -> None:
    images = pictures(1).repeat(300, 1, 1, 1)
    torch.manual_seed(0)
    drawn = dict.fromkeys(changes.POLICY, 0)

    def counted(name: str, operation: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        def run(some: torch.Tensor, amounts: torch.Tensor) -> torch.Tensor:
            drawn[name] += len(some)
            return operation(some, amounts)

        return run

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(changes, "POLICY", {name: counted(name, operation) for name, operation in changes.POLICY.items()})
        changes.rand_augment(images, 2, 9)
    assert sum(drawn.values()) == 600
    assert min(drawn.values()) >= 20  # 46 expected, spread 6.5
    for name, operation in changes.POLICY.items():
        if name not in ("auto_contrast", "solarize"):
            assert torch.allclose(operation(images[:2], torch.zeros(2)), images[:2], atol=1.01 / 255), name


def test_erasing_blots_out_one_rectangle_of_the_area_named() -> None:
    torch.manual_seed(0)
    images = torch.full((200, 3, 32, 32), 2.0)  # a value that noise never has
    erased = changes.random_erasing(images, 0.5)
    gone = (erased != 2).all(1)
    assert ((erased != 2).any(1) == gone).all()  # all channels together
    assert 75 <= int(gone.flatten(1).any(1).sum()) <= 125
    for mask in gone[gone.flatten(1).any(1)]:
        rows, columns = mask.any(1).nonzero().flatten(), mask.any(0).nonzero().flatten()
        assert mask.sum() == len(rows) * len(columns)
        assert int(rows[-1] - rows[0]) + 1 == len(rows)
        assert 0.01 <= float(mask.float().mean()) <= 0.37
    assert torch.equal(changes.random_erasing(images, 0.0), images)


def test_mixup_mixes_images_and_targets_alike() -> None:
    torch.manual_seed(1)
    images, targets = pictures(6), torch.eye(6)
    mixed, soft = changes.mixup(images, targets, 0.4)
    assert torch.allclose(soft.sum(1), torch.ones(6))
    assert torch.allclose(mixed, torch.einsum("nk,kchw->nchw", soft, images), atol=1e-6)
    shares = soft.diagonal()
    assert float(shares[shares < 1].max() - shares[shares < 1].min()) < 1e-6  # one share for the batch


def test_the_share_of_mixup_follows_beta() -> None:
    torch.manual_seed(0)
    shares = torch.tensor([changes._beta(0.4) for _ in range(2000)])
    assert abs(float(shares.mean()) - 0.5) < 0.03
    assert abs(float(shares.var()) - 1 / (4 * (2 * 0.4 + 1))) < 0.01


def test_cutmix_weighs_targets_by_the_true_area() -> None:
    torch.manual_seed(2)
    images = torch.arange(8.0).view(8, 1, 1, 1).expand(8, 3, 16, 16).contiguous()
    targets = torch.eye(8)
    cut = 0
    for _ in range(20):
        mixed, soft = changes.cutmix(images, targets, 1.0)
        for number in range(8):
            shares = torch.stack([(mixed[number, 0] == other).float().mean() for other in range(8)])
            assert torch.allclose(shares, soft[number], atol=1e-6)
            cut += int(len(shares.nonzero()) == 2)
    assert cut > 50


def test_of_mixup_and_cutmix_one_is_drawn_for_each_batch() -> None:
    torch.manual_seed(0)
    images = torch.arange(8.0).view(8, 1, 1, 1).expand(8, 1, 16, 16).contiguous()
    kinds = set()
    for _ in range(30):
        mixed, _ = changes.mix(images, torch.eye(8), Mixing(mixup=1.0, cutmix=1.0))
        kinds.add(bool((mixed == mixed.round()).all()))
    assert kinds == {True, False}


def test_one_channel_and_small_images_are_no_exception() -> None:
    torch.manual_seed(0)
    how = Augmentation(
        horizontal_flip=0.5, crop_scale=0.5, brightness=0.2, contrast=0.2, saturation=0.2, policy_changes=3, erase=0.5
    )
    for operation in changes.POLICY.values():
        assert operation(torch.rand(2, 1, 2, 2), torch.tensor([0.5, -0.5])).shape == (2, 1, 2, 2)
    for shape in ((3, 1, 28, 28), (2, 3, 4, 5), (1, 1, 1, 1)):
        found = augment(torch.rand(shape), how)
        assert found.shape == shape
        assert torch.isfinite(found).all()
