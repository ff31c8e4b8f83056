"""An image with a prompt about it, and the answer to write: token ids and pixels as transformers' own processor makes them.

Source: Liu et al. 2023, Visual Instruction Tuning (LLaVA), section 4.2 (the answer alone is learned). When: models whose
processor puts an image's places among the tokens. When not: classes of images (classification), words to
search them by (image_text).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tunewright.core.errors import UserError
from tunewright.core.files import read_object
from tunewright.core.types import Finding
from tunewright.datasets import media
from tunewright.datasets.columns import find, named
from tunewright.datasets.formats.image_files import decode, strict
from tunewright.datasets.ragged import IGNORED, Ragged, ragged
from tunewright.datasets.table import Table
from tunewright.modalities.image import modality as image
from tunewright.modalities.language.chat_template import written
from tunewright.modalities.processor_files import PREPROCESSOR, PROCESSOR, first_line, names_code

if TYPE_CHECKING:
    from torch import Tensor

RECOGNITION_ORDER = 20
TOKENIZED = False
SCRATCH_LOADING = None

_PROMPTS = frozenset(("prompt", "question", "instruction"))
_ANSWERS = frozenset(("answer", "answers", "completion", "response"))
_RGB = 3


@dataclass(frozen=True)
class Processor:
    """transformers' processor, which makes all inputs of a network."""

    own: Any

    @property
    def tokenizer(self) -> Any:
        return self.own.tokenizer

    @property
    def parts(self) -> tuple[Any, ...]:
        """What is saved."""
        return (self.own,)

    def written(self, prompt: str) -> str:
        """The prompt with its image in the model's own chat template; without one, the image first and a line for each."""
        template = getattr(self.own, "chat_template", None)
        if template:
            content = [{"type": "image"}, {"type": "text", "text": prompt}]
            marks = {name: token for name, token in self.tokenizer.special_tokens_map.items() if isinstance(token, str)}
            given = {**marks, "messages": [{"role": "user", "content": content}], "add_generation_prompt": True}
            return written(template, given, len(prompt), "an image with a prompt")
        return f"{self.own.image_token}\n{prompt}\n"

    def example(self) -> dict[str, Tensor]:
        """One grey picture and one word."""
        return encode([(np.full((8, 8, _RGB), 128, dtype=np.uint8), "a")], None, self, 2**31, 1).collate(np.arange(1))


@dataclass(frozen=True)
class Encoded:
    """n prompts with their images, and the answers' tokens, none where they are to be written.

    ``pixels``: by input, what the processor made of each row's image, put together along the first axis in a batch.
    ``sizes``: UTF-8 bytes of each answer; ``rows``: each example's row.
    """

    prompts: Ragged
    answers: Ragged
    pixels: Mapping[str, Sequence[np.ndarray]]
    sizes: np.ndarray  # (n,) int64
    truncated: int
    pad: int
    varies: ClassVar[bool] = False
    side: ClassVar[str] = "right"

    def __len__(self) -> int:
        return len(self.prompts)

    @property
    def rows(self) -> np.ndarray:
        return np.arange(len(self))

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of prompt, image and answer, (n,)."""
        both: np.ndarray = self.prompts.lengths + self.answers.lengths
        return both

    @cached_property
    def targets(self) -> Ragged:
        """The answers' tokens at their places, IGNORED before them."""
        pairs = [(np.full(self.prompts.lengths[row], IGNORED), self.answers.row(row)) for row in range(len(self))]
        return ragged([np.concatenate(pair) for pair in pairs])

    def subset(self, rows: np.ndarray) -> Encoded:
        """Some rows, in the order given."""
        pixels = {name: [values[row] for row in rows] for name, values in self.pixels.items()}
        some = {"prompts": self.prompts[rows], "answers": self.answers[rows], "sizes": self.sizes[rows]}
        return replace(self, pixels=pixels, truncated=0, **some)

    def asked(self, rows: np.ndarray) -> dict[str, Tensor]:
        """The inputs of prompts of one length, to write from."""
        return self._made([self.prompts.row(row) for row in rows], rows)

    def collate(self, rows: np.ndarray, *, training: bool = False) -> dict[str, Tensor]:
        """input_ids and attention_mask (batch, tokens), filled up on the right, and the images' own inputs."""
        return self._made([np.concatenate([self.prompts.row(row), self.answers.row(row)]) for row in rows], rows)

    def _made(self, ids: list[np.ndarray], rows: np.ndarray) -> dict[str, Tensor]:
        import torch

        every = ragged(ids)
        width = int(every.lengths.max(initial=0))
        made = {
            "input_ids": torch.from_numpy(every.padded(np.arange(len(ids)), fill=self.pad)),
            "attention_mask": torch.from_numpy((np.arange(width) < every.lengths[:, None]).astype(np.int64)),
        }
        return made | {
            name: torch.from_numpy(np.concatenate([values[row] for row in rows])) for name, values in self.pixels.items()
        }

    def arrays(self) -> Iterable[np.ndarray]:
        """All that tells these rows from others."""
        yield from (self.prompts.values, self.prompts.lengths, self.answers.values, self.answers.lengths)
        for values in self.pixels.values():
            yield from values


def recognize(table: Table, wanted: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...], str] | None:
    """A column of pictures beside a prompt and an answer, by their names or as they are named for the task."""
    task, inputs = wanted.get("task"), tuple(wanted.get("text") or ())
    if task not in (None, "image_text_to_text") or (task is None and (inputs or wanted.get("target"))):
        return None
    pictures = [name for name in inputs or table.columns if all(map(image.holds_picture, table.columns[name]))]
    free = [name for name in inputs or table.columns if name not in pictures]
    prompts = free if inputs else named(free, _PROMPTS)
    answers = tuple(wanted.get("target") or named([name for name in table.columns if name not in pictures], _ANSWERS))
    if not (len(pictures) == len(prompts) == len(answers) == 1):
        return None
    return (pictures[0], prompts[0]), answers, "image_text_to_text"


def read(table: Table, columns: tuple[str, ...], findings: list[Finding] | None = None) -> list[tuple[Any, ...]]:
    """Each row's image, as ``image.read`` gives it, and its prompt; an empty one is a ``UserError``."""
    pictures = image.read(table, columns[:1], findings)
    cells = table.column(find(table, columns[1], "text")[0])
    wrong = [index for index, cell in enumerate(cells) if not isinstance(cell, str) or not cell.strip()]
    if wrong:
        raise UserError(f"{table.where(wrong)}: '{columns[1]}' is {cells[wrong[0]]!r}", expected="text")
    return [(picture, cell) for (picture,), cell in zip(pictures, cells, strict=True)]


def encode(
    inputs: Sequence[tuple[Any, ...]],
    answers: Sequence[str] | None,
    processor: Processor,
    max_length: int,
    longest: int,
    where: Callable[[Sequence[int]], str] = media.numbered,
) -> Encoded:
    """Tokens and pixels of each row; an answer ends with the end-of-text token and has ``longest`` tokens at most.

    A prompt that with its image has more than ``max_length`` tokens is a ``UserError``, for an image cannot be cut.
    """
    made: list[tuple[np.ndarray, dict[str, np.ndarray]]] = [(np.empty(0), {})] * len(inputs)

    def fill(row: int) -> None:
        made[row] = _processed(processor, decode(inputs[row][0], _RGB), inputs[row][1])

    with strict():
        media.refuse([_tried(fill, row) for row in range(len(inputs))], lambda row: shown(inputs[row]), where)
    tokenizer = processor.tokenizer
    texts = [[] if answers is None else _answer(tokenizer, answers[row]) for row in range(len(inputs))]
    room = [min(longest, max_length - len(ids)) for ids, _ in made]
    full = [row for row, left in enumerate(room) if left < 1]
    if full:
        raise UserError(
            f"{where(full)}: the prompt and its image have {len(made[full[0]][0])} tokens",
            expected=f"fewer than {max_length}",
            try_="a larger data.max_length, where the model has the places",
        )
    return Encoded(
        ragged([ids for ids, _ in made]),
        ragged([np.array(text[:left], dtype=np.int64) for text, left in zip(texts, room, strict=True)]),
        {name: [one[name] for _, one in made] for name in (made[0][1] if made else {})},
        np.array([len(text.encode()) for text in answers or [""] * len(inputs)], dtype=np.int64),
        sum(len(text) > left for text, left in zip(texts, room, strict=True)),
        tokenizer.pad_token_id or 0,
    )


def _tried(work: Callable[[int], None], row: int) -> str | None:
    try:
        work(row)
    except media.UnreadableError as error:
        return str(error)
    return None


def _answer(tokenizer: Any, text: str) -> list[int]:
    end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    return [*tokenizer(text, add_special_tokens=False)["input_ids"], *end]


def _processed(processor: Processor, picture: Any, prompt: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Token ids (tokens,) of one row, and its image's inputs; what stands beside tokens otherwise is a ``UserError``."""
    found = processor.own(images=[picture], text=processor.written(prompt), return_tensors="np")
    ids = np.asarray(found.pop("input_ids"))[0].astype(np.int64)
    ids = ids[:-1] if len(ids) and ids[-1] == processor.tokenizer.eos_token_id else ids  # the answer follows
    rest = {name: np.asarray(values) for name, values in found.items() if name not in ("attention_mask", "token_type_ids")}
    beside = [name for name in rest if name.endswith("token_type_ids")]
    if beside:
        raise UserError(
            f"the processor makes {beside[0]} beside the tokens, which is not done here", expected="a LLaVA-like model"
        )
    return ids, rest


def shown(row: tuple[Any, ...]) -> str:
    """The image's path and the prompt."""
    return f"{image.shown(row[:1])}: {row[1]}"


def key(row: tuple[Any, ...]) -> bytes:
    """Of the image and the prompt."""
    return media.digest(image.key(row[:1]) + row[1].encode("utf-8", "surrogatepass"))


def load_processor(folder: Path, config: Any) -> Processor:
    """The processor of transformers for images and texts; one that is a program of its own is a UserError."""
    from transformers import AutoProcessor

    settings = [folder / name for name in (PROCESSOR, PREPROCESSOR, "tokenizer_config.json")]
    if any(names_code(read_object(path)) for path in settings if path.is_file()):
        raise UserError(f"the processor of '{folder}' is a program of its own (auto_map)", expected="a processor that is data")
    try:
        found = AutoProcessor.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:  # the tokenizers library raises Exception itself
        raise UserError(f"the processor of '{folder}' cannot be loaded: {first_line(error)}") from error
    if not all(hasattr(found, part) for part in ("tokenizer", "image_processor")):
        raise UserError(f"the processor of '{folder}' does not read images and texts", expected="one with both")
    return Processor(found)
