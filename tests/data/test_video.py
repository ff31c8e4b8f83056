"""Videos: frames spread evenly, folders and moving pictures read alike, the mean over frames, and a run that others open."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tunewright.core.errors import UserError
from tunewright.core.types import Labels
from tunewright.datasets.prepare import prepare
from tunewright.datasets.table import Table
from tunewright.modalities.video import modality as video
from tunewright.models.form import Form
from tunewright.models.loading import load_network
from tunewright.models.tiny_images import tiny_image_model
from tunewright.pipeline.workflow import fit

Image = pytest.importorskip("PIL.Image")


def frames(count: int, shade: int = 0) -> list[np.ndarray]:
    """Pictures of one colour each that grow brighter."""
    return [np.full((32, 32, 3), shade + 10 * number, dtype=np.uint8) for number in range(count)]


def folder_of(where: Path, pictures: list[np.ndarray]) -> Path:
    where.mkdir()
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).save(where / f"frame{number}.png")  # frame10 comes after frame9, not after frame1
    return where


def moving(pictures: list[np.ndarray], kind: str = "WEBP") -> bytes:
    out = io.BytesIO()
    first, *rest = map(Image.fromarray, pictures)
    first.save(out, kind, save_all=True, append_images=rest, duration=40, **({"lossless": True} if kind == "WEBP" else {}))
    return out.getvalue()


def table(cells: list[Any], source: Path) -> Table:
    labels = ["ab"[number % 2] for number in range(len(cells))]
    return Table({"video": cells, "label": labels}, tuple(range(1, len(cells) + 1)), str(source / "rows.csv"), "line")


def processor(folder: Path, count: int = 4) -> video.VideoPreprocessing:
    return video.VideoPreprocessing(network_of(folder).processor.pictures, count)


def network_of(folder: Path) -> Any:
    labels = Labels("classification", ("a", "b"))
    return load_network(str(folder), labels, form=Form("video", "AutoModelForImageClassification"))


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_image_model("vit", tmp_path_factory.mktemp("models") / "vit")


def test_frames_are_spread_evenly() -> None:
    assert video.spread(12, 4).tolist() == [1, 4, 7, 10]
    assert video.spread(3, 3).tolist() == [0, 1, 2]
    assert video.spread(1, 3).tolist() == [0, 0, 0]
    assert video.spread(2, 4).tolist() == [0, 0, 1, 1]


def test_folders_moving_pictures_and_arrays_are_one(vit: Path, tmp_path: Path) -> None:
    pictures = frames(12)
    folder_of(tmp_path / "folder", pictures)
    for kind in ("webp", "gif"):
        (tmp_path / f"moving.{kind}").write_bytes(moving(pictures, kind.upper()))
    rows = video.read(table(["folder", "moving.webp", "moving.gif", np.stack(pictures)], tmp_path), ("video",))
    encoded = video.encode(rows, processor(vit))
    made = encoded.collate(np.arange(4))["pixel_values"]
    assert made.shape == (4, 4, 3, 32, 32)
    shades = (made[:, :, 0, 0, 0] * 0.5 + 0.5) * 255
    expected = torch.tensor([10.0, 40.0, 70.0, 100.0])
    for row, allowed in enumerate((0.01, 0.01, 4.0, 0.01)):  # a GIF has a palette of its own
        torch.testing.assert_close(shades[row], expected, rtol=0, atol=allowed)
    again = encoded.subset(np.array([2, 0])).collate(np.array([1]))["pixel_values"]
    assert torch.equal(again[0], made[0])
    assert len({video.key(row) for row in rows}) == 4
    assert encoded.lengths.tolist() == [4 * 4] * 4


def test_what_is_no_video_is_refused_with_its_row(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.gif").write_bytes(b"GIF89a, or not")
    with pytest.raises(UserError, match=r"line 1.*holds no pictures"):
        video.read(table(["empty"], tmp_path), ("video",))
    with pytest.raises(UserError, match=r"line 2.*does not exist"):
        folder_of(tmp_path / "folder", frames(2))
        video.read(table(["folder", "nowhere"], tmp_path), ("video",))
    with pytest.raises(UserError, match=r"broken\.gif"):
        video.read(table(["broken.gif"], tmp_path), ("video",))
    outside = folder_of(tmp_path / "outside", frames(2))
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "link").symlink_to(outside)
    with pytest.raises(UserError, match="link that leads out"):
        video.read(table(["link"], tmp_path / "inside"), ("video",))


def test_the_answer_is_the_mean_over_frames(vit: Path) -> None:
    network = network_of(vit)
    pixels = torch.rand(2, 3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        found = network({"pixel_values": pixels})
        each = torch.stack([network.inner(pixel_values=pixels[:, frame]).logits for frame in range(3)]).mean(0)
        read = network.features({"pixel_values": pixels})
        torch.testing.assert_close(found, each)
        torch.testing.assert_close(network.last_linear(read), found)


def test_a_run_learns_saves_and_is_certified(vit: Path, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    rows = [
        {
            "video": generator.integers(0, 60, (6, 32, 32, 3), dtype=np.uint8) + np.uint8(120 * (number % 2)),
            "label": "ab"[number % 2],
        }
        for number in range(40)
    ]
    assert prepare(train=rows).schema.kind == "video"
    run = fit(
        rows,
        model=vit,
        strategy="full",
        out=tmp_path / "run",
        data={"frames": 3, "near_duplicates": "ignore"},
        training={"max_steps": 6, "batch_size": 8, "threads": 1},
        evaluation={"resamples": 100},
    )
    assert run.manifest["certified"]["equal"]
    assert "transformers AutoModelForImageClassification" in run.manifest["certified"]["with"]
    assert run.scores[0].value == 1.0
    assert run.model.network.processor.frames == 3
    assert {one["predicted"] for one in run.predict(rows[:2])} == {"a", "b"}
    with pytest.raises(UserError, match="augmentation"):
        fit(rows, model=vit, out=tmp_path / "other", data={"augmentation": {"horizontal_flip": 0.5}})
