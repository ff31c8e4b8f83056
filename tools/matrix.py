"""Run every strategy on every task on tiny networks and write which work: python tools/matrix.py [--check] [task …].

docs/reference/matrix.md says *works*, or why a strategy means nothing for a task, in the words of the refusal. With --check
nothing is written, and a page that is stale is an error.
"""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tunewright.core.errors import UserError
from tunewright.core.registry import list_parts
from tunewright.strategies import list_strategies

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "matrix.md"
WORKS = "works"
TOPICS = {
    "money": "card money bank pay refund price",
    "post": "order parcel late early lost",
    "mood": "great awful happy sad love",
}
# A SegFormer of as many stages as real ones have.
STAGES = {
    "num_encoder_blocks": 4,
    "depths": [1] * 4,
    "sr_ratios": [2, 1, 1, 1],
    "hidden_sizes": [8, 16, 16, 16],
    "patch_sizes": [3] * 4,
    "strides": [2] * 4,
    "num_attention_heads": [1, 2, 2, 2],
    "mlp_ratios": [2] * 4,
}
Toy = tuple[Any, Path, dict[str, Any]]


def main(arguments: list[str]) -> int:
    names = [name for name in arguments if not name.startswith("-")] or list(TOYS)
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["TUNEWRIGHT_CACHE"] = f"{temporary}/cache"
        found = {name: column(name, Path(temporary)) for name in names}
    if names != list(TOYS):
        for name, cells in found.items():
            print(name, *(f"{strategy}: {said}" for strategy, said in cells.items()), sep="\n  ")
        return 0
    text = page(found)
    if "--check" not in arguments:
        PAGE.write_text(text, encoding="utf-8")
    elif not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != text:
        print("docs/reference/matrix.md is stale; run python tools/matrix.py")
        return 1
    return 0


def column(task: str, folder: Path) -> dict[str, str]:
    """What happens to one step of each strategy on a task."""
    from tunewright.pipeline.workflow import fit

    rows, model, sections = TOYS[task](folder)
    found = {}
    for strategy in list_strategies():
        settings = {
            "data": {"near_duplicates": "ignore", "max_length": 48} | sections.get("data", {}),
            "training": {"max_steps": 1, "batch_size": 8, "checkpoints": False, "threads": 1, "precision": "float32"},
            "evaluation": {"baselines": (), "certify": False, "resamples": 100, "monitor": "loss"},
        }
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                fit(
                    rows,
                    model=str(model),
                    strategy=strategy.name,
                    out=folder / f"{task.replace(': ', '-')}-{strategy.name}",
                    **{**settings, **{key: value for key, value in sections.items() if key != "data"}},
                )
            found[strategy.name] = WORKS
        except UserError as error:
            found[strategy.name] = reason(error, folder)
    return found


def reason(error: UserError, folder: Path) -> str:
    """The refusal's first sentence, without the places of this run."""
    said = str(error).split(". Expected ")[0].split(". Try: ")[0].split("\n")[0]
    return said.replace(str(folder), "…")


def page(found: dict[str, dict[str, str]]) -> str:
    """A table of tasks and strategies; reasons are numbered below it."""
    reasons: list[str] = []
    lines = [f"| strategy | {' | '.join(name.replace('_', ' ') for name in found)} |", "|---" * (len(found) + 1) + "|"]
    for strategy in list_strategies():
        cells = []
        for task in found:
            said = found[task][strategy.name]
            if said != WORKS and said not in reasons:
                reasons.append(said)
            cells.append(WORKS if said == WORKS else f"– [{reasons.index(said) + 1}]")
        lines.append(f"| [{strategy.name}](strategies/{strategy.name}.md) | {' | '.join(cells)} |")
    covered = {head_of(task) for task in found}
    missing = [part.name for part in list_parts("tasks") if part.name not in covered]
    notes = [f"{number}. {said}" for number, said in enumerate(reasons, 1)]
    left = f"Not tried here: {', '.join(missing)}." if missing else "Every task is here."
    return "\n".join(
        [
            "<!-- Written by tools/matrix.py, which runs each cell; change the code, not this page. -->",
            "",
            "# Strategies and tasks",
            "",
            "Each cell is one step of the strategy at its own defaults on a tiny network and toy rows. A dash means that the",
            "strategy has no meaning there and is refused, with the reason below.",
            "",
            *lines,
            "",
            *notes,
            "",
            left,
            "",
        ]
    )


def head_of(task: str) -> str:
    """The head that a column tries; several columns may try one with other rows."""
    return task.split(":")[0].strip()


def texts(count: int = 36) -> list[tuple[str, str]]:
    """Toy texts and their topics."""
    rows = []
    for number in range(count):
        topic = sorted(TOPICS)[number % 3]
        words = TOPICS[topic].split()
        rows.append((f"my {words[number % len(words)]} is {words[(number // 3) % len(words)]} the {number % 10}", topic))
    return rows


def text_model(folder: Path, family: str = "bert") -> Path:
    from tunewright.models.tiny import tiny_model

    return tiny_model(family, folder / family)


def classification(folder: Path) -> Toy:
    return [{"text": text, "label": topic} for text, topic in texts()], text_model(folder), {}


def multi_label(folder: Path) -> Toy:
    rows = [{"text": text, "label": [topic, "odd"] if number % 2 else [topic]} for number, (text, topic) in enumerate(texts())]
    return rows, text_model(folder), {"data": {"task": "multi_label"}}


def regression(folder: Path) -> Toy:
    return (
        [{"text": text, "score": len(topic) + number / 10} for number, (text, topic) in enumerate(texts())],
        text_model(folder),
        {},
    )


def similarity(folder: Path) -> Toy:
    pairs = zip(texts(), reversed(texts()), strict=True)
    rows = [{"sentence1": a, "sentence2": b, "score": float(c == d) + n / 100} for n, ((a, c), (b, d)) in enumerate(pairs)]
    return rows, text_model(folder), {"data": {"task": "sentence_similarity"}}


def cosine(folder: Path) -> Toy:
    rows, model, sections = similarity(folder)
    return rows, model, sections | {"head": {"name": "cosine_similarity"}}


def tagging(folder: Path) -> Toy:
    rows = [{"tokens": text.split(), "tags": ["O", "B-x", "O", "B-y", "O", "O"]} for text, _ in texts()]
    return rows, text_model(folder), {}


def question_answering(folder: Path) -> Toy:
    rows = [
        {
            "question": "what is lost ?",
            "context": text,
            "answers": {"text": [text.split()[1]], "answer_start": [3]},
            "id": str(number),
        }
        for number, (text, _) in enumerate(texts())
    ]
    return rows, text_model(folder), {}


def language(folder: Path) -> Toy:
    return [{"text": text} for text, _ in texts()], text_model(folder, "llama"), {"data": {"task": "causal_lm"}}


def conversation(folder: Path) -> Toy:
    rows = [{"instruction": text, "output": topic} for text, topic in texts()]
    return rows, text_model(folder, "llama"), {}


def masked_language(folder: Path) -> Toy:
    from transformers import AutoModelForMaskedLM

    whole = text_model(folder, "bert")
    AutoModelForMaskedLM.from_pretrained(str(whole)).save_pretrained(str(whole))
    return [{"text": text} for text, _ in texts()], whole, {"data": {"task": "masked_lm"}}


def preference(folder: Path) -> Toy:
    rows = [{"prompt": text, "chosen": topic, "rejected": "no"} for text, topic in texts()]
    return rows, text_model(folder, "llama"), {}


def generation(folder: Path) -> Toy:
    rows = [{"text": text, "summary": topic} for text, topic in texts()]
    sections = {"data": {"task": "seq2seq", "target": ["summary"]}, "head": {"name": "seq2seq", "longest": 8, "beams": 2}}
    return rows, text_model(folder, "t5"), sections


def embedding(folder: Path) -> Toy:
    rows = [{"anchor": text, "positive": f"{topic} {text}"} for text, topic in texts()]
    return rows, text_model(folder), {}


def ordinal(folder: Path) -> Toy:
    rows = [{"text": text, "stars": len(topic) - 3} for text, topic in texts()]
    return rows, text_model(folder), {"data": {"task": "ordinal", "target": ["stars"]}}


def several(folder: Path) -> Toy:
    rows = [{"text": text, "topic": topic, "stars": number % 10 / 2} for number, (text, topic) in enumerate(texts())]
    return rows, text_model(folder), {"data": {"task": "multi_task", "target": ["topic", "stars"]}}


def pictures(count: int = 36) -> list[np.ndarray]:
    """Noise, every second one lighter, (32, 32, 3)."""
    generator = np.random.default_rng(0)
    return [generator.integers(0, 128, (32, 32, 3), dtype=np.uint8) + np.uint8(100 * (number % 2)) for number in range(count)]


def images(folder: Path) -> Toy:
    from tunewright.models.tiny_images import tiny_image_model

    rows = [{"image": picture, "label": "ab"[number % 2]} for number, picture in enumerate(pictures())]
    return rows, tiny_image_model("vit", folder / "vit"), {}


def segmentation(folder: Path) -> Toy:
    from tunewright.models.tiny_images import tiny_image_model

    rows = [{"image": picture, "mask": (picture[:, :, 0] > 100).astype(np.uint8)} for picture in pictures()]
    return rows, tiny_image_model("segformer", folder / "segformer", **STAGES), {"data": {"task": "semantic_segmentation"}}


def detection(folder: Path) -> Toy:
    from tunewright.models.tiny_images import tiny_image_model

    rows = [
        {"image": picture, "objects": [{"box": [number % 9, 2, number % 9 + 12, 20], "label": "ab"[number % 2]}]}
        for number, picture in enumerate(pictures())
    ]
    return rows, tiny_image_model("yolos", folder / "yolos"), {"data": {"task": "object_detection"}}


def tones(count: int = 36) -> list[dict[str, Any]]:
    """A quarter of a second of a lower or a higher tone."""
    times = np.arange(4000) / 16000
    waves = [np.sin(2 * np.pi * (300 + 400 * (number % 2)) * times).astype(np.float32) for number in range(count)]
    return [{"array": wave, "sampling_rate": 16000} for wave in waves]


def sounds(folder: Path) -> Toy:
    from tunewright.models.tiny_audio import tiny_audio_model

    rows = [{"audio": tone, "label": "ab"[number % 2], "place": number} for number, tone in enumerate(tones())]
    return rows, tiny_audio_model("wav2vec2", folder / "wav2vec2"), {"data": {"max_seconds": 1.0}}


def spoken() -> list[dict[str, Any]]:
    return [{"audio": tone, "sentence": ("abba", "cab")[number % 2]} for number, tone in enumerate(tones())]


def transcription(folder: Path) -> Toy:
    from tunewright.models.tiny_audio import tiny_audio_model

    sections = {"data": {"task": "speech_recognition", "max_seconds": 1.0}}
    return spoken(), tiny_audio_model("wav2vec2", folder / "wav2vec2-ctc"), sections


def speech_generation(folder: Path) -> Toy:
    from tunewright.models.tiny_audio import tiny_audio_model

    sections = {
        "data": {"task": "speech_recognition", "max_seconds": 1.0},
        "head": {"name": "speech_seq2seq", "longest": 8, "beams": 2},
    }
    return spoken(), tiny_audio_model("whisper", folder / "whisper"), sections


def table(folder: Path) -> Toy:
    rows = [
        {
            "age": 20 + number % 31,
            "income": number * 1.5,
            "job": "abc"[number % 3],
            "town": "xy"[number % 2],
            "label": number > 18,
        }
        for number in range(40)
    ]
    return rows, Path("table-transformer"), {"data": {"target": ["label"]}}


def recommendation(folder: Path) -> Toy:
    """A third column is a text of each item, which an encoder reads."""
    taken = [(user, item) for user in range(12) for item in range(10) if (user + item) % 2 == 0]
    rows = [{"user": f"u{user}", "item": f"i{item}", "about": f"a {('odd', 'even')[item % 2]} card"} for user, item in taken]
    sections = {"data": {"input": ["user", "item", "about"], "task": "recommendation"}}
    return rows, text_model(folder), sections


def image_text(folder: Path) -> Toy:
    from tunewright.models.tiny_dual import tiny_dual_model

    rows, _, _ = images(folder)
    pairs = [{"image": row["image"], "caption": f"a {('blue', 'red')[row['label'] == 'b']} card"} for row in rows]
    return pairs, tiny_dual_model("clip", folder / "clip"), {}


def mixed(folder: Path) -> Toy:
    from tunewright.models.tiny_images import tiny_image_model

    rows, _, _ = images(folder)
    found = [
        {**row, "note": text, "price": number / 3} for number, (row, (text, _)) in enumerate(zip(rows, texts(), strict=True))
    ]
    data = {"input": ["image", "note", "price"], "target": ["label"]}
    return found, Path(f"image={tiny_image_model('vit', folder / 'vit')},text={text_model(folder)}"), {"data": data}


def image_text_to_text(folder: Path) -> Toy:
    from tunewright.models.tiny_dual import tiny_image_reader

    rows, _, _ = images(folder)
    asked = [{"image": row["image"], "prompt": "what is it", "answer": row["label"]} for row in rows]
    return asked, tiny_image_reader(folder / "llava"), {}


TOYS: dict[str, Callable[[Path], Toy]] = {
    "classification": classification,
    "multi_label": multi_label,
    "regression": regression,
    "sentence_similarity": similarity,
    "cosine_similarity": cosine,
    "token_classification": tagging,
    "question_answering": question_answering,
    "causal_lm": language,
    "causal_lm: conversations": conversation,
    "masked_lm": masked_language,
    "preference_optimization": preference,
    "seq2seq": generation,
    "embedding": embedding,
    "ordinal": ordinal,
    "multi_task": several,
    "classification: images": images,
    "semantic_segmentation": segmentation,
    "object_detection": detection,
    "classification: sounds": sounds,
    "speech_recognition": transcription,
    "speech_seq2seq": speech_generation,
    "classification: table": table,
    "classification: mixed": mixed,
    "recommendation": recommendation,
    "image_text_contrastive": image_text,
    "image_text_to_text": image_text_to_text,
}


if __name__ == "__main__":
    np.seterr(all="ignore")
    raise SystemExit(main(sys.argv[1:]))
