"""Which page of docs/benchmarks has which sections: one page per question."""

from __future__ import annotations

import re

MADE = "<!-- Written by benchmarks/tables.py from benchmarks/results/; measure, then run it again. -->\n\n"
HEAD = (
    "# Benchmarks\n\nOne page per question. Every figure was measured: each line of `benchmarks/results/` has its seed, versions and machine. "
    "Seconds are of a shared, noisy machine with two cores; compare them only within one table.\n\n"
)
# File: the question, and how the headings of its sections begin.
PAGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "strategies": ("Which strategy is best on Banking77?", ("Each strategy at its own defaults", "No strategy named")),
    "trainer-and-peft": ("Is it as good as Trainer and peft?", ("transformers.Trainer and peft",)),
    "speed": ("How fast are training and prediction?", ("Speed against", "torch.compile")),
    "scaling": ("How do time and memory grow with the data?", ("How time and memory grow", "Memory of a file")),
    "estimates": ("How good is the estimate of time and memory?", ("The estimate against the truth",)),
    "precision": ("Does bfloat16 change the results?", ("bfloat16 against float32",)),
    "learning-rate-finder": ("How good is the learning rate finder?", ("The rate finder",)),
    "ulmfit": ("What does each of ULMFiT's three ideas bring?", ("ULMFiT",)),
    "text-tasks": (
        "How good are the text tasks?",
        ("Tagging of", "Answers of", "Similarity of", "Several labels of", "Grades of", "Two targets"),
    ),
    "embeddings": ("How good are embeddings, and classes from few examples?", ("Retrieval of", "Few-shot of", "Short vectors")),
    "language-models": (
        "What does fine-tuning change in a language model?",
        ("Language models: adapting", "Language models: answers", "Language models: instructions"),
    ),
    "trl": ("Are losses and speed those of TRL?", ("Language models: the same losses", "Language models: tokens")),
    "translation": ("How good are translations and summaries from little data?", ("Translation", "Summaries")),
    "sequences": ("Can DNA and molecules be learned as strings?", ("DNA and molecules",)),
    "images": ("How good are images, boxes and masks from few pictures?", ("Other images", "Boxes from", "Masks of")),
    "audio": ("How good is audio from few clips?", ("Few sounds",)),
    "tables": ("When does a network beat boosted trees on a table?", ("Does pre-training help a table", "Rare classes")),
    "multimodal": ("What do several modalities bring?", ("Rows of several kinds",)),
    "recommendation": ("How good is recommendation on MovieLens-100K?", ("Recommendation",)),
    "distillation": ("What does distillation bring?", ("Distillation",)),
    "forgetting": ("What is gained, and what is forgotten?", ("Gained and forgotten",)),
    "trust": ("Can the probabilities be trusted?", ("Trust",)),
    "bias": ("How unequally are groups treated, before and after?", ("Bias before",)),
    "data-checks": ("What do the data checks find?", ("Data checks",)),
}


def pages(sections: str) -> dict[str, str]:
    """Every page of docs/benchmarks; a section that no page wants is an error."""
    found: dict[str, list[str]] = {name: [] for name in PAGES}
    for section in re.split(r"\n(?=## )", sections.lstrip("\n")):
        found[_page_of(section.removeprefix("## "))].append(section.rstrip("\n") + "\n")
    written = {name: texts for name, texts in found.items() if texts}
    rows = "".join(f"| [{PAGES[name][0]}]({name}.md) |\n" for name in written)
    tree = "".join(f"{name}\n" for name in written)
    index = f"{MADE}{HEAD}| question |\n|---|\n{rows}\n```{{toctree}}\n:hidden:\n\n{tree}```\n"
    return {"index": index} | {name: f"{MADE}# {PAGES[name][0]}\n\n" + "\n".join(texts) for name, texts in written.items()}


def _page_of(heading: str) -> str:
    for name, (_, starts) in PAGES.items():
        if heading.startswith(starts):
            return name
    raise LookupError(f"no page of benchmarks/pages.py has the section '{heading.splitlines()[0]}'")
