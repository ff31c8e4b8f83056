"""Rows of several kinds, images with words, clips of frames, and speech: the tasks that no other script here measures, on real rows.

    python benchmarks/several_modalities.py [--only mixed video] [--seeds 0]      # one line per arm in results/several_modalities.jsonl

What is real and what is made:
- mixed: a digit's picture (MNIST, made small and noisy) beside a recording of the same digit (FSDD), its speaker and its length in
  seconds; which picture goes with which recording is drawn. 200 rows of five speakers, tested on the sixth. zoo/tiny-audio has heard
  clips of all six, so the tower that listens is trained here first, from random values, on other clips of the five; one arm has
  zoo/tiny-audio nevertheless, to show what that would seem to bring.
- contrastive: pictures of clothes (Fashion-MNIST) with captions made of the classes' names, by a CLIP of random values; two classes
  are never trained.
- answers: two questions about pictures of digits (MNIST), made up here; a LLaVA of random values, which writes letter by letter.
- video: digits of MNIST that move over a canvas; the digits are real, the movement, the noise and the gaps are made.
- transcription: recordings of one speaker (FSDD) joined by threes, with the digits' names as text; networks of random values, one with
  a decoder, one spelling frame by frame (CTC), which learns from single recordings first.
No test row chooses anything: other rows do, a tenth of the training rows where no others are named.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import warnings
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from common import DATA, ROOT, once, results

FILE = "several_modalities.jsonl"
ZOO = ROOT.parent / "zoo"
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
CLOTHES = ("tshirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")
UNTRAINED = ("coat", "sneaker")
TEMPLATE = "a {}"
QUESTIONS = ("what is it?", "odd or even?")
ARMS = {
    "mixed": ("what listens, before", "image alone", "audio alone", "late fusion", "attention", "audio alone, by zoo/tiny-audio"),
    "contrastive": ("clip",),
    "answers": ("llava",),
    "video": ("digit, 1 frame", "digit, 4 frames", "digit, 8 frames", "direction, 8 frames"),
    "transcription": ("decoder", "ctc"),
}

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    measures = {"mixed": mixed, "contrastive": contrastive, "answers": answers, "video": video, "transcription": transcription}
    for seed in options.seeds:
        for task in options.only:
            for arm in ARMS[task]:
                with tempfile.TemporaryDirectory() as temporary:
                    of_this = partial(measures[task], arm, seed, Path(temporary))
                    once(FILE, f"{task}|{arm}|{seed}", of_this, task=task, arm=arm, seed=seed)


def tuned(train: list[Row], test: list[Row], model: Path | str, folder: Path, **settings: Any) -> Any:
    """A run with everything trained; what is named is laid over what all arms share."""
    import tunewright

    shared: Row = {
        "data": {"near_duplicates": "ignore", "validation_size": 0.1},
        "training": {"batch_size": 32, "checkpoints": False, "threads": 1, "precision": "float32"},
        "evaluation": {"certify": False, "reports": (), "baselines": ("majority", "before")},
    }
    settings = {"strategy": "full", "out": folder / "run", **settings}
    merged = {key: shared[key] | value if key in shared else value for key, value in (shared | settings).items()}
    return tunewright.fit(train, test=test, model=str(model), **merged)


def told(run: Any, train: list[Row], test: list[Row]) -> Row:
    """Every score with its interval, that of a baseline under the baseline's name."""
    scores = {}
    for one in run.all_scores():
        name = one["name"] if one["of"] == "fine-tuned" else f"{one['of']}:{one['name']}"
        scores[name] = [one["value"], one["low"], one["high"]]
    return {**scores, "rows": len(train), "n": len(test), "epochs": run.recipe.training.epochs}


def archive(path: str) -> dict[str, np.ndarray]:
    """All arrays of one of the data's files."""
    with np.load(DATA / path, allow_pickle=False) as held:
        return dict(held)


def spoken() -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """All recordings, their digits and their speakers' names."""
    held = archive("fsdd/fsdd.npz")
    clips = [held["audio"][start:end] for start, end in zip(held["offsets"][:-1], held["offsets"][1:], strict=True)]
    return clips, held["digit"], held["speaker_names"][held["speaker"]]


def sound(clip: np.ndarray) -> Row:
    """A cell as the library reads it."""
    return {"array": clip, "sampling_rate": 8000}


def unseen(seed: int, names: np.ndarray) -> str:
    """The speaker of the test, as audio_tasks.py draws it."""
    return str(sorted(set(names.tolist()))[(2 * seed) % 6])


def mixed(arm: str, seed: int, folder: Path) -> Row:
    """Which digit is seen and said."""
    if arm == "what listens, before":
        return listener(seed)[1]
    rows = pairs(seed)
    train, test = rows["train"], rows["test"]
    audio = ZOO / "tiny-audio" if "zoo" in arm else listener(seed)[0] if arm != "image alone" else None
    towers = {"image": ZOO / "tiny-vision", "audio": audio}
    parts = {"image alone": ["image"], "late fusion": ["image", "audio"], "attention": ["image", "audio"]}.get(arm, ["audio"])
    alone = len(parts) == 1
    source = str(towers[parts[0]]) if alone else ",".join(f"{part}={towers[part]}" for part in parts)
    run = tuned(
        train,
        test,
        source + (",joined=attention" if arm == "attention" else ""),
        folder,
        target="label",
        seed=seed,
        validation=rows["validation"],
        data={"input": parts if alone else [*parts, "speaker", "length"]},
        optimization={"learning_rate": 2e-4, "head_learning_rate": 2e-3},
        training={"epochs": 15, "batch_size": 16},
    )
    return told(run, train, test)


@cache
def pairs(seed: int) -> dict[str, list[Row]]:
    """200 rows of five speakers to train and 200 to choose by, all of the sixth to test, and the five's other recordings."""
    generator = np.random.default_rng(seed)
    clips, digits, names = spoken()
    held = archive("mnist10k/mnist_t10k.npz")
    pictures = {digit: generator.permutation(np.flatnonzero(held["y"] == digit)).tolist() for digit in range(10)}
    rows: dict[str, list[Row]] = {"train": [], "validation": [], "test": [], "others": []}
    used = dict.fromkeys(range(10), 0)
    for index in generator.permutation(len(clips)).tolist():
        digit = int(digits[index])
        strange = names[index] == unseen(seed, names)
        part = "test" if strange else "train" if used[digit] < 20 else "validation" if used[digit] < 40 else "others"
        used[digit] += not strange
        small = held["x"][pictures[digit].pop()][::2, ::2].astype(float)
        noisy = np.clip(small + generator.normal(0, 60, small.shape), 0, 255).astype(np.uint8)
        about = {"speaker": str(names[index]), "length": len(clips[index]) / 8000, "label": DIGITS[digit]}
        rows[part].append({"image": np.stack([noisy] * 3, -1), "audio": sound(clips[index]), **about})
    return rows


@cache
def listener(seed: int) -> tuple[Path, Row]:
    """A network shaped as zoo/tiny-audio, trained on the five speakers' other recordings: its folder, and how well it does."""
    import torch
    from transformers import ASTConfig, ASTModel

    place = Path(LATER.name) / str(seed)
    torch.manual_seed(seed)
    ASTModel(ASTConfig.from_pretrained(str(ZOO / "tiny-audio"))).save_pretrained(str(place / "random"))
    prepared = (ZOO / "tiny-audio" / "preprocessor_config.json").read_text(encoding="utf-8")
    (place / "random" / "preprocessor_config.json").write_text(prepared, encoding="utf-8")
    rows = pairs(seed)
    run = tuned(
        rows["others"],
        rows["validation"],
        place / "random",
        place,
        target="label",
        seed=seed,
        data={"input": ["audio"], "audio_augmentation": {"shift": 0.1, "noise": 20}},
        optimization={
            "learning_rate": 1e-3,
            "head_learning_rate": 1e-3,
            "weight_decay": 0.05,
            "schedule": {"name": "cosine", "warmup": 0.1},
        },
        training={"epochs": 16, "batch_size": 16},
    )
    return run.folder / "model", told(run, rows["others"], rows["validation"])


def contrastive(arm: str, seed: int, folder: Path) -> Row:
    """Zero-shot classes before and after: among the trained, among all, and among the two that were never trained."""
    from tunewright.models.tiny_dual import tiny_dual_model

    held = archive("fashion_mnist/fashion_mnist.npz")
    train, test = (clothes(held[f"x_{part}"], held[f"y_{part}"], each, seed) for part, each in (("train", 300), ("test", 200)))
    apart = [spelt(name) for name in UNTRAINED]
    known = [[one for one in rows if one["label"] not in apart] for rows in (train, test)]
    parts = {"trained": known[1], "all": test, "untrained": [one for one in test if one["label"] in apart]}
    found: Row = {"rows": len(known[0]), "n": {name: len(rows) for name, rows in parts.items()}}
    model = tiny_dual_model("clip", folder / "model", width=96, seed=seed)
    for name, rate, epochs in (("before", 0.0, 1), ("after", 1e-3, 8)):
        run = tuned(
            known[0],
            known[1][::20],
            model,
            folder,
            task="image_text_contrastive",
            target="label",
            seed=seed,
            out=folder / name,
            head={"name": "image_text_contrastive", "template": TEMPLATE},
            optimization={"learning_rate": rate, "weight_decay": 0.05, "schedule": {"name": "cosine", "warmup": 0.1}},
            training={"batch_size": 64, "epochs": epochs} | ({} if rate else {"max_steps": 1}),
            evaluation={"baselines": ()},
        )
        for part, rows in parts.items():
            score = run.zero_shot(rows, TEMPLATE)[0]
            found[f"{name}:{part}"] = [score.value, score.low, score.high]
    return found | {"chance": {name: 1 / len({one["label"] for one in rows}) for name, rows in parts.items()}}


def clothes(pixels: np.ndarray, labels: np.ndarray, each: int, seed: int) -> list[Row]:
    """``each`` pictures of every class."""
    generator = np.random.default_rng(seed)
    chosen = [generator.choice(np.flatnonzero(labels == label), each, replace=False) for label in range(10)]
    return [{"image": coloured(pixels[row]), "label": spelt(CLOTHES[labels[row]])} for row in np.concatenate(chosen).tolist()]


def spelt(text: str) -> str:
    """Letter by letter, which are words of the tiny models' tokenizer, so that no name has a letter that was never trained."""
    return " ".join(text.replace(" ", ""))


def coloured(picture: np.ndarray) -> np.ndarray:
    """A grey picture with three channels."""
    return np.stack([picture] * 3, -1)


def answers(arm: str, seed: int, folder: Path) -> Row:
    """Which digit, and whether it is odd; half of the rows are asked each."""
    from tunewright.models.tiny_dual import tiny_image_reader

    held = archive("mnist10k/mnist_t10k.npz")
    asked = np.random.default_rng(seed).integers(0, 2, len(held["x"]))
    rows = [
        {
            "image": coloured(held["x"][row]),
            "prompt": spelt(QUESTIONS[asked[row]]),
            "answer": spelt(("even", "odd")[held["y"][row] % 2] if asked[row] else DIGITS[held["y"][row]]),
        }
        for row in range(len(held["x"]))
    ]
    train, test = rows[:3000], rows[-600:]
    run = tuned(
        train,
        test,
        tiny_image_reader(folder / "model", width=96, seed=seed),
        folder,
        task="image_text_to_text",
        seed=seed,
        data={"max_length": 64},
        head={"name": "image_text_to_text", "longest": 8},
        optimization={"learning_rate": 1e-3, "schedule": {"name": "cosine", "warmup": 0.1}},
        training={"epochs": 10},
    )
    found = told(run, train, test)
    by_question = run.evaluate_by(test, ["prompt"])
    for question in QUESTIONS:
        exact = next(one for one in by_question[(spelt(question),)] if one.name == "exact_match")
        found[question] = [exact.value, exact.low, exact.high]
        said, wanted = ([one["answer"] for one in part if one["prompt"] == spelt(question)] for part in (train, test))
        found[f"most frequent: {question}"] = wanted.count(max(set(said), key=said.count)) / len(wanted)
    return found


def video(arm: str, seed: int, folder: Path) -> Row:
    """Which digit moves, from some of twelve frames; or to which side, which frames without their order cannot tell."""
    target, frames = arm.split(", ")
    train, test = clips(seed, 0, 500), clips(seed, 5000, 300)
    run = tuned(
        train,
        test,
        ZOO / "tiny-vision",
        folder,
        target=target,
        seed=seed,
        data={"input": ["video"], "frames": int(frames.split()[0])},
        optimization={"learning_rate": 1e-3, "head_learning_rate": 1e-3, "schedule": {"name": "cosine", "warmup": 0.1}},
        training={"epochs": 6},
    )
    return told(run, train, test)


def clips(seed: int, first: int, count: int) -> list[Row]:
    """Digits that cross a canvas of 40 pixels in twelve frames; in each, three quarters of the pixels are dark and noise is added."""
    held = archive("mnist10k/mnist_t10k.npz")
    generator = np.random.default_rng([seed, first])
    rows = []
    for digit, label in zip(held["x"][first : first + count], held["y"][first : first + count], strict=True):
        right, top = bool(generator.integers(2)), int(generator.integers(13))
        places = np.linspace(0, 12, 12).round().astype(int)[:: 1 if right else -1]
        canvas = np.zeros((12, 40, 40))
        for frame, left in zip(canvas, places, strict=True):
            frame[top : top + 28, left : left + 28] = digit
        canvas = canvas * (generator.random(canvas.shape) < 0.25) + generator.normal(0, 30, canvas.shape)
        pixels = coloured(np.clip(canvas, 0, 255).astype(np.uint8))
        rows.append({"video": pixels, "digit": DIGITS[label], "direction": "right" if right else "left"})
    return rows


def transcription(arm: str, seed: int, folder: Path) -> Row:
    """Three digits in a row: word error rates for speakers of the training and for one never heard, of other recordings."""
    from tunewright.models.tiny_audio import tiny_audio_model

    rows = joined(seed)
    settings: Row = {
        "task": "speech_recognition",
        "seed": seed,
        "data": {"max_seconds": 3.0},
        "optimization": {
            "learning_rate": 1e-3,
            "head_learning_rate": 1e-3,
            "weight_decay": 0.05,
            "schedule": {"name": "cosine", "warmup": 0.1},
        },
        "training": {"epochs": 12, "batch_size": 16},
    }
    if arm == "decoder":
        model = tiny_audio_model("speech_to_text", folder / "model", layers=2, width=96, seed=seed)
    else:  # one digit at a time first, which has fewer ways to be spelt over fewer frames
        alone = tuned(
            rows["alone"], rows["validation"], speller(folder / "model", seed), folder, **settings, out=folder / "first"
        )
        model, settings["training"] = alone.folder / "model", {"epochs": 3, "batch_size": 16}
    settings["validation"] = rows["validation"]
    run = tuned(rows["train"], rows["unseen"], model, folder, **settings)
    seen = {f"seen:{one.name}": [one.value, one.low, one.high] for one in run.evaluate(rows["seen"])}
    return {**told(run, rows["train"], rows["unseen"]), **seen, "n_seen": len(rows["seen"])}


def joined(seed: int) -> dict[str, list[Row]]:
    """Three recordings of one speaker behind one another, and those of the training alone; no recording is in two other parts."""
    generator = np.random.default_rng(seed)
    recordings, digits, names = spoken()
    order = generator.permutation(len(recordings))
    strange = names[order] == unseen(seed, names)
    known = order[~strange]
    pools = {"train": (known[:1200], 2000), "validation": (known[1200:1350], 150), "seen": (known[1350:], 300)}
    alone = [{"audio": sound(recordings[one]), "sentence": DIGITS[digits[one]]} for one in known[:1200]]
    found: dict[str, list[Row]] = {"alone": alone}
    for part, (pool, count) in (pools | {"unseen": (order[strange], 300)}).items():
        found[part] = []
        for speaker in generator.choice(sorted(set(names[pool].tolist())), count).tolist():
            three = generator.choice(pool[names[pool] == speaker], 3, replace=False)
            clip = np.concatenate([recordings[one] for one in three])
            if len(clip) <= 3 * 8000:
                found[part].append({"audio": sound(clip), "sentence": " ".join(DIGITS[digits[one]] for one in three)})
    return found


def speller(folder: Path, seed: int) -> Path:
    """A wav2vec 2.0 of random values for 8,000 samples a second: five convolutions of 64, three layers."""
    import torch
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    torch.manual_seed(seed)
    config = Wav2Vec2Config(
        hidden_size=96,
        intermediate_size=288,
        num_hidden_layers=3,
        num_attention_heads=4,
        conv_dim=(64,) * 5,
        conv_kernel=(10, 8, 4, 4, 4),
        conv_stride=(5, 4, 2, 2, 2),
        feat_extract_norm="layer",
        do_stable_layer_norm=True,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
        mask_time_prob=0.0,
        layerdrop=0.0,
    )
    Wav2Vec2Model(config).save_pretrained(str(folder))
    prepared = {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "feature_size": 1, "sampling_rate": 8000}
    prepared |= {"padding_value": 0.0, "do_normalize": True, "return_attention_mask": True, "max_seconds": 3.0}
    (folder / "preprocessor_config.json").write_text(json.dumps(prepared), encoding="utf-8")
    return folder


LATER = tempfile.TemporaryDirectory()


def section() -> str:
    """Rows of several kinds, images with words, videos and speech, each beside what it started from or the commonest answer."""
    rows = results("several_modalities.jsonl")
    if not rows:
        return ""
    told = {  # task: what it is, its score, what stands beside it
        "mixed": [("digit seen and said, right", "accuracy", "majority:accuracy")],
        "contrastive": [
            (f"picture's name among the {which}, right", f"after:{part}", f"before:{part}")
            for which, part in (("eight trained", "trained"), ("ten", "all"), ("two never trained", "untrained"))
        ],
        "answers": [
            (f"answer exactly right: {name}", name, f"most frequent: {name}") for name in ("what is it?", "odd or even?")
        ],
        "video": [("right", "accuracy", "majority:accuracy")],
        "transcription": [
            ("wrong words, speaker never heard", "word_error_rate", "majority:word_error_rate"),
            ("wrong words, other recordings of known speakers", "seen:word_error_rate", None),
            ("wrong letters, speaker never heard", "character_error_rate", "majority:character_error_rate"),
            ("wrong letters, other recordings of known speakers", "seen:character_error_rate", None),
        ],
    }
    page = (
        "\n## Rows of several kinds, images with words, videos, speech\n\nSmall networks on real rows, one seed, everything trained; networks of random values but for zoo/tiny-vision in the first and "
        "fourth task. Beside each share, %, with its bootstrap interval stands that of the commonest answer, or for images with words that of the untrained network. What is real and what is "
        "made, and code and settings: `benchmarks/several_modalities.py`. zoo/tiny-audio has heard clips of the test's speaker in its training; that arm shows what this pretends.\n\n"
        "| task | arm | what | % | beside | rows | processor seconds |\n|---|---|---|---|---|---|---|\n"
    )
    for row in rows:
        for what, name, beside in told[row["task"]]:
            value, low, high = (f"{100 * one:.1f}" for one in row[name])
            other = row.get(beside, "–") if beside else "–"
            other = other[0] if isinstance(other, list) else other
            other = other if isinstance(other, str) else f"{100 * other:.1f}"
            cells = (row["task"], row["arm"], what, f"{value} [{low}, {high}]", other, row["rows"], f"{row['seconds']:.0f}")
            page += f"| {' | '.join(map(str, cells))} |\n"
    return page


if __name__ == "__main__":
    main()
